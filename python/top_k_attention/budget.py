"""Budgets: how many keys a row keeps. The rule of k="auto" is the kernel library's."""

from __future__ import annotations

from typing import Literal

import _topk

Budget = int | Literal["auto"]

AUTO: int = _topk.AUTO_BUDGET  # what operators, which take an integer, are given for "auto"
MOST_AUTO: int = _topk.MOST_AUTO_BUDGET


def budget_for(visible_keys: int) -> int:
    """How many keys a row keeps with k="auto" that sees so many: sqrt(32 n), rounded up, from 128 to 512.

    That is 128 up to 512 visible keys, 256 of 2,048, and 512 from 8,192 on. A row keeps the same keys in a prompt, in a
    batch and by itself.
    """
    if visible_keys < 0:
        raise ValueError(f"visible_keys={visible_keys} must be at least 0")
    return _topk.auto_budget(visible_keys)


def as_number(k: Budget) -> int:
    """As operators take it."""
    return AUTO if k == "auto" else k
