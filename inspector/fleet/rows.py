"""What was found of an artifact as rows of the three tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.fleet.schema import SIZES, TABLES
from inspector.frames.tables import COUNT, SIDES, TEXT, WORD
from inspector.keras.tfmot import CLASSES
from inspector.model import Severity
from inspector.render.rows import row_around

if TYPE_CHECKING:
    from inspector.auditing.session import Looked
    from inspector.fleet.done import Key
    from inspector.report import ArtifactReport, Finding, LayerReport, TensorReport

Row = Mapping[str, Any]  # a cell by the name of its column; one that is not there is null
_MOST = 1 << 63
_WRAPPERS = CLASSES | {"TimeDistributed", "Bidirectional"}


class Look(NamedTuple):
    """One look at one artifact. run, number: its key. path: without credentials; version: of its
    content; nbytes: of its files, as storage says; seconds: that it took.
    """

    run: str
    number: int
    path: str
    version: str | None
    nbytes: int | None
    seconds: float | None
    key: Key
    at: dt.datetime


def rows_of(look: Look, looked: Looked | None) -> dict[str, list[Row]]:
    """By table, the rows of one artifact; of what is no model that it is none, and no more."""
    base: Row = {"run": look.run, "number": look.number, "path": look.path}
    about = {
        **base,
        "version": look.version,
        "nbytes": look.nbytes,
        "tool_version": look.key.tool,
        "policy_digest": look.key.policy,
        "options_digest": look.key.options,
        "audited_at": look.at,
        "seconds": look.seconds,
        "is_model": looked is not None,
    }
    if looked is None:
        return {"artifacts": [about], "tensors": [], "findings": []}
    findings = [*_findings(looked)]
    classes = _classes(looked.report)
    tensors: list[Row] = [{**base, **_tensor(one, classes)} for one in looked.report.tensors]
    return {
        "artifacts": [{**about, **_artifact(looked.report), **_verdict(findings)}],
        "tensors": tensors,
        "findings": [{**base, "artifact": look.path, **one} for one in findings],
    }


def _artifact(report: ArtifactReport) -> Row:
    producer, weights = report.producer, report.weights
    why = next((one.message for one in report.problems), None)
    nbytes = {} if report.nbytes is None else {"nbytes": report.nbytes}
    return {
        **nbytes,
        "readable": report.readable,
        "error": None if report.readable else why,
        "format": report.format,
        "producer": producer.name if producer else None,
        "producer_version": producer.version if producer else None,
        "tensors": len(report.tensors) if report.readable else None,
        **{name: getattr(report.totals, name) for name in report.totals.__struct_fields__},
        "weight_elements": weights.elements if weights else None,
        "weight_zeros": weights.zeros if weights else None,
        "bytes": report.bytes if report.readable else None,
        "role_nbytes": _by_role(report, "nbytes"),
        "role_elements": _by_role(report, "elements"),
    }


def _by_role(report: ArtifactReport, what: str) -> dict[str, int] | None:
    if not report.readable:
        return None
    return {str(role): getattr(found, what) for role, found in report.roles.items()}


def _verdict(findings: Iterable[Row]) -> Row:
    counted = [one for one in findings if one["suppressed"] is None]
    severities = [one["severity"] for one in counted]
    return {
        "errors": severities.count(Severity.ERROR.value),
        "warnings": severities.count(Severity.WARNING.value),
        "infos": severities.count(Severity.INFO.value),
        "suppressed": sum(one["suppressed"] is not None for one in findings),
        "failed": any(one["fails"] for one in counted),
    }


def _findings(looked: Looked) -> Iterator[Row]:
    for judged in looked.audited.judged:
        yield _finding(judged.finding, None)
    for one in looked.audited.suppressed:
        yield _finding(one.finding, one.why)


def _finding(found: Finding, why: str | None) -> Row:
    return {
        "path": found.path,
        "code": found.code,
        "severity": found.severity.value,
        "family": found.code.partition("-")[0],
        "message": found.message,
        "evidence": found.evidence,
        "tensor": found.tensor,
        "layer": found.layer,
        "offset": found.offset,
        "fix": found.fix,
        "fingerprint": found.fingerprint,
        "fails": found.fails and why is None,
        "suppressed": why,
    }


def _classes(report: ArtifactReport) -> dict[str, str | None]:
    """Path of a layer -> its class as a person means it: of what wrappers wrap, however deep; None
    where nothing tells.
    """
    return {one.name: _class(one) for one in report.layers}


def _class(layer: LayerReport) -> str | None:
    if layer.wraps:  # "TimeDistributed(Dense)"
        return layer.wraps.rpartition("(")[2].rstrip(")")
    return None if layer.class_name in _WRAPPERS else layer.class_name or None


def _tensor(found: TensorReport, classes: Mapping[str, str | None]) -> Row:
    measure = found.measure
    measured = (
        {}
        if measure is None
        else {
            "zeros": measure.zeros,
            "sparsity": measure.sparsity,
            "min": _float(measure.min),
            "max": _float(measure.max),
            "nan": measure.nan,
            "inf": measure.inf,
        }
    )
    return {
        "name": found.name,
        "layer": found.layer,
        "layer_class": classes.get(row_around(found.layer, classes) or ""),
        "variable": found.variable,
        "role": found.role,
        "rule": found.rule,
        "dtype": found.dtype,
        "shape": found.shape,
        "elements": found.elements,
        "nbytes": found.nbytes,
        "trainable": found.trainable,
        "digest": found.digest or None,
        "alias_of": found.alias_of,
        **measured,
    }


def _float(number: float | str | None) -> float | None:
    """A number that JSON may have had to spell."""
    return None if number is None else float(number)


def cells(table: str, rows: list[Row]) -> list[list[Any]]:
    """The columns of some rows, as Arrow takes them."""
    return [
        [_FIT.get(column.kind, _as_is)(row.get(column.name)) for row in rows]
        for column in TABLES[table]
    ]


def written(text: str) -> str:
    """Text as it stands in the tables: what is no Unicode as escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _as_is(cell: Any) -> Any:
    return cell


def _text(cell: Any) -> Any:
    return None if cell is None else written(cell)


def _count(cell: Any) -> Any:
    return cell if cell is None or -_MOST <= cell < _MOST else None


def _sides(cell: Any) -> Any:
    """The sides of a shape; all of them are null where one does not fit."""
    return None if cell is None or any(_count(side) is None for side in cell) else list(cell)


def _sizes(cell: Any) -> Any:
    return None if cell is None else [(written(key), _count(size)) for key, size in cell.items()]


_FIT = {TEXT: _text, WORD: _text, COUNT: _count, SIDES: _sides, SIZES: _sizes}
