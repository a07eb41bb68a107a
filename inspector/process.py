"""A process that may die or hang: its last words kept, and no trace of it left."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import IO

_KEPT = 64 << 10  # of stderr: the last words of a process
PATIENCE = 5.0  # seconds that a process gets to go once it is killed

_TELLING = re.compile(
    r"terminate called|what\(\):|Fatal Python error|Check failed|\w*(?:Error|Exception)\b|error:"
)
_STARVED = re.compile(
    r"bad_alloc|MemoryError|[Cc]annot allocate memory|[Mm]emory allocation|ResourceExhausted"
    r"|[Oo]ut of memory|can't start new thread|failed to map segment"
)


class LastWords:
    """The end of a stream, read as it comes so that nobody waits for it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._stream.fileno(), _KEPT):
                self._kept = (self._kept + chunk)[-_KEPT:]

    def text(self) -> str:
        """What was said last."""
        return self._kept.decode("utf-8", "replace")

    def finish(self) -> None:
        """Wait until all is read, for a while."""
        self._thread.join(PATIENCE)
        if not self._thread.is_alive():
            self._stream.close()


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def watched(process: subprocess.Popen[bytes]) -> Iterator[LastWords]:
    """The process, and whatever it started in its session, are gone when this is left."""
    if process.stderr is None:
        raise ValueError("stderr must be a pipe")
    words = LastWords(process.stderr)
    try:
        yield words
    finally:
        end(process)
        words.finish()


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the session that the process leads; it has no other members than what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)


def how_it_ended(code: int) -> str:
    """In a word: "SIGSEGV", "exit code 1". code: as `Popen.returncode` has it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def reason(code: int, said: str) -> str:
    """In one line: how it ended, and the last thing it said that looks like an error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    word = (telling or lines or [""])[-1]
    how = how_it_ended(code)
    return f"{how}: {word}" if word else how


def is_starved(said: str) -> bool:
    """Whether its last words are those of a process that got no more memory."""
    return _STARVED.search(said) is not None
