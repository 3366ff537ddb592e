"""A running `qwen-infer serve` and how tests talk to it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]

START_SECONDS = 120
BUDGET = 64
API_KEY = "a key of the test"
KEY = {"Authorization": f"Bearer {API_KEY}"}


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

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Sends a body as it is; status and the JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"} | (headers or {}))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
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


def serve(qwen_infer: Path, model_path: Path, *flags: object, port: int | None = None) -> Server:
    port = port or free_port()
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
