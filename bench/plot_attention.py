"""Draws what qwen-infer bench-attention has measured: time per query and head against the keys, a panel per shape.

    build/bin/qwen-infer bench-attention --json attention.json
    python3 bench/plot_attention.py attention.json attention.svg

Of several reports (that of bench/peers/torch_attention.py, say) all lines are drawn, under the title of the first.
Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import drawing

# Methods as the JSON names them, and how they are drawn: llama.cpp dashed, ours solid.
METHODS = {
    "stock_flash": ("llama.cpp, flash attention", "tab:gray", "--"),
    "stock_products": ("llama.cpp, without", "black", "--"),
    "topk_f32": ("exact top-k, f32 scan", "tab:blue", "-"),
    "topk_int8": ("exact top-k, int8 scan", "tab:green", "-"),
    "topk_int16": ("exact top-k, int16 scan", "tab:olive", "-"),
    "dense": ("ours, dense", "tab:orange", "-"),
    "as_used": ("ours, as used", "tab:purple", ":"),
    "torch": ("torch", "tab:red", ":"),
}


def panels_of(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows by what stays the same in a panel, in the order of the file."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        queries = "decode" if row["queries"] == 1 else f"{row['queries']} queries"
        title = f"{queries}, {row['heads']}/{row['heads_kv']} heads, d = {row['head_size']}, {row['type']}"
        if row.get("visible", "all") != "all":
            title += f", {row['visible']} visible"
        if row.get("inputs", "gaussian") != "gaussian":
            title += f", {row['inputs']}"
        panels.setdefault(title, []).append(row)
    return panels


def read(path: Path) -> dict[str, Any]:
    """A report."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(report, dict) or not report.get("rows"):
        raise ValueError(f"{path}: no report of bench-attention with a line or more")
    return report


def draw(reports: list[dict[str, Any]], path: Path) -> None:
    """One panel for each shape, type and number of queries, three a line."""
    report = reports[0]
    pyplot = drawing.import_pyplot()
    panels = panels_of([row for each in reports for row in each["rows"]])
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(4.2 * columns, 3.2 * lines + 0.7), layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, rows) in zip(axes.flat, panels.items(), strict=False):
        for method, (label, color, style) in METHODS.items():
            points = sorted(
                (row["keys"], row["microseconds"][method]["median"]) for row in rows if row["microseconds"].get(method)
            )
            if points:
                axis.loglog(*zip(*points, strict=True), style, color=color, marker="o", markersize=3, label=label)
        axis.set(title=title, xlabel="keys", ylabel="microseconds per query and head")
        axis.grid(alpha=0.3)
    # Not every panel has every method.
    handles = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles)))
    figure.suptitle(f"{report['cpu']}, {report['threads']} threads, k = {report['flags']['k']}")
    drawing.save(figure, path)


def main() -> None:
    """Reads the report and draws it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+", help="file written by qwen-infer bench-attention --json")
    parser.add_argument("picture", type=Path, help="file to write (.svg, .png)")
    options = parser.parse_args()
    try:
        draw([read(path) for path in options.reports], options.picture)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except (KeyError, TypeError, AttributeError) as error:
        sys.exit(f"error: {', '.join(map(str, options.reports))}: no report of bench-attention: {error!r}")


if __name__ == "__main__":
    main()
