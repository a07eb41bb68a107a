"""Models that real TensorFlow converts, held against the files they are converted of.

The oracle is the converter: whatever it does to a weight, nothing of the model may be left over
without a reason, and no value may be off by more than rounding explains.
"""

import dataclasses
import functools
import os
from contextlib import ExitStack

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf
import tf_keras
from samples import graphs, tflite, tflite_edits, tflite_models
from samples.tflite import DEFAULT, INT8, INT16_INT8, SPARSE
from tf_keras import layers

import inspector
from inspector.classify import classify
from inspector.model import Role
from inspector.pairing import Side, agreement, pair

pytestmark = pytest.mark.live

filled, one_of = tflite_models.filled, tflite_models.one_of
WEIGHTS = {Role.WEIGHT, Role.STATISTIC}


def folds():
    """BatchNormalizations behind every kind of layer that takes one in."""
    return filled(
        one_of(8, 8, 3),
        layers.SeparableConv2D(6, 3, depth_multiplier=2),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.BatchNormalization(scale=False),
        layers.ReLU(),
        layers.Conv2DTranspose(4, 3, use_bias=False),
        layers.BatchNormalization(epsilon=1e-2),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(5, use_bias=False),
        layers.BatchNormalization(),
    )


def before():
    """Products and sums before a Dense layer, which takes them in."""
    return filled(
        one_of(6),
        layers.Dense(6),
        layers.BatchNormalization(),
        layers.Dense(8, activation="relu"),
        layers.LayerNormalization(),
        layers.Dense(4),
    )


def sequences():
    return filled(
        one_of(10, 4),
        layers.Conv1D(6, 3, use_bias=False),
        layers.BatchNormalization(center=False),
        layers.ReLU(),
        layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
        layers.GRU(4),
        layers.Dense(2),
    )


def attention():
    inputs = tf_keras.Input((6, 8), batch_size=1)
    x = layers.MultiHeadAttention(2, 4)(inputs, inputs)
    x = layers.Dense(3)(layers.GlobalAveragePooling1D()(x))
    return with_values(tf_keras.Model(inputs, x))


def nested():
    """A model in a model, and a layer that is called twice."""
    inner = tf_keras.Sequential([layers.Dense(6, activation="relu"), layers.Dense(6)], name="inner")
    inputs = tf_keras.Input((6,), batch_size=1)
    shared = layers.Dense(6)
    x = layers.Dense(6, name="head")(shared(inner(shared(inputs))))
    return with_values(tf_keras.Model(inputs, x))


def with_values(model):
    rng = np.random.default_rng(7)
    for variable in model.weights:
        variable.assign(rng.normal(size=variable.shape))
    return model


def aware():
    return tflite_models.quantization_aware(tflite_models.convnet())


def plain(model):
    return tflite.convert(model)


def half(model):
    return tflite.convert(model, DEFAULT, types=[tf.float16])


def dynamic(model):
    return tflite.convert(model, DEFAULT)


def int8(model):
    return tflite.convert(model, DEFAULT, ops=INT8, calibrated=True)


def wide(model):
    return tflite.convert(model, DEFAULT, ops=INT16_INT8, calibrated=True)


def sparse(model):
    return tflite.convert(model, SPARSE)


def blocks(model):
    return tflite_edits.blockwise(tflite.convert(model), 32)


MAKERS = {
    "convnet": (tflite_models.convnet, (plain, half, dynamic, int8, wide)),
    "digits": (tflite_models.digits, (plain, dynamic)),
    "kinds": (tflite_models.kinds, (plain, int8)),
    "volume": (tflite_models.volume, (plain,)),
    "embedding": (tflite_models.embedding, (plain, dynamic)),
    "wide": (tflite_models.wide, (blocks,)),
    "pruned": (functools.partial(tflite_models.pruned, 1, 1), (plain, sparse, int8)),
    "clustered": (tflite_models.clustered, (plain,)),
    "lstm": (tflite_models.lstm, (plain, int8)),
    "lstm_unrolled": (tflite_models.lstm_unrolled, (plain,)),
    "lstm_loop": (tflite_models.lstm_loop, (plain,)),
    "ones": (tflite_models.ones, (plain,)),
    "aware": (aware, (dynamic,)),
    "folds": (folds, (plain, half, int8)),
    "before": (before, (plain, int8)),
    "sequences": (sequences, (plain,)),
    "attention": (attention, (plain, int8)),
    "nested": (nested, (plain, int8)),
}
CASES = [(name, how) for name, (_, hows) in MAKERS.items() for how in hows]
each = pytest.mark.parametrize(
    ("name", "how"), CASES, ids=[f"{name}-{how.__name__}" for name, how in CASES]
)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Paths of a model's .h5 and of what it is converted to."""
    folder = str(tmp_path_factory.mktemp("converted"))

    @functools.cache
    def model(name):
        made = MAKERS[name][0]()
        path = os.path.join(folder, f"{name}.h5")
        made.save(path, include_optimizer=False)
        return made, path

    @functools.cache
    def both(name, how):
        made, path = model(name)
        lite = os.path.join(folder, f"{name}_{how.__name__}.tflite")
        with open(lite, "wb") as file:
            file.write(how(made))
        return path, lite

    both.model = model
    return both


