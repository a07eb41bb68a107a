"""What HDF5's common filters did to a chunk, undone: shuffle, deflate and fletcher32.

Source: HDF5 File Format Specification, IV.A.2.l (filter pipeline message), and the HDF Group's
reference for each filter. The others, and other orders, are left to libhdf5.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.limits import KIB

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

# Numbers of filters, in the order in which h5py and Keras apply them.
SHUFFLE, DEFLATE, FLETCHER32 = _ORDER = (2, 1, 3)
_CHECKSUM_BYTES = 4
# What goes into and comes out of zlib at a time: memory that is used again and again costs nothing.
_IN, _OUT = 64 * KIB, 128 * KIB
# Words that are summed at a time: the sums of 16 bits times a place fit in 64.
_WORDS = 1 << 15


class BrokenChunk(ValueError):
    """A chunk that its filters cannot have made."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The filters of a dataset. plain: bytes of a chunk's values.

    places: of each filter that there is, its place, which is its bit where chunks say what they
    left out. width: bytes of a value to the shuffle.
    """

    plain: int
    places: dict[int, int]
    width: int

    @staticmethod
    def of(filters: Sequence[tuple[int, Sequence[int]]], plain: int) -> Pipeline | None:
        """The pipeline of (number, parameters), as applied; None where only libhdf5 can undo it."""
        codes = [code for code, _ in filters]
        if codes != [code for code in _ORDER if code in codes]:
            return None
        widths = [values[:1] for code, values in filters if code == SHUFFLE]
        if widths == [()]:
            return None
        places = {code: place for place, code in enumerate(codes)}
        return Pipeline(plain, places, widths[0][0] if widths else 1)

    @property
    def most(self) -> int:
        """Bytes that a stored chunk can have: libhdf5 drops a deflate that makes it larger."""
        return 2 * self.plain + 4 * KIB

    def undo(self, stored: Bytes, skipped: int, out: Bytes) -> None:
        """Write the chunk's values to `out`. skipped: bit i is set where filter i was left out.

        out: `plain` bytes. Little more memory is taken, whatever the chunk holds. Raises
        BrokenChunk.
        """
        done = {code for code, place in self.places.items() if not skipped >> place & 1}
        data = verified(stored) if FLETCHER32 in done else stored
        pieces = inflated(data, self.plain) if DEFLATE in done else iter((data,))
        pour(pieces, planes(out, self.width) if SHUFFLE in done else [out])


def inflated(data: Bytes, size: int) -> Iterator[Bytes]:
    """What a zlib stream holds, a piece at a time, and no more than a byte over `size`.

    What lies behind the stream is of no account.
    """
    stream, left = zlib.decompressobj(), size + 1
    for start in range(0, len(data), _IN):
        piece: bytes | memoryview = data[start : start + _IN].data
        more = True
        while more and left and not stream.eof:
            wanted = min(_OUT, left)
            try:
                found = stream.decompress(piece, wanted)
            except zlib.error as error:
                raise BrokenChunk(f"a chunk cannot be inflated: {error}") from error
            left -= len(found)
            yield np.frombuffer(found, np.uint8)
            piece = stream.unconsumed_tail
            more = bool(piece) or len(found) == wanted
    if left and not stream.eof:
        raise BrokenChunk("a chunk cannot be inflated: its stream is cut short")


def planes(out: Bytes, width: int) -> list[Bytes]:
    """Where the bytes of a shuffled chunk belong: all first bytes of values, all second ones ...

    What is over at the end was never moved.
    """
    width = max(width, 1)
    moved = len(out) - len(out) % width
    values = out[:moved].reshape(-1, width)
    return [*(values[:, place] for place in range(width)), out[moved:]]


def pour(pieces: Iterator[Bytes], targets: list[Bytes]) -> None:
    """Fill all targets, one after the other, with exactly what the pieces hold."""
    size, poured, rest = sum(map(len, targets)), 0, iter(targets)
    target = next(rest)
    for whole in pieces:
        poured += len(whole)
        if poured > size:
            raise BrokenChunk(f"a chunk has more than its {size:,} bytes")
        piece = whole
        while len(piece):
            if not len(target):
                target = next(rest)
                continue
            step = min(len(piece), len(target))
            target[:step] = piece[:step]
            piece, target = piece[step:], target[step:]
    if poured < size:
        raise BrokenChunk(f"a chunk has {poured:,} bytes in place of {size:,}")


def verified(data: Bytes) -> Bytes:
    """The bytes before the Fletcher checksum that they must have."""
    if len(data) < _CHECKSUM_BYTES:
        raise BrokenChunk("a chunk is too short for its checksum")
    content, said = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:].tobytes()
    found = fletcher32(content).to_bytes(4, "little")
    # libhdf5 before 1.6.3 swapped the bytes of each half on little-endian machines.
    if said not in {found, bytes((found[1], found[0], found[3], found[2]))}:
        raise BrokenChunk("a chunk does not have its Fletcher checksum: its bytes were changed")
    return content


def fletcher32(data: Bytes) -> int:
    """Fletcher's checksum as HDF5 makes it: of big-endian words of 16 bits, an odd byte last.

    Both sums are modulo 65,535, where a sum that is not 0 is 65,535 in place of 0.
    """
    words = data[: len(data) // 2 * 2].view(">u2")
    first = second = 0
    for start in range(0, words.size, _WORDS):
        part = words[start : start + _WORDS].astype(np.uint64)
        second += part.size * first + int(part @ np.arange(part.size, 0, -1, dtype=np.uint64))
        first += int(part.sum())
    if len(data) % 2:
        first += int(data[-1]) << 8
        second += first
    return _folded(second) << 16 | _folded(first)


def _folded(total: int) -> int:
    return (total - 1) % 0xFFFF + 1 if total else 0
