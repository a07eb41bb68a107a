"""The attributes of an HDF5 object as plain Python, sized before they are held.

Keras keeps a model's config, its layers' names and the order of its weights in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from h5py import h5a, h5i, h5t

from inspector.errors import Corrupt
from inspector.limits import Limits
from inspector.model import Severity
from inspector.storage import ByteSource
from inspector.wire.hdf5_errors import LIBRARY_ERRORS, reason
from inspector.wire.hdf5_header import claimed_text
from inspector.wire.hdf5_heap import largest_collection
from inspector.wire.hdf5_nodes import Attribute, check_limit

# The classes of attributes that Keras writes; of others, only the size is told.
_PLAIN_CLASSES = frozenset({h5t.STRING, h5t.INTEGER, h5t.FLOAT, h5t.ENUM})
# Times the limit attribute_bytes that a list of values may take at the very worst.
_SWELL = 4


class AttributeReader:
    """Reads the attributes of one file. start: where the HDF5 file begins; note: takes problems."""

    def __init__(
        self,
        source: ByteSource,
        limits: Limits,
        start: int,
        note: Callable[[str, Severity, str], None],
    ) -> None:
        self._source = source
        self._limits = limits
        self._start = start
        self._note = note
        self._text_bytes = self._bytes = self._values = 0
        self._largest_heap: int | None = None

    def read(self, node_id: Any, index: int, path: str, address: int) -> Attribute | None:
        """The `index`-th attribute of the object at `address`; None, noted, where it is broken.

        Raises LimitExceeded, or Corrupt where all texts together are more than the file.
        """
        try:
            handle = h5a.open(node_id, index=index)
            name = handle.name.decode("utf-8", "backslashreplace")
            count = math.prod(handle.shape or ()) if handle.shape is not None else 0
            stored = handle.get_storage_size() if count else 0
            self._bytes += stored
            self._values += count
            check_limit(self._limits, "attribute_bytes", self._bytes, self._source.path)
            check_limit(self._limits, "attribute_values", self._values, self._source.path)
            kind = handle.get_type()
            variable = _is_variable_length(kind)
            if kind.get_class() not in _PLAIN_CLASSES:
                return Attribute(name, None, stored, inline=True)
            if variable and stored != count * _reference_bytes(node_id):
                # libhdf5 would take what lies behind it in memory for the rest of a reference.
                message = f"attribute {name} of {path or '/'} is too short for its texts"
                self._note("attribute-unread", Severity.ERROR, message)
                return Attribute(name, None, stored, inline=True)
            if variable and self._may_swell(handle.name, count, address):
                message = f"attribute {name} of {path or '/'} may be far larger than the file"
                self._note("attribute-unread", Severity.ERROR, message)
                return Attribute(name, None, stored, inline=True)
            value, text_bytes = _plain(_values(handle)) if handle.shape is not None else (None, 0)
        except LIBRARY_ERRORS as error:
            message = f"an attribute of {path or '/'} cannot be read: {reason(error)}"
            self._note("unreadable-attribute", Severity.WARNING, message)
            return None
        if not variable:
            return Attribute(name, value, stored, inline=True)
        self._text_bytes += text_bytes
        self._bytes += text_bytes
        check_limit(self._limits, "attribute_bytes", self._bytes, self._source.path)
        if self._text_bytes > self._source.size:
            raise Corrupt(
                "its attributes claim more text than the file has bytes", self._source.path
            )
        return Attribute(name, value, text_bytes, inline=False)

    def _may_swell(self, name: bytes, count: int, address: int) -> bool:
        """Whether `count` values of variable length could be more than memory should hold.

        Each is a reference into a heap, and nothing keeps a file from referring to one long
        value a thousand times, or from overstating its length.
        """
        place = address + self._start
        claimed = claimed_text(self._source, place, self._start, name, count)
        if claimed is not None:
            return claimed > self._source.size
        limit = _SWELL * self._limits.attribute_bytes
        if count <= 1 or count * self._source.size <= limit:
            return False
        if self._largest_heap is None:
            self._largest_heap = largest_collection(self._source)
        return count * self._largest_heap > limit


def _values(handle: Any) -> Any:
    values = np.empty(handle.shape, handle.dtype)
    if values.size:
        handle.read(values)
    return values


def _reference_bytes(node_id: Any) -> int:
    """Bytes of a reference to a value of variable length: its length, its heap, its number there.

    Source: HDF5 File Format Specification, "IV.B. Data Storage", variable-length.
    """
    address_bytes, _ = h5i.get_file_id(node_id).get_create_plist().get_sizes()
    return 4 + int(address_bytes) + 4


def _is_variable_length(kind: Any) -> bool:
    return bool(
        kind.get_class() == h5t.VLEN
        or (isinstance(kind, h5t.TypeStringID) and kind.is_variable_str())
    )


def _plain(raw: Any) -> tuple[Any, int]:
    """An attribute's value as plain Python, and the bytes of its text."""
    if hasattr(raw, "tolist"):
        raw = raw.tolist()
    if isinstance(raw, (list, tuple)):
        pairs = [_plain(one) for one in raw]
        return tuple(value for value, _ in pairs), sum(size for _, size in pairs)
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "replace"), len(raw)
    if isinstance(raw, str):
        return raw, len(raw.encode("utf-8", "replace"))
    if isinstance(raw, (bool, int, float)):
        return raw, 8
    return None, 0
