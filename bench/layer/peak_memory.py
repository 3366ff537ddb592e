"""Peak memory of a forward and backward pass, measured in a process of its own.

    python3 bench/layer/peak_memory.py ours --tokens 10240 --heads 12 --top_k 128

Prints one line of JSON: the largest resident size during the pass, less that of the process before it made its inputs;
so inputs, output and gradients count. Before, a short pass has loaded what is loaded once.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parents[1]
WAYS = ("ours", "paper", "torch_fused", "torch_naive")


def measure(
    way: str, *, tokens: int, heads: int, size: int, top_k: int, threads: int, backward: bool = True
) -> dict[str, Any]:
    """{"bytes", "input_bytes", "seconds"} of a pass in a child process.

    Raises RuntimeError with what the child said, or how it ended, if it failed.
    """
    command = [sys.executable, __file__, way]
    for name, value in (("tokens", tokens), ("heads", heads), ("size", size), ("top_k", top_k), ("threads", threads)):
        command += [f"--{name}", str(value)]
    if not backward:
        command.append("--forward")
    # The child finds the modules that this process found.
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    child = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if child.returncode != 0:
        said = child.stderr.strip().splitlines()
        why = said[-1] if said else "it said nothing; it may have been killed for want of memory"
        raise RuntimeError(f"the process that measures {way} at {tokens} tokens ended with {child.returncode}: {why}")
    return json.loads(child.stdout)


def resident() -> int:
    """Bytes in memory now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def largest_resident() -> int:
    """Bytes in memory, the most since `forget_peak`."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def forget_peak() -> None:
    """Starts the peak of this process at what it holds now (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    """What the child process does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--heads", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--size", type=int, default=64, help="numbers per head (default: %(default)s)")
    parser.add_argument("--top_k", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all cores")
    parser.add_argument("--forward", action="store_true", help="without the backward pass")
    options = parser.parse_args()
    if str(BENCH) not in sys.path:
        sys.path.insert(0, str(BENCH))
    import torch
    from layer import timing, ways

    torch.set_num_threads(options.threads)
    way = getattr(ways, options.way)
    way = way(options.top_k) if options.way in ("ours", "paper") else way
    backward = not options.forward
    timing.call(way, timing.Inputs.random(options.heads, 64, options.size), backward=backward)
    forget_peak()
    before = resident()
    inputs = timing.Inputs.random(options.heads, options.tokens, options.size)
    start = time.perf_counter()
    timing.call(way, inputs, backward=backward)
    seconds = time.perf_counter() - start
    input_bytes = sum(x.numel() * x.element_size() for x in vars(inputs).values())
    print(json.dumps({"bytes": largest_resident() - before, "input_bytes": input_bytes, "seconds": seconds}))


if __name__ == "__main__":
    main()
