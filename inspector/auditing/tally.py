"""The numbers of an audit whose findings are kept somewhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from inspector.auditing.rule import Needs
from inspector.auditing.run import Audited
from inspector.model import Severity
from inspector.report import AuditReport


@dataclass(slots=True)
class Tally:
    """Of artifacts, and of findings by severity. failed: artifacts with a finding that fails."""

    artifacts: int = 0
    failed: int = 0
    errors: int = 0
    warnings: int = 0
    infos: int = 0

    def take(self, audited: Audited) -> None:
        """Count one artifact."""
        severities = [one.finding.severity for one in audited.judged]
        failed = any(one.finding.fails for one in audited.judged)
        of = (severities.count(one) for one in (Severity.ERROR, Severity.WARNING, Severity.INFO))
        self.add(Tally(1, int(failed), *of))

    def add(self, other: Tally) -> None:
        """Count what another has counted."""
        self.artifacts += other.artifacts
        self.failed += other.failed
        self.errors += other.errors
        self.warnings += other.warnings
        self.infos += other.infos

    def over(self, summary: AuditReport) -> AuditReport:
        """The summary of some findings as that of all of them."""
        return replace(
            summary,
            artifacts=self.artifacts,
            errors=self.errors,
            warnings=self.warnings,
            infos=self.infos,
            failed=self.failed > 0,
            unasked=(),
        )


def few(audited: Sequence[Audited], most: int) -> Audited:
    """Of several artifacts, as if they were one, the first findings that fail, and notes; no more
    than `most` of each.
    """
    failing = [one for each in audited for one in each.judged if one.finding.fails]
    unasked: dict[Needs, dict[str, None]] = {}
    for each in audited:
        for needs, codes in each.unasked.items():
            unasked.setdefault(needs, {}).update(dict.fromkeys(codes))
    return Audited(
        path="",
        judged=tuple(failing[:most]),
        asked=frozenset().union(*(each.asked for each in audited)),
        unasked={needs: tuple(codes) for needs, codes in unasked.items()},
        notes=tuple([note for each in audited for note in each.notes][:most]),
    )
