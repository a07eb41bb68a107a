from inspector.storage import MemorySource
from inspector.tflite.memory import plan
from inspector.wire.tflite_model import read_model
from inspector.wire.tflite_operators import OPERATORS
from tests.builders.flatbuffers import flatbuffer


def model_of(*subgraphs, names):
    """Subgraphs of (tensors, operators, inputs, outputs); an operator: (name, inputs, outputs)."""
    codes = sorted({operator[0] for graph in subgraphs for operator in graph[1]} | set(names))
    values = {
        "operator_codes": [{"builtin_code": OPERATORS.index(name)} for name in codes],
        "subgraphs": [
            {
                "tensors": tensors,
                "inputs": inputs,
                "outputs": outputs,
                "operators": [
                    {
                        "opcode_index": codes.index(name),
                        "inputs": reads,
                        "outputs": makes,
                        **({"builtin_options": options[0]} if options else {}),
                    }
                    for name, reads, makes, *options in operators
                ],
            }
            for tensors, operators, inputs, outputs in subgraphs
        ],
        "buffers": [{}, {"data": b"\1" * 40}],
    }
    return read_model(MemorySource(flatbuffer(values), "m"))


def bytes_(count, **more):
    return {"shape": [count], "type": 9, **more}  # int8


def planned(tensors, operators, inputs, outputs):
    model = model_of((tensors, operators, inputs, outputs), names=["RELU"])
    return plan(model, model.subgraphs[0])


def test_the_peak_is_where_most_lives():
    # 0 -> 1 -> 2 -> 3: during the second operator 1 and 2 live, 20 + 30; 0 is gone by then.
    found = planned(
        [bytes_(10), bytes_(20), bytes_(30), bytes_(5)],
        [("RELU", [0], [1]), ("RELU", [1], [2]), ("RELU", [2], [3])],
        [0],
        [3],
    )
    assert (found.peak, found.operator, found.constant, found.unknown) == (50, 1, 0, 0)


def test_a_skip_connection_keeps_its_tensor_alive():
    # 0 is read again by the last operator: 10 + 20 + 30 during the second, 10 + 30 + 5 after it.
    found = planned(
        [bytes_(10), bytes_(20), bytes_(30), bytes_(5)],
        [("RELU", [0], [1]), ("RELU", [1], [2]), ("ADD", [0, 2], [3])],
        [0],
        [3],
    )
    assert (found.peak, found.operator) == (60, 1)


def test_inputs_live_from_the_start_and_outputs_to_the_end():
    # The second input is read last, the first output made first: both live during the second step.
    found = planned(
        [bytes_(10), bytes_(7), bytes_(20), bytes_(1), bytes_(2)],
        [("RELU", [0], [2]), ("RELU", [0], [3]), ("RELU", [1], [4])],
        [0, 1],
        [2, 3, 4],
    )
    # 0, 1, 2 and 3 during the second; 1, 2, 3 and 4 during the third.
    assert (found.peak, found.operator) == (10 + 7 + 20 + 1, 1)


def test_a_constant_takes_no_memory_of_activations():
    found = planned([bytes_(10), bytes_(40, buffer=1), bytes_(3)], [("ADD", [0, 1], [2])], [0], [2])
    assert found.peak == 13


def test_variables_live_throughout():
    found = planned(
        [bytes_(10), bytes_(100, is_variable=True), bytes_(3), bytes_(4)],
        [("ADD", [0, 1], [2]), ("RELU", [2], [3])],
        [0],
        [3],
    )
    assert (found.peak, found.constant) == (113, 100)


def test_constants_that_are_expanded_live_throughout():
    # float16 to float32, as in a float16 model: the 80 bytes stay, though only one step reads them.
    found = planned(
        [bytes_(10), bytes_(40, buffer=1), {"shape": [20]}, bytes_(3), bytes_(50)],
        [("DEQUANTIZE", [1], [2]), ("ADD", [0, 2], [3]), ("RELU", [3], [4])],
        [0],
        [4],
    )
    assert (found.peak, found.constant, found.operator) == (80 + 53, 80, 2)


def test_a_chain_of_expansions_lives_throughout():
    found = planned(
        [bytes_(40, buffer=1), bytes_(60), {"shape": [60]}, bytes_(3)],
        [("DENSIFY", [0], [1]), ("DEQUANTIZE", [1], [2]), ("RELU", [2], [3])],
        [],
        [3],
    )
    assert found.constant == 60 + 240


def test_tensors_without_a_size_are_counted_apart():
    found = planned(
        [bytes_(10), {"shape": [1], "type": 5}, {"shape": [-1]}],
        [("RELU", [0], [1]), ("RELU", [1], [2])],
        [0],
        [2],
    )
    assert (found.peak, found.unknown) == (10, 2)


def test_called_subgraphs_come_on_top():
    options = ("WhileOptions", {"cond_subgraph_index": 1, "body_subgraph_index": 2})
    model = model_of(
        ([bytes_(10), bytes_(10)], [("WHILE", [0], [1], options)], [0], [1]),
        ([bytes_(10), bytes_(1)], [("RELU", [0], [1])], [0], [1]),
        ([bytes_(10), bytes_(30)], [("RELU", [0], [1])], [0], [1]),
        names=[],
    )
    assert plan(model, model.subgraphs[0]).peak == 20 + 40


def test_subgraphs_that_call_each_other_come_to_an_end():
    calls = [("WhileOptions", {"cond_subgraph_index": n, "body_subgraph_index": n}) for n in (1, 0)]
    model = model_of(
        *(([bytes_(10)], [("WHILE", [0], [0], one)], [0], [0]) for one in calls), names=[]
    )
    assert plan(model, model.subgraphs[0]).peak == 20


def test_a_long_chain_of_calls_does_not_exhaust_the_stack():
    graphs = [
        ([bytes_(1)], [("CALL_ONCE", [], [], ("CallOnceOptions", {"init_subgraph_index": n + 1}))],
         [0], [0])
        for n in range(3000)
    ]  # fmt: skip
    model = model_of(*graphs, ([bytes_(5)], [("RELU", [0], [0])], [0], [0]), names=[])
    assert plan(model, model.subgraphs[0]).peak == 3000 + 5


def test_a_subgraph_without_operators_needs_its_inputs():
    found = planned([bytes_(10)], [], [0], [0])
    assert (found.peak, found.operator) == (10, None)


def test_indices_that_lead_nowhere_are_passed_over():
    found = planned([bytes_(10)], [("RELU", [0, 9, -1], [-7])], [0, 4], [12])
    assert found.peak == 10
