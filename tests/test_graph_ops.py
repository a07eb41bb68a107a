import pytest

from inspector.graph import ops
from inspector.graph.bodies import CONSTANTS, VARIABLES
from inspector.graph.ops import core_ops, input_name, is_core, reading
from inspector.graph.passing import ARITHMETIC, CALLS, OUTPUTS, PASSING, From, To, Way
from inspector.model import Role

W, S, Q, C, K = Role.WEIGHT, Role.STATISTIC, Role.QUANT_PARAM, Role.CONSTANT, Role.LOOKUP

# As TensorFlow's documentation of each raw operator orders its inputs.
KNOWN = [
    ("MatMul", 1, W, "kernel"),
    ("BatchMatMulV2", 1, W, "kernel"),
    ("Einsum", 0, W, "kernel"),
    ("Einsum", 1, W, "kernel"),
    ("Conv2D", 1, W, "kernel"),
    ("Conv2D", 0, None, None),
    ("Conv3D", 1, W, "kernel"),
    ("Conv2DBackpropInput", 0, C, None),
    ("Conv2DBackpropInput", 1, W, "kernel"),
    ("Conv2DBackpropInput", 2, None, None),
    ("DepthwiseConv2dNative", 1, W, "depthwise_kernel"),
    ("Dilation2D", 1, W, "kernel"),
    ("BiasAdd", 1, W, "bias"),
    ("FusedBatchNormV3", 1, W, "gamma"),
    ("FusedBatchNormV3", 2, W, "beta"),
    ("FusedBatchNormV3", 3, S, "moving_mean"),
    ("FusedBatchNormV3", 4, S, "moving_variance"),
    ("BatchNormWithGlobalNormalization", 1, S, "moving_mean"),
    ("GatherV2", 0, W, "embeddings"),
    ("GatherV2", 1, C, None),
    ("GatherV2", 2, C, None),
    ("ResourceGather", 0, W, "embeddings"),
    ("BlockLSTM", 4, W, "kernel"),
    ("BlockLSTM", 8, W, "bias"),
    ("GRUBlockCell", 2, W, "kernel"),
    ("GRUBlockCell", 5, W, "bias"),
    ("CudnnRNNV3", 3, W, "params"),
    ("FakeQuantWithMinMaxVars", 1, Q, None),
    ("FakeQuantWithMinMaxVarsPerChannel", 2, Q, None),
    ("Dequantize", 1, Q, None),
    ("QuantizeV2", 2, Q, None),
    ("QuantizedConv2DWithBias", 2, W, "bias"),
    ("QuantizedMatMulWithBias", 3, Q, None),
    ("QuantizedAdd", 2, Q, None),
    ("UniformDequantize", 1, Q, None),
    ("UniformDequantize", 2, Q, None),
    ("LookupTableImportV2", 1, K, "keys"),
    ("InitializeTableV2", 2, K, "values"),
    ("InitializeTableFromTextFileV2", 1, C, None),
    ("Reshape", 1, C, None),
    ("Transpose", 1, C, None),
    ("Sum", 1, C, None),
    ("StridedSlice", 3, C, None),
    ("Pad", 1, C, None),
    ("Tile", 1, C, None),
    ("ConcatV2", 2, C, None),
    ("ConcatV2", 9, C, None),
    ("Concat", 0, C, None),
    ("ExpandDims", 1, C, None),
    ("Fill", 0, C, None),
    ("Fill", 1, C, None),
    ("Range", 2, C, None),
    ("Split", 0, C, None),
    ("SplitV", 1, C, None),
    ("ResizeBilinear", 1, C, None),
    ("TopKV2", 1, C, None),
    ("OneHot", 1, C, None),
    ("SaveV2", 1, C, None),
    ("SaveV2", 7, None, None),
    ("ResourceApplyAdam", 0, W, None),
    ("ResourceApplyAdam", 1, Role.OPTIMIZER_SLOT, None),
    ("ResourceApplyAdam", 3, Role.OPTIMIZER_STATE, None),
    ("ResourceApplyAdam", 9, None, None),
    ("SparseApplyFtrl", 2, Role.OPTIMIZER_SLOT, None),
    ("AssignVariableOp", 1, C, None),
    ("AddV2", 1, None, None),
]


@pytest.mark.parametrize(("op", "at", "role", "variable"), KNOWN)
def test_what_is_read_at_an_input(op, at, role, variable):
    found = reading(op, at)
    assert (found.role, found.variable) == (role, variable)
    assert found.what


def test_an_operator_of_another_library_says_nothing():
    assert reading("MyOp", 0).role is None
    assert not is_core("MyOp")


def test_an_input_that_an_operator_does_not_have_says_nothing():
    assert reading("MatMul", 2).role is None
    assert input_name("MatMul", 2) is None


@pytest.mark.parametrize(
    ("op", "at", "name"),
    [
        ("Pack", 5, "values"),
        ("ConcatV2", 1, "values"),
        ("ConcatV2", 3, "axis"),
        ("Concat", 2, "values"),
        ("SaveV2", 3, "tensors"),
        ("QuantizedConcatV2", 4, "values"),  # three lists: where one ends is open
    ],
)
def test_a_list_takes_all_inputs_from_its_place_on(op, at, name):
    assert input_name(op, at) == name


def test_operators_that_left_tensorflow_are_its_own_all_the_same():
    assert is_core("TensorForestTreePredict")


def test_only_what_optimizers_train_is_said_to_be_trained():
    trained = {op for op in core_ops() for at in range(9) if reading(op, at).trained}
    assert "ApplyAdam" in trained
    assert all("Apply" in op for op in trained)


def test_what_is_handed_on_is_no_arithmetic_and_no_call():
    assert not set(PASSING) & ARITHMETIC
    assert not set(PASSING) & set(CALLS)
    assert not (set(PASSING) | ARITHMETIC) & (CONSTANTS | VARIABLES)


def test_every_operator_of_the_tables_is_tensorflows_own():
    named = {op for op, _ in ops.PLACES} | set(PASSING) | ARITHMETIC | set(CALLS) | set(OUTPUTS)
    assert [op for op in sorted(named | CONSTANTS | VARIABLES) if not is_core(op)] == []


@pytest.mark.parametrize(
    ("inputs", "taken"),
    [
        (From.FIRST, [True, False, False]),
        (From.SECOND, [False, True, False]),
        (From.ALL, [True, True, True]),
        (From.BUT_FIRST, [False, True, True]),
        (From.BUT_LAST, [True, True, False]),
    ],
)
def test_ways_take_the_inputs_that_they_name(inputs, taken):
    assert [Way(inputs, To.FIRST).takes(at, 3) for at in range(3)] == taken
