"""Models pruned with tfmot's prune_low_magnitude, wrapped and stripped.

Not made: a pruned RNN as `.h5` (both masks of an LSTM are called `mask:0`, and HDF5 refuses the
second), and a PruneLowMagnitude wrapper around a nested model (tfmot wraps the layers inside it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras import layers

from samples.catalog import Writer, family
from samples.training import noise, tokens, train, without_optimizer

prune = tfmot.sparsity.keras.prune_low_magnitude
strip = tfmot.sparsity.keras.strip_pruning
schedules = tfmot.sparsity.keras


def train_pruned(model: Any, x: Any) -> Any:
    """Six steps; every one updates the masks, the end of every epoch applies them."""
    return train(model, x, steps=6, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])


def dense_model() -> Any:
    return tf_keras.Sequential(
        [layers.Dense(64, activation="relu", input_shape=(10,)), layers.Dense(10)]
    )


@family(
    "pruned.h5",
    "stripped.h5",
    "pruned_weights.h5",
    "stripped_weights.h5",
    "pruned.weights.h5",
    "pruned.keras",
    "stripped.keras",
)
def dense() -> Mapping[str, Writer]:
    """1,354 parameters; 2,638 once wrapped: two masks (1,280), two thresholds, two steps."""
    schedule = schedules.PolynomialDecay(0.0, 0.5, begin_step=0, end_step=4, frequency=1)
    pruned = train_pruned(prune(dense_model(), pruning_schedule=schedule), noise(32, 10))
    stripped = strip(pruned)
    return {
        "pruned.h5": pruned.save,
        "stripped.h5": without_optimizer(stripped),
        "pruned_weights.h5": pruned.save_weights,
        "stripped_weights.h5": stripped.save_weights,
        "pruned.weights.h5": pruned.save_weights,
        "pruned.keras": pruned.save,
        "stripped.keras": stripped.save,
    }


def convnet() -> Any:
    inner = tf_keras.Sequential(
        [
            layers.Conv2D(8, 1, activation="relu", input_shape=(6, 6, 6)),
            layers.BatchNormalization(),
        ],
        name="inner",
    )
    x = inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.SeparableConv2D(6, 3)(x)
    x = inner(x)
    x = layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(inputs, layers.Dense(3)(x), name="convnet")


@family("pruned_convnet.h5", "pruned_convnet.keras", "stripped_convnet.h5")
def conv() -> Mapping[str, Writer]:
    """Masks on the kernels of Conv2D and Dense and on SeparableConv2D's pointwise kernel only."""
    schedule = schedules.ConstantSparsity(0.5, begin_step=0, frequency=1)
    pruned = train_pruned(prune(convnet(), pruning_schedule=schedule), noise(16, 8, 8, 3))
    return {
        "pruned_convnet.h5": pruned.save,
        "pruned_convnet.keras": pruned.save,
        "stripped_convnet.h5": without_optimizer(strip(pruned)),
    }


@family("pruned_rnn.keras", "stripped_rnn.keras")
def rnn() -> Mapping[str, Writer]:
    """An LSTM has two masks (kernel, recurrent_kernel) and two thresholds, but one step."""
    model = tf_keras.Sequential(
        [layers.Input((7,)), layers.Embedding(20, 6), layers.LSTM(5), layers.Dense(2)]
    )
    schedule = schedules.ConstantSparsity(0.6, begin_step=0, frequency=1)
    pruned = train_pruned(prune(model, pruning_schedule=schedule), tokens(16, 7, 20))
    return {"pruned_rnn.keras": pruned.save, "stripped_rnn.keras": strip(pruned).save}


@family("pruned_2by4.h5", "stripped_2by4.h5")
def two_by_four() -> Mapping[str, Writer]:
    """Two of every four inputs of Dense(8) are zero; Dense(3)'s 8 inputs divide by four as well."""
    model = tf_keras.Sequential(
        [layers.Dense(8, activation="relu", input_shape=(16,)), layers.Dense(3)]
    )
    schedule = schedules.ConstantSparsity(0.5, begin_step=0, frequency=1)
    pruned = train_pruned(
        prune(model, pruning_schedule=schedule, sparsity_m_by_n=(2, 4)), noise(32, 16)
    )
    return {"pruned_2by4.h5": pruned.save, "stripped_2by4.h5": without_optimizer(strip(pruned))}


FAMILIES = (dense, conv, rnn, two_by_four)
