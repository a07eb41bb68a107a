"""Artifacts read in processes of their own: what kills one, or hangs in it, is one error here.

libhdf5 is C, and a file can make it crash, hang, or ask for memory without end. A worker
(`worker.py`) does a whole call of the API under limits of the system's; it serves many artifacts in
turn, and is replaced when one kills it. What it sends back is bounded JSON of known types, held
against them, and nothing more: whoever took it over has a report to write, and not this process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import select
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import msgspec

from inspector import filesystem
from inspector.allowance import artifact_bytes
from inspector.asking import GOING_SECONDS, Task, Unreadable, Worker, decoded
from inspector.errors import (
    ArtifactError,
    Crashed,
    OutOfMemory,
    Stopped,
    TimedOut,
)
from inspector.examine import Progress, Silent
from inspector.exchange import Job, Raised, rebuilt, too_large
from inspector.limits import Limits
from inspector.process import how_it_ended, is_starved, processors, reason
from inspector.template import NotIsolated, Template, started
from inspector.together import Part, together
from inspector.typed_json import Answer

if TYPE_CHECKING:
    from inspector.auditing.session import AllWanted, Answers, Looked, Wanted
    from inspector.report import ArtifactReport

# The worker imports what this process would: never from the folder that it happens to run in.
PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; from inspector.worker import main; main(sys.argv[1])"
)
_HDF5 = os.path.join("inspector", "wire", "hdf5")  # in the path of what calls libhdf5

Key = TypeVar("Key")
_AHEAD = 1000  # results that may wait for one that takes longer
_NOTHING = object()  # what has come of a task that is not done


class _Late(Exception):
    """The time was up."""


def available() -> bool:
    """Whether this system has what keeps a process within limits (Windows has not)."""
    return os.name == "posix" and importlib.util.find_spec("resource") is not None


class _Doing(NamedTuple):
    """What a worker does. key: what the task came with; seconds: that it gets."""

    key: Any
    task: Task
    seconds: float


class Workers:
    """Workers, each until it dies. A context manager that leaves none behind.

    What they are forked from is started at once, so that it is ready when they are needed; and once
    more, where something ended it.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_name = dataclasses.asdict(limits)
        self._stack = contextlib.ExitStack()
        self._template: Template | None = None
        self._is_second = False  # the first one was ended
        self._idle: list[Worker] = []
        self._busy: dict[Worker, _Doing] = {}

    def __enter__(self) -> Self:
        if not available():
            raise NotIsolated("this system keeps no process within limits: nothing is isolated")
        self._template = self._stack.enter_context(started(PROGRAM))
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            self._end(self._idle)

    def stop(self) -> None:
        """End what is at work now, from another thread: each such task is an error then."""
        for worker in tuple(self._busy):
            worker.kill()

    def call(
        self,
        name: str,
        kind: type[Answer],
        paths: tuple[str, ...],
        arguments: Mapping[str, Any],
        progress: Progress | None = None,
    ) -> Answer:
        """What `worker.CALLS[name](**arguments)` returns, which is of a type that msgspec knows.

        paths: the artifacts, the first of which is blamed. Raises what the call raises, Crashed,
        TimedOut or OutOfMemory where it ended the worker, NotIsolated where there can be none.
        """
        (found,) = self.each([Task(name, kind, paths, dict(arguments), progress)])
        if isinstance(found, Exception):
            raise found
        answer: Answer = found
        return answer

    def each(self, tasks: Iterable[Task], jobs: int = 1) -> Iterator[Any]:
        """What comes of each task, in their order: as of `call`, whose errors are given, too.

        jobs: how many are done at once. Raises NotIsolated.
        """
        done: dict[int, Any] = {}
        given = 0

        def may_begin(begun: int) -> bool:
            return begun < given + _AHEAD

        for number, found in self._done(enumerate(tasks), jobs, may_begin):
            done[number] = found
            while given in done:
                yield done.pop(given)
                given += 1

    def as_done(
        self, tasks: Iterable[tuple[Key, Task]], jobs: int = 1
    ) -> Iterator[tuple[Key, Any]]:
        """The same as it is done, in any order, with what its task came with."""
        return self._done(tasks, jobs, lambda _: True)

    def _done(
        self, tasks: Iterable[tuple[Key, Task]], jobs: int, may_begin: Callable[[int], bool]
    ) -> Iterator[tuple[Key, Any]]:
        coming = iter(tasks)
        begun = 0
        found: list[tuple[Key, Any]] = []
        try:
            while True:
                while len(self._busy) < jobs and may_begin(begun):
                    following = next(coming, None)
                    if following is None:
                        break
                    self._begin(*following)
                    begun += 1
                yield from found  # while those that were just begun are at work
                if not self._busy and not found:
                    return
                found = list(self._heard())
        finally:
            self._end(self._busy)

    def _begin(self, key: Any, task: Task) -> None:
        nbytes = sum(map(artifact_bytes, task.paths)) if task.nbytes is None else task.nbytes
        seconds = self._limits.seconds_for(nbytes)
        worker = self._idle.pop() if self._idle else self._forked()
        self._busy[worker] = _Doing(key, task, seconds)
        job = Job(
            task.name,
            task.paths[0],
            task.arguments,
            self._by_name,
            nbytes,
            seconds,
            task.progress is not None,
            filesystem.doors_of(task.paths),
            filesystem.known_of(task.paths),
            task.folder,
        )
        worker.ask(job, self._limits.report_bytes, task.progress)

    def _forked(self) -> Worker:
        """A new worker. Raises NotIsolated."""
        if self._template is None:
            raise NotIsolated("workers are a context manager")
        try:
            return Worker(self._template)
        except NotIsolated:
            if not self._template.has_forked or self._is_second:
                raise
        # Something ended it from outside, as the system does when memory is short: once.
        self._is_second = True
        self._template = self._stack.enter_context(started(PROGRAM))
        return Worker(self._template)

    def _heard(self) -> Iterator[tuple[Any, Any]]:
        """What came of tasks, with their keys, once something happens."""
        ready = select.poll()
        for worker in self._busy:
            ready.register(worker.answers, select.POLLIN)
            if worker.is_telling:
                ready.register(worker.jobs, select.POLLOUT)
        first = min((worker.until for worker in self._busy), default=0)
        left = max(first - time.monotonic(), 0)
        seen = {pipe for pipe, _ in ready.poll(left * 1000)}
        for worker, doing in list(self._busy.items()):
            try:
                found = self._answer(worker, doing.task, seen)
            except (Unreadable, _Late) as failure:
                found = self._ended(worker, doing, failure)
            if found is not _NOTHING:
                self._busy.pop(worker, None)
                yield doing.key, found

    def _answer(self, worker: Worker, task: Task, seen: Collection[int]) -> Any:
        """What the worker says, `_NOTHING` where it has not said it all. Raises Unreadable, _Late.

        seen: the pipes at which something can be done.
        """
        if worker.jobs in seen:
            worker.tell()
        frame = worker.hear() if worker.answers in seen else None
        if frame is None:
            if time.monotonic() > worker.until:
                raise _Late
            return _NOTHING
        letter, body = frame
        if letter == b"a":
            found = decoded(body, task.kind)
        else:
            found = rebuilt(decoded(body, Raised), task.paths[0])
        if worker.is_sound and not isinstance(found, (Stopped, RuntimeError)):
            self._idle.append(worker)
        else:
            worker.end()  # whatever state it is in now
        return found

    def _ended(self, worker: Worker, doing: _Doing, failure: Exception) -> ArtifactError:
        """What is to be said where a worker ended, or is ended now. Raises NotIsolated."""
        del self._busy[worker]
        code = worker.end(GOING_SECONDS if isinstance(failure, Unreadable) else 0)
        said, path = worker.words.text(), doing.task.paths[0]
        if not worker.is_ready:
            why = "it does not start" if code is None else reason(code, said)
            raise NotIsolated(f"no process of its own to read in: {why}; --no-isolate does without")
        if isinstance(failure, _Late):
            return _too_slow(path, doing.seconds, self._limits)
        return _blamed(code, said, path, doing.seconds, self._limits)

    @staticmethod
    def _end(workers: list[Worker] | dict[Worker, _Doing]) -> None:
        for worker in tuple(workers):
            worker.end()
        workers.clear()


