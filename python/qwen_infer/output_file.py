"""Files that a user names for results: looked at before time is spent, and written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def check_output(path: Path) -> None:
    """OSError, with what to do, if a file cannot be made there for want of a folder."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}; make it, or name another file")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; name a file")


def write_output(path: Path, text: str) -> None:
    """Replaces what is there."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
