"""An artifact that was opened: what a notebook works with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from inspector.errors import ArtifactError, Changed
from inspector.inspected.knowledge import GLANCE, Knowledge
from inspector.inspected.tensors import InspectedTensor, Tensors
from inspector.limits import DEFAULT, Limits
from inspector.render.printable import named
from inspector.words import count

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from inspector.examine import Progress
    from inspector.model import Artifact
    from inspector.report import (
        ArtifactReport,
        LayerReport,
        ProblemReport,
        Report,
        RoleReport,
        TotalsReport,
    )


class Inspected:
    """An artifact: shows itself in a notebook, and answers questions.

    Its structure is read at once, values when something asks for them; no file stays open in
    between. A file that changed since raises Changed. In a `with` block the files stay open, so
    that many values are read of one state; leaving it raises Changed where they are no longer what
    they were. It can be asked after that, too.

    What says zeros (`report`, `answer`, `totals`, `layers`, `weights`) reads all values the first
    time; `structure`, `tensors`, `roles` and `bytes` read none. Iterating gives the tensors.
    """

    def __init__(self, path: str | os.PathLike[str], limits: Limits = DEFAULT) -> None:
        self._knowledge = Knowledge(os.fspath(path), limits)

    # What it is.

    @property
    def path(self) -> str:
        """The path it was opened by."""
        return self._knowledge.path

    @property
    def format(self) -> str:
        """One word for its format: "keras-h5", "saved-model", "tflite" ..."""
        return self._knowledge.files.artifact.format

    @property
    def nbytes(self) -> int:
        """Size of all its files, bytes."""
        return self._knowledge.files.artifact.nbytes

    @property
    def report(self) -> ArtifactReport:
        """All that `show` says of it. Raises Changed; LimitExceeded where it takes too long."""
        return self._knowledge.full()

    @property
    def structure(self) -> ArtifactReport:
        """The same without what values tell: zeros are None there. Reads no values."""
        return self._knowledge.plain()

    @property
    def answer(self) -> tuple[str, ...]:
        """The answer in words, one line a question."""
        return self.report.answer

    @property
    def totals(self) -> TotalsReport:
        """The counts, each by its own name, in elements; None where the artifact cannot say."""
        return self.report.totals

    @property
    def layers(self) -> tuple[LayerReport, ...]:
        """A row a layer, in the model's order."""
        return self.report.layers

    @property
    def roles(self) -> Mapping[str, RoleReport]:
        """By role: how many tensors, elements and bytes."""
        return self.structure.roles

    @property
    def bytes(self) -> Mapping[str, int]:
        """Where the bytes are, by label; they add up to `nbytes`, exactly."""
        return self.structure.bytes

    @property
    def problems(self) -> tuple[ProblemReport, ...]:
        """What a person should know of it: what is odd, and what could not be read."""
        return self.report.problems

    @property
    def tensors(self) -> Tensors:
        """The tensors by name: `m.tensors["dense/kernel"]`."""
        return Tensors(self._knowledge)

    @property
    def is_measured(self) -> bool:
        """Whether all values were read, so that `report` costs nothing."""
        return self._knowledge.is_measured

    def measure(self, progress: Progress | None = None) -> Self:
        """Read all values now. progress: told how far it is, in bytes. Raises as `report`."""
        self._knowledge.full(progress)
        return self

    @property
    def artifact(self) -> Artifact:
        """What the reader made of the files, with payloads that can be read.

        Asked for outside of a `with` block, the files stay open until `close`, or until this object
        is gone. Where they are no longer what they were, payloads raise ArtifactError.
        """
        with contextlib.suppress(Changed):
            self._knowledge.files.keep()
        return self._knowledge.files.artifact

    # What else it can become.

    def to_frame(self, table: str = "tensors", *, measure: bool = True) -> pd.DataFrame:
        """A pandas DataFrame: a row a tensor, or of "layers", "roles", "bytes", "problems".

        measure: read the values, for zeros and ranges. Counts are Int64, with NA for what is not
        known; see `inspector.frames`. Raises UsageError for another table, or without pandas.
        """
        return self._as_report(measure).to_frame(table)

    def to_arrow(self, table: str = "tensors", *, measure: bool = True) -> pa.Table:
        """The same as a pyarrow Table, with path and version of the tool in its metadata."""
        return self._as_report(measure).to_arrow(table)

    def html(self) -> str:
        """The page of it, whole in itself, as `--format html` writes it. Reads all values.

        Raises UsageError where what pages are made with is not installed.
        """
        return self._pictured().html()

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Write that page: the file is whole afterwards, or as it was.

        Raises UsageError where that would be the artifact itself, OSError.
        """
        self._pictured().save_html(path)

    def _as_report(self, measure: bool) -> Report:
        from inspector.report import report

        return report("show", (self.report if measure else self._knowledge.best(),))

    def _pictured(self) -> Report:
        from inspector.render import ready
        from inspector.report import report

        ready("html")  # before anything is read
        return report("show", (self._knowledge.pictured(),))

    # Files.

    def close(self) -> None:
        """Let the files go, whatever became of them. What is asked later opens them again."""
        self._knowledge.files.let_go()

    def __enter__(self) -> Self:
        self._knowledge.files.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._knowledge.files.leave_all(kind, error, trace)

    # A notebook's and Python's own protocols.

    def __iter__(self) -> Iterator[InspectedTensor]:
        return iter(self.tensors.values())

    def __len__(self) -> int:
        return len(self._knowledge.tensors)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        artifact = self._knowledge.files.artifact
        return (
            f"<{named(self.path)}: {artifact.kind}, {count(len(self), 'tensor')}, "
            f"{count(self.nbytes, 'byte')}>"
        )

    def _repr_html_(self) -> str:
        from inspector.render.card import card

        known = self._knowledge
        if known.is_measured or known.value_bytes() <= GLANCE:
            try:
                return card(known.full())
            except ArtifactError as error:
                return card(known.plain(), f"Its values cannot be read. {error}")
        unread = count(known.value_bytes(), "byte")
        note = f"Values ({unread}) were not read: no zeros are counted. measure() reads them."
        return card(known.plain(), note)
