"""llama.cpp's unmodified programs with the plugin: they load it, and it computes their attention."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.model


def environment(plugin: Path | None, settings: str = "k=256") -> dict[str, str]:
    """The environment with the plugin, or without it."""
    clean = {k: v for k, v in os.environ.items() if k not in ("GGML_BACKEND_PATH", "TOPK_ATTENTION")}
    clean["QWEN_INFER_CACHE"] = os.devnull  # no crossovers of the user's
    return clean if plugin is None else clean | {"GGML_BACKEND_PATH": str(plugin), "TOPK_ATTENTION": settings}


def perplexity(bin_dir: Path, model: Path, text: Path, plugin: Path | None, settings: str = "") -> float:
    """Of one window of 512 tokens."""
    command = [bin_dir / "llama-perplexity", "-m", model, "-f", text, "-c", "512", "--chunks", "1", "-fa", "on"]
    run = subprocess.run(command, env=environment(plugin, settings), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    found = re.search(r"PPL = ([0-9.]+)", run.stdout + run.stderr)
    assert found, run.stdout + run.stderr
    return float(found[1])


def test_perplexity_is_dense_with_a_covering_budget_and_not_with_one_key(
    bin_dir: Path, plugin: Path, model_path: Path, long_text_file: Path
) -> None:
    stock = perplexity(bin_dir, model_path, long_text_file, None)
    covering = perplexity(bin_dir, model_path, long_text_file, plugin, "k=1000000000,sparse=on")
    one_key = perplexity(bin_dir, model_path, long_text_file, plugin, "k=1,sparse=on")
    # Rounding: llama.cpp's own attention with -fa on and -fa off differs by up to 0.4 % on this text.
    assert covering == pytest.approx(stock, rel=5e-3)
    assert one_key > 1.2 * stock


def test_bench_runs_on_the_plugin(bin_dir: Path, plugin: Path, model_path: Path) -> None:
    command = [bin_dir / "llama-bench", "-m", model_path, "-fa", "1", "-p", "64", "-n", "4", "-r", "1", "-o", "json"]
    run = subprocess.run(command, env=environment(plugin), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    tests = json.loads(run.stdout)
    assert [("TOPK" in test["backends"], test["avg_ts"] > 0) for test in tests] == [(True, True)] * 2


@pytest.mark.parametrize("settings", ["k=0", "kk=3", "k@3-1=5", "k", "mass=some"])
def test_bad_settings_are_refused_with_the_allowed_keys(
    bin_dir: Path, plugin: Path, model_path: Path, settings: str
) -> None:
    command = [bin_dir / "llama-bench", "-m", model_path, "-fa", "1", "-p", "8", "-n", "0", "-r", "1"]
    run = subprocess.run(command, env=environment(plugin, settings), capture_output=True, text=True, check=False)
    output = run.stdout + run.stderr
    assert "TOPK_ATTENTION" in output
    for key in ("temperature", "sinks", "window", "dense_layers"):
        assert key in output, output[-2000:]
    assert "loaded TOPK backend" not in output
    # What the program itself says, and what it then runs on.
    assert "failed to initialize backend" in output
    assert "TOPK: continuing WITHOUT top-k attention" in output
    assert "TOPK" not in run.stdout


def test_a_profile_of_another_kind_of_model_ends_the_run(
    bin_dir: Path, plugin: Path, model_path: Path, tmp_path: Path
) -> None:
    # The plugin does not know the model's file, only what its attention looks like.
    attention = [{"layers": 30, "heads": 9, "kv_heads": 3, "head_size": 64}]
    model = {"name": "another.gguf", "fingerprint": "0123456789abcdef", "attention": attention}
    profile = {"format": "qwen-infer profile 1", "model": model, "settings": "k=64,k@0=128"}
    (tmp_path / "p.json").write_text(json.dumps(profile), encoding="utf-8")
    command = [bin_dir / "llama-bench", "-m", model_path, "-fa", "1", "-p", "8", "-n", "0", "-r", "1", "-v"]
    settings = f"profile={tmp_path / 'p.json'}"
    run = subprocess.run(command, env=environment(plugin, settings), capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert (
        "was made for the model another.gguf with 9 heads, 3 KV heads and a head size of 64, and this is a model with "
        "14 heads, 2 KV heads and a head size of 64"
    ) in run.stderr


@pytest.mark.parametrize(("flash_attention", "unused"), [("0", True), ("1", False)])
def test_says_at_the_end_if_it_got_no_attention(
    bin_dir: Path, plugin: Path, model_path: Path, flash_attention: str, unused: bool
) -> None:
    command = [bin_dir / "llama-bench", "-m", model_path, "-fa", flash_attention, "-p", "8", "-n", "0", "-r", "1"]
    run = subprocess.run(command, env=environment(plugin), capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert ("TOPK: got no attention to compute; run with -fa on" in run.stderr) == unused


@contextmanager
def server(bin_dir: Path, model: Path, plugin: Path, settings: str, log: Path) -> Iterator[str]:
    """llama-server with the plugin; yields its URL, and leaves all that it says in the log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        bin_dir / "llama-server",
        "-m",
        model,
        "-c",
        "1024",
        "-np",
        "1",
        "-fa",
        "on",
        "--port",
        str(port),
        "-lv",
        "10",
    ]
    with log.open("w") as out:
        process = subprocess.Popen(command, env=environment(plugin, settings), stdout=out, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(240):
            assert process.poll() is None, log.read_text()[-2000:]
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    break
            except OSError:
                time.sleep(0.25)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def complete(url: str, prompt: str) -> str:
    """The greedy continuation of a prompt."""
    body = json.dumps({"prompt": prompt, "n_predict": 12, "temperature": 0}).encode()
    request = urllib.request.Request(f"{url}/completion", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        return str(json.load(response)["content"])


def test_server_answers_with_the_plugin(bin_dir: Path, plugin: Path, model_path: Path, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with server(bin_dir, model_path, plugin, "k=4,sparse=on", log) as url:
        assert complete(url, "def fibonacci(n):\n    if n < 2:\n        return n\n    return") != ""
    found = re.search(r"kept (\d+) of (\d+) keys", log.read_text())
    assert found, log.read_text()[-2000:]
    assert 0 < int(found[1]) < int(found[2])
