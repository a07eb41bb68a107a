"""What an audit rule is, and what it may look at."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from inspector.auditing.policy import Policy
from inspector.classify import Classified
from inspector.count import Counted
from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.model import Artifact, Measurement, Severity
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
    original: what --against names. policy: that of this path, overrides done.
    """

    path: str
    policy: Policy = field(default_factory=Policy)
    examined: Examined | None = None
    error: ArtifactError | None = None
    original: Examined | None = None
    limits: Limits = field(default=DEFAULT, repr=False)


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
    where values cannot be read.
    """

    code: str
    severity: Severity
    summary: str
    explanation: str
    example: str
    fix: str
    needs: Needs
    check: Callable[[Context], Iterable[Found]]

    @property
    def family(self) -> str:
        """What its code begins with."""
        return self.code.partition("-")[0]
