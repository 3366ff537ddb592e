"""What Qwen3Inference refuses: an error that names the value and the remedy, and all else stays as it was.

test_config.py and test_bad_input.py have the configuration and the attention alone, test_conversion_bad_input.py
checkpoints, test_script.py the script.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from qwen_infer import Qwen3Inference
from top_k_attention import TopKAttentionConfig

CODE, CAPITAL = "def fibonacci(n):", "The capital of France is"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model_name_or_path": 7}, TypeError, "model_name_or_path=7 must be a path"),
        ({"load_in_8bit": True, "load_in_4bit": True}, ValueError, "exclude each other"),
        ({"load_in_8bit": True}, ValueError, r"load_in_8bit=True converts checkpoints, and x\.gguf is a GGUF file"),
        ({"use_top_k_attention": 1}, TypeError, "use_top_k_attention=1 is a int"),
        ({"use_top_k_attention": True, "use_flash_attention": False}, ValueError, "leave one of the two out"),
        ({"top_k_attention_config": TopKAttentionConfig()}, ValueError, "without use_top_k_attention=True"),
        ({"use_top_k_attention": True, "top_k_attention_config": 32}, TypeError, "must be a TopKAttentionConfig"),
        ({"context_length": 0}, ValueError, "context_length=0 must be an integer from 1 to 1073741824, or None"),
        ({"context_length": 10**12}, ValueError, "context_length=1000000000000"),
        ({"num_threads": -1}, ValueError, "num_threads=-1"),
        ({"kv_cache_type": "int8"}, ValueError, "kv_cache_type='int8' must be one of 'f32', 'f16', 'bf16', 'q8_0'"),
        ({"seed": "x"}, TypeError, "seed='x' must be an integer from 0"),
        ({"device": "cuda"}, ValueError, "device='cuda' must be 'cpu'"),
        ({"enable_thinking": "yes"}, TypeError, "enable_thinking='yes'"),
        ({"model_name_or_path": "missing.gguf"}, OSError, r"missing\.gguf: there is no such file"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Qwen3Inference(**{"model_name_or_path": "x.gguf", **arguments})


# Magic, version, number of tensors, number of metadata.
GGUF = b"GGUF" + struct.pack("<I", 3)
NO_MODELS = {
    "empty": (b"", "it is not a GGUF file"),
    "foreign": (b"no model", "it is not a GGUF file"),
    "magic_alone": (b"GGUF", "the file is damaged"),
    "negative_counts": (GGUF + struct.pack("<qq", -1, -1), "the file is damaged"),
    "no_tensors": (GGUF + bytes(64), "the file is damaged"),
    "absurd_tensors": (GGUF + struct.pack("<QQ", 2**60, 0), "the file is damaged"),
    "absurd_metadata": (GGUF + struct.pack("<QQ", 0, 2**60), "the file is damaged"),
}


@pytest.mark.parametrize("name", NO_MODELS)
def test_files_that_are_no_models_are_refused(name: str, tmp_path: Path) -> None:
    content, reason = NO_MODELS[name]
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(OSError, match=rf"cannot load the model .*bad\.gguf: {reason}"):
        Qwen3Inference(path)
    assert path.read_bytes() == content


def test_name_that_no_hub_knows_is_refused_with_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("QWEN_INFER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OSError, match=r"(?s)'Owner/No-Such-Model'.*Check the name"):
        Qwen3Inference("Owner/No-Such-Model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_truncated_model_is_refused(model_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.gguf"
    with model_path.open("rb") as file:
        path.write_bytes(file.read(8_000_000))
    with pytest.raises(OSError, match=r"half\.gguf: the file is damaged"):
        Qwen3Inference(path)


@pytest.mark.model
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prompt": ""}, ValueError, "the prompt is empty"),
        ({"prompt": None}, TypeError, "must be a str or a list"),
        ({"prompt": b"\xff"}, TypeError, "must be a str or a list"),
        ({"prompt": ["a", 1]}, TypeError, "must be a str or a list"),
        ({"prompt": "\ud800"}, ValueError, "lone surrogate at character 0"),
        ({"prompt": "word " * 3000}, ValueError, "context_length=2048 leaves no room for an answer: raise it"),
        ({"prompt": [CODE, "word " * 3000]}, ValueError, "context_length=2048"),
        ({"prompt": [CODE], "stream": True}, ValueError, "stream=True takes one prompt"),
        ({"max_new_tokens": 0}, ValueError, "max_new_tokens=0"),
        ({"max_new_tokens": 1.5}, TypeError, "max_new_tokens=1.5"),
        ({"temperature": -1}, ValueError, "temperature=-1 must be a number from 0 to 100"),
        ({"temperature": math.nan}, ValueError, "temperature=nan"),
        ({"temperature": "hot"}, TypeError, "temperature='hot'"),
        ({"top_p": 1.5}, ValueError, "top_p=1.5"),
        ({"top_k": 10**12}, ValueError, "top_k=1000000000000"),
        ({"min_p": -0.1}, ValueError, "min_p=-0.1"),
        ({"repetition_penalty": 0}, ValueError, "repetition_penalty=0"),
        ({"stop": 3}, TypeError, "stop=3"),
        ({"stop": ["a", ""]}, ValueError, "stop has an empty string"),
        ({"seed": 2**32}, ValueError, "seed=4294967296"),
    ],
)
def test_bad_requests_are_named_and_change_nothing(
    full: Qwen3Inference, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    full.generate(CAPITAL, max_new_tokens=1)
    with pytest.raises(error, match=message):
        full.generate(**{"prompt": CODE, **arguments})
    full.generate(CAPITAL, max_new_tokens=1)
    assert full.last_run["cached_tokens"] == full.last_run["prompt_tokens"] - 1


@pytest.mark.model
def test_other_bad_calls_are_named(full: Qwen3Inference, model_path: Path) -> None:
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    for messages, error in (
        *(([], ValueError), ([{"role": "user"}], ValueError), (image, ValueError)),
        *((["hello"], TypeError), (3, TypeError)),
    ):
        with pytest.raises(error):
            full.chat(messages)
    with pytest.raises(ValueError, match="the message is empty"):
        full.chat("")
    with pytest.raises(ValueError, match="template passes over messages of the role 'critic': use system, user"):
        full.chat([{"role": "user", "content": CAPITAL}, {"role": "critic", "content": "Be brief."}])
    with pytest.raises(RuntimeError, match="needs use_top_k_attention=True"):
        full.get_top_k_attention_stats()
    with pytest.raises(ValueError, match="perplexity needs 2"):
        full.perplexity("")
    with pytest.raises(ValueError, match="window=4096 must be from 2 to context_length=2048"):
        full.perplexity(CODE, window=4096)
    with pytest.raises(ValueError, match="token 2147483647 is not from 0"):
        full.detokenize([2**31 - 1])
    with pytest.raises(ValueError, match=r"(?s)k=0.*Allowed settings"):
        Qwen3Inference(model_path, True, "k=0")
    with pytest.raises(ValueError, match=r"(?s)k=1000000000000.*Allowed settings"):
        Qwen3Inference(model_path, True, "k=1000000000000")
    with pytest.raises(ValueError, match="temperature=-1"):
        Qwen3Inference(model_path, True, "temperature=-1")
    with pytest.raises(ValueError, match=r"(?s)budget.*Allowed settings"):
        Qwen3Inference(model_path, True, "budget=3")
    with pytest.raises(ValueError, match="temperature=nan"):
        Qwen3Inference(model_path, True, "temperature=nan")
    with pytest.raises(ValueError, match="k@99=4 is about layer 99, and the model has 24 layers, 0 to 23"):
        Qwen3Inference(model_path, True, "k@99=4")
    closed = Qwen3Inference(model_path, context_length=256)
    closed.close()
    assert repr(closed) == "Qwen3Inference(closed)"
    with pytest.raises(RuntimeError, match="closed"):
        closed.generate(CODE)
