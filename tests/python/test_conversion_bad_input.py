"""Checkpoints that are none, or damaged: each error names the value and the remedy, and the cache stays as it was."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from checkpoints import files_below, make_checkpoint, run_convert

from qwen_infer import Qwen3Inference
from qwen_infer.conversion.gguf_file import check_gguf
from qwen_infer.conversion.resolve import resolve_model
from qwen_infer.engine import load_engine

CONFIG, WEIGHTS = "config.json", "model.safetensors"
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("pristine") / "checkpoint")


@pytest.fixture
def checkpoint(pristine: Path, tmp_path: Path) -> Path:
    """One to damage."""
    return shutil.copytree(pristine, tmp_path / "checkpoint")


@pytest.fixture(autouse=True)
def _cache_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cache = tmp_path / "cache"
    (cache / "converted" / "known").mkdir(parents=True)
    (cache / "converted" / "qwen3-0123456789abcdef-BF16.gguf").write_bytes(b"of another model")
    monkeypatch.setenv("QWEN_INFER_CACHE", str(cache))
    before = files_below(cache)
    yield
    assert files_below(cache) == before
    assert sorted(path.name for path in (cache / "converted").iterdir() if path.is_dir()) == ["known"]


def configured(**changes: object) -> Change:
    """A change of config.json; None removes a key."""

    def change(folder: Path) -> None:
        config = {**json.loads((folder / CONFIG).read_text()), **changes}
        (folder / CONFIG).write_text(json.dumps({key: value for key, value in config.items() if value is not None}))

    return change


def with_header(change: Callable[[dict], object]) -> Change:
    """A change of the header of the safetensors, whose data stay as they are."""

    def apply(folder: Path) -> None:
        content = (folder / WEIGHTS).read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        change(header)
        written = json.dumps(header).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(written)) + written + content[8 + length :])

    return apply


def first_tensor(header: dict) -> dict:
    return next(entry for name, entry in header.items() if name != "__metadata__")


def shift_offsets(header: dict) -> None:
    entry = first_tensor(header)
    entry["data_offsets"] = [offset + 10**9 for offset in entry["data_offsets"]]


def enlarge_shape(header: dict) -> None:
    first_tensor(header)["shape"][0] *= 1000


def truncate(folder: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(100_000)


def claim_huge_header(folder: Path) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.write(struct.pack("<Q", 2**62))


def index_of(*names: str) -> Change:
    weight_map = {f"tensor{number}": name for number, name in enumerate(names)}
    return lambda folder: (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": weight_map}))


def only_gguf(folder: Path) -> None:
    (folder / CONFIG).rename(folder / "other.gguf")


def only_adapter(folder: Path) -> None:
    (folder / CONFIG).rename(folder / "adapter_config.json")


# Those that never get as far as the converter.
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / CONFIG).unlink(), r"checkpoint has no config\.json: a checkpoint is a folder with"),
        (only_gguf, r"has no config\.json: give the GGUF file itself, .*other\.gguf"),
        (only_adapter, "it is an adapter; merge it into its model"),
        (lambda folder: (folder / CONFIG).write_text("{"), r"config\.json is no JSON .*: download or save"),
        (lambda folder: (folder / CONFIG).write_text("[]"), r"config\.json holds no JSON object: download or save"),
        (lambda folder: (folder / WEIGHTS).unlink(), r"no model\*\.safetensors: download or save"),
        (lambda folder: (folder / WEIGHTS).rename(folder / "pytorch_model.bin"), "safe_serialization=True"),
        (index_of("model-1.safetensors"), r"lacks 1 of 1 files of weights, such as model-1\.safetensors: download"),
        (index_of("../model.safetensors"), "is no map from tensors to files"),
        (index_of(), "is no map from tensors to files"),
        (truncate, r"model\.safetensors is damaged .*: download or save"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b""), r"model\.safetensors is damaged"),
        (claim_huge_header, r"model\.safetensors is damaged"),
        (with_header(shift_offsets), r"model\.safetensors is damaged"),
        (with_header(enlarge_shape), r"model\.safetensors is damaged"),
        (configured(hidden_size=96), r"does not fit the tensors \(hidden_size is 96, and model\.embed.*: take both"),
        (configured(vocab_size=7), r"does not fit the tensors \(vocab_size is 7, and model\.embed.*: take both"),
    ],
)
def test_damaged_checkpoint_is_named(change: Change, message: str, checkpoint: Path) -> None:
    change(checkpoint)
    with pytest.raises(OSError, match=message) as raised:
        Qwen3Inference(checkpoint)
    assert str(checkpoint) in str(raised.value)


# Those that the converter or libllama refuses.
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (configured(architectures=["NoSuchForCausalLM"]), r"does not know the architecture .*\['NoSuchForCausalLM'\]"),
        (configured(intermediate_size=96), r"config\.json does not fit the tensors .*ffn.*: take both"),
        (configured(num_hidden_layers=3), r"config\.json does not fit the tensors .*blk\.2.*: take both"),
        (configured(num_hidden_layers=1), "could not be converted.*layers.1"),
        (lambda folder: (folder / "tokenizer.model").write_bytes(b"none"), "could not be converted.*Check that"),
    ],
)
def test_checkpoint_that_does_not_fit_together_is_named(change: Change, message: str, checkpoint: Path) -> None:
    change(checkpoint)
    with pytest.raises(OSError, match=message) as raised:
        resolve_model(checkpoint)
    assert str(checkpoint) in str(raised.value)


@pytest.mark.parametrize("name", ["./no-such-folder", "/no/such/folder", "a/b/c", "", " ", "Qwen/Qwen3 8B", "x\ny"])
def test_what_is_neither_a_path_nor_a_name_is_refused(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder .*: give a GGUF file"):
        resolve_model(name)


@pytest.mark.parametrize("name", ["null", "pipe"])
def test_what_is_no_regular_file_is_refused(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it: who opened it would wait
    path = {"null": Path(os.devnull), "pipe": tmp_path / "pipe"}[name]
    with pytest.raises(OSError, match=rf"{path} is no model, it is neither a regular file nor a folder: give a GGUF"):
        resolve_model(path)


def test_single_file_of_weights_is_refused(checkpoint: Path) -> None:
    with pytest.raises(OSError, match="one file of a checkpoint: give the folder that it is in"):
        resolve_model(checkpoint / WEIGHTS)


@pytest.mark.parametrize("flag", ["load_in_8bit", "load_in_4bit"])
def test_gguf_file_is_not_converted(flag: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"{flag}=True converts checkpoints, and .*x\.gguf is a GGUF file.*: leave"):
        resolve_model(tmp_path / "x.gguf", **{flag: True})


def test_too_little_space_is_told_before_converting(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    message = r"converted has 0\.1 MB free, and converting takes up to .* MB: make room .*, or set QWEN_INFER_CACHE"
    with pytest.raises(OSError, match=message):
        resolve_model(checkpoint)


def test_disk_that_fills_up_while_converting(checkpoint: Path) -> None:
    # A limit on the size of files fails as a full disk does: in the middle of a write.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"the disk filled up while it was converted .*: make room and try again"):
            resolve_model(checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_engine_names_what_cannot_be_quantized(tmp_path: Path) -> None:
    engine = load_engine()
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    with pytest.raises(ValueError, match="'Q3_K' is none of Q8_0, Q4_K_M"):
        engine.quantize(str(model), "Q3_K", str(tmp_path / "out"))
    with pytest.raises(ValueError, match=r"model\.gguf cannot be made from itself"):
        engine.quantize(str(model), "Q8_0", str(model))
    with pytest.raises(OSError, match=r"cannot load the model .*model\.gguf: the file is damaged"):
        engine.quantize(str(model), "Q8_0", str(tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.glob("*")) == ["cache", "model.gguf"]


def gguf(version: int = 3, tensors: int = 1) -> bytes:
    """The smallest of models: an array of texts, a number, and one tensor of 64 weights in Q8_0."""

    def text(letters: bytes) -> bytes:
        return struct.pack("<Q", len(letters)) + letters

    texts = text(b"tokens") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"bc")
    values = texts + text(b"general.alignment") + struct.pack("<II", 4, 64)
    header = struct.pack("<4sIQQ", b"GGUF", version, tensors, 2) + values
    header += text(b"weight") + struct.pack("<IQQIQ", 2, 32, 2, 8, 64)
    return header + bytes(-len(header) % 64) + bytes(64 + 2 * 34)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "is empty: fetch or convert it again"),
        (b"\x7fELF" * 99, "is no GGUF file"),
        (b"GGUF", r"not whole \(it ends within its header\)"),
        (b"GGUF\3\0\0\0" + b"\xff" * 999, "not whole"),
        (gguf(version=1), "of version 1, and 2 and 3 are read"),
        (gguf(tensors=0), "it has no tensors"),
        (gguf()[:100], r"\(it ends within its header\)"),
        (gguf()[:-1], "is not whole, it has 323 bytes of 324"),
    ],
)
def test_gguf_file_that_is_none_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OSError, match=rf"x\.gguf.*{message}"):
        check_gguf(path)


def test_gguf_file_that_is_whole_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(gguf())
    result = run_convert(tmp_path / "x.gguf")
    assert (result.returncode, result.stdout) == (0, f"{tmp_path / 'x.gguf'}\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--load_in_8bit", "--load-in-4bit", "x"], 2, "exclude each other: choose one"),
        (["--load_in_8bit", "x.gguf"], 2, r"load_in_8bit=True converts checkpoints"),
        (["/dev/null.gguf"], 1, r"/dev/null\.gguf: there is no such file"),
        (["./missing"], 1, r"there is no file or folder './missing'"),
        ([], 2, "required: MODEL"),
        (["--to", "x"], 2, r"^error: unrecognized arguments: --to\nSee .* --help\n$"),
    ],
)
def test_command_names_mistakes(arguments: list[str], code: int, message: str) -> None:
    result = run_convert(*arguments)
    assert result.returncode == code
    assert re.search(message, result.stderr)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_missing_packages_are_named(checkpoint: Path, tmp_path: Path) -> None:
    # Packages that cannot be imported, in front of those that can.
    for package in ("safetensors", "huggingface_hub"):
        (tmp_path / "without" / package).mkdir(parents=True)
        (tmp_path / "without" / package / "__init__.py").write_text(f"raise ImportError('no {package}')")
    for model, package in ((checkpoint, "safetensors"), ("Qwen/Qwen3-8B", "huggingface_hub")):
        result = run_convert(model, ahead=tmp_path / "without")
        assert result.returncode == 1
        assert re.search(rf"not installed here \(no {package}\): pip install 'qwen-infer\[convert\]'", result.stderr)
