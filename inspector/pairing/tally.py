"""What is added up while two sides are held against each other, slice by slice."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inspector.measure import is_nonzero, same
from inspector.pairing.changes import Seen
from inspector.pairing.nouns import Tolerance
from inspector.pairing.values import is_number, is_real, ulp, wide
from inspector.values import Array

# Between these, squares of float32 neither vanish nor overflow in a slice's sum.
_SQUARED_SAFELY = (1e-12, 1e12)
_ROW = 1024  # products summed up in their own dtype, float32 at the least, before it gets wider


@dataclass(slots=True)
class Tally:
    """Counts are elements; a is what was expected, b what is there.

    largest: None as soon as something cannot be subtracted. power_a, power_b, inner: the sums of
    a * a, b * b and a * b where both are finite; noise: that of squared differences, where they
    are; total: of differences. broken: a difference is not finite.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    elements: int = 0
    differing: int = 0
    zeros_a: int = 0
    zeros_b: int = 0
    zeros_gained: int = 0
    zeros_lost: int = 0
    sign_flips: int = 0
    largest: float | None = 0.0
    magnitude: float = 0.0
    where: int | tuple[int, ...] | None = None
    power_a: float = 0.0
    power_b: float = 0.0
    inner: float = 0.0
    noise: float = 0.0
    total: float = 0.0
    broken: bool = False
    bits: bool = True
    ulps: float = 0.0
    steps: float | None = None
    clipped: int = 0
    masked: int | None = None

    def add(self, seen: Seen) -> None:
        """Take in a slice."""
        x, y, times = seen.expected, seen.actual, seen.times
        self.elements += times * x.size
        if not (is_number(x.dtype) and is_number(y.dtype)):
            self.largest = None
            self._differs(np.flatnonzero(_unlike(x, y)), seen)
            return
        self.bits = self.bits and seen.bits
        filled = _filled(x)
        if same(x, y):
            other = filled
            self._alike(x, times)
        else:
            other = _filled(y)
            self.bits = False
            self._apart(x, y, seen)
            self.zeros_gained += times * int(np.count_nonzero(filled & ~other))
            self.zeros_lost += times * int(np.count_nonzero(other & ~filled))
        self.zeros_a += times * (x.size - int(np.count_nonzero(filled)))
        self.zeros_b += times * (x.size - int(np.count_nonzero(other)))
        if seen.mask is not None:
            leaked = (filled if seen.of_expected else other) & ~_filled(seen.mask)
            self.masked = (self.masked or 0) + times * int(np.count_nonzero(leaked))

    def _alike(self, x: Array, times: int) -> None:
        top, power = _power(x)
        self.magnitude = max(self.magnitude, top)
        self.power_a += times * power
        self.power_b += times * power
        self.inner += times * power

    def _apart(self, x: Array, y: Array, seen: Seen) -> None:
        """Take in two slices that are not the same bits."""
        with np.errstate(all="ignore"):
            a, b = wide(x), wide(y)
            self.magnitude = max(self.magnitude, _largest(a))
            self._norms(a, b, seen.times)
            apart = _difference(x, y, a, b)
            different = apart != 0
            if not different.any():
                return
            top = int(apart.argmax())
            largest = float(apart.flat[top])
            finite = apart.reshape(-1)
            if not math.isfinite(largest):
                self.broken = True
                finite = finite[np.isfinite(finite)]
            self.total += seen.times * float(apart.sum())
            self.noise += seen.times * _dot(finite, finite)
            if is_real(x.dtype) and is_real(y.dtype):
                flips = ((a > 0) & (b < 0)) | ((a < 0) & (b > 0))
                self.sign_flips += seen.times * int(np.count_nonzero(flips))
            self._differs(np.flatnonzero(different & ~self._near(apart, a, b)), seen)
            if self.largest is not None and largest > self.largest:
                self.largest = largest
                self.where = seen.place(top)
            if seen.scale is not None:
                self._scaled(apart / seen.scale, seen)
            elif x.dtype != y.dtype and _is_float(y.dtype):
                self.ulps = max(self.ulps, float((apart / ulp(a, y.dtype)).max()))

    def _scaled(self, steps: Array, seen: Seen) -> None:
        if seen.beyond is not None:
            self.clipped += int(np.count_nonzero(seen.beyond))
            steps = np.where(seen.beyond, 0.0, steps)
        self.steps = max(self.steps or 0.0, float(steps.max()))

    def _norms(self, a: Array, b: Array, times: int) -> None:
        powers = _products(a, b)
        if not all(map(math.isfinite, powers)):
            finite = np.isfinite(a) & np.isfinite(b)
            powers = _products(a[finite], b[finite])
        self.power_a += times * powers[0]
        self.power_b += times * powers[1]
        self.inner += times * powers[2]

    def _near(self, apart: Array, a: Array, b: Array) -> Array:
        """Where a difference is within the tolerance; one that is not finite never is."""
        absolute, relative = self.tolerance.absolute, self.tolerance.relative
        if not (absolute or relative):
            return np.zeros(apart.shape, bool)
        allowed = absolute + relative * np.maximum(np.abs(a), np.abs(b))
        near: Array = (apart <= allowed) & np.isfinite(apart)
        return near

    def _differs(self, places: Array, seen: Seen) -> None:
        self.differing += seen.times * places.size
        if places.size:
            self.bits = False
            if self.where is None:
                self.where = seen.place(int(places[0]))

    @property
    def mean(self) -> float | None:
        """Mean of the absolute differences."""
        if self.largest is None:
            return None
        return self.total / self.elements if self.elements else 0.0

    def relative_norm(self, power: float) -> float | None:
        """Norm of the difference over a norm, whose square is `power`."""
        if self.largest is None or self.broken or not _is_length(power):
            return None
        return math.sqrt(self.noise) / math.sqrt(power)

    @property
    def cosine(self) -> float | None:
        """Of the angle between both."""
        powers = self.power_a, self.power_b
        if self.largest is None or self.broken or not all(map(_is_length, powers)):
            return None
        if not self.noise:
            return 1.0
        return max(-1.0, min(1.0, self.inner / (math.sqrt(powers[0]) * math.sqrt(powers[1]))))


