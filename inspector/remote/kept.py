"""Copies of files in a folder of this machine, where somebody asked for that (--cache DIR).

A copy is called after its URL and its version, so a new version is another file; it appears whole,
so that processes may share the folder. fsspec's own caches keep one record of all their files,
which processes that write at the same time would overwrite.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re

from inspector.errors import ArtifactError
from inspector.remote import doors, listing, storages
from inspector.storage import File, LocalFile, changed

_ODD = re.compile(r"[^\w.-]+")
_NAME = 60  # characters of a file's own name in that of its copy


def wanted() -> bool:
    """Whether copies are kept."""
    return doors.kept_in() is not None


def opened(fact: listing.Fact) -> File:
    """The copy of a file, made unless it is there. Raises ArtifactError, OSError."""
    folder = doors.kept_in() or os.curdir
    place = os.path.join(folder, _called(fact))
    if fact.version is None or not os.path.isfile(place):
        _copy(fact, folder, place)
    return CopiedFile(fact.path, place)


def _called(fact: listing.Fact) -> str:
    what = f"{fact.path}\0{fact.version}\0{fact.nbytes}"
    digest = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return f"{digest}-{_ODD.sub('_', fact.name)[-_NAME:]}"


def _copy(fact: listing.Fact, folder: str, place: str) -> None:
    import tempfile

    try:
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".inspect-")
        os.close(handle)
    except OSError as error:
        message = f"no copy can be kept in {folder}: {error.strerror}"
        raise ArtifactError(message, fact.path) from error
    try:
        fs, inner = storages.storage(fact.path)
        storages.ask(fact.path, lambda: _got(fs, inner, temporary, fact))
        now = listing.fact_of(fact.path, anew=True)
        if now is None or not listing.is_same(fact, now):
            raise changed("it was written to", fact.path)
        os.replace(temporary, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _got(fs: object, inner: str, temporary: str, fact: listing.Fact) -> None:
    fs.get_file(inner, temporary)  # type: ignore[attr-defined]
    came = os.path.getsize(temporary)
    if fact.nbytes is not None and came != fact.nbytes:
        raise storages.Short(f"{came:,} bytes of {fact.nbytes:,} came")


class CopiedFile(LocalFile):
    """A copy, which goes by the path of what it was made of."""

    def __init__(self, path: str, place: str) -> None:
        super().__init__(place)
        self.path = path

    def check(self) -> None:
        """Nobody writes to a copy."""

    def identity(self) -> tuple[object, ...] | None:
        """A copy is called after its URL and its version, whichever machine made it."""
        return None if self.closed else (self.path, os.path.basename(self._place))
