"""Checks of what the package is used with and by: configuration, errors, torch, transformers, model inference."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import qwen_infer
from self_test.report import UnavailableError, require
from top_k_attention import TopKAttention, TopKAttentionConfig, create_top_k_attention_layer, top_k_attention


def configuration() -> str:
    """A configuration survives dict and JSON, and its layer has its settings."""
    config = TopKAttentionConfig(k=64, temperature=0.8, use_sparse=True, fallback_full_attention=False)
    require(TopKAttentionConfig.from_dict(config.to_dict()) == config, "to_dict and from_dict")
    require(TopKAttentionConfig.from_json(config.to_json()) == config, "to_json and from_json")
    layer = create_top_k_attention_layer(64, 4, config)
    for name, value in config.to_dict().items():
        require(getattr(layer, name) == value, f"the layer has {name}={getattr(layer, name)!r}, not {value!r}")
    return config.to_json()


def recommendations() -> str:
    """Recommended budgets do not fall as texts get longer."""
    lengths = (256, 512, 1024, 2048, 4096, 32768)
    configs = [TopKAttentionConfig.recommended(length) for length in lengths]
    budgets = [config.k_for(length) for config, length in zip(configs, lengths, strict=True)]
    require(budgets == sorted(budgets), f"budgets {budgets} fall")
    return ", ".join(f"{length}: {config.k}" for config, length in zip(configs, lengths, strict=True))


def error_of(call: Callable[[], object]) -> str:
    """What a call that must be refused says; nothing if it is not."""
    try:
        call()
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def errors() -> str:
    """Bad arguments raise errors that name them, and never crash."""
    q = torch.randn(1, 4, 10, 16)
    layer = TopKAttention(64, 4)
    bad: dict[str, tuple[str, Callable[[], object]]] = {
        "k of 0": ("k=0", lambda: TopKAttentionConfig(k=0)),
        "k of the wrong type": ("k=2.5", lambda: TopKAttentionConfig(k=2.5)),
        "temperature of NaN": ("temperature=nan", lambda: TopKAttentionConfig(temperature=float("nan"))),
        "unknown field": ("kk", lambda: TopKAttentionConfig.from_dict({"kk": 1})),
        "heads that do not divide": ("embed_dim=64", lambda: TopKAttention(64, 5)),
        "input of the wrong size": ("query.shape", lambda: layer(torch.randn(2, 5, 32))),
        "mask of the wrong shape": ("attn_mask.shape", lambda: layer(torch.randn(2, 5, 64), attn_mask=q[0, 0] > 0)),
        "top_k below 1": ("top_k=-1", lambda: top_k_attention(q, q, q, top_k=-1)),
        "keys without values": ("v.shape", lambda: top_k_attention(q, q, q[:, :, :5], top_k=4)),
        "integers": ("q.dtype", lambda: top_k_attention(q.int(), q, q, top_k=4)),
        "k above n without fallback": (
            "top_k=11",
            lambda: top_k_attention(q, q, q, top_k=11, fallback_full_attention=False),
        ),
    }
    for what, (words, call) in bad.items():
        said = error_of(call)
        require(words in said, f"{what}: the error does not name {words}: {said or 'there is none'}")
    return f"{len(bad)} mistakes"


def state_dicts() -> str:
    """State dicts load from nn.MultiheadAttention and back."""
    theirs, ours = nn.MultiheadAttention(64, 4), TopKAttention(64, 4, batch_first=False)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    return f"{len(ours.state_dict())} tensors"


def checkpoints() -> str:
    """torch.utils.checkpoint gives the same gradients, dropout included."""
    layer = TopKAttention(64, 4, k=8, dropout=0.2, causal=True)
    x = torch.randn(2, 40, 64)
    gradients = []
    for run in (layer, lambda y: checkpoint(layer, y, use_reentrant=False)):
        torch.manual_seed(3)
        y = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(run(y).square().sum(), [y, *layer.parameters()]))
    require(all(map(torch.equal, *gradients)), "gradients differ")
    return f"{len(gradients[0])} gradients, bit by bit"


def transformers_models() -> str:
    """A small random Qwen2 of transformers runs with attn_implementation="topk"."""
    if importlib.util.find_spec("transformers") is None:
        raise UnavailableError('transformers is not installed: pip install ".[hf]"')
    from transformers import AutoModelForCausalLM, Qwen2Config

    import qwen_infer.hf

    qwen_infer.hf.register()
    torch.manual_seed(0)
    config = partial(
        Qwen2Config,
        vocab_size=100,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,  # sharp attention: the usual 0.02 makes it almost uniform
    )
    # A configuration for each model: a model writes its attn_implementation into it.
    full = AutoModelForCausalLM.from_config(config(), attn_implementation="sdpa").eval()
    tokens = torch.randint(100, (2, 40))
    off = {}
    for name in ("topk:k=1000", "topk:k=4"):
        selective = AutoModelForCausalLM.from_config(config(), attn_implementation=name).eval()
        selective.load_state_dict(full.state_dict())
        with torch.no_grad():
            off[name] = (selective(tokens).logits - full(tokens).logits).abs().max().item()
    # Two layers of sums of at most 96 products: a thousand roundings of numbers around 1 at most; both sides round.
    limit = 2 * 1000 * 2.0**-24
    require(
        off["topk:k=1000"] <= limit, f"with all keys kept, logits are {off['topk:k=1000']:.3g} off, not {limit:.3g}"
    )
    require(off["topk:k=4"] > limit, "with k = 4 logits are those of full attention, so k is not used")
    return f"all keys kept: off by {off['topk:k=1000']:.1g}; k = 4: by {off['topk:k=4']:.1g}"


def model_inference() -> str:
    """qwen_infer.Qwen3Inference."""
    for name in ("generate", "get_top_k_attention_stats"):
        require(callable(getattr(qwen_infer.Qwen3Inference, name, None)), f"it has no method {name}")
    return "has generate and get_top_k_attention_stats; its own tests run models"


CHECKS = (configuration, recommendations, errors, state_dicts, checkpoints, transformers_models, model_inference)
