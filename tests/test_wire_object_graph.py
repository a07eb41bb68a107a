"""Object graphs as messages written by hand, field by field, as their .proto files number them."""

import contextlib

import pytest

from inspector.errors import Corrupt, LimitExceeded, Truncated
from inspector.limits import Limits
from inspector.storage import MemorySource
from inspector.wire.object_graph import (
    Attribute,
    KerasNode,
    Reference,
    SavedVariable,
    SlotReference,
    read_keras_metadata,
    read_saved_object_graph,
    read_trackable_object_graph,
)
from inspector.wire.protobuf import message
from tests.builders.bundles import chunk, number


def of(data, limits=None):
    source = MemorySource(data, "graph")
    return message(source, limits) if limits is not None else message(source)


def text(field, value):
    return chunk(field, value.encode())


def reference(node, name):
    return number(1, node) + text(2, name)


def dimension(size):
    return chunk(2, number(1, size))


# SavedVariable: dtype 1 (float is 1), shape 2, trainable 3, name 6
VARIABLE = (
    number(1, 1) + chunk(2, dimension(3) + dimension(4)) + number(3, 1) + text(6, "dense/kernel")
)


def test_a_saved_graph_has_its_objects_in_order():
    user = chunk(1, reference(1, "kernel")) + chunk(
        4, text(1, "_tf_keras_layer") + text(3, '{"name": "dense"}')
    )
    graph = read_saved_object_graph(of(chunk(1, user) + chunk(1, chunk(7, VARIABLE))))
    layer, variable = graph.nodes
    assert (layer.id, layer.kind, layer.identifier) == (0, "user_object", "_tf_keras_layer")
    assert layer.metadata == '{"name": "dense"}'
    assert layer.children == (Reference("kernel", 1),)
    assert (layer.child("kernel"), layer.child("bias")) == (1, None)
    assert (variable.id, variable.kind) == (1, "variable")
    assert variable.variable == SavedVariable("dense/kernel", "float32", (3, 4), True)


@pytest.mark.parametrize(
    ("field", "body", "kind", "attribute", "value"),
    [
        (5, number(1, 2), "asset", "asset", 2),
        (6, text(1, "call_1") + text(1, "call_2"), "function", "functions", ("call_1", "call_2")),
        (8, text(1, "serve"), "bare_concrete_function", "functions", ("serve",)),
        (9, text(1, "Const_3"), "constant", "operation", "Const_3"),
        (10, text(1, "/cpu:0"), "resource", "operation", ""),
        (12, text(1, "x:0") + text(2, "f"), "captured_tensor", "operation", "x:0"),
    ],
)
def test_every_kind_of_object_is_told(field, body, kind, attribute, value):
    (node,) = read_saved_object_graph(of(chunk(1, chunk(field, body)))).nodes
    assert node.kind == kind
    assert getattr(node, attribute) == value


def test_an_object_of_no_kind_has_none():
    (node,) = read_saved_object_graph(of(chunk(1, text(13, "tf.Thing")))).nodes
    assert (node.kind, node.registered) == ("", "tf.Thing")


def test_a_variable_with_an_open_side_has_no_shape():
    (node,) = read_saved_object_graph(
        of(chunk(1, chunk(7, number(1, 9) + chunk(2, dimension(-1)))))
    ).nodes
    assert (node.variable.dtype, node.variable.shape) == ("int64", None)


def test_a_scalar_without_a_shape_message_is_a_scalar():
    (node,) = read_saved_object_graph(of(chunk(1, chunk(7, number(1, 1))))).nodes
    assert (node.variable.shape, node.variable.trainable) == ((), False)


def test_a_distributed_variable_has_its_components():
    body = VARIABLE + chunk(8, VARIABLE) + chunk(8, number(1, 1) + text(6, "second"))
    (node,) = read_saved_object_graph(of(chunk(1, chunk(7, body)))).nodes
    assert [one.name for one in node.variable.components] == ["dense/kernel", "second"]


def test_functions_say_what_they_captured():
    # bound_inputs (field 2) are packed int32
    functions = chunk(2, text(1, "f") + chunk(2, chunk(2, bytes([1, 0])))) + chunk(2, text(1, "g"))
    graph = read_saved_object_graph(of(chunk(1, b"") + chunk(1, b"") + functions))
    assert graph.captures == {"f": (1, 0), "g": ()}


def test_a_checkpoint_s_graph_has_keys_and_slots():
    attribute = text(1, "VARIABLE_VALUE") + text(2, "dense/kernel") + text(3, "w/.ATTRIBUTES/V")
    slot = number(1, 1) + text(2, "m") + number(3, 1)
    graph = read_trackable_object_graph(
        of(chunk(1, chunk(1, reference(1, "w")) + chunk(3, slot)) + chunk(1, chunk(2, attribute)))
    )
    root, variable = graph.nodes
    assert root.slots == (SlotReference("m", 1, 1),)
    assert variable.attributes == (Attribute("VARIABLE_VALUE", "dense/kernel", "w/.ATTRIBUTES/V"),)
    assert (root.kind, graph.captures) == ("", {})


def test_keras_metadata_is_kept_by_the_object_s_number():
    node = number(2, 7) + text(3, "root.layer-1") + text(4, "_tf_keras_layer") + text(5, "{}")
    assert read_keras_metadata(of(chunk(1, node))) == {
        7: KerasNode(7, "root.layer-1", "_tf_keras_layer", "{}")
    }


def test_an_empty_graph_has_no_objects():
    assert read_saved_object_graph(of(b"")).nodes == ()
    assert read_trackable_object_graph(of(b"")).nodes == ()


@pytest.mark.parametrize(
    "data",
    [
        chunk(1, chunk(1, reference(1, "gone"))),
        chunk(1, chunk(1, reference(-1, "before"))),
        chunk(1, chunk(3, number(1, 5) + text(2, "m") + number(3, 0))),
        chunk(1, chunk(3, number(1, 0) + text(2, "m") + number(3, 5))),
        chunk(1, b"") + chunk(2, text(1, "f") + chunk(2, number(2, 1))),
    ],
)
def test_a_reference_to_an_object_that_is_not_there_is_refused(data):
    with pytest.raises(Corrupt, match="of 1"):
        read_saved_object_graph(of(data))


def test_objects_and_references_are_counted_against_the_limit():
    data = chunk(1, chunk(1, reference(0, "a")) * 5)
    assert len(read_saved_object_graph(of(data, Limits(nodes=6))).nodes[0].children) == 5
    with pytest.raises(LimitExceeded, match="nodes"):
        read_saved_object_graph(of(data, Limits(nodes=5)))
    with pytest.raises(LimitExceeded, match="nodes"):
        read_trackable_object_graph(of(chunk(1, b"") * 6, Limits(nodes=5)))
    with pytest.raises(LimitExceeded, match="nodes"):
        read_keras_metadata(of(chunk(1, b"") * 6, Limits(nodes=5)))


def test_every_cut_is_a_typed_error_or_a_shorter_graph():
    data = chunk(1, chunk(1, reference(1, "kernel"))) + chunk(1, chunk(7, VARIABLE))
    for end in range(len(data)):
        with contextlib.suppress(Truncated, Corrupt):
            assert len(read_saved_object_graph(of(data[:end])).nodes) < 2
