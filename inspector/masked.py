"""A mask and the weight that it prunes, held against each other while both are measured.

Where the one that lies first is not zero is kept, a bit a value, until the other was looked at:
neither is read again to know how many weights the mask should have removed and did not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from inspector.limits import MIB
from inspector.model import Role, Tensor, Verdict
from inspector.payloads import FilledPayload
from inspector.values import Array, declared_dtype, is_number

# More bits are not kept: both are read again. 128 million values are 11,585 x 11,585.
KEPT_BYTES = 16 * MIB


class Kept:
    """Where the values of a tensor are not zero."""

    def __init__(self, elements: int) -> None:
        self._elements = elements
        self._bits = self._rest = np.empty(0, "u1")
        self._at = 0  # bytes that are full

    def add(self, flags: Array, times: int = 1) -> None:
        """Take in where a slice is not zero; each of its values stands for so many."""
        if not self._bits.size:
            self._bits = np.zeros(-(-self._elements // 8), "u1")
        flags = np.repeat(flags, times) if times > 1 else flags.view("u1")
        if self._rest.size:
            flags = np.concatenate([self._rest, flags])
        full = flags.size // 8
        self._bits[self._at : self._at + full] = np.packbits(flags[: 8 * full])
        self._at += full
        self._rest = flags[8 * full :].astype("u1")

    def end(self) -> None:
        """Nothing more comes."""
        if self._rest.size:
            self._bits[self._at] = np.packbits(self._rest)[0]

    @property
    def is_whole(self) -> bool:
        """Whether all of the tensor is known."""
        return 8 * self._at + self._rest.size == self._elements

    def window(self, start: int, count: int) -> Array:
        """Where so many values from the `start`-th on are not zero."""
        first = start // 8
        bits = np.unpackbits(self._bits[first : -(-(start + count) // 8)])
        return bits[start - 8 * first :][:count].view(bool)

    def release(self) -> None:
        """It is needed no more."""
        self._bits = np.empty(0, "u1")


class Leaks:
    """Counts values of a weight that are not zero where its mask is. leaked: None where unknown.

    first: of one of both; is_mask: whether the other, which is looked at, is the mask.
    """

    def __init__(self, first: Kept, elements: int, *, is_mask: bool) -> None:
        self._first, self._elements, self._is_mask = first, elements, is_mask
        self._at = self._found = 0
        self.leaked: int | None = None

    def add(self, flags: Array, times: int = 1) -> None:
        """Take in where a slice is not zero; each of its values stands for so many."""
        if not self._first.is_whole:
            return
        flags = np.repeat(flags, times) if times > 1 else flags
        other = self._first.window(self._at, flags.size)
        weight, mask = (other, flags) if self._is_mask else (flags, other)
        self._found += int(np.count_nonzero(weight > mask))
        self._at += flags.size

    def end(self) -> None:
        """Nothing more comes."""
        if self._first.is_whole and self._at == self._elements:
            self.leaked = self._found
        self._first.release()


def masks_of(tensors: Iterable[Tensor], verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """By the name of a weight, that of the one mask it has, which can be held against it so."""
    by_name = {tensor.name: tensor for tensor in tensors}
    pairs = [
        (verdict.about, name)
        for name, verdict in verdicts.items()
        if verdict.role is Role.MASK
        and verdict.about in by_name
        and name in by_name
        and verdicts[verdict.about].role is not Role.MASK
    ]
    masks = Counter(weight for weight, _ in pairs)
    return {
        weight: mask
        for weight, mask in pairs
        if weight is not None
        and masks[weight] == 1
        and weight != mask
        and by_name[weight].shape == by_name[mask].shape
        and all(_is_plain(by_name[name]) for name in (weight, mask))
    }


def _is_plain(tensor: Tensor) -> bool:
    dtype = declared_dtype(tensor)
    return (
        dtype is not None
        and is_number(dtype)
        and tensor.payload is not None
        and tensor.centred is None
        and not isinstance(tensor.payload, FilledPayload)
        and 0 < tensor.elements <= 8 * KEPT_BYTES
    )
