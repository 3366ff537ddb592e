"""Qwen3Inference: a model and a session on the C++ engine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, overload

from qwen_infer.conversion.resolve import resolve_model
from qwen_infer.engine import load_engine
from qwen_infer.output_file import check_output
from top_k_attention.arguments import check_choice, check_flag, check_integer, check_number
from top_k_attention.config import TopKAttentionConfig

_LARGEST_INT = (1 << 31) - 1
_LARGEST_SEED = (1 << 32) - 1
_LARGEST_CONTEXT = 1 << 30
_MOST_THREADS = 512
_CACHE_TYPES = ("f32", "f16", "bf16", "q8_0")
_FIGURES = (
    *("calls", "fallback_calls", "rows", "keys_seen", "keys_kept"),
    *("mass_rows", "mean_mass", "min_mass", "deviation_bound", "seconds"),
)

Message = Mapping[str, Any]  # "role" and "content"
Stop = str | Sequence[str] | None


class GenerationStream(Iterator[str]):
    """An answer as it comes: an iterator of pieces of text, each of whole characters.

    Nothing is computed before the next piece is asked for, so it may be left at any time. Any later call that uses the
    session ends it; asking it for more is a RuntimeError then.
    """

    def __init__(self, owner: Qwen3Inference, generation: Any) -> None:  # noqa: ANN401 - of the native module
        self._owner = owner
        self._generation = generation
        self._is_closed = False

    def __iter__(self) -> GenerationStream:
        """Itself."""
        return self

    def __next__(self) -> str:
        """The next piece."""
        if self._is_closed:
            raise StopIteration
        piece = self._generation.next()
        self._owner._last_run = self.statistics
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Ends the answer here, as close() ends any generator; `statistics` stay."""
        self._is_closed = True

    @property
    def statistics(self) -> dict[str, Any]:
        """As `Qwen3Inference.last_run`, so far."""
        return dict(self._generation.statistics)


