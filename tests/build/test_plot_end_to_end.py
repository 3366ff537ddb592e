"""The table that bench/plot_end_to_end.py makes of reports, and reports that are written whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "bench"))

import plot_end_to_end  # noqa: E402 - its folder is no package
import reports  # noqa: E402


def measurement(method: str, cache: str, test: str, depth: int, rate: float) -> dict[str, Any]:
    return {
        **dict(zip(("method", "cache_k", "cache_v"), (method, cache, cache))),
        **dict(zip(("test", "tokens", "depth"), (test, 512, depth))),
        "tokens_per_second": reports.spread([rate]),
    }


def test_table_has_the_better_way_of_llama_cpp_and_ratios_to_the_best_cache() -> None:
    compare = {
        "measurements": [
            measurement("stock_flash", "f16", "pp", 8192, 10),
            measurement("stock_products", "f16", "pp", 8192, 20),
            measurement("topk", "f16", "pp", 8192, 80),
            measurement("topk", "f16", "pp", 0, 90),
        ]
    }
    peer = {
        "measurements": [
            measurement("ik_llama", "q8_0", "pp", 8192, 40),
            measurement("ik_llama", "f16", "pp", 8192, 32),
        ]
    }
    head, _, *lines = plot_end_to_end.table(plot_end_to_end.read_rates([peer, compare])).splitlines()
    assert head == (
        "| test | llama.cpp, f16 | ik_llama.cpp, f16 | ik_llama.cpp, q8_0 | exact top-k, f16 "
        "| top-k / llama.cpp | top-k / ik_llama.cpp |"
    )
    assert lines == [
        "| pp512 @ d0 | - | - | - | 90.0 | - | - |",
        "| pp512 @ d8192 | 20.0 | 32.0 | 40.0 | 80.0 | **4.00** | **2.00** |",
    ]


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(TypeError):
        reports.write_json(path, {"not": object()})
    assert path.read_text(encoding="utf-8") == "old"
    reports.write_json(path, {"new": 1})
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("text", ["{", '{"measurements": [{}]}'])
def test_a_file_that_is_no_report_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text, encoding="utf-8")
    script = REPOSITORY / "bench" / "plot_end_to_end.py"
    command = [sys.executable, script, "bad.json", "a.svg"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: bad.json cannot be drawn")


def test_an_unknown_peer_is_refused_with_those_there_are() -> None:
    script = REPOSITORY / "bench" / "peers" / "run.py"
    result = subprocess.run([sys.executable, script, "other"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "ik_llama" in result.stderr
    assert "torch_attention" in result.stderr
