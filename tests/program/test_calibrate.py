"""qwen-infer calibrate: what it keeps, and what the program makes of it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[bytes]]


def calibrate(run: Run, cache: Path) -> dict[str, Any]:
    """Measures; what was kept."""
    result = run("calibrate", QWEN_INFER_CACHE=str(cache))
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{cache / 'crossover.json'}\n"
    for title in ("heads of 64, decode", "heads of 128, prefill of 512"):
        assert f"{title}, microseconds a call:\n        keys       top-k       dense   llama.cpp\n" in result.stderr
    assert [path.name for path in cache.iterdir()] == ["crossover.json"]
    table = json.loads((cache / "crossover.json").read_text(encoding="utf-8"))
    assert isinstance(table, dict)
    return table


@pytest.mark.model
def test_what_was_measured_is_used_and_what_is_damaged_is_not(
    run: Run, model_path: Path, long_text_file: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "made" / "by it"
    table = calibrate(run, cache)
    assert {(entry["head_size"], entry["queries"]) for entry in table["crossovers"]} == {
        (64, 1),
        (64, 512),
        (128, 1),
        (128, 512),
    }
    assert all(512 <= entry["keys"] <= 8192 for entry in table["crossovers"])

    def dense_share(text: str, *flags: object) -> tuple[float, str]:
        (cache / "crossover.json").write_text(text, encoding="utf-8")
        arguments = ["-m", model_path, "-f", long_text_file, "-c", 512, "--chunks", 1, "--use_top_k_attention"]
        arguments += ["--top_k_attention_k", 32, "--top_k_attention_stats", "s.json", *flags]
        result = run("perplexity", *arguments, QWEN_INFER_CACHE=str(cache))
        assert result.returncode == 0, result.stderr
        total = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["total"]
        return total["dense_rows"] / total["rows"], result.stderr

    def with_crossover(keys: int, **changes: object) -> str:
        entries = [entry | {"keys": keys} for entry in table["crossovers"]]
        return json.dumps(table | {"crossovers": entries} | changes)

    warning = f"{cache / 'crossover.json'} is ignored: "
    share, log = dense_share(with_crossover(100_000))
    assert (share, warning in log) == (1, False)
    share, log = dense_share(with_crossover(0))
    assert (share < 0.1, warning in log) == (True, False)
    assert dense_share(with_crossover(100_000), "--top_k_attention_crossover", 0)[0] < 0.1
    for bad in (with_crossover(0, processor="another"), with_crossover(0)[:-20], with_crossover(-1)):
        share, log = dense_share(bad)
        assert (share, log.count(warning)) == (1, 1), log  # the default: 1024


def test_interrupted_it_keeps_nothing(start: Start, tmp_path: Path) -> None:
    process = start("calibrate", QWEN_INFER_CACHE=str(tmp_path / "cache"))
    while not (tmp_path / "cache").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_made_and_arguments_are_refused(run: Run) -> None:
    result = run("calibrate", QWEN_INFER_CACHE="/dev/null")
    assert (result.returncode, result.stdout) == (2, "")
    assert "cannot make the folder of /dev/null/crossover.json" in result.stderr
    result = run("calibrate", "--threads=2")
    assert result.returncode == 2
    assert "calibrate takes no arguments, but there is '--threads=2'" in result.stderr
    for arguments in (("--help",), ("--bla", "--help")):  # as everywhere: help wins
        result = run("calibrate", *arguments, QWEN_INFER_CACHE="/dev/null")
        assert (result.returncode, result.stderr) == (0, "")
        assert "/dev/null/crossover.json" in result.stdout
