"""Mutated artifacts, opened one after another in a process of their own.

Run as `python -m tests.builders.fuzz FOLDER FIRST LAST SAMPLE...`: prints each seed before it is
tried, so that a crash or a hang in a library can be told from the last line; then the memory
taken at most, in KiB.
"""

import os
import random
import sys

from inspector.api import show
from inspector.errors import InspectorError
from inspector.read import read
from tests.builders.checks import assert_adds_up, peak

ENDS = (b"\0", b"\xff", b"\1\0", b"\xff" * 4, b"\0" * 8, b"\xff" * 8, b"\x7f", b"\0\0\0\x80")
BLOCKS = 20  # of each tensor's values, 64 KiB each


def flip(content, rng):
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def extreme(content, rng):
    at, value = rng.randrange(len(content)), rng.choice(ENDS)
    content[at : at + len(value)] = value


def truncate(content, rng):
    del content[rng.randrange(1, len(content)) :]


def splice(content, rng):
    at, source, length = (
        rng.randrange(len(content)),
        rng.randrange(len(content)),
        1 << rng.randrange(9),
    )
    content[at : at + length] = content[source : source + length]


def insert(content, rng):
    at = rng.randrange(len(content))
    content[at:at] = bytes(rng.choice((1, 8, 512)))


# What hits the structure is tried more often than what is caught by the size alone.
KINDS = (flip, flip, extreme, extreme, splice, splice, truncate, insert)


def mutated(content: bytes, seed: int) -> bytes:
    rng = random.Random(seed)
    changed = bytearray(content)
    kind = rng.choice(KINDS)
    for _ in range(1 if kind is truncate else rng.choice((1, 2, 4, 16))):
        kind(changed, rng)
    return bytes(changed)


def attempt(path: str) -> None:
    """Open it, or be refused; then its values; then the whole report."""
    try:
        with read(path) as result:
            assert_adds_up(result.artifact)
            for tensor in result.artifact.tensors:
                try:
                    blocks = tensor.payload.blocks(1 << 16) if tensor.payload else iter(())
                    for _ in zip(range(BLOCKS), blocks, strict=False):
                        pass
                except InspectorError:
                    continue
    except InspectorError as error:
        message = str(error)
        assert message
        assert "\n" not in message
    (report,) = show([path], threads=1).artifacts
    assert not report.readable or sum(report.bytes.values()) == report.nbytes


def main(folder: str, first: str, last: str, *samples: str) -> None:
    for sample in samples:
        with open(sample, "rb") as file:
            content = file.read()
        path = os.path.join(folder, f"mutated-{os.path.basename(sample)}")
        for seed in range(int(first), int(last)):
            print(os.path.basename(sample), seed, flush=True)
            with open(path, "wb") as file:
                file.write(mutated(content, seed))
            attempt(path)
    print(peak())


if __name__ == "__main__":
    main(*sys.argv[1:])
