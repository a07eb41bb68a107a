"""The types and data spaces that `hdf5_plain` knows, byte by byte as HDF5 writes them.

Source: HDF5 File Format Specification, "IV.A.2.b. The Dataspace Message", "IV.A.2.d. The Datatype
Message".
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from struct import Struct

from inspector.wire.hdf5_plain_heaps import need

_FIXED = Struct("<BBBBIHH")
_FLOAT = Struct("<BBBBIHHBBBBI")
_RANK = 32  # the most that HDF5 allows
_LONGEST_SIDE = 1 << 48
KNOWN = 64  # messages whose meaning is kept: a file says the same again and again


def _integer(size: int, signed: bool, big: bool) -> bytes:
    return _FIXED.pack(0x10, big | signed << 3, 0, 0, size, 0, 8 * size)


def _float(size: int, exponent: int, big: bool) -> bytes:
    """An IEEE number: a sign, an exponent of so many bits, a fraction with a hidden first bit."""
    bits = 8 * size
    fraction, bias = bits - 1 - exponent, (1 << exponent - 1) - 1
    place = (bits - 1, 0, size, 0, bits, fraction, exponent, 0, fraction, bias)
    return _FLOAT.pack(0x11, 0x20 | big, *place)


_ORDERS = ((False, "<"), (True, ">"))
# Type message -> NumPy's name, bytes of a value.
_NUMBERS: Mapping[bytes, tuple[str, int]] = {
    **{
        _integer(size, signed, big): (f"{order if size > 1 else '|'}{'ui'[signed]}{size}", size)
        for size in (8, 4, 2, 1)
        for signed in (False, True)
        for big, order in _ORDERS
        if size > 1 or not big
    },
    **{
        _float(size, exponent, big): (f"{order}f{size}", size)
        for size, exponent in ((2, 5), (4, 8), (8, 11))
        for big, order in _ORDERS
    },
}
# Types that an attribute without values has: what NumPy makes of an empty list.
EMPTY = frozenset(_NUMBERS)
_OPAQUE = bytes((0x15, 0, 0, 0, 2, 0, 0, 0))
# Text of fixed length, the first two bytes: ended by a zero or padded with zeros; ASCII or UTF-8.
FIXED_TEXT = frozenset(bytes((0x13, how | chars << 4)) for how in (0, 1) for chars in (0, 1))
TEXT_HEAD = 8
# Text of any length, a sequence of bytes or of characters.
VARIABLE_TEXT = frozenset(
    bytes((0x19, 1 | how << 4, chars, 0, 16, 0, 0, 0)) + base
    for how in (0, 1)
    for chars in (0, 1)
    for base in (
        _integer(1, signed=False, big=False),
        bytes((0x13, how | chars << 4, 0, 0, 1, 0, 0, 0)),
        bytes((0x13, 0, 0, 0, 1, 0, 0, 0)),
    )
)


@functools.lru_cache(KNOWN)
def numeric(message: bytes) -> tuple[str, int]:
    """NumPy's name of a dataset's type, and bytes of a value. Raises Unusual."""
    for length in (_FIXED.size, _FLOAT.size):
        known = _NUMBERS.get(message[:length])
        if known is not None and not any(message[length:]):
            return known
    need(message[: len(_OPAQUE)] == _OPAQUE and not any(message[len(_OPAQUE) :]))
    return "V2", 2


@functools.lru_cache(KNOWN)
def dimensions(message: bytes) -> tuple[int, ...]:
    """IV.A.2.b, version 1: a shape, () for a single value. Raises Unusual."""
    version, rank, flags = message[:3]
    need(version == 1 and rank <= _RANK and flags in (0, 1) and (rank > 0 or flags == 0))
    sides = Struct(f"<{rank}Q")
    need(len(message) >= 8 + sides.size * (1 + flags))
    shape: tuple[int, ...] = sides.unpack_from(message, 8)
    need(all(side < _LONGEST_SIDE for side in shape))
    if flags:  # the largest it may become
        need(sides.unpack_from(message, 8 + sides.size) == shape)
    return shape
