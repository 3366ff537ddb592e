"""Whether what is about to be written has room, before time is spent on it."""

from __future__ import annotations

import shutil
from pathlib import Path


def need_free(folder: Path, most_bytes: int, what: str, remedy: str) -> None:
    """OSError, with both sizes and what to do, if the file system of `folder`, which need not exist, has less space."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < most_bytes:
        raise OSError(f"{folder} has {size_text(free)} free, and {what} takes up to {size_text(most_bytes)}: {remedy}")


def size_text(n_bytes: int) -> str:
    """As people read it: "16.4 GB", "1 MB"."""
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"
