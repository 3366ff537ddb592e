"""Qwen3Inference with a real model."""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qwen_infer import Qwen3Inference
from top_k_attention import TopKAttentionConfig

LAYERS, HEADS = 24, 14  # of the model
K = 8
CODE, CAPITAL = "def fibonacci(n):", "The capital of France is"
GREEDY: dict[str, Any] = {"temperature": 0, "max_new_tokens": 8}

model = pytest.mark.model


@pytest.fixture(scope="module")
def inference(model_path: Path) -> Iterator[Qwen3Inference]:
    """With top-k attention of 8 keys for every row."""
    with Qwen3Inference(
        model_path,
        use_top_k_attention=True,
        top_k_attention_config=TopKAttentionConfig(k=K, use_sparse=True),
        context_length=2048,
        enable_thinking=False,
    ) as made:
        yield made


@pytest.fixture
def fresh(inference: Qwen3Inference) -> Qwen3Inference:
    """Without anything of the tests before."""
    inference.reset()
    inference.reset_top_k_attention_stats()
    inference.set_top_k_attention(f"k={K},sparse=on,mass=exact")
    return inference


# ---- text ----


@model
@pytest.mark.parametrize("top_k", [False, True])
def test_continues_a_text_as_the_program_does(
    top_k: bool, fresh: Qwen3Inference, full: Qwen3Inference, qwen_infer: Path, model_path: Path
) -> None:
    flags = ["--use_top_k_attention", "--top_k_attention_k", str(K), "--top_k_attention_sparse"] if top_k else []
    command = [qwen_infer, "complete", "-m", model_path, "-p", CODE, "-n", "12", "--temp", "0", "-no-cnv"]
    program = subprocess.run(
        [*map(str, command), "--no-display-prompt", "-fa", "on", *flags],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    text = (fresh if top_k else full).generate(CODE, temperature=0, max_new_tokens=12)
    assert len(text.strip()) > 10
    assert program.stdout.strip().startswith(text.strip())


@model
def test_stream_gives_the_same_text_in_pieces(full: Qwen3Inference) -> None:
    stream = full.generate(CODE, stream=True, **GREEDY)
    pieces = list(stream)
    assert len(pieces) > 1
    assert "".join(pieces) == full.generate(CODE, **GREEDY)
    assert stream.statistics["finish_reason"] == "length"
    assert stream.statistics["generated_tokens"] == GREEDY["max_new_tokens"]


@model
def test_stream_that_was_left_ends_with_the_next_call(full: Qwen3Inference) -> None:
    stream = full.generate(CODE, stream=True, **GREEDY)
    next(stream)
    expected = full.generate(CAPITAL, **GREEDY)
    with pytest.raises(RuntimeError, match="used for something else"):
        next(stream)
    assert full.generate(CAPITAL, **GREEDY) == expected


@model
def test_stream_can_be_closed(full: Qwen3Inference) -> None:
    stream = full.generate(CODE, stream=True, **GREEDY)
    next(stream)
    stream.close()
    assert list(stream) == []
    assert stream.statistics["generated_tokens"] < GREEDY["max_new_tokens"]


@model
def test_a_message_may_be_a_list_of_texts(full: Qwen3Inference) -> None:
    parts = [{"type": "text", "text": "Name a capital."}, {"type": "text", "text": "One word."}]
    expected = full.chat("Name a capital.\nOne word.", **GREEDY)
    assert full.chat([{"role": "user", "content": parts}], **GREEDY) == expected


@model
def test_several_prompts_are_continued_at_once(full: Qwen3Inference) -> None:
    # None has a close call among its first tokens: the last bits are others in a batch. More than are computed at once.
    prompts = [CODE, "Monday, Tuesday, Wednesday,", "1, 2, 3, 4, 5,"] * 3
    alone = [full.generate(prompt, **GREEDY) for prompt in prompts[:3]]
    assert full.generate(prompts, **GREEDY) == alone * 3
    assert full.last_run["generated_tokens"] == len(prompts) * GREEDY["max_new_tokens"]
    assert full.generate([], **GREEDY) == []


@model
def test_text_ends_before_a_stop_string(full: Qwen3Inference) -> None:
    text = full.generate(CODE, temperature=0, max_new_tokens=40)
    stop = text[10:14]
    assert full.generate(CODE, temperature=0, max_new_tokens=40, stop=stop) == text[: text.index(stop)]
    assert full.last_run["finish_reason"] == "stop"


@model
def test_seed_decides_what_is_sampled(full: Qwen3Inference) -> None:
    def sample(seed: int) -> str:
        return full.generate(CODE, max_new_tokens=12, temperature=2.0, top_k=0, top_p=1.0, min_p=0.0, seed=seed)

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(4)}) > 1


