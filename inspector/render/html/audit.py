"""The page of an audit: passed or failed and why, and what was found in each artifact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from inspector.render.bounded import bounded, more
from inspector.render.finding_words import (
    NOWHERE_ELSE,
    by_artifact,
    shown,
    summary,
    tally,
    where,
)
from inspector.render.fleet_words import fleet_line
from inspector.render.html.page import Page
from inspector.render.html.verdict import Count, Verdict
from inspector.render.options import RenderOptions
from inspector.render.rows import Table
from inspector.render.table import Column
from inspector.report import AuditReport, AuditRuleReport, Finding, Report
from inspector.words import count, listing

_MOST = 100  # findings of one rule in one artifact; of those not reported
_PATHS = 200  # of a list of artifacts
_NOTHING = AuditReport(None, 0, 0, 0, 0, 0, "error", failed=False)


@dataclass(frozen=True, slots=True)
class Found:
    """One finding. where: what its message does not say of the place, "" for nothing."""

    message: str
    where: str
    evidence: str
    fails: bool


@dataclass(frozen=True, slots=True)
class Block:
    """Findings of one rule with one fix, of an artifact. rule: null where the report lacks it."""

    code: str
    severity: str
    findings: tuple[Found, ...]
    fix: str
    rule: AuditRuleReport | None


@dataclass(frozen=True, slots=True)
class Section:
    """An artifact in which something was found. tally: how much, by severity."""

    id: str
    path: str
    tally: str
    blocks: tuple[Block, ...]
    left: str


def page(report: Report, _options: RenderOptions) -> Page:
    """The verdict, then each artifact's findings, the worst first, then what was asked."""
    audit = report.audit or _NOTHING
    sections = list(_sections(report, audit))
    clean = [one.path for one in by_artifact(report) if not one.findings]
    values = {
        "verdict": _verdict(audit),
        "summary": summary(report, audit),
        "fleet": fleet_line(report),
        "counts": _counts(audit),
        "sections": sections,
        "clean": clean[:_PATHS],
        "clean_left": _left(len(clean), _PATHS, "artifact"),
        "audit": audit,
        "suppressed": _suppressed(audit),
        "unasked": [(one.artifact, listing(one.codes)) for one in audit.unasked[:_PATHS]],
        "unasked_left": _left(len(audit.unasked), _PATHS, "artifact"),
        "notes": audit.notes[:_PATHS],
        "notes_left": _left(len(audit.notes), _PATHS, "note"),
    }
    ends = (
        ("suppressed", "Not reported", audit.suppressed),
        ("rules", "What was asked", audit.asked),
    )
    contents = [(one.id, one.path) for one in sections]
    contents += [(part, words) for part, words, there in ends if there]
    return Page("audit.html", "Audit · inspect", values, tuple(contents))


# Of each bar that an audit may have: how many severities fail it, and what is said where it passes.
_BARS = {
    "error": (1, "no error was found"),
    "warning": (2, "no error or warning was found"),
    "info": (3, "nothing was found"),
}


def _verdict(audit: AuditReport) -> Verdict:
    """Passed or failed, and by what."""
    if audit.fail_on not in _BARS:
        return Verdict("Passed", "this audit never fails", good=True)
    severities, clean = _BARS[audit.fail_on]
    if not audit.failed:
        return Verdict("Passed", clean, good=True)
    times = (
        (audit.errors, "error", "errors"),
        (audit.warnings, "warning", "warnings"),
        (audit.infos, "note", "notes"),
    )
    said = listing([count(*one) for one in times[:severities] if one[0]])
    return Verdict("Failed", f"{said}; one is enough", good=False)


def _counts(audit: AuditReport) -> list[Count]:
    return [
        Count("errors", audit.errors, "not to be shipped"),
        Count("warnings", audit.warnings, "to be looked at"),
        Count("information", audit.infos, "good to know"),
        Count("artifacts", audit.artifacts, "looked at"),
        Count("rules", audit.rules, "asked of them"),
    ]


def _sections(report: Report, audit: AuditReport) -> Iterator[Section]:
    rules = {rule.code: rule for rule in audit.explained}
    for at, group in enumerate(by_artifact(report), 1):
        if group.findings:
            kept, left = bounded(group.findings, lambda one: one.code, _MOST)
            blocks = tuple(_blocks(kept, rules))
            rest = more(left, "findings", NOWHERE_ELSE)
            yield Section(f"a{at}", group.path, tally(group.findings), blocks, rest)


def _blocks(findings: list[Finding], rules: dict[str, AuditRuleReport]) -> Iterator[Block]:
    """What one rule found, and one thing mends, together."""
    for (code, severity, fix), some_of in groupby(
        findings, lambda one: (one.code, one.severity.value, one.fix or "")
    ):
        found = tuple(
            Found(shown(one.message), where(one), shown(one.evidence or ""), one.fails)
            for one in some_of
        )
        yield Block(code, severity, found, fix, rules.get(code))


def _suppressed(audit: AuditReport) -> Table:
    columns = (
        Column("finding", words=True, said=True),
        Column("rule", words=True),
        Column("severity", words=True),
        Column("artifact", words=True),
        Column("why it is not reported", words=True),
    )
    rows = [
        (
            shown(one.finding.message),
            one.finding.code,
            one.finding.severity.value,
            one.finding.artifact or one.finding.path,
            one.why,
        )
        for one in audit.suppressed
    ]
    left = _left(len(rows), _MOST, "finding that is not reported", "findings that are not reported")
    return Table(columns, tuple(rows[:_MOST]), (), left)


def _left(rows: int, most: int, what: str, whats: str | None = None) -> str:
    """What says that a list has not all rows, "" where it has."""
    said = count(rows - most, f"more {what}", f"more {whats or what + 's'}")
    return f"... and {said} (all in --format json)." if rows > most else ""
