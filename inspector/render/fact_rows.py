"""What differs beside the tensors as rows: facts, counts side by side, places of bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from inspector.render.bounded import bounded, more
from inspector.render.pair_rows import SIGNS, shared, turned
from inspector.render.printable import optional, shorten
from inspector.render.rows import Table
from inspector.render.table import Column
from inspector.report import Diff, DiffFact, DiffPlace, Report
from inspector.words import ROLE_LABELS, number

_CELL = 200  # characters of a value in a config


@dataclass(frozen=True, slots=True)
class _Count:
    """How facts of a part that are counts stand side by side: in the table of that head, each by
    its label. key: of the count among several that the fact has.
    """

    head: str
    label: Callable[[str], str] = str
    key: str | None = None

    def of(self, found: Any) -> int | None:
        """The count; of a part of several counts that one side lacks, 0."""
        if self.key is None:
            return found if isinstance(found, int) else None
        return found.get(self.key) if isinstance(found, dict) else 0


# By part, in the order of the tables.
_COUNTS: Mapping[str, _Count] = {
    "totals": _Count("elements"),
    "roles": _Count("elements", lambda role: ROLE_LABELS.get(role, role), "elements"),
    "sparsity": _Count("elements", lambda what: f"zeros of {what}", "zeros"),
    "bytes": _Count("bytes"),
    "patterns": _Count("weights that hold"),
}


def is_count(fact: DiffFact) -> bool:
    """Whether a fact is a count or a size, which follow from what else changed."""
    return fact.part in _COUNTS


def fact_status(fact: DiffFact) -> str:
    """As of pairs: "added" where only B has it."""
    if fact.a is None and fact.b is not None:
        return "added"
    return "removed" if fact.b is None and fact.a is not None else "changed"


def fact_changes(facts: Sequence[DiffFact], everything: bool) -> Table:
    """A row a fact; of each part only so many, unless everything is wanted."""
    left: Counter[str] = Counter()
    if not everything:
        facts, left = bounded(facts, lambda fact: fact.part)
    columns = (
        Column("", keep=110, words=True),
        Column("part", keep=60, words=True),
        Column("what", keep=100, words=True, least=16),
        Column("A", keep=98, words=True, least=12),
        Column("B", keep=99, words=True, least=12),
    )
    states = [fact_status(fact) for fact in facts]
    rows = tuple(
        (SIGNS[state], fact.part, fact.what, *both_written(fact.a, fact.b))
        for state, fact in zip(states, facts, strict=True)
    )
    return Table(columns, rows, (), more(left, "facts"), tuple(states))


def both_written(a: Any, b: Any) -> tuple[str, str]:
    """Both values in so many digits that one can tell them apart."""
    short = written(a), written(b)
    return short if short[0] != short[1] else (written(a, exact=True), written(b, exact=True))


def written(found: Any, *, exact: bool = False) -> str:
    """A value of a config in a cell: words as they are, all else as JSON; None is "-".

    exact: every digit of a float, whose float32 may have been 0.001.
    """
    if found is None:
        return "-"
    if isinstance(found, (list, tuple)) and found and all(isinstance(one, str) for one in found):
        found = ", ".join(found)
    if isinstance(found, str):
        return shorten(found, _CELL)
    if isinstance(found, float) and not exact:
        return f"{found:.6g}"
    plain = msgspec.to_builtins(found, str_keys=True)
    return shorten(json.dumps(plain, ensure_ascii=False), _CELL)


def counts(report: Report, diff: Diff) -> tuple[Table, ...]:
    """Tables of elements, of bytes ...: A, B, and what B has more."""
    heads = dict.fromkeys(kind.head for kind in _COUNTS.values())
    return tuple(_side_by_side(head, report, diff) for head in heads)


def bytes_table(report: Report) -> Table:
    """All bytes of two artifacts by label, the largest first, those that are the same too."""
    a, b = (one.bytes for one in report.artifacts[:2])
    sizes = [(label, a.get(label, 0), b.get(label, 0)) for label in {**a, **b}]
    largest_first = sorted(sizes, key=lambda one: -max(one[1:]))
    rows = tuple((label, *_both(*of_both)) for label, *of_both in largest_first)
    return Table(_columns("part"), rows, _total(report))


def _side_by_side(head: str, report: Report, diff: Diff) -> Table:
    footer = _total(report) if head == "bytes" else ()
    return Table(_columns(head), tuple(_count_rows(head, diff)), footer)


def _columns(head: str) -> tuple[Column, ...]:
    return (
        Column(head, keep=100, words=True, least=16),
        Column("A", keep=90),
        Column("B", keep=91),
        Column("B - A", keep=80),
    )


def _total(report: Report) -> tuple[tuple[str, ...], ...]:
    """The row of both sizes, none where there is one artifact."""
    sizes = [artifact.nbytes for artifact in report.artifacts[:2]]
    return (("total", *_both(*sizes)),) if len(sizes) == 2 else ()


def _count_rows(head: str, diff: Diff) -> Iterator[tuple[str, ...]]:
    for fact in diff.facts:
        kind = _COUNTS.get(fact.part)
        # The size of the whole is below the bytes.
        if kind is None or kind.head != head or fact.what == "nbytes":
            continue
        a, b = kind.of(fact.a), kind.of(fact.b)
        if a != b:
            yield kind.label(fact.what), *_both(a, b)


def _both(a: int | None, b: int | None) -> tuple[str, str, str]:
    grown = "?" if a is None or b is None else f"{b - a:+,}" if a != b else "0"
    return optional(a), optional(b), grown


def place_table(places: Sequence[DiffPlace], everything: bool) -> Table:
    """A row for each run of bytes that differ."""
    left: Counter[str] = Counter()
    if not everything:
        places, left = bounded(places, lambda _: "")
    files = [_file(place) for place in places]
    several = len(set(files)) > 1
    columns = (
        *((Column("file", keep=90, words=True, least=16),) if several else ()),
        Column("offset", keep=99),
        Column("length", keep=98),
        Column("what", keep=100, words=True, least=24, said=True),
    )
    rows = tuple(
        (
            *((file,) if several else ()),
            number(place.offset),
            number(place.length),
            place.what,
        )
        for file, place in zip(files, places, strict=True)
    )
    return Table(columns, rows, (), more(left, "places"))


def _file(place: DiffPlace) -> str:
    """The file as both artifacts call it, as far as they call it alike."""
    paths = [one for one in (place.a, place.b) if one is not None]
    parts = [path.split("/") for path in paths]
    alike = shared(*(part[::-1] for part in parts)) if len(parts) == 2 else 0
    return "/".join(parts[0][-alike:]) if alike else turned(*paths)
