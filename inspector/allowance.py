"""How long artifacts may take, by how many bytes they have, and how much memory."""

from __future__ import annotations

import bisect
import contextlib
import functools
import os
import time
from collections.abc import Iterator, Sequence

from inspector import deadline, filesystem
from inspector.detect import detect_folder
from inspector.errors import ArtifactError
from inspector.limits import Limits
from inspector.storage import ALONE

_FOLDERS = 8  # whose names are kept
_TICK = 2_000_000_000  # nanoseconds: FAT's, the longest


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
    """At most how many bytes it has (see `artifact_files`). None of what a storage does not tell,
    and of a folder that is no model: whoever reads it says so. Raises LimitExceeded (`seconds`)
    where there is no time left.
    """
    try:
        if filesystem.isdir(path):
            detect_folder(path, by_names=True)  # somebody's home may take minutes to walk through
        return sum(map(_size, artifact_files(path)))
    except OSError:
        return _size(path)  # what lies beside it is not told
    except ArtifactError:
        deadline.check()
        return 0


def artifact_files(path: str) -> Iterator[str]:
    """The files that may be of an artifact: all in a folder, or all that are named as the index of
    a checkpoint is, for shards lie beside it. Opens none. Raises OSError, ArtifactError.
    """
    if filesystem.isdir(path):
        for at, _, names in filesystem.walk(path):
            yield from (filesystem.join(at, name) for name in names)
    elif path.endswith(ALONE):
        yield path
    else:
        folder, name = os.path.split(path)
        stem = name.partition(".")[0]
        beside = _names(folder or os.curdir, stem)
        for one in beside[bisect.bisect_left(beside, stem) :]:
            if not one.startswith(stem):
                break
            at = filesystem.join(folder, one)
            if not filesystem.isdir(at):
                yield at


def _names(folder: str, stem: str) -> Sequence[str]:
    """What lies in a folder, by name: there may be thousands of checkpoints in one."""
    if filesystem.is_far(folder):
        return sorted(filesystem.listdir(folder, stem))
    changed = os.stat(folder).st_mtime_ns
    # Until it is older than a tick of its disk, more may come without another time.
    if time.time_ns() - changed < _TICK:
        return sorted(os.listdir(folder))
    return _names_then(folder, changed)


@functools.lru_cache(_FOLDERS)
def _names_then(folder: str, changed: int) -> tuple[str, ...]:
    return tuple(sorted(os.listdir(folder)))


def _size(path: str) -> int:
    try:
        return filesystem.getsize(path)
    except (OSError, ValueError):
        return 0