@model
def test_chat_answers_by_the_models_template(full: Qwen3Inference) -> None:
    question = "What is the capital of France? One word."
    answer = full.chat(question, temperature=0, max_new_tokens=16)
    assert "Paris" in answer
    assert "<|im_end|>" not in answer
    assert full.last_run["finish_reason"] == "end_of_text"
    assert full.last_run["prompt_tokens"] > len(full.tokenize(question))
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    assert "Rome" in full.chat([*messages, {"role": "user", "content": "And of Italy?"}], temperature=0)
    assert full.last_run["cached_tokens"] > 0.5 * full.last_run["prompt_tokens"]


@model
def test_tokens_become_the_text_again(full: Qwen3Inference) -> None:
    text = "naïve 数 <|im_end|> 🙂"
    assert full.detokenize(full.tokenize(text)) == text


# ---- session ----


@model
def test_saved_session_spares_reading(full: Qwen3Inference, model_path: Path, tmp_path: Path, long_text: str) -> None:
    text = long_text[:3000].rpartition("\n")[0]  # ends where a token ends, whatever comes after
    path = tmp_path / "session"
    full.reset()
    full.generate(text, temperature=0, max_new_tokens=1)
    read = full.last_run["prompt_tokens"]
    full.save_session(path)
    expected = full.generate(text + "\n# So", **GREEDY)
    assert [file.name for file in tmp_path.iterdir()] == ["session"]
    with Qwen3Inference(model_path, context_length=2048) as other:
        other.load_session(path)
        assert other.generate(text + "\n# So", **GREEDY) == expected
        assert other.last_run["cached_tokens"] == read


@model
def test_session_that_does_not_fit_is_refused_and_changes_nothing(
    full: Qwen3Inference, model_path: Path, tmp_path: Path, long_text: str
) -> None:
    good = tmp_path / "good"
    full.reset()
    full.generate(long_text[:3000], temperature=0, max_new_tokens=1)
    full.save_session(good)
    content = good.read_bytes()
    full.generate(CAPITAL, **GREEDY)

    bad = tmp_path / "bad"
    middle = len(content) // 2
    for damaged in (b"", content[:100], content[:-1], content[:middle] + b"?" + content[middle + 1 :], b"GGUF" * 999):
        bad.write_bytes(damaged)
        with pytest.raises(OSError, match=r"cannot load the session .*bad: (it is no session|the file is damaged)"):
            full.load_session(bad)
    with pytest.raises(OSError, match="there is no such file"):
        full.load_session(tmp_path / "missing")
    with pytest.raises(OSError, match=r"cannot write .*folder: there is no folder .*no; make it"):
        full.save_session(tmp_path / "no" / "folder")
    with pytest.raises(OSError, match="bad exists and is no session: give another name, or delete it"):
        full.save_session(bad)
    assert bad.read_bytes() == b"GGUF" * 999
    full.generate(CAPITAL, **GREEDY)
    assert full.last_run["cached_tokens"] == full.last_run["prompt_tokens"] - 1

    with (
        Qwen3Inference(model_path, context_length=256) as small,
        pytest.raises(OSError, match="more than context_length=256: raise that"),
    ):
        small.load_session(good)
    with (
        Qwen3Inference(model_path, kv_cache_type="q8_0", context_length=2048) as other_type,
        pytest.raises(OSError, match="another kv_cache_type"),
    ):
        other_type.load_session(good)
    copy = tmp_path / "other.gguf"
    shutil.copyfile(model_path, copy)
    with copy.open("r+b") as file:  # the last weights
        file.seek(-8, os.SEEK_END)
        file.write(bytes(8))
    with (
        Qwen3Inference(copy, context_length=2048) as other_model,
        pytest.raises(OSError, match=r"it is of another model than .*other\.gguf"),
    ):
        other_model.load_session(good)


@model
def test_interrupt_leaves_it_usable(full: Qwen3Inference, long_text: str) -> None:
    expected = full.generate(CAPITAL, **GREEDY)
    for call in (
        lambda: full.generate(long_text[:6000], temperature=0),  # while it reads
        lambda: full.generate(CODE, temperature=0, max_new_tokens=1000),  # while it generates
        lambda: full.generate([CODE, CAPITAL], temperature=0, max_new_tokens=1000),
        lambda: full.perplexity(long_text[:6000]),
    ):
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            call()
        assert time.monotonic() - started < 5  # the next node of the graph, on a loaded machine
        timer.join()
        assert full.generate(CAPITAL, **GREEDY) == expected


