"""Causal attention with all scores, in f64, and how far a computation in f32 may be from it.

What every result is checked against before its time counts. Full scores exist for a chunk of queries at a time, so that
any length fits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 2.0**-24  # largest relative error of one rounding to f32
CHUNK_SCORES = 1 << 24  # at a time: 128 MiB in f64, and a few arrays like it


class Results(NamedTuple):
    """The output, and the gradients if there are any."""

    out: Tensor
    grad_q: Tensor | None = None
    grad_k: Tensor | None = None
    grad_v: Tensor | None = None


@dataclass(frozen=True)
class Reference:
    """What is right, and for each number of it how far f32 may be off."""

    right: Results
    limit: Results
    in_doubt: Tensor  # [1, head, token], rows of which scores in f32 may choose other keys

    def check(self, name: str, results: Results, *, exact_choice: bool = True) -> None:
        """Raises ArithmeticError with the worst number, if any is out of its limit.

        Without exact_choice, rows in doubt are left out, and so are the gradients of k and v, to which they add.
        """
        for what, value, right, limit in zip(Results._fields, results, self.right, self.limit, strict=True):
            if value is None:
                continue
            off = (value.detach().double() - right).abs()
            if not exact_choice and bool(self.in_doubt.any()):
                if what in ("grad_k", "grad_v"):
                    continue
                off = off.masked_fill(self.in_doubt.unsqueeze(-1), 0)
            excess = off / limit.clamp(min=1e-300)
            if not bool((off <= limit).all()):  # NaN is not
                raise ArithmeticError(
                    f"{name} is wrong: {what} is up to {off.max().item():.3g} from the reference, "
                    f"{excess.nan_to_num(nan=torch.inf).max().item():.3g} times what rounding to f32 explains"
                )


def reference(q: Tensor, k: Tensor, v: Tensor, top_k: int | None, grad_out: Tensor | None = None) -> Reference:
    """Attention over the top_k best visible keys (None: all of them), and its gradients for grad_out.

    q, k, v, grad_out: [1, head, token, d] in f32.

    The limits, to first order and doubled for the rest, with u = EPSILON, gamma = (d + 4) u the rounding of a sum of d
    products, w the weights, s the scores and g = grad_out . v:
    - |s| <= S = scale |q|_2 |k|_2, so s is off by delta = gamma S, and w by 2 delta w;
    - the output sums w v over at most K kept keys: off by (2 delta + (K + 4) u) sum w |v|;
    - |g| <= G = |grad_out|_2 |v|_2 and is off by gamma G; the gradient of a score, w (g - sum w g), is then off by
      w G (6 delta + 2 gamma + (K + 4) u) and at most 2 w G itself; those of q and k sum it over K keys or R rows, that
      of v sums w grad_out over R rows. Each sum of N terms adds N u times its terms.
    A row whose k-th and next score are no more than 2 delta apart (doubled, too) is in doubt.
    """
    heads, n, d = q.shape[1:]
    keys = k.shape[2]
    scale = 1 / math.sqrt(d)
    kept_most = keys if top_k is None else min(top_k, keys)
    gamma = (max(d, v.shape[3]) + 4) * EPSILON

    right = Results(
        *(torch.zeros_like(x, dtype=torch.float64) for x in ((v, q, k, v) if grad_out is not None else (v,)))
    )
    limit = Results(*(None if x is None else torch.zeros_like(x) for x in right))
    in_doubt = torch.zeros(1, heads, n, dtype=torch.bool)
    step = max(1, CHUNK_SCORES // keys)
    for head in range(heads):
        qh, kh, vh = (x[0, head].detach().double() for x in (q, k, v))
        go = None if grad_out is None else grad_out[0, head].double()
        delta = gamma * scale * _longest(qh) * _longest(kh)
        largest = 0.0 if go is None else _longest(go) * _longest(vh)
        rows_of_keys = torch.zeros(keys, dtype=torch.float64)
        for first in range(0, n, step):
            rows = slice(first, min(first + step, n))
            seen = slice(0, min(rows.stop, keys))  # none of the chunk sees more
            ks, vs = kh[seen], vh[seen]
            weights, kept, margin = _weigh(qh[rows] @ ks.T * scale, first, top_k)
            in_doubt[0, head, rows] = margin <= 2 * 2 * delta
            right.out[0, head, rows] = weights @ vs
            limit.out[0, head, rows] = 2 * (2 * delta + (kept_most + 4) * EPSILON) * (weights @ vs.abs())
            if go is None:
                continue
            grad_weights = go[rows] @ vs.T
            grad_scores = weights * (grad_weights - (weights * grad_weights).sum(-1, keepdim=True))
            right.grad_q[0, head, rows] = scale * (grad_scores @ ks)
            right.grad_k[0, head, seen] += scale * (grad_scores.T @ qh[rows])
            right.grad_v[0, head, seen] += weights.T @ go[rows]
            limit.grad_q[0, head, rows] = weights @ ks.abs()
            limit.grad_k[0, head, seen] += weights.T @ qh[rows].abs()
            limit.grad_v[0, head, seen] += weights.T @ go[rows].abs()
            rows_of_keys[seen] += kept.sum(0)
        if go is not None:
            of_scores = 6 * delta + 2 * gamma + (kept_most + 4) * EPSILON
            rows_most = rows_of_keys.max().item()
            limit.grad_q[0, head] *= 2 * scale * largest * (of_scores + 2 * kept_most * EPSILON)
            limit.grad_k[0, head] *= 2 * scale * largest * (of_scores + 2 * rows_most * EPSILON)
            limit.grad_v[0, head] *= 2 * (2 * delta + (kept_most + 4 + rows_most) * EPSILON)
    return Reference(right, limit, in_doubt)


def _longest(rows: Tensor) -> float:
    return rows.norm(dim=-1).max().item()


def _weigh(scores: Tensor, first: int, top_k: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Of a chunk of queries, the first of which is `first`: weights, which keys are kept, and by what margin.

    The margin is how far the last kept score is above the next one. Overwrites the scores.
    """
    visible = torch.arange(scores.shape[1]) <= torch.arange(first, first + scores.shape[0]).unsqueeze(1)
    scores.masked_fill_(~visible, -torch.inf)
    kept, margin = visible, scores.new_full((scores.shape[0],), torch.inf)
    if top_k is not None and top_k < scores.shape[1]:
        best = scores.topk(top_k + 1).values
        kept = visible & (scores >= best[:, -2:-1])
        margin = (best[:, -2] - best[:, -1]).nan_to_num(nan=torch.inf)  # NaN: fewer than top_k are visible
    return scores.masked_fill_(~kept, -torch.inf).softmax(-1), kept, margin
