"""What the Keras readers share: the config, the producer, tensors from datasets, the optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.errors import ArtifactError, LimitExceeded
from inspector.keras.bind import Entry
from inspector.keras.config import extent, flavor_of, parse_model
from inspector.keras.optimizers import (
    OptimizerVariable,
    by_name,
    by_shapes,
    expected,
    fitting,
    optimizer_of,
)
from inspector.limits import Limits
from inspector.model import (
    Flavor,
    Layer,
    Naming,
    Problem,
    Producer,
    Section,
    Severity,
    Tensor,
)
from inspector.wire.json_text import parse_json

if TYPE_CHECKING:
    from inspector.wire.hdf5_nodes import Dataset

# Attributes of a Keras HDF5 file whose bytes are worth a line of their own.
CONFIG_LABELS: Mapping[str, str] = {
    "model_config": "config",
    "training_config": "training config",
    "layer_names": "names",
    "weight_names": "names",
}


@dataclass(frozen=True, slots=True)
class Config:
    """A Keras config, parsed. model is None where there is none, or none that makes sense.

    training: how the model was compiled, None where nothing says it.
    """

    model: Layer | None
    flavor: Flavor
    optimizer: tuple[str, Mapping[str, Any]] | None
    problems: tuple[Problem, ...] = ()
    training: Mapping[str, Any] | None = None


def read_config(
    text: str | bytes | None,
    training: object,
    version: str | None,
    path: str,
    where: str,
    limits: Limits,
) -> Config:
    """Parse a model's config. where: what to call it in messages ("model_config", "config.json").

    training: the parsed training config, or None to look for `compile_config` in the config.
    """
    if text is None:
        known = training_of(training, limits)
        return Config(None, flavor_of(version, None), optimizer_of(training), training=known)
    try:
        content = parse_json(text, limits, path)
        if (b"\\u" if isinstance(text, bytes) else "\\u") in text:  # type: ignore[operator]
            content = _printable(content)
    except LimitExceeded as error:
        message = f"{where} is not parsed: {error.message}"
        problem = Problem("config-unreadable", Severity.ERROR, message, path)
        return Config(None, flavor_of(version, None), None, (problem,))
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        message = f"{where} is not JSON ({reason}): layers and trainability are unknown"
        problem = Problem("config-unreadable", Severity.ERROR, message, path)
        return Config(None, flavor_of(version, None), None, (problem,))
    flavor = flavor_of(version, content)
    if training is None and isinstance(content, dict):
        training = content.get("compile_config")
    known = training_of(training, limits)
    try:
        model = parse_model(content, flavor, path, limits=limits)
        return Config(model, flavor, optimizer_of(training), training=known)
    except ArtifactError as error:
        message = f"{where} makes no sense as a Keras model: {error.message}"
        problem = Problem("config-unreadable", Severity.ERROR, message, path)
        return Config(None, flavor, optimizer_of(training), (problem,), known)


def training_of(training: object, limits: Limits) -> Mapping[str, Any] | None:
    """A training config that says something, and is not nested deeper than `limits.depth`."""
    if not isinstance(training, Mapping) or not training:
        return None
    return training if extent(training)[0] <= limits.depth else None


def _printable(content: Any) -> Any:
    """JSON without halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    if isinstance(content, str):
        return content.encode("utf-8", "replace").decode("utf-8")
    if isinstance(content, list):
        return [_printable(one) for one in content]
    if isinstance(content, dict):
        return {_printable(key): _printable(one) for key, one in content.items()}
    return content


def producer_of(version: str | None, backend: str | None, flavor: Flavor) -> Producer | None:
    """Which package wrote the file. Keras 2 after 2.15 lives on as the package tf_keras."""
    if version is None:
        return None
    name = "keras"
    if flavor is Flavor.TF_KERAS:
        minor = version.split(".")[1:2]
        if version.endswith("-tf"):
            name = "tf.keras"
        elif minor and minor[0].isdecimal() and int(minor[0]) >= 16:
            name = "tf_keras"
    return Producer(name, version, backend, flavor)


def logical_dtype(stored: str) -> str:
    """The contract's name of a stored dtype: "<f4" -> "float32". Names and words stay."""
    if stored[:1] in "<>|=" and stored[1:2] in "iufcb" and stored[2:].isdecimal():
        kind = {"i": "int", "u": "uint", "f": "float", "c": "complex", "b": "bool"}[stored[1]]
        return "bool" if kind == "bool" else f"{kind}{int(stored[2:]) * 8}"
    return stored


def tensor_from_dataset(dataset: Dataset, prefix: str = "", **facts: Any) -> Tensor:
    """A dataset as a Tensor; `facts` are further fields. prefix: path of the HDF5 file's member."""
    storage = dataset.storage
    if dataset.dtype == "V2":
        storage += ", 2-byte opaque values: probably bfloat16, which no attribute says"
    if dataset.dtype[:1] == ">" and dataset.size > 1:
        storage += ", big-endian"
    return Tensor(
        name=prefix + dataset.path,
        dtype=logical_dtype(dataset.dtype),
        shape=dataset.shape,
        nbytes=dataset.stored,
        extents=dataset.extents,
        storage=storage,
        links=tuple(prefix + link for link in dataset.links),
        payload=dataset.payload,
        **facts,
    )


def soft_link(path: str, target: str, file: str) -> Problem:
    """The note on a variable that a soft link leads to."""
    message = f"{path} is a soft link to {target}: newer Keras 3 refuses to follow it"
    return Problem("soft-link", Severity.WARNING, message, file)


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
