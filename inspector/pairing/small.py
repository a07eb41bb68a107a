"""Pairs of small tensors held against each other, many at a time, as the rows of two matrices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from inspector.limits import Limits
from inspector.model import Measurement
from inspector.pairing.agree import concluded
from inspector.pairing.changes import Seen
from inspector.pairing.nouns import Agreement, Pair, Tolerance
from inspector.pairing.tally import Tally
from inspector.small import Rows, by_size, is_small, measure_rows, read_rows
from inspector.values import Array


@dataclass(frozen=True, slots=True)
class Found:
    """Of the pairs that were held against each other: measurements of both sides, by name.

    agreements: by the names of both, how values agree; alike: which have the same bits.
    """

    a: dict[str, Measurement] = field(default_factory=dict)
    b: dict[str, Measurement] = field(default_factory=dict)
    agreements: dict[tuple[str, str], Agreement] = field(default_factory=dict)
    alike: set[tuple[str, str]] = field(default_factory=set)


def compare_small(pairs: Iterable[Pair], tolerance: Tolerance, limits: Limits) -> Found:
    """What reading each pair beside says, of those pairs whose tensors are both small.

    pairs: such that go beside, no `a` twice. Those with a mask are left out, and those that cannot
    be read or hold what is not finite.
    """
    found = Found()
    by_name = {
        one.a.name: one
        for one in pairs
        if one.mask is None and is_small(one.a, limits) and is_small(one.b, limits)
    }
    agreed = _Agreed(tolerance)
    for tensors in by_size((one.a for one in by_name.values()), limits):
        some = [by_name[tensor.name] for tensor in tensors]
        a, b = read_rows(tensors), read_rows([one.b for one in some])
        if len(a.tensors) == len(b.tensors) == len(some):
            _compare(some, a, b, agreed, found, limits)
    return found


def _compare(
    pairs: list[Pair], a: Rows, b: Rows, agreed: _Agreed, found: Found, limits: Limits
) -> None:
    alike = (a.values.view("u1") == b.values.view("u1")).all(axis=1)
    # What has the same bits has the same measurement.
    measured = measure_rows(a, limits)
    others = iter(
        measure_rows(
            Rows(
                [t for t, same in zip(b.tensors, alike, strict=True) if not same], b.values[~alike]
            ),
            limits,
        )
    )
    for at, (pair, same, of_a) in enumerate(zip(pairs, alike.tolist(), measured, strict=True)):
        of_b = of_a if same else next(others)
        if of_a is None or of_b is None:
            continue
        names = pair.a.name, pair.b.name
        found.a[names[0]], found.b[names[1]] = of_a, of_b
        if same:
            found.alike.add(names)
            found.agreements[names] = agreed.alike(pair, a.values[at], of_a)
        else:
            rows = a.values[at], b.values[at]
            found.agreements[names] = agreed.apart(pair, *rows, of_a, of_b)


@dataclass(slots=True)
class _Agreed:
    """How pairs agree. known: of those of the same bits, by all that tells them apart."""

    tolerance: Tolerance
    known: dict[tuple[str, int, int, bool], Agreement] = field(default_factory=dict)

    def alike(self, pair: Pair, values: Array, found: Measurement) -> Agreement:
        """Of two of the same bits."""
        tally = Tally(self.tolerance, elements=values.size)
        tally.zeros_a = tally.zeros_b = found.zeros
        if not tally.is_measured(found):
            tally.elements = 0
            tally.add_equal(values)
            return concluded(tally, pair)
        # Of their size it counts only whether there is one.
        key = pair.a.dtype, values.size, found.zeros, tally.magnitude > 0
        if key not in self.known:
            self.known[key] = concluded(tally, pair)
        return self.known[key]

    def apart(
        self, pair: Pair, x: Array, y: Array, of_a: Measurement, of_b: Measurement
    ) -> Agreement:
        """Of two of other bits."""
        tally = Tally(self.tolerance, zeros_a=of_a.zeros, zeros_b=of_b.zeros)
        tally.add_unequal(Seen(expected=x, actual=y, at=0))
        return concluded(tally, pair)
