"""Draws tokens/s against context from reports of qwen-infer bench --compare and bench/peers; prints them as a table.

    build/bin/qwen-infer bench --compare -m MODEL.gguf --json compare.json
    python3 bench/peers/run.py ik_llama -m MODEL.gguf --json ik_llama.json
    python3 bench/plot_end_to_end.py compare.json ik_llama.json end_to_end.svg > table.md

Of llama.cpp's two ways, with and without flash attention, each point is the faster one. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import drawing

# Methods as the JSON names them, and what they are called: the first to come is drawn first.
PROGRAMS = {
    "stock_flash": "llama.cpp",
    "stock_products": "llama.cpp",
    "ik_llama": "ik_llama.cpp",
    "topk": "exact top-k",
}
# Colours as in the other drawings: ours solid, the others dashed.
STYLES = {"llama.cpp": ("tab:gray", "--"), "ik_llama.cpp": ("tab:red", "--"), "exact top-k": ("tab:blue", "-")}
MARKERS = "osD^v"
TESTS = {"pp": "reading a prompt", "tg": "generating"}


class Series(NamedTuple):
    """A line of the drawing and a column of the table."""

    program: str
    cache: str

    @property
    def label(self) -> str:
        """For legend and head of the table."""
        return f"{self.program}, {self.cache}"


class Test(NamedTuple):
    """A line of the table."""

    kind: str
    tokens: int
    depth: int


Rates = dict[Series, dict[Test, float]]


def read_rates(reports: list[dict[str, Any]]) -> Rates:
    """Tokens/s by series and test: the best of the ways that belong to a series."""
    rates: Rates = {}
    for report in reports:
        for measurement in report["measurements"]:
            caches = dict.fromkeys((measurement["cache_k"], measurement["cache_v"]))
            series = Series(PROGRAMS[measurement["method"]], "/".join(caches))
            test = Test(measurement["test"], measurement["tokens"], measurement["depth"])
            rate = measurement["tokens_per_second"]["median"]
            of_series = rates.setdefault(series, {})
            of_series[test] = max(rate, of_series.get(test, 0))
    programs = list(STYLES)
    return dict(sorted(rates.items(), key=lambda item: (programs.index(item[0].program), item[0].cache)))


def draw(rates: Rates, title: str, path: Path) -> None:
    """One panel for prompts and one for generation."""
    pyplot = drawing.import_pyplot()
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    caches = list(dict.fromkeys(series.cache for series in rates))
    for panel, (kind, what) in zip(panels, TESTS.items(), strict=True):
        sizes = set()
        for series, of_series in rates.items():
            points = sorted((test.depth, rate) for test, rate in of_series.items() if test.kind == kind)
            sizes |= {test.tokens for test in of_series if test.kind == kind}
            color, style = STYLES[series.program]
            marker = MARKERS[caches.index(series.cache) % len(MARKERS)]
            if points:
                panel.plot(*zip(*points, strict=True), style, color=color, marker=marker, label=series.label)
        names = ", ".join(f"{kind}{size}" for size in sorted(sizes))
        panel.set(title=f"{what} ({names})", xlabel="tokens of context before it", ylabel="tokens/s", ylim=(0, None))
        panel.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(title)
    drawing.save(figure, path)


def best(rates: Rates, program: str, test: Test) -> float | None:
    """The program's best rate with any cache; None if it was not measured."""
    found = [of_series[test] for series, of_series in rates.items() if series.program == program and test in of_series]
    return max(found) if found else None


def table(rates: Rates) -> str:
    """Markdown: a line for each test; ratios of our best to each program's best, whatever the cache."""
    others = [program for program in STYLES if program != "exact top-k"]
    others = [program for program in others if any(series.program == program for series in rates)]
    head = ["test", *(series.label for series in rates), *(f"top-k / {program}" for program in others)]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    tests = sorted({test for of_series in rates.values() for test in of_series}, key=lambda test: (test.depth, test))
    for test in tests:
        cells = [f"{test.kind}{test.tokens} @ d{test.depth}"]
        cells += [f"{of_series[test]:.1f}" if test in of_series else "-" for of_series in rates.values()]
        ours = best(rates, "exact top-k", test)
        for program in others:
            theirs = best(rates, program, test)
            cells.append("-" if ours is None or theirs is None else f"**{ours / theirs:.2f}**")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def described(reports: list[dict[str, Any]]) -> str:
    """The commands, and what they ran on."""
    lines = [f"`{report['command']}`  " for report in reports]
    versions = {name: version for report in reports for name, version in report["versions"].items()}
    facts = [reports[0]["date"], f"{reports[0]['cpu']}, {reports[0]['threads']} threads"]
    facts += [f"{name} {version}" for name, version in versions.items()]
    return "\n".join([*lines, "; ".join(facts) + "; tokens/s, medians"])


def main() -> None:
    """Reads the reports, draws them and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+", help="JSON of bench --compare and of bench/peers")
    parser.add_argument("picture", type=Path, help="file to write (.svg, .png)")
    options = parser.parse_args()
    try:
        reports = [json.loads(path.read_text(encoding="utf-8")) for path in options.reports]
        rates = read_rates(reports)
        draw(rates, f"{reports[0]['model']}; {reports[0]['cpu']}, {reports[0]['threads']} threads", options.picture)
        print(f"{described(reports)}\n\n{table(rates)}")
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"error: {', '.join(map(str, options.reports))} cannot be drawn: {error!r}")


if __name__ == "__main__":
    main()
