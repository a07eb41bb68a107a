"""HDF5's heaps of names and of values of variable length, for `hdf5_plain`.

Source: HDF5 File Format Specification, "III.D. Local Heaps", "III.E. Global Heap".
"""

from __future__ import annotations

from struct import Struct

from inspector import deadline
from inspector.storage import ByteSource
from inspector.wire.hdf5_plain_layout import HEAP

_FREE = Struct("<QQ")
_END_OF_FREE = 1
_COLLECTION = Struct("<4sB3xQ")
_OBJECT = Struct("<HHIQ")
_SMALLEST = 4096  # bytes of a collection
_LARGEST = 1 << 20  # bytes of a collection that is looked through as a whole
_MOST_NAMES = 16 << 20  # bytes of a group's names
_KEPT = 8  # collections: a file's attributes are written one after another


class Unusual(Exception):
    """The file has something that is left to libhdf5."""


def need(condition: bool) -> None:
    """Raise Unusual unless it holds."""
    if not condition:
        raise Unusual


def local_heap(source: ByteSource, address: int) -> tuple[bytes, int]:
    """The names of a group, and the bytes that their heap takes, its header included."""
    sign, version, size, free, place = HEAP.unpack(source.view(address, HEAP.size))
    need(sign == b"HEAP" and version == 0 and 0 < size <= min(source.size, _MOST_NAMES))
    content = bytes(source.view(place, size))
    steps = size // _FREE.size
    while free != _END_OF_FREE:
        need(free + _FREE.size <= size and steps > 0)
        after, length = _FREE.unpack_from(content, free)
        need(length >= _FREE.size and free + length <= size)
        free, steps = after, steps - 1
    return content, HEAP.size + size


class GlobalHeap:
    """Values of variable length."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._held: dict[int, dict[int, tuple[int, int]]] = {}

    def value(self, address: int, number: int, length: int) -> bytes:
        """One value, whose length must be as its reference says. Raises Unusual."""
        held = self._held.get(address)
        if held is None:
            if len(self._held) >= _KEPT:
                del self._held[next(iter(self._held))]
            held = self._held[address] = self._collection(address)
        start, size = held.get(number, (0, 0))
        need(0 < size == length)
        return bytes(self._source.view(start, size))

    def _collection(self, address: int) -> dict[int, tuple[int, int]]:
        """Where each value of a collection is, by its number, and its length."""
        deadline.check()
        head = self._source.view(address, _COLLECTION.size)
        sign, version, size = _COLLECTION.unpack(head)
        need(sign == b"GCOL" and version == 1 and size >= _SMALLEST and size % 8 == 0)
        need(address + size <= self._source.size)
        found: dict[int, tuple[int, int]] = {}
        at = _COLLECTION.size
        # A long value has a collection of its own, which is not read for its head.
        view = self._source.view(address, size) if size <= _LARGEST else None
        while at + _OBJECT.size <= size:
            head = self._source.view(address + at, _OBJECT.size) if view is None else view[at:]
            number, _, _, length = _OBJECT.unpack_from(head)
            if number == 0:
                need(at + length == size)
                return found
            need(number not in found and at + _OBJECT.size + length <= size)
            found[number] = (address + at + _OBJECT.size, length)
            at += _OBJECT.size + length + -length % 8
        return found  # what is left is too little for one more
