"""What reading a level of an HDF5 file's groups will take, said before: far storage is asked once.

Each step is known from what the one before it reads. Nothing is judged here: what is odd is passed
over, and whoever reads it will tell. A source that needs no hints asks for none of them, so that
this costs nothing there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from struct import Struct

from inspector.storage import ByteSource
from inspector.wire.hdf5_plain_layout import (
    CACHED,
    CHUNKED,
    DEEPEST,
    ENTRY,
    HEADER,
    HEAP,
    LAYOUT,
    LOOK,
    MESSAGE,
    MORE,
    NAMES,
    TREE,
)

_CHUNKS = 64  # at most, in a node of a B-tree of chunks
_Ranges = Iterator[tuple[int, int]]


class Ahead:
    """Says what will be read. most: nodes of a level; the rest: bytes of a B-tree's node, of a
    symbol table node.
    """

    def __init__(self, source: ByteSource, most: int, tree_bytes: int, names_bytes: int) -> None:
        self._source, self._most = source, most
        self._tree_bytes, self._names_bytes = tree_bytes, names_bytes

    def announce(self, tables: Sequence[tuple[int, int]]) -> None:
        """What groups are made of, and the headers of what they hold. tables: of each group, where
        its B-tree and its heap are.
        """
        expect = self._source.expect
        expect(one for table in tables for one in self._table(*table))
        expect(self._names(tables))
        trees, leaves = [tree for tree, _ in tables], list[int]()
        for _ in range(DEEPEST):
            below: list[int] = []
            expect(self._children(trees, below, leaves))
            trees = below
        headers: list[int] = []
        expect(self._headers(leaves, headers))
        expect(self._more(headers))

    def _view(self, offset: int, length: int) -> memoryview | None:
        inside = offset + length <= self._source.size
        return self._source.view(offset, length) if inside else None

    def _table(self, tree: int, heap: int) -> _Ranges:
        yield tree, self._tree_bytes
        yield heap, HEAP.size

    def _names(self, tables: Iterable[tuple[int, int]]) -> _Ranges:
        """What the heaps hold."""
        for _, heap in tables:
            view = self._view(heap, HEAP.size)
            if view is not None:
                _, _, size, _, place = HEAP.unpack(view)
                yield place, size

    def _children(self, trees: Iterable[int], below: list[int], leaves: list[int]) -> _Ranges:
        """Nodes below those of B-trees. below, leaves: added to, inner nodes and names."""
        for tree in trees:
            view = self._view(tree, self._tree_bytes)
            if view is None:
                continue
            _, _, depth, count, _, _ = TREE.unpack_from(view)
            count = min(count, (self._tree_bytes - TREE.size - 8) // 16)
            keys = Struct(f"<{2 * count + 1}Q").unpack_from(view, TREE.size)
            found, nbytes = (below, self._tree_bytes) if depth else (leaves, self._names_bytes)
            for child in islice(keys[1::2], max(self._most - len(found), 0)):
                found.append(child)
                yield child, nbytes

    def _headers(self, leaves: Iterable[int], headers: list[int]) -> _Ranges:
        """Headers of what is named, and what is known of the groups among it. headers: added to."""
        for leaf in leaves:
            view = self._view(leaf, self._names_bytes)
            if view is None:
                continue
            count = min(NAMES.unpack_from(view)[3], (self._names_bytes - NAMES.size) // ENTRY.size)
            entries = ENTRY.iter_unpack(view[NAMES.size : NAMES.size + count * ENTRY.size])
            for _, address, kind, _, scratch in entries:
                headers.append(address)
                yield address, min(LOOK, max(self._source.size - address, 0))
                if kind == 1:
                    yield from self._table(*CACHED.unpack(scratch))

    def _more(self, headers: Iterable[int]) -> _Ranges:
        """What headers have elsewhere, and where chunks are found."""
        for address in headers:
            view = self._view(address, min(LOOK, self._source.size - address))
            if view is None or len(view) < HEADER.size:
                continue
            length = HEADER.unpack_from(view)[4]
            at, end = HEADER.size, min(HEADER.size + length, len(view))
            while at + 8 <= end:
                kind, nbytes, _ = MESSAGE.unpack_from(view, at)
                at += 8
                if kind == MORE and at + CACHED.size <= end:
                    yield CACHED.unpack_from(view, at)
                elif kind == LAYOUT and at + CHUNKED.size <= end:
                    yield from _index(*CHUNKED.unpack_from(view, at))
                at += nbytes


def _index(version: int, kind: int, sides: int, tree: int) -> _Ranges:
    """The root of the B-tree of a dataset's chunks, of HDF5's usual size."""
    if (version, kind) == (3, 2):
        yield tree, TREE.size + 8 * (_CHUNKS + (_CHUNKS + 1) * (sides + 1))
