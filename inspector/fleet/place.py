"""Where a data set lies, on this machine or in storage: the one place of it that knows the two.

A file is written whole or not at all, and never written twice.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from inspector.errors import NotFound, UsageError
from inspector.filesystem import admit
from inspector.remote import storages


class Entry(NamedTuple):
    """A file. changed: seconds since 1970 when it was written, None where storage does not say."""

    name: str
    changed: float | None


class Place(Protocol):
    """A folder with folders of files in it. Names are relative to it, with "/".

    Raises OSError, of a storage ArtifactError.
    """

    url: str  # as readers of Parquet are to be given it
    shown: str  # as a person knows it, without credentials

    def entries(self, folder: str = "") -> list[Entry]:
        """What lies in it, or in a folder of it, by name; nothing where it is not there."""

    def read(self, name: str) -> bytes:
        """A small file."""

    def write(self, name: str, data: bytes | memoryview) -> None:
        """A file, that is there whole once it is there at all."""

    def remove(self, name: str) -> None:
        """A file, where it is there."""

    def opened(self, name: str) -> Any:
        """What pyarrow reads a file from."""


class Local:
    """A folder of this machine."""

    def __init__(self, path: str) -> None:
        if os.path.lexists(path) and not os.path.isdir(path):
            raise UsageError(f"{path} is a file: results are a folder")
        self.url = os.path.abspath(path)
        self.shown = path

    def entries(self, folder: str = "") -> list[Entry]:
        """See Place."""
        try:
            with os.scandir(os.path.join(self.url, folder)) as found:
                return sorted(Entry(one.name, _changed(one)) for one in found)
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """See Place."""
        import pyarrow as pa

        with pa.OSFile(self._at(name)) as file:
            found: bytes = file.read()
            return found

    def write(self, name: str, data: bytes | memoryview) -> None:
        """See Place."""
        from inspector.writing import write_bytes

        os.makedirs(os.path.dirname(self._at(name)), exist_ok=True)
        write_bytes(self._at(name), data)

    def remove(self, name: str) -> None:
        """See Place."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name))

    def opened(self, name: str) -> Any:
        """See Place."""
        return self._at(name)

    def _at(self, name: str) -> str:
        return os.path.join(self.url, name)


class Remote:
    """A folder of object storage, which keeps an object whole or not at all by itself.

    It is asked again where it fails for the moment. Raises ArtifactError in the end, with the URL.
    """

    def __init__(self, url: str) -> None:
        self.shown = admit(url)
        if storages.is_read_only(self.shown):
            raise UsageError(f"{self.shown}: nothing can be written there: results want a storage")
        self.filesystem, root = storages.storage(self.shown)
        self._root = root.rstrip("/")
        self.url = self.filesystem.unstrip_protocol(self._root)

    def entries(self, folder: str = "") -> list[Entry]:
        """See Place."""
        self.filesystem.invalidate_cache()
        try:
            found = self._ask(lambda: self.filesystem.ls(self._at(folder), detail=True))
        except NotFound:
            return []
        return sorted(_entries(found))

    def read(self, name: str) -> bytes:
        """See Place."""
        found: bytes = self._ask(lambda: self.filesystem.cat_file(self._at(name)))
        return found

    def write(self, name: str, data: bytes | memoryview) -> None:
        """See Place."""
        with contextlib.suppress(NotImplementedError, PermissionError):
            # Of storage without folders this does nothing, or asks for what is not needed.
            self.filesystem.makedirs(os.path.dirname(self._at(name)), exist_ok=True)
        self._ask(lambda: self.filesystem.pipe_file(self._at(name), bytes(data)))

    def remove(self, name: str) -> None:
        """See Place."""
        with contextlib.suppress(NotFound):
            self._ask(lambda: self.filesystem.rm_file(self._at(name)))

    def opened(self, name: str) -> Any:
        """See Place."""
        return self._ask(lambda: self.filesystem.open(self._at(name), "rb"))

    def _ask(self, question: Callable[[], Any]) -> Any:
        return storages.ask(self.shown, question)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")


def place(where: str) -> Place:
    """The folder that a path or a URL means. Raises UsageError where that is a file."""
    return Remote(where) if "://" in where else Local(where)


def _changed(entry: os.DirEntry[str]) -> float | None:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except OSError:  # gone meanwhile
        return None


_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")


def _entries(found: list[dict[str, Any]]) -> Iterator[Entry]:
    """Storage of each kind calls the time its own way."""
    for one in found:
        when: Any = next((one[key] for key in _TIMES if key in one), None)
        seconds = when.timestamp() if isinstance(when, dt.datetime) else when
        yield Entry(one["name"].rstrip("/").rpartition("/")[2], seconds)
