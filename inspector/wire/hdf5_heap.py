"""HDF5's heaps, of values of variable length and of names, checked before libhdf5 uses one.

libhdf5 walks a global heap by the sizes written in it, and never ends where one of them is 0; and
it sets memory aside for a local heap as large as it claims to be. It reads through our file
object, so that a broken heap or object header can be refused there.
Source: HDF5 File Format Specification, "Level 1D - Local Heaps", "Level 1E - Global Heap".
"""

from __future__ import annotations

import struct

from inspector.storage import ByteSource, SourceReader, lazily
from inspector.wire.hdf5_header import NEW_HEADER, OLD_HEADER, check_header

SIGNATURE = b"GCOL"
# Signature, version, reserved, bytes of the collection, this header among them.
_COLLECTION = struct.Struct("<4sB3xQ")
# Number, references, reserved, bytes of the value; number 0 is the space that is left over.
_OBJECT = struct.Struct("<HH4xQ")
OBJECT_HEADER = _OBJECT.size
_SEARCHED = 16 << 20
_LOCAL_SIGNATURE = b"HEAP"
_LOCAL = struct.Struct("<4s4xQ")


class HeapGuard(SourceReader):
    """The file as libhdf5 sees it, but for heaps and headers that would be the end of it."""

    def __init__(self, source: ByteSource, start: int) -> None:
        super().__init__(source)
        self._start = start
        # Only while the structure is read: values may look like anything.
        self.watching = True

    def readinto(self, buffer: memoryview) -> int:
        at = self.tell()
        length = super().readinto(buffer)
        sign = bytes(buffer[:4]) if self.watching else b""
        if sign == SIGNATURE and length >= _COLLECTION.size:
            check_collection(self._source, at)
        elif sign == _LOCAL_SIGNATURE and length >= _LOCAL.size:
            _, claimed = _LOCAL.unpack_from(buffer)
            if claimed > self._source.size:
                raise OSError(f"the local heap at byte {at:,} claims more bytes than the file has")
        elif sign[:2] == OLD_HEADER or sign == NEW_HEADER:
            check_header(self._source, at, self._start)
        return length


def check_collection(source: ByteSource, start: int) -> None:
    """Raise OSError unless the values of the collection at `start` follow each other to its end."""
    _, _, size = _COLLECTION.unpack(source.view(start, _COLLECTION.size))
    if start + size > source.size:
        raise OSError(f"the global heap at byte {start:,} is longer than the file")
    content = lazily(source, start, size)
    at = _COLLECTION.size
    while at + OBJECT_HEADER <= size:
        number, _, length = _OBJECT.unpack(content[at : at + OBJECT_HEADER])
        taken = OBJECT_HEADER + length + -length % 8 if number else length
        if taken < OBJECT_HEADER or at + taken > size:
            raise OSError(f"the global heap at byte {start:,} is broken at byte {start + at:,}")
        at += taken


def largest_collection(source: ByteSource) -> int:
    """Bytes of the largest collection of a file: no value of variable length is longer."""
    largest, overlap = 0, _COLLECTION.size - 1
    for start in range(0, source.size, _SEARCHED):
        part = bytes(source.view(start, min(_SEARCHED + overlap, source.size - start)))
        at = part.find(SIGNATURE)
        while 0 <= at <= len(part) - _COLLECTION.size:
            largest = max(largest, min(_COLLECTION.unpack_from(part, at)[2], source.size))
            at = part.find(SIGNATURE, at + 1)
    return largest
