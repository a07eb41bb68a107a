"""What the explorer asks of the API: each call whole, to be made away from the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from inspector import api
from inspector.limits import DEFAULT, Limits
from inspector.report import ArtifactReport, Explanation, Finding, Report, TensorReport


class Read(NamedTuple):
    """A tensor once it is read. threshold: of the mask that prunes it, None without one; left: the
    tensor that holds it, where that is still to be read.
    """

    known: Explanation
    threshold: float | None = None
    left: str | None = None


@dataclass(slots=True)
class Share:
    """How far measuring is, in bytes; told by threads, looked at by the screen."""

    whole: int = 0
    done: int = 0

    def start(self, nbytes: int) -> None:
        """So many bytes more are to be measured."""
        self.whole += nbytes

    def advance(self, nbytes: int) -> None:
        """So many of them are."""
        self.done += nbytes

    def finish(self) -> None:
        """Nothing is left to say."""


def _unable(path: str, parts: Iterable[str]) -> None:
    raise OSError(0, "nothing can be written here", path)


@dataclass(frozen=True, slots=True)
class Source:
    """How artifacts are read: as the options of the command say.

    save: puts a text in a file, whole or not at all; raises OSError, or UsageError for a file that
    must not be written over.
    """

    measure: bool = True
    isolate: bool = False
    limits: Limits = DEFAULT
    save: Callable[[str, Iterable[str]], None] = field(default=_unable)

    def tensor(self, path: str, name: str, left: str | None = None) -> Read:
        """A tensor with its values; left: as `Read` has it."""
        known = api.explain(
            path, name, measure=self.measure, isolate=self.isolate, limits=self.limits
        )
        return Read(known, left=left)

    def threshold(self, path: str, read: Read, name: str) -> Read:
        """The same with its threshold, which the tensor `name` holds."""
        held = self.tensor(path, name).known.tensor
        found = held.measure.min if held.measure and held.elements == 1 else None
        return Read(read.known, found if isinstance(found, (int, float)) else None)

    def measured(self, path: str, share: Share) -> ArtifactReport:
        """The artifact with all its values read."""
        found = api.show([path], isolate=self.isolate, limits=self.limits, progress=share)
        return found.artifacts[0]

    def findings(self, path: str, share: Share) -> tuple[Finding, ...]:
        """What an audit finds in the artifact."""
        found = api.audit(
            [path],
            measure=self.measure,
            isolate=self.isolate,
            limits=self.limits,
            progress=share,
        )
        return found.findings or ()

    def difference(self, a: str, b: str, share: Share, *, pictures: bool = False) -> Report:
        """What changed from one artifact to the other. pictures: with what a page shows of it."""
        return api.diff(
            a,
            b,
            pictures=pictures,
            measure=self.measure,
            isolate=self.isolate,
            limits=self.limits,
            progress=share,
        )

    def page(self, path: str, share: Share) -> Report:
        """The report that is written as a page."""
        return api.show(
            [path],
            pictures=True,
            measure=self.measure,
            isolate=self.isolate,
            limits=self.limits,
            progress=share,
        )


def threshold_of(tensor: TensorReport, artifact: ArtifactReport) -> str | None:
    """The name of the tensor that holds a weight's threshold, None where there is none."""
    if tensor.role != "weight":
        return None
    return next(
        (
            one.name
            for one in artifact.tensors
            if one.role == "threshold" and one.about == tensor.name
        ),
        None,
    )
