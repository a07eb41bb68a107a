"""A file in a storage, read in ranges: few requests for its structure, its values streamed once.

Small reads are met from pages, which are kept. Reads one after another fetch more and more ahead.
Where somebody said what will be read (`expect`), small parts are fetched at once, those that lie
close together in one request; of large ones, chunks are fetched as they are reached, each once.
"""

from __future__ import annotations

import bisect
import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from inspector.errors import ArtifactError, NotFound
from inspector.limits import KIB, MIB
from inspector.remote import listing, storages, urls
from inspector.storage import File, MemorySource, changed, check_bounds

# One page: what h5py puts of a group's structure in one place is half as much.
PAGE = 4 * KIB
# What is fetched of the beginning and the end of a file: there formats have their directories.
ENDS = 64 * KIB
# A file so small is fetched whole: that takes no longer than one more answer.
SMALL = MIB
# Bytes between two parts that are cheaper to fetch than another request.
GAP = 16 * KIB
# The most that is read ahead by guess.
AHEAD = MIB
# One request of a stream: half a second of a slow line, and much more than a request costs.
CHUNK = 4 * MIB
_CHUNKS = 8  # that are kept: threads measure parts side by side
_PAGES = 2048  # that are kept: 8 MiB
# More than that is not fetched before it is asked for.
AT_ONCE = 2 * MIB
# A member of an archive has to be inflated from its beginning.
WHOLE = 64 * MIB

Range = tuple[int, int]  # (offset, length)
_Get = Callable[[list[Range]], list[memoryview]]


def opened(path: str) -> File:
    """The file at a path that a door leads to. Raises NotFound, ArtifactError (a folder, too)."""
    fact = listing.fact_of(path)
    if fact is None:
        raise NotFound("no such file", path)
    if fact.is_folder:
        raise ArtifactError("cannot be read: it is a folder", path)
    from inspector.remote import kept

    if kept.wanted():
        return kept.opened(fact)
    return RemoteFile(fact)


