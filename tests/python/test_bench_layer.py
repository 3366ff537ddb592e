"""bench/layer: its reference, which decides whether a time counts, and its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from dense_reference import dense_attention
from layer import peak_memory, timing, ways
from layer.reference import Reference, Results, reference

REPOSITORY = Path(__file__).resolve().parents[2]
BENCH = REPOSITORY / "bench" / "layer"


@pytest.fixture(scope="module")
def inputs() -> timing.Inputs:
    """More keys than k."""
    return timing.Inputs.random(heads=2, tokens=90, size=16)


@pytest.fixture(scope="module")
def right(inputs: timing.Inputs) -> Reference:
    """With gradients, for k = 12."""
    return reference(inputs.q, inputs.k, inputs.v, 12, inputs.grad_out)


@pytest.mark.parametrize("chunk_scores", [1 << 24, 1000])
@pytest.mark.parametrize("top_k", [12, None])
def test_reference_is_that_of_the_other_tests(
    inputs: timing.Inputs, top_k: int | None, chunk_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layer.reference.CHUNK_SCORES", chunk_scores)
    tensors = [x.double().requires_grad_() for x in (inputs.q, inputs.k, inputs.v)]
    visible = torch.ones(90, 90, dtype=torch.bool).tril()
    expected = dense_attention(*tensors, top_k or 90, visible=visible).out
    gradients = torch.autograd.grad(expected, tensors, inputs.grad_out.double())
    ours = reference(inputs.q, inputs.k, inputs.v, top_k, inputs.grad_out).right
    for value, other in zip(ours, (expected, *gradients), strict=True):
        # Both in f64, whose roundings are 2^-29 of those that the limits of f32 are made of.
        torch.testing.assert_close(value, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("way", [ways.ours(12), ways.paper(12)], ids=["ours", "paper"])
def test_ways_to_compute_top_k_attention_are_right(way: ways.Way, inputs: timing.Inputs, right: Reference) -> None:
    right.check("it", timing.call(way, inputs, backward=True))
    right_forward = reference(inputs.q, inputs.k, inputs.v, 12)
    right_forward.check("it", timing.call(way, inputs, backward=False))


@pytest.mark.parametrize("way", [ways.torch_fused, ways.torch_naive])
def test_ways_to_compute_full_attention_are_right(way: ways.Way, inputs: timing.Inputs) -> None:
    right = reference(inputs.q, inputs.k, inputs.v, None, inputs.grad_out)
    right.check("it", timing.call(way, inputs, backward=True))


def test_one_key_less_in_a_row_is_noticed(inputs: timing.Inputs, right: Reference) -> None:
    fewer = reference(inputs.q, inputs.k, inputs.v, 11, inputs.grad_out).right
    for index, what in enumerate(Results._fields):
        values = list(right.right)
        values[index] = values[index].clone()
        row = (0, 1, 50) if what in ("out", "grad_q") else (0, 1)
        values[index][row] = fewer[index][row]
        with pytest.raises(ArithmeticError, match=f"it is wrong: {what} is up to"):
            right.check("it", Results(*values))


def test_rows_in_doubt_are_left_out_only_where_the_choice_is_not_exact() -> None:
    inputs = timing.Inputs.random(heads=1, tokens=40, size=16)
    k = inputs.k.clone()
    k[0, 0, 10:30] = k[0, 0, 10]  # every row scores these alike
    right = reference(inputs.q, k, inputs.v, 8)
    row = int(right.in_doubt[0, 0].nonzero()[0])
    assert not right.in_doubt[0, 0, :8].any()  # rows that keep all they see
    for where, in_doubt in ((row, True), (3, False)):
        out = right.right.out.clone()
        out[0, 0, where] += 1
        with pytest.raises(ArithmeticError):
            right.check("it", Results(out))
        if in_doubt:
            right.check("it", Results(out), exact_choice=False)
        else:
            with pytest.raises(ArithmeticError):
                right.check("it", Results(out), exact_choice=False)


def test_not_a_number_is_noticed(right: Reference) -> None:
    out = right.right.out.clone()
    out[0, 0, 3, 1] = torch.nan
    with pytest.raises(ArithmeticError, match="it is wrong: out"):
        right.check("it", Results(out))


def test_peak_memory_counts_what_a_pass_needs() -> None:
    peaks = {
        way: peak_memory.measure(way, tokens=1024, heads=2, size=64, top_k=16, threads=1)["bytes"]
        for way in ("torch_naive", "ours")
    }
    scores = 2 * 1024 * 1024 * 4
    assert peaks["torch_naive"] > 2 * scores  # scores and weights
    # Inputs and gradients, twice over, and 2 MiB of the allocator.
    assert 4 * 2 * 1024 * 64 * 4 <= peaks["ours"] < 16 * 2 * 1024 * 64 * 4 + (2 << 20)


def test_peak_memory_says_why_a_child_failed() -> None:
    with pytest.raises(RuntimeError, match="ours at 8 tokens ended with 1: ValueError: top_k=0"):
        peak_memory.measure("ours", tokens=8, heads=1, size=4, top_k=0, threads=1)


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, BENCH / script, *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_run_prints_tables_and_writes_what_plot_draws(tmp_path: Path) -> None:
    path = tmp_path / "layer.json"
    cases = ("--forward", "64:8,128:8", "--backward", "64:8", "--paper", "64:8", "--memory", "64:8")
    result = run("run.py", *cases, "--rounds", "2", "--seconds", "0", "--heads", "2", "--json", str(path))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split("|")[1:4] for line in lines if line.startswith("| forward")] == [
        [" forward ", " 64 ", " 8 "],
        [" forward ", " 128 ", " 8 "],
        [" forward + backward ", " 64 ", " 8 "],
        [" forward ", " 64 ", " 8 "],
        [" forward + backward ", " 64 ", " 8 "],
    ]
    report = json.loads(path.read_text(encoding="utf-8"))
    assert len(report["passes"]) == 3
    assert len(report["passes"][0]["milliseconds"]["ours"]["rounds"]) == 2
    assert report["memory"][0]["ours"]["bytes"] > 0
    pytest.importorskip("matplotlib")
    picture = tmp_path / "layer.svg"
    parts = [tmp_path / "passes.json", tmp_path / "paper.json"]
    for part, left_out in zip(parts, ("paper", "passes"), strict=True):
        part.write_text(json.dumps(report | {left_out: []}), encoding="utf-8")
    drawn = run("plot.py", *map(str, parts), str(picture), "--top_k", "8")
    assert drawn.returncode == 0, drawn.stderr
    assert "<svg" in picture.read_text(encoding="utf-8")
    parts[1].write_text(json.dumps(report | {"threads": 64}), encoding="utf-8")
    refused = run("plot.py", *map(str, parts), str(picture), "--top_k", "8")
    assert refused.returncode == 1
    assert "several machines" in refused.stderr


@pytest.mark.parametrize("cases", ["512", "512:0", "a:b"])
def test_run_refuses_cases_that_are_none(cases: str) -> None:
    result = run("run.py", "--forward", cases)
    assert result.returncode == 2
    assert f"argument --forward: invalid list of TOKENS:K value: '{cases}'" in result.stderr
