"""What the program refuses, on its command line and over HTTP: each with the bad value, the remedy and a code.

Nothing is left behind, and what was there stays as it was. test_bad_models.py has the files that are no models,
test_command_line.py the flags that are none, tests/python/test_conversion_bad_input.py checkpoints.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from serving import KEY, Server

USE = "--use_top_k_attention"
NO_MODEL = ("-m", "no-such-model.gguf")
BUDGETS, TEMPERATURES = "auto or 1 to 1073741824", "a number from 0.001 to 1000"
SAMPLING = "a number from 0"
UTF8_REMEDY = "convert it (iconv -t UTF-8)"

# ---- the command line ----


def lying_weights() -> bytes:
    """safetensors whose one tensor ends far behind the file."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(64)


FILES = {
    "latin1.txt": "déjà vu".encode("latin-1"),
    "empty.txt": b"",
    "short.txt": b"too short a text\n",
    "long.txt": b"word " * 3000,
    "no-json/config.json": b"{",
    "lying/config.json": b'{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}',
    "lying/model.safetensors": lying_weights(),
}

# Arguments, exit code, what the last error has to name. All of them fail before a model is loaded.
COMMANDS: dict[str, tuple[tuple[object, ...], int, tuple[str, ...]]] = {
    "k_is_0": (("complete", *NO_MODEL, USE, "--top_k_attention_k", 0), 2, ("'0'", BUDGETS)),
    "k_is_1e12": (("complete", *NO_MODEL, USE, "--top_k_attention_k", 10**12), 2, ("'1000000000000'", BUDGETS)),
    "k_is_1e12_spelled_so": (("complete", *NO_MODEL, USE, "--top_k_attention_k", "1e12"), 2, ("'1e12'", BUDGETS)),
    "k_is_a_word": (("bench", *NO_MODEL, USE, "--top_k_attention_k=many"), 2, ("'many'", BUDGETS)),
    "k_is_a_fraction": (("serve", *NO_MODEL, USE, "--top_k_attention_k", 3.5), 2, ("'3.5'", BUDGETS)),
    "k_is_negative": (("chat", *NO_MODEL, USE, "--top_k_attention_k", -3), 2, ("'-3'", BUDGETS)),
    "attention_temperature_0": (
        ("complete", *NO_MODEL, USE, "--top_k_attention_temperature", 0),
        2,
        ("'0'", TEMPERATURES),
    ),
    "attention_temperature_negative": (
        ("complete", *NO_MODEL, USE, "--top_k_attention_temperature", -1),
        2,
        ("'-1'", TEMPERATURES),
    ),
    "attention_temperature_nan": (
        ("complete", *NO_MODEL, USE, "--top_k_attention_temperature", "nan"),
        2,
        ("'nan'", TEMPERATURES),
    ),
    "threads_100000": (("complete", *NO_MODEL, "-t", 100000), 2, ("-t", "'100000'", "up to 512")),
    "batch_threads_513": (("serve", *NO_MODEL, "--threads-batch", 513), 2, ("-tb", "'513'", "up to 512")),
    "threads_in_a_list": (("bench", *NO_MODEL, "-t", "2,1000"), 2, ("-t", "'1000'", "up to 512")),
    "context_negative": (("serve", *NO_MODEL, "-c", -5), 2, ("-c", "'-5'", "at least 0")),
    "batch_0": (("perplexity", *NO_MODEL, "-b", 0), 2, ("-b", "'0'", "at least 1")),
    "micro_batch_0": (("complete", *NO_MODEL, "--ubatch-size", 0), 2, ("-ub", "'0'", "at least 1")),
    "sinks_negative": (("complete", *NO_MODEL, USE, "--top_k_attention_sinks", -1), 2, ("'-1'", "0 to 1073741824")),
    "window_a_word": (("complete", *NO_MODEL, USE, "--top_k_attention_window", "x"), 2, ("'x'", "0 to 1073741824")),
    "mass_above_1": (("complete", *NO_MODEL, USE, "--top_k_attention_min_mass", 1.5), 2, ("'1.5'", "0 to 1")),
    "mass_a_word": (("complete", *NO_MODEL, USE, "--top_k_attention_mass", "some"), 2, ("'some'", "off, sampled")),
    "dense_layers_negative": (
        ("complete", *NO_MODEL, USE, "--top_k_attention_dense_layers", -1),
        2,
        ("'-1'", "0 to 10000"),
    ),
    "layers_backwards": (("complete", *NO_MODEL, USE, "--top_k_attention_layers", "k@3-1=5"), 2, ("k@3-1=5",)),
    "unknown_key": (
        ("complete", *NO_MODEL, USE, "--top_k_attention_layers", "colour@3=5"),
        2,
        ("'colour@3=5'", "the options are k, temperature"),
    ),
    "temperature_negative": (("complete", *NO_MODEL, "-p", "x", "--temp", -1), 2, ("'-1'", SAMPLING)),
    "temperature_nan": (("complete", *NO_MODEL, "-p", "x", "--temperature", "nan"), 2, ("'nan'", SAMPLING)),
    "served_temperature_nan": (("serve", *NO_MODEL, "--temp", "nan"), 2, ("'nan'", SAMPLING)),
    "chat_temperature_negative": (("chat", *NO_MODEL, "-p", "x", "--temp", -0.5), 2, ("'-0.5'", SAMPLING)),
    "chat_temperature_nan": (("chat", *NO_MODEL, "-p", "x", "--temp", "nan"), 2, ("'nan'", SAMPLING)),
    "prompt_no_utf8": (("complete", *NO_MODEL, "-p", "d\udce9"), 2, ("-p", "byte 1", "iconv")),
    "file_no_utf8": (("complete", *NO_MODEL, "-f", "latin1.txt"), 2, ("latin1.txt", "byte 1", UTF8_REMEDY)),
    "chat_prompt_no_utf8": (("chat", *NO_MODEL, "-p", "d\udce9"), 2, ("byte 1", "iconv")),
    "chat_file_no_utf8": (("chat", *NO_MODEL, "-f", "latin1.txt"), 2, ("latin1.txt", "byte 1", UTF8_REMEDY)),
    "text_no_utf8": (("perplexity", *NO_MODEL, "-f", "latin1.txt"), 2, ("latin1.txt", "byte 1", UTF8_REMEDY)),
    "file_a_device": (("complete", *NO_MODEL, "-f", "/dev/zero"), 2, ("cannot read /dev/zero: it is a device",)),
    "chat_file_a_device": (("chat", *NO_MODEL, "-f", "/dev/zero"), 2, ("cannot read /dev/zero: it is a device",)),
    "file_empty": (("complete", *NO_MODEL, "-f", "empty.txt"), 2, ("empty.txt is empty", "name a file with a text")),
    "chat_file_empty": (("chat", *NO_MODEL, "-f", "empty.txt"), 2, ("empty.txt is empty", "name another file")),
    "prompt_empty": (("complete", *NO_MODEL, "-p", ""), 2, ("there is no prompt", "-p is empty", "-p TEXT or -f FILE")),
    "chat_prompt_empty": (("chat", *NO_MODEL, "-p", ""), 1, ("standard input", "is empty", "-p TEXT")),
    "chat_input_empty": (("chat", *NO_MODEL), 1, ("standard input", "is empty", "-p TEXT")),
    "chat_file_a_folder": (("chat", *NO_MODEL, "-f", "lying"), 2, ("cannot read lying", "it is a folder")),
    "chat_unknown_flag": (("chat", *NO_MODEL, "--mmproj", "x"), 2, ("there is no flag --mmproj", "chat --help")),
    "chat_without_model": (("chat", "-p", "x"), 2, ("--model is missing", "name a GGUF file")),
    "file_missing": (("perplexity", *NO_MODEL, "-f", "none.txt"), 2, ("cannot read none.txt", "No such file")),
    "model_missing": (("chat", *NO_MODEL, "-p", "x"), 1, ("no-such-model.gguf: there is no such file",)),
    "model_a_hub_name": (
        ("complete", "-m", "Qwen/Qwen3-8B", "-p", "x"),
        1,
        ("cannot load the model Qwen/Qwen3-8B", "`qwen-infer convert Qwen/Qwen3-8B`"),
    ),
    "model_a_folder": (("chat", "-m", "lying", "-p", "x"), 1, ("it is a folder", "`qwen-infer convert lying`")),
    "checkpoint_no_json": (("convert", "./no-json"), 1, ("no-json/config.json is no JSON", "download or save")),
    "checkpoint_lies": (("convert", "./lying"), 1, ("lying/model.safetensors is damaged", "download or save")),
    "checkpoint_missing": (("convert", "./none"), 1, ("there is no file or folder './none'", "give a GGUF file")),
}

