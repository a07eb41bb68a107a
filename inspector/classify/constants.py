"""Rules by the graph: what the operators that read a tensor take it for.

For the constants of a graph, and for variables that no class and no name has explained. One use
that tells wins over many that do not: a kernel's shape may be read as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from inspector.classify import uses_together
from inspector.classify.rule import Context, Rule
from inspector.classify.uses import (
    FLOATS,
    Decide,
    by_uses,
    is_number,
    is_quantized,
    rank,
    readings,
    said,
    starts_a_loop,
    verdict,
    was_variable,
)
from inspector.graph.ops import FIRST_MATRIX, is_core, reading
from inspector.graph.passing import ARITHMETIC, PASSING
from inspector.model import Role, Section, Tensor, Verdict

# Operators whose work is in a program that the graph does not show.
_OPAQUE = frozenset({"XlaCallModule", "XlaLaunch", "XlaLaunchV2", "XlaCustomCall", "PyFunc"})
_FILLER = re.compile(r"(?:^|/)(zeros|ones)(_like)?(_\d+)?$")

_ADDED, _SCALED = ("added", "a bias"), ("multiplied", "a scale")
_DONE: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("Add", "AddV2", "AddN"), _ADDED),
    "Sub": ("subtracted", "an offset"),
    "Mul": _SCALED,
    **dict.fromkeys(("Div", "RealDiv", "DivNoNan"), ("divided", "a scale")),
}


# --- weights ------------------------------------------------------------------------------------


def _weight(tensor: Tensor) -> Verdict | None:
    trained = None
    weights = [one for one in readings(tensor) if one[1].role is Role.WEIGHT]
    if not weights or _is_filler(tensor):
        return None
    for use, read in weights:
        if read.trained:
            trained = trained or use
        elif rank(tensor) and (is_number(tensor, use) or is_quantized(tensor, use)):
            begins = starts_a_loop(use) or "ConcatV2" in use.through
            if not (begins and read.what == FIRST_MATRIX):
                evidence = said(use, read.what)
                return verdict(tensor, Role.WEIGHT, "graph-weight", evidence, _trained(tensor))
    if trained is None:
        return None
    evidence = f"{said(trained)}, which trains it"
    return verdict(tensor, Role.WEIGHT, "graph-weight", evidence, trainable=True)


def _trained(tensor: Tensor) -> bool | None:
    """Whether the graph trains it: not seeing so says nothing."""
    return True if any(read.trained for _, read in readings(tensor)) else None


def _is_filler(tensor: Tensor) -> bool:
    """Whether it is what tf.zeros_like and its kin make: a bias that is none, in cuDNN's LSTM."""
    return tensor.section is Section.GRAPH and _FILLER.search(tensor.name) is not None


def _is_settled(tensor: Tensor) -> bool:
    """Whether it is a single value that was no variable: an epsilon, a factor of the code's own."""
    if tensor.section is not Section.GRAPH or tensor.elements > 1:
        return False
    return any(use.op == "IdentityN" for use in tensor.uses) or not was_variable(tensor)


def _is_array(tensor: Tensor) -> bool:
    """Whether it has several values; of a variable, whether it has room for them."""
    return rank(tensor) > 0 and (tensor.section is not Section.GRAPH or tensor.elements > 1)


def _array(tensor: Tensor) -> Verdict | None:
    frozen = tensor.section is Section.GRAPH
    uses = [use for use in tensor.uses if use.op in ARITHMETIC]
    if not uses or not (frozen or rank(tensor)) or _is_settled(tensor) or _is_filler(tensor):
        return None
    for use in uses:
        if is_number(tensor, use) and not starts_a_loop(use):
            if reading(use.op, use.input).role is not None:
                continue
            done, likely = _DONE.get(use.op, ("combined", "a bias or a scale"))
            what = f"an array of {tensor.elements:,} values"
            if tensor.elements == 1:
                what = "one value, in the place of a variable"
            evidence = f"{said(use)}: {what}, {done}; {likely}"
            return verdict(tensor, Role.WEIGHT, "graph-array", evidence)
    return None


def _packed(tensor: Tensor) -> Verdict | None:
    halves = {"RightShift": "", "BitwiseAnd": ""}
    halves |= {use.op: use.node for use in tensor.uses if use.op in halves and use.input == 0}
    if tensor.dtype not in {"int8", "uint8"} or rank(tensor) < 2 or not all(halves.values()):
        return None
    low, high = halves["BitwiseAnd"], halves["RightShift"]
    evidence = f"both halves of its bytes are taken, by {low} and {high}: two values of 4 bits each"
    return verdict(tensor, Role.WEIGHT, "graph-packed", evidence, _trained(tensor))


