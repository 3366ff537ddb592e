"""The command `qwen-infer convert`: prints the path of the GGUF file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from qwen_infer.conversion.gguf_file import check_gguf
from qwen_infer.conversion.resolve import resolve_model
from qwen_infer.exit_codes import EXIT_SUCCESS, exit_code_of

_DESCRIPTION = """Makes the model file (GGUF) of a checkpoint, once, and prints its path.

  qwen-infer convert ./Qwen3-0.6B                     # a folder with config.json, tokenizer and safetensors
  qwen-infer convert --load_in_4bit Qwen/Qwen3-8B     # a name on the Hugging Face hub
  qwen-infer chat -m "$(qwen-infer convert ./Qwen3-0.6B)"

The file is kept in the folder `converted` of the cache (~/.cache/qwen-infer; QWEN_INFER_CACHE or XDG_CACHE_HOME move
it) under a name made of its content, and found there the next time, here and by Qwen3Inference. Names of options have
underscores or dashes."""


def main(arguments: Sequence[str] | None = None, program: str = "python -m qwen_infer.conversion") -> int:
    """Runs the command; returns the exit code."""
    return exit_code_of(lambda given: _run(given, program), arguments)


def _run(arguments: Sequence[str], program: str) -> int:
    parser = argparse.ArgumentParser(
        prog=program,
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL", help="folder or name on the hub")
    parser.add_argument("--load_in_8bit", action="store_true", help="weights in Q8_0 instead of bf16")
    parser.add_argument("--load_in_4bit", action="store_true", help="weights in Q4_K_M instead of bf16")
    options = parser.parse_args(arguments)
    path = resolve_model(options.model, load_in_8bit=options.load_in_8bit, load_in_4bit=options.load_in_4bit)
    check_gguf(path)
    print(path)
    return EXIT_SUCCESS
