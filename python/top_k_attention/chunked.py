"""Top-k attention in plain torch, for every device and for f64: what the kernel library does, at torch's speed.

The same semantics as include/topk/attention.h: the k largest scores of each row, equal ones the lowest key first, NaN
lowest. Scores exist for a chunk of rows at a time, never for all of them. Shapes are [batch, head, token, d].
But V is multiplied with weights that are 0 where a key is not kept: a value there that is not finite makes NaN of the
row, as in torch's own attention; the kernel library does not read it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import _topk
import torch
from torch import Tensor

from top_k_attention.budget import AUTO
from top_k_attention.dropout import dropout_factors
from top_k_attention.options import AttentionOptions

CHUNK_SCORES = 1 << 22  # scores at a time: 16 MiB in f32, and a few arrays like it beside them

# rows, rows that kept all they see, keys seen, keys kept, rows whose mass was measured, sum and minimum of it, bytes of
# scratch
STATISTICS_SIZE = 8
ROWS, FULL_ROWS, MASS_MIN, SCRATCH = 0, 1, 6, 7


@dataclass(frozen=True)
class Chunk:
    """Some queries of some sequences, with all heads; its rows follow each other in the order [batch, query, head]."""

    batch: slice
    query: slice
    first_row: int
    last_row: int  # exclusive


def chunks(batch: int, heads: int, queries: int, keys: int) -> Iterator[Chunk]:
    """All rows in order: whole sequences while several fit into a chunk, else pieces of one."""
    per_query = heads * max(keys, 1)
    sequences = max(1, CHUNK_SCORES // max(1, queries * per_query))
    step = queries if queries * per_query <= CHUNK_SCORES else max(1, CHUNK_SCORES // per_query)
    for b in range(0, batch, sequences):
        b_end = min(b + sequences, batch)
        for i in range(0, queries, max(step, 1)):
            i_end = min(i + step, queries)
            first = (b * queries + i) * heads
            yield Chunk(slice(b, b_end), slice(i, i_end), first, first + (b_end - b) * (i_end - i) * heads)


def compute_type(dtype: torch.dtype) -> torch.dtype:
    """Of scores and weights."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _grouped(x: Tensor, heads_kv: int) -> Tensor:
    """[batch, head, c, d] as [batch, KV head, (heads of the group) * c, d]: K and V need not be repeated."""
    return x.reshape(x.shape[0], heads_kv, -1, x.shape[3])


def _visible(mask: Tensor | None, causal: bool, chunk: Chunk, queries: int, keys: int, device: torch.device) -> Tensor:
    """[1 or batch, 1 or head, query, key] of the chunk; mask is that of the chunk."""
    key = torch.arange(keys, device=device)
    if causal:
        query = torch.arange(chunk.query.start, chunk.query.stop, device=device)
        visible = (key <= keys - queries + query.unsqueeze(1))[None, None]
    else:
        visible = torch.ones(1, 1, 1, keys, dtype=torch.bool, device=device)
    return visible if mask is None else visible & (mask != -torch.inf)


@functools.lru_cache(maxsize=8)
def _auto_budgets(keys: int, device: torch.device) -> Tensor:
    """By the number of keys that a row sees, of so many."""
    return torch.from_dlpack(_topk.auto_budgets(keys)).to(device)


def _budgets(visible: Tensor, keys: int, options: AttentionOptions) -> Tensor | int:
    """Of rows that see so many of the keys each."""
    return options.top_k if options.top_k != AUTO else _auto_budgets(keys, visible.device)[visible]


def _select(scores: Tensor, visible: Tensor, options: AttentionOptions, log_sum_all: Tensor | None) -> Tensor:
    """Which keys each row keeps. log_sum_all: of the visible keys' exp(score), needed for min_mass only."""
    position = visible.cumsum(-1)
    count = position[..., -1:]
    forced = visible & ((position <= options.sinks) | (position > count - options.window))
    competing = visible & ~forced
    # Visible keys rank above hidden ones whatever their score is, NaN included.
    lowest = torch.finfo(scores.dtype).min
    rank = torch.nan_to_num(scores, nan=lowest, posinf=torch.inf, neginf=lowest).masked_fill(~competing, -torch.inf)
    best = rank.topk(min(options.largest_budget, rank.shape[-1]), dim=-1).values
    n_competing = competing.sum(-1, keepdim=True)
    budget = n_competing.clamp(max=_budgets(count, rank.shape[-1], options)).expand(*rank.shape[:-1], 1)
    if log_sum_all is not None:
        share = (scores - log_sum_all).exp()
        kept = share.masked_fill(~forced, 0).sum(-1, keepdim=True)
        mass = kept + (best - log_sum_all).exp().cumsum(-1)
        short = (mass < options.min_mass).sum(-1, keepdim=True)  # budgets that are too small, from 1 on
        enough = torch.where(kept < options.min_mass, short + 1, torch.zeros_like(short))
        budget = torch.maximum(budget, torch.minimum(enough, n_competing.clamp(max=options.largest_budget)))
    threshold = best.gather(-1, (budget - 1).clamp(min=0))
    above = rank > threshold
    equal = (rank == threshold) & competing
    left = budget - above.sum(-1, keepdim=True)
    return above | (equal & (equal.cumsum(-1) <= left)) | forced


