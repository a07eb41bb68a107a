"""Artifacts read in a process of their own: what kills it, or hangs in it, is one error here.

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
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Self

import msgspec

from inspector.allowance import artifact_bytes
from inspector.errors import (
    ArtifactError,
    Crashed,
    OutOfMemory,
    Stopped,
    TimedOut,
    UsageError,
)
from inspector.exchange import HEADER, Job, Raised, Step, rebuilt, too_large
from inspector.limits import Limits
from inspector.process import LastWords, end, how_it_ended, is_starved, reason, watched
from inspector.typed_json import Answer, decode, encode

if TYPE_CHECKING:
    import datetime as dt

    from inspector.auditing.policy import Policy
    from inspector.auditing.session import Looked
    from inspector.examine import Progress
    from inspector.report import ArtifactReport

# The worker imports what this process would: never from the folder that it happens to run in.
PROGRAM = (
    "import sys; sys.path[:] = sys.argv[3:]; from inspector.worker import main; "
    "main(*sys.argv[1:3])"
)
# faulthandler says what a crash was in; with an arena for each thread of a large machine, glibc
# reserves GiB of addresses, which are counted.
_SETTINGS = {"PYTHONFAULTHANDLER": "1", "MALLOC_ARENA_MAX": "4", "PYTHONIOENCODING": "utf-8"}
_HDF5 = os.path.join("inspector", "wire", "hdf5")  # in the path of what calls libhdf5

_START_SECONDS = 60.0  # to import what it needs, on a busy machine
_GOING_SECONDS = 2.0  # that a worker gets to come to an end by itself
_READ_BYTES = 1 << 20
_SMALL = 1 << 20  # all frames but an answer


class NotIsolated(UsageError):
    """There can be no process of its own here."""


class _Unreadable(Exception):
    """The worker sent what is none of the above, or nothing more."""


class _Late(Exception):
    """The time was up."""


def available() -> bool:
    """Whether this system has what keeps a process within limits (Windows has not)."""
    return os.name == "posix" and importlib.util.find_spec("resource") is not None


class Workers:
    """One worker after another, each until it dies. A context manager that leaves none behind.

    One call at a time. The first is started at once, so that it is ready when it is needed.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._stack = contextlib.ExitStack()
        self._worker: _Worker | None = None

    def __enter__(self) -> Self:
        if not available():
            raise NotIsolated("this system keeps no process within limits: nothing is isolated")
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _start(self) -> _Worker:
        self._worker = self._stack.enter_context(_started())
        return self._worker

    def _end(self) -> None:
        self._worker = None
        self._stack.close()

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
        nbytes = sum(map(artifact_bytes, paths))
        seconds = self._limits.seconds_for(nbytes)
        job = Job(
            name,
            paths[0],
            dict(arguments),
            dataclasses.asdict(self._limits),
            nbytes,
            seconds,
            progress is not None,
        )
        worker = self._worker or self._start()
        try:
            worker.wait_until_ready()
            letter, body = worker.ask(job, self._limits.report_bytes, progress)
            if letter == b"a":
                return _decoded(body, kind)
            error = rebuilt(_decoded(body, Raised), paths[0])
        except BaseException as failure:
            ended = self._ended(worker, failure, paths[0], seconds)
            if ended is failure:
                raise
            raise ended from None
        if isinstance(error, (Stopped, RuntimeError)):
            self._end()  # whatever state it is in now
        raise error

    def _ended(
        self, worker: _Worker, error: BaseException, path: str, seconds: float
    ) -> BaseException:
        """What to raise in place of an error that ended the worker; the worker is gone then."""
        code = worker.code() if isinstance(error, _Unreadable) else None
        self._end()
        if isinstance(error, _Late):
            return _too_slow(path, seconds, self._limits)
        if not isinstance(error, _Unreadable):
            return error
        return _blamed(code, worker.words.text(), path, seconds, self._limits)


