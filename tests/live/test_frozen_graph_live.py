"""Graphs that TensorFlow froze: every constant bit for bit, and what Keras says its weights are."""

import os
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")

import ml_dtypes  # noqa: E402
import tensorflow as tf  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from tensorflow.python.framework.convert_to_constants import (  # noqa: E402
    convert_variables_to_constants_v2,
)

from inspector.classify import classify  # noqa: E402
from inspector.model import Role  # noqa: E402
from inspector.read import read  # noqa: E402
from inspector.storage import LocalFile  # noqa: E402
from inspector.wire.graph_def import attr_tensor, read_graph  # noqa: E402
from inspector.wire.protobuf import message  # noqa: E402
from inspector.wire.tensor_values import strings  # noqa: E402
from tests.builders.checks import assert_adds_up  # noqa: E402

pytestmark = pytest.mark.live

V1 = tf.compat.v1


def frozen(model, spec, lower=False):
    """The GraphDef of a Keras model's call, every weight of it given values of its own."""
    rng = np.random.default_rng(7)
    # Variances are positive in every model that anybody trained.
    model.set_weights([rng.uniform(0.1, 1.0, one.shape) for one in model.get_weights()])
    call = tf.function(model).get_concrete_function(spec)
    return convert_variables_to_constants_v2(call, lower).graph.as_graph_def()


def constants(graph_def):
    """(name as the reader gives it, TensorProto) of every constant."""
    scopes = [("", graph_def.node)]
    scopes += [(f"{f.signature.name}/", f.node_def) for f in graph_def.library.function]
    for scope, nodes in scopes:
        for node in nodes:
            if node.op == "Const":
                yield f"{scope}{node.name}", node.attr["value"].tensor


def values_of(tensor):
    blocks = [np.array(block) for block in tensor.payload.blocks(1 << 12)]
    flat = np.concatenate(blocks) if blocks else np.empty(0)
    return flat.reshape(tensor.shape)


def texts(path, name):
    """The strings of a constant of the graph itself."""
    with LocalFile(path) as source:
        graph = read_graph(message(source))
        node = next(one for one in graph.nodes if one.name == name)
        return [bytes(one) for one in strings(attr_tensor(node.attr("value")))]


def assert_same(path, graph_def):
    """Held against `make_ndarray`. The artifact and its verdicts, for more to look at."""
    with read(str(path)) as opened:
        artifact = opened.artifact
        assert_adds_up(artifact)
        assert artifact.problems == ()
        held = {one.name: one for one in artifact.tensors}
        expected = dict(constants(graph_def))
        assert list(held) == list(expected)
        for name, proto in expected.items():
            kind = tf.as_dtype(proto.dtype)
            assert held[name].shape == tuple(side.size for side in proto.tensor_shape.dim), name
            value = tf.make_ndarray(proto)
            if kind == tf.string:
                assert held[name].dtype == "string"
                continue
            assert held[name].dtype == value.dtype.name, name
            found = values_of(held[name])
            assert found.tobytes() == value.tobytes(), name
        assert Counter({one.name: one.count for one in artifact.operators}) == Counter(
            node.op
            for nodes in (graph_def.node, *(f.node_def for f in graph_def.library.function))
            for node in nodes
        )
        assert not any(one.custom for one in artifact.operators)
        return artifact, classify(artifact).verdicts


def write(folder, graph_def, name="graph.pb"):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(graph_def.SerializeToString())
    return path


def convnet(k):
    """Keras counts 3*3*3*4 + 4 + 4*4 + 6*6*4*10 + 10 = 1,578."""
    make = k.layers
    layers = [
        make.Conv2D(4, 3),
        make.BatchNormalization(),
        make.ReLU(),
        make.Flatten(),
        make.Dense(10),
    ]
    return k.Sequential([k.Input((8, 8, 3)), *layers]), tf.TensorSpec((None, 8, 8, 3))


def separable(k):
    make = k.layers
    layers = [
        make.SeparableConv2D(5, 3),
        make.DepthwiseConv2D(2),
        make.Conv2DTranspose(3, 2, strides=2),
        make.BatchNormalization(scale=False),
        make.Flatten(),
        make.Dense(3, use_bias=False),
    ]
    return k.Sequential([k.Input((8, 8, 3)), *layers]), tf.TensorSpec((1, 8, 8, 3))


def recurrent(k):
    make = k.layers
    layers = [
        make.Embedding(20, 6),
        make.LSTM(4, return_sequences=True),
        make.GRU(3),
        make.Dense(2),
    ]
    return k.Sequential([k.Input((5,), dtype="int32"), *layers]), tf.TensorSpec((1, 5), tf.int32)


