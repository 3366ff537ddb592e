"""Checks of arguments. Each error names the argument, its value and what is allowed."""

from __future__ import annotations

import math
import numbers
from typing import Any

LARGEST_K = 1 << 30  # as in the kernel library's table of options


def check_k(k: Any, name: str = "k", *, allow_auto: bool = True) -> None:  # noqa: ANN401 - checks any value
    """A budget: 1 to 2^30, or "auto" where that is allowed."""
    if allow_auto and isinstance(k, str) and k == "auto":
        return
    allowed = f"an integer from 1 to {LARGEST_K}" + (', or "auto"' if allow_auto else "")
    check_integer(name, k, 1, LARGEST_K, allowed)


def check_integer(name: str, value: Any, least: int, most: int, allowed: str = "") -> None:  # noqa: ANN401
    """An integer, and not a bool, from `least` to `most`."""
    allowed = allowed or f"an integer from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}, it must be {allowed}")
    if not least <= value <= most:
        raise ValueError(f"{name}={value} must be {allowed}")


def check_number(name: str, value: Any, allowed: str, least: float, most: float) -> float:  # noqa: ANN401
    """A real number from `least` to `most`, which NaN is not."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}, it must be {allowed}")
    if not least <= value <= most:
        raise ValueError(f"{name}={value} must be {allowed}")
    return float(value)


def check_positive(name: str, value: Any) -> float:  # noqa: ANN401
    """A number above 0 that f32 holds without becoming 0 or infinity."""
    smallest, largest = 2.0**-126, (2 - 2**-23) * 2.0**127
    return check_number(name, value, "a finite number above 0", smallest, largest)


def check_finite(name: str, value: Any) -> float:  # noqa: ANN401
    """A finite number."""
    largest = (2 - 2**-23) * 2.0**127
    return check_number(name, value, "a finite number", -largest, largest)


def check_probability(name: str, value: Any) -> float:  # noqa: ANN401
    """A share that may be dropped: 0 <= p < 1."""
    return check_number(name, value, "a number from 0 to below 1", 0.0, math.nextafter(1.0, 0.0))


def check_flag(name: str, value: Any) -> None:  # noqa: ANN401
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}, it must be True or False")
