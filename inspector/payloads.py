"""Payloads: values of tensors that lie in a source, given block by block, and their dtypes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.storage import BLOCK, ByteSource

if TYPE_CHECKING:
    import numpy as np


@functools.lru_cache(64)
def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype of a name, ml_dtypes' own included; a leading "<" or ">" gives the byte order.

    Raises TypeError for a name that neither has ("string", "compound" ...).
    """
    import numpy as np

    order, bare = (name[0], name[1:]) if name.startswith(("<", ">")) else ("", name)
    try:
        found: np.dtype[Any] = np.dtype(bare)
    except (TypeError, ValueError, SyntaxError):  # NumPy may parse words as fields
        import ml_dtypes

        kind = getattr(ml_dtypes, bare, None)
        if not isinstance(kind, type):
            raise TypeError(f"no dtype is called {bare!r}") from None
        found = np.dtype(kind)
    # Told "<", ml_dtypes' types would no longer be the same as their own.
    return found.newbyteorder(">") if order == ">" else found


@dataclass(frozen=True, slots=True)
class RawPayload:
    """Values that lie in a source as they are.

    dtype: name as for `numpy_dtype`; count: number of values; offset: bytes into the source.
    """

    source: ByteSource
    offset: int
    count: int
    dtype: str

    def blocks(self, max_bytes: int) -> Iterator[np.ndarray[Any, Any]]:
        """The values in order, at most `max_bytes` at a time.

        All large ones are read into one buffer, which costs no more than reading: fresh memory
        would have its pages made first. Raises Truncated and Changed.
        """
        import numpy as np

        dtype = numpy_dtype(self.dtype)
        width = dtype.itemsize
        step = max(max_bytes // width, 1)
        if self.count > step:
            self.source.expect([(self.offset, self.count * width)])
        if self.count <= step or step * width <= BLOCK:
            for start in range(0, self.count, step):
                yield self.window(start, min(step, self.count - start))
            return
        room = np.empty(step, dtype)
        raw = room.view("u1").data
        for start in range(0, self.count, step):
            size = min(step, self.count - start)
            self.source.readinto(self.offset + start * width, raw[: size * width])
            yield room[:size]

    @property
    def grain(self) -> int:
        """It can be cut at any value."""
        return 1

    def part(self, start: int, count: int) -> RawPayload:
        """`count` values from the `start`-th on, as a payload of their own."""
        offset = self.offset + start * numpy_dtype(self.dtype).itemsize
        return RawPayload(self.source, offset, count, self.dtype)

    def window(self, start: int, count: int) -> np.ndarray[Any, Any]:
        """`count` values from the `start`-th on, in memory. Raises Truncated and Changed."""
        import numpy as np

        dtype = numpy_dtype(self.dtype)
        at = self.offset + start * dtype.itemsize
        return np.frombuffer(self.source.view(at, count * dtype.itemsize), dtype=dtype)


@dataclass(frozen=True, slots=True)
class FilledPayload:
    """Values that are nowhere in the file: `count` times the same fill value."""

    count: int
    value: Any
    dtype: str

    def blocks(self, max_bytes: int) -> Iterator[np.ndarray[Any, Any]]:
        """Blocks that all share one value in memory."""
        step = max(max_bytes // numpy_dtype(self.dtype).itemsize, 1)
        for start in range(0, self.count, step):
            yield self.window(start, min(step, self.count - start))

    def window(self, start: int, count: int) -> np.ndarray[Any, Any]:  # noqa: ARG002 - all are one
        """A block of `count` values from the `start`-th on."""
        import numpy as np

        one = np.asarray(self.value).astype(numpy_dtype(self.dtype))
        return np.broadcast_to(one, (count,))
