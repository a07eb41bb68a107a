"""Large artifacts that are measured in parts, by several workers: what is to be done of one next.

First a survey says which parts there are, then each is measured, then the whole is looked at with
what came of them. Where any of that goes wrong, the whole is looked at as if it were small, which
says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from inspector.fleet.flight import Sent
from inspector.fleet.work import Item
from inspector.limits import GIB
from inspector.parts import PART_BYTES, MeasuredPart, Survey

# Measuring so much takes a second or two: less is not worth opening the artifact several times.
LARGE = GIB

__all__ = ["LARGE", "PART_BYTES", "Split"]


@dataclass(slots=True)
class _Open:
    """One whose parts are being measured. left: that are not done; spent: seconds of the others."""

    left: int
    spent: float
    measured: list[MeasuredPart] = field(default_factory=list)
    is_spoiled: bool = False


class Split:
    """All of them. measure: whether values are read at all."""

    def __init__(self, measure: bool) -> None:
        self._measure = measure
        self._open: dict[int, _Open] = {}

    def first(self, item: Item) -> Sent:
        """What is to be done of an artifact first."""
        if self._measure and item.listed.nbytes > LARGE:
            return Sent(item, 0, "survey")
        return Sent(item, item.listed.nbytes)

    def following(
        self, sent: Sent, found: Survey | MeasuredPart | None, seconds: float
    ) -> Iterable[Sent]:
        """What is to be done once that is. found: what came of it, None where it failed."""
        item, number = sent.item, sent.item.wanted.number
        if sent.call == "survey":
            if not isinstance(found, Survey) or len(found.parts) < 2:
                return [Sent(item, item.listed.nbytes)]
            self._open[number] = _Open(len(found.parts), seconds)
            return [
                Sent(item, part.nbytes, "measure_part", at, part.names)
                for at, part in enumerate(found.parts)
            ]
        split = self._open[number]
        split.left -= 1
        split.spent += seconds
        if isinstance(found, MeasuredPart):
            split.measured.append(found)
        else:
            split.is_spoiled = True
        if split.left:
            return []
        del self._open[number]
        if split.is_spoiled:
            return [Sent(item, item.listed.nbytes, spent=split.spent)]
        return [Sent(item, 0, measured=tuple(split.measured), spent=split.spent)]
