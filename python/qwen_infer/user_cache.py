"""The folder of what was fetched or made once: the one of the scripts and of qwen-infer."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """QWEN_INFER_CACHE, else qwen-infer in XDG_CACHE_HOME or ~/.cache. It need not exist."""
    if folder := os.environ.get("QWEN_INFER_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qwen-infer"
