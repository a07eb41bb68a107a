import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import InspectorError, LimitExceeded, Truncated
from inspector.limits import Limits
from inspector.storage import MemorySource
from inspector.wire.graph_def import (
    attr_bool,
    attr_func,
    attr_funcs,
    attr_int,
    attr_shape,
    attr_shapes,
    attr_tensor,
    attr_text,
    attr_texts,
    attr_type,
    attr_types,
    attributes,
    read_graph,
    sides,
    type_name,
)
from inspector.wire.protobuf import message
from inspector.wire.tensor_values import read_tensor
from tests.builders.bundles import chunk, number, shape, tag, varint
from tests.builders.official import official


def read(data, **limits):
    return read_graph(message(MemorySource(data, "graph.pb"), Limits(**limits)))


def text(field, value):
    return chunk(field, value.encode())


def attr(name, value):
    return chunk(5, text(1, name) + chunk(2, value))


def node(name, op="NoOp", inputs=(), *rest):
    return text(1, name) + text(2, op) + b"".join(text(3, one) for one in inputs) + b"".join(rest)


# --- against the official runtime ---

WORDS = st.text("ab/:^_é", max_size=6)
ATTRS = st.fixed_dictionaries(
    {},
    optional={
        "s": st.binary(max_size=4),
        "i": st.integers(-(1 << 63), (1 << 63) - 1),
        "b": st.booleans(),
        "type": st.sampled_from([1, 3, 14, 101]),
    },
)
NODES = st.fixed_dictionaries(
    {
        "name": WORDS,
        "op": st.sampled_from(["Const", "MatMul", "Ünicode", ""]),
        "input": st.lists(WORDS, max_size=3),
        "device": WORDS,
        "attr": st.dictionaries(WORDS, ATTRS, max_size=3),
    }
)
FUNCTIONS = st.fixed_dictionaries(
    {
        "name": WORDS,
        "arguments": st.lists(WORDS, max_size=2),
        "outputs": st.lists(WORDS, max_size=2),
        "nodes": st.lists(NODES, min_size=1, max_size=3),
        "ret": st.dictionaries(WORDS, WORDS, max_size=2),
    }
)


def fill_node(made, drawn):
    made.name, made.op, made.device = drawn["name"], drawn["op"], drawn["device"]
    made.input.extend(drawn["input"])
    for name, value in drawn["attr"].items():
        made.attr[name].SetInParent()
        for kind, one in list(value.items())[:1]:  # the members are a oneof in TensorFlow
            setattr(made.attr[name], kind, one)


def assert_same_nodes(found, expected, scope):
    assert [(n.name, n.op, n.inputs, n.scope) for n in found] == [
        (one.name, one.op, tuple(one.input), scope) for one in expected
    ]
    for mine, theirs in zip(found, expected, strict=True):
        assert {name for name, _ in attributes(mine.message)} == set(theirs.attr)
        for name, value in theirs.attr.items():
            assert bytes(mine.attr(name).view()) == value.SerializeToString()
        assert mine.attr("none of them") is None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(NODES, max_size=4),
    st.lists(FUNCTIONS, max_size=2, unique_by=lambda one: one["name"]),
    st.none() | st.tuples(st.integers(-5, 3000), st.integers(0, 20)),
)
def test_graphs_read_as_the_official_runtime_reads_them(nodes, functions, versions):
    expected = official("GraphDef")["GraphDef"]()
    for drawn in nodes:
        fill_node(expected.node.add(), drawn)
    for drawn in functions:
        made = expected.library.function.add()
        made.signature.name = drawn["name"]
        for one in drawn["arguments"]:
            made.signature.input_arg.add(name=one)
        for one in drawn["outputs"]:
            made.signature.output_arg.add(name=one)
        made.ret.update(drawn["ret"])
        for one in drawn["nodes"]:
            fill_node(made.node_def.add(), one)
    if versions is not None:
        expected.versions.producer, expected.versions.min_consumer = versions
    found = read(expected.SerializeToString())
    assert (found.producer, found.min_consumer) == (versions or (None, None))
    assert_same_nodes(found.nodes, expected.node, "")
    assert list(found.functions) == [one["name"] for one in functions]
    for theirs in expected.library.function:
        mine = found.functions[theirs.signature.name]
        assert mine.name == theirs.signature.name
        assert mine.arguments == tuple(one.name for one in theirs.signature.input_arg)
        assert mine.outputs == tuple(one.name for one in theirs.signature.output_arg)
        assert mine.returns == dict(theirs.ret)
        assert_same_nodes(mine.nodes, theirs.node_def, theirs.signature.name)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_graph_or_in_a_typed_error(data):
    for whole in (
        data,
        chunk(1, data),
        chunk(2, chunk(1, data)),
        chunk(1, node("a", "b", (), data)),
    ):
        try:
            graph = read(whole)
            for one in graph.walk():
                list(attributes(one.message))
                one.attr("value")
        except InspectorError:
            continue


# --- nodes ---


