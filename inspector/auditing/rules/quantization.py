"""Integers that stand badly for real values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from inspector.auditing.looks import KERNELS, Look, agree, looks, named
from inspector.auditing.rule import AuditRule, Context, Found, Needs
from inspector.auditing.rules import quantization_floats
from inspector.model import Quantized, Role, Severity, Tensor
from inspector.words import count, percent, some

if TYPE_CHECKING:
    import numpy as np

_WEIGHTS = frozenset({Role.WEIGHT})
_PARAMS = frozenset({Role.QUANT_PARAM})
# The least normal float32: what scales are stored as.
_LEAST = 2.0**-126
# With fewer different integers than this a kernel is clustered or ternary, and its ends are values
# like any other.
_CODES = 64
# An array of fewer values need not spread over the range.
_FEWEST = 8
# Ranges that tfmot's quantizers are made with; the second is the inputs', which only ever grows. A
# kernel of zeros has it by right.
_MADE = ((-6.0, 6.0), (0.0, 0.0))
# Ranges of activations move by a thousandth of the way a step: this far, in some fifty steps.
_NEAR = 0.3


def _scale(context: Context) -> Iterator[Found]:
    for tensor in _quantized(context):
        quantized = tensor.quantized
        if quantized is None or not quantized.count:
            continue
        for what, bad, severity in _bad_scales(tensor, quantized):
            yield Found(
                f"{bad:,} of {count(quantized.count, 'scale')} of {named(tensor)}"
                f" {agree(bad, 'is', 'are')} {what}",
                evidence=f"scales from {quantized.scale[0]:g} to {quantized.scale[1]:g}"
                if quantized.scale is not None
                else None,
                tensor=tensor.name,
                layer=tensor.layer,
                severity=severity,
            )
    if context.seen.measured is not None:
        yield from _variable_scales(context)


def _quantized(context: Context) -> Iterator[Tensor]:
    """Tensors of a LiteRT model whose integers stand for real values.

    Converters leave scales on lists of axes and shapes, too, which nothing reads.
    """
    seen = context.seen
    for tensor in seen.artifact.tensors:
        role = seen.classified.verdicts[tensor.name].role
        computes = role is Role.WEIGHT or role is Role.ACTIVATION
        if tensor.quantized is not None and "int" in tensor.dtype and computes:
            yield tensor


def _bad_scales(tensor: Tensor, quantized: Quantized) -> Iterator[tuple[str, int, Severity | None]]:
    """(what is wrong with scales, how many are so, severity if not the rule's)."""
    if quantized.scale is None:
        yield "no finite number", quantized.count, None
        return
    scales = _scales(tensor, quantized)
    for what, bad, severity in (
        ("0", scales == 0, None),
        ("negative", scales < 0, None),
        ("denormal", (scales > 0) & (scales < _LEAST), Severity.WARNING),
    ):
        if bad.any():
            yield what, int(bad.sum()), severity


def _scales(
    tensor: Tensor, quantized: Quantized
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """All scales of a constant; of what is computed the least of them alone, which is one."""
    import numpy as np

    if tensor.real is not None and tensor.shape is not None:
        scale, _ = tensor.real.steps(tuple(slice(0, side) for side in tensor.shape))
        return np.asarray(scale, "f8")
    least = quantized.scale[0] if quantized.scale is not None else np.nan
    return np.array([least])


def _variable_scales(context: Context) -> Iterator[Found]:
    """Scales that are variables: Keras' kernel_scale."""
    for look in looks(context, _PARAMS):
        measured, least = look.measured, look.measured.minimum
        if "scale" not in (look.tensor.variable or "") or least is None or least > 0:
            continue
        some_are = f"{measured.zeros:,}", agree(measured.zeros, "is", "are"), "0"
        number, verb, what = some_are if measured.zeros else ("some", "are", "negative")
        yield Found(
            f"{number} of {count(look.tensor.elements, 'scale')} of {look.name} {verb} {what}",
            evidence=f"scales from {least} to {measured.maximum}",
            tensor=look.tensor.name,
            layer=look.tensor.layer,
        )


def _zero_point(context: Context) -> Iterator[Found]:
    for tensor in _quantized(context):
        points = None if tensor.quantized is None else tensor.quantized.zero_point
        low, high = _bounds(tensor.dtype)
        if points is not None and not low <= points[0] <= points[1] <= high:
            worst = points[1] if points[1] > high else points[0]
            yield Found(
                f"a zero point of {named(tensor)} is {worst}, outside {tensor.dtype}",
                evidence=f"zero points from {points[0]} to {points[1]};"
                f" {tensor.dtype} goes from {low} to {high}",
                tensor=tensor.name,
                layer=tensor.layer,
            )


def _bounds(dtype: str) -> tuple[int, int]:
    """The least and the greatest integer of a dtype by its name: "int8", "uint4"."""
    bits = int(dtype.lstrip("uint"))
    return (
        (0, (1 << bits) - 1)
        if dtype.startswith("u")
        else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    )


def _mismatch(context: Context) -> Iterator[Found]:
    for tensor in _quantized(context):
        quantized, shape = tensor.quantized, tensor.shape
        if quantized is None or shape is None or not quantized.count:
            continue
        wrong = _not_fitting(tensor, quantized, shape)
        if wrong is not None:
            yield Found(
                f"{named(tensor)} has {wrong}",
                evidence=f"shape {list(shape)}",
                tensor=tensor.name,
                layer=tensor.layer,
            )


def _not_fitting(tensor: Tensor, quantized: Quantized, shape: tuple[int, ...]) -> str | None:
    """What does not fit of a tensor's scales and zero points; None where all does."""
    if quantized.axis is not None:
        scales, axis = count(quantized.count, "scale"), quantized.axis
        if not 0 <= axis < len(shape):
            return f"{scales} on side {axis}, which it has not"
        if shape[axis] != quantized.count:
            return f"{scales} on side {axis}, which has {shape[axis]:,}"
    if tensor.payload is not None and tensor.real is None:
        return f"another number of zero points than {count(quantized.count, 'scale')}"
    return None


def _kernels(context: Context) -> Iterator[Look]:
    """Kernels of integers of at most 16 bits with one scale, or one for each channel."""
    scaled = {
        (look.tensor.layer, (look.tensor.variable or "").removesuffix("_scale"))
        for look in looks(context, _PARAMS)
    }
    for look in looks(context, _WEIGHTS):
        tensor, detail = look.tensor, look.measured.detail
        if detail is None or detail.ends is None or tensor.elements < _FEWEST:
            continue
        known = (tensor.layer, tensor.variable) in scaled
        if tensor.quantized is not None:
            known = tensor.quantized.block is None
        if known and tensor.variable in KERNELS:
            yield look


def _saturated(context: Context) -> Iterator[Found]:
    bound = context.policy.numbers.saturated
    for look in _kernels(context):
        tensor, detail = look.tensor, look.measured.detail
        if detail is None or detail.ends is None or (look.measured.distinct or 0) < _CODES:
            continue
        at_ends = sum(detail.ends)
        # Each scale is made so that its largest value is at an end, or its least and its largest.
        scales = tensor.quantized.count if tensor.quantized else max(tensor.shape or (1,))
        if at_ends - 2 * max(scales, 1) > bound * tensor.elements:
            yield Found(
                f"{at_ends:,} of {tensor.elements:,} values of {look.name} are at an end of"
                f" {tensor.dtype}",
                evidence=f"{detail.ends[0]:,} at the least, {detail.ends[1]:,} at the greatest:"
                f" {percent(at_ends, tensor.elements)}; the policy allows {100 * bound:g} %"
                f" beside two for each of {count(scales, 'scale')}",
                tensor=tensor.name,
                layer=tensor.layer,
            )


def _unused(context: Context) -> Iterator[Found]:
    least = context.policy.numbers.used_range
    for look in _kernels(context):
        spans = _spans(look)
        poor = [one for one in spans if 0 < one < least]
        filled = sum(one > 0 for one in spans)
        if not poor:
            continue
        whole = len(spans) == 1
        channels = "" if whole else f"{len(poor):,} of {filled:,} channels of "
        yield Found(
            f"{channels}{look.name} {agree(len(poor), 'uses', 'use')} less than {100 * least:g} %"
            f" of the range of {look.tensor.dtype}",
            evidence=f"{'' if whole else 'the least of them '}{100 * min(poor):.1f} %; values from"
            f" {look.measured.minimum} to {look.measured.maximum}",
            tensor=look.tensor.name,
            layer=look.tensor.layer,
            severity=None if 2 * len(poor) > filled else Severity.INFO,
        )


def _spans(look: Look) -> Sequence[float]:
    """The share of its range that each scale's integers take up; 0 where all of them are zero.

    Of a symmetric scheme half the range counts, since the other half is its mirror.
    """
    tensor, measured = look.tensor, look.measured
    low, high = _bounds(tensor.dtype)
    if measured.detail is not None and measured.detail.spans is not None:
        return [max(-least, most, 0) / high for least, most in measured.detail.spans]
    if measured.minimum is None or measured.maximum is None:
        return []
    symmetric = tensor.quantized is None or tensor.quantized.zero_point in (None, (0, 0))
    if symmetric and low < 0:
        return [min(max(-measured.minimum, measured.maximum, 0) / high, 1.0)]
    if measured.zeros == tensor.elements:
        return [0.0]
    return [(measured.maximum - measured.minimum) / (high - low - 1)]


def _per_tensor(context: Context) -> Iterator[Found]:
    kernels = [
        tensor
        for tensor in _quantized(context)
        if tensor.variable == "depthwise_kernel" and tensor.made is None and tensor.shape
    ]
    poor = [
        tensor
        for tensor in kernels
        if tensor.quantized and tensor.quantized.count == 1 and (tensor.shape or (1,))[-1] > 1
    ]
    if poor:
        channels = [f"{named(one)} ({(one.shape or ())[-1]:,} channels)" for one in poor]
        yield Found(
            f"{len(poor):,} of {count(len(kernels), 'depthwise kernel')}"
            f" {agree(len(poor), 'has', 'have')} one scale for all channels",
            evidence=some(channels),
            tensor=poor[0].name if len(poor) == 1 else None,
            layer=poor[0].layer if len(poor) == 1 else None,
        )


def _uncalibrated(context: Context) -> Iterator[Found]:
    ranges: dict[tuple[str | None, str], dict[str, Look]] = {}
    for look in looks(context, _PARAMS):
        stem, _, end = (look.tensor.variable or "").rpartition("_")
        if end in {"min", "max"}:
            ranges.setdefault((look.tensor.layer, stem), {})[end] = look
    for (layer, stem), ends in ranges.items():
        first = _MADE[1] if _away(ends, _MADE[1]) == 0 and not stem.endswith("kernel") else _MADE[0]
        away = _away(ends, first)
        if away is None or away > _NEAR:
            continue
        how = "as made" if not away else "nearly as made"
        low, high = ends["min"], ends["max"]
        yield Found(
            f"the range of {layer}/{stem} is {how}: {first[0]:g} to {first[1]:g}",
            evidence=f"{low.tensor.variable} {low.measured.minimum:g},"
            f" {high.tensor.variable} {high.measured.maximum:g};"
            f" {count(low.tensor.elements, 'value')} each",
            tensor=low.tensor.name,
            layer=layer,
            severity=Severity.INFO if away else None,
        )


def _away(ends: Mapping[str, Look], first: tuple[float, float]) -> float | None:
    """How far any value of a range is from another range, at most; None without both ends."""
    far = []
    for end, value in zip(("min", "max"), first, strict=True):
        measured = ends[end].measured if end in ends else None
        if measured is None or measured.minimum is None or measured.maximum is None:
            return None
        far += [abs(measured.minimum - value), abs(measured.maximum - value)]
    return max(far)


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        code="quant-scale",
        severity=Severity.ERROR,
        summary="A quantization scale is 0, negative, not finite or denormal.",
        explanation="A real value is scale x (integer - zero point). With a scale of 0 all are 0,"
        " and the runtime divides by it when it computes the scale of a result. Scales of weights,"
        " biases and activations in LiteRT models are looked at, and variables of Keras' quantized"
        " layers that are scales. A denormal scale is a warning: processors may take it as 0.",
        example="An int8 kernel of 4 channels whose second scale is 0: 1 of 4 scales of conv/kernel"
        " is 0.",
        fix="Convert the model anew with representative data, and look for layers that were always"
        " 0 in it.",
        needs=Needs.ARTIFACT,
        check=_scale,
    ),
    AuditRule(
        code="quant-zero-point",
        severity=Severity.ERROR,
        summary="A zero point is no integer of the tensor's dtype.",
        explanation="The zero point is the integer that stands for 0. Where it is outside the"
        " dtype's range, 0 itself cannot be stored: padding and ReLU then go wrong, and runtimes"
        " refuse the model or overflow.",
        example="An int8 activation with zero point 200: a zero point of x is 200, outside int8.",
        fix="Convert the model anew: a uint8 zero point was kept for an int8 tensor, or the file"
        " was changed.",
        needs=Needs.ARTIFACT,
        check=_zero_point,
    ),
    AuditRule(
        code="quant-mismatch",
        severity=Severity.ERROR,
        summary="The scales of a tensor do not fit its shape.",
        explanation="A tensor quantized per channel has a scale for each position of one side."
        " Where that side has another length the runtime refuses the model, or reads scales of"
        " something else.",
        example="A kernel of 8 x 4 with 3 scales: fc/kernel has 3 scales on side 0, which has 8.",
        fix="Convert the model anew; tools that cut channels must cut the scales with them.",
        needs=Needs.ARTIFACT,
        check=_mismatch,
    ),
    AuditRule(
        code="quant-saturated",
        severity=Severity.WARNING,
        summary="More integers of a kernel are at an end of their range than the policy allows.",
        explanation="A scale is made so that the largest value is the last integer. Many values"
        " there were cut off: the scale is too small for the weights. Kernels of 8 and 16 bits are"
        " looked at; two values for each scale are expected there, and the share of the rest is"
        " held against numbers.saturated. Kernels of fewer than 64 different integers (clustered,"
        " ternary) are left out.",
        example="An int8 kernel of 1,000 values of which 60 are 127: 60 of 1,000 values of"
        " dense/kernel are at an end of int8.",
        fix="Calibrate with the range of the weights themselves, or per channel.",
        needs=Needs.VALUES,
        check=_saturated,
    ),
    AuditRule(
        code="quant-range-unused",
        severity=Severity.WARNING,
        summary="A kernel uses less of its integers' range than the policy asks for.",
        explanation="A scale that is too large leaves few integers to the values: half the range"
        " unused is a bit of precision lost. The largest magnitude of each scale's integers is held"
        " against numbers.used-range (127 of int8 is all of it); of an asymmetric scheme the"
        " distance from the least to the greatest. Channels that are wholly zero do not count. It"
        " is information where no more than half of the channels are so.",
        example="An int8 kernel with values from -20 to 31: dense/kernel uses less than 50 % of the"
        " range of int8.",
        fix="Quantize per channel, or with the range that the weights have today.",
        needs=Needs.VALUES,
        check=_unused,
    ),
    *quantization_floats.RULES,
    AuditRule(
        code="quant-per-tensor",
        severity=Severity.INFO,
        summary="Depthwise kernels have one scale for all their channels.",
        explanation="The channels of a depthwise convolution differ much in size, since each has"
        " but a few weights; one scale leaves the small ones a few integers. This is where accuracy"
        " is lost most often.",
        example="A depthwise kernel of 1 x 3 x 3 x 32 with a single scale: 1 of 1 depthwise kernel"
        " has one scale for all channels.",
        fix="Convert without disable_per_channel, with a converter of TensorFlow 2.",
        needs=Needs.ARTIFACT,
        check=_per_tensor,
    ),
    AuditRule(
        code="quant-uncalibrated",
        severity=Severity.WARNING,
        summary="A quantization-aware layer has the range that it was made with.",
        explanation="tfmot makes the ranges of its quantizers from -6 to 6, of the model's inputs"
        " from 0 to 0, and moves them as the model is trained. A range that is still exactly so"
        " never saw data: converted, the layer gets a scale that has nothing to do with its values."
        " Ranges of activations move by a thousandth of the way each step; both ends within 0.3 of"
        " -6 and 6 are information.",
        example="kernel_min -6 and kernel_max 6 after saving: the range of quant_dense/kernel is as"
        " made: -6 to 6.",
        fix="Train the quantization-aware model for some steps before it is saved or converted.",
        needs=Needs.VALUES,
        check=_uncalibrated,
    ),
)
