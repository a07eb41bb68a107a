"""SavedModels that TensorFlow and Keras wrote: counts, variables, constants and signatures."""

from __future__ import annotations

import collections
import contextlib
import io
import math
import os
import re

import pytest

pytest.importorskip("tensorflow")

import keras
import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.tools import saved_model_cli

from inspector.classify import classify
from inspector.count import count
from inspector.limits import DEFAULT
from inspector.model import Role, Section
from inspector.read import saved_model
from tests.builders.checks import assert_adds_up, tensor

pytestmark = pytest.mark.live

V1 = tf.compat.v1
LOADERS = {"__saved_model_init_op", "__saved_model_train_op"}


def opened(path):
    """The artifact, its bytes and its variables' shapes and dtypes held against TensorFlow's."""
    with saved_model.read(str(path), DEFAULT) as result:
        artifact = result.artifact
        assert_adds_up(artifact)
        assert [one.name for one in artifact.tensors if one.check and not one.check.holds()] == []
        constants = {
            one.name: np.concatenate([np.empty(0, one.dtype), *one.payload.blocks(1 << 20)])
            for one in artifact.tensors
            if one.section is Section.GRAPH and one.payload is not None
        }
    assert artifact.complete
    size = sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
    )
    assert artifact.nbytes == size
    assert_same_variables(artifact, path)
    assert_same_constants(constants, artifact, path)
    assert_same_calls(artifact, path)
    return artifact


def assert_same_variables(artifact, path):
    prefix = os.path.join(path, "variables", "variables")
    if not os.path.exists(f"{prefix}.index"):
        assert all(one.section is Section.GRAPH for one in artifact.tensors)
        return
    reader = tf.train.load_checkpoint(prefix)
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    held = [one for one in artifact.tensors if one.section is not Section.GRAPH]
    # What is no tensor of ours is a record of TensorFlow's own: strings without a shape.
    records = set(shapes) - {one.name for one in held}
    assert all(dtypes[key] == tf.string and shapes[key] == [] for key in records)
    for one in held:
        assert list(one.shape) == shapes[one.name]
        assert one.dtype == dtypes[one.name].name


def official(path):
    """The SavedModel as TensorFlow's own messages."""
    message = saved_model_pb2.SavedModel()
    binary = os.path.join(path, "saved_model.pb")
    if os.path.exists(binary):
        with open(binary, "rb") as file:
            message.ParseFromString(file.read())
    else:
        from google.protobuf import text_format

        with open(f"{binary}txt", encoding="utf-8") as file:
            text_format.Parse(file.read(), message)
    return message


def assert_same_constants(constants, artifact, path):
    """Every Const of each graph and function, value for value, as tf.make_ndarray reads it."""
    metas = official(path).meta_graphs
    expected = {}
    for meta in metas:
        prefix = "" if len(metas) == 1 else ",".join(meta.meta_info_def.tags) + ":"
        bodies = [("", meta.graph_def.node)]
        bodies += [
            (f"{one.signature.name}/", one.node_def) for one in meta.graph_def.library.function
        ]
        for scope, nodes in bodies:
            for node in nodes:
                if node.op == "Const":
                    expected[f"{prefix}{scope}{node.name}"] = node.attr["value"].tensor
    held = {one.name: one for one in artifact.tensors if one.section is Section.GRAPH}
    assert set(held) == set(expected)
    for name, proto in expected.items():
        values = tf.make_ndarray(proto)
        assert held[name].shape == values.shape, name
        if values.dtype != object:
            assert held[name].dtype == values.dtype.name
            assert constants[name].tobytes() == values.tobytes(), name


def assert_same_calls(artifact, path):
    """Tags, signatures and operators as TensorFlow's own messages have them."""
    metas = official(path).meta_graphs
    assert artifact.tags == tuple(tuple(meta.meta_info_def.tags) for meta in metas)
    operators = collections.Counter()
    for meta in metas:
        tags = tuple(meta.meta_info_def.tags)
        ours = {one.name: one for one in artifact.signatures if one.tags == tags}
        assert set(ours) == set(meta.signature_def) - LOADERS
        for name, one in ours.items():
            theirs = meta.signature_def[name]
            assert one.method == (theirs.method_name or None)
            assert_same_ports(one.inputs, theirs.inputs)
            assert_same_ports(one.outputs, theirs.outputs)
        functions = meta.graph_def.library.function
        bodies = [meta.graph_def.node, *(one.node_def for one in functions)]
        called = {one.signature.name for one in functions}
        operators.update(node.op for body in bodies for node in body if node.op not in called)
    assert {one.name: one.count for one in artifact.operators} == operators


