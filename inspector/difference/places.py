"""Where the bytes of two artifacts differ, and what lies there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inspector import filesystem
from inspector.difference import layout
from inspector.limits import DEFAULT, Limits
from inspector.model import Artifact
from inspector.pairing import Pair
from inspector.payloads import RawPayload
from inspector.report import DiffPlace
from inspector.storage import ByteSource

if TYPE_CHECKING:
    import numpy as np

    Offsets = np.ndarray[Any, np.dtype[np.intp]]

# Bytes that differ and are no further apart are one place: values that changed all over still
# have bytes in common.
_NEAR = 16
# Places of one tensor or part that are told one by one; of more, one tells of all.
_FEW = 4
# Nobody reads more than some screens of places; those behind are one, with their bytes.
_MOST = 200
# The file in a folder of checkpoints that says which is the last one.
_STATE = "checkpoint"


Ranges = Sequence[tuple[int, int]]


def is_identical(
    a: Artifact, b: Artifact, limits: Limits = DEFAULT, alike: Iterable[Pair] = ()
) -> bool:
    """Whether two open artifacts have the same files, byte for byte.

    alike: pairs of which it is known that their values have the same bits. Raises ArtifactError.
    """
    if a.format != b.format:
        return False
    known = _known(alike)
    return all(
        one is not None and other is not None and _is_one(one, other, known, limits)
        for one, other in _paired(a, b)
    )


def _is_one(
    a: str, b: str, known: Mapping[tuple[str, str], list[tuple[int, int]]], limits: Limits
) -> bool:
    with filesystem.opened(a) as one, filesystem.opened(b) as other:
        if one.size != other.size:
            return False
        return next(_unlike(one, other, limits, sorted(known.get((a, b), ()))), None) is None


def _known(alike: Iterable[Pair]) -> Mapping[tuple[str, str], list[tuple[int, int]]]:
    """(file of A, file of B) -> ranges of both that have the same bytes: values as they are."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for one in alike:
        if not (isinstance(one.a.payload, RawPayload) and isinstance(one.b.payload, RawPayload)):
            continue
        if one.a.payload.dtype != one.b.payload.dtype:  # of other byte order
            continue
        for x, y in zip(one.a.extents, one.b.extents, strict=False):
            if x.codec is None is y.codec and (x.offset, x.length) == (y.offset, y.length):
                found.setdefault((x.file, y.file), []).append((x.offset, x.offset + x.length))
    return found


def places(a: Artifact, b: Artifact, limits: Limits = DEFAULT) -> tuple[DiffPlace, ...]:
    """Where the bytes of two open artifacts differ, in the order of A's files.

    Files are paired by their path in the artifact. Of two formats no byte corresponds to another,
    which is one place. Raises ArtifactError where a file cannot be read any more.
    """
    if a.format != b.format:
        what = f"not compared byte by byte: {a.format} and {b.format}"
        return (DiffPlace(a.path, b.path, 0, max(a.nbytes, b.nbytes), what),)
    found: list[DiffPlace] = []
    known = layout.tensors(a), layout.tensors(b)
    for one, other in _paired(a, b):
        found += _of_files(one, other, known, limits)
    if len(found) <= _MOST:
        return tuple(found)
    told, rest = found[: _MOST - 1], found[_MOST - 1 :]
    nbytes = sum(place.length for place in rest)
    what = f"{len(rest):,} more places, from here on"
    return (*told, DiffPlace(rest[0].a, rest[0].b, rest[0].offset, nbytes, what))


def _paired(a: Artifact, b: Artifact) -> Iterator[tuple[str | None, str | None]]:
    """Files that are each other's, then those that only B has."""
    ours, theirs = _by_name(a), _by_name(b)
    for name, path in ours.items():
        yield path, theirs.get(name)
    for name, path in theirs.items():
        if name not in ours:
            yield None, path


def _by_name(artifact: Artifact) -> dict[str, str]:
    """Each file by what tells it from the artifact's others: a single one needs nothing."""
    paths = [entry.path for entry in artifact.files]
    if len(paths) == 1:
        return {"": paths[0]}
    if artifact.format != "checkpoint" and filesystem.isdir(artifact.path):
        return {filesystem.relpath(path, artifact.path): path for path in paths}
    # Shards begin with their prefix, which may be another in B; a folder's state file does not.
    shards = [path for path in paths if os.path.basename(path) != _STATE]
    prefix = os.path.commonprefix(shards)  # noqa: RUF071 - of names that go on, not of folders
    return {path.removeprefix(prefix) if path in shards else _STATE: path for path in paths}


def _of_files(
    a: str | None,
    b: str | None,
    known: Sequence[Mapping[str, list[layout.Region]]],
    limits: Limits,
) -> Iterator[DiffPlace]:
    with contextlib.ExitStack() as stack:
        one, other = (
            None if path is None else stack.enter_context(filesystem.opened(path))
            for path in (a, b)
        )
        if one is None or other is None:
            only = one or other
            if only is not None and only.size:
                side = "A" if other is None else "B"
                yield DiffPlace(a, b, 0, only.size, f"a file that only {side} has")
            return
        yield from _of_both(one, other, known, limits)


