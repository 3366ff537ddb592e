"""The last line of test.sh: no failure may get lost between the programs and it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

GOOGLETEST = {
    "testsuites": [
        {
            "name": "Select",
            "testsuite": [
                {"name": "KeepsTies", "result": "COMPLETED"},
                {"name": "Fails", "result": "COMPLETED", "failures": [{"failure": "expected"}]},
                {"name": "NeedsAvx", "result": "SKIPPED"},
            ],
        }
    ]
}
PYTEST = """<testsuites><testsuite>
<testcase classname="tests.a" name="good"/>
<testcase classname="tests.a" name="bad"><failure/></testcase>
<testcase classname="tests.a" name="broken"><error/></testcase>
<testcase classname="tests.a" name="left_out"><skipped/></testcase>
</testsuite></testsuites>"""


def run(repository: Path, folder: Path) -> tuple[int, list[str]]:
    finished = subprocess.run(
        [sys.executable, repository / "scripts" / "count_results.py", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.returncode, finished.stdout.splitlines()


def test_checks_count_one_each(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "checks.tsv").write_text("format\tpassed\nbuild\tpassed\n")
    assert run(repository, tmp_path) == (
        0,
        ["  format         1 passed, 0 failed", "  build          1 passed, 0 failed", "2 passed, 0 failed"],
    )


def test_failed_check_is_named(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "checks.tsv").write_text("format\tfailed\nbuild\tpassed\n")
    code, lines = run(repository, tmp_path)
    assert code == 1
    assert "FAILED format" in lines
    assert lines[-1] == "1 passed, 1 failed"


def test_googletest_cases_count_one_each(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "suites.tsv").write_text("unit\t8\n")
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "select_test.json").write_text(json.dumps(GOOGLETEST))
    code, lines = run(repository, tmp_path)
    assert code == 1
    assert "FAILED select_test: Select.Fails" in lines
    assert lines[-1] == "1 passed, 1 failed"


def test_program_that_died_without_results_is_a_failure(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "suites.tsv").write_text("unit\t8\n")
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "select_test.json").write_text(json.dumps(GOOGLETEST))
    (tmp_path / "unit.ctest.xml").write_text(
        '<testsuite><testcase name="select_test" status="fail"/><testcase name="scan_test" status="fail"/>'
        '<testcase name="pack_test" status="run"/></testsuite>'
    )
    code, lines = run(repository, tmp_path)
    assert code == 1
    assert "FAILED scan_test: the program died" in lines
    assert lines[-1] == "1 passed, 2 failed"


def test_pytest_cases_count_one_each(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "suites.tsv").write_text("pytest\t1\n")
    (tmp_path / "pytest.xml").write_text(PYTEST)
    code, lines = run(repository, tmp_path)
    assert code == 1
    assert lines[0] == "  pytest         1 passed, 2 failed, 1 skipped"
    assert lines[-1] == "1 passed, 2 failed"


@pytest.mark.parametrize("exit_code", ["1", "2", "5", "137"])
def test_suite_that_fails_without_a_failed_case_is_a_failure(repository: Path, tmp_path: Path, exit_code: str) -> None:
    (tmp_path / "suites.tsv").write_text(f"pytest\t{exit_code}\n")
    code, lines = run(repository, tmp_path)
    assert code == 1
    assert lines[-1] == "0 passed, 1 failed"


def test_suite_that_ran_nothing_is_a_failure(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "checks.tsv").write_text("format\tpassed\n")
    (tmp_path / "suites.tsv").write_text("unit\t0\n")
    code, lines = run(repository, tmp_path)
    assert code == 1
    assert lines[-1] == "1 passed, 1 failed"


def test_nothing_at_all_is_a_failure(repository: Path, tmp_path: Path) -> None:
    assert run(repository, tmp_path) == (1, ["0 passed, 0 failed"])
