"""The command `python qwen_infer.py`, also `python -m qwen_infer`: answers a prompt, or chats in a terminal."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qwen_infer.engine import attention_settings
from qwen_infer.exit_codes import EXIT_SUCCESS, CommandParser, exit_code_of
from qwen_infer.inference import Qwen3Inference
from qwen_infer.output_file import check_output, write_output
from qwen_infer.user_cache import user_cache
from top_k_attention.profile import check_profile_path

_DEMO_MODEL = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
_PREFIX = "top_k_attention_"
_MOST_BYTES = 256 << 20  # of a text: more than any model reads, and where one without an end is given up
_DESCRIPTION = """Runs a language model on the CPU, with full or with exact top-k attention.

  python qwen_infer.py --use_top_k_attention                          # chat, in a terminal
  python qwen_infer.py --use_top_k_attention --prompt "What is a closure?"
  python qwen_infer.py --use_top_k_attention --file long.txt --context_length 32768 < /dev/null
  echo "Once upon a time" | python qwen_infer.py --continue --max_new_tokens 64

Names of options have underscores or dashes."""
# Numbers of `Qwen3Inference.generate`: name, default, meaning, range.
_GENERATION = (
    ("max_new_tokens", 512, "most tokens of the answer", "from 1"),
    ("temperature", 0.8, "how much chance has a say; 0: always the likeliest token", "0 to 100"),
    ("top_p", 0.95, "choose from the likeliest tokens that together have this probability", "0 to 1"),
    ("top_k", 40, "likeliest tokens to choose from; 0: all", "from 0"),
    ("min_p", 0.05, "leave out tokens less likely than this share of the likeliest one", "0 to 1"),
    ("repetition_penalty", 1.0, "makes tokens that were there before less likely; 1: off", "0.01 to 100"),
)
_CHAT_HELP = """  /reset      start a new conversation
  /stats      what top-k attention kept so far
  /k N        keys kept per query and head from now on
  /exit       end (or Ctrl-D, /quit, /bye); Ctrl-C ends an answer"""


def default_model() -> Path | None:
    """QWEN_INFER_MODEL, else the model of ./demo.sh; None if there is none."""
    if model := os.environ.get("QWEN_INFER_MODEL"):
        return Path(model)
    path = user_cache() / "models" / _DEMO_MODEL
    return path if path.is_file() else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    return exit_code_of(lambda given: _run(_parse(given)), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("qwen_infer.py", _DESCRIPTION)
    parser.add_argument("--model", help="GGUF file, folder or name on the hub (default: the model of ./demo.sh)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--prompt", help="answer this; without --prompt and --file: standard input, or a chat")
    source.add_argument("--file", help="answer the text in this file")
    parser.add_argument(
        "--continue",
        dest="continue_text",
        action="store_true",
        help="continue the text instead of answering it; so do models without a chat template",
    )
    generation = parser.add_argument_group("generation")
    for name, default, meaning, allowed in _GENERATION:
        kind, metavar = (int, "N") if isinstance(default, int) else (float, "X")
        text = f"{meaning} ({allowed}; default: {default})"
        generation.add_argument(f"--{name}", type=kind, default=default, metavar=metavar, help=text)
    generation.add_argument("--stop", action="append", metavar="TEXT", help="end before this text; may be repeated")
    generation.add_argument(
        "--seed", type=int, metavar="N", help="of the random choices (0 to 4294967295; default: another one each time)"
    )
    model = parser.add_argument_group("model")
    model.add_argument("--context_length", type=int, metavar="N", help="tokens of prompt and answer (default: 8192)")
    model.add_argument("--num_threads", type=int, metavar="N", help="(default: one for each core)")
    model.add_argument("--kv_cache_type", default="f16", metavar="TYPE", help="f16, f32, bf16 or q8_0 (default: f16)")
    model.add_argument("--load_in_8bit", action="store_true", help="convert folders and hub names to Q8_0")
    model.add_argument("--load_in_4bit", action="store_true", help="convert them to Q4_K_M")
    thinking = model.add_mutually_exclusive_group()
    thinking.add_argument(
        "--enable_thinking", action="store_true", default=None, help="for models that can think before they answer"
    )
    thinking.add_argument("--no_enable_thinking", dest="enable_thinking", action="store_false", help="the opposite")
    model.add_argument("--verbose", action="store_true", help="print llama.cpp's log")
    _add_attention(parser.add_argument_group("top-k attention"))
    return parser


def _add_attention(group: argparse._ArgumentGroup) -> None:
    """One option for each of the engine's settings, from its own table."""
    group.add_argument(
        "--use_top_k_attention", action="store_true", help="attend to the k best keys of each query only"
    )
    for field in attention_settings():
        name, default, sentence = field["name"], field["default"], field["sentence"].replace("%", "%%")
        if field["type"] == "bool":
            off = default == "off"
            flag = f"--{_PREFIX}{'' if off else 'no_'}{name}"
            text = sentence if off else field["off_sentence"].replace("%", "%%")
            group.add_argument(flag, dest=_PREFIX + name, action="store_const", const="on" if off else "off", help=text)
        else:
            metavar = {"integer": "N", "number": "X"}.get(field["type"], "VALUE")
            text = f"{sentence} ({field['range']}; default: {default})" if default else f"{sentence} ({field['range']})"
            group.add_argument(f"--{_PREFIX}{name}", metavar=metavar, help=text)
    group.add_argument(
        f"--{_PREFIX}layers", metavar="LIST", help="settings of single layers, such as k@0-1=1024,window@23=64"
    )
    group.add_argument(
        f"--{_PREFIX}profile",
        metavar="FILE",
        help="settings that qwen-infer tune made for the model; other options win over it",
    )
    group.add_argument(
        f"--{_PREFIX}stats", type=Path, metavar="FILE.json", help="write what was kept to this file at the end"
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    settings = _settings(options)
    if settings and not options.use_top_k_attention:
        parser.error("settings of top-k attention have no effect without --use_top_k_attention")
    if options.top_k_attention_stats and not options.use_top_k_attention:
        parser.error("--top_k_attention_stats needs --use_top_k_attention")
    if options.top_k_attention_stats:
        try:
            check_output(options.top_k_attention_stats)
        except OSError as error:
            parser.error(str(error))
    options.settings = settings
    if options.model is None:
        options.model = default_model()
    if options.model is None:
        parser.error("--model is needed: ./demo.sh, which fetches the model that is used otherwise, was not run")
    return options


def _settings(options: argparse.Namespace) -> str:
    """The engine's string for the options that were given."""
    names = [field["name"] for field in attention_settings()]
    given = {name: getattr(options, _PREFIX + name) for name in names}
    items = [f"{name}={value}" for name, value in given.items() if value is not None]
    if options.top_k_attention_profile:
        items.insert(0, f"profile={check_profile_path(options.top_k_attention_profile)}")
    return ",".join([*items, *([options.top_k_attention_layers] if options.top_k_attention_layers else [])])


def _run(options: argparse.Namespace) -> int:
    prompt = _prompt(options)
    with Qwen3Inference(
        options.model,
        use_top_k_attention=options.use_top_k_attention,
        top_k_attention_config=options.settings or None,
        load_in_8bit=options.load_in_8bit,
        load_in_4bit=options.load_in_4bit,
        context_length=options.context_length,
        num_threads=options.num_threads,
        kv_cache_type=options.kv_cache_type,
        seed=options.seed,
        enable_thinking=options.enable_thinking,
        verbose=options.verbose,
    ) as inference:
        if prompt is None:
            _chat(inference, options)
        elif options.continue_text or not inference.has_chat_template:
            _print(inference.generate(prompt, stream=True, **_generation(options)))
        else:
            _print(inference.chat(prompt, stream=True, **_generation(options)))
        if options.use_top_k_attention:
            print(_summary(inference.get_top_k_attention_stats()), file=sys.stderr)
        if options.top_k_attention_stats:
            write_output(
                options.top_k_attention_stats, json.dumps(inference.get_top_k_attention_stats(), indent=2) + "\n"
            )
    return EXIT_SUCCESS


def _prompt(options: argparse.Namespace) -> str | None:
    """What is to be answered; None for a chat in the terminal."""
    if options.prompt is not None:
        return options.prompt
    if options.file is not None:
        return _decoded(options.file, _content(options.file))
    return None if sys.stdin.isatty() else _decoded("standard input", sys.stdin.buffer.read(_MOST_BYTES + 1))


def _content(name: str) -> bytes:
    path = Path(name)
    if not path.exists():
        raise FileNotFoundError(f"cannot read {name}: there is no such file")
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise OSError(f"cannot read {name}: {error.strerror}") from error


def _decoded(name: str, content: bytes) -> str:
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{name} has more than {_MOST_BYTES >> 20} MiB, which no model reads: give a part of it")
    if not content:
        raise ValueError(f"{name} is empty, and was to be the prompt: give one with --prompt or --file")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is no text in UTF-8, byte {error.start} begins no character: convert it (iconv -t UTF-8)"
        ) from error


