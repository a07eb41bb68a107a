"""What only the values tell: whether a tensor is another one, or what became of it."""

from __future__ import annotations

import numpy as np

from inspector.errors import ArtifactError
from inspector.limits import KIB, Limits
from inspector.model import Payload, Tensor
from inspector.pairing.agree import agreement, probe, unlike
from inspector.pairing.nouns import Change, Clustered, Masked, Pair
from inspector.payloads import FilledPayload
from inspector.values import Array

_PROBE_BYTES = 4 * KIB
_NUMBERS = "biuf"


def holds(a: Tensor, b: Tensor, change: Change | None, limits: Limits) -> bool:
    """Whether the change is known to make the values of `a` those of `b`."""
    if unlike(a, b, change) is not None or _is_endless(a, limits) or _is_endless(b, limits):
        return False
    pair = Pair(a, b, "", "", change)
    try:
        return probe(pair, limits).same_values and agreement(pair, limits).same_values
    except ArtifactError:
        return False


def _is_endless(tensor: Tensor, limits: Limits) -> bool:
    """Whether its values are nowhere in the file, and too many to go through one by one."""
    return isinstance(tensor.payload, FilledPayload) and tensor.elements > limits.bomb_bytes


def begins_alike(a: Tensor, b: Tensor) -> bool:
    """Whether their first values are known to be the same."""
    if a.payload is None or b.payload is None or a.dtype != b.dtype:
        return False
    try:
        x, y = _beginning(a.payload), _beginning(b.payload)
    except ArtifactError:
        return False
    if x is None or y is None:
        return x is y
    size = min(x.size, y.size)
    return bool(np.array_equal(x[:size], y[:size]))


def _first_differs(a: Tensor, b: Tensor) -> bool:
    """Whether their first values are known to be two numbers."""
    if a.payload is None or b.payload is None or a.real is not None or b.real is not None:
        return False
    try:
        x, y = _beginning(a.payload), _beginning(b.payload)
    except ArtifactError:
        return False
    if x is None or y is None or not (x.size and y.size):
        return False
    numbers = x.dtype.kind in _NUMBERS and y.dtype.kind in _NUMBERS
    # NaN is no other number than NaN.
    return numbers and bool(x[0] != y[0] and x[0] == x[0] and y[0] == y[0])


def _beginning(payload: Payload) -> Array | None:
    return next(iter(payload.blocks(_PROBE_BYTES)), None)


def turned(a: Tensor, b: Tensor, limits: Limits) -> Change | None:
    """The transposition that nobody asked for: `b` is `a` with its axes the other way round."""
    rank = len(a.shape or ())
    backward = tuple(reversed(range(rank)))
    if rank < 2 or a.shape is None or a.shape[::-1] != b.shape or a.dtype != b.dtype:
        return None
    if a.shape == b.shape and begins_alike(a, b):
        return None
    if _first_differs(a, b):
        return None  # whatever is turned, the first value stays where it is
    change = Change("transposed", "its axes are the other way round", backward, None, b.shape)
    if not holds(a, b, change, limits):
        return None
    return Change(change.kind, change.words, backward, None, b.shape, expected=False)


def masked(a: Tensor, b: Tensor, mask: Tensor, limits: Limits) -> Change | None:
    """`b` is `a` times its mask, where it is not `a` itself."""
    if mask.shape != a.shape:
        return None
    change = Change("masked", "times its mask", value=Masked(mask), shape=a.shape)
    return _rather(a, b, change, limits)


def clustered(
    a: Tensor, b: Tensor, centroids: Tensor, indices: Tensor, limits: Limits
) -> Change | None:
    """`b` is what the indices take of the centroids, where it is not `a` itself."""
    if indices.shape != a.shape or "int" not in indices.dtype:
        return None
    value = Clustered(centroids, indices)
    change = Change("clustered", "looked up in its centroids", value=value, shape=a.shape)
    return _rather(a, b, change, limits)


def _rather(a: Tensor, b: Tensor, change: Change, limits: Limits) -> Change | None:
    better = not holds(a, b, None, limits) and holds(a, b, change, limits)
    return change if better else None
