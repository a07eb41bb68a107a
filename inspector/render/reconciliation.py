"""A reconciliation: the answer, the lines that add up, what else the weights could take."""

from __future__ import annotations

from inspector.render.blocks import LONGEST, PROSE, header, paragraphs, table_lines, wrap
from inspector.render.options import RenderOptions
from inspector.render.printable import optional, safe, shorten
from inspector.render.rows import Table
from inspector.render.style import Style
from inspector.render.table import Column
from inspector.report import Reconciliation, Report, SizesReport
from inspector.words import count, keyless, number

_ODD = 20  # of what does not fit; a broken pair may have thousands


def text(report: Report, options: RenderOptions, style: Style) -> str:
    """For a person at a terminal, at most `options.width` columns."""
    found = report.reconciliation
    if not found:
        return ""
    width = options.width
    prose = min(width, PROSE)
    lines = [style.bold(line) for one in report.artifacts for line in wrap(header(one), width)]
    lines += ["", *paragraphs(sentences(found), prose)]
    for table in tables(found):
        lines += ["", *table_lines(table, width, style)]
    lines += ["", *wrap(balance(found), prose)]
    lines += [
        style.severity("error", line)
        for text in oddities(found)
        for line in wrap(text, width, "  ")
    ]
    sizes = size_line(found)
    return "\n".join(lines + (wrap(sizes, prose) if sizes else []))


def sentences(found: Reconciliation) -> list[str]:
    """The answer, fit to be shown."""
    return [shorten(safe(keyless(line)), LONGEST) for line in found.answer]


def tables(found: Reconciliation) -> list[Table]:
    """The tables of a reconciliation that have a row."""
    return [table for table in (_lines(found),) if table.rows]


def _lines(found: Reconciliation) -> Table:
    counted = any(line.count_params is not None for line in found.lines)
    strips = any(line.after_strip != line.count_params for line in found.lines)
    columns = (
        Column("line", keep=100, words=True, least=20),
        Column("tensors", keep=60),
        Column("elements", keep=99),
        Column("bytes", keep=80),
        *((Column("count_params", keep=95),) if counted else ()),
        *((Column("after strip", keep=90),) if counted and strips else ()),
        Column("known by", keep=20, words=True),
    )
    rows = [
        (
            line.label,
            optional(line.tensors),
            number(line.elements),
            optional(line.nbytes),
            *((optional(line.count_params),) if counted else ()),
            *((optional(line.after_strip),) if counted and strips else ()),
            line.basis,
        )
        for line in found.lines
    ]
    footer = (
        "sum",
        number(sum(line.tensors or 0 for line in found.lines)),
        number(sum(line.elements for line in found.lines)),
        number(sum(line.nbytes or 0 for line in found.lines)),
        *((number(sum(line.count_params or 0 for line in found.lines)),) if counted else ()),
        *(
            (number(sum(line.after_strip or 0 for line in found.lines)),)
            if counted and strips
            else ()
        ),
        "",
    )
    return Table(columns, tuple(rows), (footer,))


def balance(found: Reconciliation) -> str:
    """The residual in a line."""
    if found.residual is None:
        return "residual: unknown"
    if not found.residual:
        return "residual: 0"
    return f"residual: {count(found.residual, 'element')} that nothing explains"


def oddities(found: Reconciliation) -> list[str]:
    """What the residual is made of, a line each."""
    lines = []
    for odd in found.odd[:_ODD]:
        where = f"{odd.tensor}: " if odd.tensor else ""
        lines.append(shorten(safe(keyless(f"{where}{odd.message}")), LONGEST))
    more = len(found.odd) - _ODD
    return lines + ([f"... and {number(more)} more (all in --format json)"] if more > 0 else [])


def size_line(found: Reconciliation) -> str:
    """The same weights stored in other ways."""
    sizes = found.sizes
    if sizes is None or not sizes.elements:
        return ""
    parts = [f"dense {number(sizes.dense)}", *_sparse(sizes)]
    if sizes.deflated is not None:
        parts.append(f"deflated {number(sizes.deflated)}")
    return f"bytes of what stays, without any file's structure: {' · '.join(parts)}"


def _sparse(sizes: SizesReport) -> list[str]:
    if not sizes.zeros:
        return []
    rows = [f"CSR {bits}-bit {number(nbytes)}" for bits, nbytes in sizes.csr.items()]
    return [f"bitmask and values {number(sizes.bitmask)}", *rows]
