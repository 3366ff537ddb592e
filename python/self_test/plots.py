"""Drawings of what was measured. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import drawing

from self_test.memory import MIB, Memory
from self_test.performance import Speeds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS = {"color": "tab:blue", "linestyle": "-"}
FULL = {"color": "tab:gray", "linestyle": "--"}
WRITTEN_OUT = {"color": "black", "linestyle": "--"}


def _line(axis: Axes, points: Sequence[tuple[int, float | None]], label: str, style: dict[str, str]) -> None:
    known = [(x, y) for x, y in points if y is not None]
    if known:
        axis.plot(*zip(*known, strict=True), marker="o", markersize=4, label=label, **style)


def _finish(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set(title=title, xlabel=x, ylabel=y, xscale="log", yscale="log")
    axis.xaxis.set_major_formatter("{x:.0f}")
    ticks = sorted({value for line in axis.lines for value in line.get_xdata()})
    axis.set_xticks(ticks)
    axis.set_xticks([], minor=True)
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")


def draw_time(speeds: Speeds, path: Path) -> Path:
    """Time against sequence length, forward and with gradients, and against k."""
    figure, axes = drawing.import_pyplot().subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    for axis, points, title in (
        (axes[0], speeds.forward, "forward"),
        (axes[1], speeds.backward, "forward + backward"),
    ):
        _line(axis, [(p.tokens, p.full) for p in points], "full attention, the faster way", FULL)
        _line(axis, [(p.tokens, p.ours) for p in points], f"top-k, k = {points[0].top_k}", OURS)
        _finish(axis, title, "tokens", "milliseconds")
    points = speeds.budgets
    _line(axes[2], [(p.top_k, p.full) for p in points], "full attention, the faster way", FULL)
    _line(axes[2], [(p.top_k, p.ours) for p in points], "top-k", OURS)
    _finish(axes[2], f"forward, {points[0].tokens} tokens", "k", "milliseconds")
    drawing.save(figure, path)
    return path


def draw_memory(memory: Memory, path: Path) -> Path:
    """Peak memory against sequence length and k."""
    figure, axes = drawing.import_pyplot().subplots(1, 2, figsize=(9, 3.8), layout="constrained")

    def mebibytes(size: int | None) -> float | None:
        return None if size is None else size / MIB

    points = memory.lengths
    _line(axes[0], [(p.tokens, mebibytes(p.naive)) for p in points], "full attention, written out", WRITTEN_OUT)
    _line(axes[0], [(p.tokens, mebibytes(p.fused)) for p in points], "full attention, fused", FULL)
    _line(axes[0], [(p.tokens, mebibytes(p.ours)) for p in points], f"top-k, k = {points[0].top_k}", OURS)
    _finish(axes[0], "forward + backward", "tokens", "MiB at the peak")
    longest = points[-1]  # the length at which budgets are compared
    for size, label, style in (
        (longest.naive, "full attention, written out", WRITTEN_OUT),
        (longest.fused, "full attention, fused", FULL),
    ):
        _line(axes[1], [(p.top_k, mebibytes(size)) for p in memory.budgets], label, style)
    _line(axes[1], [(p.top_k, mebibytes(p.ours)) for p in memory.budgets], "top-k", OURS)
    _finish(axes[1], f"forward + backward, {memory.budgets[0].tokens} tokens", "k", "MiB at the peak")
    drawing.save(figure, path)
    return path
