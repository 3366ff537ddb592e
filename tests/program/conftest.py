"""How the program is run in its tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from selenium import webdriver

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for the modules that tests share

from serving import API_KEY, BUDGET, Server, end, serve

# Long enough for a loaded machine, short enough to end a test that hangs.
TIMEOUT_SECONDS = 600

Json = dict[str, Any]


def clean_environment() -> dict[str, str]:
    """The environment without variables that change what llama.cpp does, and without crossovers of the user's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LLAMA_", "GGML_", "TOPK_"))}
    return clean | {"QWEN_INFER_CACHE": os.devnull}


@pytest.fixture
def environment() -> dict[str, str]:
    """That of the program."""
    return clean_environment()


class Run(Protocol):
    def __call__(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="session")
def run_in(qwen_infer: Path) -> Callable[[Path], Run]:
    """Of a folder: what runs qwen-infer to its end from there, without input."""

    def from_folder(folder: Path) -> Run:
        def run_program(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [qwen_infer, *map(str, arguments)],
                env=clean_environment() | environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_SECONDS,
                check=False,
            )

        return run_program

    return from_folder


@pytest.fixture
def run(run_in: Callable[[Path], Run], tmp_path: Path) -> Run:
    """Runs qwen-infer to its end, from a folder of its own and without input."""
    return run_in(tmp_path)


@pytest.fixture
def start(qwen_infer: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts qwen-infer and leaves it running; ends it after the test if it has not ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start_program(*arguments: object, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [qwen_infer, *map(str, arguments)],
            env=clean_environment() | environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start_program
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def report_path(tmp_path: Path) -> Path:
    """Where a test has the report of a run written to."""
    return tmp_path / "report.json"


@pytest.fixture
def read_report(report_path: Path) -> Callable[[], Json]:
    """Reads the report and checks that nothing but it was left behind."""

    def read() -> Json:
        beside = [path.name for path in report_path.parent.iterdir() if path.name.startswith(report_path.name)]
        assert beside == [report_path.name]
        report = json.loads(report_path.read_text(encoding="utf-8"))
        assert isinstance(report, dict)
        return report

    return read


@pytest.fixture(scope="session")
def guarded(qwen_infer: Path, model_path: Path) -> Iterator[Server]:
    """One server with a key, metrics and a name for its model, for all tests that leave it running and as it was."""
    flags = ("--use_top_k_attention", "--top_k_attention_k", BUDGET, "--top_k_attention_sparse")
    more = ("--top_k_attention_mass", "exact", "--api-key", API_KEY, "--metrics", "--alias", "qwen")
    running = serve(qwen_infer, model_path, *flags, *more)
    yield running
    end(running)


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    """Headless Chromium; its log has what pages say and ask for."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("there is no chromium with chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1280,900")
    options.add_argument("--disable-dev-shm-usage")  # small in containers
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's own does not run as root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()
