"""A worker as its parent sees it: what it is asked, and what comes of it, as far as it came.

Nothing here waits for a worker: whoever asks several looks at all of them at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from inspector.examine import Progress
from inspector.exchange import HEADER, Job, Step
from inspector.process import LastWords
from inspector.template import Template
from inspector.typed_json import Answer, decode, encode

_START_SECONDS = 60.0  # to be ready, on a busy machine
GOING_SECONDS = 2.0  # that a worker gets to come to an end by itself
_READ_BYTES = 1 << 20
_SMALL = 1 << 20  # all frames but an answer


class Task(NamedTuple):
    """A call of `worker.CALLS` by its name, which gives a `kind` that msgspec knows.

    paths: the artifacts, the first of which is blamed; nbytes: of all their files, None to look;
    folder: that the paths start in, where it is not the one of this process.
    """

    name: str
    kind: Any
    paths: tuple[str, ...]
    arguments: dict[str, Any]
    progress: Progress | None = None
    nbytes: int | None = None
    folder: str | None = None


class Unreadable(Exception):
    """The worker sent what is none of its frames, or nothing more."""


class Worker:
    """One that runs, and does one job at a time, until `end`.

    jobs, answers: numbers of the pipes to it and from it. until: when its time is up, of the
    monotonic clock. is_ready: whether it ever came so far as to look for jobs. Raises NotIsolated.
    """

    def __init__(self, template: Template) -> None:
        self._template = template
        self.until = 0.0
        self.is_ready = False
        self._unsent = memoryview(b"")
        self._came = bytearray()
        self._seconds = 0.0
        self._most = 0
        self._steps = Steps(None)
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
            its_jobs, self.jobs = _pipe(its, ours)
            self.answers, its_answers = _pipe(ours, its)
            errors, its_errors = os.pipe()
            its.callback(os.close, its_errors)
            self.words = LastWords(os.fdopen(errors, "rb", buffering=0))
            # Nothing is ever written to it: it closes when this process is gone, however it went.
            its_parent, _ = _pipe(its, ours)
            os.set_blocking(self.jobs, False)
            self._number = template.fork(its_jobs, its_answers, its_errors, its_parent)
            its.close()
            self._ends = ours.pop_all()

    @property
    def is_telling(self) -> bool:
        """Whether there is more of a job to be sent."""
        return bool(self._unsent)

    @property
    def is_sound(self) -> bool:
        """Whether nothing came but what it was asked."""
        return not self._came

    def end(self, seconds: float = 0) -> int | None:
        """Let nothing of it be left. The code that it ended with by itself within so many seconds,
        as `Popen.returncode` has it.
        """
        with self._ends:
            self._steps.close()
            code = self._template.bury(self._number, seconds)
            self.words.finish()
            return code

    def kill(self) -> None:
        """Let it come to an end, whatever it does, and be found so by whoever listens."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._number, signal.SIGKILL)

    def ask(self, job: Job, most: int, progress: Progress | None) -> None:
        """Begin a job. most: bytes of its answer."""
        self._unsent = memoryview(encode(job) + b"\n")
        # Where it looks at the clock itself, it is the first to say what took so long.
        self._seconds = job.seconds + GOING_SECONDS
        self._most = most
        self._steps = Steps(progress)
        self._allow(self._seconds if self.is_ready else _START_SECONDS)

    def _allow(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    def tell(self) -> None:
        """Send what it takes of the job. Raises Unreadable."""
        try:
            self._unsent = self._unsent[os.write(self.jobs, self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            raise Unreadable from None

    def hear(self) -> tuple[bytes, bytearray] | None:
        """Take in what came: the letter and body of the answer, once it is whole.

        Raises Unreadable.
        """
        part = os.read(self.answers, _READ_BYTES)
        if not part:
            raise Unreadable
        self._came += part
        for letter, body in self._frames():
            if letter == b"r":
                self.is_ready = True
                self._allow(self._seconds)
            elif letter == b"p":
                self._steps.take(decoded(body, Step))
            else:
                self._steps.close()
                return letter, body
        return None

    def _frames(self) -> Iterator[tuple[bytes, bytearray]]:
        """The frames that are whole."""
        came = self._came
        while len(came) >= HEADER:
            letter, size = bytes(came[:1]), int.from_bytes(came[1:HEADER], "little")
            most = self._most if letter == b"a" else _SMALL
            if letter not in (b"r", b"p", b"e", b"a") or size > most:
                raise Unreadable
            if len(came) < HEADER + size:
                return
            body = came[HEADER : HEADER + size]
            del came[: HEADER + size]
            yield letter, body


def decoded(body: bytearray, kind: type[Answer]) -> Answer:
    """What a frame holds. Raises Unreadable."""
    try:
        return decode(body, kind)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        raise Unreadable from None


class Steps:
    """Tells a progress what a worker says, in an order that makes sense whatever it says."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._is_open = False

    def take(self, step: Step) -> None:
        """One thing that it said."""
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
        """It says no more."""
        if self._progress is not None and self._is_open:
            self._progress.finish()
        self._is_open = False


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed as these are left."""
    reads, writes = os.pipe()
    reader.callback(os.close, reads)
    writer.callback(os.close, writes)
    return reads, writes
