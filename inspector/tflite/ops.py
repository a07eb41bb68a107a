"""What each builtin operator of .tflite files takes at each of its inputs.

A line of the table is an operator, the kernel of LiteRT (a file of tflite/kernels) whose input
tensors it was read from, and a word for each input in order; "word*" is for it and all after it.
The words are told in READINGS. Where the place alone does not tell what a constant is (an operand
of arithmetic), `operand_role` goes by its values' type and number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from inspector.model import Role


@dataclass(frozen=True, slots=True)
class Reading:
    """What an operator takes a tensor for.

    what: in words, "kernel" or "end of the slice". role: None where the place alone does not tell.
    variable: what Keras would call such a variable. takes_weights: where there is no role, whether
    an array of real numbers is a weight there (see operand_role), and not just data.
    """

    what: str
    role: Role | None = None
    variable: str | None = None
    takes_weights: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs of an operator. source: the kernel that says so. rest: of all further inputs."""

    source: str
    inputs: tuple[Reading, ...]
    rest: Reading | None = None

    def reading(self, index: int) -> Reading | None:
        """What it takes at an input; None for one that it does not have."""
        return self.inputs[index] if index < len(self.inputs) else self.rest


def _weight(what: str, variable: str) -> Reading:
    return Reading(what, Role.WEIGHT, variable)


def _constant(what: str) -> Reading:
    return Reading(what, Role.CONSTANT)


OPERAND = Reading("operand of arithmetic", takes_weights=True)
CHOICE = Reading("values to choose from")
UPDATES = Reading("values to put in")
TABLE = Reading("table", None, "embeddings", takes_weights=True)
INITIAL = Reading("value that a variable is set to", takes_weights=True)
PASSED = Reading("value handed on to a subgraph")
STATE = Reading("state from one call to the next", Role.ACTIVATION)

READINGS: Mapping[str, Reading] = {
    "data": Reading("data"),
    "operand": OPERAND,
    "choice": CHOICE,
    "updates": UPDATES,
    "passed": PASSED,
    "table": TABLE,
    "initial": INITIAL,
    "state": STATE,
    # weights
    "kernel": _weight("kernel", "kernel"),
    "depthwise": _weight("depthwise kernel", "depthwise_kernel"),
    "bias": _weight("bias", "bias"),
    "embeddings": _weight("table of embeddings", "embeddings"),
    "matrix": _weight("matrix", "kernel"),
    "alpha": _weight("slope of negative values", "alpha"),
    "recurrent": _weight("recurrent kernel", "recurrent_kernel"),
    "peephole": _weight("peephole weights", "peephole"),
    "projection": _weight("projection kernel", "projection_kernel"),
    "projection_bias": _weight("projection bias", "projection_bias"),
    "normalization": _weight("coefficients of layer normalization", "gamma"),
    "features": _weight("kernel over features", "weights_feature"),
    "time": _weight("kernel over time", "weights_time"),
    "auxiliary": _weight("kernel of the auxiliary input", "auxiliary_kernel"),
    # tables of texts and numbers
    "keys": Reading("keys of a table", Role.LOOKUP, "keys"),
    "values": Reading("values of a table", Role.LOOKUP, "values"),
    # constants
    "axis": _constant("axis"),
    "begin": _constant("start of the slice"),
    "block": _constant("shape of a block"),
    "compared": _constant("number that it compares with"),
    "condition": _constant("condition"),
    "count": _constant("number of results"),
    "crops": _constant("crops"),
    "depth": _constant("depth"),
    "dilations": _constant("dilations"),
    "end": _constant("end of the slice"),
    "exponent": _constant("exponent"),
    "filling": _constant("value to fill in"),
    "hashes": _constant("seeds of the hash functions"),
    "indices": _constant("indices"),
    "lengths": _constant("lengths"),
    "limit": _constant("limit"),
    "multiples": _constant("multiples"),
    "paddings": _constant("paddings"),
    "permutation": _constant("permutation"),
    "resource": _constant("handle of a variable or table"),
    "seed": _constant("state of a random generator"),
    "segments": _constant("segments"),
    "shape": _constant("shape"),
    "size": _constant("size"),
    "strides": _constant("strides"),
    "threshold": _constant("threshold"),
    "weighting": _constant("weights of a sum"),
}

_LSTM = (
    "data " + "kernel " * 4 + "recurrent " * 4 + "peephole " * 3 + "bias " * 4
    + "projection projection_bias state state " + "normalization " * 4
)  # fmt: skip
_DIRECTION = (
    "kernel " * 4 + "recurrent " * 4 + "peephole " * 3 + "bias " * 4 + "projection projection_bias "
)

# An LSTM of the kernel type BASIC has five inputs, all weights in one.
BASIC_LSTM = "LSTM of kernel type BASIC"

