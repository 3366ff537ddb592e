"""The other subcommands on a real model: each runs to its end with top-k attention and reports what it kept."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[bytes]]
ReadReport = Callable[[], dict[str, Any]]

pytestmark = pytest.mark.model

USE = "--use_top_k_attention"


@pytest.mark.parametrize("attention", [(), (USE, "--top_k_attention_k", 32)], ids=["full", "top_k"])
def test_bench_measures_with_flash_attention(
    run: Run, model_path: Path, report_path: Path, read_report: ReadReport, attention: tuple[object, ...]
) -> None:
    result = run(
        *("bench", "-m", model_path, "-p", 64, "-n", 4, "-r", 1, "-o", "json"),
        *(attention or ("-fa", "1")),
        *("--top_k_attention_stats", report_path),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    tests = json.loads(result.stdout)
    assert [(test["n_prompt"], test["n_gen"]) for test in tests] == [(64, 0), (0, 4)]
    assert all(int(test["flash_attn"]) == 1 for test in tests)
    assert all(test["avg_ts"] > 0 for test in tests)
    report = read_report()
    assert report["timings"] is None  # of many runs; they are in the table
    if attention:
        assert report["total"]["rows"] > 0


@pytest.mark.parametrize(("depths", "warns"), [("40000", True), ("0,1024-65536*2", True), ("0,32768-1+999999", False)])
def test_bench_warns_of_depths_that_the_model_was_not_trained_with(
    run: Run, model_path: Path, depths: str, warns: bool
) -> None:
    """--bla ends llama-bench before it measures."""
    result = run("bench", "-m", model_path, "-d", depths, "--bla")
    assert result.returncode == 1
    assert ("is beyond the 32768 tokens of context that the model was trained with" in result.stderr) == warns


def test_bench_says_why_it_failed(run: Run, model_path: Path) -> None:
    """llama-bench silences ggml's log, where the plugin has given the reason."""
    result = run("bench", "-m", model_path, "-p", 16, "-n", 0, "-r", 1, USE, "--top_k_attention_no_fallback")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: top-k attention: layer 0: k=256 covers all keys")


def test_perplexity_reports_no_timings(
    run: Run, model_path: Path, long_text_file: Path, report_path: Path, read_report: ReadReport
) -> None:
    """llama.cpp's own are wrong there: batches are booked before they are computed."""
    result = run(
        *("perplexity", "-m", model_path, "-f", long_text_file, "-c", 256, "--chunks", 1, USE),
        *("--top_k_attention_stats", report_path),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    report = read_report()
    assert report["total"]["rows"] > 0
    assert report["timings"] is None


def test_an_interrupted_perplexity_leaves_its_report(
    start: Start, model_path: Path, long_text_file: Path, report_path: Path, read_report: ReadReport
) -> None:
    process = start(
        *("perplexity", "-m", model_path, "-f", long_text_file, "-c", 1024, USE),
        *("--top_k_attention_stats", report_path),
    )
    # The first estimate is out when the first batch is done.
    output = b""
    while b"[1]" not in output:
        piece = process.stdout.read1()
        assert piece, "it ended before it was interrupted"
        output += piece
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert read_report()["total"]["rows"] > 0


def test_interrupted_while_loading_leaves_no_report(start: Start, model_path: Path, report_path: Path) -> None:
    process = start("perplexity", "-m", model_path, "-f", __file__, USE, "--top_k_attention_stats", report_path)
    time.sleep(0.05)  # it takes a good deal longer to load the model
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert not report_path.exists()


def test_quantize_writes_a_model_that_runs(run: Run, model_path: Path, tmp_path: Path) -> None:
    smaller = tmp_path / "smaller.gguf"
    result = run("quantize", "--allow-requantize", model_path, smaller, "Q4_0")
    assert result.returncode == 0, result.stderr[-2000:]
    answer = run("complete", "-m", smaller, "-p", "def f(", "-no-cnv", "-n", 4, "-c", 256, USE)
    assert answer.returncode == 0
