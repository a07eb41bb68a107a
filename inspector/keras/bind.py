"""From a place in a list of stored variables to a layer and a variable's name.

Keras loads by position, so position is what counts; a stored name only confirms it, or stands in
where the class is not known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from inspector.keras.layers import Variable
from inspector.keras.order import Slot, legacy_order
from inspector.keras.tfmot import v3_variables
from inspector.model import Flavor, Layer, Naming

_DEEPEST_NAME = 4  # parts of one layer's name
_MANY = 500  # variables under one layer: names are compared each with each
_OUTPUT = re.compile(r":\d++(_\d++)*+$")  # TensorFlow's number of an operator's output
_NUMBERED = re.compile(r"(cluster_centroids|pulling_indices)_")


class Entry(NamedTuple):
    """One stored variable, in its place. stored_name: None where the store has no names."""

    stored_name: str | None
    shape: tuple[int, ...] | None


class Bound(NamedTuple):
    """What a stored variable is. layer: a Layer's path."""

    layer: str | None
    variable: str | None
    naming: Naming


def bind_legacy(layer: Layer, flavor: Flavor, entries: Sequence[Entry]) -> list[Bound]:
    """Bind the `weight_names` of one top-level layer's group."""
    slots = legacy_slots(layer, flavor, entries)
    if slots is not None:
        return [
            Bound(slot.layer_path, slot.variable.name, _agreement(slot.variable.name, entry))
            for slot, entry in zip(slots, entries, strict=True)
        ]
    return [by_name(layer, entry.stored_name or "") for entry in entries]


def legacy_slots(layer: Layer, flavor: Flavor, entries: Sequence[Entry]) -> tuple[Slot, ...] | None:
    """The slots of a top-level layer's list, one an entry; None where they do not fit."""
    ranks = [None if entry.shape is None else len(entry.shape) for entry in entries]
    slots = legacy_order(layer, flavor, len(entries), ranks)
    if slots is None or len(slots) != len(entries):
        return None
    slots = _as_named(slots, entries)
    return slots if fits([slot.variable for slot in slots], entries) else None


def _as_named(slots: tuple[Slot, ...], entries: Sequence[Entry]) -> tuple[Slot, ...]:
    """The slots in the order of the stored names, where those name each of them, elsewhere.

    A layer inside can have been frozen by a flag that no config has, which moves its variables.
    """
    if len(slots) > _MANY:
        return slots
    keys = [(set(slot.layer_path.split("/")), slot.variable.name) for slot in slots]
    named = [parts_of(entry.stored_name or "") for entry in entries]
    if all(
        name == variable and path.issuperset(parents[-2:])
        for (path, name), (parents, variable) in zip(keys, named, strict=True)
    ):
        return slots  # as most are: each is named after its own slot
    order: list[int] = []
    for parents, variable in named:
        told = set(parents[-2:])
        meant = [i for i, (path, name) in enumerate(keys) if name == variable and told <= path]
        if len(meant) != 1:
            return slots
        order += meant
    return tuple(slots[i] for i in order) if len(set(order)) == len(slots) else slots


def bind_v3(
    layer: Layer,
    flavor: Flavor,
    entries: Sequence[Entry],
    naming: Naming,
    wrapper: Layer | None = None,
) -> list[Bound]:
    """Bind `vars/0`, `vars/1` ... of one object.

    naming: how the layer itself was found; wrapper: the tfmot wrapper around it, if any.
    """
    variables = v3_variables(layer, flavor, wrapper=wrapper, count=len(entries))
    if variables is not None and fits(variables, entries):
        return [Bound(layer.path, variable.name, naming) for variable in variables]
    return [
        Bound(layer.path, entry.stored_name, Naming.STORED if entry.stored_name else Naming.NONE)
        for entry in entries
    ]


def fits(variables: Sequence[Variable], entries: Sequence[Entry]) -> bool:
    """Whether the stored arrays can be these variables: as many, with the ranks they must have."""
    return len(variables) == len(entries) and all(
        variable.rank is None or entry.shape is None or variable.rank == len(entry.shape)
        for variable, entry in zip(variables, entries, strict=True)
    )


def by_name(layer: Layer, stored_name: str) -> Bound:
    """Bind by the stored name alone: "dense/kernel:0" inside `layer`."""
    parts, variable = parts_of(stored_name)
    inner: dict[str, list[str]] = {}
    for one in layer.walk():
        inner.setdefault(one.name, []).append(one.path)
    for end in range(len(parts), 0, -1):
        # A name may hold "/" itself ("conv1/bn"): the longest one counts.
        for start in range(max(0, end - _DEEPEST_NAME), end):
            found = inner.get("/".join(parts[start:end]))
            if found is not None:
                # Of several layers of one name (every attention has a "query"), the one whose
                # own parents the stored name tells too.
                place = max(found, key=lambda path: _shared(path, parts))
                return Bound(place, variable, Naming.STORED)
    return Bound(layer.path, variable, Naming.STORED)


def _shared(path: str, parts: Sequence[str]) -> tuple[int, int]:
    """How many of a layer's parents a stored name tells, and how few it does not."""
    places = path.split("/")
    return len(set(places) & set(parts)), -len(places)


def variable_of(stored_name: str) -> str:
    """The variable's own name: the last part, without TensorFlow's output number.

    "dense/kernel:0" -> "kernel"; also "bias:0_0_0", as a few converters left it.
    """
    return parts_of(stored_name)[1]


def parts_of(stored_name: str) -> tuple[list[str], str]:
    """What stands before the variable's own name, and that name.

    tfmot numbers the cells of a clustered RNN: "cluster_centroids_kernel/0" is one name.
    """
    bare = _OUTPUT.sub("", stored_name) if ":" in stored_name else stored_name
    parts = [part for part in bare.split("/") if part]
    numbered = len(parts) > 1 and _NUMBERED.match(parts[-2]) and parts[-1].isdecimal()
    at = len(parts) - (2 if numbered else 1)
    return parts[:at], "/".join(parts[at:])


def _agreement(variable: str, entry: Entry) -> Naming:
    said = variable_of(entry.stored_name or "")
    if said == variable:
        return Naming.POSITION
    # Keras 1 writes "dense_1_W"; TensorFlow makes a repeated name unique with a number.
    bare = re.sub(r"_\d+$", "", said)
    same = variable in {said, bare} or said.endswith(f"_{variable}")
    return Naming.POSITION if same else Naming.CONFIG
