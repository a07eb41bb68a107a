"""Small tensors by the many: those of one dtype and size are the rows of one matrix.

An artifact may have tens of thousands of a few values each. NumPy takes as long to be called for
one of them as for a hundred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from inspector import deadline
from inspector.closer import Closer
from inspector.errors import ArtifactError
from inspector.limits import Limits
from inspector.model import Measurement, Pattern, Tensor
from inspector.patterns import Search
from inspector.payloads import RawPayload, numpy_dtype
from inspector.placed import are_far, expect, place
from inspector.value_digest import values_digest
from inspector.values import DISTINCT, Array, Plain, family_of

# The most bytes of a small tensor's values, and of a matrix of them.
SMALL_BYTES = 1 << 12
MATRIX_BYTES = 1 << 18
# Those in a storage that it is told of at once: 1 MiB at most.
FAR_TOGETHER = 256
_WIDEST = 8  # bytes of a value that Python's own numbers hold


class Rows(NamedTuple):
    """Some tensors, and their values: a row each, in C order."""

    tensors: list[Tensor]
    values: Array


def is_small(tensor: Tensor, limits: Limits) -> bool:
    """Whether its values are few, lie in the file as they are, and stand for themselves."""
    payload = tensor.payload
    return (
        isinstance(payload, RawPayload)
        and tensor.check is None
        and tensor.centred is None
        and 0 < payload.count <= _most(tensor.dtype, payload.dtype, limits.slice_bytes)
        and payload.count == tensor.elements
    )


@lru_cache(256)
def _most(dtype: str, stored: str, slice_bytes: int) -> int:
    """How many values of a dtype are few; 0 for one that is not looked at here."""
    try:
        kind = numpy_dtype(dtype)
    except TypeError:
        return 0
    native = kind.isnative and kind == numpy_dtype(stored)
    plain = native and kind.itemsize <= _WIDEST and isinstance(family_of(kind), Plain)
    return min(SMALL_BYTES, slice_bytes) // kind.itemsize if plain else 0


def measure_small(
    tensors: Iterable[Tensor], limits: Limits, *, thorough: bool = False, digests: bool = False
) -> dict[str, Measurement]:
    """By name what `measure` would say of those that are small.

    Those that cannot be read, or hold what is not finite, are left out.
    """
    found: dict[str, Measurement] = {}
    few = [tensor for tensor in tensors if is_small(tensor, limits)]
    for some in _as_they_lie(few) if are_far(few) else [few]:
        for same in by_size(some, limits):
            rows = read_rows(same)
            measured = measure_rows(rows, limits, thorough=thorough, digests=digests)
            for tensor, one in zip(rows.tensors, measured, strict=True):
                if one is not None:
                    found[tensor.name] = one
    return found


def _as_they_lie(tensors: Iterable[Tensor]) -> Iterator[Sequence[Tensor]]:
    """Some at a time, which their storage is told of: their sizes say nothing of where they are."""
    ordered = sorted(tensors, key=place)
    for start in range(0, len(ordered), FAR_TOGETHER):
        some = ordered[start : start + FAR_TOGETHER]
        expect(some)
        yield some


def by_size(tensors: Iterable[Tensor], limits: Limits) -> Iterator[list[Tensor]]:
    """The small ones, by dtype and number of values, as many at a time as a matrix holds."""
    groups: dict[tuple[str, int], list[Tensor]] = {}
    for tensor in tensors:
        if is_small(tensor, limits):
            groups.setdefault((tensor.dtype, tensor.elements), []).append(tensor)
    for (dtype, elements), same in groups.items():
        step = max(MATRIX_BYTES // (elements * numpy_dtype(dtype).itemsize), 1)
        for start in range(0, len(same), step):
            deadline.check()
            yield same[start : start + step]


def read_rows(tensors: Sequence[Tensor]) -> Rows:
    """The values of small tensors of one dtype and size; of those that can be read."""
    dtype, elements = numpy_dtype(tensors[0].dtype), tensors[0].elements
    nbytes = elements * dtype.itemsize
    read, parts = [], []
    for tensor in tensors:
        payload = tensor.payload
        assert isinstance(payload, RawPayload)  # noqa: S101 - see `is_small`
        try:
            parts.append(payload.source.view(payload.offset, nbytes))
        except ArtifactError:
            continue
        read.append(tensor)
    return Rows(read, np.frombuffer(b"".join(parts), dtype).reshape(len(read), elements))


def measure_rows(
    rows: Rows, limits: Limits, *, thorough: bool = False, digests: bool = False
) -> list[Measurement | None]:
    """The measurement of each row; None of one that holds what is not finite."""
    tensors, values = rows
    if not tensors:
        return []
    size = values.shape[1]
    flags = values != 0
    filled = np.count_nonzero(flags, axis=1).tolist()
    with np.errstate(invalid="ignore"):  # a NaN anywhere makes both NaN
        low, high = values.min(axis=1), values.max(axis=1)
    finite = (np.isfinite(low) & np.isfinite(high)).tolist()
    ordered = np.sort(values, axis=1)
    distinct = (np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1) + 1).tolist()
    # Adding 0 makes -0.0 one with 0.0: which of them NumPy takes for the least is chance.
    ends = zip((low + 0).tolist(), (high + 0).tolist(), strict=True)
    found: list[Measurement | None] = []
    for at, (tensor, (least, greatest)) in enumerate(zip(tensors, ends, strict=True)):
        if not finite[at]:
            found.append(None)
            continue
        zeros = size - filled[at]
        patterns: tuple[Pattern, ...] = ()
        if zeros and filled[at] and tensor.shape is not None and len(tensor.shape) > 1:
            search = _searched(tensor, flags[at], filled[at], limits)
            if search is None:
                found.append(None)
                continue
            patterns = search.results(zeros)
        detail = None
        if thorough:
            closer = Closer(tensor)
            closer.add(values[at], flags[at], 1)
            detail = closer.detail()
        many = distinct[at] if distinct[at] <= DISTINCT else None
        digest = values_digest(values[at]) if digests else None
        found.append(Measurement(zeros, least, greatest, 0, 0, many, patterns, detail, digest))
    return found


def _searched(tensor: Tensor, flags: Array, filled: int, limits: Limits) -> Search | None:
    """What patterns the flags hold; None where they would have to be looked at in strips."""
    search = Search(
        tensor.shape or (), limits.slice_bytes, outputs_first=tensor.outputs_first, in_order=False
    )
    if search.wide:
        return None
    bands = search.bands()
    bands.add(flags, filled)
    bands.end()
    return search
