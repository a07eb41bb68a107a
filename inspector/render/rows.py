"""The two tables of an artifact, as cells: one row a layer, one row a tensor."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from inspector.render.printable import optional, shape, value
from inspector.render.table import Column
from inspector.report import ArtifactReport, LayerReport, TensorReport, WeightsReport
from inspector.words import ROLE_LABELS, count, keyless, number, percent

# When there is no room, columns of these roles go first, in this order.
_FIRST_TO_GO = ("pruning_step", "threshold", "quant_step", "counter", "metric", "optimizer_state")
# Heads shorter than the labels elsewhere: numbers want the room.
_HEADS = {
    **ROLE_LABELS,
    "pruning_step": "steps",
    "quant_param": "quant params",
    "quant_step": "quant steps",
    "cluster_indices": "indices",
    "cluster_original": "originals",
    "optimizer_slot": "slots",
    "optimizer_state": "optimizer",
}
_LAST_TO_GO = {"weight": 59, "mask": 58, "statistic": 57}
# Roles of which a graph has many; more than a few are listed only when asked for.
_FOLDED = ("constant", "activation")
_MANY = 12
_DIGITS = 12  # of a digest: 48 bits
_YES_NO = {True: "yes", False: "no", None: "?"}


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text, unescaped. footer: no row, or one of totals; note: what has no row; tones: of
    each row, as a Style knows them, or none at all.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    footer: tuple[tuple[str, ...], ...] = ()
    note: str = ""
    tones: tuple[str, ...] = ()


def layer_table(artifact: ArtifactReport) -> Table:
    """One row a layer, its elements by role; the last row is what the whole artifact holds."""
    roles = [role for role in artifact.roles if any(role in row.roles for row in artifact.layers)]
    measured = any(row.weights and row.weights.elements for row in artifact.layers) or (
        # Where one weight is not measured, "?" says so.
        artifact.weights is None and any(row.weights for row in artifact.layers)
    )
    counted = _counts(artifact)
    trains = any(row.trainable is not None for row in artifact.layers)
    classes = any(row.class_name for row in artifact.layers)
    cost = artifact.cost is not None
    columns = (
        Column("layer", keep=100, words=True, least=20),
        *((Column("class", keep=60, words=True, least=17),) if classes else ()),
        *((Column("params", keep=99),) if counted else ()),
        *(Column(_HEADS[role], keep=_rank(role)) for role in roles),
        *((Column("zeros", keep=80), Column("sparsity", keep=70)) if measured else ()),
        *((Column("MACs", keep=75),) if cost else ()),
        *((Column("trainable", keep=30, words=True),) if trains else ()),
    )
    kept = _Kept(classes, counted, measured, cost, trains)
    rows = [_layer(row, roles, kept) for row in artifact.layers]
    if any(role in roles for role in artifact.in_no_layer) and not artifact.shown:
        rows.append(_no_layer(artifact, roles, 1 + classes + counted, len(columns)))
    footer = (
        "whole artifact" if artifact.shown else "total",
        *(("",) if classes else ()),
        *((optional(artifact.totals.count_params),) if counted else ()),
        *(number(artifact.roles[role].elements) for role in roles),
        *(_zeros(artifact.weights) if measured else ()),
        *((optional(artifact.cost.macs),) if cost and artifact.cost else ()),
        *((optional(artifact.totals.trainable),) if trains else ()),
    )
    apart = [
        f"{ROLE_LABELS[role]} {number(elements)}"
        for role, elements in artifact.in_no_layer.items()
        if role not in roles
    ]
    note = f"In no layer: {', '.join(apart)}." if apart else ""
    return Table(columns, tuple(rows), (footer,), note)


def _rank(role: str) -> int:
    if role in _FIRST_TO_GO:
        return 10 + _FIRST_TO_GO.index(role)
    return _LAST_TO_GO.get(role, 50)


def _counts(artifact: ArtifactReport) -> bool:
    """Whether Keras counts anything: a column of "?" would only take room."""
    rows = [artifact.totals.count_params, *(row.count_params for row in artifact.layers)]
    return any(row is not None for row in rows)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Which columns the table of layers has, beside those that it always has."""

    classes: bool
    counted: bool
    measured: bool
    cost: bool
    trains: bool


def _layer(row: LayerReport, roles: list[str], kept: _Kept) -> tuple[str, ...]:
    class_name = f"{row.class_name}({row.wraps})" if row.wraps else row.class_name or "?"
    return (
        row.name or "(model)",
        *((class_name,) if kept.classes else ()),
        *((optional(row.count_params),) if kept.counted else ()),
        *(_cell(row.roles.get(role)) for role in roles),
        *(_zeros(row.weights) if kept.measured else ()),
        *((_cell(row.macs),) if kept.cost else ()),
        *((_YES_NO[row.trainable] if "weight" in row.roles else "",) if kept.trains else ()),
    )


