import re

import pytest

from inspector.model import Role
from inspector.tflite.ops import (
    CALLS,
    NO_OPERATORS,
    PARTS,
    READINGS,
    SAME_VALUES,
    operand_role,
    reading,
    signatures,
)
from inspector.wire.tflite_operators import OPERATORS
from inspector.wire.tflite_schema import SCHEMA


def test_every_builtin_operator_is_in_the_table():
    assert set(signatures()) - {"LSTM of kernel type BASIC"} == set(OPERATORS) - NO_OPERATORS


def test_every_entry_names_where_it_was_read():
    for one in signatures().values():
        assert re.fullmatch(r"tflite/kernels/\w+\.cc|schema\.fbs", one.source)


def test_every_word_is_used():
    used = {one for found in signatures().values() for one in (*found.inputs, found.rest)}
    assert set(READINGS.values()) <= used


@pytest.mark.parametrize(
    ("operator", "index", "what", "role"),
    [
        ("CONV_2D", 1, "kernel", Role.WEIGHT),
        ("CONV_2D", 2, "bias", Role.WEIGHT),
        ("DEPTHWISE_CONV_2D", 1, "depthwise kernel", Role.WEIGHT),
        # The shape comes first, the data after the kernel.
        ("TRANSPOSE_CONV", 0, "shape", Role.CONSTANT),
        ("TRANSPOSE_CONV", 1, "kernel", Role.WEIGHT),
        ("TRANSPOSE_CONV", 3, "bias", Role.WEIGHT),
        ("CONV_3D_TRANSPOSE", 2, "data", None),
        ("PRELU", 1, "slope of negative values", Role.WEIGHT),
        ("EMBEDDING_LOOKUP", 1, "table of embeddings", Role.WEIGHT),
        ("EMBEDDING_LOOKUP_SPARSE", 4, "table of embeddings", Role.WEIGHT),
        ("BATCH_MATMUL", 1, "matrix", Role.WEIGHT),
        ("HASHTABLE_IMPORT", 1, "keys of a table", Role.LOOKUP),
        ("HASHTABLE_IMPORT", 2, "values of a table", Role.LOOKUP),
        ("RESHAPE", 1, "shape", Role.CONSTANT),
        ("TRANSPOSE", 1, "permutation", Role.CONSTANT),
        ("PADV2", 2, "value to fill in", Role.CONSTANT),
        ("STRIDED_SLICE", 3, "strides", Role.CONSTANT),
        ("SPLIT", 0, "axis", Role.CONSTANT),
        ("SPLIT_V", 2, "axis", Role.CONSTANT),
        ("MUL", 1, "operand of arithmetic", None),
        ("GATHER", 0, "table", None),
        ("GATHER", 1, "indices", Role.CONSTANT),
    ],
)
def test_places_say_what_is_read_there(operator, index, what, role):
    found = reading(operator, index, 4)
    assert (found.what, found.role) == (what, role)


def test_an_lstm_has_its_24_places():
    words = [reading("UNIDIRECTIONAL_SEQUENCE_LSTM", index, 24).what for index in range(24)]
    assert words[1:5] == ["kernel"] * 4
    assert words[5:9] == ["recurrent kernel"] * 4
    assert words[9:12] == ["peephole weights"] * 3
    assert words[12:16] == ["bias"] * 4
    assert words[16:18] == ["projection kernel", "projection bias"]
    assert words[20:24] == ["coefficients of layer normalization"] * 4
    assert reading("LSTM", 24, 24) is None
    assert reading("LSTM", 18, 24).role is Role.ACTIVATION


def test_an_lstm_of_five_inputs_has_one_kernel():
    assert [reading("LSTM", index, 5).what for index in (2, 3)] == ["kernel", "bias"]


def test_an_lstm_in_both_directions_has_its_48_places():
    found = signatures()["BIDIRECTIONAL_SEQUENCE_LSTM"].inputs
    assert len(found) == 48
    # Source: the comments on input tensors in bidirectional_sequence_lstm.cc.
    assert [found[one].what for one in (1, 5, 9, 12, 16, 17)] == [
        found[one].what for one in (18, 22, 26, 29, 33, 34)
    ]
    assert {found[one].role for one in range(35, 39)} == {Role.ACTIVATION}
    assert {found[one].variable for one in range(40, 48)} == {"auxiliary_kernel"}


def test_the_last_word_can_stand_for_all_that_follow():
    assert reading("CONCATENATION", 70, 71) == READINGS["data"]
    assert reading("IF", 3, 4) == READINGS["passed"]
    assert reading("ADD", 2, 3) is None


def test_an_operator_that_nobody_knows_has_no_reading():
    assert reading("operator 999", 0, 1) is None
    assert reading("CUSTOM", 0, 1) is None


@pytest.mark.parametrize(
    ("dtype", "shape", "quantized", "role"),
    [
        ("float32", (1, 1, 1, 8), False, Role.WEIGHT),
        ("float32", (), False, Role.CONSTANT),
        ("float32", (1, 1), False, Role.CONSTANT),
        ("float16", (8,), False, Role.WEIGHT),
        ("bfloat16", (8,), False, Role.WEIGHT),
        ("int8", (8,), True, Role.WEIGHT),
        ("int32", (8,), False, Role.CONSTANT),
        ("bool", (8,), False, Role.CONSTANT),
        ("string", (8,), False, Role.CONSTANT),
    ],
)
def test_operands_are_weights_where_they_are_many_real_numbers(dtype, shape, quantized, role):
    assert operand_role(dtype, shape, quantized=quantized) is role


def test_what_calls_subgraphs_names_fields_of_its_options():
    fields = {name for table in SCHEMA.tables for name in SCHEMA.fields(table)}
    assert {name for call in CALLS.values() for name in call.fields} <= fields
    # And every such field is some operator's.
    named = {name for name in fields if re.search(r"subgraph_ind|computations|^subgraph$", name)}
    assert named - {"subgraph_index"} == {name for call in CALLS.values() for name in call.fields}


def test_what_hands_values_on_is_an_operator():
    assert SAME_VALUES | set(PARTS) | set(CALLS) <= set(OPERATORS)
