"""Small models of every kind that the converter makes, made once a run."""

import functools

import numpy as np
import tensorflow as tf
import tf_keras as keras

Converter = tf.lite.TFLiteConverter
Optimize = tf.lite.Optimize
Ops = tf.lite.OpsSet


def cnn():
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 3), batch_size=1),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_uniform"),
            layers.Flatten(),
            layers.Dense(32, activation="relu", bias_initializer="random_uniform"),
            layers.Dense(64),
        ]
    )


def plain_cnn():
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 3), batch_size=1),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def mlp(block):
    """Two Dense layers, four fifths of their kernels pruned: single values, or 4 inputs each."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((64,), batch_size=1), layers.Dense(16, activation="relu"), layers.Dense(8)]
    )
    for layer in model.layers:
        kernel, bias = layer.get_weights()
        size = np.abs(kernel).reshape(-1, 4 if block else 1, kernel.shape[1]).mean(axis=1)
        keep = np.repeat(size > np.quantile(size, 0.8), 4 if block else 1, axis=0)
        layer.set_weights([kernel * keep, bias])
    return model


def lstm():
    keras.utils.set_random_seed(3)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((5, 4), batch_size=1),
            layers.LSTM(6, return_sequences=True),
            layers.Bidirectional(layers.LSTM(3)),
            layers.Dense(2),
        ]
    )


def transposed():
    keras.utils.set_random_seed(4)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((4, 4, 3), batch_size=1),
            layers.Conv2DTranspose(5, 3, strides=2, padding="same"),
            layers.Conv2D(4, 3, strides=2),
        ]
    )


def shared():
    dense = functools.partial(keras.layers.Dense, 10, kernel_initializer="ones")
    return keras.Sequential([keras.layers.Input((10,), batch_size=1), dense(), dense()])


class Flow(tf.Module):
    """WHILE and IF, with weights in their bodies."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.kernel = tf.Variable(rng.standard_normal((4, 4)).astype("f4"))
        self.bias = tf.Variable(rng.standard_normal(4).astype("f4"))

    @tf.function(input_signature=[tf.TensorSpec((1, 4)), tf.TensorSpec((), tf.int32)])
    def call(self, x, n):
        _, x = tf.while_loop(
            lambda i, x: i < n,
            lambda i, x: (i + 1, tf.matmul(x, self.kernel) + self.bias),
            [tf.constant(0), x],
        )
        return tf.cond(n > 3, lambda: tf.matmul(x, self.kernel * 2.0), lambda: x + self.bias)


class Shapes(tf.Module):
    """Operators whose constants are no weights: paddings, permutations, axes, begins and sizes."""

    def __init__(self):
        self.table = tf.Variable(np.random.default_rng(0).standard_normal((20, 8)).astype("f4"))

    @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.int32), tf.TensorSpec((1, 3, 8))])
    def call(self, i, y):
        e = tf.transpose(tf.gather(self.table, i) + y, [0, 2, 1])
        e = tf.pad(e, [[0, 0], [1, 1], [0, 0]])[:, 1:5, :]
        return tf.reduce_mean(e, axis=1), tf.linalg.matmul(e, e, transpose_b=True)


class Volume(tf.Module):
    """A convolution in three dimensions."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.kernel = tf.Variable(rng.standard_normal((2, 3, 3, 2, 4)).astype("f4"))

    @tf.function(input_signature=[tf.TensorSpec((1, 4, 6, 6, 2))])
    def call(self, x):
        return tf.nn.conv3d(x, self.kernel, [1, 1, 1, 1, 1], "VALID")


class Table(tf.Module):
    """A table of texts, filled by a subgraph of its own."""

    def __init__(self):
        init = tf.lookup.KeyValueTensorInitializer(
            ["a", "bc", "def"], tf.constant([1, 2, 3], "int64")
        )
        self.table = tf.lookup.StaticHashTable(init, -1)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def call(self, x):
        return self.table.lookup(x)


def samples(shape):
    rng = np.random.default_rng(0)
    return lambda: ([rng.standard_normal(shape).astype("f4")] for _ in range(8))


def convert(model, *optimizations, integers=None, types=(), offsets=False):
    if isinstance(model, tf.Module) and not isinstance(model, keras.Model):
        function = model.call.get_concrete_function()
        converter = Converter.from_concrete_functions([function], model)
    else:
        converter = Converter.from_keras_model(model)
    converter.optimizations = list(optimizations)
    converter.target_spec.supported_types = list(types)
    if integers is not None:
        converter.representative_dataset = samples((1, *model.input_shape[1:]))
        converter.target_spec.supported_ops = [integers]
    if offsets:
        converter._experimental_use_buffer_offset = True
    return converter.convert()


WORDS = Ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
SPARSE, DEFAULT = Optimize.EXPERIMENTAL_SPARSITY, Optimize.DEFAULT
MAKE = {
    "float": lambda: convert(cnn()),
    "float16": lambda: convert(cnn(), DEFAULT, types=[tf.float16]),
    "dynamic": lambda: convert(cnn(), DEFAULT),
    "int8": lambda: convert(cnn(), DEFAULT, integers=Ops.TFLITE_BUILTINS_INT8),
    "int16x8": lambda: convert(plain_cnn(), DEFAULT, integers=WORDS),
    "offsets": lambda: convert(plain_cnn(), offsets=True),
    "sparse": lambda: convert(mlp(False), SPARSE),
    "sparse_block": lambda: convert(mlp(True), SPARSE),
    "sparse_float16": lambda: convert(mlp(True), SPARSE, DEFAULT, types=[tf.float16]),
    "sparse_int8": lambda: convert(mlp(False), SPARSE, DEFAULT, integers=Ops.TFLITE_BUILTINS_INT8),
    "lstm": lambda: convert(lstm()),
    "transposed": lambda: convert(transposed()),
    "shared": lambda: convert(shared()),
    "flow": lambda: convert(Flow()),
    "shapes": lambda: convert(Shapes()),
    "volume": lambda: convert(Volume()),
    "table": lambda: convert(Table()),
}


@functools.cache
def made(name):
    """The model's bytes."""
    return bytes(MAKE[name]())
