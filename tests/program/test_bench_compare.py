"""qwen-infer bench --compare at small depths: the table, its JSON, and what it refuses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[bytes]]

SMALL = ("bench", "--compare", "-p", 32, "-n", 2)


def table_rows(text: str) -> list[list[str]]:
    """The cells of each line of the table but its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.model
def test_small_depths_give_a_table_and_its_json(run: Run, model_path: Path, tmp_path: Path) -> None:
    result = run(
        *(*SMALL, "-m", model_path, "-d", "96,0", "-r", 2, "-t", 2, "--json", "a.json", "--markdown", "a.md"),
        *("--top_k_attention_k", 16, "--top_k_attention_sparse"),
    )
    assert result.returncode == 0, result.stderr
    rows = table_rows(result.stdout)
    assert [row[0] for row in rows] == ["pp32 @ d0", "tg2 @ d0", "pp32 @ d96", "tg2 @ d96"]
    for row in rows:
        assert all(float(cell) > 0 for cell in row[1:4])
        assert re.fullmatch(r"\*\*\d+\.\d\d\*\* \(\d+\.\d\d - \d+\.\d\d\)", row[4])
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == result.stdout
    assert re.search(r"depth 96: round 2 of 2 \(\d+ %, about \d+ s left\)", result.stderr)

    report = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert report["model"] == model_path.name
    assert report["threads"] == 2
    assert "k=16" in report["settings"]
    assert "--top_k_attention_k 16 --top_k_attention_sparse" in report["command"]
    measurements = report["measurements"]
    assert [m["method"] for m in measurements] == ["stock_flash", "stock_products", "topk"] * 4
    assert {(m["cache_k"], m["cache_v"]) for m in measurements} == {("f16", "f16")}
    assert all(len(m["tokens_per_second"]["rounds"]) == 2 for m in measurements)
    assert [(r["test"], r["tokens"], r["depth"]) for r in report["ratios"]][2:] == [("pp", 32, 96), ("tg", 2, 96)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.md"]


@pytest.mark.model
def test_quantised_caches_have_no_way_without_flash_attention(run: Run, model_path: Path) -> None:
    result = run(*SMALL, "-m", model_path, "-d", 64, "-r", 1, "-ctk", "q8_0", "-ctv", "q8_0", "-f", __file__)
    assert result.returncode == 0, result.stderr
    assert [row[2] for row in table_rows(result.stdout)] == ["-", "-"]


@pytest.mark.model
def test_interrupted_it_prints_what_is_finished(start: Start, model_path: Path, tmp_path: Path) -> None:
    process = start(*SMALL, "-m", model_path, "-d", "0,30000", "-r", 1, "--json", "a.json")
    # The lines of depth 0 are there, the prefill of the next depth takes minutes.
    output = b""
    while output.count(b" @ d0 |") < 2:
        piece = process.stdout.read1()
        assert piece, "it ended before it was interrupted"
        output += piece
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"d30000" not in rest
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    ratios = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["ratios"]
    assert [ratio["depth"] for ratio in ratios] == [0, 0]


@pytest.mark.model
def test_caches_that_top_k_does_not_take_are_a_failure(run: Run, model_path: Path) -> None:
    result = run(*SMALL, "-m", model_path, "-d", 0, "-r", 1, "-ctk", "q4_0", "-ctv", "q4_0")
    assert result.returncode == 1
    assert "top-k attention was not used" in result.stderr
    assert result.stdout == ""


def test_help_teaches(run: Run) -> None:
    result = run("bench", "--compare", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("qwen-infer bench --compare: ")
    for text in ("-d, --n_depth LIST", "0,4096,8192,16384,32768", "--top_k_attention_k auto|N", "130 interrupted"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "--model is missing"),
        (("-m", "a.gguf", "-d", "1,x"), "--n_depth: '1,x' is not a list of integers from 0 to 16777216"),
        (("-m", "a.gguf", "-ctk", "f17"), "--cache_type_k: 'f17' is not f32, f16,"),
        (("-m", "a.gguf", "--top_k_attention_k", "0"), "--top_k_attention_k: '0' is not auto or 1 to"),
        (("-m", "a.gguf", "--top_k_attention_stats", "s.json"), "--json FILE"),
        (("-m", "a.gguf", "--json", "missing-folder/a.json"), "cannot write missing-folder/a.json"),
        (("-m", "a.gguf", "--json", "a", "--markdown", "./a"), "--json and --markdown name the same file"),
        (("-m", "a.gguf", "-fa", "1"), "there is no flag -fa"),
    ],
)
def test_a_bad_flag_is_named_with_what_is_allowed(run: Run, arguments: tuple[str, ...], expected: str) -> None:
    result = run("bench", "--compare", *arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stdout == ""


def test_a_missing_model_is_named(run: Run) -> None:
    result = run("bench", "--compare", "-m", "missing.gguf")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "error: cannot load the model missing.gguf: there is no such file"