def side(stack, path):
    artifact = stack.enter_context(inspector.open(path)).artifact
    return Side(artifact, classify(artifact).verdicts)


def lonely(tensors, each, gone):
    return [
        one.name
        for one in tensors
        if each.verdicts[one.name].role in WEIGHTS and one.name not in gone
    ]


def assert_explained(a, b, found):
    held = {f"{one.a.name} ~ {one.b.name}": agreement(one) for one in found.pairs}
    assert {name: one.why_not for name, one in held.items() if not one.agrees} == {}
    assert lonely(found.only_a, a, found.gone_a) == []
    assert lonely(found.only_b, b, found.gone_b) == []
    return held


@each
def test_whatever_the_converter_does_to_a_model_is_explained(converted, name, how):
    with ExitStack() as stack:
        a, b = (side(stack, path) for path in converted(name, how))
        assert_explained(a, b, pair(a, b))


@each
def test_from_the_converted_file_to_the_model_it_is_the_same(converted, name, how):
    with ExitStack() as stack:
        a, b = (side(stack, path) for path in converted(name, how))
        forth, back = pair(a, b), pair(b, a)
        assert sorted((x.a.name, x.b.name) for x in forth.pairs) == sorted(
            (x.b.name, x.a.name) for x in back.pairs
        )
        assert (forth.gone_a, forth.gone_b) == (back.gone_b, back.gone_a)


def test_float_weights_that_are_only_turned_keep_every_bit(converted):
    with ExitStack() as stack:
        a, b = (side(stack, path) for path in converted("digits", plain))
        found = pair(a, b)
        assert len(found.pairs) == 4
        assert all(agreement(one).same_bits for one in found.pairs)


def test_sparsity_survives_a_conversion(converted):
    """Three quarters of two kernels: 1,536 of 64 x 32, 384 of 32 x 16."""
    with ExitStack() as stack:
        for how in (plain, sparse):
            a, b = (side(stack, path) for path in converted("pruned", how))
            held = [agreement(one) for one in pair(a, b).pairs if one.a.variable == "kernel"]
            assert [(one.zeros_a, one.zeros_b) for one in held] == [(1536, 1536), (384, 384)]


def test_a_batch_normalization_is_named_where_it_went(converted):
    with ExitStack() as stack:
        a, b = (side(stack, path) for path in converted("convnet", int8))
        found = pair(a, b)
        kinds = {one.a.variable: one.change.kind for one in found.pairs if one.change}
        assert kinds["kernel"] in ("transposed + quantized", "folded + transposed + quantized")
        gone = {name.rpartition("/")[2] for name in found.gone_a}
        assert gone == {"gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"}


@pytest.mark.parametrize("how", [plain, int8], ids=["float", "int8"])
def test_one_changed_byte_names_its_tensor_alone(converted, how, tmp_path):
    path, lite = converted("convnet", how)
    with inspector.open(lite) as opened:
        (kernel,) = (t for t in opened.artifact.tensors if t.variable == "depthwise_kernel")
    copy = tmp_path / "m.tflite"
    with open(lite, "rb") as file:
        content = bytearray(file.read())
    at = kernel.extents[0].offset + 3  # the last byte of a float, or the fourth integer
    content[at] ^= 0x40
    copy.write_bytes(content)
    with ExitStack() as stack:
        a, b = side(stack, path), side(stack, str(copy))
        wrong = [one.b.name for one in pair(a, b).pairs if not agreement(one).agrees]
        assert wrong == [kernel.name]


def test_a_frozen_graph_a_saved_model_and_a_checkpoint_hold_the_same_weights(converted, tmp_path):
    model, path = converted.model("convnet")
    graphs.write_graph(graphs.frozen(model), str(tmp_path / "m.pb"))
    model.save(str(tmp_path / "saved"))
    model.save_weights(str(tmp_path / "ckpt"))
    lite = converted("convnet", plain)[1]
    with ExitStack() as stack:
        h5, tf_lite = side(stack, path), side(stack, lite)
        for other in ("m.pb", "saved", "ckpt"):
            one = side(stack, str(tmp_path / other))
            held = assert_explained(h5, one, weights_of(h5, pair(h5, one)))
            # Ten variables, statistics among them.
            assert len(held) == 10
            assert all(found.same_bits for found in held.values())
            assert_explained(one, tf_lite, pair(one, tf_lite))


def weights_of(a, found):
    kept = tuple(one for one in found.pairs if a.verdicts[one.a.name].role in WEIGHTS)
    return dataclasses.replace(found, pairs=kept)
