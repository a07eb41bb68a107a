"""An HDF5 file as a graph of groups and datasets, with the place of every byte, over h5py.

Only h5py's low-level calls are used, on a file object of ours: libhdf5 opens no file by name, so
an external link, external storage or a virtual dataset can be described but never followed.
Source of the facts about layout: HDF5 File Format Specification, version 3.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from h5py import h5d, h5f, h5fd, h5g, h5l, h5o, h5p

from inspector.errors import Truncated, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.model import Problem, Severity
from inspector.storage import ByteSource
from inspector.wire.hdf5_attributes import Attribute, AttributeReader, check_limit
from inspector.wire.hdf5_dataset import Dataset, read_dataset
from inspector.wire.hdf5_errors import LIBRARY_ERRORS, library_errors, reason
from inspector.wire.hdf5_heap import OBJECT_HEADER, HeapGuard
from inspector.wire.hdf5_superblock import Superblock, read_superblock

# Metadata that libhdf5 keeps: each object is looked at once, so its own 32 MiB are of no use.
_CACHE_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """A name in a group. kind: "hard", "soft" or "external".

    target: the node (hard), the path (soft) or (file, path) (external).
    """

    name: str
    kind: str
    target: Group | Dataset | tuple[str, ...]


@dataclass(slots=True)
class Group:
    """A group: its links by name in name order, and its attributes."""

    path: str
    address: int
    links: dict[str, Link] = field(default_factory=dict, repr=False)
    attributes: dict[str, Attribute] = field(default_factory=dict, repr=False)

    def value(self, name: str) -> Any:
        """An attribute's value, None where there is none."""
        found = self.attributes.get(name)
        return None if found is None else found.value

    def texts(self, name: str) -> list[str] | None:
        """An attribute that lists names, joined from name0, name1 ... where Keras had to split it.

        HDF5 caps an object header message at 64 KiB; Keras then writes numbered parts, which
        belong together in numeric order (9 before 10). None where there is no such attribute.
        """
        parts = [self.value(name)] if name in self.attributes else []
        if not parts:
            numbered = [
                (int(key[len(name) :]), self.value(key))
                for key in self.attributes
                if key.startswith(name) and key[len(name) :].isdecimal()
            ]
            parts = [value for _, value in sorted(numbered, key=lambda pair: pair[0])]
        if not parts:
            return None
        joined: list[str] = []
        for part in parts:
            # A single name, or a number where names should be, is a list of one.
            several = part if isinstance(part, tuple) else () if part is None else (part,)
            joined += map(str, several)
        return joined

    def group(self, name: str) -> Group | None:
        """The group that a name leads to directly by a hard link."""
        link = self.links.get(name)
        return link.target if link is not None and isinstance(link.target, Group) else None

    def items(self) -> Iterator[tuple[str, Group | Dataset]]:
        """(name, node) for each hard link, in name order."""
        for link in self.links.values():
            if isinstance(link.target, (Group, Dataset)):
                yield link.name, link.target


