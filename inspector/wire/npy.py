"""The header of an .npy file: dtype, shape, and where the values start. Needs no NumPy.

Source of the format: NumPy's "NEP 1 - A simple file format for NumPy arrays", versions 1.0 to 3.0.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Any

from inspector.errors import Corrupt, LimitExceeded, Truncated, UnknownFormat, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.storage import ByteSource

MAGIC = b"\x93NUMPY"
OBJECT = "object"
# Width of the header's length field and the header's encoding, by major version.
VERSIONS = {1: (2, "latin-1"), 2: (4, "latin-1"), 3: (4, "utf-8")}
MAX_DIMENSIONS = 64  # NumPy 2's own

TYPE = re.compile(r"([<>|=]?)([biufcSUVmM])(\d{0,9})(\[[^\]]{1,20}\])?")
# The sizes in bytes that a kind of number has; absent kinds (S, U, V) take any.
ITEM_SIZES = {
    "b": (1,),
    "i": (1, 2, 4, 8),
    "u": (1, 2, 4, 8),
    "f": (2, 4, 8, 12, 16),
    "c": (8, 16, 24, 32),
    "m": (8,),
    "M": (8,),
}


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What an .npy header says.

    dtype: as in the header, with its byte order ("<f4", "|u1"), or "object" (pickled values).
    data_offset: bytes into the source; nbytes: bytes of the values, for "object" all that is left.
    """

    dtype: str
    shape: tuple[int, ...]
    fortran_order: bool
    data_offset: int
    nbytes: int


def read_header(source: ByteSource, offset: int = 0, limits: Limits = DEFAULT) -> NpyHeader:
    """The header at `offset`, checked against the source's size.

    Raises UnknownFormat (no magic), Truncated, Corrupt, Unsupported (structured dtypes, a later
    version), LimitExceeded (`npy_header_bytes`).
    """
    path = source.path
    if bytes(source.view(offset, min(len(MAGIC), max(source.size - offset, 0)))) != MAGIC:
        raise UnknownFormat("is no .npy data: its magic is missing", path, offset)
    major = source.view(offset + len(MAGIC), 2)[0]
    if major not in VERSIONS:
        raise Unsupported(f".npy version {major} is not read", path, offset + len(MAGIC))
    width, encoding = VERSIONS[major]
    at = offset + len(MAGIC) + 2
    length = int.from_bytes(source.view(at, width), "little")
    if length > limits.npy_header_bytes:
        raise LimitExceeded("npy_header_bytes", length, limits.npy_header_bytes, path, at)
    at += width
    fields = _literal(bytes(source.view(at, length)), encoding, path, at)
    dtype, item_size = _dtype(fields["descr"], path, at)
    shape = check_shape(fields["shape"], path, at)
    data, left = at + length, source.size - at - length
    nbytes = left if dtype == OBJECT else math.prod(shape) * item_size
    if nbytes > left:
        raise Truncated(
            f"declares {nbytes:,} bytes of values, {nbytes - left:,} of them are missing",
            path,
            data,
        )
    return NpyHeader(dtype, shape, bool(fields["fortran_order"]), data, nbytes)


def item_size(dtype: str) -> int | None:
    """Bytes of one value of a NumPy type string ("<f4": 4, "<U3": 12); None where it is none."""
    match = TYPE.fullmatch(dtype)
    if match is None:
        return None
    _, kind, digits, unit = match.groups()
    size = int(digits) if digits else 8 if kind in "mM" else 0
    if size not in ITEM_SIZES.get(kind, (size,)) or (unit and kind not in "mM"):
        return None
    if size == 0:  # values without bytes: any count of them would fit in any file
        return None
    return 4 * size if kind == "U" else size


def check_shape(shape: Any, path: str, offset: int) -> tuple[int, ...]:
    """`shape` if it is a tuple of sides that NumPy could hold. Raises Corrupt."""
    if (
        not isinstance(shape, tuple)
        or len(shape) > MAX_DIMENSIONS
        or not all(type(side) is int and 0 <= side < 1 << 63 for side in shape)
    ):
        raise Corrupt("the array's shape is no tuple of sizes", path, offset)
    return shape


def _literal(raw: bytes, encoding: str, path: str, offset: int) -> dict[str, Any]:
    """The header's dict. It is short (see the cap), and `literal_eval` runs no code."""
    try:
        fields = ast.literal_eval(raw.decode(encoding).strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise Corrupt("the .npy header is no Python literal", path, offset) from None
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise Corrupt("the .npy header lacks descr, fortran_order or shape", path, offset)
    return fields


def _dtype(descr: Any, path: str, offset: int) -> tuple[str, int]:
    """The name of a header's descr, and the bytes of one value (0 for "object")."""
    if isinstance(descr, list | tuple):
        raise Unsupported("structured dtypes are not read", path, offset)
    if not isinstance(descr, str):
        raise Corrupt("the .npy header's descr is no string", path, offset)
    if descr.lstrip("<>|=") in ("O", "O4", "O8"):
        return OBJECT, 0
    size = item_size(descr)
    if size is None:
        raise Corrupt(f"the .npy header's descr {descr[:40]!r} is no dtype", path, offset)
    return descr, size
