"""System packages, the Python environment, configuring and building."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Checkout

NO_COMPILER = "exit 1"  # a g++ that has no version and compiles nothing


def test_nothing_to_install_says_nothing(checkout: Checkout) -> None:
    checkout.fake_program("apt-get", "echo apt-get was called; exit 1")
    run = checkout.run("install_packages.sh", "build")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_without_root_the_one_line_to_run_is_printed(checkout: Checkout) -> None:
    checkout.fake_program("g++", NO_COMPILER)
    checkout.fake_program("id", "echo 1000")
    checkout.fake_program("sudo", "exit 1")
    checkout.fake_program("apt-get", "echo apt-get was called; exit 1")
    run = checkout.run("install_packages.sh", "build")
    assert run.returncode == 3
    assert "    sudo apt-get update && sudo apt-get install -y --no-install-recommends g++ libhwy-dev\n" in run.stderr
    assert "apt-get was called" not in run.stderr + run.stdout


def test_with_root_only_what_is_missing_is_installed(checkout: Checkout) -> None:
    done = checkout.root / "installed"
    # Lacks Highway's header until apt-get has run.
    checkout.fake_program(
        "g++", f'if [[ "$1" == -dumpversion ]]; then echo 12; else [[ -f {done} ]] || ! grep -q hwy; fi'
    )
    checkout.fake_program("id", "echo 0")
    checkout.fake_program("dpkg", "exit 0")
    checkout.fake_program("apt-get", f'echo "$@" >>{checkout.root}/calls; touch {done}')
    run = checkout.run("install_packages.sh", "build")
    assert run.returncode == 0, run.stderr
    update, install = (checkout.root / "calls").read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(" install --no-install-recommends libhwy-dev")


def test_installation_that_changed_nothing_is_an_error(checkout: Checkout) -> None:
    checkout.fake_program("g++", NO_COMPILER)
    checkout.fake_program("id", "echo 0")
    checkout.fake_program("dpkg", "exit 0")
    checkout.fake_program("apt-get", "exit 0")
    run = checkout.run("install_packages.sh", "build")
    assert run.returncode == 1
    assert "these still cannot be used: g++ libhwy-dev" in run.stderr


def pin_tools(checkout: Checkout) -> None:
    """One tiny tool instead of CMake and Ninja."""
    line = checkout.wheel("tiny-tool", {"tiny_tool.py": b"VERSION = 1\n"})
    checkout.pin("build.txt", line.split(" --hash")[0] + "\n")


def imports_tool(checkout: Checkout) -> bool:
    python = checkout.root / ".venv" / "bin" / "python"
    return subprocess.run([python, "-c", "import tiny_tool"], capture_output=True, check=False).returncode == 0


def base_interpreter() -> str:
    """The interpreter that this environment was made with."""
    return os.path.realpath(sys.executable)


def test_environment_is_made_once(checkout: Checkout) -> None:
    pin_tools(checkout)
    checkout.environment["PYTHON"] = base_interpreter()
    run = checkout.run("make_venv.sh")
    assert run.returncode == 0, run.stderr
    assert imports_tool(checkout)
    again = checkout.run("make_venv.sh", PIP_FIND_LINKS="/nowhere")
    assert (again.returncode, again.stderr) == (0, "")


def test_changed_pins_are_installed(checkout: Checkout) -> None:
    pin_tools(checkout)
    checkout.environment["PYTHON"] = base_interpreter()
    assert checkout.run("make_venv.sh").returncode == 0
    checkout.wheel("other-tool", {"other_tool.py": b""})
    checkout.pin("build.txt", "tiny-tool==1.0\nother-tool==1.0\n")
    run = checkout.run("make_venv.sh")
    assert run.returncode == 0, run.stderr
    python = checkout.root / ".venv" / "bin" / "python"
    assert subprocess.run([python, "-c", "import other_tool"], check=False).returncode == 0


def test_environment_survives_being_killed_at_any_point(checkout: Checkout) -> None:
    pin_tools(checkout)
    checkout.environment["PYTHON"] = base_interpreter()
    killed = 0
    for delay in (0.1, 0.3, 0.7, 1.5, 3.0, 60.0):
        if checkout.run_and_kill("make_venv.sh", delay) == 0:
            break
        killed += 1
    assert killed >= 2
    assert imports_tool(checkout)
    assert not (checkout.root / ".venv" / ".installing").exists()


def test_interpreter_that_is_not_there_is_named(checkout: Checkout) -> None:
    run = checkout.run("make_venv.sh", PYTHON="python0.1")
    assert run.returncode == 1
    assert "python0.1 was not found" in run.stderr


@pytest.fixture
def buildable(checkout: Checkout, tmp_path: Path) -> Checkout:
    """A checkout whose cmake only writes down how it was called."""
    tree = tmp_path / "llama.cpp"
    for name in ("CMakeLists.txt", "ggml/include/ggml.h", "tools/completion/completion.cpp"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    tools = checkout.root / ".venv" / "bin"
    tools.mkdir(parents=True)
    cmake = tools / "cmake"
    cmake.write_text(
        "#!/bin/bash\n"
        'if [[ "$1" == --version ]]; then echo cmake version 1; exit; fi\n'
        f'echo "$@" >>{checkout.root}/calls\n'
        f'if [[ "$*" == *--preset* && "$*" != *--fresh* && -e {checkout.root}/stale ]]; then exit 1; fi\n'
        f"mkdir -p {checkout.root}/build && touch {checkout.root}/build/build.ninja\n"
    )
    cmake.chmod(0o755)
    checkout.environment["QWEN_INFER_LLAMA_CPP"] = str(tree)
    return checkout


def calls(checkout: Checkout) -> list[str]:
    """What cmake was called for since the last time."""
    path = checkout.root / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return ["build" if line.startswith("--build") else line for line in lines]


def test_configures_only_when_settings_change(buildable: Checkout) -> None:
    assert buildable.run("build.sh").returncode == 0
    tree = buildable.environment["QWEN_INFER_LLAMA_CPP"]
    configure = f"--preset release -DQWEN_INFER_LLAMA_CPP={tree} -DQWEN_INFER_CPU=native"
    assert calls(buildable) == [configure, "build"]
    buildable.run("build.sh")
    assert calls(buildable) == ["build"]
    buildable.run("build.sh", QWEN_INFER_CPU="all")
    assert calls(buildable) == [configure.replace("native", "all"), "build"]
    buildable.run("build.sh", CMAKE_ARGS="-DA=1 -DB=2")
    assert calls(buildable) == [f"{configure} -DA=1 -DB=2", "build"]


def test_release_keeps_a_dev_build_but_not_the_other_way_round(buildable: Checkout) -> None:
    buildable.run("build.sh", "release")
    calls(buildable)
    buildable.run("build.sh", "dev")
    assert calls(buildable)[0].startswith("--preset dev")
    buildable.run("build.sh", "release")
    assert calls(buildable) == ["build"]


def test_cache_that_cmake_refuses_is_started_anew(buildable: Checkout) -> None:
    (buildable.root / "stale").touch()
    assert buildable.run("build.sh").returncode == 0
    first, second, build = calls(buildable)
    assert "--fresh" not in first
    assert second.startswith("--fresh --preset release")
    assert build == "build"


def test_a_bad_model_of_the_user_is_refused_before_anything_is_done(checkout: Checkout) -> None:
    checkout.fake_program("g++", NO_COMPILER)
    run = checkout.run("setup.sh", QWEN_INFER_MODEL="/nowhere.gguf")
    assert run.returncode == 1
    assert run.stderr.startswith("error: QWEN_INFER_MODEL=/nowhere.gguf: there is no such file")
    assert "system packages" not in run.stderr


@pytest.mark.parametrize("script", ["build.sh", "setup.sh"])
@pytest.mark.parametrize("jobs", ["abc", "0", "-1"])
def test_a_bad_number_of_jobs_is_refused_before_anything_is_done(checkout: Checkout, script: str, jobs: str) -> None:
    run = checkout.run(script, QWEN_INFER_JOBS=jobs)
    assert run.returncode == 2
    assert run.stderr == f"error: QWEN_INFER_JOBS={jobs} must be a whole number from 1 to 9999, of compilers at once\n"


@pytest.mark.parametrize("script", ["demo.sh", "test.sh", "scripts/setup.sh"])
def test_help_needs_no_set_up(repository: Path, script: str) -> None:
    for flag in ("--help", "-h"):
        run = subprocess.run([repository / script, flag], capture_output=True, text=True, check=False)
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.startswith(f"usage: {script if '/' in script else './' + script}")


@pytest.mark.parametrize("script", ["demo.sh", "test.sh", "scripts/setup.sh"])
def test_unknown_flags_are_refused(repository: Path, script: str) -> None:
    run = subprocess.run([repository / script, "--fast"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "unknown argument '--fast'" in run.stderr


def test_unknown_check_is_refused_with_the_known_ones(repository: Path) -> None:
    run = subprocess.run([repository / "test.sh", "--only", "speed"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "there is no check 'speed'; there are: clang-format " in run.stderr
