"""The files of an artifact as they are now: how many bytes, and what stands for their content."""

from __future__ import annotations

import bisect
import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from inspector.allowance import ALONE

_FOLDERS = 8  # whose names are kept


@dataclass(frozen=True, slots=True)
class Listed:
    """nbytes: of all files. version: the same as long as none of them was written, made or taken
    away; None where nothing is there.
    """

    nbytes: int
    version: str | None


def listed(path: str) -> Listed:
    """The files of the artifact at a local path: the file, all in the folder, or all whose names
    begin as a checkpoint's does. Reads none of them.
    """
    states = sorted(_states(path))
    if not states:
        return Listed(0, None)
    nbytes = sum(size for _, size, _, _ in states)
    told = "\n".join(f"{name!r} {size} {time} {inode}" for name, size, time, inode in states)
    return Listed(nbytes, f"stat:{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}")


def _states(path: str) -> Iterator[tuple[str, int, int, int]]:
    """Name, size, time in nanoseconds and inode of each file."""
    for name in _files(path):
        try:
            state = os.stat(name, follow_symlinks=name == path)
        except (OSError, ValueError):
            continue
        yield os.path.relpath(name, path), state.st_size, state.st_mtime_ns, state.st_ino


def _files(path: str) -> Iterator[str]:
    if os.path.isdir(path):
        for at, _, names in os.walk(path):
            yield from (os.path.join(at, name) for name in names)
    elif path.endswith(ALONE):
        yield path
    else:
        folder, name = os.path.split(path)
        stem = name.partition(".")[0]
        beside = _names(folder or os.curdir)
        for one in beside[bisect.bisect_left(beside, stem) :]:
            if not one.startswith(stem):
                break
            yield os.path.join(folder, one)


@functools.lru_cache(_FOLDERS)
def _names(folder: str) -> tuple[str, ...]:
    """What lies in a folder, by name: there may be thousands of checkpoints in one."""
    try:
        with os.scandir(folder) as entries:
            return tuple(sorted(one.name for one in entries if not one.is_dir()))
    except OSError:
        return ()
