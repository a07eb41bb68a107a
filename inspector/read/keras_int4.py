"""Variables that Keras 3 keeps two values a byte, turned into the 4-bit tensors that they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from inspector.keras.layers import unpacked
from inspector.model import Layer, Tensor
from inspector.payloads import FilledPayload, RawPayload
from inspector.wire.int4 import CentredPayload, Int4Payload


def unpack_all(tensors: Sequence[Tensor], layer: Layer) -> list[Tensor]:
    """A layer's own variables; those kept two values a byte, as the 4-bit values that they are."""
    shapes = {
        t.variable: t.shape for t in tensors if t.variable is not None and t.shape is not None
    }
    siblings = {t.variable: t for t in tensors}
    return [_unpack(tensor, layer, shapes, siblings) for tensor in tensors]


def _unpack(
    tensor: Tensor,
    layer: Layer,
    shapes: Mapping[str, tuple[int, ...]],
    siblings: Mapping[str | None, Tensor],
) -> Tensor:
    if tensor.variable is None or tensor.shape is None:
        return tensor
    logical = unpacked(layer, tensor.variable, tensor.shape, shapes)
    if logical is None:
        return tensor
    shape, axis = logical
    dtype = "int4" if tensor.dtype == "int8" else "uint4"
    raw = tensor.payload
    payload = None
    if isinstance(raw, RawPayload | FilledPayload):
        payload = Int4Payload(raw, tensor.shape, shape, axis)
    centred, known = _centred(tensor, payload, siblings)
    return replace(
        tensor,
        dtype=dtype,
        shape=shape,
        storage=f"{tensor.storage}, two {dtype} values a byte as {tensor.dtype} {tensor.shape}"
        + ("" if known else "; its zero points are not stored, so its zeros are not known"),
        extents=tuple(replace(e, codec=e.codec or f"{dtype} packed") for e in tensor.extents),
        keras_elements=tensor.elements,
        payload=payload if known else None,
        centred=centred,
    )


def _centred(
    tensor: Tensor, payload: Int4Payload | None, siblings: Mapping[str | None, Tensor]
) -> tuple[CentredPayload | None, bool]:
    """The values less their zero points, and whether what counts as zero is known at all.

    Values a channel (no group) are symmetric: their zero is 0. Calibrated ones (uint4) never are.
    """
    zero = siblings.get(f"{tensor.variable}_zero") or siblings.get("zero_point")
    group = siblings.get("g_idx")
    if zero is None and tensor.dtype == "int8":
        return None, True
    if zero is None or group is None or payload is None:
        return None, False
    if not isinstance(zero.payload, RawPayload) or not isinstance(group.payload, RawPayload):
        return None, False
    if len(zero.shape or ()) != 2 or len(payload.shape) != 2:
        return None, False
    # Only an int4 kernel is grouped along its rows; the others keep their outputs first.
    axis = 0 if tensor.dtype == "int8" and tensor.variable == "kernel" else 1
    found = CentredPayload(payload, zero.payload, zero.shape or (), group.payload, axis)
    return (found, True) if found.is_sound() else (None, False)
