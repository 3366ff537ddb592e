"""The custom operators of torch: forward and backward, with shapes for the compiler and autograd.

On the CPU in f32, f16 and bf16 the kernel library computes, on the tensors' own memory; else `chunked`. Shapes are
[batch, head, token, d]. A selection is row_offsets (int64, rows + 1), keys (int32) and weights, as rows in the order
[batch, query, head]; keys and weights have the size that the shapes bound, row_offsets[-1] of it is used.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import _topk
import torch
from torch import Tensor

from top_k_attention import chunked
from top_k_attention.options import AttentionOptions

# Two pools of OpenMP threads would slow each other down.
_topk.share_openmp_of(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))

KERNEL_TYPES = (torch.float32, torch.float16, torch.bfloat16)

_OPTIONS = (
    "int top_k, float scale, bool causal, int sinks, int window, float min_mass, str mass, str activation, "
    "float dropout_p, float softcap"
)
_FORWARD = (
    f"(Tensor q, Tensor k, Tensor v, Tensor? mask, Tensor? sink_logits, Tensor? seed, {_OPTIONS}, bool select) -> "
    "(Tensor out, Tensor row_offsets, Tensor keys, Tensor weights, Tensor statistics)"
)
_BACKWARD = (
    "(Tensor grad_out, Tensor? grad_weights, Tensor q, Tensor k, Tensor v, Tensor row_offsets, Tensor keys, "
    f"Tensor weights, Tensor? seed, {_OPTIONS}, bool want_scores) -> "
    "(Tensor grad_q, Tensor grad_k, Tensor grad_v, Tensor grad_scores)"
)


def uses_kernel(q: Tensor, v: Tensor) -> bool:
    """Whether the kernel library takes these tensors."""
    return (
        q.device.type == "cpu"
        and q.dtype in KERNEL_TYPES
        and 0 < q.shape[3] <= _topk.MAX_HEAD_SIZE
        and 0 < v.shape[3] <= _topk.MAX_HEAD_SIZE
    )


def _rows(x: Tensor) -> Tensor:
    """With contiguous rows: nearly always the tensor itself."""
    return x if x.stride(-1) == 1 or x.shape[-1] <= 1 else x.contiguous()


def _by_token(q: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """Memory for [batch, head, token, size] that lies as [batch, token, head, size], which layers join heads in."""
    return q.new_empty(q.shape[0], q.shape[2], q.shape[1], size, dtype=dtype).transpose(1, 2)


def _like_with_rows(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Memory that lies as x does, but with contiguous rows."""
    memory = torch.preserve_format if x.stride(-1) == 1 or x.shape[-1] <= 1 else torch.contiguous_format
    return torch.empty_like(x, dtype=dtype, memory_format=memory)


def _seed(seed: Tensor | None) -> int:
    return 0 if seed is None else int(seed)


def _call(options: AttentionOptions, seed: Tensor | None) -> dict[str, Any]:
    """Keywords that both calls of the kernel library take."""
    return {
        "scale": options.scale,
        "activation": options.activation,
        "dropout_p": options.dropout_p,
        "softcap": options.softcap,
        "seed": _seed(seed),
        "n_threads": torch.get_num_threads(),
    }


