"""Unmodified llama-bench with and without the plugin, alternating, as a Markdown table.

    python3 bench/compare_llama_bench.py --model MODEL.gguf --depths 0,8192 --rounds 2 > table.md

Needs the targets llama-bench and ggml-topk in build/bin. Both sides run with flash attention on (-fa 1), since that is
the operation that the plugin takes over. Ratios are of rounds next to each other: the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run_llama_bench(binaries: Path, arguments: list[str], settings: str | None) -> dict[str, float]:
    """Tokens/s by test, such as "pp512 @ d8192". settings: TOPK_ATTENTION of the plugin; None: without it."""
    environment = {k: v for k, v in os.environ.items() if k not in ("GGML_BACKEND_PATH", "TOPK_ATTENTION")}
    if settings is not None:
        environment["GGML_BACKEND_PATH"] = str(binaries / "libggml-topk.so")
        environment["TOPK_ATTENTION"] = settings
    command = [str(binaries / "llama-bench"), *arguments, "-o", "json"]
    run = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with {run.returncode}:\n{run.stderr[-2000:]}")
    results = {}
    for test in json.loads(run.stdout):
        if (settings is not None) != ("TOPK" in test["backends"]):
            sys.exit(f"llama-bench ran on {test['backends']}: the plugin was {'not ' if settings else ''}used")
        name = f"pp{test['n_prompt']}" if test["n_prompt"] else f"tg{test['n_gen']}"
        results[f"{name} @ d{test['n_depth']}"] = test["avg_ts"]
    return results


def processor() -> str:
    """The processor's name and number of cores."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--binaries", type=Path, default=ROOT / "build" / "bin", help="folder with llama-bench")
    parser.add_argument("--depths", default="0,8192", help="context before the measured tokens (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all cores")
    parser.add_argument("--settings", default="k=256", help="TOPK_ATTENTION (default: %(default)s)")
    options = parser.parse_args()

    arguments = ["-m", options.model, "-fa", "1", "-d", options.depths, "-p", "512", "-n", "32", "-r", "1"]
    arguments += ["-t", str(options.threads)]
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}: stock, then top-k", file=sys.stderr, flush=True)
        stock = run_llama_bench(options.binaries, arguments, None)
        rounds.append((stock, run_llama_bench(options.binaries, arguments, options.settings)))

    command = f"python3 bench/compare_llama_bench.py --model {Path(options.model).name} --depths {options.depths}"
    print(f"`{command} --rounds {options.rounds} --threads {options.threads} --settings {options.settings}`  ")
    print(f"{datetime.date.today()}; {processor()}; llama.cpp v0.5.0; medians of {options.rounds} rounds\n")
    print("| test | stock, tokens/s | top-k, tokens/s | ratio (min - max) |")
    print("|---|---:|---:|---:|")
    for test in rounds[0][0]:
        stock = statistics.median(a[test] for a, _ in rounds)
        topk = statistics.median(b[test] for _, b in rounds)
        ratios = [b[test] / a[test] for a, b in rounds]
        spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
        print(f"| {test} | {stock:.1f} | {topk:.1f} | **{statistics.median(ratios):.2f}** ({spread}) |")


if __name__ == "__main__":
    main()
