"""What both tests of an installation need."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for elf.py, installation.py


@pytest.fixture(scope="session")
def foreign_paths(repository: Path, bin_dir: Path, source_file: Path) -> list[Path]:
    """Folders that are on the machine that builds, and perhaps on no other: checkout, build, llama.cpp's source."""
    return [repository, bin_dir.parent, source_file.parents[2]]
