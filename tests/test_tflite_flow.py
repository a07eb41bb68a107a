"""Who reads a tensor of a .tflite model: by hand-made graphs, each followed on paper."""

import pytest

from inspector.errors import LimitExceeded
from inspector.limits import Limits
from inspector.storage import MemorySource
from inspector.tflite.flow import Flow
from inspector.tflite.names import names_of
from inspector.wire.tflite_model import read_model
from tests.builders.tflite import graph, model, op, tensor


def flow_of(*graphs, limits=None, **more):
    found = read_model(MemorySource(model(*graphs, **more), "m"))
    return Flow(found, names_of(found), limits or Limits())


def uses(flow, index, subgraph=0):
    """(operator, input, operators on the way) of each use."""
    return [(one.op, one.input, one.through) for one in flow.uses((subgraph, index))]


def named(*names):
    return [tensor(name) for name in names]


def test_a_tensor_is_read_where_it_is_an_input():
    flow = flow_of(
        graph(named("x", "kernel", "bias", "y"), [op("FULLY_CONNECTED", [0, 1, 2], [3])], [0], [3])
    )
    assert uses(flow, 1) == [("FULLY_CONNECTED", 1, ())]
    assert uses(flow, 2) == [("FULLY_CONNECTED", 2, ())]
    (use,) = flow.uses((0, 1))
    assert use.node == "y"


def test_what_hands_values_on_is_followed_and_named():
    flow = flow_of(
        graph(
            named("half", "float", "flat", "turned", "x", "y"),
            [
                op("DEQUANTIZE", [0], [1]),
                op("RESHAPE", [1], [2]),
                op("TRANSPOSE", [2], [3]),
                op("CONV_2D", [4, 3], [5]),
            ],
            [4],
            [5],
        )
    )
    assert uses(flow, 0) == [("CONV_2D", 1, ("DEQUANTIZE", "RESHAPE", "TRANSPOSE"))]
    # Only the first input is handed on: the shape is read by the operator itself.
    assert [one.op for one in flow.direct((0, 0))] == ["DEQUANTIZE"]


def test_a_shape_is_read_by_what_reshapes_to_it():
    flow = flow_of(graph(named("x", "shape", "y"), [op("RESHAPE", [0, 1], [2])], [0], [2]))
    assert uses(flow, 1) == [("RESHAPE", 1, ())]


def test_parts_of_a_tensor_are_followed():
    flow = flow_of(
        graph(
            named("axis", "gates", "i", "f", "x", "a", "b"),
            [
                op("SPLIT", [0, 1], [2, 3]),
                op("FULLY_CONNECTED", [4, 2], [5]),
                op("FULLY_CONNECTED", [5, 3], [6]),
            ],
            [4],
            [6],
        )
    )
    assert [(one.op, one.node) for one in flow.uses((0, 1))] == [
        ("FULLY_CONNECTED", "a"),
        ("FULLY_CONNECTED", "b"),
    ]
    assert uses(flow, 0) == [("SPLIT", 0, ())]


def test_a_result_of_the_model_is_a_use():
    flow = flow_of(graph(named("a", "b"), [op("DEQUANTIZE", [0], [1])], [], [1], "main"))
    (use,) = flow.uses((0, 0))
    assert (use.op, use.input, use.node, use.through) == ("output", 0, "main", ("DEQUANTIZE",))


def test_what_nothing_takes_is_read_by_the_last_that_had_it():
    flow = flow_of(
        graph(named("a", "b", "c"), [op("CAST", [0], [1]), op("RESHAPE", [1], [2])], [], [])
    )
    assert uses(flow, 0) == [("RESHAPE", 0, ("CAST",))]
    assert uses(flow, 2) == []


LOOP = ("WhileOptions", {"cond_subgraph_index": 1, "body_subgraph_index": 2})


