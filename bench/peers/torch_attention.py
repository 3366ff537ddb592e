"""Time of torch's scaled_dot_product_attention at the shapes of qwen-infer bench-attention.

    python3 bench/peers/run.py torch_attention --json torch.json
    python3 bench/plot_attention.py attention.json torch.json attention.svg

Microseconds per query and head; K and V of each KV head are shared by its query heads. One query is decode: it takes
turns on copies of the cache that exceed the processor's, as a model with many layers does. More queries are the last
ones of the context, behind a causal mask.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from pathlib import Path
from typing import Any

import reports
import torch

COLD_CACHES = 8  # that copies of K fill, as in bench-attention
TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def causal_mask(queries: int, keys: int, dtype: torch.dtype) -> torch.Tensor | None:
    """What the last `queries` of `keys` tokens see: 0, else minus infinity; None: everything."""
    if queries == 1:
        return None
    position = torch.arange(keys - queries, keys).unsqueeze(1)
    hidden = torch.arange(keys).unsqueeze(0) > position
    return torch.zeros(queries, keys, dtype=dtype).masked_fill(hidden, float("-inf"))


def microseconds(
    shape: tuple[int, int, int], queries: int, keys: int, type_name: str, options: argparse.Namespace
) -> list[float]:
    """Of each round, per query and head."""
    heads, heads_kv, size = shape
    dtype = TYPES[type_name]
    key_bytes = heads_kv * keys * size * dtype.itemsize
    copies = max(2, -(-options.cold_bytes // key_bytes)) if queries == 1 else 1
    first = tuple(torch.randn(1, heads_kv, keys, size).to(dtype) for _ in ("k", "v"))
    caches = [first, *(tuple(x.clone() for x in first) for _ in range(copies - 1))]
    query = torch.randn(1, heads, queries, size).to(dtype)
    mask = causal_mask(queries, keys, dtype)
    turns = itertools.cycle(caches)

    def call() -> None:
        k, v = next(turns)
        torch.nn.functional.scaled_dot_product_attention(query, k, v, attn_mask=mask, enable_gqa=True)

    call()  # allocates
    rounds = []
    for _ in range(options.repeat):
        calls, start = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - start < options.seconds:
            call()
            calls += 1
        rounds.append(1e6 * (time.perf_counter() - start) / calls / (queries * heads))
    return rounds


def head_shape(text: str) -> tuple[int, int, int]:
    """Q:KV:D."""
    heads, heads_kv, size = (positive(part) for part in text.split(":"))
    if heads % heads_kv:
        raise ValueError
    return heads, heads_kv, size


def positive(text: str) -> int:
    """At least 1."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def list_of(read: Any, name: str) -> Any:  # noqa: ANN401 - any reader
    """Reader of a comma-separated list; argparse names it in errors."""

    def read_list(text: str) -> list[Any]:
        return [read(part) for part in text.split(",")]

    read_list.__name__ = name
    return read_list


def parse_arguments() -> argparse.Namespace:
    """The command line; flags as qwen-infer bench-attention has them."""
    parser = argparse.ArgumentParser(
        prog="bench/peers/run.py torch_attention",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shapes, numbers = list_of(head_shape, "list of Q:KV:D"), list_of(positive, "list of numbers")
    parser.add_argument("--shapes", type=shapes, default="14:2:64,16:8:128,32:8:128", help="default: %(default)s")
    parser.add_argument("--keys", type=numbers, default="1024,4096,8192,32768", help="default: %(default)s")
    parser.add_argument("--queries", type=numbers, default="1,512", help="default: %(default)s")
    parser.add_argument("--types", default="f16,bf16", help="of f32, f16 and bf16 (default: %(default)s)")
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="default: all cores")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a measurement at least (default: %(default)s)")
    parser.add_argument("--repeat", type=positive, default=3, help="measurements (default: %(default)s)")
    parser.add_argument(
        "--cold_bytes",
        type=positive,
        default=COLD_CACHES * reports.last_level_cache_bytes(),
        help="of the copies of K; as many of V come on top (default: %(default)s, eight last-level caches)",
    )
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    if unknown := set(options.types.split(",")) - set(TYPES):
        parser.error(f"--types: {', '.join(sorted(unknown))} is not f32, f16 or bf16")
    if max(options.queries) > min(options.keys):
        parser.error("--queries: more than --keys, whose last ones they are")
    if options.json is not None and not options.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.absolute().parent}")
    return options


def main() -> None:
    """Measures case by case and writes the report as it grows."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    cases = list(itertools.product(options.shapes, options.types.split(","), options.queries, options.keys))
    command = "bench/peers/run.py torch_attention " + " ".join(sys.argv[1:])
    conditions = reports.conditions(options.threads, {"torch": torch.__version__}, command.strip())
    rows = []
    started = time.monotonic()
    for number, (shape, type_name, queries, keys) in enumerate(cases):
        left = f", about {(time.monotonic() - started) / number * (len(cases) - number):.0f} s left" if number else ""
        print(f"[{number + 1}/{len(cases)}{left}]", file=sys.stderr, flush=True)
        times = reports.spread(microseconds(shape, queries, keys, type_name, options))
        heads, heads_kv, size = shape
        name = f"{queries} queries, {heads}/{heads_kv} heads, d {size}, {keys} keys, {type_name}"
        print(f"{name}: {times['median']:.2f} us per query and head", flush=True)
        rows.append(
            {
                "queries": queries,
                "heads": heads,
                "heads_kv": heads_kv,
                "head_size": size,
                "keys": keys,
                "type": type_name,
                "microseconds": {"torch": times},
            }
        )
        if options.json is not None:  # each time: this may be stopped
            reports.write_json(options.json, {**conditions, "rows": rows})


if __name__ == "__main__":
    try:
        with torch.inference_mode():
            main()
    except KeyboardInterrupt:
        sys.exit(130)
