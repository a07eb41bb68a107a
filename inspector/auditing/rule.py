"""What an audit rule is, and what it may look at."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from inspector.auditing.contents import Contents
from inspector.auditing.policy import Policy
from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.model import Artifact, Measurement, Severity

if TYPE_CHECKING:  # listing the rules needs no numpy
    from inspector.classify import Classified
    from inspector.count import Counted
    from inspector.report import ArtifactReport


class Needs(enum.StrEnum):
    """What a rule must have to look at; without it the rule is not asked."""

    FILE = "file"  # the bytes alone: asked of what cannot be read as a model, too
    ARTIFACT = "artifact"
    VALUES = "values"  # not asked with --no-measure
    ORIGINAL = "original"  # what --against names


@dataclass(frozen=True, slots=True)
class Examined:
    """A readable artifact with all that the steps found out about it, while it is open."""

    artifact: Artifact
    classified: Classified
    counted: Counted
    report: ArtifactReport
    measured: Mapping[str, Measurement] | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """One artifact to be audited. Rules look here, and open nothing.

    path: as it was given. examined: None where it could not be read, and then `error` says why.
    original: what --against names. policy: that of this path, overrides done. contents: what its
    containers hold, readable or not.
    """

    path: str
    policy: Policy = field(default_factory=Policy)
    examined: Examined | None = None
    error: ArtifactError | None = None
    original: Examined | None = None
    limits: Limits = field(default=DEFAULT, repr=False)
    contents: Contents = field(default_factory=Contents, repr=False)

    @property
    def seen(self) -> Examined:
        """What is known of the artifact: there for every rule that needs more than its file."""
        return _there(self.examined)

    @property
    def values(self) -> Mapping[str, Measurement]:
        """What was measured, by the tensor's name: there for rules that need values."""
        return _there(self.seen.measured)

    @property
    def compared(self) -> Examined:
        """The original: there for rules that need it."""
        return _there(self.original)


_Thing = TypeVar("_Thing")


def _there(thing: _Thing | None) -> _Thing:
    if thing is None:
        raise LookupError("the rule did not say that it needs this")
    return thing


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that a rule found.

    message: one line, without the path; evidence: what was seen. tensor, layer: names, where it is
    about one. path: the file to blame where it is not the artifact's; offset: bytes into it.
    severity, fix: in place of the rule's own.
    """

    message: str
    evidence: str | None = None
    tensor: str | None = None
    layer: str | None = None
    path: str | None = None
    offset: int | None = None
    severity: Severity | None = None
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRule:
    """One thing that must not be so.

    code: begins with its family ("leftover-mask"); summary: one line; explanation: why it matters,
    and what is looked at; example: an artifact and what is said of it; fix: what to do. check:
    yields what it found, in the artifact's order, each thing once; raises nothing but ArtifactError
    where values cannot be read. always: asked whatever a policy selects; only its code in `ignore`
    leaves it out.
    """

    code: str
    severity: Severity
    summary: str
    explanation: str
    example: str
    fix: str
    needs: Needs
    check: Callable[[Context], Iterable[Found]]
    always: bool = False

    @property
    def family(self) -> str:
        """What its code begins with."""
        return self.code.partition("-")[0]


def matches(code: str, prefix: str) -> bool:
    """Whether a rule's code is `prefix`, or begins with it, word by word; "all" is all of them."""
    return prefix in ("all", code) or code.startswith(f"{prefix.rstrip('-')}-")


def longest(code: str, prefixes: Iterable[str]) -> str | None:
    """Of the prefixes that fit a code, the one that says most; None where none fits."""
    fitting = [one for one in prefixes if matches(code, one)]
    return max(fitting, key=lambda one: (one != "all", len(one)), default=None)
