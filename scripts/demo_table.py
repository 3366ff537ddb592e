#!/usr/bin/env python3
"""Prints the closing table of demo.sh from the reports of its two runs.

The reports are what `qwen-infer complete --top_k_attention_stats FILE.json` writes: settings, timings and, with top-k
attention, what it kept. A figure that a run did not measure is shown as '-'.

usage: demo_table.py FULL.json TOP_K.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

MISSING = "-"


def look_up(report: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - a JSON value
    """The value at "timings.prompt_tokens" and the like; None where the report has none."""
    value: Any = report
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def count(value: float | None) -> str:
    """12345678 as '12.3 M'."""
    if value is None:
        return MISSING
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " K")):
        if value >= factor:
            return f"{value / factor:.1f}{unit}"
    return str(int(value))


def size(value: float | None) -> str:
    """12345678 bytes as '11.8 MiB'."""
    if value is None:
        return MISSING
    for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{int(value)} B"


def number(digits: int, suffix: str = "") -> Any:  # noqa: ANN401 - a function
    """A formatter with that many decimals."""
    return lambda value: MISSING if value is None else f"{value:.{digits}f}{suffix}"


# Label, where it stands in the report, how it is written.
ROWS = (
    ("prompt tokens", "timings.prompt_tokens", count),
    ("prompt tokens/s", "timings.prompt_tokens_per_second", number(1)),
    ("generated tokens", "timings.generated_tokens", count),
    ("generation tokens/s", "timings.generation_tokens_per_second", number(1)),
    ("keys seen", "total.keys_seen", count),
    ("keys kept", "total.keys_kept", count),
    ("mean mass of the kept keys", "total.mean_mass", number(4)),
    ("minimum mass", "total.min_mass", number(4)),
    ("scores not kept, 4 bytes each", "total.score_bytes_saved", size),
    ("time in attention", "total.seconds", number(1, " s")),
)


def table(full: dict[str, Any], top_k: dict[str, Any]) -> str:
    """The table as text; raises ValueError if the reports are not those of two such runs."""
    for name, report, attention in (("first", full, "full"), ("second", top_k, "top_k")):
        if report.get("attention") != attention:
            raise ValueError(
                f"the {name} report is of a run with attention '{report.get('attention')}', not '{attention}'"
            )
    if look_up(full, "timings.prompt_tokens") != look_up(top_k, "timings.prompt_tokens"):
        raise ValueError("the two runs did not read the same prompt")
    settings = dict(pair.split("=", 1) for pair in (top_k.get("settings") or "").split(",") if "=" in pair)
    budget = settings.get("k")
    lines = [("", "full attention", f"top-k, k = {budget}" if budget is not None else "top-k")]
    lines += [(label, write(look_up(full, path)), write(look_up(top_k, path))) for label, path, write in ROWS]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    text = [f"  {line[0]:<{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:>{widths[2]}}" for line in lines]
    text.insert(1, "  " + "-" * (sum(widths) + 4))
    return "\n".join(text + notes(top_k))


def notes(top_k: dict[str, Any]) -> list[str]:
    """What the figures mean: on how many rows the mass was measured, if not on all; that scores are a sum."""
    rows, measured = look_up(top_k, "total.rows"), look_up(top_k, "total.mass_rows")
    if not rows:
        return []
    lines = []
    if measured is not None and measured < rows:
        lines.append(f"  Mass: share of the full softmax, exact for {count(measured)} of {count(rows)} rows.")
    return [*lines, f"  Scores not kept: summed over all {count(rows)} rows (query and head), not memory at one time."]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        print(table(*(json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:])))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
