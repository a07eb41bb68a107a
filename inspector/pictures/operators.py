"""What the operators of a converted model take, one by one."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.model import Artifact, Extent, Layer, Tensor
from inspector.report import OperatorCostReport

MOST_OPERATORS = 200
_FORMAT = "tflite"


def operators_of(
    artifact: Artifact, most: int = MOST_OPERATORS
) -> tuple[tuple[OperatorCostReport, ...], int]:
    """The operators in the order in which they run, and how many there are. Of many, those with the
    most multiply-accumulates are given, then those that move the most bytes.
    """
    if artifact.format != _FORMAT or artifact.model is None:
        return (), 0
    layers = artifact.model.children
    weights = _weight_bytes(artifact.tensors, layers)
    costs = [
        OperatorCostReport(one.path, one.class_name, one.macs, weights[one.path], one.output_bytes)
        for one in layers
    ]
    kept = sorted(range(len(costs)), key=lambda at: _cost(costs[at]), reverse=True)[:most]
    return tuple(costs[at] for at in sorted(kept)), len(costs)


def _cost(one: OperatorCostReport) -> tuple[int, int]:
    return one.macs or 0, (one.weight_bytes or 0) + (one.activation_bytes or 0)


def _weight_bytes(tensors: tuple[Tensor, ...], layers: tuple[Layer, ...]) -> dict[str, int | None]:
    """Bytes of constants by the operator that works on them first.

    None where one is kept in another file.
    """
    order = {layer.path: at for at, layer in enumerate(layers)}
    found: dict[str, int | None] = dict.fromkeys(order, 0)
    seen: set[Extent] = set()
    for first, tensor in sorted(_read(tensors, order), key=lambda one: order[one[0]]):
        known = found[first]
        if tensor.elements and not tensor.extents and tensor.nbytes == 0 and known is not None:
            found[first] = None
        for extent in tensor.extents:
            if extent not in seen and known is not None:
                seen.add(extent)
                found[first] = known + extent.length
    return found


def _read(tensors: tuple[Tensor, ...], order: dict[str, int]) -> Iterator[tuple[str, Tensor]]:
    """(the operator that runs first of those that read it, a constant) of each that one reads."""
    for tensor in tensors:
        readers = [use.node for use in tensor.uses if use.node in order]
        if tensor.made is None and readers:
            yield min(readers, key=order.__getitem__), tensor
