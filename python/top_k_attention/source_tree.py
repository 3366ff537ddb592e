"""The native modules of a build, for packages that are used from a checkout and are not installed."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]


def make_importable(native_module: str) -> None:
    """Puts the build's folder at the end of sys.path if that is where the module is, and nowhere else."""
    if importlib.util.find_spec(native_module) is not None:
        return
    folder = Path(os.environ.get("QWEN_INFER_BUILD_DIR", _REPOSITORY / "build")) / "bin"
    if any(folder.glob(f"{native_module}.*so")):
        sys.path.append(str(folder))
