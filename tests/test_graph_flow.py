import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import LimitExceeded
from inspector.graph.flow import uses_of
from inspector.limits import Limits
from inspector.model import Use
from tests.builders.graphs import function, graph, node

W = node("w", "Const")
X = node("x", "Placeholder")


def uses(nodes, functions=(), key=("", "w"), **kwargs):
    return uses_of(graph(nodes, functions), **kwargs)[key]


# --- in one graph ---


def test_the_reader_of_a_constant_is_named_with_its_input():
    assert uses([W, X, node("y", "MatMul", "x", "w")]) == (Use("MatMul", 1, "y"),)


def test_what_hands_a_value_on_is_on_the_way_and_no_reader():
    found = uses(
        [W, X, node("r", "Identity", "w"), node("c", "Cast", "r"), node("y", "MatMul", "x", "c")]
    )
    assert found == (Use("MatMul", 1, "y", ("Identity", "Cast")),)


def test_a_constant_that_nothing_reads_has_no_uses():
    assert uses([W]) == ()


def test_waiting_for_a_node_is_not_reading_it():
    assert uses([W, X, node("y", "Tanh", "x", "^w")]) == ()


def test_control_inputs_are_not_counted():
    assert uses([W, X, node("y", "BiasAdd", "^x", "x", "w")]) == (Use("BiasAdd", 1, "y"),)


def test_a_value_that_is_handed_on_to_nobody_is_read_there():
    assert uses([W, node("out", "Identity", "w")]) == (Use("Identity", 0, "out"),)


@pytest.mark.parametrize("at", [1, 2])
def test_a_shape_beside_a_value_is_not_handed_on(at):
    nodes = [W, X, node("r", "Slice", "x", *["x"] * (at - 1), "w"), node("y", "Tanh", "r")]
    assert uses(nodes) == (Use("Slice", at, "r"),)


def test_the_last_input_of_a_concatenation_is_its_axis():
    nodes = [W, node("a", "Const"), X, node("c", "ConcatV2", "w", "x", "a"),
             node("y", "MatMul", "x", "c")]  # fmt: skip
    assert uses(nodes) == (Use("MatMul", 1, "y", ("ConcatV2",)),)
    assert uses(nodes, key=("", "a")) == (Use("ConcatV2", 2, "c"),)


def test_each_output_of_a_split_is_followed():
    nodes = [W, node("a", "Const"), X, node("s", "Split", "a", "w"), node("y", "MatMul", "x", "s"),
             node("z", "Conv2D", "x", "s:1")]  # fmt: skip
    assert set(uses(nodes)) == {
        Use("MatMul", 1, "y", ("Split",)),
        Use("Conv2D", 1, "z", ("Split",)),
    }


def test_an_output_that_does_not_hold_the_value_is_not_followed():
    """QuantizeV2's outputs are the value and the two ends of its range."""
    nodes = [W, node("q", "QuantizeV2", "w", "a", "b"), node("y", "Tanh", "q:1"),
             node("z", "Tanh", "q")]  # fmt: skip
    assert uses(nodes) == (Use("Tanh", 0, "z", ("QuantizeV2",)),)


def test_ways_that_meet_again_are_one_use():
    nodes = [W, node("a", "Identity", "w"), node("b", "Identity", "w"),
             node("m", "Merge", "a", "b"), node("y", "Tanh", "m")]  # fmt: skip
    assert uses(nodes) == (Use("Tanh", 0, "y", ("Identity", "Merge")),)


def test_two_inputs_of_one_reader_are_two_uses():
    assert uses([W, node("y", "Mul", "w", "w")])[:2] == (Use("Mul", 0, "y"), Use("Mul", 1, "y"))


def test_a_variables_handle_leads_to_who_reads_its_value():
    nodes = [node("w", "VarHandleOp"), X, node("r", "ReadVariableOp", "w"),
             node("y", "MatMul", "x", "r"), node("s", "AssignVariableOp", "w", "x")]  # fmt: skip
    assert set(uses(nodes)) == {
        Use("MatMul", 1, "y", ("ReadVariableOp",)),
        Use("AssignVariableOp", 0, "s"),
    }


# --- arithmetic ---


