"""qwen-infer serve: llama.cpp's server, on this machine only, with the statistics of top-k attention."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import API_KEY, BUDGET, KEY, Server, end, free_port, serve

Json = dict[str, Any]
ReadReport = Callable[[], Json]

pytestmark = pytest.mark.model


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


def test_a_fresh_server_has_seen_nothing(qwen_infer: Path, model_path: Path) -> None:
    fresh = serve(qwen_infer, model_path, "--use_top_k_attention")
    try:
        report = fresh.statistics()
        assert report["total"]["rows"] == 0
        assert report["layers"] == []
        assert report["timings"] is None
    finally:
        end(fresh)


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
    before = server.statistics()
    assert before["total"]["rows"] > 0
    assert before["timings"]["generated_tokens"] > 0
    status, _, body = server.request("POST", "/topk/stats/reset")
    assert (status, body) == (200, {"success": True})
    after = server.statistics()
    assert after["total"]["rows"] == 0
    assert after["layers"] == []
    assert after["timings"] is None
    complete(server, "1 2 3 4 5 6 7 8", n_predict=4)
    # The last token is sampled and not decoded.
    assert server.statistics()["timings"]["generated_tokens"] == 3


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


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]", "[::1]:8080"])
def test_requests_to_local_names_are_answered(server: Server, host: str) -> None:
    assert server.request("GET", "/topk/stats", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    "host", ["example.com", "localhost.example.com:8080", "127.0.0.1.example.com", "[::1", "10.0.0.1"]
)
def test_requests_to_other_names_are_refused(server: Server, host: str) -> None:
    """A page that has its own name resolve to this machine is no foreign origin to its browser."""
    for method, path, body in (("GET", "/topk/stats", None), ("POST", "/completion", {"prompt": "x", "n_predict": 1})):
        status, _, answer = server.request(method, path, body, {"Host": host})
        assert status == 403
        assert host in answer["error"]["message"]


def test_other_names_may_be_allowed(qwen_infer: Path, model_path: Path) -> None:
    open_to_all = serve(qwen_infer, model_path, "--cors-origins", "*")
    try:
        assert open_to_all.request("GET", "/topk/stats", headers={"Host": "example.com"})[0] == 200
    finally:
        end(open_to_all)


def test_bad_requests_are_refused_and_the_server_lives_on(server: Server) -> None:
    status, _, body = server.request("POST", "/v1/chat/completions", {"messages": "none"})
    assert 400 <= status < 500
    assert body["error"]["message"]
    assert server.request("GET", "/no/such/route")[0] == 404
    assert server.request("POST", "/tools", {})[0] == 403
    assert server.request("GET", "/health")[0] == 200


def test_settings_change_with_a_key(guarded: Server) -> None:
    assert guarded.request("POST", "/topk/config", {"k": 1})[0] == 401
    try:
        status, _, body = guarded.request("POST", "/topk/config", {"k": 16, "sinks": 2}, KEY)
        assert status == 200
        assert body["settings"].startswith("k=16,")
        assert guarded.request("GET", "/topk/config", headers=KEY)[2] == body
        guarded.request("POST", "/topk/stats/reset", headers=KEY)
        guarded.request("POST", "/completion", {"prompt": "a b c d e f g h " * 20, "n_predict": 1}, KEY)
        total = guarded.request("GET", "/topk/stats", headers=KEY)[2]["total"]
        assert total["keys_kept"] <= 18 * total["rows"]
        assert total["keys_kept"] < total["keys_seen"]
    finally:
        guarded.request("POST", "/topk/config", {"k": BUDGET, "sinks": 0}, KEY)


def test_settings_do_not_change_without_a_key_on_the_server(server: Server) -> None:
    before = server.statistics()["settings"]
    status, _, body = server.request("POST", "/topk/config", {"k": 1})
    assert status == 403
    assert "--api-key" in body["error"]["message"]
    assert server.statistics()["settings"] == before
    assert server.request("GET", "/topk/config")[2]["settings"] == before


def test_the_model_is_named_after_its_file(server: Server, model_path: Path) -> None:
    _, _, models = server.request("GET", "/v1/models")
    assert [model["id"] for model in models["data"]] == [model_path.name]


def test_metrics_carry_our_figures(guarded: Server) -> None:
    guarded.request("POST", "/completion", {"prompt": "a b c", "n_predict": 2}, KEY)
    status, headers, text = guarded.request("GET", "/metrics", headers=KEY)
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert "llamacpp:prompt_tokens_total" in values
    total = guarded.request("GET", "/topk/stats", headers=KEY)[2]["total"]
    seen = sum(float(value) for name, value in values.items() if name.startswith("topk_keys_seen_total{"))
    assert seen == total["keys_seen"]


def test_the_page_is_there_without_a_key_and_runs_nothing_else(guarded: Server) -> None:
    status, headers, page = guarded.request("GET", "/")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert page.count(f'nonce="{nonce}"') == 2
    assert guarded.request("GET", "/")[1]["content-security-policy"] != policy
    assert guarded.request("GET", "/", headers={"Host": "example.com"})[0] == 403


def test_warns_when_other_machines_may_ask_without_a_key(qwen_infer: Path, tmp_path: Path) -> None:
    for flags, warned in (
        (("--host", "0.0.0.0"), True),  # noqa: S104
        (("--host", "0.0.0.0", "--api-key", API_KEY), False),  # noqa: S104
        (("--host", "127.0.0.2"), False),
    ):
        command = [qwen_infer, "serve", "-m", tmp_path / "none.gguf", "--port", free_port(), *flags]
        ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode != 0  # there is no model
        assert ("without a key" in ended.stderr) == warned


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
        assert server.request("POST", "/completion", {"prompt": "a b c", "n_predict": 4}, KEY)[0] == 200
        assert server.request("GET", "/topk/stats", headers=KEY)[0] == 200
        server.process.send_signal(signal_number)
        assert server.process.wait(timeout=60) == 0
    finally:
        end(server)
    assert read_report()["total"]["rows"] > 0


def http_request(path: str, body: Json, *headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}", *headers, "", "")
    return "\r\n".join(lines).encode() + content


ENDLESS = {"prompt": "1 2 3 4", "n_predict": 100_000, "ignore_eos": True}
UNDER_WAY = {
    "waiting": http_request("/completion", ENDLESS),
    "streaming": http_request("/completion", ENDLESS | {"stream": True}),
    "streaming_to_be_resumed": http_request("/completion", ENDLESS | {"stream": True}, "X-Conversation-Id: a"),
    "half_sent": http_request("/completion", ENDLESS)[:-10],
}


@pytest.mark.parametrize("name", UNDER_WAY)
def test_a_signal_ends_it_with_a_request_under_way(
    qwen_infer: Path, model_path: Path, report_path: Path, read_report: ReadReport, name: str
) -> None:
    server = serve(qwen_infer, model_path, "--use_top_k_attention", "--top_k_attention_stats", report_path)
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(UNDER_WAY[name])
            while name != "half_sent" and server.statistics()["total"]["rows"] == 0:
                time.sleep(0.05)
            server.process.send_signal(signal.SIGTERM)
            # Twice what it takes, for loaded machines; a server that waits for its clients takes for ever.
            assert server.process.wait(timeout=6) == 0
            answer = b"".join(iter(lambda: client.recv(65536), b""))
    finally:
        end(server)
    if name == "waiting":
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"shutting down" in answer
    assert read_report()["subcommand"] == "serve"


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
