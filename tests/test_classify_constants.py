"""Roles by the graph. Each use stands for what TensorFlow's documentation of the operator says."""

from dataclasses import replace

import pytest

from inspector.classify import classify
from inspector.model import Artifact, FileEntry, Role, Section, Store, Tensor, Use


def constant(name, *uses, dtype="float32", shape=(4, 6), **fields):
    return Tensor(name, dtype, shape, 0, section=Section.GRAPH, uses=uses, **fields)


def variable(name, *uses, dtype="float32", shape=(4, 6), **fields):
    return Tensor(name, dtype, shape, 0, uses=uses, **fields)


def judged(*tensors, store=Store.NAMES):
    artifact = Artifact(
        "m.pb", "frozen-graph", "GraphDef", (FileEntry("m.pb", 0),), tensors, {}, store=store
    )
    return classify(artifact).verdicts


def verdict(tensor, *others):
    return judged(tensor, *others)[tensor.name]


# --- what an operator says ------------------------------------------------------------------------


def test_a_kernel_is_a_weight_and_the_evidence_names_who_reads_it():
    use = Use("Conv2D", 1, "sequential/conv2d/Conv2D", ("Identity",))
    found = verdict(constant("k", use, shape=(3, 3, 1, 4)))
    assert (found.role, found.rule, found.basis) == (Role.WEIGHT, "graph-weight", "graph")
    assert found.evidence == (
        "read by Conv2D sequential/conv2d/Conv2D at input 1 (its kernel), through Identity"
    )


def test_the_use_that_tells_wins():
    uses = [Use("Shape", 0, "s"), Use("Mul", 1, "l2"), Use("MatMul", 1, "y")]
    found = verdict(constant("k", *uses))
    assert (found.role, found.rule) == (Role.WEIGHT, "graph-weight")
    assert "read by MatMul y at input 1" in found.evidence


@pytest.mark.parametrize(
    ("op", "at", "role"),
    [
        ("FusedBatchNormV3", 1, Role.WEIGHT),
        ("FusedBatchNormV3", 2, Role.WEIGHT),
        ("FusedBatchNormV3", 3, Role.STATISTIC),
        ("FusedBatchNormV3", 4, Role.STATISTIC),
        ("BiasAdd", 1, Role.WEIGHT),
        ("GatherV2", 0, Role.WEIGHT),
        ("FakeQuantWithMinMaxVarsPerChannel", 1, Role.QUANT_PARAM),
        ("LookupTableImportV2", 2, Role.LOOKUP),
    ],
)
def test_operators_are_taken_at_their_word(op, at, role):
    assert verdict(constant("c", Use(op, at, "n"), shape=(8,))).role is role


def test_moments_of_no_elements_are_statistics_all_the_same():
    """So a model is exported in training mode."""
    found = verdict(constant("c", Use("FusedBatchNormV3", 3, "bn"), shape=(0,)))
    assert found.role is Role.STATISTIC


# --- what stood in a variable's place -------------------------------------------------------------


def frozen(name, *uses, **fields):
    """What TensorFlow 2's freezing makes of a variable: read by what was its ReadVariableOp."""
    uses = [replace(use, through=("Identity", *use.through)) for use in uses]
    return constant(f"{name}/ReadVariableOp/resource", *uses, **fields)


def test_a_single_value_that_was_a_variable_is_a_weight():
    """Attention's scale is one: a variable of rank 0."""
    use = Use("Mul", 0, "attention/Mul")
    assert verdict(frozen("attention/Mul", use, shape=())).role is Role.WEIGHT
    assert verdict(constant("attention/Mul/y", use, shape=())).role is Role.CONSTANT


def test_an_integer_kernel_s_scale_is_told_by_the_gradient_that_both_are_handed_to():
    """Keras 3: Dense of int8 is called through IdentityN(data, kernel, scale)."""
    node = "dense/IdentityN"
    kernel = frozen("dense", Use("IdentityN", 2, node), dtype="int8", shape=(4, 6))
    scale = frozen("scale", Use("IdentityN", 3, node), Use("Mul", 0, "dense/Mul"), shape=(6,))
    bias = frozen("bias", Use("AddV2", 1, "dense/add"), shape=(6,))
    found = judged(kernel, scale, bias)
    assert [found[t.name].role for t in (kernel, scale, bias)] == [
        Role.WEIGHT,
        Role.QUANT_PARAM,
        Role.WEIGHT,
    ]
    assert found[scale.name].about == kernel.name
    assert verdict(scale).role is Role.WEIGHT  # nothing of integers beside it


