"""Keras artifacts as Keras lays them out, written with h5py, json and zipfile alone.

Every group, attribute and name stands as in files that tf_keras 2.21 and Keras 3.15 wrote; values
are made up. What is left out of a config (initializers, dtype policies) names no variable.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

Weights = Mapping[str, Mapping[str, Any]]
TF_KERAS, KERAS3 = "2.21.0", "3.15.1"


# --- values ---------------------------------------------------------------------------------


def values(*shape: int, zeros: int = 0, dtype: str = "float32") -> np.ndarray:
    """An array without zeros but the first `zeros`, spread by a fixed shuffle."""
    count = int(np.prod(shape))
    flat = np.arange(1, count + 1, dtype="float64") / 128
    flat[:zeros] = 0
    return np.random.default_rng(count).permutation(flat).astype(dtype).reshape(shape)


def scalar(value: float, dtype: str = "float32") -> np.ndarray:
    return np.array(value, dtype)


def mask_of(kernel: np.ndarray) -> np.ndarray:
    """The mask that pruned a kernel: 1 where it is not zero."""
    return (kernel != 0).astype(kernel.dtype)


# --- configs --------------------------------------------------------------------------------


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def dense(name: str, units: int, **config: Any) -> dict[str, Any]:
    return layer("Dense", name, units=units, **{"use_bias": True, "activation": "linear", **config})


def conv(name: str, filters: int, size: int = 3, **config: Any) -> dict[str, Any]:
    fixed = {"filters": filters, "kernel_size": [size, size], "use_bias": True, "groups": 1}
    return layer("Conv2D", name, **{**fixed, "activation": "linear", **config})


def norm(name: str) -> dict[str, Any]:
    return layer("BatchNormalization", name, axis=[-1], center=True, scale=True)


def inner(node: Mapping[str, Any]) -> dict[str, Any]:
    """A layer as a wrapper's config holds it."""
    return {"module": "keras.layers", **node, "registered_name": None}


def pruned(node: Mapping[str, Any], target: float = 0.8) -> dict[str, Any]:
    """tfmot's PruneLowMagnitude around a layer."""
    schedule = {
        "class_name": "ConstantSparsity",
        "config": {
            "target_sparsity": target,
            "begin_step": 0,
            "end_step": -1,
            "frequency": 1,
        },
    }
    return layer(
        "PruneLowMagnitude",
        f"prune_low_magnitude_{node['config']['name']}",
        layer=inner(node),
        pruning_schedule=schedule,
        block_size=[1, 1],
        block_pooling_type="AVG",
    )


def clustered(node: Mapping[str, Any], clusters: int = 8) -> dict[str, Any]:
    """tfmot's ClusterWeights around a layer."""
    return layer(
        "ClusterWeights",
        f"cluster_{node['config']['name']}",
        number_of_clusters=clusters,
        cluster_centroids_init="CentroidInitialization.LINEAR",
        preserve_sparsity=False,
        cluster_per_channel=False,
        layer=inner(node),
    )


def quantized(
    node: Mapping[str, Any], weights: Sequence[str] = (), scheme: str = ""
) -> dict[str, Any]:
    """tfmot's QuantizeWrapperV2 around a layer, with the default 8-bit scheme."""
    attrs = {
        "weight_attrs": list(weights),
        "activation_attrs": ["activation"] if weights else [],
        "quantize_output": False,
    }
    config = {"class_name": f"Default8Bit{scheme}QuantizeConfig", "config": attrs}
    name = f"quant_{node['config']['name']}"
    return layer("QuantizeWrapperV2", name, layer=inner(node), quantize_config=config)


def quantize_layer() -> dict[str, Any]:
    quantizer = {"class_name": "AllValuesQuantizer", "config": {"num_bits": 8}}
    return layer("QuantizeLayer", "quantize_layer", quantizer=quantizer)


def sequential(*nodes: Mapping[str, Any], name: str = "sequential") -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(nodes)}}


def functional(*nodes: Mapping[str, Any], name: str = "model") -> dict[str, Any]:
    """A functional model's config; the wiring names no variable and is left empty."""
    listed = [{**node, "name": node["config"]["name"], "inbound_nodes": []} for node in nodes]
    config = {"name": name, "trainable": True, "layers": listed}
    return {
        "class_name": "Functional",
        "config": {**config, "input_layers": [], "output_layers": []},
    }


def keras3(value: Any) -> Any:
    """The same config with the frame that Keras 3 puts around each object."""
    if isinstance(value, Mapping):
        made = {key: keras3(one) for key, one in value.items()}
        if "class_name" in made:
            made = {"module": "keras.layers", "registered_name": None, **made}
        return made
    return [keras3(one) for one in value] if isinstance(value, list) else value


# --- legacy HDF5 ----------------------------------------------------------------------------


def legacy(
    path: Any,
    weights: Weights,
    config: Any = None,
    *,
    version: str = TF_KERAS,
    optimizer: Mapping[str, Any] | None = None,
    training: Any = None,
    chunk: int | None = None,
) -> str:
    """A whole model, or weights alone where config is None.

    weights: layer name -> stored name -> values, or None for a name without a dataset. chunk:
    names of layers an attribute, where Keras has to split the list.
    """
    with h5py.File(path, "w") as file:
        root = file if config is None else file.create_group("model_weights")
        for place in (file, root):
            place.attrs["backend"] = "tensorflow"
            place.attrs["keras_version"] = version
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        if training is not None:
            file.attrs["training_config"] = json.dumps(training)
        _names(root, "layer_names", list(weights), chunk)
        for name, variables in weights.items():
            group = root.require_group(name)
            _names(group, "weight_names", list(variables))
            for stored, one in variables.items():
                if one is not None:
                    group.create_dataset(stored, data=one)
        top = root.require_group("top_level_model_weights")
        if "weight_names" not in top.attrs:
            _names(top, "weight_names", [])
        if optimizer is not None:
            group = file.create_group("optimizer_weights")
            _names(group, "weight_names", list(optimizer))
            for stored, one in optimizer.items():
                group.create_dataset(stored, data=one)
    return str(path)


