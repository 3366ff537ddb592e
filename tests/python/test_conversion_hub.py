"""Names on the hub: its local cache, downloads from a hub on this machine, and what is said without a network."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from checkpoints import files_below, make_checkpoint, run_convert

NAME = "Owner/Tiny-Qwen3"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "files")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def offline(home: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without a network."""
    return {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "QWEN_INFER_CACHE": str(tmp_path / "cache")}


def fill_hub_cache(home: Path, checkpoint: Path, without: str = "") -> None:
    """As huggingface_hub lays its cache out: contents, and a snapshot of links to them."""
    repository = home / "hub" / f"models--{NAME.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    for path in checkpoint.iterdir():
        if path.name != without:
            blob = repository / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
            shutil.copy(path, blob)
            (snapshot / path.name).symlink_to(blob)


def test_local_cache_of_the_hub_is_taken_first(checkpoint: Path, home: Path, offline: dict[str, str]) -> None:
    fill_hub_cache(home, checkpoint)
    result = run_convert(NAME, **offline)
    assert result.returncode == 0, result.stderr
    assert "converting Tiny-Qwen3 to BF16" in result.stderr
    assert Path(result.stdout.strip()).is_file()
    again = run_convert(NAME, **offline)
    assert again.stdout == result.stdout
    assert again.stderr == ""


@pytest.mark.parametrize("without", [None, "model.safetensors", "config.json"])
def test_what_was_tried_offline_is_told(
    without: str | None, checkpoint: Path, home: Path, offline: dict[str, str], tmp_path: Path
) -> None:
    if without is not None:
        fill_hub_cache(home, checkpoint, without)
    before = files_below(tmp_path)
    result = run_convert(NAME, **offline)
    assert result.returncode == 1
    assert f"there is no file or folder '{NAME}' here" in result.stderr
    assert f"the hub's local cache, {home / 'hub'}: " in result.stderr
    assert "download from https://huggingface.co: not tried, as HF_HUB_OFFLINE is set" in result.stderr
    assert "copy the model's folder from another machine" in result.stderr
    assert "Traceback" not in result.stderr
    assert files_below(tmp_path) == before


def test_hub_that_cannot_be_reached_is_told(home: Path, offline: dict[str, str]) -> None:
    # Nothing listens on port 1, and the discard of HF_HUB_OFFLINE lets it try.
    result = run_convert(NAME, **{**offline, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:1"})
    assert result.returncode == 1
    assert re.search(r"download from http://127\.0\.0\.1:1: .*refused", result.stderr), result.stderr
    assert "Traceback" not in result.stderr


# ---- a hub on this machine ----


class Hub(BaseHTTPRequestHandler):
    """The three requests that a download takes: commit, list of files, file."""

    folder: Path
    requested: list[str]
    claimed_sizes: dict[str, int]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == f"/api/models/{NAME}/revision/main":
            self._send_json({"id": NAME, "sha": COMMIT, "siblings": []})
        elif path == f"/api/models/{NAME}/tree/{COMMIT}":
            self._send_json([self._entry(file) for file in sorted(self.folder.iterdir())])
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
            self._send_file(self.folder / path.rpartition("/")[2])
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""

    def _entry(self, file: Path) -> dict[str, object]:
        size = self.claimed_sizes.get(file.name, file.stat().st_size)
        return {"type": "file", "path": file.name, "size": size, "oid": _etag(file)}

    def _send_file(self, file: Path) -> None:
        if self.command == "GET":
            self.requested.append(file.name)
        headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT}
        if file.name in self.claimed_sizes:
            headers["X-Linked-Size"] = str(self.claimed_sizes[file.name])
        self._send(200, file.read_bytes(), headers)

    def _send_json(self, content: object) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture
def hub(checkpoint: Path, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """Serves the checkpoint, and files beside it that no one needs."""
    Hub.folder = shutil.copytree(checkpoint, tmp_path / "served")
    Hub.requested = []
    Hub.claimed_sizes = {}
    for name in ("pytorch_model.bin", "consolidated.safetensors", "modeling.py", "model.gguf"):
        (Hub.folder / name).write_bytes(b"not needed")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_download_takes_only_what_is_needed(
    hub: ThreadingHTTPServer, checkpoint: Path, home: Path, offline: dict[str, str]
) -> None:
    online = {**offline, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}"}
    result = run_convert(NAME, **online)
    assert result.returncode == 0, result.stderr
    assert sorted(Hub.requested) == sorted(path.name for path in checkpoint.iterdir())
    assert run_convert(NAME, **offline).stdout == result.stdout  # from now on without the hub


def test_too_little_space_is_told_before_the_download(
    hub: ThreadingHTTPServer, home: Path, offline: dict[str, str]
) -> None:
    Hub.claimed_sizes = {"model.safetensors": 10**15}
    online = {**offline, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}"}
    result = run_convert(NAME, **online)
    assert result.returncode == 1
    assert f"{home / 'hub'} has " in result.stderr
    assert f"downloading {NAME} takes up to 1,000,000.0 GB: make room, or set HF_HOME" in result.stderr
    assert Hub.requested == []
    assert not list(home.rglob("*.safetensors"))


def test_name_that_the_hub_does_not_know(hub: ThreadingHTTPServer, offline: dict[str, str]) -> None:
    online = {**offline, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}"}
    result = run_convert("Owner/No-Such-Model", **online)
    assert result.returncode == 1
    assert "there is no file or folder 'Owner/No-Such-Model' here" in result.stderr
    assert "Check the name" in result.stderr