def bidirectional(k):
    make = k.layers
    layers = [
        make.Conv1D(4, 2),
        make.LayerNormalization(),
        make.Bidirectional(make.LSTM(2)),
        make.Dense(2),
    ]
    return k.Sequential([k.Input((6, 3)), *layers]), tf.TensorSpec((1, 6, 3))


def attention(k):
    make = k.layers
    start = k.Input((6, 8))
    x = make.MultiHeadAttention(2, 3)(start, start)
    x = make.EinsumDense("abc,cd->abd", (6, 5), bias_axes="d")(x)
    return k.Model(start, make.Dense(4)(x)), tf.TensorSpec((1, 6, 8))


MODELS = (convnet, separable, recurrent, bidirectional, attention)


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras3", "tf_keras"])
@pytest.mark.parametrize("build", MODELS)
def test_every_weight_of_a_keras_model_is_found_with_its_role_and_layer(tmp_path, k, build):
    k.utils.set_random_seed(1)
    model, spec = build(k)
    graph_def = frozen(model, spec)
    artifact, verdicts = assert_same(write(tmp_path, graph_def), graph_def)
    with read(str(tmp_path / "graph.pb")) as opened:
        by_value = {values_of(one).tobytes(): one for one in opened.artifact.tensors if one.payload}
    found = set()
    for layer in model.layers:
        for weight in layer.weights:
            tensor = by_value[np.asarray(weight).tobytes()]
            found.add(tensor.name)
            moving = "moving" in (weight.path if k is keras else weight.name)
            expected = Role.STATISTIC if moving else Role.WEIGHT
            assert verdicts[tensor.name].role is expected, tensor.name
            # TensorFlow numbers scopes that it has seen before.
            parts = [part.rpartition("_")[0] or part for part in tensor.layer.split("/")]
            named = {*parts, *tensor.layer.split("/")}
            assert named & {layer.name, f"{layer.name}_1"}, tensor.layer
            assert tensor.owner == tensor.layer
            assert tensor.owner in {one.path for one in artifact.guessed}
    sizes = {one.name: one.elements for one in artifact.tensors}
    # tf_keras normalizes layers with FusedBatchNormV3, and moments of no elements.
    counted = {
        name
        for name, one in verdicts.items()
        if one.role in (Role.WEIGHT, Role.STATISTIC) and sizes[name]
    }
    assert counted == found
    assert sum(sizes[name] for name in found) == model.count_params()
    assert not any(one.role is Role.UNKNOWN for one in verdicts.values())


def test_case_60(tmp_path):
    model, spec = convnet(tf_keras)
    graph_def = frozen(model, spec)
    artifact, verdicts = assert_same(write(tmp_path, graph_def), graph_def)
    elements = Counter()
    for tensor in artifact.tensors:
        elements[verdicts[tensor.name].role] += tensor.elements
    assert elements == {Role.WEIGHT: 1_570, Role.STATISTIC: 8, Role.CONSTANT: 2}
    assert model.count_params() == 1_570 + 8


@pytest.mark.parametrize("lower", [False, True])
def test_loops_as_functions_and_lowered_have_the_same_weights(tmp_path, lower):
    model, spec = recurrent(tf_keras)
    graph_def = frozen(model, spec, lower)
    assert bool(len(graph_def.library.function)) is not lower
    artifact, verdicts = assert_same(write(tmp_path, graph_def), graph_def)
    weights = sum(
        one.elements for one in artifact.tensors if verdicts[one.name].role is Role.WEIGHT
    )
    assert weights == model.count_params()


def test_text_has_the_values_of_the_binary_form(tmp_path):
    model, spec = convnet(keras)
    graph_def = frozen(model, spec)
    path = tmp_path / "graph.pbtxt"
    path.write_text(text_format.MessageToString(graph_def))
    assert_same(path, graph_def)


KINDS = [
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "bool"),
]
COMPLEX = ["complex64", "complex128"]


