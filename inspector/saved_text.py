"""The text of a report that was saved to a file, within what one may cost."""

from __future__ import annotations

import codecs

from inspector.errors import LimitExceeded
from inspector.limits import Limits
from inspector.storage import ByteSource

# Shells of Windows write what is piped into a file so.
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEPARATORS = b",", b"{", b"["  # what stands before a value


def decoded(raw: bytes) -> str:
    """Text of whatever encoding it is marked as; what is no text is replaced."""
    if raw.startswith(_WIDE):
        return raw.decode("utf-16", "replace")
    return raw.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")


def saved_text(source: ByteSource, limits: Limits) -> bytes:
    """The whole file as UTF-8. Raises LimitExceeded (`report_bytes`, `report_values`)."""
    if source.size > limits.report_bytes:
        raise LimitExceeded("report_bytes", source.size, limits.report_bytes, source.path)
    raw = bytes(source.view(0, source.size))
    if raw.startswith(_WIDE):
        raw = raw.decode("utf-16", "replace").encode()
    values = sum(map(raw.count, _SEPARATORS))
    if values > limits.report_values:
        raise LimitExceeded("report_values", values, limits.report_values, source.path)
    return raw.removeprefix(codecs.BOM_UTF8)
