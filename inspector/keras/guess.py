"""Layers without a config: their classes and options, from what a v3 store has of them.

`guess_layers` goes by the groups' paths: a group inside a list is named after its class, and newer
Keras 3 notes the layer's name. `settled` then goes by the number, ranks and dtypes of a layer's
variables, which tell the options that they were made with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import Any, NamedTuple

from inspector.changed import changed
from inspector.keras import layers
from inspector.keras.bind import Entry, fits
from inspector.keras.layers import Variable
from inspector.keras.paths import CONTAINERS, group_name, tidy
from inspector.keras.tfmot import CLASSES, v3_variables
from inspector.model import Flavor, Layer, Role

Shape = tuple[int, ...]

# What a config may say that takes variables away or adds them; the usual first.
_OPTIONS: tuple[Mapping[str, Any], ...] = (
    {},
    {"use_bias": False},
    {"bias_axes": "any"},
    {"scale": False},
    {"center": False},
    {"scale": False, "center": False},
    {"renorm": True},
    {"renorm": True, "scale": False},
    {"renorm": True, "center": False},
    {"renorm": True, "scale": False, "center": False},
    {"use_scale": True},
    {"use_scale": False},
    {"score_mode": "concat"},
    {"use_scale": True, "score_mode": "concat"},
    {"tie_weights": False},
    {"output_mode": "tf_idf"},
)
_FLOATING: tuple[str | None, ...] = (None, "float8")
_INTEGER: tuple[str | None, ...] = ("int8", "int4", "int4/1")

_MAIN = ("kernel", "embeddings")

# Wrappers whose inner layer's group is named after the attribute, so that nothing tells its class.
_WRAPPERS = CLASSES | {"TimeDistributed"}


def guess_layers(
    paths: Iterable[str],
    flavor: Flavor = Flavor.KERAS3,
    names: Mapping[str, str] | None = None,
) -> Mapping[str, Layer]:
    """Layers from the group paths alone, for weights without a config.

    names: the `name` attribute of `vars` groups, by group path (Keras 3 writes it).

    A group inside a list is named after its class; one named after an attribute has no class
    ("") unless the class that holds it always makes that sub-layer. A group counts as a list by
    its name ("layers", "cells"), or when all in it have names of classes and one is numbered
    ("dense", "dense_1"). The configs are empty.
    """
    names = names or {}
    classes = {**_by_group_name(flavor), **{group_name(name): name for name in CLASSES}}
    given = sorted(paths, key=lambda path: tidy(path).count("/"))
    lists = _lists(map(tidy, given), classes)
    found: dict[str, Layer] = {}
    for raw in given:
        path = tidy(raw)
        parent, _, last = path.rpartition("/")
        class_name = ""
        if parent in lists:
            class_name = _class_of(last, classes)
        elif parent in found:
            implied = layers.implied_children(found[parent], flavor)
            class_name = next((c.class_name for c in implied if c.attr == last), "")
        name = names.get(raw) or names.get(path) or last or "model"
        attr = parent.rpartition("/")[2] if parent in lists else last
        found[path] = Layer(path, name, class_name, attr=attr, is_model=not path)
    return found


def _class_of(group: str, classes: Mapping[str, str]) -> str:
    return classes.get(group) or classes.get(re.sub(r"_\d+$", "", group), "")


def _lists(paths: Iterable[str], classes: Mapping[str, str]) -> set[str]:
    """The groups that stand for lists, among the parents of the paths."""
    members: dict[str, set[str]] = {}
    for path in paths:
        parent, _, last = path.rpartition("/")
        members.setdefault(parent, set()).add(last)
    return {
        parent
        for parent, inside in members.items()
        if parent.rpartition("/")[2] in CONTAINERS
        or (
            parent
            and all(_class_of(name, classes) for name in inside)
            and any(f"{name}_1" in inside for name in inside)
        )
    }


class Stored(NamedTuple):
    """One stored variable."""

    shape: Shape | None
    dtype: str


class Guess(NamedTuple):
    """A layer with a class and options that fit.

    names: the variables' names, None where two options fit that name it differently (a single
    vector of a LayerNormalization is its gamma or its beta); empty where nothing fits.
    """

    layer: Layer
    names: tuple[str | None, ...] = ()


def settled(layer: Layer, flavor: Flavor, stored: Sequence[Stored], parent: str = "") -> Guess:
    """Find what fits. parent: the class of the object around it, where that is known.

    The layer stays as it is where it has a config, where the store has nothing of it, and where
    no class that its names tell fits the variables.
    """
    if layer.config or not stored or layer.class_name in CLASSES:
        return Guess(layer)
    for class_name in _classes(layer, flavor, stored, parent):
        found = _choices(class_name, flavor, tuple(stored))
        if found:
            places = zip(*(names for _, names in found), strict=True)
            names = tuple(n[0] if len(set(n)) == 1 else None for n in places)
            return Guess(changed(layer, class_name=class_name, config=found[0][0]), names)
    return Guess(layer)


@lru_cache(maxsize=4096)
def _choices(
    class_name: str, flavor: Flavor, stored: tuple[Stored, ...]
) -> tuple[tuple[Mapping[str, Any], tuple[str, ...]], ...]:
    """(config, names of the variables) of each choice that fits; models repeat their layers."""
    layer = Layer("", "", class_name)
    return tuple((one.config, names) for one, names in _fitting(layer, flavor, stored))


@cache
def _by_group_name(flavor: Flavor) -> Mapping[str, str]:
    return {group_name(name): name for name in sorted(layers.known_classes(flavor))}


def _classes(layer: Layer, flavor: Flavor, stored: Sequence[Stored], parent: str) -> Iterator[str]:
    """Classes to try: the one that is known, else those that a name tells."""
    if layer.class_name:
        yield layer.class_name
        return
    known = _by_group_name(flavor)
    for name in (layer.path.rpartition("/")[2], layer.name):
        found = _class_of(name, known)
        if found:
            yield found
    shapes = {one.shape for one in stored}
    # No other layer has three or four vectors of one length.
    if parent in _WRAPPERS and len(stored) in {3, 4} and len(shapes) == 1 and _is_vector(stored[0]):
        yield "BatchNormalization"


def _is_vector(one: Stored) -> bool:
    return one.shape is not None and len(one.shape) == 1


def _fitting(
    layer: Layer, flavor: Flavor, stored: Sequence[Stored]
) -> Iterator[tuple[Layer, tuple[str, ...]]]:
    """(the layer with options, its variables' names), for each choice that fits."""
    entries = [Entry(None, one.shape) for one in stored]
    integer = any(one.dtype in {"int8", "uint8"} for one in stored)
    for policy, option in product(_INTEGER if integer else _FLOATING, _OPTIONS):
        config = dict(option) if policy is None else {**option, "dtype": policy}
        candidate = changed(layer, config=config)
        variables = v3_variables(candidate, flavor, count=len(stored))
        if not variables or not fits(variables, entries):
            continue
        if policy is None and any(v.role is Role.QUANT_PARAM for v in variables):
            continue
        if not integer:
            yield candidate, tuple(v.name for v in variables)
        elif (sized := _sized(candidate, policy or "", variables, stored)) is not None:
            yield sized, tuple(v.name for v in variables)


def _sized(
    layer: Layer, policy: str, variables: Sequence[Variable], stored: Sequence[Stored]
) -> Layer | None:
    """The quantized layer with the number of units that its scales tell; None if they disagree."""
    held = {v.name: one for v, one in zip(variables, stored, strict=True)}
    main = next((name for name in _MAIN if name in held), None)
    if main is None or not held[main].dtype.startswith(("int", "uint")):
        return None
    if (
        f"{main}_scale" not in held
    ):  # an integer that is not quantized: no policy of Keras writes it
        return None
    kernel, scale = held[main].shape, held[f"{main}_scale"].shape
    if not kernel or not scale:
        return None
    if main == "embeddings":  # a scale for each row
        return layer if policy != "int4" and kernel[0] == scale[0] else None
    if policy == "int8":
        return layer if kernel[-1] == scale[-1] else None
    if kernel[-1] != (scale[-1] + 1) // 2:
        return None
    return changed(layer, config={**layer.config, "units": scale[-1]})
