"""A fleet in processes of this machine."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from typing import Self

from inspector.asking import Task
from inspector.fleet.work import Came, How, Item, largest_first, lasts
from inspector.isolation import Workers, judged, look_task
from inspector.limits import Limits
from inspector.process import processors


class Here:
    """So many artifacts side by side. A context manager. jobs: None for one a processor."""

    retried = 0

    def __init__(self, jobs: int | None, limits: Limits) -> None:
        self.workers = jobs or processors()
        self._pool = Workers(limits)

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.__exit__()

    def each(self, items: Iterable[Item], how: How) -> Generator[Came, None, None]:
        """What came of each, as it is done. Raises NotIsolated, and what is of the original."""
        threads = None if self.workers == 1 else max(processors() // self.workers, 1)
        arguments = {**how.arguments, "threads": threads}

        def tasks() -> Iterator[tuple[tuple[Item, float], Task]]:
            for item in largest_first(items):
                task = look_task(item.wanted, arguments, nbytes=item.listed.nbytes)
                yield (item, time.monotonic()), task

        against = how.arguments["against"]
        for (item, start), found in self._pool.as_done(tasks(), self.workers):
            looked = judged(item.wanted, found, how.limits, against)
            yield Came(item, looked, time.monotonic() - start, lasts(item.wanted.path, looked))