def test_arithmetic_over_constants_is_a_use_and_is_followed():
    nodes = [W, node("m", "Const"), X, node("mw", "Mul", "w", "m"), node("y", "MatMul", "x", "mw")]
    assert uses(nodes) == (Use("Mul", 0, "mw"), Use("MatMul", 1, "y", ("Mul",)))


def test_arithmetic_over_data_is_where_the_way_ends():
    nodes = [W, X, node("s", "Mul", "x", "w"), node("y", "MatMul", "s", "w2")]
    assert uses(nodes) == (Use("Mul", 1, "s"),)


def test_a_captured_argument_counts_as_a_constant_in_arithmetic():
    body = function("f", ["x", "w"], [node("k", "Const"), node("m", "Mul", "w", "k:output:0"),
                    node("y", "MatMul", "x", "m:z:0")], {"out": "y:product:0"})  # fmt: skip
    found = uses_of(graph([], [body]), {("f", 1): "key"})
    assert Use("MatMul", 1, "y", ("Mul",)) in found["key"]
    assert found["f", "k"][0] == Use("Mul", 1, "m")


# --- loops and branches of TensorFlow 1 ---

LOOP = [
    W,
    node("k", "Const"),
    node("e", "Enter", "w"),
    node("ek", "Enter", "k"),
    node("m", "Merge", "e", "n"),
    node("c", "LoopCond", "x"),
    node("s", "Switch", "m", "c"),
    node("i", "Identity", "s:1"),
    node("y", "MatMul", "i", "ek"),
    node("n", "NextIteration", "y"),
    node("o", "Exit", "s"),
    node("z", "Tanh", "o"),
]


def test_a_loop_is_followed_once():
    assert set(uses(LOOP)) == {
        Use("MatMul", 0, "y", ("Enter", "Merge", "Switch", "Identity")),
        Use("Tanh", 0, "z", ("Enter", "Merge", "Switch", "Exit")),
    }
    assert uses(LOOP, key=("", "k")) == (Use("MatMul", 1, "y", ("Enter",)),)


def test_a_value_that_goes_round_for_ever_ends():
    nodes = [W, node("m", "Merge", "w", "n"), node("n", "NextIteration", "m")]
    assert uses(nodes) == ()


# --- functions ---

INNER = function("inner", ["a", "b"], [node("y", "MatMul", "a", "b")], {"out": "y:product:0"})


@pytest.mark.parametrize("op", ["PartitionedCall", "StatefulPartitionedCall"])
def test_a_call_is_followed_into_the_function(op):
    nodes = [W, X, node("c", op, "x", "w", f="inner")]
    assert uses(nodes, [INNER]) == (Use("MatMul", 1, "y"),)


def test_a_node_whose_operator_is_a_functions_name_calls_it():
    assert uses([W, X, node("c", "inner", "x", "w")], [INNER]) == (Use("MatMul", 1, "y"),)


def test_what_a_function_returns_as_it_is_comes_out_again():
    swap = function("swap", ["a", "b"], [node("i", "Identity", "a")],
                    {"first": "b", "second": "i:output:0"})  # fmt: skip
    nodes = [W, X, node("c", "PartitionedCall", "w", "x", f="swap"), node("y", "Tanh", "c"),
             node("z", "Sin", "c:1")]  # fmt: skip
    assert uses(nodes, [swap]) == (Use("Sin", 0, "z"),)


def test_outputs_of_a_function_are_told_by_their_names_within_another():
    swap = function("swap", ["a"], [], {"first": "none", "second": "a"})
    outer = function("outer", ["v"], [node("c", "swap", "v"), node("y", "Tanh", "c:second:0"),
                     node("z", "Sin", "c:first:0")], {})  # fmt: skip
    nodes = [W, node("o", "PartitionedCall", "w", f="outer")]
    assert uses(nodes, [swap, outer]) == (Use("Tanh", 0, "y"),)


def test_a_call_of_what_is_not_there_is_a_reader():
    nodes = [W, node("c", "PartitionedCall", "w", f="gone")]
    assert uses(nodes) == (Use("PartitionedCall", 0, "c"),)


