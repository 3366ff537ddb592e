"""Recommended settings: README and Python say what the file of measurements says, and nothing that it does not."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from top_k_attention import TopKAttentionConfig
from top_k_attention.recommendations import bands

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def recommend() -> ModuleType:
    """The script that writes file and table."""
    spec = importlib.util.spec_from_file_location("recommend", REPOSITORY / "eval" / "recommend.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_the_readme_is_that_of_the_file(recommend: ModuleType) -> None:
    data = json.loads(recommend.DATA.read_text(encoding="utf-8"))
    readme = recommend.README.read_text(encoding="utf-8")
    assert recommend.with_table(readme, data) == readme, "run eval/recommend.py"
    table = readme.partition(recommend.BEGIN)[2].partition(recommend.END)[0]
    head, rule, *rows = table.splitlines()
    assert (head.count("|"), rule.strip("|-:")) == (rule.count("|"), "")
    assert [row.split()[1] for row in rows] == [f"{band['first']:,}-{band['last']:,}" for band in data["bands"]] != []


def test_every_band_has_a_measurement_and_a_budget_that_meets_the_rule(recommend: ModuleType) -> None:
    data = json.loads(recommend.DATA.read_text(encoding="utf-8"))
    assert data["format"] == recommend.FORMAT
    for band in data["bands"]:
        assert [entry["text"] for entry in band["evidence"]] == list(data["measurements"])
        assert all(entry["change_percent"]["high"] < recommend.LARGEST_CHANGE for entry in band["evidence"])
        assert band["kept_share"] == pytest.approx(
            recommend.kept_share(band["k"], band["first"], band["last"]), abs=1e-4
        )


def test_python_recommends_what_the_file_says_and_auto_beyond_it() -> None:
    for band in bands():
        assert TopKAttentionConfig.recommended(band.first + 1).k == band.k
        assert TopKAttentionConfig.recommended(band.last + 1).k == band.k
    assert TopKAttentionConfig.recommended(1).k == bands()[0].k
    assert TopKAttentionConfig.recommended(1 << 24).k == "auto"


def report(changes: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Of eval, for two ranges of positions: the upper ends of each way's intervals there."""

    def at(first: int, last: int, high: float) -> dict[str, Any]:
        figures = {"change_percent": {"mean": high - 0.1, "low": high - 0.2, "high": high}}
        return figures | {"first": first, "last": last, "tokens": 9, "kl": {"mean": 0.01}, "agreement": {"mean": 0.9}}

    ways = [
        {"name": name, "by_position": [at(1, 255, high[0]), at(256, 511, high[1])]} for name, high in changes.items()
    ]
    about = dict.fromkeys(("command", "model", "model_description", "date", "cpu", "versions"), "")
    return {"ways": ways, **about}


def test_the_fewest_keys_that_are_good_enough_on_every_text_are_recommended(recommend: ModuleType) -> None:
    prose = {"full attention": (0, 0), "k=32": (0.6, 9), "k=64": (0.4, 2), "k=128": (0, 0.51), "k=64,sinks=4": (0, 0)}
    code = {"full attention": (0, 0), "k=32": (0.1, 0), "k=64": (0.49, 0), "k=128": (0, 0)}
    data = recommend.recommend({"prose": report(prose), "code": report(code)})
    assert [(band["first"], band["k"]) for band in data["bands"]] == [(1, 64)]  # nothing is good enough for the other
    assert [entry["change_percent"]["high"] for entry in data["bands"][0]["evidence"]] == [0.4, 0.49]

    auto = {"k=256": (0.1, 0.1), "k=auto": (0.2, 0.2)}
    assert [band["k"] for band in recommend.recommend({"prose": report(auto)})["bands"]] == ["auto", "auto"]
