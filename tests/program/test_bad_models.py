"""Model files that are none: a clear error, an exit code, no crash, no report."""

from __future__ import annotations

import random
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

GGUF_MAGIC = b"GGUF"
GGUF_VERSION = 3
STRING_TYPE = 8  # of GGUF's metadata
ARRAY_TYPE = 9


def header(tensors: int, pairs: int) -> bytes:
    return GGUF_MAGIC + struct.pack("<IQQ", GGUF_VERSION, tensors, pairs)


def string(text: bytes, claimed_length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if claimed_length is None else claimed_length) + text


# Each lies about something: what follows is not there, or not what the file says that it is.
FILES = {
    "empty": b"",
    "magic_only": GGUF_MAGIC,
    "random_bytes": random.Random(1).randbytes(100_000),
    "text": b"this is no model\n" * 100,
    "other_version": GGUF_MAGIC + struct.pack("<IQQ", 4_000_000, 0, 0),
    "no_tensors": header(0, 0),
    "more_tensors_than_bytes": header(2**60, 0),
    "more_pairs_than_bytes": header(0, 2**60),
    "negative_counts": header(2**64 - 1, 2**64 - 1),
    "endless_key": header(0, 1) + string(b"general.architecture", claimed_length=2**62),
    "endless_value": header(0, 1)
    + string(b"general.architecture")
    + struct.pack("<I", STRING_TYPE)
    + string(b"qwen2", claimed_length=2**63 - 1),
    "endless_array": header(0, 1)
    + string(b"tokenizer.ggml.tokens")
    + struct.pack("<IIQ", ARRAY_TYPE, STRING_TYPE, 2**60),
    "unknown_architecture": header(0, 1)
    + string(b"general.architecture")
    + struct.pack("<I", STRING_TYPE)
    + string(b"no-such-architecture"),
}


def assert_refused(result, model: Path, report_path: Path) -> None:
    assert 0 < result.returncode < 128, f"exit code {result.returncode}: {result.stderr[-2000:]}"
    assert re.fullmatch(rf"error: cannot load the model {re.escape(str(model))}: .+", result.stderr.splitlines()[-1])
    assert list(report_path.parent.glob("report*")) == []


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_refused(run: Run, tmp_path: Path, report_path: Path, name: str) -> None:
    model = tmp_path / f"{name}.gguf"
    model.write_bytes(FILES[name])
    result = run(
        "complete", "-m", model, "-p", "x", "-n", 1, "--use_top_k_attention", "--top_k_attention_stats", report_path
    )
    assert_refused(result, model, report_path)


@pytest.mark.parametrize("subcommand", ["complete", "perplexity", "bench", "serve", "chat"])
@pytest.mark.parametrize("attention", [(), ("--use_top_k_attention",)], ids=["full", "top_k"])
def test_a_missing_file_is_refused(
    run: Run, tmp_path: Path, report_path: Path, subcommand: str, attention: tuple[str, ...]
) -> None:
    model = tmp_path / "missing.gguf"
    text = tmp_path / "text.txt"
    text.write_text("some text\n")
    own = {
        "bench": (),
        "serve": ("--port", 0),
        "chat": ("-p", "x"),
    }.get(subcommand, ("-f", text))
    result = run(subcommand, "-m", model, *own, *attention, "--top_k_attention_stats", report_path)
    assert_refused(result, model, report_path)


def test_a_folder_is_refused(run: Run, tmp_path: Path, report_path: Path) -> None:
    folder = tmp_path / "folder.gguf"
    folder.mkdir()
    assert_refused(run("complete", "-m", folder, "-p", "x", "-n", 1), folder, report_path)


@pytest.mark.model
@pytest.mark.parametrize("kept", [1_000, 1_000_000, 20_000_000])
def test_a_truncated_model_is_refused(run: Run, model_path: Path, tmp_path: Path, report_path: Path, kept: int) -> None:
    model = tmp_path / "truncated.gguf"
    with model_path.open("rb") as whole:
        model.write_bytes(whole.read(kept))
    result = run(
        "complete", "-m", model, "-p", "x", "-n", 1, "--use_top_k_attention", "--top_k_attention_stats", report_path
    )
    assert_refused(result, model, report_path)
