"""What live Keras says of a sample: the written file is loaded back and the model is asked.

Nothing here knows how the inspector works; these numbers are what it is tested against.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

WEIGHTS_OF = {
    "pruned_weights.h5": "pruned.h5",
    "pruned.weights.h5": "pruned.keras",
    "stripped_weights.h5": "stripped.h5",
    "k3.weights.h5": "k3.keras",
    "k3_bfloat16.weights.h5": "k3_bfloat16.keras",
    "k3_mixed_float16.weights.h5": "k3_mixed_float16.keras",
    "k3_sharded.weights.json": "k3_sharded.keras",
}
"""Weights-only samples hold no architecture: the model that they are loaded into is beside them."""

SENTINEL = 7
"""Put in every variable before a weights-only load, so that one the file does not hold shows."""

NOT_A_WEIGHT = ("cluster_centroids", "clst_centroids", "kernel_min", "kernel_max")

NONZERO_NOTE = (
    "nonzero_weights: model.trainable set to True, then np.count_nonzero over trainable_weights; "
    "cluster centroids, float8 scales and amax histories are left out, "
    "int8 and unpacked int4 kernels are added"
)


def is_keras3(name: str) -> bool:
    """Samples named k3... are Keras 3 files; all others are tf_keras files."""
    return name.startswith("k3")


def load(path: str) -> Any:
    """The live model of a sample."""
    name = os.path.basename(path)
    whole = WEIGHTS_OF.get(name)
    model = _load_whole(os.path.join(os.path.dirname(path), whole) if whole else path, name)
    if whole:
        for variable in model.weights:
            variable.assign(np.full(tuple(variable.shape), SENTINEL))
        model.load_weights(path)
    return model


def _load_whole(path: str, name: str) -> Any:
    if is_keras3(name):
        import keras

        keras.utils.set_random_seed(0)  # loading makes LoRA variables anew, at random
        return keras.models.load_model(path, compile=False)
    import tensorflow_model_optimization as tfmot
    import tf_keras

    core = tfmot.quantization.keras
    with (
        tfmot.sparsity.keras.prune_scope(),
        tfmot.clustering.keras.cluster_scope(),
        core.quantize_scope(),
    ):
        return tf_keras.models.load_model(path, compile=False)


def measure(path: str) -> dict[str, Any]:
    """Everything a sample's `.expected.json` holds."""
    name = os.path.basename(path)
    model = load(path)
    weights = _once(model.weights)
    trainable = _once(model.trainable_weights)
    said = {
        "loader": _loader(name),
        "weights_only": name in WEIGHTS_OF,
        "count_params": int(model.count_params()),
        "trainable": sum(_elements(v) for v in trainable),
        "non_trainable": sum(_elements(v) for v in _once(model.non_trainable_weights)),
        "variables": [_describe(v, {id(one) for one in trainable}) for v in weights],
        "file": stored(path),
    }
    # These two change the model, so they come last.
    said["nonzero_weights"] = _nonzero_weights(model, name)
    said["after_strip"], strip_note = _after_strip(model, name)
    said["note"] = "; ".join(filter(None, (NONZERO_NOTE, strip_note)))
    return said


def _loader(name: str) -> str:
    if is_keras3(name):
        import keras

        return f"keras {keras.__version__}"
    import tf_keras

    return f"tf_keras {tf_keras.__version__}"


def _once(variables: list[Any]) -> list[Any]:
    return list({id(v): v for v in variables}.values())


def _elements(variable: Any) -> int:
    return int(np.prod(variable.shape, dtype=np.int64))


def _values(variable: Any) -> np.ndarray:
    return np.asarray(variable.numpy())


def _describe(variable: Any, trainable: set[int]) -> dict[str, Any]:
    values = _values(variable)
    numbers = values.astype(np.float64)
    return {
        "path": getattr(variable, "path", None) or variable.name,
        "shape": list(values.shape),
        "dtype": values.dtype.name,
        "trainable": id(variable) in trainable,
        "zeros": int(values.size - np.count_nonzero(numbers)),
        "min": float(numbers.min()) if values.size else None,
        "max": float(numbers.max()) if values.size else None,
    }


def _nonzero_weights(model: Any, name: str) -> int:
    model.trainable = True
    own = [
        _values(v)
        for v in _once(model.trainable_weights)
        if not getattr(v, "overwrite_with_gradient", False)
        and not any(part in v.name for part in NOT_A_WEIGHT)
    ]
    if is_keras3(name):
        own += [np.asarray(k) for k in _quantized_kernels(model)]
    return sum(int(np.count_nonzero(values.astype(np.float64))) for values in own)


def _quantized_kernels(model: Any) -> Iterator[Any]:
    from keras import quantizers

    for layer in model._flatten_layers():
        mode = getattr(layer, "quantization_mode", None)
        if mode == "int8":
            yield layer._kernel.numpy()
        elif mode == "int4":
            yield quantizers.unpack_int4(layer._kernel.value, layer._orig_output_dim, axis=-1)


def _after_strip(model: Any, name: str) -> tuple[int | None, str]:
    if is_keras3(name):
        return int(model.count_params()), ""
    import tensorflow_model_optimization as tfmot

    try:
        model = tfmot.sparsity.keras.strip_pruning(model)
        model = tfmot.clustering.keras.strip_clustering(model)
        return int(model.count_params()), ""
    except (TypeError, ValueError, AttributeError) as error:
        return None, f"after_strip: live stripping fails: {type(error).__name__}: {error}"


def stored(path: str) -> dict[str, int]:
    """How many arrays, of how many elements in all, plain h5py (or NumPy, for npz) finds."""
    sizes = [int(size) for size in _stored_sizes(path)]
    return {"h5_datasets": len(sizes), "elements": sum(sizes)}


def _stored_sizes(path: str) -> Iterator[int]:
    if path.endswith(".weights.json"):
        with open(path) as f:
            shards = {
                shard for held in json.load(f)["weight_map"].values() for shard in _list(held)
            }
        for shard in sorted(shards):
            yield from _h5_sizes(os.path.join(os.path.dirname(path), shard))
    elif os.path.isdir(path):
        yield from _h5_sizes(os.path.join(path, "model.weights.h5"))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "model.weights.npz" in archive.namelist():
                yield from _npz_sizes(archive.read("model.weights.npz"))
            else:
                yield from _h5_sizes(io.BytesIO(archive.read("model.weights.h5")))
    else:
        yield from _h5_sizes(path)


def _list(held: str | list[str]) -> list[str]:
    return [held] if isinstance(held, str) else held


def _h5_sizes(file: str | io.BytesIO) -> list[int]:
    import h5py

    sizes: list[int] = []

    def visit(_: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset):
            sizes.append(found.size)

    with h5py.File(file, "r") as f:
        f.visititems(visit)
    return sizes


def _npz_sizes(content: bytes) -> Iterator[int]:
    # Each group is stored as a 0-d object array around a dict; the file is our own.
    with np.load(io.BytesIO(content), allow_pickle=True) as archive:
        for key in archive.files:
            held = archive[key]
            values = held.tolist().values() if held.dtype == object else [held]
            yield from (np.asarray(value).size for value in values)