class Qwen3Inference:
    """A language model that generates text, with full or with exact top-k attention, on the CPU.

    Any model that llama.cpp runs works, Qwen or not. What was read stays in memory: a prompt that begins like the last
    one is only read from where it differs. Calls from several threads wait for each other; while tokens are computed
    the GIL is free. Ctrl-C ends a call with KeyboardInterrupt and leaves the object usable.

    Args:
        model_name_or_path: a GGUF file, a folder with config.json and safetensors, or a name on the hub; the latter two
            are converted once and kept in the cache.
        use_top_k_attention: attend to the k best keys of each query only.
        top_k_attention_config: a `TopKAttentionConfig`; or a string such as "k=256,sinks=4,k@0-1=1024" or
            "profile=FILE" with any of the engine's settings. None: k=256, full attention where that is faster.
        load_in_8bit, load_in_4bit: convert to Q8_0 or Q4_K_M instead of bf16. An error with a GGUF file, which has its
            precision already.
        use_flash_attention: has no other result, but is faster. Top-k attention takes its place and needs it on.
        context_length: most tokens of a prompt and its answer together. None: 8,192, or less if the model was trained
            with less.
        num_threads: None: one for each core.
        kv_cache_type: "f16", "f32", "bf16", or "q8_0", which takes half the memory of "f16".
        seed: of every answer that is given none of its own. None: another one each time.
        enable_thinking: for models that think before they answer a chat; None: as the model's template has it.
        device: "cpu".
        verbose: print what llama.cpp logs to stderr.

    Raises:
        ValueError, TypeError: a bad argument; the message names it, its value and what is allowed.
        OSError: the model is missing, damaged or no model.
        ImportError: this installation has no engine.
        RuntimeError: all else, such as too little memory.
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        use_top_k_attention: bool = False,
        top_k_attention_config: TopKAttentionConfig | str | None = None,
        load_in_8bit: bool = False,
        load_in_4bit: bool = False,
        use_flash_attention: bool = True,
        context_length: int | None = None,
        num_threads: int | None = None,
        kv_cache_type: Literal["f16", "f32", "bf16", "q8_0"] = "f16",
        seed: int | None = None,
        enable_thinking: bool | None = None,
        device: str = "cpu",
        *,
        verbose: bool = False,
    ) -> None:
        if not isinstance(model_name_or_path, (str, os.PathLike)):
            raise TypeError(f"model_name_or_path={model_name_or_path!r} must be a path or a name, as str or Path")
        flags = {
            "use_top_k_attention": use_top_k_attention,
            "load_in_8bit": load_in_8bit,
            "load_in_4bit": load_in_4bit,
            "use_flash_attention": use_flash_attention,
            "verbose": verbose,
        }
        for name, value in flags.items():
            check_flag(name, value)
        if enable_thinking is not None:
            check_flag("enable_thinking", enable_thinking)
        _check_optional("context_length", context_length, 1, _LARGEST_CONTEXT)
        _check_optional("num_threads", num_threads, 1, _MOST_THREADS)
        _check_optional("seed", seed, 0, _LARGEST_SEED)
        check_choice("kv_cache_type", kv_cache_type, _CACHE_TYPES)
        if device != "cpu":
            raise ValueError(f"device={device!r} must be 'cpu': nothing else is supported")
        if use_top_k_attention and not use_flash_attention:
            raise ValueError(
                "use_flash_attention=False excludes use_top_k_attention=True, which takes the place of flash "
                "attention: leave one of the two out"
            )
        if top_k_attention_config is not None and not use_top_k_attention:
            raise ValueError("top_k_attention_config has no effect without use_top_k_attention=True")
        self._session: Any = None
        self._model: Any = None
        settings = _settings_text(top_k_attention_config) if use_top_k_attention else None
        self._config = top_k_attention_config
        self._seed = seed
        self._enable_thinking = enable_thinking
        self._last_run: dict[str, Any] = {}
        self._engine = load_engine()
        self._engine.set_verbose(verbose)
        path = resolve_model(model_name_or_path, load_in_8bit=load_in_8bit, load_in_4bit=load_in_4bit)
        self._model = self._engine.load_model(str(path), settings, use_flash_attention)
        self._session = self._engine.Session(self._model, context_length or 0, kv_cache_type, num_threads or 0)

    # ---- text ----

    @overload
    def generate(self, prompt: str, **options: Any) -> str: ...  # noqa: ANN401
    @overload
    def generate(self, prompt: Sequence[str], **options: Any) -> list[str]: ...  # noqa: ANN401
    def generate(
        self,
        prompt: str | Sequence[str],
        max_new_tokens: int = 512,
        temperature: float = 0.8,
        top_p: float = 0.95,
        top_k: int = 40,
        min_p: float = 0.05,
        repetition_penalty: float = 1.0,
        stop: Stop = None,
        seed: int | None = None,
        stream: bool = False,
    ) -> str | list[str] | GenerationStream:
        """Continues a text; `chat` answers one.

        Args:
            prompt: the text; or several, whose continuations are computed at the same time and come as a list.
            max_new_tokens: the continuation ends after so many tokens at the latest.
            temperature: 0 takes the most likely token each time; higher is more diverse.
            top_p, top_k, min_p: leave unlikely tokens out; 1, 0 and 0 are off.
            repetition_penalty: above 1, tokens that came lately are less likely; 1 is off.
            stop: strings before the first of which the continuation ends.
            seed: the same one gives the same text; None: that of the object.
            stream: return an iterator of the pieces of the text as they are generated.
        """
        options = self._options(
            max_new_tokens, temperature, top_p, top_k, min_p, repetition_penalty, _stop_list(stop), seed
        )
        check_flag("stream", stream)
        if isinstance(prompt, str):
            return self._generate(prompt, options, stream)
        if not isinstance(prompt, Sequence) or not all(isinstance(one, str) for one in prompt):
            raise TypeError(f"prompt={_shown(prompt)} must be a str or a list of them")
        if stream:
            raise ValueError("stream=True takes one prompt, not a list")
        prompts = [_utf8("prompt", one) for one in prompt]
        answers = self._open().generate_batch(prompts, options)
        self._last_run = _sum_of_runs([run for _, run in answers])
        return [text for text, _ in answers]

    def chat(
        self,
        messages: str | Sequence[Message],
        max_new_tokens: int = 512,
        temperature: float = 0.8,
        top_p: float = 0.95,
        top_k: int = 40,
        min_p: float = 0.05,
        repetition_penalty: float = 1.0,
        stop: Stop = None,
        seed: int | None = None,
        stream: bool = False,
    ) -> str | GenerationStream:
        """Answers a conversation: {"role": "user", "content": "..."} and so on, or one message of the user's as str.

        A content may be a list of parts as OpenAI has them, {"type": "text", "text": "..."}: they become lines.
        The model's own chat template is used. All else is as for `generate`.
        """
        if isinstance(messages, str):
            if not messages:
                raise ValueError("the message is empty: say something")
            messages = [{"role": "user", "content": messages}]
        text, template_stop = self._model_open().apply_chat_template(_pairs(messages), self._enable_thinking)
        options = self._options(
            max_new_tokens,
            temperature,
            top_p,
            top_k,
            min_p,
            repetition_penalty,
            [*_stop_list(stop), *template_stop],
            seed,
        )
        check_flag("stream", stream)
        return self._generate(text, options, stream)

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text as `generate` reads it."""
        return self._model_open().tokenize(_utf8("text", text), True, True)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens, with the names of special ones."""
        if isinstance(tokens, str) or not isinstance(tokens, Sequence):
            raise TypeError(f"tokens={_shown(tokens)} must be a list of integers")
        for token in tokens:
            check_integer("token", token, 0, _LARGEST_INT)
        return self._model_open().detokenize(list(tokens))

    def perplexity(self, text: str, window: int | None = None) -> float:
        """exp of the mean negative log likelihood of the text's tokens, each given those before it.

        A text longer than `window` tokens (default: the context length) is read in windows that overlap by half.
        """
        _check_optional("window", window, 2, _LARGEST_CONTEXT)
        perplexity, _, _ = self._open().perplexity(_utf8("text", text), window or 0)
        return perplexity

    # ---- session ----

    def save_session(self, path: str | os.PathLike[str]) -> None:
        """Saves what was read and generated so far, so that nothing of it need be read again; whole or not at all."""
        session, name = self._open(), _path("path", path)
        check_output(Path(name))
        session.save(name)

    def load_session(self, path: str | os.PathLike[str]) -> None:
        """Loads what `save_session` saved. OSError, and nothing changes, if it is damaged or of another model."""
        self._open().load(_path("path", path))

    def reset(self) -> None:
        """Forgets what was read and generated."""
        self._open().clear()

    @property
    def last_run(self) -> dict[str, Any]:
        """What the last generation took: finish_reason, prompt_tokens, cached_tokens (of them, not read again),
        prompt_seconds, generated_tokens, generation_seconds. Of a list of prompts: sums of tokens, the longest time.
        """
        return dict(self._last_run)

    @property
    def context_length(self) -> int:
        """Most tokens of a prompt and its answer together."""
        return self._open().context_length

    @property
    def has_chat_template(self) -> bool:
        """Whether `chat` works with this model."""
        return self._model_open().has_chat_template

    # ---- top-k attention ----

    def get_top_k_attention_stats(self) -> dict[str, Any]:
        """What top-k attention did since the start or the last reset.

        total_memory_saved: scores that full attention would have kept and this one did not, over all rows (a query and
        head) and layers; avg_memory_saved_per_call; calls: attention operations; fallback_calls: those that were full
        attention; rows, full_rows, keys_seen, keys_kept, mass_rows, mean_mass and min_mass (of the kept keys; None if
        not measured), deviation_bound (a row's output differs from full attention by at most this times max|v|; None
        unless the mass of every row was measured), seconds; layers: the same for each layer, with its number as
        "layer".
        """
        report = json.loads(self._top_k_model().attention_statistics())
        stats = _figures(report["total"])
        stats["settings"] = report["settings"]
        stats["layers"] = [{"layer": layer["layer"], **_figures(layer)} for layer in report["layers"]]
        return stats

    def reset_top_k_attention_stats(self) -> None:
        """Starts all sums at zero."""
        self._top_k_model().reset_attention_statistics()

    def set_top_k_attention(self, config: TopKAttentionConfig | str) -> None:
        """Changes settings from the next call on; those that a string does not name stay as they are."""
        model = self._top_k_model()
        model.set_attention(_settings_text(config))

    # ---- life ----

    def close(self) -> None:
        """Frees the model; no more calls then."""
        self._session = None
        self._model = None

    def __enter__(self) -> Qwen3Inference:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def __repr__(self) -> str:
        """Model, context and attention."""
        if self._model is None:
            return "Qwen3Inference(closed)"
        attention = self._model.attention if self._model.has_top_k_attention else "full"
        return (
            f"Qwen3Inference({self._model.path!r}, {self._model.description}, context_length={self.context_length}, "
            f"attention={attention!r})"
        )

    # ---- inside ----

    def _model_open(self) -> Any:  # noqa: ANN401
        if self._model is None:
            raise RuntimeError("this Qwen3Inference is closed: make another one")
        return self._model

    def _open(self) -> Any:  # noqa: ANN401
        self._model_open()
        return self._session

    def _top_k_model(self) -> Any:  # noqa: ANN401
        model = self._model_open()
        if not model.has_top_k_attention:
            raise RuntimeError("attention is full here: top-k attention needs use_top_k_attention=True")
        return model

    def _options(
        self,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        top_k: int,
        min_p: float,
        repetition_penalty: float,
        stop: list[str],
        seed: int | None,
    ) -> Any:  # noqa: ANN401
        check_integer("max_new_tokens", max_new_tokens, 1, _LARGEST_INT)
        check_integer("top_k", top_k, 0, _LARGEST_INT)
        _check_optional("seed", seed, 0, _LARGEST_SEED)
        check_number("temperature", temperature, "a number from 0 to 100", 0.0, 100.0)
        check_number("top_p", top_p, "a number from 0 to 1", 0.0, 1.0)
        check_number("min_p", min_p, "a number from 0 to 1", 0.0, 1.0)
        check_number("repetition_penalty", repetition_penalty, "a number from 0.01 to 100", 0.01, 100.0)
        return self._engine.generate_options(
            int(max_new_tokens),
            float(temperature),
            float(top_p),
            int(top_k),
            float(min_p),
            float(repetition_penalty),
            stop,
            self._seed if seed is None else int(seed),
        )

    def _generate(self, prompt: str, options: Any, stream: bool) -> str | GenerationStream:  # noqa: ANN401
        text = _utf8("prompt", prompt)
        session = self._open()
        if stream:
            return GenerationStream(self, session.start(text, options))
        answer, self._last_run = session.generate(text, options)
        return answer


def _settings_text(config: TopKAttentionConfig | str | None) -> str:
    """A configuration in the engine's form."""
    if config is None:
        return ""
    if isinstance(config, str):
        return config
    if not isinstance(config, TopKAttentionConfig):
        raise TypeError(f"top_k_attention_config={config!r} must be a TopKAttentionConfig or a string like 'k=256'")
    if config.profile is not None:
        return _text_with_profile(config)
    switches = {
        "sparse": config.use_sparse,
        "fallback": config.fallback_full_attention,
    }
    text = ",".join(f"{name}={'on' if value else 'off'}" for name, value in switches.items())
    text += f",temperature={config.temperature:.9g},mass={'sampled' if config.enable_memory_tracking else 'off'}"
    return f"k={config.k},{text}"


