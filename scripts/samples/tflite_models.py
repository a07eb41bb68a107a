"""The small models that .tflite samples are converted from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras import layers

from samples.catalog import SEED
from samples.training import noise, train

sparsity = tfmot.sparsity.keras


def filled(*parts: Any) -> Any:
    """A Sequential model with values in every variable, positive ones where they are a variance."""
    model = tf_keras.Sequential(parts)
    rng = np.random.default_rng(SEED)
    for variable in model.weights:
        values = rng.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "moving_variance" in variable.name else values)
    return model


def one_of(*shape: int) -> Any:
    """One example at a time, so that every shape of the converted model is known."""
    return layers.Input(shape, batch_size=1)


def convnet() -> Any:
    """818 parameters, of them 16 of a BatchNormalization."""
    return filled(
        one_of(8, 8, 3),
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3),
        layers.Flatten(),
        layers.Dense(10),
    )


def digits() -> Any:
    """A kernel of 36 elements, and one of 1,960: past the 1,024 that the converter asks for."""
    return filled(
        one_of(16, 16, 1),
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPool2D(),
        layers.Flatten(),
        layers.Dense(10),
    )


def nibbles() -> Any:
    """A kernel of nine values: at two a byte, half of the last byte is left over."""
    return filled(one_of(6, 6, 1), layers.Conv2D(1, 3), layers.Flatten(), layers.Dense(3))


def wide() -> Any:
    return filled(one_of(64), layers.Dense(8))


def embedding() -> Any:
    return filled(
        one_of(7), layers.Embedding(20, 6), layers.GlobalAveragePooling1D(), layers.Dense(2)
    )


def kinds() -> Any:
    """Kinds of layers that the other models do not have, and operators with constants."""
    return filled(
        one_of(4, 4, 3),
        layers.BatchNormalization(),
        layers.Conv2DTranspose(5, 3, strides=2),
        layers.PReLU(shared_axes=[1, 2]),
        layers.ZeroPadding2D(1),
        layers.Permute((2, 1, 3)),
        layers.Conv2D(4, 3, strides=2),
    )


def volume() -> Any:
    """Conv3D has no kernel for integers."""
    return filled(
        one_of(4, 4, 4, 2),
        layers.Conv3D(3, 2),
        layers.Flatten(),
        layers.Dense(16, activation="relu"),
        layers.Dense(3),
    )


def two_layers() -> Any:
    return tf_keras.Sequential(
        [layers.Dense(32, activation="relu", input_shape=(64,)), layers.Dense(16)]
    )


def pruned(*block: int) -> Any:
    """Three quarters of two kernels, in blocks of (inputs, outputs), pruned and stripped."""
    wrapped = sparsity.prune_low_magnitude(
        two_layers(), sparsity.ConstantSparsity(0.75, begin_step=0, frequency=1), block_size=block
    )
    trained = train(wrapped, noise(32, 64), steps=3, callbacks=[sparsity.UpdatePruningStep()])
    return sparsity.strip_pruning(trained)


def clustered() -> Any:
    """Kernels of eight values each."""
    clustering = tfmot.clustering.keras
    wrapped = clustering.cluster_weights(
        two_layers(),
        number_of_clusters=8,
        cluster_centroids_init=clustering.CentroidInitialization.LINEAR,
    )
    return clustering.strip_clustering(train(wrapped, noise(32, 64), steps=3))


def quantization_aware(model: Any) -> Any:
    wrapped = tfmot.quantization.keras.quantize_model(model)
    return train(wrapped, noise(16, *model.input_shape[1:]), steps=3)


def lstm() -> Any:
    return filled(one_of(7, 3), layers.LSTM(5), layers.Dense(2))


def lstm_unrolled() -> Any:
    return filled(one_of(3, 3), layers.LSTM(5, unroll=True), layers.Dense(2))


def lstm_loop() -> Any:
    """An RNN around a cell is no LSTM to the converter."""
    return filled(one_of(7, 3), layers.RNN(layers.LSTMCell(5)), layers.Dense(2))


def ones() -> Any:
    """Two kernels of one value, and biases of zeros."""
    dense = [layers.Dense(10, kernel_initializer="ones") for _ in range(2)]
    return tf_keras.Sequential([one_of(10), *dense])


def macs(model: Any) -> int:
    """Multiplications of weights with one example, layer by layer."""
    return sum(map(_macs, model.layers))


def _macs(layer: Any) -> int:
    kernels = {w.name.rpartition("/")[2].partition(":")[0]: w.shape for w in layer.weights}
    inside, outside = (_size(shape) for shape in (layer.input_shape, layer.output_shape))
    match type(layer):
        case layers.Dense:
            return math.prod(kernels["kernel"])
        case layers.Conv2D | layers.Conv3D:  # every output: a window of all channels
            return outside * math.prod(kernels["kernel"][:-1])
        case layers.DepthwiseConv2D:  # every output: a window of one channel
            return outside * math.prod(kernels["depthwise_kernel"][:2])
        case layers.Conv2DTranspose:  # every input: a window of all outputs
            return inside * math.prod(kernels["kernel"][:-1])
        case layers.LSTM | layers.RNN:  # every step: all four gates
            steps = layer.input_shape[1]
            return steps * sum(math.prod(kernels[k]) for k in ("kernel", "recurrent_kernel"))
    return 0


def _size(shape: Any) -> int:
    return math.prod(shape[1:])


class Flow(tf.Module):
    """WHILE and IF, with weights in their bodies, and one bias in two of them."""

    def __init__(self) -> None:
        self.kernel = tf.Variable(noise(4, 4), name="kernel")
        self.bias = tf.Variable(noise(4), name="bias")

    @tf.function(input_signature=[tf.TensorSpec((1, 4)), tf.TensorSpec((), tf.int32)])
    def call(self, x: Any, n: Any) -> Any:
        _, x = tf.while_loop(
            lambda i, _: i < n,
            lambda i, x: (i + 1, tf.matmul(x, self.kernel) + self.bias),
            [tf.constant(0), x],
        )
        return tf.cond(n > 3, lambda: tf.matmul(x, self.kernel * 2.0), lambda: x + self.bias)


class Custom(tf.Module):
    """An operator that LiteRT has not, with a variable at its second input."""

    def __init__(self) -> None:
        self.kernel = tf.Variable(noise(4, 3), name="kernel")
        self.limit = tf.Variable([1.0, 2.0, 3.0], name="limit")

    @tf.function(input_signature=[tf.TensorSpec((1, 4))])
    def call(self, x: Any) -> Any:
        return tf.math.igamma(tf.abs(tf.matmul(x, self.kernel)), self.limit)


class Flex(tf.Module):
    """An operator that only TensorFlow itself can run."""

    def __init__(self) -> None:
        self.kernel = tf.Variable(noise(4, 3), name="kernel")
        self.scale = tf.Variable(noise(3, 3) + 3 * np.eye(3, dtype="float32"), name="scale")

    @tf.function(input_signature=[tf.TensorSpec((1, 4))])
    def call(self, x: Any) -> Any:
        inverse = tf.linalg.inv(self.scale * tf.reduce_sum(x))
        return tf.matmul(tf.matmul(x, self.kernel), inverse)


class Batched(tf.Module):
    """A matrix for each of two examples."""

    def __init__(self) -> None:
        self.kernel = tf.Variable(noise(2, 4, 3), name="kernel")

    @tf.function(input_signature=[tf.TensorSpec((2, 5, 4))])
    def call(self, x: Any) -> Any:
        return tf.linalg.matmul(x, self.kernel)


class Sum(tf.Module):
    """A variable that the model itself changes."""

    def __init__(self) -> None:
        self.kernel = tf.Variable(noise(4, 4), name="kernel")
        self.total = tf.Variable(noise(1, 4), name="total")

    @tf.function(input_signature=[tf.TensorSpec((1, 4))])
    def call(self, x: Any) -> Any:
        self.total.assign_add(tf.matmul(x, self.kernel))
        return self.total.read_value()


class Table(tf.Module):
    """Texts and their numbers."""

    def __init__(self) -> None:
        entries = tf.lookup.KeyValueTensorInitializer(
            ["a", "bc", "def"], tf.constant([1, 2, 3], tf.int64)
        )
        self.table = tf.lookup.StaticHashTable(entries, -1)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def call(self, x: Any) -> Any:
        return self.table.lookup(x)


class Coder(tf.Module):
    """Two ways to be called, with one bias and one kernel, turned, in both."""

    def __init__(self) -> None:
        self.kernel = tf.Variable(noise(4, 3), name="kernel")
        self.bias = tf.Variable(noise(3), name="bias")

    @tf.function(input_signature=[tf.TensorSpec((1, 4))])
    def encode(self, x: Any) -> Any:
        return {"code": tf.matmul(x, self.kernel) + self.bias}

    @tf.function(input_signature=[tf.TensorSpec((1, 3))])
    def decode(self, code: Any) -> Any:
        return {"x": tf.matmul(code - self.bias, self.kernel, transpose_b=True)}


def variables(model: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values of a Keras model's weights or a module's variables."""
    held = model.weights if isinstance(model, tf_keras.Model) else model.variables
    return ((one.name.partition(":")[0], np.asarray(one.numpy())) for one in held)
