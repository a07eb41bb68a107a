"""Multiply-accumulates of an operator, from the shapes of its tensors.

Counted are products that are summed up: convolutions, matrix products, and those of recurrent
layers. Sums, activations and multiplications value by value are not, nor is it looked at whether a
weight is 0. Of a subgraph that an operator calls, none: its own operators have theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from inspector.tflite.custom_ops import CUSTOM
from inspector.wire.flatbuffer_schema import Record
from inspector.wire.tflite_model import Subgraph, TfliteModel, TfliteOperator

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Macs:
    """count: None where a shape is not known. rule: how it was counted, in words.

    assumed: a side of the output that is not fixed counts as it stands in the file, mostly 1.
    """

    count: int | None
    rule: str
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The shapes of an operator's inputs and of its first output; None for what is left out."""

    inputs: Sequence[Shape | None]
    output: Shape | None
    options: Record | None

    @property
    def outputs(self) -> int:
        """Number of values that come out. Raises LookupError where it is not known."""
        return math.prod(_known(self.output))

    def side(self, index: int) -> Shape:
        """The shape of an input. Raises LookupError where it has none, or a side is not known."""
        return _known(self.inputs[index])

    def sizes(self, places: Sequence[int]) -> int:
        """Values of all inputs at some places that are not left out. Raises LookupError."""
        there = [self.side(one) for one in places if self.inputs[one] is not None]
        return sum(map(math.prod, there))

    def sides(self, name: str) -> Shape:
        """A vector among the options, empty where there are none."""
        return () if self.options is None else self.options.numbers(name)

    def number(self, name: str) -> int:
        return 0 if self.options is None else int(self.options[name])


def _convolution(at: _Shapes) -> int:
    return at.outputs * math.prod(at.side(1)[1:])


def _depthwise(at: _Shapes) -> int:
    return at.outputs * math.prod(at.side(1)[1:3])


def _transposed(at: _Shapes) -> int:
    return math.prod(at.side(2)) * math.prod(at.side(1)[:3])


def _transposed_with_bias(at: _Shapes) -> int:
    return math.prod(at.side(0)) * math.prod(at.side(1)[:3])


def _volume(at: _Shapes) -> int:
    return at.outputs * math.prod(at.side(1)[:4])


def _transposed_volume(at: _Shapes) -> int:
    return math.prod(at.side(2)) * math.prod(at.side(1)[:4])


def _dense(at: _Shapes) -> int:
    return at.outputs * at.side(1)[-1]


def _matrices(at: _Shapes) -> int:
    return at.outputs * at.side(0)[-2 if at.number("adj_x") else -1]


# Inputs that are kernels, by the number of inputs: each is multiplied with a vector once a step.
# Peepholes and coefficients of layer normalization are multiplied value by value.
_KERNELS: Mapping[int, Sequence[int]] = {
    5: (2,),  # kernel type BASIC
    20: (*range(1, 9), 16),
    24: (*range(1, 9), 16),
}
_BOTH_KERNELS: Mapping[int, Sequence[int]] = {
    12: (1, 2, 5, 6, 10, 11),
    48: (*range(1, 9), 16, *range(18, 26), 33, *range(40, 48)),
}


def _steps(at: _Shapes) -> int:
    return math.prod(at.side(0)[:-1])


def _recurrent(at: _Shapes) -> int:
    return _steps(at) * at.sizes(_KERNELS[len(at.inputs)])


def _simple_recurrent(at: _Shapes) -> int:
    return _steps(at) * (math.prod(at.side(1)) + math.prod(at.side(2)))


def _both_recurrent(at: _Shapes) -> int:
    return _steps(at) * at.sizes(_BOTH_KERNELS[len(at.inputs)])


def _gated(at: _Shapes) -> int:
    return _steps(at) * (math.prod(at.side(2)) + math.prod(at.side(4)))


def _svdf(at: _Shapes) -> int:
    return at.side(0)[0] * (math.prod(at.side(1)) + math.prod(at.side(2)))


def _dot(at: _Shapes) -> int:
    inner = [at.side(0)[one] for one in at.sides("lhs_contracting_dimensions")]
    return at.outputs * math.prod(inner)


def _general(at: _Shapes) -> int:
    out = at.number("kernel_output_feature_dimension")
    kernel = [side for place, side in enumerate(at.side(1)) if place != out]
    return at.outputs * math.prod(kernel)


_LSTM = "steps x the elements of all kernels, recurrent and projection kernels"
_TRANSPOSED = "inputs x kernel height x width x output channels"

# Operator -> (its count, the rule in words). Layouts of kernels: the kernels of LiteRT. The last
# two are custom operators, by their own names (see custom_ops).
_RULES: Mapping[str, tuple[Callable[[_Shapes], int], str]] = {
    "CONV_2D": (_convolution, "outputs x kernel height x width x input channels of a group"),
    "DEPTHWISE_CONV_2D": (_depthwise, "outputs x kernel height x width"),
    "TRANSPOSE_CONV": (_transposed, _TRANSPOSED),
    "CONV_3D": (_volume, "outputs x kernel depth x height x width x input channels"),
    "CONV_3D_TRANSPOSE": (
        _transposed_volume,
        "inputs x kernel depth x height x width x output channels",
    ),
    "FULLY_CONNECTED": (_dense, "outputs x inputs of each"),
    "BATCH_MATMUL": (_matrices, "outputs x side summed over"),
    "LSTM": (_recurrent, _LSTM),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (_recurrent, _LSTM),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (_both_recurrent, _LSTM),
    "RNN": (_simple_recurrent, "steps x the elements of both kernels"),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (_simple_recurrent, "steps x the elements of both kernels"),
    "BIDIRECTIONAL_SEQUENCE_RNN": (_both_recurrent, "steps x the elements of all kernels"),
    "SVDF": (_svdf, "batch x the elements of both kernels"),
    "STABLEHLO_DOT_GENERAL": (_dot, "outputs x sides summed over"),
    "STABLEHLO_CONVOLUTION": (_general, "outputs x kernel elements of each"),
    "Convolution2DTransposeBias": (_transposed_with_bias, _TRANSPOSED),
    "UNIDIRECTIONAL_SEQUENCE_GRU": (_gated, "steps x the elements of both kernels"),
}


def macs(model: TfliteModel, graph: Subgraph, operator: TfliteOperator) -> Macs | None:
    """Those of one run of an operator; None for an operator that has none.

    Raises Corrupt for an operator without a code.
    """
    code = model.code(operator)
    found = _RULES.get(code.name if code.custom is None else code.custom)
    if code.custom is not None and code.custom not in CUSTOM:
        return None  # called like a builtin, which it is not
    if found is None:
        return None
    count, rule = found
    inputs = [_shape(graph, one) for one in operator.inputs]
    output = _shape(graph, operator.outputs[0]) if operator.outputs else None
    try:
        found_count = count(_Shapes(inputs, output, operator.options))
    except LookupError:  # fewer inputs, or sides, than such an operator has
        return Macs(None, rule)
    open_sides = output is not None and -1 in (graph.tensors[operator.outputs[0]].signature or ())
    return Macs(found_count, rule, open_sides)


def _shape(graph: Subgraph, index: int) -> Shape | None:
    """A tensor's shape, with -1 for what is not known; None where there is no such tensor."""
    if not 0 <= index < len(graph.tensors):
        return None
    shape = graph.tensors[index].shape
    return (-1,) if shape is None else shape


def _known(shape: Shape | None) -> Shape:
    if shape is None or any(side < 0 for side in shape):
        raise LookupError(shape)
    return shape
