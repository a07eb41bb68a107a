"""Places of operators that converters seldom make, against LiteRT's kernels.

A kernel checks the shapes and types of its inputs before anything runs: with everything in the
place that our table gives it, the interpreter takes the model; with two of them exchanged, not.
"""

import faulthandler
import itertools
import os

import pytest
from ai_edge_litert.interpreter import Interpreter

from inspector.tflite.ops import BASIC_LSTM, reading
from inspector.wire.tflite_operators import OPERATORS
from inspector.wire.tflite_schema import TENSOR_TYPES
from tests.builders.flatbuffers import flatbuffer

FLOAT, INT = "float32", "int32"
LSTM = {
    "kernel": (5, 3),
    "recurrent kernel": (5, 4),
    "peephole weights": (5,),
    "bias": (5,),
    "projection kernel": (4, 5),
    "projection bias": (4,),
}
DIRECTION = [
    *["kernel"] * 4,
    *["recurrent kernel"] * 4,
    *["peephole weights"] * 3,
    *["bias"] * 4,
    "projection kernel",
    "projection bias",
]


def gates():
    return [(what, FLOAT, LSTM[what]) for what in DIRECTION]


def state(*shape):
    return ("state from one call to the next", FLOAT, shape)


# operator, options, inputs (what it takes them for, type, shape), outputs
CASES = {
    "RNN": (
        ("RNNOptions", {}),
        [
            ("data", FLOAT, (2, 3)),
            ("kernel", FLOAT, (5, 3)),
            ("recurrent kernel", FLOAT, (5, 5)),
            ("bias", FLOAT, (5,)),
            state(2, 5),
        ],
        1,
    ),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (
        ("SequenceRNNOptions", {}),
        [
            ("data", FLOAT, (2, 7, 3)),
            ("kernel", FLOAT, (5, 3)),
            ("recurrent kernel", FLOAT, (5, 5)),
            ("bias", FLOAT, (5,)),
            state(2, 5),
        ],
        1,
    ),
    "BIDIRECTIONAL_SEQUENCE_RNN": (
        ("BidirectionalSequenceRNNOptions", {}),
        [
            ("data", FLOAT, (2, 7, 3)),
            *[
                ("kernel", FLOAT, (5, 3)),
                ("recurrent kernel", FLOAT, (5, 5)),
                ("bias", FLOAT, (5,)),
                state(2, 5),
            ]
            * 2,
            ("data", FLOAT, (2, 7, 4)),
            ("kernel of the auxiliary input", FLOAT, (5, 4)),
            ("kernel of the auxiliary input", FLOAT, (5, 4)),
        ],
        2,
    ),
    "SVDF": (
        ("SVDFOptions", {"rank": 2}),
        [
            ("data", FLOAT, (2, 3)),
            ("kernel over features", FLOAT, (10, 3)),
            ("kernel over time", FLOAT, (10, 7)),
            ("bias", FLOAT, (5,)),
            state(2, 70),
        ],
        1,
    ),
    "LSTM": (
        ("LSTMOptions", {"kernel_type": 0}),
        [
            ("data", FLOAT, (2, 3)),
            *gates(),
            state(2, 4),
            state(2, 5),
            *[("coefficients of layer normalization", FLOAT, (5,))] * 4,
        ],
        1,
    ),
    BASIC_LSTM: (
        ("LSTMOptions", {"kernel_type": 1}),
        [
            ("data", FLOAT, (2, 3)),
            state(2, 5),
            ("kernel", FLOAT, (20, 8)),
            ("bias", FLOAT, (20,)),
            state(2, 5),
        ],
        4,
    ),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (
        ("BidirectionalSequenceLSTMOptions", {"time_major": True}),
        [
            ("data", FLOAT, (7, 2, 3)),
            *gates(),
            *gates(),
            *[state(2, 4), state(2, 5)] * 2,
            ("data", FLOAT, (7, 2, 6)),
            *[("kernel of the auxiliary input", FLOAT, (5, 6))] * 8,
        ],
        2,
    ),
    "EMBEDDING_LOOKUP": (
        None,
        [("indices", INT, (4,)), ("table of embeddings", FLOAT, (9, 5))],
        1,
    ),
    "EMBEDDING_LOOKUP_SPARSE": (
        ("EmbeddingLookupSparseOptions", {}),
        [
            ("indices", INT, (4,)),
            ("indices", INT, (4, 3)),
            ("shape", INT, (3,)),
            ("weights of a sum", FLOAT, (4,)),
            ("table of embeddings", FLOAT, (9, 5)),
        ],
        1,
    ),
    "LSH_PROJECTION": (
        ("LSHProjectionOptions", {"type": 2}),
        [
            ("seeds of the hash functions", FLOAT, (3, 4)),
            ("data", INT, (6, 33)),
            ("weights of a sum", FLOAT, (6,)),
        ],
        1,
    ),
    "HASHTABLE_LOOKUP": (
        None,
        [("data", INT, (4,)), ("keys of a table", INT, (3,)), ("values of a table", FLOAT, (3, 2))],
        2,
    ),
    "SPARSE_TO_DENSE": (
        ("SparseToDenseOptions", {}),
        [
            ("indices", INT, (4, 3)),
            ("shape", INT, (3,)),
            ("values to put in", FLOAT, (4,)),
            ("value to fill in", FLOAT, ()),
        ],
        1,
    ),
    "DYNAMIC_UPDATE_SLICE": (
        ("DynamicUpdateSliceOptions", {}),
        [
            ("data", FLOAT, (4, 5)),
            ("values to put in", FLOAT, (2, 3)),
            ("start of the slice", INT, (2,)),
        ],
        1,
    ),
    "RFFT2D": (("Rfft2dOptions", {}), [("data", FLOAT, (1, 8, 8)), ("lengths", INT, (2,))], 1),
    "MULTINOMIAL": (
        ("RandomOptions", {}),
        [("data", FLOAT, (2, 8)), ("number of results", INT, ())],
        1,
    ),
}
STATES = {"state from one call to the next"}
# Of the first recurrent kernel and its bias, the kernel looks at the first side only.
UNCHECKED = {("BIDIRECTIONAL_SEQUENCE_RNN", 2)}


