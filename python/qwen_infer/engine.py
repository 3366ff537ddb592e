"""The native module with models and sessions."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from top_k_attention.source_tree import make_importable


def load_engine() -> ModuleType:
    """The module `_qwen_engine`; ImportError with what to do if this installation has none."""
    make_importable("_qwen_engine")
    try:
        import _qwen_engine
    except ImportError as error:
        raise ImportError(
            "models need the engine, which this installation was built without: give pip the source of llama.cpp, "
            "QWEN_INFER_LLAMA_CPP=$(scripts/fetch_llama_cpp.sh) pip install ., or run ./demo.sh and use the "
            f"packages in python/ ({error})"
        ) from error
    return _qwen_engine


def attention_settings() -> list[dict[str, Any]]:
    """All settings of top-k attention in models: name, type, range, default and a sentence each."""
    return load_engine().attention_settings()
