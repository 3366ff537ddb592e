"""The command python/test_top_k_attention.py: its checks one by one, its report, its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from self_test import basic, integration, memory, performance
from self_test.report import CheckError, Report, UnavailableError, name_of, table

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = REPOSITORY / "python" / "test_top_k_attention.py"


@pytest.mark.parametrize("check", [*basic.CHECKS, *integration.CHECKS], ids=lambda check: check.__name__)
def test_check_passes(check: object) -> None:
    try:
        check()
    except UnavailableError as reason:
        pytest.skip(str(reason))


def run(*arguments: str, python: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, COMMAND, *arguments]
    # Found as the tests find them: the native module of the build first.
    variables = {"PYTHONPATH": os.pathsep.join(sys.path)} | variables
    return subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=False, cwd=REPOSITORY / "python"
    )


def test_measurements_report_speed_and_memory(tmp_path: Path) -> None:
    result = run("--performance", "--memory", "--plot", "--quick", "--output", str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "7 passed, 0 failed, 0 skipped" in result.stdout
    assert len(list(tmp_path.glob("*.png"))) == 2
    assert "speed-up" in result.stdout
    assert "top-k, MiB" in result.stdout


def test_report_counts_outcomes_and_names_failures(capsys: pytest.CaptureFixture[str]) -> None:
    def good() -> str:
        """Is good."""
        return "as it should be"

    def wrong() -> str:
        """Is wrong."""
        raise CheckError("two and two are five")

    def broken() -> str:
        """Is broken."""
        raise ZeroDivisionError("by zero")

    def missing() -> str:
        """Is missing."""
        raise UnavailableError("not built")

    report = Report()
    report.run([good, wrong, broken, missing])
    assert report.close() == 1
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("ok    Is good: as it should be [")
    assert lines[1:4] == [
        "FAIL  Is wrong: two and two are five",
        "FAIL  Is broken: ZeroDivisionError: by zero",
        "skip  Is missing: not built",
    ]
    assert lines[5].startswith("1 passed, 2 failed, 1 skipped in ")
    assert lines[6:] == ["failed: Is wrong", "failed: Is broken"]


def test_a_wrong_result_fails_its_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance.ways, "ours", lambda top_k: performance.ways.torch_fused)
    with pytest.raises(ArithmeticError, match="is wrong: out is up to"):
        performance.measure(256, 16, backward=False)


def test_memory_of_the_size_of_all_scores_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "peak", lambda way, tokens, top_k: 4 * memory.HEADS * tokens**2)
    by_length = memory.checks(memory.Memory(), quick=True)[1]
    with pytest.raises(CheckError, match="one matrix of scores"):
        by_length()


def test_every_check_has_a_name() -> None:
    checks = [*basic.CHECKS, *integration.CHECKS, *performance.checks(performance.Speeds(), True)]
    names = [name_of(check) for check in checks]
    assert len(set(names)) == len(names)


def test_tables_line_up() -> None:
    assert table(("n", "ms"), [("8", "1.25"), ("1024", "9")]).splitlines() == [
        "  n       ms",
        "  ----------",
        "  8     1.25",
        "  1024     9",
    ]


def test_without_the_native_module_it_says_what_to_do(tmp_path: Path) -> None:
    # -S: without what is installed.
    result = run("--basic", python=("-S",), PYTHONPATH="", QWEN_INFER_BUILD_DIR=str(tmp_path))
    assert result.returncode == 1
    assert "the native module _topk is not installed" in result.stderr
    assert "pip install" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [("--threads", "0"), ("--slow",), ("--plot", "--output", "/dev/null/plots")])
def test_mistakes_in_arguments_end_with_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert arguments[0] in result.stderr


def test_pictures_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from self_test import plots

    speeds, peaks = performance.Speeds(), memory.Memory()
    for tokens in (256, 512):
        speeds.forward.append(performance.Point(tokens, 64, 2.0, 1.0))
        speeds.backward.append(performance.Point(tokens, 64, 4.0, 2.0))
        peaks.lengths.append(memory.Point(tokens, 64, tokens * memory.MIB, naive=2 * tokens * memory.MIB))
    for top_k in (32, 64):
        speeds.budgets.append(performance.Point(512, top_k, 2.0, 1.0))
        peaks.budgets.append(memory.Point(512, top_k, 512 * memory.MIB))
    for path in (plots.draw_time(speeds, tmp_path / "time.png"), plots.draw_memory(peaks, tmp_path / "memory.png")):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["memory.png", "time.png"]