# The same with the model.
COMMANDS_WITH_MODEL: dict[str, tuple[tuple[object, ...], int, tuple[str, ...]]] = {
    "no_prompt": (("complete", "-no-cnv"), 1, ("there is no prompt", "-p TEXT or -f FILE")),
    "prompt_longer_than_the_context": (
        ("complete", "-no-cnv", "-f", "long.txt", "-c", 512, "-n", 1),
        1,
        ("too long (3001 tokens, max 508)", "nothing was computed", "-c N makes room"),
    ),
    "chat_longer_than_the_context": (
        ("chat", "-f", "long.txt", "-c", 512),
        1,
        ("3030 tokens", "context of 512", "-c at the start"),
    ),
    "layer_past_the_last": (
        ("complete", "-p", "x", USE, "--top_k_attention_layers", "k@20-24=4"),
        2,
        ("k@20-24=4 is about layer 24", "24 layers, 0 to 23", "leave it out"),
    ),
    "dense_layers_past_the_last": (
        ("chat", "-p", "x", USE, "--top_k_attention_dense_layers", 99),
        2,
        ("dense_layers=99 is about layer 98", "24 layers"),
    ),
    "eval_of_a_layer_past_the_last": (
        ("eval", "-f", "long.txt", "--setting", "k@99=4", "-c", 512),
        2,
        ("k@99=4 is about layer 99", "24 layers"),
    ),
    "inspect_of_a_layer_past_the_last": (
        ("inspect", "--prompt-file", "short.txt", "--json", "out.json", "--setting", "k@99=4"),
        2,
        ("k@99=4 is about layer 99", "24 layers"),
    ),
    "text_too_short": (
        ("perplexity", "-f", "short.txt", "-c", 512),
        1,
        ("tokenizes to only", "nothing was computed", "-c N makes the windows smaller"),
    ),
}


