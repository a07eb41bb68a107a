"""What a Keras file's optimizer variables are: which slot of which variable each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inspector.keras.bind import Entry
from inspector.keras.optimizers import OptimizerVariable, by_name, by_shapes, expected, fitting
from inspector.model import Flavor, Naming, Section, Tensor


def name_optimizer(
    held: Sequence[Entry],
    optimizer: tuple[str, Mapping[str, Any]] | None,
    flavor: Flavor,
    trainables: Sequence[Tensor],
    otherwise: Sequence[Tensor] = (),
) -> list[dict[str, Any]]:
    """Tensor fields (variable, slot_of, naming, position) for each of an optimizer's variables.

    By the optimizer's class and the order of the trainable variables; else by stored names; else
    by the run of shapes. otherwise: all variables that could be trained, for an optimizer made
    before some of them were frozen.
    """
    stored = [one.shape or () for one in held]
    known, naming = None, Naming.CONFIG
    if optimizer is not None:
        known = _fitting(stored, optimizer, flavor, trainables)
        if known is None and otherwise:
            known = _fitting(stored, optimizer, flavor, otherwise)
            trainables = otherwise if known is not None else trainables
    if known is None and all(one.stored_name is None for one in held):
        # One of Keras' own that does not fit had other variables than the config tells.
        if optimizer is None or not trainables or _is_foreign(optimizer, flavor, trainables):
            shapes, names = _targets(trainables, flavor)
            known = by_shapes(stored, shapes, flavor, names)
            naming = Naming.CLASS
        if known is None:
            return [_nameless(index, one) for index, one in enumerate(held)]
    if known is None:
        trainables = otherwise or trainables
        pairs = [(t.stored_name or t.name, t.shape or ()) for t in trainables]
        known = tuple(
            by_name(one.stored_name or f"variable {index}", one.shape or (), pairs)
            for index, one in enumerate(held)
        )
        naming = Naming.STORED
    return [
        {
            "variable": one.name,
            "slot_of": None if one.slot_of is None else trainables[one.slot_of].name,
            "naming": naming,
            "section": Section.OPTIMIZER,
            "position": index,
        }
        for index, one in enumerate(known)
    ]


def _targets(
    trainables: Sequence[Tensor], flavor: Flavor
) -> tuple[list[tuple[int, ...]], list[str]]:
    return [t.shape or () for t in trainables], [_path(t, flavor) for t in trainables]


def _fitting(
    stored: Sequence[tuple[int, ...]],
    optimizer: tuple[str, Mapping[str, Any]],
    flavor: Flavor,
    trainables: Sequence[Tensor],
) -> tuple[OptimizerVariable, ...] | None:
    shapes, names = _targets(trainables, flavor)
    return fitting(stored, *optimizer, flavor, shapes, names=names)


def _is_foreign(
    optimizer: tuple[str, Mapping[str, Any]], flavor: Flavor, trainables: Sequence[Tensor]
) -> bool:
    shapes, names = _targets(trainables, flavor)
    return expected(*optimizer, flavor, shapes, names=names) is None


def _nameless(index: int, held: Entry) -> dict[str, Any]:
    single = held.shape in {(), (1,), None}
    return {
        "variable": f"value {index}" if single else f"slot {index}",
        "naming": Naming.NONE,
        "section": Section.OPTIMIZER,
        "position": index,
    }


def _path(tensor: Tensor, flavor: Flavor) -> str:
    # Keras 1 orders its slots by the variables' names as stored; later ones by the model's order.
    if flavor is Flavor.KERAS1 and tensor.stored_name is not None:
        return tensor.stored_name
    return f"{tensor.layer}/{tensor.variable}"
