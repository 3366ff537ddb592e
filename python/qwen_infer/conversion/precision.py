"""Types of weights that a checkpoint is converted to."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from math import prod

_F32_BITS = 32
_BF16_BITS = 16
_Q8_0_BITS = 8.5  # 32 weights of 8 bits and a scale of 16
_Q6_K_BITS = 6.5625  # the largest type that Q4_K_M mixes in where rows are multiples of 256 ...
_K_QUANT_ROW = 256  # ... and where they are not, it falls back to types of up to 8.5 bits


class Precision(Enum):
    """The value is llama.cpp's name."""

    BF16 = "BF16"
    Q8_0 = "Q8_0"
    Q4_K_M = "Q4_K_M"

    @classmethod
    def of_flags(cls, load_in_8bit: bool, load_in_4bit: bool) -> Precision:
        """What the two flags ask for; ValueError if they contradict each other."""
        if load_in_8bit and load_in_4bit:
            raise ValueError("load_in_8bit=True and load_in_4bit=True exclude each other: choose one")
        return cls.Q8_0 if load_in_8bit else cls.Q4_K_M if load_in_4bit else cls.BF16

    def most_bytes(self, shape: Sequence[int]) -> int:
        """What a tensor takes at most. Vectors stay in f32."""
        if len(shape) < 2:
            bits: float = _F32_BITS
        elif self is Precision.BF16:
            bits = _BF16_BITS
        elif self is Precision.Q8_0 or shape[-1] % _K_QUANT_ROW != 0:
            bits = _Q8_0_BITS
        else:
            bits = _Q6_K_BITS
        return int(prod(shape) * bits / 8)
