"""What is done to a random model once it is built: quantized, wrapped, trained for a step."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_OPTIMIZERS3 = (
    *("Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl", "Lion"),
    *("Adafactor", "Lamb", "Muon", "LossScaleOptimizer"),
)
_OPTIMIZERS2 = (
    *("Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl", "Lion"),
    *("Adafactor", "legacy.Adam", "legacy.SGD", "legacy.RMSprop", "legacy.Adagrad"),
    *("legacy.Adadelta", "legacy.Adamax", "legacy.Nadam", "legacy.Ftrl", "LossScaleOptimizer"),
)


@dataclass
class Case:
    """One random model. notes: what was done to it, for whoever reads a failure."""

    seed: int
    kind: str
    keras: Any
    model: Any
    trained: bool = False
    described: bool = True  # False: a subclassed model, whose config does not list its layers
    notes: list[str] = field(default_factory=list)


def sublayers(layer: Any, seen: set[int]) -> Any:
    for inner in layer._flatten_layers(recursive=False, include_self=False):
        if id(inner) not in seen:
            seen.add(id(inner))
            yield inner
            yield from sublayers(inner, seen)


def quantize(case: Case, rng: random.Random) -> None:
    model = case.model
    what = rng.choice(("int8", "int4", "float8", "lora", "lora", "int8+lora", "none"))
    case.notes.append(what)
    if "lora" in what:
        for layer in list(sublayers(model, set())):
            if hasattr(layer, "enable_lora") and layer.built and rng.random() < 0.7:
                layer.enable_lora(rng.randint(1, 3))
    if what not in ("lora", "none"):
        mode = what.partition("+")[0]
        model.quantize(mode)


def wrap_with_toolkit(case: Case, rng: random.Random, toolkit: Any) -> Any:
    keras, model = case.keras, case.model
    if case.kind == "tfmot_pruned":
        wrap = _pruner(case, rng, toolkit)
    elif case.kind == "tfmot_clustered":
        wrap = _clusterer(case, rng, toolkit)
    else:
        return _quantize2(case, rng, toolkit)
    what = rng.random()
    if what < 0.4:
        return wrap(model)
    if what < 0.6 and len(model.inputs) == len(model.outputs) == 1:
        case.notes.append("nested")
        shape, dtype = model.inputs[0].shape[1:], model.inputs[0].dtype
        first = keras.Input(shape, dtype=dtype)
        after = keras.layers.Dense(2)(wrap(model)(first))
        return keras.Model(first, after)
    case.notes.append("in part")

    def some(layer: Any) -> Any:
        if rng.random() < 0.5 or not layer.weights:
            return layer.__class__.from_config(layer.get_config())
        return wrap(layer)

    return keras.models.clone_model(model, clone_function=some)


def _pruner(case: Case, rng: random.Random, toolkit: Any) -> Callable[[Any], Any]:
    sparsity = toolkit.sparsity.keras
    schedule = rng.choice(
        (
            sparsity.ConstantSparsity(0.5, 0),
            sparsity.ConstantSparsity(0.8, 0, 10, 2),
            sparsity.PolynomialDecay(0.1, 0.7, 0, 10),
        )
    )
    more: dict[str, Any] = {}
    if rng.random() < 0.15:
        more = {"sparsity_m_by_n": (2, 4)}
    elif rng.random() < 0.15:
        more = {"block_size": (1, 2), "block_pooling_type": "MAX"}
    case.notes.append(f"pruned {more}")
    return lambda one: sparsity.prune_low_magnitude(one, schedule, **more)


def _clusterer(case: Case, rng: random.Random, toolkit: Any) -> Callable[[Any], Any]:
    clustering = toolkit.clustering.keras
    start = clustering.CentroidInitialization
    more: dict[str, Any] = {
        "number_of_clusters": rng.choice((3, 4)),
        "cluster_centroids_init": rng.choice((start.LINEAR, start.DENSITY_BASED)),
    }
    if rng.random() < 0.2:
        more["preserve_sparsity"] = True
    elif rng.random() < 0.15:
        more["cluster_per_channel"] = True
    case.notes.append(f"clustered {more}")
    return lambda one: clustering.cluster_weights(one, **more)


def _quantize2(case: Case, rng: random.Random, toolkit: Any) -> Any:
    quantization, model = toolkit.quantization.keras, case.model
    combine = toolkit.experimental.combine
    what = rng.randrange(6)
    case.notes.append(f"quantization {what}")
    if what == 0:
        return quantization.quantize_annotate_model(model)
    if what == 1:

        def some(layer: Any) -> Any:
            fresh = layer.__class__.from_config(layer.get_config())
            return quantization.quantize_annotate_layer(fresh) if rng.random() < 0.5 else fresh

        return quantization.quantize_apply(
            case.keras.models.clone_model(model, clone_function=some)
        )
    scheme = {
        2: combine.Default8BitPrunePreserveQuantizeScheme,
        3: lambda: combine.Default8BitClusterPreserveQuantizeScheme(
            preserve_sparsity=rng.random() < 0.5
        ),
    }.get(what)
    if scheme is None:
        return quantization.quantize_model(model)
    return quantization.quantize_apply(quantization.quantize_annotate_model(model), scheme())


def train(case: Case, rng: random.Random) -> bool:
    """One step of a random optimizer, with gradients of one."""
    three = case.kind.startswith("keras3")
    name = rng.choice(_OPTIMIZERS3 if three else _OPTIMIZERS2)
    optimizer = _optimizer(case.keras, name, rng, three)
    case.notes.append(name)
    model = case.model
    model.compile(optimizer, "mse")
    optimizer = model.optimizer
    variables = list(model.trainable_variables)
    if not variables:
        return False
    if three:
        optimizer.build(variables)
        return True
    import tensorflow as tf

    if hasattr(optimizer, "build"):
        optimizer.build(variables)
        return True
    with tf.name_scope("train"):
        optimizer.apply_gradients([(tf.ones_like(v), v) for v in variables])
    return True


def _optimizer(keras: Any, name: str, rng: random.Random, three: bool) -> Any:
    optimizers = keras.optimizers
    if name == "LossScaleOptimizer":
        if three:
            return optimizers.LossScaleOptimizer(optimizers.Adam())
        return keras.mixed_precision.LossScaleOptimizer(optimizers.Adam())
    more: dict[str, Any] = {}
    if name in ("SGD", "legacy.SGD"):
        more = {"momentum": rng.choice((0.0, 0.9))}
    elif name in ("RMSprop", "legacy.RMSprop"):
        more = {"momentum": rng.choice((0.0, 0.9)), "centered": rng.random() < 0.5}
    elif name == "Adam":
        more = {"amsgrad": rng.random() < 0.4}
    if not name.startswith("legacy") and name != "Muon" and rng.random() < 0.15:
        more["use_ema"] = True
    made = optimizers
    for part in name.split("."):
        made = getattr(made, part)
    return made(**more)
