"""Unmodified llama-bench with and without the plugin, alternating, as a Markdown table.

    python3 bench/compare_llama_bench.py --model MODEL.gguf --depths 0,8192 --rounds 2 > table.md

--plot FILE draws tokens/s against the depth (needs matplotlib). Needs the targets llama-bench and ggml-topk in
build/bin. Both sides run with flash attention on (-fa 1), since that is the operation that the plugin takes over.
Ratios are of rounds next to each other: the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import drawing
import reports

ROOT = Path(__file__).resolve().parent.parent


def run_llama_bench(binaries: Path, arguments: list[str], settings: str | None) -> tuple[dict[str, float], str]:
    """Tokens/s by test, such as "pp512 @ d8192", and llama.cpp's version.

    settings: TOPK_ATTENTION of the plugin; None: without it.
    """
    environment = {k: v for k, v in os.environ.items() if k not in ("GGML_BACKEND_PATH", "TOPK_ATTENTION")}
    if settings is not None:
        environment["GGML_BACKEND_PATH"] = str(binaries / "libggml-topk.so")
        environment["TOPK_ATTENTION"] = settings
    command = [str(binaries / "llama-bench"), *arguments, "-o", "json"]
    run = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with {run.returncode}:\n{run.stderr[-2000:]}")
    tests = json.loads(run.stdout)
    results = {}
    for test in tests:
        if (settings is not None) != ("TOPK" in test["backends"]):
            sys.exit(f"llama-bench ran on {test['backends']}: the plugin was {'not ' if settings else ''}used")
        name = f"pp{test['n_prompt']}" if test["n_prompt"] else f"tg{test['n_gen']}"
        results[f"{name} @ d{test['n_depth']}"] = test["avg_ts"]
    return results, f"llama.cpp commit {tests[0]['build_commit']} (build {tests[0]['build_number']})"


def draw(path: Path, stock: dict[str, float], topk: dict[str, float], settings: str) -> None:
    """Tokens/s against the depth, one panel for prompts and one for generation."""
    pyplot = drawing.import_pyplot()
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for panel, kind, title in zip(panels, ("pp512", "tg32"), ("reading a prompt", "generating"), strict=True):
        for results, label in ((stock, "full attention (llama.cpp)"), (topk, f"exact top-k attention, {settings}")):
            points = [(int(name.split("@ d")[1]), value) for name, value in results.items() if name.startswith(kind)]
            panel.plot(*zip(*sorted(points), strict=True), marker="o", label=label)
        panel.set(title=f"{title} ({kind})", xlabel="tokens of context before it", ylabel="tokens/s", ylim=(0, None))
        panel.grid(alpha=0.3)
    panels[0].legend()
    drawing.save(figure, path)


def main() -> None:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--binaries", type=Path, default=ROOT / "build" / "bin", help="folder with llama-bench")
    parser.add_argument("--depths", default="0,8192", help="context before the measured tokens (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all cores")
    parser.add_argument("--settings", default="k=256", help="TOPK_ATTENTION (default: %(default)s)")
    parser.add_argument("--plot", type=Path, help="also draw tokens/s against depth into this file (.svg, .png)")
    options = parser.parse_args()

    arguments = ["-m", options.model, "-fa", "1", "-d", options.depths, "-p", "512", "-n", "32", "-r", "1"]
    arguments += ["-t", str(options.threads)]
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}: stock, then top-k", file=sys.stderr, flush=True)
        stock, version = run_llama_bench(options.binaries, arguments, None)
        topk, _ = run_llama_bench(options.binaries, arguments, options.settings)
        rounds.append((stock, topk))

    command = f"python3 bench/compare_llama_bench.py --model {Path(options.model).name} --depths {options.depths}"
    print(f"`{command} --rounds {options.rounds} --threads {options.threads} --settings {options.settings}`  ")
    machine = f"{reports.processor_name()}, {os.cpu_count()} cores"
    print(f"{datetime.date.today()}; {machine}; {version}; medians of {options.rounds} rounds\n")
    print("| test | stock, tokens/s | top-k, tokens/s | ratio (min - max) |")
    print("|---|---:|---:|---:|")
    stock = {test: statistics.median(a[test] for a, _ in rounds) for test in rounds[0][0]}
    topk = {test: statistics.median(b[test] for _, b in rounds) for test in rounds[0][0]}
    for test in stock:
        ratios = [b[test] / a[test] for a, b in rounds]
        spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
        print(f"| {test} | {stock[test]:.1f} | {topk[test]:.1f} | **{statistics.median(ratios):.2f}** ({spread}) |")
    if options.plot is not None:
        draw(options.plot, stock, topk, options.settings)


if __name__ == "__main__":
    main()
