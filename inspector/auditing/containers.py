"""What is in an artifact's containers, looked at before anything is made of it.

A rule about safety must hold for what no reader takes, too: so files, zips and HDF5 files are
opened here as such, whatever model they are. No link is followed, nothing is unpacked, and what
cannot be read is told as that.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import json
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from inspector import deadline, filesystem
from inspector.auditing.configs import is_too_large
from inspector.auditing.contents import (
    Contents,
    Custom,
    Document,
    Item,
    Link,
    Outside,
    Pickled,
    Swollen,
    Unread,
    Zipped,
)
from inspector.auditing.graphs import Looked, look_at_graph
from inspector.auditing.names import leads_out, strays
from inspector.auditing.sniff import HEAD, PICKLE_NAMES, ending, ends_in_zip, sniff
from inspector.errors import ArtifactError, LimitExceeded, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.read.folder import list_folder
from inspector.storage import ByteSource
from inspector.wire.archive import Archive, Member, read_archive

_NESTED = 3  # containers in each other that are looked into
_TEXT = 1 << 16  # bytes of an asset's text that are kept
_ADDRESSES = 64 << 20  # bytes of a graph that are looked through for addresses
_ADDRESS = re.compile(
    rb"(?:https?|ftp|gs|s3|hdfs|file|wss?|grpc)://[\w.-]*\w[\w.:@-]*(?:/[\w.~%/?#=&+:@-]*)?"
)
_OBJECTS = re.compile(rb"['\"][<>|=]?O\d*['\"]")  # of a header's list of fields
_GRAPHS = frozenset({"pb", "pbtxt", "meta"})
_SAVED_MODEL = frozenset({"saved_model.pb", "saved_model.pbtxt"})


def contents(path: str, limits: Limits = DEFAULT) -> Contents:
    """What is at a path: a file, a folder, or a checkpoint's prefix. Raises nothing but
    LimitExceeded where the deadline is over.

    What could not be looked at is in `unread`. Values are not read, and no file stays open.
    """
    looking = _Looking(limits)
    if filesystem.isdir(path):
        looking.kind = "folder"
        looking.attempt("", path, functools.partial(looking.folder, path))
    elif os.path.basename(path) in _SAVED_MODEL:
        looking.kind = "folder"
        folder = os.path.dirname(path) or os.curdir
        looking.attempt("", path, functools.partial(looking.folder, folder))
    elif filesystem.lexists(path):
        looking.attempt("", path, functools.partial(looking.file, path, ""))
    else:
        for one in sorted(glob.glob(f"{glob.escape(path)}.*"))[: limits.shards]:
            if filesystem.islink(one):
                looking.link(one)
            elif filesystem.isfile(one):
                looking.items.append(
                    Item(os.path.basename(one), filesystem.getsize(one), None, one)
                )
    return looking.contents()


@dataclass(slots=True)
class _Looking:
    """What was found so far of one artifact."""

    limits: Limits
    kind: str = ""
    items: list[Item] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    swollen: list[Swollen] = field(default_factory=list)
    zips: list[Zipped] = field(default_factory=list)
    pickles: list[Pickled] = field(default_factory=list)
    graph: Looked = field(default_factory=Looked)
    customs: list[Custom] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    addresses: dict[str, None] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)
    empty: tuple[str, ...] = ()
    inflated: int = 0

    def contents(self) -> Contents:
        return Contents(
            kind=self.kind,
            items=tuple(self.items),
            links=tuple(self.links),
            documents=tuple(self.documents),
            outside=tuple(self.outside),
            swollen=tuple(self.swollen),
            zips=tuple(self.zips),
            pickles=tuple(self.pickles),
            operations=tuple(self.graph.operations),
            assets=tuple(self.graph.assets),
            customs=tuple(self.customs),
            shards=tuple(self.shards),
            addresses=tuple(self.addresses),
            unread=tuple(self.unread),
            empty=self.empty,
        )

    def attempt(self, name: str, path: str, look: Callable[[], None]) -> None:
        """Look, and note the reason where that fails."""
        deadline.check()
        try:
            look()
        except ArtifactError as error:
            deadline.check()
            self.unread.append(Unread(name, error.message, path))
        except OSError as error:
            self.unread.append(Unread(name, error.strerror or "cannot be read", path))

    def link(self, path: str) -> None:
        """Note a symbolic link beside the artifact's other files."""
        name, target = os.path.basename(path), os.readlink(path)
        self.links.append(Link(name, target, leads_out(name, target), path))

    # --- folders ---

    def folder(self, path: str) -> None:
        folder = list_folder(path, self.limits)
        for name, target in folder.links.items():
            self.links.append(Link(name, target, leads_out(name, target), path))
        self.empty = folder.empty
        for problem in folder.problems:
            if problem.code == "odd-file":
                self.unread.append(Unread(path, problem.message, path))
        if _SAVED_MODEL & {*folder.sizes, *folder.links}:
            self.kind = "saved-model"
        elif "config.json" in folder.sizes:
            self.kind = "keras"
        for name in folder.sizes:
            full = folder.full(name)
            self.attempt(name, full, functools.partial(self.file, full, name))

    def file(self, path: str, name: str) -> None:
        """A file of the disk: of the folder at `name`, or the artifact itself (name "")."""
        with filesystem.opened(path) as source:
            kind = sniff(bytes(source.view(0, min(HEAD, source.size))))
            known = name or os.path.basename(path)
            self._note(name, source.size, kind, path, lambda: source)
            if kind is None:
                self._unmarked(source, name, known, path)
            if kind not in {"zip", "tflite"} and ends_in_zip(source):
                # Whoever looks for a zip first finds one, whatever the file begins with.
                with contextlib.suppress(ArtifactError):
                    self.zip(source, name, path, 0)
            if not name:
                self.kind = "keras" if self.kind == "zip" else self.kind or kind or ""

    def _unmarked(self, source: ByteSource, name: str, known: str, path: str) -> None:
        """A file that its first bytes do not tell: a graph, or HDF5 behind other data."""
        from inspector.wire.hdf5_superblock import find_signature

        if ending(known) == "cpb":
            self.unread.append(Unread(known, "is a graph in chunks, which is not read", path))
        elif known.rpartition("/")[2] == "keras_metadata.pb":
            self._keras_metadata(source, known, path)
        elif find_signature(source) is not None:
            self.hdf5(source, name, path, 0)
        elif not name or ending(name) in _GRAPHS:
            look_at_graph(source, path, self.graph, self.limits)
            for place, text in self.graph.metadata:
                self._document(text, f"{known}: {place}", path)
            self.graph.metadata.clear()
            self._find_addresses(source.view(0, min(source.size, _ADDRESSES)))

    # --- what any file is ---

    def _note(
        self,
        name: str,
        size: int,
        kind: str | None,
        path: str,
        source: Callable[[], ByteSource],
        depth: int = 0,
    ) -> None:
        """Keep what a file is, and look into it where it is a container."""
        self.items.append(Item(name, size, kind, path, self._text(name, size, kind, source)))
        if kind is None and ending(name or path) == "json":
            kind = "json"  # in another encoding, or behind blanks: Python parses it all the same
        inside = _INSIDE.get(kind or "")
        if kind is None and ending(name) in PICKLE_NAMES:
            inside = _Looking.pickle
        if inside is None:
            return
        if depth >= _NESTED:
            self.unread.append(Unread(name, "lies in too many containers", path))
            return
        self.attempt(name, path, lambda: inside(self, source(), name, path, depth))

    def _text(
        self, name: str, size: int, kind: str | None, source: Callable[[], ByteSource]
    ) -> str:
        if kind is not None or not name.startswith("assets") or size > _TEXT:
            return ""
        with contextlib.suppress(ArtifactError):
            return bytes(source().view(0, size)).decode("utf-8", "replace")
        return ""

    def zip(self, source: ByteSource, name: str, path: str, depth: int) -> None:
        archive = read_archive(source, self.limits)
        if not name:
            self.kind = "zip"
        if archive.problems:
            self.zips.append(Zipped(name, archive.problems))
        for member in archive.members:
            place = f"{name}/{member.name}" if name else member.name
            if member.is_link:
                self._zipped_link(archive, member, place, path)
            elif not member.is_dir:
                look = functools.partial(self._member, archive, member, place, path, depth)
                self.attempt(place, path, look)

    def _member(self, archive: Archive, member: Member, place: str, path: str, depth: int) -> None:
        if member.encrypted or not member.distinct:
            self.items.append(Item(place, member.size, None, path))
            return
        kind = sniff(_head(archive, member))
        opened = functools.partial(self._opened, archive, member)
        self._note(place, member.size, kind, path, opened, depth + 1)

    def _opened(self, archive: Archive, member: Member) -> ByteSource:
        """A member as a source, while all that was inflated so far fits the limit of one."""
        if member.method != "stored":
            self.inflated += member.size
            limit = self.limits.inflated_bytes
            if self.inflated > limit:
                path = f"{archive.source.path}/{member.name}"
                raise LimitExceeded("inflated_bytes", self.inflated, limit, path)
        return archive.open_member(member)

    def _zipped_link(self, archive: Archive, member: Member, place: str, path: str) -> None:
        try:
            raw = archive.read_member(member, self.limits.key_bytes)
        except ArtifactError:
            raw = b"what cannot be told"
        target = raw.decode("utf-8", "backslashreplace")
        self.links.append(Link(place, target, leads_out(place, target), path, zipped=True))

    def hdf5(self, source: ByteSource, name: str, path: str, depth: int) -> None:  # noqa: ARG002
        from inspector.auditing.hdf5 import look_at_hdf5

        found = look_at_hdf5(source, name, path, self.limits)
        self.outside += found.outside
        self.swollen += found.swollen
        inside = f"{name}:" if name else ""
        for place, text in found.configs.items():
            self._document(text, inside + place, path, legacy=True)
        for place in found.unread:
            self.unread.append(Unread(inside + place, "is no text, or too long a one", path))

    def json(self, source: ByteSource, name: str, path: str, depth: int) -> None:
        # Of an asset, or far down in a folder, Keras makes nothing.
        if name.count("/") > max(depth - 1, 0):
            return
        limit = self.limits.config_bytes
        if source.size > limit:
            raise LimitExceeded("config_bytes", source.size, limit, path)
        self._document(bytes(source.view(0, source.size)), name or os.path.basename(path), path)

    def _document(self, text: bytes | str, place: str, path: str, *, legacy: bool = False) -> None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            if place.rpartition("/")[2] in {"config.json", "model_config"}:
                self.unread.append(Unread(place, "is no JSON", path))
            return
        if isinstance(value, dict) and isinstance(value.get("weight_map"), dict):
            self._weight_map(value["weight_map"], path)
            return
        self.documents.append(Document(place, value, path, legacy))
        if is_too_large(value, len(text)):
            self.unread.append(Unread(place, "has more values than are looked at", path))

    def _weight_map(self, weight_map: dict[str, Any], path: str) -> None:
        named = (one if isinstance(one, list) else [one] for one in weight_map.values())
        names = dict.fromkeys(name for one in named for name in one if isinstance(name, str))
        self.shards += names
        if self.kind or len(self.items) > 1:
            return  # the map is not the artifact itself, whose shards lie beside it
        for name in [*names, *strays(path, names)][: self.limits.shards]:
            full = filesystem.join(os.path.dirname(path), name)
            if os.path.basename(name) != name:
                continue
            if filesystem.islink(full):
                self.link(full)
            elif filesystem.isfile(full):
                self.attempt(name, full, functools.partial(self.file, full, name))

    def npy(self, source: ByteSource, name: str, path: str, depth: int) -> None:
        from inspector.wire.npy import read_header

        try:
            header = read_header(source, 0, self.limits)
        except Unsupported:
            # Of records no reader makes a weight; a field of objects is pickled all the same.
            if not _OBJECTS.search(bytes(source.view(0, min(source.size, HEAD)))):
                raise
            self.pickles.append(Pickled(name, None, path, "NumPy objects"))
            return
        if header.dtype == "object":
            self.pickle(source, name, path, depth, header.data_offset, "NumPy objects")

    def pickle(
        self,
        source: ByteSource,
        name: str,
        path: str,
        depth: int,  # noqa: ARG002 - all that look into a container are called alike
        offset: int = 0,
        inside: str | None = None,
    ) -> None:
        from inspector.wire.pickle_machine import scan_stream

        try:
            found = tuple(dict.fromkeys(map(str, scan_stream(source, offset, self.limits).globals)))
        except (ArtifactError, RecursionError):
            self.pickles.append(Pickled(name, None, path, inside))
        else:
            self.pickles.append(Pickled(name, found, path, inside))

    def tflite(self, source: ByteSource, name: str, path: str, depth: int) -> None:
        from inspector.auditing.tflite import look_at_tflite

        found = look_at_tflite(source, path, self.limits)
        self.customs += found.customs
        self.shards += found.groups
        for place, head in found.metadata:
            kind = sniff(head)
            self.items.append(Item(f"{name or 'metadata'}:{place}", len(head), kind, path))
        if found.has_files:
            self._zip_behind(source, name, path, depth)

    def _zip_behind(self, source: ByteSource, name: str, path: str, depth: int) -> None:
        """The files that are appended to a .tflite file: the model stands in front of them."""
        kind, zips = self.kind, len(self.zips)
        self.zip(source, name, path, depth)
        self.kind = kind
        self.zips[zips:] = [
            Zipped(one.file, tuple(p for p in one.problems if p.code != "zip-prepended-data"))
            for one in self.zips[zips:]
        ]

    def _keras_metadata(self, source: ByteSource, name: str, path: str) -> None:
        from inspector.wire.object_graph import read_keras_metadata
        from inspector.wire.protobuf import message

        for node in read_keras_metadata(message(source, self.limits)).values():
            self._document(node.metadata, f"{name}:{node.path}", path)

    def _find_addresses(self, view: memoryview) -> None:
        for found in _ADDRESS.finditer(view):
            if len(self.addresses) >= self.limits.shards:
                return
            self.addresses.setdefault(found[0].decode("utf-8", "replace"))


_INSIDE: dict[str, Callable[[_Looking, ByteSource, str, str, int], None]] = {
    "hdf5": _Looking.hdf5,
    "zip": _Looking.zip,
    "npy": _Looking.npy,
    "pickle": _Looking.pickle,
    "json": _Looking.json,
    "tflite": _Looking.tflite,
}


def _head(archive: Archive, member: Member) -> bytes:
    """The first bytes of a member, no more of it inflated than that."""
    packed = archive.source.view(member.data_offset, min(member.compressed, 4 * HEAD))
    if member.method == "stored":
        return bytes(packed[:HEAD])
    if member.method != "deflated":
        return b""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, HEAD)
    except zlib.error:
        return b""
