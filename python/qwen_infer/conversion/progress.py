"""How far something is that takes long: on stderr, one line that changes in a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_TERMINAL_SECONDS = 0.2  # between two changes of the line
_LOG_SECONDS = 15.0


class Progress:
    """Says what is being done and how many megabytes of it are.

    with Progress("converting", most_bytes) as progress:
        progress.update(bytes_so_far)
    """

    def __init__(self, label: str, most_bytes: int) -> None:
        self._label = label
        self._most = most_bytes
        self._terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Progress:
        """Says that it begins."""
        self._say(f"{self._label} ...")
        return self

    def update(self, done_bytes: int) -> None:
        """Says how far it is, if it is time to."""
        now = time.monotonic()
        if now - self._shown >= (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS):
            self._shown = now
            self._say(f"{self._label}: {done_bytes / 1e6:,.0f} of at most {self._most / 1e6:,.0f} MB")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Says how long it took; after an error, leaves an empty line to write it on."""
        if kind is None:
            self._say(f"{self._label}: done ({time.monotonic() - self._started:.0f} s)")
        if self._terminal:
            print(file=sys.stderr, flush=True)

    def _say(self, text: str) -> None:
        if self._terminal:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)
