"""The v3 layout: variables numbered under the path of each object, without names.

Shared by `.weights.h5`, `.keras` (zip or folder, HDF5 or npz inside) and sharded weights. Names
are rebuilt from the config by walking it as Keras' `saving_lib` walks the live objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inspector.changed import changed
from inspector.keras.bind import Entry, bind_v3
from inspector.keras.paths import object_paths
from inspector.keras.specs import trainable_tensors
from inspector.keras.tfmot import v3_variables, wrappers
from inspector.model import (
    Flavor,
    Layer,
    Naming,
    Section,
    Store,
    Tensor,
)
from inspector.read.keras_common import (
    Config,
    soft_link,
    tensor_from_dataset,
)
from inspector.read.keras_int4 import unpack_all
from inspector.storage import covered

if TYPE_CHECKING:
    from inspector.wire.hdf5 import Group, Hdf5File

VARS = "vars"
_SECTIONS: Mapping[str, Section] = {"optimizer": Section.OPTIMIZER, "metrics": Section.METRICS}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The variables of one object, in their numbers' order.

    path: as in the store, without "/vars" ("layers/dense"); "" is the model itself.
    name: the object's own name, which newer Keras 3 notes. stored_names: beside `tensors`, where
    the store keeps names (npz), else None. again: names of the tensors that are only links to
    one of another object.
    """

    path: str
    tensors: tuple[Tensor, ...]
    name: str | None = None
    stored_names: tuple[str | None, ...] = ()
    again: frozenset[str] = frozenset()

    @property
    def entries(self) -> list[Entry]:
        """The tensors as places in a list."""
        names = self.stored_names or (None,) * len(self.tensors)
        return [Entry(name, t.shape) for name, t in zip(names, self.tensors, strict=True)]


@dataclass(slots=True)
class Assigned:
    """What `assign` makes of a store. references: places that lead to a tensor stored once."""

    tensors: list[Tensor] = field(default_factory=list)
    references: tuple[Tensor, ...] = ()
    guessed: tuple[Layer, ...] = ()
    missing: tuple[str, ...] = ()


def is_v3_store(root: Group) -> bool:
    """Whether an HDF5 file is laid out so: a group "vars" stands at the end of some path."""
    from inspector.wire.hdf5 import Group

    pending, seen = [root], {root.address}
    while pending:
        for name, node in pending.pop().items():
            if not isinstance(node, Group) or node.address in seen:
                continue
            if name == VARS:
                return True
            seen.add(node.address)
            pending.append(node)
    return False


def tensors_of(objects: Iterable[StoredObject]) -> list[Tensor]:
    """All the objects' tensors, in order."""
    return [tensor for one in objects for tensor in one.tensors]


def taken(tensors: Iterable[Tensor]) -> int:
    """Bytes of the tensors' extents, each counted once."""
    return covered(extent for tensor in tensors for extent in tensor.extents)


def objects_of(file: Hdf5File, prefix: str = "") -> tuple[list[StoredObject], list[Tensor]]:
    """The objects of an HDF5 store, and tensors that stand outside any "vars" group.

    prefix: put before each tensor's name (the member of an archive).
    """
    from inspector.wire.hdf5 import Group

    groups: dict[int, tuple[str, Group]] = {}
    for node in file.nodes():
        if isinstance(node, Group) and (node.path == VARS or node.path.endswith(f"/{VARS}")):
            groups[node.address] = (node.path[: -len(VARS)].rstrip("/"), node)
    placed: set[int] = set()
    ordered = sorted(groups.values(), key=lambda found: natural(found[0]))
    objects = [_object(file, *found, prefix, placed) for found in ordered]
    others = [
        tensor_from_dataset(dataset, prefix, section=Section.OTHER)
        for dataset in file.datasets()
        if dataset.address not in placed
    ]
    return objects, others


def _object(file: Hdf5File, path: str, group: Group, prefix: str, placed: set[int]) -> StoredObject:
    """One "vars" group. placed: addresses of the datasets met so far, added to."""
    from inspector.wire.hdf5_nodes import Dataset

    tensors: list[Tensor] = []
    again: set[str] = set()
    for key in sorted(group.links, key=number):
        link = group.links[key]
        dataset = link.target if link.kind == "hard" else file.lookup(key, group)
        if not isinstance(dataset, Dataset):
            continue
        tensor = tensor_from_dataset(dataset, prefix)
        place = f"{group.path}/{key}"
        linked = file.is_linked(place, dataset)
        if linked:
            file.problems.append(soft_link(place, dataset.path, file.source.path))
        if linked or dataset.address in placed:
            # Stored once, under two names: this place only leads there.
            tensor = changed(tensor, name=f"{prefix}{place}", repeats=tensor.name)
            again.add(tensor.name)
        else:
            placed.add(dataset.address)
        tensors.append(tensor)
    said = group.value("name")
    return StoredObject(
        path.replace("\\", "/"),
        tuple(tensors),
        said if isinstance(said, str) else None,
        again=frozenset(again),
    )


