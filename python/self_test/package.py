"""Where the test command finds the package: installed, else this checkout with its build."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QWEN_INFER_BUILD_DIR", REPOSITORY / "build"))


def make_importable() -> None:
    """Puts what is needed on sys.path; ends the program with what to do if something is missing.

    The installed package comes first, so that it is tested with the native module that belongs to it: the folder of a
    script is otherwise in front of everything that is installed.
    """
    sources = str(REPOSITORY / "python")
    if sys.path and sys.path[0] == sources and sources not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        sys.path.append(sys.path.pop(0))
    sys.path += [str(BUILD / "bin"), sources, str(REPOSITORY / "bench")]
    if importlib.util.find_spec("_topk") is None:
        sys.exit(
            "error: the native module _topk is not installed. In the root of the repository:\n"
            '    pip install ".[torch]"              # compiles it, a minute or two\n'
            f"or build it into {BUILD}/bin:\n"
            "    ./test.sh --only build"
        )
    if importlib.util.find_spec("torch") is None:
        sys.exit('error: torch is not installed: pip install ".[torch]" in the root of the repository')
