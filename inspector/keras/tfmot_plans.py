"""How each wrapper of tensorflow-model-optimization is built: which variables, in which order.

Source: pruning_wrapper, cluster_wrapper, quantize_wrapper, quantize_layer, quantizers and the
registries of tensorflow-model-optimization 0.8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inspector.keras import layers
from inspector.keras.layers import Variable
from inspector.keras.paths import relative_paths
from inspector.model import Flavor, Layer, Role

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose")
_KERNEL = ("Dense", "LocallyConnected1D", "LocallyConnected2D", *_CONVOLUTIONS)
_COMMON: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_KERNEL, ("kernel",)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), ("pointwise_kernel",)),
    **dict.fromkeys(("SeparableConvolution1D", "SeparableConvolution2D"), ("pointwise_kernel",)),
    **dict.fromkeys(("Convolution1D", "Convolution2D", "Convolution3D"), ("kernel",)),
    "Embedding": ("embeddings",),
}
_PRUNED = _COMMON
_CLUSTERED: Mapping[str, tuple[str, ...]] = {**_COMMON, "Conv1DTranspose": ("kernel",)}

_RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN"})
_CELLS = frozenset({"LSTMCell", "GRUCell", "SimpleRNNCell"})
_CELL_WEIGHTS = ("kernel", "recurrent_kernel")
_ATTENTION = ("_query_dense", "_key_dense", "_value_dense", "_output_dense")

# Activations that get a quantizer before, after, or on both sides.
_PRE = frozenset({"softmax", "sigmoid", "tanh", "gelu"})
_POST = frozenset({"linear", "relu", "swish", "silu", "gelu"})
_OUTPUT_ACTIVATIONS = frozenset({"relu", "swish", "silu", "gelu", "relu6"})

_QUANTIZE_CONFIG = re.compile(r"^Default(8Bit|NBit)(Conv|ConvTranspose)?QuantizeConfig$")
_ACTIVATION_CONFIG = re.compile(r"^Default(8Bit|NBit)ActivationQuantizeConfig$")
_OUTPUT_CONFIG = re.compile(r"^Default(8Bit|NBit)OutputQuantizeConfig$")
# QuantizeConfigs around another, and the key they hold it by.
_AROUND: Mapping[str, str] = {
    "OutputOnlyConfig": "quantize_config",
    "FixedQuantizeConfig": "config",
}
_RANGELESS = frozenset({"FixedQuantizer", "NoQuantizer"})


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapper's own two lists, and what it took away from the layer inside.

    In the lists, a variable with role ALIAS or with `about` and role WEIGHT is the inner layer's
    variable at the path `about` ("layer/kernel"). moved: such paths that the inner layer has lost.
    """

    trainable: tuple[Variable, ...]
    non_trainable: tuple[Variable, ...]
    moved: frozenset[str] = frozenset()

    @property
    def variables(self) -> tuple[Variable, ...]:
        return self.trainable + self.non_trainable


def _inner(wrapper: Layer) -> Layer | None:
    return wrapper.child("layer")


def _alias(about: str) -> Variable:
    return Variable(about.rpartition("/")[2], Role.ALIAS, True, about=about, counted=False)


def _kept(about: str) -> Variable:
    """The inner layer's variable, kept by the wrapper alone."""
    return Variable(about.rpartition("/")[2], Role.WEIGHT, True, about=about)


def _own(name: str, role: Role, about: str | None = None, rank: int | None = None) -> Variable:
    return Variable(name, role, False, rank, about)


def _cells(layer: Layer, flavor: Flavor) -> list[tuple[str, Layer]]:
    """(path relative to the wrapper, cell) of an RNN's cells, in order."""
    return [
        (f"layer/{path}", cell)
        for path, cell in relative_paths(layer, flavor).items()
        if path and cell.class_name in _CELLS
    ]


def _weights(
    wrapper: Layer, flavor: Flavor, table: Mapping[str, tuple[str, ...]]
) -> list[str] | None:
    """Paths of the weights that tfmot works on; None where the class inside is not known."""
    inner = _inner(wrapper)
    if inner is None:
        return None
    if inner.class_name in _RECURRENT or inner.class_name == "Bidirectional":
        cells = _cells(inner, flavor)
        if inner.class_name == "Bidirectional":
            cells.sort(key=lambda item: not item[0].startswith("layer/forward"))
        return [f"{path}/{name}" for path, _ in cells for name in _CELL_WEIGHTS] or None
    if inner.class_name == "MultiHeadAttention":
        return [f"layer/{attr}/kernel" for attr in _ATTENTION]
    if layers.own_variables(inner, flavor) is None:
        return None
    return [f"layer/{name}" for name in table.get(inner.class_name, ())]


