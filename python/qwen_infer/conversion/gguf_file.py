"""What tells a GGUF file from one that is none, or not whole: its header, which is read; weights are not."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_ALIGNMENT_KEY, _DEFAULT_ALIGNMENT = b"general.alignment", 32
_UINT32, _STRING, _ARRAY = 4, 8, 9
_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of the other types of values
# Weights and bytes of a block, by type of tensor; of one that is not here no more is known than where it begins.
_BLOCKS = {
    0: (1, 4),  # f32
    1: (1, 2),  # f16
    2: (32, 18),  # q4_0
    3: (32, 20),  # q4_1
    6: (32, 22),  # q5_0
    7: (32, 24),  # q5_1
    8: (32, 34),  # q8_0
    10: (256, 84),  # q2_k
    11: (256, 110),  # q3_k
    12: (256, 144),  # q4_k
    13: (256, 176),  # q5_k
    14: (256, 210),  # q6_k
    30: (1, 2),  # bf16
}
_LONGEST_KEY, _MOST_DIMENSIONS = 65535, 4
_FETCH_AGAIN = "fetch or convert it again"


class _DamagedError(Exception):
    """The header says what cannot be."""


def check_gguf(path: Path) -> None:
    """OSError, with what is wrong, for a file that is missing, no GGUF file, or shorter than its header says."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if not start.startswith(_MAGIC):
            what = "is empty" if size == 0 else "is no GGUF file, for it does not begin with the letters GGUF"
            raise OSError(f"{path} {what}: {_FETCH_AGAIN}")
        version = int.from_bytes(start[4:], "little")
        if len(start) == 8 and version not in _VERSIONS:
            raise OSError(f"{path} is a GGUF file of version {version}, and 2 and 3 are read: convert it again")
        try:
            needed = _Header(file, size).bytes_of_file()
        except _DamagedError as error:
            raise OSError(f"{path} is damaged or not whole ({error}): {_FETCH_AGAIN}") from error
    if size < needed:
        raise OSError(f"{path} is not whole, it has {size} bytes of {needed}: {_FETCH_AGAIN}")


class _Header:
    """What comes after magic and version, read from the front to the end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size - file.tell()
        self._alignment = _DEFAULT_ALIGNMENT

    def bytes_of_file(self) -> int:
        """How long the file is to be, at least."""
        n_tensors, n_values = self._numbers("QQ")
        if n_tensors == 0:
            raise _DamagedError("it has no tensors")
        for _ in range(n_values):
            self._value()
        end = max(self._end_of_tensor() for _ in range(n_tensors))
        header = self._file.tell()
        return header + -header % self._alignment + end

    def _claim(self, count: int) -> None:
        if count > self._left:
            raise _DamagedError("it ends within its header")
        self._left -= count

    def _pass_over(self, count: int) -> None:
        self._claim(count)
        self._file.seek(count, os.SEEK_CUR)

    def _numbers(self, kinds: str) -> tuple[int, ...]:
        layout = struct.Struct("<" + kinds)
        self._claim(layout.size)
        return layout.unpack(self._file.read(layout.size))

    def _key(self) -> bytes:
        (length,) = self._numbers("Q")
        if length > _LONGEST_KEY:
            raise _DamagedError(f"a name has {length} bytes")
        self._claim(length)
        return self._file.read(length)

    def _value(self) -> None:
        key = self._key()
        (kind,) = self._numbers("I")
        if key == _ALIGNMENT_KEY and kind == _UINT32:
            (self._alignment,) = self._numbers("I")
            if self._alignment == 0:
                raise _DamagedError("its alignment is 0")
        elif kind == _ARRAY:
            kind, count = self._numbers("IQ")
            self._skip(kind, count)
        else:
            self._skip(kind, 1)

    def _skip(self, kind: int, count: int) -> None:
        if kind == _STRING:
            for _ in range(count):
                self._pass_over(*self._numbers("Q"))
        elif kind in _BYTES:
            self._pass_over(_BYTES[kind] * count)
        else:
            raise _DamagedError(f"there is no type {kind} of values")

    def _end_of_tensor(self) -> int:
        """From the beginning of the weights."""
        self._key()
        (n_dimensions,) = self._numbers("I")
        if n_dimensions > _MOST_DIMENSIONS:
            raise _DamagedError(f"a tensor has {n_dimensions} dimensions")
        shape = self._numbers(f"{n_dimensions}Q")
        kind, offset = self._numbers("IQ")
        weights, size = _BLOCKS.get(kind, (1, 0))
        return offset + math.prod(shape) // weights * size
