"""What the command line accepts and refuses. Needs no model: everything here ends before one is loaded."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

USE = "--use_top_k_attention"
SUBCOMMANDS = ("complete", "chat", "serve", "bench", "bench-attention", "perplexity", "quantize", "convert")
WITH_ATTENTION = tuple(name for name in SUBCOMMANDS if name not in ("bench-attention", "quantize", "convert"))
RECOMMENDED = json.loads(
    (Path(__file__).resolve().parents[2] / "python" / "top_k_attention" / "recommended.json").read_text(
        encoding="utf-8"
    )
)
MISSING_MODEL = ("-m", "no-such-model.gguf")


def test_help_lists_every_subcommand_and_an_example(run: Run) -> None:
    result = run("--help")
    assert result.returncode == 0
    for name in SUBCOMMANDS:
        assert re.search(rf"^  {name} ", result.stdout, re.MULTILINE)
    assert "qwen-infer complete -m" in result.stdout


def test_without_arguments_shows_help_and_fails(run: Run) -> None:
    result = run()
    assert result.returncode == 2
    assert "usage:" in result.stderr


def test_version_names_program_and_llama_cpp(run: Run) -> None:
    result = run("--version")
    assert result.returncode == 0
    assert re.match(r"qwen-infer \d+\.\d+\.\d+ \(llama\.cpp \d+\.\d+\.\d+", result.stdout)


@pytest.mark.parametrize(("typo", "meant"), [("complet", "complete"), ("sevre", "serve"), ("quantise", "quantize")])
def test_an_unknown_subcommand_suggests_the_nearest(run: Run, typo: str, meant: str) -> None:
    result = run(typo)
    assert result.returncode == 2
    assert f"'{typo}'" in result.stderr
    assert f"did you mean '{meant}'?" in result.stderr


def test_an_unknown_subcommand_like_none_suggests_none(run: Run) -> None:
    result = run("xyzzy")
    assert result.returncode == 2
    assert "did you mean" not in result.stderr


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_help_of_a_subcommand_shows_our_flags_first(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"qwen-infer {name}: ")
    heading = "flags, named as llama-cli's" if name == "chat" else "llama.cpp's own flags:"
    ours, separator, llamas = result.stdout.partition(heading)
    assert separator
    for flag in (USE, "--top_k_attention_k auto|N", "--top_k_attention_sparse", "--top_k_attention_stats FILE.json"):
        assert flag in ours
    _, heading, recommended = ours.partition("recommended settings:\n")
    assert heading
    for band in RECOMMENDED["bands"]:
        change = band["evidence"][0]["change_percent"]
        found = re.search(rf"^  {band['first']}-{band['last']} +{band['k']} .*$", recommended, re.MULTILINE)
        assert found
        assert f"{change['mean']:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})" in found[0]
    assert "--model" in llamas


def test_help_of_quantize_succeeds(run: Run) -> None:
    result = run("quantize", "--help")
    assert result.returncode == 0
    assert "Q4_K_M" in result.stdout


@pytest.mark.parametrize("name", WITH_ATTENTION)
@pytest.mark.parametrize("off", [("-fa", "off"), ("--flash-attn", "0"), ("--flash_attn", "false")])
def test_flash_attention_off_contradicts_top_k(run: Run, name: str, off: tuple[str, str]) -> None:
    result = run(name, *MISSING_MODEL, USE, *off)
    assert result.returncode == 2
    assert f"{off[0]} {off[1]} turns flash attention off" in result.stderr


def test_flash_attention_off_by_environment_contradicts_top_k(run: Run) -> None:
    result = run("complete", *MISSING_MODEL, USE, LLAMA_ARG_FLASH_ATTN="off")
    assert result.returncode == 2
    assert "LLAMA_ARG_FLASH_ATTN=off" in result.stderr


def test_bench_refuses_a_list_that_turns_flash_attention_off(run: Run) -> None:
    result = run("bench", *MISSING_MODEL, USE, "-fa", "1,0")
    assert result.returncode == 2
    assert "-fa 1,0" in result.stderr
    assert "make two runs" in result.stderr


def test_a_flag_without_its_value_takes_none_of_ours(run: Run) -> None:
    result = run("complete", "-p", "x", USE, "-m")
    assert result.returncode == 1
    assert 'error while handling argument "-m": expected value for argument' in result.stderr


def test_a_missing_value_is_an_error(run: Run) -> None:
    result = run("complete", *MISSING_MODEL, USE, "--top_k_attention_k")
    assert result.returncode == 2
    assert "--top_k_attention_k needs a value: auto or 1 to 1073741824" in result.stderr


def test_a_flag_is_not_taken_for_the_value_of_another(run: Run) -> None:
    result = run("complete", *MISSING_MODEL, USE, "--top_k_attention_stats", "--top_k_attention_k", "32")
    assert result.returncode == 2
    assert "--top_k_attention_stats needs a value: FILE.json" in result.stderr


def test_an_unknown_flag_of_ours_suggests_the_nearest(run: Run) -> None:
    result = run("complete", *MISSING_MODEL, USE, "--top-k-attention-sink", "4")
    assert result.returncode == 2
    assert "did you mean --top_k_attention_sinks?" in result.stderr


def test_an_unknown_flag_of_llama_cpp_is_an_error(run: Run) -> None:
    result = run("complete", *MISSING_MODEL, "--no-such-flag")
    assert result.returncode == 1
    assert "--no-such-flag" in result.stderr


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_settings_without_the_use_flag_are_an_error(run: Run, name: str) -> None:
    result = run(name, *MISSING_MODEL, "--top_k_attention_k", "32")
    assert result.returncode == 2
    assert f"add {USE}" in result.stderr


@pytest.mark.parametrize("name", ["quantize", "convert"])
@pytest.mark.parametrize("flag", [USE, "--top_k_attention_stats=s.json", "--top-k-attention-k=3"])
def test_without_attention_none_of_our_flags_is_taken(run: Run, tmp_path: Path, name: str, flag: str) -> None:
    result = run(name, flag, "a")
    assert result.returncode == 2
    assert f"{name} computes no attention: leave out {flag}" in result.stderr
    assert not (tmp_path / "s.json").exists()


@pytest.mark.parametrize("path", ["missing-folder/s.json", "."])
def test_an_unwritable_report_is_refused_before_the_run(run: Run, tmp_path: Path, path: str) -> None:
    result = run("complete", *MISSING_MODEL, USE, "--top_k_attention_stats", path)
    assert result.returncode == 2
    assert f"cannot write {path}" in result.stderr
    assert "no-such-model" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_serve_refuses_ports_that_do_not_exist(run: Run, port: int) -> None:
    result = run("serve", *MISSING_MODEL, "--port", port)
    assert result.returncode == 2
    assert f"--port {port} is not from 0 (any free one) to 65535" in result.stderr


def test_serve_without_a_model_says_so(run: Run) -> None:
    result = run("serve")
    assert result.returncode == 1
    assert "serve needs a model" in result.stderr


@pytest.mark.parametrize("arguments", [("--help",), *((name, "--help") for name in SUBCOMMANDS)])
def test_output_that_is_lost_is_a_failure(qwen_infer: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [qwen_infer, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert result.returncode == 1
    assert "error: the output could not be written" in result.stderr


def test_help_with_a_flag_that_llama_cannot_read_is_a_failure(run: Run) -> None:
    result = run("complete", "--help", "--port", "abc")
    assert result.returncode == 1
    assert "--port" in result.stderr


def test_a_reader_that_has_gone_needs_no_message(qwen_infer: Path) -> None:
    command = "trap '' PIPE; (sleep 0.3; \"$0\" complete --help) | true"
    result = subprocess.run(
        ["sh", "-c", command, qwen_infer], stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert result.stderr == ""
