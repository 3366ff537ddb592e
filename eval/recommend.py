#!/usr/bin/env python3
"""Recommended settings, from what `qwen-infer eval` measured: one file, which --help, README and Python print.

    eval/recommend.py prose=prose/report.json code=code/report.json    # writes the file, and README's table from it

For each range of visible keys it takes the k that keeps the fewest and whose change of perplexity is, on every text,
below LARGEST_CHANGE at the upper end of its 95 % interval. A range without such a k, or with a text that has no tokens
there, is left out. Needs the package top_k_attention.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from top_k_attention import budget_for

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY / "python" / "top_k_attention" / "recommended.json"
README = REPOSITORY / "README.md"
FORMAT = "qwen-infer recommended settings 1"
LARGEST_CHANGE = 0.5  # percent
BEGIN, END = "<!-- recommended settings: written by eval/recommend.py -->\n", "<!-- end -->\n"

Report = dict[str, Any]


def kept_share(k: int | str, first: int, last: int) -> float:
    """Of the keys that rows see which see from `first` to `last` of them, one row each."""
    seen = range(first, last + 1)
    return sum(min(n, budget_for(n) if k == "auto" else k) for n in seen) / sum(seen)


def budget_in(name: str) -> int | str | None:
    """The k of a way that is named by k alone, as the report names settings."""
    found = re.fullmatch(r"k=(\d+|auto)", name)
    return None if found is None else "auto" if found[1] == "auto" else int(found[1])


def ways_at(report: Report, first: int, last: int) -> dict[int | str, Report]:
    """By their k, the figures of a report for these positions."""
    return {
        k: at
        for way in report["ways"]
        if (k := budget_in(way["name"])) is not None
        for at in way["by_position"]
        if (at["first"], at["last"]) == (first, last)
    }


def evidence(text: str, figures: Report) -> Report:
    """What one text says of a range's k."""
    return {
        "text": text,
        "tokens": figures["tokens"],
        "change_percent": {name: round(value, 2) for name, value in figures["change_percent"].items()},
        "kl": round(figures["kl"]["mean"], 4),
        "same_best_token": round(figures["agreement"]["mean"], 4),
    }


def recommend(reports: dict[str, Report]) -> Report:
    """The content of the file."""
    ranges = {(at["first"], at["last"]) for report in reports.values() for at in report["ways"][0]["by_position"]}
    bands = []
    for first, last in sorted(ranges):
        measured = {text: ways_at(report, first, last) for text, report in reports.items()}
        in_all = set.intersection(*(set(ways) for ways in measured.values()))
        good = [k for k in in_all if all(w[k]["change_percent"]["high"] < LARGEST_CHANGE for w in measured.values())]
        if not good:
            continue
        k = min(good, key=lambda k: (kept_share(k, first, last), str(k)))
        bands.append(
            {
                "first": first,
                "last": last,
                "k": k,
                "kept_share": round(kept_share(k, first, last), 4),
                "evidence": [evidence(text, ways[k]) for text, ways in measured.items()],
            }
        )
    return {
        "format": FORMAT,
        "rule": "the fewest keys whose change of perplexity against full attention is, on every text, below "
        f"{LARGEST_CHANGE} % at the upper end of its 95 % interval",
        "measurements": {
            text: {name: report[name] for name in ("command", "model", "model_description", "date", "cpu", "versions")}
            for text, report in reports.items()
        },
        "bands": bands,
    }


def table(data: Report) -> str:
    """README's, in Markdown."""
    texts = list(data["measurements"])
    head = ["visible keys", "k", "scores not kept", *(f"perplexity, {text}, %" for text in texts)]
    head += [f"KL, {text}" for text in texts]
    lines = [head]
    for band in data["bands"]:
        changes = [entry["change_percent"] for entry in band["evidence"]]
        lines.append(
            [
                f"{band['first']:,}-{band['last']:,}",
                str(band["k"]),
                f"{100 * (1 - band['kept_share']):.0f} %",
                *(f"{change['mean']:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})" for change in changes),
                *(f"{entry['kl']:.4f}" for entry in band["evidence"]),
            ]
        )
    rows = [f"| {' | '.join(line)} |\n" for line in lines]
    return "".join([rows[0], "|" + "---:|" * len(head) + "\n", *rows[1:]])


def with_table(readme: str, data: Report) -> str:
    """A text whose table is that of the data."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README.name} has no place for the table: {BEGIN.strip()} and {END.strip()}")
    return before + begin + table(data) + end + after


def main() -> int:
    """Reads the reports, writes file and table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("reports", nargs="+", metavar="TEXT=REPORT.json", help="name of a text, and its report")
    reports: dict[str, Report] = {}
    for argument in parser.parse_args().reports:
        text, equals, path = argument.partition("=")
        if not equals:
            parser.error(f"{argument!r} is not of the form TEXT=REPORT.json")
        try:
            reports[text] = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            parser.error(f"{path}: {error}")
    data = recommend(reports)
    if not data["bands"]:
        print(f"no k changes perplexity by less than {LARGEST_CHANGE} %: nothing is recommended", file=sys.stderr)
        return 1
    readme = with_table(README.read_text(encoding="utf-8"), data)
    DATA.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    README.write_text(readme, encoding="utf-8")
    print(table(data), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
