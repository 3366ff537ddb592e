"""The script qwen_infer.py, run as the description has it."""

from __future__ import annotations

import inspect
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qwen_infer import Qwen3Inference

CAPITAL = "The capital of France is"


def run_script(
    repository: Path, *arguments: str, text: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    """As from the folder that holds it."""
    run = subprocess.run(
        [sys.executable, "qwen_infer.py", *arguments],
        cwd=repository / "python",
        env={**os.environ, **environment},
        input=text,
        capture_output=True,
        check=False,
    )
    return subprocess.CompletedProcess(run.args, run.returncode, run.stdout.decode(), run.stderr.decode())


@pytest.mark.model
def test_script_runs_the_literal_command(repository: Path, model_path: Path, tmp_path: Path) -> None:
    literal = "--use_top_k_attention --top_k_attention_k 32 --top_k_attention_temperature 1.0 --top_k_attention_sparse"
    stats = tmp_path / "stats.json"
    run = run_script(
        repository,
        *literal.split(),
        *("--temperature", "0", "--max-new-tokens", "16", "--top-k-attention-stats", str(stats)),
        text=b"What is the capital of France? One word.",
        QWEN_INFER_MODEL=str(model_path),
    )
    assert run.returncode == 0, run.stderr
    assert "Paris" in run.stdout
    assert "keys kept" in run.stderr
    report = json.loads(stats.read_text(encoding="utf-8"))
    assert report["settings"].startswith("k=32,temperature=1,")
    assert "sparse=on" in report["settings"]
    short = ["--temperature=0", "--max_new_tokens=4"]
    continued = run_script(repository, "--model", str(model_path), "--continue", "--prompt", CAPITAL, *short)
    assert continued.stdout.startswith(" Paris")


@pytest.mark.model
def test_script_chats_in_a_terminal(repository: Path, model_path: Path) -> None:
    parent, child = pty.openpty()
    command = [
        sys.executable,
        "qwen_infer.py",
        "--model",
        str(model_path),
        "--temperature",
        "0",
        "--use_top_k_attention",
    ]
    with subprocess.Popen(
        command, cwd=repository / "python", stdin=child, stdout=child, stderr=child, start_new_session=True
    ) as process:
        os.close(child)
        shown = ""

        def wait_for(text: str) -> None:
            nonlocal shown
            deadline = time.monotonic() + 120
            while text not in shown:
                assert time.monotonic() < deadline, shown
                if select.select([parent], [], [], 0.1)[0]:
                    shown += os.read(parent, 65536).decode(errors="replace")
            shown = shown.partition(text)[2]

        def say(line: str) -> None:
            os.write(parent, line.encode() + b"\n")

        wait_for("/help lists the commands")
        wait_for("> ")
        say("What is the capital of France? One word.")
        wait_for("Paris")
        wait_for("> ")
        say("/k 17")
        wait_for("> ")
        say("Count from 1 to 1000, with all numbers between.")
        wait_for("7")
        process.send_signal(signal.SIGINT)
        wait_for("(interrupted)")
        wait_for("> ")
        say("/stats")
        wait_for("keys kept")
        wait_for("> ")
        say("/k 0")
        wait_for("error: ")
        wait_for("> ")
        say("/statistics")
        wait_for("there is no command /statistics: /help lists them")
        wait_for("> ")
        say("/quit")
        assert process.wait(timeout=60) == 0
    os.close(parent)


LATIN1 = "déjà vu".encode("latin-1")
NO_MODEL = ("--model", "no-such-model.gguf")
STATS = (*NO_MODEL, "--use_top_k_attention", "--top_k_attention_stats")
K_RANGE = "k is auto or 1 to 1073741824"

# Arguments, standard input, exit code, what the error names.
MISTAKES: dict[str, tuple[tuple[str, ...], bytes, int, tuple[str, ...]]] = {
    "setting_without_use": (("--top_k_attention_k", "3"), b"", 2, ("without --use_top_k_attention",)),
    "unknown_option": (("--top_k_attention_kk", "3"), b"", 2, ("top_k_attention_kk 3\nSee qwen_infer.py --help",)),
    "temperature_a_word": (("--temperature", "hot"), b"", 2, ("invalid float value: 'hot'",)),
    "file_missing": (("--file", "missing.txt"), b"", 1, ("cannot read missing.txt: there is no such file",)),
    "file_a_folder": (("--file", "/"), b"", 1, ("cannot read /: Is a directory",)),
    "file_without_end": ((*NO_MODEL, "--file", "/dev/zero"), b"", 2, ("/dev/zero has more than 256 MiB",)),
    "stats_no_folder": ((*STATS, "./none/x.json"), b"x", 2, ("cannot write none/x.json: there is no folder none",)),
    "stats_a_folder": ((*STATS, "."), b"x", 2, ("cannot write .: it is a folder",)),
    "input_empty": (NO_MODEL, b"", 2, ("standard input is empty", "--prompt or --file")),
    "input_no_utf8": (NO_MODEL, LATIN1, 2, ("standard input is no text in UTF-8", "byte 1", "iconv")),
    "file_empty": ((*NO_MODEL, "--file", os.devnull), b"", 2, ("/dev/null is empty", "--prompt or --file")),
    "model_missing": (NO_MODEL, b"x", 1, ("no-such-model.gguf: there is no such file",)),
    "model_folder_missing": (("--model", "./none"), b"x", 1, ("no file or folder './none'", "give a GGUF file")),
    "precision_of_a_gguf": ((*NO_MODEL, "--load_in_8bit"), b"x", 2, ("load_in_8bit=True", "leave load_in_8bit out")),
    "both_precisions": ((*NO_MODEL, "--load_in_8bit", "--load-in-4bit"), b"x", 2, ("exclude each other: choose one",)),
}

# The same with a model.
MISTAKES_WITH_MODEL: dict[str, tuple[tuple[str, ...], bytes, int, tuple[str, ...]]] = {
    "k_is_0": (("--use_top_k_attention", "--top_k_attention_k=0"), b"x", 2, ("k=0", K_RANGE)),
    "k_is_1e12": (("--use_top_k_attention", "--top-k-attention-k=1000000000000"), b"x", 2, ("1000000000000", K_RANGE)),
    "temperature_negative": (("--temperature", "-1"), b"x", 2, ("temperature=-1.0", "a number from 0 to 100")),
    "temperature_nan": (("--temperature", "nan"), b"x", 2, ("temperature=nan", "a number from 0 to 100")),
    "prompt_empty": (("--prompt", ""), b"", 2, ("the message is empty",)),
    "prompt_too_long": (("--context_length", "256"), b"word " * 999, 2, ("context_length=256", "raise it, or shorten")),
}


def assert_names(repository: Path, mistake: tuple[tuple[str, ...], bytes, int, tuple[str, ...]], model: str) -> None:
    arguments, text, code, named = mistake
    run = run_script(repository, *arguments, text=text, QWEN_INFER_MODEL=model)
    assert run.returncode == code, run.stderr
    assert not [words for words in named if words not in run.stderr], run.stderr
    assert "Traceback" not in run.stderr
    assert "usage:" not in run.stderr
    assert run.stdout.strip() == ""


@pytest.mark.parametrize("name", MISTAKES)
def test_script_names_mistakes(repository: Path, name: str) -> None:
    assert_names(repository, MISTAKES[name], "no-such-model.gguf")


@pytest.mark.model
@pytest.mark.parametrize("name", MISTAKES_WITH_MODEL)
def test_script_names_mistakes_that_the_model_shows(repository: Path, model_path: Path, name: str) -> None:
    assert_names(repository, MISTAKES_WITH_MODEL[name], str(model_path))


def test_script_helps(repository: Path) -> None:
    run = run_script(repository, "--help", COLUMNS="200")
    assert run.returncode == 0
    assert "--top_k_attention_min_mass X" in run.stdout
    for name, parameter in inspect.signature(Qwen3Inference.generate).parameters.items():
        if isinstance(parameter.default, (int, float)) and name != "stream":
            assert re.search(rf"--{name} [NX]\s.*\(.+; default: {parameter.default}\)\n", run.stdout), name
