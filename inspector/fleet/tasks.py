"""What runs on the workers of a cluster: one artifact, looked at in a process forked for that.

A file that crashes, hangs or fills what reads it ends a process of ours, never the cluster's
worker. What comes back is JSON, which whoever asked holds against types once more.
"""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

import msgspec

from inspector import filesystem
from inspector._version import __version__
from inspector.asking import Task
from inspector.errors import UsageError
from inspector.exchange import told
from inspector.fleet import pools
from inspector.fleet.listed import listed
from inspector.fleet.secret import Secret
from inspector.limits import Limits
from inspector.process import processors
from inspector.template import NotIsolated
from inspector.typed_json import decode, encode


class Look(msgspec.Struct, frozen=True):
    """An artifact to look at. run: whose workers are kept; tool: version of inspect that asks;
    folder: that paths start in. paths: the artifact, and what it is held against. arguments,
    limits: by name. nbytes: of their files.
    """

    run: str
    tool: str
    folder: str
    paths: tuple[str, ...]
    arguments: dict[str, Any]
    limits: dict[str, Any]
    nbytes: int


class Answer(NamedTuple):
    """What came of it. kind: "looked", "raised" (body is a Raised), or why it was not looked at
    here: "unseen" or "unfit", with a word about it. body: JSON. seconds: that it took.
    """

    kind: str
    body: bytes
    seconds: float
    where: str


class _Unseen(Exception):
    """This worker does not see the file."""


def version() -> str:
    """Of inspect on this worker."""
    return __version__


def look_at(asked: bytes, secrets: Secret) -> tuple[str, bytes, float, str]:
    """What the rules say of an artifact, as an Answer. asked: a Look as JSON; secrets: the doors to
    its URLs (`filesystem.doors_of`). Raises nothing: an error is an answer, too.
    """
    start = time.monotonic()
    try:
        filesystem.open_doors(secrets.value)
        kind, body = "looked", _looked(decode(asked, Look))
    except _Unseen as error:
        kind, body = "unseen", str(error).encode("utf-8", "surrogateescape")
    except NotIsolated as error:
        kind, body = "unfit", str(error).encode("utf-8", "replace")
    except Exception as error:  # noqa: BLE001 - it is told to whoever asked
        kind, body = "raised", told(error)
    return kind, body, time.monotonic() - start, _here()


def _looked(look: Look) -> bytes:
    if look.tool != __version__:
        raise UsageError(mismatch(look.tool, {_here(): __version__}))
    from inspector.auditing.session import Looked

    for path in look.paths:
        if not filesystem.is_far(path) and listed(os.path.join(look.folder, path)).version is None:
            raise _Unseen(path)
    arguments = {**look.arguments, "folder": look.folder, "threads": _threads()}
    task = Task("look", Looked | None, look.paths, arguments, nbytes=look.nbytes)
    with pools.mine(look.run, msgspec.convert(look.limits, Limits)) as workers:
        (found,) = workers.each([task])
        if isinstance(found, NotIsolated):
            raise found
    if isinstance(found, Exception):
        raise found
    return encode(found)


def mismatch(ours: str, theirs: dict[str, str | None]) -> str:
    """What is said of workers that have another version. theirs: by address, None without one."""
    some = [f"{at} has {found or 'none'}" for at, found in sorted(theirs.items())]
    more = f", and {len(some) - 3} more" if len(some) > 3 else ""
    return (
        f"this is inspect {ours}, and of the cluster's workers {', '.join(some[:3])}{more}:"
        " all must have the same"
    )


def _threads() -> int:
    """How many may measure one artifact: as many as there are processors for each task."""
    from distributed import get_worker

    try:
        side_by_side: int = get_worker().state.nthreads
    except ValueError:  # in no worker
        side_by_side = 1
    return max(processors() // side_by_side, 1)


def _here() -> str:
    """This worker's address."""
    from distributed import get_worker

    try:
        address: str = get_worker().address
    except ValueError:
        return "this process"
    return address
