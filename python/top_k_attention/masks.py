"""Masks as the operators take them: added to scores, -inf hides a key."""

from __future__ import annotations

import torch
from torch import Tensor


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A bool mask, True where a key takes part, or a float one, as 0 and -inf or the numbers that it has.

    dtype: of the queries. The kernel library reads f16 and f32, so bool becomes f16: half the memory.
    """
    if mask.dtype == torch.bool:
        hidden = torch.full((), -torch.inf, dtype=torch.float16, device=mask.device)
        return torch.where(mask, torch.zeros_like(hidden), hidden)
    if dtype == torch.float64 or mask.dtype in (torch.float16, torch.float32):
        return mask
    return mask.float()


def check_mask(name: str, mask: Tensor, q: Tensor) -> None:
    """Of a type that can be a mask, and where the queries are."""
    if not isinstance(mask, Tensor):
        raise TypeError(f"{name} is a {type(mask).__name__}, it must be a torch.Tensor")
    if mask.dtype != torch.bool and not mask.dtype.is_floating_point:
        raise TypeError(f"{name}.dtype={mask.dtype} must be torch.bool or a floating point type")
    if mask.device != q.device:
        raise ValueError(f"{name}.device={mask.device} must be that of the queries, {q.device}")


def has_shape(mask: Tensor, *sizes: int) -> bool:
    """Whether the mask has these sizes; also while torch.compile lets them vary."""
    return mask.dim() == len(sizes) and all(size == wanted for size, wanted in zip(mask.shape, sizes, strict=True))


def as_four_dimensions(name: str, mask: Tensor, leading: tuple[int, ...], queries: int, keys: int) -> Tensor:
    """[batch or 1, head or 1, query or 1, key or 1], a view where the mask's strides allow it.

    leading: the dimensions before queries and keys; the last of them is heads, those before it are one batch.
    """
    full = (*leading, queries, keys)
    given = tuple(mask.shape)
    # Compared by ==: with sizes that vary, torch.compile does not find them in a tuple.
    fits = len(given) <= len(full) and all(
        size == 1 or size == wanted for size, wanted in zip(reversed(given), reversed(full), strict=False)
    )
    if not fits:
        raise ValueError(f"{name}.shape={given} must broadcast to {full}")
    rank = max(len(full), 4)
    mask = mask.reshape(*[1] * (rank - len(given)), *given)
    batch = mask.shape[:-3]
    if all(size == 1 for size in batch):
        return mask.reshape(1, *mask.shape[-3:])
    return mask.expand(*leading[:-1], -1, -1, -1).reshape(-1, *mask.shape[-3:])
