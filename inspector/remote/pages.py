"""What small reads of a far file are met from: pages that are fetched by the many, and kept.

Where somebody said what will be read, the first page of it that is missed brings the others, in
requests that are made at once: what is then read of them, in any order, costs nothing. What nobody
expected is fetched with a guess: more and more of what is read one after another.
"""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

from inspector.limits import KIB, MIB

# One page: what h5py puts of a group's structure in one place is half as much.
PAGE = 4 * KIB
# What is fetched of the beginning and the end of a file: there formats have their directories, and
# configs. A zip's end record may have a comment of 64 KiB behind it.
HEAD = 128 * KIB
TAIL = 68 * KIB
# A file so small is fetched whole: that takes no longer than one more answer.
SMALL = MIB
# Bytes between two parts that are cheaper to fetch than another request.
GAP = 16 * KIB
# The most that is read ahead by guess.
AHEAD = MIB
# More of what is expected is not fetched at once.
AT_ONCE = 2 * MIB
_HELD = 8192  # pages: 32 MiB
_KEPT = 512  # of a file that is closed: 2 MiB

Range = tuple[int, int]  # (offset, length)
Get = Callable[[list[Range]], list[memoryview]]


class Pages:
    """Pages of one state of a file of `size` bytes. Threads may share them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._planned: list[int] = []  # that will be asked for, in order
        self._next = 0  # where the last guess ended
        self._guess = PAGE
        self._lock = threading.RLock()

    def plan(self, ranges: Iterable[Range]) -> None:
        """Have what is missing of some ranges fetched once any of it is asked for."""
        with self._lock:
            new = {
                number
                for offset, length in ranges
                for number in _pages(offset, length)
                if number not in self._held
            }
            if new:
                self._planned = sorted(new.union(self._planned))

    def view(self, offset: int, length: int, get: Get) -> memoryview:
        """Bytes of the file. get: fetches what is missing."""
        numbers = _pages(offset, length)
        with self._lock:
            held = [number for number in numbers if number in self._held]
            for number in held:
                self._held.move_to_end(number)
            if len(held) < len(numbers):
                self._load(offset, length, get)
            pages = [self._held[number] for number in numbers]
        start = offset - numbers.start * PAGE
        whole = pages[0] if len(pages) == 1 else b"".join(pages)
        return memoryview(whole)[start : start + length]

    def _load(self, offset: int, length: int, get: Get) -> None:
        """Fetch what is missing of a range, what is guessed behind it, and what is planned."""
        wanted = set(_pages(offset, length))
        if self._planned and not wanted.isdisjoint(self._planned):
            wanted.update(self._batch(offset // PAGE))
        else:
            wanted.update(_pages(*self._guessed(offset, length)), self._batch(offset // PAGE))
        missing = sorted(wanted.difference(self._held))
        self._planned = [number for number in self._planned if number not in wanted]
        ranges = merged((one * PAGE, min(PAGE, self._size - one * PAGE)) for one in missing)
        for (start, _), data in zip(ranges, get(ranges), strict=True):
            for at in range(0, len(data), PAGE):
                # A copy: a view would keep all that came with it.
                self._held[(start + at) // PAGE] = bytes(data[at : at + PAGE])
        for number in _pages(offset, length):
            self._held.move_to_end(number)
        self._trim(_HELD)

    def _batch(self, number: int) -> list[int]:
        """Pages that are planned: from this one on, and around."""
        at, most = bisect.bisect_left(self._planned, number), AT_ONCE // PAGE
        return (self._planned[at:] + self._planned[:at])[:most]

    def _guessed(self, offset: int, length: int) -> Range:
        """What is fetched where a page is missing that nobody expected."""
        if self._size <= SMALL:
            return 0, self._size
        if offset < HEAD:
            return 0, max(HEAD, offset + length)
        if offset >= self._size - TAIL:
            return self._size - TAIL, TAIL
        goes_on = self._next <= offset + length and offset <= self._next + PAGE
        self._guess = min(2 * self._guess, AHEAD) if goes_on else PAGE
        wanted = max(length, self._guess - offset % PAGE)  # to the end of a page
        self._next = offset + wanted
        return offset, min(wanted, self._size - offset)

    def _trim(self, most: int) -> None:
        while len(self._held) > most:
            self._held.popitem(last=False)

    def rest(self) -> None:
        """Nobody reads now; whoever opens the file next may."""
        with self._lock:
            self._planned = []
            self._trim(_KEPT)


def _pages(offset: int, length: int) -> range:
    """The numbers of the pages that a range lies in."""
    return range(offset // PAGE, (offset + length - 1) // PAGE + 1)


def merged(ranges: Iterable[Range], gap: int = GAP) -> list[Range]:
    """The same ranges in order, those that lie close together as one."""
    found: list[Range] = []
    for offset, length in sorted(ranges):
        if found and offset <= sum(found[-1]) + gap:
            start, before = found[-1]
            found[-1] = start, max(before, offset + length - start)
        else:
            found.append((offset, length))
    return found
