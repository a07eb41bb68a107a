"""Roles in .tflite models. Uses stand for what LiteRT's kernels say of operators' inputs."""

from dataclasses import replace

import pytest

from inspector.classify import RULES, classify
from inspector.model import (
    Artifact,
    Extent,
    FileEntry,
    Quantized,
    Role,
    Section,
    Store,
    Tensor,
    Use,
)
from inspector.tflite.flow import RETURNED
from inspector.tflite.ops import BASIC_LSTM, signatures

SCALES = Quantized("per-channel", 4, (0.1, 0.2), (0, 0), 0, None, True)


def constant(name, *uses, dtype="float32", shape=(4, 6), **fields):
    return Tensor(name, dtype, shape, 0, section=Section.GRAPH, uses=uses, **fields)


def judged(*tensors, kind="tflite"):
    entry = FileEntry("m", 0)
    artifact = Artifact("m", kind, "a model", (entry,), tensors, {}, store=Store.NAMES)
    return classify(artifact).verdicts


def verdict(tensor, *others):
    return judged(tensor, *others)[tensor.name]


# --- what an operator says ------------------------------------------------------------------------


def test_a_kernel_is_a_weight_and_the_evidence_names_who_reads_it():
    use = Use("CONV_2D", 1, "sequential/conv2d/Relu", ("DENSIFY", "DEQUANTIZE"))
    found = verdict(constant("arith.constant", use, dtype="float16", shape=(8, 3, 3, 1)))
    assert (found.role, found.rule, found.basis) == (Role.WEIGHT, "tflite-weight", "graph")
    assert found.evidence == (
        "read by CONV_2D sequential/conv2d/Relu at input 1 (its kernel), through DENSIFY,"
        " DEQUANTIZE"
    )


@pytest.mark.parametrize(
    ("op", "at", "role"),
    [
        ("CONV_2D", 2, Role.WEIGHT),
        ("DEPTHWISE_CONV_2D", 1, Role.WEIGHT),
        ("FULLY_CONNECTED", 1, Role.WEIGHT),
        ("FULLY_CONNECTED", 2, Role.WEIGHT),
        ("TRANSPOSE_CONV", 1, Role.WEIGHT),
        ("TRANSPOSE_CONV", 3, Role.WEIGHT),
        ("CONV_3D_TRANSPOSE", 1, Role.WEIGHT),
        ("BATCH_MATMUL", 1, Role.WEIGHT),
        ("PRELU", 1, Role.WEIGHT),
        ("EMBEDDING_LOOKUP", 1, Role.WEIGHT),
        ("EMBEDDING_LOOKUP_SPARSE", 4, Role.WEIGHT),
        ("GATHER", 0, Role.WEIGHT),
        ("SVDF", 2, Role.WEIGHT),
        ("RNN", 2, Role.WEIGHT),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", 8, Role.WEIGHT),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", 23, Role.WEIGHT),
        ("BIDIRECTIONAL_SEQUENCE_LSTM", 47, Role.WEIGHT),
        ("STABLEHLO_CONVOLUTION", 1, Role.WEIGHT),
        # The state that a recurrent layer begins with, where the file gives it values.
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", 18, Role.CONSTANT),
        ("EMBEDDING_LOOKUP_SPARSE", 3, Role.CONSTANT),
        ("LSH_PROJECTION", 0, Role.CONSTANT),
        ("CONV_2D", 0, Role.CONSTANT),
        ("GREATER", 1, Role.CONSTANT),
        ("SELECT_V2", 1, Role.CONSTANT),
        ("SCATTER_ND", 1, Role.CONSTANT),
    ],
)
def test_places_decide_what_an_array_of_floats_is(op, at, role):
    assert verdict(constant("c", Use(op, at, "n"))).role is role


@pytest.mark.parametrize(
    ("op", "at", "what"),
    [
        ("RESHAPE", 1, "shape"),
        ("TRANSPOSE", 1, "permutation"),
        ("TRANSPOSE_CONV", 0, "shape"),
        ("PAD", 1, "paddings"),
        ("SLICE", 1, "start of the slice"),
        ("SLICE", 2, "size"),
        ("MEAN", 1, "axis"),
        ("SPLIT", 0, "axis"),
        ("ONE_HOT", 1, "depth"),
        ("GATHER", 1, "indices"),
    ],
)
def test_settings_are_constants(op, at, what):
    found = verdict(constant("c", Use(op, at, "n"), dtype="int32", shape=(2,)))
    assert (found.role, found.rule, found.trainable) == (Role.CONSTANT, "tflite-constant", False)
    assert found.evidence == f"read by {op} n at input {at} (its {what})"


