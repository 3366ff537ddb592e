"""Code blocks of documents in Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_HEADING = re.compile(r"#+ (.+)")
_FENCE = re.compile(r"```(\w*)")


@dataclass(frozen=True)
class Block:
    """One block, with the heading that it stands under."""

    heading: str
    language: str
    code: str


def blocks_of(path: Path) -> list[Block]:
    """All of a file, in order."""
    blocks, heading, language = [], "", ""
    lines: list[str] | None = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if lines is not None:
            if line == "```":
                blocks.append(Block(heading, language, "\n".join(lines) + "\n"))
                lines = None
            else:
                lines.append(line)
        elif fence := _FENCE.fullmatch(line):
            language, lines = fence[1], []
        elif title := _HEADING.fullmatch(line):
            heading = title[1]
    return blocks
