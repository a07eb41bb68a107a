"""The first bytes of an HDF5 file: where it starts and ends, and whether it was closed.

Read without h5py, so that a file that libhdf5 refuses still gets its right reason.
Source: HDF5 File Format Specification, "Disk Format: Level 0A - Format Signature and Superblock".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from inspector.errors import Corrupt, Truncated, Unsupported
from inspector.storage import ByteSource

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_OPEN_FOR_WRITE = 0b001
_SINGLE_WRITER = 0b100
# A user block is a power of two from 512 on; past this the signature is not looked for.
_LAST_POWER = 30


@dataclass(frozen=True, slots=True)
class Superblock:
    """start: offset of the signature (the user block's length); end: where the file should end.

    Both in bytes from the start of the file; length: of the superblock itself.
    """

    version: int
    start: int
    end: int
    length: int
    open_for_write: bool


def find_signature(source: ByteSource) -> int | None:
    """Offset of the HDF5 signature: 0, or 512, 1024, 2048 ... behind a user block; else None."""
    width = len(SIGNATURE)
    starts = [0, *(1 << power for power in range(9, _LAST_POWER + 1))]
    inside = [start for start in starts if start + width <= source.size]
    for start in inside:
        if source.view(start, width) == SIGNATURE:
            return start
        if not start:
            source.expect((one, width) for one in inside)
    return None


def read_superblock(source: ByteSource) -> Superblock:
    """Parse the superblock. Raises Truncated, Corrupt (no signature) or Unsupported."""
    start = find_signature(source)
    if start is None:
        raise Corrupt("no HDF5 signature", source.path)
    try:
        version = source.view(start + 8, 1)[0]
        if version <= 1:
            return _version_0_or_1(source, start, version)
        if version <= 3:
            return _version_2_or_3(source, start, version)
    except Truncated:
        raise Truncated(
            f"ends inside the HDF5 superblock: {source.size:,} bytes", source.path, start
        ) from None
    raise Unsupported(f"HDF5 superblock version {version} is not known", source.path, start + 8)


def _version_0_or_1(source: ByteSource, start: int, version: int) -> Superblock:
    width = source.view(start + 13, 1)[0]
    at = start + (24 if version == 0 else 28)
    base, _free, end, _driver = _addresses(source, at, 4, width)
    # The root group's symbol table entry: two addresses, 8 bytes, 16 bytes of scratch.
    length = at + 4 * width + 2 * width + 24 - start
    return Superblock(version, start, _absolute(base, end, start), length, open_for_write=False)


def _version_2_or_3(source: ByteSource, start: int, version: int) -> Superblock:
    width, _lengths, flags = source.view(start + 9, 3)
    base, _extension, end, _root = _addresses(source, start + 12, 4, width)
    return Superblock(
        version,
        start,
        _absolute(base, end, start),
        12 + 4 * width + 4,
        open_for_write=version == 3 and bool(flags & (_OPEN_FOR_WRITE | _SINGLE_WRITER)),
    )


def _addresses(source: ByteSource, at: int, count: int, width: int) -> tuple[int, ...]:
    code = {2: "H", 4: "I", 8: "Q"}.get(width)
    if code is None:
        raise Corrupt(f"HDF5 addresses of {width} bytes do not exist", source.path, at)
    return struct.unpack(f"<{count}{code}", source.view(at, count * width))


def _absolute(base: int, end: int, start: int) -> int:
    # A file copied behind a new user block keeps its old base; libhdf5 then goes by the place
    # where it found the signature, and so do we.
    return end - base + start
