"""One HDF5 dataset: its type, its shape, where its bytes are, and how to read them in pieces."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from h5py import h5d, h5s, h5z

from inspector.errors import Corrupt
from inspector.limits import Limits, remedy
from inspector.model import Extent, Severity
from inspector.payloads import FilledPayload, RawPayload
from inspector.wire.hdf5_chunks import ChunkIndex, DecodedPayload, Slab, decoded, slabs
from inspector.wire.hdf5_garbage import put_off
from inspector.wire.hdf5_nodes import Dataset

if TYPE_CHECKING:
    from inspector.wire.hdf5 import Hdf5File

# Names of HDF5's filters by number; source: the HDF Group's registry of filters.
FILTERS = {
    1: "gzip",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32026: "blosc2",
}
# Other files that a dataset's values are in: so many are named.
_SAID = 20


@dataclass(frozen=True, slots=True)
class ChunkedPayload:
    """Values that only libhdf5 can piece together: chunked, filtered, or in an object header."""

    handle: Any
    path: str
    shape: tuple[int, ...]
    dtype: str

    def blocks(self, max_bytes: int) -> Iterator[np.ndarray[Any, Any]]:
        """C order, a slab at a time along the first axes. Raises Corrupt."""
        from inspector.payloads import numpy_dtype

        native = numpy_dtype(self.dtype)
        step = max(max_bytes // native.itemsize, 1)
        for slab in self._slabs(native.itemsize):
            try:
                flat = self._read(slab).reshape(-1)
            except (OSError, RuntimeError, ValueError, TypeError) as error:
                reason = " ".join(str(error).split())
                raise Corrupt(f"the values cannot be read: {reason}", self.path) from error
            flat = flat.view(native) if flat.dtype.kind == "V" else flat
            for start in range(0, flat.size, step):
                yield flat[start : start + step]

    def _read(self, slab: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        with put_off():
            found: np.ndarray[Any, Any] = np.asarray(h5py.Dataset(self.handle)[slab])
        return found

    def _slabs(self, itemsize: int) -> Iterator[Slab]:
        layout = self.handle.get_create_plist()
        chunks = layout.get_chunk() if layout.get_layout() == h5d.CHUNKED else self.shape
        # A side of a value that is in the header may be 0; then there is no row to take.
        yield from slabs(self.shape, tuple(max(side, 1) for side in chunks), itemsize)


def read_dataset(handle: Any, path: str, address: int, file: Hdf5File) -> Dataset:
    """Everything about one dataset but its values. Adds problems to `file`."""
    space = handle.get_space()
    shape = None if space.get_simple_extent_type() == h5s.NULL else space.get_simple_extent_dims()
    kind = handle.get_type()
    dtype = _dtype_name(kind)
    plist = handle.get_create_plist()
    dataset = Dataset(path, address, dtype, kind.get_size(), shape, 0, "no data space", ())
    if shape is None:
        return dataset
    layout = plist.get_layout()
    if layout == h5d.VIRTUAL:
        count = min(plist.get_virtual_count(), _SAID)
        sources = {
            f"{plist.get_virtual_filename(i)}:{plist.get_virtual_dsetname(i)}" for i in range(count)
        }
        dataset.elsewhere = tuple(sorted(sources))
        dataset.storage = "virtual: the values are in other files, unread"
        file.add_problem(
            "virtual-dataset",
            Severity.ERROR,
            f"{path} is pieced together from {', '.join(dataset.elsewhere) or 'nothing'};"
            " nothing was read from there",
        )
    elif plist.get_external_count():
        count = min(plist.get_external_count(), _SAID)
        names = [plist.get_external(i)[0] for i in range(count)]
        dataset.elsewhere = tuple(name.decode("utf-8", "replace") for name in names)
        dataset.storage = "external: the values are in other files, unread"
        file.add_problem(
            "external-storage",
            Severity.ERROR,
            f"{path} keeps its values outside the file, in {', '.join(dataset.elsewhere)};"
            " nothing was read from there",
        )
    elif layout == h5d.CHUNKED:
        _chunked(dataset, handle, plist, file)
    elif layout == h5d.COMPACT:
        dataset.stored = handle.get_storage_size()
        dataset.storage = "compact, inside the object header"
        start = file.superblock.start
        dataset.extents = (
            Extent(file.source.path, address + start, dataset.stored, "inside the object header"),
        )
        file.structure_bytes -= dataset.stored
        dataset.payload = ChunkedPayload(handle, path, shape, dtype) if _numeric(dtype) else None
    else:
        _contiguous(dataset, handle, kind, plist, file)
    return dataset


def _contiguous(dataset: Dataset, handle: Any, kind: Any, plist: Any, file: Hdf5File) -> None:
    offset = handle.get_offset()
    dataset.stored = handle.get_storage_size() if offset is not None else 0
    if offset is None or not dataset.stored:
        dataset.storage = "never allocated" if dataset.declared else "empty"
        dataset.stored = 0
        _fill(dataset, handle, plist)
        return
    dataset.storage = "contiguous"
    if offset + dataset.stored > file.source.size:
        file.add_problem(
            "past-the-end",
            Severity.ERROR,
            f"{dataset.path} claims bytes {offset:,} to {offset + dataset.stored:,}"
            f" of a file of {file.source.size:,}",
            offset,
        )
        dataset.storage = "contiguous, past the end of the file"
        dataset.stored = 0
        return
    dataset.extents = (Extent(file.source.path, offset, dataset.stored),)
    if _numeric(dataset.dtype) and dataset.stored == dataset.declared:
        shape = dataset.shape or ()
        dataset.payload = (
            RawPayload(file.source, offset, math.prod(shape), dataset.dtype)
            if _as_numpy_has_it(kind, dataset)
            else ChunkedPayload(handle, dataset.path, shape, dataset.dtype)
        )


def _chunked(dataset: Dataset, handle: Any, plist: Any, file: Hdf5File) -> None:
    chunk = plist.get_chunk()
    codes = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    names = [FILTERS.get(code, f"filter {code}") for code in codes]
    dataset.stored = handle.get_storage_size()
    codec = "+".join(names) if names else "chunk"
    dataset.storage = f"chunked {chunk}" + (f", {' + '.join(names)}" if names else "")
    if not dataset.stored:
        dataset.storage = f"never allocated ({dataset.storage})" if dataset.declared else "empty"
        _fill(dataset, handle, plist)
        if dataset.declared >= file.limits.bomb_bytes:
            _warn_bomb(dataset, file)
        return
    index = ChunkIndex.read(handle, len(chunk))
    sound = _check_chunks(dataset, index, chunk, codec, len(codes), file)
    dataset.stored = sum(extent.length for extent in dataset.extents)
    missing = [name for name, code in zip(names, codes, strict=True) if not h5z.filter_avail(code)]
    if missing:
        file.add_problem(
            "filter-unavailable",
            Severity.WARNING,
            f"{dataset.path} is compressed with {', '.join(missing)}, which this h5py cannot undo;"
            " its values are not measured",
        )
    elif _is_bomb(dataset, file.limits):
        _warn_bomb(dataset, file)
    elif math.prod(chunk) * dataset.size > file.limits.chunk_bytes:
        file.add_problem(
            "chunk-too-large",
            Severity.WARNING,
            f"{dataset.path} has chunks of {math.prod(chunk) * dataset.size:,} bytes, over the"
            f" limit chunk_bytes of {file.limits.chunk_bytes:,}; its values are not measured"
            f" ({remedy('chunk_bytes', math.prod(chunk) * dataset.size, 0)})",
        )
    elif sound and _numeric(dataset.dtype):
        dataset.payload = _decoded(dataset, handle, plist, index, file) or ChunkedPayload(
            handle, dataset.path, dataset.shape or (), dataset.dtype
        )


def _decoded(
    dataset: Dataset, handle: Any, plist: Any, index: ChunkIndex, file: Hdf5File
) -> DecodedPayload | None:
    """Values that need no libhdf5: of NumPy's own types, behind filters that we can undo."""
    if not _as_numpy_has_it(handle.get_type(), dataset):
        return None
    filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    return decoded(
        file.source,
        dataset.path,
        dataset.dtype,
        dataset.shape or (),
        plist.get_chunk(),
        _fill_value(handle, plist).tobytes(),
        [(code, values) for code, _, values, _ in filters],
        index,
    )


