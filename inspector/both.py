"""Two artifacts examined together: what a pair has in common is read once, side by side."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from inspector.changed import changed
from inspector.classify import classify
from inspector.errors import ArtifactError
from inspector.examine import Known, Progress, conclude
from inspector.limits import Limits
from inspector.measure import measure_all
from inspector.measured import not_measured, value_bytes
from inspector.model import Artifact, Measurement, Problem, Tensor
from inspector.pairing import Agreement, Pair, Pairing, Side, Tolerance
from inspector.pairing.beside import Beside, goes_beside, read_beside
from inspector.pairing.pair import partners, with_orders
from inspector.pairing.small import Found, compare_small
from inspector.pairing.tally import Tally

# Of a measurement, what does not depend on where values are.
_whatever_order = operator.attrgetter("zeros", "minimum", "maximum", "nan", "inf", "distinct")
# (name of A's tensor, name of B's) -> how their values agree
Agreements = Mapping[tuple[str, str], Agreement]


@dataclass(frozen=True, slots=True)
class Together:
    """What is known of two artifacts' pairs: the defaults where they were not read together.

    agreements: of those pairs whose values were read together; alike: those of the same bits.
    """

    pairing: Pairing | None = None
    agreements: Agreements = field(default_factory=dict)
    alike: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class _Measured:
    """By name: what was measured of some tensors, and what could not be read."""

    found: Mapping[str, Measurement]
    failed: Mapping[str, ArtifactError]

    def with_others(self, others: _Measured) -> _Measured:
        """What the others say comes first, in either of the two."""
        again = {**others.found, **others.failed}
        found = {name: one for name, one in self.found.items() if name not in again}
        failed = {name: one for name, one in self.failed.items() if name not in again}
        return _Measured({**found, **others.found}, {**failed, **others.failed})


def examine_both(
    a: Artifact,
    b: Artifact,
    limits: Limits,
    progress: Progress,
    *,
    tolerance: Tolerance,
    rest: bool = True,
    masks: bool = False,
) -> tuple[Known, Known, Together]:
    """All that is known of two artifacts while they are open, as `examine` would know it of each.

    rest: see `pairing.pair`. masks: count what is not 0 where its mask is.
    """
    both, each = (a, b), (classify(a), classify(b))
    sides = Side(a, each[0].verdicts), Side(b, each[1].verdicts)
    found = partners(*sides, limits, rest=rest)
    pairs = [one if masks or one.mask is None else changed(one, mask=None) for one in found.pairs]
    together = {one.a.name: one for one in pairs if goes_beside(one)}
    progress.start(sum(map(value_bytes, (*a.tensors, *b.tensors))))
    try:
        small = compare_small(together.values(), tolerance, limits)
        beside = {
            name: read_beside(one, tolerance, limits)
            for name, one in together.items()
            if name not in small.a
        }
        measured, tallies = _measure(a.tensors, b.tensors, small, beside, limits, progress)
    finally:
        progress.finish()
    agreements = {**small.agreements, **_agreements(beside, tallies, *measured)}
    alike = small.alike | {
        names(beside[name].pair) for name, tally in tallies.items() if tally.bits
    }
    if rest:
        # The same bits are in the same places, and other values are there in no order.
        settled = {
            at
            for at in agreements
            if at in alike
            or _whatever_order(measured[0].found[at[0]])
            != _whatever_order(measured[1].found[at[1]])
        }
        found = with_orders(*sides, found, limits, lambda one: names(one) in settled)
    one, other = (
        conclude(artifact, classified, *_told(artifact, seen), limits=limits)
        for artifact, classified, seen in zip(both, each, measured, strict=True)
    )
    plain = [one for one in found.pairs if one.change is None and names(one) in agreements]
    known = Together(
        pairing=found,
        agreements={names(one): agreements[names(one)] for one in plain},
        alike=tuple(one for one in plain if names(one) in alike),
    )
    return one, other, known


def names(one: Pair) -> tuple[str, str]:
    """What a pair goes by."""
    return one.a.name, one.b.name


def _measure(
    a: Sequence[Tensor],
    b: Sequence[Tensor],
    small: Found,
    beside: Mapping[str, Beside],
    limits: Limits,
    progress: Progress,
) -> tuple[tuple[_Measured, _Measured], Mapping[str, Tally]]:
    """A's tensors and B's; and by the name of A's, what was counted of both while reading.

    small: what is known of some already.
    """
    for tensors, known in ((a, small.a), (b, small.b)):
        progress.advance(sum(value_bytes(one) for one in tensors if one.name in known))
    a = [tensor for tensor in a if tensor.name not in small.a]

    def look(tensors: Iterable[Tensor]) -> _Measured:
        return _Measured(*measure_all(tuple(tensors), limits, on_bytes=progress.advance))

    ours = look(
        changed(tensor, payload=beside[tensor.name], check=None)
        if tensor.name in beside
        else tensor
        for tensor in a
    )
    tallies = {
        name: tally
        for name, one in beside.items()
        if name in ours.found and (tally := one.tally()) is not None
    }
    ours = ours.with_others(look(t for t in a if t.name in beside and t.name not in tallies))
    # What has the same bits has the same measurement.
    same = {
        beside[name].pair.b.name: ours.found[name] for name, tally in tallies.items() if tally.bits
    }
    b = [tensor for tensor in b if tensor.name not in small.b]
    progress.advance(sum(value_bytes(tensor) for tensor in b if tensor.name in same))
    ours = ours.with_others(_Measured(small.a, {}))
    same |= small.b
    theirs = _Measured(same, {}).with_others(look(t for t in b if t.name not in same))
    return (ours, theirs), tallies


def _told(artifact: Artifact, seen: _Measured) -> tuple[dict[str, Measurement], list[Problem]]:
    """Measurements and problems in the order of the tensors."""
    names = [tensor.name for tensor in artifact.tensors]
    measured = {name: seen.found[name] for name in names if name in seen.found}
    return measured, [
        not_measured(name, seen.failed[name]) for name in names if name in seen.failed
    ]


def _agreements(
    beside: Mapping[str, Beside],
    tallies: Mapping[str, Tally],
    a: _Measured,
    b: _Measured,
) -> Agreements:
    """How those pairs agree of which both sides were measured; of the others nothing is said."""

    def agree(name: str) -> Agreement | None:
        one = beside[name]
        of_a, of_b = a.found.get(name), b.found.get(one.pair.b.name)
        if of_a is None or of_b is None:
            return None
        try:
            return one.agreement(tallies[name], of_a, of_b)
        except ArtifactError:
            return None  # whoever compares the two by themselves meets it again

    found = list(map(agree, tallies))
    return {
        (name, beside[name].pair.b.name): one
        for name, one in zip(tallies, found, strict=True)
        if one is not None
    }
