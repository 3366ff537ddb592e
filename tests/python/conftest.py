"""Makes the packages of python/ and the native module of the build importable."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BUILD = Path(os.environ.get("QWEN_INFER_BUILD_DIR", REPOSITORY / "build"))

# HERE: the tests share dense_reference. The build comes first: an installed native module may be older.
sys.path[:0] = [str(BUILD / "bin"), str(REPOSITORY / "python"), str(REPOSITORY / "bench"), str(HERE)]
