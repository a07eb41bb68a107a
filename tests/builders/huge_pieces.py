"""Large files in pieces: bytes, and zeros that are never written. And how large a layer is."""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

LAYERS = 128
WIDTHS = (1024, 2048)
KERNEL = WIDTHS[0] * WIDTHS[1]  # values: 8 MiB of them

Sparse = list[bytes | int]  # bytes, and how many zeros come before the next


def widths(at: int) -> tuple[int, int]:
    """Inputs and outputs of a layer: what one puts out, the next takes in."""
    return WIDTHS[at % 2], WIDTHS[(at + 1) % 2]


def parameters(layers: int = LAYERS) -> int:
    """Values of all kernels and biases: 268,632,064 of 128 layers."""
    return sum(KERNEL + widths(at)[1] for at in range(layers))


def names(layers: int) -> list[str]:
    """The layers' names as Keras gives them."""
    return [f"dense_{at}" if at else "dense" for at in range(layers)]


def size(pieces: Sparse) -> int:
    return sum(one if isinstance(one, int) else len(one) for one in pieces)


def put(file, pieces: Sparse) -> None:
    """Write from where the file stands; zeros are stepped over."""
    for one in pieces:
        if isinstance(one, int):
            file.seek(one, os.SEEK_CUR)
        else:
            file.write(one)
    file.truncate(file.tell())


def save(path: Path, pieces: Sparse) -> str:
    with open(path, "wb") as file:
        put(file, pieces)
    return str(path)


def pieces_of(path: Path) -> Iterator[bytes | int]:
    """What a sparse file holds, as the file system knows it."""
    with open(path, "rb", 0) as file:
        at, end = 0, os.fstat(file.fileno()).st_size
        while at < end:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # there is no more data
                yield end - at
                return
            if start > at:
                yield start - at
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            yield os.pread(file.fileno(), at - start, start)


def _times(a: int, b: int) -> int:
    """The product of two polynomials modulo that of CRC-32, bits reflected."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (0xEDB88320 if b & 1 else 0)
    return product


@functools.cache
def _shift(zeros: int) -> int:
    """x to the power of the bits of so many bytes: what passing over them multiplies by."""
    factor, power = 1 << 31, 1 << 23  # x to the 0, and to the 8
    while zeros:
        if zeros & 1:
            factor = _times(factor, power)
        power = _times(power, power)
        zeros >>= 1
    return factor


def crc32(pieces: Sparse) -> int:
    """CRC-32 of all of it, without going through the zeros."""
    crc = 0
    for one in pieces:
        if isinstance(one, int):
            crc = _times(_shift(one), crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        else:
            crc = zlib.crc32(one, crc)
    return crc