def _opaque(tensor: Tensor) -> Verdict | None:
    if not _is_array(tensor):
        return None
    for use in tensor.uses:
        known = is_core(use.op) and use.op not in _OPAQUE
        if not known and tensor.dtype.startswith(FLOATS):
            what = "whose program is not shown" if use.op in _OPAQUE else "none of TensorFlow's"
            evidence = (
                f"{said(use)}, {what}: an array of {tensor.elements:,} values is taken as a weight"
            )
            return verdict(tensor, Role.WEIGHT, "graph-opaque", evidence)
    return None


def _state(tensor: Tensor) -> Verdict | None:
    """Settings of an optimizer that are variables; constants in their place stay constants."""
    if tensor.section is Section.GRAPH:
        return None
    for use, read in readings(tensor):
        if read.role is Role.OPTIMIZER_STATE:
            evidence = said(use, read.what)
            return verdict(tensor, Role.OPTIMIZER_STATE, "graph-optimizer", evidence, False)
    return None


def _average(tensor: Tensor) -> Verdict | None:
    """A moving average keeps itself up: it has a part of its distance to a new value taken off."""
    if tensor.section is Section.GRAPH or not tensor.dtype.startswith(FLOATS):
        return None
    for use in tensor.uses:
        takes_off = use.op in {"AssignSub", "AssignSubVariableOp"} and use.input == 0
        if takes_off and "AssignMovingAvg" in use.node:
            evidence = f"{said(use)}: a moving average, kept up by the graph"
            return verdict(tensor, Role.STATISTIC, "graph-average", evidence, False)
    return None


def _counter(tensor: Tensor) -> Verdict | None:
    if tensor.section is Section.GRAPH or tensor.dtype.startswith(FLOATS):
        return None
    for use, read in readings(tensor):
        adds = use.op in {"AssignAdd", "AssignAddVariableOp"} and use.input == 0
        if read.role is Role.COUNTER or (adds and tensor.shape == ()):
            evidence = said(use, read.what)
            return verdict(tensor, Role.COUNTER, "graph-counter", evidence, trainable=False)
    return None


# --- what is no parameter -------------------------------------------------------------------------


def _as(role: Role, code: str) -> Decide:
    """A rule that takes an operator at its word."""

    def decide(tensor: Tensor) -> Verdict | None:
        for use, read in readings(tensor):
            if read.role is role:
                return verdict(tensor, role, code, said(use, read.what), trainable=False)
        return None

    return decide


_named_lookup = _as(Role.LOOKUP, "graph-lookup")


def _lookup(tensor: Tensor) -> Verdict | None:
    named = _named_lookup(tensor)
    if named is not None or not rank(tensor):
        return named
    for use, read in readings(tensor):
        if read.variable == "embeddings" and not is_number(tensor, use):
            evidence = f"{said(use, read.what)}; of {tensor.dtype}, so no weight"
            return verdict(tensor, Role.LOOKUP, "graph-lookup", evidence, trainable=False)
    return None


def _constant(tensor: Tensor) -> Verdict | None:
    if tensor.section is not Section.GRAPH and tensor.dtype != "bool":
        return None
    if not tensor.uses:
        return None
    uses = list(readings(tensor))
    telling = (one for one in uses if one[1].role is Role.CONSTANT)
    use, read = next(telling, uses[0])
    evidence = said(use, read.what if use.op not in PASSING else None)
    if read.role is not Role.CONSTANT:
        if starts_a_loop(use):
            evidence += ": what a loop begins with"
        elif not rank(tensor):
            evidence += ": a single value"
        elif not tensor.dtype.startswith(FLOATS):
            evidence += f": of {tensor.dtype}, so no weight"
        else:
            evidence += ": values that it works on"
    return verdict(tensor, Role.CONSTANT, "graph-constant", evidence, trainable=False)


def _unread(tensor: Tensor) -> Verdict | None:
    if tensor.section is not Section.GRAPH:
        return None
    evidence = "no operator of the graph reads it"
    return verdict(tensor, Role.CONSTANT, "graph-unread", evidence, trainable=False)


# --- copies ---------------------------------------------------------------------------------------

_ONCE = frozenset({Role.WEIGHT, Role.STATISTIC, Role.QUANT_PARAM, Role.LOOKUP})


