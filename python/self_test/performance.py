"""Speed of top-k attention against full attention, by sequence length and by k. A slow machine is no failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import torch
from layer import timing, ways
from layer.reference import reference

from self_test.report import Check, table

HEADS, SIZE = 8, 64
TOP_K = 64  # when lengths are compared
BUDGETS = (16, 32, 64, 128, 256, 512)  # at the largest length
ROUNDS, SECONDS = 3, 0.1
NAIVE_LIMIT = 4096  # tokens: the scores of 8 heads take 0.5 GiB, several times over


@dataclass(frozen=True)
class Point:
    """Milliseconds of a pass."""

    tokens: int
    top_k: int
    full: float  # the faster of torch's two ways
    ours: float


@dataclass
class Speeds:
    """What was measured."""

    forward: list[Point] = field(default_factory=list)
    backward: list[Point] = field(default_factory=list)  # with the forward pass
    budgets: list[Point] = field(default_factory=list)  # forward, at the largest length


def lengths(quick: bool) -> tuple[int, ...]:
    """Of the sequences that are measured."""
    return (256, 512, 1024) if quick else (256, 512, 1024, 2048, 4096)


def budgets(quick: bool) -> tuple[int, ...]:
    """The k that are compared."""
    return BUDGETS[1::4] if quick else BUDGETS


def measure(tokens: int, top_k: int, *, backward: bool) -> Point:
    """Checks the result, then times full and top-k attention in turns."""
    inputs = timing.Inputs.random(HEADS, tokens, SIZE)
    ours = ways.ours(top_k)
    right = reference(inputs.q, inputs.k, inputs.v, top_k, inputs.grad_out if backward else None)
    right.check(f"top-k attention of {tokens} tokens with k = {top_k}", timing.call(ours, inputs, backward=backward))
    calls: dict[str, Callable[[], object]] = {"ours": partial(timing.call, ours, inputs, backward=backward)}
    full = [ways.torch_fused] + ([ways.torch_naive] if tokens <= NAIVE_LIMIT else [])
    for way in full:
        calls[way.__name__] = partial(timing.call, way, inputs, backward=backward)
        calls[way.__name__]()  # the first call allocates
    times = {name: 1e3 * median(t) for name, t in timing.seconds_in_turns(calls, ROUNDS, SECONDS).items()}
    return Point(tokens, top_k, min(times[way.__name__] for way in full), times["ours"])


def _print(points: list[Point]) -> None:
    rows = [(f"{p.tokens}", f"{p.top_k}", f"{p.full:.2f}", f"{p.ours:.2f}", f"{p.full / p.ours:.2f}x") for p in points]
    print(table(("tokens", "k", "full attention, ms", "top-k, ms", "speed-up"), rows), flush=True)


def checks(speeds: Speeds, quick: bool) -> tuple[Check, ...]:
    """They fill `speeds`; each fails only on a wrong result."""

    def forward() -> str:
        """Forward pass, causal, against the faster of torch's fused kernel and the formula written out."""
        speeds.forward += [measure(tokens, TOP_K, backward=False) for tokens in lengths(quick)]
        _print(speeds.forward)
        return f"{torch.get_num_threads()} threads, {HEADS} heads of {SIZE}, f32; results checked"

    def backward() -> str:
        """Forward and backward pass."""
        speeds.backward += [measure(tokens, TOP_K, backward=True) for tokens in lengths(quick)]
        _print(speeds.backward)
        return "outputs and gradients checked"

    def by_budget() -> str:
        """Forward pass by k."""
        speeds.budgets += [measure(lengths(quick)[-1], top_k, backward=False) for top_k in budgets(quick)]
        _print(speeds.budgets)
        return "results checked"

    return forward, backward, by_budget
