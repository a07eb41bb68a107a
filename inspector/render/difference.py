"""A difference for a person at a terminal: the answer, then only what changed."""

from __future__ import annotations

from inspector.render.blocks import LONGEST, PROSE, header, paragraphs, table_lines, wrap
from inspector.render.changes import Section, sections
from inspector.render.options import RenderOptions
from inspector.render.printable import safe, shorten
from inspector.render.stat import stat
from inspector.render.style import Style
from inspector.report import Diff, Report
from inspector.words import keyless

PLAIN = Style(False)


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
