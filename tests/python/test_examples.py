"""The examples run, and show what they are there for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINING = [sys.executable, str(REPOSITORY / "examples" / "train_language_model.py")]
SMALL = (
    "--width",
    "32",
    "--layers",
    "1",
    "--heads",
    "2",
    "--context",
    "128",
    "--batch",
    "4",
    "--validation_batches",
    "2",
)


@pytest.fixture
def variables() -> dict[str, str]:
    """The environment in which examples find the package as the tests do."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_language_model_learns_with_full_and_top_k_attention(tmp_path: Path, variables: dict[str, str]) -> None:
    path = tmp_path / "losses.json"
    arguments = [*SMALL, "--steps", "60", "--every", "30", "--k", "16", "--json", str(path)]
    result = subprocess.run([*TRAINING, *arguments], env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    full, selective = json.loads(path.read_text(encoding="utf-8"))["curves"]
    # Same weights and batch; at the start attention is nearly even, so that the choice of keys changes little.
    assert abs(full["losses"][0] - selective["losses"][0]) < 0.01
    assert full["losses"] != selective["losses"]
    for curve in (full, selective):
        assert len(curve["losses"]) == 60
        assert list(curve["validation"]) == ["30", "60"]
        assert curve["validation"]["60"] < curve["losses"][0] - 1  # nats; bytes start at log 256 = 5.5
    assert 0 < selective["mean_mass"] < 1
    assert "| top-k attention, k = 16 | 60 | " in result.stdout


def test_a_missing_torch_is_named(tmp_path: Path, variables: dict[str, str]) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no torch')")
    paths = os.pathsep.join([str(tmp_path), variables["PYTHONPATH"]])
    command = [*TRAINING, "--help"]
    result = subprocess.run(command, env=variables | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: this example needs torch")
    assert result.stderr.endswith('(no torch): pip install ".[torch,plot]"\n')


def test_an_interrupted_training_reports_what_there_is(variables: dict[str, str]) -> None:
    arguments = [*SMALL, "--steps", "100000", "--every", "1"]
    with subprocess.Popen([*TRAINING, *arguments], env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("full attention: step 3/"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
    assert process.returncode == 130
    assert "full attention: interrupted after " in rest
    assert rest.splitlines()[-1].startswith("| full attention | ")


def test_arguments_that_do_not_fit_are_named(variables: dict[str, str]) -> None:
    command = [*TRAINING, "--width", "30", "--heads", "4"]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "--width: 30 is no multiple of the 4 of --heads" in result.stderr
