"""Tests top-k attention on this machine and reports what it finds.

    python3 python/test_top_k_attention.py                        # everything, a few minutes
    python3 python/test_top_k_attention.py --basic --integration  # whether it works
    python3 python/test_top_k_attention.py --performance          # how fast, against full attention in torch
    python3 python/test_top_k_attention.py --memory --plot --output plots

Without a category all of them run. A wrong result fails, a slow machine does not: times and memory are reported. The
package is taken as installed (pip install ".[torch]"), else from this checkout with the native module of its build.

exit code: 0 all passed, 1 something failed, 2 a mistake in the arguments, 130 interrupted
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import warnings
from pathlib import Path

# From pytest this file is imported by its path, so its folder may be missing.
if str(Path(__file__).resolve().parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).resolve().parent))

from self_test import package

CATEGORIES = {
    "basic": "function and layer compute what they say: output, gradients, masks, weights, statistics, training",
    "performance": "time against full attention in torch, by sequence length and k; each result is checked first",
    "memory": "scores kept and peak memory against full attention, by sequence length and k",
    "integration": "configuration, errors, torch, transformers, model inference",
    "plot": "draws time and memory as PNG, of --performance and --memory or, given neither, of both; needs matplotlib",
}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; without a category all are on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_argument_group("categories")
    for name, what in CATEGORIES.items():
        group.add_argument(f"--{name}", action="store_true", help=what)
    parser.add_argument("--quick", action="store_true", help="short sequences and few k: half a minute")
    parser.add_argument(
        "--output", type=Path, default=Path(), metavar="DIR", help="where pictures go; made if missing (default: here)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="default: torch's choice")
    options = parser.parse_args(arguments)
    options.everything = not any(getattr(options, name) for name in CATEGORIES)
    for name in CATEGORIES:
        setattr(options, name, getattr(options, name) or options.everything)
    if options.plot and not options.performance and not options.memory:
        options.performance = options.memory = True
    if options.threads is not None and options.threads < 1:
        parser.error(f"--threads: {options.threads} must be at least 1")
    if options.plot and not options.everything and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install matplotlib")
    if options.plot:
        try:
            options.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--output: {options.output} cannot be made: {error.strerror}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Runs the categories; returns the exit code."""
    options = parse_arguments(arguments)
    package.make_importable()
    import torch

    import top_k_attention
    from self_test import basic, integration, memory, performance, plots
    from self_test.report import CheckError, Report, UnavailableError

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # torch's, amid the report
    report, speeds, peaks = Report(), performance.Speeds(), memory.Memory()
    print(f"top_k_attention from {Path(top_k_attention.__file__).parent}; torch {torch.__version__}, ", end="")
    print(f"{torch.get_num_threads()} threads")
    if options.basic:
        report.section("Basic")
        report.run(basic.CHECKS)
    if options.performance:
        report.section("Performance")
        report.run(performance.checks(speeds, options.quick))
    if options.memory:
        report.section("Memory")
        report.run(memory.checks(peaks, options.quick))
    if options.integration:
        report.section("Integration")
        report.run(integration.CHECKS)
    if options.plot:

        def pictures() -> str:
            """Pictures."""
            if importlib.util.find_spec("matplotlib") is None:
                raise UnavailableError("matplotlib is not installed: pip install matplotlib")
            written = []
            if speeds.forward and speeds.backward and speeds.budgets:
                written.append(plots.draw_time(speeds, options.output / "top_k_attention_time.png"))
            if peaks.lengths and peaks.budgets:
                written.append(plots.draw_memory(peaks, options.output / "top_k_attention_memory.png"))
            if len(written) < options.performance + options.memory:
                raise CheckError("a measurement failed, so there is nothing to draw of it")
            return ", ".join(map(str, written))

        report.section("Plots")
        report.run([pictures])
    return report.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
