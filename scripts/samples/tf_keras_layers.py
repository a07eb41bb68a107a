"""tf_keras models without any optimization toolkit: wrappers, frozen and shared layers."""

from __future__ import annotations

from collections.abc import Mapping

import tf_keras
from tf_keras import layers

from samples.catalog import Writer, family
from samples.training import noise, tokens, train


@family("tfk_rnn.h5")
def rnn() -> Mapping[str, Writer]:
    model = tf_keras.Sequential(
        [
            layers.Input((7,)),
            layers.Embedding(20, 6),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(3)),
            layers.GRU(3),
            layers.Dense(2),
        ]
    )
    return {"tfk_rnn.h5": train(model, tokens(16, 7, 20)).save}


@family("tfk_frozen.h5")
def frozen() -> Mapping[str, Writer]:
    """A frozen inner model: its weights are not trainable, and still no statistics."""
    inner = tf_keras.Sequential(
        [layers.Dense(6, input_shape=(5,)), layers.BatchNormalization(), layers.Dense(4)],
        name="backbone",
    )
    inner.trainable = False
    inputs = layers.Input((5,))
    model = tf_keras.Model(inputs, layers.Dense(2, name="head")(inner(inputs)))
    return {"tfk_frozen.h5": train(model, noise(16, 5)).save}


@family("tfk_shared.h5")
def shared() -> Mapping[str, Writer]:
    """One base called on two inputs: 28 parameters, not 56."""
    base = tf_keras.Sequential([layers.Dense(4, input_shape=(6,))], name="base")
    left, right = layers.Input((6,)), layers.Input((6,))
    model = tf_keras.Model([left, right], layers.Subtract()([base(left), base(right)]))
    return {"tfk_shared.h5": train(model, [noise(16, 6), noise(16, 6)[::-1]]).save}


FAMILIES = (rnn, frozen, shared)
