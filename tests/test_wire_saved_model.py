import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import InspectorError, LimitExceeded, Truncated
from inspector.limits import Limits
from inspector.model import Port
from inspector.storage import MemorySource
from inspector.wire.protobuf import message
from inspector.wire.saved_model import (
    AssetFile,
    SaveSlice,
    read_fingerprint,
    read_meta_graph,
    read_saved_model,
    read_variable,
)
from tests.builders.bundles import chunk, number, shape

FLOAT, STRING, FLOAT_REF = 1, 7, 101
MATRIX = chunk(3, shape(-1, 4))


def entry(key, value):
    """An entry of a map field."""
    return chunk(1, key.encode()) + chunk(2, value)


def info(name="x:0", dtype=FLOAT, sides=MATRIX):
    return chunk(1, name.encode()) + number(2, dtype) + sides


def signature(inputs=(), outputs=(), method=b"tensorflow/serving/predict"):
    parts = [chunk(1, entry(key, value)) for key, value in inputs]
    parts += [chunk(2, entry(key, value)) for key, value in outputs]
    return b"".join(parts) + chunk(3, method)


def about(*tags, version=b"2.21.0"):
    return b"".join(chunk(4, tag) for tag in tags) + chunk(5, version) + chunk(6, b"v2.21")


def variable(name, *more):
    return chunk(1, name.encode()) + b"".join(more)


def meta(data, limits=None):
    return read_meta_graph(message(MemorySource(data, "model"), limits or Limits()))


def collection(name, kind, *items):
    return chunk(4, entry(name, chunk(kind, b"".join(chunk(1, one) for one in items))))


def only_signature(**parts):
    (found,) = meta(chunk(5, entry("call", signature(**parts)))).signatures
    return found


def test_the_meta_graphs_of_a_saved_model_come_in_order():
    first = chunk(1, about(b"train", b"serve")) + chunk(2, b"\n\0") + chunk(7, b"")
    second = chunk(1, about(b"serve", version=b"1.15.0"))
    data = number(1, 1) + chunk(2, first) + chunk(2, second)
    found = read_saved_model(message(MemorySource(data, "saved_model.pb")))
    assert found.schema_version == 1
    assert [one.tags for one in found.meta_graphs] == [("train", "serve"), ("serve",)]
    assert [one.tensorflow_version for one in found.meta_graphs] == ["2.21.0", "1.15.0"]
    one, other = found.meta_graphs
    assert one.git_version == "v2.21"
    assert (bytes(one.graph.view()), one.objects.length) == (b"\n\0", 0)
    assert (other.graph, other.objects) == (None, None)


def test_an_empty_message_is_a_model_of_no_meta_graph():
    found = read_saved_model(message(MemorySource(b"", "saved_model.pb")))
    assert (found.schema_version, found.meta_graphs) == (0, ())


def test_a_meta_graph_that_says_nothing_has_nothing():
    found = meta(b"")
    assert found.tags == found.signatures == found.assets == ()
    assert found.tensorflow_version is None
    assert found.git_version is None
    assert found.collections == {}
    assert found.variables("variables") == ()


def test_signatures_and_their_ports_are_sorted_and_have_the_tags():
    parts = {
        "inputs": [("z", info("z:0")), ("a", info("a:0"))],
        "outputs": [("y", info("y:0", STRING, chunk(3, number(3, 1))))],
    }
    data = (
        chunk(1, about(b"serve"))
        + chunk(5, entry("second", signature()))
        + chunk(5, entry("first", signature(**parts)))
    )
    first, second = meta(data).signatures
    assert (first.name, second.name) == ("first", "second")
    assert first.inputs == (
        Port("a", "float32", (None, 4), "a:0"),
        Port("z", "float32", (None, 4), "z:0"),
    )
    assert first.outputs == (Port("y", "string", None, "y:0"),)
    assert (first.method, first.tags) == ("tensorflow/serving/predict", ("serve",))
    assert second.inputs == second.outputs == ()


def test_of_a_signature_given_twice_the_last_one_counts():
    data = chunk(5, entry("call", signature(method=b"one")))
    data += chunk(5, entry("call", signature(method=b"two")))
    assert [one.method for one in meta(data).signatures] == ["two"]


def test_a_port_without_a_shape_is_a_scalar_and_one_without_a_dtype_says_none():
    found = only_signature(inputs=[("x", info(dtype=0, sides=b""))])
    assert found.inputs == (Port("x", None, (), "x:0"),)


def test_a_reference_has_the_dtype_that_it_refers_to():
    assert only_signature(inputs=[("x", info(dtype=FLOAT_REF))]).inputs[0].dtype == "float32"