def _weigh(scores: Tensor, selected: Tensor, activation: str, sink_logits: Tensor | None) -> Tensor:
    """Weights of the selection, 0 elsewhere; a row without keys gives zeros. sink_logits: in the denominator only."""
    if activation == "relu":
        return scores.clamp(min=0).masked_fill(~selected, 0)
    kept = scores.masked_fill(~selected, -torch.inf)
    if sink_logits is not None:
        column = sink_logits.to(kept).view(1, -1, 1, 1).expand(*kept.shape[:3], 1)
        return torch.cat([kept, column], -1).softmax(-1)[..., :-1]
    return kept.softmax(-1).masked_fill(~selected, 0)


def _count(
    scores: Tensor, visible: Tensor, selected: Tensor, options: AttentionOptions, log_sum_all: Tensor | None
) -> Tensor:
    """The chunk's part of the statistics, without scratch."""
    seen = visible.sum(-1).expand(selected.shape[:-1]).double()
    kept = selected.sum(-1).double()
    sums = [torch.ones_like(seen).sum(), (seen == kept).sum(), seen.sum(), kept.sum()]
    if options.mass == "off" and options.min_mass == 0:
        return torch.stack([*(s.double() for s in sums), *seen.new_tensor([0.0, 0.0, 1.0])])
    if log_sum_all is None:
        log_sum_all = scores.masked_fill(~visible, -torch.inf).logsumexp(-1, keepdim=True)
    log_sum_kept = scores.masked_fill(~selected, -torch.inf).logsumexp(-1)
    mass = (log_sum_kept - log_sum_all.squeeze(-1)).exp().double().clamp(max=1)
    measured = (seen > 0) & ~mass.isnan()
    if options.mass == "sampled" and options.min_mass == 0:
        is_long = seen > _topk.MASS_LONG_ROW
        measured &= seen % torch.where(is_long, _topk.MASS_LONG_SAMPLING_PERIOD, _topk.MASS_SAMPLING_PERIOD) == 0
    sums += [measured.sum(), mass.masked_fill(~measured, 0).sum(), mass.masked_fill(~measured, 1).min()]
    return torch.stack([s.double() for s in sums])


def _scores(q: Tensor, k: Tensor, options: AttentionOptions, mask: Tensor | None) -> Tensor:
    """[batch, head, query, key] of a chunk."""
    scores = (_grouped(q, k.shape[1]) @ k.transpose(2, 3)).reshape(*q.shape[:3], k.shape[2]) * options.scale
    if options.softcap > 0:
        scores = options.softcap * torch.tanh(scores / options.softcap)
    return scores if mask is None else scores + mask


def _part(mask: Tensor | None, chunk: Chunk, dtype: torch.dtype) -> Tensor | None:
    """Of the mask, for the chunk."""
    if mask is None:
        return None
    part = mask if mask.shape[0] == 1 else mask[chunk.batch]
    part = part if mask.shape[2] == 1 else part[:, :, chunk.query]
    return part.to(dtype)


