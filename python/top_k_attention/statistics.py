"""Sums over the calls of a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from top_k_attention.chunked import MASS_MIN, SCRATCH


class Statistics:
    """What a layer kept and saved. Tensors, so that compiled layers count too; they stay on the CPU."""

    def __init__(self) -> None:
        self.calls = torch.zeros(2, dtype=torch.float64)  # all, and those with at least as many keys to keep as n
        self.sums = torch.zeros(6, dtype=torch.float64)
        self.mass_min = torch.ones((), dtype=torch.float64)
        self.scratch = torch.zeros((), dtype=torch.float64)

    def reset(self) -> None:
        """Back to none."""
        self.calls.zero_()
        self.sums.zero_()
        self.mass_min.fill_(1)
        self.scratch.zero_()

    def add(self, call: Tensor, *, is_fallback: bool) -> None:
        """One call's statistics."""
        self.calls[0] += 1
        self.calls[1] += int(is_fallback)
        self.sums += call[:MASS_MIN]
        self.mass_min.copy_(torch.minimum(self.mass_min, call[MASS_MIN]))
        self.scratch.copy_(torch.maximum(self.scratch, call[SCRATCH]))

    def report(self) -> dict[str, Any]:
        """As `TopKAttention.get_memory_stats` returns it."""
        calls, fallback_calls = (int(x) for x in self.calls)
        rows, full_rows, seen, kept, mass_rows = (int(x) for x in self.sums[:5])
        return {
            "total_memory_saved": seen - kept,
            "avg_memory_saved_per_call": (seen - kept) / calls if calls else 0.0,
            "calls": calls,
            "fallback_calls": fallback_calls,
            "rows": rows,
            "full_rows": full_rows,
            "keys_seen": seen,
            "keys_kept": kept,
            "mean_mass": float(self.sums[5]) / mass_rows if mass_rows else None,
            "min_mass": float(self.mass_min) if mass_rows else None,
            "mass_rows": mass_rows,
            "peak_scratch_bytes": int(self.scratch),
        }
