"""Fixtures of the end-to-end tests: what ./test.sh has built and fetched. By hand: ./test.sh --only pytest."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))  # tests import scripts, whose folder is no package
# Shells start background jobs with SIGINT ignored, and children would inherit that: the tests could interrupt none.
signal.signal(signal.SIGINT, signal.default_int_handler)


def built(path: Path) -> Path:
    """The path, if a build has left something there; a missing program is a failure and not a reason to skip."""
    if not path.exists():
        pytest.fail(f"{path} is missing: build it with ./test.sh --only build", pytrace=False)
    return path


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def bin_dir() -> Path:
    """The folder with our program, the plugin and llama.cpp's unmodified programs; QWEN_INFER_BUILD_DIR changes it."""
    return built(Path(os.environ.get("QWEN_INFER_BUILD_DIR", REPOSITORY / "build")) / "bin")


@pytest.fixture(scope="session")
def qwen_infer(bin_dir: Path) -> Path:
    """Our program."""
    return built(bin_dir / "qwen-infer")


@pytest.fixture(scope="session")
def plugin(bin_dir: Path) -> Path:
    """The plugin that unmodified llama.cpp programs load with GGML_BACKEND_PATH."""
    return built(bin_dir / "libggml-topk.so")


@pytest.fixture(scope="session")
def model_path() -> Path:
    """Qwen2.5-Coder-0.5B-Instruct or the file named by QWEN_INFER_MODEL; fetched if it is not there yet."""
    fetched = subprocess.run(
        [REPOSITORY / "scripts" / "fetch_model.sh"], stdout=subprocess.PIPE, text=True, check=False
    )
    if fetched.returncode != 0:
        pytest.fail("the model could not be fetched, see above", pytrace=False)
    return Path(fetched.stdout.strip())


@pytest.fixture(scope="session")
def source_file(bin_dir: Path) -> Path:
    """A Python file of llama.cpp's, which is pinned: the same text, so nearly the same figures, on every machine."""
    cache = (bin_dir.parent / "CMakeCache.txt").read_text(encoding="utf-8")
    source = re.search(r"^QWEN_INFER_LLAMA_CPP:PATH=(.+)$", cache, re.MULTILINE)
    assert source
    return Path(source[1]) / "gguf-py" / "gguf" / "gguf_writer.py"


@pytest.fixture(scope="session")
def long_text(source_file: Path) -> str:
    """Source code, at least 16,384 tokens."""
    parts = (source_file, source_file.with_name("gguf_reader.py"))
    return "".join(path.read_text(encoding="utf-8") for path in parts)


@pytest.fixture(scope="session")
def long_text_file(long_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`long_text` in a file, for programs that take -f FILE."""
    path = tmp_path_factory.mktemp("text") / "source.txt"
    path.write_text(long_text, encoding="utf-8")
    return path
