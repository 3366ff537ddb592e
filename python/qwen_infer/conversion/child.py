"""A process of its own that writes a file: it is watched, ends with this one, and its last words become an error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from qwen_infer.conversion.progress import Progress

_POLL_SECONDS = 0.1
_MOST_REASON = 600  # characters
_PROGRESS_BAR = re.compile(r"^.*\d%\|.*$", re.MULTILINE)  # of tqdm
# Where the message of an exception begins, under its traceback.
_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b", re.MULTILINE)


class ChildError(Exception):
    """Why it failed, as far as it said."""


def run_python(
    arguments: Sequence[str | os.PathLike[str]],
    output: Path,
    progress: Progress,
    environment: Mapping[str, str],
    keep_open: int,
) -> None:
    """Runs Python with the packages of this process until it has written `output`; ChildError if it fails.

    `keep_open` is a file descriptor that it inherits, a lock: should this process be killed, the lock lives on as long
    as anything writes.
    """
    paths = os.pathsep.join(path for path in sys.path if path)
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": paths, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[keep_open],
        )
        try:
            while _is_running(child):
                progress.update(output.stat().st_size if output.exists() else 0)
        finally:
            child.kill()  # does nothing to one that has ended
            child.wait()
        if child.returncode != 0:
            log.seek(0)
            raise ChildError(_reason(log.read().decode(errors="replace"), child.returncode))


def _is_running(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _reason(log: str, code: int) -> str:
    log = _PROGRESS_BAR.sub("", log.replace("\r", "\n"))
    if exceptions := list(_EXCEPTION.finditer(log)):
        begin = exceptions[-1].start()
        reason = log[begin:].strip()
        if ":" not in reason:  # an assertion: what was asserted is the last line of code above it
            code_lines = [line for line in log[:begin].splitlines() if line.strip(" ^~")]
            reason += f" at `{code_lines[-1].partition('  # ')[0].strip()}`" if code_lines else ""
    else:
        lines = [line for line in log.splitlines() if line.strip()]
        reason = lines[-1] if lines else ""
    reason = " ".join(reason.split())
    if len(reason) > _MOST_REASON:
        reason = reason[:_MOST_REASON] + "..."
    return reason or (f"killed by signal {-code}" if code < 0 else f"exit code {code}, without a word")
