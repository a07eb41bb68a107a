"""Small audit rules, and contexts to ask them of."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inspector.auditing.policy import Policy
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.model import Severity


def rule(
    code: str,
    check: Callable[[Context], Iterable[Found]] | None = None,
    severity: Severity = Severity.ERROR,
    needs: Needs = Needs.FILE,
    *,
    always: bool = False,
) -> AuditRule:
    """A rule that finds one thing, "CODE is so", where no check is given."""
    return AuditRule(
        code=code,
        severity=severity,
        summary=f"{code} is so",
        explanation="made for a test",
        example="none",
        fix=f"undo {code}",
        needs=needs,
        check=check or (lambda _: [Found(f"{code} is so")]),
        always=always,
    )


def context(path: str = "models/m.h5", **facts) -> Context:
    """A context of which nothing is known but its path; `policy` as keywords of Policy."""
    policy = facts.pop("policy", {})
    return Context(path, policy if isinstance(policy, Policy) else Policy(**policy), **facts)
