"""The text that demo.sh and the end-to-end tests read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import long_text as script
import pytest


def test_same_interpreter_gives_same_text(repository: Path) -> None:
    command = [sys.executable, repository / "scripts" / "long_text.py", "8000"]
    first, second = (subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2))
    assert first == second
    assert first.decode() == script.long_text(8000)


def test_takes_whole_modules_until_long_enough() -> None:
    text = script.long_text(8000)
    assert len(text) >= 8000 * script.CHARACTERS_PER_TOKEN
    assert text.startswith(f"# File {script.MODULES[0]}.py\n")
    assert script.module_source(script.MODULES[0]) in text
    assert script.long_text(16000).startswith(text)


def test_every_module_of_the_list_has_source() -> None:
    assert all(len(script.module_source(name)) > 1000 for name in script.MODULES)


def test_module_without_source_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="'math'"):
        script.module_source("math")


def test_more_than_there_is_is_refused() -> None:
    with pytest.raises(ValueError, match="1000000 tokens are wanted"):
        script.long_text(1_000_000)


@pytest.mark.parametrize("arguments", [[], ["many"], ["1", "2"]])
def test_bad_usage_is_refused(repository: Path, arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, repository / "scripts" / "long_text.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "usage: long_text.py MIN_TOKENS" in run.stderr
    assert run.stdout == ""
