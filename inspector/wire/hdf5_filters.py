"""What HDF5's common filters did to a chunk, undone: shuffle, deflate and fletcher32.

Source: HDF5 File Format Specification, IV.A.2.l (filter pipeline message), and the HDF Group's
reference for each filter. The others, and other orders, are left to libhdf5.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
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
# Values that are put together at a time: as many as stay in a level-2 cache.
_TOGETHER = 1 << 16
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

    def undo(self, stored: Bytes, skipped: int, out: Bytes, scratch: Bytes) -> None:
        """Write the chunk's values to `out`. skipped: bit i is set where filter i was left out.

        out, scratch: `plain` bytes. No more memory is taken, whatever the chunk holds. Raises
        BrokenChunk.
        """
        done = {code for code, place in self.places.items() if not skipped >> place & 1}
        shuffled = SHUFFLE in done and self.width > 1
        data = verified(stored) if FLETCHER32 in done else stored
        if DEFLATE in done:
            target = scratch if shuffled else out
            inflate(data, target)
            data = target
        if len(data) != self.plain:
            raise BrokenChunk(f"a chunk has {len(data):,} bytes in place of {self.plain:,}")
        if shuffled:
            unshuffle(data, self.width, out)
        elif data is not out:
            out[...] = data


def inflate(data: Bytes, out: Bytes) -> None:
    """Fill `out` with a zlib stream; what lies behind the stream is of no account."""
    stream, target, done = zlib.decompressobj(), out.data, 0
    for start in range(0, len(data), _IN):
        piece: bytes | memoryview = data[start : start + _IN].data
        more = True
        while more and not stream.eof:
            # One byte more than there may be, to see whether there is.
            wanted = min(_OUT, len(out) + 1 - done)
            try:
                found = stream.decompress(piece, wanted)
            except zlib.error as error:
                raise BrokenChunk(f"a chunk cannot be inflated: {error}") from error
            if done + len(found) > len(out):
                raise BrokenChunk(f"a chunk inflates to more than its {len(out):,} bytes")
            target[done : done + len(found)] = found
            done += len(found)
            piece = stream.unconsumed_tail
            more = bool(piece) or len(found) == wanted
    if not stream.eof:
        raise BrokenChunk("a chunk cannot be inflated: its stream is cut short")
    if done < len(out):
        raise BrokenChunk(f"a chunk inflates to {done:,} bytes in place of {len(out):,}")


def unshuffle(data: Bytes, width: int, out: Bytes) -> None:
    """All first bytes, then all second bytes ... of values of `width` bytes, put together again.

    What is over at the end was never moved.
    """
    count = len(data) // width
    size = count * width
    planes = data[:size].reshape(width, count)
    out[size:] = data[size:]
    if width in {2, 4, 8}:
        # Shifts of whole values run in vector registers, bytes that are moved one by one do not.
        values = out[:size].view(f"<u{width}")
        for start in range(0, count, _TOGETHER):
            part = values[start : start + _TOGETHER]
            part[...] = planes[-1, start : start + _TOGETHER]
            for plane in planes[-2::-1]:
                np.left_shift(part, 8, out=part)
                np.bitwise_or(part, plane[start : start + _TOGETHER], out=part)
    else:
        out[:size].reshape(count, width)[...] = planes.T


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
