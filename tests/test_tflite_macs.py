import pytest

from inspector.storage import MemorySource
from inspector.tflite.macs import macs
from inspector.wire.tflite_model import read_model
from inspector.wire.tflite_operators import OPERATORS
from tests.builders.flatbuffers import flatbuffer


def counted(operator, inputs, output, options=None, signature=None):
    """The macs of an operator whose inputs and output have these shapes; None: left out."""
    tensors, numbers = [], []
    for shape in inputs:
        numbers.append(-1 if shape is None else len(tensors))
        if shape is not None:
            tensors.append({"shape": list(shape)})
    made = {"shape": list(output)} if output is not None else {}
    made |= {"shape_signature": signature} if signature else {}
    fields = {"opcode_index": 0, "inputs": numbers, "outputs": [len(tensors)]}
    if options:
        union = "builtin_options2" if options[0].startswith("Stablehlo") else "builtin_options"
        fields[union] = options
    code = {"builtin_code": OPERATORS.index(operator if operator in OPERATORS else "CUSTOM")}
    if operator not in OPERATORS:
        code["custom_code"] = operator
    values = {
        "operator_codes": [code],
        "subgraphs": [{"tensors": [*tensors, made], "operators": [fields]}],
    }
    model = read_model(MemorySource(flatbuffer(values), "m"))
    graph = model.subgraphs[0]
    return macs(model, graph, graph.operators[0])


LSTM = [(2, 3), *[(5, 3)] * 4, *[(5, 5)] * 4, None, None, None, *[(5,)] * 4, None, None]


