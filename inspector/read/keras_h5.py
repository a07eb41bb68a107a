"""Keras files that are HDF5: whole models, legacy weights, and weights in the v3 layout."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from inspector import filesystem
from inspector.errors import LimitExceeded, UnknownFormat
from inspector.keras.bind import Bound, Entry, bind_legacy, parts_of, variable_of
from inspector.keras.order import legacy_order, stored_layers
from inspector.keras.specs import trainable_tensors
from inspector.limits import Limits
from inspector.model import (
    Artifact,
    FileEntry,
    Flavor,
    Layer,
    Naming,
    Problem,
    Section,
    Severity,
    Store,
    Tensor,
)
from inspector.read.formats import KERAS_H5, KERAS_WEIGHTS_H5, Opened
from inspector.read.keras_common import (
    CONFIG_LABELS,
    Config,
    producer_of,
    read_config,
    soft_link,
    tensor_from_dataset,
)
from inspector.read.keras_int4 import unpack_all
from inspector.read.keras_store import (
    StoredObject,
    assign,
    flavor_of_store,
    is_v3_store,
    objects_of,
    taken,
)
from inspector.wire.json_text import parse_json

if TYPE_CHECKING:
    from inspector.wire.hdf5 import Group, Hdf5File
    from inspector.wire.hdf5_nodes import Dataset

# Keras' own group for variables that belong to the model and to no layer.
_TOP_LEVEL = "top_level_model_weights"
# How Keras 3 names the files of sharded weights.
_SHARD = re.compile(r"(.*)_(\d{5})\.weights\.h5$")


def read(path: str, limits: Limits) -> Opened:
    """Open an HDF5 file. Raises ArtifactError, UnknownFormat where it holds no Keras model."""
    from inspector.wire.hdf5 import Hdf5File

    with contextlib.ExitStack() as stack:
        source = stack.enter_context(filesystem.opened(path))
        file = stack.enter_context(Hdf5File(source, limits))
        artifact = _artifact(file, path, limits)
        file.forget()
        return Opened(artifact, stack.pop_all())


def _artifact(file: Hdf5File, path: str, limits: Limits) -> Artifact:
    root = file.root
    # A weights-only file can have a layer that is called model_weights.
    listed = root.texts("layer_names") is not None
    whole = "model_config" in root.attributes or (not listed and "model_weights" in root.links)
    if whole:
        return _legacy(file, path, limits, whole=True)
    if listed or "nb_layers" in root.attributes:
        return _legacy(file, path, limits, whole=False)
    if is_v3_store(root):
        return _v3(file, path)
    raise UnknownFormat(_no_model(file), path)


def _no_model(file: Hdf5File) -> str:
    count = sum(1 for _ in file.datasets())
    names = sorted(file.root.links)[:3]
    holds = f"{count:,} dataset{'' if count == 1 else 's'}"
    said = f" ({', '.join(names)}{' ...' if len(file.root.links) > 3 else ''})" if names else ""
    return f"HDF5 with no Keras model in it: {holds}{said}"


class _Legacy:
    """One file being read: the tensors so far, by the address of their dataset."""

    def __init__(self, file: Hdf5File, config: Config, path: str) -> None:
        self.file = file
        self.config = config
        self.path = path
        self.tensors: dict[int, Tensor] = {}
        self.references: list[Tensor] = []
        self.problems: list[Problem] = list(config.problems)

    def note(self, code: str, severity: Severity, message: str) -> None:
        self.problems.append(Problem(code, severity, message, self.path))

    def add(self, dataset: Dataset, **facts: Any) -> None:
        # A dataset with two names is stored once: the first list has it, the others refer to it.
        tensor = tensor_from_dataset(dataset, **facts)
        if dataset.address not in self.tensors:
            self.tensors[dataset.address] = tensor
        elif tensor.section is Section.MODEL and tensor.owner is not None:
            name = f"{tensor.owner}/{tensor.stored_name}"
            self.references.append(dataclasses.replace(tensor, name=name, repeats=tensor.name))

    def named(self, group: Group, names: list[str]) -> Iterator[tuple[str, Dataset]]:
        """(stored name, dataset) for each name of a list, problems noted for the others."""
        from inspector.wire.hdf5 import Link
        from inspector.wire.hdf5_nodes import Dataset

        for name in names:
            node = self.file.lookup(name, group)
            if isinstance(node, Dataset):
                path = f"{group.path}/{name}" if group.path else name
                if self.file.is_linked(path, node):
                    self.problems.append(soft_link(path, node.path, self.path))
                yield name, node
            elif isinstance(node, Link):
                continue  # an external link: noted when the file was opened
            else:
                self.note(
                    "missing-tensor",
                    Severity.ERROR,
                    f"{group.path or '/'} lists {name!r}, which is not in the file",
                )


def _legacy(file: Hdf5File, path: str, limits: Limits, *, whole: bool) -> Artifact:
    root = file.root
    weights = root.group("model_weights") if whole else root
    version = _text(root.value("keras_version")) or _text(
        weights.value("keras_version") if weights is not None else None
    )
    backend = _text(root.value("backend")) or _text(weights.value("backend") if weights else None)
    training, training_problem = _training_config(root.value("training_config"), limits, path)
    config = read_config(
        _text(root.value("model_config")), training, version, path, "model_config", limits
    )
    if version is None and config.model is None and not whole:
        config = dataclasses.replace(config, flavor=Flavor.KERAS1)
    reading = _Legacy(file, config, path)
    reading.problems += training_problem
    listed: list[str] = []
    if weights is None:
        _say_no_weights(reading, root)
    else:
        listed = _layer_groups(reading, weights)
    optimizer = root.group("optimizer_weights") if whole else None
    if optimizer is not None:
        _optimizer(reading, optimizer)
    _the_rest(reading, weights)
    tensors = _unpacked(tuple(reading.tensors.values()), config.model)
    from inspector.wire.hdf5 import overhead

    return Artifact(
        path=path,
        format=KERAS_H5.name if whole else KERAS_WEIGHTS_H5.name,
        kind=KERAS_H5.title if whole else f"{KERAS_WEIGHTS_H5.title} (legacy layout)",
        files=(FileEntry(path, file.source.size),),
        tensors=tensors,
        overhead=overhead(file, CONFIG_LABELS, taken(tensors)),
        producer=producer_of(version, backend, config.flavor),
        model=config.model,
        store=Store.LEGACY,
        flavor=config.flavor,
        references=tuple(reading.references),
        missing=_missing(config, listed, tensors),
        training=config.training,
        problems=(*file.problems, *reading.problems),
    )


def _unpacked(tensors: tuple[Tensor, ...], model: Layer | None) -> tuple[Tensor, ...]:
    """The tensors, each layer's int4 kernel as the values that it is."""
    held: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        if tensor.section is Section.MODEL and tensor.layer is not None:
            held.setdefault(tensor.layer, []).append(tensor)
    layers = model.walk() if model is not None else ()
    found = {
        tensor.name: tensor
        for layer in layers
        for tensor in unpack_all(held.get(layer.path, ()), layer)
    }
    return tuple(found.get(tensor.name, tensor) for tensor in tensors)


