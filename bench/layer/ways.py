"""The ways to compute causal attention that are compared. q, k and v: [1, head, token, d] in f32.

Each way is a function of q, k and v; those of top-k attention are made for a k.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from top_k_attention import top_k_attention

Way = Callable[[Tensor, Tensor, Tensor], Tensor]

PAPER_CHUNK = 1024  # queries at a time, as in the paper's experiments


def torch_fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Full attention by torch's fused kernel."""
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def torch_naive(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Full attention as the formula reads, with all scores in memory."""
    n = q.shape[2]
    hidden = torch.ones(n, n, dtype=torch.bool, device=q.device).triu_(1)
    scores = (q / math.sqrt(q.shape[3])) @ k.transpose(2, 3)
    return scores.masked_fill_(hidden, -torch.inf).softmax(-1) @ v


def ours(top_k: int) -> Way:
    """Exact top-k attention by this project."""
    return lambda q, k, v: top_k_attention(q, k, v, top_k=top_k, is_causal=True)


def paper(top_k: int) -> Way:
    """Top-k attention as Gupta et al. (2021) compute it: chunks of queries, all scores of a chunk, torch.topk, softmax.

    With gradients each chunk is a checkpoint, computed again in the backward pass: so memory follows the chunk.
    """

    def chunk(q: Tensor, k: Tensor, v: Tensor, first: int) -> Tensor:
        scores = (q / math.sqrt(q.shape[3])) @ k.transpose(2, 3)
        position = torch.arange(first, first + q.shape[2], device=q.device).unsqueeze(1)
        scores = scores.masked_fill(torch.arange(k.shape[2], device=q.device) > position, -torch.inf)
        best = scores.topk(min(top_k, k.shape[2]), dim=-1)
        # Rows of fewer visible keys than k get hidden ones here, whose weight is exp(-inf).
        return torch.zeros_like(scores).scatter(-1, best.indices, best.values.softmax(-1)) @ v

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts = []
        for first in range(0, q.shape[2], PAPER_CHUNK):
            part = q[:, :, first : first + PAPER_CHUNK]
            if torch.is_grad_enabled():
                parts.append(checkpoint(chunk, part, k, v, first, use_reentrant=False))
            else:
                parts.append(chunk(part, k, v, first))
        return torch.cat(parts, 2)

    return attend