def _pruned(wrapper: Layer, flavor: Flavor) -> tuple[Wrapped, ...]:
    weights = _weights(wrapper, flavor, _PRUNED)
    if weights is None:
        return ()
    overhead: list[Variable] = []
    for about in weights:
        overhead += [
            _own("mask", Role.MASK, about),
            _own("threshold", Role.THRESHOLD, about, 0),
        ]
    overhead.append(_own("pruning_step", Role.PRUNING_STEP, rank=0))
    return (Wrapped(tuple(map(_alias, weights)), tuple(overhead)),)


def unknown_inside(count: int) -> tuple[Wrapped, ...]:
    """A pruning wrapper around an unknown class: the count tells how many weights are pruned."""
    pruned, rest = divmod(count - 1, 3)
    if rest or pruned < 0:
        return ()
    again = (Variable("weight", Role.ALIAS, True, counted=False),) * pruned
    pair = (_own("mask", Role.MASK), _own("threshold", Role.THRESHOLD, rank=0))
    return (Wrapped(again, (*pair * pruned, _own("pruning_step", Role.PRUNING_STEP, rank=0))),)


def _clustered(wrapper: Layer, flavor: Flavor) -> tuple[Wrapped, ...]:
    weights = _weights(wrapper, flavor, _CLUSTERED)
    if weights is None:
        return ()
    labels = _cluster_labels(wrapper, weights)
    trainable: list[Variable] = []
    indices: list[Variable] = []
    for about, label in zip(weights, labels, strict=True):
        centroids = Variable(f"cluster_centroids_{label}", Role.CENTROIDS, True, about=about)
        trainable += [_kept(about), centroids]
        indices.append(_own(f"pulling_indices_{label}", Role.CLUSTER_INDICES, about))
    usual = Wrapped(tuple(trainable), tuple(indices), frozenset(weights))
    # A layer that was frozen when it was wrapped has nothing to cluster.
    return (usual, Wrapped((), ()))


def _cluster_labels(wrapper: Layer, weights: list[str]) -> list[str]:
    """The registry's names of the weights: "kernel", "kernel/1" (cell 1), "_key_dense.kernel"."""
    if wrapper.class_name == "ClusterWeightsMHA":
        return [about.removeprefix("layer/").replace("/", ".") for about in weights]
    names = [about.rpartition("/")[2] for about in weights]
    if wrapper.class_name == "ClusterWeightsRNN":
        return [f"{name}/{i // len(_CELL_WEIGHTS)}" for i, name in enumerate(names)]
    return names


def _quantized(wrapper: Layer, flavor: Flavor) -> tuple[Wrapped, ...]:
    inner = _inner(wrapper)
    plan = None if inner is None else _plan(wrapper.config["quantize_config"], inner)
    if inner is None or plan is None or layers.own_variables(inner, flavor) is None:
        return ()
    weights, ranges = plan
    again = _inner_trainable(inner, flavor) if wrapper.class_name == "QuantizeWrapperV2" else []
    if again is None:
        return ()

    def built(*, clusters: bool, frozen: bool) -> Wrapped:
        trainable = [] if frozen else list(map(_repeat(weights), again))
        rest = [_own("optimizer_step", Role.QUANT_STEP, rank=0)]
        for about in weights:
            name = about.rpartition("/")[2]
            if clusters:
                trainable += [
                    Variable("cluster_centroids_tf", Role.CENTROIDS, True, about=about),
                    Variable("ori_weights_vars_tf", Role.CLUSTER_ORIGINAL, True, about=about),
                ]
                rest.append(_own("pulling_indices_tf", Role.CLUSTER_INDICES, about))
            rest += _range(name, about)
            first = about not in again or frozen
            trainable.append(_kept(about) if first else _alias(about))
        rest += [variable for name in ranges for variable in _range(name)]
        return Wrapped(tuple(trainable), tuple(rest), frozenset(weights))

    found = [built(clusters=False, frozen=False)]
    if weights:
        found.append(built(clusters=True, frozen=False))
    if again:
        found.append(built(clusters=False, frozen=True))
    return tuple(found)


