"""What both tests of an installation need: how it is made, and what must hold for each of its files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for elf.py

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


@pytest.fixture(scope="session")
def foreign_paths(repository: Path, bin_dir: Path, source_file: Path) -> list[Path]:
    """Folders that are on the machine that builds, and perhaps on no other: checkout, build, llama.cpp's source."""
    return [repository, bin_dir.parent, source_file.parents[2]]
