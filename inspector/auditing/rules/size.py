"""What an artifact takes and costs, held against the policy's budgets; tensors stored twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from inspector.auditing.looks import agree, named, short
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.bytes_once import bytes_once
from inspector.errors import ArtifactError
from inspector.limits import KIB
from inspector.model import Measurement, Role, Severity, Tensor
from inspector.report import LayerReport
from inspector.words import count, some

# Smaller tensors are equal by chance, and cost nothing.
_LEAST = 4 * KIB
# What a tensor that repeats another one may be; copies of one variable are leftovers.
_COMPARED = frozenset({Role.WEIGHT, Role.STATISTIC, Role.CONSTANT, Role.LOOKUP, Role.UNKNOWN})


@dataclass(frozen=True, slots=True)
class _Amount:
    """How much there is of what a budget is for. None: not known, and `why` says why."""

    value: int | None
    why: str = ""
    evidence: str | None = None
    layer: str | None = None


def _nbytes(context: Context) -> _Amount:
    artifact = context.seen.artifact
    if not artifact.complete:
        return _Amount(None, "a part of the artifact is missing")
    most = sorted(context.seen.report.bytes.items(), key=lambda one: -one[1])[:3]
    told = ", ".join(f"{label} {size:,}" for label, size in most)
    return _Amount(artifact.nbytes, evidence=f"most of it: {told}")


def _count_params(context: Context) -> _Amount:
    report = context.seen.report
    why = report.totals_reasons.get("count_params", "the artifact does not tell")
    return _Amount(report.totals.count_params, why, _largest(context))


def _stored_elements(context: Context) -> _Amount:
    report = context.seen.report
    stored = ((role, one.elements) for role, one in report.roles.items() if one.nbytes)
    most = sorted(stored, key=lambda one: -one[1])[:3]
    told = ", ".join(f"{role} {elements:,}" for role, elements in most)
    return _Amount(report.totals.stored_elements, "not counted", f"most of it: {told}")


def _macs(context: Context) -> _Amount:
    cost = context.seen.report.cost
    if cost is None:
        return _Amount(None, _NO_GRAPH)
    why = "the shape of an operator's input is not known"
    left_out = f"; {count(cost.uncounted, 'operator')} not counted" if cost.uncounted else ""
    return _Amount(cost.macs, why, f"{cost.macs_rule}{left_out}")


def _activation_bytes(context: Context) -> _Amount:
    cost = context.seen.report.cost
    if cost is None:
        return _Amount(None, _NO_GRAPH)
    return _Amount(cost.peak_activation_bytes, "a shape is not fixed", cost.peak_rule)


_NO_GRAPH = "only a LiteRT model has shapes for every operator"


def _layer_params(context: Context) -> _Amount:
    layers = context.seen.report.layers
    largest = max(layers, key=_elements, default=None)
    if largest is None:
        return _Amount(None, "the artifact has no layers")
    kind = largest.class_name or "of unknown class"
    return _Amount(
        _elements(largest), evidence=f"{short(largest.name)} ({kind})", layer=largest.name
    )


def _elements(layer: LayerReport) -> int:
    return max(layer.count_params or 0, sum(layer.roles.values()))


def _largest(context: Context) -> str | None:
    layers = context.seen.report.layers
    largest = max(layers, key=_elements, default=None)
    return f"the largest layer is {short(largest.name)}" if largest is not None else None


def _duplicate_bytes(context: Context) -> _Amount:
    if context.seen.measured is None:
        return _Amount(None, "values were not read (--no-measure)")
    groups = list(_equal(context))
    again = [one for group in groups for one in group.again]
    told = some([named(one) for one in again])
    return _Amount(sum(group.nbytes for group in groups), evidence=told or None)


@dataclass(frozen=True, slots=True)
class _Group:
    """Tensors of equal values. nbytes: what all but the first take of the files."""

    first: Tensor
    again: tuple[Tensor, ...]
    nbytes: int


def _equal(context: Context) -> Iterator[_Group]:
    """Large tensors that hold the same values, and take bytes each."""
    taken = bytes_once(context.seen.artifact, context.seen.classified.verdicts)
    alike: dict[object, list[Tensor]] = {}
    for tensor in context.seen.artifact.tensors:
        measured = context.values.get(tensor.name)
        if measured is None or taken[tensor.name] < _LEAST:
            continue
        # Arrays of one value are equal without having anything to do with each other.
        if measured.minimum != measured.maximum and _may_repeat(tensor, context):
            alike.setdefault(_sign(tensor, measured), []).append(tensor)
    for tensors in alike.values():
        by_digest: dict[str, list[Tensor]] = {}
        for tensor in tensors if len(tensors) > 1 else ():
            digest = _digest(tensor, context)
            if digest is not None:
                by_digest.setdefault(digest, []).append(tensor)
        for first, *again in by_digest.values():
            if again:
                yield _Group(first, tuple(again), sum(taken[one.name] for one in again))


def _may_repeat(tensor: Tensor, context: Context) -> bool:
    return context.seen.classified.verdicts[tensor.name].role in _COMPARED


def _sign(tensor: Tensor, measured: Measurement) -> object:
    """What tensors of equal values have in common, known without reading them again."""
    return tensor.dtype, tensor.shape, measured.zeros, measured.minimum, measured.maximum


def _digest(tensor: Tensor, context: Context) -> str | None:
    """The digest that was taken when it was measured, else that of values read for it."""
    from inspector.digests import tensor_digest

    try:
        return context.values[tensor.name].digest or tensor_digest(tensor, context.limits)
    except ArtifactError:
        return None  # a rule of integrity tells of it


def _duplicate(context: Context) -> Iterator[Found]:
    for group in _equal(context):
        again = len(group.again)
        yield Found(
            f"{named(group.first)} is stored {again + 1:,} times: {count(group.nbytes, 'byte')} too"
            " many",
            evidence=f"equal to it {agree(again, 'is', 'are')}"
            f" {some([one.name for one in group.again])}",
            tensor=group.first.name,
            layer=group.first.layer,
        )


def _budget(
    field: str,
    amount: Callable[[Context], _Amount],
    noun: str,
    *,
    summary: str,
    explanation: str,
    example: str,
    fix: str,
) -> AuditRule:
    """The rule of one budget. field: of policy.budgets; noun: of what there is too much."""
    key = field.replace("_", "-")

    def check(context: Context) -> Iterator[Found]:
        budget: int | None = getattr(context.policy.budgets, field)
        if budget is None:
            return
        held = amount(context)
        if held.value is None:
            yield Found(
                f"{noun} cannot be held against their budget: {held.why}",
                severity=Severity.INFO,
                fix="Leave this budget out for the artifact, with an override for its path.",
            )
        elif held.value > budget:
            yield Found(
                f"{held.value:,} {noun}, and the budget is {budget:,}",
                evidence="; ".join(
                    part for part in (f"{held.value - budget:,} too many", held.evidence) if part
                ),
                layer=held.layer,
            )

    return AuditRule(
        code=f"size-{key}",
        severity=Severity.ERROR,
        summary=summary,
        explanation=explanation,
        example=example,
        fix=fix,
        needs=Needs.ARTIFACT,
        check=check,
    )


_RAISE = "raise the budget where it is meant"
_FIXES: Mapping[str, str] = {
    "smaller": f"Prune, cluster or quantize, take out what is left over, or {_RAISE}.",
    "layer": f"Make the layer narrower or factor its kernel in two, or {_RAISE}.",
    "once": f"Store each once (share the layer, the variable or the buffer), or {_RAISE}.",
}

RULES: tuple[AuditRule, ...] = (
    _budget(
        "nbytes",
        _nbytes,
        "bytes",
        summary="The files are larger than the budget.",
        explanation="All files of the artifact together, as they lie on disk, against"
        " budgets.nbytes. Zeros take as many bytes as other values, unless they are stored sparsely"
        " or the file is compressed.",
        example="[budgets] nbytes = 40_000: 51,276 bytes, and the budget is 40,000.",
        fix=_FIXES["smaller"],
    ),
    _budget(
        "count_params",
        _count_params,
        "parameters",
        summary="The model has more parameters than the budget.",
        explanation="What Keras' count_params() says once the artifact is loaded, wrappers and"
        " their masks included, against budgets.count-params. It is information where the artifact"
        " cannot tell (a frozen graph, a LiteRT model, parts that are missing).",
        example="[budgets] count-params = 2_000: 2,638 parameters, and the budget is 2,000.",
        fix=_FIXES["smaller"],
    ),
    _budget(
        "stored_elements",
        _stored_elements,
        "stored elements",
        summary="More elements are stored than the budget.",
        explanation="All values in the files, of the optimizer and of copies too, against"
        " budgets.stored-elements.",
        example="[budgets] stored-elements = 5_000: 5,347 stored elements, and the budget is"
        " 5,000.",
        fix=_FIXES["smaller"],
    ),
    _budget(
        "macs",
        _macs,
        "multiply-accumulates",
        summary="One call costs more multiply-accumulates than the budget.",
        explanation="Those of one call of a LiteRT model with one example, by the shapes of its"
        " operators, against budgets.macs. Zeros count as any other weight. It is information where"
        " no graph with shapes is there, or a shape is open.",
        example="[budgets] macs = 100_000: 131,072 multiply-accumulates, and the budget is"
        " 100,000.",
        fix=f"Use fewer channels, larger strides or depthwise kernels, or {_RAISE}.",
    ),
    _budget(
        "activation_bytes",
        _activation_bytes,
        "bytes of activations",
        summary="More bytes of activations live at once than the budget.",
        explanation="The most that activations of a LiteRT model take at one time, as its operators"
        " are ordered, against budgets.activation-bytes: what a device's arena must hold at least.",
        example="[budgets] activation-bytes = 4_096: 4,608 bytes of activations, and the budget is"
        " 4,096.",
        fix=f"Quantize activations, or make the first layers' outputs smaller, or {_RAISE}.",
    ),
    _budget(
        "layer_params",
        _layer_params,
        "elements of one layer",
        summary="The largest layer has more elements than the budget.",
        explanation="The elements that a layer stores, or the parameters that Keras counts of it,"
        " whichever is more, against budgets.layer-params. One large layer is where a device's"
        " memory ends first, and where pruning pays most.",
        example="[budgets] layer-params = 10_000: 20,290 elements of one layer, and the budget is"
        " 10,000.",
        fix=_FIXES["layer"],
    ),
    _budget(
        "duplicate_bytes",
        _duplicate_bytes,
        "bytes of duplicates",
        summary="Tensors that repeat others take more bytes than the budget.",
        explanation="Bytes of tensors of 4 KiB and more whose values are those of another one, as"
        " size-duplicate lists them, against budgets.duplicate-bytes.",
        example="[budgets] duplicate-bytes = 0: 8,192 bytes of duplicates, and the budget is 0.",
        fix=_FIXES["once"],
    ),
    AuditRule(
        code="size-duplicate",
        severity=Severity.INFO,
        summary="A tensor holds the values of another one.",
        explanation="Weights, statistics, constants and unknown tensors of 4 KiB and more, of equal"
        " dtype, shape and values, that take bytes of their own. Two layers that share a variable"
        " are saved so by HDF5, and layers cloned from one another look so. Arrays of"
        " one value (biases of zeros) are left out. Known copies of one variable are told by"
        " leftover-copy.",
        example="An embedding tied to the output layer, saved under both: embedding/embeddings is"
        " stored 2 times: 8,192 bytes too many.",
        fix="Share the layer or the variable, and save in a format that stores it once (.keras,"
        " SavedModel).",
        needs=Needs.VALUES,
        check=_duplicate,
    ),
)
