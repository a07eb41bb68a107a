"""What an audit found: each finding with its evidence and its fix, then the summary."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.render.blocks import LONGEST, wrap
from inspector.render.options import RenderOptions
from inspector.render.printable import safe, shorten
from inspector.render.style import Style
from inspector.report import AuditReport, Finding, Report
from inspector.words import count


def text(report: Report, options: RenderOptions, style: Style) -> str:
    """All of it for a terminal."""
    if not report.audit:
        return ""
    lines: list[str] = []
    for finding in report.findings or ():
        lines += [
            style.severity(finding.severity.value, line)
            for line in wrap(_line(finding), options.width)
        ]
        for more in _more(finding):
            lines += wrap(f"  {more}", options.width, "    ")
    lines += [""] if lines else []
    for note in report.audit.notes:
        lines += [style.dim(line) for line in wrap(f"note: {_short(note)}", options.width)]
    return "\n".join([*lines, *wrap(summary(report.audit), options.width)])


def markdown(report: Report, options: RenderOptions) -> str:
    """The same as a block of code, which nothing in it can leave."""
    lines = text(report, options, Style(False)).splitlines()
    return "\n".join(f"    {line}" for line in lines)


COLUMNS = (
    *("code", "severity", "path", "message", "tensor"),
    *("layer", "evidence", "fix", "offset", "fingerprint"),
)


def rows(report: Report) -> Iterator[tuple[object, ...]]:
    """A row a finding, with a cell for each of COLUMNS."""
    for finding in report.findings or ():
        yield tuple(getattr(finding, name) for name in COLUMNS)


def _line(finding: Finding) -> str:
    at = "" if finding.offset is None else f" (at byte {finding.offset:,})"
    message = _short(finding.message)
    return f"{safe(finding.path)}: {finding.severity}: {message}{at} [{finding.code}]"


def _more(finding: Finding) -> Iterator[str]:
    if finding.evidence:
        yield _short(finding.evidence)
    if finding.fix:
        yield f"fix: {_short(finding.fix)}"


def _short(message: str) -> str:
    return shorten(safe(message), LONGEST)


def summary(audit: AuditReport) -> str:
    """The verdict in one line."""
    found = ", ".join(
        (
            count(audit.errors, "error"),
            count(audit.warnings, "warning"),
            f"{audit.infos:,} info",
        )
    )
    less = f", {len(audit.suppressed):,} suppressed" if audit.suppressed else ""
    looked = f"{count(audit.artifacts, 'artifact')}, {count(audit.rules, 'rule')}"
    verdict = "failed" if audit.failed else "passed"
    whose = safe(audit.policy) if audit.policy else "the default"
    return f"Audit {verdict}: {found}{less} in {looked} (fails on {audit.fail_on}; policy: {whose})"