def test_both_branches_are_followed_and_the_condition_is_read():
    then = function("then", ["a"], [node("y", "Tanh", "a")], {"o": "y:y:0"})
    other = function("other", ["a"], [node("z", "Sin", "a")], {"o": "a"})
    nodes = [W, node("p", "Const"), node("c", "StatelessIf", "p", "w", then_branch="then",
             else_branch="other"), node("after", "Cos", "c")]  # fmt: skip
    assert set(uses(nodes, [then, other])) == {
        Use("Tanh", 0, "y"),
        Use("Sin", 0, "z"),
        Use("Cos", 0, "after"),
    }
    assert uses(nodes, [then, other], key=("", "p")) == (Use("StatelessIf", 0, "c"),)


def test_every_branch_of_a_case_is_followed():
    bodies = [
        function(f"b{at}", ["a"], [node(f"y{at}", "Tanh", "a")], {"o": f"y{at}:y:0"})
        for at in range(3)
    ]
    nodes = [W, X, node("c", "Case", "x", "w", branches=["b0", "b1", "b2"])]
    assert [use.node for use in uses(nodes, bodies)] == ["y0", "y1", "y2"]


CONDITION = function("go", ["s", "k"], [node("l", "Less", "s", "n")], {"o": "l:z:0"})
BODY = function("body", ["s", "k"], [node("y", "MatMul", "s", "k")],
                {"s": "y:product:0", "k": "k"})  # fmt: skip
WHILE = [node("s", "Const"), W, node("l", "StatelessWhile", "s", "w", cond="go", body="body"),
         node("z", "Tanh", "l")]  # fmt: skip


def test_what_a_loop_leaves_alone_is_read_in_it_as_it_is():
    assert uses(WHILE, [CONDITION, BODY]) == (Use("MatMul", 1, "y"),)


def test_what_a_loop_changes_is_only_its_first_value():
    """The loop is on the way then; and the result may be the first value, after no round."""
    assert set(uses(WHILE, [CONDITION, BODY], key=("", "s"))) == {
        Use("MatMul", 0, "y", ("StatelessWhile",)),
        Use("Less", 0, "l", ("StatelessWhile",)),
        Use("Tanh", 0, "z", ("StatelessWhile",)),
    }


def test_values_that_change_places_in_a_loop_are_read_in_both():
    turn = function("turn", ["a", "b"], [node("y", "Tanh", "b")], {"a": "y:y:0", "b": "a"})
    nodes = [W, X, node("l", "While", "w", "x", cond="none", body="turn")]
    assert uses(nodes, [turn]) == (Use("Tanh", 0, "y", ("While",)),)


def test_a_constant_in_a_function_is_followed_to_the_callers():
    make = function("make", [], [node("k", "Const")], {"o": "k:output:0"})
    nodes = [X, node("c", "PartitionedCall", f="make"), node("y", "MatMul", "x", "c")]
    assert uses(nodes, [make], key=("make", "k")) == (Use("MatMul", 1, "y"),)


def test_a_result_that_no_caller_takes_is_returned():
    make = function("make", [], [node("k", "Const")], {"o": "k:output:0"})
    assert uses([], [make], key=("make", "k")) == (Use("_Retval", 0, "make:o"),)


def test_functions_that_call_each_other_end():
    ping = function("ping", ["a"], [node("c", "pong", "a"), node("y", "Tanh", "a")], {})
    pong = function("pong", ["a"], [node("c", "ping", "a"), node("z", "Sin", "a")], {})
    found = uses([W, node("c", "PartitionedCall", "w", f="ping")], [ping, pong])
    assert {"y", "z"} <= {use.node for use in found}


def test_captured_values_have_the_uses_of_every_function_that_captures_them():
    one = function("one", ["x", "r"], [node("v", "ReadVariableOp", "r"),
                   node("y", "MatMul", "x", "v:value:0")], {})  # fmt: skip
    two = function("two", ["r", "x"], [node("c", "PartitionedCall", "x", "r", f="one")], {})
    found = uses_of(graph([], [one, two]), {("one", 1): 7, ("two", 0): 7, ("two", 9): 8})
    assert found == {7: (Use("MatMul", 1, "y", ("ReadVariableOp",)),), 8: ()}


# --- broken and huge ---


