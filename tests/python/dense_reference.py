"""Top-k attention as its definition reads, in f64 with all scores, and how far f32 may be from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

EPSILON = 2.0**-24  # largest relative error of one rounding to f32


@dataclass(frozen=True)
class Reference:
    """Shapes are [batch, head, query, ...]."""

    out: Tensor
    weights: Tensor  # [batch, head, query, key], after dropout
    kept: Tensor  # bool, the same shape
    mass: Tensor  # [batch, head, query]


def dense_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    top_k: int,
    *,
    added: Tensor | None = None,
    visible: Tensor | None = None,
    scale: float | None = None,
    softcap: float = 0.0,
    activation: str = "softmax",
    factors: Tensor | float = 1.0,
    sinks: int = 0,
    window: int = 0,
    min_mass: float = 0.0,
) -> Reference:
    """Differentiable in q, k, v and added; the selection is a constant. q may have a multiple of the heads of k."""
    group = q.shape[1] // k.shape[1]
    k, v = (x.repeat_interleave(group, 1) for x in (k, v))
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = scale * (q.double() @ k.double().transpose(2, 3))
    if softcap > 0:
        scores = softcap * torch.tanh(scores / softcap)
    if added is not None:
        scores = scores + added.double()
    see = torch.ones_like(scores, dtype=torch.bool) if visible is None else visible.expand_as(scores)
    if added is not None:
        see = see & (added != -torch.inf)
    hidden_scores = scores.detach().masked_fill(~see, -torch.inf)
    log_sum_all = hidden_scores.logsumexp(-1)
    position = see.cumsum(-1)
    forced = see & ((position <= sinks) | (position > position[..., -1:] - window))
    competing = see & ~forced
    # A stable sort leaves equal scores in the order of keys.
    order = hidden_scores.masked_fill(~competing, -torch.inf).sort(dim=-1, descending=True, stable=True).indices
    budget = competing.sum(-1, keepdim=True).clamp(max=top_k)
    if min_mass > 0:
        share = (hidden_scores - log_sum_all.unsqueeze(-1)).exp().masked_fill(~see, 0)
        best = share.masked_fill(~competing, 0).gather(-1, order)
        mass = share.masked_fill(~forced, 0).sum(-1, keepdim=True) + best.cumsum(-1)
        budget = budget.maximum((mass < min_mass).sum(-1, keepdim=True) + 1)
    rank = torch.zeros_like(order).scatter(-1, order, torch.arange(order.shape[-1]).expand_as(order))
    kept = forced | (competing & (rank < budget))
    if activation == "relu":
        weights = scores.clamp(min=0).masked_fill(~kept, 0)
    else:
        weights = scores.masked_fill(~kept, -torch.inf).softmax(-1).masked_fill(~kept, 0)
    mass = (hidden_scores.masked_fill(~kept, -torch.inf).logsumexp(-1) - log_sum_all).exp()
    weights = weights * factors
    return Reference(weights @ v.double(), weights, kept, mass)


@dataclass(frozen=True)
class Tolerance:
    """Largest distances from the f64 result of a computation in f32 on the same numbers."""

    out: float
    q: float
    k: float
    v: float


def tolerance(
    q: Tensor, k: Tensor, v: Tensor, grad_out: Tensor | None = None, *, scale: float, largest_factor: float = 1.0
) -> Tolerance:
    """Bounds for softmax; the sums of f32 products of d numbers round by gamma = (d + 4) eps relative to their size.

    A score is off by at most delta = gamma scale sum|q_i k_i|, so a weight by 2 delta of itself, to first order, and as
    weights sum to 1 the output by 2 delta max|v|. With g_j = go.v_j, |g_j| <= G, d_score_j = w_j (g_j - sum w g) is
    off by at most w_j (2 delta 2 G + 2 delta G + 2 gamma G), and so on outwards; sums over n keys or rows add n eps.
    Dropout multiplies what goes through weights by at most largest_factor. All is doubled for the second order.
    """
    keys = k.shape[2]
    rows = q.shape[2] * (q.shape[1] // k.shape[1])
    gamma = (max(q.shape[3], v.shape[3]) + 4) * EPSILON
    group = q.shape[1] // k.shape[1]
    products = scale * (q.double().abs() @ k.double().abs().repeat_interleave(group, 1).transpose(2, 3)).max().item()
    delta = gamma * products
    top = [x.double().abs().max().item() for x in (q, k, v)]
    weight = 2 * delta + (keys + 4) * EPSILON
    out = 2 * largest_factor * weight * top[2]
    if grad_out is None:
        return Tolerance(out, 0, 0, 0)
    values = v.double().abs().repeat_interleave(group, 1).transpose(2, 3)
    g = largest_factor * (grad_out.double().abs() @ values).max().item()
    score = 2 * (3 * weight + 2 * gamma + keys * EPSILON) * g
    return Tolerance(
        out,
        2 * scale * score * top[1],
        2 * scale * (score + 2 * g * rows * EPSILON) * top[0] * rows,
        2 * largest_factor * (weight + rows * EPSILON) * grad_out.abs().max().item() * rows,
    )
