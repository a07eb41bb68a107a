"""What an operator takes at each of its inputs: a kernel, a bias, a moving mean, a shape ...

Inputs are told by the names that TensorFlow's operator registry gives them (core_ops.txt, made by
scripts/make_op_names.py); the tables below say what the names mean. Most of them mean the same
wherever they stand (`axis`, `perm`); a weight is told by operator and name together.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from inspector.model import Role


@dataclass(frozen=True, slots=True)
class Reading:
    """What an operator takes a tensor for.

    what: in words, "kernel" or "end of a range"; role: None where the place alone does not tell
    (an operand of arithmetic, the data that it works on).
    variable: what Keras would call such a variable; axis: its side, from the end, that has one
    entry an output; trained: the operator trains it.
    """

    what: str
    role: Role | None = None
    variable: str | None = None
    axis: int | None = None
    trained: bool = False


_KERNEL = Reading("kernel", Role.WEIGHT, "kernel", -1)
_TRANSPOSED = Reading("kernel", Role.WEIGHT, "kernel", -2)
_DEPTHWISE = Reading("depthwise kernel", Role.WEIGHT, "depthwise_kernel")
FIRST_MATRIX = "first matrix"
_MATRIX = Reading(FIRST_MATRIX, Role.WEIGHT, "kernel")
_BIAS = Reading("bias", Role.WEIGHT, "bias", -1)
_GAMMA = Reading("scale", Role.WEIGHT, "gamma", -1)
_BETA = Reading("offset", Role.WEIGHT, "beta", -1)
_MEAN = Reading("moving mean", Role.STATISTIC, "moving_mean", -1)
_VARIANCE = Reading("moving variance", Role.STATISTIC, "moving_variance", -1)
_EMBEDDINGS = Reading("table", Role.WEIGHT, "embeddings")
_PEEPHOLE = Reading("peephole weights", Role.WEIGHT, "peephole")
_CUDNN = Reading("kernels and biases in one array", Role.WEIGHT, "params")
_ARGUMENTS = Reading("bias, or what it normalizes by", Role.WEIGHT)
_CENTERS = Reading("centers of the clusters", Role.WEIGHT, "centers")
_KEYS = Reading("keys", Role.LOOKUP, "keys")
_VALUES = Reading("values", Role.LOOKUP, "values")
_RANDOM = Reading("state of a random generator", Role.COUNTER)
_RANGE = Reading("end of a range", Role.QUANT_PARAM)
_SCALES = Reading("scales", Role.QUANT_PARAM)
_ZERO_POINTS = Reading("zero points", Role.QUANT_PARAM)
_VALUE = Reading("value to fill in", Role.CONSTANT)
_SET = Reading("value to set", Role.CONSTANT)
_FILLING = Reading("value where there is none", Role.CONSTANT)
_TARGET = Reading("variable that it sets")
_ADDED = Reading("variable that it adds to")

# (what is read, the input's name, the operators)
_ROWS: tuple[tuple[Reading, str, str], ...] = (
    (
        _KERNEL,
        "filter",
        "Conv Conv2D Conv3D _FusedConv2D _FusedConv3D FusedPadConv2D FusedResizeAndPadConv2D"
        " Dilation2D QuantizedConv2D QuantizedConv2DPerChannel QuantizedConv2DAndRelu"
        " QuantizedConv2DAndReluAndRequantize QuantizedConv2DAndRequantize QuantizedConv2DWithBias"
        " QuantizedConv2DWithBiasAndRelu QuantizedConv2DWithBiasAndReluAndRequantize"
        " QuantizedConv2DWithBiasAndRequantize QuantizedConv2DWithBiasSumAndRelu"
        " QuantizedConv2DWithBiasSumAndReluAndRequantize"
        " QuantizedConv2DWithBiasSignedSumAndReluAndRequantize",
    ),
    (
        _KERNEL,
        "rhs",
        "XlaConv XlaConvV2 XlaDot XlaDotV2 UniformQuantizedConvolution UniformQuantizedDot"
        " UniformQuantizedConvolutionHybrid UniformQuantizedDotHybrid",
    ),
    (_TRANSPOSED, "filter", "Conv2DBackpropInput Conv3DBackpropInput Conv3DBackpropInputV2"),
    (
        _DEPTHWISE,
        "filter",
        "DepthwiseConv2dNative DepthwiseConv2dNativeBackpropInput _FusedDepthwiseConv2dNative"
        " QuantizedDepthwiseConv2D QuantizedDepthwiseConv2DWithBias"
        " QuantizedDepthwiseConv2DWithBiasAndRelu"
        " QuantizedDepthwiseConv2DWithBiasAndReluAndRequantize",
    ),
    (
        _KERNEL,
        "b",
        "MatMul SparseMatMul _FusedMatMul SparseTensorDenseMatMul SparseMatrixMatMul XlaEinsum"
        " QuantizedMatMul QuantizedMatMulWithBias QuantizedMatMulWithBiasAndRelu"
        " QuantizedMatMulWithBiasAndReluAndRequantize QuantizedMatMulWithBiasAndRequantize"
        " QuantizedMatMulWithBiasAndDequantize",
    ),
    (_KERNEL, "y", "BatchMatMul BatchMatMulV2 BatchMatMulV3"),
    (_KERNEL, "inputs", "Einsum"),
    (_MATRIX, "a", "MatMul SparseMatMul _FusedMatMul QuantizedMatMul XlaEinsum"),
    (_MATRIX, "x", "BatchMatMul BatchMatMulV2 BatchMatMulV3"),
    (_MATRIX, "lhs", "XlaDot XlaDotV2"),
    (_ARGUMENTS, "args", "_FusedConv2D _FusedConv3D _FusedMatMul _FusedDepthwiseConv2dNative"),
    (
        _BIAS,
        "bias",
        "BiasAdd BiasAddV1 QuantizedBiasAdd QuantizedConv2DWithBias QuantizedConv2DWithBiasAndRelu"
        " QuantizedConv2DWithBiasAndReluAndRequantize QuantizedConv2DWithBiasAndRequantize"
        " QuantizedConv2DWithBiasSumAndRelu QuantizedConv2DWithBiasSumAndReluAndRequantize"
        " QuantizedConv2DWithBiasSignedSumAndReluAndRequantize QuantizedDepthwiseConv2DWithBias"
        " QuantizedDepthwiseConv2DWithBiasAndRelu"
        " QuantizedDepthwiseConv2DWithBiasAndReluAndRequantize QuantizedMatMulWithBias"
        " QuantizedMatMulWithBiasAndRelu QuantizedMatMulWithBiasAndReluAndRequantize"
        " QuantizedMatMulWithBiasAndRequantize QuantizedMatMulWithBiasAndDequantize",
    ),
    (_GAMMA, "scale", "FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 _FusedBatchNormEx"),
    (_BETA, "offset", "FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 _FusedBatchNormEx"),
    (_MEAN, "mean", "FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 _FusedBatchNormEx"),
    (_VARIANCE, "variance", "FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 _FusedBatchNormEx"),
    (_GAMMA, "gamma", "BatchNormWithGlobalNormalization QuantizedBatchNormWithGlobalNormalization"),
    (_BETA, "beta", "BatchNormWithGlobalNormalization QuantizedBatchNormWithGlobalNormalization"),
    (_MEAN, "m", "BatchNormWithGlobalNormalization QuantizedBatchNormWithGlobalNormalization"),
    (_VARIANCE, "v", "BatchNormWithGlobalNormalization QuantizedBatchNormWithGlobalNormalization"),
    (_EMBEDDINGS, "params", "Gather GatherV2 GatherNd"),
    (_EMBEDDINGS, "params_dense_values", "RaggedGather"),
    (_EMBEDDINGS, "resource", "ResourceGather ResourceGatherNd"),
    (_EMBEDDINGS, "operand", "XlaGather"),
    (
        _EMBEDDINGS,
        "data",
        "SparseSegmentMean SparseSegmentMeanWithNumSegments SparseSegmentSqrtN SparseSegmentSum"
        " SparseSegmentSqrtNWithNumSegments SparseSegmentSumWithNumSegments",
    ),
    (
        _EMBEDDINGS,
        "embedding_table",
        "XlaSparseDenseMatmul XlaSparseDenseMatmulWithCsrInput"
        " XlaSparseDenseMatmulWithStaticBufferSize"
        " XlaSparseDenseMatmulCustomCombinerOnTcWithCsrInput",
    ),
    (_KERNEL, "w", "BlockLSTM BlockLSTMV2 LSTMBlockCell"),
    (_PEEPHOLE, "wci", "BlockLSTM BlockLSTMV2 LSTMBlockCell"),
    (_PEEPHOLE, "wcf", "BlockLSTM BlockLSTMV2 LSTMBlockCell"),
    (_PEEPHOLE, "wco", "BlockLSTM BlockLSTMV2 LSTMBlockCell"),
    (_BIAS, "b", "BlockLSTM BlockLSTMV2 LSTMBlockCell"),
    (_KERNEL, "w_ru", "GRUBlockCell"),
    (_KERNEL, "w_c", "GRUBlockCell"),
    (_BIAS, "b_ru", "GRUBlockCell"),
    (_BIAS, "b_c", "GRUBlockCell"),
    (_CUDNN, "params", "CudnnRNN CudnnRNNV2 CudnnRNNV3"),
    (_KERNEL, "weights", "CudnnRNNCanonicalToParams CudnnRNNCanonicalToParamsV2"),
    (_BIAS, "biases", "CudnnRNNCanonicalToParams CudnnRNNCanonicalToParamsV2"),
    (_CENTERS, "centers", "NearestNeighbors"),
    (_EMBEDDINGS, "w_in", "NegTrain"),
    (_EMBEDDINGS, "w_out", "NegTrain"),
    (
        _KEYS,
        "keys",
        "InitializeTable InitializeTableV2 LookupTableImport LookupTableImportV2 LookupTableInsert"
        " LookupTableInsertV2",
    ),
    (
        _VALUES,
        "values",
        "InitializeTable InitializeTableV2 LookupTableImport LookupTableImportV2 LookupTableInsert"
        " LookupTableInsertV2",
    ),
    (
        _RANDOM,
        "resource",
        "RngReadAndSkip RngSkip StatefulRandomBinomial StatefulStandardNormal StatefulUniformInt"
        " StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt",
    ),
    (
        _RANGE,
        "min",
        "FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizedResizeBilinear"
        " FakeQuantWithMinMaxVarsGradient FakeQuantWithMinMaxVarsPerChannelGradient",
    ),
    (
        _RANGE,
        "max",
        "FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizedResizeBilinear"
        " FakeQuantWithMinMaxVarsGradient FakeQuantWithMinMaxVarsPerChannelGradient",
    ),
    (_VALUE, "value", "Fill"),
    (_SET, "value", "Assign AssignVariableOp AssignAdd AssignSub AssignAddVariableOp"),
    (_SET, "value", "AssignSubVariableOp"),
    (_TARGET, "ref", "Assign"),
    (_TARGET, "resource", "AssignVariableOp VarIsInitializedOp"),
    (_ADDED, "ref", "AssignAdd AssignSub"),
    (_ADDED, "resource", "AssignAddVariableOp AssignSubVariableOp"),
    (_FILLING, "default_value", "LookupTableFind LookupTableFindV2 SparseToDense"),
    (Reading("shape", Role.CONSTANT), "input_sizes", "Conv2DBackpropInput Conv3DBackpropInputV2"),
)  # fmt: skip

# Names that mean the same at every operator. All are settings of an operation, no parameter.
_SETTINGS: Mapping[str, str] = {
    "shape": "shape shape_to_prepend output_shape element_shape dense_shape sparse_shape a_shape"
    " input_shape lengths sizes size_splits num_segments num_elements max_num_elements n"
    " filter_sizes input_sizes dense_output_dim0 output_dim0 row_shape",
    "size": "size crop_size image_size max_output_size fft_length batch_size buffer_size",
    "axes": "axis axes dim dims dimension concat_dim split_dim reduction_indices reduction_axes"
    " scatter_dimension broadcast_dims",
    "order": "perm",
    "offsets": "begin end start_indices slice_sizes start limit delta stop num diagonal k"
    " num_lower num_upper offset offsets shift",
    "steps": "strides ksize window_strides lhs_dilation rhs_dilation rate block_shape crops",
    "margins": "paddings padding padding_low padding_high padding_interior padding_value"
    " constant_values",
    "repeats": "multiples",
    "depth": "depth on_value off_value",
    "places": "indices box_ind segment_ids row_ids col_ids index sparse_indices",
    "limits": "clip_value_min clip_value_max minval maxval minvals maxvals iou_threshold"
    " score_threshold overlap_threshold soft_nms_sigma max_value thresh",
    "seed": "seed seed2 alg algorithm",
    "name of a file": "filename filenames prefix basename checkpoint_prefixes"
    " destination_prefix file_pattern pattern patterns path shard num_shards",
    "names of tensors": "tensor_names tensor_name",
    "slices of tensors": "shape_and_slices shapes_and_slices",
    "condition": "pred cond condition branch_index",
    "group of devices": "group_assignment group_size group_key instance_key device_ordinal",
    "filling": "default_value fill_value dense_defaults record_defaults"
    " context_dense_defaults init_value",
    "names of features": "names sparse_keys dense_keys ragged_keys feature_list_dense_keys"
    " context_dense_keys key tag tags",
    "delimiter": "delimiter sep rewrite",
    "random generator's key": "counter",
}
_ENDS = re.compile(
    r"(min|max)_(input|filter|bias|a|b|x|y|features|range|output|freezed_output|summand)"
    r"|(input|x|y|t|m|v|beta|gamma)_(min|max)|input_mins|input_maxes|requested_output_(min|max)"
)

# What an optimizer's operator (ApplyAdam, ResourceSparseApplyFtrl) takes.
_OPTIMIZER = re.compile(r"(Resource)?(Sparse)?Apply[A-Z]\w*")
_TRAINED = Reading("variable that it trains", Role.WEIGHT, trained=True)
_OPTIMIZER_INPUTS: Mapping[str, Reading] = {
    "var": _TRAINED,
    **{
        name: Reading(f"slot {name}", Role.OPTIMIZER_SLOT)
        for name in (
            "m", "v", "vhat", "mom", "ms", "mg", "accum", "accum_update", "linear",
            "gradient_accumulator", "gradient_squared_accumulator",
        )
    },
    **{
        name: Reading(name, Role.OPTIMIZER_STATE)
        for name in (
            "beta1_power", "beta2_power", "lr", "alpha", "beta", "beta1", "beta2", "epsilon", "rho",
            "momentum", "l1", "l2", "l2_shrinkage", "lr_power", "logbase", "sign_decay",
        )
    },
    "global_step": Reading("number of steps", Role.COUNTER),
    "grad": Reading("gradient"),
    "delta": Reading("change"),
    "indices": Reading("places", Role.CONSTANT),
}  # fmt: skip


def _table() -> dict[tuple[str, str], Reading]:
    return {(op, name): one for one, name, ops in _ROWS for op in ops.split()}


PLACES: Mapping[tuple[str, str], Reading] = _table()
_NAMED: Mapping[str, Reading] = {
    name: Reading(what, Role.CONSTANT)
    for what, names in _SETTINGS.items()
    for name in names.split()
}


@cache
def core_ops() -> Mapping[str, tuple[str, ...]]:
    """TensorFlow's own operators -> names of their inputs; "*" behind one stands for a list."""
    text = (importlib.resources.files("inspector.graph") / "core_ops.txt").read_text("utf-8")
    rows = (line.split() for line in text.splitlines())
    return {op: tuple(names) for op, *names in rows}


