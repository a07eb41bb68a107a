"""What a fleet is made of: an artifact to look at with its files, and what came of it."""

from __future__ import annotations

import dataclasses
import functools
import heapq
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from inspector import filesystem
from inspector.auditing.session import Looked, Wanted
from inspector.errors import InspectorError
from inspector.fleet.listed import Listed
from inspector.limits import Limits

_AHEAD = 1000  # artifacts that are looked through for the largest
# What may be otherwise when it is read again: so is what a disk or a storage does not give.
_PASSING = frozenset({"not-found", "changed", "artifact-error"})
# A storage may fail, or be slow, in mid-file; who may not read may be allowed to, or keep copies.
_PASSING_FAR = _PASSING | {"denied", "no-ranges", "timed-out", "unreadable-values"}


class ClusterLost(InspectorError):
    """The scheduler is gone, or took the tasks back."""


@dataclass(frozen=True, slots=True)
class Item:
    """An artifact to look at."""

    wanted: Wanted
    listed: Listed


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one. looked: None of a file that is no model; seconds: that it took. lasts:
    whether it would come out so again.
    """

    item: Item
    looked: Looked | None
    seconds: float
    lasts: bool = True

    @property
    def failed(self) -> bool:
        """Whether it fails the audit."""
        return self.looked is not None and any(
            one.finding.fails for one in self.looked.audited.judged
        )


@dataclass(frozen=True)
class How:
    """How each of them is looked at. arguments: of `look`, by name."""

    arguments: Mapping[str, Any]
    limits: Limits

    @functools.cached_property
    def limits_by_name(self) -> dict[str, int | float]:
        """The limits, to be sent."""
        return dataclasses.asdict(self.limits)


class Runner(AbstractContextManager["Runner"], Protocol):
    """Whatever looks at artifacts. workers: how many had a part so far; retried: how many artifacts
    were begun again.
    """

    @property
    def workers(self) -> int: ...

    @property
    def retried(self) -> int: ...

    def each(self, items: Iterable[Item], how: How) -> Generator[Came, None, None]: ...


def lasts(path: str, looked: Looked | None) -> bool:
    """Whether what was found stays true as long as the files at the path do."""
    if looked is None:
        return True
    passing = _PASSING_FAR if filesystem.is_far(path) else _PASSING
    slow = "limit seconds:" if filesystem.is_far(path) else None
    return looked.lasts and not any(
        one.code in passing or (slow and one.message.startswith(slow))
        for one in looked.report.problems
    )


def largest_first(items: Iterable[Item], ahead: int = _AHEAD) -> Iterator[Item]:
    """The same, the largest of the next `ahead` before the others: what takes longest must not be
    what all wait for in the end.
    """
    heap: list[tuple[int, int, Item]] = []
    for number, item in enumerate(items):
        entry = (-item.listed.nbytes, number, item)
        if len(heap) < ahead:
            heapq.heappush(heap, entry)
        else:
            yield heapq.heappushpop(heap, entry)[2]
    while heap:
        yield heapq.heappop(heap)[2]
