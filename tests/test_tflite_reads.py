import pytest

from inspector.model import Role
from inspector.tflite.custom_ops import CUSTOM
from inspector.tflite.ops import OPERAND, reading, signatures
from inspector.tflite.reads import is_known, read_at


def test_a_builtin_takes_what_its_table_says():
    assert read_at("TRANSPOSE_CONV", 3) == reading("TRANSPOSE_CONV", 3, 4)
    assert read_at("CONV_2D", 7) is None


@pytest.mark.parametrize(
    ("op", "index", "what", "role"),
    [
        # box encodings, class predictions, anchors: detection_postprocess.cc
        ("TFLite_Detection_PostProcess", 0, "data", None),
        (
            "TFLite_Detection_PostProcess",
            2,
            "anchors, which boxes are measured from",
            Role.CONSTANT,
        ),
        # data, weights, bias: MediaPipe's transpose_conv_bias.cc
        ("Convolution2DTransposeBias", 1, "kernel", Role.WEIGHT),
        ("Convolution2DTransposeBias", 2, "bias", Role.WEIGHT),
        # data, state, gates' weight and bias, candidate's: unidirectional_sequence_gru.cc
        ("UNIDIRECTIONAL_SEQUENCE_GRU", 2, "kernel", Role.WEIGHT),
        ("UNIDIRECTIONAL_SEQUENCE_GRU", 5, "bias", Role.WEIGHT),
    ],
)
def test_public_custom_operators_are_known(op, index, what, role):
    found = read_at(op, index)
    assert (found.what, found.role) == (what, role)


@pytest.mark.parametrize(
    ("op", "index", "what", "role"),
    [
        ("FlexConv2D", 1, "kernel", Role.WEIGHT),
        ("FlexFusedBatchNormV3", 4, "moving variance", Role.STATISTIC),
    ],
)
def test_flex_operators_are_tensorflows(op, index, what, role):
    found = read_at(op, index)
    assert (found.what, found.role) == (what, role)


def test_operands_of_tensorflows_arithmetic_are_operands():
    assert read_at("FlexAddV2", 1) is OPERAND
    assert read_at("FlexRsqrt", 0) is OPERAND


@pytest.mark.parametrize("op", ["MyOperator", "FlexMyOperator", "operator 999", "CUSTOM ADD", ""])
def test_others_are_not_known(op):
    assert not is_known(op)
    assert read_at(op, 0) is None


@pytest.mark.parametrize("op", ["CONV_2D", "FlexConv2D", "Mfcc"])
def test_these_are_known(op):
    assert is_known(op)


def test_tensorflows_names_are_known_behind_flex_only():
    assert not is_known("Conv2D")
    assert read_at("Conv2D", 1) is None


def test_no_custom_operator_is_called_like_a_builtin():
    assert not set(CUSTOM) & set(signatures())
