"""Top-k attention of numpy arrays and other DLPack arrays on the CPU; needs no torch."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import _topk
import numpy as np

from top_k_attention.arguments import (
    CAUSAL_KINDS,
    attention_shape,
    check_call,
    check_choice,
    check_finite,
    check_flag,
    check_probability,
    check_temperature,
)
from top_k_attention.budget import Budget, as_number
from top_k_attention.options import AttentionOptions


class SparseWeights(NamedTuple):
    """Attention weights as compressed sparse rows, which `scipy.sparse.csr_array((values, keys, row_offsets))` takes.

    Row r has the entries [row_offsets[r], row_offsets[r + 1]); its keys ascend.
    """

    row_offsets: np.ndarray
    keys: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]


def as_array(name: str, value: Any) -> np.ndarray:  # noqa: ANN401 - checks any value
    """A numpy view of a DLPack array, or the array itself."""
    if isinstance(value, np.ndarray):
        return value
    if not hasattr(value, "__dlpack__"):
        raise TypeError(f"{name} is a {type(value).__name__}, it must be an array: torch, numpy or DLPack on the CPU")
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TypeError(f"{name} is no array that numpy can view: {error}") from error


def check_arrays(**arrays: np.ndarray) -> None:
    """Floating point arrays of one type, in any byte order."""
    first_name, first = next(iter(arrays.items()))
    for name, x in arrays.items():
        if x.dtype.newbyteorder("=") not in (np.float32, np.float16):
            raise TypeError(f"{name}.dtype={x.dtype} must be float32 or float16 (torch tensors also have others)")
        if x.dtype.newbyteorder("=") != first.dtype.newbyteorder("="):
            raise TypeError(f"{name}.dtype={x.dtype} must be that of {first_name}, {first.dtype}")


def _rows(x: np.ndarray) -> np.ndarray:
    """Aligned, in this machine's byte order, with contiguous rows: nearly always the array itself."""
    fits = x.flags.aligned and x.dtype.isnative and (x.shape[-1] <= 1 or x.strides[-1] == x.itemsize)
    fits = fits and all(stride % x.itemsize == 0 for stride in x.strides)
    return x if fits else x.astype(x.dtype.newbyteorder("="), order="C", subok=False)  # a copy always, which is aligned


def _mask_of(mask: Any, shape: tuple[int, ...], leading: tuple[int, ...], rows: tuple[int, int]) -> np.ndarray:  # noqa: ANN401
    """[batch or 1, head or 1, query, key], added to scores."""
    mask = as_array("mask", mask)
    if mask.dtype == bool:
        mask = np.where(mask, np.float16(0), np.float16(-np.inf))
    elif mask.dtype.kind != "f":
        raise TypeError(f"mask.dtype={mask.dtype} must be bool or a floating point type")
    elif mask.dtype.itemsize > 4:
        mask = mask.astype(np.float32)
    try:
        np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(f"mask.shape={mask.shape} must broadcast to {shape}") from None
    mask = mask.reshape(*[1] * (max(len(shape), 4) - mask.ndim), *mask.shape)
    if any(size != 1 for size in mask.shape[:-3]):
        mask = np.broadcast_to(mask, (*leading[:-1], *mask.shape[-3:]))
    mask = mask.reshape(-1, *mask.shape[-3:])
    return np.broadcast_to(mask, (*mask.shape[:2], *rows))


