"""SHA-256 of a tensor's values, in whatever pass reads them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from inspector import deadline
from inspector.limits import MIB, Limits
from inspector.model import Tensor
from inspector.payloads import FilledPayload, numpy_dtype
from inspector.values import Array, declared_dtype, native

if TYPE_CHECKING:
    import numpy as np

_STEP = 1 * MIB  # bytes of a value over and over that are hashed at once


class ValueDigest:
    """Of all values of a tensor, handed over in C order (see `digests.tensor_digest`)."""

    def __init__(self, tensor: Tensor) -> None:
        self._state = hashlib.sha256()
        self._narrow = narrow(tensor)

    def add(self, block: Array, times: int = 1) -> None:
        """Take in some values. times: how often, where they are one value over and over."""
        if block.dtype.hasobject or block.dtype.kind in "SU":
            for text in _texts(block):
                self._state.update(len(text).to_bytes(8, "little"))
                self._state.update(text)
            return
        raw = little_endian(block, self._narrow)
        if times == 1:
            self._state.update(raw)
            return
        most = max(_STEP // max(raw.nbytes, 1), 1)
        many = bytes(raw) * min(most, times)
        for start in range(0, times, most):
            deadline.check()
            self._state.update(many[: raw.nbytes * min(most, times - start)])

    def spelled(self) -> str:
        """The digest of what was taken in, in words."""
        return f"sha256:{self._state.hexdigest()}"


def values_digest(values: Array) -> str:
    """Of numbers that are no narrow integers."""
    return f"sha256:{hashlib.sha256(little_endian(values)).hexdigest()}"


def little_endian(values: Array, kind: np.dtype[Any] | None = None) -> memoryview:
    """The bytes of values in order. kind: of integers of less than a byte."""
    # Whoever packed those may have left anything in the upper bits.
    values = native(values) if kind is None else values.astype("i1").astype(kind)
    if sys.byteorder == "big":
        values = values.byteswap()
    return values.view("u1").data


def narrow(tensor: Tensor) -> np.dtype[Any] | None:
    """The dtype of integers of less than a byte; None for all others."""
    dtype = declared_dtype(tensor)
    small = dtype is not None and dtype.kind == "V" and "int" in dtype.name
    return dtype if small else None


def is_endless(tensor: Tensor, limits: Limits) -> bool:
    """Whether its values are nowhere in the file, and would take more than limits.bomb_bytes."""
    payload = tensor.payload
    if not isinstance(payload, FilledPayload):
        return False
    return tensor.elements * numpy_dtype(payload.dtype).itemsize > limits.bomb_bytes


def _texts(values: Array) -> Iterator[bytes]:
    for one in values.reshape(-1).tolist():
        yield one if isinstance(one, bytes) else str(one).encode("utf-8", "surrogateescape")