def _check_chunks(
    dataset: Dataset,
    index: ChunkIndex,
    chunk: tuple[int, ...],
    codec: str,
    filters: int,
    file: Hdf5File,
) -> bool:
    """Note the chunks inside the file; whether all are sound: libhdf5 trusts them and crashes."""
    inside = index.inside(file.source.size)
    plain = math.prod(chunk) * dataset.size
    broken = int(
        np.count_nonzero(~(inside & index.plausible(dataset.shape or (), chunk, plain, filters)))
    )
    found = index.taken(inside)
    dataset.extents = tuple(
        Extent(file.source.path, offset, size, codec)
        for offset, size in zip(found.offsets.tolist(), found.sizes.tolist(), strict=True)
    )
    if broken:
        file.add_problem(
            "broken-chunks",
            Severity.ERROR,
            f"{dataset.path}: {broken:,} of its {len(inside):,} chunks have no sound place or size;"
            " its values are not measured",
        )
    return not broken


def _fill(dataset: Dataset, handle: Any, plist: Any) -> None:
    """Values that were never written read as the fill value; that needs no bytes of the file."""
    shape = dataset.shape or ()
    if not _numeric(dataset.dtype):
        return
    value = _fill_value(handle, plist)[()]
    dataset.payload = FilledPayload(math.prod(shape), value, dataset.dtype)


