"""The time and the memory that an artifact may take, looked at wherever work goes on step by step.

They are kept per context, and handed to each thread that works for it. What hangs in C looks at no
clock: `isolation` has another for that.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from inspector.errors import LimitExceeded
from inspector.limits import MIB

T = TypeVar("T")
EVERY = 4096  # steps, some tens of milliseconds of them, between two looks
IDLE = 48 * MIB  # as much as a process takes that has imported all that reading may need
_LOOK_SECONDS = 0.01  # between two looks at the memory: ten megabytes at most, at its speed


@dataclass(slots=True)
class Memory:
    """What the process may grow to while an artifact is worked on.

    Counted limits tell what of a file is too much, each for itself; this is for what all of them
    make together. base, allowed: bytes that there were, and that may come on top.
    """

    allowed: int
    base: int = field(default_factory=lambda: max(resident(), IDLE))
    looked: float = 0.0

    def check(self, now: float, path: str) -> None:
        """Raise LimitExceeded (`memory_bytes`) where it has grown past that."""
        if now < self.looked + _LOOK_SECONDS:
            return
        self.looked = now
        grown = resident(self.base + self.allowed) - self.base
        if grown > self.allowed:
            raise LimitExceeded("memory_bytes", grown, self.allowed, path)


@dataclass(slots=True)
class Stop:
    """Asked of threads by the one that no longer waits for them. No Event: that has a lock."""

    asked: bool = False


@dataclass(frozen=True, slots=True)
class Deadline:
    """start, end: of the monotonic clock, seconds. path: whose time it is. stop: of the thread that
    the work is for, which those that help it look at as well as at their own.
    """

    start: float
    end: float
    path: str
    memory: Memory | None = None
    stop: Stop | None = None


class Abandoned(Exception):
    """Nobody waits any more for what this thread does."""


_deadline: ContextVar[Deadline | None] = ContextVar("_deadline", default=None)
_ours: ContextVar[bool] = ContextVar("_ours", default=False)
_stop: ContextVar[Stop | None] = ContextVar("_stop", default=None)


@contextlib.contextmanager
def own_process() -> Iterator[None]:
    """Hold what is done inside to `memory_bytes` as well: this process has nothing else to do.

    What a process grows by is told for all its threads together: where others work in it too, as in
    a notebook, theirs would count as the artifact's.
    """
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


@contextlib.contextmanager
def within(seconds: float, path: str, nbytes: int | None = None) -> Iterator[None]:
    """Let what is done inside take so long, and no longer; and so many bytes of memory, where they
    are given and the process is our own. path: of the artifact.
    """
    start = time.monotonic()
    memory = Memory(nbytes) if nbytes is not None and _ours.get() else None
    token = _deadline.set(Deadline(start, start + seconds, path, memory, _stop.get()))
    try:
        yield
    finally:
        _deadline.reset(token)


def check() -> None:
    """Raise LimitExceeded (`seconds`, `memory_bytes`) where the time is up or the memory full,
    Abandoned where the stop is set.
    """
    stop = _stop.get()
    if stop is not None and stop.asked:
        raise Abandoned
    found = _deadline.get()
    if found is None:
        return
    if found.stop is not None and found.stop.asked:
        raise Abandoned
    now = time.monotonic()
    if now > found.end:
        taken, allowed = (int(at - found.start) for at in (now, found.end))
        raise LimitExceeded("seconds", max(taken, allowed + 1), allowed, found.path)
    if found.memory is not None:
        found.memory.check(now, found.path)


def watched(items: Iterable[T]) -> Iterator[T]:
    """The items, with a look now and then."""
    for at, item in enumerate(items):
        if not at % EVERY:
            check()
        yield item


def resident(least: int = 2 * IDLE) -> int:
    """Bytes of memory that this process has; 0 where it never had `least`, or nobody can say."""
    try:
        import resource

        # The peak costs a microsecond, and opens no file. (Elsewhere than on Linux there is no
        # way to what is taken now, and the peak does not go down.)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10 < least:
            return 0
        with open("/proc/self/statm", "rb") as file:
            pages, shared = map(int, file.read().split()[1:3])
        return (pages - shared) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError):
        return 0


def current() -> Deadline | None:
    """The deadline of this context, for `resume` in a thread that works for it."""
    return _deadline.get()


def resume(deadline: Deadline | None, stop: Stop) -> None:
    """Work under a deadline from now on, until the stop is set."""
    _deadline.set(deadline)
    _stop.set(stop)