def test_bytes_that_are_taken_apart_in_halves_are_a_kernel():
    """Keras 3's int4: (x & 15) and (x >> 4) of each byte."""
    low, high = Use("BitwiseAnd", 0, "dense/and"), Use("RightShift", 0, "dense/shift")
    found = verdict(frozen("dense", low, high, dtype="int8"))
    assert (found.role, found.rule) == (Role.WEIGHT, "graph-packed")
    assert verdict(frozen("dense", low, dtype="int8")).role is Role.CONSTANT
    assert verdict(frozen("dense", low, high, dtype="int64")).role is Role.CONSTANT
    shifts = [replace(one, input=1) for one in (low, high)]
    assert verdict(frozen("dense", *shifts, dtype="int8")).role is Role.CONSTANT


def test_a_constant_as_large_as_the_variable_it_multiplies_is_no_weight():
    """What preserves sparsity in clustering and quantization-aware training."""
    product = Use("Mul", 0, "quant_dense/Mul")
    uses = [replace(product, input=1), Use("MatMul", 1, "quant_dense/MatMul", ("Mul",))]
    zeros = constant("quant_dense/Mul/y", *uses)
    for weight in (frozen("quant_dense/Mul", product), variable("kernel", product)):
        found = judged(zeros, weight)
        assert found[zeros.name].role is Role.CONSTANT
        assert found[zeros.name].about == weight.name
        assert found[weight.name].role is Role.WEIGHT
    other = replace(zeros, shape=(1, 6))
    assert verdict(other, frozen("quant_dense/Mul", product)).role is Role.WEIGHT


# --- dtypes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int32", "int64", "string", "bool"])
def test_a_table_of_no_floats_is_a_lookup(dtype):
    found = verdict(constant("t", Use("GatherV2", 0, "g"), dtype=dtype, shape=(9,)))
    assert (found.role, found.rule) == (Role.LOOKUP, "graph-lookup")
    assert dtype in found.evidence


@pytest.mark.parametrize(
    ("use", "dtype"),
    [
        (Use("MatMul", 1, "y", ("Dequantize",)), "uint8"),
        (Use("Conv2D", 1, "y", ("Cast", "Mul")), "int8"),
        (Use("QuantizedConv2D", 1, "y"), "int8"),
        (Use("QuantizedConv2DWithBias", 2, "y"), "int32"),
        (Use("AddV2", 1, "y", ("Dequantize",)), "int32"),
    ],
)
def test_integers_that_stand_for_numbers_are_weights(use, dtype):
    assert verdict(constant("k", use, dtype=dtype)).role is Role.WEIGHT


@pytest.mark.parametrize("op", ["AddV2", "Mul", "MatMul", "Tile", "Equal"])
def test_other_integers_are_constants(op):
    found = verdict(constant("c", Use(op, 1, "y"), dtype="int64"))
    assert (found.role, found.rule) == (Role.CONSTANT, "graph-constant")


# --- arithmetic -----------------------------------------------------------------------------------


def test_an_array_that_is_added_is_a_bias_said_plainly():
    found = verdict(constant("b", Use("AddV2", 1, "dense/add"), shape=(64,)))
    assert (found.role, found.rule) == (Role.WEIGHT, "graph-array")
    assert "an array of 64 values, added; a bias" in found.evidence


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_a_single_value_in_arithmetic_is_a_constant(shape):
    found = verdict(constant("eps", Use("AddV2", 1, "add"), shape=shape))
    assert (found.role, found.rule) == (Role.CONSTANT, "graph-constant")


def test_what_a_loop_begins_with_is_no_weight():
    for through in (("While",), ("Enter", "Merge", "Switch", "Identity")):
        uses = (Use("MatMul", 0, "y", through), Use("Mul", 1, "z", through))
        found = verdict(constant("zeros", *uses))
        assert found.role is Role.CONSTANT
        assert "what a loop begins with" in found.evidence


def test_a_kernel_that_a_loop_reads_is_a_weight():
    found = verdict(constant("k", Use("MatMul", 1, "y", ("Enter",))))
    assert found.role is Role.WEIGHT


