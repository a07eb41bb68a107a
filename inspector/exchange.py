"""What a worker and its parent say to each other: bounded frames of JSON, held against types.

The parent believes nothing but these types: whoever took a worker over has a report to write, and
no more than that.
"""

from __future__ import annotations

import os
import traceback
from typing import Any, Literal

import msgspec

from inspector import errors
from inspector.errors import ArtifactError, InspectorError, LimitExceeded
from inspector.limits import GIB, Limits
from inspector.remote.doors import Door
from inspector.remote.listing import Fact
from inspector.render.printable import safe
from inspector.typed_json import encode

HEADER = 9  # bytes: a letter, and the size of what follows, the least significant byte first
_TRACE = 8000  # characters of a traceback, and of a message


class Job(msgspec.Struct, frozen=True):
    """What a worker is asked: a call of `worker.CALLS`.

    path: of the artifact, for errors; arguments, limits: by name. nbytes: of the artifacts;
    seconds: that it gets; watched: whether to tell how far it is; doors: what opens its URLs, with
    their secrets, which go by this pipe alone; known: what storages said of them already; folder:
    that paths start in, None for the one where the worker is.
    """

    call: str
    path: str
    arguments: dict[str, Any]
    limits: dict[str, Any]
    nbytes: int
    seconds: float
    watched: bool
    doors: tuple[Door, ...] = ()
    known: tuple[Fact, ...] = ()
    folder: str | None = None


class Step(msgspec.Struct, frozen=True):
    """What becomes of a progress."""

    step: Literal["start", "advance", "finish"]
    nbytes: int = 0


class Raised(msgspec.Struct, frozen=True):
    """An exception. kind: name of its class; path, offset: of an ArtifactError; limit: name, value
    and limit of a LimitExceeded; errno: of an OSError; trace: of what is our fault.
    """

    kind: str
    message: str
    path: str | None = None
    offset: int | None = None
    limit: tuple[str, int, int] = ("", 0, 0)
    errno: int = 0
    trace: str = ""


def frame(letter: bytes, body: bytes) -> bytes:
    """What a worker sends: "r" ready, "p" a Step, "e" a Raised, "a" an answer."""
    return letter + len(body).to_bytes(HEADER - 1, "little") + body


def told(error: Exception) -> bytes:
    """The exception as a Raised, encoded."""
    kind, message = type(error).__name__, str(error)
    if isinstance(error, LimitExceeded):
        limit = (error.name, error.value, error.limit)
        raised = Raised(kind, error.message, error.path, error.offset, limit)
    elif isinstance(error, ArtifactError):
        raised = Raised(kind, error.message, error.path, error.offset)
    elif isinstance(error, InspectorError):
        raised = Raised(kind, message)
    elif isinstance(error, OSError):
        name = None if error.filename is None else str(error.filename)
        raised = Raised("OSError", error.strerror or message, name, errno=error.errno or 0)
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(last.filename)}:{last.lineno}"
        trace = "".join(traceback.format_exception(error))[-_TRACE:]
        raised = Raised(f"{kind} at {where}", message[:_TRACE], trace=trace)
    return encode(raised)


def rebuilt(raised: Raised, path: str) -> Exception:
    """The exception that a worker tells of. Only classes of `inspector.errors` are looked up."""
    at = raised.path or path
    kind = getattr(errors, raised.kind, None)
    if kind is LimitExceeded:
        return LimitExceeded(*raised.limit, at, raised.offset)
    if isinstance(kind, type) and issubclass(kind, ArtifactError):
        # Its own __init__ may make the message from parts: it is made already.
        error = kind.__new__(kind)
        ArtifactError.__init__(error, raised.message, at, raised.offset)
        return error
    if isinstance(kind, type) and issubclass(kind, errors.UsageError):
        return kind(raised.message)
    if raised.kind == "OSError":
        return OSError(raised.errno, raised.message, raised.path)
    bug = RuntimeError(f"in a worker: {raised.kind}: {raised.message}")
    lines = (safe(line) for line in raised.trace.split("\n"))
    bug.add_note("\n".join(lines))
    return bug


def too_large(limits: Limits) -> str:
    """What is said of an artifact that takes more memory than it may."""
    return (
        f"reading it took more than {limits.worker_bytes / GIB:,.1f} GiB of memory over its size,"
        f" and was stopped; --limit worker_bytes={2 * limits.worker_bytes} allows more"
    )
