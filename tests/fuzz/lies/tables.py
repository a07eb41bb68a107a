"""Sorted tables (a checkpoint's index) whose blocks and checksums hold, but not their entries."""

from __future__ import annotations

import random
import struct

from tests.builders.bundles import MAGIC, masked, table
from tests.fuzz.lies import protobuf, raw
from tests.fuzz.lies.protobuf import read_varint

Entries = list[tuple[bytes, bytes]]
_FOOTER, _TRAILER = 48, 5


def is_one(content: bytes) -> bool:
    return len(content) >= _FOOTER and content[-8:] == struct.pack("<Q", MAGIC)


def lie(content: bytes, rng: random.Random, trusted: bool = True) -> bytes:
    try:
        blocks = handles(content)
        if rng.randrange(3) == 0:
            return _in_a_block(content, rng.choice(blocks), rng)
        entries = [one for handle in blocks[:-1] for one in _entries(content, handle)]
        if not entries:
            return raw.lie(content, rng)
        return table(_lie_in(entries, rng), interval=rng.choice((1, 16, 16, 16)))
    except (IndexError, struct.error, ValueError):
        return raw.lie(content, rng)


def handles(content: bytes) -> list[tuple[int, int]]:
    """(offset, size) of each block of data, then of the index."""
    at = len(content) - _FOOTER
    numbers = []
    for _ in range(4):
        value, at = read_varint(content, at)
        numbers.append(value)
    index = (numbers[2], numbers[3])
    found = []
    for _, value in _entries(content, index):
        offset, at = read_varint(value, 0)
        size, _ = read_varint(value, at)
        found.append((offset, size))
    return [*found, index]


def _entries(content: bytes, handle: tuple[int, int]) -> Entries:
    data = content[handle[0] : handle[0] + handle[1]]
    (count,) = struct.unpack("<I", data[-4:])
    end, at, key = len(data) - 4 - 4 * count, 0, b""
    found: Entries = []
    while at < end:
        shared, at = read_varint(data, at)
        fresh, at = read_varint(data, at)
        length, at = read_varint(data, at)
        key = key[:shared] + data[at : at + fresh]
        at += fresh
        found.append((key, data[at : at + length]))
        at += length
    return found


def _in_a_block(content: bytes, handle: tuple[int, int], rng: random.Random) -> bytes:
    """Wrong bytes in a block, under a checksum that says they are right."""
    start, size = handle
    changed = bytearray(content[start : start + size])
    for _ in range(rng.choice((1, 1, 3))):
        at = rng.randrange(len(changed))
        # The points where keys are spelled out are the last of a block.
        at = max(len(changed) - 1 - at % 12, 0) if rng.randrange(3) == 0 else at
        changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, changed[at] ^ 1))
    kind = content[start + size : start + size + 1] if rng.randrange(4) else b"\1"
    sealed = bytes(changed) + kind
    tail = content[start + size + _TRAILER :]
    return content[:start] + sealed + struct.pack("<I", masked(sealed)) + tail


def _lie_in(entries: Entries, rng: random.Random) -> Entries:
    at = rng.randrange(len(entries))
    key, value = entries[at]
    kind = rng.randrange(8)
    if kind < 3:
        entries[at] = (key, protobuf.lie(value, rng))
    elif kind == 3:
        entries[at] = (rng.choice(raw.NAMES).encode("utf-8", "surrogatepass"), value)
    elif kind == 4:
        entries[at:at] = [(key, value)] * rng.choice((1, 300))
    elif kind == 5:
        entries[at] = (key, rng.choice(entries)[1])
    elif kind == 6:
        del entries[at]
    else:
        rng.shuffle(entries)
    return entries