def test_a_node_keeps_where_it_is():
    data = chunk(1, node("first")) + chunk(1, node("second"))
    first, second = read(data).nodes
    # Tag and length, then 1 + 1 + 5 bytes of the name and 1 + 1 + 4 of the operator.
    assert (first.message.offset, first.message.length) == (2, 13)
    assert (second.message.offset, second.message.length) == (17, 14)


def test_operators_are_the_same_string():
    one, other = read(chunk(1, node("a", "Some/Op")) + chunk(1, node("b", "Some/Op"))).nodes
    assert one.op is other.op


@pytest.mark.parametrize(
    "written",
    [
        # A tag and a length of more bytes than they need, an unknown field, a number's, a group.
        b"\x8a\x00\x01a" + text(2, "Op") + text(3, "x"),
        b"\x0a\x81\x00a" + text(2, "Op") + text(3, "x"),
        node("a", "Op", ["x"]) + chunk(100, b"more"),
        node("a", "Op", ["x"]) + number(9, 3),
        tag(9, 3) + tag(9, 4) + node("a", "Op", ["x"]),
        # The last of two counts; a varint where a name should be does not.
        text(1, "b") + text(1, "a") + number(1, 7) + text(2, "Op") + text(3, "x"),
    ],
)
def test_a_node_in_any_other_writing_reads_the_same(written):
    (found,) = read(chunk(1, written)).nodes
    assert (found.name, found.op, found.inputs) == ("a", "Op", ("x",))


def test_nodes_longer_than_what_is_read_at_once_and_across_its_edges_read_the_same():
    # Lengths without a common measure with any block's; nodes of 90 KB and of 3 MB among them.
    written = [(f"n{at}" + "x" * (at % 97), "Op", (f"i{at}",) * (at % 7)) for at in range(4000)]
    written[1234] = ("waits", "NoOp", tuple(f"^node_number_{at}" for at in range(5000)))
    written[2345] = ("weights", "Const", ())
    big = {2345: attr("value", chunk(8, chunk(4, bytes(3 << 20))))}
    nodes = [node(*one, *([big[at]] if at in big else [])) for at, one in enumerate(written)]
    signature = text(1, "f") + chunk(2, text(1, "x"))
    parts = [chunk(1, signature), *(chunk(3, one) for one in nodes), chunk(4, text(1, "y"))]
    function = b"".join(parts)
    for first in (b"", number(3, 20)):  # an old graph's version makes each node be read by itself
        graph = read(
            first + b"".join(chunk(1, one) for one in nodes) + chunk(2, chunk(1, function))
        )
        for found, scope in ((graph.nodes, ""), (graph.functions["f"].nodes, "f")):
            assert [(one.name, one.op, one.inputs) for one in found] == written
            assert {one.scope for one in found} == {scope}
            assert [bytes(one.message.view()) for one in found] == nodes
        assert (graph.functions["f"].arguments, graph.functions["f"].returns) == (("x",), {"y": ""})


def test_names_that_are_no_text_stay_apart():
    (found,) = read(chunk(1, chunk(1, b"a\xff") + text(2, "Op"))).nodes
    assert found.name == "a\\xff"


def test_the_last_of_two_attributes_of_one_name_counts():
    written = node("a", "Op", (), attr("k", number(3, 1)), attr("j", b""), attr("k", number(3, 2)))
    (found,) = read(chunk(1, written)).nodes
    assert attr_int(found.attr("k")) == 2


def test_an_attribute_is_found_whichever_way_its_entry_is_written():
    value_first = chunk(5, chunk(2, number(3, 5)) + text(1, "k"))
    long_key = attr("n" * 200, number(3, 6))
    no_value = chunk(5, text(1, "empty"))
    no_key = chunk(5, chunk(2, number(3, 7)))
    (found,) = read(chunk(1, node("a", "Op", (), value_first, long_key, no_value, no_key))).nodes
    assert attr_int(found.attr("k")) == 5
    assert attr_int(found.attr("n" * 200)) == 6
    assert found.attr("empty").length == 0
    assert attr_int(found.attr("")) == 7
    assert found.attr("emp") is None


def test_a_constant_gives_its_tensor():
    tensor = number(1, 1) + chunk(2, shape(2)) + chunk(4, struct.pack("<2f", 1, 2))
    (found,) = read(chunk(1, node("c", "Const", (), attr("value", chunk(8, tensor))))).nodes
    value = read_tensor(attr_tensor(found.attr("value")))
    assert (value.dtype, value.shape) == ("float32", (2,))
    assert [one.tolist() for one in value.payload.blocks(64)] == [[1.0, 2.0]]


# --- functions and versions ---


def test_two_libraries_are_one():
    def library(name):
        signature = chunk(1, text(1, name))
        return chunk(2, chunk(1, signature + chunk(3, node("n"))))

    graph = read(library("f") + library("g"))
    assert list(graph.functions) == ["f", "g"]
    assert [(one.scope, one.name) for one in graph.walk()] == [("f", "n"), ("g", "n")]


def test_old_graphs_give_their_version_in_a_field_of_its_own():
    assert read(number(3, 8)).producer == 8
    assert read(number(3, 8) + chunk(4, number(1, 21) + number(2, 12))).producer == 21
    assert read(b"").producer is None


