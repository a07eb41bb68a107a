"""A report as a card in a notebook: the answer, the numbers, a table, the bytes.

Plain HTML, made here: no script, nothing loaded, every word escaped. A notebook may take the style
away (where it does not trust the file): then it is headings, lists and tables still. Text takes the
notebook's own colour, so that it can be read on light and on dark.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from inspector.render import RENDERERS, difference, findings, reconciliation
from inspector.render.blocks import LONGEST, header
from inspector.render.explanation import bars, facts
from inspector.render.finding_words import by_artifact, in_full, summary
from inspector.render.options import RenderOptions
from inspector.render.printable import safe, shorten
from inspector.render.rows import Table, layer_table, tensor_table
from inspector.render.text import byte_line, render
from inspector.report import ArtifactReport, Explanation, Finding, Report, TensorReport, report
from inspector.words import count, keyless, number

_ROWS = 60  # of a table
_CARDS = 10  # of artifacts in one report
_PROBLEMS = 5
_LINES = 400  # of text: a notebook keeps it in its file, beside the card
_COLUMNS = 60  # of a histogram's longest bar
_NAMES = {
    "count_params": "parameters, as Keras counts",
    "trainable": "trainable",
    "non_trainable": "not trainable",
    "after_strip": "after stripping",
    "nonzero": "weights not zero",
    "stored_elements": "elements stored",
}

# Middle tones that are told from each other by those who see few colours, too (Okabe and Ito's).
_STYLE = """
.tfi-card{font-size:13px;line-height:1.45;max-width:72em;color:inherit}
.tfi-card .tfi-head{font-weight:600;overflow-wrap:anywhere;margin:0 0 .5em}
.tfi-card .tfi-said{margin:0 0 .7em;padding:0;list-style:none}
.tfi-card .tfi-finding{border-left:3px solid rgba(128,128,128,.5);padding-left:.6em}
.tfi-card .tfi-note{border-left:3px solid #d55e00;padding-left:.6em;margin:0 0 .7em}
.tfi-card dl.tfi-numbers{display:flex;flex-wrap:wrap;gap:.5em 1.6em;margin:0 0 .8em}
.tfi-card dl.tfi-numbers div{display:flex;flex-direction:column-reverse}
.tfi-card dl.tfi-numbers dt,.tfi-card dl.tfi-numbers dd{float:none;width:auto;padding:0}
.tfi-card dl.tfi-numbers dt{font-weight:400;font-size:.85em;opacity:.8;margin:0}
.tfi-card dl.tfi-numbers dd{font-size:1.25em;font-weight:600;margin:0;
 font-variant-numeric:tabular-nums}
.tfi-card .tfi-wide{overflow-x:auto;margin:0 0 .8em}
.tfi-card table{border-collapse:collapse;margin:0;font-size:12px;color:inherit;border:0}
.tfi-card tr,.tfi-card tbody tr:nth-child(odd),.tfi-card tbody tr:nth-child(even){
 background:transparent}
.tfi-card th,.tfi-card td{text-align:right;padding:.15em .8em .15em 0;vertical-align:top;border:0;
 border-bottom:1px solid rgba(128,128,128,.3);font-variant-numeric:tabular-nums;white-space:nowrap}
.tfi-card th{font-weight:600}
.tfi-card .tfi-word{text-align:left}
.tfi-card .tfi-long{text-align:left;white-space:normal;min-width:12em;max-width:40em;
 overflow-wrap:anywhere}
.tfi-card tfoot td{font-weight:600;border-bottom:0}
.tfi-card .tfi-bar{display:flex;gap:1px;height:14px;margin:0 0 .4em}
.tfi-card .tfi-bar span{min-width:2px}
.tfi-card .tfi-key{display:flex;flex-wrap:wrap;gap:.1em 1.1em;list-style:none;margin:0;padding:0;
 font-variant-numeric:tabular-nums}
.tfi-card .tfi-key i{display:inline-block;width:.75em;height:.75em;margin-right:.35em}
.tfi-card .tfi-c0{background:#0072b2}.tfi-card .tfi-c1{background:#e69f00}
.tfi-card .tfi-c2{background:#009e73}.tfi-card .tfi-c3{background:#cc79a7}
.tfi-card .tfi-c4{background:#56b4e9}.tfi-card .tfi-c5{background:#d55e00}
.tfi-card .tfi-c6{background:#b3a300}.tfi-card .tfi-c7{background:#888}
.tfi-card .tfi-again{background-image:repeating-linear-gradient(45deg,
 rgba(255,255,255,.4) 0 2px,transparent 2px 5px)}
.tfi-card pre{overflow-x:auto;font-size:12px;line-height:1.2;margin:0 0 .8em;color:inherit;
 background:transparent}
.tfi-card summary{cursor:pointer}
""".strip()
_OPTION = re.compile(r"--all lists them|--role \w+ lists them|all in --format json")
_COLORS = 8  # what comes after has the same, striped
# It scrolls in a box of its own, which keys reach.
_WIDE = '<div class="tfi-wide" tabindex="0" role="group" aria-label="table"><table>'
# What MathJax leaves alone: a name with dollars in it is no formula.
_CLASSES = "tfi-card tex2jax_ignore mathjax_ignore"


def card(shown: object, note: str = "") -> str:
    """The HTML of a report, of one artifact's, of one tensor's, or of all that is known of it.

    note: what to say first. Raises TypeError for anything else.
    """
    for kind, make in _CARDS_OF.items():
        if isinstance(shown, kind):
            return _whole([_note(note), *make(shown)])
    raise TypeError(f"there is no card of a {type(shown).__name__}")


def tensors_card(artifact: ArtifactReport) -> str:
    """The HTML of an artifact's tensors: a row each."""
    return _whole([_head(header(artifact)), _tables([tensor_table(artifact)])])


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


def _whole(parts: Iterable[str]) -> str:
    body = "".join(part for part in parts if part)
    return f'<div class="{_CLASSES}"><style>{_STYLE}</style>{body}</div>'


def _report(shown: Report) -> Iterable[str]:
    return _COMMANDS[shown.command](shown)


def _show(shown: Report) -> Iterable[str]:
    for artifact in shown.artifacts[:_CARDS]:
        yield from _artifact(artifact)
    yield _more(len(shown.artifacts) - _CARDS, "artifact")


def _artifact(shown: ArtifactReport) -> Iterable[str]:
    yield _head(header(shown))
    yield _said(shown.answer)
    yield _numbers(shown)
    yield _tables([layer_table(shown)])
    yield _bytes(shown)
    yield _said(
        f"{one.severity.value}: {one.message} [{one.code}]" for one in shown.problems[:_PROBLEMS]
    )
    yield _more(len(shown.problems) - _PROBLEMS, "problem")


def _tensor(shown: TensorReport) -> Iterable[str]:
    yield _head(shown.name)
    yield _pairs((("role", shown.role), ("evidence", shown.evidence), ("dtype", shown.dtype)))


def _explain(shown: Report) -> Iterable[str]:
    return _explanation(shown.explanation) if shown.explanation else ()


def _explanation(shown: Explanation) -> Iterable[str]:
    yield _head(shown.tensor.name)
    yield _pairs(facts(shown))
    if shown.histogram:
        lines = "\n".join(map(_text, bars(shown, _COLUMNS)))
        yield f'<pre tabindex="0" role="group" aria-label="histogram">{lines}</pre>'
    yield _said(f"{one.severity.value}: {one.message} [{one.code}]" for one in shown.problems)


def _reconcile(shown: Report) -> Iterable[str]:
    found = shown.reconciliation
    if found:
        yield from (_head(header(one)) for one in shown.artifacts)
        yield _said(reconciliation.sentences(found))
        yield _tables(reconciliation.tables(found))
        yield _head(reconciliation.balance(found))
        yield _said(reconciliation.oddities(found))


def _diff(shown: Report) -> Iterable[str]:
    if shown.diff:
        yield from map(_head, difference.sides(shown))
        yield _said(difference.sentences(shown.diff))
        for section in difference.sections(shown, shown.diff, everything=False):
            title = f"<summary>{_text(section.title)}</summary>"
            tables = _tables(section.tables)
            yield f"<details>{title}{tables}</details>" if section.quiet else tables


def _audit(shown: Report) -> Iterable[str]:
    if shown.audit:
        yield _head(summary(shown, shown.audit))
        groups = [one for one in by_artifact(shown) if one.findings]
        for group in groups[:_CARDS]:
            kept, rest = findings.few(group)
            yield _said([findings.title(group)])
            yield "".join(map(_finding, kept))
            yield _left_out(rest)
        yield _more(len(groups) - _CARDS, "artifact")
        yield _said(shown.audit.notes)


def _finding(found: Finding) -> str:
    message, *others = in_full(found)
    head = f"<b>{found.severity.value}</b> {_text(message)} [{_text(found.code)}]"
    items = "".join(f"<li>{line}</li>" for line in (head, *map(_text, others)))
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


def _text(text: str) -> str:
    """Words from a file, fit for HTML."""
    return html.escape(shorten(safe(keyless(text)), LONGEST))


def _head(text: str) -> str:
    return f'<p class="tfi-head">{_text(text)}</p>'


def _note(text: str) -> str:
    return f'<p class="tfi-note">{_text(text)}</p>' if text else ""


def _said(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    return f'<ul class="tfi-said">{items}</ul>' if items else ""


def _more(left: int, what: str) -> str:
    return _said([f"... and {count(left, f'more {what}')}"]) if left > 0 else ""


def _left_out(note: str) -> str:
    """A note about rows that are not shown: here no option of the command line shows them."""
    return _said([_OPTION.sub("to_frame() has them", note)]) if note else ""


def _numbers(shown: ArtifactReport) -> str:
    """The counts that the artifact can say; the answer says what it cannot."""
    counts = {label: getattr(shown.totals, name) for name, label in _NAMES.items()}
    counts["bytes"] = shown.nbytes
    cells = "".join(
        f"<div><dt>{label}</dt><dd>{number(value)}</dd></div>"
        for label, value in counts.items()
        if value is not None
    )
    return f'<dl class="tfi-numbers">{cells}</dl>' if cells else ""


def _pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Labels and texts; a label that repeats is said once."""
    made, previous = [], ""
    for label, text in rows:
        head = "" if label == previous else label
        cells = f'<th class="tfi-word">{_text(head)}</th><td class="tfi-long">{_text(text)}</td>'
        made.append(f"<tr>{cells}</tr>")
        previous = label
    return f"{_WIDE}<tbody>{''.join(made)}</tbody></table></div>"


def _tables(tables: Iterable[Table]) -> str:
    return "".join(map(_table, tables))


def _table(table: Table) -> str:
    note = _left_out(table.note)
    if not table.rows:
        return note
    kinds = [
        " class=tfi-long" if one.said else " class=tfi-word" if one.words else ""
        for one in table.columns
    ]
    heads = zip(kinds, table.columns, strict=True)
    head = "".join(f"<th{kind} scope=col>{_text(one.head)}</th>" for kind, one in heads)
    body = "".join(_row(kinds, row) for row in table.rows[:_ROWS])
    foot = "".join(_row(kinds, row) for row in table.footer)
    foot = f"<tfoot>{foot}</tfoot>" if foot else ""
    rest = _more(len(table.rows) - _ROWS, "row")
    return (
        f"{_WIDE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table></div>"
        f"{rest}{note}"
    )


def _row(kinds: Sequence[str], cells: Sequence[str]) -> str:
    made = (f"<td{kind}>{_text(cell)}</td>" for kind, cell in zip(kinds, cells, strict=True))
    return f"<tr>{''.join(made)}</tr>"


def _bytes(shown: ArtifactReport) -> str:
    """Where the bytes are: a bar, and what each part of it is."""
    parts = [
        (
            f"tfi-c{at % _COLORS}{' tfi-again' * (at >= _COLORS)}",
            f"{label} {number(nbytes)}",
            nbytes,
        )
        for at, (label, nbytes) in enumerate(shown.bytes.items())
    ]
    bar = "".join(
        f'<span class="{color}" style="flex-grow:{max(nbytes, 0)}" title="{_text(text)}"></span>'
        for color, text, nbytes in parts
    )
    key = "".join(f'<li><i class="{color}"></i>{_text(text)}</li>' for color, text, _ in parts)
    said = _text(f"bytes: {byte_line(shown)}")
    return (
        f'<div class="tfi-bar" role="img" aria-label="{said}">{bar}</div>'
        f'<ul class="tfi-key">{key}</ul>'
        if parts
        else ""
    )
