"""What pages of comparisons and audits begin with: a verdict, numbers, contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.render.rows import Table


@dataclass(frozen=True, slots=True)
class Verdict:
    """word: "Passed"; text: why, "" where the word says all; good: null where nobody knows."""

    word: str
    text: str
    good: bool | None


@dataclass(frozen=True, slots=True)
class Count:
    """A number of a page's head. means: in words, what is counted."""

    words: str
    value: int
    means: str


def contents(
    parts: Sequence[tuple[str, str, str]], values: Mapping[str, object]
) -> tuple[tuple[str, str], ...]:
    """(id, words) of the parts that have something in them. parts: (id, key of a value, words)."""
    there = {key: one.rows if isinstance(one, Table) else one for key, one in values.items()}
    return tuple((part, words) for part, key, words in parts if there[key])
