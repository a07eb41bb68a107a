"""What an audit found, for a person: each artifact's findings, then the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from inspector.render.blocks import PROSE, wrap
from inspector.render.bounded import bounded, more
from inspector.render.finding_words import (
    NOWHERE_ELSE,
    Group,
    artifact_of,
    by_artifact,
    details,
    shown,
    summary,
    tally,
)
from inspector.render.fleet_words import fleet_line
from inspector.render.options import RenderOptions
from inspector.render.printable import safe, shorten
from inspector.render.rows import Table
from inspector.render.style import Style
from inspector.render.table import Column
from inspector.report import Finding, Report
from inspector.words import some

_MOST = 10  # findings of one rule in one artifact; the rest are most likely the same again
_NAME = 60  # of a clean artifact's path
COLUMNS = (
    "code", "severity", "fails", "artifact", "path", "message", "tensor", "layer", "evidence",
    "fix", "offset", "fingerprint",
)  # fmt: skip


def text(report: Report, options: RenderOptions, style: Style) -> str:
    """At most `options.width` columns; ends with the verdict."""
    audit = report.audit
    if not audit:
        return ""
    width = min(options.width, PROSE)
    lines: list[str] = []
    for group in by_artifact(report):
        if group.findings:
            lines += [*_group(group, width, style), ""]
    notes = (f"note: {shown(note)}" for note in audit.notes)
    for told in (clean(report), *notes, fleet_line(report)):
        lines += [style.dim(line) for line in wrap(told, width, "  ")]
    verdict = wrap(summary(report, audit), width, "  ")
    lines += [style.severity("error", at) if audit.failed else style.bold(at) for at in verdict]
    return "\n".join(lines)


def clean(report: Report) -> str:
    """The artifacts in which nothing was found, in one line; "" where there are none."""
    names = [shorten(safe(one.path), _NAME) for one in by_artifact(report) if not one.findings]
    return f"clean: {some(names)}" if names else ""


def few(group: Group) -> tuple[list[Finding], str]:
    """An artifact's findings, so many of each rule, and a line that says what was left out."""
    kept, left = bounded(group.findings, lambda one: one.code, _MOST)
    return kept, more(left, "findings", NOWHERE_ELSE)


def title(group: Group) -> str:
    """The artifact, and how many findings it has."""
    return f"{shown(group.path)}: {tally(group.findings)}"


def _group(group: Group, width: int, style: Style) -> Iterator[str]:
    kept, rest = few(group)
    for line in wrap(title(group), width, "  "):
        yield style.bold(line)
    for at, finding in enumerate(kept):
        line = f"  {finding.severity}: {shown(finding.message)} [{finding.code}]"
        for part in wrap(line, width, "    "):
            yield style.severity(finding.severity.value, part)
        for detail in details(finding):
            yield from wrap(f"    {detail}", width, "      ")
        # What mends several findings in a row is said once.
        if finding.fix and [finding.fix] != [one.fix for one in kept[at + 1 : at + 2]]:
            yield from wrap(f"    fix: {shown(finding.fix)}", width, "      ")
    for line in wrap(f"  {rest}" if rest else "", width, "  "):
        yield style.dim(line)


def table(report: Report, most: int) -> Table:
    """A row a finding, at most so many of each severity, the worst first."""
    kept, left = bounded(report.findings or (), lambda one: one.severity.value, most)
    columns = (
        Column("severity", words=True),
        Column("artifact", words=True, least=20),
        Column("finding", words=True, least=20, said=True),
        Column("rule", words=True, least=20),
    )
    rows = [(one.severity.value, artifact_of(one), shown(one.message), one.code) for one in kept]
    note = more(Counter({_PLURALS[one]: times for one, times in left.items()}), "", NOWHERE_ELSE)
    return Table(columns, tuple(rows), note=note)


_PLURALS = {"error": "errors", "warning": "warnings", "info": "of information"}


def rows(report: Report) -> Iterator[tuple[object, ...]]:
    """A row a finding, with a cell for each of COLUMNS."""
    for finding in report.findings or ():
        yield tuple(getattr(finding, name) for name in COLUMNS)
