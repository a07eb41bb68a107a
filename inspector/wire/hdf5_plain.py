"""The structure of an HDF5 file as Keras writes it, read without libhdf5.

h5py writes such files in HDF5's first layout: a superblock of version 0, object headers of version
1, groups as B-trees of names, values in one piece, attributes of text. That much is read here, in
one pass and a tenth of libhdf5's time. Whatever is anything else, or is odd in any way, raises
Unusual, and the file is libhdf5's to read and to judge: nothing here forgives or guesses.
Source: HDF5 File Format Specification, version 3; the sections are named where they are read.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct, error
from typing import TYPE_CHECKING, NamedTuple

from inspector import deadline
from inspector.errors import Truncated
from inspector.limits import Limits
from inspector.model import Extent
from inspector.payloads import RawPayload
from inspector.storage import ByteSource
from inspector.wire.hdf5_nodes import Attribute, Dataset, Group, Link, joined
from inspector.wire.hdf5_plain_ahead import Ahead
from inspector.wire.hdf5_plain_heaps import GlobalHeap, Unusual, local_heap, need
from inspector.wire.hdf5_plain_layout import (
    CACHED,
    DEEPEST,
    ENTRY,
    HEADER,
    LOOK,
    MESSAGE,
    MORE,
    NAMES,
    TREE,
)
from inspector.wire.hdf5_plain_types import (
    EMPTY,
    FIXED_TEXT,
    KNOWN,
    TEXT_HEAD,
    VARIABLE_TEXT,
    dimensions,
    numeric,
)

if TYPE_CHECKING:
    from inspector.wire.hdf5_superblock import Superblock

UNDEFINED = (1 << 64) - 1
# II.A: everything but the signature, up to the root group's entry in no symbol table.
_SUPERBLOCK = Struct("<8s8BHHIQQQQ")
_REFERENCE = Struct("<IQI")  # a value of variable length: bytes, its heap, its number there
_LAYOUT = Struct("<BBQQ")  # IV.A.2.i, version 3, contiguous
_ATTRIBUTE = Struct("<BBHHH")  # IV.A.2.m

# IV.A.2: types of messages.
_NIL, _SPACE, _TYPE, _FILL, _LAYOUT_OF, _TEXT, _TABLE, _TIME = (
    0x00, 0x01, 0x03, 0x05, 0x08, 0x0C, 0x11, 0x12,
)  # fmt: skip
_OF_DATASET = frozenset({_SPACE, _TYPE, _FILL, _LAYOUT_OF})
_ALL_OF_DATASET = _OF_DATASET | {_TIME}
_ALL_OF_GROUP = frozenset({_TABLE, _TIME})
# Bits of a message's flags: constant, and never to be shared.
_HARMLESS = 0b101
# What is longer is not held here.
_LONGEST_HEADER = 16 << 20
# In front of a value in a global heap.
_OBJECT_HEADER = 16


@dataclass(slots=True)
class Found:
    """The graph of a file: its root, all its objects by address, and what their structure takes."""

    root: Group
    nodes: dict[int, Group | Dataset]
    structure_bytes: int


def read_plain(source: ByteSource, limits: Limits, superblock: Superblock) -> Found:
    """The graph, as libhdf5 would tell it. Raises Unusual, and what reading the source raises."""
    try:
        return _Plain(source, limits, superblock).read()
    except (Truncated, ValueError, IndexError, error) as reason:
        raise Unusual from reason  # bytes that are not there, text that is no UTF-8


class _Header(NamedTuple):
    """An object header's messages by type, but attributes, and the bytes that all of it takes."""

    messages: dict[int, bytes]
    attributes: list[bytes]
    nbytes: int


