"""Graphs in files of their own, written by hand: constants, layers, bytes, and what is broken."""

import struct

import numpy as np
import pytest

from inspector.classify import classify
from inspector.errors import ArtifactError, Corrupt, Truncated, UnknownFormat
from inspector.graph.flow import uses_of
from inspector.limits import DEFAULT
from inspector.model import Naming, Role, Section, Severity, Store, Use
from inspector.read import frozen_graph, read
from inspector.read.graph_common import read_constants, variable_uses
from inspector.storage import MemorySource
from inspector.wire.graph_def import read_graph
from inspector.wire.protobuf import message
from inspector.wire.saved_model import read_meta_graph
from tests.builders.bundles import chunk, number, shape
from tests.builders.checks import codes, opened, refused, tensor
from tests.builders.saved_models import (
    called,
    collection,
    const,
    dtype,
    function,
    graph,
    meta_graph,
    node,
    signature,
    tensor_info,
    variable_def,
)

FLOAT, INT32, QUINT8, STRING = 1, 3, 12, 7


def typed(name, kind, sides, *values: bytes) -> bytes:
    """A Const with values in fields of the TensorProto, as they are given."""
    held = number(1, kind) + chunk(2, shape(*sides)) + b"".join(values)
    return node(name, "Const", dtype=dtype(kind), value=chunk(8, held))


def dense(scope="dense", sides=(2, 3)) -> list[bytes]:
    """A layer as convert_variables_to_constants_v2 leaves it."""
    count = sides[0] * sides[1]
    return [
        const(
            f"{scope}/MatMul/ReadVariableOp/resource", [float(one) for one in range(count)], sides
        ),
        node(
            f"{scope}/MatMul/ReadVariableOp", "Identity", f"{scope}/MatMul/ReadVariableOp/resource"
        ),
        node(f"{scope}/MatMul", "MatMul", "x", f"{scope}/MatMul/ReadVariableOp"),
        const(f"{scope}/BiasAdd/ReadVariableOp/resource", [0.5] * sides[1]),
        node(
            f"{scope}/BiasAdd/ReadVariableOp",
            "Identity",
            f"{scope}/BiasAdd/ReadVariableOp/resource",
        ),
        node(f"{scope}/BiasAdd", "BiasAdd", f"{scope}/MatMul", f"{scope}/BiasAdd/ReadVariableOp"),
    ]


X = node("x", "Placeholder", dtype=dtype(FLOAT), shape=chunk(7, shape(4, 2)))