def test_the_use_that_tells_wins():
    uses = [Use("SHAPE", 0, "s"), Use("MUL", 1, "l2"), Use("FULLY_CONNECTED", 1, "y")]
    found = verdict(constant("k", *uses))
    assert (found.role, found.rule) == (Role.WEIGHT, "tflite-weight")
    assert "read by FULLY_CONNECTED y at input 1" in found.evidence


def test_a_kernel_whose_zeros_are_also_a_fill_value_stays_a_kernel():
    uses = [Use("PADV2", 2, "p"), Use("CONV_2D", 2, "c")]
    assert verdict(constant("b", *uses, shape=(1,))).role is Role.WEIGHT


def test_one_name_is_a_bias_here_and_a_shape_there():
    """A bias in int32 and a shape in int32, as large, and both called arith.constant."""
    bias = constant(
        "0/arith.constant",
        Use("CONV_2D", 2, "y"),
        dtype="int32",
        shape=(4,),
        quantized=SCALES,
        stored_name="arith.constant",
    )
    shape = replace(bias, name="1/arith.constant", quantized=None, uses=(Use("RESHAPE", 1, "z"),))
    found = judged(bias, shape)
    assert found[bias.name].role is Role.WEIGHT
    assert found[shape.name].role is Role.CONSTANT


def test_a_shape_of_floats_is_still_a_shape():
    found = verdict(constant("p", Use("TRANSPOSE", 1, "t"), dtype="float32", shape=(4,)))
    assert found.role is Role.CONSTANT


# --- which LSTM -----------------------------------------------------------------------------------


def test_an_lstm_of_five_inputs_has_its_bias_at_the_fourth():
    """Source: lstm.cc, kernel type BASIC: data, activation, weights, biases, state."""
    kernel = constant("k", Use(BASIC_LSTM, 2, "y"), shape=(20, 8))
    bias = constant("b", Use(BASIC_LSTM, 3, "y"), shape=(20,))
    found = judged(kernel, bias)
    assert "(its kernel)" in found["k"].evidence
    assert "(its bias)" in found["b"].evidence


def test_an_lstm_of_24_inputs_has_a_kernel_there():
    kernel = constant("k", Use("LSTM", 3, "y"), shape=(5, 3))
    bias = constant("b", Use("LSTM", 15, "y"), shape=(5,))
    found = judged(kernel, bias)
    assert "(its kernel)" in found["k"].evidence
    assert "(its bias)" in found["b"].evidence


# --- dtypes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "quantized", "role"),
    [
        ("int8", SCALES, Role.WEIGHT),
        ("int4", SCALES, Role.WEIGHT),
        ("uint8", SCALES, Role.WEIGHT),
        ("bfloat16", None, Role.WEIGHT),
        ("float8_e4m3fn", None, Role.WEIGHT),
        # Nothing but a quantized kernel comes in 8 bits, even where the scale is lost.
        ("int8", None, Role.WEIGHT),
        ("int32", None, Role.CONSTANT),
        ("bool", None, Role.CONSTANT),
        ("string", None, Role.CONSTANT),
    ],
)
def test_a_kernel_stands_for_real_numbers(dtype, quantized, role):
    use = Use("FULLY_CONNECTED", 1, "y")
    assert verdict(constant("k", use, dtype=dtype, quantized=quantized)).role is role


def test_a_lost_scale_is_told():
    found = verdict(constant("k", Use("CONV_2D", 1, "y"), dtype="int8"))
    assert "int8 without a scale" in found.evidence


@pytest.mark.parametrize("dtype", ["int32", "int64", "string", "bool"])
def test_a_table_of_no_real_numbers_is_a_lookup(dtype):
    found = verdict(constant("t", Use("GATHER", 0, "g"), dtype=dtype, shape=(9,)))
    assert (found.role, found.rule) == (Role.LOOKUP, "tflite-table")
    assert dtype in found.evidence