def _too_slow(path: str, seconds: float, limits: Limits) -> TimedOut:
    return TimedOut(
        f"reading it took longer than {seconds:,.0f} seconds, and was stopped; "
        f"--limit seconds={2 * limits.seconds} allows more",
        path,
    )


def _blamed(
    code: int | None, said: str, path: str, seconds: float, limits: Limits
) -> ArtifactError:
    """What became of a worker that ended, or sent what cannot be read. code: None where it had to
    be ended.
    """
    if code is None:
        return Crashed("what read it sent an answer that cannot be read", path)
    how = how_it_ended(code)
    if how == "SIGXCPU":
        return _too_slow(path, seconds, limits)
    if is_starved(said) or how == "SIGKILL":  # the system's own way when memory is short
        return OutOfMemory(too_large(limits), path)
    if code >= 0:
        return Crashed(f"what read it ended without an answer: {reason(code, said)}", path)
    who = "the HDF5 library" if _HDF5 in said else "what read it"
    return Crashed(f"{who} crashed on this file ({how})", path)


def show(
    paths: Sequence[str],
    options: Mapping[str, Any],
    limits: Limits,
    progress: Progress | None,
) -> Iterator[ArtifactReport]:
    """What `api.show` says of each, one that ended its worker too. options: its own, by name."""
    from inspector.assemble import build_unreadable
    from inspector.report import Report

    tasks = (Task("show", Report, (path,), {"paths": path, **options}, progress) for path in paths)
    with Workers(limits) as workers:
        for path, found in zip(paths, workers.each(tasks), strict=True):
            if isinstance(found, ArtifactError):
                yield build_unreadable(path, found)
            elif isinstance(found, Exception):
                raise found
            else:
                yield from found.artifacts