@pytest.fixture
def written(tmp_path):
    def write(data: bytes, name="graph.pb"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


def values(path, name):
    with read(path) as result:
        held = tensor(result.artifact, name)
        blocks = [np.array(block) for block in held.payload.blocks(1 << 20)]
    return np.concatenate(blocks).reshape(held.shape)


# --- constants ---


def test_a_constant_is_a_tensor_with_its_values_where_they_lie(written):
    data = graph([X, *dense("net/dense")])
    path = written(data)
    artifact = opened(path)
    kernel, bias = artifact.tensors
    assert kernel.name == "net/dense/MatMul/ReadVariableOp/resource"
    assert (kernel.dtype, kernel.shape, kernel.elements, kernel.nbytes) == (
        "float32",
        (2, 3),
        6,
        24,
    )
    (extent,) = kernel.extents
    at = extent.offset
    assert data[at : at + extent.length] == struct.pack("<6f", 0, 1, 2, 3, 4, 5)
    assert (kernel.section, kernel.naming) == (Section.GRAPH, Naming.NODES)
    assert kernel.uses == (Use("MatMul", 1, "net/dense/MatMul", ("Identity",)),)
    assert values(path, kernel.name).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (bias.variable, bias.shape) == ("bias", (3,))
    assert (artifact.format, artifact.store) == ("frozen-graph", Store.NAMES)
    assert artifact.uncounted is not None


def test_a_repeated_value_counts_all_its_elements_and_is_not_expanded(written):
    # float_val (5), packed: one value for 2 x 500 million.
    one = chunk(5, struct.pack("<f", 2.5))
    path = written(graph([typed("fill", FLOAT, (2, 500_000_000), one)]))
    with read(path) as result:
        (held,) = result.artifact.tensors
        assert (held.elements, held.nbytes) == (1_000_000_000, 4)
        assert "one value for all 1,000,000,000 elements" in held.storage
        first = next(iter(held.payload.blocks(1 << 16)))
        assert first.nbytes <= 1 << 16
        assert (first == 2.5).all()


def test_quantized_and_string_constants_say_how_they_are_stored(written):
    quantized = typed("q", QUINT8, (3,), chunk(4, bytes([1, 2, 250])))
    strings = typed("s", STRING, (2,), chunk(8, b"ab"), chunk(8, b"cde"))
    path = written(graph([quantized, strings]))
    q, s = opened(path).tensors
    assert (q.dtype, q.storage) == ("uint8", "quint8 in tensor_content")
    assert values(path, "q").tolist() == [1, 2, 250]
    # "ab", then a tag and a length, then "cde".
    assert (s.dtype, s.shape, s.payload, s.nbytes) == ("string", (2,), None, 2 + 2 + 3)


def test_constants_of_functions_are_named_after_both(written):
    inner = function(
        "f",
        ["a"],
        [const("w", [1.0] * 4, (2, 2)), node("m", "MatMul", "a", "w:output:0")],
        {"o": "m:product:0"},
    )
    artifact = opened(
        written(graph([X, node("call", "PartitionedCall", "x", f=called("f"))], [inner]))
    )
    (held,) = artifact.tensors
    assert held.name == "f/w"
    assert held.uses == (Use("MatMul", 1, "m"),)
    assert set(artifact.overhead) == {"graph", "functions"}
    # Library and function each have a tag and a length of two bytes; 16 bytes are values.
    assert artifact.overhead["functions"] == 3 + 3 + len(inner) - 16


def function_with(name, values, constant="net/w"):
    return function(name, [], [const(constant, values)], {})


@pytest.mark.parametrize(
    ("second", "copied"),
    [
        (function_with("g", [1.5] * 16), True),
        (function_with("g", [1.5] * 16, "outer/net/w"), True),  # inlined into another scope
        (function_with("g", [1.5] * 15 + [2.0]), False),
        (function_with("g", [1.5] * 16, "other/w"), False),
        (function_with("g", [1.5] * 16, "w"), True),
        (function_with("g", [1.5] * 16, "et/w"), False),
    ],
)
def test_a_constant_that_another_function_has_too_repeats_it(written, second, copied):
    artifact = opened(written(graph([], [function_with("f", [1.5] * 16), second])))
    first, other = artifact.tensors
    assert first.repeats is None
    assert other.repeats == ("f/net/w" if copied else None)


def test_small_constants_and_those_of_one_function_are_no_copies(written):
    small = [function_with(name, [1.5] * 15) for name in "fg"]  # 60 bytes
    assert [one.repeats for one in opened(written(graph([], small))).tensors] == [None, None]
    both = function("f", [], [const("a/w", [1.5] * 16), const("b/a/w", [1.5] * 16)], {})
    assert [one.repeats for one in opened(written(graph([], [both]))).tensors] == [None, None]


def test_a_copy_is_an_alias_and_its_weight_counts_once(written):
    body = [const("w", [1.0] * 16, (4, 4)), node("m", "MatMul", "a", "w:output:0")]
    functions = [function(name, ["a"], body, {"o": "m:product:0"}) for name in "fg"]
    calls = [node(f"call_{name}", "PartitionedCall", "x", f=called(name)) for name in "fg"]
    artifact = opened(written(graph([X, *calls], functions)))
    roles = [one.role for one in classify(artifact).verdicts.values()]
    assert roles == [Role.WEIGHT, Role.ALIAS]


def test_constants_of_one_name_get_names_of_their_own(written):
    artifact = opened(written(graph([const("a", [1.0]), const("a (2)", [2.0]), const("a", [3.0])])))
    assert [one.name for one in artifact.tensors] == ["a", "a (2)", "a (3)"]
    assert codes(artifact) == ["duplicate-node"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (node("c", "Const", dtype=dtype(FLOAT)), "without a value"),
        (typed("c", FLOAT, (3,), chunk(4, b"\0" * 8)), "tensor_content"),
        (typed("c", 99, (1,)), "dtype 99"),
        (node("c", "ImmutableConst", dtype=dtype(FLOAT)), "in another file"),
        (node("c", "Const", value=chunk(8, b"\x0a\x7f")), "missing"),
    ],
)
def test_a_constant_that_cannot_be_read_is_a_problem_and_the_rest_opens(written, broken, reason):
    artifact = opened(written(graph([const("good", [1.0]), broken])))
    (problem,) = artifact.problems
    assert problem.code == "constant-unreadable"
    assert problem.severity is Severity.ERROR
    assert reason in problem.message
    assert artifact.tensors[0].name == "good"


def test_many_broken_constants_do_not_flood_the_report(written):
    artifact = opened(written(graph([node(f"c{at}", "Const") for at in range(100)])))
    assert len(artifact.problems) == 21
    assert artifact.problems[-1].message == "80 more constants cannot be read"


# --- layers ---


