"""qwen-infer eval-tasks: its report on a real model, a run that is interrupted and goes on, and what it refuses."""

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

REPORTS = {"report.html", "report.md", "report.json", "report.csv", "scores.svg", "differences.svg"}
# Both keys of this seed stand behind the first 256 tokens, which the second prompt so has from the first.
SMALL = ("--task", "passkey", "--length", 512, "--seed", 11, "--setting", "k=1")


def figures(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert isinstance(report, dict)
    return report


@pytest.mark.model
def test_an_interrupted_run_goes_on_and_answers_as_one_that_was_not(
    run: Run, start: Start, model_path: Path, tmp_path: Path
) -> None:
    command = ("eval-tasks", "-m", model_path, *SMALL)
    state = tmp_path / "out" / "state"
    interrupted = start(*command, "-n", 2, "-o", "out")
    while not state.exists() or state.stat().st_size == 0:  # the first example
        assert interrupted.poll() is None, "it ended before it was interrupted"
    interrupted.send_signal(signal.SIGINT)
    output, _ = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert output == b""
    assert [path.name for path in state.parent.iterdir()] == ["state"]

    result = run(*command, "-n", 2, "-o", "out")
    assert result.returncode == 0, result.stderr
    assert "going on: 1 of 2 examples are finished" in result.stderr
    assert "passkey 1 of 2" not in result.stderr
    assert {path.name for path in state.parent.iterdir()} == REPORTS | {"state"}
    assert (state.parent / "report.md").read_text(encoding="utf-8") == result.stdout

    report = figures(state.parent)
    (task,) = report["tasks"]
    full, few = task["ways"]
    assert [way["name"] for way in report["ways"]] == ["full attention", "k=1"]
    assert (task["name"], task["examples"]) == ("passkey", 2)
    assert 450 < task["prompt_tokens"] <= 512 - 16
    # Full attention finds a passkey at this length. So does one key a row: that it was one is what shows the setting.
    assert (full["score"], full["correct"]) == (1, 2)
    assert few["attention"]["keys_kept"] == few["attention"]["rows"] > 0
    assert full["attention"] is None
    (comparison,) = task["comparisons"]
    assert comparison["only_against"] == 2 - few["correct"]
    assert comparison["difference"]["mean"] == few["score"] - 1
    for example in report["results"]:
        assert example["references"][0] in example["ways"][0]["answer"]
    with (state.parent / "report.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["correct"] for row in rows] == [str(way["correct"]) for way in task["ways"]]

    # In one go, what both prompts begin with is read once, and that changes nothing.
    assert run(*command, "-n", 2, "-o", "whole").returncode == 0
    whole = figures(tmp_path / "whole")
    assert whole["results"] == report["results"]
    assert 0 < whole["tasks"][0]["ways"][1]["attention"]["rows"] < few["attention"]["rows"]

    # Fewer examples are there already, another seed is another run.
    fewer = run(*command, "-n", 1, "-o", "out")
    assert fewer.returncode == 0
    assert figures(state.parent)["results"] == report["results"][:1]
    other = run(*command, "--seed", 12, "-o", "out")
    assert other.returncode == 2
    assert "has the examples of another run, which differs in: seed" in other.stderr


def test_help_teaches(run: Run) -> None:
    result = run("eval-tasks", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("qwen-infer eval-tasks: ")
    for text in ("  passkey ", "  niah_multiquery ", "  fwe ", "--setting SETTINGS", "McNemar", "130\ninterrupted"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "--model is missing"),
        (("-m", "a.gguf", "--task", "niah"), "--task: 'niah' is not a list of tasks"),
        (("-m", "a.gguf", "--task", "vt,vt"), "--task names vt twice"),
        (("-m", "a.gguf", "--task", "code_retrieval"), "--source is missing"),
        (("-m", "a.gguf", "-f", "missing.txt"), "cannot read missing.txt"),
        (("-m", "a.gguf", "--source", "."), "there is no text in ."),
        (("-m", "a.gguf", "--setting", "colour=3"), "the options are k, temperature"),
        (("-m", "a.gguf", "--top_k_attention_k", "9"), "--setting k=128,sinks=4"),
        (("-m", "a.gguf", "--length", "9"), "--length: '9' is not an integer from 64 to"),
        (("-m", "a.gguf", "-o", __file__), "cannot make the folder"),
    ],
)
def test_a_mistake_is_named_and_leaves_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    result = run("eval-tasks", *arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_a_length_that_does_not_suit_model_or_task_is_refused(run: Run, model_path: Path) -> None:
    long = run("eval-tasks", "-m", model_path, "--length", 65536)
    assert long.returncode == 2
    assert "--length 65536 is more than the 32768 tokens that the model was trained with" in long.stderr
    short = run("eval-tasks", "-m", model_path, "--task", "passkey,cwe", "--length", 256)
    assert short.returncode == 2
    assert "--length 256 is too short for cwe: this example of it takes " in short.stderr