def loop(body_tensors, body_operators, body_outputs, after=()):
    """x, kernel -> WHILE -> (y, same): a body of two inputs, and what follows the loop."""
    return flow_of(
        graph(
            named("x", "kernel", "y", "same", "z"),
            [op("WHILE", [0, 1], [2, 3], options=LOOP), *after],
            [0],
            [2],
        ),
        graph(named("cx", "ck", "go"), [op("LESS", [0, 0], [2])], [0, 1], [2], "cond"),
        graph(body_tensors, body_operators, [0, 1], body_outputs, "body"),
    )


def test_what_a_loop_hands_on_unchanged_is_followed_into_its_body_and_out():
    flow = loop(
        named("bx", "bk", "by"),
        [op("FULLY_CONNECTED", [0, 1], [2])],
        [2, 1],
        [op("CONV_2D", [2, 3], [4])],
    )
    assert uses(flow, 1) == [("CONV_2D", 1, ("WHILE",)), ("FULLY_CONNECTED", 1, ("WHILE",))]
    # The body changes the other one: what is given is only what it begins with.
    assert uses(flow, 0) == [("WHILE", 0, ())]


def test_a_value_that_the_body_replaces_is_not_followed():
    flow = loop(named("bx", "bk", "by"), [op("FULLY_CONNECTED", [0, 1], [2])], [1, 2])
    assert uses(flow, 1) == [("WHILE", 1, ())]


def test_what_a_body_makes_comes_out_of_the_loop_and_round_again():
    flow = loop(
        named("bx", "bk", "constant", "by"),
        [op("FULLY_CONNECTED", [0, 1], [3])],
        [2, 1],
        [op("TANH", [2], [4])],
    )
    # The constant of the body is its first result: read after the loop, by the condition, and by
    # the body in its next round.
    assert sorted(uses(flow, 2, 2)) == [
        ("FULLY_CONNECTED", 0, ("WHILE",)),
        ("LESS", 0, ("WHILE",)),
        ("LESS", 1, ("WHILE",)),
        ("TANH", 0, ("WHILE",)),
        ("output", 0, ("WHILE",)),
    ]


def test_a_loop_in_a_loop_that_hands_a_value_on_keeps_it():
    inner = ("WhileOptions", {"cond_subgraph_index": 1, "body_subgraph_index": 3})
    flow = flow_of(
        graph(named("x", "k", "y", "s"), [op("WHILE", [0, 1], [2, 3], options=LOOP)], [0], [2]),
        graph(named("cx", "ck", "go"), [op("LESS", [0, 0], [2])], [0, 1], [2], "cond"),
        graph(
            named("bx", "bk", "by", "bs"),
            [op("WHILE", [0, 1], [2, 3], options=inner)],
            [0, 1],
            [2, 3],
            "outer",
        ),
        graph(
            named("ix", "ik", "iy"), [op("FULLY_CONNECTED", [0, 1], [2])], [0, 1], [2, 1], "inner"
        ),
    )
    assert uses(flow, 1) == [("FULLY_CONNECTED", 1, ("WHILE", "WHILE"))]


def test_both_branches_of_an_if_are_followed():
    branches = ("IfOptions", {"then_subgraph_index": 1, "else_subgraph_index": 2})
    flow = flow_of(
        graph(
            named("p", "k", "y", "constant", "z"),
            [op("IF", [0, 1], [2], options=branches), op("RELU", [2], [4])],
            [0],
            [4],
        ),
        graph(named("k", "y"), [op("NEG", [0], [1])], [0], [1], "then"),
        graph(named("k"), [], [0], [0], "else"),
    )
    assert sorted(uses(flow, 1)) == [("NEG", 0, ("IF",)), ("RELU", 0, ("IF", "IF"))]
    assert uses(flow, 0) == [("IF", 0, ())]


VAR = ("VarHandleOptions", {"container": "", "shared_name": "v"})


