"""A difference for a person at a terminal: the answer, then only what changed."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.render.blocks import LONGEST, PROSE, header, paragraphs, table_lines, wrap
from inspector.render.fact_rows import counts, fact_changes, is_count, place_table
from inspector.render.options import RenderOptions
from inspector.render.pair_rows import matters, spelled, tensor_changes
from inspector.render.printable import safe, shorten
from inspector.render.rows import Table
from inspector.render.stat import stat
from inspector.render.style import Style
from inspector.report import Diff, Report
from inspector.words import keyless

PLAIN = Style(False)


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

    def of(matter: bool) -> tuple[Table, ...]:
        return (
            tensor_changes([pair for pair in pairs if matters(pair) is matter], everything),
            fact_changes([fact for fact in facts if fact.counts is matter], everything),
        )

    found = [
        Section("", of(matter=True)),
        Section("", counts(report, diff)),
        Section("Differs, and does not count:", of(matter=False), quiet=True),
        Section("Unchanged:", (tensor_changes(same, True),) if everything else (), quiet=True),
        Section("Bytes that differ:", (place_table(diff.places or (), everything),)),
    ]
    kept = [
        Section(one.title, tuple(table for table in one.tables if table.rows), one.quiet)
        for one in found
    ]
    return [one for one in kept if one.tables]


def text(report: Report, options: RenderOptions, style: Style) -> str:
    """At most `options.width` columns; with `options.stat` one line a change and nothing else."""
    diff = report.diff
    if not diff:
        return ""
    if options.stat:
        return "\n".join(stat(report, diff, options, style))
    width = options.width
    lines = [style.bold(line) for text in sides(report) for line in wrap(text, width, "   ")]
    lines += ["", *paragraphs(sentences(diff), min(width, PROSE))]
    for section in sections(report, diff, options.all):
        lines += _section(section, width, style)
    return "\n".join(lines)


def sides(report: Report) -> list[str]:
    """A line for each of the two: "A: pruned.h5 · Keras HDF5, whole model · 51,276 bytes"."""
    return [f"{side}: {header(one)}" for side, one in zip("AB", report.artifacts, strict=False)]


def sentences(diff: Diff) -> list[str]:
    """The answer, fit to be shown."""
    answer = diff.answer or (("The two say the same.",) if diff.same else ())
    return [shorten(safe(keyless(line)), LONGEST) for line in answer]


def _section(section: Section, width: int, style: Style) -> list[str]:
    """Each table after an empty line; a quiet section is dim all through."""
    lines: list[str] = ["", *wrap(section.title, width)] if section.title else []
    for at, table in enumerate(section.tables):
        lines += [""] if at or not section.title else []
        lines += table_lines(table, width, PLAIN if section.quiet else style)
        lines += wrap(safe(table.note), width)
    return [style.dim(line) for line in lines] if section.quiet else lines
