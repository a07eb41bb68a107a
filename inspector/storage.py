"""Positional, bounded reads. The only place where bytes of an artifact are read."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from inspector.errors import ArtifactError, NotFound, Truncated
from inspector.limits import MIB
from inspector.model import Extent

if TYPE_CHECKING:
    import numpy as np


class ByteSource(Protocol):
    """Bytes that can be read from any place. `path` is for messages, `size` is in bytes.

    view: `length` bytes at `offset`, without a copy where the source allows it; Truncated when
    the source ends before. window: a part of this source as a source of its own.
    """

    @property
    def path(self) -> str: ...

    @property
    def size(self) -> int: ...

    def view(self, offset: int, length: int) -> memoryview: ...

    def window(self, offset: int, length: int, path: str) -> ByteSource: ...


def check_bounds(path: str, size: int, offset: int, length: int) -> None:
    """Raise Truncated unless `offset` .. `offset + length` lies in a file of `size` bytes."""
    if offset < 0 or length < 0 or offset + length > size:
        raise Truncated(
            f"needs bytes {offset:,} to {offset + length:,}, has {size:,}", path, max(offset, 0)
        )


class MemorySource:
    """Bytes in memory: a small file, an inflated zip member."""

    def __init__(self, data: bytes | memoryview, path: str) -> None:
        self._view = memoryview(data).toreadonly()
        self.path = path
        self.size = self._view.nbytes

    def view(self, offset: int, length: int) -> memoryview:
        check_bounds(self.path, self.size, offset, length)
        return self._view[offset : offset + length]

    def window(self, offset: int, length: int, path: str) -> ByteSource:
        return Window(self, offset, length, path)


def _without_waiting(path: str, flags: int) -> int:
    # A named pipe would otherwise keep us until somebody writes to it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# Pages of a map that were looked at stay in this process' memory: after this many bytes of views
# they are let go, so that its size does not grow with the file's.
_KEPT = 32 * MIB
_LET_GO: int | None = getattr(mmap, "MADV_DONTNEED", None)  # not known on every system


class LocalFile:
    """A file of this machine, by memory map. A context manager; `close` is safe to call twice."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            with open(self.path, "rb", opener=_without_waiting) as handle:
                state = os.fstat(handle.fileno())
                if not stat.S_ISREG(state.st_mode):
                    raise ArtifactError(
                        "cannot be read: it is a device, a pipe or a socket", self.path
                    )
                self.size = state.st_size
                # An empty file cannot be mapped.
                self._map = (
                    mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) if self.size else None
                )
        except (FileNotFoundError, NotADirectoryError, ValueError):  # a name with a NUL in it
            link = os.path.islink(self.path)
            what = "a link to a file that is not there" if link else "no such file"
            raise NotFound(what, self.path) from None
        except OSError as error:
            raise ArtifactError(f"cannot be read: {error.strerror}", self.path) from error
        self._view = memoryview(self._map) if self._map is not None else memoryview(b"")
        self._viewed = 0

    def view(self, offset: int, length: int) -> memoryview:
        check_bounds(self.path, self.size, offset, length)
        self._viewed += length
        if self._viewed > _KEPT:
            self._viewed = length
            self._let_go()
        return self._view[offset : offset + length]

    def _let_go(self) -> None:
        """Let the pages of the map go. Views stay good: what they show is looked up anew."""
        if self._map is not None and _LET_GO is not None:
            self._map.madvise(_LET_GO)

    def window(self, offset: int, length: int, path: str) -> ByteSource:
        return Window(self, offset, length, path)

    def close(self) -> None:
        """Let the map go. Views still held by a caller keep it alive until they are gone."""
        try:
            self._view.release()
            if self._map is not None:
                self._map.close()
        except BufferError:
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Window:
    """A part of another source: a stored zip member, an HDF5 file behind a user block."""

    def __init__(self, source: ByteSource, offset: int, length: int, path: str) -> None:
        check_bounds(source.path, source.size, offset, length)
        self._source = source
        self._offset = offset
        self.path = path
        self.size = length

    def view(self, offset: int, length: int) -> memoryview:
        check_bounds(self.path, self.size, offset, length)
        return self._source.view(self._offset + offset, length)

    def window(self, offset: int, length: int, path: str) -> ByteSource:
        check_bounds(self.path, self.size, offset, length)
        return Window(self._source, self._offset + offset, length, path)


