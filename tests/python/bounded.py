"""Tensors that carry how far a computation in f32 may be from them: running error analysis.

After Wilkinson; Higham, "Accuracy and Stability of Numerical Algorithms", chapter 3. Every operation adds what rounding
can do to what its operands brought along. src/layer/testing/bounded.h is the same for single numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

UNIT = 2.0**-24  # largest relative error of one rounding to f32
# Blocked sums rescale and merge their parts (online softmax): a few roundings more.
MERGES = 8
# The exponential of vectors is a polynomial, off by a few units in the last place; this is generous.
EXP_UNITS = 8


@dataclass(frozen=True)
class Bounded:
    """|what f32 arithmetic gets - value| <= bound; the value is in f64, whose own rounding is beyond notice."""

    value: Tensor
    bound: Tensor

    @classmethod
    def exact(cls, x: Tensor) -> Bounded:
        """Numbers that f32 holds."""
        return cls(x.double(), torch.zeros_like(x, dtype=torch.float64))

    @property
    def largest(self) -> Tensor:
        """What the absolute value may be."""
        return self.value.abs() + self.bound

    def map(self, move: Callable[[Tensor], Tensor]) -> Bounded:
        """Numbers elsewhere: views, transpositions, gathers."""
        return Bounded(move(self.value), move(self.bound))

    def where(self, condition: Tensor) -> Bounded:
        """Exactly 0 elsewhere."""
        return self.map(lambda x: x.masked_fill(~condition, 0))

    def __add__(self, other: Bounded) -> Bounded:
        return _rounded(self.value + other.value, self.bound + other.bound)

    def __sub__(self, other: Bounded) -> Bounded:
        return _rounded(self.value - other.value, self.bound + other.bound)

    def __mul__(self, other: Bounded) -> Bounded:
        inherited = self.value.abs() * other.bound + self.bound * other.largest
        return _rounded(self.value * other.value, inherited)

    def __truediv__(self, other: Bounded) -> Bounded:
        """By positive numbers that are far from 0."""
        quotient = self.value / other.value
        return _rounded(quotient, (self.bound + quotient.abs() * other.bound) / (other.value - other.bound))

    def __matmul__(self, other: Bounded) -> Bounded:
        """For any order and grouping of the sums, with and without fused multiply-adds."""
        inherited = self.value.abs() @ other.bound + self.bound @ other.largest
        units = UNIT * (self.value.shape[-1] + MERGES)
        rounding = units / (1 - units) * (self.largest @ other.largest)
        return Bounded(self.value @ other.value, inherited + rounding)

    def sum(self, dim: int) -> Bounded:
        """Kept as a dimension of 1; in any order."""
        units = UNIT * (self.value.shape[dim] + MERGES)
        rounding = units / (1 - units) * self.largest.sum(dim, keepdim=True)
        return Bounded(self.value.sum(dim, keepdim=True), self.bound.sum(dim, keepdim=True) + rounding)

    def exp(self) -> Bounded:
        value = self.value.exp()
        return Bounded(value, value * (self.bound.expm1() + EXP_UNITS * UNIT * self.bound.exp()))


def _rounded(value: Tensor, inherited: Tensor) -> Bounded:
    return Bounded(value, inherited + UNIT * (value.abs() + inherited))


def concatenate(parts: list[Bounded], dim: int) -> Bounded:
    """As torch.cat."""
    return Bounded(torch.cat([x.value for x in parts], dim), torch.cat([x.bound for x in parts], dim))
