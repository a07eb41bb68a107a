"""The pairs of two artifacts, whichever of them was made of the other."""

from __future__ import annotations

from dataclasses import replace

from inspector.limits import DEFAULT, Limits
from inspector.model import Role
from inspector.pairing.converted import match_converted
from inspector.pairing.match import match
from inspector.pairing.nouns import Pair, Pairing, Side, in_order
from inspector.pairing.rearranged import mirrored, rearranged
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
    if _place(b) < _place(a):
        return flipped(pair(b, a, limits, rest=rest), a)
    if b.artifact.format == _LITE != a.artifact.format:
        return match_converted(a, b, limits)
    found = match(a, b, limits)
    return pair_rest(a, b, rearranged(a, b, found, limits), limits) if rest else found


def _place(side: Side) -> int:
    """How far along the way from training to a device: what comes later is made of the former."""
    if side.artifact.format == _LITE:
        return 2
    stripped = not any(verdict.role in _STRIPPED for verdict in side.verdicts.values())
    return int(stripped)


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
    return replace(one, a=one.b, b=one.a, change=change, mask_of_a=not one.mask_of_a)
