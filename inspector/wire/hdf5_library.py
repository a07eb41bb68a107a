"""The structure of an HDF5 file as libhdf5 tells it, whatever it is made of.

Only h5py's low-level calls are used, on a file object of ours: libhdf5 opens no file by name, so
an external link, external storage or a virtual dataset can be described but never followed.
"""

from __future__ import annotations

import collections
import contextlib
from typing import TYPE_CHECKING, Any

from h5py import h5d, h5f, h5fd, h5g, h5l, h5o, h5p

from inspector import deadline
from inspector.model import Severity
from inspector.wire.hdf5_attributes import AttributeReader
from inspector.wire.hdf5_dataset import read_dataset
from inspector.wire.hdf5_errors import LIBRARY_ERRORS, library_errors, reason
from inspector.wire.hdf5_garbage import put_off
from inspector.wire.hdf5_heap import OBJECT_HEADER, HeapGuard
from inspector.wire.hdf5_nodes import Dataset, Group, Link, check_limit, joined

if TYPE_CHECKING:
    from inspector.wire.hdf5 import Hdf5File

# Metadata that libhdf5 keeps: each object is looked at once, so its own 32 MiB are of no use.
_CACHE_BYTES = 2 << 20


class Library:
    """A file that libhdf5 has open. Notes what is odd, and all objects, with `file`.

    Raises Truncated, Corrupt or LimitExceeded.
    """

    def __init__(self, file: Hdf5File) -> None:
        self._of = file
        self.source, self.limits = file.source, file.limits
        self._nodes = file.objects
        self._datasets = self._path_chars = self._links_seen = 0
        start = file.superblock.start
        self._attributes = AttributeReader(file.source, file.limits, start, file.add_problem)
        with put_off(), library_errors(file.source.path):
            access = h5p.create(h5p.FILE_ACCESS)
            cache = access.get_mdc_config()
            cache.set_initial_size = True
            cache.initial_size = cache.min_size = cache.max_size = _CACHE_BYTES
            access.set_mdc_config(cache)
            guard = HeapGuard(file.source, start)
            access.set_fileobj_driver(h5fd.fileobj_driver, guard)
            self._file = h5f.open(b"artifact", h5f.ACC_RDONLY, access)
            file.structure_bytes += file.superblock.length
            self.root = self._read_all()
            guard.watching = False

    def close(self) -> None:
        """Close the file; payloads that need it can no longer be read."""
        with contextlib.suppress(*LIBRARY_ERRORS):
            self._file.close()

    def forget(self) -> None:
        """Let go of the objects; the file stays open."""
        self.root, self._nodes = Group("", self.root.address), {}

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
            for raw, kind, address in deadline.watched(self._links(group_id, group)):
                # Names that are no UTF-8 stay apart, and can be printed.
                name = raw.decode("utf-8", "backslashreplace")
                if b"/" in raw or raw in {b"", b"."} or name in group.links:
                    message = f"{group.path or '/'} has a name that leads elsewhere: {name!r}"
                    self._of.add_problem("odd-name", Severity.ERROR, message)
                    continue
                if kind != "hard":
                    group.links[name] = self._follow_nothing(group, group_id, raw, kind)
                    continue
                node = self._nodes.get(address)
                if node is None:
                    opened = self._open(group_id, raw, joined(group.path, name), depth + 1)
                    if opened is None:
                        continue
                    node = self._nodes[address] = opened
                    if isinstance(node, Group):
                        pending.append((node, place + b"/" + raw, depth + 1))
                elif isinstance(node, Dataset):
                    node.links.append(joined(group.path, name))
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
                node = read_dataset(node_id, path, info.addr, self._of)
            else:
                return None  # a named datatype: structure only
            self._account(node_id, node, info)
        except LIBRARY_ERRORS as error:
            self._of.add_problem("unreadable-object", Severity.ERROR, f"{path}: {reason(error)}")
            return None
        return node

    def _links(self, group_id: Any, group: Group) -> list[tuple[bytes, str, int]]:
        try:
            found = _links(group_id, self.limits.nodes - self._links_seen + 1)
        except LIBRARY_ERRORS as error:
            if not group.path:
                raise  # the root: there is nothing to read
            message = f"{group.path}: what it holds cannot be read: {reason(error)}"
            self._of.add_problem("unreadable-object", Severity.ERROR, message)
            return []
        self._links_seen += len(found)
        check_limit(self.limits, "nodes", self._links_seen, self.source.path)
        return found

    def _account(self, node_id: Any, node: Group | Dataset, info: Any) -> None:
        """Read the attributes and add what the object's own structure takes."""
        meta = info.meta_size
        self._of.structure_bytes += info.hdr.space.total
        self._of.structure_bytes += meta.obj.index_size + meta.obj.heap_size
        self._of.structure_bytes += meta.attr.index_size + meta.attr.heap_size
        for index in range(info.num_attrs):
            attribute = self._attributes.read(node_id, index, node.path, node.address)
            if attribute is None:
                continue
            node.attributes[attribute.name] = attribute
            if attribute.inline:
                self._of.structure_bytes -= attribute.nbytes
            else:
                self._of.structure_bytes += OBJECT_HEADER + -attribute.nbytes % 8
        if isinstance(node, Dataset):
            node.note_attributes()

    def _follow_nothing(self, group: Group, group_id: Any, raw: bytes, kind: str) -> Link:
        name = raw.decode("utf-8", "backslashreplace")
        value = group_id.links.get_val(raw)
        parts = (value,) if isinstance(value, bytes) else tuple(value)
        target = tuple(part.decode("utf-8", "backslashreplace") for part in parts)
        if kind == "external":
            self._of.add_problem(
                "external-link",
                Severity.ERROR,
                f"{joined(group.path, name)} leads out of the file, to {target[0]}:{target[1]};"
                " nothing was read from there",
            )
        return Link(name, kind, target)


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
