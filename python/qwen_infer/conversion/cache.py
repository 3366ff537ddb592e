"""Converted checkpoints in the user's cache: files named after what they were made of, whole or not there."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qwen_infer.conversion.disk_space import need_free
from qwen_infer.user_cache import user_cache

_DIGEST_DIGITS = 16  # in file names: 64 bits tell a user's models apart


@dataclass(frozen=True)
class Room:
    """Where one conversion writes; it goes when the conversion ends."""

    folder: Path
    lock: int  # file descriptor


class ConversionCache:
    """The folder `converted` of the user's cache.

    <architecture>-<digest>-<precision>.gguf are the models. known/<stamp> holds the digest of a checkpoint whose files
    had that stamp, so that they need not be read again.
    """

    def __init__(self) -> None:
        self.folder = user_cache() / "converted"

    def path(self, architecture: str, digest: str, precision: str) -> Path:
        """Where the model of that content is, or would be."""
        safe = "".join(letter if letter.isalnum() else "_" for letter in architecture)
        return self.folder / f"{safe}-{digest[:_DIGEST_DIGITS]}-{precision}.gguf"

    def known_digest(self, stamp: str) -> str | None:
        """The digest that was remembered for a stamp."""
        try:
            return self._known(stamp).read_text(encoding="ascii")
        except (OSError, ValueError):
            return None

    def remember(self, stamp: str, digest: str) -> None:
        """Best done once the model is there. Failing to is no failure: the files are then read once more."""
        try:
            self._known(stamp).parent.mkdir(exist_ok=True)
            temporary = self._known(f"{stamp}.{os.getpid()}")
            temporary.write_text(digest, encoding="ascii")
            temporary.replace(self._known(stamp))
        except OSError as error:
            print(f"warning: {error}; the next start reads the checkpoint again", file=sys.stderr)

    @contextmanager
    def room(self) -> Iterator[Room]:
        """A folder to convert in, on the file system of the cache. One conversion at a time has it; others wait."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise OSError(
                f"the cache {self.folder} cannot be written ({error.strerror}): set QWEN_INFER_CACHE to another folder"
            ) from error
        try:
            _wait_for(lock)
            scratch = self.folder / ".scratch"
            shutil.rmtree(scratch, ignore_errors=True)  # of one that was killed
            scratch.mkdir()
            try:
                yield Room(scratch, lock)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        finally:
            os.close(lock)

    def models(self) -> list[Path]:
        """All that were converted."""
        return sorted(self.folder.glob(f"*-{'[0-9a-f]' * _DIGEST_DIGITS}-*.gguf"))

    def clear(self) -> int:
        """Deletes all models, once no conversion runs; returns how many bytes that were."""
        if not self.folder.is_dir():
            return 0
        with self.room():
            freed = sum(path.stat().st_size for path in self.models())
            for path in self.models():
                path.unlink()
            shutil.rmtree(self.folder / "known", ignore_errors=True)
        return freed

    def need_free(self, most_bytes: int) -> None:
        """OSError if the file system has less space."""
        need_free(
            self.folder,
            most_bytes,
            "converting",
            "make room (--clear_cache deletes earlier conversions), or set QWEN_INFER_CACHE to a folder with more",
        )

    @staticmethod
    def put(finished: Path, path: Path) -> None:
        """Moves a file of the room to its place, after it has reached the disk."""
        with finished.open("rb") as file:
            os.fsync(file.fileno())
        finished.replace(path)

    def _known(self, name: str) -> Path:
        return self.folder / "known" / name


def _wait_for(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting for another conversion to end ...", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
