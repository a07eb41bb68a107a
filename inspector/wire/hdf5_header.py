"""Where the attributes of an HDF5 object are in its header, so that one can be sized before use.

libhdf5 sets memory aside for as much text as an attribute claims, up to 4 GiB, before it looks.
Source: HDF5 File Format Specification, "Disk Format: Level 2A - Data Object Headers" and IV.A.2.m
(attribute message). Attributes kept outside the header (dense storage) are not found here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from inspector.errors import Truncated
from inspector.storage import ByteSource

NEW_HEADER = b"OHDR"
# An object header of version 1 has no signature: its version and a 0.
OLD_HEADER = b"\1\0"
ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_FLAG_TIMES, _FLAG_PHASES, _FLAG_ORDER = 0x20, 0x10, 0x04
# A reference to a value of variable length: bytes of the value, address of its heap, number there.
_REFERENCE = struct.Struct("<IQI")


def claimed_text(source: ByteSource, place: int, start: int, name: bytes, count: int) -> int | None:
    """Bytes of text that an attribute of `count` texts claims; None where it is not in the header.

    place: the header's offset in the file; start: of the HDF5 file in the source (user block).
    """
    try:
        for kind, at, size in messages(source, place, start):
            if kind == ATTRIBUTE:
                found, value = attribute(bytes(source.view(at, size)))
                if found == name:
                    raw = source.view(at + value, count * _REFERENCE.size)
                    return sum(int(length) for length, _, _ in _REFERENCE.iter_unpack(raw))
    except (Truncated, struct.error, IndexError):
        return None
    return None


def check_header(source: ByteSource, place: int, start: int) -> None:
    """Raise OSError where a header's blocks are longer than the file: libhdf5 holds each whole."""
    try:
        for _ in messages(source, place, start):
            pass
    except (Truncated, struct.error, IndexError):
        return  # short of what it needs: libhdf5 says so itself


def messages(source: ByteSource, place: int, start: int) -> Iterator[tuple[int, int, int]]:
    """(type, offset, length) of each message of a header, those of further blocks included.

    place: the header's offset in the file; start: of the HDF5 file in the source (user block).
    Raises Truncated, struct.error, or OSError where its blocks are longer than the file.
    """
    head = bytes(source.view(place, 6))
    modern = head[:4] == NEW_HEADER
    if modern:
        flags, at = head[5], place + 6
        at += 16 * bool(flags & _FLAG_TIMES) + 4 * bool(flags & _FLAG_PHASES)
        width = 1 << (flags & 3)
        size = int.from_bytes(source.view(at, width), "little")
        prefix = struct.Struct("<BHB2x" if flags & _FLAG_ORDER else "<BHB")
        blocks = [(at + width, size)]
    else:
        (size,) = struct.unpack("<I", source.view(place + 8, 4))
        prefix = struct.Struct("<HHB3x")
        blocks = [(place + 16, size)]
    total = 0
    for block, length in blocks:
        total += length + prefix.size  # blocks that lead round in circles add up too
        if length < 0 or total > source.size:
            raise OSError(
                f"the object header at byte {place:,} claims more bytes than the file has"
            )
        at = block
        while at + prefix.size <= block + length:
            kind, size, _ = prefix.unpack(source.view(at, prefix.size))
            at += prefix.size
            yield kind, at, size
            if kind == _CONTINUATION:
                offset, more = struct.unpack("<QQ", source.view(at, 16))
                # A modern block has a signature in front and a checksum behind.
                blocks.append((offset + start + 4, more - 8) if modern else (offset + start, more))
            at += size


def attribute(message: bytes) -> tuple[bytes, int]:
    """An attribute message's name, and where in it the value begins."""
    version = message[0]
    name, kind, space = struct.unpack_from("<HHH", message, 2)
    at = 9 if version == 3 else 8  # version 3 tells the name's character set
    text = message[at : at + name].split(b"\0", 1)[0]
    parts = (name, kind, space)
    return text, at + sum(-(-part // 8) * 8 if version == 1 else part for part in parts)
