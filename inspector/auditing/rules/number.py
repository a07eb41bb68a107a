"""Values that no sound model has, or that tell of a mistake before saving."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from inspector.auditing.looks import KERNELS, LEARNED, Look, agree, layers, looks, named, short
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.model import (
    GROUP_OF,
    Group,
    Layer,
    Measurement,
    Role,
    Severity,
    Tensor,
)
from inspector.words import count, percent, some

_WEIGHTS = frozenset({Role.WEIGHT})
# Where a number that is none does not reach inference: the optimizer, metrics.
_TRAINING = frozenset(role for role, group in GROUP_OF.items() if group is Group.TRAINING)
# A graph's constants hold infinities and NaN on purpose: masks of attention, paddings of a maximum.
_ON_PURPOSE = frozenset({Role.CONSTANT, Role.LOOKUP})
# An array of fewer values may well hold one value over and over.
_FEWEST = 8
# Above this share of zeros outside its dead channels a kernel is sparse, and channels die with it.
_SPARSE = 0.25
# Trained networks have some dead channels; where more are dead than alive something went wrong.
_MOST = 0.5
# Layer class -> the side of its kernel that its outputs are on (Keras' layouts, and LiteRT's).
_OUTPUTS: Mapping[str, int] = {
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "Conv3D"), -1),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), -1),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), -2),
    **dict.fromkeys(("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"), 0),
    "DEPTHWISE_CONV_2D": -1,
}
# (layer class, variable) of Keras' kernels with a filter or more for each input.
_DEPTHWISE = frozenset(
    (f"{kind}Conv{sides}D", variable)
    for kind, variables in (
        ("Depthwise", ("kernel", "depthwise_kernel")),
        ("Separable", ("depthwise_kernel",)),
    )
    for variable in variables
    for sides in (1, 2)
)


def _unusable(held: str, what: str, noun: str) -> AuditRule:
    """NaN and infinity: the same rule but for the words. held: the measurement's field."""

    def check(context: Context) -> Iterator[Found]:
        for look in looks(context):
            found: int = getattr(look.measured, held)
            if not found or look.verdict.role is Role.ALIAS:
                continue
            of = f"{found:,} of {count(look.tensor.elements, 'value')} of {look.name}"
            yield Found(
                f"{of} {agree(found, 'is', 'are')} {what}",
                evidence=f"role {look.verdict.role}; {_range(look.measured)}",
                tensor=look.tensor.name,
                layer=look.tensor.layer,
                severity=_milder(look.verdict.role),
            )

    return AuditRule(
        code=f"number-{held}",
        severity=Severity.ERROR,
        summary=f"A tensor holds {noun}.",
        explanation=f"One {what} value among the weights spoils every output that it reaches. Every"
        " tensor with numbers is looked at. In the state of an optimizer or a metric it is a"
        " warning: it is lost with the state, but training went wrong. In a graph's constants it is"
        " information, since graphs hold such values on purpose.",
        example=f"A kernel of 4 x 3 values of which one is {what}: 1 of 12 values of dense/kernel"
        f" is {what}.",
        fix="Go back to a checkpoint from before training diverged, and find out why it did"
        " (learning rate, loss scale, a division by zero).",
        needs=Needs.VALUES,
        check=check,
    )


def _milder(role: Role) -> Severity | None:
    if role in _ON_PURPOSE:
        return Severity.INFO
    return Severity.WARNING if role in _TRAINING else None


def _range(measured: Measurement) -> str:
    if measured.minimum is None:
        return "no other number"
    return f"the others from {measured.minimum:g} to {measured.maximum:g}"


def _denormal(context: Context) -> Iterator[Found]:
    bound = context.policy.numbers.denormals
    for look in looks(context, LEARNED):
        detail, elements = look.measured.detail, look.tensor.elements
        if detail is None or not detail.denormals or detail.denormals <= bound * elements:
            continue
        of = f"{detail.denormals:,} of {count(elements, 'value')} of {look.name}"
        yield Found(
            f"{of} {agree(detail.denormals, 'is', 'are')} denormal",
            evidence=f"{percent(detail.denormals, elements)} of {look.tensor.dtype}; the policy"
            f" allows {100 * bound:g} %",
            tensor=look.tensor.name,
            layer=look.tensor.layer,
        )