@pytest.mark.parametrize("at", [1, 2])
def test_contents_of_a_hash_table_are_lookups(at):
    use = Use("HASHTABLE_IMPORT", at, "HASHTABLE_IMPORT 1")
    for dtype in ("string", "int64", "float32"):
        assert verdict(constant("t", use, dtype=dtype, shape=(3,))).role is Role.LOOKUP


# --- arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "done"),
    [
        ("ADD", "added; a bias or an offset"),
        ("SUB", "subtracted; an offset"),
        ("MUL", "multiplied; a scale"),
        ("DIV", "divided; a scale"),
    ],
)
def test_an_array_in_arithmetic_is_a_weight_said_plainly(op, done):
    found = verdict(constant("b", Use(op, 1, "n"), shape=(1, 1, 64)))
    assert (found.role, found.rule) == (Role.WEIGHT, "tflite-array")
    assert found.evidence == f"read by {op} n at input 1: an array of 64 values, {done}"


def test_a_quantized_array_in_arithmetic_is_a_weight():
    found = verdict(constant("b", Use("MUL", 1, "n"), dtype="int8", shape=(8,), quantized=SCALES))
    assert found.role is Role.WEIGHT


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
@pytest.mark.parametrize("quantized", [None, SCALES])
def test_a_single_value_in_arithmetic_is_a_constant(shape, quantized):
    found = verdict(constant("eps", Use("ADD", 1, "n"), shape=shape, quantized=quantized))
    assert (found.role, found.rule) == (Role.CONSTANT, "tflite-constant")
    assert found.evidence.endswith("a single value")


def test_whole_numbers_in_arithmetic_are_constants():
    found = verdict(constant("c", Use("ADD", 1, "n"), dtype="int32", shape=(8,)))
    assert found.role is Role.CONSTANT
    assert found.evidence.endswith("of int32, so no weight")


# --- subgraphs and variables ----------------------------------------------------------------------


def test_a_kernel_that_a_loop_hands_round_is_a_weight():
    assert verdict(constant("k", Use("FULLY_CONNECTED", 1, "y", ("WHILE",)))).role is Role.WEIGHT


def test_what_a_loop_begins_with_is_a_constant():
    found = verdict(constant("zeros", Use("WHILE", 2, "loop"), shape=(1, 5)))
    assert found.role is Role.CONSTANT
    assert found.evidence.endswith("what the loop begins with")


def test_a_variable_is_what_it_is_read_as():
    way = ("ASSIGN_VARIABLE", "READ_VARIABLE")
    uses = [Use("ASSIGN_VARIABLE", 1, "init"), Use("FULLY_CONNECTED", 1, "y", way)]
    found = verdict(constant("Const", *uses))
    assert (found.role, found.rule) == (Role.WEIGHT, "tflite-weight")


def test_an_array_that_a_variable_starts_with_is_a_weight_and_a_count_is_not():
    use = Use("ASSIGN_VARIABLE", 1, "init")
    found = verdict(constant("Const", use))
    assert (found.role, found.rule) == (Role.WEIGHT, "tflite-initial")
    assert verdict(constant("Const", use, dtype="int64", shape=())).role is Role.CONSTANT
    assert verdict(constant("Const", use, shape=())).role is Role.CONSTANT


# --- operators that the table lacks ---------------------------------------------------------------


@pytest.mark.parametrize("op", ["MyOperator", "operator 999", "FlexMyOperator"])
def test_an_array_that_an_unknown_operator_reads_is_a_weight_by_a_rule_that_says_so(op):
    found = verdict(constant("p", Use(op, 2, "y")))
    assert (found.role, found.rule) == (Role.WEIGHT, "tflite-opaque")
    assert "an operator that is not known: an array of 24 values is taken as a weight" in (
        found.evidence
    )


@pytest.mark.parametrize(("dtype", "shape"), [("int32", (4,)), ("float32", ()), ("bool", (2, 2))])
def test_what_else_an_unknown_operator_reads_is_a_constant(dtype, shape):
    found = verdict(constant("p", Use("MyOperator", 1, "y"), dtype=dtype, shape=shape))
    assert (found.role, found.rule) == (Role.CONSTANT, "tflite-constant")
    assert "an operator that is not known" in found.evidence


def test_an_input_that_a_known_operator_does_not_have_is_told():
    found = verdict(constant("p", Use("CONV_2D", 7, "y")))
    assert (found.role, found.rule) == (Role.WEIGHT, "tflite-opaque")
    assert "which has no such input" in found.evidence