@model
def test_threads_take_turns_and_python_goes_on(full: Qwen3Inference) -> None:
    expected = {prompt: full.generate(prompt, **GREEDY) for prompt in (CODE, CAPITAL)}
    answers: list[tuple[str, str]] = []
    threads = [
        threading.Thread(target=lambda prompt=prompt: answers.append((prompt, full.generate(prompt, **GREEDY))))
        for prompt in (CODE, CAPITAL) * 2
    ]
    for thread in threads:
        thread.start()
    turns = 0
    while any(thread.is_alive() for thread in threads):
        turns += 1
        time.sleep(0.001)
    assert turns > 10  # Python was not held up until a call had ended
    assert len(answers) == len(threads)
    assert all(answer == expected[prompt] for prompt, answer in answers)


# ---- top-k attention ----


@model
def test_statistics_count_every_key(fresh: Qwen3Inference, full: Qwen3Inference) -> None:
    prompt, new = CODE * 6, 4
    fresh.generate(prompt, temperature=0, max_new_tokens=new)
    full.generate(prompt, temperature=0, max_new_tokens=new)  # another object's attention is not counted
    rows = len(fresh.tokenize(prompt)) + new - 1  # the last token generated is not read
    stats = fresh.get_top_k_attention_stats()
    seen, kept = sum(range(1, rows + 1)), sum(min(K, n) for n in range(1, rows + 1))
    assert stats["rows"] == rows * HEADS * LAYERS
    assert (stats["keys_seen"], stats["keys_kept"]) == (seen * HEADS * LAYERS, kept * HEADS * LAYERS)
    assert stats["total_memory_saved"] == stats["keys_seen"] - stats["keys_kept"]
    assert (stats["calls"], stats["fallback_calls"]) == (new * LAYERS, 0)
    assert stats["avg_memory_saved_per_call"] == stats["total_memory_saved"] / stats["calls"]
    assert 0 < stats["min_mass"] <= stats["mean_mass"] <= 1
    assert [layer["layer"] for layer in stats["layers"]] == list(range(LAYERS))
    assert {layer["keys_kept"] for layer in stats["layers"]} == {kept * HEADS}
    fresh.reset_top_k_attention_stats()
    assert fresh.get_top_k_attention_stats()["calls"] == 0


@model
def test_each_object_has_its_own_budget_which_may_change(
    fresh: Qwen3Inference, full: Qwen3Inference, model_path: Path
) -> None:
    prompt = CODE * 6
    assert fresh.perplexity(prompt) != full.perplexity(prompt)
    fresh.set_top_k_attention("k=100000")
    # The same keys, in another order of summation: last bits of 24 layers.
    assert fresh.perplexity(prompt) == pytest.approx(full.perplexity(prompt), rel=0.02)
    with Qwen3Inference(
        model_path, True, TopKAttentionConfig(k="auto"), context_length=2048, use_flash_attention=True
    ) as automatic:
        automatic.generate(prompt, **GREEDY)
        assert automatic.get_top_k_attention_stats()["settings"].startswith("k=auto,")
    assert "k=100000" in repr(fresh)
    with pytest.raises(ValueError, match="k=0"):
        fresh.set_top_k_attention("k=0")
    assert "k=100000" in repr(fresh)


@model
def test_budget_that_covers_everything_is_an_error_on_request(fresh: Qwen3Inference) -> None:
    fresh.set_top_k_attention(f"fallback=off,k={K}")
    with pytest.raises(RuntimeError, match=r"top-k attention: layer 0: .*fallback"):
        fresh.generate(CODE, **GREEDY)
    fresh.set_top_k_attention("fallback=on")
    assert fresh.generate(CODE, **GREEDY)


@model
def test_perplexity_is_that_of_llama_cpp(
    full: Qwen3Inference, qwen_infer: Path, model_path: Path, long_text: str, long_text_file: Path
) -> None:
    window = 256
    tokens = full.tokenize(long_text[:4000])[:window]

    def log_likelihood(n: int) -> float:
        return -(n - 1) * math.log(full.perplexity(full.detokenize(tokens[:n])))

    # llama.cpp scores what the second half of a window predicts.
    scored = window // 2 - 1
    ours = math.exp((log_likelihood(window - scored) - log_likelihood(window)) / scored)
    command = [
        qwen_infer,
        "perplexity",
        "-m",
        model_path,
        "-f",
        long_text_file,
        "-c",
        window,
        "--chunks",
        1,
        "-fa",
        "on",
    ]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    theirs = re.search(r"\[1\]([\d.]+)", run.stdout + run.stderr)
    assert theirs
    # Batches of another size are added up in another order; 127 tokens of a 4-bit model.
    assert ours == pytest.approx(float(theirs[1]), rel=0.01)
    assert full.perplexity(full.detokenize(tokens), window=64) > 1  # several windows