def is_core(op: str) -> bool:
    """Whether an operator is one of TensorFlow's own, of today's or of an earlier release."""
    return op in core_ops()


def input_name(op: str, at: int) -> str | None:
    """The registry's name of input `at`; None where it does not tell.

    Of an operator with a list of inputs and one more behind, two stand for the list: shorter lists
    are rare, and a longer one leaves open which is the last.
    """
    names = core_ops().get(op, ())
    first = next((place for place, name in enumerate(names) if name.endswith("*")), len(names))
    if at < first:
        return names[at]
    if first == len(names):
        return None
    behind = names[first + 1 :]
    if len(behind) == 1 and not behind[0].endswith("*") and at > first + 1:
        return behind[0]
    return names[first].removesuffix("*")


@lru_cache(maxsize=4096)  # a graph asks the same of each of its thousands of nodes
def reading(op: str, at: int) -> Reading:
    """What `op` takes at input `at`, counted from 0 without control inputs."""
    name = input_name(op, at)
    if name is None:
        return Reading("input")
    found = PLACES.get((op, name))
    if found is None and _OPTIMIZER.fullmatch(op):
        found = _OPTIMIZER_INPUTS.get(name)
    if found is None and _ENDS.fullmatch(name):
        found = _RANGE
    if found is None and name.endswith("scales"):
        found = _SCALES
    if found is None and name.endswith("zero_points"):
        found = _ZERO_POINTS
    return found or _NAMED.get(name) or Reading(name.replace("_", " "))
