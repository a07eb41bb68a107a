"""Ask an artifact the rules that its policy selects, and make findings of what they find."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from inspector import deadline
from inspector.auditing.fingerprint import fingerprint
from inspector.auditing.policy import FailOn, Policy
from inspector.auditing.rule import AuditRule, Context, Found, Needs, longest
from inspector.errors import ArtifactError, LimitExceeded
from inspector.model import Severity
from inspector.report import AuditReport, AuditRuleReport, Finding, Suppressed, Unasked
from inspector.words import count, some

UNREADABLE = "integrity-unreadable"  # the rule of what a rule cannot look at
_NAMED = 8  # rules in a note
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding, and the place of its rule among all."""

    finding: Finding
    rank: int


@dataclass(frozen=True, slots=True)
class Audited:
    """What the rules said of one artifact.

    path: the artifact's. asked: codes of the rules that could look; unasked: codes of those that
    lacked what they need, as far as a person should know.
    """

    path: str
    judged: tuple[Judged, ...] = ()
    asked: frozenset[str] = frozenset()
    unasked: Mapping[Needs, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()


def selected(rules: Iterable[AuditRule], policy: Policy) -> tuple[AuditRule, ...]:
    """The rules that the policy wants asked, in their order."""
    return tuple(rule for rule in rules if _is_selected(rule, policy))


def _is_selected(rule: AuditRule, policy: Policy) -> bool:
    """Whether what selects a rule's code says more of it than what ignores it."""
    chosen = longest(rule.code, policy.select)
    ignored = longest(rule.code, policy.ignore)
    if ignored is None:
        return rule.always or chosen is not None
    return chosen is not None and _says(chosen) > _says(ignored)


def _says(prefix: str) -> int:
    return 0 if prefix == "all" else len(prefix)


def audit(context: Context, rules: Sequence[AuditRule]) -> Audited:
    """What the rules that the context's policy selects find in one artifact, in their order.

    A rule that cannot read what it looks at is itself a finding: a file made to break a rule must
    not pass by that. Raises LimitExceeded where the deadline is over.
    """
    chosen = selected(rules, context.policy)
    ranks = {rule.code: rank for rank, rule in enumerate(rules)}
    broken = next((rule for rule in chosen if rule.code == UNREADABLE), None)
    judged: list[Judged] = []
    notes: list[str] = []
    asked: set[str] = set()
    unasked: dict[Needs, tuple[str, ...]] = {}
    for rule in chosen:
        lacking = _lacking(rule, context)
        if lacking is not None:
            # Without an original there is nothing to say of it, unless somebody asked by name.
            if lacking is not Needs.ORIGINAL or rule.code in context.policy.select:
                unasked[lacking] = (*unasked.get(lacking, ()), rule.code)
            continue
        asked.add(rule.code)
        found, error = _ask(rule, context)
        most = context.limits.findings
        if len(found) > most:
            more = LimitExceeded("findings", len(found), most, context.path).message
            notes.append(f"{context.path}: {rule.code} finds more than {most:,} things; {more}")
        judged += [_judged(rule, one, context, ranks[rule.code]) for one in found[:most]]
        if error is not None and broken is not None:
            judged.append(_judged(broken, error, context, ranks[broken.code]))
        elif error is not None:
            notes.append(f"{context.path}: {error.message}")
    unread = unasked.pop(Needs.ARTIFACT, ())
    if unread:
        rest = f"{count(len(unread), 'rule')} could not be asked of it"
        notes.append(f"{context.path}: it could not be read, so {rest}")
    return Audited(context.path, tuple(judged), frozenset(asked), unasked, tuple(notes))


def _ask(rule: AuditRule, context: Context) -> tuple[list[Found], Found | None]:
    """What a rule finds, one more than the limit at most, and where it could not look on.

    Raises LimitExceeded where the deadline is over, as no other rule could look then.
    """
    found: list[Found] = []
    deadline.check()
    try:
        found.extend(islice(rule.check(context), context.limits.findings + 1))
    except ArtifactError as error:
        deadline.check()
        message = f"{rule.code} could not look: {error.message}"
        return found, Found(message, path=error.path, offset=error.offset)
    return found, None


def _judged(rule: AuditRule, found: Found, context: Context, rank: int) -> Judged:
    return Judged(_finding(rule, found, context), rank)


def _lacking(rule: AuditRule, context: Context) -> Needs | None:
    """What the rule needs and there is not; None where it can be asked."""
    if rule.needs is Needs.FILE:
        return None
    if context.examined is None:
        return Needs.ARTIFACT
    if rule.needs is Needs.VALUES and context.examined.measured is None:
        return Needs.VALUES
    if rule.needs is Needs.ORIGINAL and context.original is None:
        return Needs.ORIGINAL
    return None


def _finding(rule: AuditRule, found: Found, context: Context) -> Finding:
    severity = _severity(rule, context.policy, found.severity)
    return Finding(
        code=rule.code,
        severity=severity,
        message=found.message,
        path=found.path or context.path,
        tensor=found.tensor,
        layer=found.layer,
        fix=found.fix or rule.fix,
        evidence=found.evidence,
        offset=found.offset,
        fingerprint=fingerprint(rule.code, context.path, found),
        artifact=context.path,
        fails=is_failing(severity, context.policy.fail_on),
    )


def is_failing(severity: Severity, fail_on: FailOn) -> bool:
    """Whether a finding so severe fails an audit that fails from `fail_on` on."""
    return fail_on != "never" and _ORDER[severity] <= _ORDER[Severity(fail_on)]


def milder_on_safety(policy: Policy, rules: Sequence[AuditRule]) -> tuple[str, ...]:
    """Codes of rules of safety whose findings fail an audit, and do not by this policy."""
    asked = {rule.code for rule in selected(rules, policy)}
    return tuple(
        rule.code
        for rule in rules
        if rule.family == "safety" and is_failing(rule.severity, "error")
        if rule.code not in asked or not is_failing(_severity(rule, policy), policy.fail_on)
    )


def _severity(rule: AuditRule, policy: Policy, found: Severity | None = None) -> Severity:
    """How severe a rule's findings are. found: what the rule said of one, None for its own."""
    wanted = longest(rule.code, policy.severity)
    return (found or rule.severity) if wanted is None else Severity(policy.severity[wanted])


def conclude(
    audited: Sequence[Audited],
    *,
    fail_on: FailOn,
    policies: Mapping[str, int],
    rules: Sequence[AuditRule] = (),
    notes: Iterable[str] = (),
) -> tuple[tuple[Finding, ...], AuditReport]:
    """All findings in order (severity, rule, artifact), and how the audit went.

    policies: how many artifacts each policy file was for; "" is the default policy. rules: all that
    could be asked, in their order.
    """
    judged = sorted(
        (one for each in audited for one in each.judged),
        key=lambda one: (_ORDER[one.finding.severity], one.rank),
    )
    severities = [one.finding.severity for one in judged]
    suppressed = tuple(one for each in audited for one in each.suppressed)
    found = {one.code for one in (*_findings(judged), *(one.finding for one in suppressed))}
    asked = _asked(audited, rules)
    named = [one for one in policies if one]
    told = [*notes, *(note for each in audited for note in each.notes), *_unasked(audited)]
    if len(policies) > 1:
        told.append(f"several policies: {', '.join(_policy_words(policies))}")
    return _findings(judged), AuditReport(
        policy=", ".join(named) or None,
        artifacts=len(audited),
        rules=len(asked),
        errors=severities.count(Severity.ERROR),
        warnings=severities.count(Severity.WARNING),
        infos=severities.count(Severity.INFO),
        fail_on=fail_on,
        failed=any(one.finding.fails for one in judged),
        suppressed=suppressed,
        notes=tuple(told),
        asked=asked,
        unasked=tuple(_left_out(audited, asked)),
        explained=tuple(_explained(rule) for rule in rules if rule.code in found),
    )


def _findings(judged: Iterable[Judged]) -> tuple[Finding, ...]:
    return tuple(one.finding for one in judged)


def _asked(audited: Iterable[Audited], rules: Sequence[AuditRule]) -> tuple[str, ...]:
    """Codes of the rules that any artifact was asked, in their order."""
    ranks = {rule.code: rank for rank, rule in enumerate(rules)}
    codes = {code for each in audited for code in each.asked}
    return tuple(sorted(codes, key=lambda code: (ranks.get(code, len(ranks)), code)))


def _left_out(audited: Iterable[Audited], asked: Sequence[str]) -> Iterator[Unasked]:
    for each in audited:
        codes = tuple(code for code in asked if code not in each.asked)
        if codes:
            yield Unasked(each.path, codes)


def _explained(rule: AuditRule) -> AuditRuleReport:
    return AuditRuleReport(
        code=rule.code,
        family=rule.family,
        severity=rule.severity,
        summary=rule.summary,
        explanation=rule.explanation,
        example=rule.example,
        fix=rule.fix,
    )


def _policy_words(policies: Mapping[str, int]) -> Iterator[str]:
    for path, artifacts in policies.items():
        yield f"{path or 'the default one'} ({count(artifacts, 'artifact')})"


_WANT = {
    Needs.VALUES: "values, which --no-measure leaves unread",
    Needs.ORIGINAL: "what the artifact was made from (--against)",
}


def _unasked(audited: Sequence[Audited]) -> Iterator[str]:
    """A note for each reason why rules were not asked."""
    for needs, want in _WANT.items():
        codes = dict.fromkeys(code for each in audited for code in each.unasked.get(needs, ()))
        if codes:
            named = some(list(codes), _NAMED)
            yield f"{count(len(codes), 'rule')} not asked, for want of {want}: {named}"


def strictest(levels: Iterable[FailOn]) -> FailOn:
    """Of several severities to fail from, the least severe."""
    order: Mapping[FailOn, int] = {"info": 0, "warning": 1, "error": 2, "never": 3}
    return min(levels, key=order.__getitem__, default="error")


def shown(path: str) -> str:
    """A policy's path as a person wants it: relative to where they are, where that is shorter."""
    try:
        return min(path, os.path.relpath(path), key=len)
    except ValueError:  # another drive
        return path
