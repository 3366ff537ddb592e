"""Times of several ways in turns, so that a machine whose speed drifts treats all alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from layer.reference import Results
from layer.ways import Way
from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """Random, from a seed: q, k and v of [1, head, token, d] in f32, and a gradient of the output."""

    q: Tensor
    k: Tensor
    v: Tensor
    grad_out: Tensor

    @classmethod
    def random(cls, heads: int, tokens: int, size: int, seed: int = 1) -> Inputs:
        """Normally distributed numbers, which is the hardest case for a scan: no key stands out."""
        generator = torch.Generator().manual_seed(seed)
        return cls(*(torch.randn(1, heads, tokens, size, generator=generator) for _ in range(4)))


def call(way: Way, inputs: Inputs, *, backward: bool) -> Results:
    """One pass, forward alone or with the gradients of q, k and v."""
    if not backward:
        with torch.no_grad():
            return Results(way(inputs.q, inputs.k, inputs.v))
    tensors = [x.detach().requires_grad_() for x in (inputs.q, inputs.k, inputs.v)]
    out = way(*tensors)
    return Results(out.detach(), *torch.autograd.grad(out, tensors, inputs.grad_out))


def seconds_in_turns(calls: dict[str, Callable[[], object]], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Of one call of each, in every round; a round repeats a call until `seconds` have passed."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, one in calls.items():
            count, start = 0, time.perf_counter()
            while count == 0 or time.perf_counter() - start < seconds:
                one()
                count += 1
            times[name].append((time.perf_counter() - start) / count)
    return times


@dataclass(frozen=True)
class Ratio:
    """How many times as fast: of medians, and the least and largest of any round."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, times: list[float], ours: list[float]) -> Ratio:
        """Round by round."""
        rounds = [theirs / mine for theirs, mine in zip(times, ours, strict=True)]
        return cls(median(rounds), min(rounds), max(rounds))
