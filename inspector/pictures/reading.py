"""Values that pictures are drawn from, a slice at a time; none of what cannot be read."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import TypeVar

import numpy as np

from inspector.changed import changed
from inspector.errors import ArtifactError, LimitExceeded
from inspector.limits import Limits
from inspector.measure import WORTH_THREADS, is_nonzero, is_real, run, side_by_side
from inspector.model import Tensor
from inspector.values import Array, declared_dtype, slices

T = TypeVar("T")
# Limits on all of an artifact: what is over them is over them for the next picture, too.
_OF_ALL = frozenset({"seconds", "memory_bytes"})


def all_readable(
    draw: Callable[[Tensor], T], tensors: Sequence[Tensor], threads: int | None
) -> list[T]:
    """What `draw` gives of each tensor, in their order; nothing of those that cannot be read.

    threads: that draw side by side, None for one a processor where there is much to read. Raises
    LimitExceeded where the time is up or the memory full.
    """
    if threads is None:
        few = sum(tensor.nbytes for tensor in tensors) < WORTH_THREADS
        threads = 1 if few else os.cpu_count() or 1
    drawn: dict[str, T] = {}

    def work(tensor: Tensor) -> None:
        found = if_readable(functools.partial(draw, tensor))
        if found is not None:
            drawn[tensor.name] = found

    if threads == 1:
        for tensor in tensors:
            work(tensor)
    else:
        run(work, tensors, threads)
    return [drawn[tensor.name] for tensor in tensors if tensor.name in drawn]


def if_readable(draw: Callable[[], T]) -> T | None:
    """What `draw` gives; None where values cannot be read.

    Raises LimitExceeded where the time is up or the memory full.
    """
    try:
        return draw()
    except LimitExceeded as error:
        if error.name in _OF_ALL:
            raise
    except ArtifactError:
        pass
    return None


def has_numbers(tensor: Tensor) -> bool:
    """Whether it has values, and they lie on a line."""
    dtype = declared_dtype(tensor)
    return tensor.payload is not None and dtype is not None and is_real(dtype)


def is_whole(tensor: Tensor) -> bool:
    """Whether its values are integers."""
    dtype = declared_dtype(tensor)
    return dtype is not None and (dtype.kind in "biu" or "int" in dtype.name)


def stored(tensor: Tensor, limits: Limits) -> Iterator[tuple[Array, int]]:
    """The values as they are stored, and how many times each of a slice stands for."""
    if tensor.payload is not None:
        yield from slices(tensor.payload, limits.slice_bytes)


def off_zero(tensor: Tensor, limits: Limits) -> Iterator[tuple[Array, int]]:
    """The same without those that are zero; of a tensor with zero points, that are at theirs."""
    other = changed(tensor, payload=tensor.centred or tensor.payload)
    for values, centred, times in side_by_side(tensor, other, limits):
        yield values[is_nonzero(centred)], times


def real(tensor: Tensor, limits: Limits) -> Iterator[tuple[Array, int]]:
    """What the values stand for: of quantized ones, less their zero points and times their scales,
    float64. Raises LimitExceeded (`slice_bytes`) where one row of those is too long to be held.
    """
    steps, shape = tensor.real, tensor.shape
    if steps is None or not shape:
        yield from stored(tensor, limits)
        return
    inner = tuple(slice(0, side) for side in shape[1:])
    row = 0
    for values in _rows(tensor, limits):
        rows = values.reshape(-1, *shape[1:])
        scale, zero = steps.steps((slice(row, row + rows.shape[0]), *inner))
        row += rows.shape[0]
        yield ((rows.astype("f8") - zero) * scale).reshape(-1), 1


def _rows(tensor: Tensor, limits: Limits) -> Iterator[Array]:
    """The values, whole rows of the first side at a time: as many as a slice has, or one."""
    width = max(prod((tensor.shape or ())[1:]), 1)
    if width > limits.slice_bytes:
        raise LimitExceeded("slice_bytes", width, limits.slice_bytes, "")
    rest: Array | None = None
    for values, _ in stored(tensor, limits):
        found = values if rest is None else np.concatenate([rest, values])
        whole = found.size // width * width
        rest = found[whole:].copy() if whole < found.size else None
        if whole:
            yield found[:whole]