def test_functions_of_the_first_kind_read_like_later_ones():
    # message Node { ret = 1; op = 2; arg = 3; dep = 4; attr = 5 }, its results have names.
    split = text(1, "low") + text(1, "high") + text(2, "Split") + text(3, "axis") + text(3, "x")
    add = text(1, "y") + text(2, "Add") + text(3, "low") + text(3, "high") + text(4, "low")
    add += attr("T", number(6, 1))
    signature = text(1, "f") + chunk(2, text(1, "x")) + chunk(3, text(1, "y") + number(3, 1))
    function = chunk(1, signature) + chunk(2, split) + chunk(2, add)
    found = read(chunk(2, chunk(1, function))).functions["f"]
    assert (found.arguments, found.returns) == (("x",), {"y": "y"})
    first, second = found.nodes
    assert (first.name, first.op, first.inputs) == ("low", "Split", ("axis", "x"))
    assert second.inputs == ("low", "low:1", "^low")
    assert attr_type(second.attr("T")) == "float32"


# --- what attributes hold ---


def value(data):
    return message(MemorySource(data, "attr"))


def test_each_kind_of_attribute_is_read_and_the_others_are_none():
    kinds = {
        attr_text: (text(2, "NHWC"), "NHWC"),
        attr_int: (number(3, (1 << 64) - 1), -1),
        attr_bool: (number(5, 0), False),
        attr_type: (number(6, 14), "bfloat16"),
        attr_shape: (chunk(7, shape(3) + chunk(2, number(1, (1 << 64) - 1))), (3, None)),
        attr_func: (chunk(10, text(1, "body")), "body"),
    }
    for reader, (data, expected) in kinds.items():
        assert reader(value(data)) == expected
        for other in kinds.keys() - {reader}:
            assert other(value(data)) is None


def test_an_empty_text_is_no_missing_one():
    assert attr_text(value(chunk(2, b""))) == ""


def test_lists_are_read_packed_or_not():
    assert attr_types(value(chunk(1, chunk(6, b"\x01\x07") + number(6, 20)))) == (
        "float32",
        "string",
        "resource",
    )
    assert attr_funcs(value(chunk(1, chunk(9, text(1, "then")) + chunk(9, text(1, "else"))))) == (
        "then",
        "else",
    )
    assert attr_shapes(value(chunk(1, chunk(7, shape(2)) + chunk(7, number(3, 1))))) == ((2,), None)
    assert attr_texts(value(chunk(1, text(2, "a") + text(2, "b")))) == ("a", "b")
    assert attr_types(value(b"")) == ()


def test_shapes_tell_no_rank_from_no_sides():
    assert sides(None) is None
    assert sides(value(b"")) == ()
    assert sides(value(number(3, 1))) is None
    assert sides(value(chunk(2, text(2, "unnamed")))) == (0,)


def test_dtypes_have_tensorflows_names():
    assert [type_name(one) for one in (1, 11, 101, 0, 99, 134)] == [
        "float32",
        "qint8",
        "float32_ref",
        "unknown (0)",
        "unknown (99)",
        "unknown (134)",
    ]


# --- bounds ---


def test_a_length_past_the_end_is_truncated_with_its_place():
    with pytest.raises(Truncated) as caught:
        read(chunk(1, text(1, "a") + b"\x12\x7f"))
    assert caught.value.offset == 5


def test_nodes_and_their_inputs_are_counted_in_all_functions():
    function = chunk(1, text(1, "f")) + chunk(3, node("n", "Op", ["a", "b"]))
    data = chunk(1, node("m", "Op", ["a"])) + chunk(2, chunk(1, function))
    # Two nodes, three inputs, and the function itself.
    assert len(list(read(data, nodes=6).walk())) == 2
    with pytest.raises(LimitExceeded, match="limit nodes"):
        read(data, nodes=5)
    with pytest.raises(LimitExceeded, match="limit nodes"):
        read(chunk(1, node("n", "Op", [""] * 100)), nodes=50)


def test_depth_is_bounded():
    with pytest.raises(LimitExceeded, match="limit depth"):
        read(chunk(1, node("a")), depth=0)


@pytest.mark.parametrize(
    "data",
    [
        chunk(1, b"\x0a" + b"\xff" * 9 + b"\x01") * 50_000,
        chunk(1, b"\x0a" + varint(1 << 40)) * 50_000,
        chunk(1, b"\xff" * 500_000),
    ],
    ids=["lengths without bounds", "lengths past the end", "one varint"],
)
def test_lies_about_lengths_cost_no_time(data):
    start = time.perf_counter()
    with pytest.raises(InspectorError):
        read(data)
    assert time.perf_counter() - start < 5


def test_a_graph_of_many_nodes_takes_some_microseconds_a_node():
    attrs = attr("T", number(6, 1)) + attr("transpose_a", number(5, 0))
    data = chunk(1, node("layer/MatMul", "MatMul", ["layer/x", "layer/w"], attrs)) * 50_000
    start = time.perf_counter()
    graph = read(data)
    spent = time.perf_counter() - start
    assert len(graph.nodes) == 50_000
    assert spent < 5  # 0.3 s on a common machine