class RemoteFile(File):
    """See the module. Threads may share it."""

    def __init__(self, fact: listing.Fact) -> None:
        self.path = fact.path
        self._fact = fact
        self._closed = False
        self._requests = 0
        self._pages: OrderedDict[int, memoryview] = OrderedDict()
        self._lock = threading.RLock()
        self._streams = _Streams(self._get)
        self._next = 0  # where the last guess ended
        self._guess = PAGE
        self._whole: MemorySource | None = None
        if fact.nbytes is None:
            raise ArtifactError(
                "its size is not told by the storage, so it cannot be read in places; --cache DIR"
                " keeps a copy of it",
                self.path,
            )
        self.size = fact.nbytes
        if urls.is_inside(self.path):
            self._whole = self._all("within an archive, which")
        self._note()
        self._take_over()

    def _take_over(self) -> None:
        """Have what the file that was closed last had, where that is the same: what a file is, what
        is in it and what is amiss with it are asked of the storage once.
        """
        if _last.identity is not None and _last.identity == self._state():
            self._pages, self._requests = OrderedDict(_last.pages), _last.requests

    def _all(self, where: str) -> MemorySource:
        """The file in memory. Raises ArtifactError where it is too large."""
        if self.size > WHOLE:
            raise ArtifactError(
                f"{self.size:,} bytes {where} cannot be read in places; --cache DIR keeps a copy"
                " of it",
                self.path,
            )
        (data,) = self._get([(0, self.size)])
        return MemorySource(data, self.path)

    def _get(self, ranges: list[Range]) -> list[memoryview]:
        """Fetch ranges, in a request each."""
        if self._closed:
            raise ArtifactError("was closed before this was read", self.path, ranges[0][0])
        self._requests += len(ranges)
        try:
            return [memoryview(data) for data in storages.fetch(self.path, ranges)]
        except NotFound:
            raise changed("it was removed", self.path) from None
        except ArtifactError:
            self._requests += 1  # whether it is what it was is worth another one
            raise

    def view(self, offset: int, length: int) -> memoryview:
        check_bounds(self.path, self.size, offset, length)
        if self._whole is None:
            try:
                return self._in_places(offset, length)
            except storages.NoRanges:
                self._whole = self._all("in a storage that gives files only as a whole, which")
        return self._whole.view(offset, length)

    def _in_places(self, offset: int, length: int) -> memoryview:
        if not length:
            return memoryview(b"")
        held = self._streams.view(offset, length)
        if held is not None:
            return held
        if length > AHEAD:
            return self._get([(offset, length)])[0]
        return self._from_pages(offset, length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        check_bounds(self.path, self.size, offset, buffer.nbytes)
        buffer[:] = self.view(offset, buffer.nbytes)

    def expect(self, ranges: Iterable[Range]) -> None:
        """See ByteSource: little is fetched now, much when it is reached."""
        if self._whole is not None or self.size <= SMALL:
            return
        wanted = merged(
            (offset, length)
            for offset, length in ranges
            if offset >= 0 and length > 0 and offset + length <= self.size
        )
        if sum(length for _, length in wanted) <= AT_ONCE:
            with contextlib.suppress(storages.NoRanges):
                self._load(wanted)
        else:
            self._streams.add(wanted)

    def _from_pages(self, offset: int, length: int) -> memoryview:
        numbers = range(offset // PAGE, (offset + length - 1) // PAGE + 1)
        with self._lock:
            held = [number for number in numbers if number in self._pages]
            for number in held:
                self._pages.move_to_end(number)
            if len(held) < len(numbers):
                self._load([self._guessed(offset, length)])
            pages = [self._pages[number] for number in numbers]
        start = offset - numbers.start * PAGE
        if len(pages) == 1:
            return pages[0][start : start + length]
        return memoryview(b"".join(pages))[start : start + length]

    def _guessed(self, offset: int, length: int) -> Range:
        """What is fetched where a page is missing: more of what is read one after another."""
        if self.size <= SMALL:
            return 0, self.size
        if offset < ENDS:
            return 0, max(ENDS, offset + length)
        if offset >= self.size - ENDS:
            start = self.size - ENDS
            return start, ENDS
        goes_on = self._next <= offset + length and offset <= self._next + PAGE
        self._guess = min(2 * self._guess, AHEAD) if goes_on else PAGE
        wanted = max(length, self._guess)
        self._next = offset + wanted
        return offset, min(wanted, self.size - offset)

    def _load(self, wanted: Iterable[Range]) -> None:
        """Have the pages of some ranges, fetching those that are missing."""
        with self._lock:
            missing = [
                number * PAGE
                for offset, length in wanted
                for number in range(offset // PAGE, (offset + length - 1) // PAGE + 1)
                if number not in self._pages
            ]
            ranges = merged((start, min(PAGE, self.size - start)) for start in missing)
            if not ranges:
                return
            for (offset, _), data in zip(ranges, self._get(ranges), strict=True):
                for start in range(0, len(data), PAGE):
                    self._pages[(offset + start) // PAGE] = data[start : start + PAGE]
            # None of those that a view is made of: it takes no more than AHEAD.
            spare = max(_PAGES, sum(length for _, length in ranges) // PAGE + AHEAD // PAGE)
            while len(self._pages) > spare:
                self._pages.popitem(last=False)

    def reopen(self) -> None:
        if self._closed:
            self._closed = False
            self._is_still_what_it_was()

    def check(self) -> None:
        """Raise Changed unless the storage has the same version of it. A file that one request gave
        is of one state.
        """
        if not self._closed and self._requests > 1:
            self._is_still_what_it_was()

    def _is_still_what_it_was(self) -> None:
        now = listing.fact_of(self.path, anew=True)
        if now is None:
            raise changed("it was removed", self.path)
        if now.nbytes != self.size:
            raise changed(
                f"its size went from {self.size:,} to {now.nbytes or 0:,} bytes", self.path
            )
        if not listing.is_same(self._fact, now):
            raise changed("it was written to", self.path)

    def identity(self) -> tuple[object, ...] | None:
        return None if self._closed else (self.path, self.size, self._fact.version)

    def _state(self) -> tuple[object, ...]:
        """The same for the same bytes, within one call."""
        return listing.generation(), self.path, self.size, self._fact.version

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        global _last  # noqa: PLW0603 - one a process, which has few files open at a time
        if not self._closed and self._fact.version is not None:
            _last = _Last(self._state(), self._pages, self._requests)
        self._closed = True
        self._pages = OrderedDict()
        self._streams.clear()


class _Last(NamedTuple):
    """Pages of the file that was closed last. identity: None of none."""

    identity: tuple[object, ...] | None = None
    pages: OrderedDict[int, memoryview] = OrderedDict()  # noqa: RUF012 - never written to
    requests: int = 0


_last = _Last()


class _Streams:
    """Parts that will be read, fetched a chunk at a time, each once."""

    def __init__(self, get: _Get) -> None:
        self._get = get
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._chunks: OrderedDict[int, memoryview] = OrderedDict()
        self._fetching: dict[int, threading.Lock] = {}
        self._lock = threading.Lock()

    def add(self, ranges: Iterable[Range]) -> None:
        """More of them. What was known before stays as it was cut."""
        with self._lock:
            for offset, length in ranges:
                self._add(offset, offset + length)

    def _add(self, start: int, end: int) -> None:
        while start < end:
            at = bisect.bisect_right(self._starts, start) - 1
            if at >= 0 and start < self._ends[at]:
                start = self._ends[at]
                continue
            after = self._starts[at + 1] if at + 1 < len(self._starts) else end
            self._starts.insert(at + 1, start)
            self._ends.insert(at + 1, min(end, after))
            start = min(end, after)

    def view(self, offset: int, length: int) -> memoryview | None:
        """Bytes of what is expected; None of what is not, or only in part."""
        parts = list(self._cut(offset, length))
        if not parts:
            return None
        if len(parts) == 1:
            return self._part(*parts[0])
        return memoryview(b"".join(self._part(*part) for part in parts))

    def _cut(self, offset: int, length: int) -> Iterator[tuple[int, int, int, int]]:
        """(start of a chunk, its length, where in it, how many bytes)."""
        at, end = offset, offset + length
        with self._lock:
            found = []
            while at < end:
                number = bisect.bisect_right(self._starts, at) - 1
                if number < 0 or at >= self._ends[number]:
                    return
                first, last = self._starts[number], self._ends[number]
                start = first + (at - first) // CHUNK * CHUNK
                size = min(CHUNK, last - start)
                count = min(end, start + size) - at
                found.append((start, size, at - start, count))
                at += count
        yield from found

    def _part(self, start: int, size: int, at: int, count: int) -> memoryview:
        with self._lock:
            one = self._fetching.setdefault(start, threading.Lock())
        with one:
            with self._lock:
                chunk = self._chunks.get(start)
                if chunk is not None:
                    self._chunks.move_to_end(start)
            if chunk is None:
                (chunk,) = self._get([(start, size)])
                with self._lock:
                    self._chunks[start] = chunk
                    while len(self._chunks) > _CHUNKS:
                        self._fetching.pop(self._chunks.popitem(last=False)[0], None)
        return chunk[at : at + count]

    def clear(self) -> None:
        """Let go of all that is held."""
        with self._lock:
            self._chunks.clear()


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same ranges in order, those that lie close together as one."""
    found: list[Range] = []
    for offset, length in sorted(ranges):
        if found and offset <= sum(found[-1]) + GAP:
            start, before = found[-1]
            found[-1] = start, max(before, offset + length - start)
        else:
            found.append((offset, length))
    return found
