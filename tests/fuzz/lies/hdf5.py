"""HDF5 files in which one field of the structure lies, its checksum made right again.

Source of the structures: HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

import random
import re
import struct

from tests.fuzz.lies import raw
from tests.fuzz.lies.hdf5_objects import rewritten

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Superblock, object headers, B-trees, heaps, symbol nodes, indexes of chunks, shared messages.
_STRUCTURES = re.compile(
    rb"\x89HDF\r\n\x1a\n|OHDR|OCHK|TREE|SNOD|HEAP|GCOL|FRHP|FHDB|FHIB|FSHD|FSSE|BTHD|BTIN|BTLF"
    rb"|EAHD|EAIB|EASB|EADB|FAHD|FADB|SMTB|SMLI"
    rb"|\x01\x00..[\x01-\x08]\x00\x00\x00....\0\0\0\0",  # an object header of version 1
    re.DOTALL,
)
# A value of a config in an attribute: what stands in its place is as long.
_JSON = re.compile(rb'": ?(true|false|null|-?\d[\d.e+-]*|"[^"\\]{0,60}"|\[[^\[\]]{0,60}\])')
_SAME_LENGTH = (b"null", b"true", b"[[", b"]]", b"{{", b'""', b"9", b"-", b'"', b"1e9", b"\0", b"0")
_LONGEST = 600  # bytes under one checksum that are looked for
_FIELDS = 512  # behind a signature


def is_one(content: bytes) -> bool:
    return content.startswith(SIGNATURE) or SIGNATURE in (content[512:520], content[1024:1032])


def lie(content: bytes, rng: random.Random, trusted: bool = True) -> bytes:
    kind = rng.randrange(10)
    if trusted and kind < 4:
        return rewritten(content, rng)
    if kind == 4:
        return _in_a_config(content, rng)
    return _in_a_field(content, rng)


def _in_a_field(content: bytes, rng: random.Random) -> bytes:
    places = [one.start() for one in _STRUCTURES.finditer(content)]
    if not places:
        return raw.lie(content, rng)
    place = rng.choice(places)
    changed = bytearray(content)
    length = checked(content, place)
    reach = min(length or _FIELDS, _FIELDS, len(content) - place)
    for _ in range(rng.choice((1, 1, 1, 2))):
        width = rng.choice((1, 2, 2, 4, 8, 8))
        # Fields of what has a checksum are packed, all others are aligned.
        at = rng.randrange(4, max(reach - width + 1, 5))
        at = place + (at if length else at - at % width)
        value = struct.pack("<Q", rng.choice((*places, len(content), at)))[:width]
        if rng.randrange(3):
            value = raw.number(rng, width, int.from_bytes(content[at : at + width], "little"))
        changed[at : at + width] = value
    if length:
        end = place + length
        changed[end : end + 4] = struct.pack("<I", lookup3(bytes(changed[place:end])))
    return bytes(changed[: len(content)])


def _in_a_config(content: bytes, rng: random.Random) -> bytes:
    found = list(_JSON.finditer(content))
    if not found:
        return _in_a_field(content, rng)
    one = rng.choice(found)
    length = one.end(1) - one.start(1)
    value = (rng.choice(_SAME_LENGTH) * length)[:length]
    if rng.randrange(2):
        value = rng.choice((b"null", b"[]", b"{}", b'""', b"-1", b"1e99", b"true"))[:length]
        value = value.ljust(length)
    return content[: one.start(1)] + value + content[one.end(1) :]


def checked(content: bytes, place: int) -> int:
    """Bytes of the structure at `place` in front of its checksum; 0 where it has none."""
    end = min(len(content) - 4, place + _LONGEST)
    if content[place : place + 4] == b"OHDR":
        flags = content[place + 5]
        at = place + 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        length = at + width + int.from_bytes(content[at : at + width], "little") - place
        return length if place + length + 4 <= len(content) else 0
    if content[place : place + 4] in (b"TREE", b"SNOD", b"HEAP", b"GCOL") or content[place] == 1:
        return 0
    for at in range(place + 8, end + 1):
        if struct.unpack_from("<I", content, at)[0] == lookup3(content[place:at]):
            return at - place
    return 0


def lookup3(data: bytes) -> int:
    """The checksum of HDF5's metadata: Bob Jenkins' lookup3, 32 bits, beginning with 0."""
    top = 0xFFFFFFFF
    a = b = c = (0xDEADBEEF + len(data)) & top
    if not data:
        return c
    padded = data + bytes(-len(data) % 12)
    words = struct.unpack(f"<{len(padded) // 4}I", padded)

    def turn(value: int, by: int) -> int:
        return (value << by | value >> 32 - by) & top

    for at in range(0, len(words) - 3, 3):
        a, b, c = (a + words[at]) & top, (b + words[at + 1]) & top, (c + words[at + 2]) & top
        a = (a - c) & top ^ turn(c, 4)
        c = (c + b) & top
        b = (b - a) & top ^ turn(a, 6)
        a = (a + c) & top
        c = (c - b) & top ^ turn(b, 8)
        b = (b + a) & top
        a = (a - c) & top ^ turn(c, 16)
        c = (c + b) & top
        b = (b - a) & top ^ turn(a, 19)
        a = (a + c) & top
        c = (c - b) & top ^ turn(b, 4)
        b = (b + a) & top
    a, b, c = (a + words[-3]) & top, (b + words[-2]) & top, (c + words[-1]) & top
    c = ((c ^ b) - turn(b, 14)) & top
    a = ((a ^ c) - turn(c, 11)) & top
    b = ((b ^ a) - turn(a, 25)) & top
    c = ((c ^ b) - turn(b, 16)) & top
    a = ((a ^ c) - turn(c, 4)) & top
    b = ((b ^ a) - turn(a, 14)) & top
    return ((c ^ b) - turn(b, 24)) & top
