"""Conversion of small random checkpoints: that it is right, done once, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoints import (
    convert_command,
    convert_environment,
    files_below,
    make_checkpoint,
    reference,
    reference_perplexity,
    run_convert,
)
from safetensors.numpy import save_file

from qwen_infer import Qwen3Inference
from qwen_infer.conversion import child
from qwen_infer.conversion.resolve import resolve_model

TEXT = "A query attends to the keys that matter most to it, and spends nothing on the rest. " * 3
# llama.cpp rounds activations to bf16 where weights are; predictions of a random model feel it.
TOLERANCE = 0.01


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "Tiny-Qwen3")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("QWEN_INFER_CACHE", str(folder))
    return folder


@pytest.fixture
def no_more_conversions(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Once it was called, a conversion is an error."""

    def refuse(*_arguments: object, **_options: object) -> None:
        pytest.fail("converted again")

    return lambda: monkeypatch.setattr(child.subprocess, "Popen", refuse)


def start_convert(checkpoint: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        convert_command(checkpoint),
        env=convert_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["Qwen2", "Qwen3"])
def test_converted_model_predicts_as_in_transformers(kind: str, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / kind, kind)
    with Qwen3Inference(folder, context_length=512, kv_cache_type="f32") as inference:
        assert "BF16" in repr(inference)
        ours = inference.perplexity(TEXT)
        tokens = inference.tokenize(TEXT)
    assert ours == pytest.approx(reference_perplexity(reference(folder), tokens), rel=TOLERANCE)


@pytest.mark.parametrize(("flag", "description"), [("load_in_8bit", "Q8_0"), ("load_in_4bit", "Q4_K - Medium")])
def test_flags_choose_the_precision(flag: str, description: str, checkpoint: Path, cache: Path) -> None:
    with Qwen3Inference(checkpoint, context_length=256, **{flag: True}) as inference:
        assert description in repr(inference)
        assert len(inference.generate("The", max_new_tokens=4, temperature=0)) > 0
    names = sorted(path.name for path in (cache / "converted").iterdir())
    assert len(names) == 2  # the model, and "known"; the bf16 on the way to Q4_K_M is gone


def test_second_start_takes_the_cache(
    checkpoint: Path, cache: Path, tmp_path: Path, no_more_conversions: Callable[[], None]
) -> None:
    first = resolve_model(checkpoint)
    before = files_below(cache)
    no_more_conversions()
    assert resolve_model(checkpoint) == first
    assert files_below(cache) == before
    copy = tmp_path / "elsewhere"
    shutil.copytree(checkpoint, copy)
    assert resolve_model(copy) == first  # by content


def test_cache_is_listed_and_cleared(cache: Path) -> None:
    folder = cache / "converted"
    (folder / "known").mkdir(parents=True)
    (folder / "known" / "stamp").write_text("digest")
    path = folder / "qwen3-0123456789abcdef-Q8_0.gguf"
    path.write_bytes(bytes(1_234_567))
    (folder / "mine.gguf").write_bytes(b"the user's own")
    listed = run_convert("--list-cache")
    assert listed.returncode == 0
    assert listed.stdout == f"    1.2 MB  {path}\n"
    assert f"1 files, 1.2 MB, in {folder}" in listed.stderr
    cleared = run_convert("--clear_cache")
    assert cleared.returncode == 0
    assert f"1.2 MB are free again in {folder}" in cleared.stderr
    assert [file.name for file in folder.iterdir()] == ["mine.gguf"]
    refused = run_convert("--clear_cache", "x")
    assert refused.returncode == 2
    assert "convert nothing: leave out the rest" in refused.stderr


def test_an_empty_cache_is_not_made_by_looking(cache: Path) -> None:
    for flag in ("--list_cache", "--clear_cache"):
        assert run_convert(flag).returncode == 0
    assert not cache.exists()


def test_other_content_is_another_model(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / checkpoint.name
    shutil.copytree(checkpoint, folder)
    first = resolve_model(folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert resolve_model(folder) != first


def test_says_how_far_it_is_and_where_it_keeps_the_model(checkpoint: Path, cache: Path) -> None:
    result = run_convert(checkpoint)
    assert result.returncode == 0
    path = Path(result.stdout.strip())
    assert path.parent == cache / "converted"
    assert path.read_bytes()[:4] == b"GGUF"
    assert "converting Tiny-Qwen3 to BF16: done" in result.stderr
    assert str(path) in result.stderr
    # Nothing is left of the way there; what a killed conversion has left goes with the next.
    assert not (cache / "converted" / ".scratch").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_leaves_nothing(number: signal.Signals, code: int, checkpoint: Path, cache: Path) -> None:
    process = subprocess.Popen(
        convert_command(checkpoint), env=convert_environment(), stderr=subprocess.PIPE, text=True
    )
    wait_until((cache / "converted" / ".scratch" / checkpoint.name).is_dir)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert files_below(cache) == {}
    assert list((cache / "converted").iterdir()) == []


def test_killed_conversion_is_cleaned_up_by_the_next(checkpoint: Path, cache: Path) -> None:
    scratch = cache / "converted" / ".scratch"
    scratch.mkdir(parents=True)
    (scratch / "converted.gguf").write_bytes(b"half")
    assert resolve_model(checkpoint).is_file()
    assert not scratch.exists()


def test_two_at_once_convert_once(checkpoint: Path) -> None:
    both = [start_convert(checkpoint) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outputs[0][0] == outputs[1][0] != ""
    errors = outputs[0][1] + outputs[1][1]
    assert errors.count("kept as") == 1
    assert "waiting for another conversion" in errors


def test_code_of_a_checkpoint_never_runs(tmp_path: Path) -> None:
    # llama.cpp's converter trusts the tokenizers of this architecture with running code of their own.
    folder = tmp_path / "with-code"
    folder.mkdir()
    config = {"architectures": ["QWenLMHeadModel"], "model_type": "qwen", "num_hidden_layers": 1, "vocab_size": 8}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    save_file({"transformer.wte.weight": np.zeros((8, 32), np.float32)}, folder / "model.safetensors")
    with pytest.raises(OSError, match=r"could not be converted.*evil\.py"):
        resolve_model(folder)
    assert not (tmp_path / "ran").exists()


def test_folder_that_cannot_be_written_is_named(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run_convert(checkpoint, QWEN_INFER_CACHE=str(tmp_path / "file"))
    assert result.returncode == 1
    assert f"the cache {tmp_path / 'file' / 'converted'} cannot be written" in result.stderr
    assert os.listdir(tmp_path) == ["file"]
