"""qwen-infer chat in a terminal and without one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from terminal import CTRL_C, CTRL_D, ENTER, PASTE_BEGINS, PASTE_ENDS, UP, Terminal

Run = Callable[..., subprocess.CompletedProcess[str]]
Chat = Callable[..., Terminal]

USE = "--use_top_k_attention"
GREEDY = ("--temp", 0)
ENDLESS = "Repeat the word banana 500 times, separated by blanks."
CAPITAL = "What is the capital of France? One word."
model = pytest.mark.model


@pytest.fixture
def chat(qwen_infer: Path, model_path: Path, tmp_path: Path, environment: dict[str, str]) -> Chat:
    """Starts a chat in a terminal; the model and the folder are those of the test."""

    def start(*flags: object, model: Path = model_path) -> Terminal:
        command = [qwen_infer, "chat", "-m", model, *GREEDY, "-c", 2048, *flags]
        return Terminal(command, environment, tmp_path)

    return start


def messages_in(path: Path) -> list[tuple[str, str]]:
    """Those of a saved chat."""
    content = path.read_bytes()
    note, _ = json.JSONDecoder().raw_decode(content[content.rindex(b'{"messages"') :].decode(errors="replace"))
    return [(message["role"], message["content"]) for message in note["messages"]]


@model
def test_a_conversation_in_a_terminal(chat: Chat) -> None:
    with chat(USE, "-sys", "You are brief.", "--top_k_attention_sparse") as terminal:
        terminal.wait_for("/help lists the commands")
        terminal.wait_for("> ")
        terminal.say(CAPITAL)
        terminal.wait_for("Paris")
        terminal.wait_for("> ")
        terminal.say("And that of Italy? One word.")
        terminal.wait_for("Rome")
        terminal.wait_for("> ")
        terminal.say("/k 17")
        terminal.wait_for("k=17")
        terminal.say("/attention sinks=4,k@0-1=99")
        shown = terminal.wait_for("k@0-1=99")
        assert "sinks=4," in shown
        terminal.say("Which of the two is larger?")
        terminal.wait_for("> ")
        terminal.say("/stats")
        terminal.wait_for("tokens, 7 messages")
        terminal.wait_for("last answer: ")
        terminal.wait_for(" keys kept (")
        terminal.wait_for(" scores saved; ")
        terminal.say("/reset")
        terminal.say("/stats")
        terminal.wait_for("context: 0 of 2,048 tokens, 1 message")
        terminal.say("/exit")
        assert terminal.end() == 0


@model
def test_mistakes_in_commands_change_nothing(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("word " * 3000, encoding="utf-8")
    with chat(USE) as terminal:
        for line, error in (
            ("/k 0", "error: top-k attention: "),
            ("/k many", "error: top-k attention: "),
            ("/attention colour=red", "colour"),
            ("/set temp hot", "error: --temp: 'hot' is not a number from 0 to 100"),
            ("/set", "temp 0\r\ntop_k 40\r\n"),
            ("/stat", "did you mean /stats?"),
            ("/save", "a name is missing: /save FILE"),
            ("/save no/such/folder/chat", "error: cannot save the session: "),
            ("/load missing", "error: cannot load the session missing: there is no such file"),
            ("/read missing", "error: cannot read missing: No such file or directory"),
            ("/read long.txt", "of the context of 2,048 there are 2,048 left, so it was not read"),
            ("/regen", "error: there is no message yet"),
            ("caf\udce9?", "error: the message is not UTF-8, its byte 3 begins no character"),
        ):
            terminal.wait_for("> ")
            terminal.say(line)
            terminal.wait_for(error)
        terminal.say("/k")
        terminal.wait_for("k=256\r\n")
        terminal.wait_for("> ")  # before that, the terminal itself would take Ctrl-D
        terminal.type(CTRL_D)
        assert terminal.end() == 0
    with chat() as terminal:
        terminal.say("/k 3")
        terminal.wait_for("error: attention is full here: top-k attention needs --use_top_k_attention")
        terminal.say("/exit")
        assert terminal.end() == 0


@model
def test_ctrl_c_ends_an_answer_and_not_the_chat(chat: Chat, long_text: str, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(long_text[:30_000], encoding="utf-8")
    with chat(USE, "-c", 16384) as terminal:
        terminal.wait_for("> ")
        terminal.say("My name is Zebulon. " + ENDLESS)
        terminal.wait_for("banana banana banana")
        terminal.type(CTRL_C)
        terminal.wait_for("(interrupted)")
        terminal.wait_for("> ")
        terminal.say("/read long.txt")
        terminal.wait_for("tokens go in front of the next message")
        terminal.wait_for("> ")
        terminal.say("What is this?")
        terminal.wait_for("reading: ")
        terminal.type(CTRL_C)
        terminal.wait_for("(interrupted before the answer began: the message and its files are dropped)")
        terminal.wait_for("> ")
        terminal.say("What is my name?")
        terminal.wait_for("Zebulon")
        terminal.wait_for("> ")
        terminal.type("a message that is thrown away")
        terminal.wait_for("thrown away")
        terminal.type(CTRL_C)
        terminal.wait_for("> ")
        terminal.say("/stats")
        terminal.wait_for(" tokens, 4 messages")
        terminal.wait_for("> ")
        terminal.type(CTRL_C)
        terminal.wait_for("(Ctrl-C again, Ctrl-D or /exit ends the chat)")
        terminal.wait_for("> ")
        terminal.type(CTRL_C)
        assert terminal.end() == 130


@model
def test_works_without_line_editing(chat: Chat) -> None:
    with chat("--simple-io") as terminal:
        terminal.wait_for("> ")
        terminal.say(CAPITAL)
        terminal.wait_for("Paris")
        terminal.wait_for("> ")
        terminal.type(CTRL_C)
        terminal.wait_for("(Ctrl-C again, Ctrl-D or /exit ends the chat)")
        terminal.wait_for("> ")
        terminal.say("/stats")
        terminal.wait_for("attention is full")
        terminal.wait_for("> ")
        terminal.type(CTRL_D)
        assert terminal.end() == 0


@model
def test_a_saved_chat_goes_on_in_another_process(chat: Chat, model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("precious\n", encoding="utf-8")
    with chat(USE) as terminal:
        terminal.say("My name is Zebulon.")
        terminal.wait_for("Zebulon!")
        terminal.wait_for("> ")
        terminal.say("/k 77")
        terminal.wait_for("k=77")
        terminal.say("/save notes.txt")
        terminal.wait_for("notes.txt exists and is no session")
        terminal.say("/save chat.session")
        terminal.wait_for("saved 2 messages, ")
        terminal.say("/save chat.session")  # its own files it does replace
        terminal.wait_for("saved 2 messages, ")
        terminal.say("/quit")
        assert terminal.end() == 0
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "precious\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chat.session", "notes.txt"]
    with chat(USE) as terminal:
        terminal.say("/attention k@3=9")
        terminal.wait_for("k@3=9")
        terminal.say("/load chat.session")
        terminal.wait_for("loaded 2 messages, ")
        terminal.wait_for("attention goes back to what it was then: k=77,no k@3=9\r\n")
        terminal.say("/k")
        terminal.wait_for("k=77\r\n")
        terminal.say("What is my name?")
        terminal.wait_for("Zebulon")
        terminal.wait_for("> ")
        terminal.say("/stats")
        cached = terminal.wait_for(" more were in the cache").rpartition(" ")[2]
        assert int(cached) > 20
        terminal.say("/exit")
        assert terminal.end() == 0

    other_model = tmp_path / "other.gguf"
    shutil.copyfile(model_path, other_model)
    with other_model.open("r+b") as file:  # the last weights
        file.seek(-8, os.SEEK_END)
        file.write(bytes(8))
    with chat(model=other_model) as terminal:
        terminal.say(CAPITAL)
        terminal.wait_for("Paris")
        terminal.wait_for("> ")
        terminal.say("/load chat.session")
        terminal.wait_for("error: cannot load the session chat.session: it is of another model than")
        terminal.say("And that of Italy? One word.")
        terminal.wait_for("Rome")
        terminal.wait_for("> ")
        terminal.say("/exit")
        assert terminal.end() == 0


@model
def test_messages_of_several_lines(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "read.txt").write_text("some text", encoding="utf-8")
    pasted = "/* naïve 数\n */ end"
    with chat("-n", 1) as terminal:
        for message in (('"""', "/one", "", 'two\\ """'), ("a\\", "b")):
            terminal.wait_for("> ")
            for line in message:
                terminal.say(line)
            terminal.wait_for("(ended by --predict)")
        terminal.wait_for("> ")
        terminal.type(PASTE_BEGINS + pasted.replace("\n", "\r") + PASTE_ENDS)
        terminal.wait_for("*/ end")
        terminal.type(ENTER)
        terminal.wait_for("(ended by --predict)")
        terminal.wait_for("> ")
        terminal.type(UP + UP + ENTER)  # the line before what was pasted
        terminal.wait_for("(ended by --predict)")
        terminal.say("/read read.txt")
        terminal.wait_for("tokens go in front of the next message")
        terminal.say("question")
        terminal.say("/save chat")
        terminal.wait_for("saved ")
        terminal.say("/exit")
        assert terminal.end() == 0
    said = [text for role, text in messages_in(tmp_path / "chat") if role == "user"]
    assert said == ["/one\n\ntwo\\ ", "a\nb", pasted, "b", "--- File: read.txt ---\nsome text\nquestion"]


@model
def test_a_full_context_leaves_the_chat_usable(chat: Chat) -> None:
    with chat("-c", 256, USE) as terminal:
        terminal.wait_for("> ")
        terminal.say("word " * 300)
        terminal.wait_for("error: the messages have ")
        terminal.wait_for("/reset starts a new conversation, -c at the start of the program gives more room")
        terminal.say(ENDLESS)
        terminal.wait_for("(the context of 256 tokens is full: /reset starts a new conversation")
        terminal.say("Go on.")
        terminal.wait_for("error: the messages have ")
        terminal.say("/reset")
        terminal.say(CAPITAL)
        terminal.wait_for("Paris")
        terminal.wait_for("> ")
        terminal.say("/exit")
        assert terminal.end() == 0


@model
def test_a_first_message_begins_the_chat_and_a_single_turn_ends_it(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "question.txt").write_text(CAPITAL, encoding="utf-8")
    with chat("-f", "question.txt", "-p", "Answer in English.") as terminal:
        terminal.wait_for("Paris")
        terminal.wait_for("> ")
        terminal.say("/regen")
        terminal.wait_for("Paris")
        terminal.wait_for("> ")
        terminal.say("/stats")
        terminal.wait_for(" tokens, 2 messages")
        terminal.say("/exit")
        assert terminal.end() == 0
    with chat("-p", CAPITAL, "-st") as terminal:
        terminal.wait_for("Paris")
        assert terminal.end() == 0


@model
def test_a_signal_that_ends_it_leaves_its_report(chat: Chat, tmp_path: Path) -> None:
    with chat(USE, "--top_k_attention_stats", "report.json") as terminal:
        terminal.wait_for("> ")
        terminal.say(ENDLESS)
        terminal.wait_for("banana banana banana banana banana")
        terminal.send(signal.SIGTERM)
        assert terminal.end() == -signal.SIGTERM
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["subcommand"] == "chat"
    assert report["timings"]["generated_tokens"] >= 5
    assert report["total"]["rows"] > 0


@model
def test_standard_input_is_one_message(
    qwen_infer: Path,
    model_path: Path,
    environment: dict[str, str],
    report_path: Path,
    read_report: Callable[[], dict[str, Any]],
) -> None:
    command = [qwen_infer, "chat", "-m", model_path, *GREEDY, USE, "--top_k_attention_stats", report_path]
    run = subprocess.run(
        list(map(str, command)),
        env=environment,
        input=f"/no command\n{CAPITAL}\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() in ("Paris", "Paris.")
    assert "keys kept" in run.stderr
    report = read_report()
    assert report["attention"] == "top_k"
    assert report["settings"].startswith("k=256,")
    assert report["timings"]["prompt_tokens"] > 20