def _say_no_weights(reading: _Legacy, root: Group) -> None:
    link = root.links.get("model_weights")
    if link is None:
        reading.note("no-weights", Severity.WARNING, "a model config, and no model_weights group")
    else:
        reading.note(
            "no-weights",
            Severity.ERROR,
            f"model_weights is a {link.kind} link that is not followed",
        )


def _layer_groups(reading: _Legacy, weights: Group) -> list[str]:
    """Read every layer's group, in the order of layer_names. Gives the names that were listed."""
    from inspector.wire.hdf5 import Group

    names = weights.texts("layer_names")
    if names is None:
        names = [name for name in weights.links if weights.group(name) is not None]
        count = weights.value("nb_layers")
        if isinstance(count, int):  # Keras before 1.0: layer_0, layer_1 ...
            names = [f"layer_{index}" for index in range(min(count, len(weights.links)))]
    model = reading.config.model
    flavor = reading.config.flavor
    layers = (
        {layer.name: layer for layer in stored_layers(model, flavor)} if model is not None else {}
    )
    for name in [*names, *([_TOP_LEVEL] if _TOP_LEVEL in weights.links else [])]:
        group = reading.file.lookup(name, weights)
        if not isinstance(group, Group):
            if name in weights.links and weights.links[name].kind == "external":
                continue
            reading.note(
                "missing-layer", Severity.ERROR, f"layer_names lists {name!r}, which has no group"
            )
            continue
        _layer(reading, group, name, layers.get(name))
    return names


def _layer(reading: _Legacy, group: Group, name: str, layer: Layer | None) -> None:
    stored = group.texts("weight_names")
    if stored is None:
        count = group.value("nb_params")
        stored = (
            [f"param_{index}" for index in range(min(count, len(group.links)))]
            if isinstance(count, int)
            else [key for key, _ in group.items()]
        )
    held = list(reading.named(group, stored))
    if name == _TOP_LEVEL:
        bound = [Bound("", variable_of(one), Naming.STORED) for one, _ in held]
    elif layer is not None:
        entries = [Entry(one, dataset.shape) for one, dataset in held]
        bound = bind_legacy(layer, reading.config.flavor, entries)
    else:
        bound = _without_config(name, [one for one, _ in held])
    owner = "" if name == _TOP_LEVEL else (layer.path if layer is not None else name)
    for position, ((stored_name, dataset), found) in enumerate(zip(held, bound, strict=True)):
        reading.add(
            dataset,
            layer=found.layer,
            variable=found.variable,
            naming=found.naming,
            stored_name=stored_name,
            owner=owner,
            position=position,
        )


