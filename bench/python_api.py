"""What Python costs on top of the engine: tokens/s, the first token on a saved session, memory. Markdown on stdout.

    python3 bench/python_api.py --model MODEL.gguf                     # all three
    python3 bench/python_api.py --model MODEL.gguf --only speed --rounds 2

    speed    generation at a depth, against `qwen-infer bench` on the same build, in turns; Python's clock around
             the pieces of a stream, so sampling and text are in it
    session  a second question on a saved session, in another process: time to its first piece, against the time that
             reading took
    memory   largest resident size of a process with 8-bit weights, against weights and KV cache

Needs the package, installed or on PYTHONPATH, and qwen-infer in build/bin. The text is Python's standard library.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import reports

from qwen_infer import Qwen3Inference

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from long_text import long_text  # noqa: E402 - it lies beside no package

SETTINGS = "k=256"
N_GENERATED = 64
SAMPLES = 3  # of one side in a row: llama-bench reads up to its depth once for all
QUESTIONS = ("\n\nWhat is the first function above? One sentence.", "And the last one? One sentence.")
MEMORY_CHARACTERS = 2400  # more than a batch of 512 tokens
MIB = 1 << 20
MOST_OVERHEAD, MOST_SHARE, MOST_MEMORY = 0.02, 1 / 50, 300 * MIB


def text_of(model: Qwen3Inference, n_tokens: int) -> str:
    """The beginning of a long text, of about as many tokens."""
    tokens = model.tokenize(long_text(n_tokens))
    return model.detokenize(tokens[:n_tokens])


# ---- speed ----


def bench_samples(options: argparse.Namespace) -> list[float]:
    """Tokens/s by `qwen-infer bench`."""
    command = [options.program, "bench", "-m", options.model, "-t", options.threads, "-r", SAMPLES]
    command += ["-p", 0, "-n", N_GENERATED, "-d", options.depth]
    command += ["--use_top_k_attention", "--top_k_attention_k", SETTINGS.removeprefix("k="), "-o", "json"]
    run = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return json.loads(run.stdout)[0]["samples_ts"]


def python_sample(inference: Qwen3Inference, prompt: str) -> float:
    """Tokens/s after the first piece of a greedy continuation."""
    pieces = inference.generate(prompt, max_new_tokens=N_GENERATED + 1, temperature=0, stream=True)
    next(pieces)
    begin = time.perf_counter()
    for _ in pieces:
        pass
    seconds = time.perf_counter() - begin
    if pieces.statistics["finish_reason"] != "length":
        sys.exit(f"the model ended by itself after {pieces.statistics['generated_tokens']} tokens: take another depth")
    return N_GENERATED / seconds


def speed(options: argparse.Namespace) -> Iterator[str]:
    """Rows of the table, and whether the goal is reached."""
    bench, python = [], []
    with Qwen3Inference(
        options.model, True, SETTINGS, context_length=options.depth + 512, num_threads=options.threads
    ) as inference:
        prompt = text_of(inference, options.depth)
        python_sample(inference, prompt)  # reads the prompt, once
        for _ in range(options.rounds):
            bench.append(statistics.median(bench_samples(options)))
            python.append(statistics.median(python_sample(inference, prompt) for _ in range(SAMPLES)))
    ratios = [ours / theirs for ours, theirs in zip(python, bench, strict=True)]
    yield "| round | qwen-infer bench, tokens/s | Python, tokens/s | ratio |"
    yield "|---:|---:|---:|---:|"
    for number, row in enumerate(zip(bench, python, ratios, strict=True), 1):
        yield "| {} | {:.1f} | {:.1f} | {:.3f} |".format(number, *row)
    overhead = 1 - statistics.median(ratios)
    yield f"\nPython takes {overhead:.1%} of the tokens/s (goal: under {MOST_OVERHEAD:.0%})."


# ---- session ----

_SECOND_QUESTION = """
import json, sys, time
from qwen_infer import Qwen3Inference
options = json.load(sys.stdin)
with Qwen3Inference(options["model"], True, options["settings"], context_length=options["context"]) as inference:
    begin = time.perf_counter()
    inference.load_session(options["session"])
    loaded = time.perf_counter()
    next(inference.chat(options["messages"], temperature=0, stream=True))
    print(json.dumps({"load": loaded - begin, "first": time.perf_counter() - loaded, **inference.last_run}))
