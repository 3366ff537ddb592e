"""qwen-infer complete on a real model: the same tokens as llama.cpp where it must be, and a report that adds up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[bytes]]
ReadReport = Callable[[], dict[str, Any]]

pytestmark = pytest.mark.model

USE = "--use_top_k_attention"
GREEDY = ("-no-cnv", "--temp", 0, "--seed", 1, "-n", 32, "-c", 2048)
BUDGET = 256
CROSSOVER = 1024  # the plugin's default: rows with fewer visible keys run dense
# A prompt of some 700 tokens that begins to repeat itself: what follows is clear, so no rounding changes it.
PROMPT_CHARACTERS = 2400
REPEATED_CHARACTERS = 600
MASS_ROUNDING = 1e-6
SUMS = ("calls", "rows", "dense_rows", "keys_seen", "keys_kept", "mass_rows", "operations_saved", "score_bytes_saved")

Json = dict[str, Any]


def prompt_of(text: str) -> str:
    return text[:PROMPT_CHARACTERS] + "\n\n" + text[:REPEATED_CHARACTERS]


@pytest.fixture
def prompt_file(long_text: str, tmp_path: Path) -> Path:
    path = tmp_path / "prompt.txt"
    path.write_text(prompt_of(long_text), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def stock_answer(bin_dir: Path, model_path: Path, long_text: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the unmodified llama-completion answers to the prompt."""
    prompt = tmp_path_factory.mktemp("stock") / "prompt.txt"
    prompt.write_text(prompt_of(long_text), encoding="utf-8")
    command = [bin_dir / "llama-completion", "-m", model_path, "-f", prompt, "-fa", "on", *GREEDY]
    return subprocess.run(
        list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=True
    ).stdout


def heads_of(report: Json, n_tokens: int) -> int:
    """Query heads of a layer: a row is one token of one head."""
    heads, rest = divmod(report["layers"][0]["rows"], n_tokens)
    assert rest == 0
    return heads


def assert_adds_up(report: Json, n_tokens: int) -> None:
    """Checks the sums of a run that decoded `n_tokens`, each of which sees itself and all that came before it."""
    layers = report["layers"]
    heads = heads_of(report, n_tokens)
    assert [layer["layer"] for layer in layers] == list(range(len(layers)))
    for layer in layers:
        assert layer["rows"] == heads * n_tokens
        assert layer["keys_seen"] == heads * n_tokens * (n_tokens + 1) // 2
        assert layer["operations_saved"] == layer["keys_seen"] - layer["keys_kept"]
        assert layer["score_bytes_saved"] == 4 * layer["operations_saved"]
        assert layer["seconds"] > 0
    total = report["total"]
    for name in SUMS:
        assert total[name] == sum(layer[name] for layer in layers)
    assert total["seconds"] == pytest.approx(sum(layer["seconds"] for layer in layers))
    assert 0 < total["mass_rows"] <= total["rows"]
    assert total["min_mass"] == min(layer["min_mass"] for layer in layers)
    assert 0 < total["min_mass"] <= total["mean_mass"] <= 1 + MASS_ROUNDING


def keys_kept(heads: int, n_tokens: int, kept_of_row: Callable[[int], int]) -> int:
    """Keys that a layer keeps, if a row that sees `n` keys keeps `kept_of_row(n)`."""
    return heads * sum(kept_of_row(keys) for keys in range(1, n_tokens + 1))


def tokens_of(report: Json) -> int:
    timings = report["timings"]
    assert timings["prompt_tokens_per_second"] == pytest.approx(timings["prompt_tokens"] / timings["prompt_seconds"])
    assert timings["generation_tokens_per_second"] == pytest.approx(
        timings["generated_tokens"] / timings["generation_seconds"]
    )
    return timings["prompt_tokens"] + timings["generated_tokens"]


def test_without_our_flags_it_is_plain_llama_cpp(
    run: Run, model_path: Path, prompt_file: Path, stock_answer: str
) -> None:
    result = run("complete", "-m", model_path, "-f", prompt_file, "-fa", "on", *GREEDY)
    assert result.returncode == 0
    assert result.stdout == stock_answer