def _text_with_profile(config: TopKAttentionConfig) -> str:
    """What differs from the profile wins over it; what does not is left to it."""
    of_profile = TopKAttentionConfig.from_profile(str(config.profile))
    items = [f"profile={config.profile}"]
    if config.k != of_profile.k:
        items.append(f"k={config.k}")
    if config.temperature != of_profile.temperature:
        items.append(f"temperature={config.temperature:.9g}")
    switches = {
        "sparse=on": config.use_sparse,
        "fallback=off": not config.fallback_full_attention,
        "mass=off": not config.enable_memory_tracking,
    }
    return ",".join([*items, *(item for item, given in switches.items() if given)])


def _figures(sums: dict[str, Any]) -> dict[str, Any]:
    """Sums of the engine by the names that the layer's statistics have."""
    saved, calls = sums["operations_saved"], sums["calls"]
    return {
        "total_memory_saved": saved,
        "avg_memory_saved_per_call": saved / calls if calls else 0.0,
        **{name: sums[name] for name in _FIGURES},
        "full_rows": sums["dense_rows"],
    }


def _sum_of_runs(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of answers that were computed at the same time."""
    total: dict[str, Any] = {"finish_reason": [run["finish_reason"] for run in runs]}
    for name in ("prompt_tokens", "cached_tokens", "generated_tokens"):
        total[name] = sum(run[name] for run in runs)
    for name in ("prompt_seconds", "generation_seconds"):
        total[name] = max((run[name] for run in runs), default=0.0)
    return total


def _check_optional(name: str, value: object, least: int, most: int) -> None:
    if value is not None:
        check_integer(name, value, least, most, f"an integer from {least} to {most}, or None")


def _shown(value: object) -> str:
    """For an error: not the whole of it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _utf8(name: str, text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{name}={_shown(text)} is a {type(text).__name__}, it must be a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} has a lone surrogate at character {error.start}, which no UTF-8 can hold: was the text read with "
            "the right encoding?"
        ) from error
    return text