def _generation(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in [*(number[0] for number in _GENERATION), "stop"]}


def _print(pieces: Iterable[str]) -> str:
    """Prints an answer as it comes and returns it."""
    answer = ""
    try:
        for piece in pieces:
            answer += piece
            print(piece, end="", flush=True)
    finally:
        print(flush=True)
    return answer


def _chat(inference: Qwen3Inference, options: argparse.Namespace) -> None:
    """A conversation until the end of the input; /help lists the commands."""
    if not inference.has_chat_template:
        raise ValueError(f"{options.model} has no chat template: give it a text with --prompt or --file")
    print(f"{inference!r}\n/help lists the commands", file=sys.stderr)
    messages: list[dict[str, str]] = []
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            print()
            return
        if line in ("/exit", "/quit", "/bye"):
            return
        if line.startswith("/"):
            _command(line, inference, messages)
        elif line:
            _answer(line, inference, options, messages)


def _answer(line: str, inference: Qwen3Inference, options: argparse.Namespace, messages: list[dict[str, str]]) -> None:
    """One turn; one that fails or is interrupted before it said anything leaves the conversation as it was."""
    answer: list[str] = []

    def listened() -> Iterable[str]:
        for piece in inference.chat(
            [*messages, {"role": "user", "content": line}], stream=True, **_generation(options)
        ):
            answer.append(piece)
            yield piece

    try:
        _print(listened())
    except KeyboardInterrupt:
        print("(interrupted)", file=sys.stderr)
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
    if answer:
        messages += [{"role": "user", "content": line}, {"role": "assistant", "content": "".join(answer)}]


def _command(line: str, inference: Qwen3Inference, messages: list[dict[str, str]]) -> None:
    name, _, value = line.partition(" ")
    try:
        if name == "/reset":
            messages.clear()
            inference.reset()
        elif name == "/stats":
            print(_summary(inference.get_top_k_attention_stats()))
        elif name == "/k":
            inference.set_top_k_attention(f"k={value.strip()}")
        elif name == "/help":
            print(_CHAT_HELP)
        else:
            raise ValueError(f"there is no command {name}: /help lists them")
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)


def _summary(stats: dict[str, Any]) -> str:
    """One line about what top-k attention did."""
    if not stats["keys_seen"]:
        return "top-k attention: nothing was computed yet"
    share = 100 * stats["keys_kept"] / stats["keys_seen"]
    mass = "not measured" if stats["mean_mass"] is None else f"{stats['mean_mass']:.4f}"
    kept = f"{stats['keys_kept']:,} of {stats['keys_seen']:,} keys kept ({share:.1f} %)"
    full = f"{stats['fallback_calls']:,} of {stats['calls']:,} calls ran full"
    return f"top-k attention: {kept}, mean mass {mass}, {stats['total_memory_saved']:,} scores saved; {full}"