def one(
    name: str,
    kind: type[Answer],
    paths: tuple[str, ...],
    arguments: Mapping[str, Any],
    limits: Limits,
    progress: Progress | None = None,
) -> Answer:
    """One call in a worker that is started for it. See `Workers.call`."""
    with Workers(limits) as workers:
        return workers.call(name, kind, paths, arguments, progress)


class Looker:
    """`api.look` in workers."""

    def __init__(self, workers: Workers, limits: Limits) -> None:
        self._workers = workers
        self._limits = limits

    def __call__(
        self,
        wanted: AllWanted,
        *,
        against: str | None,
        measure: bool,
        pictures: bool = False,
        digest: bool = False,
        jobs: int | None,
        progress: Progress | None,
    ) -> Answers:
        """What the rules say of each artifact as it is done, that it ended its worker too.

        jobs: how many are looked at side by side, None for one a processor.
        """
        # What several threads measure of one is measured of several by as many in all.
        jobs = min(jobs or processors(), len(wanted))
        threads = None if jobs == 1 else max(processors() // jobs, 1)
        how = {
            "against": against,
            "measure": measure,
            "pictures": pictures,
            "digest": digest,
            "threads": threads,
        }
        with _watching(progress, wanted) as watch:

            def tasks() -> Iterator[tuple[tuple[Wanted, Progress | None], Task]]:
                for one in wanted:
                    at = watch(one)
                    yield (one, at), look_task(one, how, at)

            for (one, at), looked in self._workers.as_done(tasks(), jobs):
                if isinstance(at, Part):
                    at.close()
                yield one, judged(one, looked, self._limits, against)


def judged(
    wanted: Wanted, looked: Any, limits: Limits, against: str | None = None
) -> Looked | None:
    """What came of a `look_task`: that it ended its worker is a finding. Raises what is of the
    original, or a bug.
    """
    if not isinstance(looked, Exception):
        found: Looked | None = looked
        return found
    if not isinstance(looked, ArtifactError if against is None else Stopped):
        raise looked
    from inspector.auditing.rule import Context
    from inspector.auditing.rules import RULES
    from inspector.auditing.session import sum_up

    context = Context(wanted.path, wanted.policy, error=looked, limits=limits)
    return sum_up(context, RULES, wanted.today)


def look_task(
    wanted: Wanted,
    how: Mapping[str, Any],
    progress: Progress | None = None,
    nbytes: int | None = None,
) -> Task:
    """The call that looks at an artifact. how: the rest of its arguments, by name; nbytes: of its
    files, where that is known.
    """
    from inspector.auditing.session import Looked

    arguments = {
        "path": wanted.path,
        "policy": msgspec.to_builtins(wanted.policy),
        "today": wanted.today.isoformat(),
        "may_be_no_model": wanted.may_be_no_model,
        **how,
    }
    against = how["against"]
    paths = (wanted.path,) if against is None else (wanted.path, against)
    return Task("look", Looked | None, paths, arguments, progress, nbytes)


@contextlib.contextmanager
def _watching(
    progress: Progress | None, wanted: AllWanted
) -> Iterator[Callable[[Wanted], Progress | None]]:
    """What gives each artifact its progress, as far as anybody watches."""
    if progress is None or isinstance(progress, Silent):
        yield lambda _: None
    elif len(wanted) == 1:
        yield lambda _: progress
    else:
        with together(progress, sum(map(artifact_bytes, wanted.paths))) as part:
            yield lambda one: part(artifact_bytes(one.path))
