"""What the rules of an audit found, and how it went."""

from __future__ import annotations

from msgspec import Struct

from inspector.model import Severity


class Finding(Struct, frozen=True):
    """What an audit rule found, and what to do about it.

    message: one line; path: the artifact, or the file of it that is to blame; offset: bytes into
    that. evidence: what was seen, in words. fingerprint: the same for the same finding in a later
    run, wherever the artifact then lies. artifact: that the rule was asked of, as it was given;
    fails: whether it is severe enough to fail the audit.
    """

    code: str
    severity: Severity
    message: str
    path: str
    tensor: str | None
    layer: str | None
    fix: str | None
    evidence: str | None = None
    offset: int | None = None
    fingerprint: str | None = None
    artifact: str | None = None
    fails: bool = False


class Suppressed(Struct, frozen=True):
    """A finding that was not reported. why: "baseline", "allowed: ..." with the policy's reason."""

    finding: Finding
    why: str


class Unasked(Struct, frozen=True):
    """Codes of rules that others were asked, and this artifact was not: its policy leaves them out,
    or it lacks what they look at.
    """

    artifact: str
    codes: tuple[str, ...]


class AuditRuleReport(Struct, frozen=True):
    """What an audit rule says of itself. family: what its code begins with; severity: the rule's
    own, which a policy may have changed in a finding.
    """

    code: str
    family: str
    severity: Severity
    summary: str
    explanation: str
    example: str
    fix: str


class AuditReport(Struct, frozen=True):
    """How an audit went.

    policy: where the policy came from, null for the default one. artifacts: how many were looked
    at; rules: how many were asked of them. errors, warnings, infos: findings by severity. fail_on:
    the severity from which on a finding fails the audit; failed: whether one did. suppressed: what
    the baseline and the allow-list took out. notes: what the rules could not look at, and why.
    asked: codes of the rules that were asked; unasked: of which artifacts some of them were not.
    explained: the rules whose findings are here, suppressed ones among them.
    """

    policy: str | None
    artifacts: int
    rules: int
    errors: int
    warnings: int
    infos: int
    fail_on: str
    failed: bool
    suppressed: tuple[Suppressed, ...] = ()
    notes: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    unasked: tuple[Unasked, ...] = ()
    explained: tuple[AuditRuleReport, ...] = ()
