"""Rules by the graph that look at several tensors together: what one operator reads of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inspector.classify.rule import Context, Rule
from inspector.classify.uses import FLOATS, arithmetic, is_open, rank, readings, said, verdict
from inspector.model import Role, Section, Tensor, Verdict

# --- batch normalization that is written out ------------------------------------------------------


def _parent(node: str) -> str:
    return node.rpartition("/")[0]


def _moments(context: Context, undecided: Sequence[Tensor]) -> Mapping[str, Verdict]:
    """Means and variances where no operator takes them as such."""
    found: dict[str, Verdict] = {}
    divided: set[tuple[str, tuple[int, ...] | None]] = set()
    able = [t for t in undecided if is_open(context, t) and rank(t) and t.dtype.startswith(FLOATS)]
    for tensor in able:
        for use in tensor.uses:
            if use.op == "RealDiv" and use.input == 1:
                divided.add((_parent(use.node), tensor.shape))
    for tensor in able:
        why = _variance(tensor) or _mean(tensor) or _normalized(tensor, divided)
        if why is not None:
            found[tensor.name] = verdict(
                tensor, Role.STATISTIC, "graph-moments", why, trainable=False
            )
    return found


def _variance(tensor: Tensor) -> str | None:
    for use in tensor.uses:
        if use.op in {"Rsqrt", "Sqrt"} and set(arithmetic(use)) <= {"Add", "AddV2", "Maximum"}:
            return f"{said(use)}: a variance, whose root is taken to normalize by"
    return None


def _mean(tensor: Tensor) -> str | None:
    """The mean of offset - mean * factor; the factor itself scales something else too."""
    for use in tensor.uses:
        taken = use.op == "Neg" or (use.op == "Sub" and use.input == 1)
        if taken and arithmetic(use) == ["Mul"]:
            others = (u for u in tensor.uses if u.op == "Mul" and arithmetic(u))
            if next(others, None) is None:
                return f"{said(use)}: a mean, scaled and subtracted to normalize by"
    return None


def _normalized(tensor: Tensor, divided: set[tuple[str, tuple[int, ...] | None]]) -> str | None:
    """(x - mean) / deviation in one scope, with both of one shape."""
    for use in tensor.uses:
        place = (_parent(use.node), tensor.shape)
        if place not in divided or arithmetic(use):
            continue
        if use.op == "Sub" and use.input == 1 and place[0]:
            return f"{said(use)}, and a division beside it: a mean to normalize by"
    return None


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
        "graph-moments",
        "a mean or a variance that is normalized by",
        "Batch normalization that is written out: the root of variance + epsilon is taken, and the "
        "mean is scaled by it and subtracted. Or (x - mean) / deviation in one scope, both of one "
        "shape.",
        "bn/moving_variance, read by Rsqrt through AddV2",
        _moments,
    ),
)
