#!/usr/bin/env python3
"""Prints a long text that every machine has: source code of the Python standard library.

The same interpreter gives the same text. Whole modules are taken in a fixed order until the text is long enough.

usage: long_text.py MIN_TOKENS
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# Plain Python in every version from 3.9 on. demo.sh asks about the first one.
MODULES = (
    "textwrap",
    "shlex",
    "sched",
    "heapq",
    "calendar",
    "fractions",
    "csv",
    "configparser",
    "difflib",
    "argparse",
    "tarfile",
    "statistics",
    "random",
    "functools",
    "dataclasses",
    "inspect",
    "typing",
)

# Upper bound for source code with the vocabularies of current models (measured: 3.7 to 4.8, by module).
CHARACTERS_PER_TOKEN = 4.9


def module_source(name: str) -> str:
    """The source text of a standard library module, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise FileNotFoundError(
            f"the source of the standard library module '{name}' is not installed; on Debian: apt-get install python3"
        )
    return Path(spec.origin).read_text(encoding="utf-8")


def long_text(min_tokens: int) -> str:
    """Source text that is at least `min_tokens` tokens long with any current vocabulary."""
    parts: list[str] = []
    length = 0
    for name in MODULES:
        if length >= min_tokens * CHARACTERS_PER_TOKEN:
            break
        part = f"# File {name}.py\n\n{module_source(name)}\n"
        parts.append(part)
        length += len(part)
    if length < min_tokens * CHARACTERS_PER_TOKEN:
        raise ValueError(f"{min_tokens} tokens are wanted, the modules have about {int(length / CHARACTERS_PER_TOKEN)}")
    return "".join(parts)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        sys.stdout.write(long_text(int(sys.argv[1])))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