@pytest.mark.parametrize(
    ("op", "at", "role"),
    [
        ("FlexConv2D", 1, Role.WEIGHT),
        ("FlexFusedBatchNormV3", 3, Role.STATISTIC),
        ("FlexFakeQuantWithMinMaxVars", 1, Role.QUANT_PARAM),
        ("FlexAddV2", 1, Role.WEIGHT),
        ("FlexReshape", 1, Role.CONSTANT),
        ("FlexLookupTableImportV2", 1, Role.LOOKUP),
    ],
)
def test_flex_operators_are_tensorflows(op, at, role):
    assert verdict(constant("c", Use(op, at, "n"), shape=(8,))).role is role


def test_anchors_of_a_detector_are_no_weights():
    """Source: detection_postprocess.cc: box encodings, class predictions, anchors."""
    use = Use("TFLite_Detection_PostProcess", 2, "boxes")
    found = verdict(constant("anchors", use, dtype="uint8", shape=(1917, 4), quantized=SCALES))
    assert (found.role, found.rule) == (Role.CONSTANT, "tflite-constant")
    assert "anchors" in found.evidence


def test_a_custom_operator_of_a_builtins_other_name_is_none():
    """Its own name is all that a custom operator has: "Conv2D" is nobody's."""
    assert verdict(constant("k", Use("Conv2D", 1, "y"))).rule == "tflite-opaque"


# --- tensors that nothing reads, or without values ------------------------------------------------


def test_what_an_operator_makes_is_an_activation():
    made = "made by CONV_2D conv/Relu"
    found = verdict(constant("conv/Relu", Use("FULLY_CONNECTED", 1, "y"), made=made))
    assert (found.role, found.rule, found.trainable) == (
        Role.ACTIVATION,
        "tflite-activation",
        False,
    )
    assert found.evidence == "no values in the file: made by CONV_2D conv/Relu"


def test_what_nothing_reads_is_a_constant():
    found = verdict(constant("left"))
    assert (found.role, found.rule) == (Role.CONSTANT, "tflite-unread")
    assert found.evidence == "no operator reads it"


def test_a_place_that_an_operator_leaves_empty_is_a_constant():
    found = verdict(constant("cell2input_weights", shape=(0,)))
    assert found.evidence == "no operator reads it: of no values"


def test_a_constant_that_the_model_returns_is_told():
    found = verdict(constant("anchors", Use(RETURNED, 1, "main", ("RESHAPE",))))
    assert (found.role, found.rule) == (Role.CONSTANT, "tflite-output")
    assert found.evidence == "output 1 of main, through RESHAPE: the same at every call"


def test_a_weight_that_the_model_returns_too_is_a_weight():
    uses = [Use(RETURNED, 0, "main"), Use("FULLY_CONNECTED", 1, "y")]
    assert verdict(constant("k", *uses)).role is Role.WEIGHT


# --- quantization ---------------------------------------------------------------------------------


def test_scales_in_a_tensor_serve_the_tensor_that_names_them():
    blocks = Quantized("blockwise", block=32, tensors={"scales": "s", "zero_points": "z"})
    kernel = constant("k", Use("FULLY_CONNECTED", 1, "y"), dtype="int4", quantized=blocks)
    scales = constant("s", dtype="float16", shape=(4, 2))
    points = constant("z", dtype="int32", shape=(4, 2))
    found = judged(kernel, scales, points)
    assert found["k"].role is Role.WEIGHT
    assert (found["s"].role, found["s"].about) == (Role.QUANT_PARAM, "k")
    assert found["s"].evidence == "k names it as its scales"
    assert found["z"].evidence == "k names it as its zero points"


def test_scales_that_many_share_say_so():
    blocks = Quantized("blockwise", block=32, tensors={"scales": "s"})
    one, other = (
        constant(n, Use("FULLY_CONNECTED", 1, n), dtype="int4", quantized=blocks) for n in "ab"
    )
    found = judged(one, other, constant("s", shape=(4, 2)))["s"]
    assert found.evidence == "a names it as its scales and of 1 more"


# --- copies ---------------------------------------------------------------------------------------


