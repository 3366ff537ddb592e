"""Top-k attention computes on the threads that llama.cpp has: a second pool would spin beside the first."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.model

SECONDS = 120


def lasting_threads(command: list[object]) -> int:
    """The threads that the process has for most of its time: a pool, not one that a library starts and ends."""
    process = subprocess.Popen(
        list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    counts, deadline = [], time.monotonic() + SECONDS
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline
            try:
                counts.append(len(list(Path(f"/proc/{process.pid}/task").iterdir())))
            except OSError:  # it has just ended
                break
            time.sleep(0.01)
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()
    while_computing = counts[len(counts) // 2 :]  # the model is loaded by then
    return statistics.mode(while_computing)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_attention_has_no_threads_of_its_own(qwen_infer: Path, model_path: Path, n_threads: int) -> None:
    prompt = "one two three " * 100
    complete = [qwen_infer, "complete", "-m", model_path, "-p", prompt, "-no-cnv", "-n", 8, "-c", 1024, "-t", n_threads]
    stock = lasting_threads(complete)
    assert stock >= n_threads
    selective = ["--use_top_k_attention", "--top_k_attention_k", 64, "--top_k_attention_sparse"]
    assert lasting_threads(complete + selective) == stock