_TABLE = f"""
ADD add operand operand
ADD_N add_n operand*
ABS elementwise data
ARG_MAX arg_min_max data axis
ARG_MIN arg_min_max data axis
ASSIGN_VARIABLE assign_variable resource initial
ATAN2 atan2 operand operand
AVERAGE_POOL_2D pooling data
BATCH_MATMUL batch_matmul matrix matrix
BATCH_TO_SPACE_ND batch_to_space_nd data block crops
BIDIRECTIONAL_SEQUENCE_LSTM bidirectional_sequence_lstm data {_DIRECTION * 2} state state state \
state data {"auxiliary " * 8}
BIDIRECTIONAL_SEQUENCE_RNN bidirectional_sequence_rnn data kernel recurrent bias state kernel \
recurrent bias state data auxiliary auxiliary
BITCAST bitcast data
BITWISE_XOR bitwise_xor operand operand
BROADCAST_ARGS broadcast_args shape shape
BROADCAST_TO broadcast_to data shape
BUCKETIZE bucketize data
CALL - passed*
CALL_ONCE call_once
CAST cast data
CEIL ceil data
COMPLEX_ABS complex_support data
CONCATENATION concatenation data*
CONCAT_EMBEDDINGS - data*
CONV_2D conv data kernel bias
CONV_3D conv3d data kernel bias
CONV_3D_TRANSPOSE conv3d_transpose shape kernel data bias
COS elementwise data
CUMSUM cumsum data axis
DELEGATE - data*
DENSIFY densify data
DEPTHWISE_CONV_2D depthwise_conv data depthwise bias
DEPTH_TO_SPACE depth_to_space data
DEQUANTIZE dequantize data
DILATE dilate data dilations filling
DIV div operand operand
DYNAMIC_UPDATE_SLICE dynamic_update_slice data updates begin
ELU activations data
EMBEDDING_LOOKUP embedding_lookup indices embeddings
EMBEDDING_LOOKUP_SPARSE embedding_lookup_sparse indices indices shape weighting embeddings
EQUAL comparisons compared compared
EXP exp data
EXPAND_DIMS expand_dims data axis
FAKE_QUANT fake_quant data
FILL fill shape filling
FLOOR floor data
FLOOR_DIV floor_div operand operand
FLOOR_MOD floor_mod operand operand
FULLY_CONNECTED fully_connected data kernel bias
GATHER gather table indices
GATHER_ND gather_nd table indices
GELU gelu data
GREATER comparisons compared compared
GREATER_EQUAL comparisons compared compared
HARD_SWISH activations data
HASHTABLE hashtable
HASHTABLE_FIND hashtable_find resource data filling
HASHTABLE_IMPORT hashtable_import resource keys values
HASHTABLE_LOOKUP hashtable_lookup data keys values
HASHTABLE_SIZE hashtable_size resource
IF if condition passed*
IMAG complex_support data
L2_NORMALIZATION l2norm data
L2_POOL_2D pooling data
LEAKY_RELU activations data
LESS comparisons compared compared
LESS_EQUAL comparisons compared compared
LOCAL_RESPONSE_NORMALIZATION local_response_norm data
LOG elementwise data
LOGICAL_AND logical operand operand
LOGICAL_NOT elementwise data
LOGICAL_OR logical operand operand
LOGISTIC activations data
LOG_SOFTMAX activations data
LSH_PROJECTION lsh_projection hashes data weighting
LSTM lstm {_LSTM}
MATRIX_DIAG matrix_diag data
MATRIX_SET_DIAG matrix_set_diag data updates
MAXIMUM maximum_minimum operand operand
MAX_POOL_2D pooling data
MEAN reduce data axis
MINIMUM maximum_minimum operand operand
MIRROR_PAD mirror_pad data paddings
MUL mul operand operand
MULTINOMIAL multinomial data count
NEG neg data
NON_MAX_SUPPRESSION_V4 non_max_suppression data data count threshold threshold
NON_MAX_SUPPRESSION_V5 non_max_suppression data data count threshold threshold threshold
NOT_EQUAL comparisons compared compared
ONE_HOT one_hot indices depth filling filling
PACK pack data*
PAD pad data paddings
PADV2 pad data paddings filling
POW pow operand exponent
PRELU activations data alpha
QUANTIZE quantize data
RANDOM_STANDARD_NORMAL random_ops shape
RANDOM_UNIFORM random_ops shape
RANGE range limit limit limit
RANK rank data
READ_VARIABLE read_variable resource
REAL complex_support data
REDUCE_ALL reduce data axis
REDUCE_ANY reduce data axis
REDUCE_MAX reduce data axis
REDUCE_MIN reduce data axis
REDUCE_PROD reduce data axis
REDUCE_WINDOW reduce_window data filling shape strides dilations
RELU activations data
RELU6 activations data
RELU_0_TO_1 activations data
RELU_N1_TO_1 activations data
RESHAPE reshape data shape
RESIZE_BILINEAR resize_bilinear data size
RESIZE_NEAREST_NEIGHBOR resize_nearest_neighbor data size
REVERSE_SEQUENCE reverse_sequence data lengths
REVERSE_V2 reverse data axis
RFFT2D rfft2d data lengths
RIGHT_SHIFT right_shift operand operand
RNN basic_rnn data kernel recurrent bias state
ROUND round data
RSQRT elementwise data
SCATTER_ND scatter_nd indices updates shape
SEGMENT_SUM segment_sum data segments
SELECT select condition choice choice
SELECT_V2 select condition choice choice
SHAPE shape data
SIGN sign data
SIN elementwise data
SKIP_GRAM skip_gram data
SLICE slice data begin size
SOFTMAX activations data
SPACE_TO_BATCH_ND space_to_batch_nd data block paddings
SPACE_TO_DEPTH space_to_depth data
SPARSE_TO_DENSE sparse_to_dense indices shape updates filling
SPLIT split axis data
SPLIT_V split_v data size axis
SQRT elementwise data
SQUARE elementwise data
SQUARED_DIFFERENCE squared_difference operand operand
SQUEEZE squeeze data
STRIDED_SLICE strided_slice data begin end strides
SUB sub operand operand
SUM reduce data axis
SVDF svdf data features time bias state
TANH activations data
TILE tile data multiples
TOPK_V2 topk_v2 data count
TRANSPOSE transpose data permutation
TRANSPOSE_CONV transpose_conv shape kernel data bias
UNIDIRECTIONAL_SEQUENCE_LSTM unidirectional_sequence_lstm {_LSTM}
UNIDIRECTIONAL_SEQUENCE_RNN unidirectional_sequence_rnn data kernel recurrent bias state
UNIQUE unique data
UNPACK unpack data
UNSORTED_SEGMENT_MAX unsorted_segment data segments count
UNSORTED_SEGMENT_MIN unsorted_segment data segments count
UNSORTED_SEGMENT_PROD unsorted_segment data segments count
UNSORTED_SEGMENT_SUM unsorted_segment data segments count
VAR_HANDLE var_handle
WHERE where data
WHILE while passed*
ZEROS_LIKE zeros_like data
STABLEHLO_ABS - data
STABLEHLO_ADD stablehlo_elementwise operand operand
STABLEHLO_AND stablehlo_elementwise operand operand
STABLEHLO_BROADCAST_IN_DIM - data
STABLEHLO_CASE stablehlo_case condition passed*
STABLEHLO_CBRT - data
STABLEHLO_CLAMP - limit data limit
STABLEHLO_COMPARE - compared compared
STABLEHLO_COMPOSITE stablehlo_composite passed*
STABLEHLO_CONCATENATE - data*
STABLEHLO_CONVERT - data
STABLEHLO_CONVOLUTION - data kernel
STABLEHLO_COSINE - data
STABLEHLO_CUSTOM_CALL - data*
STABLEHLO_DIVIDE - operand operand
STABLEHLO_DOT_GENERAL - matrix matrix
STABLEHLO_DYNAMIC_SLICE - data begin*
STABLEHLO_DYNAMIC_UPDATE_SLICE - data updates begin*
STABLEHLO_EXPONENTIAL - data
STABLEHLO_FLOOR - data
STABLEHLO_GATHER stablehlo_gather table indices
STABLEHLO_IOTA -
STABLEHLO_LOG - data
STABLEHLO_LOGISTIC - data
STABLEHLO_MAXIMUM stablehlo_elementwise operand operand
STABLEHLO_MINIMUM stablehlo_elementwise operand operand
STABLEHLO_MULTIPLY stablehlo_elementwise operand operand
STABLEHLO_NEGATE - data
STABLEHLO_OR - operand operand
STABLEHLO_PAD stablehlo_pad data filling
STABLEHLO_POWER - operand exponent
STABLEHLO_REDUCE - data filling
STABLEHLO_REDUCE_WINDOW stablehlo_reduce_window data filling
STABLEHLO_REMAINDER - operand operand
STABLEHLO_RESHAPE - data
STABLEHLO_RNG_BIT_GENERATOR stablehlo_rng_bit_generator seed
STABLEHLO_RSQRT - data
STABLEHLO_SCATTER stablehlo_scatter data indices updates
STABLEHLO_SELECT - condition choice choice
STABLEHLO_SHIFT_LEFT stablehlo_shift_left operand operand
STABLEHLO_SLICE - data
STABLEHLO_SORT - data*
STABLEHLO_SUBTRACT - operand operand
STABLEHLO_TANH - data
STABLEHLO_TRANSPOSE - data
STABLEHLO_WHILE - passed*
"""