@torch.library.custom_op("top_k_attention::forward", mutates_args=(), schema=_FORWARD)
def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sink_logits: Tensor | None,
    seed: Tensor | None,
    *arguments: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    options, select = AttentionOptions(*arguments[:-1]), arguments[-1]
    q, k, v = q.detach(), k.detach(), v.detach()
    if q.numel() == 0:
        return _without_rows(q, v, select)
    if not uses_kernel(q, v):
        out = _by_token(q, v.shape[3], q.dtype)
        return out, *chunked.forward(q, k, v, mask, sink_logits, _seed(seed), options, select, out)
    out = _by_token(q, v.shape[3], torch.float32)
    size = options.selection_size(q.shape[0] * q.shape[1] * q.shape[2], k.shape[2]) if select else None
    statistics, *selection = _topk.attention(
        _rows(q.float()),
        _rows(k),
        _rows(v),
        out,
        None if mask is None else _rows(mask.detach().expand(-1, -1, q.shape[2], k.shape[2])),
        None if sink_logits is None else sink_logits.detach().float().contiguous(),
        causal=options.causal,
        options=options.for_kernel(),
        select=select,
        selection_size=size,
        **_call(options, seed),
    )
    if select:
        offsets, keys, weights = (torch.from_dlpack(array) for array in selection)
    else:
        offsets, keys, weights = q.new_empty(0, dtype=torch.int64), q.new_empty(0, dtype=torch.int32), q.new_empty(0)
        weights = weights.float()
    return out.to(q.dtype), offsets, keys, weights, torch.tensor(statistics, dtype=torch.float64, device="cpu")