def _of_both(
    a: ByteSource,
    b: ByteSource,
    known: Sequence[Mapping[str, list[layout.Region]]],
    limits: Limits,
) -> Iterator[DiffPlace]:
    spots: dict[int, _Spot] = {}
    here: layout.Layout | None = None
    for offsets in _unlike(a, b, limits):
        # Most files of a pair are the same, and need not be looked into.
        here = here or _layout(a, b, known, limits)
        _take(offsets, here, spots)
    for index, spot in sorted(spots.items()):
        assert here is not None  # noqa: S101 - there are spots
        yield from spot.places(a.path, b.path, here.name(here.regions[index], spot.first))
    common = min(a.size, b.size)
    if a.size > common:
        yield DiffPlace(a.path, None, common, a.size - common, "what A's file has more at its end")
    if b.size > common:
        yield DiffPlace(None, b.path, common, b.size - common, "what B's file has more at its end")


def _layout(
    a: ByteSource,
    b: ByteSource,
    known: Sequence[Mapping[str, list[layout.Region]]],
    limits: Limits,
) -> layout.Layout:
    """What lies where in A's file; where it has no tensor and B's has one, that one."""
    theirs = (
        layout.Region(region.start, region.stop, f"{region.what} of B")
        for region in known[1].get(b.path, ())
    )
    layers = (known[0].get(a.path, ()), theirs, layout.structure(a, limits))
    return layout.Layout(a, layers)


def _unlike(a: ByteSource, b: ByteSource, limits: Limits, known: Ranges = ()) -> Iterator[Offsets]:
    """Offsets of the bytes that differ as far as both files go, a slice at a time.

    known: ranges of both that are the same, in order.
    """
    import numpy as np

    for first, stop in _between(known, min(a.size, b.size)):
        for start in range(first, stop, limits.slice_bytes):
            length = min(limits.slice_bytes, stop - start)
            ours, theirs = (np.frombuffer(one.view(start, length), np.uint8) for one in (a, b))
            unlike = np.flatnonzero(ours != theirs)
            if unlike.size:
                yield unlike + start


def _between(ranges: Ranges, size: int) -> Iterator[tuple[int, int]]:
    """What lies between ranges, which are in order, of so many bytes."""
    reached = 0
    for start, stop in (*ranges, (size, size)):
        if start > reached:
            yield reached, start
        reached = max(reached, stop)


def _take(offsets: Offsets, here: layout.Layout, spots: dict[int, _Spot]) -> None:
    """Add the offsets of one slice to what was found in each region."""
    import numpy as np

    regions = np.searchsorted(here.starts, offsets, side="right") - 1
    gaps, moved = np.diff(offsets) > _NEAR, np.diff(regions) != 0
    firsts = np.concatenate(([0], np.flatnonzero(gaps | moved) + 1))
    lasts = np.concatenate((firsts[1:] - 1, [offsets.size - 1]))
    touched, begins = np.unique(regions[firsts], return_index=True)
    ends = [*begins[1:].tolist(), firsts.size]
    for index, begin, end in zip(touched.tolist(), begins.tolist(), ends, strict=True):
        spot = spots.setdefault(index, _Spot(int(offsets[firsts[begin]])))
        for at in range(begin, min(end, begin + _FEW + 1)):
            spot.add(int(offsets[firsts[at]]), int(offsets[lasts[at]]) + 1)
        spot.ranges += max(end - begin - _FEW - 1, 0)
        spot.stop = int(offsets[lasts[end - 1]]) + 1
        spot.bytes += int(lasts[end - 1] - firsts[begin]) + 1


@dataclass(slots=True)
class _Spot:
    """What differs in one region: from `first` to before `stop`, `bytes` bytes in `ranges` places.

    few: the first places, each from and to.
    """

    first: int
    stop: int = 0
    bytes: int = 0
    ranges: int = 0
    few: list[tuple[int, int]] = field(default_factory=list)

    def add(self, start: int, stop: int) -> None:
        """Take in one range, which lies behind those before it."""
        goes_on = self.ranges and start - self.stop < _NEAR  # over the border of two slices
        self.stop = stop
        if not goes_on:
            self.ranges += 1
            if len(self.few) < _FEW:
                self.few.append((start, stop))
        elif self.ranges == len(self.few):
            self.few[-1] = self.few[-1][0], stop

    def places(self, a: str, b: str, what: str) -> Iterator[DiffPlace]:
        """The ranges one by one where they are few, else all as one."""
        if self.ranges <= _FEW:
            for start, stop in self.few:
                yield DiffPlace(a, b, start, stop - start, what)
            return
        told = f"{what}: {self.bytes:,} bytes of these, in {self.ranges:,} places"
        yield DiffPlace(a, b, self.first, self.stop - self.first, told)
