"""Makes the packages of python/ and the native module of the build importable."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from qwen_infer import Qwen3Inference

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BUILD = Path(os.environ.get("QWEN_INFER_BUILD_DIR", REPOSITORY / "build"))

# HERE: the tests share dense_reference. The build comes first: an installed native module may be older.
sys.path[:0] = [str(BUILD / "bin"), str(REPOSITORY / "python"), str(REPOSITORY / "bench"), str(HERE)]


@pytest.fixture(scope="session")
def full(model_path: Path) -> Iterator[Qwen3Inference]:
    """The real model with full attention and 2,048 tokens of context, for all tests."""
    from qwen_infer import Qwen3Inference

    with Qwen3Inference(model_path, context_length=2048) as made:
        yield made