def _constant(context: Context) -> Iterator[Found]:
    for look in looks(context, _WEIGHTS):
        tensor, measured = look.tensor, look.measured
        per_channel = tensor.quantized is not None and tensor.quantized.count > 1
        if not _is_kernel(tensor) or tensor.elements < _FEWEST or per_channel:
            continue
        # All zeros are a matter of sparsity, and NaN of a rule of its own.
        if measured.distinct == 1 and not measured.nan and measured.minimum:
            yield Found(
                f"all {tensor.elements:,} values of {look.name} are {measured.minimum:g}",
                tensor=tensor.name,
                layer=tensor.layer,
                severity=Severity.INFO if look.verdict.trainable is False else None,
            )


def _is_kernel(tensor: Tensor) -> bool:
    return tensor.variable in KERNELS and len(tensor.shape or ()) > 1


def _uninitialised(context: Context) -> Iterator[Found]:
    yield from _never_written(context)
    norms: dict[str, dict[str, Look]] = {}
    for look in looks(context, LEARNED):
        if look.tensor.layer is not None and look.tensor.variable is not None:
            norms.setdefault(look.tensor.layer, {})[look.tensor.variable] = look
    for layer, held in norms.items():
        mean, variance = held.get("moving_mean"), held.get("moving_variance")
        if mean is None or variance is None or not (_all(mean, 0) and _all(variance, 1)):
            continue
        trained = [
            name
            for name, first in (("gamma", 1), ("beta", 0))
            if name in held and not _all(held[name], first)
        ]
        if trained:
            yield Found(
                f"the statistics of {short(layer)} are as made: means 0 and variances 1,"
                f" {mean.tensor.elements:,} each",
                evidence=f"{' and '.join(trained)} of the same layer are trained",
                tensor=mean.tensor.name,
                layer=layer,
            )


def _never_written(context: Context) -> Iterator[Found]:
    seen = context.seen
    for tensor in seen.artifact.tensors:
        role = seen.classified.verdicts[tensor.name].role
        if role in LEARNED and tensor.storage.startswith("never allocated") and tensor.elements:
            yield Found(
                f"none of {count(tensor.elements, 'value')} of {named(tensor)} was ever written",
                evidence=f"storage: {tensor.storage}; whoever loads it gets the fill value",
                tensor=tensor.name,
                layer=tensor.layer,
            )


def _all(look: Look, value: float) -> bool:
    measured = look.measured
    return not measured.nan and measured.minimum == measured.maximum == value


def _exploding(context: Context) -> Iterator[Found]:
    bound = context.policy.numbers.largest
    for look in looks(context, _WEIGHTS):
        tensor, measured = look.tensor, look.measured
        if measured.minimum is None or measured.maximum is None or "int" in tensor.dtype:
            continue
        largest = max(abs(measured.minimum), abs(measured.maximum))
        if math.isfinite(largest) and largest > bound:
            yield Found(
                f"the largest magnitude of {look.name} is {largest:.6g}",
                evidence=f"values from {measured.minimum:g} to {measured.maximum:g}; the policy"
                f" allows {bound:g}",
                tensor=tensor.name,
                layer=tensor.layer,
            )


def _negative_variance(context: Context) -> Iterator[Found]:
    for look in looks(context, frozenset({Role.STATISTIC})):
        least = look.measured.minimum
        if (look.tensor.variable or "").endswith("variance") and least is not None and least < 0:
            yield Found(
                f"the least variance of {look.name} is {least:g}",
                evidence=f"{count(look.tensor.elements, 'value')}; the square root of less than 0"
                " is NaN",
                tensor=look.tensor.name,
                layer=look.tensor.layer,
            )


