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
    values = {
        "operator_codes": [{"builtin_code": OPERATORS.index(operator)}],
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
        ("FULLY_CONNECTED", [(4, 10), (3, 10), None], (4, 3), None, 4 * 3 * 10),
        ("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5)], (2, 3, 5), None, 2 * 3 * 4 * 5),
        (
            "BATCH_MATMUL",
            [(2, 4, 3), (2, 4, 5)],
            (2, 3, 5),
            ("BatchMatMulOptions", {"adj_x": True}),
            2 * 3 * 4 * 5,
        ),
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
