"""What the readers of checkpoints and SavedModels share: the tensors of a TensorBundle.

A bundle's values are variables for the most part. Some are records that only loading needs: the
object graph, the configs of layers, the state of Python objects and of iterators over datasets.
Those have no shape worth the word and are bytes with a label; a string *variable* and what a lookup
table holds are tensors.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inspector import deadline, filesystem
from inspector.errors import ArtifactError
from inspector.graph.names import Kind, Sense, senses, split
from inspector.limits import Limits
from inspector.model import (
    Extent,
    FileEntry,
    Naming,
    Payload,
    Problem,
    Section,
    Severity,
    Tensor,
    Use,
    Watched,
)
from inspector.payloads import RawPayload
from inspector.storage import covered
from inspector.wire.crc32c import extend, mask
from inspector.wire.object_graph import OBJECT_GRAPH_KEY
from inspector.wire.protobuf import Message
from inspector.wire.tensor_bundle import read_bundle
from inspector.wire.tensor_entries import Bundle, BundleEntry

if TYPE_CHECKING:
    import numpy as np

# Source: tensorflow/python/trackable/base.py, python_state.py and saving/ of Keras 2.
_RECORDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(re.escape(OBJECT_GRAPH_KEY)), "object graph"),
    (re.compile(r".+/\.ATTRIBUTES/OBJECT_CONFIG_JSON"), "config"),
    (re.compile(r"(.+/)?\.ATTRIBUTES/py_state"), "Python state"),
    (re.compile(r"(.+/)?\.ATTRIBUTES/ITERATOR_STATE"), "iterator state"),
)
_ATTRIBUTE = "/.ATTRIBUTES/"
_TENSOR = frozenset(one.name for one in dataclasses.fields(Tensor))


@dataclass(frozen=True, slots=True)
class OpenBundle:
    """A bundle whose files are held open.

    files: the index and the shards that are there; records: entries that are no tensors, by the
    label under which their bytes are told; entries: the others, in key order.
    """

    bundle: Bundle
    files: tuple[FileEntry, ...]
    records: Mapping[str, tuple[BundleEntry, ...]]
    entries: tuple[BundleEntry, ...]
    limits: Limits

    @property
    def stored(self) -> dict[str, tuple[str, tuple[int, ...] | None]]:
        """Key -> (dtype, shape) of each tensor."""
        return {entry.key: (_dtype(entry), entry.shape) for entry in self.entries}

    @property
    def checksums(self) -> dict[str, int]:
        """Key -> crc32c of the values of each tensor that is stored in one piece."""
        return {entry.key: entry.crc32c for entry in self.entries if not entry.slices}

    def object_graph(self) -> Message | None:
        """The TrackableObjectGraph; None where the bundle has none (a TF1 Saver's).

        Raises ArtifactError where its bytes are missing, or no string.
        """
        entry = self.bundle.get(OBJECT_GRAPH_KEY)
        if entry is None:
            return None
        value = next(self.bundle.strings(entry), None)
        if value is None:
            return None
        return Message(value.source, value.offset, value.length, self.limits)


@dataclass(frozen=True, slots=True)
class Contents:
    """A bundle as an artifact tells it. overhead: with the tensors' extents, the files' size.

    complete: False where bytes of a tensor are missing. vocabulary: entries of each lookup table.
    """

    tensors: tuple[Tensor, ...]
    files: tuple[FileEntry, ...]
    overhead: Mapping[str, int]
    problems: tuple[Problem, ...]
    complete: bool
    vocabulary: Mapping[str, int]


def open_bundle(prefix: str, held: contextlib.ExitStack, limits: Limits) -> OpenBundle:
    """Open "{prefix}.index" and its shards; `held` closes them.

    Raises what `read_bundle` raises of an index that is missing or unsound; a shard that is
    missing is a problem.
    """
    bundle = read_bundle(prefix, lambda path: held.enter_context(filesystem.opened(path)), limits)
    shards = [FileEntry(one.path, one.size) for one in bundle.shards if one.size is not None]
    index = FileEntry(bundle.index.source.path, bundle.index.source.size)
    records: dict[str, tuple[BundleEntry, ...]] = {}
    entries = []
    for entry in bundle.entries:
        label = _label(entry)
        if label is None:
            entries.append(entry)
        else:
            records[label] = (*records.get(label, ()), entry)
    return OpenBundle(bundle, (index, *shards), records, tuple(entries), limits)


def contents(opened: OpenBundle, facts: Callable[[str], Mapping[str, Any]]) -> Contents:
    """The tensors of a bundle, every byte of its files accounted for.

    facts: further fields of Tensor for a key (layer, variable, section, slot_of ...). Asked for one
    after another: those of all tensors would take half as much as the tensors.
    """
    bundle = opened.bundle
    tensors = tuple(
        _tensor(bundle, one, facts(one.key)) for one in deadline.watched(opened.entries)
    )
    whole = all(_is_there(bundle, one) for one in bundle.entries)
    return Contents(
        tensors,
        opened.files,
        _overhead(opened, tensors),
        (*bundle.problems, *_changed_records(opened)),
        whole and all(shard.source is not None for shard in bundle.shards),
        dict(_vocabulary(opened.entries)),
    )


def facts_of(place: Any) -> dict[str, Any]:
    """A dataclass whose fields are Tensor's (a `Place`) as what `contents` takes."""
    names = (one.name for one in dataclasses.fields(place))
    return {name: getattr(place, name) for name in names if name in _TENSOR}


_SECTIONS: Mapping[Kind, Section] = {
    Kind.SLOT: Section.OPTIMIZER,
    Kind.AVERAGE: Section.OPTIMIZER,
    Kind.DEBIASED: Section.OPTIMIZER,
    Kind.OPTIMIZER: Section.OPTIMIZER,
    Kind.STEP: Section.OTHER,
    Kind.TABLE: Section.OTHER,
}


def named_facts(
    stored: Mapping[str, tuple[str, tuple[int, ...] | None]],
    trained: Mapping[str, bool] | None = None,
    uses: Mapping[str, tuple[Use, ...]] | None = None,
) -> Callable[[str], dict[str, Any]]:
    """What `contents` takes, of variables that have names and no object graph (TF1).

    trained: whether each key is trained, and uses: who reads it, as far as a graph tells.
    """
    trained, uses = trained or {}, uses or {}
    said = senses(stored)

    def facts(key: str) -> dict[str, Any]:
        known = {"trainable": trained.get(key), "uses": uses.get(key, ())}
        return _named(key, said.get(key)) | known

    return facts


def _named(key: str, sense: Sense | None) -> dict[str, Any]:
    scope, variable = split(key)
    section = Section.MODEL if sense is None else _SECTIONS.get(sense.kind, Section.MODEL)
    facts: dict[str, Any] = {"variable": variable, "naming": Naming.STORED, "section": section}
    if sense is not None and sense.kind is Kind.RANGE and scope:
        # The scope is the range's: conv1/weights_quant/min is of conv1.
        scope, quant = split(scope)
        facts["variable"] = f"{quant}/{variable}"
    if section is Section.MODEL:
        facts |= {"layer": scope, "owner": scope}
    elif sense is not None and sense.of is not None:
        facts["slot_of"] = sense.of
    return facts


def unreadable_graph(error: ArtifactError) -> Problem:
    """The note on an object graph that cannot be read: names are then all there is."""
    message = f"its object graph cannot be read: {error.message}"
    return Problem("object-graph", Severity.ERROR, message, error.path, error.offset)


def _label(entry: BundleEntry) -> str | None:
    """What to call the bytes of a record; None for a tensor."""
    if entry.values is not None:
        return None
    return next((label for form, label in _RECORDS if form.fullmatch(entry.key)), None)


def _dtype(entry: BundleEntry) -> str:
    """The dtype's name, without byte order; that of the values, where TensorFlow's is its own."""
    return entry.dtype if entry.values is None else entry.values.removeprefix(">")


def _tensor(bundle: Bundle, entry: BundleEntry, facts: Mapping[str, Any]) -> Tensor:
    return Tensor(
        name=entry.key,
        dtype=_dtype(entry),
        shape=entry.shape,
        nbytes=entry.nbytes,
        extents=bundle.extents(entry),
        storage=_storage(bundle, entry),
        check=StoredCrc(bundle, entry) if _is_there(bundle, entry) else None,
        payload=_native(entry, entry.payload),
        **facts,
    )


def _storage(bundle: Bundle, entry: BundleEntry) -> str:
    words = []
    if entry.slices:
        words.append(f"in {len(entry.slices):,} slices")
    if len(bundle.shards) > 1:
        numbers = sorted({one.shard + 1 for one in entry.stored()})
        where = "shard" if len(numbers) == 1 else "shards"
        listed = ", ".join(f"{one:,}" for one in numbers[:3]) + (", ..." if numbers[3:] else "")
        words.append(f"in {where} {listed} of {len(bundle.shards):,}")
    if entry.values is not None and entry.values != entry.dtype:
        big = entry.values.startswith(">")
        words += ["big-endian"] * big + [entry.dtype] * (_dtype(entry) != entry.dtype)
    return ", ".join(words) or "contiguous"


def _is_there(bundle: Bundle, entry: BundleEntry) -> bool:
    """Whether each of its bytes is in the files, and of no other tensor."""
    parts = list(entry.stored())
    if len(parts) < len(entry.slices):
        return False
    for one in parts:
        if not 0 <= one.shard < len(bundle.shards) or min(one.offset, one.size) < 0:
            return False
        size = bundle.shards[one.shard].size
        if one.overlaps or size is None or one.offset + one.size > size:
            return False
    return True


def _changed_records(opened: OpenBundle) -> Iterator[Problem]:
    """Records whose checksum does not hold. Tensors are checked when they are measured."""
    bundle = opened.bundle
    for label, entries in opened.records.items():
        for entry in entries:
            if _is_there(bundle, entry) and not bundle.verify(entry):
                message = f"{entry.key} ({label}) does not have the checksum that the index gives"
                where = next(entry.stored())
                path = bundle.shards[where.shard].path
                yield Problem("checksum-mismatch", Severity.ERROR, message, path, where.offset)


def _overhead(opened: OpenBundle, tensors: tuple[Tensor, ...]) -> dict[str, int]:
    bundle = opened.bundle
    extents: list[Extent] = [extent for tensor in tensors for extent in tensor.extents]
    reached = covered(extents)
    found = {"index": bundle.index.source.size}
    for label, entries in opened.records.items():
        extents += [extent for entry in entries for extent in bundle.extents(entry)]
        found[label], reached = covered(extents) - reached, covered(extents)
    found["gaps"] = sum(shard.size or 0 for shard in bundle.shards) - reached
    return {label: size for label, size in found.items() if size}


def _vocabulary(entries: tuple[BundleEntry, ...]) -> Iterator[tuple[str, int]]:
    for entry in entries:
        # A table that keeps empty places has a second axis: how many are taken, the values say.
        if entry.key.endswith("-keys") and len(entry.shape or ()) == 1:
            table = entry.key.removesuffix("-keys")
            yield table.rpartition(_ATTRIBUTE)[0] or table, entry.elements


# --- values --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NativePayload:
    """The values of a big-endian payload in this machine's byte order.

    dtype: ml_dtypes' name where NumPy cannot turn its bytes itself, else None.
    """

    payload: Payload
    dtype: str | None

    def blocks(self, max_bytes: int) -> Iterator[np.ndarray[Any, Any]]:
        """The payload's blocks, turned. Raises what those raise."""
        import numpy as np

        from inspector.payloads import numpy_dtype

        for block in self.payload.blocks(max_bytes):
            if self.dtype is None:
                yield block.astype(block.dtype.newbyteorder("="))
            else:
                yield block.view(">u2").astype(np.uint16).view(numpy_dtype(self.dtype))


def _native(entry: BundleEntry, payload: Payload | None) -> Payload | None:
    if payload is None or entry.values is None or not entry.values.startswith(">"):
        return payload
    return NativePayload(payload, "bfloat16" if entry.dtype == "bfloat16" else None)


# --- checksums -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredCrc:
    """The crc32c that the index gives of a tensor, or of each of its slices."""

    bundle: Bundle
    entry: BundleEntry

    def holds(self) -> bool:
        """Whether the bytes have it: one pass over them. Raises NotFound, Truncated."""
        return self.bundle.verify(self.entry)

    def watch(self) -> Watched | None:
        """The payload of values that lie in one piece, as they are; None for all others."""
        payload = self.entry.payload
        plain = isinstance(payload, RawPayload) and not self.entry.slices
        if not plain or payload is None or self.bundle.order != "little":
            return None
        return SummedPayload(payload, self.entry.crc32c, self.entry.size)


@dataclass(slots=True)
class SummedPayload:
    """A payload that sums up its bytes while they are read the first time.

    masked: the crc that they should have; size: bytes of all values.
    """

    payload: Payload
    masked: int
    size: int
    _crc: int | None = field(default=None, init=False)

    def blocks(self, max_bytes: int) -> Iterator[np.ndarray[Any, Any]]:
        """The payload's own blocks. Raises what those raise."""
        if self._crc is not None:
            yield from self.payload.blocks(max_bytes)
            return
        crc = read = 0
        for block in self.payload.blocks(max_bytes):
            crc = extend(crc, block.view("u1"))
            read += block.nbytes
            yield block
        if read == self.size:
            self._crc = crc

    @property
    def held(self) -> bool:
        """Whether all was read, and has the crc."""
        return self._crc is not None and mask(self._crc) == self.masked
