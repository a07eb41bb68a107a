"""One row a tensor, a line of arithmetic or a pair, for spreadsheets and data frames (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping

from msgspec import UNSET

from inspector.render import findings
from inspector.render.options import RenderOptions
from inspector.render.printable import safe
from inspector.report import DiffTensor, Report, TensorReport

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
_SIDES = ("name", "layer", "variable", "role", "dtype", "shape")  # of A, and with "_b" of B
_VALUES = (
    "differing", "largest", "mean", "relative_norm", "cosine", "sign_flips", "zeros_a", "zeros_b",
    "zeros_gained", "zeros_lost", "ulps", "in_scale_units",
)  # fmt: skip
PAIRS = (
    "status", *(f"{name}{side}" for name in _SIDES for side in ("", "_b")), "elements", "changes",
    *_VALUES, "why", "words", "counts",
)  # fmt: skip


def render(report: Report, _options: RenderOptions) -> str:
    """A header and the rows of the report's command; artifacts that could not be read have none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    columns, rows = _COMMANDS[report.command]
    writer.writerow((*columns, "digest") if _has_digests(report) else columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows(report))
    return out.getvalue()


def _show(report: Report) -> Iterator[Row]:
    digests = _has_digests(report)
    for artifact in report.artifacts:
        for tensor in artifact.tensors:
            row = _tensor(artifact.path, tensor)
            yield (*row, tensor.digest or None) if digests else row


def _has_digests(report: Report) -> bool:
    """Whether digests were asked for: the column is only there then."""
    return report.command == "show" and any(
        artifact.content_digest is not UNSET for artifact in report.artifacts
    )


def _explain(report: Report) -> Iterator[Row]:
    if report.explanation:
        yield _tensor(report.explanation.path, report.explanation.tensor)


def _reconcile(report: Report) -> Iterator[Row]:
    path = report.artifacts[0].path if report.artifacts else ""
    for line in report.reconciliation.lines if report.reconciliation else ():
        yield (path, *(getattr(line, name) for name in LINES[1:]))


def _diff(report: Report) -> Iterator[Row]:
    for pair in report.diff.pairs if report.diff else ():
        yield (
            pair.status,
            *(_of_side(side, name) for name in _SIDES for side in (pair.a, pair.b)),
            _of_side(pair.a or pair.b, "elements"),
            " ".join(pair.changes),
            *(getattr(pair.values, name, None) for name in _VALUES),
            pair.why,
            pair.words,
            pair.counts,
        )


def _of_side(side: DiffTensor | None, name: str) -> object:
    """A cell of a side that may be none."""
    found = getattr(side, name, None)
    return _shape(found) if name == "shape" and side else found


def _shape(sides: tuple[int, ...] | None) -> str | None:
    return None if sides is None else "x".join(map(str, sides)) or "scalar"


# By command: the heads, and what makes the rows, a cell for each head.
_COMMANDS: Mapping[str, tuple[tuple[str, ...], Callable[[Report], Iterator[Row]]]] = {
    "show": (COLUMNS, _show),
    "explain": (COLUMNS, _explain),
    "reconcile": (LINES, _reconcile),
    "diff": (PAIRS, _diff),
    "audit": (findings.COLUMNS, findings.rows),
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
        _shape(tensor.shape),
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
