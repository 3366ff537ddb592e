"""Measures another program beside ours, in a Python environment of its own.

    python3 bench/peers/run.py ik_llama -m MODEL.gguf --json ik_llama.json
    python3 bench/peers/run.py torch_attention --json torch.json
    python3 bench/peers/run.py ik_llama --help

The environment is made at the first run, with the versions of requirements-PEER.txt, in the folder "peers" of the cache
(QWEN_INFER_CACHE, else ~/.cache/qwen-infer); the project's own .venv stays as it is. Speeds of a machine drift: measure
a peer right after what it is compared with, and nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = sorted(path.stem[len("requirements-") :] for path in HERE.glob("requirements-*.txt"))


def cache_folder() -> Path:
    """Where the project's scripts keep what they fetch."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("QWEN_INFER_CACHE") or Path(base) / "qwen-infer")


def environment(peer: str) -> Path:
    """The interpreter of the peer's environment, which is made if it is missing, half-made or outdated."""
    requirements = HERE / f"requirements-{peer}.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    folder = cache_folder() / "peers" / peer
    stamp = folder / ".installed"  # written last
    python = folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted and python.exists():
        return python
    print(f"making the Python environment {folder}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Not every interpreter has ensurepip (Debian splits it off), so the environment is filled by this one's pip.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "install", "--only-binary", ":all:", "-r", requirements], check=True, stdout=sys.stderr)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def main() -> None:
    """Makes the environment and becomes the peer's script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the peer's script; --help lists them")
    options = parser.parse_args()
    try:
        python = environment(options.peer)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: the Python environment of {options.peer} could not be made: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    script = HERE / f"{options.peer}.py"
    # The scripts share reports.py with the other benchmarks.
    variables = os.environ | {"PYTHONPATH": str(HERE.parent)}
    os.execve(python, [str(python), str(script), *options.arguments], variables)  # noqa: S606 - becomes another script


if __name__ == "__main__":
    main()