@pytest.mark.parametrize(
    ("operator", "inputs", "output", "options", "count"),
    [
        # 6 x 6 outputs of 8 channels, each of 3 x 3 x 3 products.
        ("CONV_2D", [(1, 8, 8, 3), (8, 3, 3, 3), (8,)], (1, 6, 6, 8), None, 288 * 27),
        # Two groups: a kernel sees two of the four input channels.
        ("CONV_2D", [(1, 4, 4, 4), (6, 1, 1, 2)], (1, 4, 4, 6), None, 96 * 2),
        ("DEPTHWISE_CONV_2D", [(1, 6, 6, 8), (1, 3, 3, 8)], (1, 6, 6, 8), None, 288 * 9),
        # Every one of 4 x 4 x 3 inputs goes into 3 x 3 places of 5 channels.
        ("TRANSPOSE_CONV", [(4,), (5, 3, 3, 3), (1, 4, 4, 3)], (1, 8, 8, 5), None, 48 * 45),
        # A multiplier of 2: every of 3 channels goes into two, each of 5 x 5 products.
        ("DEPTHWISE_CONV_2D", [(1, 9, 9, 3), (1, 5, 5, 6)], (1, 5, 5, 6), None, 150 * 25),
        # A batch of 2, with bias, which adds and does not multiply: 2 x 2 x 2 x 3 inputs, each into
        # 2 x 4 places of 7 channels.
        (
            "TRANSPOSE_CONV",
            [(4,), (7, 2, 4, 3), (2, 2, 2, 3), (7,)],
            (2, 4, 8, 7),
            None,
            24 * 56,
        ),
        ("FULLY_CONNECTED", [(4, 10), (3, 10), None], (4, 3), None, 4 * 3 * 10),
        # Two dimensions kept in front: 2 x 5 rows.
        ("FULLY_CONNECTED", [(2, 5, 10), (3, 10), (3,)], (2, 5, 3), None, 10 * 3 * 10),
        ("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5)], (2, 3, 5), None, 2 * 3 * 4 * 5),
        (
            "BATCH_MATMUL",
            [(2, 4, 3), (2, 4, 5)],
            (2, 3, 5),
            ("BatchMatMulOptions", {"adj_x": True}),
            2 * 3 * 4 * 5,
        ),
        # The second matrix transposed: the first still has the side that is summed over last.
        (
            "BATCH_MATMUL",
            [(2, 3, 4), (2, 5, 4)],
            (2, 3, 5),
            ("BatchMatMulOptions", {"adj_y": True}),
            2 * 3 * 4 * 5,
        ),
        # One matrix for a batch of 6.
        ("BATCH_MATMUL", [(6, 3, 4), (4, 5)], (6, 3, 5), None, 6 * 3 * 4 * 5),
        ("CONV_3D", [(1, 4, 6, 6, 2), (2, 3, 3, 2, 4)], (1, 3, 4, 4, 4), None, 192 * 36),
        (
            "CONV_3D_TRANSPOSE",
            [(5,), (2, 3, 3, 4, 2), (1, 3, 4, 4, 2)],
            (1, 4, 6, 6, 4),
            None,
            96 * 2 * 3 * 3 * 4,
        ),
        # A batch of two, one step: four gates of 5 x 3 and 5 x 5.
        ("LSTM", [*LSTM, *[(2, 5)] * 2, *[None] * 4], (2, 5), None, 2 * 4 * (15 + 25)),
        ("LSTM", [(2, 3), (2, 5), (20, 8), (20,), (2, 5)], (2, 5), None, 2 * 20 * 8),
        (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            [(2, 7, 3), *LSTM[1:16], (4, 5), *[None] * 7],
            (2, 7, 4),
            None,
            14 * (4 * (15 + 25) + 20),
        ),
        # Input and forget gates coupled: three gates. Peepholes multiply value by value.
        (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            [
                *((1, 7, 3), None, (5, 3), (5, 3), (5, 3), None, (5, 5), (5, 5), (5, 5)),
                *(None, (5,), (5,), None, (5,), (5,), (5,), None, None, (1, 5), (1, 5)),
                *(None, (5,), (5,), (5,)),
            ],
            (1, 7, 5),
            None,
            7 * 3 * (15 + 25),
        ),
        # A batch of two, one step of 5 units.
        ("RNN", [(2, 3), (5, 3), (5, 5), (5,), (2, 5)], (2, 5), None, 2 * (15 + 25)),
        (
            "UNIDIRECTIONAL_SEQUENCE_RNN",
            [(1, 7, 3), (5, 3), (5, 5), (5,), (1, 5)],
            (1, 7, 5),
            None,
            7 * (15 + 25),
        ),
        (
            "BIDIRECTIONAL_SEQUENCE_RNN",
            [(1, 7, 3), *[(5, 3), (5, 5), (5,), (1, 5)] * 2, None, None, None],
            (1, 7, 5),
            None,
            7 * 2 * (15 + 25),
        ),
        ("SVDF", [(2, 4), (6, 4), (6, 7), (6,), (2, 42)], (2, 6), None, 2 * (24 + 42)),
        # With an auxiliary input of 4 values, for both directions.
        (
            "BIDIRECTIONAL_SEQUENCE_RNN",
            [(1, 7, 3), *[(5, 3), (5, 5), (5,), (1, 5)] * 2, (1, 7, 4), (5, 4), (5, 4)],
            (1, 7, 5),
            None,
            7 * 2 * (15 + 25 + 20),
        ),
        # Custom operators. 7 steps of 5 units: two gates and a candidate, of 3 + 5 values each.
        (
            "UNIDIRECTIONAL_SEQUENCE_GRU",
            [(7, 1, 3), (1, 5), (10, 8), (10,), (5, 8), (5,)],
            (7, 1, 5),
            None,
            7 * (10 * 8 + 5 * 8),
        ),
        # Every one of 4 x 4 x 3 inputs goes into 3 x 3 places of 5 channels.
        (
            "Convolution2DTransposeBias",
            [(1, 4, 4, 3), (5, 3, 3, 3), (5,)],
            (1, 8, 8, 5),
            None,
            48 * 45,
        ),
        (
            "STABLEHLO_DOT_GENERAL",
            [(2, 3, 4), (2, 4, 5)],
            (2, 3, 5),
            ("StablehloDotGeneralOptions", {"lhs_contracting_dimensions": [2]}),
            2 * 3 * 4 * 5,
        ),
        (
            "STABLEHLO_CONVOLUTION",
            [(1, 8, 8, 3), (3, 3, 3, 8)],
            (1, 6, 6, 8),
            ("StablehloConvolutionOptions", {"kernel_output_feature_dimension": 3}),
            288 * 27,
        ),
    ],
)
def test_products_are_counted_from_shapes(operator, inputs, output, options, count):
    found = counted(operator, inputs, output, options)
    assert found.count == count
    assert found.rule
    assert not found.assumed


def test_an_lstm_in_both_directions_counts_both():
    one = [*[(5, 3)] * 4, *[(5, 5)] * 4, None, None, None, *[(5,)] * 4, None, None]
    inputs = [(1, 7, 3), *one, *one, *[(1, 5)] * 4, *[None] * 9]
    found = counted("BIDIRECTIONAL_SEQUENCE_LSTM", inputs, (1, 7, 5))
    assert found.count == 7 * 2 * 4 * (15 + 25)


def test_a_side_that_is_not_fixed_is_told():
    found = counted("FULLY_CONNECTED", [(1, 10), (3, 10)], (1, 3), signature=[-1, 3])
    assert (found.count, found.assumed) == (30, True)


def test_an_operator_without_products_has_none():
    assert counted("RELU", [(1, 4)], (1, 4)) is None


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        ([(1, 4)], (1, 3)),
        ([(1, 4), None], (1, 3)),
        ([(1, 4), ()], (1, 3)),
        ([(1, 4), (3, -4)], (1, 3)),
        ([(1, 4), (3, 4)], None),
        ([(1, 4), (3, 4)], (1, -3)),
    ],
)
def test_shapes_that_are_not_known_give_no_count(inputs, output):
    assert counted("FULLY_CONNECTED", inputs, output).count is None


def test_a_recurrent_operator_of_too_few_inputs_gives_no_count():
    for operator in ("LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"):
        assert counted(operator, [(1, 4)] * 7, (1, 3)).count is None


def test_a_kernel_of_unknown_shape_leaves_the_count_of_a_recurrent_operator_open():
    """It is not left out, as a place without a tensor is."""
    inputs = [*LSTM, *[(2, 5)] * 2, *[None] * 4]
    assert counted("LSTM", inputs, (2, 5)).count is not None
    inputs[3] = (5, -1)
    assert counted("LSTM", inputs, (2, 5)).count is None


def test_a_custom_operator_that_is_called_like_a_builtin_is_not_counted():
    code = {"builtin_code": OPERATORS.index("CUSTOM"), "custom_code": "CONV_2D"}
    tensors = [{"shape": [1, 4, 4, 1]}, {"shape": [1, 2, 2, 1]}, {"shape": [1, 3, 3, 1]}]
    operator = {"opcode_index": 0, "inputs": [0, 1], "outputs": [2]}
    graph = {"tensors": tensors, "operators": [operator]}
    content = flatbuffer({"operator_codes": [code], "subgraphs": [graph]})
    model = read_model(MemorySource(content, "m"))
    assert macs(model, model.subgraphs[0], model.subgraphs[0].operators[0]) is None
