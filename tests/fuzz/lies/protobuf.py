"""Messages that parse still: each length around the lie is made right again."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.builders.bundles import chunk, tag, varint
from tests.fuzz.lies import raw

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WIDTHS = {FIXED64: 8, FIXED32: 4}
NUMBERS = (0, 1, 2, 3, 7, 14, 23, 127, 128, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
           1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 2)  # fmt: skip
_DEEPEST = 14
_DOWN = 0.88  # how likely it is to go into a message rather than to lie about it


class Field(NamedTuple):
    """Where a field begins, its value begins, and both end; its number and wire type."""

    start: int
    value: int
    end: int
    number: int
    wire: int


def read_varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise IndexError


def scan(content: bytes) -> list[Field]:
    """The fields of a message; none where it is no message."""
    found, at = [], 0
    try:
        while at < len(content):
            start = at
            key, at = read_varint(content, at)
            wire, value = key & 7, at
            if wire == VARINT:
                _, at = read_varint(content, at)
            elif wire == BYTES:
                length, value = read_varint(content, at)
                at = value + length
            else:
                at += WIDTHS[wire]
            if at > len(content) or not 0 < key >> 3 < 1 << 20:
                return []
            found.append(Field(start, value, at, key >> 3, wire))
    except (IndexError, KeyError):
        return []
    return found


def is_one(content: bytes) -> bool:
    return bool(scan(content))


def lie(content: bytes, rng: random.Random, trusted: bool = True, depth: int = 0) -> bytes:
    fields = scan(content)
    if not fields:
        return leaf(content, rng)
    one = rng.choice(fields)
    value = content[one.value : one.end]
    down = one.wire == BYTES and depth < _DEEPEST and rng.random() < _DOWN and scan(value)
    if down:
        changed = chunk(one.number, lie(value, rng, trusted, depth + 1))
    else:
        changed = _changed(content, one, fields, rng)
    return content[: one.start] + changed + content[one.end :]


def leaf(value: bytes, rng: random.Random) -> bytes:
    """Another text or other bytes."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(raw.NAMES).encode("utf-8", "surrogatepass")
    if kind == 1:
        return value + rng.choice(raw.NAMES[:-2]).encode("utf-8", "surrogatepass")
    if kind == 2:
        return b""
    return raw.lie(value, rng) if kind == 3 else b"\xff\xfe" + value


def _changed(content: bytes, one: Field, fields: list[Field], rng: random.Random) -> bytes:
    whole, value = content[one.start : one.end], content[one.value : one.end]
    other = rng.choice(fields)
    kind = rng.randrange(9)
    if kind == 0:
        return b""
    if kind == 1:
        return whole * rng.choice((2, 3, 1000 if len(whole) < 500 else 4))
    if kind == 2:  # another's value under this number: a type that does not fit
        return tag(one.number, other.wire) + content[other.start : other.end][1:]
    if kind == 3:  # a number that is none, or another field's
        number = rng.choice((other.number, one.number + 1, 15, 999, 1 << 28))
        return tag(number, one.wire) + (varint(len(value)) if one.wire == BYTES else b"") + value
    if kind == 4 and one.wire == BYTES:  # a length that is not the value's
        length = rng.choice((*NUMBERS, len(value) + 1, max(len(value) - 1, 0)))
        return tag(one.number, BYTES) + varint(length) + value
    if kind == 5:  # deeper than anybody goes
        nested = whole
        for _ in range(rng.choice((2, 150, 2000))):
            nested = chunk(one.number, nested)
        return nested
    if kind == 6:
        return whole + content[other.start : other.end]
    if one.wire == VARINT:
        return tag(one.number, VARINT) + varint(rng.choice(NUMBERS))
    if one.wire == BYTES:
        return chunk(one.number, leaf(value, rng))
    return tag(one.number, one.wire) + raw.number(rng, len(value), int.from_bytes(value, "little"))