def _upper_left(
    n_query: int, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """As many keys as queries, so that query i sees keys 0 .. i: cut off, or added and hidden."""
    missing = n_query - k.shape[2]
    if missing <= 0:
        return k[:, :, :n_query], v[:, :, :n_query], None if mask is None else mask[..., :n_query]
    mask = np.zeros((1, 1, 1, k.shape[2]), np.float16) if mask is None else mask
    mask = np.pad(mask, [(0, 0)] * 3 + [(0, missing)], constant_values=-np.inf)
    mask = np.broadcast_to(mask, (*mask.shape[:2], n_query, n_query))
    longer = [(0, 0), (0, 0), (0, missing), (0, 0)]
    return np.pad(k, longer), np.pad(v, longer), mask


def top_k_attention(
    q: Any,  # noqa: ANN401 - checks any value
    k: Any,  # noqa: ANN401
    v: Any,  # noqa: ANN401
    *,
    top_k: Budget,
    mask: Any,  # noqa: ANN401
    is_causal: bool | str,
    scale: float | None,
    temperature: float,
    dropout_p: float,
    enable_gqa: bool,
    return_weights: str | None,
    generator: np.random.Generator | None,
    sinks: int,
    window: int,
    min_mass: float,
    activation: str,
    fallback_full_attention: bool,
) -> np.ndarray | tuple[np.ndarray, np.ndarray | SparseWeights]:
    """`top_k_attention.top_k_attention` for arrays."""
    q, k, v = as_array("q", q), as_array("k", k), as_array("v", v)
    check_arrays(q=q, k=k, v=v)
    check_flag("enable_gqa", enable_gqa)
    shape, heads_kv = attention_shape(q.shape, k.shape, v.shape, enable_gqa=enable_gqa)
    for name, x in (("q", q), ("v", v)):
        if x.shape[-1] > _topk.MAX_HEAD_SIZE:
            raise ValueError(f"{name}.shape={x.shape}: the last dimension must be at most {_topk.MAX_HEAD_SIZE}")
    n_query, n_key = q.shape[-2], k.shape[-2]
    check_call(
        n_key=n_key,
        top_k=top_k,
        sinks=sinks,
        window=window,
        min_mass=min_mass,
        activation=activation,
        fallback=fallback_full_attention,
    )
    check_choice("is_causal", is_causal, CAUSAL_KINDS)
    check_choice("return_weights", return_weights, (None, "sparse", "dense"))
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else check_finite("scale", scale)
    options = AttentionOptions(
        top_k=as_number(top_k),
        scale=check_finite("scale / temperature", factor / check_temperature(temperature)),
        causal=is_causal is not False,
        sinks=sinks,
        window=window,
        min_mass=float(min_mass),
        activation=activation,
        dropout_p=check_probability("dropout_p", dropout_p),
    )
    if generator is not None and not isinstance(generator, np.random.Generator):
        raise TypeError(f"generator={generator!r} must be a numpy.random.Generator or None")
    leading = shape[:-1]
    if mask is not None:
        mask = _mask_of(mask, (*shape, n_key), leading, (n_query, n_key))
    batch, heads = math.prod(leading[:-1]), leading[-1] if leading else 1
    q, k, v = (
        np.broadcast_to(x, (*leading[:-1], n, *x.shape[-2:])).reshape(batch, n, *x.shape[-2:])
        for x, n in ((q, heads), (k, heads_kv), (v, heads_kv))
    )
    if is_causal is True:
        k, v, mask = _upper_left(n_query, k, v, mask)
    out = np.empty((batch, heads, n_query, v.shape[3]), np.float32)
    seed = int((generator or np.random.default_rng()).integers(2**63)) if options.dropout_p > 0 else 0
    offsets, keys, weights = np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    if out.size > 0:
        _, offsets, keys, weights = _topk.attention(
            _rows(q.astype(np.float32, copy=False)),
            _rows(k),
            _rows(v),
            out,
            None if mask is None else _rows(mask),
            causal=options.causal,
            scale=options.scale,
            activation=activation,
            dropout_p=options.dropout_p,
            seed=seed,
            options=options.for_kernel(),
            select=return_weights is not None,
            weights_after_dropout=True,
        )
    result = out.astype(q.dtype, copy=False).reshape(*shape, v.shape[3])
    if return_weights is None:
        return result
    selection = _by_head(
        np.from_dlpack(offsets), np.from_dlpack(keys), np.from_dlpack(weights), (batch, n_query, heads), n_key
    )
    if return_weights == "sparse":
        return result, selection
    dense = np.zeros(selection.shape, q.dtype)
    dense[np.repeat(np.arange(selection.shape[0]), np.diff(selection.row_offsets)), selection.keys] = selection.values
    return result, dense.reshape(*shape, n_key)


def _by_head(
    offsets: np.ndarray, keys: np.ndarray, weights: np.ndarray, rows: tuple[int, int, int], n_key: int
) -> SparseWeights:
    """Rows in the order [batch, query, head] as rows in the order [batch, head, query]."""
    starts = offsets[:-1].reshape(rows).swapaxes(1, 2).ravel()
    counts = np.diff(offsets).reshape(rows).swapaxes(1, 2).ravel()
    new_offsets = np.concatenate([np.zeros(1, offsets.dtype), np.cumsum(counts)])
    source = np.repeat(starts - new_offsets[:-1], counts) + np.arange(len(keys))
    return SparseWeights(new_offsets, keys[source], weights[source], (math.prod(rows), n_key))
