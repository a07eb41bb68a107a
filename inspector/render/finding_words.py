"""What renderers of findings share: findings by artifact, where each is, the verdict in a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from inspector.render.blocks import LONGEST
from inspector.render.printable import safe, shorten
from inspector.report import AuditReport, Finding, Report
from inspector.words import count, keyless

NOWHERE_ELSE = "all in --format json"  # where what was left out is
_WHY = {"baseline": "in the baseline", "allowed": "allowed"}


@dataclass(frozen=True, slots=True)
class Group:
    """An artifact, by its path as it was given, and what was found in it, the worst first."""

    path: str
    findings: tuple[Finding, ...]


def by_artifact(report: Report) -> list[Group]:
    """All artifacts in the report's order, clean ones too."""
    found: dict[str, list[Finding]] = {artifact.path: [] for artifact in report.artifacts}
    for finding in report.findings or ():
        found.setdefault(artifact_of(finding), []).append(finding)
    return [Group(path, tuple(findings)) for path, findings in found.items()]


def artifact_of(finding: Finding) -> str:
    """The path of the artifact that the rule was asked of."""
    return finding.path if finding.artifact is None else finding.artifact


def shown(text: str) -> str:
    """A message, evidence or fix, fit to be shown on one line, of bounded length."""
    return shorten(safe(keyless(text)), LONGEST)


def where(finding: Finding) -> str:
    """What the message does not say of the place: "layer dense, in x.pb, byte 12"; may be ""."""
    said = keyless(finding.message)
    parts = []
    for label, name in (("layer ", finding.layer), ("tensor ", finding.tensor)):
        if name and keyless(name) not in said:
            parts.append(f"{label}{keyless(name)}")
    if finding.path != artifact_of(finding) and finding.path not in said:
        parts.append(f"in {finding.path}")
    if finding.offset is not None:
        parts.append(f"byte {finding.offset:,}")
    return shown(", ".join(parts))


def details(finding: Finding) -> list[str]:
    """Lines beneath the message, without the fix: where it is, and what was seen."""
    return [line for line in (where(finding), shown(finding.evidence or "")) if line]


def in_full(finding: Finding) -> list[str]:
    """All that is known of a finding but its rule: message, details, what to do."""
    fix = [f"Fix: {shown(finding.fix)}"] if finding.fix else []
    return [shown(finding.message), *details(finding), *fix]


def tally(findings: Iterable[Finding]) -> str:
    """Findings by severity: "3 errors, 1 warning"."""
    return _tally(Counter(one.severity.value for one in findings))


def _tally(times: Counter[str]) -> str:
    parts = [
        count(times["error"], "error") if times["error"] else "",
        count(times["warning"], "warning") if times["warning"] else "",
        f"{times['info']:,} info" if times["info"] else "",
    ]
    return ", ".join(filter(None, parts)) or "nothing found"


def summary(report: Report, audit: AuditReport) -> str:
    """The verdict in one line, whatever was found."""
    times = Counter(error=audit.errors, warning=audit.warnings, info=audit.infos)
    parts = [
        f"Audit {'failed' if audit.failed else 'passed'}: {_tally(times)} in "
        f"{_artifacts(report, audit)}",
        count(audit.rules, "rule") if audit.rules else "",
        _not_shown(audit),
        "never fails" if audit.fail_on == "never" else f"fails at {audit.fail_on}",
        f"policy: {safe(audit.policy)}" if audit.policy else "",
    ]
    return "; ".join(filter(None, parts))


def _artifacts(report: Report, audit: AuditReport) -> str:
    """In how many artifacts something was found. Where not all findings are here, how many fail."""
    if report.fleet and report.fleet.results is not None:
        failed = report.fleet.failed
        fail = "fails" if failed == 1 else "fail"
        return f"{count(audit.artifacts, 'artifact')}, of which {failed:,} {fail}"
    groups = [one for one in by_artifact(report) if one.findings]
    return _share(len(groups), audit.artifacts)


def _share(part: int, whole: int) -> str:
    """(2, 5) -> "2 of 5 artifacts"; all or none of them: "5 artifacts"."""
    few = f"{part:,} of " if 0 < part < whole else ""
    return f"{few}{count(whole, 'artifact')}"


def _not_shown(audit: AuditReport) -> str:
    """What was taken out, by why: "4 not shown: allowed (2), in the baseline (2)"."""
    whys = Counter(one.why.partition(":")[0] for one in audit.suppressed)
    parts = [f"{_WHY.get(why, safe(why))} ({number:,})" for why, number in sorted(whys.items())]
    return f"{whys.total():,} not shown: {', '.join(parts)}" if parts else ""