def test_a_broken_graph_gives_what_can_be_followed():
    nodes = [
        W,
        W,  # twice
        node("a", "Identity", "gone", "w"),
        node("b", "Identity", "b"),
        node("c", "MatMul", "w:99999999999999999999", "w"),
        node("", "", ""),
        node("d", "Tanh", "w::0", "^", ":1"),
    ]
    assert Use("MatMul", 1, "c") in uses(nodes)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_wiring_hangs_or_fails(data):
    ops = st.sampled_from(
        ["Const", "Identity", "Merge", "Switch", "NextIteration", "Mul", "MatMul", "ConcatV2",
         "f0", "f1", "f2", "PartitionedCall", "While", "If", "IdentityN", "VarHandleOp"]
    )  # fmt: skip
    names = st.sampled_from(["n0", "n1", "n2", "n3", "a0", "a1"])
    refs = st.one_of(
        names, names.map("{}:1".format), names.map("^{}".format), names.map("{}:output:0".format)
    )
    calls = st.fixed_dictionaries(
        {key: st.sampled_from(["f0", "f1", "f2"]) for key in ("f", "cond", "body", "then_branch")}
    )

    def nodes():
        return [
            node(f"n{at}", data.draw(ops), *data.draw(st.lists(refs, max_size=3)),
                 **data.draw(calls))
            for at in range(4)
        ]  # fmt: skip

    functions = [
        function(f"f{at}", ["a0", "a1"], nodes(),
                 data.draw(st.dictionaries(st.sampled_from("xy"), refs, max_size=2)))
        for at in range(3)
    ]  # fmt: skip
    found = uses_of(graph(nodes(), functions), {("f0", 0): "captured"})
    assert all(isinstance(use, Use) for each in found.values() for use in each)


def test_a_large_graph_takes_about_a_second():
    nodes = [node("x", "Placeholder")]
    for at in range(25_000):
        nodes += [
            node(f"w{at}", "Const"),
            node(f"r{at}", "Identity", f"w{at}"),
            node(f"y{at}", "MatMul", f"z{at - 1}" if at else "x", f"r{at}"),
            node(f"z{at}", "Relu", f"y{at}"),
        ]
    made = graph(nodes)
    start = time.process_time()
    found = uses_of(made)
    assert time.process_time() - start < 5
    assert found["", "w24999"] == (Use("MatMul", 1, "y24999", ("Identity",)),)


def test_calls_within_calls_do_not_multiply():
    """Each function calls the next one twice: 2 to the power of 60 ways lead to the last."""
    functions = [function("f60", ["a"], [node("y", "Tanh", "a")], {"o": "a"})]
    for at in range(60):
        two = [node("c", f"f{at + 1}", "a"), node("d", f"f{at + 1}", "c:o:0")]
        functions.append(function(f"f{at}", ["a"], two, {"o": "d:o:0"}))
    assert uses([W, node("c", "f0", "w")], functions)[0] == Use("Tanh", 0, "y")


def test_deep_calls_and_long_ways_need_no_stack():
    functions = [function("f3000", ["a"], [node("y", "Tanh", "a")], {})]
    functions += [
        function(f"f{at}", ["a"], [node("c", f"f{at + 1}", "a")], {}) for at in range(3000)
    ]
    chain = [W, node("i0", "Identity", "w")]
    chain += [node(f"i{at}", "Identity", f"i{at - 1}") for at in range(1, 3000)]
    (use,) = uses([*chain, node("c", "f0", "i2999")], functions)
    assert (use.op, use.node) == ("Tanh", "y")
    assert 0 < len(use.through) <= 16  # as many as are named


def test_work_that_a_graph_makes_for_nothing_is_bounded():
    """Every constant goes the whole way: n constants, n steps each."""
    nodes = [node("m0", "Const")]
    for at in range(1, 400):
        nodes += [node(f"k{at}", "Const"), node(f"m{at}", "Merge", f"m{at - 1}", f"k{at}")]
    nodes.append(node("y", "Tanh", "m399"))
    with pytest.raises(LimitExceeded) as error:
        uses_of(graph(nodes), limits=Limits(graph_steps=10_000))
    assert error.value.name == "graph_steps"
