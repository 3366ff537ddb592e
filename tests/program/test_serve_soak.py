"""Eight clients at once, some of which leave half-way: QWEN_INFER_SOAK_SECONDS (10) says for how long."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from pathlib import Path

import pytest
from serving import Server, end, serve

pytestmark = pytest.mark.model

SECONDS = float(os.environ.get("QWEN_INFER_SOAK_SECONDS", "10"))
CLIENTS = 8
TOKENS = 12
# What a client that leaves has read of its answer.
FEW_BYTES = 400
# Freed memory that the allocator keeps and the prompt cache, whose growth --cache-ram 0 rules out; a leak of one
# request's state (a slot's 512 tokens of K and V: 6 MB) would be above it after some ten requests.
ALLOWED_GROWTH_BYTES = 64 << 20

# Beginnings that leave no doubt how they go on. Requests that are computed together round in another order than alone,
# so a token that is a close call may change.
PROMPTS = [", ".join(str(step * (i + 1)) for i in range(9)) + "," for step in range(1, CLIENTS + 1)]
# The best token's logarithm of probability is above the second's by so much: rounding changes it by a tenth or two.
LEAST_LEAD = 1.0


def resident_bytes(server: Server) -> int:
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def stream(server: Server, prompt: str, leave: bool) -> str | None:
    """The streamed greedy answer, or nothing if the client leaves half-way."""
    body = {"prompt": prompt, "n_predict": 400 if leave else TOKENS, "temperature": 0, "stream": True}
    body["ignore_eos"] = leave
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200
        if leave:
            response.read(FEW_BYTES)
            return None
        events = [line[6:] for line in response.read().decode().splitlines() if line.startswith("data: ")]
        return "".join(json.loads(event)["content"] for event in events)
    finally:
        connection.close()


def lead(server: Server, prompt: str) -> float:
    """The least, over the tokens of the greedy answer, by which the best one leads."""
    body = {"prompt": prompt, "n_predict": TOKENS, "temperature": 0, "n_probs": 2}
    status, _, answer = server.request("POST", "/completion", body)
    assert status == 200
    tops = [token["top_logprobs"] for token in answer["completion_probabilities"]]
    return min(best["logprob"] - second["logprob"] for best, second in tops)


def wait_until_idle(server: Server) -> None:
    deadline = time.monotonic() + 30
    while any(slot["is_processing"] for slot in server.request("GET", "/slots")[2]):
        assert time.monotonic() < deadline, "a slot is stuck"
        time.sleep(0.1)


def run_clients(server: Server, alone: list[str], seconds: float) -> tuple[int, list[str]]:
    """Eight clients in threads; the number of answers and what was wrong."""
    until = time.monotonic() + seconds
    wrong: list[str] = []
    answered = [0] * CLIENTS

    def client(number: int) -> None:
        turn = 0
        while time.monotonic() < until and not wrong:
            turn += 1
            leave = (number + turn) % 3 == 0
            try:
                answer = stream(server, PROMPTS[number], leave)
            except Exception as error:
                wrong.append(f"client {number}: {error!r}")
                return
            if leave:
                continue
            answered[number] += 1
            if answer != alone[number]:
                wrong.append(f"client {number}: {answer!r}, alone: {alone[number]!r}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return min(answered), wrong


def test_eight_streams_at_once_are_answered_as_alone(qwen_infer: Path, model_path: Path) -> None:
    server = serve(
        *(qwen_infer, model_path, "-np", CLIENTS, "-c", 512 * CLIENTS, "--cache-ram", 0),
        *("--use_top_k_attention", "--top_k_attention_k", 64),
    )
    try:
        assert min(lead(server, prompt) for prompt in PROMPTS) > LEAST_LEAD
        alone = [str(stream(server, prompt, leave=False)) for prompt in PROMPTS]
        _, wrong = run_clients(server, alone, SECONDS / 4)  # buffers reach their size
        assert not wrong
        wait_until_idle(server)
        memory, files = resident_bytes(server), open_files(server)
        fewest, wrong = run_clients(server, alone, SECONDS)
        assert not wrong
        assert fewest > 0
        wait_until_idle(server)
        assert open_files(server) <= files + CLIENTS  # connections that are being closed
        assert resident_bytes(server) - memory < ALLOWED_GROWTH_BYTES
        assert [stream(server, prompt, leave=False) for prompt in PROMPTS] == alone
    finally:
        end(server)
