"""One row a tensor, or a line of arithmetic, for spreadsheets and data frames (RFC 4180)."""

from __future__ import annotations

import csv
import io

from inspector.render.options import RenderOptions
from inspector.render.printable import safe
from inspector.report import ArtifactReport, Report, TensorReport

_INFINITE = ("Infinity", "-Infinity")  # numbers, whatever they begin with
COLUMNS = (
    "path", "name", "layer", "variable", "role", "rule", "basis", "dtype", "shape", "elements",
    "nbytes", "trainable", "alias_of", "about", "zeros", "sparsity", "min", "max", "nan", "inf",
)  # fmt: skip


LINES = (
    "path", "label", "role", "tensors", "elements", "nbytes", "count_params", "after_strip", "each",
    "basis",
)  # fmt: skip


def render(report: Report, _options: RenderOptions) -> str:
    """A header and the rows. Artifacts that could not be read have none.

    Of a reconciliation the rows are its lines.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if report.reconciliation:
        writer.writerow(LINES)
        path = report.artifacts[0].path if report.artifacts else ""
        writer.writerows(
            [guard(path), *(_cell(getattr(line, name)) for name in LINES[1:])]
            for line in report.reconciliation.lines
        )
        return out.getvalue()
    writer.writerow(COLUMNS)
    if report.explanation:
        writer.writerow(_row(report.explanation.path, report.explanation.tensor))
    for artifact in report.artifacts:
        writer.writerows(_rows(artifact))
    return out.getvalue()


def _rows(artifact: ArtifactReport) -> list[list[object]]:
    return [_row(artifact.path, tensor) for tensor in artifact.tensors]


def _row(path: str, tensor: TensorReport) -> list[object]:
    found = tensor.measure
    cells: tuple[object, ...] = (
        path,
        tensor.name,
        tensor.layer,
        tensor.variable,
        tensor.role,
        tensor.rule,
        tensor.basis,
        tensor.dtype,
        None if tensor.shape is None else "x".join(map(str, tensor.shape)) or "scalar",
        tensor.elements,
        tensor.nbytes,
        tensor.trainable,
        tensor.alias_of,
        tensor.about,
        *(
            (found.zeros, found.sparsity, found.min, found.max, found.nan, found.inf)
            if found
            else (None,) * 6
        ),
    )
    return [_cell(cell) for cell in cells]


def _cell(cell: object) -> object:
    return guard(cell) if isinstance(cell, str) and cell not in _INFINITE else cell


def guard(cell: str) -> str:
    """A text cell that no spreadsheet takes for a formula: such a one gets a leading quote."""
    text = safe(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