def assert_same_ports(ours, theirs):
    assert [port.name for port in ours] == sorted(theirs)
    for port in ours:
        info = theirs[port.name]
        if info.WhichOneof("encoding") == "composite_tensor":
            parts = info.composite_tensor.components
            assert port.tensor == ", ".join(part.name for part in parts)
            assert port.dtype == tf.dtypes.as_dtype(parts[0].dtype).name
            continue
        shape = tf.TensorShape(info.tensor_shape)
        assert port.shape == (None if shape.rank is None else tuple(shape.as_list()))
        assert port.dtype == tf.dtypes.as_dtype(info.dtype).base_dtype.name
        assert port.tensor == info.name


def counted(artifact):
    verdicts = classify(artifact).verdicts
    unknown = [name for name, one in verdicts.items() if one.role is Role.UNKNOWN]
    assert unknown == []
    return count(artifact, verdicts).totals, verdicts


def roles(artifact, verdicts, *sections):
    """Elements by role, of the sections given or of all but the graph's constants."""
    found = {}
    for one in artifact.tensors:
        if one.section in sections or (not sections and one.section is not Section.GRAPH):
            role = verdicts[one.name].role
            found[role] = found.get(role, 0) + one.elements
    return found


def assert_keras_totals(path, live, kind):
    """count_params, trainable and non_trainable as the live model has them."""
    artifact = opened(path)
    assert artifact.kind.startswith(f"SavedModel, {kind}")
    totals, verdicts = counted(artifact)

    def elements(weights):
        return sum(math.prod(one.shape) for one in weights)

    assert totals.count_params == live.count_params()
    assert totals.trainable == elements(live.trainable_weights)
    assert totals.non_trainable == elements(live.non_trainable_weights)
    return artifact, totals, verdicts


# --- Keras ---


def dense():
    layers = tf_keras.layers
    return tf_keras.Sequential(
        [layers.Dense(64, activation="relu", input_shape=(10,)), layers.Dense(10)]
    )


def test_a_pruned_model_is_2638_and_1354_once_stripped(tmp_path):
    model = tfmot.sparsity.keras.prune_low_magnitude(dense())
    model.compile("adam", "mse")
    step = tfmot.sparsity.keras.UpdatePruningStep()
    model.fit(np.ones((8, 10)), np.ones((8, 10)), verbose=0, callbacks=[step])
    model.save(tmp_path / "pruned")
    live = tf_keras.models.load_model(tmp_path / "pruned", compile=False)
    assert live.count_params() == 2638
    artifact, totals, verdicts = assert_keras_totals(
        tmp_path / "pruned", live, f"Keras model (tf_keras {tf_keras.__version__})"
    )
    assert totals.after_strip == 1354
    found = roles(artifact, verdicts)
    assert (found[Role.MASK], found[Role.THRESHOLD], found[Role.PRUNING_STEP]) == (1280, 2, 2)
    assert found[Role.WEIGHT] == 1354
    assert found[Role.OPTIMIZER_SLOT] == 2 * 1354
    assert set(roles(artifact, verdicts, Section.GRAPH)) == {Role.CONSTANT}
    stripped = tfmot.sparsity.keras.strip_pruning(model)
    stripped.save(tmp_path / "stripped")
    totals = assert_keras_totals(tmp_path / "stripped", stripped, "Keras model")[1]
    assert totals.count_params == totals.after_strip == 1354


