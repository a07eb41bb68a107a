"""Which bytes of the files are whose, where tensors share some: each byte once."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Mapping

from inspector.model import Artifact, Role, Verdict


def bytes_once(artifact: Artifact, verdicts: Mapping[str, Verdict]) -> dict[str, int]:
    """Bytes that each tensor takes of the files, by name, no byte counted twice.

    Of two tensors that share bytes the first takes them, one that is no copy before a copy.
    """
    taken: defaultdict[str, _Taken] = defaultdict(_Taken)
    found: dict[str, int] = {}
    for tensor in sorted(artifact.tensors, key=lambda t: verdicts[t.name].role is Role.ALIAS):
        found[tensor.name] = 0
        for extent in tensor.extents:
            found[tensor.name] += taken[extent.file].take(extent.offset, extent.length)
    return found


class _Taken:
    """Which bytes of a file have been taken: intervals in order, none touching another."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def take(self, offset: int, length: int) -> int:
        """How many of `length` bytes at `offset` were still free; they are taken now."""
        start, end = offset, offset + length
        if not self._ends or start > self._ends[-1]:
            self._starts.append(start)
            self._ends.append(end)
            return length
        first = bisect.bisect_left(self._ends, start)
        last = bisect.bisect_right(self._starts, end)
        already = sum(
            max(min(end, e) - max(start, s), 0)
            for s, e in zip(self._starts[first:last], self._ends[first:last], strict=True)
        )
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        return length - already
