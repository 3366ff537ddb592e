"""Settings of top-k attention."""

from __future__ import annotations

import json

import numpy as np
import pytest

from top_k_attention import TopKAttentionConfig, budget_for


def test_defaults_are_those_documented() -> None:
    config = TopKAttentionConfig()
    assert config.to_dict() == {
        "k": 32,
        "temperature": 1.0,
        "use_sparse": False,
        "fallback_full_attention": True,
        "enable_memory_tracking": True,
    }
    assert TopKAttentionConfig(64, 0.8, True, False, False).k == 64  # the order of positional arguments


def test_config_survives_dict_and_json() -> None:
    config = TopKAttentionConfig(k="auto", temperature=0.5, use_sparse=True, fallback_full_attention=False)
    assert TopKAttentionConfig.from_dict(config.to_dict()) == config
    assert TopKAttentionConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["k"] == "auto"
    assert config != TopKAttentionConfig()
    assert eval(repr(config)) == config  # noqa: S307 - of a string made here


def test_numbers_of_other_types_become_pythons_so_that_json_has_them() -> None:
    config = TopKAttentionConfig(k=np.int64(64), temperature=np.float32(0.5))
    assert TopKAttentionConfig.from_json(config.to_json()) == config == TopKAttentionConfig(k=64, temperature=0.5)
    assert TopKAttentionConfig(temperature=1).to_json() == TopKAttentionConfig().to_json()


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"k": 0}, ValueError, ("k=0", "1 to 1073741824", "auto")),
        ({"k": -3}, ValueError, ("k=-3",)),
        ({"k": 10**12}, ValueError, ("k=1000000000000",)),
        ({"k": 2.5}, TypeError, ("k=2.5", "float")),
        ({"k": True}, TypeError, ("k=True", "bool")),
        ({"k": "all"}, TypeError, ("k='all'",)),
        ({"k": None}, TypeError, ("k=None",)),
        ({"temperature": 0.0}, ValueError, ("temperature=0.0", "0.001 to 1000")),
        ({"temperature": -1.0}, ValueError, ("temperature=-1.0",)),
        ({"temperature": float("nan")}, ValueError, ("temperature=nan",)),
        ({"temperature": float("inf")}, ValueError, ("temperature=inf",)),
        ({"temperature": "hot"}, TypeError, ("temperature='hot'",)),
        ({"use_sparse": 1}, TypeError, ("use_sparse=1", "True or False")),
        ({"fallback_full_attention": "yes"}, TypeError, ("fallback_full_attention='yes'",)),
        ({"enable_memory_tracking": None}, TypeError, ("enable_memory_tracking=None",)),
    ],
)
def test_bad_field_is_named_with_what_is_allowed(
    fields: dict[str, object], error: type[Exception], words: tuple[str, ...]
) -> None:
    with pytest.raises(error) as caught:
        TopKAttentionConfig(**fields)
    assert all(word in str(caught.value) for word in words)


def test_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'temprature'.*temperature"):
        TopKAttentionConfig.from_dict({"temprature": 1.0})
    with pytest.raises(TypeError, match="list"):
        TopKAttentionConfig.from_json("[]")
    with pytest.raises(ValueError, match="'k' stands twice"):
        TopKAttentionConfig.from_json('{"k": 1, "k": 2}')
    with pytest.raises(ValueError, match="no JSON"):
        TopKAttentionConfig.from_json("{k: 1}")


@pytest.mark.parametrize("length", [1, 512, 2048, 4096, 1 << 20])
def test_automatic_budgets_follow_the_length(length: int) -> None:
    assert TopKAttentionConfig(k="auto").k_for(length) == budget_for(length)
    assert TopKAttentionConfig(k=7).k_for(length) == 7


def test_use_cases_have_recommended_budgets() -> None:
    for use_case, tokens in (("chat", 512), ("qa", 512), ("document", 2048), ("long_context", 4096)):
        assert TopKAttentionConfig.recommended(use_case) == TopKAttentionConfig.recommended(tokens)
    with pytest.raises(ValueError, match=r"'poetry'.*chat, qa, document, long_context"):
        TopKAttentionConfig.recommended("poetry")
    with pytest.raises(ValueError, match="sequence_length=0"):
        TopKAttentionConfig.recommended(0)
    with pytest.raises(TypeError, match="None"):
        TopKAttentionConfig.recommended(None)
