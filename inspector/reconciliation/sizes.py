"""How large the same weights would be: stripped, stored sparsely, deflated. Sizes are bytes.

None is a promise of a format: each is a lower bound, of which a real file has its structure too.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.model import Measurement, Tensor
from inspector.payloads import FilledPayload, numpy_dtype

_INDEX_BITS = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What stays after stripping, in bytes: without structure, headers or config of any file.

    elements, zeros: of what stays. dense: every value written out. bitmask: a bit a value, and the
    values that are not zero; csr: by bits of a column's index: rows' starts, columns and values.
    In both a tensor that is no smaller so counts as it is. deflated: as gzip would (level 6), None
    where that was not measured.
    """

    elements: int
    zeros: int
    dense: int
    bitmask: int
    csr: Mapping[int, int]
    deflated: int | None = None


def sizes_of(tensors: Sequence[Tensor], measured: Mapping[str, Measurement]) -> Sizes | None:
    """Sizes of these tensors; None where one of them was not measured."""
    if any(tensor.elements and tensor.name not in measured for tensor in tensors):
        return None
    dense = bitmask = zeros = 0
    csr = dict.fromkeys(_INDEX_BITS, 0)
    for tensor in tensors:
        whole = dense_bytes(tensor)
        found = measured[tensor.name].zeros if tensor.elements else 0
        filled = tensor.elements - found
        kept = _values(tensor, filled)
        zeros += found
        dense += whole
        bitmask += min(whole, -(-tensor.elements // 8) + kept)
        for bits in _INDEX_BITS:
            csr[bits] += min([whole, *_compressed_rows(tensor, filled, kept, bits)])
    return Sizes(sum(tensor.elements for tensor in tensors), zeros, dense, bitmask, csr)


def dense_bytes(tensor: Tensor) -> int:
    """Bytes of all values, each written out; of an unknown dtype, those that are stored."""
    try:
        return _values(tensor, tensor.elements)
    except TypeError:
        return tensor.nbytes


def _values(tensor: Tensor, number: int) -> int:
    # int4 takes half a byte in every format that has it.
    if tensor.dtype in {"int4", "uint4"}:
        return -(-number // 2)
    return number * int(numpy_dtype(tensor.dtype).itemsize)


def _compressed_rows(tensor: Tensor, filled: int, kept: int, bits: int) -> Iterable[int]:
    """Bytes of the matrix in compressed rows, its last side as columns and as rows.

    Starts of rows take the fewest whole bytes (1, 2, 4 or 8) that can count the values. Nothing
    where an index of `bits` bits cannot name every column.
    """
    if not tensor.shape or not tensor.elements:
        return
    last = tensor.shape[-1]
    rest = tensor.elements // last
    start = next(size for size in (1, 2, 4, 8) if filled < 1 << 8 * size)
    for rows, columns in ((rest, last), (last, rest)):
        if columns <= 1 << bits:
            yield kept + filled * bits // 8 + (rows + 1) * start


def deflated(tensors: Iterable[Tensor], limits: Limits = DEFAULT) -> int | None:
    """Bytes of the values as gzip deflates them, one after the other in one stream.

    One pass, a slice in memory at a time; None where values cannot be read.
    """
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    total = 0
    try:
        for tensor in tensors:
            if tensor.payload is None:
                if tensor.elements:
                    return None
                continue
            if isinstance(tensor.payload, FilledPayload) and (
                dense_bytes(tensor) > limits.bomb_bytes
            ):
                return None  # stored nowhere, and as long as the file says
            for block in tensor.payload.blocks(limits.slice_bytes):
                total += len(squeeze.compress(block.tobytes()))
    except ArtifactError:
        return None
    return total + len(squeeze.flush())