def test_an_array_that_another_librarys_operator_reads_is_taken_as_a_weight():
    found = verdict(constant("p", Use("MyOp", 2, "y")))
    assert (found.role, found.rule) == (Role.WEIGHT, "graph-opaque")
    assert "none of TensorFlow's" in found.evidence
    assert verdict(constant("p", Use("XlaCallModule", 2, "y"))).rule == "graph-opaque"


def test_what_an_operator_works_on_is_a_constant():
    assert verdict(constant("image", Use("Conv2D", 0, "y"))).role is Role.CONSTANT


def test_what_nothing_reads_is_a_constant():
    found = verdict(constant("left"))
    assert (found.role, found.rule) == (Role.CONSTANT, "graph-unread")


def test_what_a_function_returns_is_said_so():
    found = verdict(constant("c", Use("_Retval", 0, "f:out")))
    assert found.role is Role.CONSTANT
    assert found.evidence.startswith("returned as f:out")


def test_zeros_that_tensorflow_makes_are_no_weight():
    """cuDNN's LSTM has two biases; Keras gives zeros for the one that it does not have."""
    use = Use("CudnnRNN", 3, "rnn", ("ConcatV2", "Split"))
    assert verdict(constant("f/zeros_like", use, shape=(128,))).role is Role.CONSTANT
    assert verdict(constant("f/bias", use, shape=(128,))).role is Role.WEIGHT


# --- normalization --------------------------------------------------------------------------------

# tf.nn.batch_normalization: inv = rsqrt(variance + eps) * gamma; x * inv + (beta - mean * inv).
NORM = {
    "variance": (
        Use("AddV2", 0, "add"),
        Use("Rsqrt", 0, "Rsqrt", ("AddV2",)),
        Use("Mul", 0, "mul", ("AddV2", "Rsqrt")),
        Use("Mul", 1, "mul_1", ("AddV2", "Rsqrt", "Mul")),
        Use("Mul", 1, "mul_2", ("AddV2", "Rsqrt", "Mul")),
        Use("Sub", 1, "sub", ("AddV2", "Rsqrt", "Mul", "Mul")),
    ),
    "gamma": (
        Use("Mul", 1, "mul"),
        Use("Mul", 1, "mul_1", ("Mul",)),
        Use("Mul", 1, "mul_2", ("Mul",)),
        Use("Sub", 1, "sub", ("Mul", "Mul")),
    ),
    "mean": (Use("Mul", 0, "mul_2"), Use("Sub", 1, "sub", ("Mul",))),
    "beta": (Use("Sub", 0, "sub"), Use("AddV2", 1, "add_1", ("Sub",))),
}


def test_normalization_that_is_written_out_is_told_by_its_structure():
    found = judged(*(constant(name, *uses, shape=(8,)) for name, uses in NORM.items()))
    assert {name: found[name].role for name in NORM} == {
        "variance": Role.STATISTIC,
        "gamma": Role.WEIGHT,
        "mean": Role.STATISTIC,
        "beta": Role.WEIGHT,
    }
    assert found["mean"].rule == "graph-moments"


def test_the_epsilon_beside_a_variance_is_a_constant():
    uses = (Use("AddV2", 1, "add"), Use("Rsqrt", 0, "Rsqrt", ("AddV2",)))
    assert verdict(constant("eps", *uses, shape=())).role is Role.CONSTANT


def test_a_norm_of_a_kernel_makes_it_no_variance():
    """Weight normalization: v * rsqrt(sum(v ** 2)) * g."""
    uses = (
        Use("Square", 0, "sq"),
        Use("Rsqrt", 0, "Rsqrt", ("Square", "Sum")),
        Use("MatMul", 1, "y", ("Mul", "Mul")),
    )
    assert verdict(constant("v", *uses)).role is Role.WEIGHT


def test_mean_and_deviation_in_one_scope_are_statistics():
    mean = constant("m", Use("Sub", 1, "normalization/sub"), shape=(1, 3))
    deviation = constant("d", Use("RealDiv", 1, "normalization/truediv"), shape=(1, 3))
    assert verdict(mean, deviation).role is Role.STATISTIC
    elsewhere = replace(mean, uses=(Use("Sub", 1, "other/sub"),))
    assert verdict(elsewhere, deviation).role is Role.WEIGHT


def test_a_scale_beside_a_mean_that_was_a_variable_is_fixed():
    scale = constant("bn/Const", Use("FusedBatchNormV3", 1, "bn"), shape=(8,))
    mean = constant("m", Use("FusedBatchNormV3", 3, "bn", ("Identity",)), shape=(8,))
    assert verdict(scale, mean).rule == "graph-fixed"
    read = replace(mean, uses=(Use("FusedBatchNormV3", 3, "bn"),))
    assert verdict(scale, read).rule == "graph-weight"


