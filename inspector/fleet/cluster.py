"""A fleet on a Dask cluster: one task an artifact, so many at once, and what comes of each once.

Dask knows which workers there are, hands tasks out, and begins those of a lost worker again. A file
that takes its worker down each time is an error of that file. The scheduler and the workers run
what they are sent, and so does this process: they are trusted like the code that is installed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from msgspec import to_builtins

from inspector import filesystem
from inspector._version import __version__
from inspector.errors import Crashed, NotFound, UsageError
from inspector.exchange import Raised, rebuilt
from inspector.fleet import pools, splitting, tasks
from inspector.fleet.connecting import connected, quiet
from inspector.fleet.flight import Flight, Sent
from inspector.fleet.listed import listed
from inspector.fleet.progress import Watch
from inspector.fleet.secret import Secret
from inspector.fleet.work import Came, ClusterLost, How, Item, largest_first, lasts
from inspector.isolation import judged, look_task
from inspector.process import processors
from inspector.typed_json import decode, encode

if TYPE_CHECKING:
    from distributed import Client, Future


_NO_ANSWER = "what read it sent an answer that cannot be read"
_UNFIT = 3  # workers that may be unable to read in processes of their own


class Cluster:
    """What looks at artifacts on a cluster. A context manager, which ends all that it started.

    address: "tcp://...", "tls://...", or "local" for processes of this machine; or a client of a
    cluster that only its makers know how to reach. jobs: how many processes of this machine, None
    for one a processor. Raises UsageError where there is no such cluster, or where its
    workers have another version of inspect.
    """

    def __init__(self, address: str | Client, jobs: int | None, watch: Watch) -> None:
        self._address = address
        self._jobs = jobs or processors()
        self._watch = watch
        self._run = secrets.token_hex(8)
        self._folder = os.getcwd()
        self._stack = contextlib.ExitStack()
        self._seen: set[str] = set()
        self._is_lost = False
        self.retried = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(quiet())
            self._client = stack.enter_context(connected(self._address, self._jobs))
            stack.callback(self._let_go)
            self._check()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def workers(self) -> int:
        """How many had a part so far."""
        return len(self._seen)

    def _let_go(self) -> None:
        """Leave no process on the workers."""
        with contextlib.suppress(Exception):
            if not self._is_lost:
                self._client.run(pools.close, self._run, on_error="ignore")

    def _check(self) -> None:
        """Raise UsageError where a worker has another version. Of one that comes later, its first
        task says so.
        """
        found = self._client.run(tasks.version, on_error="return")
        odd = {
            at: one if isinstance(one, str) else None
            for at, one in found.items()
            if one != __version__
        }
        if odd:
            raise UsageError(tasks.mismatch(__version__, odd))
        if not found:
            self._watch.say("the cluster has no worker yet: waiting for one")
        self._client.subscribe_topic("all", self._heard)

    def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        """What the scheduler tells all: that a worker is gone, and with it some of our tasks."""
        about = event[1]
        if about.get("action") != "remove-worker":
            return
        lost = [*about.get("processing-tasks", ()), *about.get("lost-computed-tasks", ())]
        again = sum(isinstance(key, tuple) and key[0] == self._name for key in lost)
        self.retried += again
        if again:
            self._watch.say(f"lost worker {about.get('worker')}: {again} begun again")

    @property
    def _where(self) -> str:
        """The scheduler, in words."""
        return self._address if isinstance(self._address, str) else "the cluster"

    @property
    def _name(self) -> str:
        return f"inspect-{self._run}"

    def each(self, items: Iterable[Item], how: How) -> Generator[Came, None, None]:
        """What came of each, as it is done. Raises ClusterLost, UsageError, and what is of the
        original, or a bug.
        """
        from distributed import as_completed

        flight = Flight(self._client)
        completed = as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        split = splitting.Split(bool(how.arguments["measure"]))
        first = map(split.first, largest_first(items))
        again: deque[Sent] = deque()  # before any other is begun
        suspects: list[Sent] = []

        def send(sent: Sent) -> None:
            future = self._submitted(sent, how)
            flight.add(future, sent)
            completed.add(future)

        try:
            while True:
                while flight.has_room and (sent := _next(again, first)) is not None:
                    send(sent)
                if not flight and suspects:
                    send(suspects.pop())
                if not flight:
                    return
                for future, found in completed.next_batch():
                    came = self._came(flight.landed(future), found, how, split)
                    if isinstance(came, Came):
                        yield came
                    else:
                        suspects += (one for one in came if one.alone)
                        again += (one for one in came if not one.alone)
        finally:
            if flight and not self._is_lost:
                self._client.cancel(list(flight), force=True)

    def _submitted(self, sent: Sent, how: How) -> Future[Any]:
        paths, arguments = _asked(sent, how)
        call = tasks.Call(
            run=self._run,
            tool=__version__,
            folder=self._folder,
            name=sent.call,
            paths=paths,
            arguments=arguments,
            limits=how.limits_by_name,
            nbytes=sent.item.listed.nbytes,
        )
        return self._client.submit(
            tasks.done,
            encode(call),
            Secret((filesystem.doors_of(paths), filesystem.known_of(paths))),
            key=(self._name, *sent.key),
            priority=int(sent.call != "look" or bool(sent.measured)),  # what was begun is ended
            pure=False,
        )

    def _came(
        self, sent: Sent, found: Any, how: How, split: splitting.Split
    ) -> Came | Iterable[Sent]:
        """What came of it, or what is to be sent next. found: what the task gave, or raised."""
        if not isinstance(found, tuple) or len(found) != len(tasks.Answer._fields):
            return self._failed(sent, found, how, split)
        answer = tasks.Answer._make(found)
        self._seen.add(answer.where)
        path = sent.item.wanted.path
        if answer.kind == "unfit":
            if sent.tries == _UNFIT:
                raise UsageError(f"{answer.where}: {answer.body.decode()}")
            return [replace(sent, tries=sent.tries + 1)]
        if answer.kind == "unseen" and listed(path).version is not None:
            raise UsageError(
                f"{answer.where} does not see {path}: local paths must lie on all workers alike;"
                " a URL can be read from anywhere"
            )
        told = _told(answer, sent)
        if isinstance(told, UsageError):
            raise told
        if sent.call != "look":
            whole = None if isinstance(told, Exception) else told
            return split.following(sent, whole, answer.seconds)
        looked = judged(sent.item.wanted, told, how.limits, how.arguments["against"])
        return Came(
            sent.item, looked, sent.spent + answer.seconds, lasts(sent.item.wanted.path, looked)
        )

    def _failed(
        self, sent: Sent, found: Any, how: How, split: splitting.Split
    ) -> Came | Iterable[Sent]:
        """The same where there is no answer. Raises ClusterLost, or what is our bug.

        Workers that died of one took others down with it: it is looked at alone before it is
        blamed.
        """
        from distributed import CancelledError, KilledWorker

        if isinstance(found, CancelledError):
            self._is_lost = self._client.status != "running"
            raise ClusterLost(
                f"{self._where}: the scheduler is gone"
                if self._is_lost
                else f"{self._where}: the scheduler took tasks back"
            )
        error = found[1] if isinstance(found, tuple) else found
        if isinstance(error, ImportError):  # of a worker that came later: the others were asked
            raise UsageError(
                f"{self._where}: a worker cannot run inspect {__version__} ({error!s:.200}): all"
                " must have the same"
            )
        if isinstance(error, BaseException) and not isinstance(error, KilledWorker):
            raise error
        if sent.call != "look":
            return split.following(sent, None, 0.0)
        path, said = sent.item.wanted.path, _NO_ANSWER
        if isinstance(error, KilledWorker):
            if not sent.alone:
                return [replace(sent, alone=True)]
            said = f"it ended {error.allowed_failures + 1} workers of the cluster in turn"
        looked = judged(sent.item.wanted, Crashed(said, path), how.limits)
        return Came(sent.item, looked, 0.0, lasts=False)


def _next(again: deque[Sent], first: Iterator[Sent]) -> Sent | None:
    return again.popleft() if again else next(first, None)


def _asked(sent: Sent, how: How) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The paths of a call, and its arguments."""
    path = sent.item.wanted.path
    if sent.call == "survey":
        return (path,), {"path": path, "part_bytes": splitting.PART_BYTES}
    if sent.call == "measure_part":
        return (path,), {
            "path": path,
            "names": sent.names,
            "digest": how.arguments.get("digest", False),
        }
    task = look_task(sent.item.wanted, how.arguments)
    if not sent.measured:
        return task.paths, task.arguments
    return task.paths, {**task.arguments, "measured": to_builtins(sent.measured)}


def _told(answer: tasks.Answer, sent: Sent) -> Any:
    """What an answer says: what the call gives, or an exception."""
    path = sent.item.wanted.path
    if answer.kind == "unseen":
        return NotFound("there is nothing here any more", path)
    try:
        if answer.kind == "raised":
            return rebuilt(decode(answer.body, Raised), path)
        return decode(answer.body, tasks.KINDS[sent.call])
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        return Crashed(_NO_ANSWER, path)
