"""The attention layer as its definition reads, forward and backward, on numbers that carry the error bound of f32."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from bounded import EXP_UNITS, MERGES, UNIT, Bounded, concatenate
from torch import Tensor

from top_k_attention import TopKAttention, budget_for


@dataclass(frozen=True)
class Problem:
    """What a call of the layer is given; all heads may have masks of their own."""

    query: Tensor  # [batch, n_query, embed_dim]
    grad_output: Tensor
    key: Tensor | None = None  # [batch, n_key, kdim]; None: the query
    value: Tensor | None = None
    padding: Tensor | None = None  # [batch, n_key], True hides
    mask: Tensor | None = None  # [batch or 1, head or 1, n_query, n_key], added to scores


@dataclass(frozen=True)
class Solution:
    """By the names that tests/layer/run_layer.cc writes."""

    results: dict[str, Bounded]
    in_doubt: bool  # a row's scores in f32 may choose other keys
    mass_bound: float  # how far the mass of a selection may be from the right one


def solve(layer: TopKAttention, problem: Problem) -> Solution:
    """Output and gradients."""
    inputs = [Bounded.exact(problem.query)]
    for x in (problem.key, problem.value):
        inputs.append(inputs[-1] if x is None else Bounded.exact(x))
    sizes = [layer.embed_dim] + [layer.num_kv_heads * layer.head_dim] * 2
    weights = [Bounded.exact(x.detach()) for x in _input_weights(layer, sizes)]
    biases = [None] * 3 if layer.in_proj_bias is None else layer.in_proj_bias.detach().split(sizes)
    q, k, v = (
        _heads(_project(x, weight, bias), layer.head_dim)
        for x, weight, bias in zip(inputs, weights, biases, strict=True)
    )
    visible, added = _masks(layer, problem, q.value.shape[2], k.value.shape[2])

    # The heads of a group are so many more queries of one KV head.
    q = _grouped(q, layer.num_kv_heads)
    scale = torch.tensor(1 / math.sqrt(layer.head_dim) / layer.temperature, dtype=torch.float64)
    scale = Bounded(scale, 4 * UNIT * scale)  # root, reciprocal, temperature, their quotient
    scores = (q @ _transposed(k)) * scale + _grouped(Bounded.exact(added), layer.num_kv_heads)
    kept, in_doubt = _select(layer, scores, _grouped_tensor(visible, layer.num_kv_heads))
    largest = scores.value.masked_fill(~kept, -torch.inf).amax(-1, keepdim=True).nan_to_num(neginf=0.0)
    exponentials = (scores - Bounded.exact(largest)).where(kept).exp().where(kept)
    # A row without keys has weights of 0; its denominator may be anything.
    total = exponentials.sum(-1)
    total = Bounded(total.value.where(total.value > 0, torch.ones(())), total.bound)
    weights_of_keys = exponentials / total
    attention = _joined(_ungrouped(weights_of_keys @ v, layer.num_heads))
    out_weight = Bounded.exact(layer.out_proj.weight.detach())
    out_bias = None if layer.out_proj.bias is None else layer.out_proj.bias.detach()

    grad_output = Bounded.exact(problem.grad_output)
    grad_attention = _grouped(_heads(grad_output @ out_weight, layer.head_dim), layer.num_kv_heads)
    grad_weights = grad_attention @ _transposed(v)
    mean = (weights_of_keys * grad_weights).sum(-1)
    grad_scores = ((weights_of_keys * (grad_weights - mean)) * scale).where(kept)
    gradients = [
        _joined(_ungrouped(grad_scores @ k, layer.num_heads)),
        _joined(_transposed(grad_scores) @ q),
        _joined(_transposed(weights_of_keys) @ grad_attention),
    ]

    results = {"output": _project(attention, out_weight, out_bias)}
    given = {"query": [0], "key": [1], "value": [2]}
    if problem.value is None:
        given["key"] += given.pop("value")
    if problem.key is None:
        given["query"] += given.pop("key")
    for name, uses in given.items():
        # One product with the weights below each other: as many roundings as any way to add the parts has.
        joined = concatenate([gradients[i] for i in uses], -1), concatenate([weights[i] for i in uses], 0)
        results[f"grad_{name}"] = joined[0] @ joined[1]
    for name, gradient, x in zip("qkv", gradients, inputs, strict=True):
        results[f"grad_{name}_weight"] = _weight_gradient(gradient, x)
    results["grad_out_weight"] = _weight_gradient(grad_output, attention)
    if layer.in_proj_bias is not None:
        results["grad_in_bias"] = concatenate([_bias_gradient(x) for x in gradients], 0)
        results["grad_out_bias"] = _bias_gradient(grad_output)
    # A mass is the quotient of two sums of exponentials: off by what scores are off, up or down, and by the sums.
    mass_bound = (2 * scores.bound.max().item()) + 2 * UNIT * (scores.value.shape[-1] + MERGES + EXP_UNITS)
    return Solution(results, in_doubt, 2 * mass_bound)


def _input_weights(layer: TopKAttention, sizes: list[int]) -> tuple[Tensor, ...]:
    if layer.in_proj_weight is not None:
        return layer.in_proj_weight.split(sizes)
    return layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight


def _project(x: Bounded, weight: Bounded, bias: Tensor | None) -> Bounded:
    y = x @ _transposed(weight)
    return y if bias is None else y + Bounded.exact(bias)


def _weight_gradient(gradient: Bounded, x: Bounded) -> Bounded:
    return _transposed(gradient.map(lambda y: y.flatten(0, 1))) @ x.map(lambda y: y.flatten(0, 1))


def _bias_gradient(gradient: Bounded) -> Bounded:
    return gradient.map(lambda x: x.flatten(0, 1)).sum(0).map(lambda x: x.squeeze(0))


def _transposed(x: Bounded) -> Bounded:
    return x.map(lambda y: y.transpose(-1, -2))


def _heads(x: Bounded, head_dim: int) -> Bounded:
    """[batch, head, token, head_dim] of [batch, token, ...]."""
    return x.map(lambda y: y.unflatten(-1, (-1, head_dim)).transpose(1, 2))


def _joined(x: Bounded) -> Bounded:
    """The opposite."""
    return x.map(lambda y: y.transpose(1, 2).flatten(2))


def _grouped_tensor(x: Tensor, kv_heads: int) -> Tensor:
    """[batch, KV head, (heads of the group) * query, ...]."""
    return x.reshape(x.shape[0], kv_heads, -1, x.shape[3])


def _grouped(x: Bounded, kv_heads: int) -> Bounded:
    return x.map(lambda y: _grouped_tensor(y, kv_heads))


def _ungrouped(x: Bounded, heads: int) -> Bounded:
    return x.map(lambda y: y.reshape(y.shape[0], heads, -1, y.shape[3]))


def _masks(layer: TopKAttention, problem: Problem, queries: int, keys: int) -> tuple[Tensor, Tensor]:
    """[batch, head, query, key]: which keys are seen, and what is added to the scores of those."""
    shape = (problem.query.shape[0], layer.num_heads, queries, keys)
    visible, added = torch.ones(shape, dtype=torch.bool), torch.zeros(shape)
    if problem.mask is not None:
        visible &= problem.mask != -torch.inf
        added += problem.mask
    if problem.padding is not None:
        visible &= ~problem.padding[:, None, None]
    if layer.causal:
        visible &= torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    return visible, added.masked_fill(~visible, 0)


def _select(layer: TopKAttention, scores: Bounded, visible: Tensor) -> tuple[Tensor, bool]:
    """Which keys rows keep, and whether one is in doubt: rounding could have preferred a key that it leaves out."""
    keys = visible.shape[-1]
    position = visible.cumsum(-1)
    forced = visible & ((position <= layer.sinks) | (position > position[..., -1:] - layer.window))
    competing = visible & ~forced
    ranked = scores.value.masked_fill(~competing, -torch.inf)
    seen = position[..., -1:]
    budget = seen.clone().apply_(budget_for) if layer.k == "auto" else torch.full_like(seen, layer.k)
    ordered = ranked.sort(-1, descending=True).values
    kept = competing & (ranked >= ordered.gather(-1, budget.clamp(max=keys) - 1))
    least = (scores.value - scores.bound).masked_fill(~kept, torch.inf).amin(-1)
    most = (scores.value + scores.bound).masked_fill(~competing | kept, -torch.inf).amax(-1)
    return kept | forced, bool((least <= most).any())
