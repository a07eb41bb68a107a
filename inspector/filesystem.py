"""Where files are, on this machine or in a storage: the one place that asks.

A path is one of this machine, or stands for a URL that somebody gave (`admit`). The functions are
called and behave as those of `os` and `os.path`; of a URL that cannot be asked about they raise
ArtifactError. Storages have no links, and a folder is what has files in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import re
import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from inspector.errors import ArtifactError
from inspector.storage import File, LocalFile

if TYPE_CHECKING:
    from inspector.remote.doors import Door
    from inspector.remote.listing import Fact

_far_files: weakref.WeakSet[File] = weakref.WeakSet()
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|[a-z]+://.*::|[a-z]+::")


class Size(Protocol):
    """What is asked of a file's state."""

    @property
    def st_size(self) -> int: ...


class Entry(Protocol):
    """An entry of a folder, as `os.DirEntry` has it."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str: ...

    def is_dir(self, *, follow_symlinks: bool = True) -> bool: ...

    def is_file(self, *, follow_symlinks: bool = True) -> bool: ...

    def is_symlink(self) -> bool: ...

    def stat(self, *, follow_symlinks: bool = True) -> Size: ...


class _FarSize(NamedTuple):
    st_size: int


class _FarEntry:
    """One of a storage."""

    def __init__(self, fact: Fact) -> None:
        self._fact = fact
        self.name = fact.name
        self.path = fact.path

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - there are none
        return self._fact.is_folder

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        return not self._fact.is_folder

    def is_symlink(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> Size:  # noqa: ARG002
        return _FarSize(getsize(self.path))


def admit(path: str | os.PathLike[str]) -> str:
    """The path of what somebody named: as it is, or what stands for a URL, which can be opened from
    here on. It has no user, password or signature. Raises UsageError.
    """
    given = os.fspath(path)
    if not _URL.match(given):
        return given
    if os.path.lexists(given):
        return os.path.join(os.curdir, given)
    from inspector.remote import doors, listing, storages, urls

    here = urls.of_this_machine(given)
    if here is not None:
        return here
    # What was admitted before may be given again, with a signature that is as secret as the first.
    shown = (
        given.rstrip("/") if is_far(given) and not urls.secrets_of(given) else doors.admit(given)
    )
    doors.named(shown)
    listing.forget(shown)
    storages.storage(shown)  # that nothing speaks to it is said before anything is done
    return shown


def is_far(path: str) -> bool:
    """Whether it stands for a URL."""
    if "://" not in path:
        return False
    from inspector.remote import doors

    return doors.is_open(path)


def keep_copies(folder: str | None) -> None:
    """Keep copies of what is read from storages in a folder from now on; None: keep none."""
    from inspector.remote import doors

    doors.keep_copies(folder)


def unanswered() -> int:
    """How often a storage did not say what it was asked, in this process: what was found then may
    be otherwise another time.
    """
    if "inspector.remote.storages" not in sys.modules:
        return 0
    from inspector.remote import storages

    return storages.asked.unanswered


def doors_of(paths: Sequence[str]) -> tuple[Door, ...]:
    """What another process needs to open the same."""
    far = [path for path in paths if is_far(path)]
    if not far:
        return ()
    from inspector.remote import doors

    return doors.doors_of(far)


def known_of(paths: Sequence[str]) -> tuple[Fact, ...]:
    """What listings said of them, for another process not to ask again."""
    far = [path for path in paths if is_far(path)]
    if not far:
        return ()
    from inspector.remote import listing

    return tuple(fact for path in far for fact in listing.known_of(path))


def open_doors(found: Sequence[Door], known: Sequence[Fact] = ()) -> None:
    """Let be opened what could be in another process. known: of it, as of `known_of`."""
    if found:
        from inspector.remote import doors, listing, storages

        for door in found:
            doors.open_door(door)
            listing.forget(door.shown)
            storages.storage(door.shown)  # its libraries are no part of what an artifact takes
        listing.learn(known)


def close_doors(found: Sequence[Door], known: Sequence[Fact] = ()) -> None:
    """Let go of what `open_doors` brought, but for the doors: another artifact follows."""
    if found:
        from inspector.remote import listing

        listing.forget_all(known)
        for door in found:
            listing.forget(door.shown)


def opened(path: str | os.PathLike[str]) -> File:
    """A file, to be read. Raises NotFound, ArtifactError."""
    at = os.fspath(path)
    if not is_far(at):
        return LocalFile(at)
    from inspector.remote import source

    file = source.opened(at)
    _far_files.add(file)
    return file


def expect(path: str, ranges: Sequence[tuple[int, int]]) -> None:
    """Say what of a file will be read soon, to those that have it open (see `ByteSource.expect`).

    Of a file of this machine there is nothing to say.
    """
    if is_far(path):
        for file in tuple(_far_files):
            if file.path == path and not file.closed:
                file.expect(ranges)


def _fact(path: str) -> Fact | None:
    from inspector.remote import listing

    return listing.fact_of(path.rstrip("/"))


def exists(path: str) -> bool:
    """Whether there is anything, links followed."""
    return _fact(path) is not None if is_far(path) else os.path.exists(path)


def lexists(path: str) -> bool:
    """Whether there is anything."""
    return _fact(path) is not None if is_far(path) else os.path.lexists(path)


def isdir(path: str) -> bool:
    """Whether it is a folder."""
    if not is_far(path):
        return os.path.isdir(path)
    fact = _fact(path)
    return fact is not None and fact.is_folder


def isfile(path: str) -> bool:
    """Whether it is a file."""
    if not is_far(path):
        return os.path.isfile(path)
    fact = _fact(path)
    return fact is not None and not fact.is_folder


def islink(path: str) -> bool:
    """Whether it is a symbolic link."""
    return not is_far(path) and os.path.islink(path)


def getsize(path: str) -> int:
    """Bytes of a file. Raises OSError, ArtifactError."""
    if not is_far(path):
        return os.path.getsize(path)
    fact = _fact(path)
    if fact is None or fact.is_folder:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if fact.nbytes is None:
        raise ArtifactError("its size is not told by the storage", path)
    return fact.nbytes


def listdir(folder: str, prefix: str = "") -> list[str]:
    """Names in a folder. prefix: what those of interest begin with; others may be among them.

    Raises OSError, ArtifactError.
    """
    if not is_far(folder):
        return os.listdir(folder)
    from inspector.remote import listing

    return [fact.name for fact in listing.entries_of(folder.rstrip("/"), prefix)]


def scandir(folder: str) -> AbstractContextManager[Iterator[Entry]]:
    """Entries of a folder. Raises OSError, ArtifactError."""
    if not is_far(folder):
        return os.scandir(folder)
    from inspector.remote import listing

    facts = listing.entries_of(folder.rstrip("/"))
    return contextlib.nullcontext(_FarEntry(fact) for fact in facts)


def walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """(folder, names of folders in it, names of files) of it and all below; links not followed."""
    if not is_far(folder):
        yield from os.walk(folder, followlinks=False)
        return
    waiting = [folder.rstrip("/")]
    while waiting:
        at = waiting.pop()
        with scandir(at) as found:
            entries = list(found)
        inner = [one.name for one in entries if one.is_dir()]
        yield at, inner, [one.name for one in entries if one.is_file()]
        waiting += [join(at, name) for name in reversed(inner)]


def readlink(path: str) -> str:
    """Where a link leads. Raises OSError."""
    return os.readlink(path)


def realpath(path: str) -> str:
    """The path behind all links."""
    return path.rstrip("/") if is_far(path) else os.path.realpath(path)


def abspath(path: str) -> str:
    """The path from the root of this machine, or of a storage."""
    return path.rstrip("/") if is_far(path) else os.path.abspath(path)


def normpath(path: str) -> str:
    """The path without what is superfluous."""
    return path.rstrip("/") if is_far(path) else os.path.normpath(path)


def relpath(path: str, folder: str) -> str:
    """The path as seen from a folder. What is in another storage has no such path: it is itself."""
    far = is_far(path), is_far(folder)
    if not any(far):
        return os.path.relpath(path, folder)
    if not all(far) or path.partition("://")[0] != folder.partition("://")[0]:
        return path
    return posixpath.relpath(path.partition("://")[2], folder.partition("://")[2])


def join(folder: str, *names: str) -> str:
    """A path in a folder. A name from a file never becomes one that leads to a storage."""
    joined = os.path.join(folder, *names)
    if not folder and _URL.match(joined):
        return os.path.join(os.curdir, joined)
    return joined


def prime(folder: str, most: int) -> None:
    """Have all that lies below a folder of a storage at hand, in as few requests as it takes.

    most: files at most. Raises NotFound, ArtifactError.
    """
    if is_far(folder):
        from inspector.remote import listing

        listing.all_below(folder.rstrip("/"), most)


def version_of(path: str, files: Sequence[str]) -> str | None:
    """What stands for the bytes of an artifact's files: the same as long as they are. None where
    that cannot be said. path: of the artifact. Raises OSError, ArtifactError.
    """
    if is_far(path):
        from inspector.remote import listing

        facts = [listing.fact_of(one) for one in files]
        return listing.version_of([one for one in facts if one is not None])
    states = sorted((os.path.relpath(one, path), _state(path, one)) for one in files)
    return "stat:" + "\n".join(f"{name!r} {state}" for name, state in states) if states else None


def _state(path: str, name: str) -> tuple[int, ...]:
    """What is another when a file is, whatever its makers set its time to: those that make the same
    file twice set it to one date, so that time alone says nothing.
    """
    found = os.stat(name, follow_symlinks=name == path)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
