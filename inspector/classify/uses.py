"""What the rules by the graph share: who may be looked at, and how a use is put in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from inspector.classify.rule import Apply, Context, each
from inspector.graph.ops import Reading, reading
from inspector.graph.passing import PASSING, RETURNED
from inspector.model import Role, Section, Store, Tensor, Use, Verdict

FLOATS = ("float", "bfloat", "complex")
# Integers that stand for floating-point numbers, once a range or a scale is known.
QUANTIZED = frozenset({"int2", "uint2", "int4", "uint4", "int8", "uint8", "int16", "uint16"})
# What TensorFlow 2 calls the constant that it puts in a variable's place.
_FROZEN = re.compile(r"/ReadVariableOp(_\d+)?/resource$")
_SCALED = frozenset({"Dequantize", "UniformDequantize"})
_LOOPS = frozenset({"While", "StatelessWhile", "_While", "For"})

Decide = Callable[[Tensor], Verdict | None]


def is_open(context: Context, tensor: Tensor) -> bool:
    """Whether the graph may say what a tensor is."""
    if tensor.section is Section.GRAPH:
        return True
    return bool(tensor.uses) and tensor.section is Section.MODEL


def by_uses(decide: Decide, *, named: bool = False) -> Apply:
    """A rule that looks at the uses of one tensor at a time.

    named: leave variables to other rules where an object graph tells more than their names.
    """

    def apply(context: Context, tensor: Tensor) -> Verdict | None:
        told = named and context.artifact.store is Store.OBJECTS
        if not is_open(context, tensor) or (told and tensor.section is not Section.GRAPH):
            return None
        return decide(tensor)

    return each(apply)


def readings(tensor: Tensor) -> Iterator[tuple[Use, Reading]]:
    """Its uses, and what each operator takes it for."""
    return ((use, reading(use.op, use.input)) for use in tensor.uses)


def arithmetic(use: Use) -> list[str]:
    """The operators on a value's way that compute."""
    return [op for op in use.through if op not in PASSING]


def starts_a_loop(use: Use) -> bool:
    """Whether the value is only a loop's first one: a state to begin with."""
    through = set(use.through)
    return bool(through & _LOOPS) or {"Enter", "Merge"} <= through


def is_number(tensor: Tensor, use: Use) -> bool:
    """Whether what is read is a floating-point number, or an integer that was made one."""
    if tensor.dtype.startswith(FLOATS) or _SCALED & set(use.through):
        return True
    return tensor.dtype in QUANTIZED and "Cast" in use.through


def is_quantized(tensor: Tensor, use: Use) -> bool:
    """Whether integers are read where an operator takes quantized weights."""
    return tensor.dtype in QUANTIZED or use.op.startswith(("Quantized", "Uniform"))


def rank(tensor: Tensor) -> int:
    """Its number of dimensions; 0 where it has no shape."""
    return len(tensor.shape or ())


def was_variable(tensor: Tensor) -> bool:
    """Whether a constant's name says that it was a variable until the graph was frozen."""
    return _FROZEN.search(tensor.name) is not None


def said(use: Use, what: str | None = None) -> str:
    """A use as "read by Conv2D net/conv at input 1 (its kernel), through Identity"."""
    way = list(dict.fromkeys(use.through))
    through = f", through {', '.join(way[:4])}{' ...' if len(way) > 4 else ''}" if way else ""
    purpose = f" (its {what})" if what else ""
    if use.op == RETURNED:
        return f"returned as {use.node}{through}"
    return f"read by {use.op} {use.node} at input {use.input}{purpose}{through}"


def verdict(
    tensor: Tensor,
    role: Role,
    code: str,
    evidence: str,
    trainable: bool | None = None,
    about: str | None = None,
) -> Verdict:
    """A verdict by the graph. trainable: where the file does not say it of the variable."""
    given = tensor.trainable if tensor.trainable is not None else trainable
    return Verdict(role, code, "graph", evidence, trainable=given, about=about)
