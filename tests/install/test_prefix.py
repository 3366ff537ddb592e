"""What `cmake --install` puts into a prefix: used from outside of the checkout, after the prefix has been moved."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from elf import unmet_needs
from installation import CMAKE, install, mentions

CONSUMER = Path(__file__).resolve().parent / "consumer"
# Debian packages that the program needs besides the prefix.
FROM_SYSTEM = {"libhwy.so.1", "libgomp.so.1", "libedit.so.2"}


@pytest.fixture(scope="module")
def prefix(bin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installed for /opt/qwen-infer, staged as a builder of packages would do, and then moved elsewhere."""
    folder = tmp_path_factory.mktemp("prefix")
    install(bin_dir.parent, "--prefix", "/opt/qwen-infer", destdir=folder / "stage")
    staged = folder / "stage" / "opt" / "qwen-infer"
    assert [path for path in (folder / "stage").rglob("*") if path.is_file() and not path.is_relative_to(staged)] == []
    return staged.rename(folder / "moved")


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    """The standard output of a command that must succeed, run in a folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GGML_", "TOPK_", "PKG_"))}
    done = subprocess.run(
        command, cwd=folder, env=clean | variables, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- the prefix as a whole


def test_nothing_is_looked_up_outside_of_the_prefix(prefix: Path) -> None:
    assert unmet_needs(prefix, FROM_SYSTEM) == []


def test_no_file_names_folders_of_the_machine_that_built_it(prefix: Path, foreign_paths: list[Path]) -> None:
    assert mentions(prefix, foreign_paths) == []


def test_python_packages_are_left_to_pip(prefix: Path) -> None:
    assert {path.name for path in prefix.iterdir()} == {"bin", "include", "lib", "share"}


def test_a_component_can_be_installed_alone(bin_dir: Path, tmp_path: Path) -> None:
    install(bin_dir.parent, "--component", "devel", "--prefix", tmp_path)
    assert (tmp_path / "lib" / "libtopk.a").exists()
    assert not (tmp_path / "bin").exists()


# --- program and plugin


def test_the_program_runs(prefix: Path, tmp_path: Path) -> None:
    program = prefix / "bin" / "qwen-infer"
    assert run(program, "--version", folder=tmp_path).startswith("qwen-infer 0.")
    assert "bench-attention" in run(program, "--help", folder=tmp_path)


def test_the_program_finds_the_cpu_modules_of_the_prefix(prefix: Path, tmp_path: Path) -> None:
    # Computes attention by ggml's CPU module and by ours, and compares.
    shape = ("--shapes", "2:1:64", "--keys", "64", "--queries", "32")
    short = ("--seconds", "0.001", "--repeat", "1")
    report = run(prefix / "bin" / "qwen-infer", "bench-attention", *shape, *short, folder=tmp_path)
    assert "| 32 | 2/1 | 64 | 64 | f16 |" in report


def test_stock_llama_cpp_loads_the_plugin(prefix: Path, bin_dir: Path, tmp_path: Path) -> None:
    plugin = prefix / "lib" / "qwen-infer" / "libggml-topk.so"
    devices = run(bin_dir / "llama-bench", "--list-devices", folder=tmp_path, GGML_BACKEND_PATH=str(plugin))
    assert "TOPK: exact top-k attention" in devices


# --- libraries


@pytest.fixture(scope="module")
def cmake_consumers(prefix: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with programs of a project that found the prefix with find_package."""
    folder = tmp_path_factory.mktemp("consumer")
    settings = (f"-DCMAKE_PREFIX_PATH={prefix}", f"-DEXAMPLES={repository / 'examples'}")
    run(CMAKE, "-S", CONSUMER, "-B", folder, *settings, folder=folder)
    run(CMAKE, "--build", folder, "--parallel", "2", folder=folder)
    return folder


def test_cmake_consumers_compute_attention(cmake_consumers: Path) -> None:
    check_consumers(cmake_consumers)


def test_the_engine_says_which_model_is_missing(cmake_consumers: Path, tmp_path: Path) -> None:
    command = [cmake_consumers / "generate_text", "nothing.gguf", "Once upon a time"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "nothing.gguf" in done.stderr


@pytest.mark.model
def test_cmake_consumers_generate_text(cmake_consumers: Path, model_path: Path, tmp_path: Path) -> None:
    text = run(cmake_consumers / "generate_text", model_path, "def fibonacci(n):", folder=tmp_path)
    assert "return" in text
    assert "keys kept" in text


def test_pkg_config_consumers_compute_attention(prefix: Path, repository: Path, tmp_path: Path) -> None:
    def flags(package: str) -> list[str]:
        path = str(prefix / "lib" / "pkgconfig")
        return run("pkg-config", "--cflags", "--libs", package, folder=tmp_path, PKG_CONFIG_PATH=path).split()

    example = repository / "examples" / "attention_layer.cc"
    cpp = ("g++", "-std=c++20")
    run(*cpp, CONSUMER / "attention.cc", *flags("topk"), "-o", "attention_cc", folder=tmp_path)
    run("gcc", CONSUMER / "attention.c", *flags("topk"), "-o", "attention_c", folder=tmp_path)
    run(*cpp, example, *flags("topk-layer"), "-o", "attention_layer", folder=tmp_path)
    check_consumers(tmp_path)


def check_consumers(folder: Path) -> None:
    """The programs print what was worked out by hand: see attention.cc; a causal row i keeps min(i + 1, 32) keys."""
    assert run(folder / "attention_cc", folder=folder) == "4.0000\n"
    assert run(folder / "attention_c", folder=folder) == "4.0000\n"
    kept = 8 * (32 * 33 // 2 + 968 * 32)
    assert f"{kept} weights kept" in run(folder / "attention_layer", folder=folder)


@pytest.mark.parametrize(
    ("languages", "request_", "layer", "reason"),
    [
        ("CXX", "9.0", True, "version: 0."),
        ("CXX", "COMPONENTS gpu", True, "topk has no component gpu; it has: layer engine"),
        ("CXX", "COMPONENTS layer", False, "build it with -DQWEN_INFER_BUILD_LAYER=ON"),
        ("C", "", True, "enable that language, project(consumer LANGUAGES C CXX)"),
    ],
)
def test_find_package_says_what_is_wrong(
    prefix: Path, tmp_path: Path, languages: str, request_: str, layer: bool, reason: str
) -> None:
    package = tmp_path / "lib" / "cmake" / "topk"
    shutil.copytree(prefix / "lib" / "cmake" / "topk", package)
    if not layer:
        (package / "topk-layer-targets.cmake").unlink()
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.18)\nproject(consumer LANGUAGES {languages})\n"
        f"find_package(topk {request_} REQUIRED)\n",
        encoding="utf-8",
    )
    command = [CMAKE, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert reason in " ".join(done.stderr.split())
