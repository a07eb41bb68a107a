"""The process that workers are forked from: it has imported what they need, once for all of them.

It reads no artifact and runs one thread, so that it can be forked at any moment, and it is the
parent of the workers: only it can bury them. `worker.py` is what runs in it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator

from inspector.errors import UsageError
from inspector.process import LastWords, reason, watched

# What it is asked, and answers, are a letter and a number, the least significant byte first.
FORK, BURY, ENDED = b"f", b"b", b"e"  # ENDED: it had to be
MESSAGE = 9  # bytes
STREAMS = 4  # that come along with FORK: jobs, answers, stderr, the one that closes with the parent

# faulthandler says what a crash was in; with an arena for each thread of a large machine, glibc
# reserves GiB of addresses, which are counted; what has threads cannot be forked, and OpenBLAS
# would start some.
_SETTINGS = {
    "PYTHONFAULTHANDLER": "1",
    "MALLOC_ARENA_MAX": "4",
    "PYTHONIOENCODING": "utf-8",
    "OPENBLAS_NUM_THREADS": "1",
}
_START_SECONDS = 60.0  # to import what it needs, on a busy machine
_GOING_SECONDS = 2.0  # that it gets to come to an end by itself


class NotIsolated(UsageError):
    """There can be no process of its own here."""


def message(letter: bytes, number: int) -> bytes:
    """What is asked, or answered."""
    return letter + number.to_bytes(MESSAGE - 1, "little", signed=True)


def number_of(said: bytes) -> int:
    """The number of a message."""
    return int.from_bytes(said[1:], "little", signed=True)


class Template:
    """One that runs, and may not have finished its imports yet. has_forked: whether it ever has."""

    def __init__(
        self, process: subprocess.Popen[bytes], control: socket.socket, words: LastWords
    ) -> None:
        self._process = process
        self._control = control
        self._words = words
        self.has_forked = False

    def fork(self, *streams: int) -> int:
        """Fork a worker that has these `STREAMS`, and give its number. Raises NotIsolated."""
        with contextlib.suppress(OSError):
            socket.send_fds(self._control, [message(FORK, 0)], streams)
            said = self._said(_START_SECONDS)
            if said is not None:
                self.has_forked = True
                return number_of(said)
        raise NotIsolated(
            f"no process of its own to read in: {self._why()}; --no-isolate does without"
        )

    def bury(self, worker: int, seconds: float = 0) -> int | None:
        """End a worker and all that it started. seconds: that it gets to end by itself, and then
        this is its code, as `Popen.returncode` has it.
        """
        with contextlib.suppress(OSError):
            milliseconds = int(seconds * 1000)
            self._control.sendall(message(BURY, worker) + message(BURY, milliseconds))
            said = self._said(seconds + _START_SECONDS)
            if said is not None and said[:1] == BURY:
                return number_of(said)
        return None

    def _said(self, seconds: float) -> bytes | None:
        """What it answers; None where it is gone, or takes too long."""
        said = b""
        while len(said) < MESSAGE:
            ready = select.poll()
            ready.register(self._control, select.POLLIN)
            part = self._control.recv(MESSAGE - len(said)) if ready.poll(seconds * 1000) else b""
            if not part:
                return None
            said += part
        return said

    def _why(self) -> str:
        try:
            code = self._process.wait(_GOING_SECONDS)
        except subprocess.TimeoutExpired:
            return "it does not start"
        self._words.finish()
        return reason(code, self._words.text())


@contextlib.contextmanager
def started(program: str) -> Iterator[Template]:
    """A template that is gone when this is left. program: run with the number of its socket and
    the folders that this process imports from.
    """
    ours, its = socket.socketpair()
    with ours, its:
        try:
            process = subprocess.Popen(  # noqa: S603 - the Python that runs this
                [sys.executable, "-P", "-c", program, str(its.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(its.fileno(),),
                env={**os.environ, **_SETTINGS},
                start_new_session=True,
            )
        except OSError as error:
            raise NotIsolated(f"no process of its own to read in: {error.strerror}") from error
        its.close()
        with watched(process) as words:
            yield Template(process, ours, words)