def _copies(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """Constants of a function that another function holds too, where that is no setting."""
    copies = [t for t in undecided if t.section is Section.GRAPH and t.repeats is not None]
    found: dict[str, Verdict] = {}
    for rule in (*uses_together.RULES, *_ALONE) if copies else ():
        found = {**rule.apply(context, copies), **found}
    kept = [t for t in copies if t.name in found and found[t.name].role in _ONCE]
    return {t.name: _copy(t, found[t.name]) for t in kept}


def _copy(tensor: Tensor, said_of_it: Verdict) -> Verdict:
    evidence = f"the values of {tensor.repeats} again, in another function; {said_of_it.evidence}"
    return replace(
        said_of_it,
        role=Role.ALIAS,
        rule="graph-copy",
        evidence=evidence,
        about=tensor.repeats,
        alias_of=tensor.repeats,
    )


_ALONE: tuple[Rule, ...] = (
    Rule(
        "graph-weight",
        "what an operator reads as a kernel, a bias or the like",
        "The operator and the number of the input say what is read there: MatMul's second matrix, "
        "Conv2D's filter, BiasAdd's bias, FusedBatchNorm's scale and offset, the table that Gather "
        "looks up in. Operators that hand a value on (Identity, Cast, Dequantize, Reshape ...) and "
        "calls of functions are followed. Integers count only where they stand for quantized "
        "numbers.",
        "dense/kernel, read by MatMul at input 1",
        by_uses(_weight),
    ),
    Rule(
        "graph-packed",
        "a kernel of 4 bits a value, two to a byte",
        "An array of bytes that the graph takes apart, by a mask and by a shift. Keras 3's int4 "
        "layers are called so.",
        "dense/kernel, read by BitwiseAnd and by RightShift",
        by_uses(_packed),
    ),
    Rule(
        "graph-statistic",
        "what an operator reads as a moving mean or variance",
        "FusedBatchNorm and its kin read mean and variance at inputs of their own. Of no elements "
        "where the model was exported in training mode.",
        "bn/moving_mean, read by FusedBatchNormV3 at input 3",
        by_uses(_as(Role.STATISTIC, "graph-statistic")),
    ),
    Rule(
        "graph-quant-param",
        "what an operator reads as a range, a scale or a zero point",
        "FakeQuantWithMinMaxVars, Dequantize, QuantizedConv2D and others read the ends of ranges "
        "at inputs of their own.",
        "conv/weights_quant/min, read by FakeQuantWithMinMaxVars at input 1",
        by_uses(_as(Role.QUANT_PARAM, "graph-quant-param")),
    ),
    Rule(
        "graph-lookup",
        "keys or values of a table",
        "What a lookup table is filled with, and arrays of text or whole numbers that Gather looks "
        "up in.",
        "keys, read by LookupTableImportV2 at input 1",
        by_uses(_lookup),
    ),
    Rule(
        "graph-optimizer",
        "an optimizer's value about the whole run, by the operator that trains",
        "A variable that ApplyAdam and its kin read as a rate, a power or another setting.",
        "beta1_power, read by ApplyAdam at input 3",
        by_uses(_state),
    ),
    Rule(
        "graph-average",
        "a moving average that the graph keeps up",
        "A part of its distance to a new value is taken off by an operator in a scope called "
        "AssignMovingAvg, and no operator reads it as anything else.",
        "bn/moving_mean in a graph for training",
        by_uses(_average),
    ),
    Rule(
        "graph-counter",
        "a whole number that the graph counts up",
        "An integer scalar that is added to, or the state of a random generator.",
        "global_step, read by AssignAdd at input 0",
        by_uses(_counter),
    ),
    Rule(
        "graph-array",
        "an array that arithmetic reads",
        "Floating-point values, more than one, that are added to or multiplied with something: "
        "a bias or a scale, after all that is written out (layer normalization, folded batch "
        "normalization, PReLU). A single value only where the name says that a variable was frozen "
        "(ReadVariableOp/resource). Weaker than an operator that says what it reads.",
        "dense/add/y, 64 values read by AddV2",
        by_uses(_array, named=True),
    ),
    Rule(
        "graph-opaque",
        "an array that an operator reads of which nothing is known",
        "Floating-point values, more than one, read by an operator of another library, or by a "
        "compiled program that the graph does not show.",
        "params, read by XlaCallModule at input 2",
        by_uses(_opaque, named=True),
    ),
    Rule(
        "graph-constant",
        "a constant of the graph that is no parameter",
        "Shapes, axes, paddings, seeds, names of files, text, single values in arithmetic (an "
        "epsilon), whole numbers that stand for no quantized ones, states that loops begin with.",
        "Reshape/shape, read by Reshape at input 1",
        by_uses(_constant),
    ),
    Rule(
        "graph-unread",
        "a constant that nothing reads",
        "Left over in the graph: no operator takes it, and no function returns it.",
        "Const_3",
        by_uses(_unread),
    ),
)

# Before all others: what repeats another tensor is decided by what it is, and its section.
FIRST: tuple[Rule, ...] = (
    Rule(
        "graph-copy",
        "a constant of a function that another function holds too",
        "A function that is called from several places is often written once for each of them, "
        "with all its constants. Node and bytes are the same; settings (shapes, axes) are not "
        "counted as copies.",
        "while_body_2/dense/kernel",
        _copies,
    ),
)

RULES: tuple[Rule, ...] = (*uses_together.RULES, *_ALONE)
