"""Packages that conversion needs and that are not always installed."""

from __future__ import annotations


def not_installed(reason: object) -> ImportError:
    """What to raise where one of them cannot be imported."""
    return ImportError(
        f"converting a checkpoint needs packages that are not installed here ({reason}): pip install "
        "'qwen-infer[convert]', or in a checkout pip install '.[convert]'; a GGUF file needs none of them"
    )
