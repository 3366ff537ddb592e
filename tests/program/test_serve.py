"""qwen-infer serve: llama.cpp's server, on this machine only, with the statistics of top-k attention."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]
ReadReport = Callable[[], Json]

pytestmark = pytest.mark.model

START_SECONDS = 120
API_KEY = "a key of the test"
BUDGET = 64


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running server and how to talk to it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers (names in lower case) and the body, parsed if it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"} | (headers or {}))
            response = connection.getresponse()
            content = response.read().decode()
            names = {name.lower(): value for name, value in response.getheaders()}
            is_json = names.get("content-type", "").startswith("application/json")
            return response.status, names, json.loads(content) if is_json and content else content
        finally:
            connection.close()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended with exit code {self.process.returncode}"
            try:
                if self.request("GET", "/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        pytest.fail("the server is not ready")

    def statistics(self) -> Json:
        status, _, body = self.request("GET", "/topk/stats")
        assert status == 200
        return body


def serve(qwen_infer: Path, model_path: Path, *flags: object) -> Server:
    port = free_port()
    command = [qwen_infer, "serve", "-m", model_path, "--port", port, "-c", 2048, "-np", 2, *flags]
    process = subprocess.Popen(
        list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = Server(process, port)
    try:
        server.wait_until_ready()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return server


def end(server: Server) -> None:
    if server.process.poll() is None:
        server.process.kill()
    server.process.wait()


@pytest.fixture(scope="module")
def server(qwen_infer: Path, model_path: Path) -> Iterator[Server]:
    """One server for the tests that leave it running."""
    flags = ("--use_top_k_attention", "--top_k_attention_k", BUDGET, "--top_k_attention_sparse")
    running = serve(qwen_infer, model_path, *flags)
    yield running
    end(running)


def complete(server: Server, prompt: str, n_predict: int = 8) -> Json:
    status, _, body = server.request(
        "POST", "/completion", {"prompt": prompt, "n_predict": n_predict, "temperature": 0}
    )
    assert status == 200, body
    return body


def test_completes(server: Server) -> None:
    body = complete(server, "1, 2, 3, 4, 5, 6,")
    assert "7" in body["content"]


def test_chats_in_the_openai_protocol(server: Server) -> None:
    messages = [{"role": "user", "content": "What is 2 + 2? Answer with the number."}]
    status, _, body = server.request(
        "POST", "/v1/chat/completions", {"messages": messages, "max_tokens": 16, "temperature": 0}
    )
    assert status == 200
    assert "4" in body["choices"][0]["message"]["content"]
    assert body["usage"]["completion_tokens"] > 0


def test_streams(server: Server) -> None:
    body = {"prompt": "a b c", "max_tokens": 4, "stream": True}
    status, headers, text = server.request("POST", "/v1/completions", body)
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert json.loads(events[0])["choices"]


def test_statistics_grow_with_every_request(server: Server, long_text: str) -> None:
    before = server.statistics()
    assert before["attention"] == "top_k"
    assert f"k={BUDGET}," in before["settings"]
    complete(server, long_text[:2000])
    after = server.statistics()
    for name in ("rows", "keys_seen", "keys_kept", "operations_saved", "seconds"):
        assert after["total"][name] > before["total"][name]
        assert after["total"][name] == pytest.approx(sum(layer[name] for layer in after["layers"]))
    assert after["timings"]["prompt_tokens"] > before["timings"]["prompt_tokens"]


def test_statistics_can_be_reset(server: Server) -> None:
    complete(server, "some tokens")
    assert server.statistics()["total"]["rows"] > 0
    status, _, body = server.request("POST", "/topk/stats/reset")
    assert (status, body) == (200, {"success": True})
    assert server.statistics()["total"]["rows"] == 0
    assert server.statistics()["layers"] == []


def test_listens_on_loopback_only(server: Server) -> None:
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, port = local.split(":")
            if int(port, 16) == server.port and state == "0A":
                listening.append(address)
    assert listening == ["0100007F"]


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080"])
def test_local_pages_may_ask(server: Server, origin: str) -> None:
    status, headers, _ = server.request("GET", "/topk/stats", headers={"Origin": origin})
    assert status == 200
    if "[" not in origin:  # llama.cpp's own middleware does not read IPv6 origins in every version
        assert headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin",
    ["http://example.com", "https://localhost.example.com", "http://127.0.0.1.example.com", "null", "file://"],
)
def test_pages_of_other_machines_may_not(server: Server, origin: str) -> None:
    rows = server.statistics()["total"]["rows"]
    for method, path, body in (
        ("GET", "/topk/stats", None),
        ("GET", "/props", None),
        ("POST", "/completion", {"prompt": "x", "n_predict": 1}),
    ):
        status, headers, answer = server.request(method, path, body, {"Origin": origin})
        assert status == 403
        assert "access-control-allow-origin" not in headers
        assert "origin" in answer["error"]["message"]
    assert server.statistics()["total"]["rows"] == rows
    _, headers, _ = server.request("OPTIONS", "/completion", headers={"Origin": origin})
    assert "access-control-allow-origin" not in headers


def test_bad_requests_are_refused_and_the_server_lives_on(server: Server) -> None:
    status, _, body = server.request("POST", "/v1/chat/completions", {"messages": "none"})
    assert 400 <= status < 500
    assert body["error"]["message"]
    assert server.request("GET", "/no/such/route")[0] == 404
    assert server.request("POST", "/tools", {})[0] == 403
    assert server.request("GET", "/health")[0] == 200


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly_on_a_signal(
    qwen_infer: Path, model_path: Path, report_path: Path, read_report: ReadReport, signal_number: signal.Signals
) -> None:
    server = serve(
        *(qwen_infer, model_path, "--use_top_k_attention", "--top_k_attention_stats", report_path),
        *("--api-key", API_KEY),
    )
    try:
        # Without the key nothing but /health answers.
        assert server.request("GET", "/topk/stats")[0] == 401
        assert server.request("POST", "/completion", {"prompt": "x"})[0] == 401
        key = {"Authorization": f"Bearer {API_KEY}"}
        assert server.request("POST", "/completion", {"prompt": "a b c", "n_predict": 4}, key)[0] == 200
        assert server.request("GET", "/topk/stats", headers=key)[0] == 200
        server.process.send_signal(signal_number)
        assert server.process.wait(timeout=60) == 0
    finally:
        end(server)
    assert read_report()["total"]["rows"] > 0


def test_without_our_flags_the_statistics_are_those_of_full_attention(qwen_infer: Path, model_path: Path) -> None:
    server = serve(qwen_infer, model_path)
    try:
        complete(server, "a b c d")
        report = server.statistics()
        assert report["attention"] == "full"
        assert "total" not in report
        assert report["timings"]["generated_tokens"] > 0
    finally:
        end(server)
