"""How the values of a pair agree: one pass over both, slice by slice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inspector.limits import DEFAULT, Limits
from inspector.measure import is_nonzero, same
from inspector.model import Tensor
from inspector.pairing.changes import Seen, applied, target_dtype
from inspector.pairing.nouns import Agreement, Change, Pair
from inspector.pairing.values import aligned, float_format, is_number, is_real, ulp, wide
from inspector.storage import numpy_dtype
from inspector.values import Array

# What the arithmetic of a fold may lose: it is done in float32, in an order of its own.
_FOLD_RELATIVE = 1e-5
# A value in the middle between two steps goes to either.
_HALF_STEP = 0.5 + 1e-3
# Integers of 4 bits are made of such of 8 at times, and so rounded twice: half of 7/127 more.
_HALF_NIBBLE = 0.5 + 0.5 * 7 / 127 + 1e-3
_PROBE_BYTES = 1 << 15


def agreement(pair: Pair, limits: Limits = DEFAULT) -> Agreement:
    """Hold the values of a pair against each other.

    Memory is a few slices (limits.slice_bytes); what can only be read in order and has to be turned
    goes through a temporary file. Raises ArtifactError when bytes cannot be read.
    """
    before, after = (pair.b, pair.a) if _backwards(pair) else (pair.a, pair.b)
    tally = _Tally()
    wrong = unlike(before, after, pair.change)
    if wrong is not None:
        return _unable(pair, wrong)
    for seen in _seen(before, after, pair, limits):
        tally.add(seen)
    return tally.result(pair, after)


def probe(pair: Pair, limits: Limits) -> Agreement:
    """How the first few values agree: what tells candidates apart."""
    before, after = (pair.b, pair.a) if _backwards(pair) else (pair.a, pair.b)
    wrong = unlike(before, after, pair.change)
    if wrong is not None:
        return _unable(pair, wrong)
    tally = _Tally()
    few = replace(limits, slice_bytes=_PROBE_BYTES)
    for seen in applied(before, after, pair.change, pair.mask, few):
        tally.add(seen)
        return tally.result(pair, after, part=True)
    return tally.result(pair, after, part=True)


def _backwards(pair: Pair) -> bool:
    return pair.change is not None and pair.change.backwards


def unlike(before: Tensor, after: Tensor, change: Change | None) -> str | None:
    """Why values cannot be held against each other; None where they can."""
    for tensor in (before, after):
        if tensor.payload is None:
            return f"{tensor.name} has no values"
    shape = change.shape if change is not None and change.shape is not None else before.shape
    if shape != after.shape:
        return f"shapes {_sides(before.shape)} and {_sides(after.shape)} differ"
    return None


def _sides(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else f"({', '.join(map(str, shape))})"


def _unable(pair: Pair, wrong: str) -> Agreement:
    elements = pair.b.elements
    return Agreement(
        agrees=False,
        same_bits=False,
        same_values=False,
        elements=elements,
        differing=elements,
        zeros_a=0,
        zeros_b=0,
        why_not=wrong,
    )


def _seen(before: Tensor, after: Tensor, pair: Pair, limits: Limits) -> Iterator[Seen]:
    change = pair.change
    plain = change is None or change.kind == "cast"
    if not plain or after.real is not None:
        yield from applied(before, after, change, pair.mask, limits)
        return
    tensors = [before, after] if pair.mask is None else [before, after, pair.mask]
    at = 0
    for arrays, times in aligned([t.payload for t in tensors if t.payload is not None], limits):
        yield Seen(
            expected=arrays[0],
            actual=arrays[1],
            mask=arrays[2] if len(arrays) > 2 else None,
            of_expected=pair.mask_of_a == _backwards(pair),
            at=at,
            times=times,
        )
        at += arrays[0].size


@dataclass(slots=True)
class _Tally:
    elements: int = 0
    differing: int = 0
    zeros_a: int = 0
    zeros_b: int = 0
    largest: float | None = 0.0
    magnitude: float = 0.0
    where: int | tuple[int, ...] | None = None
    signal: float = 0.0
    noise: float = 0.0
    bits: bool = True
    ulps: float = 0.0
    steps: float | None = None
    clipped: int = 0
    masked: int | None = None

    def add(self, seen: Seen) -> None:
        x, y, times = seen.expected, seen.actual, seen.times
        self.elements += times * x.size
        if not (is_number(x.dtype) and is_number(y.dtype)):
            self.largest = None
            self._unlike(np.flatnonzero(np.atleast_1d(x != y)), seen)
            return
        self.zeros_a += times * (x.size - int(np.count_nonzero(_filled(x))))
        self.zeros_b += times * (x.size - int(np.count_nonzero(_filled(y))))
        if seen.mask is not None:
            leaked = _filled(x if seen.of_expected else y) & ~_filled(seen.mask)
            self.masked = (self.masked or 0) + times * int(np.count_nonzero(leaked))
        if is_real(x.dtype):
            self._magnitude(x)
        if seen.scale is None and same(x, y):
            return
        self._differ(x, y, seen)

    def _magnitude(self, x: Array) -> None:
        """Take in how large the values are."""
        values = x.reshape(-1) if x.dtype.kind == "f" and x.itemsize > 2 else wide(x).reshape(-1)
        with np.errstate(all="ignore"):
            low, high, power = (float(one) for one in (values.min(), values.max(), values @ values))
            if not math.isfinite(low + high + power):
                values = values.astype("f8")
                values = values[np.isfinite(values)]
                low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
                power = float(values @ values)
        self.magnitude = max(self.magnitude, abs(float(low)), abs(float(high)))
        self.signal += power

    def _differ(self, x: Array, y: Array, seen: Seen) -> None:
        """Take in two slices that are not the same bits."""
        with np.errstate(all="ignore"):
            wide_x, wide_y = wide(x), wide(y)
            self.bits = self.bits and same(x, y)
            nan = np.isnan(wide_x) & np.isnan(wide_y)
            # Integers past 2**53 are told apart as they are.
            equal = nan | ((x == y) if x.dtype == y.dtype else (wide_x == wide_y))
            apart = np.where(equal, 0.0, np.abs(wide_x - wide_y))
            self._unlike(np.flatnonzero(~equal), seen)
            if equal.all():
                return
            apart = np.where(np.isnan(apart), np.inf, apart)
            top = int(apart.argmax())
            if self.largest is not None and float(apart.flat[top]) > self.largest:
                self.largest = float(apart.flat[top])
                self.where = seen.place(top)
            finite = apart[np.isfinite(apart)]
            self.noise += seen.times * float(np.dot(finite, finite))
            if seen.scale is not None:
                steps = apart / seen.scale
                if seen.beyond is not None:
                    self.clipped += int(np.count_nonzero(seen.beyond))
                    steps = np.where(seen.beyond, 0.0, steps)
                self.steps = max(self.steps or 0.0, float(steps.max()))
            elif x.dtype != y.dtype and _is_float(y.dtype):
                self.ulps = max(self.ulps, float((apart / ulp(wide_x, y.dtype)).max()))

    def _unlike(self, places: Array, seen: Seen) -> None:
        self.differing += seen.times * places.size
        if places.size:
            self.bits = False
            if self.where is None:
                self.where = seen.place(int(places[0]))

    def result(self, pair: Pair, after: Tensor, *, part: bool = False) -> Agreement:
        cast = target_dtype(pair)
        values = self.differing == 0
        relative = None
        if self.largest is not None:
            relative = (
                self.largest / self.magnitude if self.magnitude else (0.0 if values else math.inf)
            )
        snr = 10 * math.log10(self.signal / self.noise) if self.noise and self.signal else None
        steps = self.steps if after.real is None or self.steps is not None else 0.0
        wrong = None
        if part or self.elements == after.elements:
            wrong = self._wrong(pair, after, relative, values)
        else:
            wrong = f"{self.elements:,} of {after.elements:,} values could be read"
        return Agreement(
            agrees=wrong is None,
            same_bits=self.bits and values and pair.a.dtype == pair.b.dtype,
            same_values=values,
            elements=self.elements,
            differing=self.differing,
            zeros_a=self.zeros_b if _backwards(pair) else self.zeros_a,
            zeros_b=self.zeros_a if _backwards(pair) else self.zeros_b,
            largest=self.largest,
            relative=relative,
            where=None if values else _index(self.where, after.shape),
            ulps=self.ulps if cast is not None else None,
            in_scale_units=steps,
            clipped=self.clipped,
            snr_db=snr,
            masked_nonzero=self.masked,
            why_not=wrong,
        )

    def _wrong(self, pair: Pair, after: Tensor, relative: float | None, values: bool) -> str | None:
        if pair.change is not None and not pair.change.expected:
            return pair.change.words
        if values:
            return None
        if after.real is not None and self.steps is not None:
            if self.clipped and not (pair.change is not None and pair.change.clips):
                many = "1 value is" if self.clipped == 1 else f"{self.clipped:,} values are"
                return f"{many} past the range of its integers"
            most = _HALF_NIBBLE if after.dtype.endswith("int4") else _HALF_STEP
            if self.steps <= most:
                return None
            return (
                f"off by up to {self.steps:.3g} steps of its scale; rounding explains half of one"
            )
        kind = "" if pair.change is None else pair.change.kind
        if "cast" in kind and self.ulps <= 1.0 and "folded" not in kind:
            return None
        if ("folded" in kind or "scaled" in kind) and relative is not None:
            allowed = _FOLD_RELATIVE + (
                float_format(numpy_dtype(after.dtype))[2] if "cast" in kind else 0.0
            )
            if relative <= allowed:
                return None
        one = "values differs" if self.differing == 1 else "values differ"
        by = "" if self.largest is None else f", by up to {self.largest:.6g}"
        return f"{self.differing:,} of {self.elements:,} {one}{by}"


def _filled(values: Array) -> Array:
    return is_nonzero(np.ascontiguousarray(values).reshape(-1))


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or (dtype.kind == "V" and "float" in dtype.name)


def _index(
    where: int | tuple[int, ...] | None, shape: Sequence[int] | None
) -> tuple[int, ...] | None:
    """A place as an index; places of slices are counted in C order."""
    if where is None or isinstance(where, tuple):
        return where
    return tuple(int(one) for one in np.unravel_index(where, tuple(shape or ())))
