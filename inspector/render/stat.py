"""A difference as `git diff --stat` shows one: a line a change, a bar, and a line of totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector.render.blocks import wrap
from inspector.render.bounded import bounded
from inspector.render.fact_rows import both_written, fact_status, is_count
from inspector.render.options import RenderOptions
from inspector.render.pair_rows import Row, change, matters, name, one_side, shown, spelled
from inspector.render.printable import ELLIPSIS, safe, shorten
from inspector.render.style import Style
from inspector.report import Diff, DiffFact, DiffValues, Report
from inspector.words import count, number

_BAR = 40  # columns; more tell no more
_LEAST_BAR = 8
_ASCII = str.maketrans({"→": "->", "…": "...", "×": "x", "·": "-"})


@dataclass(frozen=True, slots=True)
class _Line:
    """One change. gained, lost: values that came and went; one that changed did both."""

    name: str
    text: str
    gained: int = 0
    lost: int = 0


def stat(report: Report, diff: Diff, options: RenderOptions, style: Style) -> list[str]:
    """Lines of at most `options.width` columns, in ASCII; what does not count only with `all`."""
    pairs = [
        pair
        for pair in spelled(report, diff)
        if pair.status != "unchanged" and (matters(pair) or options.all)
    ]
    rows, note = shown(pairs, options.all)
    facts = [fact for fact in _changed(diff) if fact.counts or options.all]
    if not options.all:
        facts, _ = bounded(facts, lambda fact: fact.part)
    lines = [*map(_tensor, rows), *map(_fact, facts)]
    return [
        *_barred(lines, options.width, style),
        *wrap(_ascii(note), options.width, " "),
        *wrap(_totals(diff), options.width, " "),
    ]


def _changed(diff: Diff) -> list[DiffFact]:
    """Facts that are no count: those follow from the tensors."""
    return [fact for fact in diff.facts if not is_count(fact)]


def _tensor(row: Row) -> _Line:
    pair = row[0]
    elements = sum(one_side(one).elements for one in row)
    if pair.status == "added":
        return _Line(name(row), f"{count(elements, 'value')} added", gained=elements)
    if pair.status == "removed":
        return _Line(name(row), f"{count(elements, 'value')} removed", lost=elements)
    if len(row) == 1 and pair.values and pair.values.differing:
        found = pair.values.differing
        return _Line(name(row), f"{number(found)} of {count(elements, 'value')}", found, found)
    return _Line(name(row), change(row) or pair.status)


def _fact(fact: DiffFact) -> _Line:
    a, b = both_written(fact.a, fact.b)
    text = {"added": f"only in B: {b}", "removed": f"only in A: {a}", "changed": f"{a} -> {b}"}
    return _Line(f"{fact.part} {fact.what}", text[fact_status(fact)])


def _barred(lines: Sequence[_Line], width: int, style: Style) -> list[str]:
    """Names, texts and bars below each other: " dense/kernel | 3 of 20,280 values +-"."""
    if not lines:
        return []
    room = width - len("  | ")
    names = [_ascii(line.name) for line in lines]
    texts = [_ascii(line.text) for line in lines]
    said = min(max(map(len, texts)), room // 2)
    named = min(max(map(len, names)), max(room - said - _LEAST_BAR, room // 3))
    bar = min(_BAR, room - named - said - 1)
    most = max(line.gained + line.lost for line in lines)
    return [
        f" {_both_ends(name, named):<{named}} | {_begin(text, said):<{said}}"
        f" {_bar(line, most, bar, style)}".rstrip()
        for name, text, line in zip(names, texts, lines, strict=True)
    ]


def _bar(line: _Line, most: int, room: int, style: Style) -> str:
    """The line's share of the longest bar; a change of any size has a mark."""
    if room < 2 or not most:
        return ""
    plus, minus = (
        -(-part * room // most) if most > room else part for part in (line.gained, line.lost)
    )
    over = max(0, plus + minus - room)
    return style.tone("added", "+" * (plus - over)) + style.tone("removed", "-" * minus)


def _totals(diff: Diff) -> str:
    """The last line: " 1 tensor changed, 2 removed, 0 added; 3 of 20,410 values differ"."""
    found = diff.summary
    parts = [f"{count(found.changed, 'tensor')} changed", f"{number(found.removed)} removed"]
    parts.append(f"{number(found.added)} added")
    parts += [f"{number(found.unread)} unread"] if found.unread else []
    parts += [f"{number(found.ignored)} ignored"] if found.ignored else []
    compared = [pair.values for pair in diff.pairs if pair.values]
    facts = sum(fact.counts for fact in _changed(diff))
    others = f"; {count(facts, 'other change')}" if facts else ""
    return f" {', '.join(parts)}{_values(compared)}{others}"


def _values(compared: Sequence[DiffValues]) -> str:
    """How many differ; nothing where none were held against each other, as by digests."""
    if not compared:
        return ""
    differing = sum(values.differing for values in compared)
    whole = count(sum(values.elements for values in compared), "value")
    return f"; {number(differing)} of {whole} differ"


def _ascii(text: str) -> str:
    plain = safe(text).translate(_ASCII)
    return plain.encode("ascii", "backslashreplace").decode("ascii")


def _both_ends(text: str, width: int) -> str:
    """A name without its middle: "m of ...dense/kernel"."""
    return shorten(text, width if len(text) <= width else width - 2).replace(ELLIPSIS, "...")


def _begin(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
