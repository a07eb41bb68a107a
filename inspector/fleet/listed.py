"""The files of an artifact as they are now: how many bytes, and what stands for their content."""

from __future__ import annotations

import bisect
import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from inspector import filesystem
from inspector.errors import ArtifactError
from inspector.storage import ALONE

_FOLDERS = 8  # whose names are kept


@dataclass(frozen=True, slots=True)
class Listed:
    """nbytes: of all files. version: the same as long as none of them was written, made or taken
    away; None where nothing is there, or nobody says.
    """

    nbytes: int
    version: str | None


def listed(path: str) -> Listed:
    """The files of the artifact at a path: the file, all in the folder, or all whose names begin as
    a checkpoint's does. Reads none of them.
    """
    try:
        files = list(_files(path))
        if filesystem.is_far(path):
            nbytes = sum(map(filesystem.getsize, files))
            return Listed(nbytes, _short(filesystem.version_of(path, files)))
        states = sorted((os.path.relpath(one, path), _state(path, one)) for one in files)
    except (OSError, ValueError, ArtifactError):
        return Listed(0, None)
    if not states:
        return Listed(0, None)
    told = "\n".join(f"{name!r} {state}" for name, state in states)
    return Listed(sum(state[0] for _, state in states), _short(f"stat:{told}"))


def _state(path: str, name: str) -> tuple[int, ...]:
    """What is another when a file is, whatever its makers set its time to: those that make the same
    file twice set it to one date, so that time alone says nothing.
    """
    found = os.stat(name, follow_symlinks=name == path)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _short(version: str | None) -> str | None:
    if version is None or len(version) <= 64:
        return version
    kind = version.partition(":")[0]
    return f"{kind}:{hashlib.blake2b(version.encode(), digest_size=16).hexdigest()}"


def _files(path: str) -> Iterator[str]:
    if filesystem.isdir(path):
        for at, _, names in filesystem.walk(path):
            yield from (filesystem.join(at, name) for name in names)
    elif path.endswith(ALONE):
        yield path
    else:
        folder, name = os.path.split(path)
        stem = name.partition(".")[0]
        beside = _far_names(folder, stem) if filesystem.is_far(path) else _names(folder)
        for one in beside[bisect.bisect_left(beside, stem) :]:
            if not one.startswith(stem):
                break
            at = filesystem.join(folder, one)
            if not filesystem.isdir(at):
                yield at


def _far_names(folder: str, stem: str) -> tuple[str, ...]:
    return tuple(sorted(filesystem.listdir(folder, stem)))


@functools.lru_cache(_FOLDERS)
def _names(folder: str) -> tuple[str, ...]:
    """What lies in a folder, by name: there may be thousands of checkpoints in one."""
    with os.scandir(folder or os.curdir) as entries:
        return tuple(sorted(one.name for one in entries if not one.is_dir()))
