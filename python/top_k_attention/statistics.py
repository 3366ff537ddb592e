"""Sums over the calls of a layer."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor

from top_k_attention.chunked import FULL_ROWS, MASS_MIN, ROWS, SCRATCH

_LOCK = threading.Lock()  # of all counts: adding to them is short, and layers stay easy to copy


class Statistics:
    """What a layer kept and saved. A tensor, so that compiled layers count too; it stays on the CPU."""

    def __init__(self) -> None:
        # Calls, fallback calls, then as the operator. Made in inference mode, it could not change outside of it.
        with torch.inference_mode(False):
            self._totals = torch.empty(2 + SCRATCH + 1, dtype=torch.float64, device="cpu")
        self.reset()

    def reset(self) -> None:
        """Back to none."""
        self._totals.zero_()
        self._totals[2 + MASS_MIN] = 1

    def add(self, call: Tensor) -> None:
        """One call's statistics, as the operator returns them. Threads may share a layer."""
        if torch.compiler.is_compiling():  # a graph has no locks
            self._add(call)
        else:
            with _LOCK:
                self._add(call)

    def _add(self, call: Tensor) -> None:
        calls, sums, mass_min, scratch = self._totals.split([2, MASS_MIN, 1, 1])
        is_full = (call[ROWS] > 0) & (call[FULL_ROWS] == call[ROWS])
        self._totals.copy_(
            torch.cat(
                [
                    calls + torch.stack([torch.ones_like(is_full), is_full]),
                    sums + call[:MASS_MIN],
                    mass_min.minimum(call[MASS_MIN]),
                    scratch.maximum(call[SCRATCH]),
                ]
            )
        )

    def report(self) -> dict[str, Any]:
        """As `TopKAttention.get_memory_stats` returns it."""
        calls, fallback_calls, rows, full_rows, seen, kept, mass_rows, _, _, scratch = (int(x) for x in self._totals)
        mass_sum, mass_min = self._totals[7:9].tolist()
        return {
            "total_memory_saved": seen - kept,
            "avg_memory_saved_per_call": (seen - kept) / calls if calls else 0.0,
            "calls": calls,
            "fallback_calls": fallback_calls,
            "rows": rows,
            "full_rows": full_rows,
            "keys_seen": seen,
            "keys_kept": kept,
            "mean_mass": mass_sum / mass_rows if mass_rows else None,
            "min_mass": mass_min if mass_rows else None,
            "mass_rows": mass_rows,
            "peak_scratch_bytes": scratch,
        }
