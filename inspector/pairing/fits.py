"""How a variable of Keras may lie in an operator of LiteRT: the ways that its shape allows.

Sources: LiteRT's operator documentation (CONV_2D takes OHWI, DEPTHWISE_CONV_2D 1HW(CM),
TRANSPOSE_CONV OHWI, FULLY_CONNECTED (outputs, inputs), the sequence LSTMs a matrix for each gate,
in the order input, forget, cell, output), and the shapes of Keras' variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from inspector.pairing.nouns import Part

Shape = tuple[int, ...]

_GATES = 4


@dataclass(frozen=True, slots=True)
class Fit:
    """What has to be done to a variable's places. kinds: the words for it."""

    kinds: tuple[str, ...]
    shape: Shape
    axes: tuple[int, ...] | None = None
    part: Part | None = None


def _sides(shape: Sequence[int]) -> list[int]:
    """The sides that are more than 1: others come and go."""
    return [side for side in shape if side != 1]


def _same(a: Shape, b: Shape) -> Iterator[Fit]:
    if a == b:
        yield Fit((), b)
    elif _sides(a) == _sides(b):
        yield Fit(("reshaped",), b)


def _outputs_first(a: Shape, b: Shape) -> Iterator[Fit]:
    """The last axes to the front: one of a kernel, several of an EinsumDense."""
    rank = len(a)
    for split in range(rank - 1, 0, -1):
        axes = (*range(split, rank), *range(split))
        turned = tuple(a[axis] for axis in axes)
        matrix = (math.prod(a[split:]), math.prod(a[:split]))
        if b[:1] == matrix[:1] and (b == matrix or _sides(turned) == _sides(b)):
            yield Fit(("transposed",) if turned == b else ("transposed", "reshaped"), b, axes)


def _dense(a: Shape, b: Shape) -> Iterator[Fit]:
    yield from _outputs_first(a, b)
    yield from _same(a, b)
    yield from _some_gates(a, b)


def _some_gates(a: Shape, b: Shape) -> Iterator[Fit]:
    """Some of a recurrent kernel's gates: a GRU's candidate state has a product of its own."""
    if len(a) != 2 or len(b) != 2 or b[1] != a[0] or not a[0] or b[0] >= a[1]:
        return
    if a[1] % a[0] == 0 and b[0] % a[0] == 0:
        for start in range(0, a[1] - b[0] + 1, a[0]):
            yield Fit(("sliced", "transposed"), b, (1, 0), Part(1, start, start + b[0]))


def _depthwise(a: Shape, b: Shape) -> Iterator[Fit]:
    """Channels and their multiples become one axis."""
    if len(a) < 3:
        return
    *window, channels, multiple = a
    if b[-1:] == (channels * multiple,) and _sides(window) == _sides(b[:-1]):
        yield Fit(("reshaped",), b)


def _transposed_convolution(a: Shape, b: Shape) -> Iterator[Fit]:
    """Outputs are the last axis but one."""
    rank = len(a)
    if rank < 3:
        return
    axes = (rank - 2, *range(rank - 2), rank - 1)
    turned = tuple(a[axis] for axis in axes)
    if b[:1] == turned[:1] and _sides(turned) == _sides(b):
        yield Fit(("transposed",) if turned == b else ("transposed", "reshaped"), b, axes)


def _batched(a: Shape, b: Shape) -> Iterator[Fit]:
    yield from _same(a, b)
    yield from _outputs_first(a, b)


def _row(a: Shape, b: Shape) -> Iterator[Fit]:
    """A bias: as it is, or a row of one that has two."""
    yield from _same(a, b)
    if len(a) > 1 and math.prod(a) == math.prod(b) and len(b) == 1 and a != b and a[0] > 1:
        yield Fit(("reshaped",), b)
    if len(a) == 2 and _sides(a[1:]) == _sides(b):
        for at in range(a[0]):
            yield Fit(("sliced", "reshaped"), b, None, Part(0, at, at + 1))


def _gate(gate: int, a: Shape, b: Shape) -> Iterator[Fit]:
    """A gate's part of a kernel or a bias; TensorFlow has them side by side."""
    if not a or a[-1] % _GATES:
        return
    size = a[-1] // _GATES
    part = Part(len(a) - 1, gate * size, (gate + 1) * size)
    if len(a) == 2 and b == (size, a[0]):
        yield Fit(("sliced", "transposed"), b, (1, 0), part)
    elif len(a) == 1 and b == (size,):
        yield Fit(("sliced",), b, None, part)


# Input of a sequence LSTM -> (variable, which of its gates). Two ways: the second one's are behind.
_SEQUENCE: Mapping[int, tuple[str, int]] = {
    **{1 + gate: ("kernel", gate) for gate in range(_GATES)},
    **{5 + gate: ("recurrent_kernel", gate) for gate in range(_GATES)},
    **{12 + gate: ("bias", gate) for gate in range(_GATES)},
}
_BACKWARD = 17
GATES: Mapping[tuple[str, int], tuple[str, int]] = {
    **{("UNIDIRECTIONAL_SEQUENCE_LSTM", at): found for at, found in _SEQUENCE.items()},
    **{("BIDIRECTIONAL_SEQUENCE_LSTM", at): found for at, found in _SEQUENCE.items()},
    **{("BIDIRECTIONAL_SEQUENCE_LSTM", at + _BACKWARD): found for at, found in _SEQUENCE.items()},
}

_WAYS = {
    ("FULLY_CONNECTED", 1): _dense,
    ("CONV_2D", 1): _outputs_first,
    ("DEPTHWISE_CONV_2D", 1): _depthwise,
    ("TRANSPOSE_CONV", 1): _transposed_convolution,
    ("BATCH_MATMUL", 1): _batched,
}

# Operators with a kernel at input 1 -> the input that has the bias.
BIAS_OF: Mapping[str, int] = {
    "FULLY_CONNECTED": 2,
    "CONV_2D": 2,
    "DEPTHWISE_CONV_2D": 2,
    "CONV_3D": 2,
    "CONV_3D_TRANSPOSE": 2,
    "TRANSPOSE_CONV": 3,
}
KERNELS = frozenset(
    {"FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "CONV_3D"}
)


def fits(op: str, at: int, variable: str | None, a: Shape, b: Shape) -> tuple[Fit, ...]:
    """The ways in which a variable of shape `a` can be what `op` takes of shape `b` at an input."""
    gate = GATES.get((op, at))
    if gate is not None:
        return tuple(_gate(gate[1], a, b)) if variable in (gate[0], None) else ()
    return tuple(_WAYS.get((op, at), _row)(a, b))


def channels(op: str, a: Shape, count: int) -> tuple[int, ...] | None:
    """The axes of a kernel that are the outputs of its operator; None unless they are `count`."""
    rank = len(a)
    axes = {
        "DEPTHWISE_CONV_2D": (rank - 2, rank - 1),
        "TRANSPOSE_CONV": (rank - 2,),
        "CONV_3D_TRANSPOSE": (rank - 2,),
    }.get(op, (rank - 1,))
    if min(axes) < 0 or math.prod(a[axis] for axis in axes) != count:
        return None
    return axes