def number(key: str) -> tuple[int, int, str]:
    """Sort key: numbers by value, then other keys by name."""
    return (0, int(key), "") if key.isdecimal() else (1, 0, key)


def natural(path: str) -> tuple[tuple[str, int], ...]:
    """Sort key of a path: dense_2 before dense_10, where HDF5 lists names letter by letter."""
    stems = (re.fullmatch(r"(.*?)(?:_(\d{1,18}))?", part) for part in path.split("/"))
    return tuple((stem[1], int(stem[2] or 0)) for stem in stems if stem is not None)


def flavor_of_store(objects: Sequence[StoredObject]) -> Flavor:
    """Which Keras wrote a store without a config.

    Newer Keras 3 notes names; tf_keras writes the metrics, and an optimizer without the learning
    rate among its variables (Keras 3 keeps a float scalar second).
    """
    if any(one.name is not None for one in objects):
        return Flavor.KERAS3
    paths = {one.path: one for one in objects}
    if any(path.startswith("metrics/") for path in paths):
        return Flavor.TF_KERAS
    if any(path.startswith(("_layer_checkpoint_dependencies", "layers\\")) for path in paths):
        return Flavor.TF_KERAS
    if any("prune_low_magnitude" in path or "quantize_" in path for path in paths):
        return Flavor.TF_KERAS
    optimizer = paths.get("optimizer")
    if optimizer is not None:
        second = optimizer.tensors[1:2]
        learning_rate = bool(second) and second[0].shape == () and second[0].dtype == "float32"
        return Flavor.KERAS3 if learning_rate else Flavor.TF_KERAS
    # tf_keras writes the root's "vars" group even when it is empty; Keras 3 only with a name.
    return Flavor.TF_KERAS if "" in paths and not paths[""].tensors else Flavor.KERAS3


def assign(objects: Sequence[StoredObject], config: Config) -> Assigned:
    """Give every stored variable its layer and its name."""
    result = Assigned()
    model_paths = [one.path for one in objects if _section(one.path) is Section.MODEL]
    known: Mapping[str, Layer] = {}
    wrapped: Mapping[str, Layer] = {}
    if config.model is not None:
        known = object_paths(config.model, config.flavor, model_paths)
        wrapped = wrappers(config.model)
    unknown = [path for path in model_paths if path not in known]
    names = {one.path: one.name for one in objects if one.name is not None}
    guesses: dict[str, Layer] = {}
    settled_names: dict[str, tuple[str | None, ...]] = {}
    if unknown:
        from inspector.keras.guess import guess_layers

        guesses = dict(guess_layers(unknown, config.flavor, names))
        settled_names = _settle(objects, guesses, known, config.flavor)
    result.guessed = tuple(guesses.values())
    for one in objects:
        section = _section(one.path)
        if section is Section.OPTIMIZER:
            continue
        if section is Section.METRICS:
            result.tensors += [
                changed(
                    tensor,
                    section=section,
                    owner=one.path,
                    position=index,
                    variable=f"variable {index}",
                    layer=None,
                )
                for index, tensor in enumerate(one.tensors)
            ]
            continue
        layer = known.get(one.path) or guesses.get(one.path)
        naming = Naming.CONFIG if one.path in known else Naming.CLASS
        wrapper = wrapped.get(layer.path) if layer is not None else None
        found = _variables(one, layer, naming, config.flavor, wrapper)
        given = settled_names.get(one.path)
        result.tensors += (
            [
                t if t.variable == name else changed(t, variable=name)
                for t, name in zip(found, given, strict=True)
            ]
            if given
            else found
        )
    _optimizer(objects, config, result)
    again = frozenset[str]().union(*(one.again for one in objects))
    result.references = tuple(
        t for t in result.tensors if t.name in again and t.section is Section.MODEL
    )
    result.tensors = [t for t in result.tensors if t.name not in again]
    if config.model is not None:
        result.missing = _missing(objects, known, wrapped, config.flavor)
    return result


