"""Draws what bench/layer/run.py has measured: time of a pass against the number of tokens.

    python3 bench/layer/run.py --json layer.json
    python3 bench/layer/plot.py layer.json docs/benchmarks/layer.svg

Several reports of one machine, as of a measurement in parts, make one drawing. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import drawing

# Colours as in the other drawings: ours solid, the others dashed.
STYLES = {
    "torch_fused": ("full, torch's fused kernel", "tab:gray", "--"),
    "torch_naive": ("full, written out in torch", "black", "--"),
    "paper": ("top-k, the paper's way in torch", "tab:red", "--"),
    "ours": ("top-k", "tab:blue", "-"),
}


def draw(reports: list[dict[str, Any]], top_k: int, path: Path) -> None:
    """A panel for each pass."""
    pyplot = drawing.import_pyplot()
    machines = {f"{report['cpu']}, {report['threads']} threads" for report in reports}
    if len(machines) > 1:
        raise ValueError(f"they are of several machines: {'; '.join(sorted(machines))}")
    against_full = [row for report in reports for row in report["passes"]]
    against_paper = [row for report in reports for row in report["paper"]]
    rows = [row for row in against_full + against_paper if row["top_k"] == top_k]
    passes = list(dict.fromkeys(row["pass"] for row in rows))
    if not passes:
        raise ValueError(f"nothing was measured with k = {top_k}")
    figure, panels = pyplot.subplots(1, len(passes), figsize=(4.5 * len(passes), 3.8), layout="constrained")
    for panel, kind in zip([panels] if len(passes) == 1 else panels, passes, strict=True):
        for way, (label, color, style) in STYLES.items():
            points = {
                row["tokens"]: row["milliseconds"][way]["median"]
                for row in reversed(rows)  # of two measurements the one against full attention
                if row["pass"] == kind and way in row["milliseconds"]
            }
            if points:
                panel.loglog(*zip(*sorted(points.items()), strict=True), style, color=color, marker="o", label=label)
        tokens = sorted({row["tokens"] for row in rows if row["pass"] == kind})
        panel.set(title=kind, xlabel="tokens", ylabel="milliseconds")
        panel.set_xticks(tokens, [f"{n / 1024:g}K" for n in tokens], minor=False)
        panel.set_xticks([], minor=True)
        panel.grid(alpha=0.3)
    handles = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    row = rows[0]
    shape = f"{row['heads']} heads of {row['head_size']}, k = {top_k}"
    figure.suptitle(f"{machines.pop()}; {shape}, causal, f32", fontsize="medium")
    drawing.save(figure, path)


def main() -> None:
    """Reads the report and draws it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+", help="files written by bench/layer/run.py --json")
    parser.add_argument("picture", type=Path, help="file to write (.svg, .png)")
    parser.add_argument("--top_k", type=int, default=128, help="the k that is drawn (default: %(default)s)")
    options = parser.parse_args()
    try:
        reports = [json.loads(path.read_text(encoding="utf-8")) for path in options.reports]
        draw(reports, options.top_k, options.picture)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"error: {', '.join(map(str, options.reports))} cannot be drawn: {error!r}")


if __name__ == "__main__":
    main()
