"""Masks of pruning: whether they are masks, are complete, and were applied."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from inspector.auditing.looks import Look, agree, looks, named, short
from inspector.auditing.rule import AuditRule, Context, Examined, Found, Needs
from inspector.examine import is_binary
from inspector.keras.tfmot import is_tfmot, variants
from inspector.model import Layer, Role, Severity, Tensor
from inspector.words import count, keyless, percent

if TYPE_CHECKING:
    from inspector.measure import MaskReport

_MASKS = frozenset({Role.MASK})
_WRAPPER = "PruneLowMagnitude"
# Masks that the graph applies each time: the weight beside one keeps what it removes.
_APPLIED_LATER = "contrib-mask"
_NAMED_MASK = re.compile(r"(^|/)mask(_\d+)?(:0)?$")
# A frozen graph has no threshold, since nothing but training reads it.
_WITH_THRESHOLDS = frozenset(
    {"keras-h5", "keras-zip", "keras-dir", "keras-weights-h5", "checkpoint", "saved-model"}
)


def _leak(context: Context) -> Iterator[Found]:
    tensors = {one.name: one for one in context.seen.artifact.tensors}
    for look in looks(context, _MASKS):
        weight = tensors.get(look.verdict.about or "")
        if weight is None or look.verdict.rule == _APPLIED_LATER or not look.measured.zeros:
            continue
        held = _held(look, weight, context)
        if held is not None and held.leaked:
            yield Found(
                f"{held.leaked:,} of {count(held.mask_zeros, 'value')} of {named(weight)}"
                f" {agree(held.leaked, 'is', 'are')} not 0 where the mask is",
                evidence=f"{look.tensor.name} held against {weight.name};"
                f" {percent(weight.elements - held.weight_zeros, weight.elements)} of the weight is"
                " not 0",
                tensor=weight.name,
                layer=weight.layer,
            )


def _held(look: Look, weight: Tensor, context: Context) -> MaskReport | None:
    """How a mask and its weight agree; None where nothing can be said."""
    from inspector.errors import UsageError
    from inspector.measure import MaskReport, mask_against_weight

    mask, found = look.measured, context.values.get(weight.name)
    details = (one.detail for one in (mask, found) if one is not None and one.detail is not None)
    leaked = next((one.leaked for one in details if one.leaked is not None), None)
    if found is not None and leaked is not None:  # they were held against each other already
        kept_zeros = found.zeros - (mask.zeros - leaked)
        return MaskReport(mask.zeros, found.zeros, kept_zeros, leaked, is_binary(mask))
    try:
        return mask_against_weight(look.tensor, weight, context.limits)
    except UsageError:  # of another shape, or without values
        return None


def _values(context: Context) -> Iterator[Found]:
    for look in looks(context, _MASKS):
        measured = look.measured
        if look.tensor.elements and not is_binary(measured):
            many = "more than 256" if measured.distinct is None else f"{measured.distinct:,}"
            yield Found(
                f"the mask {look.name} holds {many} different"
                f" {agree(measured.distinct or 2, 'value', 'values')}, not 0 and 1 alone",
                evidence=f"values from {measured.minimum} to {measured.maximum}"
                + f", and {measured.nan:,} NaN" * bool(measured.nan),
                tensor=look.tensor.name,
                layer=look.tensor.layer,
            )


def _incomplete(context: Context) -> Iterator[Found]:
    artifact = context.seen.artifact
    if artifact.format not in _WITH_THRESHOLDS:
        return
    held: dict[str, Counter[Role]] = {}
    for tensor in artifact.tensors:
        if tensor.layer is not None:
            role = context.seen.classified.verdicts[tensor.name].role
            # A mask without a threshold has not all that tells a mask; its name is left.
            if role is Role.UNKNOWN and _NAMED_MASK.search(keyless(tensor.name)):
                role = Role.MASK
            held.setdefault(tensor.layer, Counter())[role] += 1
    for layer, roles in held.items():
        masks, thresholds = roles[Role.MASK], roles[Role.THRESHOLD]
        if masks > thresholds:
            yield Found(
                f"{short(layer)} has {count(masks, 'mask')} and"
                f" {count(thresholds, 'threshold') if thresholds else 'no threshold'}",
                layer=layer,
                severity=Severity.WARNING,
            )
    for wrapper in artifact.model.walk() if artifact.model is not None else ():
        wanted = _wanted(wrapper, context)
        masks = held.get(wrapper.path, Counter[Role]())[Role.MASK]
        if masks < wanted and _has_weights(wrapper, held):
            yield Found(
                f"{short(wrapper.path)} prunes {count(wanted, 'weight')} and has"
                f" {count(masks, 'mask') if masks else 'no mask'}",
                evidence=f"{wrapper.class_name} of a {_inside(wrapper)}",
                layer=wrapper.path,
            )


def _wanted(wrapper: Layer, context: Context) -> int:
    """How many masks the toolkit makes for what is inside; 0 where that is not known."""
    if wrapper.class_name != _WRAPPER or not is_tfmot(wrapper):
        return 0
    ways = variants(wrapper, context.seen.artifact.flavor)
    masks = (sum(one.role is Role.MASK for one in way.variables) for way in ways)
    return min(masks, default=0)


def _has_weights(wrapper: Layer, held: Mapping[str, Counter[Role]]) -> bool:
    return any(held[one.path][Role.WEIGHT] for one in wrapper.walk() if one.path in held)


def _inside(wrapper: Layer) -> str:
    inner = wrapper.child("layer")
    return inner.class_name if inner is not None else "layer of unknown class"


def masked_zeros(seen: Examined) -> Mapping[str, int]:
    """Zeros of masks that the graph multiplies weights with each time, by the weight's name.

    Once multiplied, the weight has as many at least.
    """
    shapes = {one.name: one.shape for one in seen.artifact.tensors}
    found: dict[str, int] = {}
    for tensor in seen.artifact.tensors:
        verdict = seen.classified.verdicts[tensor.name]
        measured = (seen.measured or {}).get(tensor.name)
        if verdict.rule != _APPLIED_LATER or verdict.about is None or measured is None:
            continue
        if shapes.get(verdict.about) == tensor.shape:
            found[verdict.about] = measured.zeros
    return found


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="sparsity-mask-leak",
        severity=Severity.ERROR,
        summary="Weights are not zero where their mask is.",
        explanation="A mask of 0 says that the weight is pruned. Where the weight is something else"
        " it was changed after pruning: trained on without the pruning callback, averaged, or"
        " quantized and turned back. The model that is stripped has fewer zeros than its masks"
        " promise. Every value counts that is not 0, however small. Masks of contrib pruning, which"
        " the graph multiplies each time, are left out.",
        example="A kernel with 1e-4 at 10 places that its mask removes: 10 of 86 values of"
        " conv2d/kernel are not 0 where the mask is.",
        fix="Multiply the kernel by its mask before saving, or train on with"
        " tfmot.sparsity.keras.UpdatePruningStep.",
        needs=Needs.VALUES,
        check=_leak,
    ),
    AuditRule(
        code="sparsity-mask-values",
        severity=Severity.ERROR,
        summary="A mask holds other values than 0 and 1.",
        explanation="A mask is multiplied with its weight. One that holds anything but 0 and 1"
        " scales weights instead of choosing among them: it was averaged over checkpoints, cast, or"
        " is no mask at all.",
        example="The mean of two masks: the mask prune_low_magnitude_dense/mask holds 3 different"
        " values, not 0 and 1 alone.",
        fix="Take the mask of one checkpoint, or make it anew from the kernel (kernel != 0).",
        needs=Needs.VALUES,
        check=_values,
    ),
    AuditRule(
        code="sparsity-mask-incomplete",
        severity=Severity.ERROR,
        summary="A pruning wrapper lacks its mask, or a mask its threshold.",
        explanation="The toolkit makes a mask and a threshold for each weight that a layer lets it"
        " prune; none for BatchNormalization, depthwise kernels and layers without weights. Where"
        " the config has the wrapper and the file not the mask, the weight is not pruned, and"
        " loading fails or begins with a mask of ones. A missing threshold is a warning: only"
        " training needs it.",
        example="A wrapped Dense layer whose mask was left out: prune_low_magnitude_dense prunes 1"
        " weight and has no mask.",
        fix="Save the wrapped model whole, or strip it (tfmot.sparsity.keras.strip_pruning).",
        needs=Needs.ARTIFACT,
        check=_incomplete,
    ),
)
