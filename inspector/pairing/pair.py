"""The pairs of two artifacts, whichever of them was made of the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inspector.changed import changed
from inspector.limits import DEFAULT, Limits
from inspector.model import Role
from inspector.pairing.converted import match_converted
from inspector.pairing.match import match, retyped
from inspector.pairing.names import is_weight
from inspector.pairing.nouns import Pair, Pairing, Side, in_order
from inspector.pairing.rearranged import mirrored, parted, reordered
from inspector.pairing.rest import pair_rest

_LITE = "tflite"
# What stripping takes away: the artifact that has it came first.
_STRIPPED = frozenset({Role.MASK, Role.CENTROIDS, Role.CLUSTER_INDICES, Role.QUANT_STEP})


def pair(a: Side, b: Side, limits: Limits = DEFAULT, *, rest: bool = True) -> Pairing:
    """Pair the tensors of two artifacts.

    Each tensor is in a pair, in `only_a` or in `only_b`. pair(b, a) is pair(a, b) the other way
    round. rest: pair what is no part of a model too (copies, activations ...), and look for weights
    that were reordered, split or fused. Values are read where names and shapes do not tell; without
    any, or where they cannot be read, the names and shapes alone do.
    """
    found = partners(a, b, limits, rest=rest)
    return with_orders(a, b, found, limits) if rest else found


def partners(a: Side, b: Side, limits: Limits = DEFAULT, *, rest: bool = True) -> Pairing:
    """The same, but for what was put in another order, which takes a look at all values."""
    if _place(b) < _place(a):
        return flipped(partners(b, a, limits, rest=rest), a)
    if rest and _place(a) == _place(b) and _spelled(b) < _spelled(a):
        # Where the next of several is taken, it is the same one from both sides.
        return forwards(flipped(partners(b, a, limits), a))
    if _is_lite(b) and not _is_lite(a):
        return match_converted(a, b, limits)
    found = match(a, b, limits)
    return pair_rest(a, b, parted(a, b, found, limits), limits) if rest else found


def with_orders(
    a: Side,
    b: Side,
    found: Pairing,
    limits: Limits = DEFAULT,
    is_known: Callable[[Pair], bool] = lambda _: False,
) -> Pairing:
    """The pairing of `partners` with what was put in another order.

    is_known: whether a pair is known to be in the same order, or no order of the same values.
    """
    if _is_lite(a) != _is_lite(b):
        return found
    back = _place(b) < _place(a)
    pairs, room = [], limits.fingerprints
    for one in found.pairs:
        looks = one.change is None and is_weight(a.verdicts[one.a.name].role)
        if looks and not is_known(one):
            sides = (one.b, one.a) if back else (one.a, one.b)
            change = reordered(*sides, room, limits)
            room -= len(change.order.places) if change and change.order else 0
            if change is not None:
                pairs.append(replace(one, change=replace(change, backwards=back)))
                continue
        pairs.append(one)
    return replace(found, pairs=tuple(pairs))


def _is_lite(side: Side) -> bool:
    return side.artifact.format == _LITE


def _place(side: Side) -> int:
    """How far along the way from training to a device: what comes later is made of the former."""
    if _is_lite(side):
        return 2
    stripped = not any(verdict.role in _STRIPPED for verdict in side.verdicts.values())
    return int(stripped)


def _spelled(side: Side) -> list[tuple[str, str, str]]:
    """What puts two artifacts in an order, whichever of them comes first."""
    return [(one.name, one.dtype, str(one.shape)) for one in side.artifact.tensors]


def forwards(found: Pairing) -> Pairing:
    """The same with each change told from `a` on, as far as it can be turned round."""
    return replace(found, pairs=tuple(map(_forwards, found.pairs)))


def _forwards(one: Pair) -> Pair:
    change = one.change
    if change is None or change.value is not None or change.kind in ("split", "fused"):
        return one
    if change.order is not None:
        places = change.order.places
        back = tuple(sorted(range(len(places)), key=places.__getitem__))
        order = replace(change.order, places=back)
        return replace(one, change=replace(change, order=order, backwards=False))
    if change.axes is not None:
        axes = tuple(sorted(range(len(change.axes)), key=change.axes.__getitem__))
        shape = one.b.shape
        return replace(one, change=replace(change, axes=axes, shape=shape, backwards=False))
    return replace(one, change=retyped(one.a, one.b))


def flipped(found: Pairing, b: Side) -> Pairing:
    """The same with the sides exchanged; `b` is the one that comes first then."""
    return Pairing(
        pairs=in_order(map(_flipped, found.pairs), b),
        only_a=found.only_b,
        only_b=found.only_a,
        gone_a=found.gone_b,
        gone_b=found.gone_a,
        layers={b: a for a, b in found.layers.items()},
    )


def _flipped(one: Pair) -> Pair:
    change = one.change
    if change is not None:
        change = replace(mirrored(change), backwards=not change.backwards)
    return changed(one, a=one.b, b=one.a, change=change, mask_of_a=not one.mask_of_a)
