"""qwen-infer bench-attention on a small case: the table, its files, and what it refuses. Needs no model."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[bytes]]

SMALL_CASE = ("bench-attention", "--shapes", "4:2:32", "--keys", "512", "--queries", "1,64", "--cold_bytes", "1000000")
SMALL = (*SMALL_CASE, "--seconds", "0.01")


def table_rows(text: str) -> list[list[str]]:
    """The cells of each line of the table but its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_small_case_gives_a_table_and_its_files(run: Run, tmp_path: Path, repository: Path) -> None:
    result = run(*SMALL, "--k", 32, "--threads", 2, "--json", "a.json", "--csv=a.csv", "--markdown", "a.md")
    assert result.returncode == 0, result.stderr
    assert "verifying topk_int8" in result.stderr

    decode, prefill = table_rows(result.stdout)
    assert decode[:5] == ["1", "4/2", "32", "512", "f16"]
    assert prefill[:5] == ["64", "4/2", "32", "512", "f16"]
    assert decode[9] == "-"  # one query is never scanned in int16
    for cell in decode[5:9] + decode[10:12] + prefill[5:12]:
        assert float(cell) > 0
    assert all(re.fullmatch(r"\*\*\d+\.\d\d\*\* \(\d+\.\d\d - \d+\.\d\d\)", row[12]) for row in (decode, prefill))
    assert all(re.fullmatch(r"\d+ %", row[13]) for row in (decode, prefill))

    assert (tmp_path / "a.md").read_text(encoding="utf-8") == result.stdout
    report = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert report["threads"] == 2
    assert report["flags"]["k"] == "32"
    assert {"cpu", "date", "versions", "cold_bytes", "command"} <= report.keys()
    assert [row["queries"] for row in report["rows"]] == [1, 64]
    assert all(len(row["microseconds"]["topk_int8"]["rounds"]) == 3 for row in report["rows"])
    assert all(row["ratio"]["min"] <= row["ratio"]["median"] <= row["ratio"]["max"] for row in report["rows"])
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        assert [row["keys"] for row in csv.DictReader(file)] == ["512", "512"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.md"]


def test_its_report_can_be_drawn(run: Run, tmp_path: Path, repository: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run(*SMALL, "--json", "a.json").returncode == 0
    plot = repository / "bench" / "plot_attention.py"
    subprocess.run([sys.executable, plot, "a.json", "a.svg"], cwd=tmp_path, check=True)
    assert (tmp_path / "a.svg").stat().st_size > 0


def test_masks_have_panels_of_their_own(run: Run, tmp_path: Path, repository: Path) -> None:
    pytest.importorskip("matplotlib")
    fast = ("--seconds", 0, "--repeat", 1, "--visible", "32,128")
    assert run(*SMALL_CASE, *fast, "--json", "a.json").returncode == 0
    plot = repository / "bench" / "plot_attention.py"
    subprocess.run([sys.executable, plot, "a.json", "a.svg"], cwd=tmp_path, check=True)
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")  # the texts stand in comments beside their outlines
    for title in ("decode, 4/2 heads, d = 32, f16, 32 visible", "64 queries, 4/2 heads, d = 32, f16, 128 visible"):
        assert title in drawn


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("{", "a.json is no JSON: "),
        ("[]", "a.json: no report of bench-attention with a line or more"),
        ('{"rows": []}', "a.json: no report of bench-attention with a line or more"),
        ('{"rows": [{"queries": 1}]}', "a.json: no report of bench-attention: KeyError('heads')"),
        ('{"rows": [1]}', "a.json: no report of bench-attention: TypeError("),
    ],
)
def test_what_is_no_report_is_not_drawn(tmp_path: Path, repository: Path, report: str, expected: str) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "a.json").write_text(report, encoding="utf-8")
    plot = repository / "bench" / "plot_attention.py"
    result = subprocess.run(
        [sys.executable, plot, "a.json", "a.svg"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {expected}")
    assert not (tmp_path / "a.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("--layers", "0,x"), 2, "argument --layers: '0,x' is no list of layers like 0,6,12"),
        (("--layers", "-1"), 2, "--layers"),
        (("--tokens", "0"), 2, "argument --tokens: '0' is no multiple of 512, 512 or more"),
        (("--binaries", "nowhere"), 1, "error: nowhere/qwen-infer is not there: scripts/build.sh makes it"),
    ],
)
def test_what_cannot_be_recorded_is_said_first(
    tmp_path: Path, repository: Path, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    script = repository / "bench" / "record_inputs.py"
    command = [sys.executable, script, "--model", "model.gguf", "--folder", "inputs", *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == code
    assert expected in result.stderr
    assert not (tmp_path / "inputs").exists()


def test_quantised_values_have_no_way_without_flash_attention(run: Run) -> None:
    result = run(*SMALL, "--types", "q8_0")
    assert result.returncode == 0, result.stderr
    assert [row[6] for row in table_rows(result.stdout)] == ["-", "-"]


def test_several_types_are_compared_with_the_one_that_is_best_for_llama_cpp(run: Run, tmp_path: Path) -> None:
    result = run(*SMALL_CASE, "--seconds", 0, "--types", "f16,q8_0", "--json", "a.json", "--csv", "a.csv")
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["type"], row["queries"]) for row in rows] == [("f16", 1), ("f16", 64), ("q8_0", 1), ("q8_0", 64)]

    def stock_time(row: dict[str, Any]) -> float:
        return float(row["microseconds"][row["best_stock"]]["median"])

    for f16, q8 in zip(rows[:2], rows[2:], strict=True):
        fastest = min(stock_time(f16), stock_time(q8))
        assert q8["ratio_any_type"] == pytest.approx(fastest / q8["microseconds"]["as_used"]["median"])
    assert [cells[-1] for cells in table_rows(result.stdout)] == [f"**{row['ratio_any_type']:.2f}**" for row in rows]
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        assert [row["ratio_any_type"] for row in csv.DictReader(file)] == [
            f"{row['ratio_any_type']:.4f}" for row in rows
        ]


def test_a_mask_leaves_each_query_as_many_keys_as_asked_for(run: Run, tmp_path: Path) -> None:
    result = run(*SMALL, "--k", 16, "--visible", "32,128", "--json", "a.json", "--csv", "a.csv")
    assert result.returncode == 0, result.stderr
    assert [row[-1] for row in table_rows(result.stdout)] == ["32", "128", "32", "128"]
    rows = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["queries"], row["visible"]) for row in rows] == [(1, 32), (1, 128), (64, 32), (64, 128)]
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        assert [row["visible"] for row in csv.DictReader(file)] == ["32", "128", "32", "128"]


