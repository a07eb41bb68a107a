"""LiteRT models in which one field lies: an offset, a number, a length, a vtable's slot.

The schema tells what a field is; the file is walked down from its root at random.
"""

from __future__ import annotations

import random
import struct

from inspector.wire.flatbuffer import SCALARS
from inspector.wire.flatbuffer_schema import Field
from inspector.wire.tflite_schema import SCHEMA
from tests.fuzz.lies import raw

_DOWN = 0.85  # how likely it is to follow an offset rather than to lie about it
_DEEPEST = 100


def is_one(content: bytes) -> bool:
    return content[4:8] == b"TFL3"


def lie(content: bytes, rng: random.Random, trusted: bool = True) -> bytes:
    try:
        at, width = _place(content, rng)
    except (struct.error, IndexError, ValueError):
        return raw.lie(content, rng)
    if not 0 <= at <= len(content) - width:  # where an earlier lie leads
        return raw.lie(content, rng)
    changed = bytearray(content)
    new = raw.number(rng, width, int.from_bytes(content[at : at + width], "little"))
    if width == 4 and rng.randrange(4) == 0:
        # An offset to any other part of the file: into itself, or into what was passed.
        new = struct.pack("<i", rng.randrange(len(content)) - at)
    changed[at : at + width] = new
    return bytes(changed)


def _place(content: bytes, rng: random.Random) -> tuple[int, int]:
    """Offset and width of a number that means something."""
    pointer, kind = 0, "Model"
    for _ in range(_DEEPEST):
        table = _follow(content, pointer)
        slots = _slots(content, table)
        known = SCHEMA.fields(kind).values() if kind in SCHEMA.tables else ()
        fields = [one for one in known if one.slot < len(slots) and slots[one.slot]]
        if not fields or rng.random() < 0.05:
            vtable = table - struct.unpack_from("<i", content, table)[0]
            return rng.choice(((table, 4), (vtable + 2 * rng.randrange(len(slots) + 2), 2)))
        field = rng.choice(fields)
        place = table + slots[field.slot]
        if field.kind in SCHEMA.unions:
            # Two slots: the number of the type, then the value.
            names = SCHEMA.unions[field.kind]
            number = content[place]
            if number > len(names) or not number or rng.random() > _DOWN:
                return place, 1
            pointer, kind = table + slots[field.slot + 1], names[number - 1]
            continue
        pointer, width = _inside(content, field, place, rng)
        if width:
            return pointer, width
        kind = field.kind
    return 4, 4


def _slots(content: bytes, table: int) -> list[int]:
    vtable = table - struct.unpack_from("<i", content, table)[0]
    length = struct.unpack_from("<H", content, vtable)[0]
    return list(struct.unpack_from(f"<{max(length - 4, 0) // 2}H", content, vtable + 4))


def _follow(content: bytes, at: int) -> int:
    ahead: int = struct.unpack_from("<I", content, at)[0]
    return at + ahead


def _inside(content: bytes, field: Field, place: int, rng: random.Random) -> tuple[int, int]:
    """A number of the field and its width; or the offset to a table, and 0."""
    scalar = field.kind in SCALARS
    if scalar and not field.many:
        return place, SCALARS[field.kind].size
    if rng.random() > _DOWN:
        return place, 4
    if not field.many:
        return (_follow(content, place), 4) if field.kind == "string" else (place, 0)
    start = _follow(content, place)
    count = struct.unpack_from("<I", content, start)[0]
    if not count or rng.random() > _DOWN:
        return start, 4
    if scalar:
        size = SCALARS[field.kind].size
        return start + 4 + size * rng.randrange(count), size
    return start + 4 + 4 * rng.randrange(count), 4 * (field.kind == "string")
