"""Positional, bounded reads. The only place where bytes of an artifact are read."""

from __future__ import annotations

import contextlib
import errno
import functools
import mmap
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from io import FileIO
from typing import BinaryIO, Protocol, Self, cast, overload

from inspector import deadline
from inspector.errors import ArtifactError, Changed, NotFound, Truncated
from inspector.limits import KIB, MIB
from inspector.model import Extent

_NO_FILE = "cannot be read: it is a device, a pipe or a socket"


class ByteSource(Protocol):
    """Bytes that can be read from any place. `path` is for messages, `size` is in bytes.

    view: `length` bytes at `offset`, which may be a copy: nobody asks for more at a time than may
    be held in memory (see `lazily`); Truncated when the source ends before. readinto: the bytes
    from `offset` on that fill `buffer`, in memory of the caller's. window: a part of this source as
    a source of its own. expect: (offset, length) of what will be read soon, in any order, which far
    storage then fetches in few requests; it promises nothing, and may be wrong.
    """

    @property
    def path(self) -> str: ...

    @property
    def size(self) -> int: ...

    def view(self, offset: int, length: int) -> memoryview: ...

    def readinto(self, offset: int, buffer: memoryview) -> None: ...

    def window(self, offset: int, length: int, path: str) -> ByteSource: ...

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None: ...


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

    def readinto(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.view(offset, buffer.nbytes)

    def window(self, offset: int, length: int, path: str) -> ByteSource:
        return Window(self, offset, length, path)

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """It is at hand already."""


def changed(what: str, path: str, offset: int | None = None) -> Changed:
    """The error of a file that is not what it was when it was opened. offset: bytes into it."""
    return Changed(
        f"changed while it was read: {what}; read it again once nobody writes to it", path, offset
    )


def _without_waiting(path: str, flags: int) -> int:
    # A named pipe would otherwise keep us until somebody writes to it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _what_it_is(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


_noted: ContextVar[list[File] | None] = ContextVar("_noted", default=None)


@contextlib.contextmanager
def noting() -> Iterator[list[File]]:
    """Note all files that are opened inside, those too that are closed by then."""
    files: list[File] = []
    token = _noted.set(files)
    try:
        yield files
    finally:
        _noted.reset(token)


ALONE = (".h5", ".hdf5", ".keras", ".tflite", ".pb", ".pbtxt")  # one file, if no folder
# Small reads are met from blocks of this size: a header is many of them, side by side.
BLOCK = 64 * KIB
_BLOCKS = 16  # kept of each file


class File(ABC):
    """A file that is open, here or far away. Once closed it can be opened again.

    A context manager: leaving it raises Changed where the file is no longer what it was when it
    was opened, in place of an ArtifactError too, for which that is the reason. `close` only
    closes, and is safe to call twice; views stay good.
    """

    path: str
    size: int

    def _note(self) -> None:
        """Be found by whoever is `noting`."""
        noting = _noted.get()
        if noting is not None:
            noting.append(self)

    @abstractmethod
    def view(self, offset: int, length: int) -> memoryview:
        """`length` bytes at `offset`. Raises Truncated, Changed (they are gone), ArtifactError."""

    @abstractmethod
    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill a buffer of bytes. Raises Truncated, Changed (they are gone), ArtifactError."""

    @abstractmethod
    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """See ByteSource."""

    def window(self, offset: int, length: int, path: str) -> ByteSource:
        """A part of it as a source."""
        return Window(self, offset, length, path)

    @abstractmethod
    def reopen(self) -> None:
        """Open it again where it was closed. Raises Changed where it is not what it was."""

    @abstractmethod
    def check(self) -> None:
        """Raise Changed unless the file is still as it was opened."""

    @abstractmethod
    def identity(self) -> tuple[object, ...] | None:
        """What sources of the same file have in common, where it is as it was when they were
        opened; None once this one is closed.
        """

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether nothing can be read of it now."""

    @abstractmethod
    def close(self) -> None:
        """Let the file go."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None or (issubclass(kind, ArtifactError) and kind is not Changed):
                self.check()
        finally:
            self.close()


class LocalFile(File):
    """A file of this machine, read into memory of our own and never mapped.

    A page of a map that lies behind the end of a file, since it was cut short meanwhile, ends the
    process with a signal (SIGBUS); a read says that bytes are missing. It costs one copy more.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._file, self._state = self._opened(self.path)
        self.size = self._state.st_size
        self._block = functools.lru_cache(_BLOCKS)(self._read_block)
        # Where it lies, whatever the working directory will be once it is opened again.
        self._place = os.path.abspath(self.path)
        self._note()

    def _opened(self, path: str) -> tuple[FileIO, os.stat_result]:
        try:
            file = open(path, "rb", 0, opener=_without_waiting)  # noqa: SIM115
            state = os.fstat(file.fileno())
        except (FileNotFoundError, NotADirectoryError, ValueError):  # a name with a NUL in it
            link = os.path.islink(path)
            what = "a link to a file that is not there" if link else "no such file"
            raise NotFound(what, self.path) from None
        except OSError as error:
            # Opening a socket gives "no such device or address", which helps nobody.
            odd = error.errno in (errno.ENXIO, errno.ENODEV)
            what = _NO_FILE if odd else f"cannot be read: {error.strerror}"
            raise ArtifactError(what, self.path) from error
        if not stat.S_ISREG(state.st_mode):
            file.close()
            raise ArtifactError(_NO_FILE, self.path)
        return file, state

    def reopen(self) -> None:
        """Open it again where it was closed. Raises Changed where it is not what it was."""
        if not self._file.closed:
            return
        try:
            file, state = self._opened(self._place)
        except NotFound:
            raise changed("it was removed", self.path) from None
        if _what_it_is(state) != _what_it_is(self._state):
            file.close()
            raise changed("it was written to, or another file took its place", self.path)
        self._file = file

    def view(self, offset: int, length: int) -> memoryview:
        """A copy of `length` bytes. Raises Truncated, Changed (they are gone), ArtifactError."""
        check_bounds(self.path, self.size, offset, length)
        number, start = divmod(offset, BLOCK)
        if start + length <= BLOCK:
            return self._block(number)[start : start + length]
        return memoryview(self._read(offset, length))

    def _read_block(self, number: int) -> memoryview:
        start = number * BLOCK
        return memoryview(self._read(start, min(BLOCK, self.size - start)))

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill a buffer of bytes. Raises Truncated, Changed (they are gone), ArtifactError."""
        check_bounds(self.path, self.size, offset, buffer.nbytes)
        deadline.check()
        at, end = offset, offset + buffer.nbytes
        try:
            while at < end:  # a call reads 2 GiB at most
                count = os.preadv(self._file.fileno(), [buffer[at - offset :]], at)
                if not count:
                    raise changed("it became shorter", self.path, at)
                at += count
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise ArtifactError(message, self.path, offset) from error
        except ValueError:  # of a closed file's descriptor
            raise ArtifactError("was closed before this was read", self.path, offset) from None

    def _read(self, offset: int, length: int) -> bytes:
        deadline.check()
        try:
            data = os.pread(self._file.fileno(), length, offset)
            while len(data) < length:  # a call reads 2 GiB at most
                more = os.pread(self._file.fileno(), length - len(data), offset + len(data))
                if not more:
                    raise changed("it became shorter", self.path, offset + len(data))
                data += more
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise ArtifactError(message, self.path, offset) from error
        except ValueError:  # of a closed file's descriptor
            raise ArtifactError("was closed before this was read", self.path, offset) from None
        return data

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """The system reads ahead by itself."""

    def check(self) -> None:
        """Raise Changed unless the file is still as it was opened: its size, time and inode."""
        if self._file.closed:
            return
        now = os.fstat(self._file.fileno())
        if now.st_size != self._state.st_size:
            raise changed(f"its size went from {self.size:,} to {now.st_size:,} bytes", self.path)
        if now.st_mtime_ns != self._state.st_mtime_ns:
            raise changed("it was written to", self.path)
        try:
            there = os.stat(self.path)
        except OSError:  # or the working directory is another one now
            there = now
        if (there.st_dev, there.st_ino) != (now.st_dev, now.st_ino):
            raise changed("another file took its place", self.path)
        if not now.st_nlink:
            raise changed("it was removed", self.path)

    def identity(self) -> tuple[object, ...] | None:
        """What sources of the same file have in common, where it is as it was when they were
        opened; None once this one is closed.
        """
        if self._file.closed:
            return None
        now = self._state
        return self.path, now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns

    @property
    def closed(self) -> bool:
        """Whether nothing can be read of it now."""
        return self._file.closed

    def close(self) -> None:
        """Let the file go."""
        self._file.close()
        self._block.cache_clear()


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

    def readinto(self, offset: int, buffer: memoryview) -> None:
        check_bounds(self.path, self.size, offset, buffer.nbytes)
        self._source.readinto(self._offset + offset, buffer)

    def window(self, offset: int, length: int, path: str) -> ByteSource:
        check_bounds(self.path, self.size, offset, length)
        return Window(self._source, self._offset + offset, length, path)

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Of the source, as far as they lie in the window."""
        self._source.expect(
            (self._offset + offset, min(length, self.size - offset))
            for offset, length in ranges
            if 0 <= offset < self.size
        )


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


class Bytes(Protocol):
    """What can be indexed and cut as a memoryview can."""

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, at: int) -> int: ...

    @overload
    def __getitem__(self, at: slice) -> memoryview: ...


