"""What runs on the workers of a cluster: one artifact, looked at in a process forked for that.

A file that crashes, hangs or fills what reads it ends a process of ours, never the cluster's
worker. What comes back is JSON, which whoever asked holds against types once more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from inspector import filesystem
from inspector._version import __version__
from inspector.asking import Task
from inspector.auditing.session import Looked
from inspector.errors import UsageError
from inspector.exchange import told
from inspector.fleet import pools
from inspector.fleet.listed import listed
from inspector.fleet.secret import Secret
from inspector.limits import Limits
from inspector.parts import MeasuredPart, Survey
from inspector.process import processors
from inspector.template import NotIsolated
from inspector.typed_json import decode, encode


class Call(msgspec.Struct, frozen=True):
    """What is asked of a worker: a call of `worker.CALLS` by its name.

    run: whose processes are kept; tool: version of inspect that asks; folder: that paths start in.
    paths: the artifact, and what it is held against. arguments, limits: by name. nbytes: of their
    files.
    """

    run: str
    tool: str
    folder: str
    name: str
    paths: tuple[str, ...]
    arguments: dict[str, Any]
    limits: dict[str, Any]
    nbytes: int


# What each call gives.
KINDS: Mapping[str, Any] = {
    "look": Looked | None,
    "survey": Survey,
    "measure_part": MeasuredPart,
}
_WITHOUT_THREADS = frozenset({"survey"})


class Answer(NamedTuple):
    """What came of it. kind: "answer", "raised" (body is a Raised), or why it was not looked at
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


def done(asked: bytes, secrets: Secret) -> tuple[str, bytes, float, str]:
    """What came of a call, as an Answer. asked: the Call as JSON; secrets: the doors to its URLs,
    and what storages said of them. Raises nothing: an error is an answer, too.
    """
    start = time.monotonic()
    try:
        filesystem.open_doors(*secrets.value)
        kind, body = "answer", _done(decode(asked, Call))
    except _Unseen as error:
        kind, body = "unseen", str(error).encode("utf-8", "surrogateescape")
    except NotIsolated as error:
        kind, body = "unfit", str(error).encode("utf-8", "replace")
    except Exception as error:  # noqa: BLE001 - it is told to whoever asked
        kind, body = "raised", told(error)
    finally:
        filesystem.close_doors(*secrets.value)
    return kind, body, time.monotonic() - start, _here()


def _done(call: Call) -> bytes:
    if call.tool != __version__:
        raise UsageError(mismatch(call.tool, {_here(): __version__}))
    for path in call.paths:
        here = os.path.join(call.folder, path)
        if not filesystem.is_far(path) and listed(here).version is None:
            raise _Unseen(path)
    threads = {} if call.name in _WITHOUT_THREADS else {"threads": _threads()}
    task = Task(
        call.name,
        KINDS[call.name],
        call.paths,
        {**call.arguments, **threads},
        nbytes=call.nbytes,
        folder=call.folder,
    )
    with pools.mine(call.run, msgspec.convert(call.limits, Limits)) as workers:
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
