"""TensorFlow's checkpoints of version 2: a table of tensors, and the shards with their values.

Source of the format: tensorflow/core/protobuf/tensor_bundle.proto and the comments of
tensorflow/core/util/tensor_bundle/tensor_bundle.cc. `{prefix}.index` is the table; its first
key, the empty one, holds the header. `{prefix}.data-00000-of-00002` is the first of two shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from inspector.changed import changed
from inspector.errors import ArtifactError, Corrupt, LimitExceeded, NotFound, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.model import Payload, Problem, Severity
from inspector.payloads import RawPayload
from inspector.storage import ByteSource, covered
from inspector.wire.protobuf import Message
from inspector.wire.protobuf_schema import parse
from inspector.wire.sstable import Entry, Table, read_table
from inspector.wire.tensor_entries import Bundle, BundleEntry, Shard, Slice, clipped
from inspector.wire.tensor_proto import BUNDLE_ENTRY, BUNDLE_HEADER, DTYPES, DType, shape_of
from inspector.wire.tensor_slices import WHOLE_AXIS, Piece, SlicedPayload, slice_key, tiles
from inspector.wire.tensor_strings import Order
from inspector.words import some

VERSION = 1  # of the format, as TensorFlow 2.21 reads and writes it
_ORDERS: tuple[Order, ...] = ("little", "big")
_Extents = tuple[tuple[int, int], ...]  # (start, length) of each axis, as stored
_LFS = b"version https://git-lfs"  # what stands in a repository for a file kept elsewhere
_NOT_PULLED = "is a Git LFS pointer, not the values (run git lfs pull)"


def shard_path(prefix: str, number: int, count: int) -> str:
    """The path of a shard. Source: DataFilename in util/tensor_bundle/naming.cc."""
    return f"{prefix}.data-{number:05d}-of-{count:05d}"


def read_bundle(
    prefix: str, open_source: Callable[[str], ByteSource], limits: Limits = DEFAULT
) -> Bundle:
    """The tensors of the checkpoint `prefix`. Reads no value.

    open_source: opens "{prefix}.index" and the shards, or raises ArtifactError; closing them is
    the caller's. The index must be sound: else raises what `read_table` raises, Corrupt (no
    header), Unsupported (a later version of the format), LimitExceeded (`tensors`, `shards`).
    What is wrong with a shard or with a tensor is a problem.
    """
    table = read_table(open_source(f"{prefix}.index"), limits)
    records = table.entries()
    header = next(records, None)
    if header is None or header.key:
        raise Corrupt("the index has no header: its first key is no empty one", table.source.path)
    count, order, producer = _header(header, limits)
    reader = _Reader(table, _open_shards(prefix, count, open_source), order, limits)
    for record in records:
        reader.add(record)
    return reader.finish(prefix, producer)


def _header(record: Entry, limits: Limits) -> tuple[int, Order, int]:
    """(number of shards, byte order, producer's version)."""
    path, at = record.source.path, record.offset
    message = Message(record.source, record.offset, record.length, limits)
    values = parse(message, BUNDLE_HEADER)
    version = values["version"] or {"producer": 0, "min_consumer": 0, "bad_consumers": []}
    if version["min_consumer"] > VERSION or VERSION in version["bad_consumers"]:
        raise Unsupported(
            f"is written for readers of version {version['min_consumer']} of the format, this"
            f" one is of version {VERSION}",
            path,
            at,
        )
    if not 0 <= values["endianness"] < len(_ORDERS):
        raise Unsupported(f"byte order {values['endianness']} is not read", path, at)
    count = values["num_shards"]
    if count < 1:
        raise Corrupt(f"the header counts {count} shards", path, at)
    if count > limits.shards:
        raise LimitExceeded("shards", count, limits.shards, path, at)
    return count, _ORDERS[values["endianness"]], version["producer"]


@dataclass(slots=True)
class _OpenShard:
    path: str
    source: ByteSource | None
    why: str = ""
    entries: dict[bytes, BundleEntry] = field(default_factory=dict)


def _open_shards(
    prefix: str, count: int, open_source: Callable[[str], ByteSource]
) -> list[_OpenShard]:
    found = []
    for number in range(count):
        path = shard_path(prefix, number, count)
        try:
            source = open_source(path)
            head = bytes(source.view(0, min(len(_LFS), source.size)))
            shard = _OpenShard(path, source)
            found.append(_OpenShard(path, None, _NOT_PULLED) if head == _LFS else shard)
        except NotFound:
            found.append(_OpenShard(path, None, "is missing"))
        except ArtifactError as error:
            found.append(_OpenShard(path, None, error.message))
    return found


class _Reader:
    """Collects the entries of a bundle, and what is wrong with them."""

    def __init__(
        self, table: Table, shards: list[_OpenShard], order: Order, limits: Limits
    ) -> None:
        self.table = table
        self.shards = shards
        self.order = order
        self.limits = limits
        self.problems = list(table.problems)
        self.found: dict[bytes, BundleEntry] = {}
        self.sliced: dict[bytes, list[_Extents]] = {}

    def problem(
        self,
        code: str,
        message: str,
        at: int | None,
        path: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        self.problems.append(Problem(code, severity, message, path or self.table.source.path, at))

    def add(self, record: Entry) -> None:
        """Take one record of the index in."""
        path = self.table.source.path
        at = record.offset if record.source is self.table.source else None
        if len(self.found) >= self.limits.tensors:
            raise LimitExceeded("tensors", len(self.found) + 1, self.limits.tensors, path, at)
        key = key_name(record.key)
        if record.key in self.found or not record.key:
            self.problem("bundle-duplicate-key", f"{key} is there twice; the first is used", at)
            return
        try:
            message = Message(record.source, record.offset, record.length, self.limits)
            values = parse(message, BUNDLE_ENTRY)
        except ArtifactError as error:
            self.problem("bundle-entry", f"{key}: its record is none: {error.message}", at)
            return
        entry = self._entry(key, values, at)
        self.found[record.key] = entry
        if _is_sliced(values):
            self.sliced[record.key] = self._extents(entry, values["slices"])
        elif self._check_place(record.key, entry):
            self.found[record.key] = changed(entry, payload=self._payload(entry))

    def _entry(self, key: str, values: dict[str, Any], at: int | None) -> BundleEntry:
        number = values["dtype"]
        dtype = DTYPES.get(number)
        if dtype is None:
            self.problem("bundle-dtype", f"{key}: dtype {number} is none that is known", at)
            dtype = DType(f"unknown ({number})", None, 0)
        shape = shape_of(values["shape"])
        if shape is None:
            self.problem("bundle-shape", f"{key}: no tensor can have its shape", at)
        name = dtype.values
        if name is not None and dtype.size > 1 and self.order == "big":
            name = f">{name}"
        place = (values["shard_id"], values["offset"], values["size"], values["crc32c"])
        entry = BundleEntry(key, dtype.name, name, shape, *place, at)
        if not _is_sliced(values) and shape is not None:
            expected = entry.elements * dtype.size
            if (name is not None and entry.size != expected) or (
                dtype.name == "string" and entry.size < entry.elements
            ):
                self.problem(
                    "bundle-entry-size",
                    f"{key} has {entry.size:,} bytes; {dtype.name} of shape {shape} takes"
                    f" {'at least ' if name is None else ''}{expected or entry.elements:,}",
                    at,
                )
                return changed(entry, values=None)
        return entry

    def _check_place(self, raw: bytes, entry: BundleEntry) -> bool:
        """Note the entry with its shard; whether its bytes are there."""
        if not 0 <= entry.shard < len(self.shards):
            self.problem(
                "bundle-shard-number",
                f"{entry.key} is in shard {entry.shard}, and there are {len(self.shards):,}",
                entry.at,
            )
            return False
        if entry.offset < 0 or entry.size < 0:
            self.problem(
                "bundle-entry-place",
                f"{entry.key}: {entry.size:,} bytes at {entry.offset:,} are nowhere",
                entry.at,
            )
            return False
        shard = self.shards[entry.shard]
        shard.entries[raw] = entry
        return shard.source is not None and entry.offset + entry.size <= shard.source.size

    def _payload(self, entry: BundleEntry) -> Payload | None:
        source = self.shards[entry.shard].source
        if entry.values is None or entry.shape is None or source is None:
            return None
        return RawPayload(source, entry.offset, entry.elements, entry.values)

    def finish(self, prefix: str, producer: int) -> Bundle:
        """Look at each shard as a whole, and put slices together."""
        shards = tuple(self._shard(shard) for shard in self.shards)
        parts: set[bytes] = set()
        for raw, slices in self.sliced.items():
            self.found[raw] = self._assembled(raw, slices, parts)
        entries = tuple(entry for raw, entry in self.found.items() if raw not in parts)
        for raw, entry in self.found.items():
            if raw.startswith(b"\0") and raw not in parts:
                self.problem("bundle-stray-slice", f"{entry.key} is of no tensor", entry.at)
        idle = [one.path for one in self.shards if one.source is None and not one.entries]
        if idle:
            message = f"{len(idle):,} shards that hold no tensor cannot be opened"
            self.problem("bundle-shard-missing", message, None, idle[0], Severity.WARNING)
        return Bundle(
            prefix,
            self.order,
            producer,
            entries,
            shards,
            self.table,
            tuple(self.problems),
            {entry.key: entry for entry in reversed(entries)},
        )

    def _extents(self, entry: BundleEntry, slices: list[dict[str, Any]]) -> list[_Extents]:
        """The extents of a tensor's slices; none where one of them cannot be."""
        if len(slices) > self.limits.slices:
            error = LimitExceeded("slices", len(slices), self.limits.slices, self.table.source.path)
            self.problem("bundle-slices", f"{entry.key}: {error.message}", entry.at)
            return []
        found = []
        for number, proto in enumerate(slices):
            extents = tuple(
                (one["start"], WHOLE_AXIS if one["length"] is None else one["length"])
                for one in proto["extent"]
            )
            if entry.shape is None or _resolve(extents, entry.shape) is None:
                message = f"{entry.key}: slice {number} lies outside its shape {entry.shape}"
                self.problem("bundle-slices", message, entry.at)
                return []
            found.append(extents)
        return found

    def _assembled(self, raw: bytes, slices: list[_Extents], parts: set[bytes]) -> BundleEntry:
        """The entry of a tensor in slices, with them."""
        whole = self.found[raw]
        shape = whole.shape or ()
        if not slices:
            return whole
        found: list[Slice] = []
        for extents in slices:
            key = slice_key(raw, extents)
            entry = self.found.get(key)
            if entry is not None:
                parts.add(key)
            bounds = _resolve(extents, shape) or ()
            found.append(Slice(tuple(a for a, _ in bounds), tuple(b for _, b in bounds), entry))
        missing = [one for one in found if one.entry is None]
        if missing:
            message = (
                f"{whole.key}: {len(missing):,} of its {len(found):,} slices are not in the index,"
                f" the first from {missing[0].starts} on"
            )
            self.problem("bundle-slices", message, whole.at)
        found.sort(key=lambda one: one.starts)
        whole = changed(whole, slices=tuple(found))
        return changed(whole, payload=self._sliced_payload(whole))

    def _sliced_payload(self, whole: BundleEntry) -> Payload | None:
        shape = whole.shape or ()
        boxes = [tuple(zip(one.starts, one.lengths, strict=True)) for one in whole.slices]
        tiled = tiles(boxes, shape)
        if not tiled:
            why = "are too intricate to tell" if tiled is None else "do not make up the whole"
            message = f"{whole.key}: its {len(boxes):,} slices {why}, each value once"
            self.problem("bundle-slices", message, whole.at)
            return None
        pieces = []
        for part in whole.slices:
            entry = part.entry
            if entry is None:
                return None
            if (entry.dtype, entry.shape) != (whole.dtype, part.lengths):
                message = f"{whole.key}: its slice is a {entry.dtype} of shape {entry.shape}"
                self.problem("bundle-slices", message, entry.at)
                return None
            if not isinstance(entry.payload, RawPayload):
                return None
            source, offset = entry.payload.source, entry.payload.offset
            pieces.append(Piece(part.starts, part.lengths, source, offset))
        return SlicedPayload(tuple(pieces), shape, whole.values) if whole.values else None

    def _shard(self, shard: _OpenShard) -> Shard:
        entries = list(shard.entries.values())
        if shard.source is None:
            if entries:
                message = f"{shard.why}; it holds {_listed(entries)}"
                self.problem("bundle-shard-missing", message, None, shard.path)
            return Shard(shard.path, None, 0, 0)
        size = shard.source.size
        beyond = [one for one in entries if one.offset + one.size > size]
        if beyond:
            end = max(one.offset + one.size for one in beyond)
            self.problem(
                "bundle-shard-short",
                f"has {size:,} bytes, its tensors need {end:,}: {end - size:,} are missing, of"
                f" {_listed(beyond)}",
                size,
                shard.path,
            )
        self._overlaps(shard)
        extents = (clipped(one, shard.path, size) for one in entries)
        tensors = covered(extents)
        if size > tensors:
            message = f"{size - tensors:,} bytes belong to no tensor"
            self.problem("bundle-gaps", message, None, shard.path, Severity.WARNING)
        return Shard(shard.path, shard.source, tensors, size - tensors)

    def _overlaps(self, shard: _OpenShard) -> None:
        """Let no byte be read for two tensors: a small file could cost as much as a large one."""
        inside: list[tuple[bytes, BundleEntry]] = []
        last: BundleEntry | None = None
        for raw, one in sorted(shard.entries.items(), key=lambda it: (it[1].offset, it[1].size)):
            if not one.size:
                continue
            if last is not None and one.offset < last.offset + last.size:
                inside.append((raw, last))
                self.found[raw] = changed(self.found[raw], payload=None, overlaps=True)
            if last is None or one.offset + one.size > last.offset + last.size:
                last = one
        if inside:
            raw, other = inside[0]
            first = shard.entries[raw]
            more = f", and so for {len(inside) - 1:,} more tensors" if inside[1:] else ""
            message = f"bytes of {other.key} are claimed by {first.key} too{more}: not read again"
            self.problem("bundle-overlap", message, first.offset, shard.path)


def key_name(raw: bytes) -> str:
    """A key as text. Those of slices are bytes that sort: they are spelled out."""
    if raw.startswith(b"\0"):
        return repr(raw)[2:-1]
    return raw.decode("utf-8", "backslashreplace")


def _is_sliced(values: dict[str, Any]) -> bool:
    """Whether a tensor is stored in parts: TensorFlow looks for none where a slice is the whole."""
    return any(one["length"] is not None for proto in values["slices"] for one in proto["extent"])


def _resolve(extents: _Extents, shape: tuple[int, ...]) -> list[tuple[int, int]] | None:
    """The (start, length) of each axis, whole axes written out; None where they do not fit."""
    if len(extents) != len(shape):
        return None
    bounds = [
        (0, side) if length == WHOLE_AXIS else (start, length)
        for (start, length), side in zip(extents, shape, strict=True)
    ]
    fit = all(
        start >= 0 and length >= 0 and start + length <= side
        for (start, length), side in zip(bounds, shape, strict=True)
    )
    return bounds if fit else None


def _listed(entries: Iterable[BundleEntry]) -> str:
    return some([entry.key for entry in entries])
