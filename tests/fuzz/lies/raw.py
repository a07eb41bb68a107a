"""Bytes that are wrong, whatever they are part of; and numbers and names that nobody expects."""

from __future__ import annotations

import random
from collections.abc import Callable

Lie = Callable[[bytes, random.Random, bool], bytes]

ENDS = (b"\0", b"\xff", b"\1\0", b"\xff" * 4, b"\0" * 8, b"\xff" * 8, b"\x7f", b"\0\0\0\x80")
NAMES = (
    "", "/", ".", "..", "../../etc/passwd", "/etc/passwd", "a//b", "\0", "a\0b", "\x1b[31mred",
    "\u202egnp", "\x9b31m", "=cmd()", "|", "\n", "\r\n", "\ud7ff", "\uffff", "n" * 70_000,
    "/".join("x" * 3_000), "layers", "kernel:0", "__proto__", "%s%n", "{}", "[[", "`",
)  # fmt: skip


def number(rng: random.Random, width: int, near: int = 0) -> bytes:
    """An integer of `width` bytes, little-endian, at an edge of something; near: what it was."""
    top = 1 << (8 * width)
    edges = (
        0, 1, 2, 7, 8, 255, 256, top - 1, top - 2, top >> 1, (top >> 1) - 1, top >> 2, top >> 4,
        1 << min(30, 8 * width - 1), near - 1, near + 1, near * 2, near * 1000, near ^ 1 << 7,
    )  # fmt: skip
    return (rng.choice(edges) % top).to_bytes(width, "little")


def flip(content: bytearray, rng: random.Random) -> None:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def extreme(content: bytearray, rng: random.Random) -> None:
    at, value = rng.randrange(len(content)), rng.choice(ENDS)
    content[at : at + len(value)] = value


def splice(content: bytearray, rng: random.Random) -> None:
    at, source = rng.randrange(len(content)), rng.randrange(len(content))
    length = 1 << rng.randrange(9)
    content[at : at + length] = content[source : source + length]


def insert(content: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(content))
    content[at:at] = bytes(rng.choice((1, 8, 512)))


def truncate(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content)) :]


# What hits the structure is tried more often than what is caught by the size alone.
KINDS = (flip, flip, extreme, extreme, splice, splice, truncate, insert)


def lie(content: bytes, rng: random.Random, trusted: bool = True) -> bytes:
    changed = bytearray(content or b"\0")
    kind = rng.choice(KINDS)
    for _ in range(1 if kind is truncate else rng.choice((1, 2, 4, 16))):
        if changed:
            kind(changed, rng)
    return bytes(changed)
