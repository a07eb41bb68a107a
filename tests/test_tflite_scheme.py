"""How a .tflite model is quantized, in words: from what computes with weights."""

import numpy as np
import pytest

from inspector.storage import MemorySource
from inspector.tflite.flow import Flow
from inspector.tflite.names import names_of
from inspector.tflite.scheme import Weights, in_words, scheme_of
from inspector.wire.tflite_model import read_model
from tests.builders.tflite import graph, model, op, tensor

FLOAT, INT8 = ["float32"], ["int8"]


def layers(*rows):
    return [Weights(f"layer{i}", *row) for i, row in enumerate(rows)]


FLOATS = ("float32", "float32", False)
RANGE = ("int8", "float32", False)
FULL = ("int8", "int8", False)

WORDS = {
    "float32": (layers(FLOATS, FLOATS), FLOAT, FLOAT),
    "bfloat16": (layers(("bfloat16", "bfloat16", False)), ["bfloat16"], ["bfloat16"]),
    "float16 weights, computed in float32": (layers(("float16", "float32", True)), FLOAT, FLOAT),
    "float16": (layers(("float16", "float16", False)), ["float16"], ["float16"]),
    "dynamic range (int8 weights, float32 activations)": (layers(RANGE), FLOAT, FLOAT),
    "dynamic range (int8 weights, float32 activations); 1 of 2 layers float32: layer0": (
        layers(FLOATS, RANGE),
        FLOAT,
        FLOAT,
    ),
    "weight-only (int4 weights, computed in float32)": (
        layers(("int4", "float32", True)),
        FLOAT,
        FLOAT,
    ),
    "full integer (int8), int8 input and output": (layers(FULL), INT8, INT8),
    "full integer (int8), float32 input and output": (layers(FULL), FLOAT, FLOAT),
    "full integer (uint8), uint8 input, float32 output": (
        layers(("uint8", "uint8", False)),
        ["uint8"],
        FLOAT,
    ),
    "full integer (int8 activations, int4 and int8 weights), float32 input and output": (
        layers(("int4", "int8", False), FULL),
        FLOAT,
        FLOAT,
    ),
    "16x8 (int16 activations, int8 weights), int16 input and output": (
        layers(("int8", "int16", False)),
        ["int16"],
        ["int16"],
    ),
    "mixed: full integer (int8), float32 input and output, 1 of 3 layers float32: layer2": (
        layers(FULL, FULL, FLOATS),
        FLOAT,
        FLOAT,
    ),
    "mixed: dynamic range (int8 weights, float32 activations), "
    "full integer (int8), int8 input and output": (layers(RANGE, FULL), INT8, INT8),
    "full integer (int8), float32 and int32 input, int8 output": (
        layers(FULL),
        ["int32", "float32"],
        INT8,
    ),
}


@pytest.mark.parametrize("words", WORDS)
def test_a_model_is_said_to_be(words):
    assert in_words(*WORDS[words]) == words


def test_of_many_layers_that_stayed_float_the_first_are_named():
    found = in_words(layers(RANGE, *[FLOATS] * 5), FLOAT, FLOAT)
    assert found.endswith("5 of 6 layers float32: layer1, layer2, layer3 and 2 more")


def test_of_names_that_were_joined_the_first_is_said():
    joined = [Weights("conv/Relu;conv/BiasAdd;conv/Conv2D", *FLOATS), Weights("d", *RANGE)]
    assert in_words(joined, FLOAT, FLOAT).endswith("float32: conv/Relu;…")


def scheme(tensors, operators, inputs, outputs, buffers=()):
    found = read_model(
        MemorySource(model(graph(tensors, operators, inputs, outputs), buffers=buffers), "m")
    )
    flow = Flow(found, names_of(found))
    constants = {
        (0, one.index): flow.uses((0, one.index))
        for one in found.subgraphs[0].tensors
        if found.data(one)
    }
    return scheme_of(flow, constants)


def test_a_bias_does_not_count():
    # An int8 kernel and an int32 bias, as full integer models have.
    tensors = [
        tensor("x", (1, 2), "int8", scale=[1.0]),
        tensor("k", (2, 2), "int8", 1, scale=[1.0]),
        tensor("b", (2,), "int32", 2, scale=[1.0]),
        tensor("y", (1, 2), "int8", scale=[1.0]),
    ]
    found = scheme(
        tensors,
        [op("FULLY_CONNECTED", [0, 1, 2], [3])],
        [0],
        [3],
        [np.ones((2, 2), "i1"), np.ones(2, "i4")],
    )
    assert found == "full integer (int8), int8 input and output"


def test_rows_of_a_table_that_are_turned_into_floats_are_dynamic_range():
    tensors = [
        tensor("ids", (3,), "int32"),
        tensor("table", (9, 2), "int8", 1, scale=[0.5]),
        tensor("rows", (3, 2), "int8", scale=[0.5]),
        tensor("y", (3, 2)),
    ]
    operators = [op("GATHER", [1, 0], [2]), op("DEQUANTIZE", [2], [3])]
    found = scheme(tensors, operators, [0], [3], [np.ones((9, 2), "i1")])
    assert found == "dynamic range (int8 weights, float32 activations)"


def test_without_weights_the_operators_tell():
    quantized = {"dtype": "int8", "scale": [0.5]}
    tensors = [tensor("x"), tensor("q", **quantized), tensor("s", **quantized), tensor("y")]
    operators = [
        op("QUANTIZE", [0], [1]),
        op("ADD", [1, 1], [2]),
        op("DEQUANTIZE", [2], [3]),
    ]
    found = scheme(tensors, operators, [0], [3])
    assert found == "full integer (int8), float32 input and output"
    assert scheme([tensor("x"), tensor("y")], [op("ABS", [0], [1])], [0], [1]) == "float32"


def test_a_model_of_whole_numbers_alone_has_none():
    tensors = [tensor("x", (2,), "int32"), tensor("y", (2,), "int32")]
    assert scheme(tensors, [op("ABS", [0], [1])], [0], [1]) is None
    assert scheme([], [], [], []) is None
