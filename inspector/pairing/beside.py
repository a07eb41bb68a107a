"""Both tensors of a pair read once: one is measured while the other is held against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from inspector.errors import ArtifactError
from inspector.limits import Limits
from inspector.measure import mask_against_weight
from inspector.model import Divisible, Measurement, Payload, Tensor
from inspector.pairing.agree import concluded
from inspector.pairing.changes import Seen
from inspector.pairing.nouns import Agreement, Pair, Tolerance
from inspector.pairing.tally import Tally
from inspector.pairing.values import Slices
from inspector.payloads import FilledPayload, RawPayload, numpy_dtype
from inspector.values import Array, declared_dtype, family_of, native


def goes_beside(pair: Pair) -> bool:
    """Whether both lie in their files as values of one dtype and shape, and nothing changed them.

    A mask has to be as large as they are.
    """
    a, b, mask = pair.a, pair.b, pair.mask
    return (
        pair.change is None
        and (a.shape, a.dtype, a.outputs_first) == (b.shape, b.dtype, b.outputs_first)
        and _is_number(a)
        and _is_plain(a)
        and _is_plain(b)
        and (mask is None or (mask.shape == a.shape and _is_number(mask)))
    )


def _is_number(tensor: Tensor) -> bool:
    dtype = declared_dtype(tensor)
    return dtype is not None and family_of(dtype) is not None


def _is_plain(tensor: Tensor) -> bool:
    """Whether its values lie in the file, stand for themselves, and are checked on the way."""
    payload = tensor.payload
    if payload is None or isinstance(payload, FilledPayload) or not tensor.elements:
        return False
    if isinstance(payload, RawPayload) and payload.count != tensor.elements:
        return False
    itself = tensor.real is None and tensor.centred is None
    return itself and (tensor.check is None or tensor.check.watch() is not None)


def read_beside(pair: Pair, tolerance: Tolerance, limits: Limits) -> Beside:
    """The payload to measure a pair's `a` by, of a pair that `goes_beside`."""
    divides = _divides(pair.a) and _divides(pair.b)
    return (_Divided if divides else Beside)(pair, tolerance, limits)


def _divides(tensor: Tensor) -> bool:
    """Whether parts of it can be read: a checksum is of all."""
    payload = tensor.payload
    if tensor.check is not None or not isinstance(payload, RawPayload | Divisible):
        return False
    return payload.count == tensor.elements


