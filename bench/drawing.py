"""What the drawings of benchmarks share: matplotlib, if it is there, and a picture that is never half-written."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def import_pyplot() -> ModuleType:
    """matplotlib.pyplot without a display; ends the program if it is not installed."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        sys.exit("drawing needs matplotlib: pip install matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def save(figure: Figure, path: Path) -> None:
    """Writes the figure to path, whose suffix says the format."""
    temporary = path.with_suffix(f".tmp{path.suffix}")
    figure.savefig(temporary)
    temporary.rename(path)
