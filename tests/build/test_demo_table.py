"""The closing table of demo.sh."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import demo_table
import pytest

TIMINGS = {
    "prompt_tokens": 10512,
    "prompt_seconds": 70.2,
    "prompt_tokens_per_second": 149.74,
    "generated_tokens": 99,
    "generation_seconds": 3.0,
    "generation_tokens_per_second": 33.04,
}
FULL: dict[str, Any] = {"attention": "full", "settings": None, "timings": TIMINGS, "total": None, "layers": []}
TOP_K: dict[str, Any] = {
    "attention": "top_k",
    "settings": "k=256,temperature=1,sinks=0",
    "timings": {**TIMINGS, "prompt_tokens_per_second": 201.06},
    "total": {
        "rows": 3_500_000,
        "keys_seen": 18_400_000_000,
        "keys_kept": 890_000_000,
        "mass_rows": 54_000,
        "mean_mass": 0.95123,
        "min_mass": 0.31,
        "score_bytes_saved": 70_040_000_000,
        "seconds": 12.34,
    },
}


def row(table: str, label: str) -> list[str]:
    """The two figures of a line."""
    lines = [line for line in table.splitlines() if line.strip().startswith(label)]
    assert len(lines) == 1
    return lines[0].strip()[len(label) :].split("  ")


def figures(table: str, label: str) -> list[str]:
    return [figure.strip() for figure in row(table, label) if figure.strip()]


def test_shows_the_figures_of_both_runs() -> None:
    table = demo_table.table(FULL, TOP_K)
    assert figures(table, "prompt tokens/s") == ["149.7", "201.1"]
    assert figures(table, "generation tokens/s") == ["33.0", "33.0"]
    assert figures(table, "keys seen") == ["-", "18.4 G"]
    assert figures(table, "keys kept") == ["-", "890.0 M"]
    assert figures(table, "mean mass") == ["of the kept keys", "-", "0.9512"]
    assert figures(table, "minimum mass") == ["-", "0.3100"]
    assert figures(table, "scores not kept, 4 bytes each") == ["-", "65.2 GiB"]
    assert "k = 256" in table


def test_the_readme_shows_this_table(repository: Path) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    shown = readme.split("This is what the demo closes with", 1)[1].split("```")[1].strip("\n").splitlines()
    printed = demo_table.table(FULL, TOP_K).splitlines()
    labels = [label for label, _, _ in demo_table.ROWS]
    assert shown[0].split() == printed[0].split()
    assert set(shown[1].strip()) == {"-"}
    rows = shown[2 : 2 + len(labels)]
    assert [line for line, label in zip(rows, labels, strict=True) if not line.startswith(f"  {label}  ")] == []
    assert [line.split(":")[0] for line in shown[2 + len(labels) :]] == ["  Mass", "  Scores not kept"]


def test_says_that_scores_are_a_sum() -> None:
    assert "summed over all 3.5 M rows (query and head), not memory at one time" in demo_table.table(FULL, TOP_K)
    assert "Scores not kept:" not in demo_table.table(FULL, {**TOP_K, "total": None})


def test_says_that_mass_was_sampled() -> None:
    assert "exact for 54.0 K of 3.5 M rows" in demo_table.table(FULL, TOP_K)
    exact = copy.deepcopy(TOP_K)
    exact["total"]["mass_rows"] = exact["total"]["rows"]
    assert "Mass:" not in demo_table.table(FULL, exact)


def test_figures_that_were_not_measured_are_dashes() -> None:
    unmeasured = copy.deepcopy(TOP_K)
    unmeasured["total"]["mean_mass"] = None
    del unmeasured["total"]["min_mass"]
    table = demo_table.table(FULL, unmeasured)
    assert figures(table, "minimum mass") == ["-", "-"]
    assert figures(table, "mean mass") == ["of the kept keys", "-", "-"]


def test_reports_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="first report is of a run with attention 'top_k'"):
        demo_table.table(TOP_K, FULL)


def test_runs_with_different_prompts_are_refused() -> None:
    other = copy.deepcopy(TOP_K)
    other["timings"]["prompt_tokens"] = 12
    with pytest.raises(ValueError, match="same prompt"):
        demo_table.table(FULL, other)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (999, "999"), (1000, "1.0 K"), (2_500_000, "2.5 M"), (1e9, "1.0 G")],
)
def test_counts_are_short(value: float | None, text: str) -> None:
    assert demo_table.count(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 * 2**29, "1.5 GiB")])
def test_sizes_are_binary(value: float | None, text: str) -> None:
    assert demo_table.size(value) == text


def test_program_reads_files_and_reports_bad_ones(repository: Path, tmp_path: Path) -> None:
    full, top_k = tmp_path / "full.json", tmp_path / "top_k.json"
    full.write_text(json.dumps(FULL))
    top_k.write_text(json.dumps(TOP_K))
    command = [sys.executable, repository / "scripts" / "demo_table.py", full, top_k]
    good = subprocess.run(command, capture_output=True, text=True, check=True)
    assert good.stdout.rstrip("\n") == demo_table.table(FULL, TOP_K)
    top_k.write_text("{")
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stderr.startswith("error: ")
