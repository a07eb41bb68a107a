"""What is added up while two sides are held against each other, slice by slice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from inspector.measure import is_nonzero, same
from inspector.model import Measurement
from inspector.pairing.changes import Seen
from inspector.pairing.nouns import Tolerance
from inspector.pairing.values import is_number, is_real, ulp, wide
from inspector.values import Array

# Between these, squares of float32 neither vanish nor overflow in a slice's sum.
_SQUARED_SAFELY = (1e-12, 1e12)
_ROW = 1024  # products summed up in their own dtype, float32 at the least, before it gets wider
_LEAF = 32 * _ROW  # values that are worked on at a time, so that all that is made of them is cached


class Sums(NamedTuple):
    """Of one slice: of a * a, b * b and a * b where both are finite, of squared differences where
    they are, and of differences.
    """

    power_a: float
    power_b: float
    inner: float
    noise: float
    total: float


_EXACTLY = Tolerance()
_NOTHING = Sums(0.0, 0.0, 0.0, 0.0, 0.0)
_COUNTS = ("elements", "differing", "zeros_gained", "zeros_lost", "sign_flips")
_QUICK = {np.dtype("f4"), np.dtype("f8")}


@dataclass(slots=True)
class Tally:
    """Counts are elements; a is what was expected, b what is there.

    largest: None as soon as something cannot be subtracted. sums: of each slice, in order, since
    sums of floats depend on it. broken: a difference is not
    finite. waiting: which of the sums wait, with the first place of the slice and its values.
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
    sums: list[Sums] = field(default_factory=list)
    waiting: list[tuple[int, int, int]] = field(default_factory=list)
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
            self.sums.append(self._alike(x, times))
        else:
            other = _filled(y)
            self._unequal(seen, filled, other)
        self.zeros_a += times * (x.size - int(np.count_nonzero(filled)))
        self.zeros_b += times * (x.size - int(np.count_nonzero(other)))
        if seen.mask is not None:
            leaked = (filled if seen.of_expected else other) & ~_filled(seen.mask)
            self.masked = (self.masked or 0) + times * int(np.count_nonzero(leaked))

    def pass_over(self, at: int, size: int) -> None:
        """Take in a slice of the same bits on both sides, unseen: its sums may not be needed."""
        self.elements += size
        self.waiting.append((len(self.sums), at, size))
        self.sums.append(_NOTHING)

    def add_unequal(self, seen: Seen) -> None:
        """Take in a slice of numbers that is not the same bits; somebody else counts the zeros."""
        self.elements += seen.expected.size
        self._unequal(seen, _filled(seen.expected), _filled(seen.actual))

    def add_equal(self, values: Array) -> None:
        """Take in a slice of numbers of the same bits on both sides; somebody counts the zeros."""
        self.elements += values.size
        self.sums.append(self._alike(values, 1))

    def is_measured(self, found: Measurement) -> bool:
        """Whether all that the sums of equal sides can say follows from what was measured.

        It is whether there is a norm to divide by. Takes it in.
        """
        if found.minimum is None or found.maximum is None:
            return False
        top = max(abs(found.minimum), abs(found.maximum))
        if top and not _SQUARED_SAFELY[0] < top < _SQUARED_SAFELY[1]:
            return False
        self.magnitude = float(top)
        self.sums = [Sums(1.0, 1.0, 1.0, 0.0, 0.0) if top else _NOTHING]
        self.waiting.clear()
        return True

    def catch_up(self, read: Callable[[int, int], Array]) -> None:
        """Sum up what was passed over. read: `size` values from a place on."""
        for place, at, size in self.waiting:
            self.sums[place] = self._alike(read(at, size), 1)
        self.waiting.clear()

    def join(self, later: Tally) -> None:
        """Take in what was counted of the slices that follow these."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(later, name))
        known = len(self.sums)
        self.waiting += [(known + place, at, size) for place, at, size in later.waiting]
        self.sums += later.sums
        self.bits = self.bits and later.bits
        self.broken = self.broken or later.broken
        self.magnitude = max(self.magnitude, later.magnitude)
        if later.largest and self.largest is not None and later.largest > self.largest:
            self.largest, self.where = later.largest, later.where

    @property
    def power_a(self) -> float:
        """The sum of squares of a."""
        return self._total(0)

    @property
    def power_b(self) -> float:
        """The sum of squares of b."""
        return self._total(1)

    @property
    def inner(self) -> float:
        """The sum of the products of a and b."""
        return self._total(2)

    @property
    def noise(self) -> float:
        """The sum of squared differences."""
        return self._total(3)

    @property
    def total(self) -> float:
        """The sum of differences."""
        return self._total(4)

    def _total(self, which: int) -> float:
        """One after the other: the built-in `sum` rounds otherwise from Python 3.12 on."""
        total = 0.0
        for sums in self.sums:
            total += sums[which]
        return total

    def _alike(self, x: Array, times: int) -> Sums:
        top, power = _power(x)
        self.magnitude = max(self.magnitude, top)
        return Sums(times * power, times * power, times * power, 0.0, 0.0)

    def _unequal(self, seen: Seen, filled: Array, other: Array) -> None:
        self.bits = False
        self._apart(seen)
        self.zeros_gained += seen.times * int(np.count_nonzero(filled & ~other))
        self.zeros_lost += seen.times * int(np.count_nonzero(other & ~filled))

    def _apart(self, seen: Seen) -> None:
        """Take in two slices that are not the same bits."""
        x, y, times = seen.expected, seen.actual, seen.times
        with np.errstate(all="ignore"):
            if self.tolerance == _EXACTLY and _goes_quickly(seen) and self._quickly(seen):
                return
            a, b = wide(x), wide(y)
            self.magnitude = max(self.magnitude, _largest(a))
            powers = _norms(a, b)
            apart = _difference(x, y, a, b)
            different = apart != 0
            if not different.any():
                self.sums.append(_sums(times, powers, 0.0, 0.0))
                return
            top = int(apart.argmax())
            largest = float(apart.flat[top])
            finite = apart.reshape(-1)
            if not math.isfinite(largest):
                self.broken = True
                finite = finite[np.isfinite(finite)]
            noise, total = _dot(finite, finite), float(apart.sum())
            self.sums.append(_sums(times, powers, noise, total))
            if is_real(x.dtype) and is_real(y.dtype):
                flips = ((a > 0) & (b < 0)) | ((a < 0) & (b > 0))
                self.sign_flips += times * int(np.count_nonzero(flips))
            self._differs(np.flatnonzero(different & ~self._near(apart, a, b)), seen)
            self._takes_largest(largest, top, seen)
            if seen.scale is not None:
                self._scaled(apart / seen.scale, seen)
            elif x.dtype != y.dtype and _is_float(y.dtype):
                self.ulps = max(self.ulps, float((apart / ulp(a, y.dtype)).max()))

    def _takes_largest(self, largest: float, flat: int, seen: Seen) -> None:
        if self.largest is not None and largest > self.largest:
            self.largest = largest
            self.where = seen.place(flat)

    def _quickly(self, seen: Seen) -> bool:
        """The same of finite floats, a few at a time; False, and nothing is taken in, of others.

        Sums come out as of the whole slice, bit for bit: rows are added up as one, and NumPy adds
        up halves of what is a power of two, so that those of the parts are the nodes of its tree.
        """
        x, y = seen.expected, seen.actual
        a, b, apart = np.empty(_LEAF), np.empty(_LEAF), np.empty(_LEAF)
        rows = np.empty((4, x.size // _ROW))
        totals: list[float] = []
        differing = flips = 0
        largest, top = 0.0, 0
        for start in range(0, x.size, _LEAF):
            np.copyto(a, x[start : start + _LEAF])
            np.copyto(b, y[start : start + _LEAF])
            np.subtract(a, b, out=apart)
            np.abs(apart, out=apart)
            place = int(apart.argmax())
            if not math.isfinite(apart[place]):
                return False
            part = slice(start // _ROW, (start + _LEAF) // _ROW)
            for row, (one, other) in zip(
                rows, ((a, a), (b, b), (a, b), (apart, apart)), strict=True
            ):
                np.einsum("ij,ij->i", one.reshape(-1, _ROW), other.reshape(-1, _ROW), out=row[part])
            totals.append(float(apart.sum()))
            differing += int(np.count_nonzero(apart))
            flips += _flips(a, b)
            if apart[place] > largest:
                largest, top = float(apart[place]), start + place
        sums = [float(row.sum(dtype="f8")) for row in rows]
        if not all(map(math.isfinite, sums)):
            return False
        while len(totals) > 1:
            totals = [one + other for one, other in zip(totals[::2], totals[1::2], strict=True)]
        self.sums.append(Sums(sums[0], sums[1], sums[2], sums[3], totals[0]))
        self.magnitude = max(self.magnitude, float(x.max()), -float(x.min()))
        self.sign_flips += flips
        self.differing += differing
        if differing:
            self._takes_largest(largest, top, seen)
        return True

    def _scaled(self, steps: Array, seen: Seen) -> None:
        if seen.beyond is not None:
            self.clipped += int(np.count_nonzero(seen.beyond))
            steps = np.where(seen.beyond, 0.0, steps)
        self.steps = max(self.steps or 0.0, float(steps.max()))

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
        if self.largest is None or self.broken or not is_length(power):
            return None
        return math.sqrt(self.noise) / math.sqrt(power)

    @property
    def cosine(self) -> float | None:
        """Of the angle between both."""
        powers = self.power_a, self.power_b
        if self.largest is None or self.broken or not all(map(is_length, powers)):
            return None
        if not self.noise:
            return 1.0
        return max(-1.0, min(1.0, self.inner / (math.sqrt(powers[0]) * math.sqrt(powers[1]))))


def _sums(times: int, powers: tuple[float, float, float], noise: float, total: float) -> Sums:
    """Those of a slice, each value of which stands for `times` of them."""
    a, b, inner = powers
    return Sums(times * a, times * b, times * inner, times * noise, times * total)


def _goes_quickly(seen: Seen) -> bool:
    """Whether they are floats of one dtype, in a power of two of leaves, and nothing special."""
    leaves, rest = divmod(seen.expected.size, _LEAF)
    dtypes = {seen.expected.dtype, seen.actual.dtype}
    plain = len(dtypes) == 1 and dtypes <= _QUICK and seen.scale is None and seen.times == 1
    return plain and seen.index is None and not rest and leaves > 0 and not leaves & (leaves - 1)


def _flips(a: Array, b: Array) -> int:
    """How many finite values are positive in one and negative in the other."""
    signs = np.bitwise_xor(a.view("i8"), b.view("i8"))
    if int(signs.min()) >= 0:
        return 0
    return int(np.count_nonzero((signs < 0) & (a != 0) & (b != 0)))


def _norms(a: Array, b: Array) -> tuple[float, float, float]:
    """The sums of a * a, b * b and a * b where both are finite."""
    powers = _products(a, b)
    if not all(map(math.isfinite, powers)):
        finite = np.isfinite(a) & np.isfinite(b)
        powers = _products(a[finite], b[finite])
    return powers


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


def is_length(power: float) -> bool:
    """Whether it is the square of a norm that can be divided by."""
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