class _Worker:
    """A worker that runs: what it is sent, and what it sends."""

    def __init__(
        self, process: subprocess.Popen[bytes], jobs: int, answers: int, words: LastWords
    ) -> None:
        self._process = process
        self._jobs = jobs
        self._answers = answers
        self.words = words
        self._ready = False

    def wait_until_ready(self) -> None:
        """Wait for its imports. Raises NotIsolated where it dies of them."""
        if self._ready:
            return
        try:
            letter, _ = self._receive(time.monotonic() + _START_SECONDS, 0)
        except (_Late, _Unreadable):
            code = self.code()
            why = "it does not start" if code is None else reason(code, self.words.text())
            raise NotIsolated(
                f"no process of its own to read in: {why}; --no-isolate does without"
            ) from None
        self._ready = letter == b"r"

    def ask(self, job: Job, most: int, progress: Progress | None) -> tuple[bytes, bytearray]:
        """The frame that answers. most: bytes of an answer."""
        # Where it looks at the clock itself, it is the first to say what took so long.
        until = time.monotonic() + job.seconds + _GOING_SECONDS
        self._write(encode(job) + b"\n", until)
        steps = _Steps(progress)
        try:
            while True:
                letter, body = self._receive(until, most)
                if letter in (b"a", b"e"):
                    return letter, body
                steps.take(_decoded(body, Step))
        finally:
            steps.close()

    def code(self) -> int | None:
        """How it ended by itself; None where it does not."""
        try:
            code = self._process.wait(_GOING_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        end(self._process)  # whatever it started, and that may hold on to its stderr
        self.words.finish()
        return code

    def _receive(self, until: float, most: int) -> tuple[bytes, bytearray]:
        """A frame's letter and body. most: bytes of an answer. Raises _Late, _Unreadable."""
        header = self._read(HEADER, until)
        letter, size = bytes(header[:1]), int.from_bytes(header[1:], "little")
        if letter not in (b"r", b"p", b"e", b"a") or size > (most if letter == b"a" else _SMALL):
            raise _Unreadable
        return letter, self._read(size, until)

    def _read(self, size: int, until: float) -> bytearray:
        read = bytearray()  # no more than has come, whatever size is claimed
        while len(read) < size:
            _wait(self._answers, select.POLLIN, until)
            part = os.read(self._answers, min(size - len(read), _READ_BYTES))
            if not part:
                raise _Unreadable
            read += part
        return read

    def _write(self, text: bytes, until: float) -> None:
        rest = memoryview(text)
        while rest:
            _wait(self._jobs, select.POLLOUT, until)
            try:
                rest = rest[os.write(self._jobs, rest) :]
            except OSError:
                raise _Unreadable from None


def _wait(pipe: int, what: int, until: float) -> None:
    """Wait for a pipe to be ready. Raises _Late."""
    ready = select.poll()
    ready.register(pipe, what)
    left = until - time.monotonic()
    if left <= 0 or not ready.poll(left * 1000):
        raise _Late


class _Steps:
    """Tells a progress what a worker says, in an order that makes sense whatever it says."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._is_open = False

    def take(self, step: Step) -> None:
        if self._progress is None:
            return
        if step.step == "start" and not self._is_open:
            self._progress.start(max(step.nbytes, 0))
            self._is_open = True
        elif step.step == "advance" and self._is_open:
            self._progress.advance(max(step.nbytes, 0))
        elif step.step == "finish":
            self.close()

    def close(self) -> None:
        if self._progress is not None and self._is_open:
            self._progress.finish()
        self._is_open = False


@contextlib.contextmanager
def _started() -> Iterator[_Worker]:
    """A worker that is gone, with all it started, when this is left."""
    ours, its = os.pipe()
    # Nothing is ever written to it: it closes when this process is gone, however that went.
    watched_end, held_end = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - the Python that runs this
            [sys.executable, "-P", "-c", PROGRAM, str(its), str(watched_end), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=(its, watched_end),
            env={**os.environ, **_SETTINGS},
            start_new_session=True,
        )
    except OSError as error:
        os.close(ours)
        os.close(held_end)
        raise NotIsolated(f"no process of its own to read in: {error.strerror}") from error
    finally:
        os.close(its)
        os.close(watched_end)
    try:
        with watched(process) as words, _piped(process) as jobs:
            yield _Worker(process, jobs.fileno(), ours, words)
    finally:
        os.close(ours)
        os.close(held_end)


def _piped(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise ValueError("stdin must be a pipe")
    os.set_blocking(process.stdin.fileno(), False)
    return process.stdin


def _decoded(body: bytearray, kind: type[Answer]) -> Answer:
    try:
        return decode(body, kind)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        raise _Unreadable from None


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

    with Workers(limits) as workers:
        for path in paths:
            try:
                asked = {"paths": path, **options}
                (shown,) = workers.call("show", Report, (path,), asked, progress).artifacts
            except ArtifactError as error:
                shown = build_unreadable(path, error)
            yield shown


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
        path: str,
        *,
        policy: Policy,
        today: dt.date,
        may_be_no_model: bool,
        against: str | None,
        measure: bool,
        progress: Progress | None,
    ) -> Looked | None:
        """What the rules say of the artifact, that it ended its worker too."""
        from inspector.auditing.rule import Context
        from inspector.auditing.rules import RULES
        from inspector.auditing.session import Looked, sum_up

        arguments = {
            "path": path,
            "policy": msgspec.to_builtins(policy),
            "today": today.isoformat(),
            "may_be_no_model": may_be_no_model,
            "against": against,
            "measure": measure,
        }
        paths = (path,) if against is None else (path, against)
        kind: Any = Looked | None
        try:
            found: Looked | None = self._workers.call("look", kind, paths, arguments, progress)
        except ArtifactError as error:
            if against is not None and not isinstance(error, Stopped):
                raise  # of the original
            context = Context(path, policy, error=error, limits=self._limits)
            return sum_up(context, RULES, today)
        return found
