"""What live Keras says of a sample: the written file is loaded back and the model is asked.

Nothing here knows how the inspector works; these numbers are what it is tested against.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from samples import compare

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

NOT_A_WEIGHT = ("cluster_centroids", "ori_weights")

NONZERO_NOTE = (
    "nonzero_weights: every layer set trainable, then np.count_nonzero over trainable_weights; "
    "cluster centroids and their copies of weights, float8 scales and amax histories are left out, "
    "int8 kernels, unpacked int4 kernels and kernels under LoRA are added"
)

UNLOADABLE_NOTE = "live Keras cannot load this file: it was asked about the model that was saved"


def is_keras3(name: str) -> bool:
    """Samples named k3... are Keras 3 files; all others are tf_keras files."""
    return name.startswith("k3")


def load(path: str) -> Any:
    """The live model of a sample."""
    name = os.path.basename(path)
    if name not in WEIGHTS_OF:
        return _load_whole(path, name)
    model = _load_whole(os.path.join(os.path.dirname(path), WEIGHTS_OF[name]), name)
    for variable in model.weights:
        variable.assign(np.full(tuple(variable.shape), SENTINEL))
    model.load_weights(path)
    return model


def _load_whole(path: str, name: str) -> Any:
    if is_keras3(name):
        import keras

        return keras.models.load_model(path, compile=False)
    import tensorflow_model_optimization as tfmot
    import tf_keras

    with (
        tfmot.sparsity.keras.prune_scope(),
        tfmot.clustering.keras.cluster_scope(),
        tfmot.quantization.keras.quantize_scope(),
    ):
        return tf_keras.models.load_model(path, compile=False)


def measure(path: str, saved: Any = None) -> dict[str, Any]:
    """Everything a sample's `.expected.json` holds.

    `saved` is the model in memory that the file was saved from: given where live Keras cannot
    load its own file back, and asked in its place.
    """
    name = os.path.basename(path)
    model = load(path) if saved is None else saved
    weights = _once(model.weights)
    trainable = _once(model.trainable_weights)
    said = {
        "loader": _loader(name),
        "loads": saved is None,
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
    notes = (NONZERO_NOTE, strip_note, "" if saved is None else UNLOADABLE_NOTE)
    said["note"] = "; ".join(filter(None, notes))
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
    layers = list(_layers(model))
    for layer in [model, *layers]:
        layer.trainable = True
    own = {
        id(v): _values(v)
        for v in model.trainable_weights
        if not getattr(v, "overwrite_with_gradient", False)
        and not any(part in v.name for part in NOT_A_WEIGHT)
    }
    if is_keras3(name):
        own |= dict(_hidden_kernels(layers))
    return sum(int(np.count_nonzero(values.astype(np.float64))) for values in own.values())


def _layers(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from _layers(layer)


def _hidden_kernels(layers: list[Any]) -> Iterator[tuple[int, np.ndarray]]:
    """Kernels that `trainable = True` may not reach: quantized ones, and those under LoRA."""
    from keras import quantizers

    for layer in layers:
        mode = getattr(layer, "quantization_mode", None)
        if mode in ("int8", "int4") or getattr(layer, "lora_enabled", False):
            kernel = next(v for v in layer.variables if v.name == "kernel")
            values = kernel.value
            if mode == "int4":
                values = np.asarray(quantizers.unpack_int4(values, layer.units, axis=-1))
                # Grouped int4 has a zero point a group: that is the value that means 0.
                if getattr(layer, "kernel_zero", None) is not None:
                    groups = np.asarray(layer.g_idx).astype(int)
                    values = values - np.asarray(layer.kernel_zero)[groups]
            yield id(kernel), np.asarray(values)


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
    sizes = [int(values.size) for values in compare.arrays(path).values()]
    return {"h5_datasets": len(sizes), "elements": sum(sizes)}