def assert_refused(run: Run, folder: Path, arguments: tuple[object, ...], code: int, named: tuple[str, ...]) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "cache").mkdir()
    result = run(*arguments, QWEN_INFER_CACHE=str(folder / "cache"), QWEN_INFER_PYTHON=sys.executable)
    assert result.returncode == code, result.stderr[-2000:]
    assert "error: " in result.stderr
    missing = [words for words in named if words not in result.stderr]
    assert not missing, result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    assert result.stdout.strip() == ""
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == set(FILES)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_refused_with_the_value_and_the_remedy(run: Run, tmp_path: Path, name: str) -> None:
    assert_refused(run, tmp_path, *COMMANDS[name])


@pytest.mark.model
@pytest.mark.parametrize("name", COMMANDS_WITH_MODEL)
def test_command_with_a_model_is_refused(run: Run, tmp_path: Path, model_path: Path, name: str) -> None:
    (subcommand, *arguments), code, named = COMMANDS_WITH_MODEL[name]
    assert_refused(run, tmp_path, (subcommand, "-m", model_path, *arguments), code, named)


@pytest.mark.model
def test_layers_that_a_model_of_the_hub_lacks_are_refused(run: Run, tmp_path: Path, model_path: Path) -> None:
    # As the hub's local cache has it.
    commit = "0" * 40
    repository = tmp_path / "models--some--model"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    (snapshot / "model-Q4_K_M.gguf").symlink_to(model_path)
    model = ("-hf", "some/model", "--offline")
    result = run("complete", *model, "-p", "x", USE, "--top_k_attention_layers=k@99=4", HF_HUB_CACHE=str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.endswith(
        "error: k@99=4 is about layer 99, and the model has 24 layers, 0 to 23: name none but those, or leave it out\n"
    )
    assert result.stdout == ""


# ---- HTTP ----

COMPLETIONS, CHAT, CONFIG = "/v1/completions", "/v1/chat/completions", "/topk/config"
TEMPLATE, TOKENS, TEXTS, INFILL = "/apply-template", "/tokenize", "/detokenize", "/infill"
LONG = "word " * 3000
NUMBERS = "allowed are"
NO_ROLE = ('"messages[0]" has no "role"', "a text")

# Path, body, status, what the message has to name. Bodies are sent as they are.
REQUESTS: dict[str, tuple[str, bytes, int, tuple[str, ...]]] = {
    "no_body": (COMPLETIONS, b"", 400, ()),
    "broken": (COMPLETIONS, b'{"prompt": "x"', 400, ("JSON", "line 1, column 15")),
    "broken_chat": (CHAT, b"no json", 400, ("JSON", "line 1, column 2")),
    "broken_natively": ("/completion", b"{", 400, ("JSON",)),
    "no_object": (CHAT, b"[1, 2]", 400, ()),
    "no_text": (COMPLETIONS, b'{"prompt": 3}', 400, ("prompt",)),
    "no_prompt": (COMPLETIONS, b'{"max_tokens": 1}', 400, ("prompt",)),
    "no_utf8": (COMPLETIONS, b'{"prompt": "\xff"}', 400, ("UTF-8", "column 13")),
    "half_a_surrogate": (CHAT, b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400, ("UTF-8", "surrogate")),
    "nested": (
        COMPLETIONS,
        b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        400,
        ("levels", "send it flatter"),
    ),
    "huge": (COMPLETIONS, b'{"prompt": "' + b"x" * (33 << 20) + b'"}', 413, (str((33 << 20) + 14), "send less")),
    "empty_prompt": (COMPLETIONS, b'{"prompt": ""}', 400, ('"prompt" is empty', "send a text")),
    "empty_prompts": (COMPLETIONS, b'{"prompt": []}', 400, ('"prompt" must not be empty',)),
    "no_messages": (CHAT, b'{"messages": []}', 400, ('"messages" has no message', "send at least one")),
    "no_role": (CHAT, b'{"messages": [{"content": "x"}]}', 400, NO_ROLE),
    "no_role_counted": (
        f"{CHAT}/input_tokens",
        b'{"messages": [{"content": "x"}]}',
        400,
        NO_ROLE,
    ),
    "no_role_in_a_template": (TEMPLATE, b'{"messages": [{}]}', 400, NO_ROLE),
    "no_role_as_anthropic_has_it": ("/v1/messages", b'{"messages": [{}]}', 400, NO_ROLE),
    "role_unknown": (CHAT, b'{"messages": [{"role": "critic", "content": "x"}]}', 400, ("role 'critic'", "use system")),
    "max_tokens_0": (COMPLETIONS, b'{"prompt": "x", "max_tokens": 0}', 400, ('"max_tokens" is 0', "from 1 to")),
    "content_a_number": (CHAT, b'{"messages": [{"role": "user", "content": 3}]}', 400, ('"messages[0].content" is 3',)),
    "part_without_text": (
        CHAT,
        b'{"messages": [{"role": "user", "content": [{"type": "text"}]}]}',
        400,
        ('"messages[0].content[0]" has no "text"',),
    ),
    "image_for_a_model_without_eyes": (
        CHAT,
        b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}',
        400,
        ("image input is not supported",),
    ),
    "arguments_no_json": (
        CHAT,
        b'{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{"type": "function", '
        b'"function": {"name": "f", "arguments": "x"}}]}, {"role": "user", "content": "x"}]}',
        400,
        ("tool call arguments as JSON",),
    ),
    "tools_a_text": (CHAT, b'{"messages": [{"role": "user", "content": "x"}], "tools": "x"}', 400, ("'tools'", '"x"')),
    "tool_without_name": (
        CHAT,
        b'{"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {}}]}',
        400,
        ("tools", '"function": {}'),
    ),
    "unknown_reasoning_format": (
        CHAT,
        b'{"messages": [{"role": "user", "content": "x"}], "reasoning_format": "x"}',
        400,
        ("reasoning format: x",),
    ),
    "schema_no_object": (
        CHAT,
        b'{"messages": [{"role": "user", "content": "x"}], "json_schema": {"type": 3}}',
        400,
        ("schema",),
    ),
    "embedding_of_a_server_without": ("/v1/embeddings", b'{"input": 3}', 501, ("--embeddings",)),
    "token_that_is_none": (TEXTS, b'{"tokens": [1000000000]}', 400, ("out of its range", "token")),
    "tokens_a_text": (TEXTS, b'{"tokens": "x"}', 400, ("type",)),
    "tokenize_no_json": (TOKENS, b"{", 400, ("JSON",)),
    "infill_without_prefix": (INFILL, b'{"input_suffix": "x"}', 400, ("input_prefix",)),
    "infill_extra_a_text": (
        INFILL,
        b'{"input_prefix": "x", "input_suffix": "x", "input_extra": 3}',
        400,
        ("input_extra",),
    ),
    "longer_than_the_context": (COMPLETIONS, json.dumps({"prompt": LONG}).encode(), 400, ("3001 tokens", "1024")),
    "chat_longer_than_the_context": (
        CHAT,
        json.dumps({"messages": [{"role": "user", "content": LONG}]}).encode(),
        400,
        ("tokens", "1024", "try increasing it"),
    ),
    "unknown_model": (COMPLETIONS, b'{"prompt": "x", "model": "gpt-4"}', 400, ("'gpt-4'", "ask for 'qwen'")),
    "temperature_nan": (COMPLETIONS, b'{"prompt": "x", "temperature": NaN}', 400, ("NaN",)),
    "temperature_infinite": (COMPLETIONS, b'{"prompt": "x", "temperature": 1e999}', 400, ("1e999",)),
    "temperature_negative": (COMPLETIONS, b'{"prompt": "x", "temperature": -0.5}', 400, ("-0.5", NUMBERS)),
    "top_p_above_1": (COMPLETIONS, b'{"prompt": "x", "top_p": 1.5}', 400, ("1.5", NUMBERS)),
    "top_k_that_wraps_around": (
        COMPLETIONS,
        b'{"prompt": "x", "top_k": 1000000000000}',
        400,
        ("1000000000000", NUMBERS),
    ),
    "tokens_that_wrap_around": (
        COMPLETIONS,
        b'{"prompt": "x", "max_tokens": 4294967297}',
        400,
        ("4294967297", NUMBERS),
    ),
    "config_k_is_0": (CONFIG, b'{"k": 0}', 400, ("k=0", "1 to 1073741824")),
    "config_k_is_1e12": (CONFIG, b'{"k": 1000000000000}', 400, ("k=1000000000000", "1 to 1073741824")),
    "config_k_is_1e12_spelled_so": (CONFIG, b'{"k": 1e12}', 400, ("k=1000000000000", "1 to 1073741824")),
    "config_k_a_list": (CONFIG, b'{"k": [1]}', 400, ("k is [1]", "send an object")),
    "config_huge": (CONFIG, b'{"k": "' + b"1" * (33 << 20) + b'"}', 413, ("send less",)),
    "config_no_utf8": (CONFIG, b'{"\xff": 1}', 400, ("UTF-8",)),
    "config_temperature_nan": (CONFIG, b'{"temperature": "nan"}', 400, ("temperature=nan", "0.001 to 1000")),
    "config_temperature_negative": (CONFIG, b'{"temperature": -1}', 400, ("temperature=-1", "0.001 to 1000")),
    "config_unknown_key": (CONFIG, b'{"budget": 3}', 400, ("budget", "Allowed settings")),
    "config_a_layer_past_the_last": (CONFIG, b'{"k@99": 4}', 400, ("k@99=4", "24 layers, 0 to 23")),
    "config_a_file": (CONFIG, b'{"record@0": "/dev/null"}', 400, ("record@0",)),
    "config_broken": (CONFIG, b"{", 400, ("JSON",)),
    "config_empty": (CONFIG, b"", 400, ("JSON",)),
}

HELD = {"prompt": "The capital of France is", "n_predict": 1, "temperature": 0, "id_slot": 0}


def cached_tokens(server: Server) -> int:
    """Of a prompt that was sent before: what its slot still holds."""
    status, _, body = server.request("POST", "/completion", HELD, KEY)
    assert status == 200
    return body["timings"]["cache_n"]


def settings(server: Server) -> Any:  # noqa: ANN401
    return server.request("GET", "/topk/stats", headers=KEY)[2]["settings"]


@pytest.mark.model
@pytest.mark.parametrize("name", REQUESTS)
def test_request_is_refused_and_changes_nothing(guarded: Server, name: str) -> None:
    path, body, expected, named = REQUESTS[name]
    cached_tokens(guarded)
    before = cached_tokens(guarded), settings(guarded)
    status, answer = guarded.post(path, body, KEY)
    assert status == expected
    message = answer["error"]["message"]
    assert message
    assert not [words for words in named if words not in message], message
    assert (cached_tokens(guarded), settings(guarded)) == before
    assert before[0] > 0
