"""A checkpoint becomes a GGUF file in the cache, once."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from qwen_infer.conversion.cache import ConversionCache, Room
from qwen_infer.conversion.checkpoint import Checkpoint
from qwen_infer.conversion.child import ChildError
from qwen_infer.conversion.converter import converter_version, quantize, write_gguf
from qwen_infer.conversion.precision import Precision
from qwen_infer.conversion.progress import Progress
from qwen_infer.engine import load_engine

# As Python, numpy and C++'s streams put it.
_DISK_FULL = re.compile(r"No space left on device|File too large|requested and \d+ written|iostream error")


def converted(checkpoint: Checkpoint, precision: Precision) -> Path:
    """The GGUF file of a checkpoint, made now if the cache has none of that content, precision and converter."""
    cache = ConversionCache()
    stamp = checkpoint.stamp()
    content = cache.known_digest(stamp)
    path = _path(cache, checkpoint, content, precision) if content else None
    if path is not None and path.is_file():
        return path
    checkpoint.check_weights()
    with cache.room() as room:
        if content is None:
            with Progress(f"reading {checkpoint.folder}", checkpoint.size()) as progress:
                content = checkpoint.digest(progress.update)
        path = _path(cache, checkpoint, content, precision)
        if not path.is_file():
            cache.put(_make(checkpoint, precision, cache, room), path)
            print(f"kept as {path}", file=sys.stderr)
        cache.remember(stamp, content)
    return path


def _path(cache: ConversionCache, checkpoint: Checkpoint, content: str, precision: Precision) -> Path:
    made_of = hashlib.sha256(f"{content} {converter_version()}".encode()).hexdigest()
    return cache.path(checkpoint.architecture, made_of, precision.value)


def _make(checkpoint: Checkpoint, precision: Precision, cache: ConversionCache, room: Room) -> Path:
    """The finished file, in the room."""
    steps = [Precision.BF16, precision] if precision is Precision.Q4_K_M else [precision]
    cache.need_free(sum(checkpoint.most_bytes(step) for step in steps))
    source = room.folder / checkpoint.name
    checkpoint.link_into(source)
    first = room.folder / "converted.gguf"
    label = f"converting {checkpoint.name} to {steps[0].value}"
    with Progress(label, checkpoint.most_bytes(steps[0])) as progress:
        try:
            write_gguf(source, steps[0], first, progress, room.lock)
        except ChildError as error:
            raise OSError(_refused(checkpoint, str(error))) from error
    _check_fit(checkpoint, first)
    if len(steps) == 1:
        return first
    second = room.folder / "quantized.gguf"
    with Progress(f"quantizing it to {precision.value}", checkpoint.most_bytes(precision)) as progress:
        try:
            quantize(first, precision, second, progress, room.lock)
        except ChildError as error:
            raise OSError(_refused(checkpoint, str(error))) from error
    return second


def _refused(checkpoint: Checkpoint, reason: str) -> str:
    if "is not supported" in reason:
        architectures = checkpoint.config.get("architectures")
        return (
            f"{checkpoint.folder}: llama.cpp's converter does not know the architecture of its config.json "
            f"({architectures}): a newer llama.cpp may; QWEN_INFER_LLAMA_CPP builds with another one"
        )
    if _DISK_FULL.search(reason):
        return f"{checkpoint.folder}: the disk filled up while it was converted ({reason}): make room and try again"
    return (
        f"{checkpoint.folder} could not be converted, llama.cpp says: {reason}. Check that config.json, "
        "tokenizer and weights are of one model and complete"
    )


def _check_fit(checkpoint: Checkpoint, path: Path) -> None:
    """The converter takes the tensors as they come; libllama compares them with what the configuration asks for."""
    try:
        load_engine().check_model_file(str(path))
    except OSError as error:
        found = re.search(r"error loading model: (.*)", str(error))
        reason = " ".join((found[1] if found else str(error)).split())
        raise OSError(
            f"{checkpoint.folder}: config.json does not fit the tensors ({reason}): take both from the same model"
        ) from error
