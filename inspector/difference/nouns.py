"""What is compared, and what is asked of the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inspector.model import Artifact, Verdict
from inspector.pairing.nouns import Side, Tolerance
from inspector.report import ArtifactReport


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the two, with all that is known of it.

    artifact: open, or made of a saved report, and then its tensors have no payload. report: what
    `show` says of it. digests: of a saved report, the digest of each tensor's values by its name,
    as far as it has them. saved: it is a saved report.
    """

    artifact: Artifact
    verdicts: Mapping[str, Verdict]
    report: ArtifactReport
    digests: Mapping[str, str] = field(default_factory=dict)
    saved: bool = False

    @property
    def side(self) -> Side:
        """As pairing wants it."""
        return Side(self.artifact, self.verdicts)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What counts.

    tolerance: of values. ignore: roles, groups of roles, parts ("config", "renamed" ...), or globs
    of tensors' and layers' names, which are left out. only: parts to look at, all where empty:
    "weights" (roles weight and statistic), "tensors", "config", "signatures" ... places: say where
    the bytes differ.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    ignore: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    places: bool = False
