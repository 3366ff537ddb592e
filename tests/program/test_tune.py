"""qwen-infer tune: a profile of a real model, its use in other subcommands, and what both refuse."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

# A pass for each layer and budget: as few tokens as there can be.
SMALL = ("--window", 64, "--probe", 8, "--calibration_windows", 1, "--windows", 1)


def write(path: Path, profile: dict[str, Any]) -> Path:
    path.write_text(json.dumps(profile), encoding="utf-8")
    return path


@pytest.mark.model
def test_a_profile_is_made_used_and_refused_for_another_model(
    run: Run, model_path: Path, source_file: Path, tmp_path: Path
) -> None:
    command = ("tune", "-m", model_path, "-f", source_file, *SMALL)
    result = run(*command, "--budget", 20, "--layers_only", "-o", "p.json")
    assert result.returncode == 0, result.stderr
    assert "| profile | k=20 |" in result.stdout
    assert "Against k=20, on text that it was not made from, the profile is " in result.stdout
    profile = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert profile["model"]["attention"] == [{"layers": 24, "heads": 14, "kv_heads": 2, "head_size": 64}]
    budgets = [layer["k"] for layer in profile["layers"]["measured"]]
    assert len(budgets) == 24
    assert len(set(budgets)) > 1
    assert 19 < sum(budgets) / 24 == profile["layers"]["mean_k"] <= 20
    assert all(point["mass"] < 1 + 1e-6 for layer in profile["layers"]["measured"] for point in layer["at"])
    # Fewer keys are felt more, in the layers and in the whole.
    kl = {point["k"]: point["kl"] for point in profile["layers"]["measured"][0]["at"]}
    assert kl[16] > 1e-5 > kl[55]
    assert kl[63] == 0, "nothing is lost with all keys"
    assert profile["held_out"]["fixed"]["kl"]["mean"] > 0

    # The layers need not be measured again. Of what keeps no more than the fixed budget the best is taken.
    again = run(*command, "--budget", 20, "-o", "q.json")
    assert again.returncode == 0, again.stderr
    assert "measuring the layers" not in again.stderr
    chosen = json.loads((tmp_path / "q.json").read_text(encoding="utf-8"))
    fixed, *others = chosen["tried"]
    assert fixed["settings"] == "k=20"
    allowed = [way for way in others if way["keys_per_row"] <= fixed["keys_per_row"]]
    base, *refinements = chosen["refined"]
    assert base["settings"] == min(allowed, key=lambda way: way["kl"])["settings"]
    assert {(way["dense_layers"], way["sinks"], way["temperature"]) for way in refinements} >= {
        (0, 0, 0.95),
        (0, 0, 1.05),
    }
    assert chosen["settings"] == base["settings"], "eight tokens show nothing"

    # The other aim takes the fewest keys that are near enough.
    near = run(*command, "--max_ppl_increase", "20%", "--layers_only", "-o", "r.json")
    assert near.returncode == 0, near.stderr
    assert "Perplexity was to rise by no more than 20.00 %: " in near.stdout
    tried = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["tried"]
    allowed = [way for way in tried if way["kl"] <= math.log(1.2)]
    fewest = min(allowed, key=lambda way: way["keys_per_row"])
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["settings"] == fewest["settings"]

    # Its settings reach every layer, and a flag wins over them.
    use = ("perplexity", "-m", model_path, "-f", source_file, "-c", 64, "--chunks", 1, "--use_top_k_attention")
    profiled = run(*use, "--top_k_attention_profile", "p.json", "--top_k_attention_stats", "s.json")
    assert profiled.returncode == 0, profiled.stderr
    settings = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["settings"]
    assert profile["settings"].partition(",")[2] in settings
    won = run(
        *use, "--top_k_attention_k", 9, "--top_k_attention_profile", "p.json", "--top_k_attention_stats", "s.json"
    )
    assert won.returncode == 0, won.stderr
    assert re.fullmatch(r"k=9,[^@]*", json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["settings"])

    # By the file, and where that is not known by what the attention looks like.
    profile["model"] |= {"name": "another.gguf", "fingerprint": "0" * 16}
    write(tmp_path / "other.json", profile)
    expected = f"the profile other.json was made for the model another.gguf (fingerprint {'0' * 16}), and this is "
    for refused in (
        run(*use, "--top_k_attention_profile", "other.json"),
        run("chat", "-m", model_path, "-p", "x", "--use_top_k_attention", "--top_k_attention_profile", "other.json"),
        run("eval", "-m", model_path, "-f", source_file, "--window", 64, "--setting", "profile=other.json"),
    ):
        assert refused.returncode == 2
        assert expected in refused.stderr
        assert model_path.name in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "--model is missing"),
        (("-m", "a.gguf", "-f", ".", "-o", "p"), "the aim is missing: give one of --budget 128"),
        (("-m", "a.gguf", "-f", ".", "--budget", "64"), "--output is missing"),
        (("-m", "a.gguf", "-f", "missing.txt", "-o", "p", "--budget", "64"), "cannot read missing.txt"),
        (("-m", "a.gguf", "-f", __file__, "-o", "no/p", "--budget", "64", "--work", "/dev/null/w"), "cannot make the"),
        (("-m", "a.gguf", "-f", __file__, "-o", "p", "--budget", "7"), "'7' is not an integer from 16 to 1024"),
    ],
)
def test_a_mistake_is_named_and_leaves_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    result = run("tune", *arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []
