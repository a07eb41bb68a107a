"""Graphs, constants and texts that TensorFlow wrote, as TensorFlow reads them."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("tensorflow")

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import graph_pb2, tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.training import checkpoint_state_pb2

from inspector.errors import InspectorError
from inspector.storage import LocalFile, MemorySource
from inspector.wire.graph_def import attr_shape, attr_tensor, attr_type, attributes, read_graph
from inspector.wire.protobuf import message
from inspector.wire.tensor_proto import DTYPES
from inspector.wire.tensor_values import read_tensor, strings
from inspector.wire.tensorflow_messages import known
from inspector.wire.text_format import to_binary

pytestmark = pytest.mark.live

V1 = tf.compat.v1
# FieldDescriptor.TYPE_*.
KINDS = dict(
    enumerate(("double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool"), 1)
) | {9: "string", 12: "bytes", 13: "uint32", 14: "enum", 18: "sint64"}
EARLY = {("FunctionDef", "node")}  # TensorFlow dropped it before 0.12


def short(name):
    return name.removeprefix("tensorflow.").removeprefix("google.protobuf.")


def in_memory(proto):
    return message(MemorySource(proto.SerializeToString(), "live"))


# --- the tables ---


def described(descriptor, found):
    """Every message that one holds, with its fields as `known` gives them."""
    name = short(descriptor.full_name)
    if name in found:
        return found
    table = found[name] = {}
    for one in descriptor.fields:
        entry = one.message_type
        if entry is not None and entry.GetOptions().map_entry:
            kind = ":".join(word(part) for part in entry.fields)
            inner = entry.fields_by_name["value"].message_type
        else:
            kind, inner = word(one), entry
        if inner is not None:
            described(inner, found)
        values = one.enum_type and {value.name: value.number for value in one.enum_type.values}
        table[one.name] = (one.number, kind, one.is_repeated, values)
    return found


def word(one):
    return short(one.message_type.full_name) if one.message_type else KINDS[one.type]


def test_the_tables_of_messages_are_tensorflows():
    found = {}
    for one in (saved_model_pb2.SavedModel, checkpoint_state_pb2.CheckpointState):
        described(one.DESCRIPTOR, found)
    for name, fields in found.items():
        mine = {
            one.name: (one.number, one.kind, one.repeated, one.values)
            for one in known(name).values()
            if (name, one.name) not in EARLY
        }
        assert mine == fields, name


# --- graphs ---


def build():
    """A graph with functions, control flow, constants and control inputs."""
    with tf.Graph().as_default() as graph:
        x = V1.placeholder(tf.float32, [None, 4], name="x")
        w = tf.constant(np.arange(12, dtype=np.float32).reshape(4, 3), name="w")
        with tf.control_dependencies([V1.placeholder_with_default(1, [], name="gate")]):
            y = tf.matmul(x, w, name="y")

        @tf.function
        def body(value):
            return tf.cond(tf.reduce_sum(value) > 0, lambda: value * 2.0, lambda: value - 1.0)

        tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, body(v)), [0, y])
    return graph.as_graph_def()


def assert_same_nodes(found, expected, scope):
    assert [(one.name, one.op, one.inputs, one.scope) for one in found] == [
        (one.name, one.op, tuple(one.input), scope) for one in expected
    ]
    for mine, theirs in zip(found, expected, strict=True):
        assert {name for name, _ in attributes(mine.message)} == set(theirs.attr)
        for name, value in theirs.attr.items():
            assert type(value).FromString(bytes(mine.attr(name).view())) == value
            if value.WhichOneof("value") == "type":
                assert attr_type(mine.attr(name)) == tf.dtypes.as_dtype(value.type).name
            if value.WhichOneof("value") == "shape" and not value.shape.unknown_rank:
                sides = tuple(tf.TensorShape(value.shape).as_list())
                assert attr_shape(mine.attr(name)) == sides


def test_a_graph_reads_as_tensorflow_has_it():
    expected = build()
    found = read_graph(in_memory(expected))
    assert found.producer == expected.versions.producer
    assert found.min_consumer == expected.versions.min_consumer
    assert_same_nodes(found.nodes, expected.node, "")
    assert len(found.functions) >= 4
    for theirs in expected.library.function:
        mine = found.functions[theirs.signature.name]
        assert mine.arguments == tuple(one.name for one in theirs.signature.input_arg)
        assert mine.outputs == tuple(one.name for one in theirs.signature.output_arg)
        assert mine.returns == dict(theirs.ret)
        assert_same_nodes(mine.nodes, theirs.node_def, theirs.signature.name)


# --- constants ---


def tensor(dtype, sides, **fields):
    made = tensor_pb2.TensorProto(dtype=dtype, **fields)
    for side in sides:
        made.tensor_shape.dim.add(size=side)
    return made


def as_tensorflow_reads_it(proto):
    """The values, by the reader in C++; None where it refuses them."""
    try:
        return tf.io.parse_tensor(
            proto.SerializeToString(), tf.dtypes.as_dtype(proto.dtype)
        ).numpy()
    except tf.errors.InvalidArgumentError:
        return None


def values_of(value, max_bytes=1 << 20):
    blocks = list(value.payload.blocks(max_bytes))
    return np.concatenate(blocks).reshape(value.shape) if blocks else np.empty(value.shape)


def assert_same(proto):
    expected = as_tensorflow_reads_it(proto)
    value = read_tensor(in_memory(proto))
    if expected is None:
        assert value.fault is not None
        assert value.payload is None
        return
    assert (value.dtype, value.fault) == (tf.dtypes.as_dtype(proto.dtype).name, None)
    assert value.shape == expected.shape
    if value.dtype == "string":
        found = [bytes(one) for one in strings(in_memory(proto))]
        found += found[-1:] * (value.elements - len(found))
        assert found == expected.reshape(-1).tolist()
        return
    for max_bytes in (1, 1 << 20):
        found = values_of(value, max_bytes)
        if value.values in ("int4", "uint4", "int2", "uint2", "float4_e2m1fn"):
            # The rest of the byte is what each reader leaves there.
            found, expected = found.astype(np.float32), expected.astype(np.float32)
        assert found.tobytes() == expected.tobytes()
        assert found.dtype == expected.dtype or not found.size


INTEGERS = [3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 29, 30, 31, 32]
FIELDS = {
    **{dtype: ("int_val", [1, -2, 300, 70000, 0, -1]) for dtype in INTEGERS},
    1: ("float_val", [1.5, -0.0, float("inf"), 1e-45]),
    2: ("double_val", [1.5, -0.0, 5e-324]),
    8: ("scomplex_val", [1, 2, 3, 4, 5]),
    9: ("int64_val", [1, -(1 << 63)]),
    10: ("bool_val", [True, False, True]),
    14: ("half_val", [0x3F80, 0x8000, 0x1_4000]),
    18: ("dcomplex_val", [1, 2, 3, 4, 5]),
    19: ("half_val", [0x3C00, 0x8000, 0x1_4000]),
    22: ("uint32_val", [1, 0xFFFFFFFF]),
    23: ("uint64_val", [1, (1 << 64) - 1]),
}
FLOAT8 = [24, 25, 26, 27, 28, 33]


@pytest.mark.parametrize("dtype", sorted(FIELDS))
@pytest.mark.parametrize("elements", [0, 1, 2, 4, 9])
def test_typed_values_are_tensorflows_few_or_many(dtype, elements):
    name, numbers = FIELDS[dtype]
    for count in range(len(numbers) + 1):
        assert_same(tensor(dtype, [elements], **{name: numbers[:count]}))


@pytest.mark.parametrize("dtype", FLOAT8)
def test_float8_values_are_tensorflows_few_or_many(dtype):
    for elements in (0, 1, 2, 4):
        for data in (b"", b"\x01", b"\x01\x02", b"\x01\x02\x03"):
            assert_same(tensor(dtype, [elements], float8_val=data))


@pytest.mark.parametrize("dtype", [one for one in sorted(DTYPES) if DTYPES[one].values])
def test_raw_bytes_are_tensorflows_and_refused_where_they_do_not_fit(dtype):
    size = DTYPES[dtype].size
    for length in (0, 1, 6 * size - 1, 6 * size, 6 * size + 1, 12 * size):
        data = bytes(one % 2 for one in range(length)) if dtype == 10 else bytes(range(length))
        assert_same(tensor(dtype, [2, 3], tensor_content=data))
    assert_same(tensor(dtype, [0], tensor_content=bytes(size)))
    assert_same(tensor(dtype, [], tensor_content=bytes(size)))


def test_strings_are_tensorflows_in_both_forms():
    assert_same(tensor(7, [3], string_val=[b"a", b"", b"\xff\0"]))
    assert_same(tensor(7, [3], string_val=[b"a", b"bc"]))
    assert_same(tensor(7, [1], string_val=[b"a", b"bc"]))
    assert_same(tensor(7, [3], tensor_content=b"\x01\x02\x00abc"))
    for content in (b"\x01\x02\x00abcd", b"\x01\x02\x00ab", b"\x01\x02"):
        broken = tensor(7, [3], tensor_content=content)
        assert as_tensorflow_reads_it(broken) is None
        value = read_tensor(in_memory(broken))
        if value.fault is None:
            with pytest.raises(InspectorError):
                list(strings(in_memory(broken)))


def test_shapes_and_dtypes_that_are_none_are_refused_as_tensorflow_does():
    for sides in ([-1], [1 << 40, 1 << 40], [2, -1, 3]):
        assert_same(tensor(1, sides, float_val=[1]))
    assert_same(tensor(1, [1 << 40, 0], float_val=[1]))
    assert_same(tensor(101, [2], float_val=[1]))


def test_what_python_writes_reads_as_make_ndarray_does():
    rng = np.random.default_rng(3)
    names = [
        *("float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "complex64", "complex128", "bool"),
        *("float8_e5m2", "float8_e4m3fn", "int4", "uint4"),
    ]
    for name in names:
        for sides in ((), (1,), (3, 5), (0, 2)):
            array = np.asarray(rng.integers(0, 2, sides)).astype(tf.as_dtype(name).as_numpy_dtype)
            proto = tf.make_tensor_proto(array)
            value = read_tensor(in_memory(proto))
            assert (value.dtype, value.shape) == (name, sides)
            assert values_of(value).tobytes() == tf.make_ndarray(proto).tobytes()


def test_constants_that_grappler_may_shrink_to_one_value_read_in_full():
    with tf.Graph().as_default() as graph:
        tf.fill([3, 3], 2.0)
        tf.constant(7.0, shape=[64, 64], name="same")
    (node,) = [
        one for one in read_graph(in_memory(graph.as_graph_def())).nodes if one.name == "same"
    ]
    value = read_tensor(attr_tensor(node.attr("value")))
    assert (value.elements, np.unique(values_of(value)).tolist()) == (4096, [7.0])


# --- texts ---


def assert_same_text(proto, kind, **style):
    text = text_format.MessageToString(proto, **style).encode()
    found = to_binary(MemorySource(text, "live.pbtxt"), kind)
    assert type(proto).FromString(bytes(found.message.view())) == proto
    return text, found


def test_a_graph_as_text_is_the_same_graph_and_tells_where_its_constants_are():
    expected = build()
    for style in ({}, {"as_one_line": True}, {"use_short_repeated_primitives": True}):
        text, found = assert_same_text(expected, "GraphDef", **style)
        constants = [one for one in read_graph(found.message).walk() if one.op == "Const"]
        assert len(constants) >= 5
        for node in constants:
            proto = attr_tensor(node.attr("value"))
            value = read_tensor(proto)
            places = found.spans(value.spans)
            stretches = [text[at : at + length].decode() for at, length in places]
            assert len(stretches) == len(value.spans)
            # Behind the name of its field, each stretch is what TensorFlow reads as the values.
            again = tensor_pb2.TensorProto()
            for one in stretches:
                text_format.Merge(f"{value.storage.split(',')[0]}: {one}", again)
            whole = tensor_pb2.TensorProto.FromString(bytes(proto.view()))
            again.dtype = whole.dtype
            again.tensor_shape.CopyFrom(whole.tensor_shape)
            assert again == whole


class Small(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.ones([3, 2]), name="w")
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), -1
        )

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    def __call__(self, x):
        return tf.matmul(x, self.w)


def test_a_saved_model_as_text_is_the_same_message(tmp_path):
    tf.saved_model.save(Small(), str(tmp_path))
    data = (tmp_path / "saved_model.pb").read_bytes()
    proto = saved_model_pb2.SavedModel.FromString(data)
    assert_same_text(proto, "SavedModel")
    # TensorFlow reads the text, too.
    (tmp_path / "saved_model.pb").unlink()
    (tmp_path / "saved_model.pbtxt").write_text(text_format.MessageToString(proto))
    found = to_binary(LocalFile(os.fspath(tmp_path / "saved_model.pbtxt")), "SavedModel")
    assert saved_model_pb2.SavedModel.FromString(bytes(found.message.view())) == proto
    assert tf.saved_model.load(str(tmp_path))(tf.ones([1, 3])).numpy().tolist() == [[3.0, 3.0]]


def test_a_meta_graph_with_collections_as_text_is_the_same_message(tmp_path):
    path = os.fspath(tmp_path / "graph.pbtxt")
    with tf.Graph().as_default():
        V1.get_variable("w", [2, 3])
        V1.train.get_or_create_global_step()
        V1.train.Saver()
        V1.train.export_meta_graph(path, as_text=True)
    expected = meta_graph_pb2.MetaGraphDef()
    with open(path, encoding="utf-8") as written:
        text_format.Parse(written.read(), expected)
    found = to_binary(LocalFile(path), "MetaGraphDef")
    assert meta_graph_pb2.MetaGraphDef.FromString(bytes(found.message.view())) == expected


def test_a_graph_that_tensorflow_wrote_as_text_reads_as_it_was(tmp_path):
    expected = build()
    V1.train.write_graph(expected, str(tmp_path), "graph.pbtxt", as_text=True)
    found = to_binary(LocalFile(os.fspath(tmp_path / "graph.pbtxt")), "GraphDef")
    assert graph_pb2.GraphDef.FromString(bytes(found.message.view())) == expected


def test_a_checkpoint_state_gives_the_paths_that_tensorflow_reads(tmp_path):
    variable = tf.Variable(1.0)
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(v=variable), str(tmp_path), 2)
    for _ in range(3):
        manager.save()
    expected = tf.train.get_checkpoint_state(str(tmp_path))
    state = to_binary(LocalFile(os.fspath(tmp_path / "checkpoint")), "CheckpointState").message
    folder = str(tmp_path)
    assert os.path.join(folder, state.text(1)) == expected.model_checkpoint_path
    paths = [os.path.join(folder, one) for one in state.texts(2)]
    assert paths == list(expected.all_model_checkpoint_paths)
    assert len(paths) == 2
