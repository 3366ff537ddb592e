"""Language models with exact top-k attention: `qwen_infer.hf` brings it to Hugging Face transformers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("qwen-infer")
except PackageNotFoundError:  # imported from a source tree that was not installed
    __version__ = "unknown"