def _inner_trainable(inner: Layer, flavor: Flavor) -> list[str] | None:
    """Paths of the trainable variables in the layer inside; None where a class is not known."""
    found: list[str] = []
    for path, one in relative_paths(inner, flavor).items():
        own = layers.own_variables(one, flavor)
        if own is None:
            return None
        where = f"layer/{path}" if path else "layer"
        found += [f"{where}/{v.name}" for v in own if v.trainable]
    return found


def _repeat(weights: list[str]) -> Callable[[str], Variable]:
    """What the wrapper's first list has: the quantized weights move there, the rest is repeated."""
    return lambda about: _kept(about) if about in weights else _alias(about)


def _range(name: str, about: str | None = None) -> list[Variable]:
    return [_own(f"{name}_{end}", Role.QUANT_PARAM, about) for end in ("min", "max")]


def _plan(serialized: Any, inner: Layer) -> tuple[list[str], list[str]] | None:
    """(paths of the weights quantized, names of the other ranges) of a QuantizeConfig."""
    if not isinstance(serialized, Mapping):
        return None
    name = serialized.get("class_name")
    config = serialized.get("config")
    if not isinstance(name, str) or not isinstance(config, Mapping):
        return None
    output = ["output"] if config.get("quantize_output", True) else []
    if name == "NoOpQuantizeConfig":
        return [], []
    if name in _AROUND:
        inside = _plan(config.get(_AROUND[name]), inner)
        if inside is None:
            return None
        # OutputOnlyConfig leaves the weights alone; a fixed range is no variable.
        return ([], inside[1]) if name == "OutputOnlyConfig" else (inside[0], [])
    if _OUTPUT_CONFIG.match(name):
        return [], output
    if _ACTIVATION_CONFIG.match(name):
        wanted = _activation(inner.config.get("activation")) in _OUTPUT_ACTIVATIONS
        return [], output if wanted else []
    if not _QUANTIZE_CONFIG.match(name):
        return None
    weights = [f"layer/{attr}" for attr in _strings(config.get("weight_attrs"))]
    ranges: list[str] = []
    for attr in _strings(config.get("activation_attrs")):
        activation = _activation(inner.config.get(attr, "linear"))
        ranges += ["pre_activation"] if activation in _PRE else []
        ranges += ["post_activation"] if activation in _POST else []
    return weights, [*ranges, *(output if config.get("quantize_output") else [])]


def _strings(value: Any) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _activation(value: Any) -> str:
    """The activation's name in an inner config; "" for NoOpActivation, which gets no quantizer."""
    while isinstance(value, Mapping):
        config = value.get("config")
        if value.get("class_name") != "QuantizeAwareActivation" or not isinstance(config, Mapping):
            return config if isinstance(config, str) else ""
        value = config.get("activation")
    return value if isinstance(value, str) else "linear"


def _quantize_layer(layer: Layer, flavor: Flavor) -> tuple[Wrapped, ...]:
    quantizer = layer.config["quantizer"]
    kind = str(quantizer.get("class_name")) if isinstance(quantizer, Mapping) else None
    step = _own("optimizer_step", Role.QUANT_STEP, rank=0)
    if kind is None or kind in _RANGELESS:
        return (Wrapped((), (step,)),)
    ranges = tuple(_range(layer.name))
    # Loading a `.keras` builds the layer twice: saved again, it has its ranges twice.
    return (Wrapped((), (*ranges, step)), Wrapped((), (*ranges, *ranges, step)))


def _annotated(layer: Layer, flavor: Flavor) -> tuple[Wrapped, ...]:
    return (Wrapped((), ()),)


BUILDERS: Mapping[str, Callable[[Layer, Flavor], tuple[Wrapped, ...]]] = {
    "PruneLowMagnitude": _pruned,
    "ClusterWeights": _clustered,
    "ClusterWeightsRNN": _clustered,
    "ClusterWeightsMHA": _clustered,
    "QuantizeWrapper": _quantized,
    "QuantizeWrapperV2": _quantized,
    "QuantizeAnnotate": _annotated,
    "QuantizeLayer": _quantize_layer,
}
