"""The changed inputs of an artifact, the same ones every time."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import NamedTuple

from tests.fuzz.copies import Copy
from tests.fuzz.lies import lie

CUTS, BYTES, LIES = 200, 500, 100  # of an artifact, when there is time


class Share(NamedTuple):
    """How many of each kind are tried of an artifact."""

    cuts: int = CUTS
    bytes: int = BYTES
    lies: int = LIES


class Change(NamedTuple):
    """A file of the copy and what becomes of it. kind: "cut", "byte" or "lie"; the `index`-th of
    `part` such inputs of this file.
    """

    kind: str
    file: str
    index: int
    part: int
    seed: str

    def content(self, copy: Copy) -> bytes:
        rng = random.Random(self.seed)
        return MAKERS[self.kind](copy.contents[self.file], self.index, self.part, rng)


def changes(copy: Copy, share: Share) -> Iterator[Change]:
    """The inputs in a fixed order, spread over the files by their sizes, the same every time."""
    name = os.path.basename(copy.path)
    for kind, count in zip(("cut", "byte", "lie"), share, strict=True):
        for file, part in _spread(copy, count):
            for index in range(part):
                seed = f"{name} {os.path.basename(file)} {kind} {index}"
                yield Change(kind, file, index, part, seed)


def _spread(copy: Copy, count: int) -> Iterator[tuple[str, int]]:
    """How many of `count` each file gets: by size, and a twentieth at least, while it lasts."""
    files = sorted(copy.contents, key=lambda file: (len(copy.contents[file]), file))
    total = sum(map(len, copy.contents.values())) or 1
    left = count
    for file in files:
        share = max(count * len(copy.contents[file]) // total, count // 20, 1)
        part = left if file == files[-1] else min(share, left)
        left -= part
        if part and copy.contents[file]:
            yield file, part


def _cut(content: bytes, index: int, part: int, rng: random.Random) -> bytes:
    """The file ends at one of evenly spread places, the first byte among them."""
    return content[: len(content) * index // part]


def _byte(content: bytes, index: int, part: int, rng: random.Random) -> bytes:
    """One place, in the `index`-th of as many equal parts of the file, has another value."""
    first, end = len(content) * index // part, len(content) * (index + 1) // part
    at = min(rng.randrange(first, max(end, first + 1)), len(content) - 1)
    changed = bytearray(content)
    changed[at] ^= rng.choice((0xFF, 0x80, 1 << rng.randrange(8), rng.randrange(1, 256)))
    return bytes(changed)


def _lie(content: bytes, index: int, part: int, rng: random.Random) -> bytes:
    return lie(content, rng)


MAKERS = {"cut": _cut, "byte": _byte, "lie": _lie}
