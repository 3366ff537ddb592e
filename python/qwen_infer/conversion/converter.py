"""llama.cpp's converter: part of its source, and put beside libllama when that is built or installed."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from qwen_infer.conversion.child import ChildError, run_python
from qwen_infer.conversion.packages import not_installed
from qwen_infer.conversion.precision import Precision
from qwen_infer.conversion.progress import Progress
from qwen_infer.engine import load_engine

_SCRIPT = "convert_hf_to_gguf.py"
# The converter runs what some tokenizers name as their code. It sees no code in the checkpoint, and none elsewhere:
# nothing is fetched, and the hub's local cache is out of its sight.
_WITHOUT_HUB = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": os.devnull}


@cache
def converter_folder() -> Path:
    """Where the script and its packages are."""
    beside_engine = Path(load_engine().__file__).resolve().parent
    for folder in (beside_engine / "qwen_infer" / "llama.cpp", beside_engine / "llama.cpp"):
        if (folder / _SCRIPT).is_file():
            return folder
    raise RuntimeError(f"{beside_engine} has no llama.cpp/{_SCRIPT}: build or install this package again")


@cache
def converter_version() -> str:
    """A digest of its source: no version number tells all states of it apart."""
    folder = converter_folder()
    digest = hashlib.sha256()
    sources = (folder / _SCRIPT, *(folder / "conversion").glob("*.py"), *(folder / "gguf-py" / "gguf").glob("*.py"))
    for path in sorted(sources):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def write_gguf(checkpoint: Path, precision: Precision, output: Path, progress: Progress, keep_open: int) -> None:
    """Has the converter write `output`; ChildError if it cannot, ImportError if it lacks a package.

    Of our precisions it knows all but Q4_K_M.
    """
    script = converter_folder() / _SCRIPT
    arguments = [script, checkpoint, "--outfile", output, "--outtype", precision.value.lower()]
    try:
        run_python(arguments, output, progress, _WITHOUT_HUB, keep_open)
    except ChildError as error:
        if str(error).startswith(("ModuleNotFoundError", "ImportError")):
            raise not_installed(error) from error
        raise


def quantize(source: Path, precision: Precision, output: Path, progress: Progress, keep_open: int) -> None:
    """Has libllama write a smaller copy; ChildError if it cannot. A process of its own can be interrupted."""
    program = "import sys; from qwen_infer.engine import load_engine; load_engine().quantize(*sys.argv[1:])"
    run_python(["-c", program, source, precision.value, output], output, progress, {}, keep_open)
