"""Values of a far file: parts that somebody said will be read, fetched a chunk at a time, once."""

from __future__ import annotations

import bisect
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable

from inspector.errors import InspectorError
from inspector.limits import MIB
from inspector.remote.pages import Get, Range

# Chunks that are held: threads look at values side by side, each at one or two of them.
CHUNKS = max(8, (os.cpu_count() or 1) + 4)
# One request: half a second of a slow line, and much more than a request costs; 32 MiB in all.
CHUNK = min(max(32 // CHUNKS, 1), 4) * MIB
# So few readers do not keep a line busy by themselves: what they will ask for next is fetched
# meanwhile.
_FEW = 2


class Streams:
    """Parts that will be read. Threads may share them; `get` is called by several at once."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._chunks: OrderedDict[int, memoryview] = OrderedDict()
        self._spent: OrderedDict[int, memoryview] = OrderedDict()  # read to the last byte
        self._left: dict[int, int] = {}  # bytes of those that nobody has read, 0 in the end
        self._fetching: dict[int, threading.Lock] = {}
        self._readers: set[int] = set()
        self._lock = threading.Lock()
        self._closed = False

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
        parts = self._cut(offset, length)
        if not parts:
            return None
        if len(parts) == 1:
            return self._part(*parts[0])
        return memoryview(b"".join([self._part(*part) for part in parts]))

    def _cut(self, offset: int, length: int) -> list[tuple[int, int, int, int]]:
        """(start of a chunk, its length, where in it, how many bytes); none where any is not
        expected.
        """
        at, end = offset, offset + length
        found = []
        with self._lock:
            while at < end:
                number = bisect.bisect_right(self._starts, at) - 1
                if number < 0 or at >= self._ends[number]:
                    return []
                first, last = self._starts[number], self._ends[number]
                start = first + (at - first) // CHUNK * CHUNK
                size = min(CHUNK, last - start)
                count = min(end, start + size) - at
                found.append((start, size, at - start, count))
                at += count
        return found

    def _part(self, start: int, size: int, at: int, count: int) -> memoryview:
        chunk = self._chunk(start, size)
        with self._lock:
            self._readers.add(threading.get_ident())
            few = len(self._readers) <= _FEW
            self._left[start] = left = max(self._left.get(start, size) - count, 0)
            if not left and start in self._chunks:
                self._spent[start] = self._chunks.pop(start)
        if few and not at:
            self._fetch_meanwhile(start + size)
        return chunk[at : at + count]

    def _chunk(self, start: int, size: int) -> memoryview:
        with self._lock:
            one = self._fetching.setdefault(start, threading.Lock())
        with one:
            with self._lock:
                held = self._spent if start in self._spent else self._chunks
                if start in held:
                    held.move_to_end(start)
                    return held[start]
            (chunk,) = self._get([(start, size)])
            with self._lock:
                self._fetching.pop(start, None)
                if not self._closed:
                    self._chunks[start] = chunk
                while len(self._chunks) + len(self._spent) > CHUNKS:
                    (self._spent or self._chunks).popitem(last=False)
        return chunk

    def _fetch_meanwhile(self, offset: int) -> None:
        """Have the chunk at an offset fetched by another thread, where it is of the same part."""
        with self._lock:
            number = bisect.bisect_right(self._starts, offset) - 1
            if offset in self._left or offset in self._fetching or number < 0:
                return  # somebody is there, or was
            if not self._starts[number] < offset < self._ends[number]:
                return
            size = min(CHUNK, self._ends[number] - offset)

        def fetch() -> None:
            try:
                if offset not in self._left:
                    self._chunk(offset, size)
            except InspectorError:
                pass  # whoever asks for it will be told

        threading.Thread(target=fetch, daemon=True).start()

    def close(self) -> None:
        """Let go of all that is held."""
        with self._lock:
            self._closed = True
            self._chunks.clear()
            self._spent.clear()

    def open(self) -> None:
        """Hold chunks again."""
        self._closed = False
