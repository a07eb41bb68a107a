"""Rules by the graph that look at several tensors together: what one operator reads of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inspector.classify.rule import Context, Rule
from inspector.classify.uses import (
    FLOATS,
    QUANTIZED,
    arithmetic,
    is_open,
    rank,
    readings,
    said,
    verdict,
    was_variable,
)
from inspector.model import Role, Section, Tensor, Verdict

# --- normalization ------------------------------------------------------------------------------


def _parent(node: str) -> str:
    return node.rpartition("/")[0]


def _moments(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """Means and variances where no operator takes them as such."""
    able = [t for t in undecided if is_open(context, t) and rank(t) and t.dtype.startswith(FLOATS)]
    why = {t.name: found for t in able if (found := _variance(t)) is not None}
    scaled = {
        use.node for t in able if t.name in why for use in t.uses if use.op == "Mul"
    }  # by 1 / deviation
    divided = {
        (_parent(use.node), t.shape)
        for t in able
        for use in t.uses
        if use.op == "RealDiv" and use.input == 1
    }
    for tensor in able:
        found = _mean(tensor, scaled) or _normalized(tensor, divided)
        if tensor.name not in why and found is not None:
            why[tensor.name] = found
    return {
        t.name: verdict(t, Role.STATISTIC, "graph-moments", why[t.name], trainable=False)
        for t in able
        if t.name in why
    }


def _variance(tensor: Tensor) -> str | None:
    for use in tensor.uses:
        if use.op in {"Rsqrt", "Sqrt"} and set(arithmetic(use)) <= {"Add", "AddV2", "Maximum"}:
            return f"{said(use)}: a variance, whose root is taken to normalize by"
    return None


def _mean(tensor: Tensor, scaled: set[str]) -> str | None:
    """The mean of offset - mean * factor, or of -mean * factor. scaled: nodes with the factor.

    The scale of such a normalization is multiplied with the factor too, and then with the data.
    """
    products = [use for use in tensor.uses if use.op == "Mul" and use.node in scaled]
    for use in products:
        way = arithmetic(use)
        taken = any(
            (one.op == "Sub" and one.input == 1) or one.op == "Neg"
            for one in tensor.uses
            if arithmetic(one) == ["Mul"]
        )
        again = any(one.op == "Mul" and "Mul" in arithmetic(one) for one in tensor.uses)
        if way == ["Neg"] or (not way and taken and not again):
            return f"{said(use)}: a mean, scaled and taken off to normalize by"
    return None


def _normalized(tensor: Tensor, divided: set[tuple[str, tuple[int, ...] | None]]) -> str | None:
    """(x - mean) / deviation in one scope, with both of one shape."""
    for use in tensor.uses:
        place = (_parent(use.node), tensor.shape)
        if place not in divided or arithmetic(use) or not place[0]:
            continue
        if use.op == "Sub" and use.input == 1:
            return f"{said(use)}, and a division beside it: a mean to normalize by"
    return None


def _fixed(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """A scale or an offset that stands in the graph, where its layer's mean is a variable.

    Freezing turns a variable into a constant, and leaves the node that read it between the two.
    """
    variables = {
        use.node
        for tensor in context.artifact.tensors
        for use, read in readings(tensor)
        if read.variable == "moving_mean" and use.through
    }
    found: dict[str, Verdict] = {}
    for tensor in undecided if variables else ():
        if tensor.section is not Section.GRAPH:
            continue
        for use, read in readings(tensor):
            fixed = read.variable in {"gamma", "beta"} and use.node in variables
            if fixed and not use.through:
                why = f"{said(use, read.what)}: fixed in the graph, where the mean is a variable"
                found[tensor.name] = verdict(
                    tensor, Role.CONSTANT, "graph-fixed", why, trainable=False
                )
                break
    return found


def _factors(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """Constants as large as the variable that they are multiplied with, before all else."""
    weights = {
        (use.node, tensor.shape): tensor.name
        for tensor in context.artifact.tensors
        if rank(tensor) and (tensor.section is Section.MODEL or was_variable(tensor))
        for use in tensor.uses
        if use.op == "Mul" and not arithmetic(use)
    }
    found: dict[str, Verdict] = {}
    for tensor in undecided if weights else ():
        fixed = tensor.section is Section.GRAPH and not was_variable(tensor)
        for use in tensor.uses if fixed else ():
            weight = weights.get((use.node, tensor.shape))
            if weight is not None and use.op == "Mul" and not arithmetic(use):
                why = f"{said(use)}, with {weight}, as large: fixed, as what keeps its zeros is"
                found[tensor.name] = verdict(
                    tensor, Role.CONSTANT, "graph-factor", why, False, weight
                )
                break
    return found


# --- quantization ---


def _scales(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """Scales of integer kernels, where nothing but the layer's own gradient tells them.

    Keras 3 calls an int8 or int4 kernel in a function with a gradient of its own, whose inputs
    TensorFlow hands on together: the data, the kernel, its scale, its zero point.
    """
    groups: dict[str, list[Tensor]] = {}
    for tensor in undecided:
        for use in tensor.uses if is_open(context, tensor) and rank(tensor) else ():
            if use.op == "IdentityN" and not arithmetic(use):
                groups.setdefault(use.node, []).append(tensor)
    found: dict[str, Verdict] = {}
    for node, group in groups.items():
        kernel = max(
            (t for t in group if t.dtype in QUANTIZED), key=lambda t: t.elements, default=None
        )
        if kernel is None or len(group) < 2 or rank(kernel) < 2:
            continue
        why = f"an integer kernel, which IdentityN {node} hands on with its scale"
        found[kernel.name] = verdict(kernel, Role.WEIGHT, "graph-scaled", why)
        for tensor in group:
            if tensor is not kernel and tensor.elements < kernel.elements:
                why = f"handed on with the integer kernel {kernel.name} by IdentityN {node}"
                found[tensor.name] = verdict(
                    tensor, Role.QUANT_PARAM, "graph-scaled", why, False, kernel.name
                )
    return found


# --- old pruning ----------------------------------------------------------------------------------


def _leaf(tensor: Tensor) -> str:
    return tensor.name.rpartition("/")[2]


def _masks(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """Masks of tf.contrib.model_pruning: what a weight as large is multiplied with."""
    able = [t for t in undecided if is_open(context, t) and _leaf(t) == "mask" and rank(t)]
    if not able:
        return {}
    factors: dict[str, list[Tensor]] = {}
    for tensor in context.artifact.tensors:
        for use in tensor.uses:
            if use.op == "Mul" and not arithmetic(use):
                factors.setdefault(use.node, []).append(tensor)
    found: dict[str, Verdict] = {}
    for mask in able:
        for use in mask.uses:
            others = factors.get(use.node, ()) if use.op == "Mul" else ()
            weight = next((t for t in others if t is not mask and t.shape == mask.shape), None)
            if weight is not None and not arithmetic(use):
                evidence = f"called mask, and multiplied with {weight.name} by {use.node}, as large"
                found[mask.name] = verdict(
                    mask, Role.MASK, "contrib-mask", evidence, False, weight.name
                )
                break
    return found


def _thresholds(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    names = {t.name: t for t in context.artifact.tensors}
    found: dict[str, Verdict] = {}
    for tensor in undecided:
        if _leaf(tensor) != "threshold" or tensor.shape != () or not is_open(context, tensor):
            continue
        mask = names.get(tensor.name.removesuffix("threshold") + "mask")
        if mask is not None and rank(mask):
            evidence = f"a scalar called threshold beside {mask.name}"
            found[tensor.name] = verdict(
                tensor, Role.THRESHOLD, "contrib-threshold", evidence, trainable=False
            )
    return found


# --- training -------------------------------------------------------------------------------------


def _slots(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """An optimizer's arrays: the operator that reads one reads its variable as well."""
    trained: dict[str, str] = {}
    found: dict[str, Verdict] = {}
    for tensor in context.artifact.tensors:
        for use, read in readings(tensor):
            if read.trained:
                trained.setdefault(use.node, tensor.name)
    for tensor in undecided if trained else ():
        if tensor.section is Section.GRAPH or not is_open(context, tensor):
            continue
        for use, read in readings(tensor):
            if read.role is Role.OPTIMIZER_SLOT and use.node in trained:
                of = trained[use.node]
                evidence = f"{said(use, read.what)}, which trains {of}"
                found[tensor.name] = verdict(
                    tensor, Role.OPTIMIZER_SLOT, "graph-slot", evidence, False, of
                )
                break
    return found


