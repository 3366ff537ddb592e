"""How the commands of the package end."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from qwen_infer.exit_codes import exit_code_of


@pytest.mark.parametrize(
    ("given", "code", "printed"),
    [(None, 0, ""), (0, 0, ""), (3, 3, ""), ("error: no torch", 1, "error: no torch\n"), (["text"], 1, "['text']\n")],
)
def test_a_command_that_exits_ends_as_python_would_end(
    given: object, code: int, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(_arguments: Sequence[str]) -> int:
        sys.exit(given)  # type: ignore[arg-type]

    assert exit_code_of(command, []) == code
    assert capsys.readouterr().err == printed
