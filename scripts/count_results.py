#!/usr/bin/env python3
"""Adds up what the checks of test.sh left in a folder and prints 'N passed, N failed' as the last line.

  checks.tsv            NAME <tab> passed|failed          checks that count as one
  suites.tsv            NAME <tab> EXIT CODE              test programs that were run
  NAME/*.json           GoogleTest's results              one case each
  NAME.ctest.xml        CTest's results                   tells of programs that died before they wrote theirs
  NAME.xml              pytest's results (JUnit)          one case each

Ends with code 1 if anything failed or nothing passed.

usage: count_results.py FOLDER
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Tally:
    """Results of one check or suite."""

    name: str
    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)


def read_table(path: Path) -> list[tuple[str, str]]:
    """The lines of a two-column table; none if the file is not there."""
    if not path.exists():
        return []
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [(name, value) for name, value in rows]


def add_googletest(path: Path, tally: Tally) -> None:
    """Adds the cases of one GoogleTest program."""
    for suite in json.loads(path.read_text(encoding="utf-8"))["testsuites"]:
        for case in suite["testsuite"]:
            if case.get("failures"):
                tally.failed.append(f"{path.stem}: {suite['name']}.{case['name']}")
            elif case.get("result") == "COMPLETED":
                tally.passed += 1
            else:
                tally.skipped += 1


def add_ctest(path: Path, tally: Tally) -> None:
    """Adds the programs that failed without a failed case of theirs: crashes and time-outs."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):  # noqa: S314 - our own ctest wrote it
        name = case.get("name", "")
        if case.get("status") == "fail" and not any(failed.startswith(f"{name}: ") for failed in tally.failed):
            tally.failed.append(f"{name}: the program died")


def add_junit(path: Path, tally: Tally) -> None:
    """Adds the cases of a pytest run."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):  # noqa: S314 - our own pytest wrote it
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed.append(f"{case.get('classname')}.{case.get('name')}")
        elif case.find("skipped") is not None:
            tally.skipped += 1
        else:
            tally.passed += 1


def collect(folder: Path) -> list[Tally]:
    """One tally for each check and suite, in the order in which they ran."""
    tallies = []
    for name, outcome in read_table(folder / "checks.tsv"):
        tally = Tally(name)
        if outcome == "passed":
            tally.passed = 1
        else:
            tally.failed.append(name)
        tallies.append(tally)
    for name, exit_code in read_table(folder / "suites.tsv"):
        tally = Tally(name)
        for path in sorted((folder / name).glob("*.json")):
            add_googletest(path, tally)
        if (folder / f"{name}.ctest.xml").exists():
            add_ctest(folder / f"{name}.ctest.xml", tally)
        if (folder / f"{name}.xml").exists():
            add_junit(folder / f"{name}.xml", tally)
        if exit_code != "0" and not tally.failed:
            tally.failed.append(f"{name}: exit code {exit_code}")
        if exit_code == "0" and not tally.passed and not tally.failed:
            tally.failed.append(f"{name}: no test passed")
        tallies.append(tally)
    return tallies


def report(tallies: list[Tally]) -> int:
    """Prints the tallies and the last line; returns the exit code."""
    for tally in tallies:
        skipped = f", {tally.skipped} skipped" if tally.skipped else ""
        print(f"  {tally.name:<14} {tally.passed} passed, {len(tally.failed)} failed{skipped}")
    failed = [case for tally in tallies for case in tally.failed]
    for case in failed:
        print(f"FAILED {case}")
    passed = sum(tally.passed for tally in tallies)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(report(collect(Path(sys.argv[1]))))
