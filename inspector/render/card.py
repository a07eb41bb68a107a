"""A report as a card in a notebook: the answer, the numbers, a table, the bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from inspector.render import RENDERERS, difference, findings, reconciliation
from inspector.render import card_pieces as pieces
from inspector.render.blocks import header
from inspector.render.explanation import bars, facts
from inspector.render.finding_words import by_artifact, in_full, summary
from inspector.render.options import RenderOptions
from inspector.render.rows import layer_table, tensor_table
from inspector.render.text import render
from inspector.report import ArtifactReport, Explanation, Finding, Report, TensorReport, report
from inspector.words import count

_CARDS = 10  # of artifacts in one report
_PROBLEMS = 5
_LINES = 400  # of text: a notebook keeps it in its file, beside the card
_COLUMNS = 60  # of a histogram's longest bar


def card(shown: object, note: str = "") -> str:
    """The HTML of a report, of one artifact's, of one tensor's, or of all that is known of it.

    note: what to say first. Raises TypeError for anything else.
    """
    for kind, make in _CARDS_OF.items():
        if isinstance(shown, kind):
            return pieces.whole([pieces.note(note), *make(shown)])
    raise TypeError(f"there is no card of a {type(shown).__name__}")


def tensors_card(artifact: ArtifactReport) -> str:
    """The HTML of an artifact's tensors: a row each."""
    return pieces.whole([pieces.head(header(artifact)), pieces.tables([tensor_table(artifact)])])


def plain(shown: object) -> str:
    """The same as text, as the command line prints it."""
    if isinstance(shown, ArtifactReport):
        shown = report("show", (shown,))
    if isinstance(shown, Explanation):
        shown = report("explain", explanation=shown)
    if not isinstance(shown, Report):
        raise TypeError(f"there is no text of a {type(shown).__name__}")
    lines = render(shown, RenderOptions()).splitlines()
    left = len(lines) - _LINES
    return "\n".join([*lines[:_LINES], *([f"... and {count(left, 'more line')}"] * (left > 0))])


def page(shown: Report) -> str:
    """The page of a report. Raises UsageError where what pages are made with is not installed."""
    return RENDERERS["html"](shown, RenderOptions())


def _report(shown: Report) -> Iterable[str]:
    return _COMMANDS[shown.command](shown)


def _show(shown: Report) -> Iterable[str]:
    for artifact in shown.artifacts[:_CARDS]:
        yield from _artifact(artifact)
    yield pieces.more(len(shown.artifacts) - _CARDS, "artifact")


def _artifact(shown: ArtifactReport) -> Iterable[str]:
    yield pieces.head(header(shown))
    yield pieces.said(shown.answer)
    yield pieces.numbers(shown)
    yield pieces.tables([layer_table(shown)])
    yield pieces.byte_bar(shown)
    yield pieces.said(
        f"{one.severity.value}: {one.message} [{one.code}]" for one in shown.problems[:_PROBLEMS]
    )
    yield pieces.more(len(shown.problems) - _PROBLEMS, "problem")


def _tensor(shown: TensorReport) -> Iterable[str]:
    yield pieces.head(shown.name)
    yield pieces.pairs((("role", shown.role), ("evidence", shown.evidence), ("dtype", shown.dtype)))


def _explain(shown: Report) -> Iterable[str]:
    return _explanation(shown.explanation) if shown.explanation else ()


def _explanation(shown: Explanation) -> Iterable[str]:
    yield pieces.head(shown.tensor.name)
    yield pieces.pairs(facts(shown))
    if shown.histogram:
        lines = "\n".join(map(pieces.escaped, bars(shown, _COLUMNS)))
        yield f'<pre tabindex="0" role="group" aria-label="histogram">{lines}</pre>'
    yield pieces.said(f"{one.severity.value}: {one.message} [{one.code}]" for one in shown.problems)


def _reconcile(shown: Report) -> Iterable[str]:
    found = shown.reconciliation
    if found:
        yield from (pieces.head(header(one)) for one in shown.artifacts)
        yield pieces.said(reconciliation.sentences(found))
        yield pieces.tables(reconciliation.tables(found))
        yield pieces.head(reconciliation.balance(found))
        yield pieces.said(reconciliation.oddities(found))


def _diff(shown: Report) -> Iterable[str]:
    if shown.diff:
        yield from map(pieces.head, difference.sides(shown))
        yield pieces.said(difference.sentences(shown.diff))
        for section in difference.sections(shown, shown.diff, everything=False):
            title = f"<summary>{pieces.escaped(section.title)}</summary>"
            tables = pieces.tables(section.tables)
            yield f"<details>{title}{tables}</details>" if section.quiet else tables


def _audit(shown: Report) -> Iterable[str]:
    if shown.audit:
        yield pieces.head(summary(shown, shown.audit))
        groups = [one for one in by_artifact(shown) if one.findings]
        for group in groups[:_CARDS]:
            kept, rest = findings.few(group)
            yield pieces.said([findings.title(group)])
            yield "".join(map(_finding, kept))
            yield pieces.left_out(rest)
        yield pieces.more(len(groups) - _CARDS, "artifact")
        yield pieces.said(shown.audit.notes)


def _finding(found: Finding) -> str:
    message, *others = in_full(found)
    head = f"<b>{found.severity.value}</b> {pieces.escaped(message)} [{pieces.escaped(found.code)}]"
    items = "".join(f"<li>{line}</li>" for line in (head, *map(pieces.escaped, others)))
    return f'<ul class="tfi-said tfi-finding">{items}</ul>'


_COMMANDS: Mapping[str, Callable[[Report], Iterable[str]]] = {
    "show": _show,
    "explain": _explain,
    "reconcile": _reconcile,
    "diff": _diff,
    "audit": _audit,
}
_CARDS_OF: Mapping[type, Callable[[Any], Iterable[str]]] = {
    Report: _report,
    ArtifactReport: _artifact,
    Explanation: _explanation,
    TensorReport: _tensor,
}
