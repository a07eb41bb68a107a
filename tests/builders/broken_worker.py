"""A worker to which artifacts of some names do what broken files may do to libhdf5, and worse.

`PROGRAM` starts it in place of `inspector.isolation.PROGRAM`. "segv-1.h5" dies of SIGSEGV, and so
on by the table `DEEDS`; all others are read as ever.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from inspector import read, worker
from inspector.exchange import frame
from inspector.limits import Limits
from inspector.storage import ByteSource, SourceReader
from inspector.wire import hdf5_library

# What the processes that it starts are called, so that none of them is overlooked.
SLEEPER = "import time; time.sleep(600)  # left by a broken worker"
PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; from tests.builders.broken_worker import main; "
    "main(sys.argv[1])  # a broken worker"
)

_pipe = -1


def main(control: str) -> None:
    serve, reads = worker.serve, read.read

    def serves(pipe: int, parent: int) -> None:
        global _pipe  # noqa: PLW0603
        _pipe = pipe
        serve(pipe, parent)

    def opened(path: str, limits: Limits) -> Any:
        deed = DEEDS.get(os.path.basename(path).split("-")[0])
        if deed is not None:
            deed()
        return reads(path, limits)

    worker.serve, read.read = serves, opened
    worker.main(control)


def deaf(control: str) -> None:
    """Workers that say they are ready, and never look at what they are asked."""

    def serves(pipe: int, _parent: int) -> None:
        os.write(pipe, frame(b"r", b""))
        time.sleep(600)

    worker.serve = serves
    worker.main(control)


def _dies_of(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def _hangs() -> None:
    # In C, which looks after no signal and lets no thread run.
    sum(itertools.repeat(0))


def _grows() -> None:
    held = []
    while True:
        held.append(bytearray(64 << 20))


def _says(*parts: bytes, then: Callable[[], None] = _hangs) -> Callable[[], None]:
    def deed() -> None:
        for part in parts:
            os.write(_pipe, part)
        then()

    return deed


def _ends_the_cluster_s_worker() -> None:
    """Whoever started what this process was forked from."""
    with open(f"/proc/{os.getppid()}/stat", encoding="ascii") as file:
        os.kill(int(file.read().rpartition(")")[2].split()[1]), signal.SIGKILL)
    _hangs()


def _leaves_a_child() -> None:
    subprocess.Popen([sys.executable, "-c", SLEEPER])
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGSEGV)


def _leaves_a_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 4096)
        _hangs()


def _chatters() -> None:
    os.write(1, b"noise of a C library\n" * 10_000)
    os.write(2, b"noise of a C library\n" * 10_000)


def _marks() -> None:
    with open(os.environ["BROKEN_WORKER_MARK"], "a", encoding="utf-8") as file:
        file.write("x")  # of each of several
    _hangs()


def _unguarded() -> None:
    """What libhdf5 reads is not looked through before it does."""

    class Unguarded(SourceReader):
        def __init__(self, source: ByteSource, _start: int) -> None:
            super().__init__(source)
            self.watching = False

    hdf5_library.HeapGuard = Unguarded


def _dies_in_hdf5() -> None:
    """The first read that libhdf5 asks for ends in SIGSEGV."""

    class Deadly(SourceReader):
        def __init__(self, source: ByteSource, _start: int) -> None:
            super().__init__(source)

        def readinto(self, buffer: memoryview) -> int:
            os.kill(os.getpid(), signal.SIGSEGV)
            return 0

    hdf5_library.HeapGuard = Deadly


def _no_more() -> None:
    os.close(_pipe)
    _hangs()


def _is_a_bug() -> None:
    raise KeyError("\x1b[31mours")


DEEDS: dict[str, Callable[[], None]] = {
    "segv": _dies_of(signal.SIGSEGV),
    "bus": _dies_of(signal.SIGBUS),
    "abort": os.abort,
    "killed": _dies_of(signal.SIGKILL),
    "exits": lambda: os._exit(7),
    "hangs": _hangs,
    "grows": _grows,
    "garbage": _says(b"\xff" * 1000),
    "oversized": _says(b"a" + (1 << 62).to_bytes(8, "little")),
    "half": _says(frame(b"a", b"x" * 100)[:50], then=lambda: os._exit(0)),
    "half and hangs": _says(frame(b"a", b"x" * 100)[:50]),
    "other type": _says(frame(b"a", b'{"artifacts": 1}')),
    "no json": _says(frame(b"a", b"{]")),
    "deep": _says(frame(b"a", b"[" * 100_000)),
    "no error": _says(frame(b"e", b'{"kind": ["x"]}')),
    "odd error": _says(frame(b"e", b'{"kind": "DEFAULT", "message": "x"}')),
    "steps": _says(frame(b"p", b'{"step": "advance", "nbytes": -1}') * 10, then=lambda: None),
    "closes": _no_more,
    "child": _leaves_a_child,
    "file": _leaves_a_file,
    "chatters": _chatters,
    "marks": _marks,
    "bug": _is_a_bug,
    "unguarded": _unguarded,
    "in hdf5": _dies_in_hdf5,
    "cluster": _ends_the_cluster_s_worker,
}
