"""The processes that `isolation` reads artifacts in: asked on stdin, answering on a pipe.

Nothing is written to stdout, where C libraries may write, and what comes on stderr is kept by the
parent for its last words. They die with the parent, also when they hang in C. Each is forked from
one that reads nothing (`template.py`), which costs a hundredth of starting it anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fcntl
import gc
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from inspector import api, deadline
from inspector.errors import LimitExceeded, OutOfMemory
from inspector.examine import Progress
from inspector.exchange import Job, Step, frame, told, too_large
from inspector.filesystem import close_doors, open_doors, unanswered
from inspector.limits import Limits
from inspector.process import PATIENCE
from inspector.template import BURY, ENDED, FORK, MESSAGE, STREAMS, message, number_of
from inspector.typed_json import decode, encode

if TYPE_CHECKING:
    from inspector.auditing.session import Looked
    from inspector.parts import MeasuredPart, Survey

_TOLD_BYTES = 1 << 20  # progress is told in steps so large
_LOOK_SECONDS = 0.005  # between two looks whether a worker has ended


def _look(
    *,
    policy: dict[str, Any],
    today: str,
    measured: Sequence[Any] = (),
    **arguments: Any,
) -> Looked | None:
    from inspector.auditing.look import look
    from inspector.auditing.policy import Policy
    from inspector.parts import MeasuredPart

    before = unanswered()
    found = look(
        policy=msgspec.convert(policy, Policy),
        today=dt.date.fromisoformat(today),
        measured=msgspec.convert(measured, tuple[MeasuredPart, ...]),
        **arguments,
    )
    if found is None or unanswered() == before:
        return found
    return dataclasses.replace(found, lasts=False)


def _survey(**arguments: Any) -> Survey:
    from inspector.parts import survey

    return survey(**arguments)


def _measure_part(**arguments: Any) -> MeasuredPart:
    from inspector.parts import measure_part

    return measure_part(**arguments)


# What can be asked. Each takes `limits`; what it returns is of types that msgspec knows.
CALLS: Mapping[str, Callable[..., Any]] = {
    "show": api.show,
    "explain": api.explain,
    "reconcile": api.reconcile,
    "diff": api.diff,
    "look": _look,
    "survey": _survey,
    "measure_part": _measure_part,
}
_WITHOUT_PROGRESS = frozenset({"explain", "survey"})


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


def main(control: str) -> None:
    """Fork a worker whenever one is asked for, until nobody asks any more.

    control: number of the socket that `template.Template` asks on.
    """
    with socket.socket(fileno=int(control)) as asked, contextlib.suppress(ConnectionError):
        if sys.platform != "darwin":  # whose own libraries cannot be forked once they are loaded
            warm()
        gc.collect()
        gc.freeze()  # workers share what is there, as long as nobody touches it
        while True:
            said, streams, *_ = socket.recv_fds(asked, MESSAGE, STREAMS)
            if len(said) < MESSAGE:
                return
            if said[:1] == FORK:
                asked.sendall(message(FORK, _forked(asked, streams)))
            else:
                seconds = number_of(asked.recv(MESSAGE)) / 1000
                asked.sendall(_buried(number_of(said), seconds))


def _forked(asked: socket.socket, streams: Sequence[int]) -> int:
    """The number of a new worker."""
    worker = os.fork()
    if worker == 0:
        asked.close()
        _work(*streams)
    for stream in streams:
        os.close(stream)
    return worker


def _buried(worker: int, seconds: float) -> bytes:
    """What is answered of a worker that ended, or is ended now, and of all that it started."""
    code = _code(worker, seconds)
    for kill in (os.killpg, os.kill):  # it may not lead a group yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if kill is os.killpg or code is None:
                kill(worker, signal.SIGKILL)
    if code is not None:
        return message(BURY, code)
    _code(worker, PATIENCE)
    return message(ENDED, 0)


def _code(worker: int, seconds: float) -> int | None:
    """How a worker ended, as `Popen.returncode` has it; None where it does not for so long."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ChildProcessError):
            which, status = os.waitpid(worker, os.WNOHANG)
            if which:
                return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(_LOOK_SECONDS)


def _work(jobs: int, answers: int, errors: int, parent: int) -> NoReturn:
    """Be a worker until nobody asks any more."""
    code = 1
    try:
        os.setsid()  # what it starts can be ended with it
        for stream, place in ((jobs, 0), (errors, 2)):
            os.dup2(stream, place)
            os.close(stream)
        for stream in (answers, parent):
            os.set_inheritable(stream, False)
        serve(answers, parent)
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is: what forked it has work of its own
        traceback.print_exc()
    finally:
        os._exit(code)


def serve(pipe: int, parent: int) -> None:
    """Answer what is asked on stdin. pipe: to answer on; parent: closes when the parent is gone."""
    answers = _Answers(pipe)
    with contextlib.suppress(BrokenPipeError), open(0, "rb", closefd=False) as jobs:
        _die_with(parent)
        warm()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answers.send(b"r")
        with deadline.own_process():
            for line in iter(jobs.readline, b""):
                answers.send(*answered(decode(line, Job), answers))


def warm() -> None:
    """Import what every artifact needs."""
    import h5py  # noqa: F401
    import ml_dtypes  # noqa: F401

    import inspector.auditing.look
    import inspector.measure
    import inspector.read
    import inspector.ties  # noqa: F401


def answered(job: Job, progress: Progress) -> tuple[bytes, bytes]:
    """The frame that answers a job."""
    limits = msgspec.convert(job.limits, Limits)
    try:
        open_doors(job.doors, job.known)
        confine(job, limits)
        if job.folder is not None:
            os.chdir(job.folder)
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
    finally:
        close_doors(job.doors, job.known)
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
    # What is inflated goes to temporary files, and copies are kept where somebody wants that.
    _soft(resource.RLIMIT_FSIZE, max(limits.inflated_bytes, job.nbytes))


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