def _stop_list(stop: Stop) -> list[str]:
    if stop is None:
        return []
    strings = [stop] if isinstance(stop, str) else stop
    if not isinstance(strings, Sequence) or not all(isinstance(one, str) for one in strings):
        raise TypeError(f"stop={_shown(stop)} must be a str, a list of them or None")
    return [_utf8("stop", one) for one in strings]


def _pairs(messages: object) -> list[tuple[str, str]]:
    if not isinstance(messages, Sequence):
        raise TypeError(f"messages={_shown(messages)} must be a list of dicts, or a str")
    pairs = []
    for message in messages:
        if not isinstance(message, Mapping):
            raise TypeError(f'a message is {{"role": ..., "content": ...}}, not {_shown(message)}')
        if missing := [key for key in ("role", "content") if key not in message]:
            raise ValueError(f"the message {_shown(message)} has no {missing[0]!r}")
        pairs.append((_utf8("role", message["role"]), _content(message["content"])))
    return pairs


def _content(content: object) -> str:
    if not isinstance(content, list):
        return _utf8("content", content)
    for part in content:
        if not isinstance(part, Mapping) or part.get("type") != "text" or "text" not in part:
            raise ValueError(
                f'content has the part {_shown(part)}; texts are understood, {{"type": "text", "text": "..."}}'
            )
    return "\n".join(_utf8("text", part["text"]) for part in content)


def _path(name: str, path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{name}={path!r} must be a path, as str or Path")
    return os.fspath(path)