def test_layers_are_called_after_what_reads_their_largest_weight(written):
    pieces = [
        X,
        *dense("net/a"),
        *dense("net/b"),
        typed("net/b/shape", INT32, (1,), chunk(7, b"\2")),
    ]
    artifact = opened(written(graph(pieces)))
    assert [(one.path, one.name, one.class_name) for one in artifact.guessed] == [
        ("net/a", "a", "MatMul"),
        ("net/b", "b", "MatMul"),
    ]
    owners = [one.owner for one in artifact.tensors]
    assert owners == ["net/a", "net/a", "net/b", "net/b", None]


def test_a_scope_of_an_absurd_depth_costs_little(written):
    deep = "while/" * 100_000
    pieces = [X, const(f"{deep}w", [1.0]), node(f"{deep}MatMul", "MatMul", "x", f"{deep}w")]
    assert len(opened(written(graph(pieces))).tensors) == 1


# --- the file ---


def test_unknown_fields_are_counted_and_said(written):
    artifact = opened(written(graph([X, *dense()]) + chunk(77, b"12345")))
    assert artifact.overhead["unknown fields"] == 2 + 1 + 5  # field 77 has a tag of two bytes
    assert codes(artifact) == ["unknown-fields"]


def test_debug_info_has_a_label_and_an_empty_library_none(written):
    artifact = opened(written(graph([X]) + chunk(2, b"") + chunk(5, b"\x0a\x01a")))
    assert artifact.overhead == {"graph": artifact.nbytes - 5, "debug info": 5}


def test_trailing_bytes_are_refused_with_their_place(written):
    data = graph([X, *dense()])
    with pytest.raises(Corrupt) as caught:
        read(written(data + b"\0" * 16))
    assert caught.value.offset == len(data)


def small() -> bytes:
    inner = function(
        "f", ["a"], [const("v", [1.0]), node("m", "Mul", "a", "v:output:0")], {"o": "m:z:0"}
    )
    call = node("call", "PartitionedCall", "x", f=called("f"))
    return graph([X, const("w", [1.0, 2.0]), call], [inner])


def test_a_file_cut_off_anywhere_opens_adding_up_or_is_refused(written):
    data = small()
    for size in range(1, len(data)):
        path = written(data[:size])
        try:
            artifact = opened(path)
        except (Truncated, UnknownFormat, Corrupt):
            continue
        # At the end of a field protobuf does not tell that more was to come.
        assert artifact.nbytes == size


def test_flipped_bits_end_in_a_typed_error_or_add_up(written):
    data = small()
    for at in range(len(data)):
        for bit in (1, 6):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            try:
                artifact = opened(written(bytes(flipped)))
            except ArtifactError:
                continue
            classify(artifact)


def test_a_graph_whose_inputs_are_missing_says_so(written):
    artifact = opened(written(graph([X, *dense()[:1], node("y", "AddV2", "x", "gone:1", "^lost")])))
    assert codes(artifact) == ["missing-node"]
    assert "2 nodes" in artifact.problems[0].message
    assert "gone, lost" in artifact.problems[0].message


def test_variables_of_a_graph_that_is_not_frozen_are_named(written):
    pieces = [node("w", "VariableV2", dtype=dtype(FLOAT)), node("r", "Identity", "w")]
    artifact = opened(written(graph(pieces)))
    assert "not frozen" in artifact.kind
    assert codes(artifact) == ["variables-elsewhere"]
    assert "1 variable (w)" in artifact.problems[0].message


def test_a_file_that_was_re_encoded_as_text_is_called_so(written):
    data = graph([X, const("w", [1.7, -2.3, 3.9, -4.1])]).decode("utf-8", "replace").encode()
    with pytest.raises(ArtifactError, match="re-encoded as text"):
        read(written(data))


def test_a_sound_beginning_does_not_hide_that_a_file_was_re_encoded(written):
    data = chunk(1, X) + chunk(1, const("w", [-1.7] * 32))
    path = written(data.decode("utf-8", "replace").encode())
    with pytest.raises(Corrupt, match="re-encoded as text"):
        frozen_graph.read(path, DEFAULT)


# --- how it is called, and with what ---


def test_operators_are_counted_in_functions_too_and_calls_by_name_are_none(written):
    inner = function("f", ["a"], [node("m", "Relu", "a"), node("n", "MyOp", "m")], {"o": "n:y:0"})
    pieces = [X, node("call", "f", "x"), node("r", "Relu", "call"), node("s", "Relu", "r")]
    found = opened(written(graph(pieces, [inner]))).operators
    assert [(one.name, one.count, one.custom) for one in found] == [
        ("Relu", 3, False),
        ("MyOp", 1, True),
        ("Placeholder", 1, False),
    ]


def test_what_is_fed_and_what_nothing_reads_is_how_a_graph_is_called(written):
    pieces = [X, *dense(), node("noop", "NoOp", "^dense/BiasAdd"), const("alone", [1.0])]
    pieces += [node("out", "Identity", "dense/BiasAdd", T=dtype(FLOAT))]
    (found,) = opened(written(graph(pieces))).signatures
    assert [(one.name, one.dtype, one.shape, one.tensor) for one in found.inputs] == [
        ("x", "float32", (4, 2), "x:0")
    ]
    assert [(one.name, one.dtype) for one in found.outputs] == [("out", "float32")]


