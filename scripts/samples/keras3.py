"""Keras 3 models: every file layout it writes, its quantization modes and its stateful layers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers
from keras.src.saving import saving_lib

from samples.catalog import Unloadable, Writer, family
from samples.training import noise, tokens, train


def small() -> Any:
    """A frozen layer, Dropout (a seed), BatchNormalization and a nested model."""
    inner = keras.Sequential(
        [layers.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(4)], name="inner"
    )
    x = inputs = layers.Input((8,))
    x = layers.Dense(6, trainable=False, name="frozen")(x)
    x = layers.Dropout(0.25)(x)
    x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(inner(x)), name="small")


def save_npz(model: Any, path: str) -> None:
    saving_lib.save_model(model, path, weights_format="npz")


def save_folder(model: Any, path: str) -> None:
    saving_lib.save_model(model, path, zipped=False)
    os.rmdir(os.path.join(path, "assets"))  # empty, and version control keeps no empty folder


@family("k3.keras", "k3.h5", "k3.weights.h5", "k3_npz.keras", "k3_dir")
def layouts() -> Mapping[str, Writer]:
    """Keras 3.15 cannot load its own npz file: it pickles a dict and then refuses pickles."""
    model = train(small(), noise(16, 8))
    return {
        "k3.keras": model.save,
        "k3.h5": model.save,
        "k3.weights.h5": model.save_weights,
        "k3_npz.keras": Unloadable(model, lambda path: save_npz(model, path)),
        "k3_dir": lambda path: save_folder(model, path),
    }


@family("k3_sharded.keras", "k3_sharded.weights.json")
def sharded() -> Mapping[str, Writer]:
    """Shards of 8,000 bytes: the optimizer's variables, one group, are spread over four files."""
    model = train(
        keras.Sequential(
            [layers.Input((30,)), layers.Dense(40), layers.Dense(20), layers.Dense(2)]
        ),
        noise(16, 30),
    )
    return {
        "k3_sharded.keras": model.save,
        "k3_sharded.weights.json": lambda path: model.save_weights(path, max_shard_size=8e-6),
    }


def two_dense() -> Any:
    bias = {"bias_initializer": "random_normal"}
    return keras.Sequential([layers.Input((16,)), layers.Dense(8, **bias), layers.Dense(4, **bias)])


@family("k3_int8.keras", "k3_int4.keras", "k3_float8.keras")
def quantized() -> Mapping[str, Writer]:
    """172 parameters as floats. int4 keeps two values a byte; float8 adds scales and histories."""
    models = {}
    for mode in ("int8", "int4", "float8"):
        models[mode] = two_dense()
        models[mode].quantize(mode)
    return {f"k3_{mode}.keras": model.save for mode, model in models.items()}


@family("k3_lora.keras")
def lora() -> Mapping[str, Writer]:
    """The file keeps the merged kernel (54 elements); loading makes the LoRA pair anew (82)."""
    model = keras.Sequential([layers.Input((8,)), layers.Dense(6)])
    model.layers[0].enable_lora(2)
    return {"k3_lora.keras": train(model, noise(16, 8)).save}


def typed(policy: str) -> Any:
    keras.config.set_dtype_policy(policy)
    try:
        parts = [layers.Input((8,)), layers.Dense(6), layers.BatchNormalization(), layers.Dense(2)]
        return train(keras.Sequential(parts), noise(16, 8))
    finally:
        keras.config.set_dtype_policy("float32")


@family("k3_bfloat16.keras", "k3_bfloat16.weights.h5")
def bfloat16() -> Mapping[str, Writer]:
    model = typed("bfloat16")
    return {"k3_bfloat16.keras": model.save, "k3_bfloat16.weights.h5": model.save_weights}


@family("k3_mixed_float16.keras", "k3_mixed_float16.weights.h5")
def mixed_float16() -> Mapping[str, Writer]:
    """Variables stay float32; the optimizer is a LossScaleOptimizer around Adam."""
    model = typed("mixed_float16")
    return {"k3_mixed_float16.keras": model.save, "k3_mixed_float16.weights.h5": model.save_weights}


@family("k3_normalization.keras")
def preprocessing() -> Mapping[str, Writer]:
    """Normalization stores mean, variance and count; vocabularies are assets, not variables."""
    number = layers.Input((3,), name="number")
    text = layers.Input((1,), dtype="string", name="text")
    kind = layers.Input((1,), dtype="string", name="kind")
    normalization = layers.Normalization()
    normalization.adapt(noise(64, 3))
    words = layers.TextVectorization(output_sequence_length=4)
    words.adapt(np.array(["the quick brown fox", "jumps over the lazy dog"]))
    kinds = layers.StringLookup(vocabulary=["cat", "dog", "fox"])
    embedded = layers.GlobalAveragePooling1D()(
        layers.Embedding(words.vocabulary_size(), 3)(words(text))
    )
    looked_up = layers.Flatten()(layers.Embedding(kinds.vocabulary_size(), 2)(kinds(kind)))
    x = layers.Concatenate()([normalization(number), embedded, looked_up])
    model = keras.Model([number, text, kind], layers.Dense(2)(x))
    return {"k3_normalization.keras": model.save}


@family("k3_rnn.keras")
def rnn() -> Mapping[str, Writer]:
    x = inputs = layers.Input((7,))
    x = layers.Embedding(20, 6)(x)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.TimeDistributed(layers.Dense(3))(x)
    x = layers.MultiHeadAttention(num_heads=2, key_dim=3)(x, x)
    x = layers.GRU(3)(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    return {"k3_rnn.keras": train(model, tokens(16, 7, 20)).save}


@family("k3_shared.h5")
def shared() -> Mapping[str, Writer]:
    """One base called on two inputs: 28 parameters, not 56."""
    base = keras.Sequential([layers.Input((6,)), layers.Dense(4)], name="base")
    left, right = layers.Input((6,)), layers.Input((6,))
    model = keras.Model([left, right], layers.Subtract()([base(left), base(right)]))
    return {"k3_shared.h5": train(model, [noise(16, 6), noise(16, 6)[::-1]]).save}


FAMILIES = (
    layouts,
    sharded,
    quantized,
    lora,
    bfloat16,
    mixed_float16,
    preprocessing,
    rnn,
    shared,
)