def model(operator, options, inputs, outputs):
    name = "LSTM" if operator == BASIC_LSTM else operator
    tensors = [
        {
            "shape": list(shape),
            "type": TENSOR_TYPES.index(dtype),
            "name": f"{index}",
            "is_variable": what in STATES,
        }
        for index, (what, dtype, shape) in enumerate(inputs)
    ]
    given = [index for index, (what, _, _) in enumerate(inputs) if what not in STATES]
    made = list(range(len(inputs), len(inputs) + outputs))
    dtype = "int32" if operator == "LSH_PROJECTION" else FLOAT
    dtype = {"RFFT2D": "complex64", "MULTINOMIAL": "int32"}.get(operator, dtype)
    tensors += [{"shape": [1], "type": TENSOR_TYPES.index(dtype), "name": f"{i}"} for i in made]
    if operator == "HASHTABLE_LOOKUP":
        tensors[-1]["type"] = TENSOR_TYPES.index("uint8")
    one = {"opcode_index": 0, "inputs": list(range(len(inputs))), "outputs": made}
    if options:
        one["builtin_options"] = options
    code = OPERATORS.index(name)
    return flatbuffer(
        {
            "version": 3,
            "operator_codes": [
                {"builtin_code": code, "deprecated_builtin_code": min(code, 127), "version": 1}
            ],
            "subgraphs": [
                {"tensors": tensors, "inputs": given, "outputs": made, "operators": [one]}
            ],
            "buffers": [{}],
        }
    )


def taken(operator, options, inputs, outputs):
    """Whether the interpreter plans memory for the operator, in a process of its own.

    Some kernels end the process over a shape that they did not expect.
    """
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    faulthandler.disable()
    try:
        Interpreter(model_content=model(operator, options, inputs, outputs)).allocate_tensors()
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - whatever it is, pytest must not go on in here
        print(operator, error, flush=True)
        os._exit(1)


@pytest.mark.parametrize("operator", CASES)
def test_a_kernel_takes_its_inputs_in_the_order_of_the_table(operator):
    options, inputs, outputs = CASES[operator]
    for index, (what, _, _) in enumerate(inputs):
        assert reading(operator, index, len(inputs)).what == what
    assert taken(operator, options, inputs, outputs)
    for at, (one, other) in enumerate(itertools.pairwise(inputs)):
        if one[0] == other[0] or one[1:] == other[1:] or (operator, at) in UNCHECKED:
            continue
        exchanged = [*inputs[:at], other, one, *inputs[at + 2 :]]
        assert not taken(operator, options, exchanged, outputs), (one, other)