RULES: tuple[Rule, ...] = (
    Rule(
        "contrib-mask",
        "the mask of a weight, in TensorFlow 1's model_pruning",
        "Called mask, and multiplied with a weight of the same shape before anything else reads "
        "either. A tensor of that name that is not multiplied so is none.",
        "conv1/mask beside conv1/weights, with conv1/masked_weight reading both",
        _masks,
    ),
    Rule(
        "contrib-threshold",
        "the magnitude under which TensorFlow 1's model_pruning masks weights",
        "A scalar called threshold, beside a mask of the same scope.",
        "conv1/threshold",
        _thresholds,
    ),
    Rule(
        "graph-slot",
        "an optimizer's array for a variable, by the operator that trains it",
        "Operators such as ApplyAdam read the variable, its slots and the gradient; which is which "
        "is told by the input.",
        "w/Adam, read by ApplyAdam at input 1",
        _slots,
    ),
    Rule(
        "graph-scaled",
        "an integer kernel of Keras 3, its scale and its zero point",
        "A layer that Keras 3 quantized has a gradient of its own. What it is called with (the "
        "data, the kernel of int8 or int4, the scale, the zero point) is handed on together.",
        "dense/kernel and dense/kernel_scale, both read by IdentityN",
        _scales,
    ),
    Rule(
        "graph-fixed",
        "a scale or an offset that is no variable",
        "Batch normalization without a scale or an offset has ones or zeros in its stead. "
        "They are read as they are, where mean and variance are read as variables are.",
        "bn/Const, read by FusedBatchNorm at input 1",
        _fixed,
    ),
    Rule(
        "graph-factor",
        "a constant as large as the variable that it is multiplied with",
        "Clustering that preserves sparsity multiplies a weight with ones and zeros, which are no "
        "variable and are never trained.",
        "Const_2, read by Mul beside dense/kernel",
        _factors,
    ),
    Rule(
        "graph-moments",
        "a mean or a variance that is normalized by",
        "Batch normalization that is written out: the root of variance + epsilon is taken, and the "
        "mean is scaled by it and subtracted. Or (x - mean) / deviation in one scope, both of one "
        "shape.",
        "bn/moving_variance, read by Rsqrt through AddV2",
        _moments,
    ),
)