def _fill_value(handle: Any, plist: Any) -> np.ndarray[Any, Any]:
    """What h5py gives for a value that was never written."""
    value = np.zeros((), handle.dtype)
    # Told never to fill, libhdf5 leaves what is in the reader's memory: h5py's is zero.
    never = plist.get_fill_time() == h5d.FILL_TIME_NEVER
    if not never and plist.fill_value_defined() != h5d.FILL_VALUE_UNDEFINED:
        plist.get_fill_value(value)
    return value


def _is_bomb(dataset: Dataset, limits: Limits) -> bool:
    return (
        dataset.declared >= limits.bomb_bytes
        and dataset.declared > limits.bomb_ratio * dataset.stored
    )


def _warn_bomb(dataset: Dataset, file: Hdf5File) -> None:
    file.add_problem(
        "declares-more-than-it-stores",
        Severity.WARNING,
        f"{dataset.path} declares {dataset.declared:,} bytes and stores {dataset.stored:,}: its"
        " values are not read;"
        f" {remedy('bomb_bytes', dataset.declared + 1, file.limits.bomb_bytes)}",
    )


def _numeric(dtype: str) -> bool:
    return dtype in {"bfloat16", "V2"} or (dtype[:1] in set("<>|=") and dtype[1:2] in set("iufcb"))


def _as_numpy_has_it(kind: Any, dataset: Dataset) -> bool:
    """Whether the stored bytes are NumPy's: HDF5 knows numbers of any width and layout of bits."""
    if kind.get_class() == h5py.h5t.FLOAT:
        return bool(kind.equal(h5py.h5t.py_create(np.dtype(dataset.dtype))))
    bits = kind.get_precision() if kind.get_class() == h5py.h5t.INTEGER else 8 * kind.get_size()
    itemsize = 2 if dataset.dtype == "bfloat16" else np.dtype(dataset.dtype).itemsize
    return bool(bits == 8 * itemsize == 8 * dataset.size)


def _dtype_name(kind: Any) -> str:
    """NumPy's name for the stored type, with byte order; words for what NumPy has no number for."""
    words = {
        h5py.h5t.STRING: "string",
        h5py.h5t.VLEN: "variable-length",
        h5py.h5t.COMPOUND: "compound",
        h5py.h5t.REFERENCE: "reference",
        h5py.h5t.ARRAY: "array",
        h5py.h5t.TIME: "time",
    }
    word = words.get(kind.get_class())
    if word is not None:
        return word
    try:
        dtype = kind.dtype
    except (TypeError, ValueError):
        return f"{kind.get_size()}-byte type unknown to NumPy"
    if dtype.kind == "V":
        return f"V{dtype.itemsize}"
    return sys.intern(dtype.str)
