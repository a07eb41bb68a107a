"""Blocks of text that several reports are made of: a headline, paragraphs, a table."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from inspector.render.printable import FILLER, safe, shorten, widened
from inspector.render.rows import Table
from inspector.render.style import Style
from inspector.render.table import layout
from inspector.report import ArtifactReport
from inspector.words import count

PROSE = 120  # sentences in longer lines are hard to read
LONGEST = 2_000  # a message that quotes the file may be as long as the file wishes
_PART = 400  # of the line that names an artifact


def header(artifact: ArtifactReport) -> str:
    """One line: "pruned.h5 · Keras HDF5, whole model · tf_keras 2.21.0 · 51,276 bytes"."""
    producer = artifact.producer
    parts = [
        artifact.path,
        artifact.kind or "",
        " ".join(filter(None, (producer.name, producer.version))) if producer else "",
        count(len(artifact.files), "file") if len(artifact.files) > 1 else "",
        count(artifact.nbytes or 0, "byte"),
    ]
    return " · ".join(shorten(safe(part), _PART) for part in parts if part)


def table_lines(table: Table, width: int, style: Style) -> list[str]:
    """A table as lines, and a note of the columns that there was no room for."""
    rows = [[safe(cell) for cell in row] for row in table.rows]
    body, dropped = layout(table.columns, [*rows, *table.footer], width)
    painted = body[2 : 2 + len(rows)]
    if table.tones:
        painted = [style.tone(tone, at) for tone, at in zip(table.tones, painted, strict=True)]
    lines = [style.bold(body[0]), style.dim(body[1]), *painted]
    if table.footer:
        lines += [style.dim(body[1]), *body[2 + len(rows) :]]
    if dropped:
        note = f"{width} columns leave no room for: {', '.join(dropped)}."
        lines += [style.dim(line) for line in wrap(note, width)]
    return lines


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` columns; the second and later ones are indented."""
    spread = widened(text)
    # A break may part a wide character from its filler: one column is kept for that.
    room = width if spread == text else width - 1
    lines = textwrap.wrap(
        spread, room, subsequent_indent=indent, break_on_hyphens=False, break_long_words=True
    )
    found = [line.replace(FILLER, "") for line in lines]
    return [line for line in found if line.strip()]


def paragraphs(texts: Sequence[str], width: int) -> list[str]:
    """Each text wrapped."""
    return [line for text in texts for line in wrap(text, width)]