def _without_config(name: str, stored: list[str]) -> list[Bound]:
    """Layers inside a group by the stored names alone: "inner" holding "dense/kernel:0"."""
    bound = []
    for one in stored:
        parts, variable = parts_of(one)
        path = "/".join([name, *(part for part in parts if part != name)])
        bound.append(Bound(path, variable, Naming.STORED))
    return bound


def _optimizer(reading: _Legacy, group: Group) -> None:
    from inspector.read.keras_optimizer import name_optimizer

    names = group.texts("weight_names")
    if names is None:
        names = [dataset.path[len(group.path) + 1 :] for dataset in _below(group)]
    held = list(reading.named(group, names))
    model, flavor, tensors = (
        reading.config.model,
        reading.config.flavor,
        (*reading.tensors.values(), *reading.references),
    )
    facts = name_optimizer(
        [Entry(name, dataset.shape) for name, dataset in held],
        reading.config.optimizer,
        flavor,
        trainable_tensors(model, flavor, tensors, Store.LEGACY),
        trainable_tensors(model, flavor, tensors, Store.LEGACY, flags=False),
    )
    for (name, dataset), fact in zip(held, facts, strict=True):
        reading.add(dataset, stored_name=name, **fact)


def _below(group: Group) -> Iterator[Dataset]:
    from inspector.wire.hdf5 import Group
    from inspector.wire.hdf5_nodes import Dataset

    pending, seen = [group], {group.address}
    while pending:
        for _, node in pending.pop().items():
            if node.address in seen:
                continue
            seen.add(node.address)
            if isinstance(node, Group):
                pending.append(node)
            elif isinstance(node, Dataset):
                yield node


def _the_rest(reading: _Legacy, weights: Group | None) -> None:
    """Datasets that no list names: stored all the same, and Keras does not load them."""
    for dataset in reading.file.datasets():
        if dataset.address in reading.tensors:
            continue
        reading.add(dataset, section=Section.OTHER)
        reading.note(
            "unlisted-tensor",
            Severity.WARNING,
            f"{dataset.path} is in the file and in no list of weights: Keras does not load it",
        )


def _missing(config: Config, listed: list[str], tensors: tuple[Tensor, ...]) -> tuple[str, ...]:
    """Layers of the config that have no group in the file, though their class has variables."""
    if config.model is None:
        return ()
    held = {tensor.owner for tensor in tensors}
    return tuple(
        layer.path
        for layer in stored_layers(config.model, config.flavor)
        if layer.path not in held
        and layer.name not in listed
        and legacy_order(layer, config.flavor)
    )


def _v3(file: Hdf5File, path: str) -> Artifact:
    """A `.weights.h5` by itself: no config, so classes are told from the groups' names."""
    from inspector.wire.hdf5 import overhead

    objects, others = objects_of(file)
    config = Config(None, flavor_of_store(objects), None)
    assigned = assign(objects, config)
    tensors = (*assigned.tensors, *others)
    return Artifact(
        path=path,
        format=KERAS_WEIGHTS_H5.name,
        kind=f"{KERAS_WEIGHTS_H5.title} (v3 layout)",
        files=(FileEntry(path, file.source.size),),
        tensors=tensors,
        overhead=overhead(file, CONFIG_LABELS, taken(tensors)),
        store=Store.V3,
        guessed=assigned.guessed,
        references=assigned.references,
        flavor=config.flavor,
        problems=(*file.problems, *_shard_hint(objects, path)),
    )


def _shard_hint(objects: Sequence[StoredObject], path: str) -> tuple[Problem, ...]:
    """A note where the file's name says that it is one shard of several."""
    match = _SHARD.search(path)
    if match is None or not objects:
        return ()
    whole = f"{match[1]}.weights.json"
    message = f"named like one shard of several: the model may go on in others; open {whole}"
    return (Problem("partial-shard", Severity.WARNING, message, path),)


def _training_config(raw: object, limits: Limits, path: str) -> tuple[object, list[Problem]]:
    if not isinstance(raw, str):
        return None, []
    try:
        return parse_json(raw, limits, path), []
    except LimitExceeded as error:
        message = f"training_config is not parsed: {error.message}"
        return None, [Problem("config-unreadable", Severity.WARNING, message, path)]
    except (ValueError, RecursionError) as error:
        message = f"training_config is not JSON ({error}): the optimizer is known by names alone"
        return None, [Problem("config-unreadable", Severity.WARNING, message, path)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
