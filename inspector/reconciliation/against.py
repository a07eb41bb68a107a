"""What the file says beside what live TensorFlow says: totals, layers, tensors, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from inspector.count import Counted
from inspector.model import Artifact, Tensor, Totals

if TYPE_CHECKING:
    from inspector.live.runner import LiveCounts, LiveTensor

_WIDER = {"int4": "int8", "uint4": "uint8"}
_TOTALS = ("count_params", "trainable", "non_trainable", "after_strip")


@dataclass(frozen=True, slots=True)
class Row:
    """One number twice, elements. residual: live's less the file's, None where either is unknown;
    then `reason` says why.
    """

    what: str
    file: int | None
    live: int | None
    residual: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Against:
    """An artifact against TensorFlow.

    loader: what loaded it. error: why it refused, None where it did not. totals, layers: a row
    each. tensors: a row of all elements that it lists, None where it lists none; unlike: what is
    wrong with single tensors.
    """

    loader: str
    versions: Mapping[str, str]
    error: str | None
    totals: tuple[Row, ...]
    layers: tuple[Row, ...]
    tensors: Row | None
    unlike: tuple[str, ...]

    @property
    def residual(self) -> int | None:
        """Elements of difference over all rows, and one for each tensor that is unlike; None where
        no row has both numbers.
        """
        rows = (*self.totals, *self.layers, *((self.tensors,) if self.tensors else ()))
        known = [abs(row.residual) for row in rows if row.residual is not None]
        return sum(known) + len(self.unlike) if known else None


def verdict(found: Against) -> str:
    """What TensorFlow says of the counts, in a sentence."""
    who = found.loader if found.loader not in ("", "none") else "TensorFlow"
    if found.error is not None:
        return f"{who} cannot load it: {found.error.rstrip('.')}."
    if found.residual is None:
        reason = next((row.reason for row in found.totals if row.reason), None)
        return f"{who} counts nothing here" + (f": {reason}." if reason else ".")
    if found.residual:
        wrong = [row for row in (*found.totals, *found.layers) if row.residual]
        first = f"{wrong[0].what} {wrong[0].live:,}, not {wrong[0].file:,}" if wrong else None
        return f"{who} says otherwise: {first or (found.unlike or ('other tensors',))[0]}."
    total = next((row.live for row in found.totals if row.residual is not None), None)
    what = f"{total:,} parameters" if total is not None else "every tensor"
    layers = f", and the same in every layer ({len(found.layers):,})" if found.layers else ""
    return f"{who} says the same: {what}{layers}."


def against(artifact: Artifact, counted: Counted, live: LiveCounts) -> Against:
    """Hold the counts of a file against the live ones."""
    row, unlike = _tensors(artifact, live.tensors)
    return Against(
        loader=live.loader,
        versions=live.versions,
        error=live.error,
        totals=_totals(counted, live),
        layers=_layers(counted, live),
        tensors=row,
        unlike=unlike,
    )


def _totals(counted: Counted, live: LiveCounts) -> tuple[Row, ...]:
    ours = {one.name: getattr(counted.totals, one.name) for one in fields(Totals)}
    theirs: dict[str, int | None] = {name: getattr(live, name) for name in _TOTALS}
    rows = (
        _row(name, ours[name], theirs[name], live.reasons.get(name) or counted.reasons.get(name))
        for name in _TOTALS
    )
    return tuple(row for row in rows if (row.file, row.live) != (None, None))


def _row(what: str, file: int | None, live: int | None, reason: str | None = None) -> Row:
    if file is None or live is None:
        return Row(what, file, live, None, reason)
    return Row(what, file, live, live - file)


def _layers(counted: Counted, live: LiveCounts) -> tuple[Row, ...]:
    """Every layer that has something to count; one that only one side names counts 0 on the other.

    Nothing where either side tells no layers.
    """
    ours = {row.path: row.count_params for row in counted.layers}
    theirs = {path: one.count_params for path, one in live.layers.items()}
    if not any(theirs.values()) or all(one is None for one in ours.values()):
        return ()
    paths = dict.fromkeys([*ours, *theirs])
    rows = (_row(path, ours.get(path, 0), theirs.get(path, 0)) for path in paths)
    return tuple(row for row in rows if row.file or row.live)


def _tensors(
    artifact: Artifact, listed: Mapping[str, LiveTensor] | None
) -> tuple[Row | None, tuple[str, ...]]:
    """The elements that both list, and tensors that are unlike or that one of them lacks."""
    if listed is None:
        return None, ()
    strings = artifact.format != "tflite"  # its interpreter does not hand them out
    ours = {
        tensor.name: tensor
        for tensor in artifact.tensors
        if _is_stored(tensor) and (strings or tensor.dtype != "string")
    }
    names = [name for name in listed if name in ours]
    unlike = [
        f"{name} is {ours[name].dtype} {_sides(ours[name].shape)} in the file,"
        f" {listed[name].dtype} {_sides(listed[name].shape)} to TensorFlow"
        for name in names
        if not _is_alike(ours[name], listed[name])
    ]
    unlike += [f"{name}: TensorFlow alone lists it" for name in listed if name not in ours]
    unlike += [f"{name}: TensorFlow does not list it" for name in ours if name not in listed]
    row = _row(
        "elements of all tensors",
        sum(tensor.elements for tensor in ours.values()),
        sum(one.elements for one in listed.values()),
    )
    return row, tuple(unlike)


def _is_stored(tensor: Tensor) -> bool:
    return tensor.made is None and tensor.shape is not None


def _is_alike(tensor: Tensor, listed: LiveTensor) -> bool:
    # NumPy has no narrower integers: the interpreter hands those of 4 bits out as bytes.
    dtypes = {tensor.dtype, _WIDER.get(tensor.dtype)}
    return listed.dtype in dtypes and listed.shape == tensor.shape


def _sides(shape: tuple[int, ...] | None) -> str:
    return str(list(shape or ()))
