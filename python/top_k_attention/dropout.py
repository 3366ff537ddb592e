"""The dropout of the kernel library, in torch: a hash of seed, row and key decides, so nothing is stored.

src/topk/dropout/dropout.h has the definition. The same seed drops the same weights here and there, on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF


def _signed(number: int) -> int:
    """The 64-bit pattern as torch's int64 holds it."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Of int64 as if it were unsigned."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _hash_of_rows(seed: int, rows: Tensor) -> Tensor:
    """SplitMix64 at position `rows` of the seed's stream; int64 arithmetic wraps around as uint64 does."""
    x = (rows + 1) * _signed(0x9E3779B97F4A7C15) + seed
    x = (x ^ _shift_right(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shift_right(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shift_right(x, 31)


def _mix(x: Tensor) -> Tensor:
    """lowbias32, on 32-bit words held in int64."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _WORD
    return x ^ (x >> 16)


def dropout_factors(seed: int, rows: Tensor, keys: Tensor, p: float, dtype: torch.dtype) -> Tensor:
    """What weights are multiplied by: 0 with probability p, else 1 / (1 - p).

    rows: numbers in the order [batch, query, head]; keys: indices. Both int64; they broadcast against each other.
    """
    exact_p = torch.tensor(p, dtype=torch.float32, device="cpu").double().item()  # the kernel library holds p in f32
    row_hash = _hash_of_rows(seed, rows)
    random = _mix((_mix(keys ^ (row_hash & _WORD)) + _shift_right(row_hash, 32)) & _WORD)
    return (random >= int(exact_p * 2.0**32)).to(dtype) * (1.0 / (1.0 - exact_p))
