"""The tables of a difference, as cells: tensors, facts, numbers side by side, places of bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from inspector.render.printable import optional, shape, shorten, value
from inspector.render.rows import Table, full_name
from inspector.render.table import Column
from inspector.report import (
    Diff,
    DiffFact,
    DiffPair,
    DiffPlace,
    DiffTensor,
    DiffValues,
    Report,
    TensorReport,
)
from inspector.words import ROLE_LABELS, ROLE_WORDS, keyless, listing, number

SIGNS = {"added": "+", "removed": "-", "changed": "~", "unread": "?", "unchanged": "="}
_MOST = 50  # rows of a kind, unless all are wanted
_FEW = 8  # alike rows that are listed one by one
_CELL = 200  # characters of a value in a config

# Pairs that stand in one row: one, or several that are alike.
Row = tuple[DiffPair, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Section:
    """Tables under one title, "" for none. quiet: what a reader may pass over."""

    title: str
    tables: tuple[Table, ...]
    quiet: bool = False


def sections(report: Report, diff: Diff, everything: bool) -> list[Section]:
    """What to show, in order: what counts, the numbers, what does not count, what is the same.

    everything: no row is folded or left out, and unchanged pairs are rows too.
    """
    every = spelled(report, diff)
    same = [pair for pair in every if pair.status == "unchanged"]
    pairs = [pair for pair in every if pair.status != "unchanged"]
    facts = [fact for fact in diff.facts if not is_count(fact)]

    def of(counts: bool) -> tuple[Table, ...]:
        return (
            _tensors([pair for pair in pairs if matters(pair) is counts], everything),
            _facts([fact for fact in facts if fact.counts is counts], everything),
        )

    found = [
        Section("", of(counts=True)),
        Section("", _counts(report, diff)),
        Section("Differs, and does not count:", of(counts=False), quiet=True),
        Section("Unchanged:", (_tensors(same, True),) if everything else (), quiet=True),
        Section("Bytes that differ:", (_places(diff.places or (), everything),)),
    ]
    kept = [
        Section(one.title, tuple(table for table in one.tables if table.rows), one.quiet)
        for one in found
    ]
    return [one for one in kept if one.tables]


# Tensors


def matters(pair: DiffPair) -> bool:
    """Whether the two may not say the same because of it: nobody knows of what is unread."""
    return pair.counts or pair.status == "unread"


def spelled(report: Report, diff: Diff) -> list[DiffPair]:
    """The pairs, an optimizer's slots named after what they are of: "m of dense/kernel"."""
    a, b = ({one.name: one for one in artifact.tensors} for artifact in report.artifacts[:2])
    return [
        replace(pair, a=_slot(pair.a, a), b=_slot(pair.b, b)) if _is_slot(pair) else pair
        for pair in diff.pairs
    ]


def _is_slot(pair: DiffPair) -> bool:
    return "optimizer_slot" in {side.role for side in (pair.a, pair.b) if side}


def _slot(side: DiffTensor | None, by_name: Mapping[str, TensorReport]) -> DiffTensor | None:
    """Under its path where nothing tells what it is of: "m" alone says little."""
    if side is None or side.role != "optimizer_slot":
        return side
    entry = by_name.get(side.name)
    told = full_name(entry, by_name) if entry and entry.about in by_name else None
    return replace(side, layer=None, variable=told or None)


def fold(pairs: Sequence[DiffPair]) -> list[Row]:
    """Rows in the order of the pairs; where many are alike, one row for all of them."""
    many = {kind for kind, times in Counter(map(_kind, pairs)).items() if kind and times > _FEW}
    rows: dict[object, list[DiffPair]] = {}
    for at, pair in enumerate(pairs):
        kind = _kind(pair)
        rows.setdefault(kind if kind in many else at, []).append(pair)
    return [tuple(row) for row in rows.values()]


def _kind(pair: DiffPair) -> tuple[object, ...] | None:
    """Equal of pairs that a reader needs no names of; None where each tells something."""
    if pair.status == "unread" or "renamed" in pair.changes or (pair.values and _differs(pair)):
        return None
    return (pair.status, one_side(pair).role, pair.words, pair.why if pair.counts else "")


def _differs(pair: DiffPair) -> bool:
    return pair.values is not None and pair.values.differing > 0


