"""The answers of a summary for people and for programs."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from inspector._version import __version__
from inspector.fleet.queries import COUNT, PATH, SAID, SHARE, SIDES, TEXT, WORD
from inspector.fleet.queries import Column as Asked
from inspector.fleet.schema import VERSION
from inspector.fleet.summary import Answer
from inspector.render.csv import guard
from inspector.render.json import spelled
from inspector.render.markdown import grid, prose
from inspector.render.options import RenderOptions
from inspector.render.printable import optional, safe, shape
from inspector.render.rows import Table
from inspector.render.style import Style
from inspector.render.table import Column, layout
from inspector.words import keyless, number, percent

_NAMES = {PATH: 32, TEXT: 12, SAID: 20}  # how far they may be shortened, in characters


def text(where: str, answers: Sequence[Answer], options: RenderOptions) -> str:
    """Tables of a width; numbers are never cut, and what has no room is named."""
    style = Style(options.color)
    blocks = [_block(answer, options.width, style) for answer in answers]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _block(answer: Answer, width: int, style: Style) -> Iterator[str]:
    yield style.bold(answer.query.title)
    yield from (style.dim(line) for line in textwrap.wrap(answer.query.about, width))
    yield ""
    table = _table(answer)
    notes = [*_notes(answer)]
    if table.rows:
        lines, dropped = layout(table.columns, table.rows, width)
        yield from lines
        if dropped:
            notes.append(f"{width} columns leave no room for: {', '.join(dropped)}.")
    for note in notes:
        yield from textwrap.wrap(note, width)


def markdown(where: str, answers: Sequence[Answer], options: RenderOptions) -> str:
    """A heading and a table an answer, for a pull request or a page."""
    blocks: list[str] = []
    for answer in answers:
        table = _table(answer)
        blocks += [f"### {prose(answer.query.title)}", prose(answer.query.about)]
        blocks += [grid(table)] if table.rows else []
        blocks += [prose(note) for note in _notes(answer)]
    return "\n\n".join(blocks) + "\n"


def json(where: str, answers: Sequence[Answer], options: RenderOptions) -> str:
    """All of it as values: null is unknown."""
    return "".join(
        spelled(
            {
                "schema_version": VERSION,
                "tool": {"name": "inspect", "version": __version__},
                "command": "fleet summary",
                "results": where,
                "tables": [
                    {
                        "name": answer.query.name,
                        "title": answer.query.title,
                        "about": answer.query.about,
                        "rows": [
                            dict(zip(_heads(answer), row, strict=True)) for row in answer.rows
                        ],
                        "of": answer.of,
                        **({} if answer.saved is None else {"saved": answer.saved}),
                        **({} if answer.basis is None else {"basis": list(answer.basis)}),
                    }
                    for answer in answers
                ],
            }
        )
    )


def comma_separated(where: str, answers: Sequence[Answer], options: RenderOptions) -> str:
    """One table with its columns; of several a line a cell: table, row, column, value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if len(answers) == 1:
        (answer,) = answers
        writer.writerow(_heads(answer))
        writer.writerows([_plain(cell) for cell in row] for row in answer.rows)
        return out.getvalue()
    writer.writerow(("table", "row", "column", "value"))
    for answer in answers:
        for at, row in enumerate(answer.rows, 1):
            for head, cell in zip(_heads(answer), row, strict=True):
                writer.writerow((answer.query.name, at, head, _plain(cell)))
    return out.getvalue()


Renderer = Callable[[str, Sequence[Answer], RenderOptions], str]
RENDERERS: Mapping[str, Renderer] = {
    "text": text, "json": json, "markdown": markdown, "csv": comma_separated
}  # fmt: skip


def _heads(answer: Answer) -> list[str]:
    return [column.name for column in answer.query.columns]


def _plain(cell: Any) -> Any:
    if isinstance(cell, list):
        return shape(tuple(cell))
    return guard(cell) if isinstance(cell, str) else cell


def _table(answer: Answer) -> Table:
    columns = tuple(map(_column, answer.query.columns))
    kinds = [column.kind for column in answer.query.columns]
    rows = tuple(
        tuple(_WORDS[kind](cell) for kind, cell in zip(kinds, row, strict=True))
        for row in answer.rows
    )
    return Table(columns, rows)


def _column(asked: Asked) -> Column:
    return Column(
        asked.head,
        keep=asked.keep,
        words=asked.kind not in (COUNT, SHARE, SIDES),
        least=_NAMES.get(asked.kind, 0),
        said=asked.kind == SAID,
    )


def _notes(answer: Answer) -> Iterator[str]:
    query = answer.query
    if not answer.rows:
        yield "None."
    if len(answer.rows) < answer.of:
        yield f"{number(len(answer.rows))} of {number(answer.of)} rows; --top N shows more."
    if answer.rows and query.note:
        yield query.note.format(of=number(answer.of), saved=optional(answer.saved))
    if answer.basis is not None and answer.basis[0] < answer.basis[1]:
        known, all_of_them = map(number, answer.basis)
        yield query.basis_words.format(known=known, all=all_of_them)


def _word(cell: str | None) -> str:
    return "?" if cell is None else safe(cell)


def _name(cell: str | None) -> str:
    return _word(cell if cell is None else keyless(cell))


def _share(cell: float | None) -> str:
    return "?" if cell is None else percent(*cell.as_integer_ratio())


def _sides(cell: Sequence[int] | None) -> str:
    return "?" if cell is None else shape(tuple(cell))


_WORDS: Mapping[str, Callable[[Any], str]] = {
    PATH: _word,
    WORD: _word,
    TEXT: _name,
    SAID: _word,
    COUNT: optional,
    SHARE: _share,
    SIDES: _sides,
}
