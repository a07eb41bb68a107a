"""A file in a storage, read in ranges: few requests for its structure, its values streamed once.

Small reads are met from pages (`pages.py`), which are kept for a whole call: a file is opened by
whoever tells what it is, by its reader, and by rules about its bytes. Large parts that
somebody said will be read are fetched a chunk at a time, as they are reached (`streams.py`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable

from inspector.errors import ArtifactError, NotFound, UnknownFormat
from inspector.limits import KIB, MIB
from inspector.remote import listing, storages, urls
from inspector.remote.pages import AHEAD, SMALL, Pages, Range, merged
from inspector.remote.streams import Streams
from inspector.storage import File, MemorySource, changed, check_bounds

# An expected part of more is values: not held for long.
LARGE = 256 * KIB
# A member of an archive has to be inflated from its beginning.
WHOLE = 64 * MIB
# A file that is read whole stays in memory where it is no larger.
HELD = 16 * MIB
# Seconds in which a file that was just asked for is not asked for again: whoever reads it then
# asks once more in the end.
FRESH = 5.0
_KNOWN = 16  # files whose pages are kept


class _State:
    """What is known of the bytes of a file in one state. identity: the same for the same bytes,
    within one call.

    answers: how many there were since the state was proved, the proof being one. whole: all bytes,
    where somebody asked for them together.
    """

    def __init__(self, identity: tuple[object, ...], size: int) -> None:
        self.identity = identity
        self.pages = Pages(size)
        self.answers = 0
        self.proved = time.monotonic()
        self.whole: MemorySource | None = None
        self._users = 0
        self._lock = threading.Lock()

    def count(self, answers: int) -> None:
        with self._lock:
            self.answers += answers

    def prove(self) -> None:
        """Note that it is still in this state."""
        with self._lock:
            self.answers, self.proved = 1, time.monotonic()

    def use(self, users: int) -> None:
        """So many files more, or less, are open. With the last one, most is let go."""
        with self._lock:
            self._users += users
            if not self._users:
                self.pages.rest()
                self._let_go(HELD)

    def rest(self) -> None:
        """Another file is of interest now."""
        with self._lock:
            if not self._users:
                self._let_go(0)

    def _let_go(self, most: int) -> None:
        if self.whole is not None and self.whole.size > most:
            self.whole = None


_kept: OrderedDict[str, _State] = OrderedDict()
_keeping = threading.Lock()


def _state_of(fact: listing.Fact, size: int) -> _State:
    """That of a file that was open before in the same call, where it can be told to be the same."""
    identity = listing.generation(), size, fact.version
    with _keeping:
        state = _kept.pop(fact.path, None)
        if state is None or state.identity != identity or fact.version is None:
            state = _State(identity, size)
            for other in _kept.values():
                other.rest()
        _kept[fact.path] = state
        if len(_kept) > _KNOWN:
            _kept.popitem(last=False)
    return state


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
        self._streams = Streams(self._get)
        if fact.nbytes is None:
            raise ArtifactError(
                "its size is not told by the storage, so it cannot be read in places; --cache DIR"
                " keeps a copy of it",
                self.path,
            )
        self.size = fact.nbytes
        self._state = _state_of(fact, self.size)
        self._pages = self._state.pages
        self._hold_member()
        self._state.use(1)
        self._note()

    def _hold_member(self) -> None:
        """Have what lies in an archive in memory."""
        if urls.is_inside(self.path):
            self._hold("within an archive, which")

    def _hold(self, where: str) -> MemorySource:
        """The file in memory. Raises ArtifactError where it is too large."""
        if self._state.whole is not None:
            return self._state.whole
        if self.size > WHOLE:
            raise ArtifactError(
                f"{self.size:,} bytes {where} cannot be read in places; --cache DIR keeps a copy"
                " of it",
                self.path,
            )
        (data,) = self._get([(0, self.size)])
        self._state.whole = whole = MemorySource(data, self.path)
        return whole

    def _get(self, ranges: list[Range]) -> list[memoryview]:
        """Fetch ranges, in a request each."""
        if self._closed:
            raise ArtifactError("was closed before this was read", self.path, ranges[0][0])
        self._state.count(len(ranges))
        try:
            return [memoryview(data) for data in storages.fetch(self.path, ranges)]
        except NotFound:
            raise changed("it was removed", self.path) from None
        except ArtifactError:
            self._state.count(1)  # whether it is what it was is worth another one
            raise

    def view(self, offset: int, length: int) -> memoryview:
        check_bounds(self.path, self.size, offset, length)
        whole = self._state.whole
        if whole is None:
            try:
                return self._in_places(offset, length)
            except storages.NoRanges:
                whole = self._hold("in a storage that gives files only as a whole, which")
                storages.asked.fail(-1)
        return whole.view(offset, length)

    def _in_places(self, offset: int, length: int) -> memoryview:
        if not length:
            return memoryview(b"")
        held = self._streams.view(offset, length)
        if held is not None:
            return held
        if length <= AHEAD:
            return self._pages.view(offset, length, self._get)
        (data,) = self._get([(offset, length)])
        if length == self.size <= HELD:
            self._state.whole = MemorySource(data, self.path)
        return data

    def readinto(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.view(offset, buffer.nbytes)

    def expect(self, ranges: Iterable[Range]) -> None:
        """See ByteSource: nothing is fetched until something of it is asked for."""
        if self._state.whole is not None or self.size <= SMALL:
            return
        wanted = merged(
            (offset, length)
            for offset, length in ranges
            if offset >= 0 and length > 0 and offset + length <= self.size
        )
        self._pages.plan(one for one in wanted if one[1] < LARGE)
        self._streams.add(one for one in wanted if one[1] >= LARGE)

    def reopen(self) -> None:
        if self._closed:
            # One that is found to be another is open all the same: it is closed as any.
            self._closed = False
            self._streams.open()
            self._state.use(1)
            if time.monotonic() > self._state.proved + FRESH:
                self._is_still_what_it_was()
            self._hold_member()

    def check(self) -> None:
        """Raise Changed unless the storage has the same version of it. What one request gave is of
        one state.
        """
        if not self._closed and self._state.answers > 1:
            self._is_still_what_it_was()

    def __exit__(self, kind: type[BaseException] | None, *how: object) -> None:
        if kind is not None and issubclass(kind, ArtifactError) and kind is not UnknownFormat:
            # It may have been another when it was listed, and longer by now. That is asked of
            # what cannot be read, not of every file that is no model.
            self._state.count(1)
        super().__exit__(kind, *how)

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
        self._state.prove()

    def identity(self) -> tuple[object, ...] | None:
        return None if self._closed else (self.path, self.size, self._fact.version)

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._streams.close()
            self._state.use(-1)
