"""TopKAttentionConfig.from_profile: what it takes from a file, what wins over it, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from top_k_attention import TopKAttentionConfig, create_top_k_attention_layer


def write_profile(path: Path, **changes: Any) -> Path:  # noqa: ANN401
    fields: dict[str, Any] = {
        "format": "qwen-infer profile 1",
        "model": {
            "name": "another.gguf",
            "fingerprint": "0123456789abcdef",
            "attention": [{"layers": 2, "heads": 4, "kv_heads": 2, "head_size": 64}],
        },
        "settings": "k=128,k@0=200,temperature=0.9",
    }
    path.write_text(json.dumps(fields | changes), encoding="utf-8")
    return path


def test_takes_what_holds_for_all_layers_and_keeps_the_file(tmp_path: Path) -> None:
    path = write_profile(tmp_path / "p.json")
    config = TopKAttentionConfig.from_profile(path)
    assert config == TopKAttentionConfig(k=128, temperature=0.9, profile=str(path))
    assert TopKAttentionConfig.from_json(config.to_json()) == config
    assert TopKAttentionConfig.from_profile(path, k=64).k == 64
    assert TopKAttentionConfig.from_profile(write_profile(path, settings="sinks=4")).k == TopKAttentionConfig().k
    assert TopKAttentionConfig.from_profile(write_profile(path, settings="k=auto,k@0=200")).k == "auto"


def test_is_refused_where_there_are_no_layers_of_a_model(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    config = TopKAttentionConfig.from_profile(write_profile(tmp_path / "p.json"))
    with pytest.raises(ValueError, match=r"a single layer knows none: TopKAttentionConfig\(k=128\)"):
        create_top_k_attention_layer(64, 4, config)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not valid JSON: is it complete?"),
        (b'{"format": "qwen-infer pro', "is not valid JSON: is it complete?"),
        pytest.param(b"[" * 100_000, "is not valid JSON: is it complete?", id="deep"),
        (b"\xff\xfe", "is not valid JSON: is it complete?"),
        (b"[]", "is no profile"),
        (b'{"format": "other"}', "is no profile"),
        (b'{"format": "qwen-infer profile 2"}', "has the format 'qwen-infer profile 2', and this program reads"),
        (b'{"format": "qwen-infer profile 1"}', "has no text in 'model.name'"),
        (b'{"format": "qwen-infer profile 1", "model": {"name": "a"}, "settings": 3}', "has no text in 'settings'"),
        (b'{"format": "qwen-infer profile 1", "model": {"name": "a"}, "settings": "k=x"}', "has k=x, which is no num"),
        pytest.param(b" " * ((1 << 22) + 1), "has more than 4194304 bytes", id="huge"),
    ],
)
def test_a_file_that_is_none_is_named_with_the_reason(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"p\.json") as caught:
        TopKAttentionConfig.from_profile(path)
    assert words in str(caught.value)


def test_numbers_out_of_range_are_refused_as_everywhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="k=0 must be an integer from 1"):
        TopKAttentionConfig.from_profile(write_profile(tmp_path / "p.json", settings="k=0"))
    with pytest.raises(FileNotFoundError, match=r"missing\.json"):
        TopKAttentionConfig.from_profile(tmp_path / "missing.json")
    with pytest.raises(ValueError, match="without commas"):
        TopKAttentionConfig.from_profile("a,b.json")


@pytest.mark.model
def test_a_profile_of_another_model_is_refused_naming_both(tmp_path: Path, model_path: Path) -> None:
    from qwen_infer import Qwen3Inference

    config = TopKAttentionConfig.from_profile(write_profile(tmp_path / "p.json"))
    with pytest.raises(ValueError, match=r"was made for the model another\.gguf") as caught:
        Qwen3Inference(model_path, use_top_k_attention=True, top_k_attention_config=config)
    assert model_path.name in str(caught.value)