def _float64(context: Context) -> Iterator[Found]:
    seen = context.seen
    learned = [
        tensor
        for tensor in seen.artifact.tensors
        if seen.classified.verdicts[tensor.name].role in LEARNED and "float" in tensor.dtype
    ]
    wide = [tensor for tensor in learned if tensor.dtype == "float64"]
    if not wide:
        return
    elements = sum(tensor.elements for tensor in wide)
    all_are = len(wide) == len(learned)
    yield Found(
        f"{count(len(wide), 'tensor')} of {count(elements, 'value')}"
        f" {agree(len(wide), 'is', 'are')} float64"
        + ("" if all_are else f" among {count(len(learned), 'tensor')} of floats"),
        evidence=some([named(tensor) for tensor in wide]),
        tensor=wide[0].name if len(wide) == 1 else None,
        severity=Severity.INFO if all_are else None,
    )


def _dead(context: Context) -> Iterator[Found]:
    known = layers(context)
    masks = {look.verdict.about: look.measured for look in looks(context, frozenset({Role.MASK}))}
    for look in looks(context, _WEIGHTS):
        tensor = look.tensor
        side = _output_side(tensor, known.get(tensor.layer or ""))
        empty = _empty(look.measured, side)
        if side is None or not empty:
            continue
        channels = (tensor.shape or ())[side]
        fan = tensor.elements // channels
        if empty == channels or fan < 2:
            continue  # wholly zero is a matter of sparsity; one value is no channel
        mask = masks.get(tensor.name)
        explained = mask is not None and _empty(mask, side) >= empty
        left = look.measured.zeros - empty * fan
        others = tensor.elements - empty * fan
        sparse = left > _SPARSE * others
        most = empty > _MOST * channels
        why = "; its mask has them zero" if explained else "; the kernel is sparse" * sparse
        yield Found(
            f"{empty:,} of {channels:,} output channels of {look.name}"
            f" {agree(empty, 'is', 'are')} wholly zero",
            evidence=f"{fan:,} weights each; {percent(left, others)} of the other weights are"
            f" zero{why}",
            tensor=tensor.name,
            layer=tensor.layer,
            severity=None if most and not explained and not sparse else Severity.INFO,
        )


def _empty(measured: Measurement, side: int | None) -> int:
    """How many positions of a side are wholly zero; 0 where that is not known."""
    if side is None or measured.detail is None or measured.detail.zero_slices is None:
        return 0
    return measured.detail.zero_slices[side]


def _output_side(tensor: Tensor, layer: Layer | None) -> int | None:
    """The side of a kernel that its outputs are on; None where that is not known."""
    shape, kind = tensor.shape or (), "" if layer is None else layer.class_name
    if tensor.variable not in {"kernel", "pointwise_kernel", "depthwise_kernel"} or len(shape) < 2:
        return None
    if (kind, tensor.variable) in _DEPTHWISE:
        # An output for each input, where each has but one filter.
        return len(shape) - 2 if shape[-1] == 1 else None
    if kind not in _OUTPUTS or (_OUTPUTS[kind] == 0 and not tensor.outputs_first):
        return None
    return _OUTPUTS[kind] % len(shape)


