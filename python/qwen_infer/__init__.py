"""Language models with exact top-k attention.

    from qwen_infer import Qwen3Inference

`Qwen3Inference` runs models on the C++ engine; `qwen_infer.hf` brings the attention to Hugging Face transformers.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from qwen_infer.inference import GenerationStream, Qwen3Inference

__all__ = ["GenerationStream", "Qwen3Inference", "__version__"]

try:
    __version__ = version("qwen-infer")
except PackageNotFoundError:  # imported from a source tree that was not installed
    __version__ = "unknown"
