"""A real checkpoint: the demo's model in transformers' form, and what becomes of it on the way back."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import gguf
import pytest
import torch
import transformers
from checkpoints import make_checkpoint, reference, reference_perplexity

from qwen_infer import Qwen3Inference, hf
from top_k_attention import TopKAttentionConfig

pytestmark = pytest.mark.model

K = 16  # so few that the difference from full attention can be seen
PROMPT = "def fibonacci(n):"
N_GREEDY = 16
TEXT_BYTES = 4000  # about 1,000 tokens
TOLERANCE = 0.005


@pytest.fixture(scope="module")
def checkpoint(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's model as transformers reads and saves it, in bf16."""
    folder = tmp_path_factory.mktemp("real") / "Qwen2.5-Coder-0.5B-Instruct"
    with pytest.MonkeyPatch.context() as patch:
        # transformers parses the file three times, which takes 7 seconds each.
        patch.setattr(gguf, "GGUFReader", functools.cache(gguf.GGUFReader))
        source = {"pretrained_model_name_or_path": model_path.parent, "gguf_file": model_path.name}
        transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    # It is not quantized any more, but transformers refuses to save what was.
    del model.hf_quantizer, model.config.quantization_config
    model.is_quantized = False
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def text(long_text: str) -> str:
    return long_text[:TEXT_BYTES]


@pytest.fixture(scope="module")
def dense(checkpoint: Path) -> transformers.PreTrainedModel:
    return reference(checkpoint)


@pytest.fixture(scope="module")
def inference(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qwen3Inference]:
    """The description's advanced example with this model."""
    config = TopKAttentionConfig(
        k=K, temperature=1.0, use_sparse=True, fallback_full_attention=True, enable_memory_tracking=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QWEN_INFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = Qwen3Inference(
            model_name_or_path=str(checkpoint),
            use_top_k_attention=True,
            top_k_attention_config=config,
            load_in_8bit=True,
            use_flash_attention=True,
            context_length=2048,
        )
    with made:
        yield made


def test_greedy_tokens_are_those_of_transformers(
    inference: Qwen3Inference, dense: transformers.PreTrainedModel
) -> None:
    inference.set_top_k_attention("k=2048")
    tokens = inference.tokenize(PROMPT)
    theirs = dense.generate(torch.tensor([tokens]), max_new_tokens=N_GREEDY, do_sample=False)[0, len(tokens) :]
    ours = inference.generate(PROMPT, max_new_tokens=N_GREEDY, temperature=0)
    assert inference.tokenize(ours) == theirs.tolist()


def test_perplexity_at_8_bits_is_that_of_transformers(
    inference: Qwen3Inference, dense: transformers.PreTrainedModel, text: str
) -> None:
    inference.set_top_k_attention("k=2048")
    theirs = reference_perplexity(dense, inference.tokenize(text))
    assert inference.perplexity(text) == pytest.approx(theirs, rel=TOLERANCE)


def test_top_k_attention_is_the_same_in_both(
    inference: Qwen3Inference, dense: transformers.PreTrainedModel, text: str
) -> None:
    hf.register()
    tokens = inference.tokenize(text)
    full = reference_perplexity(dense, tokens)
    dense.set_attn_implementation(f"topk:k={K}")
    try:
        theirs = reference_perplexity(dense, tokens)
    finally:
        dense.set_attn_implementation("sdpa")
    inference.set_top_k_attention(f"k={K},sparse=on")
    assert inference.perplexity(text) == pytest.approx(theirs, rel=TOLERANCE)
    assert abs(theirs / full - 1) > 2 * TOLERANCE


def test_tokenizer_and_chat_template_came_along(inference: Qwen3Inference, checkpoint: Path, text: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    assert inference.tokenize(text) == tokenizer.encode(text)
    assert "Paris" in inference.chat("What is the capital of France? One word.", temperature=0, max_new_tokens=16)


def test_mixture_of_experts_predicts_as_in_transformers(
    checkpoint: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QWEN_INFER_CACHE", str(tmp_path / "cache"))
    folder = make_checkpoint(tmp_path / "Tiny-Qwen3-MoE", "Qwen3Moe", tokenizer=checkpoint)
    text = text[:1000]
    with Qwen3Inference(folder, context_length=512, kv_cache_type="f32") as inference:
        assert "qwen3moe" in repr(inference)
        ours = inference.perplexity(text)
        tokens = inference.tokenize(text)
    # Where two experts are close, the rounding of activations to bf16 decides between them.
    assert ours == pytest.approx(reference_perplexity(reference(folder), tokens), rel=0.05)
