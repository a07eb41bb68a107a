"""CRC-32C as TensorFlow and LevelDB store it: masked, so that a crc of crcs stays a good one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inspector.limits import MIB
from inspector.storage import ByteSource

if TYPE_CHECKING:
    import numpy as np

# Added after a rotation by 15 bits. Source: LevelDB's util/crc32c.h.
_DELTA = 0xA282EAD8
_STEP = 1 * MIB


def mask(crc: int) -> int:
    """The form in which a crc is stored."""
    return ((crc >> 15 | crc << 17) + _DELTA) & 0xFFFFFFFF


def extend(crc: int, data: bytes | bytearray | memoryview | np.ndarray[Any, Any]) -> int:
    """The crc of what `crc` is of, followed by `data`. The crc of nothing is 0.

    An array must be contiguous; it is read where it is, as are bytes, and views of whole ones.
    """
    import google_crc32c

    if isinstance(data, memoryview) and isinstance(data.obj, bytes):
        whole = data.c_contiguous and len(data.obj) == data.nbytes
        data = data.obj if whole else bytes(data)
    elif isinstance(data, (memoryview, bytearray)):
        data = bytes(data)
    found: int = google_crc32c.extend(crc, data)
    return found


def extend_over(crc: int, source: ByteSource, offset: int, length: int) -> int:
    """The same over bytes of a source, read in steps. Raises Truncated."""
    stop = offset + length
    for at in range(offset, stop, _STEP):
        crc = extend(crc, source.view(at, min(_STEP, stop - at)))
    return crc
