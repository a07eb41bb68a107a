"""The pieces of a notebook's card, as plain HTML: no script, nothing loaded, every word escaped.

A notebook may take the style away (where it does not trust the file): then it is lists and tables
still. Text takes the notebook's own colour, so that it can be read on light and on dark.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from inspector.meanings import TOTAL_LABELS
from inspector.render.blocks import LONGEST
from inspector.render.printable import safe, shorten
from inspector.render.rows import Table
from inspector.render.table import Column
from inspector.render.text import byte_line
from inspector.report import ArtifactReport
from inspector.words import count, keyless, number

_ROWS = 60  # of a table
# Middle tones that are told from each other by those who see few colours, too (Okabe and Ito's).
_STYLE = """
.tfi-card{font-size:13px;line-height:1.45;max-width:72em;margin-bottom:1em;color:inherit}
.tfi-card .tfi-head{font-weight:600;overflow-wrap:anywhere;margin:0 0 .5em}
.tfi-card ul.tfi-said{margin:0 0 .7em;padding:0;list-style:none}
.tfi-card ul.tfi-said>li,.tfi-card ul.tfi-key>li{margin:0;padding:0}
.tfi-card ul.tfi-finding{border-left:3px solid rgba(128,128,128,.5);padding-left:.6em}
.tfi-card .tfi-note{border-left:3px solid #d55e00;padding-left:.6em;margin:0 0 .7em}
.tfi-card dl.tfi-numbers{display:flex;flex-wrap:wrap;gap:.5em 1.6em;margin:0 0 .8em}
.tfi-card dl.tfi-numbers div{display:flex;flex-direction:column-reverse}
.tfi-card dl.tfi-numbers dt,.tfi-card dl.tfi-numbers dd{float:none;width:auto;padding:0}
.tfi-card dl.tfi-numbers dt{font-weight:400;font-size:.85em;opacity:.8;margin:0}
.tfi-card dl.tfi-numbers dd{font-size:1.25em;font-weight:600;margin:0;
 font-variant-numeric:tabular-nums}
.tfi-card .tfi-wide{overflow-x:auto;margin:0 0 .8em}
.tfi-card table.tfi-table{display:table;border-collapse:collapse;margin:0;font-size:12px;
 color:inherit;border:0}
.tfi-card tr,.tfi-card tbody tr:nth-child(odd),.tfi-card tbody tr:nth-child(even){
 background:transparent}
.tfi-card th,.tfi-card td{text-align:right;padding:.15em .8em .15em 0;vertical-align:top;border:0;
 border-bottom:1px solid rgba(128,128,128,.3);font-variant-numeric:tabular-nums;white-space:nowrap}
.tfi-card th{font-weight:600}
.tfi-card .tfi-word{text-align:left}
.tfi-card .tfi-name{text-align:left;white-space:normal;min-width:11em;max-width:30em;
 overflow-wrap:anywhere}
.tfi-card .tfi-long{text-align:left;white-space:normal;min-width:12em;max-width:40em;
 overflow-wrap:anywhere}
.tfi-card tfoot td{font-weight:600;border-bottom:0}
.tfi-card .tfi-bar{display:flex;gap:1px;height:14px;margin:0 0 .4em}
.tfi-card .tfi-bar span{min-width:2px}
.tfi-card ul.tfi-key{display:flex;flex-wrap:wrap;gap:.1em 1.1em;list-style:none;margin:0;padding:0;
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
_WIDE = (
    '<div class="tfi-wide" tabindex="0" role="group" aria-label="table"><table class="tfi-table">'
)
# What MathJax leaves alone: a name with dollars in it is no formula.
_CLASSES = "tfi-card tex2jax_ignore mathjax_ignore"


def whole(parts: Iterable[str]) -> str:
    """A card of its parts, with its style."""
    body = "".join(part for part in parts if part)
    return f'<div class="{_CLASSES}"><style>{_STYLE}</style>{body}</div>'


def escaped(text: str) -> str:
    """Words from a file, fit for HTML."""
    return html.escape(shorten(safe(keyless(text)), LONGEST))


def head(text: str) -> str:
    """A line that names what comes."""
    return f'<p class="tfi-head">{escaped(text)}</p>'


def note(text: str) -> str:
    """What to know before reading on; nothing of no text."""
    return f'<p class="tfi-note">{escaped(text)}</p>' if text else ""


def said(lines: Iterable[str]) -> str:
    """Sentences, a line each."""
    items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
    return f'<ul class="tfi-said">{items}</ul>' if items else ""


def more(left: int, what: str) -> str:
    """How many more there are than are shown."""
    return said([f"... and {count(left, f'more {what}')}"]) if left > 0 else ""


def left_out(text: str) -> str:
    """A note about rows that are not shown: here no option of the command line shows them."""
    return said([_OPTION.sub("to_frame() has them", text)]) if text else ""


def numbers(shown: ArtifactReport) -> str:
    """The counts that the artifact can say; the answer says what it cannot."""
    counts = {label: getattr(shown.totals, name) for name, label in TOTAL_LABELS.items()}
    counts["bytes"] = shown.nbytes
    cells = "".join(
        f"<div><dt>{label}</dt><dd>{number(value)}</dd></div>"
        for label, value in counts.items()
        if value is not None
    )
    return f'<dl class="tfi-numbers">{cells}</dl>' if cells else ""


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Labels and texts; a label that repeats is said once."""
    made, previous = [], ""
    for label, text in rows:
        head = "" if label == previous else label
        cells = (
            f'<th class="tfi-word">{escaped(head)}</th><td class="tfi-long">{escaped(text)}</td>'
        )
        made.append(f"<tr>{cells}</tr>")
        previous = label
    return f"{_WIDE}<tbody>{''.join(made)}</tbody></table></div>"


def tables(shown: Iterable[Table]) -> str:
    """Each table, and what it leaves out."""
    return "".join(map(_table, shown))


def _table(table: Table) -> str:
    note = left_out(table.note)
    if not table.rows:
        return note
    kinds = list(map(_kind, table.columns))
    heads = zip(kinds, table.columns, strict=True)
    head = "".join(f'<th{kind} scope="col">{escaped(one.head)}</th>' for kind, one in heads)
    body = "".join(_row(kinds, row) for row in table.rows[:_ROWS])
    foot = "".join(_row(kinds, row) for row in table.footer)
    foot = f"<tfoot>{foot}</tfoot>" if foot else ""
    rest = more(len(table.rows) - _ROWS, "row")
    return (
        f"{_WIDE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table></div>"
        f"{rest}{note}"
    )


def _kind(column: Column) -> str:
    """How cells of a column are set, as an attribute: sentences, names, words, or else numbers."""
    if not column.words:
        return ""
    return f' class="tfi-{"long" if column.said else "name" if column.least else "word"}"'


def _row(kinds: Sequence[str], cells: Sequence[str]) -> str:
    made = (f"<td{kind}>{escaped(cell)}</td>" for kind, cell in zip(kinds, cells, strict=True))
    return f"<tr>{''.join(made)}</tr>"


def byte_bar(shown: ArtifactReport) -> str:
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
        f'<span class="{color}" style="flex-grow:{max(nbytes, 0)}" title="{escaped(text)}"></span>'
        for color, text, nbytes in parts
    )
    key = "".join(f'<li><i class="{color}"></i>{escaped(text)}</li>' for color, text, _ in parts)
    said = escaped(f"bytes: {byte_line(shown)}")
    return (
        f'<div class="tfi-bar" role="img" aria-label="{said}">{bar}</div>'
        f'<ul class="tfi-key">{key}</ul>'
        if parts
        else ""
    )
