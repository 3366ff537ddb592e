"""Tokens/s of ik_llama.cpp at the depths of qwen-infer bench --compare, with f16 and q8_0 KV caches in turns.

    python3 bench/peers/run.py ik_llama -m MODEL.gguf --json ik_llama.json

Flash attention is on, as by default there. One prefill for each cache and depth, which goes on from the one of the
depth before; after each measured pass its tokens are removed from the cache. A round that does not count comes first.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import reports
from ik_llama_cpp import _ctypes_api as api

# ggml's numbers of the types.
CACHE_TYPES = {"f16": 1, "q8_0": 8}
BATCH = 512  # tokens a call: also how often a prefill says how far it is
# What a token costs: how many are read while one is generated, and the depth at which it costs twice as much. From a
# model of half a billion parameters; the estimate of the remaining time needs no better.
GENERATION_COST = 6
DOUBLING_DEPTH = 10_000

LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
LOG_ERROR = 4


@LOG_CALLBACK
def log_errors(level: int, text: bytes, _data: int | None) -> None:
    """Only what goes wrong is of interest."""
    if level == LOG_ERROR:
        sys.stderr.write(text.decode("utf-8", errors="replace"))


def bind_missing_functions() -> ctypes.CDLL:
    """The functions of the library that the package does not declare."""
    library = api._lib
    library.llama_batch_get_one.argtypes = [api.llama_token_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32]
    library.llama_batch_get_one.restype = api.llama_batch
    library.llama_kv_cache_seq_rm.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32]
    library.llama_kv_cache_seq_rm.restype = ctypes.c_bool
    library.llama_synchronize.argtypes = [ctypes.c_void_p]
    library.llama_synchronize.restype = None
    library.llama_log_set.argtypes = [LOG_CALLBACK, ctypes.c_void_p]
    library.llama_log_set.restype = None
    library.llama_log_set(log_errors, None)
    return library


class Context:
    """A context whose KV cache has one type; lives until the process ends."""

    def __init__(self, library: ctypes.CDLL, model: int, cache: str, n_context: int, threads: int) -> None:
        parameters = api.llama_context_default_params()
        parameters.n_ctx = n_context
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.type_k = parameters.type_v = CACHE_TYPES[cache]
        parameters.flash_attn = True
        self.cache = cache
        self._library = library
        self._context = api.llama_init_from_model(model, parameters)
        if not self._context:
            sys.exit(f"error: ik_llama.cpp made no context of {n_context} tokens with a {cache} cache")

    def decode(self, tokens: list[int], position: int) -> None:
        """Appends tokens to the cache."""
        array = (api.llama_token * len(tokens))(*tokens)
        batch = self._library.llama_batch_get_one(array, len(tokens), position, 0)
        code = api.llama_decode(self._context, batch)
        self._library.llama_synchronize(self._context)
        if code != 0:
            sys.exit(f"error: ik_llama.cpp could not compute at depth {position} (code {code})")

    def run(self, tokens: list[int], depth: int, batch: int) -> float:
        """Tokens/s of a pass at a depth, of which the cache keeps nothing."""
        start = time.perf_counter()
        for begin in range(0, len(tokens), batch):
            self.decode(tokens[begin : begin + batch], depth + begin)
        seconds = time.perf_counter() - start
        if not self._library.llama_kv_cache_seq_rm(self._context, 0, depth, -1):
            sys.exit("error: ik_llama.cpp cannot take tokens of this model out of the cache again")
        return len(tokens) / seconds


class Progress:
    """Says on stderr what is being done and how long the rest may take."""

    def __init__(self, total: float) -> None:
        self._total, self._done, self._start = total, 0.0, time.monotonic()

    def add(self, tokens: int, depth: int, generated: bool) -> None:
        """Counts tokens as done."""
        self._done += cost(tokens, depth, generated)

    def say(self, what: str) -> None:
        """One line."""
        left = ""
        if self._done:
            share = min(1.0, self._done / self._total)
            seconds = (time.monotonic() - self._start) * (1 - share) / share
            left = f" ({100 * share:.0f} %, about {seconds / 60:.1f} min left)"
        print(f"{what}{left}", file=sys.stderr, flush=True)


def cost(tokens: int, depth: int, generated: bool) -> float:
    """In tokens that are read without context."""
    return tokens * (GENERATION_COST if generated else 1) * (1 + (depth + tokens / 2) / DOUBLING_DEPTH)


def measure(contexts: list[Context], tokens: list[int], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All measurements, depth by depth."""
    tests = {"pp": (options.n_prompt, BATCH), "tg": (options.n_gen, 1)}
    rounds = options.repetitions + 1
    of_depths = (cost(n, d, kind == "tg") for d in options.depths for kind, (n, _) in tests.items())
    progress = Progress(len(contexts) * (cost(options.depths[-1], 0, False) + rounds * sum(of_depths)))
    filled = 0
    for depth in options.depths:
        for begin in range(filled, depth, BATCH):
            if (begin - filled) % (4 * BATCH) == 0:
                progress.say(f"depth {depth}: prefill, {begin} tokens are there")
            for context in contexts:
                context.decode(tokens[begin : min(depth, begin + BATCH)], begin)
                progress.add(min(depth, begin + BATCH) - begin, begin, False)
        filled = depth
        rates: dict[tuple[str, str], list[float]] = {}
        for number in range(rounds):
            progress.say(f"depth {depth}: " + (f"round {number} of {rounds - 1}" if number else "warming up"))
            for kind, (count, batch) in tests.items():
                for context in contexts:
                    rate = context.run(tokens[depth : depth + count], depth, batch)
                    rates.setdefault((kind, context.cache), []).append(rate)
                    progress.add(count, depth, kind == "tg")
        for (kind, cache), all_rounds in rates.items():
            counted = reports.spread(all_rounds[1:])
            print(f"{kind}{tests[kind][0]} @ d{depth}, {cache}: {counted['median']:.1f} tokens/s", flush=True)
            yield {
                "method": "ik_llama",
                "cache_k": cache,
                "cache_v": cache,
                "test": kind,
                "tokens": tests[kind][0],
                "depth": depth,
                "tokens_per_second": counted,
            }


