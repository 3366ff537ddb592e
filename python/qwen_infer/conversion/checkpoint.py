"""A checkpoint: a folder with config.json, tokenizer and safetensors, as transformers saves it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_infer.conversion.packages import not_installed
from qwen_infer.conversion.precision import Precision

# What is read of a folder and fetched from the hub. Subfolders hold other forms of the model, "consolidated" files the
# weights a second time. No Python: a checkpoint's own code never runs.
CHECKPOINT_FILES = ("*.json", "*.jinja", "*.model", "*.txt", "*.safetensors")
OTHER_FILES = ("*/*", "consolidated*")

_CONFIG = "config.json"
_INDEX = "model.safetensors.index.json"
_SAVE_AGAIN = "download or save the checkpoint again (save_pretrained writes all of it)"
_EMBEDDING = "model.embed_tokens.weight"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """The files of one, which are there, and what config.json says."""

    folder: Path
    name: str
    files: tuple[Path, ...]  # all that conversion reads, weights among them
    weights: tuple[Path, ...]
    config: dict[str, Any]

    @classmethod
    def open(cls, folder: Path, name: str | None = None) -> Checkpoint:
        """Lists the files; OSError if one is missing or is no JSON. Does not look into the weights."""
        if not (folder / _CONFIG).is_file():
            raise FileNotFoundError(f"{folder} has no {_CONFIG}: {_what_instead(folder)}")
        config = _read_json(folder / _CONFIG)
        weights = _weights(folder)
        others = {
            path
            for pattern in CHECKPOINT_FILES
            for path in folder.glob(pattern)
            if path.suffix != ".safetensors" and path.is_file()
        }
        return cls(folder, name or folder.resolve().name, tuple(sorted({*others, *weights})), weights, config)

    @property
    def architecture(self) -> str:
        """As config.json names it, for file names and messages: "qwen3"."""
        return str(self.config.get("model_type", "model"))

    def stamp(self) -> str:
        """Changes with a file's name, size or time; costs no reading."""
        status = [(str(path.resolve()), path.name, path.stat()) for path in self.files]
        key = [[real, name, stat.st_size, stat.st_mtime_ns] for real, name, stat in status]
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()

    def digest(self, on_progress: Callable[[int], None]) -> str:
        """sha256 of all that is in the files, wherever they are. Reads all of them."""
        total = hashlib.sha256()
        done = 0
        for path in self.files:
            content = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    content.update(block)
                    done += len(block)
                    on_progress(done)
            total.update(f"{path.name}\0{content.hexdigest()}\0".encode())
        return total.hexdigest()

    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(path.stat().st_size for path in self.files)

    def check_weights(self) -> None:
        """OSError if a file of weights is cut off, its header is no header or lies about what the file holds, or the
        embedding is not what config.json says: the rest shows when the converted file is checked.
        """
        shape = self._shapes().get(_EMBEDDING)
        for name, size in zip(("vocab_size", "hidden_size"), shape or (), strict=False):
            if self.config.get(name, size) != size:
                raise OSError(
                    f"{self.folder}: config.json does not fit the tensors ({name} is {self.config[name]}, and "
                    f"{_EMBEDDING} has the shape {shape}, vocab_size x hidden_size): take both from the same model"
                )

    def most_bytes(self, precision: Precision) -> int:
        """What the converted checkpoint takes at most."""
        tensors = sum(precision.most_bytes(shape) for shape in self._shapes().values())
        # Some matrices stay in f32 (routers of experts); the tokenizer comes along.
        return tensors + tensors // 50 + sum(path.stat().st_size for path in self.files if path not in self.weights)

    def link_into(self, folder: Path) -> None:
        """Makes `folder`, with links to the files: what the converter sees, and no more."""
        folder.mkdir()
        for path in self.files:
            (folder / path.name).symlink_to(path.resolve())

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shape for path in self.weights for name, shape in _shapes(path).items()}


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Of the tensors in a file of weights, by name. safetensors checks the whole header."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise not_installed(error) from error
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError) as error:
        raise OSError(f"{path} is damaged ({error}): {_SAVE_AGAIN}") from error


def _what_instead(folder: Path) -> str:
    if gguf := sorted(path.name for path in folder.glob("*.gguf")):
        return f"give the GGUF file itself, {folder / gguf[0]}"
    if (folder / "adapter_config.json").is_file():
        return "it is an adapter; merge it into its model (merge_and_unload) and save that"
    return "a checkpoint is a folder with config.json, tokenizer and safetensors, as save_pretrained writes it"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OSError(f"{path} is no JSON ({error}): {_SAVE_AGAIN}") from error
    if not isinstance(content, dict):
        raise OSError(f"{path} holds no JSON object: {_SAVE_AGAIN}")
    return content


def _weights(folder: Path) -> tuple[Path, ...]:
    """The files that the index names; without an index, those that begin as the converter expects them."""
    if (folder / _INDEX).is_file():
        weight_map = _read_json(folder / _INDEX).get("weight_map")
        names = set(weight_map.values()) if isinstance(weight_map, dict) else set()
        if not names or any(not isinstance(name, str) or "/" in name for name in names):
            raise OSError(f"the weight_map of {folder / _INDEX} is no map from tensors to files: {_SAVE_AGAIN}")
        paths = [folder / name for name in sorted(names)]
        if missing := [path.name for path in paths if not path.is_file()]:
            raise FileNotFoundError(
                f"{folder} lacks {len(missing)} of {len(paths)} files of weights, such as {missing[0]}: {_SAVE_AGAIN}"
            )
        return tuple(paths)
    paths = sorted(path for path in folder.glob("model*.safetensors") if path.is_file())
    if not paths:
        pickled = any(folder.glob("*.bin"))
        remedy = "save it again with safe_serialization=True" if pickled else _SAVE_AGAIN
        raise FileNotFoundError(f"{folder} has a {_CONFIG} but no model*.safetensors: {remedy}")
    return tuple(paths)
