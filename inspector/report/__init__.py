"""The report: typed, versioned, the one thing that renderers see.

The JSON contract is these types, and its schema (`inspector/schema/report-1.0.json`) is generated
from them. A field is only ever added within schema 1.x. None is written as null and means "the
artifact cannot say", never 0; UNSET fields are left out. JSON has no infinity: a `min` or `max`
that is infinite is the string "Infinity" or "-Infinity".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct, UnsetType

from inspector.errors import UsageError
from inspector.report.artifact import (
    ArtifactReport,
    ConfigReport,
    CostReport,
    FileReport,
    LayerReport,
    MeasureReport,
    OperatorReport,
    PatternReport,
    PortReport,
    ProblemReport,
    ProducerReport,
    RoleReport,
    Shown,
    SignatureReport,
    TensorReport,
    TotalsReport,
    UseReport,
    WeightsReport,
)
from inspector.report.audit import (
    AuditReport,
    AuditRuleReport,
    Finding,
    Suppressed,
    Unasked,
)
from inspector.report.diff import (
    Diff,
    DiffFact,
    DiffPair,
    DiffPlace,
    DiffSummary,
    DiffTensor,
    DiffValues,
)
from inspector.report.display import Displayed
from inspector.report.explanation import (
    Explanation,
    ExtentReport,
    MaskReport,
    RuleReport,
    Schedule,
)
from inspector.report.fleet import FleetReport
from inspector.report.numbers import Bar, Extreme
from inspector.report.pictures import (
    AreaReport,
    DiffPicture,
    HeatReport,
    HistogramReport,
    OperatorCostReport,
    PicturesReport,
)
from inspector.report.reconciliation import (
    GoneReport,
    LineOfOther,
    Live,
    LiveArtifact,
    LiveRow,
    OddReport,
    PairReport,
    PredictedReport,
    Reconciliation,
    ReconciliationLine,
    SizesReport,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "SCHEMA_VERSION",
    "AreaReport",
    "ArtifactReport",
    "AuditReport",
    "AuditRuleReport",
    "Bar",
    "ConfigReport",
    "CostReport",
    "Diff",
    "DiffFact",
    "DiffPair",
    "DiffPicture",
    "DiffPlace",
    "DiffSummary",
    "DiffTensor",
    "DiffValues",
    "Explanation",
    "ExtentReport",
    "Extreme",
    "FileReport",
    "Finding",
    "FleetReport",
    "GoneReport",
    "HeatReport",
    "HistogramReport",
    "LayerReport",
    "LineOfOther",
    "Live",
    "LiveArtifact",
    "LiveRow",
    "MaskReport",
    "MeasureReport",
    "OddReport",
    "OperatorCostReport",
    "OperatorReport",
    "PairReport",
    "PatternReport",
    "PicturesReport",
    "PortReport",
    "PredictedReport",
    "ProblemReport",
    "ProducerReport",
    "Reconciliation",
    "ReconciliationLine",
    "Report",
    "RoleReport",
    "RuleReport",
    "Schedule",
    "Shown",
    "SignatureReport",
    "SizesReport",
    "Suppressed",
    "TensorReport",
    "Tool",
    "TotalsReport",
    "Unasked",
    "UseReport",
    "WeightsReport",
    "report",
    "schema",
    "sources",
]

SCHEMA_VERSION = "1.0"


class Tool(Struct, frozen=True):
    """What wrote the report."""

    name: str
    version: str


class Report(Struct, Displayed, frozen=True):
    """What a command found, for any renderer."""

    schema_version: str
    tool: Tool
    command: str
    artifacts: tuple[ArtifactReport, ...]
    explanation: Explanation | UnsetType = UNSET
    reconciliation: Reconciliation | UnsetType = UNSET
    diff: Diff | UnsetType = UNSET
    findings: tuple[Finding, ...] | UnsetType = UNSET
    audit: AuditReport | UnsetType = UNSET
    fleet: FleetReport | UnsetType = UNSET

    def to_frame(self, table: str | None = None) -> pd.DataFrame:
        """A table of it as a pandas DataFrame.

        table: "tensors", "layers", "roles", "bytes" or "problems" of the artifacts; of a difference
        also "pairs" and "facts", of a reconciliation "lines" and "pairs", of an audit "findings";
        None for what the command is about. Counts that are not known are NA. Raises UsageError for
        a table that it has not, and where pandas is not installed.
        """
        from inspector.frames import to_frame

        return to_frame(self, table)

    def to_arrow(self, table: str | None = None) -> pa.Table:
        """The same as a pyarrow Table, with paths and the tool's version in its metadata."""
        from inspector.frames import to_arrow

        return to_arrow(self, table)

    def html(self) -> str:
        """It as a page of its own: one file that a browser shows without a network.

        Raises UsageError where what pages are made with is not installed.
        """
        from inspector.render.card import page

        return page(self)

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Write that page: the file is whole afterwards, or as it was.

        Raises UsageError where that would be one of the artifacts, OSError.
        """
        from inspector.writing import is_of, write_whole

        if any(is_of(path, one) for one in sources(self)):
            raise UsageError(f"{os.fspath(path)} is what the report is of: it is not written over")
        write_whole(os.fspath(path), (self.html(),))


def report(command: str, artifacts: tuple[ArtifactReport, ...] = (), **sections: Any) -> Report:
    """A report of this version of the tool. sections: the optional fields of Report."""
    from inspector._version import __version__

    return Report(SCHEMA_VERSION, Tool("inspect", __version__), command, artifacts, **sections)


def sources(found: Report) -> Iterator[str]:
    """Paths of its artifacts, and of all files that they are made of."""
    for one in found.artifacts:
        yield one.path
        yield from (file.path for file in one.files)


def schema() -> dict[str, Any]:
    """The JSON schema of Report."""
    import msgspec

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"inspect report {SCHEMA_VERSION}",
        **_undented(msgspec.json.schema(Report)),
    }


def _undented(node: Any) -> Any:
    """Descriptions come from docstrings, whose margins only Python 3.13 takes off."""
    if isinstance(node, dict):
        return {
            key: cleandoc(value)
            if key == "description" and isinstance(value, str)
            else _undented(value)
            for key, value in node.items()
        }
    return [_undented(one) for one in node] if isinstance(node, (list, tuple)) else node
