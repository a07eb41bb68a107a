"""Keras 3's 4-bit arrays: two values a byte, some with a zero point that differs by group.

Source: `pack_int4`, `unpack_int4` and `dequantize_with_sz_map` of keras 3.15: the low nibble is
the first of the two values, and a real value is (stored - zero) * scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.payloads import FilledPayload, RawPayload

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Int4Payload:
    """4-bit values, two a byte along `axis` (0 or 1) of a packed matrix.

    packed: the bytes, a matrix of `packed_shape`; int8 bytes hold signed values (-8 to 7), uint8
    ones unsigned (0 to 15). shape: of the values; an odd side's last nibble is padding.
    """

    packed: RawPayload | FilledPayload
    packed_shape: tuple[int, ...]
    shape: tuple[int, ...]
    axis: int

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """Values as int8 or uint8, in C order. Raises Truncated."""
        for _, rows in self.row_blocks(max_bytes):
            yield rows.reshape(-1)

    def row_blocks(self, max_bytes: int) -> Iterator[tuple[int, Array]]:
        """(number of the first row, a matrix of whole rows); about `max_bytes` each."""
        columns = self.packed_shape[1]
        step = max(max_bytes // max(2 * columns, 1), 1)
        for start in range(0, self.packed_shape[0], step):
            count = min(step, self.packed_shape[0] - start)
            matrix = self.packed.window(start * columns, count * columns).reshape(count, columns)
            first = start if self.axis == 1 else 2 * start
            yield first, self._unpack(matrix)[: self.shape[0] - first, : self.shape[1]]

    def _unpack(self, matrix: Array) -> Array:
        import numpy as np

        count, columns = matrix.shape
        signed = matrix.dtype.kind == "i"
        out = np.empty(
            (2 * count, columns) if self.axis == 0 else (count, 2 * columns), matrix.dtype
        )
        low, high = (out[0::2], out[1::2]) if self.axis == 0 else (out[:, 0::2], out[:, 1::2])
        if signed:
            # Shifting a signed byte keeps its sign: the nibble goes up, then down.
            np.right_shift(np.left_shift(matrix, 4), 4, out=low)
            np.right_shift(matrix, 4, out=high)
        else:
            np.bitwise_and(matrix, 0xF, out=low)
            np.right_shift(matrix, 4, out=high)
        return out


@dataclass(frozen=True, slots=True)
class CentredPayload:
    """The same values less their zero points: 0 where the real value is 0.

    zero: the zero points, a matrix of (groups, columns) or (rows, groups); group: which group each
    row (group_axis 0) or column (group_axis 1) is in.
    """

    values: Int4Payload
    zero: RawPayload
    zero_shape: tuple[int, ...]
    group: RawPayload
    group_axis: int

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """Differences as int16, in C order. Only where `is_sound`. Raises Truncated."""
        import numpy as np

        zero = self.zero.window(0, self.zero.count).reshape(self.zero_shape).astype(np.int16)
        group = self.group.window(0, self.group.count).astype(np.int64)
        for first, rows in self.values.row_blocks(max(max_bytes // 2, 1)):
            if self.group_axis == 0:
                centre = zero[group[first : first + rows.shape[0]]]
            else:
                centre = zero[first : first + rows.shape[0]][:, group]
            yield (rows.astype(np.int16) - centre).reshape(-1)

    def is_sound(self) -> bool:
        """Whether every group number points at a zero point, and the sizes fit."""
        import numpy as np

        rows, columns = self.values.shape
        other = columns if self.group_axis == 0 else rows
        along = rows if self.group_axis == 0 else columns
        groups = self.zero_shape[self.group_axis]
        if self.zero_shape[1 - self.group_axis] != other or self.group.count != along:
            return False
        group = self.group.window(0, self.group.count)
        return bool(np.all((group >= 0) & (group < groups) & (group == np.floor(group))))
