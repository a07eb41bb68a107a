"""The report as JSON: the contract itself, indented."""

from __future__ import annotations

import json
import re

import msgspec

from inspector.render.options import RenderOptions
from inspector.report import Report

# Inside JSON these can only stand in strings, where an escape means the same: C1 controls, bidi
# and zero-width marks, lone surrogates (a path that is no UTF-8), line separators, byte order mark.
_ESCAPED = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def render(report: Report, _options: RenderOptions) -> str:
    """JSON text, one trailing newline."""
    text = json.dumps(msgspec.to_builtins(report), ensure_ascii=False, allow_nan=False, indent=2)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n"
