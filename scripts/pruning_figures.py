"""Pruned models made with real tfmot, and what TensorFlow says of them, as figures.

Nothing here knows the inspector. Models, data and the order of training are seeded: counts, zeros
and the sizes of files as they are written come out the same everywhere. What is compressed may
differ by a few bytes, where zlib or the last bit of a weight does.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from samples import catalog, pruning, training
from tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper import (
    collect_prunable_layers,
)
from tf_keras import Sequential, layers

TARGETS = (0.2, 0.5, 0.8)
STRONGER = (0.5, 0.8, 0.9)


def measure() -> dict[str, Any]:
    """Every figure of the page."""
    return {
        "versions": {
            "tensorflow": tf.__version__,
            "tf_keras": tf_keras.__version__,
            "tensorflow-model-optimization": tfmot.__version__,
        },
        "question": question(),
        "layers": list(kinds()),
        "policies": list(policies()),
        "schedules": list(schedules()),
        "sizes": sizes(),
        "said": said(),
    }


def question() -> dict[str, Any]:
    """The model of the question at each step, and what `summary()` says of it."""
    catalog.start_afresh()
    model = pruning.dense_model()
    steps = {"built": counted(model)}
    wrapped = pruning.prune(model, pruning_schedule=polynomial(0.5))
    steps["wrapped, not yet trained"] = counted(wrapped)
    wrapped = pruning.train_pruned(wrapped, training.noise(32, 10))
    steps["wrapped, trained"] = counted(wrapped)
    steps["stripped"] = counted(pruning.strip(wrapped))
    return {
        "steps": steps,
        "added": added(wrapped, model.count_params()),
        "summary": summary(wrapped),
    }


def counted(model: Any) -> dict[str, int]:
    return {
        "count_params": model.count_params(),
        "trainable": elements(model.trainable_weights),
        "non_trainable": elements(model.non_trainable_weights),
        "kernel_zeros": sum(
            int((weight.numpy() == 0).sum()) for weight in model.weights if "kernel" in weight.name
        ),
    }


def elements(variables: Sequence[Any]) -> int:
    return sum(int(variable.shape.num_elements()) for variable in variables)


def summary(model: Any) -> list[str]:
    """The lines of `model.summary()` that count."""
    lines: list[str] = []
    model.summary(print_fn=lambda text: lines.extend(text.splitlines()))
    return [line for line in lines if "params:" in line]


def added(wrapped: Any, before: int) -> dict[str, Any]:
    """What wrapping added, by the wrappers' own `pruning_vars`; the page's formula must agree."""
    wrappers = collect_prunable_layers(wrapped)
    masks = [
        {
            "of": weight.name.rsplit("/", 1)[-1].removesuffix(":0"),
            "shape": list(mask.shape),
            "elements": elements([mask]),
            "as the weight": (mask.shape, mask.dtype) == (weight.shape, weight.dtype),
        }
        for wrapper in wrappers
        for weight, mask, _ in wrapper.pruning_vars
    ]
    grew = wrapped.count_params() - before
    formula = sum(mask["elements"] + 1 for mask in masks) + len(wrappers)
    if grew != formula:
        raise AssertionError(f"{grew} parameters more, where the formula gives {formula}")
    return {
        "masks": masks,
        "thresholds": len(masks),
        "steps": len(wrappers),
        "step dtypes": sorted({wrapper.pruning_step.dtype.name for wrapper in wrappers}),
        "added": grew,
    }


def kinds() -> Iterator[dict[str, Any]]:
    """What a wrapper adds around one layer of each kind."""
    image = (8, 8, 3)
    makers: tuple[tuple[str, tuple[int, ...], Callable[[], Any]], ...] = (
        ("Dense(10)", (64,), lambda: layers.Dense(10)),
        ("Conv2D(4, 3)", image, lambda: layers.Conv2D(4, 3)),
        ("SeparableConv2D(6, 3)", image, lambda: layers.SeparableConv2D(6, 3)),
        ("Embedding(20, 6)", (7,), lambda: layers.Embedding(20, 6)),
        ("LSTM(5)", (7, 6), lambda: layers.LSTM(5)),
        ("DepthwiseConv2D(3)", image, lambda: layers.DepthwiseConv2D(3)),
        ("BatchNormalization()", image, layers.BatchNormalization),
        ("ReLU()", image, layers.ReLU),
    )
    for name, shape, make in makers:
        catalog.start_afresh()
        model = Sequential([layers.Input(shape), make()])
        before = model.count_params()
        yield {"layer": name, "before": before, **added(pruning.prune(model), before)}


def policies() -> Iterator[dict[str, Any]]:
    """All layers of a small convolutional model wrapped, or those alone that XNNPACK gains by."""
    xnnpack = tfmot.sparsity.keras.PruneForLatencyOnXNNPack()
    for name, options in (("none", {}), ("PruneForLatencyOnXNNPack", {"pruning_policy": xnnpack})):
        catalog.start_afresh()
        model = convolutional()
        before = model.count_params()
        wrapped = pruning.prune(model, **options)
        yield {"policy": name, "before": before, **added(wrapped, before)}


def convolutional() -> Any:
    """As the policy asks: padding and a strided 3x3 convolution first, a pooling of 4 axes last."""
    return Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.ZeroPadding2D(1),
            layers.Conv2D(8, 3, strides=2),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2D(16, 1),
            layers.GlobalAveragePooling2D(keepdims=True),
        ]
    )


def polynomial(target: float) -> Any:
    return pruning.schedules.PolynomialDecay(0.0, target, begin_step=0, end_step=4, frequency=1)


def constant(target: float) -> Any:
    return pruning.schedules.ConstantSparsity(target, begin_step=0, frequency=1)


def schedules() -> Iterator[dict[str, Any]]:
    """The model of the question under each schedule, trained for six steps."""
    for kind, make in (("PolynomialDecay", polynomial), ("ConstantSparsity", constant)):
        for target in TARGETS:
            before, wrapped = pruned(pruning.dense_model, make(target), 10)
            after = wrapped.count_params()
            stripped = pruning.strip(wrapped)
            small = saved(stripped, "h5", include_optimizer=False)
            yield {
                "schedule": kind,
                "target": target,
                "before": before,
                "wrapped": after,
                "added": after - before,
                "zeros": counted(stripped)["kernel_zeros"],
                "bytes": {"wrapped": len(saved(wrapped, "h5")), "stripped": len(small)},
                "compressed": {"stripped": squeezed(small)},
            }


def pruned(make: Callable[[], Any], schedule: Any, inputs: int) -> tuple[int, Any]:
    """The count before wrapping, and the model wrapped and trained."""
    catalog.start_afresh()
    model = make()
    before = model.count_params()
    wrapped = pruning.prune(model, pruning_schedule=schedule)
    return before, pruning.train_pruned(wrapped, training.noise(32, inputs))


def sizes() -> dict[str, Any]:
    """The bytes of one model, LeNet-300-100, pruned more and more, in each file it can be in."""
    files = {"0": dict(written(unpruned()))}
    for target in STRONGER:
        before, wrapped = pruned(lenet, constant(target), 784)
        files[str(target)] = {
            "wrapped .h5, as saved after fit": saved(wrapped, "h5"),
            "wrapped .h5, no optimizer": saved(wrapped, "h5", include_optimizer=False),
            **dict(written(pruning.strip(wrapped))),
        }
    return {
        "model": {"before": before, **added(wrapped, before)},
        "bytes": {
            target: {name: len(content) for name, content in row.items()}
            for target, row in files.items()
        },
        "compressed": {
            target: {
                name: squeezed(content)
                for name, content in row.items()
                if not name.endswith(".keras")  # the date is in it: no two are compressed alike
            }
            for target, row in files.items()
        },
    }


def written(model: Any) -> Iterator[tuple[str, bytes]]:
    """The files of a model without wrappers and without an optimizer."""
    yield "stripped .h5", saved(model, "h5", include_optimizer=False)
    yield "stripped .keras", saved(model, "keras")
    yield ".tflite", converted(model)
    yield "sparse .tflite", converted(model, sparse=True)


def lenet() -> Any:
    return Sequential(
        [
            layers.Dense(300, activation="relu", input_shape=(784,)),
            layers.Dense(100, activation="relu"),
            layers.Dense(10),
        ]
    )


def unpruned() -> Any:
    """The model trained and never wrapped; cloned to lose the optimizer, as strip_pruning does."""
    catalog.start_afresh()
    trained = training.train(lenet(), training.noise(32, 784), steps=6)
    model = tf_keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    return model


def saved(model: Any, ending: str, **options: Any) -> bytes:
    """The file that `model.save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model." + ending)
        model.save(str(path), **options)
        return path.read_bytes()


def converted(model: Any, sparse: bool = False) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if sparse:
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    return converter.convert()


def squeezed(content: bytes) -> int:
    return len(gzip.compress(content, mtime=0))


def said() -> dict[str, Any]:
    """What the API answers where people say otherwise."""
    catalog.start_afresh()
    wrapper = pruning.prune(pruning.dense_model()).layers[0]
    unbuilt = Sequential([layers.Dense(10)])
    return {
        "pruning_vars is a list": isinstance(wrapper.pruning_vars, list),
        "pruning_vars holds": [[one.name for one in entry] for entry in wrapper.pruning_vars],
        "_pruning_variables exists": hasattr(wrapper, "_pruning_variables"),
        "weights": [weight.name for weight in wrapper.weights],
        "get_weights": len(wrapper.get_weights()),
        "unbuilt": refusal(unbuilt.count_params),
        "unbuilt, wrapped": refusal(pruning.prune(unbuilt).count_params),
    }


def refusal(call: Callable[[], Any]) -> str:
    try:
        return f"no refusal: {call()}"
    except ValueError as error:
        return f"ValueError: {str(error).splitlines()[0]}"
