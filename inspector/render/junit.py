"""An audit as JUnit XML: a suite an artifact, a case a rule, a failure where it must not ship.

The format is what Maven Surefire writes and Jenkins, GitLab and others read; it has no standard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from inspector.render.finding_words import Group, by_artifact, in_full, shown, tally
from inspector.render.options import RenderOptions
from inspector.render.printable import safe
from inspector.report import AuditReport, Finding, Report

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report, _options: RenderOptions) -> str:
    """An XML document; "" for a report that is of no audit."""
    audit = report.audit
    if not audit:
        return ""
    unasked = {one.artifact: frozenset(one.codes) for one in audit.unasked}
    suites = [
        _Suite(group, audit, unasked.get(group.path, frozenset())) for group in by_artifact(report)
    ]
    document = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        _tag("testsuites", {"name": f"{report.tool.name} {report.command}", **_sum(suites)}),
        *(tag for suite in suites for tag in suite.tags()),
        "</testsuites>",
    ]
    return "\n".join(document) + "\n"


class _Suite:
    """One artifact: its cases, and how many there are of each outcome."""

    def __init__(self, group: Group, audit: AuditReport, unasked: frozenset[str]) -> None:
        self._path = safe(group.path)
        self._audit = audit
        self._of: dict[str, list[Finding]] = {code: [] for code in audit.asked}
        for finding in group.findings:
            self._of.setdefault(finding.code, []).append(finding)
        self._skipped = {code for code, found in self._of.items() if code in unasked and not found}
        failures = sum(any(one.fails for one in found) for found in self._of.values())
        self.counts = {
            "tests": len(self._of),
            "failures": failures,
            "errors": 0,
            "skipped": len(self._skipped),
        }

    def tags(self) -> Iterable[str]:
        yield _tag("testsuite", {"name": self._path, **self.counts, "time": 0})
        properties = {"policy": self._audit.policy or "default", "fail-on": self._audit.fail_on}
        yield "<properties>"
        for name, value in properties.items():
            yield _tag("property", {"name": name, "value": safe(value)}, "/")
        yield "</properties>"
        for code, found in self._of.items():
            yield from self._case(code, found)
        yield "</testsuite>"

    def _case(self, code: str, found: Sequence[Finding]) -> Iterable[str]:
        inside = [*_failure([one for one in found if one.fails])]
        inside += _output([one for one in found if not one.fails])
        if code in self._skipped:
            inside.append(_tag("skipped", {"message": "not asked of this artifact"}, "/"))
        case = {"name": code, "classname": self._path, "time": 0}
        yield _tag("testcase", case, "" if inside else "/")
        yield from (*inside, "</testcase>") if inside else ()


def _sum(suites: Iterable[_Suite]) -> dict[str, int]:
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in suites:
        for name, number in suite.counts.items():
            totals[name] += number
    return totals


def _failure(found: Sequence[Finding]) -> Iterable[str]:
    """One element, since readers take no second one of a case; the text has all findings."""
    if found:
        first, *others = found
        more = f" (and {len(others):,} more)" if others else ""
        head = _tag(
            "failure",
            {"message": f"{shown(first.message)}{more}", "type": first.severity.value},
        )
        yield f"{head}{_text(_said(found))}</failure>"


def _output(found: Sequence[Finding]) -> Iterable[str]:
    if found:
        said = [f"{tally(found)}, which does not fail the audit:", *_said(found)]
        yield f"<system-out>{_text(said)}</system-out>"


def _said(found: Sequence[Finding]) -> Iterable[str]:
    for finding in found:
        message, *others = in_full(finding)
        yield f"{finding.severity}: {message}"
        yield from (f"  {line}" for line in others)


def _text(said: Iterable[str]) -> str:
    return escape(_clean("\n".join(said)))


def _tag(name: str, attributes: Mapping[str, object], close: str = "") -> str:
    inside = "".join(f" {key}={quoteattr(_clean(str(it)))}" for key, it in attributes.items())
    return f"<{name}{inside}{close}>"


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 cannot have, not even as references."""
    return _NO_XML.sub("�", text)
