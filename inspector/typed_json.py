"""JSON of typed values that may hold what is no Unicode: paths are bytes, and need not be UTF-8."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

Answer = TypeVar("Answer")


def encode(value: Any) -> bytes:
    """JSON of what msgspec knows; names that are no Unicode, and huge numbers, too."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(msgspec.to_builtins(value), allow_nan=False).encode()


def decode(text: bytes | bytearray, kind: type[Answer]) -> Answer:
    """What `encode` or `--format json` made, held against its type.

    Raises msgspec.MsgspecError, ValueError, RecursionError.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:  # a lone surrogate is no JSON to it
        return msgspec.convert(json.loads(text), kind)