class SourceReader:
    """A source as a read-only binary file object: what libhdf5 calls of one through h5py."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._at = 0

    def readinto(self, buffer: memoryview) -> int:
        target = memoryview(buffer).cast("B")
        length = min(target.nbytes, max(self._source.size - self._at, 0))
        if length:
            target[:length] = self._source.view(self._at, length)
        self._at += length
        return length

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing is ever written."""


def scratch(nbytes: int) -> memoryview:
    """Room for `nbytes` bytes (more than 0) to write to, in a temporary file that nobody else sees.

    Memory is not taken for good: pages go to the file. Raises OSError where the disk is full.
    """
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.truncate(nbytes)
        return memoryview(mmap.mmap(file.fileno(), nbytes))


def covered(extents: Iterable[Extent]) -> int:
    """Bytes that the extents take of their files, a byte that several claim counted once."""
    total, reached, inside = 0, 0, None
    for file, start, length in sorted({(e.file, e.offset, e.length) for e in extents}):
        if file != inside:
            inside, reached = file, 0
        total += max(start + length - max(start, reached), 0)
        reached = max(reached, start + length)
    return total


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype of a name, ml_dtypes' own included; a leading "<" or ">" gives the byte order.

    Raises TypeError for a name that neither has ("string", "compound" ...).
    """
    import numpy as np

    order, bare = (name[0], name[1:]) if name.startswith(("<", ">")) else ("", name)
    try:
        found: np.dtype[Any] = np.dtype(bare)
    except (TypeError, ValueError, SyntaxError):  # NumPy may parse words as fields
        import ml_dtypes

        kind = getattr(ml_dtypes, bare, None)
        if not isinstance(kind, type):
            raise TypeError(f"no dtype is called {bare!r}") from None
        found = np.dtype(kind)
    # Told "<", ml_dtypes' types would no longer be the same as their own.
    return found.newbyteorder(">") if order == ">" else found


@dataclass(frozen=True, slots=True)
class RawPayload:
    """Values that lie in a source as they are.

    dtype: name as for `numpy_dtype`; count: number of values; offset: bytes into the source.
    """

    source: ByteSource
    offset: int
    count: int
    dtype: str

    def blocks(self, max_bytes: int) -> Iterator[np.ndarray[Any, Any]]:
        """Views of the source of at most `max_bytes`, in order. Raises Truncated."""
        import numpy as np

        dtype = numpy_dtype(self.dtype)
        step = max(max_bytes // dtype.itemsize, 1)
        for start in range(0, self.count, step):
            size = min(step, self.count - start) * dtype.itemsize
            at = self.offset + start * dtype.itemsize
            yield np.frombuffer(self.source.view(at, size), dtype=dtype)

    def window(self, start: int, count: int) -> np.ndarray[Any, Any]:
        """A view of `count` values from the `start`-th on. Raises Truncated."""
        import numpy as np

        dtype = numpy_dtype(self.dtype)
        at = self.offset + start * dtype.itemsize
        return np.frombuffer(self.source.view(at, count * dtype.itemsize), dtype=dtype)


@dataclass(frozen=True, slots=True)
class FilledPayload:
    """Values that are nowhere in the file: `count` times the same fill value."""

    count: int
    value: Any
    dtype: str

    def blocks(self, max_bytes: int) -> Iterator[np.ndarray[Any, Any]]:
        """Blocks that all share one value in memory."""
        step = max(max_bytes // numpy_dtype(self.dtype).itemsize, 1)
        for start in range(0, self.count, step):
            yield self.window(start, min(step, self.count - start))

    def window(self, start: int, count: int) -> np.ndarray[Any, Any]:  # noqa: ARG002 - all are one
        """A block of `count` values from the `start`-th on."""
        import numpy as np

        one = np.asarray(self.value).astype(numpy_dtype(self.dtype))
        return np.broadcast_to(one, (count,))
