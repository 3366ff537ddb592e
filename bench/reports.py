"""What reports of benchmarks share: the machine, figures in one form, and files that are never half-written.

A measurement of tokens/s is what qwen-infer bench --compare writes too:
    {"method", "cache_k", "cache_v", "test": "pp" or "tg", "tokens", "depth", "tokens_per_second": {"median", "rounds"}}
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any


def processor_name() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def last_level_cache_bytes() -> int:
    """The largest cache of the processor, as far as the system tells it; else 32 MiB."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    sizes = [32 << 20]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text(encoding="utf-8").strip()
        if text[-1:] in units and text[:-1].isdigit():
            sizes.append(int(text[:-1]) * units[text[-1]])
    return max(sizes)


def spread(rounds: list[float]) -> dict[str, Any]:
    """The figures of all rounds and their median."""
    return {"median": statistics.median(rounds), "rounds": rounds}


def conditions(threads: int, versions: dict[str, str], command: str) -> dict[str, Any]:
    """What a reader must know to judge or repeat the figures."""
    return {
        "cpu": processor_name(),
        "threads": threads,
        "date": datetime.date.today().isoformat(),
        "versions": versions,
        "command": command,
    }


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Writes the report, whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