def _no_layer(
    artifact: ArtifactReport, roles: list[str], before: int, width: int
) -> tuple[str, ...]:
    """before: columns to the left of the roles'."""
    cells = ["(in no layer)", *[""] * (before - 1)]
    cells += [_cell(artifact.in_no_layer.get(role)) for role in roles]
    return (*cells, *[""] * (width - len(cells)))


def _cell(elements: int | None) -> str:
    return number(elements) if elements else ""


def _zeros(weights: WeightsReport | None) -> tuple[str, str]:
    if weights is None:
        return "?", "?"
    if not weights.elements:
        return "", ""
    return number(weights.zeros), percent(weights.zeros, weights.elements)


def tensor_table(artifact: ArtifactReport) -> Table:
    """One row a tensor, in the artifact's order.

    Of many constants and activations, as graphs have them, a note stands in place of the rows
    unless a filter asked for some.
    """
    tensors = artifact.tensors
    notes = []
    for role in _FOLDED if not artifact.shown else ():
        found = [one for one in tensors if one.role == role]
        if len(found) > _MANY:
            tensors = tuple(one for one in tensors if one.role != role)
            elements = sum(one.elements for one in found)
            what = f"{count(len(found), role)} of {count(elements, 'element')}"
            notes.append(f"{what} have no row here: --role {role} lists them.")
    note = " ".join(notes)
    measured = any(tensor.measure for tensor in tensors)
    digests = any(tensor.digest for tensor in tensors)
    # Where paths say less: numbered variables, a checkpoint's keys.
    called = any(not tells(tensor) for tensor in tensors)
    columns = (
        Column("tensor", keep=100, words=True, least=30),
        *((Column("variable", keep=85, words=True, least=16),) if called else ()),
        Column("role", keep=90, words=True),
        Column("dtype", keep=60, words=True),
        Column("shape", keep=80),
        Column("elements", keep=25),
        Column("bytes", keep=70),
        *(
            (Column("zeros", keep=75), Column("min", keep=31), Column("max", keep=32))
            if measured
            else ()
        ),
        Column("rule", keep=20, words=True),
        *((Column("digest", keep=65, words=True),) if digests else ()),
    )
    by_name = {one.name: one for one in tensors}
    rows = tuple(
        _tensor(one, measured, full_name(one, by_name) if called else None)
        + ((_digest(one),) if digests else ())
        for one in tensors
    )
    return Table(columns, rows, (), note)


def row_around(layer: str | None, rows: Container[str]) -> str | None:
    """The row that has what is said of a layer: its own, else that of the innermost layer around
    it, as a wrapper's has what it wraps. None where there is none.
    """
    while layer and layer not in rows:
        layer = layer.rpartition("/")[0] or None
    return layer if layer is not None and layer in rows else None


def tells(tensor: TensorReport) -> bool:
    """Whether a tensor's path says its layer and variable, or there is nothing better to say."""
    *around, last = keyless(tensor.name).split("/")
    if tensor.variable is None:
        return True
    layer = (tensor.layer or "").rpartition("/")[2]
    return last.partition(":")[0] == tensor.variable and (not layer or layer in around)


def full_name(tensor: TensorReport, by_name: Mapping[str, TensorReport]) -> str:
    """Layer and variable: "dense/kernel"; of a slot, what it is of: "m of dense/kernel"; "" where
    there is no variable.
    """
    name = "/".join(filter(None, (tensor.layer, tensor.variable))) if tensor.variable else ""
    served = by_name.get(tensor.about or "") if tensor.role == "optimizer_slot" else None
    return f"{name} of {full_name(served, {})}" if served else name


def _digest(tensor: TensorReport) -> str:
    """The beginning of it: "0d4a1185f5c8"."""
    return (tensor.digest or "-").removeprefix("sha256:")[:_DIGITS]


def _tensor(tensor: TensorReport, measured: bool, called: str | None) -> tuple[str, ...]:
    found = tensor.measure
    cells = (number(found.zeros), value(found.min), value(found.max)) if found else ("-",) * 3
    return (
        keyless(tensor.name),
        *(() if called is None else (called,)),
        tensor.role,
        tensor.dtype,
        shape(tensor.shape),
        number(tensor.elements),
        number(tensor.nbytes),
        *(cells if measured else ()),
        tensor.rule,
    )
