"""What the Keras readers share: the config, the producer, tensors from datasets, the optimizer."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.errors import ArtifactError, LimitExceeded
from inspector.keras.config import extent, flavor_of, parse_model
from inspector.limits import Limits
from inspector.model import (
    Flavor,
    Layer,
    Problem,
    Producer,
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
        return Config(None, flavor_of(version, None), _optimizer_of(training), training=known)
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
        return Config(model, flavor, _optimizer_of(training), training=known)
    except ArtifactError as error:
        message = f"{where} makes no sense as a Keras model: {error.message}"
        problem = Problem("config-unreadable", Severity.ERROR, message, path)
        return Config(None, flavor, _optimizer_of(training), (problem,), known)


def _optimizer_of(training: object) -> tuple[str, Mapping[str, Any]] | None:
    if not isinstance(training, Mapping):
        return None
    from inspector.keras.optimizers import optimizer_of

    return optimizer_of(training)


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


@functools.lru_cache(64)
def logical_dtype(stored: str) -> str:
    """The contract's name of a stored dtype: "<f4" -> "float32". Names and words stay."""
    if stored[:1] in "<>|=" and stored[1:2] in "iufcb" and stored[2:].isdecimal():
        kind = {"i": "int", "u": "uint", "f": "float", "c": "complex", "b": "bool"}[stored[1]]
        return "bool" if kind == "bool" else sys.intern(f"{kind}{int(stored[2:]) * 8}")
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
