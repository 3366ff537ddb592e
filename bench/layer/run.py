"""Measures top_k_attention against full attention in torch, and against top-k attention as the paper computes it.

    python3 bench/layer/run.py --json layer.json > layer.md
    python3 bench/layer/run.py --forward 4096:128 --backward none --paper none --memory none
    python3 bench/layer/plot.py layer.json layer.svg

Causal attention in f32, random inputs. All ways take turns in one process; each result is checked against attention
with all scores in f64 before its time counts. Full attention is the faster of torch's scaled_dot_product_attention and
the formula written out. Peak memory is that of a forward and backward pass in a process of its own. Needs the package
with torch: pip install ".[torch]". Prints Markdown; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import reports
import torch
from layer import peak_memory, timing, ways
from layer.reference import Reference, reference

PASSES = ("forward", "forward + backward")
# How many times as fast as full attention a pass is meant to be, by tokens and k, with 8 heads of 64.
GOALS = {
    "forward": {(512, 64): 1.2, (1024, 64): 2, (1024, 128): 1.6, (4096, 128): 3, (16384, 128): 5},
    "forward + backward": {(1024, 128): 2, (4096, 128): 4, (10240, 128): 7},
}
# Against the paper's way, by pass and tokens, and GiB of peak memory with 12 heads.
PAPER_GOALS = {("forward", 10240): 50}
MEMORY_GOALS = {(10240, 128): 1.0, (61440, 128): 6.0}
NAMES = {
    "torch_fused": "torch, fused",
    "torch_naive": "torch, written out",
    "paper": "paper's way in torch",
    "ours": "top-k",
}


@dataclass(frozen=True)
class Case:
    """A length and a budget."""

    tokens: int
    top_k: int

    @classmethod
    def parse(cls, text: str) -> Case:
        """TOKENS:K."""
        tokens, top_k = (int(part) for part in text.split(":"))
        if min(tokens, top_k) < 1:
            raise ValueError
        return cls(tokens, top_k)


def parse_cases(text: str) -> list[Case]:
    """TOKENS:K,...; "none" is none."""
    return [] if text == "none" else [Case.parse(part) for part in text.split(",")]


parse_cases.__name__ = "list of TOKENS:K"  # argparse names it in errors


def positive(text: str) -> int:
    """At least 1."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    speed = parser.add_argument_group("what is measured, TOKENS:K,... or none")
    forward = "512:64,1024:64,512:128,1024:128,2048:128,4096:128,10240:128,16384:128"
    speed.add_argument("--forward", type=parse_cases, default=forward, metavar="CASES", help="default: %(default)s")
    backward = "512:64,1024:64,512:128,1024:128,2048:128,4096:128,10240:128"
    speed.add_argument(
        "--backward", type=parse_cases, default=backward, metavar="CASES", help="forward + backward: %(default)s"
    )
    speed.add_argument(
        "--paper", type=parse_cases, default="10240:128", metavar="CASES", help="both passes, paper's way: %(default)s"
    )
    speed.add_argument(
        "--memory",
        type=parse_cases,
        default="10240:128,61440:128",
        metavar="CASES",
        help="peak of forward + backward: %(default)s",
    )
    parser.add_argument("--heads", type=positive, default=8, help="default: %(default)s")
    parser.add_argument("--memory_heads", type=positive, default=12, help="default: %(default)s")
    parser.add_argument("--size", type=positive, default=64, help="numbers per head (default: %(default)s)")
    parser.add_argument("--threads", type=positive, default=2, help="default: %(default)s")
    parser.add_argument("--rounds", type=positive, default=5, help="turns of each way (default: %(default)s)")
    parser.add_argument(
        "--paper_rounds", type=positive, default=2, help="the same for the paper's way, which is slow (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=0.2, help="of a turn at least (default: %(default)s)")
    parser.add_argument(
        "--naive_limit",
        type=positive,
        default=4096,
        metavar="TOKENS",
        help="from more on, the formula written out is left out: it needs heads * tokens^2 * 4 bytes, several times "
        "(default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="file to write")
    options = parser.parse_args()
    if options.json is not None and not options.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.absolute().parent}")
    return options


@dataclass
class Report:
    """What has been measured so far."""

    passes: list[dict[str, Any]] = field(default_factory=list)
    paper: list[dict[str, Any]] = field(default_factory=list)
    memory: list[dict[str, Any]] = field(default_factory=list)


def log(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Contest:
    """A case with what its results are checked against; gradients are there if a pass needs them."""

    case: Case
    options: argparse.Namespace
    inputs: timing.Inputs
    full: Reference
    selective: Reference

    @classmethod
    def prepare(cls, case: Case, options: argparse.Namespace) -> Contest:
        """Takes its time: all scores in f64, once for all passes."""
        log(f"{case.tokens} tokens, k = {case.top_k}: computing what is right")
        inputs = timing.Inputs.random(options.heads, case.tokens, options.size)
        gradient = inputs.grad_out if case in options.backward + options.paper else None

        def right(top_k: int | None) -> Reference:
            return reference(inputs.q, inputs.k, inputs.v, top_k, gradient)

        return cls(case, options, inputs, right(None), right(case.top_k))

    def against_full(self, backward: bool) -> dict[str, Any]:
        """Full attention to all keys by torch, and ours."""
        candidates = {"torch_fused": ways.torch_fused}
        if self.case.tokens <= self.options.naive_limit:
            candidates["torch_naive"] = ways.torch_naive
        for name, way in candidates.items():
            self.full.check(NAMES[name], timing.call(way, self.inputs, backward=backward))
        row = self._time(candidates, backward, self.options.rounds)
        return row | {"goal": GOALS[row["pass"]].get((self.case.tokens, self.case.top_k))}

    def against_paper(self, backward: bool) -> dict[str, Any]:
        """Top-k attention the paper's way, and ours."""
        way = ways.paper(self.case.top_k)
        # It chooses keys by scores in f32.
        self.selective.check(NAMES["paper"], timing.call(way, self.inputs, backward=backward), exact_choice=False)
        row = self._time({"paper": way}, backward, self.options.paper_rounds)
        return row | {"goal": PAPER_GOALS.get((row["pass"], self.case.tokens))}

    def _time(self, candidates: dict[str, ways.Way], backward: bool, rounds: int) -> dict[str, Any]:
        ours = ways.ours(self.case.top_k)
        self.selective.check(NAMES["ours"], timing.call(ours, self.inputs, backward=backward))
        calls: dict[str, Callable[[], object]] = {
            name: partial(timing.call, way, self.inputs, backward=backward)
            for name, way in (candidates | {"ours": ours}).items()
        }
        times = timing.seconds_in_turns(calls, rounds, self.options.seconds)
        best = min(candidates, key=lambda name: median(times[name]))
        ratio = timing.Ratio.of(times[best], times["ours"])
        kind = PASSES[backward]
        log(f"  {kind}: {1e3 * median(times['ours']):.2f} ms, {ratio.median:.2f} times as fast as {NAMES[best]}")
        return {
            "pass": kind,
            "tokens": self.case.tokens,
            "top_k": self.case.top_k,
            "heads": self.options.heads,
            "head_size": self.options.size,
            "milliseconds": {name: reports.spread([1e3 * seconds for seconds in t]) for name, t in times.items()},
            "against": best,
            "ratio": vars(ratio),
        }


def peak_memory_of(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Of a forward and backward pass, ours and torch's fused one."""
    heads, size = options.memory_heads, options.size
    row: dict[str, Any] = {"tokens": case.tokens, "top_k": case.top_k, "heads": heads, "head_size": size}
    for name in ("ours", "torch_fused"):
        row[name] = peak_memory.measure(
            name, tokens=case.tokens, heads=heads, size=size, top_k=case.top_k, threads=options.threads
        )
        log(f"peak memory, {NAMES[name]}, {case.tokens} tokens: {row[name]['bytes'] / 2**30:.3f} GiB")
    return row | {"goal": MEMORY_GOALS.get((case.tokens, case.top_k))}


def measure(options: argparse.Namespace, report: Report) -> None:
    """Fills the report, the quick parts first."""
    cases = {*options.forward, *options.backward, *options.paper}
    for case in sorted(cases, key=lambda case: (case.tokens, case.top_k)):
        contest = Contest.prepare(case, options)
        for backward, wanted in enumerate((options.forward, options.backward)):
            if case in wanted:
                report.passes.append(contest.against_full(bool(backward)))
        if case in options.paper:
            report.paper += [contest.against_paper(backward) for backward in (False, True)]
    report.memory += [peak_memory_of(case, options) for case in options.memory]


def figure(number: float) -> str:
    """Three digits."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def goal(row: dict[str, Any]) -> str:
    """The goal of a line, if there is one."""
    return "-" if row["goal"] is None else f"{row['goal']:g}"


def markdown(report: Report) -> str:
    """The tables."""
    lines: list[str] = []

    def speeds(rows: list[dict[str, Any]], columns: list[str]) -> None:
        heads = [f"{NAMES[name]}, ms" for name in columns]
        lines.append(f"| pass | n | k | {' | '.join(heads)} | ratio (min - max) | goal |")
        lines.append("|---|---:|---:|" + "---:|" * (len(columns) + 2))
        for row in rows:
            of = row["milliseconds"]
            times = " | ".join(figure(of[name]["median"]) if name in of else "-" for name in columns)
            ratio = row["ratio"]
            span = f"**{ratio['median']:.2f}** ({ratio['least']:.2f} - {ratio['most']:.2f})"
            lines.append(f"| {row['pass']} | {row['tokens']} | {row['top_k']} | {times} | {span} | {goal(row)} |")
        lines.append("")

    if report.passes:
        in_order = sorted(report.passes, key=lambda row: (row["pass"], row["top_k"], row["tokens"]))
        speeds(in_order, ["torch_fused", "torch_naive", "ours"])
    if report.paper:
        speeds(report.paper, ["paper", "ours"])
    if report.memory:
        lines.append(
            "| n | k | heads | top-k, GiB | of it inputs | torch, fused, GiB | top-k, s | torch, s | goal, GiB |"
        )
        lines.append("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
        for row in report.memory:
            mine, theirs = row["ours"], row["torch_fused"]
            gib = [f"{n / 2**30:.2f}" for n in (mine["bytes"], mine["input_bytes"], theirs["bytes"])]
            lines.append(
                f"| {row['tokens']} | {row['top_k']} | {row['heads']} | **{gib[0]}** | {gib[1]} | {gib[2]} "
                f"| {figure(mine['seconds'])} | {figure(theirs['seconds'])} | {goal(row)} |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measures, prints and writes."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    command = " ".join(["bench/layer/run.py", *sys.argv[1:]])
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    conditions = reports.conditions(options.threads, versions, command)
    report, started = Report(), time.monotonic()
    exit_code = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was measured is not lost
    try:
        measure(options, report)
    except KeyboardInterrupt:
        exit_code = 130
        log("interrupted: what follows is what was measured")
    except (ArithmeticError, RuntimeError) as error:
        exit_code = 1
        log(f"error: {error}\nwhat follows was measured before")
    facts = (
        conditions["date"],
        f"{conditions['cpu']}, {options.threads} threads",
        f"torch {torch.__version__}, Python {versions['python']}",
        f"{options.heads} heads of {options.size}, f32",
        f"medians of {options.rounds} rounds in turns ({options.paper_rounds} of the paper's way)",
        f"{time.monotonic() - started:.0f} s",
    )
    print(f"`{command}`  \n{'; '.join(facts)}\n")
    print(markdown(report), end="")
    if options.json is not None:
        reports.write_json(options.json, conditions | vars(report))
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
