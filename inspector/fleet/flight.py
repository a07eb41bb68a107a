"""The tasks of a fleet that are somewhere on a cluster: so many, and of so many bytes, at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.fleet.work import Item
from inspector.limits import GIB
from inspector.parts import MeasuredPart

if TYPE_CHECKING:
    from distributed import Client, Future

_TASKS = 3  # for each thread of a worker: one at work, others at hand
_BYTES = 16 * GIB  # for each thread, beyond one artifact
_COUNT_SECONDS = 2.0  # between two looks how many threads there are


@dataclass(frozen=True, slots=True)
class Sent:
    """A task that is to be done, or under way.

    call: of `worker.CALLS`: "look" looks at the whole, "survey" and "measure_part" are of one that
    is measured in parts. nbytes: that it reads; part: which one; names: of the tensors of a part;
    measured: the parts that were, for the last look, and spent: the seconds of those. tries: how
    often it was sent; alone: with no other beside it.
    """

    item: Item
    nbytes: int
    call: str = "look"
    part: int = 0
    names: tuple[str, ...] = ()
    measured: tuple[MeasuredPart, ...] = ()
    spent: float = 0.0
    tries: int = 1
    alone: bool = False

    @property
    def key(self) -> tuple[str | int, ...]:
        """What no other task of the run has."""
        number = self.item.wanted.number
        return self.call, number, self.part, len(self.measured), self.tries, int(self.alone)


class Flight:
    """The tasks that are somewhere on the cluster."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sent: dict[Future[Any], Sent] = {}
        self._nbytes = 0
        self._threads = 1
        self._counted = float("-inf")

    def __len__(self) -> int:
        return len(self._sent)

    def __iter__(self) -> Iterator[Future[Any]]:
        return iter(self._sent)

    @property
    def has_room(self) -> bool:
        """Whether one more may begin."""
        threads = self._count()
        some = len(self) < threads * _TASKS and self._nbytes < threads * _BYTES
        return some or len(self) < threads

    def _count(self) -> int:
        """Threads of all workers: they come and go."""
        now = time.monotonic()
        if now > self._counted + _COUNT_SECONDS:
            self._counted = now
            self._threads = max(sum(self._client.nthreads().values()), 1)
        return self._threads

    def add(self, future: Future[Any], sent: Sent) -> None:
        """It is on its way."""
        self._sent[future] = sent
        self._nbytes += sent.nbytes

    def landed(self, future: Future[Any]) -> Sent:
        """It is back; the cluster need keep nothing of it."""
        sent = self._sent.pop(future)
        self._nbytes -= sent.nbytes
        return sent