# --- a MetaGraphDef alone ---


def meta(**more) -> bytes:
    pieces = [
        X,
        node("net/w", "VariableV2", dtype=dtype(FLOAT)),
        node("net/w/read", "Identity", "net/w"),
        node("y", "MatMul", "x", "net/w/read"),
        const("c", [1.0, 2.0]),
        node("z", "AddV2", "y", "c"),
    ]
    return meta_graph(graph(pieces), **more)


def test_a_meta_graph_says_where_its_variables_are(written, tmp_path):
    calls = {"serve": signature({"a": tensor_info("x:0", (4, 2))}, {"b": tensor_info("z:0")})}
    path = written(meta(signatures=calls, collections=[collection("variables", b"")]), "m.meta")
    artifact = opened(path)
    assert artifact.kind.startswith("MetaGraphDef")
    assert artifact.producer is not None
    assert (artifact.producer.name, artifact.producer.version) == ("tensorflow", "2.21.0")
    assert artifact.tags == (("serve",),)
    assert [one.name for one in artifact.signatures] == ["serve"]
    assert [one.name for one in artifact.tensors] == ["c"]
    assert set(artifact.overhead) == {"meta info", "graph", "collections"}
    assert "not in this file" in artifact.problems[0].message
    (tmp_path / "m.index").write_bytes(b"")
    assert "m.index" in opened(path).problems[0].message


def test_uses_of_variables_are_found_by_key_and_parts_of_one_are_joined():
    pieces = [
        X,
        *(node(f"e/part_{at}", "VariableV2") for at in (0, 1)),
        *(node(f"m{at}", "MatMul", "x", f"e/part_{at}") for at in (0, 1)),
        node("w", "VarHandleOp"),
    ]
    parts = [variable_def(f"e/part_{at}", whole="e") for at in (0, 1)]
    data = meta_graph(graph(pieces), collections=[collection("variables", *parts)])
    held = read_meta_graph(message(MemorySource(data, "m.meta")))
    assert held.graph is not None
    found = read_graph(held.graph)
    assert variable_uses(found, uses_of(found), held.variables("variables")) == {
        "e": (Use("MatMul", 1, "m0"), Use("MatMul", 1, "m1")),
        "w": (),
    }


def test_a_meta_graph_without_a_graph_is_refused(written):
    assert "without a graph" in refused(written(chunk(1, chunk(5, b"2.4.1"))), Corrupt)


# --- text ---

TEXT = """
# a frozen layer
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
node {
  name: "d/w" op: "Const"
  attr { key: "value" value { tensor {
    dtype: DT_FLOAT tensor_shape { dim { size: 2 } dim { size: 1 } }
    tensor_content: "\\000\\000\\200?\\000\\000\\000@" } } }
}
node { name: "d/MatMul" op: "MatMul" input: "x" input: "d/w" }
versions { producer: 24 }
"""


def test_a_graph_as_text_has_the_same_constants_and_its_own_bytes(written):
    path = written(TEXT.encode(), "graph.pbtxt")
    artifact = opened(path)
    (held,) = artifact.tensors
    assert values(path, "d/w").tolist() == [[1.0], [2.0]]
    (extent,) = held.extents
    assert (
        TEXT[extent.offset : extent.offset + extent.length] == '"\\000\\000\\200?\\000\\000\\000@"'
    )
    assert extent.codec == "text"
    assert artifact.overhead == {"graph": len(TEXT) - extent.length}
    assert (held.layer, artifact.kind) == (
        "d",
        "GraphDef, frozen graph (graph version 24), as text",
    )


def test_a_meta_graph_as_text_opens(written):
    path = written(f"meta_info_def {{ tags: 'serve' }} graph_def {{ {TEXT} }}".encode(), "m.pbtxt")
    artifact = opened(path)
    assert artifact.tags == (("serve",),)
    assert [one.name for one in artifact.tensors] == ["d/w"]


def test_a_broken_text_names_the_line(written):
    assert "line 5" in refused(
        written(TEXT.replace('op: "Const"', "op: Const").encode(), "g.pbtxt")
    )


# --- for the reader of SavedModels ---


def test_overhead_and_extents_of_constants_add_up_to_the_message():
    data = graph([X, *dense()], [function_with("f", [1.0] * 16)])
    found = read_graph(message(MemorySource(data, "g.pb")))
    constants = read_constants(found, uses_of(found))
    held = sum(one.nbytes for one in constants.tensors)
    assert held == 24 + 12 + 64
    assert held + sum(constants.overhead.values()) == len(data)
