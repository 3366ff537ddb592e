"""qwen-infer convert: the way into the Python package; tests/python/test_conversion*.py have what it does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import Run

OWN_PYTHON = {"QWEN_INFER_PYTHON": sys.executable}


def test_runs_the_converter_of_this_checkout(run: Run) -> None:
    result = run("convert", "--help", **OWN_PYTHON)
    assert result.returncode == 0
    assert result.stdout.startswith("usage: qwen-infer convert")


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
