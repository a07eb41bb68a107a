"""The time that an artifact may take, looked at wherever work goes on step by step.

It is kept per context, and handed to each thread that works for it. What hangs in C looks at no
clock: `isolation` has another for that.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from inspector.errors import LimitExceeded

EVERY = 4096  # steps, some tens of milliseconds of them, between two looks


@dataclass(frozen=True, slots=True)
class Deadline:
    """start, end: of the monotonic clock, seconds. path: whose time it is."""

    start: float
    end: float
    path: str


class Abandoned(Exception):
    """Nobody waits any more for what this thread does."""


_deadline: ContextVar[Deadline | None] = ContextVar("_deadline", default=None)
_stop: ContextVar[threading.Event | None] = ContextVar("_stop", default=None)


@contextlib.contextmanager
def within(seconds: float, path: str) -> Iterator[None]:
    """Let what is done inside take so long, and no longer. path: of the artifact."""
    start = time.monotonic()
    token = _deadline.set(Deadline(start, start + seconds, path))
    try:
        yield
    finally:
        _deadline.reset(token)


def check() -> None:
    """Raise LimitExceeded (`seconds`) where the time is up, Abandoned where the stop is set."""
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise Abandoned
    found = _deadline.get()
    if found is None:
        return
    now = time.monotonic()
    if now > found.end:
        taken, allowed = (int(at - found.start) for at in (now, found.end))
        raise LimitExceeded("seconds", max(taken, allowed + 1), allowed, found.path)


def current() -> Deadline | None:
    """The deadline of this context, for `resume` in a thread that works for it."""
    return _deadline.get()


def resume(deadline: Deadline | None, stop: threading.Event) -> None:
    """Work under a deadline from now on, until the stop is set."""
    _deadline.set(deadline)
    _stop.set(stop)