class Beside:
    """The payload of a pair's `a`, with which `b` is compared as it is read.

    It is to be read once, to its end. An error of `b` is nobody's business here: there is no tally
    then, and whoever looks at `b` by itself meets it.
    """

    def __init__(self, pair: Pair, tolerance: Tolerance, limits: Limits) -> None:
        self.pair, self._tolerance = pair, tolerance
        checks = pair.a.check, pair.b.check
        self._watched = [None if check is None else check.watch() for check in checks]
        self._limits = limits
        self._tallies: dict[int, Tally] = {}

    @property
    def window(self) -> Callable[[int, int], Array]:
        """As `a` has it. Raises AttributeError where that can be read in order only."""
        return cast("Any", self.pair.a.payload).window  # type: ignore[no-any-return]

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """The values of `a`."""
        ours, theirs = self._watched
        a, b = ours or self.pair.a.payload, theirs or self.pair.b.payload
        assert a is not None and b is not None  # noqa: S101, PT018 - see `goes_beside`
        return self.read(0, a, b, max_bytes)

    def read(self, start: int, a: Payload, b: Payload, max_bytes: int) -> Iterator[Array]:
        """The values of `a`, held against those of `b`; both payloads begin at the `start`-th."""
        ours = Slices(a, self._limits)
        ours.make_room(max(self._limits.slice_bytes // ours.dtype.itemsize, 1))
        theirs = _Other(b, ours, self._limits)
        size = max(max_bytes // ours.dtype.itemsize, 1)
        # What is the same on both sides need not be summed up now if it can be read again.
        waits = hasattr(self, "window")
        tally = Tally(self._tolerance)
        at = start
        while True:
            used, alike = 0, True
            while (values := ours.take(used, size)).size:
                alike = theirs.is_same(used, values) and alike
                used += values.size
                yield values
            if not used:
                break
            x, y = ours.room[:used], theirs.values(used)
            if not alike and y is not None:
                tally.add_unequal(Seen(expected=x, actual=y, at=at))
            elif waits:
                tally.pass_over(at, used)
            else:
                tally.add_equal(x)
            at += used
        if theirs.ended():
            if not tally.bits:
                tally.catch_up(self._again)
            self._tallies[start] = tally

    def _again(self, start: int, count: int) -> Array:
        return native(self.window(start, count))

    def tally(self) -> Tally | None:
        """What was counted; None where not all could be read, or a checksum does not hold."""
        if any(watched is not None and not watched.held for watched in self._watched):
            return None
        whole = Tally(self._tolerance)
        for start in sorted(self._tallies):
            whole.join(self._tallies[start])
        return whole if whole.elements == self.pair.a.elements else None

    def agreement(self, tally: Tally, a: Measurement, b: Measurement) -> Agreement:
        """How the values agree, with what was measured of both. Raises ArtifactError."""
        tally.zeros_a, tally.zeros_b = a.zeros, b.zeros
        if tally.waiting and not (tally.bits and tally.is_measured(a)):
            tally.catch_up(self._again)
        mask = self.pair.mask
        if mask is not None and mask.payload is not None:
            pruned = self.pair.b if self.pair.mask_of_a else self.pair.a
            tally.masked = mask_against_weight(mask, pruned, self._limits).leaked
        return concluded(tally, self.pair)


class _Divided(Beside):
    """One that several threads can read parts of."""

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.pair.a.elements

    @property
    def grain(self) -> int:
        """It is cut where both are, and between slices: sums are those of whole ones."""
        a, b = (cast("Divisible", one.payload) for one in (self.pair.a, self.pair.b))
        width = numpy_dtype(self.pair.a.dtype).itemsize
        return math.lcm(a.grain, b.grain, max(self._limits.slice_bytes // width, 1))

    def part(self, start: int, count: int) -> _Part:
        """`count` values from the `start`-th on."""
        return _Part(self, start, count)


class _Part:
    """A part of one."""

    def __init__(self, whole: Beside, start: int, count: int) -> None:
        self._whole, self._start, self._count = whole, start, count

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """The values of `a`."""
        pair = self._whole.pair
        a, b = (
            cast("Divisible", one.payload).part(self._start, self._count)
            for one in (pair.a, pair.b)
        )
        return self._whole.read(self._start, a, b, max_bytes)


class _Other:
    """The side that is held against the first, as long as it is of the same kind and length."""

    def __init__(self, payload: Payload, first: Slices, limits: Limits) -> None:
        self._slices: Slices | None = None
        self._flags = np.empty(0, bool)
        try:
            slices = Slices(payload, limits)
        except ArtifactError:
            return
        if slices.dtype == first.dtype:
            slices.make_room(first.room.size)
            self._slices = slices

    def is_same(self, used: int, values: Array) -> bool:
        """Whether its next values have the bits of these; False where there are none."""
        if self._slices is None:
            return False
        try:
            other = self._slices.take(used, values.size)
        except ArtifactError:
            other = values[:0]
        if other.size != values.size:
            self._slices = None
            return False
        width = next(width for width in (8, 4, 2, 1) if not values.nbytes % width)
        bits = values.view("u1").view(f"u{width}")
        if self._flags.size < bits.size:
            self._flags = np.empty(bits.size, bool)
        flags = self._flags[: bits.size]
        return bool(np.equal(bits, other.view("u1").view(f"u{width}"), out=flags).all())

    def values(self, used: int) -> Array | None:
        """Those of the slice; None where some could not be read."""
        return None if self._slices is None else self._slices.room[:used]

    def ended(self) -> bool:
        """Whether all of them were held against others."""
        try:
            return self._slices is not None and not self._slices.take(0, 1).size
        except ArtifactError:
            return False