# --- old pruning ----------------------------------------------------------------------------------

MASKED = (Use("Mul", 1, "fc/masked_weight"), Use("MatMul", 1, "y", ("Mul",)))
WEIGHT = constant("fc/weights", replace(MASKED[0], input=0), MASKED[1])


def test_a_mask_is_called_so_and_multiplied_with_a_weight_as_large():
    found = judged(WEIGHT, constant("fc/mask", *MASKED), constant("fc/threshold", shape=()))
    assert (found["fc/mask"].role, found["fc/mask"].about) == (Role.MASK, "fc/weights")
    assert found["fc/mask"].rule == "contrib-mask"
    assert found["fc/threshold"].role is Role.THRESHOLD
    assert found["fc/weights"].role is Role.WEIGHT


@pytest.mark.parametrize(
    "spoiled",
    [
        constant("fc/mask_1", *MASKED),  # of another name
        constant("fc/mask", *MASKED, shape=(6,)),  # of another shape
        constant("fc/mask", Use("MatMul", 1, "y")),  # not multiplied
    ],
)
def test_the_name_or_the_product_alone_make_no_mask(spoiled):
    assert verdict(spoiled, WEIGHT).role is not Role.MASK


# --- variables ------------------------------------------------------------------------------------


def test_what_an_optimizer_trains_is_a_weight_and_trainable():
    found = verdict(variable("w", Use("ResourceApplyAdam", 0, "train")))
    assert (found.role, found.trainable) == (Role.WEIGHT, True)
    also = verdict(variable("w", Use("ResourceApplyAdam", 0, "t"), Use("MatMul", 1, "y")))
    assert also.trainable is True
    assert "MatMul" in also.evidence


def test_a_slot_belongs_to_the_variable_that_its_operator_trains():
    weight = variable("w", Use("ApplyAdam", 0, "train/w"), Use("MatMul", 1, "y"))
    slot = variable("odd_name", Use("ApplyAdam", 1, "train/w"))
    rate = variable("rate", Use("ApplyAdam", 5, "train/w"), shape=())
    found = judged(weight, slot, rate)
    assert (found["odd_name"].role, found["odd_name"].about) == (Role.OPTIMIZER_SLOT, "w")
    assert found["rate"].role is Role.OPTIMIZER_STATE


def test_a_setting_of_an_optimizer_that_is_a_constant_stays_one():
    found = verdict(constant("lr", Use("ApplyAdam", 5, "train"), shape=()))
    assert found.role is Role.CONSTANT


def test_a_moving_average_that_the_graph_keeps_up_is_a_statistic():
    use = Use("AssignSub", 0, "bn/AssignMovingAvg")
    assert verdict(variable("bn/avg", use, shape=(8,))).role is Role.STATISTIC
    named = replace(use, node="bn/AssignSub")
    assert verdict(variable("bn/avg", named, shape=(8,))).role is not Role.STATISTIC


def test_a_whole_number_that_is_added_to_is_a_counter():
    use = Use("AssignAddVariableOp", 0, "inc")
    assert verdict(variable("n", use, dtype="int64", shape=())).role is Role.COUNTER


def test_the_files_own_word_on_training_stays():
    found = verdict(variable("w", Use("MatMul", 1, "y"), trainable=False))
    assert (found.role, found.trainable) == (Role.WEIGHT, False)


def test_arithmetic_says_nothing_of_variables_that_objects_hold():
    tensor = variable("w", Use("AddV2", 1, "y"), trainable=True, owner="")
    assert judged(tensor, store=Store.OBJECTS)["w"].rule != "graph-array"
    assert judged(tensor)["w"].rule == "graph-array"


# --- copies ---------------------------------------------------------------------------------------


def test_a_constant_of_a_second_function_is_a_copy_where_it_is_a_weight():
    use = Use("MatMul", 1, "y")
    found = verdict(constant("g/k", use, repeats="f/k"), constant("f/k", use))
    assert (found.role, found.rule, found.alias_of) == (Role.ALIAS, "graph-copy", "f/k")
    assert "the values of f/k again" in found.evidence
    shape = constant("g/s", Use("Reshape", 1, "y"), dtype="int32", repeats="f/s")
    assert verdict(shape).role is Role.CONSTANT
