"""SavedModels of Keras models: by tf_keras, with and without tfmot's wrappers, and Keras 3 exports.

Most of such a file are the functions of its layers. `save_traces=False` leaves them out, and with
them the lists of variables and the metrics: the same variables then have other keys.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras import layers

from samples import clustering, pruning, quantization
from samples.catalog import Writer, family
from samples.parts import Part, keras_parts
from samples.tensorflow_live import Built
from samples.training import noise, train


def keras_saved_model(model: Any, **options: Any) -> Built:
    def save(path: str) -> None:
        model.save(path, save_format="tf", **options)
        without_empty_folders(path)

    without: set[str] = set()
    if not options.get("include_optimizer", True):
        without |= {"optimizer_slot", "optimizer_state"}
    if not options.get("save_traces", True):
        without |= {"metric"}
    return Built("saved-model", save, keras_parts(model, without), model=model, loads=True)


def without_empty_folders(path: str) -> None:
    """Version control keeps none."""
    for name in ("assets", "variables"):
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(path, name))


@family("saved_pruned", "saved_stripped")
def pruned() -> Mapping[str, Writer]:
    """1,354 parameters; 2,638 once wrapped: two masks (1,280), two thresholds, two steps."""
    schedule = pruning.schedules.PolynomialDecay(0.0, 0.5, begin_step=0, end_step=4, frequency=1)
    model = pruning.prune(pruning.dense_model(), pruning_schedule=schedule)
    pruning.train_pruned(model, noise(32, 10))
    stripped = pruning.strip(model)
    return {
        "saved_pruned": keras_saved_model(model),
        "saved_stripped": keras_saved_model(stripped),
    }


@family("saved_pruned_lstm")
def lstm() -> Mapping[str, Writer]:
    """Two masks in one wrapper; only the last one is its attribute `mask`.

    With softsign there is one loop a function: the kernels for GPUs, which tanh brings along, would
    make the file twice as large.
    """
    model = tf_keras.Sequential([layers.Input((7, 3)), layers.LSTM(5, activation="softsign")])
    schedule = pruning.schedules.ConstantSparsity(0.6, begin_step=0, frequency=1)
    model = pruning.prune(model, pruning_schedule=schedule)
    return {
        "saved_pruned_lstm": keras_saved_model(pruning.train_pruned(model, noise(16, 7, 3))),
    }


@family("saved_qat")
def qat() -> Mapping[str, Writer]:
    model = tfmot.quantization.keras.quantize_model(quantization.dense_model())
    return {"saved_qat": keras_saved_model(train(model, noise(32, 8), steps=3))}


@family("saved_clustered")
def clustered() -> Mapping[str, Writer]:
    """414 parameters; 810 once wrapped: 2 x 6 centroids, 240 + 144 indices."""
    model = tf_keras.Sequential(
        [layers.Dense(24, activation="relu", input_shape=(10,)), layers.Dense(6)]
    )
    model = train(clustering.cluster(model, 6), noise(32, 10), steps=3)
    return {"saved_clustered": keras_saved_model(model)}


def normalized() -> Any:
    """Dense, BatchNormalization and a frozen Dense: weights, statistics, both trainabilities."""
    return tf_keras.Sequential(
        [
            layers.Dense(5, input_shape=(4,)),
            layers.BatchNormalization(),
            layers.Dense(3, trainable=False, name="frozen"),
        ]
    )


@family("saved_adam", "saved_no_optimizer")
def adam() -> Mapping[str, Writer]:
    """15 parameters, 30 slots, 2 scalars of the optimizer and 2 of the metric; 15 + 2 without."""
    model = train(tf_keras.Sequential([layers.Dense(3, input_shape=(4,))]), noise(16, 4))
    return {
        "saved_adam": keras_saved_model(model),
        "saved_no_optimizer": keras_saved_model(model, include_optimizer=False),
    }


@family("saved_untraced")
def untraced() -> Mapping[str, Writer]:
    model = train(normalized(), noise(16, 4))
    return {"saved_untraced": keras_saved_model(model, save_traces=False)}


@family("saved_adam_legacy")
def adam_legacy() -> Mapping[str, Writer]:
    """The optimizer before TF 2.11, whose slots hang on their variables; and one metric more."""
    model = tf_keras.Sequential(
        [layers.Dense(5, input_shape=(4,)), layers.Dense(3, trainable=False, name="frozen")]
    )
    optimizer = tf_keras.optimizers.legacy.Adam()
    train(model, noise(16, 4), optimizer=optimizer, metrics=["mae"])
    return {"saved_adam_legacy": keras_saved_model(model)}


def exported(model: Any) -> Built:
    """Keras 3 keeps what an export tracks in `_all_variables` as well, and so stores it twice."""

    def save(path: str) -> None:
        model.export(path, verbose=False)
        without_empty_folders(path)

    trainable = {id(v) for v in model.trainable_weights}
    weights = {id(v) for v in model.weights}
    parts = [
        Part("weight", v, trainable=id(v) in trainable) if id(v) in weights else Part("counter", v)
        for v in model.variables
    ]
    return Built("saved-model", save, parts, model=model, copies="_all_variables/")


@family("saved_export")
def export() -> Mapping[str, Writer]:
    """43 parameters, stored as 86."""
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(3)]
    )
    return {"saved_export": exported(model)}


@family("saved_export_dropout")
def export_dropout() -> Mapping[str, Writer]:
    """A seed generator's state is stored beside the 43 parameters, and is none of them."""
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(5),
            keras.layers.Dropout(0.25),
            keras.layers.Dense(3),
        ]
    )
    return {"saved_export_dropout": exported(model)}


FAMILIES = (
    pruned,
    lstm,
    qat,
    clustered,
    adam,
    untraced,
    adam_legacy,
    export,
    export_dropout,
)