def _without_rows(q: Tensor, v: Tensor, select: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    statistics = torch.zeros(chunked.STATISTICS_SIZE, dtype=torch.float64, device="cpu")
    statistics[chunked.MASS_MIN] = 1
    return (
        _by_token(q, v.shape[3], q.dtype),
        q.new_zeros(1 if select else 0, dtype=torch.int64),
        q.new_empty(0, dtype=torch.int32),
        q.new_empty(0, dtype=chunked.compute_type(q.dtype)),
        statistics,
    )


@forward.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sink_logits: Tensor | None,
    seed: Tensor | None,
    *arguments: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    options, select = AttentionOptions(*arguments[:-1]), arguments[-1]
    rows = q.shape[0] * q.shape[1] * q.shape[2]
    size = options.selection_size(rows, k.shape[2]) if select else 0
    return (
        _by_token(q, v.shape[3], q.dtype),
        q.new_empty(rows + 1 if select else 0, dtype=torch.int64),
        q.new_empty(size, dtype=torch.int32),
        q.new_empty(size, dtype=chunked.compute_type(q.dtype)),
        torch.empty(chunked.STATISTICS_SIZE, dtype=torch.float64, device="cpu"),
    )


@torch.library.custom_op("top_k_attention::backward", mutates_args=(), schema=_BACKWARD)
def backward(
    grad_out: Tensor,
    grad_weights: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    row_offsets: Tensor,
    keys: Tensor,
    weights: Tensor,
    seed: Tensor | None,
    *arguments: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    options, want_scores = AttentionOptions(*arguments[:-1]), arguments[-1]
    tensors = tuple(x.detach() for x in (q, k, v))
    kernel = grad_weights is None and q.numel() > 0 and uses_kernel(q, v)
    gradients = [_like_with_rows(x, chunked.compute_type(x.dtype)) for x in tensors]
    if kernel:
        grad_scores = torch.empty_like(weights) if want_scores else None
        q, k, v = tensors
        _topk.attention_backward(
            _rows(q.float()),
            _rows(k),
            _rows(v),
            _rows(grad_out.detach().float()),
            row_offsets,
            keys,
            weights,
            *gradients,
            grad_scores,
            **_call(options, seed),
        )
    else:
        for gradient in gradients:
            gradient.zero_()
        selection = (row_offsets, keys, weights)
        grad_scores = chunked.backward(
            grad_out.detach(), grad_weights, *tensors, selection, _seed(seed), options, tuple(gradients)
        )
    gradients = [gradient.to(x.dtype) for gradient, x in zip(gradients, tensors, strict=True)]
    return *gradients, grad_scores if want_scores else weights.new_empty(0)


@backward.register_fake
def _(
    grad_out: Tensor,
    grad_weights: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    row_offsets: Tensor,
    keys: Tensor,
    weights: Tensor,
    *arguments: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    gradients = tuple(_like_with_rows(x, x.dtype) for x in (q, k, v))
    return *gradients, torch.empty_like(weights) if arguments[-1] else weights.new_empty(0)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401 - torch's context
    q, k, v, mask, sink_logits, seed, *arguments, select = inputs
    if not select:  # called without gradients
        return
    out, offsets, keys, weights, _ = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(offsets, keys, output[4])
    ctx.save_for_backward(q, k, v, offsets, keys, weights, seed, out if ctx.needs_input_grad[4] else None)
    ctx.sink_type = None if sink_logits is None else sink_logits.dtype
    ctx.arguments = arguments
    ctx.mask = None if mask is None else (mask.shape, mask.dtype)
    ctx.options = AttentionOptions(*arguments)


def _gradients(ctx: Any, *output_gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
    grad_out, _, _, grad_weights, _ = output_gradients
    q, k, v, offsets, keys, weights, seed, out = ctx.saved_tensors
    if grad_out is None:
        grad_out = q.new_zeros(*q.shape[:3], v.shape[3])
    want_scores = ctx.mask is not None and ctx.needs_input_grad[3]
    grad_q, grad_k, grad_v, grad_scores = backward(
        grad_out, grad_weights, q, k, v, offsets, keys, weights, seed, *ctx.arguments, want_scores
    )
    grad_mask = None
    if want_scores:
        grad_mask = mask_gradient(grad_scores, offsets, keys, tuple(q.shape[:3]), *ctx.mask)
    grad_sinks = None
    if ctx.needs_input_grad[4]:
        grad_sinks = sink_gradient(grad_out, out, grad_weights, weights, offsets).to(ctx.sink_type)
    rest = [None] * (len(dataclasses.fields(AttentionOptions)) + 2)  # seed, options, select
    return grad_q, grad_k, grad_v, grad_mask, grad_sinks, *rest


forward.register_autograd(_gradients, setup_context=_setup)


def rows_of_entries(offsets: Tensor, entries: int) -> Tensor:
    """The row of each entry of a selection; one past the last row for those past its end."""
    return torch.searchsorted(offsets, torch.arange(entries, device=offsets.device), right=True) - 1


def mask_gradient(
    grad_scores: Tensor,
    offsets: Tensor,
    keys: Tensor,
    rows: tuple[int, int, int],
    shape: tuple[int, ...],
    dtype: torch.dtype,
) -> Tensor:
    """Sums the gradients of scores into those of the mask that was added to them.

    rows: batch size, heads and queries; shape: of the mask, with 1 where it is the same for all.
    """
    _, heads, queries = rows
    row = rows_of_entries(offsets, len(keys))
    is_used = row < offsets.shape[0] - 1
    row = torch.where(is_used, row, 0)
    batch, query, head = row // (heads * queries), row // heads % queries, row % heads
    index = torch.zeros_like(row)
    for position, size in zip((batch, head, query, torch.where(is_used, keys, 0).long()), shape, strict=True):
        index = index * size + (position if size > 1 else 0)
    gradient = grad_scores.new_zeros(shape).flatten()
    if gradient.numel() == 0:
        return gradient.view(shape).to(dtype)
    return gradient.index_add(0, index, torch.where(is_used, grad_scores, 0)).view(shape).to(dtype)


def sink_gradient(
    grad_out: Tensor, out: Tensor, grad_weights: Tensor | None, weights: Tensor, offsets: Tensor
) -> Tensor:
    """Of the logits of heads that stand in the denominator alone: they take from each weight w its share of the row.

    d w / d logit = -w (1 - sum of the row's w), and with dropout the same for what is left of w.
    """
    batch, heads, queries, _ = out.shape
    row = rows_of_entries(offsets, len(weights))
    is_used = row < offsets.shape[0] - 1
    row, weights = torch.where(is_used, row, 0), torch.where(is_used, weights, 0)
    taken = (grad_out.to(weights.dtype) * out.to(weights.dtype)).sum(-1).transpose(1, 2).flatten()
    if grad_weights is not None:
        taken = taken.index_add(0, row, torch.where(is_used, grad_weights.to(weights.dtype), 0) * weights)
    share = 1 - torch.zeros_like(taken).index_add(0, row, weights)
    return -(share * taken).view(batch * queries, heads).sum(0)
