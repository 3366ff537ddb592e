"""qwen-infer eval: its report on a real model, a run that is interrupted and goes on, and what it refuses."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[bytes]]

REPORTS = {"report.html", "report.md", "report.json", "report.csv", "kept.svg", "position.svg"}
BUDGETS = ("k=8", "k=64,min_mass=0.9,max_k=160")
# Two windows, so that one can be interrupted after the other.
SMALL = ("--windows", 2, "--window", 256, *(part for budget in BUDGETS for part in ("--setting", budget)))


def figures(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert isinstance(report, dict)
    return report


@pytest.mark.model
def test_an_interrupted_run_goes_on_and_reports_quality_and_guarantee(
    run: Run, start: Start, qwen_infer: Path, model_path: Path, source_file: Path, tmp_path: Path
) -> None:
    command = ("eval", "-m", model_path, "-f", source_file, *SMALL, "-o", "out")
    state = tmp_path / "out" / "state"
    interrupted = start(*command)
    while not state.exists() or state.stat().st_size == 0:  # the first window
        assert interrupted.poll() is None, "it ended before it was interrupted"
    interrupted.send_signal(signal.SIGINT)
    output, _ = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert output == b""
    assert [path.name for path in state.parent.iterdir()] == ["state"]
    first_window = state.read_bytes()

    result = run(*command)
    assert result.returncode == 0, result.stderr
    assert "going on: 1 of 2 windows are finished" in result.stderr
    assert "window 1 of 2" not in result.stderr
    assert first_window[-1000:] not in (b"", state.read_bytes()[-1000:])  # there is more now
    assert {path.name for path in state.parent.iterdir()} == REPORTS | {"state"}
    assert (state.parent / "report.md").read_text(encoding="utf-8") == result.stdout

    report = figures(state.parent)
    full, few, guaranteed = report["ways"]
    assert [way["name"] for way in report["ways"]] == ["full attention", *BUDGETS]
    assert 1 < full["scored"]["perplexity"] < 100
    assert full["scored"]["tokens"] == 2 * 128
    # Eight keys are felt, and not by a little: else the setting did not reach the model.
    assert few["scored"]["change_percent"]["low"] > 1
    assert few["scored"]["kl"]["mean"] > guaranteed["scored"]["kl"]["mean"] > 0
    assert few["scored"]["agreement"]["mean"] < guaranteed["scored"]["agreement"]["mean"] < 1
    assert few["attention"]["kept_share"] < guaranteed["attention"]["kept_share"] < 1
    assert few["attention"]["deviation_bound"] is None, "few rows were measured"
    # The guarantee: no row of any layer has less.
    attention = guaranteed["attention"]
    assert attention["mass_rows"] == attention["rows"] > 0
    assert 0.9 - 1e-5 <= attention["min_mass"] < attention["mean_mass"]
    assert attention["deviation_bound"] == pytest.approx(2 * (1 - attention["min_mass"]))
    with (state.parent / "report.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert float(rows[0]["perplexity"]) == full["scored"]["perplexity"]

    # All is there: nothing is computed again, and other settings need another folder.
    again = run(*command)
    assert again.returncode == 0
    assert again.stdout == result.stdout
    other = run(*command, "--setting", "k=9")
    assert other.returncode == 2
    assert "has the windows of another run, which differs in: settings" in other.stderr


def test_help_teaches(run: Run) -> None:
    result = run("eval", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("qwen-infer eval: ")
    for text in ("--setting SETTINGS", "report.html", "goes on from there", "130 interrupted"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "--model is missing"),
        (("-m", "a.gguf"), "--file is missing"),
        (("-m", "a.gguf", "-f", "missing.txt"), "cannot read missing.txt"),
        (("-m", "a.gguf", "-f", "."), "there is no text in ."),
        (("-m", "a.gguf", "-f", ".", "--setting", "colour=3"), "the options are k, temperature"),
        (("-m", "a.gguf", "-f", ".", "--setting", "k=9", "--setting", "k=9"), "is there twice"),
        (("-m", "a.gguf", "-f", ".", "--top_k_attention_k", "9"), "--setting k=128,sinks=4"),
        (("-m", "a.gguf", "-f", ".", "--window", "1"), "--window: '1' is not an integer from 2 to"),
        (("-m", "a.gguf", "-f", __file__, "-o", __file__), "cannot make the folder"),
    ],
)
def test_a_mistake_is_named_and_leaves_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    result = run("eval", *arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_a_text_that_is_too_short_is_refused_with_what_it_has(run: Run, model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("too short a text\n", encoding="utf-8")
    result = run("eval", "-m", model_path, "-f", "short.txt", "--windows", 1)
    assert result.returncode == 2
    assert "the text is too short for 1 windows of 4096 tokens: one of its 1 parts has" in result.stderr


def test_a_missing_model_is_named(run: Run) -> None:
    result = run("eval", "-m", "missing.gguf", "-f", __file__)
    assert result.returncode == 1
    assert "cannot load the model missing.gguf: there is no such file" in result.stderr
