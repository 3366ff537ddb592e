"""How a command of this package ends: its exit codes, as those of qwen-infer, and errors as one line on stderr."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

EXIT_SUCCESS, EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


class CommandParser(argparse.ArgumentParser):
    """Says what is wrong with the options in a line: the usage has a screen of them, which would hide it."""

    def __init__(self, program: str, description: str) -> None:
        super().__init__(
            prog=program,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Ends the command."""
        self.exit(EXIT_USAGE, f"error: {message}\nSee {self.prog} --help\n")


def exit_code_of(command: Callable[[Sequence[str]], int], arguments: Sequence[str] | None) -> int:
    """Runs a command with `arguments`, by default those of the process, and returns its exit code."""
    if arguments is None:
        _clean_up_when_terminated()
    given = sys.argv[1:] if arguments is None else arguments
    return _with_output(_run(command, [_with_underscores(argument) for argument in given]))


def _run(command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    try:
        return command(arguments)
    except SystemExit as end:  # --help, a mistake in the options, a signal
        return _code_of(end)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # who read the answer has gone
        return EXIT_FAILURE
    except (ValueError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except (OSError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILURE


def _code_of(end: SystemExit) -> int:
    """As Python ends by it: a code that is a text is printed, and means failure."""
    if end.code is None or isinstance(end.code, int):
        return end.code or EXIT_SUCCESS
    print(end.code, file=sys.stderr)
    return EXIT_FAILURE


def _with_output(code: int) -> int:
    """Flushes standard output; `code`, or EXIT_FAILURE if a command that succeeded lost what it printed."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        if code != EXIT_SUCCESS or isinstance(error, BrokenPipeError):
            return code or EXIT_FAILURE
        print(f"error: the output could not be written ({error.strerror}): is the disk full?", file=sys.stderr)
        return EXIT_FAILURE
    return code


def _clean_up_when_terminated() -> None:
    """Has SIGTERM and SIGHUP unwind the stack, so that temporary files go."""

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, unwind)


def _with_underscores(argument: str) -> str:
    """Names of options are spelled with underscores or dashes."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    return "--" + name.replace("-", "_") + equals + value
