"""Small random checkpoints, and what transformers makes of a checkpoint."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import sentencepiece
import torch
import transformers

README = Path(__file__).resolve().parents[2] / "README.md"
VOCABULARY = 400
QWEN_VOCABULARY = 151_936
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    # Large enough that one wrong tensor changes every prediction.
    "initializer_range": 0.3,
}
MORE_SIZES = {
    "Qwen2": {},
    "Qwen3": {"head_dim": 32},
    "Qwen3Moe": {"head_dim": 32, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
}


def make_checkpoint(folder: Path, kind: str = "Qwen3", tokenizer: Path | None = None) -> Path:
    """A folder as save_pretrained leaves it, in bf16.

    `tokenizer` is a folder with Qwen's, the only one that llama.cpp's converter takes for mixtures of experts; without
    it, the checkpoint has a small one of SentencePiece.
    """
    torch.manual_seed(0)
    sizes = {**SIZES, **MORE_SIZES[kind], **({"vocab_size": QWEN_VOCABULARY} if tokenizer else {})}
    config = getattr(transformers, f"{kind}Config")(**sizes)
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    if tokenizer is None:
        (folder / "tokenizer.model").write_bytes(_tokenizer())
    else:
        for path in tokenizer.glob("tokenizer*.json"):
            shutil.copy(path, folder)
    return folder


def reference(folder: Path, attention: str = "sdpa") -> transformers.PreTrainedModel:
    """The checkpoint in transformers, computed in f32."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    ).eval()


def reference_perplexity(model: transformers.PreTrainedModel, tokens: Sequence[int]) -> float:
    """exp of the mean negative log likelihood of all tokens but the first."""
    ids = torch.tensor([tokens])
    with torch.no_grad():
        return model(ids, labels=ids).loss.exp().item()


def run_convert(*arguments: object, ahead: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end. `ahead`: a folder of packages that come before all others."""
    return subprocess.run(
        convert_command(*arguments),
        env=convert_environment(ahead) | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def convert_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "qwen_infer.conversion", *map(str, arguments)]


def convert_environment(ahead: Path | None = None) -> dict[str, str]:
    """With the packages of this process."""
    paths = [*([str(ahead)] if ahead else []), *sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def files_below(folder: Path) -> dict[str, int]:
    """Names and times of all files, to tell whether anything has changed."""
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


def _tokenizer() -> bytes:
    text = README.read_text(encoding="utf-8").splitlines()
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text),
        model_writer=written,
        vocab_size=VOCABULARY,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=0.99,
        minloglevel=2,
    )
    return written.getvalue()