class Hdf5File:
    """An open HDF5 file. A context manager; datasets' payloads live as long as it is open.

    Raises Truncated, Corrupt, Unsupported (left open for writing) or LimitExceeded.
    problems: what is odd but did not stop the reading.
    """

    def __init__(self, source: ByteSource, limits: Limits = DEFAULT) -> None:
        self.source = source
        self.limits = limits
        self.problems: list[Problem] = []
        self.structure_bytes = 0
        self.superblock = _checked_superblock(source)
        self._nodes: dict[int, Group | Dataset] = {}
        self._datasets = self._path_chars = self._links_seen = 0
        self._attributes = AttributeReader(source, limits, self.superblock.start, self.add_problem)
        with library_errors(source.path):
            access = h5p.create(h5p.FILE_ACCESS)
            cache = access.get_mdc_config()
            cache.set_initial_size = True
            cache.initial_size = cache.min_size = cache.max_size = _CACHE_BYTES
            access.set_mdc_config(cache)
            guard = HeapGuard(source, self.superblock.start)
            access.set_fileobj_driver(h5fd.fileobj_driver, guard)
            self._file = h5f.open(b"artifact", h5f.ACC_RDONLY, access)
            self.structure_bytes += self.superblock.length
            self.root = self._read_all()
            guard.watching = False

    def close(self) -> None:
        """Close the file; payloads of chunked datasets can no longer be read."""
        with contextlib.suppress(*LIBRARY_ERRORS):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def nodes(self) -> Iterator[Group | Dataset]:
        """Every object that hard links reach, each once."""
        yield from self._nodes.values()

    def datasets(self) -> Iterator[Dataset]:
        """Every dataset, each once, under the first path that leads to it."""
        for node in self._nodes.values():
            if isinstance(node, Dataset):
                yield node

    def lookup(self, path: str, start: Group | None = None) -> Group | Dataset | Link | None:
        """What a path leads to, soft links followed within the file.

        An external link is returned as it is; None where nothing is there or soft links loop.
        """
        node: Group | Dataset = start if start is not None else self.root
        pending = [part for part in path.split("/") if part][::-1]
        if path.startswith("/"):
            node = self.root
        followed = 0
        while pending:
            part = pending.pop()
            if part == ".":
                continue
            link = node.links.get(part) if isinstance(node, Group) else None
            if link is None:
                return None
            if link.kind == "external":
                return link
            if link.kind == "soft":
                followed += 1
                if followed > self.limits.depth:
                    return None
                target = cast("tuple[str, ...]", link.target)[0]
                pending += [part for part in target.split("/") if part][::-1]
                node = self.root if target.startswith("/") else node
                continue
            node = cast("Group | Dataset", link.target)
        return node

    def is_linked(self, path: str, node: Dataset) -> bool:
        """Whether a path leads to a dataset through a soft link, rather than by its own names."""
        return path not in (node.path, *node.links)

    def _read_all(self) -> Group:
        root_id = h5g.open(self._file, b"/")
        info = h5o.get_info(root_id)
        root = Group("", info.addr)
        self._nodes[root.address] = root
        self._account(root_id, root, info)
        # Breadth first, so that the first path of an object is one of its shortest.
        # A group is opened again when its turn comes: libhdf5 keeps kilobytes for each open one.
        pending = collections.deque([(root, b".", 0)])
        while pending:
            group, place, depth = pending.popleft()
            group_id = h5o.open(root_id, place)
            for raw, kind, address in self._links(group_id, group):
                # Names that are no UTF-8 stay apart, and can be printed.
                name = raw.decode("utf-8", "backslashreplace")
                if b"/" in raw or raw in {b"", b"."} or name in group.links:
                    message = f"{group.path or '/'} has a name that leads elsewhere: {name!r}"
                    self.add_problem("odd-name", Severity.ERROR, message)
                    continue
                if kind != "hard":
                    group.links[name] = self._follow_nothing(group, group_id, raw, kind)
                    continue
                node = self._nodes.get(address)
                if node is None:
                    opened = self._open(group_id, raw, _join(group.path, name), depth + 1)
                    if opened is None:
                        continue
                    node = self._nodes[address] = opened
                    if isinstance(node, Group):
                        pending.append((node, place + b"/" + raw, depth + 1))
                elif isinstance(node, Dataset):
                    node.links.append(_join(group.path, name))
                group.links[name] = Link(name, "hard", node)
        return root

    def _open(self, group_id: Any, name: bytes, path: str, depth: int) -> Group | Dataset | None:
        check_limit(self.limits, "objects", len(self._nodes) + 1, self.source.path)
        self._path_chars += len(path)
        check_limit(self.limits, "keys_bytes", self._path_chars, self.source.path)
        check_limit(self.limits, "depth", depth, self.source.path)
        try:
            node_id = h5o.open(group_id, name)
            info = h5o.get_info(node_id)
            node: Group | Dataset
            if isinstance(node_id, h5g.GroupID):
                node = Group(path, info.addr)
            elif isinstance(node_id, h5d.DatasetID):
                self._datasets += 1
                check_limit(self.limits, "tensors", self._datasets, self.source.path)
                node = read_dataset(node_id, path, info.addr, self)
            else:
                return None  # a named datatype: structure only
            self._account(node_id, node, info)
        except LIBRARY_ERRORS as error:
            self.add_problem("unreadable-object", Severity.ERROR, f"{path}: {reason(error)}")
            return None
        return node

    def _links(self, group_id: Any, group: Group) -> list[tuple[bytes, str, int]]:
        try:
            found = _links(group_id, self.limits.nodes - self._links_seen + 1)
        except LIBRARY_ERRORS as error:
            if not group.path:
                raise  # the root: there is nothing to read
            message = f"{group.path}: what it holds cannot be read: {reason(error)}"
            self.add_problem("unreadable-object", Severity.ERROR, message)
            return []
        self._links_seen += len(found)
        check_limit(self.limits, "nodes", self._links_seen, self.source.path)
        return found

    def _account(self, node_id: Any, node: Group | Dataset, info: Any) -> None:
        """Read the attributes and add what the object's own structure takes."""
        meta = info.meta_size
        self.structure_bytes += info.hdr.space.total
        self.structure_bytes += meta.obj.index_size + meta.obj.heap_size
        self.structure_bytes += meta.attr.index_size + meta.attr.heap_size
        for index in range(info.num_attrs):
            attribute = self._attributes.read(node_id, index, node.path, node.address)
            if attribute is None:
                continue
            node.attributes[attribute.name] = attribute
            if attribute.inline:
                self.structure_bytes -= attribute.nbytes
            else:
                self.structure_bytes += OBJECT_HEADER + -attribute.nbytes % 8
        if isinstance(node, Dataset):
            node.note_attributes()

    def _follow_nothing(self, group: Group, group_id: Any, raw: bytes, kind: str) -> Link:
        name = raw.decode("utf-8", "backslashreplace")
        value = group_id.links.get_val(raw)
        parts = (value,) if isinstance(value, bytes) else tuple(value)
        target = tuple(part.decode("utf-8", "backslashreplace") for part in parts)
        if kind == "external":
            self.add_problem(
                "external-link",
                Severity.ERROR,
                f"{_join(group.path, name)} leads out of the file, to {target[0]}:{target[1]};"
                " nothing was read from there",
            )
        return Link(name, kind, target)

    def add_problem(
        self, code: str, severity: Severity, message: str, offset: int | None = None
    ) -> None:
        """Note something odd about this file."""
        self.problems.append(Problem(code, severity, message, self.source.path, offset))


