"""Recommended settings: the file recommended.json, which eval/recommend.py writes from measurements."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from top_k_attention.budget import Budget


@dataclass(frozen=True)
class Band:
    """What is recommended for rows that see from `first` to `last` keys.

    Args:
        k: keys kept per query and head.
        kept_share: k's share of the visible keys, over all rows of the band.
        evidence: for each text that it was measured on, its name ("text"), tokens, change_percent of perplexity
            against full attention (mean, and low and high of the 95 % interval), kl and same_best_token.
    """

    first: int
    last: int
    k: Budget
    kept_share: float
    evidence: list[dict[str, Any]]


@functools.cache
def bands() -> tuple[Band, ...]:
    """All of them, the shortest first."""
    text = resources.files("top_k_attention").joinpath("recommended.json").read_text(encoding="utf-8")
    return tuple(Band(**band) for band in json.loads(text)["bands"])


def recommended_k(tokens: int) -> Budget:
    """The k of the band that the end of a text of this length is in; "auto" for lengths that were not measured."""
    visible = max(tokens - 1, 1)  # to the row that predicts the last token
    return next((band.k for band in bands() if band.first <= visible <= band.last), "auto")
