"""Sorted tables of keys and values, as LevelDB and TensorFlow write them, every byte placed.

Source of the format: LevelDB's doc/table_format.md. TensorFlow's keys are plain (no sequence
numbers), its blocks 256 KiB and not compressed; Snappy was written by TensorFlow 1.1 alone.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from inspector import deadline
from inspector.errors import Corrupt, LimitExceeded, Truncated, UnknownFormat, Unsupported
from inspector.limits import DEFAULT, MIB, Limits
from inspector.model import Problem, Severity
from inspector.storage import Bytes, ByteSource, MemorySource, lazily
from inspector.wire.crc32c import extend_over, mask
from inspector.wire.protobuf import read_varint

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
TRAILER = 5  # of each block: how it is compressed, and the masked crc32c of block and that byte
PLAIN, SNAPPY = 0, 1
# A Snappy copy of 3 bytes gives at most 64: a declared size past 22 to 1 is a lie.
_SNAPPY_RATIO = 22
_WHOLE = 8 * MIB  # a table so small is read whole: its blocks are its entries


class Block(NamedTuple):
    """A block's bytes in the file, without its trailer. last: no key in it is past this one."""

    offset: int
    size: int
    last: bytes = b""


class Entry(NamedTuple):
    """A key, and where its value is: `length` bytes at `offset` of `source`.

    source: the table's own, or the inflated block in memory where the block was compressed.
    """

    key: bytes
    source: ByteSource
    offset: int
    length: int

    def view(self) -> memoryview:
        """The value."""
        return self.source.view(self.offset, self.length)


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose index has been read.

    overhead: bytes of the file by label, adding up to its size. problems: blocks whose crc does
    not hold, gaps.
    """

    source: ByteSource
    limits: Limits
    blocks: tuple[Block, ...]
    overhead: dict[str, int]
    problems: tuple[Problem, ...]
    _lasts: list[bytes] = field(repr=False)

    def entries(self) -> Iterator[Entry]:
        """Every entry in key order; a key may come twice.

        Raises Corrupt (a block that is none, keys out of order), Unsupported (a compression),
        LimitExceeded (`nodes`, `key_bytes`, `keys_bytes`, `block_bytes`).
        """
        before, count, total = b"", 0, 0
        for block in self.blocks:
            for entry in deadline.watched(_block_entries(self.source, block, self.limits)):
                if entry.key < before or entry.key > block.last:
                    raise Corrupt(
                        f"key {_short(entry.key)} is out of order", self.source.path, block.offset
                    )
                before = entry.key
                count += 1
                total += len(entry.key)
                _check_limit(self.limits, "nodes", count, self.source, block.offset)
                _check_limit(self.limits, "keys_bytes", total, self.source, block.offset)
                yield entry

    def get(self, key: bytes) -> Entry | None:
        """The first entry of a key; reads only the block that may hold it. Raises as `entries`."""
        for block in self.blocks[bisect.bisect_left(self._lasts, key) :]:
            for entry in _block_entries(self.source, block, self.limits):
                if entry.key >= key:
                    return entry if entry.key == key else None
        return None


def read_table(source: ByteSource, limits: Limits = DEFAULT) -> Table:
    """The blocks of a table, each one's crc checked. Reads no entry yet.

    Raises Truncated (shorter than a footer), UnknownFormat (no magic), Corrupt (a footer or an
    index that is none, a block outside the file or in another), and what `Table.entries` raises.
    """
    path, size = source.path, source.size
    if size < FOOTER:
        raise Truncated(
            f"has {size:,} bytes, and a table ends with a footer of {FOOTER}", path, size
        )
    start = size - FOOTER
    if size <= _WHOLE:
        source.expect([(0, size)])
    footer = source.view(start, FOOTER)
    if int.from_bytes(footer[-8:], "little") != MAGIC:
        raise UnknownFormat("is no table of keys: the magic at its end is missing", path, size - 8)
    meta, at = _handle(footer[:-8], 0, path, start)
    index, at = _handle(footer[:-8], at, path, start)
    problems = []
    if any(footer[at:-8]):
        message = "the padding of the footer is not zero: its bytes were changed after writing"
        problems.append(Problem("table-footer", Severity.WARNING, message, path, start + at))
    for one in (meta, index):
        _check_inside(source, one, start)
    blocks: list[Block] = []
    for entry in _block_entries(source, index, limits):
        block, _ = _handle(entry.view(), 0, path, index.offset)
        if blocks and entry.key < blocks[-1].last:
            raise Corrupt(f"index key {_short(entry.key)} is out of order", path, index.offset)
        _check_inside(source, block, start)
        blocks.append(block._replace(last=entry.key))
        _check_limit(limits, "nodes", len(blocks), source, index.offset)
    return _accounted(source, limits, tuple(blocks), (meta, index), problems)


def _accounted(
    source: ByteSource,
    limits: Limits,
    blocks: tuple[Block, ...],
    others: tuple[Block, ...],
    problems: list[Problem],
) -> Table:
    """The table, its bytes added up and its crcs checked."""
    every = sorted((*blocks, *others))
    for before, after in pairwise(every):
        if before.offset + before.size + TRAILER > after.offset:
            # Refused, so that what a file of any size can cost stays in step with its size.
            raise Corrupt(
                f"a block starts within the one at {before.offset:,}", source.path, after.offset
            )
    problems += (problem for block in every for problem in _crc_problem(source, block))
    data, index = (sum(one.size + TRAILER for one in part) for part in (blocks, others))
    gaps = source.size - FOOTER - data - index
    if gaps:
        message = f"{gaps:,} bytes belong to no block of the table"
        problems.append(Problem("table-gaps", Severity.WARNING, message, source.path))
    overhead = {
        "table blocks": data,
        "table index": index,
        "table footer": FOOTER,
        "table gaps": gaps,
    }
    return Table(
        source,
        limits,
        blocks,
        {label: size for label, size in overhead.items() if size},
        tuple(problems),
        [block.last for block in blocks],
    )


def _crc_problem(source: ByteSource, block: Block) -> Iterator[Problem]:
    stored = int.from_bytes(source.view(block.offset + block.size + 1, 4), "little")
    found = mask(extend_over(0, source, block.offset, block.size + 1))
    if stored != found:
        yield Problem(
            "table-checksum",
            Severity.ERROR,
            f"the block of {block.size:,} bytes has crc {found:08x}, its trailer says"
            f" {stored:08x}: its bytes changed, and TensorFlow refuses it",
            source.path,
            block.offset,
        )


def _handle(view: memoryview, at: int, path: str, base: int) -> tuple[Block, int]:
    """A block handle (offset, size), and where the next byte of the view is."""
    offset, at = read_varint(view, at, path, base)
    size, at = read_varint(view, at, path, base)
    return Block(offset, size), at


def _check_inside(source: ByteSource, block: Block, stop: int) -> None:
    if block.offset + block.size + TRAILER > stop:
        raise Corrupt(
            f"a block of {block.size:,} bytes at {block.offset:,} lies outside the table's"
            f" {stop:,} bytes",
            source.path,
            min(block.offset, stop),
        )


def _check_limit(limits: Limits, name: str, value: int, source: ByteSource, at: int) -> None:
    limit = getattr(limits, name)
    if value > limit:
        raise LimitExceeded(name, value, limit, source.path, at)


def _short(key: bytes) -> str:
    return repr(key[:60])[1:]


def _block_entries(source: ByteSource, block: Block, limits: Limits) -> Iterator[Entry]:
    """The entries of one block, their keys spelled out."""
    inner, base, size = _inflated(source, block, limits)
    path, view = inner.path, lazily(inner, base, size)
    restarts, stop = _restarts(view, path, base)
    due, key, at, total = 0, b"", 0, 0
    while at < stop:
        start = at
        shared, at = _small(view, at, path, base)
        fresh, at = _small(view, at, path, base)
        length, at = _small(view, at, path, base)
        if due < len(restarts) and restarts[due] == start:
            due += 1
            if shared:
                raise Corrupt("a restart point leans on the key before it", path, base + start)
        if shared > len(key):
            raise Corrupt(f"shares {shared:,} bytes with a key of {len(key):,}", path, base + start)
        if at + fresh + length > stop:
            raise Corrupt("an entry runs past its block", path, base + start)
        _check_limit(limits, "key_bytes", shared + fresh, inner, base + start)
        total += shared + fresh
        _check_limit(limits, "keys_bytes", total, inner, base + start)
        key = key[:shared] + bytes(view[at : at + fresh])
        at += fresh + length
        yield Entry(key, inner, base + at - length, length)
    # An empty block still has its first restart point, at 0.
    if due < len(restarts) and restarts[due:] != (0,):
        raise Corrupt("a restart point is no entry's start", path, base + restarts[due])


def _small(view: Bytes, at: int, path: str, base: int) -> tuple[int, int]:
    byte = view[at] if at < len(view) else 0x80
    return (byte, at + 1) if byte < 0x80 else read_varint(view, at, path, base)


def _restarts(view: Bytes, path: str, base: int) -> tuple[tuple[int, ...], int]:
    """The restart points of a block, and where its entries stop."""
    size = len(view)
    if size < 4:
        raise Corrupt(f"a block of {size} bytes has no restart points", path, base)
    count = int.from_bytes(view[size - 4 :], "little")
    stop = size - 4 - 4 * count
    if stop < 0:
        raise Corrupt(f"claims {count:,} restart points in {size:,} bytes", path, base + size - 4)
    points = struct.unpack(f"<{count}I", view[stop : size - 4])
    if any(a >= b for a, b in pairwise(points)) or (points and points[-1] > stop):
        raise Corrupt("its restart points are out of order", path, base + stop)
    if stop and not points:
        raise Corrupt("a block of entries has no restart points", path, base + stop)
    return points, stop


def _inflated(source: ByteSource, block: Block, limits: Limits) -> tuple[ByteSource, int, int]:
    """Where a block's bytes can be read: (source, offset, size)."""
    kind = source.view(block.offset + block.size, 1)[0]
    if kind == PLAIN:
        return source, block.offset, block.size
    if kind != SNAPPY:
        raise Unsupported(f"blocks of compression {kind} are not read", source.path, block.offset)
    try:
        import cramjam
    except ImportError:
        raise Unsupported(
            "a block is compressed with Snappy: install the package cramjam to read it",
            source.path,
            block.offset,
        ) from None
    path, at = source.path, block.offset
    size, _ = read_varint(lazily(source, at, block.size), 0, path, at)
    _check_limit(limits, "block_bytes", size, source, at)
    _check_limit(limits, "block_bytes", block.size, source, at)
    packed = source.view(at, block.size)
    if size > _SNAPPY_RATIO * block.size:
        raise Corrupt(f"a block of {block.size:,} bytes declares {size:,}", path, at)
    try:
        data = bytes(cramjam.snappy.decompress_raw(bytes(packed)))
    except cramjam.DecompressionError as error:
        raise Corrupt(f"a block cannot be inflated ({error})", path, at) from None
    if len(data) != size:
        raise Corrupt(f"a block inflates to {len(data):,} of {size:,} bytes", path, at)
    return MemorySource(data, f"{path} (the block at {at:,}, inflated)"), 0, size