def test_both_masks_of_a_wrapped_lstm_are_masks(tmp_path):
    layers = tf_keras.layers
    model = tf_keras.Sequential([layers.LSTM(4, input_shape=(5, 3)), layers.Dense(2)])
    model = tfmot.sparsity.keras.prune_low_magnitude(model)
    model.save(tmp_path / "lstm")
    artifact, _, verdicts = assert_keras_totals(tmp_path / "lstm", model, "Keras model")
    # kernel 3 x 16, recurrent kernel 4 x 16, and the Dense layer's 4 x 2.
    assert roles(artifact, verdicts)[Role.MASK] == 48 + 64 + 8
    # The functions for GPUs hold zeros in the place of a bias that Keras does not have.
    assert set(roles(artifact, verdicts, Section.GRAPH)) == {Role.CONSTANT}


def test_a_model_trained_with_quantization_in_view(tmp_path):
    model = tfmot.quantization.keras.quantize_model(dense())
    model.save(tmp_path / "qat")
    artifact, _, verdicts = assert_keras_totals(tmp_path / "qat", model, "Keras model")
    found = roles(artifact, verdicts)
    assert found[Role.WEIGHT] == 1354
    assert found[Role.QUANT_PARAM] + found[Role.QUANT_STEP] == model.count_params() - 1354


def test_a_functional_model_of_many_layers(tmp_path):
    layers = tf_keras.layers
    given = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(given)
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.GlobalAveragePooling2D()(x)
    inner = tf_keras.Sequential([layers.Dense(5, input_shape=(4,)), layers.Dense(4)], name="inner")
    x = layers.Add()([x, inner(x)])
    model = tf_keras.Model(given, layers.Dense(2)(x))
    model.layers[1].trainable = False
    model.compile("sgd", "mse", metrics=["mae"])
    model.save(tmp_path / "model")
    artifact, _, verdicts = assert_keras_totals(tmp_path / "model", model, "Keras model")
    assert roles(artifact, verdicts)[Role.STATISTIC] == 8


def test_a_keras_3_export_stores_everything_twice(tmp_path):
    layers = keras.layers
    model = keras.Sequential([layers.Input((4,)), layers.Dense(5), layers.Dense(3)])
    model.export(tmp_path / "export", verbose=False)
    artifact = opened(tmp_path / "export")
    assert artifact.kind == "SavedModel, Keras 3 export"
    totals, verdicts = counted(artifact)
    found = roles(artifact, verdicts)
    assert model.count_params() == 43
    assert (found[Role.WEIGHT], found[Role.ALIAS]) == (43, 43)
    assert totals.count_params == 43
    assert (totals.trainable, totals.non_trainable) == (43, 0)


# --- modules ---


