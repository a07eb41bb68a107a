"""Operators that hand a value on, as tables: from which inputs, to which outputs, and why.

Followed is what leaves a weight a weight: the same value, in another shape or dtype, in pieces or
joined with others. Names and order of inputs are those of TensorFlow's operator registry.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple


class From(enum.Enum):
    """Which inputs are handed on."""

    FIRST = "the first"
    SECOND = "the second"
    ALL = "all of them"
    BUT_FIRST = "all but the first"
    BUT_LAST = "all but the last"


class To(enum.Enum):
    """Where they are handed on to."""

    FIRST = "the first output"
    EVERY = "every output"
    SAME = "the output of the same number"


class Way(NamedTuple):
    """How an operator hands values on."""

    inputs: From
    outputs: To = To.FIRST

    def takes(self, at: int, count: int) -> bool:
        """Whether input `at`, of `count` without control inputs, is one that is handed on."""
        match self.inputs:
            case From.FIRST:
                return at == 0
            case From.SECOND:
                return at == 1
            case From.BUT_FIRST:
                return at > 0
            case From.BUT_LAST:
                return at < count - 1
        return True


_ONE = Way(From.FIRST)
_ANY = Way(From.ALL)

# (the way, the operators, why the value is still what it was)
_ROWS: tuple[tuple[Way, str, str], ...] = (
    (_ONE, "Identity RefIdentity Snapshot GuaranteeConst DeepCopy", "the value itself"),
    (_ONE, "StopGradient PreventGradient EnsureShape", "the value; the name is for training"),
    (_ONE, "ReadVariableOp", "a variable's value"),
    (_ONE, "PlaceholderWithDefault", "the value, unless another one is fed"),
    (_ONE, "CheckNumerics CheckNumericsV2 Print", "the value, looked at on its way"),
    (_ONE, "DebugIdentity DebugIdentityV2 DebugIdentityV3 Copy CopyHost", "the value, watched"),
    (_ONE, "Enter RefEnter Exit RefExit NextIteration RefNextIteration", "into a loop, round, out"),
    (_ANY, "Merge RefMerge", "one of the inputs: a loop's first value, or a branch's"),
    (Way(From.FIRST, To.EVERY), "Switch RefSwitch _SwitchN", "the value, to one of the branches"),
    (Way(From.BUT_FIRST), "RefSelect", "one of the inputs"),
    (Way(From.ALL, To.SAME), "IdentityN XlaOptimizationBarrier", "each input as the same output"),
    (_ANY, "TPUReplicatedInput TPUPartitionedInput", "the value, or the pieces of it"),
    (Way(From.FIRST, To.EVERY), "TPUReplicatedOutput", "the value, to each replica"),
    (_ONE, "XlaSharding", "the value, placed"),
    (_ONE, "Cast Bitcast _HostCast", "the value in another dtype"),
    (_ONE, "QuantizeV2 Dequantize", "the value, as integers or as floats; the rest are ranges"),
    (_ONE, "UniformQuantize UniformDequantize UniformRequantize", "likewise; the rest are scales"),
    (
        _ONE,
        "FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel"
        " QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3"
        " QuantizeAndDequantizeV4",
        "the value rounded to a grid; the rest are ranges",
    ),
    (_ONE, "Reshape QuantizedReshape ExpandDims Squeeze", "the value in another shape"),
    (_ONE, "Transpose ConjugateTranspose Reverse ReverseV2", "the value in another order"),
    (_ONE, "BroadcastTo Tile Pad PadV2 MirrorPad", "the value, repeated or with a margin"),
    (_ONE, "Slice StridedSlice", "a part of it: one gate of an LSTM's kernel"),
    (Way(From.SECOND, To.EVERY), "Split", "the parts of it"),
    (Way(From.FIRST, To.EVERY), "SplitV Unpack", "the parts of it"),
    (_ANY, "Pack", "one of several, stacked: weights of a group of layers, sides of a shape"),
    (Way(From.BUT_LAST), "ConcatV2", "one of several: parts of a partitioned variable"),
    (Way(From.BUT_FIRST), "Concat", "likewise, in graphs of TensorFlow 0.x and 1.x"),
)  # fmt: skip

PASSING: Mapping[str, Way] = {op: way for way, ops, _ in _ROWS for op in ops.split()}

# Arithmetic hands a value on only where every operand is a constant or a variable: then it makes
# another constant (a masked weight, 1 / sqrt(variance + epsilon), a normalized kernel).
_OPERATORS = """
    Add AddV2 AddN Sub Mul Div RealDiv DivNoNan Maximum Minimum Pow SquaredDifference Neg Abs Sign
    Square Sqrt Rsqrt Reciprocal Inv Exp Log Log1p Softplus Sigmoid Tanh Relu Softmax Round Floor
    Ceil Sum Mean ClipByValue Select SelectV2
"""
ARITHMETIC: frozenset[str] = frozenset(_OPERATORS.split())

# Output names of those among them that have several, each one tensor: a function's body refers to
# outputs by name.
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "Switch": ("output_false", "output_true"),
    "RefSwitch": ("output_false", "output_true"),
    "Merge": ("output", "value_index"),
    "RefMerge": ("output", "value_index"),
    "QuantizeV2": ("output", "output_min", "output_max"),
    "QuantizedReshape": ("output", "output_min", "output_max"),
}


RETURNED = "_Retval"  # TensorFlow's own name for what a function's result goes to


class Call(NamedTuple):
    """How an operator calls functions.

    attrs: the attributes that name them; first: the input that is their argument `argument`; loop:
    results are the next round's arguments.
    """

    attrs: tuple[str, ...]
    first: int = 0
    argument: int = 0
    loop: bool = False


_BRANCHES = Call(("then_branch", "else_branch"), first=1)
_CASES = Call(("branches",), first=1)
_LOOP = Call(("body", "cond"), loop=True)

CALLS: Mapping[str, Call] = {
    "PartitionedCall": Call(("f",)),
    "StatefulPartitionedCall": Call(("f",)),
    "TPUPartitionedCall": Call(("f",)),
    "BatchFunction": Call(("f",)),
    "MapDefun": Call(("f",)),
    "XlaLaunch": Call(("function",)),
    "RemoteCall": Call(("f",), first=1),
    "If": _BRANCHES,
    "StatelessIf": _BRANCHES,
    "_If": _BRANCHES,
    "Case": _CASES,
    "StatelessCase": _CASES,
    "While": _LOOP,
    "StatelessWhile": _LOOP,
    "_While": _LOOP,
    "For": Call(("body",), first=3, argument=1),
}