def _products(a: Array, b: Array) -> tuple[float, float, float]:
    """The sums of a * a, b * b and a * b."""
    return _dot(a, a), _dot(b, b), _dot(a, b)


def _dot(a: Array, b: Array) -> float:
    """The sum of products; of complex numbers as of vectors of two. Never raises.

    It is not BLAS's: its threads wait for each other for long where a machine is busy.
    """
    if a.dtype.kind == "c":
        a, b = np.ascontiguousarray(a).view("f8"), np.ascontiguousarray(b).view("f8")
    a, b = a.reshape(-1), b.reshape(-1)
    whole = a.size - a.size % _ROW
    rows = np.einsum("ij,ij->i", a[:whole].reshape(-1, _ROW), b[:whole].reshape(-1, _ROW))
    return float(rows.sum(dtype="f8")) + float(np.einsum("i,i->", a[whole:], b[whole:]))


def _is_length(power: float) -> bool:
    return 0 < power < math.inf


def _unlike(x: Array, y: Array) -> Array:
    """Where values that are no numbers differ."""
    try:
        return np.atleast_1d(x != y)
    except TypeError:  # records of other fields
        return np.ones(x.size, bool)


def _difference(x: Array, y: Array, a: Array, b: Array) -> Array:
    """Absolute differences (float64) of x and y, of which a and b are the wide forms.

    0 where both are the same: NaN is NaN, infinity is infinity. Not finite where only one of them
    is NaN or infinite.
    """
    apart: Array = np.abs(a - b)
    if _is_long(x.dtype) or _is_long(y.dtype):
        apart = _exact(x, y, apart)
    if math.isfinite(float(apart.max())):
        return apart
    alike = (a == b) & ~np.isfinite(apart) | np.isnan(a) & np.isnan(b)
    found: Array = np.where(alike, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return found


def _exact(x: Array, y: Array, apart: Array) -> Array:
    """Differences of integers beyond 2**53, which floats round; `apart` is what floats say."""
    if not (x.dtype.kind in "iu" and y.dtype.kind in "iu"):
        return apart
    negative = x < 0
    u, v = x.astype("u8"), y.astype("u8")  # modulo 2**64, in which order and distance stay
    return np.where(negative == (y < 0), np.where(u > v, u - v, v - u).astype("f8"), apart)


def _is_long(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" and dtype.itemsize == 8


def _power(values: Array) -> tuple[float, float]:
    """(largest magnitude, sum of squares) of the finite ones of some values."""
    flat = values.reshape(-1)
    if not flat.size:
        return 0.0, 0.0
    with np.errstate(all="ignore"):
        if flat.dtype.kind == "f" and flat.itemsize == 4:
            top = max(float(flat.max()), -float(flat.min()))
            if top == 0 or _SQUARED_SAFELY[0] < top < _SQUARED_SAFELY[1]:
                return top, _dot(flat, flat)
        flat = wide(flat)
        power = _dot(flat, flat)
        if not math.isfinite(power):
            flat = flat[np.isfinite(flat)]
            power = _dot(flat, flat)
        return _largest(flat), power


def _largest(values: Array) -> float:
    """Largest magnitude of the finite ones of some wide values."""
    sizes = np.abs(values)
    top = float(sizes.max()) if sizes.size else 0.0
    if not math.isfinite(top):
        sizes = sizes[np.isfinite(sizes)]
        top = float(sizes.max()) if sizes.size else 0.0
    return top


def _filled(values: Array) -> Array:
    return is_nonzero(np.ascontiguousarray(values).reshape(-1))


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or (dtype.kind == "V" and "float" in dtype.name)
