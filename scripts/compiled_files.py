#!/usr/bin/env python3
"""Prints the sources of this repository that a build compiles, one a line: what clang-tidy can check.

usage: compiled_files.py COMPILE_COMMANDS_JSON REPOSITORY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FOLDERS = ("src", "apps", "bench", "eval", "inspect", "examples", "python", "tests")


def compiled_files(database: Path, repository: Path) -> list[Path]:
    """Sources in FOLDERS of `repository`; llama.cpp's and generated ones are left out."""
    files = {Path(entry["directory"], entry["file"]) for entry in json.loads(database.read_text(encoding="utf-8"))}
    roots = [repository / folder for folder in FOLDERS]
    return sorted(file for file in files if any(file.is_relative_to(root) for root in roots))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        found = compiled_files(Path(sys.argv[1]), Path(sys.argv[2]))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    if not found:
        sys.exit(f"error: {sys.argv[1]} compiles nothing of {sys.argv[2]}")
    print("\n".join(map(str, found)))
