"""Every code block of the original description runs as it stands, with the local model in place of Qwen/Qwen3-8B.

The description lies beside the checkout, in ../shared/DESCRIPTION.md, or where QWEN_INFER_DESCRIPTION says.
"""

from __future__ import annotations

import functools
import inspect
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from documents import Block, blocks_of

from qwen_infer import Qwen3Inference, inference
from test_top_k_attention import CATEGORIES, parse_arguments
from top_k_attention import TopKAttention, TopKAttentionConfig, create_top_k_attention_layer

REPOSITORY = Path(__file__).resolve().parents[2]
DESCRIPTION = Path(os.environ.get("QWEN_INFER_DESCRIPTION", REPOSITORY.parent / "shared" / "DESCRIPTION.md"))
BLOCKS = blocks_of(DESCRIPTION) if DESCRIPTION.is_file() else []
pytestmark = pytest.mark.skipif(not BLOCKS, reason=f"there is no {DESCRIPTION}")

# What each of its blocks stands under.
TOP_K, CONFIG, FACTORY = "1. TopKAttention Class", "2. TopKAttentionConfig Class", "3. Factory Function"
COMMAND, API, TESTS = "Command Line Interface", "Python API", "Running Tests"
BASIC, ADVANCED, MONITORING = "Basic Usage", "Advanced Configuration", "Performance Monitoring"
NAMES: dict[str, Any] = {
    "nn": torch.nn,
    "TopKAttention": TopKAttention,
    "TopKAttentionConfig": TopKAttentionConfig,
    "create_top_k_attention_layer": create_top_k_attention_layer,
    "Qwen3Inference": Qwen3Inference,
}


def block(heading: str) -> Block:
    (found,) = [one for one in BLOCKS if one.heading == heading]
    return found


def run(code: str, **names: object) -> dict[str, Any]:
    """Runs it with names that earlier parts of the description have introduced; the names that it makes."""
    made = NAMES | names
    exec(compile(code, "DESCRIPTION.md", "exec"), made)  # noqa: S102 - that is the test
    return made


def shell(code: str, *, text: str = "") -> subprocess.CompletedProcess[str]:
    """Runs it in the folder of the files that it names, with the Python of this process."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-euc", code],
        cwd=REPOSITORY / "python",
        env=os.environ | {"PATH": path},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def local_model(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen/Qwen3-8B is the local model, and answers are short."""

    def resolve(model: object, **_flags: bool) -> Path:
        assert model == "Qwen/Qwen3-8B"
        return model_path

    monkeypatch.setattr(inference, "resolve_model", resolve)
    monkeypatch.setattr(Qwen3Inference, "generate", functools.partialmethod(Qwen3Inference.generate, max_new_tokens=16))


def test_no_block_is_left_out() -> None:
    known = {TOP_K, CONFIG, FACTORY, COMMAND, API, TESTS, BASIC, ADVANCED, MONITORING}
    assert {one.heading for one in BLOCKS} == known
    assert len(BLOCKS) == len(known)


@pytest.mark.parametrize(
    ("heading", "ours"),
    [(TOP_K, TopKAttention), (CONFIG, TopKAttentionConfig), (FACTORY, create_top_k_attention_layer)],
)
def test_signatures_are_those_described(heading: str, ours: Any) -> None:  # noqa: ANN401
    code = block(heading).code
    body = " " * (8 if code.startswith("class") else 4) + "pass\n"
    described = run(code + body)[ours.__name__]
    if isinstance(ours, type):
        assert issubclass(ours, described.__bases__)
        described, ours = described.__init__, ours.__init__
    theirs = list(inspect.signature(described).parameters.values())
    for expected, found in zip(theirs, inspect.signature(ours).parameters.values(), strict=False):
        assert (found.name, found.default, found.kind) == (expected.name, expected.default, expected.kind)
    assert len(inspect.signature(ours).parameters) >= len(theirs)


def test_basic_usage_runs() -> None:
    made = run(block(BASIC).code, input_tensor=torch.randn(2, 100, 512))
    assert made["output"].shape == (2, 100, 512)
    assert made["attention"].k == 32


@pytest.mark.model
@pytest.mark.usefixtures("local_model")
def test_python_api_runs() -> None:
    made = run(block(API).code)
    with made["inference"]:
        assert made["result"]
        assert made["stats"]["settings"].startswith("k=32,")
        assert made["stats"]["calls"] > 0


@pytest.mark.model
@pytest.mark.usefixtures("local_model")
def test_advanced_configuration_and_its_monitoring_run(capsys: pytest.CaptureFixture[str]) -> None:
    with run(block(ADVANCED).code)["inference"] as model:
        assert "k=64,temperature=0.8" in repr(model)
        model.set_top_k_attention("sparse=on")
        model.generate("def fibonacci(n):\n" * 20)
        run(block(MONITORING).code, inference=model)
        saved = model.get_top_k_attention_stats()["total_memory_saved"]
    assert saved > 0
    assert capsys.readouterr().out.startswith(f"Memory saved: {saved} operations\nAverage per call: ")


@pytest.mark.model
def test_command_answers(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN_INFER_MODEL", str(model_path))
    result = shell(block(COMMAND).code, text="What is the capital of France? One word.")
    assert result.returncode == 0, result.stderr
    assert "Paris" in result.stdout
    assert "keys kept" in result.stderr


def test_test_commands_run() -> None:
    """The quick category as it stands; those that measure run in test_self_test.py, and here read their options."""
    commands = [line for line in block(TESTS).code.splitlines() if line.startswith("python ")]
    flags = [shlex.split(line)[2:] for line in commands]
    assert flags == [[], ["--basic"], ["--performance"], ["--memory", "--plot"]]
    for one in flags:
        asked = parse_arguments(one)
        assert [name for name in CATEGORIES if getattr(asked, name)] == (
            list(CATEGORIES) if not one else [flag.removeprefix("--") for flag in one]
        )
    result = shell(commands[1])
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 failed" in result.stdout
