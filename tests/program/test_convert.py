"""qwen-infer convert: the way into the Python package; tests/python/test_conversion*.py have what it does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run

REPOSITORY = Path(__file__).resolve().parents[2]
OWN_PYTHON = {"QWEN_INFER_PYTHON": sys.executable}


def test_runs_the_converter_of_this_checkout(run: Run, tmp_path: Path) -> None:
    result = run("convert", "--list_cache", **OWN_PYTHON, QWEN_INFER_CACHE=str(tmp_path))
    assert result.returncode == 0
    assert f"0 files, 0.0 MB, in {tmp_path / 'converted'}" in result.stderr


def test_help_needs_no_python_and_has_all_options_of_the_converter(run: Run) -> None:
    help_text = run("convert", "--help", QWEN_INFER_PYTHON="/no/such/python")
    assert help_text.returncode == 0
    converter = subprocess.run(
        [sys.executable, "-m", "qwen_infer.conversion", "--help"],
        cwd=REPOSITORY / "python",
        capture_output=True,
        text=True,
        check=True,
    )
    options = set(re.findall(r"--[a-z0-9_]+", converter.stdout)) - {"--help"}
    assert len(options) >= 4
    assert options <= set(re.findall(r"--[a-z0-9_]+", help_text.stdout))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["./missing"], 1, "there is no file or folder './missing'"),
        (["--load-in-8bit", "--load_in_4bit", "./missing"], 2, "exclude each other: choose one"),
        ([], 2, "required: MODEL"),
    ],
)
def test_exit_code_is_that_of_the_converter(run: Run, arguments: list[str], code: int, message: str) -> None:
    result = run("convert", *arguments, **OWN_PYTHON)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_python_that_is_not_there_is_named(run: Run) -> None:
    result = run("convert", "x", QWEN_INFER_PYTHON="/no/such/python")
    assert result.returncode == 1
    assert "cannot start Python as '/no/such/python' (No such file or directory)" in result.stderr
    assert "name it in QWEN_INFER_PYTHON" in result.stderr


def test_python_without_the_package_is_named(run: Run, tmp_path: Path) -> None:
    lonely = tmp_path / "python"
    lonely.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')  # looks for packages nowhere
    lonely.chmod(0o755)
    result = run("convert", "x", QWEN_INFER_PYTHON=str(lonely))
    assert result.returncode == 1
    assert "convert is a part of the Python package qwen_infer" in result.stderr
    assert "pip install '.[convert]'" in result.stderr