RULES: tuple[AuditRule, ...] = (
    _unusable("nan", "NaN", "NaN"),
    _unusable("inf", "infinite", "infinities"),
    AuditRule(
        code="number-denormal",
        severity=Severity.WARNING,
        summary="More of a weight is denormal than the policy allows.",
        explanation="Denormal floats are not 0 and nearer to it than the least normal number of"
        " their dtype (1.18e-38 of float32, 6.1e-5 of float16). Processors work on them up to a"
        " hundred times slower, or take them as 0; neither is what was meant. Weights and"
        " statistics are counted, against the share numbers.denormals.",
        example="A float32 kernel of 100 values with 3 of 1e-40: 3 of 100 values of dense/kernel"
        " are denormal.",
        fix="Set them to zero before saving, and look for weight decay that never stops.",
        needs=Needs.VALUES,
        check=_denormal,
    ),
    AuditRule(
        code="number-constant",
        severity=Severity.WARNING,
        summary="All values of a kernel are the same.",
        explanation="Units whose weights are all equal compute the same thing, and training never"
        " sets them apart. Kernels and embeddings of at least 8 values are looked at; a bias of"
        " zeros or a gamma of ones is how layers begin. Of a layer that is not trained it is"
        " information: a fixed filter may be constant.",
        example="A kernel of 4 x 3 ones: all 12 values of dense/kernel are 1.",
        fix="Use a random initializer for kernels, and check that the weights were loaded.",
        needs=Needs.VALUES,
        check=_constant,
    ),
    AuditRule(
        code="number-uninitialised",
        severity=Severity.WARNING,
        summary="Weights or statistics were never written or never updated.",
        explanation="A BatchNormalization with trained gamma or beta whose moving means are all 0"
        " and variances all 1 was trained without its statistics being updated (training=False, a"
        " custom loop without updates): its output at inference is not what training saw. An HDF5"
        " dataset that was made and never written loads as its fill value.",
        example="gamma 0.5 to 1.5, moving_mean all 0, moving_variance all 1: the statistics of"
        " batch_normalization are as made.",
        fix="Call the model with training=True while it is trained, or load the weights that it"
        " should have before saving.",
        needs=Needs.VALUES,
        check=_uninitialised,
    ),
    AuditRule(
        code="number-range",
        severity=Severity.WARNING,
        summary="A weight is larger than the policy allows.",
        explanation="Weights that large come from training that diverged, overflow float16 (whose"
        " largest is 65,504), and leave no precision to the others once quantized. The largest"
        " magnitude of each float weight is held against numbers.largest; statistics are not, since"
        " they are as large as the data.",
        example="A kernel with one value of 250,000:"
        " the largest magnitude of dense/kernel is 250000.",
        fix="Clip gradients or lower the learning rate; raise numbers.largest where it is meant.",
        needs=Needs.VALUES,
        check=_exploding,
    ),
    AuditRule(
        code="number-negative-variance",
        severity=Severity.ERROR,
        summary="A variance is less than 0.",
        explanation="Normalization divides by the square root of the variance, which is NaN of a"
        " negative number. Statistics whose variable is a variance are looked at.",
        example="moving_variance with one value of -0.5: the least variance of"
        " batch_normalization/moving_variance is -0.5.",
        fix="Compute the statistics anew. They were damaged, or averaged from something else.",
        needs=Needs.VALUES,
        check=_negative_variance,
    ),
    AuditRule(
        code="number-float64",
        severity=Severity.WARNING,
        summary="Weights are float64.",
        explanation="float64 takes twice the bytes, and most accelerators do not compute with it. A"
        " few such tensors among others of float32 are a mistake (values from NumPy whose dtype was"
        " kept); of a model that is float64 throughout it is information.",
        example="A float64 bias beside a float32 kernel: 1 tensor of 3 values is float64 among 2"
        " tensors of floats.",
        fix="Cast the values to the layer's dtype before they become variables.",
        needs=Needs.ARTIFACT,
        check=_float64,
    ),
    AuditRule(
        code="number-dead-channel",
        severity=Severity.WARNING,
        summary="Output channels of a kernel are wholly zero.",
        explanation="Such a channel gives its bias whatever comes in, and costs as much as any"
        " other. Kernels of Dense and convolutional layers are looked at, in LiteRT models too. It"
        " is a warning where more than half of a layer's channels are dead. It is information where"
        " fewer are, as training leaves some; where the layer's mask has the same channels zero;"
        " and where the rest of the kernel is sparse (more than a quarter zeros). A kernel that is"
        " wholly zero is told by the rule sparsity-layer-zero.",
        example="A Dense kernel of 4 x 3 whose first two columns are 0: 2 of 3 output channels of"
        " dense/kernel are wholly zero.",
        fix="Take the channels out with what reads them, or train on at a smaller learning rate.",
        needs=Needs.VALUES,
        check=_dead,
    ),
)
