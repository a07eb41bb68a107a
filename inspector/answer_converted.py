"""Sentences about models converted for a device: quantization, sparse storage, what a call costs.

Each function answers one question from the report alone, or says nothing where it does not arise.
"""

from __future__ import annotations

from collections.abc import Iterable

from inspector.model import Role
from inspector.report import ArtifactReport, TensorReport
from inspector.words import count, listing, number, percent

CONVERTED = "tflite"  # the format
# Smaller kernels stay as they are in dynamic-range conversion: the converter's own minimum.
_SMALLEST_QUANTIZED = 1024
_SPARSE_ENOUGH = 0.2  # share of zeros from which on somebody pruned
_OPTIONS = "custom options"  # label of the bytes that custom operators keep


def opaque(report: ArtifactReport) -> str | None:
    """What a compiler for a device left: an operator whose parameters only the device can read."""
    size = report.bytes.get(_OPTIONS, 0)
    names = [one.name for one in report.operators if one.custom and not one.name.startswith("Flex")]
    if report.format != CONVERTED or not names or size <= report.bytes.get("weights", 0):
        return None
    keeps = "keeps" if len(names) == 1 else "keep"
    return (
        f"The parameters of {listing(names)} cannot be seen: {count(size, 'byte')} that it {keeps}"
        " are opaque, compiled for a device. Compare the file with the model that it was compiled"
        " from."
    )


def scheme(report: ArtifactReport) -> Iterable[str]:
    """How it is quantized, what share of the weights, and why some are not."""
    if report.scheme is None:
        return
    if report.scheme == "float32":
        yield "Nothing is quantized: float32."
        return
    yield f"Quantization: {report.scheme.rstrip('.')}."
    weights = [tensor for tensor in report.tensors if tensor.role == Role.WEIGHT]
    total = sum(tensor.elements for tensor in weights)
    integers = sum(t.elements for t in weights if t.dtype.startswith(("int", "uint")))
    if 0 < integers < total:
        share = percent(integers, total)
        yield f"{number(integers)} of {count(total, 'weight element')} are integers ({share})."
    if report.scheme.startswith("dynamic range"):
        yield from _too_small(weights)


def _too_small(weights: Iterable[TensorReport]) -> Iterable[str]:
    small = [
        tensor
        for tensor in weights
        if tensor.dtype == "float32"
        and len(tensor.shape or ()) > 1
        and tensor.elements < _SMALLEST_QUANTIZED
    ]
    if small:
        verb, they = ("stays", "it has") if len(small) == 1 else ("stay", "they have")
        yield (
            f"{count(len(small), 'float32 kernel')} {verb} as before: {they} fewer than the"
            f" {number(_SMALLEST_QUANTIZED)} elements from which on the converter quantizes."
        )


def sparsity(report: ArtifactReport) -> Iterable[str]:
    """What storing without zeros saves, or would."""
    found = [tensor.sparsity for tensor in report.tensors if tensor.sparsity is not None]
    if found:
        yield _sparse(found)
        if any(one.name == "DENSIFY" for one in report.operators):
            yield (
                "DENSIFY writes them out in full once the model is loaded: the file is smaller,"
                " memory and arithmetic are not."
            )
    weights = report.weights
    if report.format != CONVERTED or found or weights is None or not weights.elements:
        return
    if weights.zeros >= _SPARSE_ENOUGH * weights.elements:
        yield (
            f"Its {number(weights.zeros)} zeros are stored like any other value: sparsity is not"
            " encoded, so the file is no smaller for it."
        )


def _sparse(found: list[dict[str, object]]) -> str:
    stored, dense, saved = (
        sum(one[key] for one in found if isinstance(one[key], int))  # type: ignore[misc]
        for key in ("stored", "dense", "saved_bytes")
    )
    forms = listing(sorted({str(one["format"]) for one in found}))
    verb = "is" if len(found) == 1 else "are"
    cost = (
        f"saves {count(saved, 'byte')}"
        if saved >= 0
        else f"takes {count(-saved, 'byte')} more than all values would"
    )
    return (
        f"{count(len(found), 'tensor')} {verb} stored sparsely ({forms}): {number(stored)} of "
        f"{count(dense, 'value')}, which {cost}."
    )


def cost(report: ArtifactReport) -> Iterable[str]:
    """What one call takes."""
    found = report.cost
    if found is None:
        return
    parts = []
    if found.macs or (found.macs is not None and not found.uncounted):
        left = f" ({count(found.uncounted, 'operator')} not counted)" if found.uncounted else ""
        parts.append(f"{count(found.macs, 'multiply-accumulate')}{left}")
    if found.peak_activation_bytes is not None:
        parts.append(f"{count(found.peak_activation_bytes, 'byte')} of activations at its peak")
    if parts:
        yield f"One call takes {listing(parts)}."


def shared(report: ArtifactReport) -> Iterable[str]:
    """Weights that several operators read, and bytes that several tensors share."""
    if report.format != CONVERTED:
        return
    often = [
        (tensor, len({use.node for use in tensor.uses}))
        for tensor in report.tensors
        if tensor.role == Role.WEIGHT
    ]
    often = [(tensor, times) for tensor, times in often if times > 1]
    if often:
        stored = sum(tensor.elements for tensor, _ in often)
        used = sum(tensor.elements * times for tensor, times in often)
        verb = "is" if len(often) == 1 else "are"
        yield (
            f"{count(len(often), 'weight tensor')} {verb} read by several operators: "
            f"{count(stored, 'element')} stored, {number(used)} counting each use."
        )
    again = [tensor for tensor in report.tensors if tensor.role == Role.ALIAS]
    if again:
        verb = "has" if len(again) == 1 else "have"
        yield f"{count(len(again), 'tensor')} {verb} the bytes of another one: no byte more."
