"""What a user names as a model becomes the GGUF file to load."""

from __future__ import annotations

import os
from pathlib import Path

from qwen_infer.conversion.checkpoint import Checkpoint
from qwen_infer.conversion.convert import converted
from qwen_infer.conversion.hub import checkpoint_of_hub, may_be_hub_name
from qwen_infer.conversion.precision import Precision

_ACCEPTED = "give a GGUF file, a folder with config.json and safetensors, or a name on the hub such as Qwen/Qwen3-8B"


def resolve_model(model: str | os.PathLike[str], *, load_in_8bit: bool = False, load_in_4bit: bool = False) -> Path:
    """A GGUF file is taken as it is; a folder, or a name on the hub, is converted once, to bf16 or as the flags say.

    ValueError for flags that cannot be; OSError, with what to do, for what is missing, damaged or no model.
    """
    precision = Precision.of_flags(load_in_8bit, load_in_4bit)
    name = os.fspath(model)
    path = Path(name).expanduser()
    if name and path.is_dir():
        return converted(Checkpoint.open(path), precision)
    if path.suffix == ".safetensors":
        raise OSError(f"{path} is one file of a checkpoint: give the folder that it is in")
    if path.suffix == ".gguf" or path.is_file():
        _refuse_conversion(path, load_in_8bit, load_in_4bit)
        return path
    if name and path.exists():
        raise OSError(f"{path} is no model, it is neither a regular file nor a folder: {_ACCEPTED}")
    if may_be_hub_name(name):
        return converted(checkpoint_of_hub(name), precision)
    raise FileNotFoundError(f"there is no file or folder {name!r}: {_ACCEPTED}")


def _refuse_conversion(path: Path, load_in_8bit: bool, load_in_4bit: bool) -> None:
    if load_in_8bit or load_in_4bit:
        asked = "load_in_8bit" if load_in_8bit else "load_in_4bit"
        raise ValueError(
            f"{asked}=True converts checkpoints, and {path} is a GGUF file, which has its precision already: leave "
            f"{asked} out, or give the checkpoint's folder or name on the hub"
        )