def _checked_superblock(source: ByteSource) -> Superblock:
    found = read_superblock(source)
    if found.end > source.size:
        missing = found.end - source.size
        raise Truncated(
            f"truncated: the file has {source.size:,} bytes, its superblock says {found.end:,};"
            f" {missing:,} missing ({_percent(missing, found.end)}); copy or download it again",
            source.path,
        )
    if found.open_for_write:
        raise Unsupported(
            "HDF5 file left open for writing: its writer did not close it, or still has it open;"
            " close it, or clear the mark with h5clear -s",
            source.path,
            found.start,
        )
    return found


def _percent(part: int, whole: int) -> str:
    # Never "100.00 %" of something that is not all.
    hundredths = min(part * 10_000 // whole if part < whole else 10_000, 10_000)
    return f"{hundredths / 100:.2f} %"


def _links(group_id: Any, most: int) -> list[tuple[bytes, str, int]]:
    """Name, kind and address of a group's links, the first `most` of them."""
    kinds = {h5l.TYPE_HARD: "hard", h5l.TYPE_SOFT: "soft", h5l.TYPE_EXTERNAL: "external"}
    found: list[tuple[bytes, str, int]] = []

    def note(name: bytes, info: Any) -> bool | None:
        kind = kinds.get(info.type)
        if kind is not None:
            found.append((name, kind, info.u))
        return True if len(found) >= most else None  # anything but None ends it

    group_id.links.iterate(note, info=True)
    return found


def _join(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name


def overhead(file: Hdf5File, labels: Mapping[str, str], payload: int) -> dict[str, int]:
    """Bytes of the file that are no tensor, by label, adding up to its size with `payload`.

    labels: attribute name -> label for its value's bytes; other attributes are "attributes".
    payload: bytes of the file that tensors take. What no structure claims is "slack": space
    that HDF5 reserved or freed.
    """
    sizes = {
        "user block": file.superblock.start,
        "trailing bytes": file.source.size - file.superblock.end,
    }
    for node in file.nodes():
        for attribute in node.attributes.values():
            label = labels.get(attribute.name, "attributes")
            sizes[label] = sizes.get(label, 0) + attribute.nbytes
    sizes["HDF5 structure"] = file.structure_bytes
    # A hostile file can claim more than it has bytes: the sum must still hold.
    room = file.source.size - payload
    for label, size in sizes.items():
        sizes[label] = max(min(size, room), 0)
        room -= sizes[label]
    sizes["slack"] = room
    return {label: size for label, size in sizes.items() if size}
