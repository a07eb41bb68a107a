"""Keras' files of 1 GiB that take no room: see `huge`."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from tests.builders.huge_pieces import (
    LAYERS,
    WIDTHS,
    Sparse,
    crc32,
    names,
    pieces_of,
    put,
    size,
    widths,
)


def dataset(parent: h5py.Group, name: str, shape: tuple[int, ...], kind: str = "<f4") -> None:
    """A dataset in one piece that has its place in the file, and no bytes written there."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_layout(h5py.h5d.CONTIGUOUS)
    made.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    made.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    *groups, last = name.split("/")
    place = parent.require_group("/".join(groups)) if groups else parent
    space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
    kind_id = h5py.h5t.py_create(np.dtype(kind))
    h5py.h5d.create(place.id, last.encode(), kind_id, space, made).close()


def dense(at: int, name: str, **more: object) -> dict[str, object]:
    """What Keras 2 says of a Dense."""
    return {
        "name": name,
        "trainable": True,
        "dtype": "float32",
        **more,
        "units": widths(at)[1],
        "activation": "linear",
        "use_bias": True,
        "kernel_initializer": {
            "module": "keras.initializers",
            "class_name": "GlorotUniform",
            "config": {"seed": None},
            "registered_name": None,
        },
        "bias_initializer": {
            "module": "keras.initializers",
            "class_name": "Zeros",
            "config": {},
            "registered_name": None,
        },
        "kernel_regularizer": None,
        "bias_regularizer": None,
        "activity_regularizer": None,
        "kernel_constraint": None,
        "bias_constraint": None,
    }


def pruned_dense(at: int, name: str) -> dict[str, object]:
    """What tensorflow-model-optimization says of a Dense that it wraps."""
    inner = {"module": "keras.layers", "class_name": "Dense", "config": dense(at, name)}
    return {
        "name": f"prune_low_magnitude_{name}",
        "trainable": True,
        "dtype": "float32",
        "layer": {
            **inner,
            "registered_name": None,
            "build_config": {"input_shape": [None, widths(at)[0]]},
        },
        "pruning_schedule": {
            "class_name": "ConstantSparsity",
            "config": {
                "target_sparsity": 0.5,
                "begin_step": 0,
                "end_step": -1,
                "frequency": 100,
            },
        },
        "block_size": [1, 1],
        "block_pooling_type": "AVG",
    }


def sequential(kind: str, configs: list[dict[str, object]], **more: object) -> dict[str, object]:
    """A Sequential model of one class of layers, and its input."""
    first = {"dtype": "float32", "sparse": False, "ragged": False, "name": "input_1"}
    first |= {"batch_input_shape": [None, WIDTHS[0]]}
    layers = [{"class_name": "InputLayer", "config": first}]
    layers += [{"class_name": kind, "config": one, **more} for one in configs]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}


Shapes = Mapping[str, tuple[tuple[int, ...], str]]  # of a layer, by stored name: shape, dtype


def legacy_file(path: Path, config: object, layers: Mapping[str, Shapes]) -> str:
    """What `model.save(...h5)` of tf_keras writes, in its order: layers by name."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.21.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([one.encode() for one in layers])
        group.attrs["backend"] = b"tensorflow"
        group.attrs["keras_version"] = b"2.21.0"
        for name in sorted(layers):
            layer = group.create_group(name)
            layer.attrs["weight_names"] = np.array([one.encode() for one in layers[name]])
            for stored, (shape, kind) in layers[name].items():
                dataset(layer, stored, shape, kind)
        top = group.create_group("top_level_model_weights")
        top.attrs["weight_names"] = np.zeros(0, "f8")
    return str(path)


def legacy(folder: Path, layers: int = LAYERS) -> str:
    """A whole model in tf_keras' `.h5`: `parameters(layers)` of it."""
    config = sequential("Dense", [dense(at, name) for at, name in enumerate(names(layers))])
    held = {
        name: {
            f"{name}/kernel:0": (widths(at), "<f4"),
            f"{name}/bias:0": (widths(at)[1:], "<f4"),
        }
        for at, name in enumerate(names(layers))
    }
    return legacy_file(folder / "dense.h5", config, held)


def pruned(folder: Path, layers: int = LAYERS // 2) -> str:
    """The same pruned, with its wrappers: a mask beside each kernel, a threshold and a step.

    `parameters(layers)` of the model; KERNEL + 2 of pruning in each layer.
    """
    wrapped = [pruned_dense(at, name) for at, name in enumerate(names(layers))]
    held = {}
    for at, name in enumerate(names(layers)):
        wrapper = f"prune_low_magnitude_{name}"
        held[wrapper] = {
            f"{name}/kernel:0": (widths(at), "<f4"),
            f"{name}/bias:0": (widths(at)[1:], "<f4"),
            f"{wrapper}/mask:0": (widths(at), "<f4"),
            f"{wrapper}/threshold:0": ((), "<f4"),
            f"{wrapper}/pruning_step:0": ((), "<i8"),
        }
    return legacy_file(folder / "pruned.h5", sequential("PruneLowMagnitude", wrapped), held)


def v3_store(path: Path, layers: int = LAYERS) -> str:
    """What Keras 3 stores as `model.weights.h5`."""
    with h5py.File(path, "w") as file:
        file.create_group("vars")
        for at, name in enumerate(names(layers)):
            group = file.create_group(f"layers/{name}").create_group("vars")
            dataset(group, "0", widths(at))
            dataset(group, "1", widths(at)[1:])
    return str(path)


# --- .keras ---


def keras(folder: Path, layers: int = LAYERS) -> str:
    """A `.keras` as Keras 3 writes it: everything stored, the weights last."""
    store, path = folder / "model.weights.h5", folder / "dense.keras"
    v3_store(store, layers)
    weights = list(pieces_of(store))
    store.unlink()
    made = [dense(at, name) for at, name in enumerate(names(layers))]
    config = sequential("Dense", made, module="keras.layers", registered_name=None)
    with zipfile.ZipFile(path, "w") as archive:
        metadata = {"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"}
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", json.dumps({"module": "keras", **config}))
        _member(archive, "model.weights.h5", weights)
    return str(path)


def _member(archive: zipfile.ZipFile, name: str, content: Sparse) -> None:
    """Add a stored member; its zeros are stepped over."""
    info = zipfile.ZipInfo(name)
    info.file_size = info.compress_size = size(content)
    info.CRC = crc32(content)
    info.header_offset = archive.start_dir
    archive.fp.seek(archive.start_dir)
    archive.fp.write(info.FileHeader(zip64=False))
    put(archive.fp, content)
    archive.start_dir = archive.fp.tell()
    archive.filelist.append(info)
    archive.NameToInfo[name] = info