class _Plain:
    def __init__(self, source: ByteSource, limits: Limits, superblock: Superblock) -> None:
        self.whole = source
        # Nothing of the file lies behind the end that its superblock tells.
        end = superblock.end
        self.source = source if end == source.size else source.window(0, end, source.path)
        self.limits = limits
        self.heap = GlobalHeap(self.source)
        self.nodes: dict[int, Group | Dataset] = {}
        self.structure_bytes = superblock.length
        self.datasets = self.path_chars = self.links = 0
        self.attribute_bytes = self.attribute_values = self.text_bytes = 0
        need(superblock.version == 0 and superblock.start == 0)
        found = _SUPERBLOCK.unpack(source.view(0, _SUPERBLOCK.size))
        versions, (leaf, inner), (base, free, _, driver) = found[1:9], found[9:11], found[12:]
        need(versions == (0, 0, 0, 0, 0, 8, 8, 0) and leaf > 0 and inner > 0)
        need((base, free, driver) == (0, UNDEFINED, UNDEFINED))
        # III.A.1, III.B: nodes have room for twice as many entries as they have at least.
        self.most_children, self.most_names = 2 * inner, 2 * leaf
        self.tree_bytes = TREE.size + 8 * (4 * inner + 1)
        self.names_bytes = NAMES.size + ENTRY.size * self.most_names
        self.ahead = Ahead(self.source, limits.nodes, self.tree_bytes, self.names_bytes)

    def read(self) -> Found:
        _, address, kind, _, scratch = ENTRY.unpack(self.source.view(_SUPERBLOCK.size, ENTRY.size))
        header = self.header(address)
        table = self.table(header, kind, scratch)
        root = Group("", address)
        self.nodes[address] = root
        self.account(root, header)
        # Breadth first, as the other reader goes.
        level, depth = [(root, table)], 0
        while level:
            self.ahead.announce([table for _, table in level])
            depth += 1
            below = []
            for group, table in level:
                for name, address, kind, scratch in self.names(table):
                    path = joined(group.path, name)
                    node = self.nodes.get(address)
                    if node is None:
                        header = self.header(address)
                        node = self.open(path, address, header, depth)
                        if isinstance(node, Group):
                            below.append((node, self.table(header, kind, scratch)))
                        else:
                            need(kind == 0)
                    else:
                        need(kind == 0)
                        if isinstance(node, Dataset):
                            node.links.append(path)
                    group.links[name] = Link(name, "hard", node)
            level = below
        return Found(root, self.nodes, self.structure_bytes)

    def open(self, path: str, address: int, header: _Header, depth: int) -> Group | Dataset:
        deadline.check()
        self.path_chars += len(path)
        limits = self.limits
        need(
            len(self.nodes) < limits.objects
            and self.path_chars <= limits.keys_bytes
            and depth <= limits.depth
        )
        node: Group | Dataset
        if _TABLE in header.messages:
            node = Group(path, address)
        else:
            self.datasets += 1
            need(self.datasets <= limits.tensors)
            node = self.dataset(path, address, header)
        self.nodes[address] = node
        self.account(node, header)
        if isinstance(node, Dataset):
            node.note_attributes()
        return node

    # --- object headers ---------------------------------------------------------------------------

    def header(self, address: int) -> _Header:
        """IV.A.1.a: Version 1 Data Object Header Prefix."""
        size = self.source.size
        need(address + HEADER.size <= size)
        look = bytes(self.source.view(address, min(LOOK, size - address)))
        version, reserved, count, references, length = HEADER.unpack_from(look)
        need(version == 1 and reserved == 0 and count > 0 and references > 0)
        messages: dict[int, bytes] = {}
        attributes: list[bytes] = []
        taken, seen, most = HEADER.size, 0, min(size, _LONGEST_HEADER)
        blocks = [(address + HEADER.size, length)]
        for start, length in blocks:
            taken += length
            need(taken <= most)
            if address < start and start + length <= address + len(look):
                block, at = look, start - address
            else:
                block, at = bytes(self.source.view(start, length)), 0
            end = at + length
            # Millions of messages: each is asked in place what `need` would be.
            while at < end:
                if at + 8 > end:
                    raise Unusual
                kind, nbytes, flags = MESSAGE.unpack_from(block, at)
                at += 8 + nbytes
                seen += 1
                if nbytes % 8 or at > end or flags & ~_HARMLESS:
                    raise Unusual
                if kind == _NIL:
                    continue
                body = block[at - nbytes : at]
                if kind == MORE:
                    need(nbytes == 16)
                    blocks.append(CACHED.unpack(body))
                elif kind == _TEXT:
                    attributes.append(body)
                elif kind in messages:
                    raise Unusual
                else:
                    messages[kind] = body
        need(seen == count)
        return _Header(messages, attributes, taken)

    def account(self, node: Group | Dataset, header: _Header) -> None:
        self.structure_bytes += header.nbytes
        if _TIME in header.messages:
            body = header.messages[_TIME]
            need(len(body) == 8 and body[0] == 1)
        if not header.attributes:
            return
        # In the order of their names.
        for raw, kind, space, value in sorted(map(_parts, header.attributes)):
            name = raw.decode("utf-8")
            need(name not in node.attributes)
            one = self.attribute(name, kind, space, value)
            node.attributes[name] = one
            self.structure_bytes += -one.nbytes if one.inline else _OBJECT_HEADER + -one.nbytes % 8

    # --- attributes -------------------------------------------------------------------------------

    def attribute(self, name: str, kind: bytes, space: bytes, raw: bytes) -> Attribute:
        """IV.A.2.m, of text, or of no values at all."""
        shape = dimensions(space)
        count = math.prod(shape)
        need(len(shape) < 2)
        item, variable = _REFERENCE.size, kind in VARIABLE_TEXT
        if not variable:
            text = kind[:2] in FIXED_TEXT and len(kind) == TEXT_HEAD
            need(text or (count == 0 and kind in EMPTY))
            item = int.from_bytes(kind[4:8], "little")
        need(item > 0 and len(raw) >= count * item)
        self.attribute_bytes += count * item
        self.attribute_values += count
        need(self.attribute_bytes <= self.limits.attribute_bytes)
        need(self.attribute_values <= self.limits.attribute_values)
        values: list[str] = []
        text_bytes = 0
        for at in range(0, count * item, item):
            one = raw[at : at + item]
            if variable:
                length, place, number = _REFERENCE.unpack(one)
                # Before it is held: many may refer to one long value.
                text_bytes += length
                need(self.text_bytes + text_bytes <= self.source.size)
                need(self.attribute_bytes + text_bytes <= self.limits.attribute_bytes)
                one = self.heap.value(place, number, length)
                need(b"\0" not in one)
            else:
                # Padded with zeros, or ended by the first.
                one = one.rstrip(b"\0") if kind[1] & 15 else one.partition(b"\0")[0]
            values.append(one.decode("utf-8", "replace"))
        self.text_bytes += text_bytes
        self.attribute_bytes += text_bytes
        nbytes = text_bytes if variable else count * item
        return Attribute(name, tuple(values) if shape else values[0], nbytes, not variable)

    # --- groups -----------------------------------------------------------------------------------

    def table(self, header: _Header, kind: int, scratch: bytes) -> tuple[int, int]:
        """IV.A.2.r: where a group's B-tree and heap are; what leads to it may say it again."""
        need(header.messages.keys() <= _ALL_OF_GROUP and len(header.messages[_TABLE]) == 16)
        found: tuple[int, int] = CACHED.unpack(header.messages[_TABLE])
        need(kind == 0 or (kind == 1 and CACHED.unpack(scratch) == found))
        return found

    def names(self, table: tuple[int, int]) -> Iterator[tuple[str, int, int, bytes]]:
        """A group's links in the order of their names: name, address, what the entry caches."""
        tree, heap = table
        content, taken = local_heap(self.source, heap)
        self.structure_bytes += taken
        last = b""
        beside: dict[int, tuple[int, int]] = {}
        for low, high, node in self.leaves(tree, None, beside):
            self.structure_bytes += self.names_bytes
            view = self.source.view(node, self.names_bytes)
            sign, version, reserved, count = NAMES.unpack_from(view)
            need(sign == b"SNOD" and version == 1 and not reserved and 0 < count <= self.most_names)
            self.links += count
            need(self.links <= self.limits.nodes and _name(content, low) == last)
            for place, address, kind, _, scratch in ENTRY.iter_unpack(
                view[NAMES.size : NAMES.size + count * ENTRY.size]
            ):
                name = _name(content, place)
                # In order, so that a name that is looked up is found; 2: a symbolic link.
                if name <= last or b"/" in name or name == b"." or kind >= 2:
                    raise Unusual
                last = name
                yield name.decode("utf-8"), address, kind, scratch
            need(_name(content, high) == last)
        for _, right in beside.values():
            need(right == UNDEFINED)

    def leaves(
        self, address: int, level: int | None, beside: dict[int, tuple[int, int]]
    ) -> Iterator[tuple[int, int, int]]:
        """III.A.1: (key before, key behind, address) of each symbol table node below a tree.

        beside: level -> the node met last there and the one that it says is next, added to.
        """
        self.structure_bytes += self.tree_bytes
        view = self.source.view(address, self.tree_bytes)
        sign, kind, depth, count, left, right = TREE.unpack_from(view)
        need(sign == b"TREE" and kind == 0 and count <= self.most_children)
        # An empty group's tree is a leaf without children.
        need(depth < DEEPEST if level is None else depth == level and count > 0)
        need(
            (count > 0 or depth == 0) and beside.get(depth, (UNDEFINED, address)) == (left, address)
        )
        beside[depth] = address, right
        keys = Struct(f"<{2 * count + 1}Q").unpack_from(view, TREE.size)
        for at in range(0, 2 * count, 2):
            if depth:
                yield from self.leaves(keys[at + 1], depth - 1, beside)
            else:
                yield keys[at], keys[at + 2], keys[at + 1]

    # --- datasets ---------------------------------------------------------------------------------

    def dataset(self, path: str, address: int, header: _Header) -> Dataset:
        messages = header.messages
        need(_OF_DATASET <= messages.keys() <= _ALL_OF_DATASET)
        dtype, itemsize = numeric(messages[_TYPE])
        shape = dimensions(messages[_SPACE])
        count = math.prod(shape)
        version, kind, offset, stored = _LAYOUT.unpack_from(messages[_LAYOUT_OF])
        need(
            version == 3
            and kind == 1
            and 0 < stored == count * itemsize
            and offset + stored <= self.source.size
        )
        _check_fill(messages[_FILL], itemsize)
        return Dataset(
            path,
            address,
            dtype,
            itemsize,
            shape,
            stored,
            "contiguous",
            (Extent(self.whole.path, offset, stored),),
            RawPayload(self.whole, offset, count, dtype),
        )