def _names(group: Any, attribute: str, names: list[str], chunk: int | None = None) -> None:
    encoded = [name.encode() for name in names]
    if chunk is None:
        group.attrs[attribute] = np.array(encoded, "S") if encoded else np.zeros(0)
        return
    for index, start in enumerate(range(0, len(encoded), chunk)):
        group.attrs[f"{attribute}{index}"] = np.array(encoded[start : start + chunk], "S")


def adam(**weights: Any) -> dict[str, Any]:
    """The optimizer's list that tf_keras' Adam stores; "__" stands for "/" in the names."""
    stored: dict[str, Any] = {"iteration:0": scalar(2, "int64")}
    for name, one in weights.items():
        for slot in ("m", "v"):
            stored[f"Adam/{slot}/{name.replace('__', '/')}:0"] = np.ones_like(one)
    return stored


ADAM = {
    "loss": "mse",
    "optimizer_config": {"class_name": "Custom>Adam", "config": {"name": "Adam"}},
}
ADAM3 = {"loss": "mse", "optimizer_config": {"class_name": "Adam", "config": {"name": "adam"}}}


# --- the v3 layout ---------------------------------------------------------------------------


def store(
    path: Any, objects: Mapping[str, Sequence[Any]], names: Mapping[str, str] | None = None
) -> str:
    """A `.weights.h5`: object path -> its variables. names: what Keras 3 notes on each group."""
    with h5py.File(path, "w") as file:
        for place, variables in {"": (), **objects}.items():
            group = file.require_group(f"{place}/vars".lstrip("/"))
            if names is not None:
                group.attrs["name"] = names.get(place, place.rsplit("/", 1)[-1] or "model")
            for index, one in enumerate(variables):
                _variable(group, str(index), one)
    return str(path)


def _variable(group: Any, key: str, value: np.ndarray) -> None:
    # Keras keeps bfloat16 as two opaque bytes, and says so beside them.
    if value.dtype.name == "bfloat16":
        dataset = group.create_dataset(key, data=value.view("V2"))
        dataset.attrs["dtype"] = "bfloat16"
    else:
        group.create_dataset(key, data=value)


def archive(
    path: Any,
    config: Any,
    objects: Mapping[str, Sequence[Any]],
    names: Mapping[str, str] | None = None,
    *,
    version: str = TF_KERAS,
    assets: Mapping[str, bytes] | None = None,
    method: int = zipfile.ZIP_STORED,
) -> str:
    """A `.keras` with the members in the order that Keras writes them."""
    weights = io.BytesIO()
    store(weights, objects, names)
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("metadata.json", json.dumps({"keras_version": version}))
        out.writestr("config.json", json.dumps(config))
        out.writestr("model.weights.h5", weights.getvalue(), method)
        for name, content in (assets or {}).items():
            out.writestr(name, content)
    return str(path)


# --- the convolutional model that many cases share ---------------------------------------------

# Reshape -> Conv2D(12, 3) -> MaxPooling2D -> Flatten -> Dense(10) on 28 x 28.
MNIST = (
    layer("Reshape", "reshape", target_shape=[28, 28, 1]),
    conv("conv2d", 12, activation="relu"),
    layer("MaxPooling2D", "max_pooling2d", pool_size=[2, 2]),
    layer("Flatten", "flatten"),
    dense("dense", 10),
)
KERNEL_ZEROS = {"conv2d": 86, "dense": 16_224}


def mnist_weights(*, pruned: bool = False) -> dict[str, dict[str, Any]]:
    """Layer -> its variables: kernels 108 and 20,280, biases 12 and 10."""
    zeros = KERNEL_ZEROS if pruned else dict.fromkeys(KERNEL_ZEROS, 0)
    return {
        "reshape": {},
        "conv2d": {
            "conv2d/kernel:0": values(3, 3, 1, 12, zeros=zeros["conv2d"]),
            "conv2d/bias:0": values(12),
        },
        "max_pooling2d": {},
        "flatten": {},
        "dense": {
            "dense/kernel:0": values(2028, 10, zeros=zeros["dense"]),
            "dense/bias:0": values(10),
        },
    }


def wrapped_weights(weights: Weights, masked: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """A pruning wrapper's list for each layer. masked: layer -> stored name of what is pruned."""
    found: dict[str, dict[str, Any]] = {}
    for name, variables in weights.items():
        wrapper = f"prune_low_magnitude_{name}"
        own: dict[str, Any] = {}
        if name in masked:
            own[f"{wrapper}/mask:0"] = mask_of(variables[masked[name]])
            own[f"{wrapper}/threshold:0"] = scalar(0.25)
        own[f"{wrapper}/pruning_step:0"] = scalar(6, "int64")
        found[wrapper] = {**variables, **own}
    return found


MNIST_MASKED = {"conv2d": "conv2d/kernel:0", "dense": "dense/kernel:0"}
