"""A program in a terminal, as a user has it: typed to, read from, and interrupted by Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

CTRL_C, CTRL_D, UP, ENTER = "\x03", "\x04", "\x1b[A", "\r"
PASTE_BEGINS, PASTE_ENDS = "\x1b[200~", "\x1b[201~"

_WAIT_SECONDS = 300  # long enough for a loaded machine
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][0-9A-Z]?|\x07")


class Terminal:
    """Runs a command in a terminal of its own."""

    def __init__(self, command: Sequence[object], environment: Mapping[str, str], folder: Path) -> None:
        self._shown = ""
        self._exit_code: int | None = None
        self._child, self._terminal = pty.fork()
        if self._child == 0:
            os.chdir(folder)
            words = [str(word) for word in command]
            os.execve(words[0], words, dict(environment) | {"TERM": "xterm"})  # noqa: S606 - no shell is wanted

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._exit_code is None:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
        os.close(self._terminal)

    def type(self, text: str) -> None:
        """Types a text; bytes that are no UTF-8 are lone surrogates in it, "\\udcff"."""
        os.write(self._terminal, text.encode(errors="surrogateescape"))

    def say(self, line: str) -> None:
        self.type(line + ENTER)

    def wait_for(self, text: str) -> str:
        """Waits until the text is shown; what was shown before it. Looks at each character once."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while text not in self._shown:
            assert time.monotonic() < deadline, f"{text!r} was not shown, but {self._shown!r}"
            assert self._take(0.1), f"it ended before {text!r} was shown, with {self._shown!r}"
        before, _, self._shown = self._shown.partition(text)
        return before

    def send(self, signal_number: int) -> None:
        os.kill(self._child, signal_number)

    def end(self) -> int:
        """Waits for the end of the program; its exit code, negative for a signal."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while self._take(0.1):
            assert time.monotonic() < deadline, f"it did not end, but showed {self._shown!r}"
        _, status = os.waitpid(self._child, 0)
        self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code

    @property
    def rest(self) -> str:
        """What was shown and not waited for."""
        return self._shown

    def _take(self, seconds: float) -> bool:
        """Reads what there is; False once the program has closed the terminal."""
        if not select.select([self._terminal], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self._terminal, 65536)
        except OSError:  # Linux says so
            return False
        self._shown = _ESCAPES.sub("", self._shown + piece.decode(errors="replace"))
        return bool(piece)
