"""The repository's own documents: Python in README runs, and messages under Troubleshooting are the real ones."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from checkpoints import make_checkpoint
from documents import blocks_of

from qwen_infer import Qwen3Inference, inference
from top_k_attention import TopKAttention, TopKAttentionConfig

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCKS = blocks_of(REPOSITORY / "README.md")
README = [block for block in BLOCKS if block.language == "python"]
GUIDE = REPOSITORY / "docs" / "TOPK_ATTENTION_IMPLEMENTATION.md"


@pytest.fixture
def local_models(model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is named is there: the demo's model for the engine, a tiny one for transformers. Answers are short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inference, "resolve_model", lambda _model, **_flags: model_path)
    for name in ("generate", "chat"):
        short = functools.partialmethod(getattr(Qwen3Inference, name), max_new_tokens=8)
        monkeypatch.setattr(Qwen3Inference, name, short)
    tiny = make_checkpoint(tmp_path / "tiny")
    original = transformers.AutoModelForCausalLM.from_pretrained
    monkeypatch.setattr(
        transformers.AutoModelForCausalLM, "from_pretrained", lambda _name, **options: original(tiny, **options)
    )


@pytest.mark.model
@pytest.mark.usefixtures("local_models")
@pytest.mark.parametrize("number", range(len(README)), ids=[block.heading for block in README])
def test_python_of_the_readme_runs(number: int) -> None:
    names = {"Qwen3Inference": Qwen3Inference}  # later blocks go on from the first one
    exec(compile(README[number].code, "README.md", "exec"), names)  # noqa: S102 - that is the test


# What the reader has in C++ and C: memory.
THEIR_MEMORY = {
    ("In C++ and C", "cpp"): "const void *q, *k, *v; float *out, *out_gradient, *q_gradient, *k_gradient, *v_gradient;",
    ("In C++ and C", "c"): "const float *q, *k, *v; float *out;",
    ("As a layer", "cpp"): "std::span<const float> x, grad_y; std::span<float> y, grad_x;",
}


@pytest.mark.parametrize(("heading", "language"), THEIR_MEMORY)
def test_c_and_cpp_of_the_readme_compile(heading: str, language: str) -> None:
    lines = "".join(
        block.code for block in BLOCKS if (block.heading, block.language) == (heading, language)
    ).splitlines()
    includes = [line for line in lines if line.startswith("#include")]
    code = [line for line in lines if not line.startswith("#include")]
    text = "\n".join(
        ["#include <stdio.h>", *includes, THEIR_MEMORY[heading, language], "int main(void) {", *code, "}\n"]
    )
    compiler = ("g++", "-std=c++20", "-xc++") if language == "cpp" else ("gcc", "-xc")
    command = [*compiler, "-fsyntax-only", "-Werror", "-I", str(REPOSITORY / "include"), "-"]
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


# ---- troubleshooting ----

MESSAGES = re.findall(
    r"^\| `(.+?)` \| .+ \|$", GUIDE.read_text(encoding="utf-8").partition("## Troubleshooting")[2], re.M
)


def exceed_the_context(model_path: Path) -> None:
    with Qwen3Inference(model_path, context_length=1024) as model:
        model.generate("word " * 3000)


# What brings up each message, in the order of the table; the last one needs a machine without memory.
CAUSES: list[Callable[[Path], object]] = [
    lambda _: TopKAttentionConfig(k=0),
    lambda _: TopKAttention(8, 1, k=32, fallback_full_attention=False)(torch.zeros(1, 16, 8)),
    lambda _: TopKAttention(512, 7),
    lambda _: TopKAttentionConfig(temperature=float("nan")),
    lambda _: Qwen3Inference("nosuch.gguf"),
    lambda _: Qwen3Inference("./nosuch"),
    lambda _: Qwen3Inference("x.gguf", use_top_k_attention=True, use_flash_attention=False),
    exceed_the_context,
]


@pytest.mark.model
@pytest.mark.parametrize("number", range(len(CAUSES)))
def test_message_under_troubleshooting_is_the_real_one(number: int, model_path: Path) -> None:
    with pytest.raises((ValueError, OSError)) as raised:
        CAUSES[number](model_path)
    assert str(raised.value) == MESSAGES[number]


def test_no_message_under_troubleshooting_is_left_out() -> None:
    assert len(MESSAGES) == len(CAUSES) + 1
    assert MESSAGES[-1] == "no memory for N bytes of scratch"
