"""`--limit NAME=VALUE`: what the user allows an artifact beyond, or short of, the defaults."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from inspector.errors import UsageError
from inspector.limits import CAPS, DEFAULT, GIB, KIB, MIB, Cap, Limits
from inspector.meant import did_you_mean

_SUFFIXES = {"": 1, "kib": KIB, "mib": MIB, "gib": GIB}
_VALUE = re.compile(r"([0-9][0-9,_]*) ?([a-z]*)", re.IGNORECASE)
_MOST = (1 << 63) - 1  # what the system's own calls take
_CAPS = {cap.name: cap for cap in CAPS}


def limits_of(given: Sequence[str]) -> Limits:
    """The default limits, those replaced that are given as NAME=VALUE; of one name the last.

    Values are whole numbers, with thousands separated by "," or "_" or not at all; sizes may end in
    KiB, MiB or GiB. Raises UsageError for an unknown name and for what is no such value.
    """
    values: dict[str, int] = {}
    for text in given:
        name, equals, value = text.partition("=")
        cap = _CAPS.get(name.strip())
        if not equals:
            raise UsageError(f"--limit takes NAME=VALUE, not {text!r}")
        if cap is None:
            hint = did_you_mean(name.strip(), _CAPS)
            raise UsageError(
                f"no limit is called {name!r}{hint} (inspect formats --limits lists them)"
            )
        values[cap.name] = _value(cap, value.strip())
    return replace(DEFAULT, **values)


def _value(cap: Cap, text: str) -> int:
    found = _VALUE.fullmatch(text)
    factor = _SUFFIXES.get(found[2].lower()) if found else None
    if found is None or factor is None or (factor > 1 and cap.unit != "bytes"):
        kinds = "a whole number"
        if cap.unit == "bytes":
            kinds += " of bytes, or of KiB, MiB or GiB (64MiB)"
        raise UsageError(f"limit {cap.name} is {kinds}, not {text!r}")
    digits = re.sub("[,_]", "", found[1])
    value = int(digits) * factor if len(digits) <= len(str(_MOST)) else 0
    if not 0 < value <= _MOST:
        raise UsageError(f"limit {cap.name} is more than 0 and less than 2**63, not {text!r}")
    return value


def spelled(cap: Cap) -> str:
    """The default as it can be given: "64MiB", "1,000"."""
    if cap.unit == "bytes":
        for suffix, size in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
            if cap.default % size == 0:
                return f"{cap.default // size}{suffix}"
    return f"{cap.default:,}"
