"""`inspect` of what lies on a server of a test, and what may go wrong there."""

from __future__ import annotations

import os
from pathlib import Path

from tests.builders.servers import Loopback, S3Server, faults
from tests.builders.terminal import Result, call


def serve(server: Loopback, name: str, path: str | Path) -> str:
    """Let a file or folder be had from a server without a copy; its URL. Nothing is counted yet."""
    url = server.lend(name, path) if isinstance(server, S3Server) else server.put(name, path)
    server.forget()
    return url


def inspect(*arguments: str) -> Result:
    """`inspect` in this process, with its whole environment."""
    return call(*arguments, **os.environ)


FOR_EVER = {"times": None}
FEW = ("503", "reset", "clipped")  # what is asked of each storage; of one, all are
FAULTS = {
    "503": faults.status(503),
    "503, later": faults.status(503, retry_after=0.01),
    "429": faults.status(429),
    "500": faults.status(500),
    "reset": faults.reset(),
    "reset at once": faults.reset(0),
    "short": faults.short(),
    "clipped": faults.clipped(),
}
