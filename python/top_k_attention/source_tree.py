"""The native modules of a build, for packages that are used from a checkout and are not installed."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]


def make_importable(native_module: str) -> bool:
    """Puts the build's folder at the end of sys.path if that is where the module is; False if it is nowhere."""
    if importlib.util.find_spec(native_module) is not None:
        return True
    folder = Path(os.environ.get("QWEN_INFER_BUILD_DIR", _REPOSITORY / "build")) / "bin"
    if not any(folder.glob(f"{native_module}.*so")):
        return False
    sys.path.append(str(folder))
    return True
