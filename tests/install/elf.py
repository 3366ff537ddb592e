"""What a program or shared library says of the libraries that it needs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from installation import files_below

# Of every Linux system with a C++ program on it: the C library's and GCC's.
SYSTEM_LIBRARIES = re.compile(r"lib(c|m|dl|pthread|rt|stdc\+\+|gcc_s)\.so\.\d|ld-linux-[\w-]+\.so\.\d")


@dataclass(frozen=True)
class Needs:
    """The names of the libraries that the loader looks up, and the folders where it looks first."""

    libraries: list[str]
    folders: list[str]


def needs_of(file: Path) -> Needs:
    """The needs of one file."""
    section = subprocess.run(
        ["readelf", "--dynamic", "--wide", file], capture_output=True, text=True, check=True
    ).stdout
    libraries = re.findall(r"\(NEEDED\).*\[(.*)\]", section)
    paths = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", section)
    return Needs(libraries, [folder for path in paths for folder in path.split(":")])


def elf_files(folder: Path) -> Iterator[Path]:
    """Programs and shared libraries below a folder."""
    for path in files_below(folder):
        with path.open("rb") as file:
            if file.read(4) == b"\x7fELF":
                yield path


def unmet_needs(folder: Path, from_elsewhere: set[str]) -> list[str]:
    """Needs of the files below a folder which neither it nor every system has, and look-ups outside of it."""
    files = list(elf_files(folder))
    there = {path.name for path in folder.rglob("*.so*")} | from_elsewhere
    wrong = []
    for path in files:
        needs = needs_of(path)
        wrong += [f"{path} looks into '{name}'" for name in needs.folders if not name.startswith("$ORIGIN")]
        wrong += [
            f"{path} needs {name}"
            for name in needs.libraries
            if name not in there and not SYSTEM_LIBRARIES.fullmatch(name)
        ]
    assert files, f"no program or library below {folder}"
    return wrong