def bounded(rows: Iterable[T], kind: Callable[[T], str]) -> tuple[list[T], Counter[str]]:
    """At most so many rows of each kind, and how many of each were left out."""
    kept: list[T] = []
    seen: Counter[str] = Counter()
    for row in rows:
        seen[kind(row)] += 1
        if seen[kind(row)] <= _MOST:
            kept.append(row)
    return kept, Counter({one: times - _MOST for one, times in seen.items() if times > _MOST})


def more(left: Counter[str], what: str) -> str:
    """What was left out: "... and 400 more changed tensors (--all lists them)"."""
    if not left:
        return ""
    parts = listing([f"{number(times)} more {kind}" for kind, times in left.items()])
    return f"... and {parts} {what} (--all lists them)"


def shown(pairs: Sequence[DiffPair], everything: bool) -> tuple[list[Row], str]:
    """The rows of these pairs, and a note of what has none."""
    if everything:
        return [(pair,) for pair in pairs], ""
    rows, left = bounded(fold(pairs), lambda row: row[0].status)
    return rows, more(left, "tensors")


def one_side(pair: DiffPair) -> DiffTensor:
    """The tensor of A, or where it has none, of B. Raises ValueError where both have none."""
    found = pair.a or pair.b
    if found is None:
        raise ValueError("a pair of no tensors")
    return found


def name(row: Row) -> str:
    """What the row is of: "dense/kernel", "{dense_1 → dense}/kernel", "400 optimizer slots"."""
    pair = row[0]
    if len(row) > 1:
        role = one_side(pair).role
        return f"{number(len(row))} {ROLE_WORDS.get(role, (role, f'{role} tensors'))[1]}"
    return turned(*(_called(side) for side in (pair.a, pair.b) if side))


def _called(tensor: DiffTensor) -> str:
    if tensor.variable is None:
        return keyless(tensor.name) or "(no name)"
    return f"{tensor.layer}/{tensor.variable}" if tensor.layer else tensor.variable


def turned(a: str, b: str | None = None) -> str:
    """Two paths as one, with what they share said once: "model/{conv → conv_1}/kernel"."""
    if b is None or a == b:
        return a
    old, new = a.split("/"), b.split("/")
    most = min(len(old), len(new)) - 1
    head = _shared(old[:most], new[:most])
    tail = _shared(old[::-1][: most - head], new[::-1][: most - head])
    if not head + tail:
        return f"{a} → {b}"
    middle = " → ".join("/".join(path[head : len(path) - tail]) for path in (old, new))
    return "/".join([*old[:head], f"{{{middle}}}", *old[len(old) - tail :]])


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """How many parts both begin with."""
    for at, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return at
    return min(len(a), len(b))


def _tensors(pairs: Sequence[DiffPair], everything: bool) -> Table:
    rows, note = shown(pairs, everything)
    made = {
        column: [cell(row) for row in rows]
        for column, cell in _CELLS.items()
        if everything or column is not _WHY
    }
    filled = {column: cells for column, cells in made.items() if any(cells)}
    cells = tuple(zip(*filled.values(), strict=True))
    return Table(tuple(filled), cells, (), note, tuple(row[0].status for row in rows))


def _role(row: Row) -> str:
    pair = row[0]
    return " → ".join(dict.fromkeys(side.role for side in (pair.a, pair.b) if side))


def change(row: Row) -> str:
    """What changed in words, without what other columns say of values and names."""
    pair = row[0]
    if pair.status == "unchanged":
        return pair.conversion or ""
    if pair.status == "unread" or not pair.clauses:
        return pair.words or pair.why
    told = [
        "values" if kind == "values" and pair.values else clause
        for kind, clause in zip(pair.changes, pair.clauses, strict=True)
        if kind != "renamed"
    ]
    return "; ".join(filter(None, told)) or ", ".join(pair.changes)


def _why(row: Row) -> str:
    """Why the two are one."""
    pair = row[0]
    return pair.why if pair.a and pair.b and len(row) == 1 else ""


def _form(row: Row) -> str:
    """The dtype and shape; none of a row of several."""
    if len(row) > 1:
        return ""
    return " → ".join(
        dict.fromkeys(f"{one.dtype} {shape(one.shape)}" for one in (row[0].a, row[0].b) if one)
    )


def _elements(row: Row) -> str:
    return number(sum(one_side(pair).elements for pair in row))


def _of_values(cell: Callable[[DiffValues], str], *, always: bool = False) -> Callable[[Row], str]:
    """A cell that only values fill; where none differ, only if `always`."""

    def made(row: Row) -> str:
        values = row[0].values if len(row) == 1 else None
        return cell(values) if values and (always or values.differing) else ""

    return made


