"""A miniature checkout and a miniature package index, so that the set-up scripts run for real but without a network."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# A source distribution has to name a build backend, because pip asks it for the metadata.
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = """
import os
def prepare_metadata_for_build_wheel(directory, config_settings=None):
    folder = os.path.join(directory, "llama_cpp_python-1.0.dist-info")
    os.mkdir(folder)
    with open(os.path.join(folder, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: llama-cpp-python\\nVersion: 1.0\\n")
    return os.path.basename(folder)
"""
LLAMA_FILES = ("CMakeLists.txt", "ggml/include/ggml.h", "tools/completion/completion.cpp", ".git")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Checkout:
    """A copy of scripts/ with pins of its own, and the environment in which to run them."""

    root: Path
    cache: Path
    index: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, script: str, *arguments: str) -> list[str]:
        return ["bash", str(self.root / "scripts" / script), *arguments]

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(script, *arguments),
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def run_and_kill(self, script: str, seconds: float, signal_number: int = signal.SIGKILL) -> int:
        """Starts a script, signals it and all that it started after a while; its exit code, negative if killed."""
        process = subprocess.Popen(
            self.command(script),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal_number)
            return process.wait(timeout=60)

    def wheel(self, name: str, members: dict[str, bytes]) -> str:
        """Puts a wheel into the index; the line of a requirement file that pins it."""
        distribution = name.replace("-", "_")
        info = f"{distribution}-1.0.dist-info"
        path = self.index / f"{distribution}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in [*members, f"{info}/RECORD"]))
        return f"{name}==1.0 --hash=sha256:{sha256(path.read_bytes())}\n"

    def llama_cpp(self) -> str:
        """Puts a source distribution with vendor/llama.cpp into the index; the line that pins it."""
        files = {"pyproject.toml": PYPROJECT, "backend.py": BACKEND, "PKG-INFO": "Name: llama-cpp-python\n"}
        files.update({f"vendor/llama.cpp/{name}": f"{name}\n" for name in LLAMA_FILES})
        files.update({f"vendor/llama.cpp/src/{number}.cpp": "// source\n" * 2000 for number in range(300)})
        path = self.index / "llama_cpp_python-1.0.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(f"llama_cpp_python-1.0/{name}")
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))
        return f"llama-cpp-python==1.0 --hash=sha256:{sha256(path.read_bytes())}\n"

    def pin(self, name: str, text: str) -> None:
        (self.root / "scripts" / "requirements" / name).write_text(text, encoding="utf-8")

    def fake_program(self, name: str, text: str) -> None:
        """Puts a program before all others on the PATH."""
        folder = self.root / "fake_programs"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
        self.environment["PATH"] = f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Checkout:
    """A fresh miniature checkout. pip reaches nothing but its index folder."""
    root, index = tmp_path / "checkout", tmp_path / "index"
    shutil.copytree(repository / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "CMakePresets.json", root)
    index.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "QWEN_INFER_"))}
    environment.update(
        PIP_CONFIG_FILE=os.devnull,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(index),
        QWEN_INFER_CACHE=str(tmp_path / "cache"),
    )
    return Checkout(root, tmp_path / "cache", index, environment)


@pytest.fixture
def checkout_with_venv(checkout: Checkout) -> Checkout:
    """The same with this test run's own environment as .venv."""
    (checkout.root / ".venv").symlink_to(sys.prefix)
    return checkout