def test_every_dtype_and_every_way_to_store_it(tmp_path):
    with tf.Graph().as_default() as graph:
        for kind in (*KINDS, *COMPLEX):
            full = np.arange(-3, 3).astype(kind).reshape(2, 3)
            V1.constant(full, name=f"full_{kind}")
            V1.constant(np.array([1, 1, 0]).astype(kind), shape=(4, 3), name=f"last_{kind}")
            V1.constant(np.ones((), kind), shape=(43, 28), name=f"one_{kind}")
            V1.constant(np.zeros((0, 3), kind), name=f"empty_{kind}")
        for kind in ("bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "uint4"):
            values = np.arange(6).astype(getattr(ml_dtypes, kind)).reshape(2, 3)
            V1.constant(values, name=f"full_{kind}")
        V1.constant([b"ab", b"", b"c\xff"], name="texts")
    graph_def = graph.as_graph_def()
    path = write(tmp_path, graph_def)
    _, verdicts = assert_same(path, graph_def)
    assert texts(path, "texts") == [b"ab", b"", b"c\xff"]
    # Nothing reads them: what they are for cannot be told, and they are no weights.
    assert {one.role for one in verdicts.values()} == {Role.CONSTANT}


def test_a_graph_without_constants_opens(tmp_path):
    with tf.Graph().as_default() as graph:
        V1.placeholder(tf.float32, (3,), name="x") + V1.placeholder(tf.float32, (3,), name="y")
    artifact, _ = assert_same(write(tmp_path, graph.as_graph_def()), graph.as_graph_def())
    assert artifact.tensors == ()
    assert [one.name for one in artifact.signatures[0].inputs] == ["x", "y"]


def test_functions_that_hold_the_same_constant_share_one_weight(tmp_path):
    table = np.arange(64, dtype=np.float32).reshape(8, 8)

    @tf.function
    def first(x):
        return tf.matmul(x, tf.constant(table, name="table"))

    @tf.function
    def second(x):
        return tf.matmul(x, tf.constant(table, name="table")) + 1.0

    call = tf.function(lambda x: first(x) + second(x))
    graph_def = call.get_concrete_function(tf.TensorSpec((2, 8))).graph.as_graph_def()
    artifact, verdicts = assert_same(write(tmp_path, graph_def), graph_def)
    roles = Counter(verdicts[one.name].role for one in artifact.tensors if one.elements == 64)
    assert roles == {Role.WEIGHT: 1, Role.ALIAS: 1}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A TensorFlow 1 graph with old contrib pruning, frozen; and its .meta and checkpoint."""
    folder = tmp_path_factory.mktemp("tf1")
    with tf.Graph().as_default() as graph, V1.Session() as session:
        x = V1.placeholder(tf.float32, (None, 8, 8, 3), name="x")
        with V1.variable_scope("conv", use_resource=False):
            kernel = V1.get_variable("weights", (3, 3, 3, 4))
            bias = V1.get_variable("biases", (4,))
            h = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias)
            stats = [V1.get_variable(f"bn/{one}", (4,)) for one in ("gamma", "beta", "mean", "var")]
            h, _, _ = V1.nn.fused_batch_norm(h, *stats, is_training=False, name="bn/norm")
        with V1.variable_scope("fc", use_resource=False):
            kernel = V1.get_variable("weights", (256, 5))
            mask = V1.get_variable("mask", (256, 5), trainable=False)
            masked = tf.multiply(kernel, mask, name="masked_weight")
            h = tf.matmul(tf.reshape(h, (-1, 256)), masked)
            y = tf.add(h, V1.get_variable("biases", (5,)), name="out")
        V1.train.AdamOptimizer().minimize(tf.reduce_sum(y))
        session.run(V1.global_variables_initializer())
        V1.train.Saver().save(session, os.path.join(folder, "model"))
        values = {one.op.name: session.run(one) for one in V1.global_variables()}
        graph_def = V1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["fc/out"]
        )
    return folder, graph_def, values


def test_variables_that_tensorflow_1_froze_keep_their_names_and_get_their_roles(session):
    folder, graph_def, values = session
    artifact, verdicts = assert_same(write(folder, graph_def), graph_def)
    held = {one.name: one for one in artifact.tensors}
    expected = {
        "conv/weights": Role.WEIGHT,
        "conv/biases": Role.WEIGHT,
        "conv/bn/gamma": Role.WEIGHT,
        "conv/bn/beta": Role.WEIGHT,
        "conv/bn/mean": Role.STATISTIC,
        "conv/bn/var": Role.STATISTIC,
        "fc/weights": Role.WEIGHT,
        "fc/mask": Role.MASK,
        "fc/biases": Role.WEIGHT,
    }
    assert {name: verdicts[name].role for name in expected} == expected
    rest = {verdicts[name].role for name in held if name not in expected}
    assert rest == {Role.CONSTANT}
    for name in expected:
        layer, _, variable = name.rpartition("/")
        assert (held[name].layer, held[name].variable) == (layer, variable)
        assert tuple(held[name].shape) == values[name].shape


def test_a_meta_graph_names_its_variables_and_has_its_constants(session):
    folder, _, values = session
    path = os.path.join(folder, "model.meta")
    with open(path, "rb") as file:
        meta = tf.compat.v1.MetaGraphDef.FromString(file.read())
    with read(path) as opened:
        artifact = opened.artifact
        assert_adds_up(artifact)
        assert artifact.producer.version == tf.__version__
        (problem,) = artifact.problems
        assert f"{len(values)} variables" in problem.message
        assert "model.index" in problem.message
        held = {one.name: one for one in artifact.tensors}
        for name, proto in constants(meta.graph_def):
            value = tf.make_ndarray(proto)
            if value.dtype != object:
                assert values_of(held[name]).tobytes() == value.tobytes()