def zeros(values: DiffValues) -> str:
    """Zeros of both, "640 → 652", or the one number where both have as many."""
    return " → ".join(dict.fromkeys(map(number, (values.zeros_a, values.zeros_b))))


def _steps(values: DiffValues) -> str:
    """The largest difference in the units that the change rounds to."""
    for units, words in ((values.in_scale_units, "steps"), (values.ulps, "ulp")):
        if units is not None:
            return f"{brief(units)} {words}"
    return ""


def brief(found: float | str | None) -> str:
    """A difference in three digits; "" where there is none to say."""
    if found is None:
        return ""
    return value(found) if isinstance(found, (str, int)) else f"{found:.3g}"


_WHY = Column("paired because", keep=20, words=True, least=24, said=True)
# What a row of tensors says; columns that are empty are left out.
_CELLS: dict[Column, Callable[[Row], str]] = {
    Column("", keep=110, words=True): lambda row: SIGNS.get(row[0].status, " "),
    Column("tensor", keep=100, words=True, least=20): name,
    Column("role", keep=60, words=True): _role,
    Column("change", keep=99, words=True, least=24, said=True): change,
    Column("differing", keep=98): _of_values(lambda found: number(found.differing)),
    Column("elements", keep=80): _elements,
    Column("max diff", keep=97): _of_values(lambda found: brief(found.largest)),
    Column("in units", keep=85): _of_values(_steps),
    Column("mean diff", keep=50): _of_values(lambda found: brief(found.mean)),
    Column("rel. norm", keep=55): _of_values(lambda found: brief(found.relative_norm)),
    Column("cosine", keep=36): _of_values(lambda found: value(found.cosine)),
    Column("sign flips", keep=40): _of_values(lambda found: number(found.sign_flips)),
    Column("zeros", keep=95): _of_values(zeros),
    Column("form", keep=35, words=True): _form,
    _WHY: _why,
}


# Facts


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


def _facts(facts: Sequence[DiffFact], everything: bool) -> Table:
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
        (SIGNS[state], fact.part, fact.what, written(fact.a), written(fact.b))
        for state, fact in zip(states, facts, strict=True)
    )
    return Table(columns, rows, (), more(left, "facts"), tuple(states))


def written(found: Any) -> str:
    """A value of a config in a cell: words as they are, all else as JSON; None is "-"."""
    if found is None:
        return "-"
    if isinstance(found, (str, int, float)) and not isinstance(found, bool):
        return shorten(found if isinstance(found, str) else value(found), _CELL)
    plain = msgspec.to_builtins(found, str_keys=True)
    return shorten(json.dumps(plain, ensure_ascii=False), _CELL)


def _counts(report: Report, diff: Diff) -> tuple[Table, ...]:
    """Tables of elements, of bytes ...: A, B, and what B has more."""
    heads = dict.fromkeys(count.head for count in _COUNTS.values())
    return tuple(_side_by_side(head, report, diff) for head in heads)


def _side_by_side(head: str, report: Report, diff: Diff) -> Table:
    columns = (
        Column(head, keep=100, words=True, least=16),
        Column("A", keep=90),
        Column("B", keep=91),
        Column("B - A", keep=80),
    )
    sizes = [artifact.nbytes for artifact in report.artifacts[:2]]
    footer = (("total", *_both(*sizes)),) if head == "bytes" and len(sizes) == 2 else ()
    return Table(columns, tuple(_count_rows(head, diff)), footer)


def _count_rows(head: str, diff: Diff) -> Iterator[tuple[str, ...]]:
    for fact in diff.facts:
        count = _COUNTS.get(fact.part)
        # The size of the whole is below the bytes.
        if count is None or count.head != head or fact.what == "nbytes":
            continue
        a, b = count.of(fact.a), count.of(fact.b)
        if a != b:
            yield count.label(fact.what), *_both(a, b)


def _both(a: int | None, b: int | None) -> tuple[str, str, str]:
    more = "?" if a is None or b is None else f"{b - a:+,}" if a != b else "0"
    return optional(a), optional(b), more


# Places


def _places(places: Sequence[DiffPlace], everything: bool) -> Table:
    left: Counter[str] = Counter()
    if not everything:
        places, left = bounded(places, lambda _: "")
    files = [turned(*(one for one in (place.a, place.b) if one is not None)) for place in places]
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
