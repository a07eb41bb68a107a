"""The process that `isolation` reads artifacts in: asked on stdin, answering on a pipe.

Nothing is written to stdout, where C libraries may write, and what comes on stderr is kept by the
parent for its last words. It dies with its parent, also when it hangs in C.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from inspector import api
from inspector.errors import LimitExceeded, OutOfMemory
from inspector.examine import Progress
from inspector.exchange import Job, Step, frame, told, too_large
from inspector.limits import Limits
from inspector.typed_json import decode, encode

if TYPE_CHECKING:
    from inspector.auditing.session import Looked

_TOLD_BYTES = 1 << 20  # progress is told in steps so large


def _look(*, policy: dict[str, Any], today: str, **arguments: Any) -> Looked | None:
    from inspector.auditing.look import look
    from inspector.auditing.policy import Policy

    return look(
        policy=msgspec.convert(policy, Policy), today=dt.date.fromisoformat(today), **arguments
    )


# What can be asked. Each takes `limits`; what it returns is of types that msgspec knows.
CALLS: Mapping[str, Callable[..., Any]] = {
    "show": api.show,
    "explain": api.explain,
    "reconcile": api.reconcile,
    "diff": api.diff,
    "look": _look,
}
_WITHOUT_PROGRESS = frozenset({"explain"})


class _Answers:
    """The pipe to the parent, as a progress too. Threads may share it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._untold = 0

    def send(self, letter: bytes, body: bytes = b"") -> None:
        """One frame. Raises OSError where nobody reads it any more."""
        with self._lock:
            self._write(memoryview(frame(letter, body)))

    def _write(self, rest: memoryview) -> None:
        while rest:
            rest = rest[os.write(self._pipe, rest) :]

    def start(self, nbytes: int) -> None:
        self._tell(Step("start", nbytes))

    def advance(self, nbytes: int) -> None:
        with self._lock:
            self._untold += nbytes
            untold = self._untold
            if untold < _TOLD_BYTES:
                return
            self._untold = 0
        self._tell(Step("advance", untold))

    def finish(self) -> None:
        self._untold = 0
        self._tell(Step("finish"))

    def _tell(self, step: Step) -> None:
        self.send(b"p", encode(step))


def main(pipe: str, parent: str) -> None:
    """Answer what is asked until nobody asks any more.

    pipe: number of the one to answer on; parent: of the one that closes when the parent is gone.
    """
    answers = _Answers(int(pipe))
    with contextlib.suppress(BrokenPipeError):
        _die_with(int(parent))
        warm()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answers.send(b"r")
        for line in iter(sys.stdin.buffer.readline, b""):
            answers.send(*answered(decode(line, Job), answers))


def warm() -> None:
    """Import what every artifact needs, while the parent does something else."""
    import h5py  # noqa: F401
    import ml_dtypes  # noqa: F401

    import inspector.measure
    import inspector.read
    import inspector.ties  # noqa: F401


def answered(job: Job, progress: Progress) -> tuple[bytes, bytes]:
    """The frame that answers a job."""
    limits = msgspec.convert(job.limits, Limits)
    try:
        confine(job, limits)
        arguments = dict(job.arguments)
        if job.watched and job.call not in _WITHOUT_PROGRESS:
            arguments["progress"] = progress
        body = encode(CALLS[job.call](**arguments, limits=limits))
        if len(body) > limits.report_bytes:
            raise LimitExceeded("report_bytes", len(body), limits.report_bytes, job.path)
    except MemoryError:
        return b"e", told(OutOfMemory(too_large(limits), job.path))
    except Exception as error:  # noqa: BLE001 - it is the parent's to raise
        return b"e", told(error)
    return b"a", body


def confine(job: Job, limits: Limits) -> None:
    """Set the system's own limits for one job: addresses, processor time, bytes of files written.

    Soft ones, since the next job has others: they hold against what runs away, and not against
    code that runs.
    """
    taken = _addresses()
    if taken is not None:
        _soft(resource.RLIMIT_AS, taken + limits.worker_bytes + job.nbytes)
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    threads = os.cpu_count() or 1
    _soft(resource.RLIMIT_CPU, int(used + job.seconds * threads) + 1)
    # What is inflated goes to temporary files.
    _soft(resource.RLIMIT_FSIZE, limits.inflated_bytes)


def _soft(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with contextlib.suppress(OSError, ValueError):  # not every system has each
        resource.setrlimit(which, (value, hard))


def _addresses() -> int | None:
    """Bytes of addresses that this process takes now; None where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None


def _die_with(parent: int) -> None:
    """From now on the system ends this process when its parent is gone, when it hangs in C too.

    parent: a pipe that the parent holds the other end of and never writes to. The one thing that
    can happen to it is that it closes, and then SIGIO comes, which ends whatever runs.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(parent, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(parent, fcntl.F_SETFL, fcntl.fcntl(parent, fcntl.F_GETFL) | os.O_ASYNC)
    watch = select.poll()
    watch.register(parent, select.POLLHUP)
    if watch.poll(0):
        raise BrokenPipeError  # it was gone before
