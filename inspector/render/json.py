"""The report as JSON: the contract itself, indented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from inspector.render.options import RenderOptions
from inspector.report import Report

# Inside JSON these can only stand in strings, where an escape means the same: what shows nothing
# and may steer what shows it, by Unicode's categories: controls (Cc), format characters as bidi,
# zero-width and tag ones (Cf), lone surrogates (a path that is no UTF-8), line separators.
_ESCAPED = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
_PIECE = 1 << 16  # bits of text, a few characters each, in a piece


def render(report: Report, options: RenderOptions) -> str:
    """JSON text, one trailing newline."""
    return "".join(pieces(report, options))


def pieces(report: Report, _options: RenderOptions) -> Iterator[str]:
    """The same, a piece at a time: the text of a large report is several times the report."""
    yield from spelled(report)


def spelled(value: object) -> Iterator[str]:
    """Any value that JSON and msgspec know, as JSON text, a piece at a time."""
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=2, default=_plain)
    bits: list[str] = []
    for bit in encoder.iterencode(value):
        bits.append(bit)
        if len(bits) == _PIECE:
            yield _escaped(bits)
            bits = []
    bits.append("\n")
    yield _escaped(bits)


def _plain(value: object) -> Any:
    """What the encoder does not know: a struct, whose fields it will ask for in turn, and others
    that msgspec knows.
    """
    if not isinstance(value, Struct):
        return msgspec.to_builtins(value)
    kind = type(value)
    names = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
    named = ((name, getattr(value, attribute)) for name, attribute in names)
    return {name: found for name, found in named if found is not UNSET}


def _escaped(bits: list[str]) -> str:
    return _ESCAPED.sub(_escape, "".join(bits))


def _escape(found: re.Match[str]) -> str:
    # JSON's escapes are UTF-16 units: two for what lies past U+FFFF.
    return json.dumps(found[0])[1:-1]
