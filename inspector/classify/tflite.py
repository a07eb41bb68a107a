"""Rules for .tflite models: what the operators that read a tensor take it for.

They decide every tensor of such a model, and none of another artifact. Names say nothing here:
`arith.constant` is a bias in one file and a shape in the next. Values are not looked at either.
A weight's `trainable` is None: a converted model holds constants, and does not say which of them
training changed. All that is no weight is not trainable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from inspector.classify.rule import Apply, Context, Rule
from inspector.classify.uses import FLOATS, rank, said, verdict
from inspector.model import Role, Tensor, Use, Verdict
from inspector.tflite.flow import LOOPS, RETURNED
from inspector.tflite.ops import INITIAL, OPERAND, TABLE, Reading, operand_role
from inspector.tflite.reads import is_known, read_at

FORMAT = "tflite"

# Integers too narrow for a shape or an index: where a kernel is read, they stand for numbers, even
# if the file has lost their scale.
_NARROW = frozenset({"int2", "uint2", "int4", "uint4", "int8", "uint8", "int16", "uint16"})
_SCALED = frozenset({"DEQUANTIZE"})

# What arithmetic does with an array, and what such a one mostly is.
_DONE: Mapping[str, str] = {
    **dict.fromkeys(("ADD", "ADD_N", "STABLEHLO_ADD"), "added; a bias or an offset"),
    **dict.fromkeys(("SUB", "STABLEHLO_SUBTRACT"), "subtracted; an offset"),
    **dict.fromkeys(("MUL", "STABLEHLO_MULTIPLY"), "multiplied; a scale"),
    **dict.fromkeys(("DIV", "STABLEHLO_DIVIDE"), "divided; a scale"),
}
_COMBINED = "combined; a bias, a bound or a scale"

Read = tuple[Use, Reading | None]
Decide = Callable[[Tensor, Sequence[Read]], Verdict | None]


# --- what is read where ---------------------------------------------------------------------------


def _by_reads(decide: Decide) -> Apply:
    """A rule that looks at one tensor at a time, and at what reads it."""

    def apply(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
        if context.artifact.format != FORMAT:
            return {}
        found = {
            tensor.name: decide(tensor, [(use, read_at(use.op, use.input)) for use in tensor.uses])
            for tensor in undecided
        }
        return {name: one for name, one in found.items() if one is not None}

    return apply


def _is_real(tensor: Tensor) -> bool:
    """Whether its values stand for real numbers."""
    return tensor.quantized is not None or tensor.dtype.startswith(FLOATS)


def _is_learned(tensor: Tensor) -> bool:
    """Whether a place that does not tell makes it a weight: it has several real numbers."""
    role = operand_role(tensor.dtype, tensor.shape or (), quantized=tensor.quantized is not None)
    return role is Role.WEIGHT and tensor.elements > 0


def _number(tensor: Tensor) -> str:
    return f"an array of {tensor.elements:,} values"


# --- without values -------------------------------------------------------------------------------


def _activation(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
    if tensor.made is None:
        return None
    evidence = f"no values in the file: {tensor.made}"
    return verdict(tensor, Role.ACTIVATION, "tflite-activation", evidence, trainable=False)


# --- quantization ---------------------------------------------------------------------------------

_PARTS = {"scales": "scales", "zero_points": "zero points"}


def _quant_params(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """Tensors that others name as their scales or zero points."""
    if context.artifact.format != FORMAT:
        return {}
    serves: dict[str, list[tuple[str, str]]] = {}
    for tensor in context.artifact.tensors:
        for part, name in (tensor.quantized.tensors if tensor.quantized else {}).items():
            serves.setdefault(name, []).append((part, tensor.name))
    found: dict[str, Verdict] = {}
    for tensor in undecided:
        if tensor.name in serves:
            part, about = serves[tensor.name][0]
            more = len({name for _, name in serves[tensor.name]}) - 1
            also = f" and of {more} more" if more else ""
            evidence = f"{about} names it as its {_PARTS.get(part, part)}{also}"
            found[tensor.name] = verdict(
                tensor, Role.QUANT_PARAM, "tflite-quant-param", evidence, False, about
            )
    return found


# --- weights --------------------------------------------------------------------------------------


def _weight(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
    for use, read in reads:
        if read is None or read.role is not Role.WEIGHT or not rank(tensor):
            continue
        lost = "" if _is_real(tensor) else f"; {tensor.dtype} without a scale"
        narrow = tensor.dtype in _NARROW or _SCALED & set(use.through)
        # A bias in int32 has the scale of its products, whether the file says so or not.
        if not lost or narrow or (read.variable == "bias" and tensor.dtype in {"int32", "int64"}):
            evidence = f"{said(use, read.what)}{lost}"
            return verdict(tensor, Role.WEIGHT, "tflite-weight", evidence)
    return None


def _table(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
    for use, read in reads:
        if read is not None and read.variable == TABLE.variable and tensor.elements > 1:
            if _is_learned(tensor):
                return verdict(tensor, Role.WEIGHT, "tflite-table", said(use, read.what))
            evidence = f"{said(use, read.what)}; of {tensor.dtype}, so no weight"
            return verdict(tensor, Role.LOOKUP, "tflite-table", evidence, trainable=False)
    return None


def _array(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
    if not _is_learned(tensor):
        return None
    for use, read in reads:
        if read is OPERAND:
            evidence = f"{said(use)}: {_number(tensor)}, {_DONE.get(use.op, _COMBINED)}"
            return verdict(tensor, Role.WEIGHT, "tflite-array", evidence)
    return None


def _initial(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
    if not _is_learned(tensor):
        return None
    for use, read in reads:
        if read is INITIAL:
            evidence = f"{said(use, read.what)}: {_number(tensor)} that a variable starts with"
            return verdict(tensor, Role.WEIGHT, "tflite-initial", evidence)
    return None


def _opaque(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
    if not _is_learned(tensor):
        return None
    for use, read in reads:
        if read is None and use.op != RETURNED:
            evidence = f"{said(use)}, {_stranger(use)}: {_number(tensor)} is taken as a weight"
            return verdict(tensor, Role.WEIGHT, "tflite-opaque", evidence)
    return None


def _stranger(use: Use) -> str:
    return "which has no such input" if is_known(use.op) else "an operator that is not known"


# --- what is no parameter -------------------------------------------------------------------------


def _as(role: Role, code: str) -> Decide:
    """A rule that takes an operator at its word."""

    def decide(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
        for use, read in reads:
            if read is not None and read.role is role:
                return verdict(tensor, role, code, said(use, read.what), trainable=False)
        return None

    return decide


def _constant(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
    by_operator = [(use, read) for use, read in reads if use.op != RETURNED]
    if not by_operator:
        return None
    telling = (one for one in by_operator if one[1] is not None and one[1].role is Role.CONSTANT)
    use, read = next(telling, by_operator[0])
    evidence = said(use, read.what if read else None)
    if read is None:
        evidence += f", {_stranger(use)}"
    if read is None or read.role is not Role.CONSTANT:
        evidence += f": {_why(tensor, use, read)}"
    return verdict(tensor, Role.CONSTANT, "tflite-constant", evidence, trainable=False)


def _why(tensor: Tensor, use: Use, read: Reading | None) -> str:
    """Why what is read in a place that does not tell is no parameter."""
    if tensor.elements == 0:
        return "of no values"
    if use.op in LOOPS:
        return "what the loop begins with"
    if read is not None and read.role is Role.ACTIVATION:
        return "what the state begins with"
    if tensor.elements == 1:
        return "a single value"
    if not _is_real(tensor):
        return f"of {tensor.dtype}, so no weight"
    return "values that it works on"


def _returned(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
    for use, _ in reads:
        if use.op == RETURNED:
            way = f", through {', '.join(dict.fromkeys(use.through))}" if use.through else ""
            evidence = f"output {use.input} of {use.node}{way}: the same at every call"
            return verdict(tensor, Role.CONSTANT, "tflite-output", evidence, trainable=False)
    return None


def _unread(tensor: Tensor, reads: Sequence[Read]) -> Verdict | None:
    evidence = "no operator reads it" + (": of no values" if tensor.elements == 0 else "")
    return verdict(tensor, Role.CONSTANT, "tflite-unread", evidence, trainable=False)


# --- copies ---------------------------------------------------------------------------------------

_ONCE = frozenset({Role.WEIGHT, Role.LOOKUP, Role.QUANT_PARAM})


def _copies(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """What repeats another tensor of the same role. Settings (shapes, axes) are no copies."""
    if context.artifact.format != FORMAT:
        return {}
    copies = [t for t in undecided if t.repeats in context.by_name and t.made is None]
    if not copies:
        return {}
    originals = dict.fromkeys(t.repeats for t in copies if t.repeats is not None)
    both = [*copies, *(context.by_name[name] for name in originals)]
    alone: dict[str, Verdict] = {}
    for rule in _ALONE:
        alone = {**rule.apply(context, both), **alone}
    return {
        t.name: _copy(t, context.by_name[t.repeats], alone[t.name])
        for t in copies
        if t.repeats is not None
        and alone[t.name].role in _ONCE
        and alone[t.name].role is alone[t.repeats].role
        and _has_values_of(t, context.by_name[t.repeats])
    }


def _has_values_of(tensor: Tensor, original: Tensor) -> bool:
    """Whether equal bytes are equal values: biases of zeros share them, each in its own scale."""
    return (tensor.dtype, tensor.quantized) == (original.dtype, original.quantized)


def _copy(tensor: Tensor, original: Tensor, found: Verdict) -> Verdict:
    shared = bool(tensor.extents) and tensor.extents == original.extents
    how = "it has the buffer of {}, stored once" if shared else "the bytes of {}, stored again"
    return replace(
        found,
        role=Role.ALIAS,
        rule="tflite-copy",
        evidence=f"{how.format(original.name)}; {found.evidence}",
        about=original.name,
        alias_of=original.name,
    )


_ALONE: tuple[Rule, ...] = (
    Rule(
        "tflite-activation",
        "a tensor that has no values in a .tflite file",
        "Inputs, what operators make, and the state of recurrent layers: a .tflite file lists them "
        "with shapes and types, and they take memory only while the model runs.",
        "the output of CONV_2D",
        _by_reads(_activation),
    ),
    Rule(
        "tflite-quant-param",
        "scales or zero points that a .tflite file keeps in a tensor",
        "Blockwise quantization has too many scales for a list beside the tensor: it names another "
        "tensor with them.",
        "the scales of an int4 kernel",
        _quant_params,
    ),
    Rule(
        "tflite-weight",
        "what a .tflite operator reads as a kernel, a bias, an embedding or the like",
        "The operator and the number of the input say what is read there: CONV_2D's kernel and "
        "bias, FULLY_CONNECTED's, the 20 arrays of an LSTM, PRELU's slopes, the table that GATHER "
        "looks up in. Operators that hand values on are followed (DEQUANTIZE, DENSIFY, RESHAPE, "
        "TRANSPOSE ...), into subgraphs too. Integers count where they stand for real numbers.",
        "arith.constant, read by CONV_2D at input 1",
        _by_reads(_weight),
    ),
    Rule(
        "tflite-table",
        "what GATHER looks values up in",
        "A table of real numbers is an embedding. One of text, or of whole numbers that stand for "
        "themselves, is a lookup.",
        "embedding/embeddings, read by GATHER at input 0",
        _by_reads(_table),
    ),
    Rule(
        "tflite-lookup",
        "keys or values of a hash table",
        "What HASHTABLE_IMPORT fills a table with.",
        "keys, read by HASHTABLE_IMPORT at input 1",
        _by_reads(_as(Role.LOOKUP, "tflite-lookup")),
    ),
    Rule(
        "tflite-statistic",
        "what a TensorFlow operator inside a .tflite model reads as a mean or a variance",
        "Flex operators are TensorFlow's own, with its order of inputs.",
        "moving_mean, read by FlexFusedBatchNormV3 at input 3",
        _by_reads(_as(Role.STATISTIC, "tflite-statistic")),
    ),
    Rule(
        "tflite-range",
        "what a TensorFlow operator inside a .tflite model reads as the end of a range",
        "Flex operators are TensorFlow's own, with its order of inputs.",
        "min, read by FlexFakeQuantWithMinMaxVars at input 1",
        _by_reads(_as(Role.QUANT_PARAM, "tflite-range")),
    ),
    Rule(
        "tflite-array",
        "an array that arithmetic of a .tflite model reads",
        "Real numbers, quantized or not, more than one, that are added to or multiplied with "
        "something: a folded batch normalization, a layer normalization. Weaker than an operator "
        "that says what it reads.",
        "arith.constant, 64 values read by MUL",
        _by_reads(_array),
    ),
    Rule(
        "tflite-initial",
        "what a variable of a .tflite model starts with",
        "A subgraph that runs once gives variables their values. Where nothing tells what a "
        "variable is read as, an array of real numbers is taken as a weight.",
        "Const, read by ASSIGN_VARIABLE at input 1",
        _by_reads(_initial),
    ),
    Rule(
        "tflite-opaque",
        "an array that an operator reads of which nothing is known",
        "Real numbers, quantized or not, more than one, read by a custom operator or by one of a "
        "newer schema.",
        "params, read by MyOperator at input 1",
        _by_reads(_opaque),
    ),
    Rule(
        "tflite-constant",
        "a constant of a .tflite model that is no parameter",
        "Shapes, axes, paddings, permutations, starts and sizes of slices, text, single values in "
        "arithmetic (an epsilon), whole numbers that stand for themselves.",
        "arith.constant, read by RESHAPE at input 1",
        _by_reads(_constant),
    ),
    Rule(
        "tflite-output",
        "a constant that a .tflite model returns",
        "No operator reads it: it is an output, the same at every call.",
        "a list of anchors",
        _by_reads(_returned),
    ),
    Rule(
        "tflite-unread",
        "a constant of a .tflite model that nothing reads",
        "Left over, or a place that an operator leaves empty.",
        "cell_to_input_weights of no values",
        _by_reads(_unread),
    ),
)

RULES: tuple[Rule, ...] = (
    Rule(
        "tflite-copy",
        "a tensor of a .tflite model with the values of another",
        "Tensors can share a buffer, and converters that do not merge equal ones store them again. "
        "Only where both are of one role, and no settings (shapes, axes).",
        "the kernel of a layer that two subgraphs have",
        _copies,
    ),
    *_ALONE,
)