@pytest.mark.parametrize("verbosity", [1, 3, 5])
def test_top_k_attention_changes_nothing_that_is_said_of_loading_backends(
    run: Run, model_path: Path, verbosity: int
) -> None:
    def said(*flags: object) -> list[str]:
        result = run("complete", "-m", model_path, "-p", "Hello", *GREEDY, "-lv", verbosity, *flags)
        assert result.returncode == 0
        # Without the time that each line of a log begins with.
        return [re.sub(r"^[\d.]+ ", "", line) for line in result.stderr.splitlines() if "load_backend" in line]

    full = said()
    assert len(full) == (verbosity == 5)
    assert said(USE) == full


def test_a_budget_above_all_keys_gives_the_same_tokens(
    run: Run, model_path: Path, prompt_file: Path, stock_answer: str, report_path: Path, read_report: ReadReport
) -> None:
    result = run(
        *("complete", "-m", model_path, "-f", prompt_file, *GREEDY),
        *(USE, "--top_k_attention_k", 4096, "--top_k_attention_sparse", "--top_k_attention_stats", report_path),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout == stock_answer
    report = read_report()
    assert report["total"]["keys_kept"] == report["total"]["keys_seen"] > 0


def test_the_report_adds_up(
    run: Run, model_path: Path, prompt_file: Path, report_path: Path, read_report: ReadReport
) -> None:
    k, sinks, window = 64, 4, 16
    result = run(
        *("complete", "-m", model_path, "-f", prompt_file, *GREEDY, USE, "--top-k-attention-sparse"),
        *(f"--top-k-attention-k={k}", "--top_k_attention_sinks", sinks, "--top_k_attention_window", window),
        *("--top_k_attention_mass", "exact", "--top_k_attention_stats", report_path),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    report = read_report()
    assert report["attention"] == "top_k"
    assert report["subcommand"] == "complete"
    assert report["model"] == str(model_path)
    assert report["mass_mode"] == "exact"
    assert f"k={k}," in report["settings"]
    assert report["total"]["mass_rows"] == report["total"]["rows"]
    n_tokens = tokens_of(report)
    assert_adds_up(report, n_tokens)
    # Sinks and window come on top of k, unless they are among the k best anyway.
    heads = heads_of(report, n_tokens)
    least = keys_kept(heads, n_tokens, lambda keys: min(keys, k))
    most = keys_kept(heads, n_tokens, lambda keys: min(keys, k + sinks + window))
    for layer in report["layers"]:
        assert least < layer["keys_kept"] <= most


def test_dense_layers_and_settings_of_single_layers_show_in_the_report(
    run: Run, model_path: Path, prompt_file: Path, report_path: Path, read_report: ReadReport
) -> None:
    result = run(
        *("complete", "-m", model_path, "-f", prompt_file, *GREEDY, USE, "--top_k_attention_sparse"),
        *("--top_k_attention_k", 32, "--top_k_attention_dense_layers", 1, "--top_k_attention_layers", "k@2-3=128"),
        *("--top_k_attention_stats", report_path),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    report = read_report()
    n_tokens = tokens_of(report)
    heads = heads_of(report, n_tokens)
    for layer, budget in enumerate([n_tokens, 32, 128, 128, 32]):
        expected = keys_kept(heads, n_tokens, lambda keys, budget=budget: min(keys, budget))
        assert report["layers"][layer]["keys_kept"] == expected


def test_full_attention_reports_timings_alone(
    run: Run, model_path: Path, prompt_file: Path, report_path: Path, read_report: ReadReport
) -> None:
    result = run("complete", "-m", model_path, "-f", prompt_file, *GREEDY, "--top_k_attention_stats", report_path)
    assert result.returncode == 0
    report = read_report()
    assert report["attention"] == "full"
    assert tokens_of(report) > 600
    assert "total" not in report


def test_a_single_turn_ends_in_a_terminal(qwen_infer: Path, model_path: Path) -> None:
    """Without -st it would wait there for the next message."""
    controller, terminal = os.openpty()
    command = [qwen_infer, "complete", "-m", model_path, "-p", "Say yes.", "-n", "4", "-c", "256", "-st", "-lv", "1"]
    try:
        result = subprocess.run(command, stdin=terminal, capture_output=True, timeout=120, check=False)
    finally:
        os.close(controller)
        os.close(terminal)
    assert result.returncode == 0
    assert result.stdout.strip()


def test_a_report_that_cannot_be_written_in_the_end_is_a_failure(run: Run, model_path: Path) -> None:
    # A device that can be opened and takes nothing.
    result = run("complete", "-m", model_path, "-p", "Hello", *GREEDY, "--top_k_attention_stats", "/dev/full")
    assert result.returncode == 1
    assert result.stderr.count("error: cannot write /dev/full: No space left on device") == 1


def test_no_fallback_refuses_a_pass_that_saves_nothing(run: Run, model_path: Path, prompt_file: Path) -> None:
    short = run("complete", "-m", model_path, "-p", "Hello", *GREEDY, USE, "--top_k_attention_no_fallback")
    assert 0 < short.returncode < 128
    assert "fallback" in short.stderr
    # Every pass of this one sees more keys than the budget, and the warm-up, which would not, is left out.
    enough = run(
        *("complete", "-m", model_path, "-f", prompt_file, *GREEDY),
        *(USE, "--top_k_attention_no_fallback", "--top_k_attention_k", 128),
    )
    assert enough.returncode == 0, enough.stderr[-2000:]


@pytest.mark.parametrize(
    "command",
    [("complete", "-p", "Hello", *GREEDY), ("bench", "-p", 16, "-n", 0, "-r", 1)],
    ids=["complete", "bench"],
)
def test_warns_if_the_model_is_computed_without_the_plugin(
    run: Run, model_path: Path, command: tuple[object, ...]
) -> None:
    warning = "top-k attention was not used"
    unread_cache = ("-ctk", "q4_0", "-ctv", "q4_0")  # a type that the plugin leaves to llama.cpp
    result = run(*command, "-m", model_path, USE, *unread_cache)
    assert result.returncode == 0
    assert warning in result.stderr
    result = run(*command, "-m", model_path, USE)
    assert result.returncode == 0
    assert warning not in result.stderr


def test_the_plugin_as_a_file_and_its_variable_do_not_get_in_the_way(run: Run, model_path: Path, plugin: Path) -> None:
    result = run(
        *("complete", "-m", model_path, "-p", "Hello", *GREEDY, USE),
        GGML_BACKEND_PATH=str(plugin),
        TOPK_ATTENTION="k=1",
    )
    assert result.returncode == 0
    assert "TOPK_ATTENTION is for unmodified llama.cpp programs" in result.stderr


@pytest.mark.parametrize("attention", [(), (USE,)], ids=["full", "top_k"])
def test_an_interrupted_run_leaves_its_report(
    start: Start, model_path: Path, report_path: Path, read_report: ReadReport, attention: tuple[str, ...]
) -> None:
    process = start(
        *("complete", "-m", model_path, "-p", "1 2 3 4 5", "-no-cnv", "--no-display-prompt", "--ignore-eos"),
        *("-n", 100_000, "-c", 4096, *attention, "--top_k_attention_stats", report_path),
    )
    # The first token comes from the pass of the prompt; this many characters are several tokens.
    answer = b""
    while len(answer) < 40:
        piece = process.stdout.read1()
        assert piece, "it ended before it was interrupted"
        answer += piece
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    report = read_report()
    assert report["timings"]["generated_tokens"] >= 1
    assert ("total" in report) == bool(attention)


@pytest.mark.slow
def test_works_at_16384_tokens_of_context(
    run: Run, model_path: Path, long_text_file: Path, report_path: Path, read_report: ReadReport
) -> None:
    n_predict = 64
    result = run(
        *("complete", "-m", model_path, "-f", long_text_file, "-no-cnv", "-n", n_predict, "--ignore-eos"),
        *("--temp", 0, USE, "--top_k_attention_k", BUDGET, "--top_k_attention_stats", report_path),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    report = read_report()
    timings = report["timings"]
    assert timings["prompt_tokens"] >= 16384
    # The last token is sampled and not decoded.
    assert timings["generated_tokens"] == n_predict - 1
    n_tokens = tokens_of(report)
    assert_adds_up(report, n_tokens)
    expected = keys_kept(heads_of(report, n_tokens), n_tokens, lambda keys: keys if keys < CROSSOVER else BUDGET)
    assert [layer["keys_kept"] for layer in report["layers"]] == [expected] * len(report["layers"])
    assert report["total"]["mean_mass"] > 0.8
