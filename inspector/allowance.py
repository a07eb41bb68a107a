"""How long artifacts may take, by how many bytes they have, and how much memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from inspector import deadline, filesystem
from inspector.errors import ArtifactError
from inspector.limits import Limits
from inspector.storage import ALONE


@contextlib.contextmanager
def in_time(limits: Limits, *paths: str | os.PathLike[str], more: float = 0) -> Iterator[None]:
    """Let what is done with these take as long as the limits allow, and `more` seconds; and the
    memory of one for each.
    """
    each = [os.fspath(path) for path in paths]
    with deadline.within(limits.seconds + more, each[0]):  # a storage may never answer
        seconds = limits.seconds_for(sum(map(artifact_bytes, each)))
    with deadline.within(seconds + more, each[0], len(each) * limits.memory_bytes):
        yield


def artifact_bytes(path: str) -> int:
    """At most how many bytes it has: of a folder all in it, of an index the files named like it
    too, for shards lie beside it. None of what a storage does not tell: whoever reads it says so.
    Raises LimitExceeded (`seconds`) where there is no time left.
    """
    try:
        return _bytes(path)
    except ArtifactError:
        deadline.check()
        return 0


def _bytes(path: str) -> int:
    if filesystem.isdir(path):
        return sum(
            _size(filesystem.join(at, one))
            for at, _, files in filesystem.walk(path)
            for one in files
        )
    if path.endswith(ALONE):
        return _size(path)
    folder, name = os.path.split(path)
    stem = name.partition(".")[0]
    with contextlib.suppress(OSError):
        beside = filesystem.listdir(folder or os.curdir, stem)
        return sum(_size(filesystem.join(folder, one)) for one in beside if one.startswith(stem))
    return _size(path)


def _size(path: str) -> int:
    try:
        return filesystem.getsize(path)
    except (OSError, ValueError):
        return 0
