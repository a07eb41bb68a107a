"""Which tables a report has: the columns of each, and a cell for each of them in its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.model import Role

if TYPE_CHECKING:
    from inspector.report import DiffTensor, DiffValues, Report

TEXT, WORD, COUNT, NUMBER, FLAG, SIDES = "text", "word", "count", "number", "flag", "sides"
Columns = Mapping[str, str]
Row = Sequence[Any]

ROLES = [role.value for role in Role]


@dataclass(frozen=True, slots=True)
class Table:
    """columns: names and kinds; rows: a cell for each of them."""

    columns: Callable[[Report], Columns]
    rows: Callable[[Report], Iterable[Row]]


_TENSORS: Columns = {
    "name": TEXT,
    "layer": TEXT,
    "variable": TEXT,
    "role": WORD,
    "dtype": WORD,
    "shape": SIDES,
    "elements": COUNT,
    "nbytes": COUNT,
    "trainable": FLAG,
    "zeros": COUNT,
    "sparsity": NUMBER,
    "min": NUMBER,
    "max": NUMBER,
    "nan": COUNT,
    "inf": COUNT,
    "distinct": COUNT,
    "about": TEXT,
    "alias_of": TEXT,
    "rule": WORD,
    "basis": WORD,
    "evidence": TEXT,
    "storage": WORD,
    "artifact": WORD,
}


def _tensors(report: Report) -> Iterator[Row]:
    for artifact in report.artifacts:
        for one in artifact.tensors:
            found = one.measure
            measured: Row = [None] * 7
            if found is not None:
                ends = _float(found.min), _float(found.max)
                measured = (
                    *(found.zeros, found.sparsity, *ends),
                    *(found.nan, found.inf, found.distinct),
                )
            yield (
                *(one.name, one.layer, one.variable, one.role, one.dtype, one.shape),
                *(one.elements, one.nbytes, one.trainable),
                *measured,
                *(one.about, one.alias_of, one.rule, one.basis, one.evidence, one.storage),
                artifact.path,
            )


def _layer_columns(report: Report) -> Columns:
    """With a column of elements for each role that there is: "elements_mask"."""
    return {
        "name": TEXT,
        "class_name": WORD,
        "wraps": WORD,
        "trainable": FLAG,
        "count_params": COUNT,
        "overhead": COUNT,
        **{f"elements_{role}": COUNT for role in _roles_of(report)},
        "weights": COUNT,
        "zeros": COUNT,
        "sparsity": NUMBER,
        "macs": COUNT,
        "artifact": WORD,
    }


def _layers(report: Report) -> Iterator[Row]:
    roles = _roles_of(report)
    for artifact in report.artifacts:
        for one in artifact.layers:
            weights = one.weights
            yield (
                *(one.name, one.class_name, one.wraps, one.trainable),
                *(one.count_params, one.overhead),
                *(one.roles.get(role, 0) for role in roles),
                *((weights.elements, weights.zeros, weights.sparsity) if weights else [None] * 3),
                *(one.macs, artifact.path),
            )


def _roles_of(report: Report) -> list[str]:
    there = {role for artifact in report.artifacts for role in artifact.roles}
    return [role for role in ROLES if role in there]


_BY_ROLE: Columns = {
    "role": WORD, "tensors": COUNT, "elements": COUNT, "nbytes": COUNT, "artifact": WORD
}  # fmt: skip


def _by_role(report: Report) -> Iterator[Row]:
    for artifact in report.artifacts:
        for role, one in artifact.roles.items():
            yield role, one.tensors, one.elements, one.nbytes, artifact.path


_BYTES: Columns = {"label": WORD, "nbytes": COUNT, "artifact": WORD}


def _bytes(report: Report) -> Iterator[Row]:
    for artifact in report.artifacts:
        for label, nbytes in artifact.bytes.items():
            yield label, nbytes, artifact.path


_PROBLEMS: Columns = {
    "code": WORD, "severity": WORD, "message": TEXT, "path": WORD, "offset": COUNT, "artifact": WORD
}  # fmt: skip


def _problems(report: Report) -> Iterator[Row]:
    for artifact in report.artifacts:
        for one in artifact.problems:
            yield (
                *(one.code, one.severity.value, one.message, one.path, one.offset),
                artifact.path,
            )


_SIDE: Columns = {
    "name": TEXT, "role": WORD, "dtype": WORD, "shape": SIDES, "elements": COUNT, "nbytes": COUNT
}  # fmt: skip
_VALUES: Columns = {
    "differing": COUNT,
    "same_bits": FLAG,
    "largest": NUMBER,
    "mean": NUMBER,
    "relative_norm": NUMBER,
    "cosine": NUMBER,
    "sign_flips": COUNT,
    "zeros_a": COUNT,
    "zeros_b": COUNT,
    "zeros_gained": COUNT,
    "zeros_lost": COUNT,
    "ulps": NUMBER,
    "in_scale_units": NUMBER,
    "clipped": COUNT,
}
_PAIRS: Columns = {
    "status": WORD,
    "counts": FLAG,
    "layer": TEXT,
    "variable": TEXT,
    **{f"{name}_{side}": kind for name, kind in _SIDE.items() for side in "ab"},
    "changes": TEXT,
    **_VALUES,
    "words": TEXT,
    "why": TEXT,
    "basis": WORD,
    "conversion": TEXT,
}


def _pairs(report: Report) -> Iterator[Row]:
    for pair in report.diff.pairs if report.diff else ():
        one = pair.a or pair.b
        yield (
            *(pair.status, pair.counts),
            *((one.layer, one.variable) if one else (None, None)),
            *(_side(side, name) for name in _SIDE for side in (pair.a, pair.b)),
            ", ".join(pair.changes),
            *_values(pair.values),
            *(pair.words, pair.why, pair.basis, pair.conversion),
        )


def _side(side: DiffTensor | None, name: str) -> Any:
    return None if side is None else getattr(side, name)


def _values(found: DiffValues | None) -> Row:
    if found is None:
        return [None] * len(_VALUES)
    cells = ((getattr(found, name), kind) for name, kind in _VALUES.items())
    return [_float(cell) if kind == NUMBER else cell for cell, kind in cells]


_FACTS: Columns = {
    "part": WORD, "what": TEXT, "a": TEXT, "b": TEXT, "words": TEXT, "counts": FLAG
}  # fmt: skip


def _facts(report: Report) -> Iterator[Row]:
    for fact in report.diff.facts if report.diff else ():
        sides = (None if side is None else str(side) for side in (fact.a, fact.b))
        yield (fact.part, fact.what, *sides, fact.words, fact.counts)


_LINES: Columns = {
    "label": TEXT,
    "role": WORD,
    "tensors": COUNT,
    "elements": COUNT,
    "nbytes": COUNT,
    "count_params": COUNT,
    "after_strip": COUNT,
    "tensors_b": COUNT,
    "elements_b": COUNT,
    "nbytes_b": COUNT,
    "count_params_b": COUNT,
    "basis": TEXT,
}


def _lines(report: Report) -> Iterator[Row]:
    for one in report.reconciliation.lines if report.reconciliation else ():
        other = one.other
        yield (
            *(one.label, one.role, one.tensors, one.elements, one.nbytes),
            *(one.count_params, one.after_strip),
            *(
                (other.tensors, other.elements, other.nbytes, other.count_params)
                if other
                else [None] * 4
            ),
            one.basis,
        )


_MATCHES: Columns = {
    "a": TEXT,
    "b": TEXT,
    "layer": TEXT,
    "variable": TEXT,
    "role": WORD,
    "elements": COUNT,
    "agrees": WORD,
    "change": TEXT,
    "zeros_a": COUNT,
    "zeros_b": COUNT,
    "differing": COUNT,
    "largest": NUMBER,
    "in_scale_units": NUMBER,
    "snr_db": NUMBER,
    "masked_nonzero": COUNT,
    "why": TEXT,
    "why_not": TEXT,
}


def _matches(report: Report) -> Iterator[Row]:
    for one in report.reconciliation.pairs if report.reconciliation else ():
        cells = ((getattr(one, name), kind) for name, kind in _MATCHES.items())
        yield [_float(cell) if kind == NUMBER else cell for cell, kind in cells]


_FINDINGS: Columns = {
    "code": WORD,
    "severity": WORD,
    "fails": FLAG,
    "message": TEXT,
    "evidence": TEXT,
    "fix": TEXT,
    "tensor": TEXT,
    "layer": TEXT,
    "path": WORD,
    "offset": COUNT,
    "fingerprint": TEXT,
    "artifact": WORD,
}


def _findings(report: Report) -> Iterator[Row]:
    for one in report.findings or ():
        cells = {name: getattr(one, name) for name in _FINDINGS}
        yield list({**cells, "severity": one.severity.value}.values())


_OF_ARTIFACTS = {
    "tensors": Table(lambda _: _TENSORS, _tensors),
    "layers": Table(_layer_columns, _layers),
    "roles": Table(lambda _: _BY_ROLE, _by_role),
    "bytes": Table(lambda _: _BYTES, _bytes),
    "problems": Table(lambda _: _PROBLEMS, _problems),
}
# By command; the first is what `to_frame()` gives.
TABLES: Mapping[str, Mapping[str, Table]] = {
    "show": _OF_ARTIFACTS,
    "diff": {
        "pairs": Table(lambda _: _PAIRS, _pairs),
        "facts": Table(lambda _: _FACTS, _facts),
        **_OF_ARTIFACTS,
    },
    "reconcile": {
        "lines": Table(lambda _: _LINES, _lines),
        "pairs": Table(lambda _: _MATCHES, _matches),
        **_OF_ARTIFACTS,
    },
    "audit": {"findings": Table(lambda _: _FINDINGS, _findings), **_OF_ARTIFACTS},
}


def _float(number: float | str | None) -> float | None:
    """A number that JSON may have had to spell."""
    return None if number is None else float(number)


def tables_of(report: Report) -> Mapping[str, Table]:
    """The tables that a report has, by name."""
    return TABLES.get(report.command, _OF_ARTIFACTS)
