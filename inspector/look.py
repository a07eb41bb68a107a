"""One look at a tensor's values: all that is measured of it, from the same slices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from inspector.changed import changed
from inspector.closer import Closer
from inspector.errors import ChecksumMismatch
from inspector.limits import MIB, Limits
from inspector.masked import Kept, Leaks
from inspector.model import Detail, Divisible, Measurement, Payload, Tensor, Watched
from inspector.patterns import Bands, Search
from inspector.payloads import FilledPayload
from inspector.value_digest import ValueDigest, is_endless
from inspector.values import (
    DISTINCT,
    Array,
    Family,
    Tally,
    declared_dtype,
    family_of,
    is_number,
    native,
    slices,
)

# Large tensors are cut into parts of about so many bytes, which several threads can look at.
PART_BYTES = 16 * MIB


class Part(NamedTuple):
    """A part of a tensor: the values of `payload`, from the `start`-th of all on; their bytes."""

    payload: Payload | None
    start: int
    nbytes: int


class Look:
    """One tensor being measured (see `measure.measure`), by several threads at once if need be.

    Each of `parts()`, or `whole`, is handed to `take` once; then there is a `result`.
    """

    def __init__(
        self,
        tensor: Tensor,
        limits: Limits,
        on_bytes: Callable[[int], None] | None,
        *,
        outputs_first: bool = False,
        thorough: bool = False,
        digest: bool = False,
        beside: Kept | Leaks | None = None,
    ) -> None:
        self.tensor, self.limits, self.on_bytes = tensor, limits, on_bytes
        dtype = declared_dtype(tensor)
        self.is_number = dtype is not None and is_number(dtype)
        self.itemsize = 1 if dtype is None else dtype.itemsize
        self.thorough = thorough
        self.closer = Closer(tensor) if thorough and self.is_number else None
        self.beside = beside
        hashed = digest and self.is_number and not is_endless(tensor, limits)
        self.digest = ValueDigest(tensor) if hashed else None
        self.search = self._search(outputs_first or tensor.outputs_first)
        self.twice = tensor.centred is not None or (self.search is not None and self.search.wide)
        self.owed = 0  # bytes that were looked at once, and will be again
        self.centred_zeros = 0
        self.tallies: list[Tally] = []

    @property
    def whole(self) -> Part:
        """The tensor as one part."""
        return Part(self.tensor.payload, 0, self.tensor.elements * self.itemsize)

    def parts(self) -> list[Part]:
        """Parts that can be looked at side by side."""
        payload, elements = self.tensor.payload, self.tensor.elements
        # A digest is made of the values in order.
        in_order = self.thorough or self.digest is not None
        alone = self.twice or in_order or self.tensor.check is not None
        if (
            alone
            or self.whole.nbytes <= PART_BYTES
            or not isinstance(payload, Divisible)
            or payload.count != elements
        ):
            return [self.whole]
        unit = math.lcm(payload.grain, 1 if self.search is None else self.search.layout.unit)
        step = max(PART_BYTES // self.itemsize // unit, 1) * unit
        cuts = [(start, min(step, elements - start)) for start in range(0, elements, step)]
        return [
            Part(payload.part(start, count), start, count * self.itemsize) for start, count in cuts
        ]

    def take(self, part: Part) -> None:
        """Look at a part. Raises ArtifactError when bytes cannot be read, ChecksumMismatch."""
        payload, check = part.payload, self.tensor.check
        if payload is None or not self.is_number:
            hold_to(self.tensor, None)
            return
        watched = None if check is None else check.watch()
        # NaN is looked for: NumPy's warning about it would say nothing new.
        try:
            with np.errstate(invalid="ignore"):
                family = self._take(watched or payload, part.start)
        finally:
            if self.beside is not None:
                self.beside.end()
        if self.is_number:
            hold_to(self.tensor, watched)
        if family is not None:
            if self.twice:
                self._again(family)
            self.tallies.append(family.tally())

    def result(self) -> Measurement | None:
        """What was found in all parts together; None when there are no numbers."""
        if self.tensor.payload is None or not self.is_number:
            return None
        if not self.tallies:
            detail = Detail() if self.thorough else None
            return Measurement(0, None, None, 0, 0, 0, detail=detail, digest=self._digest())
        seen, *others = self.tallies
        for other in others:
            seen.merge(other)
        zeros = seen.zeros if self.tensor.centred is None else self.centred_zeros
        distinct = None if seen.values is None else int(seen.values.size) + (seen.nan > 0)
        if distinct is not None and distinct > DISTINCT:
            distinct = None
        return Measurement(
            zeros,
            seen.minimum,
            seen.maximum,
            seen.nan,
            seen.inf,
            distinct,
            () if self.search is None else self.search.results(zeros),
            self._detail(),
            self._digest(),
        )

    def _detail(self) -> Detail | None:
        if self.closer is None:
            return None
        detail = self.closer.detail()
        if isinstance(self.beside, Leaks):
            return changed(detail, leaked=self.beside.leaked)
        return detail

    def _digest(self) -> str | None:
        return None if self.digest is None else self.digest.spelled()

    def _search(self, outputs_first: bool) -> Search | None:
        """The patterns to look for; None where a fill value or too few sides leave none."""
        shape = self.tensor.shape or ()
        payload = self.tensor.centred or self.tensor.payload
        filled = payload is None or isinstance(payload, FilledPayload)
        if filled or not self.is_number or len(shape) < 2 or not math.prod(shape):
            return None
        in_order = not hasattr(payload, "window")
        return Search(
            shape, self.limits.slice_bytes, outputs_first=outputs_first, in_order=in_order
        )

    def _bands(self, start: int = 0) -> Bands | None:
        return None if self.search is None or self.search.wide else self.search.bands(start)

    def _take(self, payload: Payload, start: int) -> Family | None:
        """The first look."""
        bands = None if self.twice else self._bands(start)
        most = self.limits.slice_bytes if bands is None else bands.slice_bytes(self.itemsize)
        family: Family | None = None
        for values, times in slices(payload, most):
            # Values may come wider than the tensor's own dtype (int4 as int8).
            family = family or family_of(values.dtype)
            if family is None:
                self.is_number = False
                return None
            # A comparison and a count of booleans beat count_nonzero of floats by two to one.
            flags = family.nonzero(values)
            filled = int(np.count_nonzero(flags))
            family.add(values, filled, times)
            if self.closer is not None:
                self.closer.add(values, flags, times)
            if self.digest is not None:
                self.digest.add(values, times)
            if self.beside is not None:
                self.beside.add(flags, times)
            if bands is not None:
                bands.add(flags if times == 1 else np.repeat(flags, times), times * filled)
            self._report(times * values.nbytes)
        if bands is not None:
            bands.end()
        return family

    def _again(self, family: Family) -> None:
        """The second look: at values less their zero points, or at a wide matrix."""
        if self.tensor.centred is not None:
            self._take_centred(self.tensor.centred)
        elif self.search is not None and family.tally().zeros:
            window = getattr(self.tensor.payload, "window", None)
            if window is not None:
                self.search.in_strips(
                    lambda start, count: family.nonzero(native(window(start, count)))
                )
        if self.on_bytes is not None:
            self.on_bytes(self.owed)

    def _take_centred(self, payload: Payload) -> None:
        bands = self._bands()
        for values in payload.blocks(self.limits.slice_bytes):
            flags: Array = values != 0
            filled = int(np.count_nonzero(flags))
            self.centred_zeros += flags.size - filled
            if self.closer is not None:
                self.closer.add_centred(flags)
            if bands is not None:
                bands.add(flags, filled)
        if bands is not None:
            bands.end()

    def _report(self, nbytes: int) -> None:
        if self.on_bytes is not None:
            later = nbytes - nbytes // 2 if self.twice else 0
            self.owed += later
            self.on_bytes(nbytes - later)


def hold_to(tensor: Tensor, watched: Watched | None) -> None:
    """Raise ChecksumMismatch unless the bytes are those that the file's checksum was made of.

    watched: the payload as it was read to its end, where that summed the bytes up.
    """
    if tensor.check is None:
        return
    if not (tensor.check.holds() if watched is None else watched.held):
        place = tensor.extents[0] if tensor.extents else None
        raise ChecksumMismatch(
            "its bytes do not have the checksum that the file gives: they were changed after"
            " saving, and TensorFlow would refuse to load them",
            place.file if place else "",
            place.offset if place else None,
        )
