"""The page of a reconciliation: the lines that add up, and what they leave unexplained."""

from __future__ import annotations

from inspector.render import reconciliation
from inspector.render.blocks import header
from inspector.render.drawing.bars import size_bars
from inspector.render.drawing.shapes import NARROW, WIDE
from inspector.render.drawing.waterfall import Step, waterfall
from inspector.render.html.figure import Figure
from inspector.render.html.page import Page
from inspector.render.html.verdict import Verdict, contents
from inspector.render.options import RenderOptions
from inspector.render.rows import Table
from inspector.render.table import Column
from inspector.report import (
    Live,
    LiveArtifact,
    PredictedReport,
    Reconciliation,
    Report,
    SizesReport,
)
from inspector.words import count, number

_NOTHING = Reconciliation((), None, None)
_NO_TABLE = Table((), ())


def page(report: Report, _options: RenderOptions) -> Page:
    """The answer, whether it balances, the arithmetic as steps, every table."""
    found = report.reconciliation or _NOTHING
    two = len(report.artifacts) > 1
    headers = [header(one) for one in report.artifacts]
    values = {
        "heading": "How A and B add up" if two else "Why the count is what it is",
        "sides": [f"{side}: {line}" for side, line in zip("AB", headers, strict=False)]
        if two
        else headers,
        "sentences": reconciliation.sentences(found),
        "verdicts": _verdicts(found),
        "odd": reconciliation.oddities(found),
        "steps": _steps(found, two),
        "lines": reconciliation.line_table(found),
        "live": list(zip(_asked(found.live), reconciliation.live_tables(found), strict=True)),
        "pairs": reconciliation.pair_table(found),
        "gone": _gone(found),
        "sizes": [one for one in (_predicted(report, found.predicted), _sizes(found.sizes)) if one],
    }
    return Page("reconcile.html", "Reconciliation · inspect", values, contents(_PARTS, values))


_PARTS = (
    ("steps", "lines", "The arithmetic"),
    ("live", "live", "What TensorFlow says"),
    ("pairs", "pairs", "Every weight that both have"),
    ("gone", "gone", "Weights that one has alone"),
    ("sizes", "sizes", "What it could take"),
)


def _verdicts(found: Reconciliation) -> list[Verdict]:
    """Whether the arithmetic leaves nothing, and TensorFlow's if it was asked."""
    said = [_verdict(found.residual, "It adds up", "It does not add up", "that nothing explains")]
    if found.live is not None:
        words = "TensorFlow says the same", "TensorFlow says something else"
        said.append(_verdict(found.live.residual, *words, "apart"))
    return said


def _verdict(residual: int | None, good: str, bad: str, of: str) -> Verdict:
    if residual is None:
        return Verdict("Unknown", "the residual cannot be told", good=None)
    if not residual:
        return Verdict(good, "residual 0", good=True)
    return Verdict(bad, f"residual: {count(residual, 'element')} {of}", good=False)


def _steps(found: Reconciliation, two: bool) -> Figure | None:
    """One artifact: what each line adds to what is stored. Two: from A's elements to B's."""
    steps: list[Step] = [(line.label, line.elements, line.role) for line in found.lines]
    begin, total = None, "all stored"
    words = "Each bar is what one kind of tensor adds; the last is all elements that are stored."
    if two:
        sides = [(line, line.other.elements if line.other else 0) for line in found.lines]
        steps = [(line.label, b - line.elements, line.role) for line, b in sides]
        steps = [step for step in steps if step[1]]
        begin, total = ("A stores", sum(line.elements for line in found.lines)), "B stores"
        words = (
            "From the elements that A stores to those that B stores, a bar for each kind of which"
            " one of the two has more."
        )
    wide = waterfall(steps, total, WIDE, begin)
    narrow = waterfall(steps, total, NARROW, begin)
    return Figure("Elements", words, wide, narrow, _NO_TABLE) if wide.height else None


def _asked(live: Live | None) -> tuple[LiveArtifact, ...]:
    return live.artifacts if live else ()


def _gone(found: Reconciliation) -> Table:
    """A row a weight without a partner."""
    columns = (
        Column("tensor", words=True, least=20),
        Column("only in", words=True),
        Column("role", words=True),
        Column("elements"),
        Column("why", words=True),
    )
    rows = [
        (one.tensor, one.of, one.role, number(one.elements), one.why or "") for one in found.gone
    ]
    return Table(columns, tuple(rows))


def _sizes(sizes: SizesReport | None) -> Figure | None:
    """The weights that stay, in each way of storing them."""
    if sizes is None or not sizes.elements:
        return None
    ways = [
        ("every value", sizes.dense),
        ("a bit a value, and what is not zero", sizes.bitmask),
        *((f"compressed rows, {bits}-bit index", size) for bits, size in sizes.csr.items()),
        *((("every value, as gzip would", sizes.deflated),) if sizes.deflated is not None else ()),
    ]
    words = (
        f"Bytes of the {count(sizes.elements, 'weight')} that stay, {number(sizes.zeros)} of them"
        " zero, without any file’s own structure."
    )
    return _sized("The weights that stay, stored in other ways", words, ways)


def _predicted(report: Report, found: PredictedReport | None) -> Figure | None:
    """The file now, and as it would be."""
    if found is None or not report.artifacts:
        return None
    head = f"{found.what} ({'at least' if found.at_least else 'about'})"
    ways = [("As it is", report.artifacts[0].nbytes or 0), (head, found.nbytes)]
    return _sized("The same file", "Bytes of the file as it is, and as it would be.", ways)


def _sized(title: str, words: str, ways: list[tuple[str, int]]) -> Figure:
    return Figure(title, words, size_bars(ways, WIDE), size_bars(ways, NARROW), _NO_TABLE)
