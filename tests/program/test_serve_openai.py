"""qwen-infer serve through the official client of OpenAI."""

from __future__ import annotations

import openai
import pytest
from serving import API_KEY, Server

pytestmark = pytest.mark.model

QUESTION = [{"role": "user", "content": "What is 2 + 2? Answer with the number."}]


@pytest.fixture(scope="module")
def client(guarded: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{guarded.port}/v1", api_key=API_KEY, max_retries=0)


def test_lists_the_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["qwen"]


def test_chats(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="qwen", messages=QUESTION, max_tokens=16, temperature=0)
    assert "4" in answer.choices[0].message.content
    assert answer.usage.completion_tokens > 0


def test_streams_the_same_answer(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="qwen", messages=QUESTION, max_tokens=16, temperature=0)
    pieces = client.chat.completions.create(model="qwen", messages=QUESTION, max_tokens=16, temperature=0, stream=True)
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == whole.choices[0].message.content


def test_completes(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="qwen", prompt="1, 2, 3, 4, 5, 6,", max_tokens=4, temperature=0)
    assert "7" in answer.choices[0].text


def test_errors_are_those_that_the_client_knows(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="gpt-4"):
        client.completions.create(model="gpt-4", prompt="x", max_tokens=1)
    with pytest.raises(openai.BadRequestError, match="-1"):
        client.completions.create(model="qwen", prompt="x", max_tokens=1, temperature=-1)
    with pytest.raises(openai.BadRequestError, match="context"):
        client.completions.create(model="qwen", prompt="word " * 3000, max_tokens=1)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
