"""What a process may take: a deadline that holds in C too, addresses; and how much it took.

Time is the process' own: others may be busy on the same machine.
"""

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


def peak() -> int:
    """KiB of memory that this process took at its largest; a parent's are not among them."""
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1])


def hung(code: int) -> bool:
    """Whether a process of that exit code was ended by its deadline."""
    return code == -signal.SIGPROF
