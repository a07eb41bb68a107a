"""Reading away from the screen: one call after another in a thread of its own, the newest first."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textual.message import Message

from inspector import deadline
from inspector.errors import InspectorError

if TYPE_CHECKING:
    from textual.message_pump import MessagePump


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that raised: why, in words that may quote a file."""

    why: str


@dataclass(slots=True)
class Task:
    """A call to make. name: what it is for, by which its result is known; result: what it gave."""

    name: tuple[str, ...]
    call: Callable[[], Any]
    stop: deadline.Stop = field(default_factory=deadline.Stop)
    result: Any = None


class Done(Message):
    """A task is done: `task.result` is what its call returned, or Failed."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task


class Lane:
    """Makes the calls that it is asked for, never two at once.

    A newer one takes the place of those that wait, and stops the one that is made: reading looks at
    that wherever it looks at the time. What was stopped is not heard of. A thread that does not
    stop (it hangs in C) keeps nobody from leaving: it is a daemon.
    """

    def __init__(self, listener: MessagePump) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._now: Task | None = None
        self._next: Task | None = None

    def ask(self, name: tuple[str, ...], call: Callable[[], Any]) -> None:
        """Make this call as soon as the one that is made has stopped."""
        task = Task(name, call)
        with self._lock:
            if self._now is not None:
                self._now.stop.asked = True
                self._next = task
                return
            self._now = task
        # What is known here, such as that the process is our own, holds there too.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._work, task), daemon=True).start()

    def stop(self) -> None:
        """Stop what is made, and forget what waits."""
        with self._lock:
            self._next = None
            if self._now is not None:
                self._now.stop.asked = True

    @property
    def busy(self) -> tuple[str, ...] | None:
        """The name of what is made, or waits to be; None where nothing is."""
        with self._lock:
            task = self._next or self._now
            return None if task is None or task.stop.asked else task.name

    def _work(self, task: Task | None) -> None:
        while task is not None:
            try:
                deadline.resume(None, task.stop)
                task.result = _outcome(task.call)
            except deadline.Abandoned:
                task.stop.asked = True
            done = task
            with self._lock:
                self._now, self._next = self._next, None
                task = self._now
            # Once it is let go: whoever hears of it may look at what is still going on.
            if not done.stop.asked:
                self._listener.post_message(Done(done))


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except InspectorError as error:
        return Failed(str(error))
    except OSError as error:
        return Failed(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "))
    except deadline.Abandoned:
        raise
    except Exception as error:  # noqa: BLE001 - a bug must not take the screen away
        kind = type(error).__name__
        return Failed(f"this is a bug in inspect, please report it: {kind}: {error}"[:500])
