"""The native modules: those of a build, for packages that are used from a checkout and are not installed."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
_INTERFACE = 1  # of python/native/module.cc


def make_importable(native_module: str) -> bool:
    """Puts the build's folder at the end of sys.path if that is where the module is; False if it is nowhere."""
    if importlib.util.find_spec(native_module) is not None:
        return True
    folder = Path(os.environ.get("QWEN_INFER_BUILD_DIR", _REPOSITORY / "build")) / "bin"
    if not any(folder.glob(f"{native_module}.*so")):
        return False
    sys.path.append(str(folder))
    return True


def why_no_kernels() -> str | None:
    """What is to be done before the module `_topk` can be used; None if it can."""
    if not make_importable("_topk"):
        return "the kernels (_topk) are not there: install the package, pip install ."
    import _topk

    if getattr(_topk, "INTERFACE", 0) == _INTERFACE:
        return None
    return (
        f"the kernels ({_topk.__file__}) are of another version than the Python files in {Path(__file__).parent}: "
        "install the package again, pip install ., or build again, scripts/build.sh dev _topk"
    )
