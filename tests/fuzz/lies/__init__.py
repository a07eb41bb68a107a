"""One lie in a file that is right otherwise: told by what the file is, its checksums made good.

Random bytes seldom get past the first check of a container. A lie does: the structure around it
holds, and what the field says (a length, an offset, a count, a type, a name, a link) does not.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.fuzz.lies import flatbuffers, hdf5, json, npy, protobuf, raw, tables, texts, zips
from tests.fuzz.lies.raw import Lie

# What the first bytes look like -> who lies about such files; the first that fits.
FAMILIES: tuple[tuple[Callable[[bytes], bool], Lie], ...] = (
    (hdf5.is_one, hdf5.lie),
    (zips.is_one, zips.lie),
    (flatbuffers.is_one, flatbuffers.lie),
    (tables.is_one, tables.lie),
    (npy.is_one, npy.lie),
    (json.is_one, json.lie),
    (texts.is_one, texts.lie),
    (protobuf.is_one, protobuf.lie),
)
_RAW = 12  # one in so many is no lie, but bytes that are wrong


def lie(content: bytes, rng: random.Random, trusted: bool = True) -> bytes:
    """The content with one lie in it.

    trusted: whether the content is known to be sound, so that libraries may be let at it.
    """
    if content and rng.randrange(_RAW):
        for fits, tell in FAMILIES:
            if fits(content):
                return tell(content, rng, trusted)
    return raw.lie(content, rng, trusted)
