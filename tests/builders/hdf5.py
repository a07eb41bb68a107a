"""Keras' HDF5 layouts, written with h5py alone: small, and wrong where a test wants them wrong."""

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

DENSE_KERNEL = np.arange(12, dtype="<f4").reshape(4, 3)
DENSE_BIAS = np.arange(3, dtype="<f4")
# Layer -> stored name -> values, as `legacy_weights` takes them: 4 x 3 + 3 = 15 parameters.
DENSE = {"dense": {"dense/kernel:0": DENSE_KERNEL, "dense/bias:0": DENSE_BIAS}}

Layers = Mapping[str, Mapping[str, Any]]


def sequential(*layers: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    """A Sequential's config from (class, name, further config) of each layer."""
    return {
        "class_name": "Sequential",
        "config": {
            "name": "model",
            "layers": [
                {"class_name": kind, "config": {"name": name, "trainable": True, **more}}
                for kind, name, more in layers
            ],
        },
    }


DENSE_CONFIG = sequential(("Dense", "dense", {"units": 3, "use_bias": True}))


def legacy_weights(group: h5py.Group, layers: Layers) -> None:
    """Layer groups as `save_weights` writes them. A value may be an array or a function that is
    called with the dataset's parent group and its name, and makes the dataset."""
    group.attrs["layer_names"] = np.array([name.encode() for name in layers], dtype="S")
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = b"2.15.0"
    for name, variables in layers.items():
        layer = group.require_group(name)
        names = np.array([one.encode() for one in variables], dtype="S")
        layer.attrs["weight_names"] = names if len(variables) else np.zeros(0, "f8")
        for stored, value in variables.items():
            if callable(value):
                value(layer, stored)
            else:
                layer.create_dataset(stored, data=value)


def weights_file(path, layers: Layers = DENSE, **open_options: Any) -> str:
    """A weights-only file in the legacy layout."""
    with h5py.File(path, "w", **open_options) as file:
        legacy_weights(file, layers)
    return str(path)


def whole_model(
    path,
    layers: Layers = DENSE,
    config: Any = DENSE_CONFIG,
    training: Any = None,
    optimizer: Mapping[str, Any] | None = None,
    **open_options: Any,
) -> str:
    """A whole model. config and training: JSON values, or text that is written as it is."""
    with h5py.File(path, "w", **open_options) as file:
        for name, value in (("model_config", config), ("training_config", training)):
            if value is not None:
                file.attrs[name] = value if isinstance(value, str) else json.dumps(value)
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        legacy_weights(file.create_group("model_weights"), layers)
        if optimizer is not None:
            group = file.create_group("optimizer_weights")
            group.attrs["weight_names"] = np.array([one.encode() for one in optimizer])
            for name, value in optimizer.items():
                group.create_dataset(name, data=value)
    return str(path)


def v3_store(path, objects: Mapping[str, Sequence[Any]], **open_options: Any) -> str:
    """A `.weights.h5`: object path -> its variables, numbered under `vars`."""
    with h5py.File(path, "w", **open_options) as file:
        for place, variables in objects.items():
            group = file.create_group(f"{place}/vars")
            for index, value in enumerate(variables):
                if callable(value):
                    value(group, str(index))
                else:
                    group.create_dataset(str(index), data=value)
    return str(path)


def end_of_file_field(content: bytes) -> int:
    """Where the superblock (version 0 or 2, and 3) of a file keeps its end-of-file address."""
    return {0: 40, 2: 28, 3: 28}[content[8]]


def patch(path, *changes: tuple[int, bytes]) -> str:
    """Overwrite bytes in place."""
    with open(path, "r+b") as file:
        for offset, data in changes:
            file.seek(offset)
            file.write(data)
    return str(path)


def move_dataset(path, name: str, offset: int) -> str:
    """Make a contiguous dataset claim its bytes at another offset."""
    with h5py.File(path, "r") as file:
        dataset = file[name]
        pair = struct.pack("<QQ", dataset.id.get_offset(), dataset.id.get_storage_size())
    with open(path, "rb") as file:
        content = file.read()
    assert content.count(pair) == 1
    return patch(path, (content.index(pair), struct.pack("<Q", offset)))


def heap_references(content: bytes | bytearray, length: int) -> list[int]:
    """Where a file refers to a text of that length in its heap: length, address, index."""
    wanted, found, at = struct.pack("<I", length), [], -1
    while (at := content.find(wanted, at + 1)) >= 0:
        heap = int.from_bytes(content[at + 4 : at + 12], "little")
        if content[heap : heap + 4] == b"GCOL":
            found.append(at)
    return found
