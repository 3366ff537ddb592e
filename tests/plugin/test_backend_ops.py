"""Upstream's own test of attention operators, unmodified, run on the plugin with a budget that covers all keys."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

# What the plugin computes; the other types are left to llama.cpp's own attention.
OUR_TYPES = {"f32", "f16", "bf16", "q8_0"}
# Cases of llama.cpp v0.5.0 whose K and V have such types are 5,308; a checkout of the user's may have others.
LEAST_CASES = 3600
CASE = re.compile(r"FLASH_ATTN_EXT\(.*type_K=(\w+),type_V=(\w+).*\): (.*)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("settings", ["k=1000000000", "k=1000000000,sparse=on"], ids=["dense", "sparse"])
def test_every_case_of_our_types_passes(bin_dir: Path, plugin: Path, settings: str) -> None:
    """None of these cases is refused or wrong, on the dense path and through the selection."""
    environment = os.environ | {"GGML_BACKEND_PATH": str(plugin), "TOPK_ATTENTION": settings}
    command = [bin_dir / "test-backend-ops", "test", "-o", "FLASH_ATTN_EXT", "-b", "TOPK"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    output = COLOURS.sub("", run.stdout)

    results = [match.groups() for match in map(CASE.search, output.splitlines()) if match]
    ours = [result for k, v, result in results if k in OUR_TYPES and v in OUR_TYPES]
    wrong = [line for line in output.splitlines() if (m := CASE.search(line)) and "FAIL" in m[3]]
    assert not wrong, "\n".join(wrong[:10])
    assert [result for result in ours if result != "OK"] == [], "cases of our types that did not run"
    assert len(ours) >= LEAST_CASES
    assert run.returncode == 0, output[-2000:] + run.stderr[-2000:]
    print(f"{len(ours)} cases with {settings}")
