"""How an installation is made, and what is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CMAKE = Path(sys.executable).with_name("cmake")


def install(build: Path, *arguments: str | Path, destdir: Path | None = None) -> None:
    """Runs `cmake --install` on a build."""
    variables = {**os.environ, **({} if destdir is None else {"DESTDIR": str(destdir)})}
    run = subprocess.run(
        [CMAKE, "--install", build, *arguments], env=variables, capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        pytest.fail(f"cmake --install failed; build all of {build}\n{run.stderr}", pytrace=False)


def files_below(folder: Path) -> Iterator[Path]:
    """Its regular files."""
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def mentions(folder: Path, paths: list[Path]) -> list[str]:
    """Files below a folder in which one of the paths can be read."""
    return [
        f"{file}: {path}"
        for file in files_below(folder)
        for content in [file.read_bytes()]
        for path in paths
        if str(path).encode() in content
    ]