def _settle(
    objects: Sequence[StoredObject],
    guesses: dict[str, Layer],
    known: Mapping[str, Layer],
    flavor: Flavor,
) -> dict[str, tuple[str | None, ...]]:
    """Give guessed layers the options that their variables show, the outer ones first.

    Gives the variables' names by path, None where they stay open.
    """
    from inspector.keras.guess import Stored, settled

    names: dict[str, tuple[str | None, ...]] = {}
    for one in sorted(objects, key=lambda one: one.path.count("/")):
        if one.path not in guesses:
            continue
        outer = one.path.rpartition("/")[0]
        around = guesses.get(outer) or known.get(outer)
        found = settled(
            guesses[one.path],
            flavor,
            [Stored(tensor.shape, tensor.dtype) for tensor in one.tensors],
            around.class_name if around is not None else "",
        )
        guesses[one.path], names[one.path] = found.layer, found.names
    return names


def _section(path: str) -> Section:
    return _SECTIONS.get(path.partition("/")[0], Section.MODEL)


def _variables(
    one: StoredObject, layer: Layer | None, naming: Naming, flavor: Flavor, wrapper: Layer | None
) -> list[Tensor]:
    if layer is None:
        return [
            changed(tensor, owner=one.path, position=index)
            for index, tensor in enumerate(one.tensors)
        ]
    entries = one.entries
    bound = bind_v3(layer, flavor, entries, naming, wrapper)
    found = [
        changed(
            tensor,
            layer=place.layer,
            variable=place.variable,
            naming=place.naming,
            stored_name=entry.stored_name,
            owner=layer.path,
            position=index,
        )
        for index, (tensor, entry, place) in enumerate(
            zip(one.tensors, entries, bound, strict=True)
        )
    ]
    return unpack_all(found, layer)


def _optimizer(objects: Sequence[StoredObject], config: Config, result: Assigned) -> None:
    owned = [one for one in objects if _section(one.path) is Section.OPTIMIZER]
    if not owned:
        return
    from inspector.read.keras_optimizer import name_optimizer

    trainables = trainable_tensors(config.model, config.flavor, result.tensors, Store.V3)
    otherwise = trainable_tensors(
        config.model, config.flavor, result.tensors, Store.V3, flags=False
    )
    outer: list[Tensor] = []
    for one in sorted(owned, key=lambda one: one.path.count("/")):
        run = _run_of(outer, one.tensors)
        if run is not None:
            result.tensors += [
                changed(tensor, section=Section.OPTIMIZER, owner=one.path, repeats=again.name)
                for tensor, again in zip(one.tensors, run, strict=True)
            ]
            continue
        entries = one.entries
        facts = name_optimizer(entries, config.optimizer, config.flavor, trainables, otherwise)
        outer = [
            changed(tensor, owner=one.path, stored_name=entry.stored_name, **fact)
            for tensor, entry, fact in zip(one.tensors, entries, facts, strict=True)
        ]
        result.tensors += outer


def _run_of(outer: Sequence[Tensor], inner: Sequence[Tensor]) -> Sequence[Tensor] | None:
    """The part of a wrapping optimizer's list that an inner optimizer's list stores again.

    Keras walks into LossScaleOptimizer's and MultiOptimizer's inner optimizers, whose variables
    the outer list has as an unbroken run (the last one, where several fit).
    """
    wanted = [(t.shape, t.dtype) for t in inner]
    have = [(t.shape, t.dtype) for t in outer]
    for start in range(len(have) - len(wanted), -1, -1):
        if wanted and have[start : start + len(wanted)] == wanted:
            return outer[start : start + len(wanted)]
    return None


def _missing(
    objects: Sequence[StoredObject],
    known: Mapping[str, Layer],
    wrapped: Mapping[str, Layer],
    flavor: Flavor,
) -> tuple[str, ...]:
    """Layers whose class and config call for variables, and which have none in the store."""
    held = {one.path for one in objects if one.tensors}
    return tuple(
        layer.path
        for path, layer in known.items()
        if path not in held and _must_have(layer, wrapped.get(layer.path), flavor)
    )


def _must_have(layer: Layer, wrapper: Layer | None, flavor: Flavor) -> bool:
    if flavor is Flavor.KERAS3 and "activation" in layer.attr:
        return False  # Keras 3 builds an activation that is a layer only when it is called
    # A wrapper may have taken all of the inner layer's variables.
    bare = v3_variables(layer, flavor, wrapper=wrapper, count=0)
    return bool(bare) and any(variable.counted for variable in bare or ())
