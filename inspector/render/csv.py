"""One row a tensor, or a line of arithmetic, for spreadsheets and data frames (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping

from inspector.render.options import RenderOptions
from inspector.render.printable import safe
from inspector.report import Report, TensorReport

Row = tuple[object, ...]

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
    """A header and the rows of the report's command; artifacts that could not be read have none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    columns, rows = _COMMANDS[report.command]
    writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows(report))
    return out.getvalue()


def _show(report: Report) -> Iterator[Row]:
    for artifact in report.artifacts:
        for tensor in artifact.tensors:
            yield _tensor(artifact.path, tensor)


def _explain(report: Report) -> Iterator[Row]:
    if report.explanation:
        yield _tensor(report.explanation.path, report.explanation.tensor)


def _reconcile(report: Report) -> Iterator[Row]:
    path = report.artifacts[0].path if report.artifacts else ""
    for line in report.reconciliation.lines if report.reconciliation else ():
        yield (path, *(getattr(line, name) for name in LINES[1:]))


# By command: the heads, and what makes the rows, a cell for each head.
_COMMANDS: Mapping[str, tuple[tuple[str, ...], Callable[[Report], Iterator[Row]]]] = {
    "show": (COLUMNS, _show),
    "explain": (COLUMNS, _explain),
    "reconcile": (LINES, _reconcile),
}


def _tensor(path: str, tensor: TensorReport) -> Row:
    found = tensor.measure
    return (
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


def _cell(cell: object) -> object:
    return guard(cell) if isinstance(cell, str) and cell not in _INFINITE else cell


def guard(cell: str) -> str:
    """A text cell that no spreadsheet takes for a formula: such a one gets a leading quote."""
    text = safe(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