def _parts(message: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """An attribute message in parts: name, type, data space, values."""
    version, flags, *sizes = _ATTRIBUTE.unpack_from(message)
    need(version in (1, 3) and flags == 0)
    at = _ATTRIBUTE.size
    if version == 3:
        need(message[at] in (0, 1))  # ASCII or UTF-8
        at += 1
    parts: list[bytes] = []
    for size in sizes:
        part = message[at : at + size]
        need(len(part) == size > 0)
        parts.append(part)
        at += size + (-size % 8 if version == 1 else 0)
    name, kind, space = parts
    need(name.find(b"\0") == len(name) - 1 > 0)
    return name[:-1], kind, space, message[at:]


def _name(heap: bytes, at: int) -> bytes:
    end = heap.find(b"\0", at)
    if end < 0:
        raise Unusual
    return heap[at:end]


@functools.lru_cache(KNOWN)
def _check_fill(message: bytes, itemsize: int) -> None:
    """IV.A.2.f: a fill value that is sound; values that are all there need none."""
    version, allocated, written, defined = message[:4]
    need(version == 2 and allocated in (1, 2, 3) and written in (0, 1, 2) and defined in (0, 1))
    if defined:
        size = int.from_bytes(message[4:8], "little")
        need(size in (0, itemsize) and 8 + size <= len(message))
