"""The command `qwen-infer convert`: prints the path of the GGUF file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from qwen_infer.conversion.cache import ConversionCache
from qwen_infer.conversion.disk_space import size_text
from qwen_infer.conversion.gguf_file import check_gguf
from qwen_infer.conversion.resolve import resolve_model
from qwen_infer.exit_codes import EXIT_SUCCESS, CommandParser, exit_code_of

_DESCRIPTION = """Makes the model file (GGUF) of a checkpoint, once, and prints its path.

  qwen-infer convert ./Qwen3-0.6B                     # a folder with config.json, tokenizer and safetensors
  qwen-infer convert --load_in_4bit Qwen/Qwen3-8B     # a name on the Hugging Face hub
  qwen-infer chat -m "$(qwen-infer convert ./Qwen3-0.6B)"

The file is kept in the folder `converted` of the cache (~/.cache/qwen-infer; QWEN_INFER_CACHE or XDG_CACHE_HOME move
it) under a name made of its content, and found there the next time, here and by Qwen3Inference. Downloads are the hub's
own cache's (HF_HOME moves it). Names of options have underscores or dashes."""


def main(arguments: Sequence[str] | None = None, program: str = "python -m qwen_infer.conversion") -> int:
    """Runs the command; returns the exit code."""
    return exit_code_of(lambda given: _run(given, program), arguments)


def _run(arguments: Sequence[str], program: str) -> int:
    parser = CommandParser(program, _DESCRIPTION)
    parser.add_argument("model", metavar="MODEL", nargs="?", help="folder or name on the hub")
    parser.add_argument("--load_in_8bit", action="store_true", help="weights in Q8_0 instead of bf16")
    parser.add_argument("--load_in_4bit", action="store_true", help="weights in Q4_K_M instead of bf16")
    parser.add_argument("--list_cache", action="store_true", help="list the files that were made, with their sizes")
    parser.add_argument("--clear_cache", action="store_true", help="delete them")
    options = parser.parse_args(arguments)
    if options.list_cache or options.clear_cache:
        if options.model is not None or options.load_in_8bit or options.load_in_4bit:
            parser.error("--list_cache and --clear_cache convert nothing: leave out the rest")
        return _clear() if options.clear_cache else _list()
    if options.model is None:
        parser.error("the following arguments are required: MODEL")
    path = resolve_model(options.model, load_in_8bit=options.load_in_8bit, load_in_4bit=options.load_in_4bit)
    check_gguf(path)
    print(path)
    return EXIT_SUCCESS


def _list() -> int:
    cache = ConversionCache()
    sizes = {path: path.stat().st_size for path in cache.models()}
    for path, size in sizes.items():
        print(f"{size_text(size):>10}  {path}")
    print(f"{len(sizes)} files, {size_text(sum(sizes.values()))}, in {cache.folder}", file=sys.stderr)
    return EXIT_SUCCESS


def _clear() -> int:
    cache = ConversionCache()
    print(f"{size_text(cache.clear())} are free again in {cache.folder}", file=sys.stderr)
    return EXIT_SUCCESS
