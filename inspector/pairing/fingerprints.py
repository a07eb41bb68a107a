"""Numbers that tell slices of tensors apart, so that one may be looked for in another.

A fingerprint is a sum, modulo 2**64, over the bits of all values of a slice, each mixed and times
an odd number of its place in the slice: equal slices have equal ones, and others have not, but by a
chance of about 2**-64. Whoever goes by them holds the values against each other in the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inspector.limits import Limits
from inspector.model import Tensor
from inspector.pairing.changes import View
from inspector.pairing.values import tiles
from inspector.values import Array, declared_dtype, native

_WIDEST = 8  # bytes of a value's bits


def has_bits(tensor: Tensor) -> bool:
    """Whether its values can be taken as integers of up to 8 bytes."""
    dtype = declared_dtype(tensor)
    return dtype is not None and not dtype.hasobject and dtype.itemsize in (1, 2, 4, _WIDEST)


def unordered(tensor: Tensor, limits: Limits) -> int:
    """The sum of all values' bits, which is the same in any order. Raises ArtifactError."""
    total = 0
    for block in tensor.payload.blocks(limits.slice_bytes) if tensor.payload else ():
        values = native(block)
        total += int(values.view(f"u{values.itemsize}").sum(dtype="u8"))
    return total % (1 << 64)


def along(tensor: Tensor, axis: int, limits: Limits, shape: Sequence[int] | None = None) -> Array:
    """The fingerprints of all slices along an axis: uint64, one for each of its indices.

    shape: to take the values in, in place of their own. Raises ArtifactError.
    """
    sides = tuple(shape if shape is not None else tensor.shape or ())
    view = View(tensor, lambda values: values.reshape(sides), limits)
    found = np.zeros(sides[axis], "u8")
    rest = [side for at, side in enumerate(sides) if at != axis]
    strides = [math.prod(rest[at + 1 :]) for at in range(len(rest))]
    strides.insert(axis, 0)
    with np.errstate(over="ignore"):
        for index in tiles(sides, max(limits.slice_bytes // _WIDEST, 1)):
            place = np.zeros((1,) * len(sides), "u8")
            for at, (part, stride) in enumerate(zip(index, strides, strict=True)):
                steps = np.arange(part.start, part.stop, dtype="u8") * np.uint64(stride)
                place = place + steps.reshape([-1 if at == one else 1 for one in range(len(sides))])
            weights = _mixed(place.take([0], axis)) | np.uint64(1)
            others = tuple(at for at in range(len(sides)) if at != axis)
            found[index[axis]] += (_mixed(_bits(view[index])) * weights).sum(others, dtype="u8")
    return found


def _bits(values: Array) -> Array:
    return values.view(f"u{values.itemsize}").astype("u8")


def _mixed(numbers: Array) -> Array:
    """Each number's bits spread over 64 (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Array = mixed ^ (mixed >> np.uint64(31))
    return found
