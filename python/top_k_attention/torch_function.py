"""Top-k attention of torch tensors: what is checked and prepared before the operator runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import pad

from top_k_attention import operators
from top_k_attention.arguments import (
    CAUSAL_KINDS,
    LARGEST_TEMPERATURE,
    LEAST_TEMPERATURE,
    TEMPERATURES,
    attention_shape,
    check_call,
    check_choice,
    check_finite,
    check_flag,
    check_probability,
    check_temperature,
)
from top_k_attention.budget import Budget, as_number
from top_k_attention.dropout import dropout_factors
from top_k_attention.masks import additive, as_four_dimensions, check_mask
from top_k_attention.options import AttentionOptions


@dataclass(frozen=True)
class Attended:
    """What a call gives; `out` is [batch, head, token, d]. The selection is empty unless it was asked for."""

    out: Tensor
    row_offsets: Tensor  # rows are in the order [batch, query, head]
    keys: Tensor
    weights: Tensor  # after dropout
    statistics: Tensor
    n_key: int

    def with_keys(self, n_key: int) -> Attended:
        """The same, with weights for n_key keys."""
        return replace(self, n_key=n_key)

    @property
    def rows(self) -> tuple[int, int, int]:
        """Batch size, heads and queries."""
        return tuple(self.out.shape[:3])

    def dense_weights(self) -> Tensor:
        """[batch, head, query, key]."""
        flat = self.weights.new_zeros(math.prod(self.rows) * self.n_key)
        if flat.numel() > 0:
            index, is_used = self._row_of_entries()
            index = index * self.n_key + torch.where(is_used, self.keys, 0)
            flat = flat.index_add(0, index, torch.where(is_used, self.weights, 0))
        return flat.view(*self.rows, self.n_key).to(self.out.dtype)

    def sparse_weights(self) -> Tensor:
        """torch.sparse_csr, [batch * head * query, key]."""
        batch, heads, queries = self.rows
        used = int(self.row_offsets[-1])
        keys, weights = self.keys[:used], self.weights[:used]
        offsets = self.row_offsets
        if heads > 1:
            counts = offsets.diff().view(batch, queries, heads).transpose(1, 2).flatten()
            starts = offsets[:-1].view(batch, queries, heads).transpose(1, 2).flatten()
            offsets = torch.cat([offsets.new_zeros(1), counts.cumsum(0)])
            # Entry e of a row that began at `starts` begins at `offsets` now.
            source = torch.repeat_interleave(starts - offsets[:-1], counts, output_size=used)
            source += torch.arange(used, device=source.device)
            keys, weights = keys[source], weights[source]
        # Both kinds of index have one type, and PyTorch's sparse products are fastest with 32 bits.
        offsets, keys = (offsets.int(), keys) if used < 2**31 else (offsets, keys.long())
        size = (batch * heads * queries, self.n_key)
        return torch.sparse_csr_tensor(offsets, keys, weights.to(self.out.dtype), size, check_invariants=False)

    def mean_sparse_weights(self) -> Tensor:
        """The mean over heads as torch.sparse_csr, [batch * query, key]: entries that any head kept."""
        batch, heads, queries = self.rows
        used = int(self.row_offsets[-1])
        row = operators.rows_of_entries(self.row_offsets, used) // heads
        index = torch.stack([row, self.keys[:used].long()])
        size = (batch * queries, self.n_key)
        weights = self.weights[:used].to(self.out.dtype) / heads
        return torch.sparse_coo_tensor(index, weights, size, check_invariants=False).coalesce().to_sparse_csr()

    def _row_of_entries(self) -> tuple[Tensor, Tensor]:
        """Of each entry, its row in the order [batch, head, query], and whether it is one."""
        _, heads, queries = self.rows
        row = operators.rows_of_entries(self.row_offsets, len(self.keys))
        is_used = row < self.row_offsets.shape[0] - 1
        row = torch.where(is_used, row, 0)
        batch, query, head = row // (heads * queries), row // heads % queries, row % heads
        return (batch * heads + head) * queries + query, is_used


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    options: AttentionOptions,
    *,
    select: bool,
    sink_logits: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Attended:
    """Attention of checked tensors [batch, head, token, d].

    The mask is added to scores; its shape is [batch or 1, head or 1, query or 1, key or 1]. sink_logits: one for each
    head, in the denominator only.
    """
    seed = None
    if options.dropout_p > 0:
        device = "cpu" if generator is None else generator.device
        seed = torch.randint(0, 2**63 - 1, (), dtype=torch.int64, generator=generator, device=device)
    inputs = (q, k, v, mask, sink_logits)
    if not torch.compiler.is_compiling():
        _refuse_forward_mode(inputs)
    wants_gradients = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    out, offsets, keys, weights, statistics = operators.forward(
        *inputs, seed, *options.arguments(), select or wants_gradients
    )
    if select and options.dropout_p > 0:
        rows = operators.rows_of_entries(offsets, len(keys))
        weights = weights * dropout_factors(int(seed), rows, keys.long(), options.dropout_p, weights.dtype)
    return Attended(out, offsets, keys, weights, statistics, k.shape[2])


def _refuse_forward_mode(inputs: tuple[Tensor | None, ...]) -> None:
    """A custom operator would pass a tangent by in silence, as if the derivative were 0."""
    if any(x is not None and forward_ad.unpack_dual(x).tangent is not None for x in inputs):
        raise NotImplementedError("top-k attention has no derivatives in forward mode (jvp); it has backward ones")


def scale_by_temperature(q: Tensor, scale: float | None, temperature: float | Tensor) -> tuple[Tensor, float]:
    """q and the factor of its products with keys. A temperature that is a tensor gets its gradient through q."""
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else check_finite("scale", scale)
    if not isinstance(temperature, Tensor):
        return q, check_finite("scale / temperature", scale / check_temperature(temperature))
    check_temperatures(temperature, q.shape, f"that of q, {tuple(q.shape)}")
    return (q / temperature).to(q.dtype), scale


def check_temperatures(temperature: Tensor, shape: tuple[int, ...], shape_name: str) -> None:
    """Temperatures that broadcast to a shape."""
    if not temperature.dtype.is_floating_point:
        raise TypeError(f"temperature.dtype={temperature.dtype} must be a floating point type")
    try:
        fits = torch.broadcast_shapes(shape, temperature.shape) == torch.Size(shape)
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"temperature.shape={tuple(temperature.shape)} must broadcast to {shape_name}")
    # Looking at numbers would break a graph that is compiled, and wait for another device.
    if not torch.compiler.is_compiling() and temperature.device.type == "cpu":
        allowed = (temperature >= LEAST_TEMPERATURE) & (temperature <= LARGEST_TEMPERATURE)
        if not allowed.all():
            bad = temperature.detach()[~allowed].flatten()[0].item()
            raise ValueError(f"temperature has the value {bad}, each must be {TEMPERATURES}; clamp one that is learned")


def upper_left(n_query: int, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """As many keys as queries, so that query i sees keys 0 .. i: cut off, or added and hidden."""
    missing = n_query - k.shape[2]
    if missing == 0:
        return k, v, mask
    if mask is None and missing > 0:
        mask = k.new_zeros(1, 1, 1, k.shape[2], dtype=torch.float16)
    if mask is not None and (mask.shape[3] != 1 or missing > 0):
        mask = pad(mask.expand(-1, -1, -1, k.shape[2]), (0, missing), value=-torch.inf)
    return pad(k, (0, 0, 0, missing)), pad(v, (0, 0, 0, missing)), mask


def check_tensors(**tensors: Any) -> None:  # noqa: ANN401 - checks any value
    """Floating point tensors of one type on one device."""
    first_name, first = next(iter(tensors.items()))
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} is a {type(x).__name__}, it must be a torch.Tensor like the other arguments")
        if x.dtype not in (*operators.KERNEL_TYPES, torch.float64):
            raise TypeError(f"{name}.dtype={x.dtype} must be torch.float32, float16, bfloat16 or float64")
        if x.layout != torch.strided:
            raise TypeError(f"{name}.layout={x.layout} must be torch.strided")
        if x.dtype != first.dtype:
            raise TypeError(f"{name}.dtype={x.dtype} must be that of {first_name}, {first.dtype}")
        if x.device != first.device:
            raise ValueError(f"{name}.device={x.device} must be that of {first_name}, {first.device}")


def top_k_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    top_k: Budget,
    mask: Tensor | None,
    is_causal: bool | str,
    scale: float | None,
    temperature: float | Tensor,
    dropout_p: float,
    enable_gqa: bool,
    return_weights: str | None,
    generator: torch.Generator | None,
    sinks: int,
    window: int,
    min_mass: float,
    activation: str,
    fallback_full_attention: bool,
) -> Tensor | tuple[Tensor, Tensor]:
    """`top_k_attention.top_k_attention` for tensors."""
    check_tensors(q=q, k=k, v=v)
    check_flag("enable_gqa", enable_gqa)
    shape, heads_kv = attention_shape(tuple(q.shape), tuple(k.shape), tuple(v.shape), enable_gqa=enable_gqa)
    leading = shape[:-1]
    check_call(
        n_key=k.shape[-2],
        top_k=top_k,
        sinks=sinks,
        window=window,
        min_mass=min_mass,
        activation=activation,
        fallback=fallback_full_attention,
    )
    check_choice("is_causal", is_causal, CAUSAL_KINDS)
    check_choice("return_weights", return_weights, (None, "sparse", "dense"))
    dropout_p = check_probability("dropout_p", dropout_p)
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"generator={generator!r} must be a torch.Generator or None")
    if mask is not None:
        check_mask("mask", mask, q)
        mask = as_four_dimensions("mask", additive(mask, q.dtype), leading, q.shape[-2], k.shape[-2])
    q, factor = scale_by_temperature(q, scale, temperature)
    heads = leading[-1] if leading else 1
    batch = math.prod(leading[:-1])
    q4, k4, v4 = (
        x.expand(*leading[:-1], n, *x.shape[-2:]).reshape(batch, n, *x.shape[-2:])
        for x, n in ((q, heads), (k, heads_kv), (v, heads_kv))
    )
    n_key = k.shape[-2]
    if is_causal is True:
        k4, v4, mask = upper_left(q4.shape[2], k4, v4, mask)
    options = AttentionOptions(
        top_k=as_number(top_k),
        scale=factor,
        causal=is_causal is not False,
        sinks=sinks,
        window=window,
        min_mass=float(min_mass),
        activation=activation,
        dropout_p=dropout_p,
    )
    attended = attend(q4, k4, v4, mask, options, select=return_weights is not None, generator=generator)
    out = attended.out.reshape(*shape, v.shape[-1])
    if return_weights is None:
        return out
    attended = attended.with_keys(n_key)
    if return_weights == "sparse":
        return out, attended.sparse_weights()
    return out, attended.dense_weights().reshape(*shape, n_key)
