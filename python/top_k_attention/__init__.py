"""Exact top-k attention: each query scores all keys, keeps the k best and attends to those alone.

    from top_k_attention import top_k_attention, TopKAttention, TopKAttentionConfig, create_top_k_attention_layer

`top_k_attention` and `top_k_feed_forward` take numpy arrays, torch tensors and what else speaks DLPack. The layer
needs torch, which is imported with it: pip install "qwen-infer[torch]". `plot_attention_pattern` draws what was kept
and needs matplotlib: pip install "qwen-infer[plot]".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from top_k_attention.source_tree import why_no_kernels

if reason := why_no_kernels():
    raise ImportError(reason)

from top_k_attention.budget import budget_for
from top_k_attention.config import TopKAttentionConfig
from top_k_attention.function import top_k_attention, top_k_feed_forward
from top_k_attention.plot import plot_attention_pattern

if TYPE_CHECKING:
    from top_k_attention.layer import TopKAttention, create_top_k_attention_layer

__all__ = [
    "TopKAttention",
    "TopKAttentionConfig",
    "budget_for",
    "create_top_k_attention_layer",
    "plot_attention_pattern",
    "top_k_attention",
    "top_k_feed_forward",
]

_OF_THE_LAYER = ("TopKAttention", "create_top_k_attention_layer")


def __getattr__(name: str) -> object:
    """The parts that need torch, when they are asked for."""
    if name not in _OF_THE_LAYER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ImportError(f'{name} needs torch: pip install "qwen-infer[torch]" ({error})') from error
    from top_k_attention import layer

    return getattr(layer, name)


def __dir__() -> list[str]:
    """With the lazy names."""
    return sorted({*globals(), *__all__})
