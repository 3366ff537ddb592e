"""What bench/python_api.py measures holds: the memory of an 8-bit run."""

from __future__ import annotations

from pathlib import Path

import pytest
import python_api


@pytest.mark.model
def test_8_bit_run_takes_weights_and_cache_and_little_more(qwen_infer: Path, model_path: Path, tmp_path: Path) -> None:
    model = python_api.eight_bits(qwen_infer, str(model_path), tmp_path)
    sizes = python_api.peak_memory(model, 2048, "f16")
    assert sizes["weights"] < sizes["peak"]
    assert sizes["kv_cache"] == 24 << 20
    assert sizes["more"] < python_api.MOST_MEMORY