def depth_list(text: str) -> list[int]:
    """Ascending, each once."""
    depths = sorted({int(part) for part in text.split(",")})
    if depths[0] < 0:
        raise ValueError
    return depths


def positive(text: str) -> int:
    """At least 1."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def parse_arguments() -> argparse.Namespace:
    """The command line; flags as qwen-infer bench --compare has them."""
    parser = argparse.ArgumentParser(
        prog="bench/peers/run.py ik_llama", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = "0,4096,8192,16384,32768"
    parser.add_argument("-m", "--model", type=Path, required=True, help="GGUF file")
    parser.add_argument("-d", "--depths", type=depth_list, default=defaults, help="default: %(default)s")
    parser.add_argument("-p", "--n-prompt", type=positive, default=512, help="default: %(default)s")
    parser.add_argument("-n", "--n-gen", type=positive, default=32, help="default: %(default)s")
    parser.add_argument(
        "-r", "--repetitions", type=positive, default=3, help="rounds that count (default: %(default)s)"
    )
    parser.add_argument(
        "-c", "--caches", nargs="+", choices=CACHE_TYPES, default=list(CACHE_TYPES), help="KV caches (default: both)"
    )
    parser.add_argument("-t", "--threads", type=positive, default=os.cpu_count(), help="default: all cores")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    if not options.model.is_file():
        parser.error(f"--model: there is no file {options.model}")
    if options.json is not None and not options.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.absolute().parent}")
    return options


def main() -> None:
    """Measures and writes the report as it grows."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler would wait for the end of a long call
    options = parse_arguments()
    library = bind_missing_functions()
    api.llama_backend_init()
    model = api.llama_model_load_from_file(os.fsencode(options.model), api.llama_model_default_params())
    if not model:
        sys.exit(f"error: ik_llama.cpp could not load {options.model}")
    n_context = options.depths[-1] + max(options.n_prompt, options.n_gen)
    contexts = [Context(library, model, cache, n_context, options.threads) for cache in options.caches]
    n_vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    tokens = random.Random(1).choices(range(n_vocab), k=n_context)  # noqa: S311 - no cryptography
    command = f"bench/peers/run.py ik_llama -m {options.model.name} -d {','.join(map(str, options.depths))}"
    command += f" -p {options.n_prompt} -n {options.n_gen} -r {options.repetitions} -t {options.threads}"
    command += f" -c {' '.join(options.caches)}"
    versions = {name: version(name) for name in ("ik_llama_cpp_python",)}
    report = {**reports.conditions(options.threads, versions, command), "model": options.model.name}
    measurements = []
    for measurement in measure(contexts, tokens, options):
        measurements.append(measurement)
        if options.json is not None:  # each time: this may be stopped
            reports.write_json(options.json, {**report, "measurements": measurements})


if __name__ == "__main__":
    main()
