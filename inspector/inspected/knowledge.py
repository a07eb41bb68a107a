"""What is known of an artifact: without its values soon, with them once they are asked for."""

from __future__ import annotations

import threading

from inspector.allowance import in_time
from inspector.examine import Progress
from inspector.inspected.files import Files
from inspector.limits import MIB, Limits
from inspector.measured import value_bytes
from inspector.model import Tensor
from inspector.report import ArtifactReport, Explanation, MeasureReport, TensorReport
from inspector.reports import explain_open, show_open

# So many bytes of values are read for a picture of them without being asked for: half a second.
GLANCE = 64 * MIB


class Knowledge:
    """One artifact, and the reports of it that were made so far. Threads may share it."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.path, self.limits = path, limits
        self.files = Files(path, limits)
        self.tensors = {tensor.name: tensor for tensor in self.files.artifact.tensors}
        self._lock = threading.RLock()
        self._plain: ArtifactReport | None = None
        self._full: ArtifactReport | None = None
        self._entries: tuple[ArtifactReport, dict[str, TensorReport]] | None = None
        self._measures: dict[str, MeasureReport | None] = {}

    @property
    def is_measured(self) -> bool:
        """Whether all values were read."""
        return self._full is not None

    def plain(self) -> ArtifactReport:
        """The report without anything that values tell. Reads none."""
        with self._lock:
            if self._plain is None:
                with in_time(self.limits, self.path):
                    artifact = self.files.artifact
                    self._plain = show_open(artifact, measure=False, limits=self.limits)
            return self._plain

    def full(self, progress: Progress | None = None) -> ArtifactReport:
        """The report. Reads all values the first time. Raises Changed, LimitExceeded (seconds)."""
        with self._lock:
            if self._full is None:
                with in_time(self.limits, self.path), self.files.reading() as artifact:
                    self._full = show_open(artifact, limits=self.limits, progress=progress)
            return self._full

    def pictured(self) -> ArtifactReport:
        """The report with what pictures are drawn from. Reads all values. Raises as `full`."""
        with in_time(self.limits, self.path), self.files.reading() as artifact:
            return show_open(artifact, pictures=True, limits=self.limits)

    def best(self) -> ArtifactReport:
        """The most complete report there is without reading values."""
        return self._full or self.plain()

    def value_bytes(self) -> int:
        """How many bytes of values there are to read, once decoded."""
        return sum(map(value_bytes, self.tensors.values()))

    def entry(self, name: str) -> TensorReport:
        """What is known of a tensor."""
        report = self.best()
        with self._lock:
            if self._entries is None or self._entries[0] is not report:
                self._entries = report, {one.name: one for one in report.tensors}
            return self._entries[1][name]

    def measure(self, tensor: Tensor) -> MeasureReport | None:
        """What its values tell; None where there are none. Raises ArtifactError."""
        from inspector.assemble import measure_report
        from inspector.measure import measure

        if self._full is not None:
            known = self.entry(tensor.name).measure
            if known is not None:
                return known
        with self._lock:
            if tensor.name not in self._measures:
                with in_time(self.limits, self.path), self.files.reading():
                    found = measure(tensor, self.limits)
                made = None if found is None else measure_report(found, tensor.elements)
                self._measures[tensor.name] = made
            return self._measures[tensor.name]

    def explain(self, tensor: Tensor, *, measure: bool) -> Explanation:
        """All that is known of a tensor. Raises Changed."""
        with in_time(self.limits, self.path), self.files.reading() as artifact:
            return explain_open(artifact, tensor, measure=measure, limits=self.limits)
