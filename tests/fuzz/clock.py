"""A deadline that holds in C too, and counts the process' own time: others may be busy here."""

from __future__ import annotations

import contextlib
import faulthandler
import resource
import signal
from collections.abc import Iterator

ADDRESSES = 4 << 30  # bytes: who sets aside what a file merely declares is told by this


def bounded() -> None:
    """Bound this process: its addresses; where it is when it dies goes to stderr."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    faulthandler.enable()
    # Writes where we are, then does what the signal does by default: it ends the process.
    faulthandler.register(signal.SIGPROF, chain=True)


@contextlib.contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """End the process by SIGPROF where what is inside takes longer, in seconds of its processor.

    None: as long as it takes.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def hung(code: int) -> bool:
    """Whether a process of that exit code was ended by its deadline."""
    return code == -signal.SIGPROF
