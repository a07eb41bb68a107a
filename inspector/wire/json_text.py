"""JSON of an artifact, parsed where it becomes no more Python values than may be held."""

from __future__ import annotations

import json
from typing import Any

from inspector.errors import LimitExceeded
from inspector.limits import Limits

# Each begins a value: the first of a list or an object, and every further one; an object's value
# is beside its key.
_MARKS = (",", "[", "{")


def parse_json(text: str | bytes, limits: Limits, path: str) -> Any:
    """The value of a JSON text. Marks inside strings count too, of which sound texts have few.

    Raises LimitExceeded (`config_bytes`, `config_values`), ValueError, RecursionError.
    """
    if len(text) > limits.config_bytes:
        raise LimitExceeded("config_bytes", len(text), limits.config_bytes, path)
    values = sum(
        text.count(mark) if isinstance(text, str) else text.count(mark.encode()) for mark in _MARKS
    )
    if values > limits.config_values:
        raise LimitExceeded("config_values", values, limits.config_values, path)
    return json.loads(text)