def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sink_logits: Tensor | None,
    seed: int,
    options: AttentionOptions,
    select: bool,
    out: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fills `out`; returns row_offsets, keys and weights (empty unless select) and the statistics, on the CPU."""
    batch, heads, queries, _ = q.shape
    keys, dtype = k.shape[2], compute_type(q.dtype)
    offsets = torch.zeros(batch * queries * heads + 1 if select else 0, dtype=torch.int64, device=q.device)
    size = options.selection_size(batch * queries * heads, keys) if select else 0
    kept_keys = torch.zeros(size, dtype=torch.int32, device=q.device)
    weights_of_kept = torch.zeros(size, dtype=dtype, device=q.device)
    totals = torch.zeros(STATISTICS_SIZE, dtype=torch.float64, device="cpu")
    totals[MASS_MIN] = 1
    if keys == 0:
        out.zero_()
        totals[ROWS] = totals[FULL_ROWS] = batch * queries * heads
        return offsets, kept_keys, weights_of_kept, totals
    k, v, end = k.to(dtype), v.to(dtype), 0
    for chunk in chunks(batch, heads, queries, keys):
        part = _part(mask, chunk, dtype)
        k_part, v_part = k[chunk.batch], v[chunk.batch]
        scores = _scores(q[chunk.batch, :, chunk.query].to(dtype), k_part, options, part)
        visible = _visible(part, options.causal, chunk, queries, keys, q.device)
        log_sum_all = None
        if options.min_mass > 0:
            log_sum_all = scores.masked_fill(~visible, -torch.inf).logsumexp(-1, keepdim=True)
        selected = _select(scores, visible, options, log_sum_all)
        weights = _weigh(scores, selected, options.activation, sink_logits)
        counted = _count(scores, visible, selected, options, log_sum_all).cpu()
        least = torch.minimum(totals[MASS_MIN], counted[MASS_MIN])
        totals[:SCRATCH] += counted
        totals[MASS_MIN] = least
        totals[SCRATCH] = max(totals[SCRATCH].item(), scores.numel() * scores.element_size())
        if select:  # rows in the order [batch, query, head]
            by_query = selected.transpose(1, 2)
            entry_keys = by_query.nonzero()[:, 3]
            kept_keys[end : end + len(entry_keys)] = entry_keys
            weights_of_kept[end : end + len(entry_keys)] = weights.transpose(1, 2)[by_query]
            counts = by_query.sum(-1).flatten()
            offsets[chunk.first_row + 1 : chunk.last_row + 1] = end + counts.cumsum(0)
            end += len(entry_keys)
        weights = weights * _factors(seed, chunk, weights, options) if options.dropout_p > 0 else weights
        attended = _grouped(weights, k.shape[1]) @ v_part
        out[chunk.batch, :, chunk.query] = attended.reshape(*q[chunk.batch, :, chunk.query].shape[:3], v.shape[3])
    return offsets, kept_keys, weights_of_kept, totals


def _factors(seed: int, chunk: Chunk, weights: Tensor, options: AttentionOptions) -> Tensor:
    """Dropout's, for a chunk's weights [batch, head, query, key]."""
    batch, heads, queries, keys = weights.shape
    rows = torch.arange(chunk.first_row, chunk.last_row, device=weights.device)
    rows = rows.view(batch, queries, heads).transpose(1, 2).unsqueeze(-1)
    return dropout_factors(
        seed, rows, torch.arange(keys, device=weights.device), options.dropout_p, compute_type(weights.dtype)
    )


def _dense(values: Tensor, entry: tuple[Tensor, Tensor], shape: tuple[int, int, int, int]) -> Tensor:
    """[batch, head, query, key] from values at (row, key); shape: batch, query, head, key."""
    matrix = values.new_zeros(shape[0] * shape[1] * shape[2], shape[3])
    matrix[entry] = values
    return matrix.view(shape).transpose(1, 2)


def backward(
    grad_out: Tensor,
    grad_weights: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    selection: tuple[Tensor, Tensor, Tensor],
    seed: int,
    options: AttentionOptions,
    gradients: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    """Adds to the gradients of q, k and v, which are of the compute type; returns those of the selected scores.

    grad_weights: of the selection's weights (before dropout), or None.
    """
    offsets, kept_keys, weights_of_kept = selection
    batch, heads, queries, _ = q.shape
    heads_kv, keys, dtype = k.shape[1], k.shape[2], compute_type(q.dtype)
    grad_scores = torch.zeros_like(weights_of_kept)
    grad_q, grad_k, grad_v = gradients
    if keys == 0 or q.numel() == 0:
        return grad_scores
    k, v = k.to(dtype), v.to(dtype)
    all_chunks = list(chunks(batch, heads, queries, keys))
    bounds = offsets[[0] + [chunk.last_row for chunk in all_chunks]].tolist()  # one wait for the device
    for chunk, begin, end in zip(all_chunks, bounds, bounds[1:], strict=False):
        n_batch, n_query = chunk.batch.stop - chunk.batch.start, chunk.query.stop - chunk.query.start
        counts = offsets[chunk.first_row + 1 : chunk.last_row + 1] - offsets[chunk.first_row : chunk.last_row]
        row = torch.repeat_interleave(counts, output_size=end - begin)
        entry = (row, kept_keys[begin:end].long())

        shape = (n_batch, n_query, heads, keys)
        weights = _dense(weights_of_kept[begin:end], entry, shape)
        go = grad_out[chunk.batch, :, chunk.query].to(dtype)
        grad = (_grouped(go, heads_kv) @ v[chunk.batch].transpose(2, 3)).reshape(n_batch, heads, n_query, keys)
        dropped = weights
        if options.dropout_p > 0:
            factors = _factors(seed, chunk, weights, options)
            grad, dropped = grad * factors, weights * factors
        if grad_weights is not None:
            grad = grad + _dense(grad_weights[begin:end].to(dtype), entry, shape)
        if options.activation == "relu":
            grad = grad.masked_fill(weights <= 0, 0)
        else:
            grad = weights * (grad - (weights * grad).sum(-1, keepdim=True))
        grad_scores[begin:end] = grad.transpose(1, 2).reshape(-1, keys)[entry]
        q_part = q[chunk.batch, :, chunk.query].to(dtype)
        if options.softcap > 0:
            grad = grad * (1 - (_scores(q_part, k[chunk.batch], options, None) / options.softcap) ** 2)
        q_part, grad = _grouped(q_part, heads_kv), _grouped(grad, heads_kv)
        grad_q[chunk.batch, :, chunk.query] = options.scale * (grad @ k[chunk.batch]).reshape(
            n_batch, heads, n_query, q.shape[3]
        )
        grad_k[chunk.batch] += options.scale * (grad.transpose(2, 3) @ q_part)
        grad_v[chunk.batch] += _grouped(dropped, heads_kv).transpose(2, 3) @ _grouped(go, heads_kv)
    return grad_scores