class Module(tf.Module):
    """Captures a constant, and embeds another one."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(np.ones((4, 3), "f"), name="w")
        self.b = tf.Variable(np.zeros(3, "f"), name="b")
        self.frozen = tf.Variable(np.ones(3, "f"), trainable=False, name="frozen")
        self.captured = tf.constant(np.arange(15, dtype="f").reshape(3, 5))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def first(self, x):
        y = tf.nn.bias_add(tf.matmul(x, self.w), self.b) * self.frozen
        return {"y": tf.matmul(y, self.captured)}

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def second(self, x):
        return {"z": tf.matmul(x, tf.constant(np.arange(256, dtype="f").reshape(4, 64)))}


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    path = tmp_path_factory.mktemp("module")
    made = Module()
    signatures = {"serving_default": made.first, "other": made.second}
    tf.saved_model.save(made, path, signatures=signatures)
    return path


def test_a_module_counts_what_its_variables_say_and_keras_nothing(module):
    artifact = opened(module)
    assert artifact.kind == "SavedModel, tf.Module"
    totals, _ = counted(artifact)
    assert totals.count_params is None
    assert (totals.trainable, totals.non_trainable) == (4 * 3 + 3, 3)


def test_signatures_are_those_that_saved_model_cli_shows(module):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        saved_model_cli._show_all(str(module))
    shown = printed.getvalue()
    artifact = opened(module)
    names = re.findall(r"signature_def\['(.*?)'\]:", shown)
    assert [one.name for one in artifact.signatures] == [one for one in names if one[:2] != "__"]
    tensors = re.findall(r"name: (.+)", shown)
    for one in artifact.signatures:
        assert {port.tensor for port in (*one.inputs, *one.outputs)} <= set(tensors)
    # It looks at the graph itself, and not into the functions that are called there.
    (operators,) = re.findall(r"contains the following ops: \{(.*?)\}", shown)
    assert set(re.findall(r"'(.*?)'", operators)) <= {one.name for one in artifact.operators}


def test_captured_variables_and_constants_are_used_where_a_function_reads_them(module):
    artifact = opened(module)
    value = "/.ATTRIBUTES/VARIABLE_VALUE"

    def uses(name):
        return {(use.op, use.input) for use in tensor(artifact, name).uses}

    assert uses(f"w{value}") == {("MatMul", 1)}
    assert uses(f"b{value}") == {("BiasAdd", 1)}
    assert uses(f"frozen{value}") == {("Mul", 1)}
    (captured,) = (
        one
        for one in artifact.tensors
        if one.section is Section.GRAPH and one.shape == (3, 5) and not one.repeats
    )
    assert {(use.op, use.input) for use in captured.uses} == {("MatMul", 1)}


def test_constants_that_are_multiplied_with_are_weights_and_shapes_are_not(module):
    artifact = opened(module)
    _, verdicts = counted(artifact)
    found = roles(artifact, verdicts, Section.GRAPH)
    assert found[Role.WEIGHT] == 3 * 5 + 4 * 64
    assert set(found) <= {Role.WEIGHT, Role.CONSTANT, Role.ALIAS}


class Types(tf.Module):
    """Variables of dtypes that NumPy lacks, and two lookup tables."""

    def __init__(self, vocabulary):
        super().__init__()
        self.half = tf.Variable(tf.ones((4, 3), tf.bfloat16), name="half")
        self.small = tf.Variable(np.arange(-6, 6).reshape(4, 3).astype(np.int8), name="small")
        self.text = tf.Variable(["a", "bcd", ""], name="text")
        lookup = tf.lookup
        lines = lookup.TextFileInitializer(
            *(vocabulary, tf.string, lookup.TextFileIndex.WHOLE_LINE),
            *(tf.int64, lookup.TextFileIndex.LINE_NUMBER),
        )
        self.table = lookup.StaticHashTable(lines, -1)
        self.mutable = lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        self.mutable.insert(["q", "r"], [1, 2])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def lookup(self, x):
        return self.table.lookup(x) + self.mutable.lookup(x)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def product(self, x):
        y = tf.matmul(tf.cast(x, tf.bfloat16), self.half)
        return y + tf.cast(self.small[0], tf.bfloat16), self.text.read_value()


def test_variables_of_every_dtype_and_lookup_tables(tmp_path):
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("one\ntwo\nthree\n")
    made = Types(str(vocabulary))
    signatures = {"lookup": made.lookup, "product": made.product}
    tf.saved_model.save(made, tmp_path / "types", signatures=signatures)
    artifact = opened(tmp_path / "types")
    _, verdicts = counted(artifact)
    assert artifact.vocabulary["assets/vocabulary.txt"] == 3
    assert artifact.overhead["assets"] == 14
    found = roles(artifact, verdicts)
    assert found[Role.LOOKUP] >= 4
    assert not artifact.problems


def test_a_ragged_result_names_the_tensors_that_it_is_made_of(tmp_path):
    made = tf.Module()
    made.scale = tf.Variable(2.0)
    made.call = tf.function(
        lambda x: x * made.scale, input_signature=[tf.RaggedTensorSpec([None, None], tf.float32)]
    )
    tf.saved_model.save(made, tmp_path / "ragged", signatures=made.call)
    (only,) = opened(tmp_path / "ragged").signatures
    (result,) = only.outputs
    assert (result.dtype, result.shape) == ("float32", None)
    assert len(result.tensor.split(", ")) == 2


# --- TensorFlow 1 ---


@pytest.fixture(scope="module")
def tf1(tmp_path_factory):
    """Folders: two meta graphs; the same as text; frozen."""
    base = tmp_path_factory.mktemp("tf1")
    with tf.Graph().as_default(), V1.Session() as session:
        x = V1.placeholder(tf.float32, [None, 4], name="x")
        with V1.variable_scope("net"):
            w = V1.get_variable("w", [4, 3])
            b = V1.get_variable("b", [3], use_resource=True)
            slices = V1.fixed_size_partitioner(3)
            table = V1.get_variable("table", [10, 4], partitioner=slices)
            fixed = V1.get_variable("fixed", [3], trainable=False)
        y = tf.nn.bias_add(tf.matmul(x, w), b) * fixed
        y += tf.reduce_sum(tf.nn.embedding_lookup(table, [1, 2]))
        step = V1.train.get_or_create_global_step()
        V1.train.AdamOptimizer().minimize(tf.reduce_sum(y), global_step=step)
        session.run(V1.global_variables_initializer())
        info = V1.saved_model.build_tensor_info
        signature = V1.saved_model.build_signature_def(
            {"x": info(x)}, {"y": info(y)}, "tensorflow/serving/predict"
        )
        signatures = {"serving_default": signature}
        builder = V1.saved_model.Builder(str(base / "two"))
        builder.add_meta_graph_and_variables(session, ["train", "serve"], signatures)
        builder.add_meta_graph(["serve"], {**signatures, "more": signature})
        builder.save()
        builder = V1.saved_model.Builder(str(base / "text"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save(as_text=True)
        frozen = V1.graph_util.convert_variables_to_constants(
            session, session.graph_def, [y.op.name]
        )
        output = y.name
    with tf.Graph().as_default() as graph, V1.Session() as session:
        tf.import_graph_def(frozen, name="")
        info = V1.saved_model.build_tensor_info
        signature = V1.saved_model.build_signature_def(
            {"x": info(graph.get_tensor_by_name("x:0"))},
            {"y": info(graph.get_tensor_by_name(output))},
            "tensorflow/serving/predict",
        )
        builder = V1.saved_model.Builder(str(base / "frozen"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    extra = base / "frozen" / "assets.extra"
    extra.mkdir()
    (extra / "tf_serving_warmup_requests").write_bytes(b"warm")
    return base


@pytest.mark.parametrize("name", ["two", "text"])
def test_a_tensorflow_1_model_has_its_variables_by_name(tf1, name):
    artifact = opened(tf1 / name)
    assert artifact.kind == "SavedModel of TensorFlow 1"
    totals, verdicts = counted(artifact)
    assert totals.count_params is None
    assert totals.trainable == 4 * 3 + 3 + 10 * 4
    table = tensor(artifact, "net/table")
    assert (table.shape, len(table.extents), table.trainable) == ((10, 4), 3, True)
    assert {use.op for use in table.uses} & {"GatherV2", "ResourceGather"}
    assert {(use.op, use.input) for use in tensor(artifact, "net/w").uses} >= {("MatMul", 1)}
    assert tensor(artifact, "net/fixed").trainable is False
    found = roles(artifact, verdicts)
    assert found[Role.OPTIMIZER_SLOT] == 2 * (4 * 3 + 3 + 10 * 4)
    assert found[Role.OPTIMIZER_STATE] == 2


def test_a_frozen_model_has_its_weights_as_constants(tf1):
    artifact = opened(tf1 / "frozen")
    assert artifact.complete
    assert artifact.problems == ()
    assert artifact.overhead["extra assets"] == 4
    _, verdicts = counted(artifact)
    weights = {
        one.name: one.elements for one in artifact.tensors if verdicts[one.name].role is Role.WEIGHT
    }
    # The partitioned variable stays in its three parts.
    assert weights.pop("net/w") == 12
    assert weights.pop("net/b") == 3
    assert sum(size for name, size in weights.items() if "table" in name) == 40


# --- the corpus ---

CORPUS = os.environ.get("INSPECT_CORPUS", "")


def folders():
    return [
        folder
        for folder, _, names in sorted(os.walk(CORPUS))
        if {"saved_model.pb", "saved_model.pbtxt"} & set(names)
    ]


@pytest.mark.parametrize(
    "path",
    [pytest.param(one, id=os.path.relpath(one, CORPUS)) for one in folders()] if CORPUS else [],
)
def test_models_from_the_wild_agree_with_tensorflow(path):
    with saved_model.read(path, DEFAULT) as result:
        complete = result.artifact.complete
    if complete:
        counted(opened(path))
