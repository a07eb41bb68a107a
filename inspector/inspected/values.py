"""A tensor's values as one NumPy array of the caller's own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from inspector import deadline
from inspector.errors import Corrupt, LimitExceeded, UsageError
from inspector.limits import Limits
from inspector.model import Tensor
from inspector.render.printable import named

if TYPE_CHECKING:
    import numpy as np

# Numbers of less than a byte come from the file one to a byte.
_NARROW = ("int2", "int4", "uint2", "uint4")


def array_of(tensor: Tensor, path: str, limits: Limits, most: int) -> np.ndarray[Any, Any]:
    """All values of a tensor whose files are open, in its shape and dtype.

    most: bytes that the array may take. Where the file has a checksum of the values, it is held
    against them. Raises UsageError where there are no values, LimitExceeded (`array_bytes`), and
    ArtifactError when bytes cannot be read.
    """
    import numpy as np

    from inspector.look import hold_to
    from inspector.values import declared_dtype

    dtype = declared_dtype(tensor)
    if tensor.payload is None or tensor.shape is None or dtype is None:
        raise UsageError(f"{named(tensor.name)} has no values to read: {_why(tensor)}")
    nbytes = tensor.elements * dtype.itemsize
    if nbytes > most:
        raise LimitExceeded("array_bytes", nbytes, most, path)
    watched = None if tensor.check is None else tensor.check.watch()
    values = np.empty(tensor.elements, dtype)
    at = 0
    for block in (watched or tensor.payload).blocks(limits.slice_bytes):
        deadline.check()
        if not _holds(dtype, block.dtype) or at + block.size > values.size:
            raise Corrupt(f"{tensor.name} is no {tensor.dtype} of {tensor.elements:,} values", path)
        values[at : at + block.size] = block
        at += block.size
    if at != values.size:
        raise Corrupt(f"{tensor.name} has {at:,} of {values.size:,} values", path)
    hold_to(tensor, watched)
    return values.reshape(tensor.shape)


def real_of(
    tensor: Tensor, stored: np.ndarray[Any, Any], path: str, limits: Limits, most: int
) -> np.ndarray[Any, Any]:
    """What quantized integers stand for: (value - zero point) * scale, as float32.

    Worked out in float64, some rows at a time. Raises UsageError where the file does not say what
    they stand for, LimitExceeded (`array_bytes`).
    """
    import numpy as np

    if tensor.real is None or tensor.quantized is None:
        raise UsageError(
            f"{named(tensor.name)} is not quantized, as far as the file says: `numpy()` has its"
            " values"
        )
    if 4 * stored.size > most:
        raise LimitExceeded("array_bytes", 4 * stored.size, most, path)
    found = np.empty(stored.shape, np.float32)
    if not stored.ndim:
        scale, zero = tensor.real.steps(())
        found[...] = (stored.astype("f8") - zero) * scale
        return found
    sides = [slice(0, side) for side in stored.shape[1:]]
    step = max(limits.slice_bytes // max(8 * math.prod(stored.shape[1:]), 1), 1)
    for start in range(0, stored.shape[0], step):
        deadline.check()
        rows = slice(start, min(start + step, stored.shape[0]))
        scale, zero = tensor.real.steps((rows, *sides))
        found[rows] = (stored[rows].astype("f8") - zero) * scale
    return found


def _holds(declared: np.dtype[Any], given: np.dtype[Any]) -> bool:
    """Whether values of the one dtype are the other's, but for byte order and packing."""
    narrow = declared.name in _NARROW and given.kind in "iu" and given.itemsize == 1
    return narrow or declared == given.newbyteorder("=")


def _why(tensor: Tensor) -> str:
    if tensor.made is not None:
        return f"it is {tensor.made}"
    if tensor.shape is None:
        return "the file declares no shape"
    if tensor.dtype == "string":
        return "it holds strings, which are not decoded"
    return f"its values cannot be read ({tensor.dtype}, {tensor.storage})"
