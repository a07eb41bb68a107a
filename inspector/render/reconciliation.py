"""A reconciliation: the answer, the lines that add up, what else the weights could take."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.render.blocks import LONGEST, PROSE, header, paragraphs, table_lines, wrap
from inspector.render.options import RenderOptions
from inspector.render.printable import optional, safe, shorten
from inspector.render.rows import Table
from inspector.render.style import Style
from inspector.render.table import Column
from inspector.report import LiveArtifact, PairReport, Reconciliation, Report, SizesReport
from inspector.words import count, keyless, number

Numbers = tuple[str, int, Sequence[int | None]]

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
    made = [line_table(found), pair_table(found), *live_tables(found)]
    return [table for table in made if table.rows]


def line_table(found: Reconciliation) -> Table:
    """A row a line of the arithmetic, of two artifacts with both sides."""
    two = any(line.other is not None for line in found.lines)
    return _both(found) if two else _lines(found)


def live_tables(found: Reconciliation) -> list[Table]:
    """What TensorFlow says, a table for each artifact that it was asked of."""
    artifacts = found.live.artifacts if found.live else ()
    return [_live(one, one.path if len(artifacts) > 1 else "") for one in artifacts]


def _live(found: LiveArtifact, path: str) -> Table:
    """What the file says, what TensorFlow says, and the difference."""
    columns = (
        Column(path or "the same, live", keep=100, words=True, least=20),
        Column("the file", keep=90),
        Column("TensorFlow" if found.loader in ("", "none") else found.loader, keep=91),
        Column("residual", keep=99),
    )
    rows = [
        (row.what, optional(row.file), optional(row.tensorflow), optional(row.residual))
        for row in (*found.totals, *found.layers, *((found.tensors,) if found.tensors else ()))
    ]
    return Table(columns, tuple(rows))


def _lines(found: Reconciliation) -> Table:
    counted = any(line.count_params is not None for line in found.lines)
    strips = counted and any(line.after_strip != line.count_params for line in found.lines)
    numbers: list[Numbers] = [
        ("tensors", 60, [line.tensors for line in found.lines]),
        ("elements", 99, [line.elements for line in found.lines]),
        ("bytes", 80, [line.nbytes for line in found.lines]),
    ]
    if counted:
        numbers.append(("count_params", 95, [line.count_params for line in found.lines]))
    if strips:
        numbers.append(("after strip", 90, [line.after_strip for line in found.lines]))
    basis = Column("known by", keep=20, words=True)
    return _sums(found, numbers, [basis], [[line.basis] for line in found.lines])


def _both(found: Reconciliation) -> Table:
    """The lines of two artifacts side by side, and what A has more."""
    pairs = [(line, line.other) for line in found.lines]
    numbers: list[Numbers] = [
        ("elements A", 99, [line.elements for line, _ in pairs]),
        ("elements B", 98, [other.elements if other else 0 for _, other in pairs]),
    ]
    if any(line.count_params is not None for line, _ in pairs):
        numbers.append(("counted A", 97, [line.count_params for line, _ in pairs]))
    if any(other is not None and other.count_params is not None for _, other in pairs):
        of_b = [other.count_params if other else 0 for _, other in pairs]
        numbers.append(("counted B", 96, of_b))
    differences = [line.elements - (other.elements if other else 0) for line, other in pairs]
    numbers.append(("A - B", 95, differences))
    return _sums(found, numbers, [], [[] for _ in pairs])


def _sums(
    found: Reconciliation,
    numbers: Sequence[Numbers],
    words: Sequence[Column],
    said: Sequence[Sequence[str]],
) -> Table:
    """A row a line, and the sums below. numbers: head, rank and cells of each column of numbers."""
    columns = (
        Column("line", keep=100, words=True, least=20),
        *(Column(head, keep=rank) for head, rank, _ in numbers),
        *words,
    )
    rows = tuple(
        (line.label, *(optional(cells[at]) for _, _, cells in numbers), *said[at])
        for at, line in enumerate(found.lines)
    )
    sums = (number(sum(cell or 0 for cell in cells)) for _, _, cells in numbers)
    return Table(columns, rows, (("sum", *sums, *([""] * len(words))),))


_OF_MODEL = ("weight", "statistic", "unknown")
_AGREES = {"bits": "bit for bit", "values": "by value", "unread": "unreadable", "differs": "NO"}


def pair_table(found: Reconciliation) -> Table:
    """A row a weight that both have; what is around the weights only where it differs."""
    shown = [
        pair
        for pair in found.pairs
        if pair.role in _OF_MODEL or pair.agrees in ("differs", "unread")
    ]
    changed = any(pair.change for pair in shown)
    columns = (
        Column("A", keep=100, words=True, least=20),
        Column("B", keep=75, words=True, least=20),
        Column("elements", keep=60),
        Column("zeros A", keep=80),
        Column("zeros B", keep=81),
        *((Column("change", keep=70, words=True, least=18),) if changed else ()),
        Column("equal", keep=99, words=True),
    )
    rows = tuple(
        (
            _called(pair.a, pair.layer, pair.variable),
            _called(pair.b, pair.layer_b, pair.variable_b),
            number(pair.elements),
            optional(pair.zeros_a),
            optional(pair.zeros_b),
            *((pair.change_words or "",) if changed else ()),
            _equal(pair),
        )
        for pair in shown
    )
    return Table(columns, rows)


def _called(name: str, layer: str | None, variable: str | None) -> str:
    if variable is None:
        return keyless(name)
    return f"{layer}/{variable}" if layer else variable


def _equal(pair: PairReport) -> str:
    """How the values agree: "bit for bit", "0.50 steps off, 47.9 dB", "1.2e-07 off"."""
    if pair.agrees in _AGREES:
        return _AGREES[pair.agrees]
    if isinstance(pair.in_scale_units, (int, float)):
        noise = f", {pair.snr_db:.1f} dB" if isinstance(pair.snr_db, (int, float)) else ""
        return f"{pair.in_scale_units:.2f} steps off{noise}"
    return f"{pair.largest:.2e} off" if isinstance(pair.largest, float) else "close"


def balance(found: Reconciliation) -> str:
    """The residual in a line."""
    own = "0"
    if found.residual is None:
        own = "unknown"
    elif found.residual:
        own = f"{count(found.residual, 'element')} that nothing explains"
    if found.live is None:
        return f"residual: {own}"
    live = found.live.residual
    if live is None:
        return f"residual: {own}; against TensorFlow: unknown"
    return f"residual: {own}; against TensorFlow: {count(live, 'element') if live else 0}"


def oddities(found: Reconciliation) -> list[str]:
    """What the residual is made of, a line each."""
    texts = [f"{odd.tensor}: {odd.message}" if odd.tensor else odd.message for odd in found.odd]
    for one in found.live.artifacts if found.live else ():
        texts += one.unlike
    lines = [shorten(safe(keyless(text)), LONGEST) for text in texts[:_ODD]]
    more = len(texts) - _ODD
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
    if min(sizes.bitmask, *sizes.csr.values()) >= sizes.dense:
        return []
    rows = [f"CSR {bits}-bit {number(nbytes)}" for bits, nbytes in sizes.csr.items()]
    return [f"bitmask and values {number(sizes.bitmask)}", *rows]
