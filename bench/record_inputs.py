#!/usr/bin/env python3
"""Records what attention computes on in a real model: a file for each layer, for qwen-infer bench-attention --inputs.

    python3 bench/record_inputs.py --model MODEL.gguf --folder inputs
    build/bin/qwen-infer bench-attention --inputs inputs/layer0.gguf,inputs/layer12.gguf

The model reads source code of Python's standard library, the text of demo.sh, and the last 512 queries of the context
are saved with all keys before them: one prefill pass, whose last query alone is a decode pass. Needs qwen-infer in
build/bin. With the demo's model a layer takes 14 MB at 8,192 tokens, three fifths of it the mask.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import long_text  # noqa: E402 - its folder is no package

QUERIES = 512  # of a pass, as llama.cpp does by default


def layer_list(text: str) -> list[int]:
    """Reads "0,6,12"."""
    if not re.fullmatch(r"\d+(,\d+)*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of layers like 0,6,12")
    return [int(item) for item in text.split(",")]


def token_count(text: str) -> int:
    """Reads a whole number of passes."""
    if not re.fullmatch(r"\d+", text, re.ASCII) or int(text) < QUERIES or int(text) % QUERIES:
        raise argparse.ArgumentTypeError(f"'{text}' is no multiple of {QUERIES}, {QUERIES} or more")
    return int(text)


def record(qwen_infer: Path, model: Path, tokens: int, files: dict[int, Path]) -> None:
    """Has the model read a text of `tokens` tokens or more; ends the program if that fails."""
    settings = [f"record@{layer}={path}" for layer, path in files.items()]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as text:
        enough = int(tokens * long_text.CHARACTERS_PER_TOKEN) + 1  # whole modules may be far longer
        text.write(long_text.long_text(tokens)[:enough])
        text.flush()
        command = [qwen_infer, "complete", "--model", model, "--file", text.name, "--no-escape", "-no-cnv"]
        # Room for the text with any vocabulary.
        command += ["--ctx-size", str(2 * tokens + QUERIES), "--predict", "1", "--ubatch-size", str(QUERIES)]
        command += ["--no-display-prompt", "--verbosity", "1", "--use_top_k_attention"]
        command += ["--top_k_attention_record_queries", str(QUERIES), "--top_k_attention_record_keys", str(tokens)]
        command += ["--top_k_attention_layers", ",".join(settings)]
        run = subprocess.run(
            [str(argument) for argument in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
        )
    if run.returncode != 0:
        sys.exit(f"error: {qwen_infer} failed with {run.returncode}, see above")


def main() -> None:
    """Records and says what there is now."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="GGUF file")
    parser.add_argument("--folder", required=True, type=Path, help="where the files go; made if it is not there")
    parser.add_argument("--layers", type=layer_list, default="0,6,12,23", help="default: %(default)s")
    parser.add_argument(
        "--tokens", type=token_count, default=8192, help=f"of context, a multiple of {QUERIES} (default: %(default)s)"
    )
    parser.add_argument("--binaries", type=Path, default=ROOT / "build" / "bin", help="folder with qwen-infer")
    options = parser.parse_args()
    if "," in str(options.folder):
        parser.error("the name of the folder has a comma, which separates settings")

    qwen_infer = options.binaries / "qwen-infer"
    if not qwen_infer.is_file():
        sys.exit(f"error: {qwen_infer} is not there: scripts/build.sh makes it; --binaries names another folder")
    options.folder.mkdir(parents=True, exist_ok=True)
    files = {layer: options.folder / f"layer{layer}.gguf" for layer in options.layers}
    # Under other names until the run has worked: recordings that are there may be good.
    parts = {layer: path.with_suffix(".gguf.part") for layer, path in files.items()}
    print(f"reading {options.tokens} tokens, about a minute for 8192 of a small model", file=sys.stderr, flush=True)
    try:
        record(qwen_infer, options.model, options.tokens, parts)
        missing = [str(layer) for layer, path in parts.items() if not path.exists()]
        if missing:
            sys.exit(f"error: nothing was recorded of the layers {', '.join(missing)}: does the model have them?")
        for layer, path in files.items():
            parts[layer].replace(path)
    finally:
        for path in parts.values():
            path.unlink(missing_ok=True)
    for path in files.values():
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"error: {error}")
