"""Values of a checkpoint that have no fixed size, strings and variants, and the crc of any value.

Source of the formats: the comments of tensorflow/core/util/tensor_bundle/tensor_bundle.cc.
Strings: a varint64 length of each, a masked crc of the lengths, then the bytes of all. Variants:
of each a varint64 length, the bytes, and a masked crc of all that is before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from inspector.errors import Corrupt
from inspector.limits import KIB
from inspector.storage import ByteSource, lazily
from inspector.wire.crc32c import extend, extend_over, mask
from inspector.wire.protobuf import read_varint

Order = Literal["little", "big"]
_CRC = 4
_BATCH = 64 * KIB


class Value(NamedTuple):
    """A value's bytes: `length` of them at `offset` of `source`."""

    source: ByteSource
    offset: int
    length: int

    def view(self) -> memoryview:
        """The bytes."""
        return self.source.view(self.offset, self.length)


def string_values(source: ByteSource, offset: int, size: int, count: int) -> Iterator[Value]:
    """The strings of a tensor of `count` in `size` bytes, in C order, one at a time.

    Raises Corrupt (lengths that do not add up to the size) before the first one, and Truncated.
    """
    if not count:
        return
    at = _string_start(source, offset, size, count)
    for length in _lengths(source, offset, size, count):
        yield Value(source, at, length)
        at += length


def _lengths(source: ByteSource, offset: int, size: int, count: int) -> Iterator[int]:
    view, at = lazily(source, offset, size), 0
    for _ in range(count):
        length, at = read_varint(view, at, source.path, offset)
        yield length


def _string_start(source: ByteSource, offset: int, size: int, count: int) -> int:
    """Where the first string's bytes are."""
    view, at, total = lazily(source, offset, size), 0, 0
    for _ in range(count):
        length, at = read_varint(view, at, source.path, offset)
        total += length
    if at + _CRC + total != size:
        raise Corrupt(
            f"{count:,} strings need {at + _CRC + total:,} bytes, their tensor has {size:,}",
            source.path,
            offset,
        )
    return offset + at + _CRC


def plain_crc(source: ByteSource, offset: int, size: int, count: int, order: Order) -> int | None:
    """The crc of values of a fixed size: that of their bytes."""
    return extend_over(0, source, offset, size)


def string_crc(source: ByteSource, offset: int, size: int, count: int, order: Order) -> int | None:
    """The crc of strings; None where that of their lengths does not hold.

    Of the lengths it takes 4 bytes each (8 past 2**32 - 1) in the writer's byte order.
    """
    if not size and not count:
        return 0
    start = _string_start(source, offset, size, count)
    crc, batch = 0, bytearray()
    for length in _lengths(source, offset, size, count):
        batch += length.to_bytes(4 if length < 1 << 32 else 8, order)
        if len(batch) >= _BATCH:
            crc, batch = extend(crc, batch), bytearray()
    crc = extend(crc, batch)
    stored = bytes(source.view(start - _CRC, _CRC))
    if int.from_bytes(stored, order) != mask(crc):
        return None
    return extend_over(extend(crc, stored), source, start, offset + size - start)


def variant_crc(source: ByteSource, offset: int, size: int, count: int, order: Order) -> int | None:
    """The crc of variants; None where one on the way does not hold. Raises Corrupt."""
    crc, at, stop = 0, offset, offset + size
    view = lazily(source, offset, size)
    for _ in range(count):
        length, inner = read_varint(view, at - offset, source.path, offset)
        start = offset + inner
        at = start + length + _CRC
        if at > stop:
            raise Corrupt(f"a variant of {length:,} bytes runs past its tensor", source.path, start)
        crc = extend(crc, length.to_bytes(8, order))
        crc = extend_over(crc, source, start, length)
        stored = bytes(source.view(at - _CRC, _CRC))
        if int.from_bytes(stored, order) != mask(crc):
            return None
        crc = extend(crc, stored)
    return crc if at == stop else None
