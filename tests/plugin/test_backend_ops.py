"""Upstream's own test of attention operators, unmodified, run on the plugin with a budget that covers all keys."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

# Budgets that cover all keys, without and with a selection.
ALL_KEYS = ("k=1000000000", "k=1000000000,sparse=on")
# What the plugin computes; the other types are left to llama.cpp's own attention.
OUR_TYPES = {"f32", "f16", "bf16", "q8_0"}
# llama.cpp v0.5.0 lists 5,308 cases; K and V both have such types in 3,604 of them. Another checkout may have others.
LEAST_CASES = 3600
# Four cases with 1,024 or 2,048 keys, of which one alone can't give the result of full attention.
MANY_KEYS = r"hsk=128,hsv=128,nh=8,.*kv=(1024|2048),nb=32,mask=1.*type_K=(f16|q8_0)"
SPARSE_MASKS = r"n_kv_max=[1-9]"
LEAST_SPARSE_MASKS = 20
CASE = re.compile(r"FLASH_ATTN_EXT\(.*type_K=(\w+),type_V=(\w+).*\): (.*)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def run_cases(
    bin_dir: Path, plugin: Path, settings: str, *arguments: str, **variables: str
) -> tuple[int, str, list[str]]:
    """Exit code, output without colours, and the result of each case whose K and V have our types."""
    environment = os.environ | {"GGML_BACKEND_PATH": str(plugin), "TOPK_ATTENTION": settings} | variables
    command = [bin_dir / "test-backend-ops", "test", "-o", "FLASH_ATTN_EXT", "-b", "TOPK", *arguments]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    output = COLOURS.sub("", run.stdout)
    cases = [match.groups() for match in map(CASE.search, output.splitlines()) if match]
    ours = [result.strip() for k, v, result in cases if k in OUR_TYPES and v in OUR_TYPES]
    return run.returncode, output + run.stderr, ours


@pytest.fixture(scope="module")
def every_case(bin_dir: Path, plugin: Path) -> dict[str, tuple[int, str, list[str]]]:
    """All cases by settings, at once: upstream's test leaves processors idle. Waiting threads must not spin then."""
    run = functools.partial(run_cases, bin_dir, plugin, OMP_WAIT_POLICY="passive")
    with ThreadPoolExecutor() as pool:
        return dict(zip(ALL_KEYS, pool.map(run, ALL_KEYS), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("settings", ALL_KEYS, ids=["dense", "sparse"])
def test_every_case_of_our_types_passes(every_case: dict[str, tuple[int, str, list[str]]], settings: str) -> None:
    """None of these cases is refused or wrong, on the dense path and through the selection."""
    code, output, results = every_case[settings]
    wrong = [line for line in output.splitlines() if (match := CASE.search(line)) and "FAIL" in match[3]]
    assert not wrong, "\n".join(wrong[:10])
    assert [result for result in results if result != "OK"] == [], "cases of our types that did not run"
    assert len(results) >= LEAST_CASES, output[-2000:]
    # The program's own count: it ran nothing else, and nothing twice.
    assert f"{len(results)}/{len(results)} tests passed" in output, output[-2000:]
    assert code == 0, output[-2000:]


def test_sparse_masks_give_the_result_of_full_attention(bin_dir: Path, plugin: Path) -> None:
    """Upstream's cases of models with trained sparse attention: few keys visible, biases, shared K and V."""
    for settings in ALL_KEYS:
        code, output, results = run_cases(bin_dir, plugin, settings, "-p", SPARSE_MASKS)
        assert len(results) >= LEAST_SPARSE_MASKS, output[-2000:]
        assert set(results) == {"OK"}, output[-2000:]
        assert code == 0, output[-2000:]


def test_upstreams_test_notices_that_keys_were_left_out(bin_dir: Path, plugin: Path) -> None:
    """With one key instead of all the same cases fail: it is our attention that the test above has seen."""
    code, output, results = run_cases(bin_dir, plugin, "k=1,sparse=on", "-p", MANY_KEYS)
    assert results, output[-2000:]
    assert [result for result in results if "FAIL" not in result] == [], output[-2000:]
    assert code != 0