def repeated(role_of, **fields):
    first = constant("a", role_of, extents=(Extent("m", 64, 96),), **fields)
    return first, replace(first, name="b", repeats="a")


def test_a_kernel_in_the_buffer_of_another_costs_no_byte():
    first, again = repeated(Use("FULLY_CONNECTED", 1, "y"))
    found = judged(first, again)
    assert found["a"].role is Role.WEIGHT
    assert (found["b"].role, found["b"].alias_of) == (Role.ALIAS, "a")
    assert found["b"].evidence.startswith("it has the buffer of a, stored once; read by")


def test_a_kernel_that_is_stored_again_says_so():
    first, again = repeated(Use("FULLY_CONNECTED", 1, "y"))
    again = replace(again, extents=(Extent("m", 512, 96),))
    assert judged(first, again)["b"].evidence.startswith("the bytes of a, stored again; read by")


def test_shapes_in_one_buffer_are_no_copies():
    first, again = repeated(Use("RESHAPE", 1, "y"), dtype="int32", shape=(2,))
    assert judged(first, again)["b"].role is Role.CONSTANT


def test_a_bias_with_the_bytes_of_a_shape_is_a_bias():
    shape, again = repeated(Use("RESHAPE", 1, "y"), dtype="int32", shape=(2,))
    bias = replace(again, uses=(Use("CONV_2D", 2, "z"),), quantized=SCALES)
    assert judged(shape, bias)["b"].role is Role.WEIGHT


def test_equal_bytes_in_another_scale_are_other_values():
    """Converters store all biases of zeros in one buffer."""
    first, again = repeated(Use("CONV_2D", 2, "y"), dtype="int32", shape=(4,), quantized=SCALES)
    again = replace(again, quantized=replace(SCALES, scale=(0.3, 0.4)))
    assert judged(first, again)["b"].role is Role.WEIGHT


def test_the_first_of_two_is_never_missing():
    _, again = repeated(Use("FULLY_CONNECTED", 1, "y"))
    assert judged(again)["b"].role is Role.WEIGHT


# --- who decides ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["frozen-graph", "saved-model", "checkpoint"])
def test_no_rule_for_tflite_touches_another_artifact(kind):
    tensors = [
        constant("a", Use("CONV_2D", 1, "y")),
        constant("b", made="made by CONV_2D y"),
        constant("c", quantized=Quantized("blockwise", tensors={"scales": "a"})),
        constant("d", Use("CONV_2D", 1, "y"), repeats="a"),
    ]
    for one in judged(*tensors, kind=kind).values():
        assert not one.rule.startswith("tflite-")


def test_no_other_rule_touches_a_tflite_model():
    """Names and operators that other rules know: a mask, TensorFlow's operators, Keras' LSTM."""
    tensors = [
        constant("conv/mask", Use("Mul", 1, "y")),
        constant("conv/weights", Use("Mul", 0, "y")),
        constant("moving_mean", Use("FusedBatchNormV3", 3, "y"), shape=(4,)),
        constant("dense/kernel", variable="kernel", owner="LSTM", position=0),
        constant("global_step", dtype="int64", shape=()),
        constant("left", Use("Variance", 0, "n"), repeats="dense/kernel"),
        constant("nothing", shape=None, dtype="type 99"),
    ]
    tensors += [replace(one, name=f"m/{one.name}", section=Section.MODEL) for one in tensors]
    for one in judged(*tensors).values():
        assert one.rule.startswith("tflite-")
        assert one.role is not Role.UNKNOWN


def test_every_verdict_names_one_of_the_rules():
    codes = {rule.code for rule in RULES}
    places = [(op, at) for op, found in signatures().items() for at in range(len(found.inputs) + 1)]
    for dtype, shape in (("float32", (4, 6)), ("int32", (2,)), ("string", (3,)), ("float32", ())):
        tensors = [
            constant(f"{op} {at}", Use(op, at, op), dtype=dtype, shape=shape) for op, at in places
        ]
        for one in judged(*tensors).values():
            assert one.rule in codes
            assert one.role is not Role.UNKNOWN


def test_weights_leave_open_whether_they_were_trained_and_settings_do_not():
    kernel = constant("k", Use("CONV_2D", 1, "y"))
    assert verdict(kernel).trainable is None
    assert verdict(constant("s", Use("RESHAPE", 1, "y"), dtype="int32")).trainable is False