class _Lazy:
    """A part of a source whose bytes are fetched as they are looked at, some at a time."""

    def __init__(self, source: ByteSource, offset: int, length: int) -> None:
        check_bounds(source.path, source.size, offset, length)
        self._source, self._offset, self._length = source, offset, length
        self._start, self._held = 0, memoryview(b"")

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> int: ...

    @overload
    def __getitem__(self, at: slice) -> memoryview: ...

    def __getitem__(self, at: int | slice) -> int | memoryview:
        if isinstance(at, slice):
            start, stop, _ = at.indices(self._length)
            return self._source.view(self._offset + start, max(stop - start, 0))
        inside = at - self._start
        if not 0 <= inside < len(self._held):
            if not 0 <= at < self._length:
                raise IndexError(at)
            self._held = self._source.view(self._offset + at, min(BLOCK, self._length - at))
            self._start, inside = at, 0
        return self._held[inside]


def lazily(source: ByteSource, offset: int, length: int) -> Bytes:
    """`length` bytes at `offset`, of which no more than a few are in memory at a time.

    Slices have no step. Raises Truncated, and what `view` raises when bytes are looked at.
    """
    return source.view(offset, length) if length <= MIB else _Lazy(source, offset, length)


class _Spilled:
    """Bytes in a temporary file that nobody else sees, which goes with this."""

    def __init__(self, file: BinaryIO, size: int, path: str) -> None:
        self._file, self.size, self.path = file, size, path

    def view(self, offset: int, length: int) -> memoryview:
        check_bounds(self.path, self.size, offset, length)
        deadline.check()
        data = os.pread(self._file.fileno(), length, offset)
        while len(data) < length:  # a call reads 2 GiB at most
            data += os.pread(self._file.fileno(), length - len(data), offset + len(data))
        return memoryview(data)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        check_bounds(self.path, self.size, offset, buffer.nbytes)
        deadline.check()
        done = 0
        while done < buffer.nbytes:
            done += os.preadv(self._file.fileno(), [buffer[done:]], offset + done)

    def window(self, offset: int, length: int, path: str) -> ByteSource:
        return Window(self, offset, length, path)

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """It is at hand already."""


def spilled(pieces: Iterable[bytes], path: str) -> ByteSource:
    """What the pieces are together, kept in a temporary file and not in memory.

    Raises ArtifactError where there is no room for it, and what `pieces` raises.
    """
    import tempfile

    size = 0
    try:
        file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - the source keeps it
        for piece in pieces:
            size += file.write(piece)
        file.flush()
    except OSError as error:
        what = f"it is inflated to a temporary file, which cannot be written: {error.strerror}"
        raise ArtifactError(what, path) from error
    return _Spilled(file, size, path)


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