def test_a_sparse_or_composite_port_names_all_its_tensors():
    sparse = chunk(4, chunk(1, b"v:0") + chunk(2, b"i:0") + chunk(3, b"s:0")) + number(2, FLOAT)
    inner = chunk(5, chunk(2, info("a:0")))
    ragged = chunk(5, chunk(2, inner) + chunk(2, info("b:0")))
    found = only_signature(inputs=[("ragged", ragged), ("sparse", sparse)])
    assert found.inputs == (
        Port("ragged", "float32", None, "a:0, b:0"),
        Port("sparse", "float32", (), "v:0, i:0, s:0"),
    )


def test_a_variable_has_the_name_of_its_node_and_a_part_the_key_of_the_whole():
    whole = chunk(1, b"net/emb") + chunk(2, b"\x0a\x04") + chunk(3, b"\x04\0") + chunk(4, b"\3\4")
    plain = variable("net/w:0", chunk(2, b"net/w/Assign"), chunk(3, b"net/w/read:0"), number(7, 1))
    part = variable("net/emb/part_1:0", chunk(4, whole), number(5, 1))
    data = collection("variables", 2, plain, part) + collection("trainable_variables", 2, plain)
    found = meta(data)
    one, other = found.variables("variables")
    assert (one.name, one.key, one.part) == ("net/w", "net/w", None)
    assert (one.initializer, one.snapshot, one.trainable) == ("net/w/Assign", "net/w/read:0", True)
    assert (other.name, other.key) == ("net/emb/part_1", "net/emb")
    assert other.part == SaveSlice("net/emb", (10, 4), (4, 0), (3, 4))
    assert (other.is_resource, other.trainable) == (True, False)
    assert [v.name for v in found.variables("trainable_variables")] == ["net/w"]


def test_a_name_without_an_output_or_with_a_colon_of_its_own_stays():
    source = MemorySource(variable("a:b"), "model")
    assert read_variable(message(source)).name == "a:b"


def test_collections_say_what_they_hold():
    data = (
        collection("train_op", 1, b"Adam", b"step")
        + collection("variables", 2)
        + chunk(4, entry("numbers", chunk(3, chunk(1, b"\1\2"))))
        + chunk(4, chunk(1, b"empty"))
    )
    found = meta(data)
    kinds = {name: one.kind for name, one in found.collections.items()}
    assert kinds == {"train_op": "nodes", "variables": "bytes", "numbers": "int64", "empty": ""}
    assert found.collections["train_op"].nodes() == ("Adam", "step")
    assert found.collections["variables"].nodes() == ()
    assert list(found.collections["train_op"].messages()) == []
    assert found.variables("train_op") == ()


def test_assets_come_from_their_field_or_else_from_the_collection_of_older_writers():
    asset = chunk(1, info("path:0", STRING)) + chunk(2, b"vocab.txt")
    packed = collection("saved_model_assets", 5, chunk(1, b"type.url") + chunk(2, asset))
    newer = chunk(6, chunk(1, info("new:0")) + chunk(2, b"new.txt"))
    assert meta(packed).assets == (AssetFile("vocab.txt", "path:0"),)
    assert meta(packed + newer).assets == (AssetFile("new.txt", "new:0"),)


def test_a_fingerprint_has_its_hashes_by_name():
    data = number(1, (1 << 64) - 1) + number(5, 7) + chunk(6, number(1, 4)) + chunk(7, b"123")
    found = read_fingerprint(message(MemorySource(data, "fingerprint.pb")))
    assert (found.uuid, found.version) == ("123", 4)
    assert found.hashes["saved_model_checksum"] == (1 << 64) - 1
    assert found.hashes["checkpoint_hash"] == 7


def test_a_collection_of_too_many_variables_is_refused():
    data = collection("variables", 2, variable("a"), variable("b"))
    with pytest.raises(LimitExceeded) as caught:
        meta(data, Limits(tensors=1)).variables("variables")
    assert caught.value.name == "tensors"


def test_tensors_nested_without_end_are_refused():
    deep = info()
    for _ in range(300):
        deep = chunk(5, chunk(2, deep))
    with pytest.raises(LimitExceeded, match="depth"):
        only_signature(inputs=[("x", deep)])


def test_a_meta_graph_that_ends_early_is_truncated():
    data = chunk(1, about(b"serve"))
    with pytest.raises(Truncated):
        meta(data[:-1])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_end_in_a_value_or_a_typed_error(data):
    whole = (
        chunk(1, about(b"serve"))
        + chunk(3, chunk(1, b"file:0"))
        + collection("variables", 2, variable("w:0", chunk(4, chunk(1, b"w"))))
        + chunk(5, entry("call", signature(inputs=[("x", info())])))
        + chunk(6, chunk(2, b"vocab.txt"))
    )
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = meta(bytes(damaged))
        for name in found.collections:
            found.variables(name)
    except InspectorError:
        pass
