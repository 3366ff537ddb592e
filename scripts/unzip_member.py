#!/usr/bin/env python3
"""Writes the one member of a zip file (a wheel) whose name ends in SUFFIX to a file, without importing anything of it.

usage: unzip_member.py ARCHIVE SUFFIX OUTPUT
"""

from __future__ import annotations

import shutil
import sys
import zipfile


def extract(archive: str, suffix: str, output: str) -> None:
    """Raises ValueError unless exactly one member ends in `suffix`; zipfile checks the CRC while reading."""
    with zipfile.ZipFile(archive) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(suffix)]
        if len(names) != 1:
            raise ValueError(f"{archive}: {len(names)} members end in '{suffix}', expected one")
        with wheel.open(names[0]) as source, open(output, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        extract(*sys.argv[1:])
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        sys.exit(f"error: {error}")
