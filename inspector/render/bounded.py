"""Lists that may be long: so many rows of a kind, and a note of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from inspector.words import listing, number

T = TypeVar("T")
_MOST = 50  # rows of a kind, unless all are wanted


def bounded(
    rows: Iterable[T], kind: Callable[[T], str], most: int = _MOST
) -> tuple[list[T], Counter[str]]:
    """At most so many rows of each kind, and how many of each were left out."""
    kept: list[T] = []
    seen: Counter[str] = Counter()
    for row in rows:
        seen[kind(row)] += 1
        if seen[kind(row)] <= most:
            kept.append(row)
    return kept, Counter({one: times - most for one, times in seen.items() if times > most})


def more(left: Counter[str], what: str, where: str = "--all lists them") -> str:
    """What was left out: "... and 400 more changed tensors (--all lists them)"."""
    if not left:
        return ""
    parts = listing([f"{number(times)} more {kind}".rstrip() for kind, times in left.items()])
    return f"... and {parts} {what} ({where})"