# Codes of the enumeration that are no operators.
NO_OPERATORS = frozenset({"CUSTOM", "PLACEHOLDER_FOR_GREATER_OP_CODES"})

# Operators whose output has the values of their first input, in another shape, order or dtype, or
# again and again.
SAME_VALUES: frozenset[str] = frozenset(
    {
        *("BITCAST", "CAST", "DENSIFY", "DEQUANTIZE", "EXPAND_DIMS", "FAKE_QUANT", "QUANTIZE"),
        *("RESHAPE", "REVERSE_V2", "SQUEEZE", "TRANSPOSE", "BROADCAST_TO", "TILE"),
        *("STABLEHLO_RESHAPE", "STABLEHLO_TRANSPOSE", "STABLEHLO_CONVERT"),
        "STABLEHLO_BROADCAST_IN_DIM",
    }
)

# Operators whose outputs are parts of an input, or an input among others -> which inputs.
PARTS: Mapping[str, slice] = {
    **dict.fromkeys(
        (
            *("SLICE", "STRIDED_SLICE", "SPLIT_V", "UNPACK", "PAD", "PADV2", "MIRROR_PAD"),
            *("STABLEHLO_SLICE", "STABLEHLO_PAD", "STABLEHLO_DYNAMIC_SLICE"),
        ),
        slice(0, 1),
    ),
    "SPLIT": slice(1, 2),
    **dict.fromkeys(("CONCATENATION", "PACK", "STABLEHLO_CONCATENATE"), slice(0, None)),
}