def test_what_a_variable_is_set_to_is_read_where_the_variable_is():
    flow = flow_of(
        graph(
            named("x", "handle", "value", "y"),
            [
                op("CALL_ONCE", [], [], options=("CallOnceOptions", {"init_subgraph_index": 1})),
                op("VAR_HANDLE", [], [1], options=VAR),
                op("READ_VARIABLE", [1], [2]),
                op("FULLY_CONNECTED", [0, 2], [3]),
            ],
            [0],
            [3],
        ),
        graph(
            named("handle", "initial"),
            [op("VAR_HANDLE", [], [0], options=VAR), op("ASSIGN_VARIABLE", [0, 1], [])],
            name="init",
        ),
    )
    way = ("ASSIGN_VARIABLE", "READ_VARIABLE")
    assert uses(flow, 1, 1) == [("FULLY_CONNECTED", 1, way)]


def test_a_variable_that_nothing_reads_is_only_set():
    other = ("VarHandleOptions", {"container": "", "shared_name": "w"})
    flow = flow_of(
        graph(
            named("handle", "initial", "other", "y"),
            [
                op("VAR_HANDLE", [], [0], options=VAR),
                op("VAR_HANDLE", [], [2], options=other),
                op("ASSIGN_VARIABLE", [0, 1], []),
                op("READ_VARIABLE", [2], [3]),
            ],
            [],
            [3],
        )
    )
    assert uses(flow, 1) == [("ASSIGN_VARIABLE", 1, ())]


def test_a_handle_given_to_a_subgraph_is_the_same_variable():
    branches = ("IfOptions", {"then_subgraph_index": 1, "else_subgraph_index": 1})
    flow = flow_of(
        graph(
            named("p", "handle", "initial", "y"),
            [
                op("VAR_HANDLE", [], [1], options=VAR),
                op("ASSIGN_VARIABLE", [1, 2], []),
                op("IF", [0, 1], [3], options=branches),
            ],
            [0],
            [3],
        ),
        graph(
            named("handle", "value", "y"),
            [op("READ_VARIABLE", [0], [1]), op("MUL", [1, 1], [2])],
            [0],
            [2],
            "then",
        ),
    )
    way = ("ASSIGN_VARIABLE", "READ_VARIABLE")
    assert uses(flow, 2) == [("MUL", 0, way), ("MUL", 1, way)]


def test_custom_operators_go_by_their_names():
    flow = flow_of(
        graph(
            named("x", "k", "y"),
            [op("custom:Mine", [0, 1], [2]), op("custom:ADD", [0, 1], [2])],
            [0],
            [2],
        )
    )
    assert [use[:2] for use in uses(flow, 1)] == [("Mine", 1), ("CUSTOM ADD", 1)]


def test_the_lstm_of_five_inputs_is_another_operator():
    flow = flow_of(
        graph(named(*"xsknty"), [op("LSTM", [0, 1, 2, 3, 4], [5])], [0], [5]),
    )
    assert uses(flow, 2) == [("LSTM of kernel type BASIC", 2, ())]


def test_a_subgraph_that_runs_itself_ends():
    itself = ("WhileOptions", {"cond_subgraph_index": 0, "body_subgraph_index": 0})
    flow = flow_of(
        graph(
            named("a", "b", "c"),
            [op("WHILE", [0, 1], [2, 1], options=itself), op("ADD", [2, 1], [0])],
            [0, 1],
            [2, 1],
        )
    )
    assert uses(flow, 0)
    assert uses(flow, 1)


def test_indices_that_lead_nowhere_are_passed_over():
    flow = flow_of(
        graph(named("a", "b"), [op("CAST", [-1, 0, 9], [7, -4]), op("ADD", [0, 0], [1])], [5], [8])
    )
    assert [use[:2] for use in uses(flow, 0)] == [("CAST", 1), ("ADD", 0), ("ADD", 1)]


def test_following_has_an_end():
    many = [op("CONCATENATION", [0, 1], [1]) for _ in range(50)]
    with pytest.raises(LimitExceeded, match="graph_steps"):
        uses(flow_of(graph(named("a", "b"), many, [0], [1]), limits=Limits(graph_steps=20)), 0)
