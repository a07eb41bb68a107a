"""A zip's records, as they stand: end records, central directory entries, local headers' parts.

Source of the format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 (records) and 4.5.3 (zip64).
Where readers of zips differ, this one does as `zipfile` (and so Keras) does: the last end record
counts, the central directory ends where the end records begin.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from inspector.errors import Corrupt, LimitExceeded, Truncated, Unsupported
from inspector.limits import Limits
from inspector.storage import ByteSource

# Records, all little-endian, each with its signature first.
LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR64 = struct.Struct("<4sIQI")
LOCAL_SIGN = b"PK\x03\x04"
CENTRAL_SIGN = b"PK\x01\x02"
END_SIGN = b"PK\x05\x06"
END64_SIGN = b"PK\x06\x06"
LOCATOR64_SIGN = b"PK\x06\x07"
DESCRIPTOR_SIGN = b"PK\x07\x08"

ENCRYPTED = 0x0001 | 0x0040  # traditional, strong
STREAMED = 0x0008  # crc and sizes are in a descriptor behind the data
UTF8 = 0x0800
ZIP64_EXTRA = 0x0001
FULL32 = 0xFFFFFFFF  # "see the zip64 field"
MAX_COMMENT = 0xFFFF
METHODS = {0: "stored", 8: "deflated"}

# Descriptors, in the order they are tried: signature or not, sizes of 8 or 4 bytes.
DESCRIPTORS = (
    struct.Struct("<4sI2Q"),
    struct.Struct("<4sI2I"),
    struct.Struct("<I2Q"),
    struct.Struct("<I2I"),
)


@dataclass(frozen=True, slots=True)
class End:
    """The end records. Offsets are absolute; `shift` is what lies in front of the archive."""

    directory: int
    directory_bytes: int
    count: int
    shift: int
    offset: int
    end: int  # behind the fixed part of the end record, where the comment starts
    comment: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A central directory entry as it stands. mode: Unix' mode of the file, 0 where not given."""

    at: int
    raw_name: bytes
    flags: int
    method: int
    crc32: int
    compressed: int
    size: int
    header_offset: int
    mode: int = 0


def find_end(source: ByteSource) -> End:
    """The last end record, and the zip64 one before it where there is one."""
    tail_size = min(source.size, END.size + MAX_COMMENT)
    tail = bytes(source.view(source.size - tail_size, tail_size))
    place = tail.rfind(END_SIGN, 0, max(tail_size - END.size + len(END_SIGN), 0))
    if place < 0:
        raise Truncated(
            f"no zip end record in the last {tail_size:,} bytes: the file is cut off "
            "(or is no zip); fetch it again",
            source.path,
            source.size,
        )
    offset = source.size - tail_size + place
    _, disk, start_disk, here, count, size, start, comment = END.unpack_from(tail, place)
    comment = min(comment, source.size - offset - END.size)
    first = offset  # where the end records begin
    locator = offset - LOCATOR64.size
    wide = locator >= 0 and bytes(source.view(locator, 4)) == LOCATOR64_SIGN
    if wide:
        first, (disk, start_disk, here, count, size, start) = _read_end64(source, locator)
    if disk or start_disk or here != count:
        raise Unsupported("a zip of several disks; join it first", source.path, offset)
    source.expect([(first - size, size)])
    shift = first - size - start
    if shift < 0:
        raise Truncated(
            f"the central directory lies outside the file: {-shift:,} bytes are missing before "
            "it; fetch it again",
            source.path,
            offset,
        )
    return End(start + shift, size, count, shift, offset, offset + END.size, comment)


def _read_end64(source: ByteSource, locator: int) -> tuple[int, tuple[int, ...]]:
    """Offset of the zip64 end record, and its (disk, start disk, here, count, size, start)."""
    _, disk, stated, disks = LOCATOR64.unpack(source.view(locator, LOCATOR64.size))
    if disk or disks > 1:
        raise Unsupported("a zip of several disks; join it first", source.path, locator)
    # Bytes put in front of an archive move the record; it then stands right before its locator.
    for offset in (stated, locator - END64.size):
        if 0 <= offset <= locator - END64.size:
            record = END64.unpack(source.view(offset, END64.size))
            if record[0] == END64_SIGN and offset + 12 + record[1] == locator:
                return offset, record[4:]
    raise Corrupt("the zip64 end record is not where its locator says", source.path, locator)


def entries(source: ByteSource, end: End, limits: Limits) -> Iterator[Entry]:
    """The central directory's entries, as many as its bytes hold."""
    at, stop, seen = end.directory, end.directory + end.directory_bytes, 0
    while at < stop:
        seen += 1
        if seen > limits.nodes:
            raise LimitExceeded("nodes", seen, limits.nodes, source.path, at)
        if at + CENTRAL.size > stop:
            raise Corrupt("the central directory ends inside an entry", source.path, at)
        record = CENTRAL.unpack(source.view(at, CENTRAL.size))
        sign, _, _, flags, method, _, _, crc32, compressed, size = record[:10]
        name_size, extra_size, comment_size, disk, _, external, header = record[10:]
        after = at + CENTRAL.size + name_size + extra_size + comment_size
        if sign != CENTRAL_SIGN or after > stop:
            raise Corrupt("the central directory has no entry here", source.path, at)
        name = bytes(source.view(at + CENTRAL.size, name_size))
        extra = bytes(source.view(at + CENTRAL.size + name_size, extra_size))
        size, compressed, header = wide_values(extra, (size, compressed, header), source.path, at)
        if disk not in (0, 0xFFFF):
            raise Unsupported("a zip of several disks; join it first", source.path, at)
        start, mode = header + end.shift, external >> 16
        yield Entry(at, name, flags, method, crc32, compressed, size, start, mode)
        at = after


def wide_values(extra: bytes, values: tuple[int, ...], path: str, at: int) -> tuple[int, ...]:
    """`values`, those that are full replaced from the zip64 field, in its order."""
    if FULL32 not in values:
        return values
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        body = extra[place + 4 : place + 4 + length]
        place += 4 + length
        if kind != ZIP64_EXTRA:
            continue
        fields = iter([part for (part,) in struct.iter_unpack("<Q", body[: len(body) // 8 * 8])])
        try:
            return tuple(next(fields) if value == FULL32 else value for value in values)
        except (StopIteration, RuntimeError):
            raise Corrupt("its zip64 field is too short", path, at) from None
    return values


def descriptor_size(source: ByteSource, at: int, entry: Entry) -> int:
    """Length of the data descriptor at `at`; 0 where none fits the entry."""
    wanted = (entry.crc32, entry.compressed, entry.size)
    for form in DESCRIPTORS:
        if at + form.size <= source.size:
            *sign, crc32, compressed, size = form.unpack(source.view(at, form.size))
            if sign in ([], [DESCRIPTOR_SIGN]) and (crc32, compressed, size) == wanted:
                return form.size
    return 0


def decode_name(raw: bytes, flags: int) -> str:
    """A member's name as `zipfile` gives it: up to the first NUL."""
    text = raw.decode("utf-8", "replace") if flags & UTF8 else raw.decode("cp437")
    return text.split("\0", 1)[0]