@dataclass(frozen=True, slots=True)
class Call:
    """An operator that runs subgraphs. fields: of its options, which name them by index.

    first: the input that becomes the subgraphs' first one; None where they take none of them.
    """

    fields: tuple[str, ...]
    first: int | None = 0


CALLS: Mapping[str, Call] = {
    "CALL": Call(("subgraph",)),
    "CALL_ONCE": Call(("init_subgraph_index",), None),
    "IF": Call(("then_subgraph_index", "else_subgraph_index"), 1),
    "WHILE": Call(("cond_subgraph_index", "body_subgraph_index")),
    "STABLEHLO_CASE": Call(("branch_subgraph_indices",), 1),
    "STABLEHLO_COMPOSITE": Call(("decomposition_subgraph_index",)),
    "STABLEHLO_WHILE": Call(("cond_subgraph_index", "body_subgraph_index")),
    # Their bodies take single values, two at a time: none of the inputs as it is.
    "STABLEHLO_REDUCE": Call(("body_subgraph_index",), None),
    "STABLEHLO_REDUCE_WINDOW": Call(("body_subgraph_index",), None),
    "STABLEHLO_SCATTER": Call(("update_computation_subgraph_index",), None),
    "STABLEHLO_SORT": Call(("comparator_subgraph_index",), None),
    "STABLEHLO_CUSTOM_CALL": Call(("called_computations",), None),
}


def _signature(source: str, words: Sequence[str]) -> Signature:
    rest = READINGS[words[-1][:-1]] if words and words[-1].endswith("*") else None
    inputs = tuple(READINGS[word.rstrip("*")] for word in words)
    return Signature(f"tflite/kernels/{source}.cc" if source != "-" else "schema.fbs", inputs, rest)


def _lines() -> Iterator[tuple[str, Signature]]:
    for line in re.sub(r"\s*\\\n", " ", _TABLE).strip().splitlines():
        name, source, *words = line.split()
        yield name, _signature(source, words)
    yield BASIC_LSTM, _signature("lstm", ["data", "state", "kernel", "bias", "state"])


@cache
def signatures() -> Mapping[str, Signature]:
    """What every builtin operator takes, by name."""
    return dict(_lines())


def reading(operator: str, index: int, inputs: int) -> Reading | None:
    """What a builtin operator takes at an input, of so many; None where the table has neither."""
    if operator == "LSTM" and inputs == len(signatures()[BASIC_LSTM].inputs):
        operator = BASIC_LSTM
    found = signatures().get(operator)
    return None if found is None else found.reading(index)


def operand_role(dtype: str, shape: Sequence[int], *, quantized: bool) -> Role:
    """What a constant is that arithmetic works with, or that values are looked up in.

    Real numbers, one for each channel or more, are learned: a multiplier or an offset of batch
    normalization, an embedding. A single one is a factor or a bound that the model's code has, and
    so are integers that stand for themselves: shapes and indices.
    """
    real = quantized or "float" in dtype or dtype.startswith("complex")
    return Role.WEIGHT if real and any(side != 1 for side in shape) else Role.CONSTANT