"""


def session(options: argparse.Namespace) -> Iterator[str]:
    """Reads a document in this process, asks about it again in another one."""
    context = options.session_tokens + 1024
    with (
        tempfile.TemporaryDirectory() as folder,
        Qwen3Inference(options.model, True, SETTINGS, context_length=context) as inference,
    ):
        first = {"role": "user", "content": text_of(inference, options.session_tokens) + QUESTIONS[0]}
        answer = inference.chat([first], temperature=0, max_new_tokens=32)
        read = inference.last_run
        path = Path(folder) / "session"
        inference.save_session(path)
        messages = [first, {"role": "assistant", "content": answer}, {"role": "user", "content": QUESTIONS[1]}]
        given = {"model": options.model, "settings": SETTINGS, "context": context, "session": str(path)}
        second = run_child(_SECOND_QUESTION, given | {"messages": messages})
        size = path.stat().st_size
    share = second["first"] / read["prompt_seconds"]
    yield "| | tokens | seconds |"
    yield "|---|---:|---:|"
    yield f"| reading the document and a question | {read['prompt_tokens']:,} | {read['prompt_seconds']:.1f} |"
    yield f"| loading the session, {size / MIB:.0f} MiB | | {second['load']:.2f} |"
    new = second["prompt_tokens"] - second["cached_tokens"]
    yield f"| first piece of the answer to the second question | {new:,} new | {second['first']:.2f} |"
    yield f"\nThat is 1/{1 / share:.0f} of the time that reading took (goal: under 1/{1 / MOST_SHARE:.0f})."


# ---- memory ----

_EIGHT_BITS = """
import json, resource, sys
from qwen_infer import Qwen3Inference
options = json.load(sys.stdin)
with Qwen3Inference(options["model"], True, options["settings"], context_length=options["context"],
                    kv_cache_type=options["kv_cache_type"], verbose=True) as inference:
    inference.generate(options["prompt"], temperature=0, max_new_tokens=4)
    run = inference.last_run
print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, **run}))
"""


def eight_bits(program: Path, model: str, folder: Path) -> Path:
    """The model with 8-bit weights, in that folder."""
    path = folder / "q8_0.gguf"
    command = [str(program), "quantize", "--allow-requantize", model, str(path), "Q8_0"]
    subprocess.run(command, check=True, capture_output=True)
    return path


def peak_memory(model: Path, context: int, kv_cache_type: str) -> dict[str, int]:
    """Bytes of a process of its own: "weights", "kv_cache", "peak", and "more" than both."""
    given = {"model": str(model), "settings": SETTINGS, "context": context, "kv_cache_type": kv_cache_type}
    prompt = long_text(1)[:MEMORY_CHARACTERS]
    result = run_child(_EIGHT_BITS, given | {"prompt": prompt}, kv_cache_bytes)
    sizes = {"weights": model.stat().st_size, "kv_cache": result["kv_cache"], "peak": result["peak"]}
    return sizes | {"more": sizes["peak"] - sizes["weights"] - sizes["kv_cache"]}


def memory(options: argparse.Namespace) -> Iterator[str]:
    """Peaks of processes with 8-bit weights."""
    yield "| context | KV cache | weights, MiB | KV cache, MiB | peak, MiB | more than both, MiB |"
    yield "|---:|---|---:|---:|---:|---:|"
    most = 0
    with tempfile.TemporaryDirectory() as folder:
        model = eight_bits(options.program, options.model, Path(folder))
        for context, kv_cache_type in ((2048, "f16"), (32768, "f16"), (32768, "q8_0")):
            sizes = peak_memory(model, context, kv_cache_type)
            most = max(most, sizes["more"])
            cells = " | ".join(f"{size / MIB:.0f}" for size in sizes.values())
            yield f"| {context:,} | {kv_cache_type} | {cells} |"
    yield f"\nAt most {most / MIB:.0f} MiB more than weights and KV cache (goal: {MOST_MEMORY / MIB:.0f})."


def kv_cache_bytes(log: str) -> dict[str, int]:
    """As llama.cpp's log has it."""
    sizes = re.findall(r"KV buffer size = +([\d.]+) MiB", log)
    return {"kv_cache": int(sum(map(float, sizes)) * MIB)}


def run_child(
    program: str, given: dict[str, Any], from_log: Callable[[str], dict[str, Any]] = lambda _: {}
) -> dict[str, Any]:
    """What a Python process of its own prints as JSON, and what its log says."""
    paths = os.pathsep.join(path for path in sys.path if path)
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": paths},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        sys.exit(f"the process ended with {run.returncode}:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout) | from_log(run.stderr)


MEASUREMENTS = {"speed": speed, "session": session, "memory": memory}


def main() -> None:
    """Prints a section for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "bin" / "qwen-infer", help="qwen-infer")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="may be repeated (default: all)")
    parser.add_argument("--depth", type=int, default=8192, help="of the speed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="of the speed (default: %(default)s)")
    parser.add_argument("--session_tokens", type=int, default=16384, help="of the document (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all cores")
    options = parser.parse_args()
    print(f"{reports.processor_name()}, {options.threads} threads, {SETTINGS}, {Path(options.model).name}")
    for name in options.only or MEASUREMENTS:
        print(f"\n## {name.capitalize()}", flush=True)
        for line in MEASUREMENTS[name](options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