@pytest.mark.model
def test_recorded_inputs_take_the_place_of_gaussian_ones(
    run: Run, bin_dir: Path, model_path: Path, repository: Path, tmp_path: Path
) -> None:
    script = repository / "bench" / "record_inputs.py"
    command = [sys.executable, script, "--model", model_path, "--folder", "inputs", "--binaries", bin_dir]
    command += ["--layers", "0,12", "--tokens", "512"]
    recorded = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert recorded.returncode == 0, recorded.stderr
    assert sorted(path.name for path in (tmp_path / "inputs").iterdir()) == ["layer0.gguf", "layer12.gguf"]

    files = ("--inputs", "inputs/layer0.gguf,inputs/layer12.gguf")
    fast = ("--queries", "1,64", "--k", 32, "--seconds", "0.01", "--repeat", 1, "--cold_bytes", 0, "--json", "a.json")
    result = run("bench-attention", *files, *fast)
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["inputs"], row["queries"], row["keys"]) for row in rows] == [
        (f"layer{layer}.gguf", queries, 512) for layer in (0, 12) for queries in (1, 64)
    ]
    assert [row[-1] for row in table_rows(result.stdout)] == [row["inputs"] for row in rows]

    whole = (tmp_path / "inputs" / "layer0.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    result = run("bench-attention", "--inputs", "cut.gguf")
    assert (result.returncode, result.stdout) == (2, "")
    assert "error: cut.gguf: it ends within the tensor" in result.stderr


@pytest.mark.model
def test_layers_that_a_model_has_not_are_named(
    bin_dir: Path, model_path: Path, repository: Path, tmp_path: Path
) -> None:
    script = repository / "bench" / "record_inputs.py"
    command = [sys.executable, script, "--model", model_path, "--folder", "inputs", "--binaries", bin_dir]
    command += ["--layers", "999", "--tokens", "512"]
    recorded = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert recorded.returncode == 1
    assert "is about layer 999, and the model has 24 layers" in recorded.stderr


def test_help_teaches(run: Run) -> None:
    result = run("bench-attention", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("qwen-infer bench-attention: ")
    for text in ("--cold_bytes BYTES", "default 14:2:64,16:8:128,32:8:128", "exit code 1", "roofline"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--shapes", "14:3:64"), "--shapes: '14:3:64' is not a list of Q:KV:D"),
        (("--types=q4_0",), "--types: 'q4_0' is not a list of f32, f16, bf16 and q8_0"),
        (("--cold-bytes", "many"), "--cold_bytes: 'many' is not an integer"),
        (("--keys", "128", "--queries", "512"), "--queries 512 is more than --keys 128"),
        (("--inputs", "missing.gguf"), "missing.gguf: No such file"),
        (("--inputs", "a.gguf", "--keys", "512"), "--keys is said by the files of --inputs"),
        (("--repeats", "3"), "did you mean --repeat?"),
        (("--visible", "some"), "--visible: 'some' is not all or a list of integers"),
        (("--visible", "600", "--keys", "1024"), "--visible 600 is more than the 513 keys"),
        (("--json", "a", "--csv", "a"), "--json and --csv name the same file, a"),
        (("--json", "missing-folder/a.json"), "cannot write missing-folder/a.json"),
    ],
)
def test_a_bad_flag_is_named_with_what_is_allowed(run: Run, arguments: tuple[str, ...], expected: str) -> None:
    result = run("bench-attention", *arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stdout == ""


def test_interrupted_it_saves_the_lines_that_are_finished(start: Start, tmp_path: Path) -> None:
    process = start(*SMALL_CASE, "--seconds", "0.3", "--repeat", 9, "--json", "a.json", "--csv", "a.csv")
    while not process.stdout.readline().startswith(b"| 1 | 4/2 |"):
        assert process.poll() is None, "it ended before it was interrupted"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert [row["queries"] for row in json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["rows"]] == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json"]


def test_interrupted_it_leaves_no_file(start: Start, tmp_path: Path) -> None:
    process = start(*SMALL_CASE, "--seconds", "60", "--json", "a.json")
    assert process.stdout.readline()  # the head of the table: it is at work
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
