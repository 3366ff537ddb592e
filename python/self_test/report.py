"""What a check is, and the report: one line for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# Does its work and returns a few words on what it found. The first line of its docstring names it.
Check = Callable[[], str]


class CheckError(Exception):
    """What a check found wrong."""


class UnavailableError(Exception):
    """Why a check cannot be made here."""


def require(condition: bool, what: str) -> None:
    """Raises CheckError unless the condition holds."""
    if not condition:
        raise CheckError(what)


def name_of(check: Check) -> str:
    """The first line of its docstring."""
    return (check.__doc__ or check.__name__).strip().splitlines()[0].rstrip(".")


@dataclass
class Report:
    """Prints outcomes as they come and counts them."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    started: float = field(default_factory=time.monotonic)

    def section(self, title: str) -> None:
        """A heading."""
        print(f"\n{title}\n{'-' * len(title)}", flush=True)

    def run(self, checks: Sequence[Check]) -> None:
        """All checks; a failure does not stop the rest."""
        for check in checks:
            name, started = name_of(check), time.monotonic()
            try:
                found = check()
            except UnavailableError as reason:
                self.skipped += 1
                print(f"  skip  {name}: {reason}", flush=True)
            except Exception as error:  # whatever it is, it belongs in the report
                self.failed.append(name)
                kind = "" if isinstance(error, CheckError) else f"{type(error).__name__}: "
                print(f"  FAIL  {name}: {kind}{error}", flush=True)
            else:
                self.passed += 1
                detail = f": {found}" if found else ""
                print(f"  ok    {name}{detail} [{time.monotonic() - started:.1f} s]", flush=True)

    def close(self) -> int:
        """Prints the sums; returns the exit code."""
        counts = f"{self.passed} passed, {len(self.failed)} failed, {self.skipped} skipped"
        print(f"\n{counts} in {time.monotonic() - self.started:.0f} s")
        for name in self.failed:
            print(f"  failed: {name}")
        return 1 if self.failed else 0


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns that line up, the first one to the left."""
    widths = [max(len(line[column]) for line in [heads, *rows]) for column in range(len(heads))]
    lines = []
    for line in [heads, *rows]:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.insert(1, "  " + "-" * (len(lines[0]) - 2))
    return "\n".join(lines)
