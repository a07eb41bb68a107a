"""How the values of a pair agree: one pass over both, slice by slice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.model import Tensor
from inspector.pairing.changes import Seen, applied, target_dtype
from inspector.pairing.nouns import Agreement, Change, Pair, Tolerance
from inspector.pairing.tally import Tally
from inspector.pairing.values import aligned, float_format, named
from inspector.payloads import numpy_dtype

# What the arithmetic of a fold may lose: it is done in float32, in an order of its own.
_FOLD_RELATIVE = 1e-5
# A value in the middle between two steps goes to either.
_HALF_STEP = 0.5 + 1e-3
# Integers of 4 bits are made of such of 8 at times, and so rounded twice: half of 7/127 more.
_HALF_NIBBLE = 0.5 + 0.5 * 7 / 127 + 1e-3
_PROBE_BYTES = 1 << 15
_EXACTLY = Tolerance()


def agreement(pair: Pair, limits: Limits = DEFAULT, tolerance: Tolerance = _EXACTLY) -> Agreement:
    """Hold the values of a pair against each other.

    tolerance: which differences do not count as `differing`; the sizes of the differences are those
    of all elements nevertheless. Integers that stand for real values on both sides are compared as
    those. Memory is a few slices (limits.slice_bytes); what can only be read in order and has to be
    turned goes through a temporary file. Raises ArtifactError when bytes cannot be read.
    """
    before, after = (pair.b, pair.a) if _backwards(pair) else (pair.a, pair.b)
    tally = Tally(tolerance)
    wrong = unlike(before, after, pair.change)
    if wrong is not None:
        return _unable(pair, wrong)
    for seen in _seen(before, after, pair, limits):
        tally.add(seen)
    return concluded(tally, pair)


def agrees(pair: Pair, limits: Limits) -> bool:
    """Whether the values of a pair can be read and agree."""
    try:
        return agreement(pair, limits).agrees
    except ArtifactError:
        return False


def probe(pair: Pair, limits: Limits) -> Agreement:
    """How the first few values agree, as far as they can be read: what tells candidates apart."""
    before, after = (pair.b, pair.a) if _backwards(pair) else (pair.a, pair.b)
    wrong = unlike(before, after, pair.change)
    if wrong is not None:
        return _unable(pair, wrong)
    tally = Tally()
    few = replace(limits, slice_bytes=_PROBE_BYTES)
    try:
        for seen in applied(before, after, pair.change, pair.mask, few):
            tally.add(seen)
            break
    except ArtifactError as error:
        return _unable(pair, error.message)
    return concluded(tally, pair, part=True)


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
    mask = None if pair.mask is None or pair.mask.payload is None else pair.mask
    plain = change is None or change.kind == "cast"
    if not plain or after.real is not None:
        yield from applied(before, after, change, mask, limits)
        return
    tensors = [before, after] if mask is None else [before, after, mask]
    at = 0
    for arrays, times in aligned([t.payload for t in tensors if t.payload is not None], limits):
        expected, actual = named(arrays[0], arrays[1])
        yield Seen(
            expected=expected,
            actual=actual,
            mask=arrays[2] if len(arrays) > 2 else None,
            of_expected=pair.mask_of_a == _backwards(pair),
            at=at,
            times=times,
        )
        at += expected.size


def concluded(tally: Tally, pair: Pair, *, part: bool = False) -> Agreement:
    """What a tally comes to. part: it is of some values only."""
    back = _backwards(pair)
    after = pair.a if back else pair.b
    values = tally.differing == 0
    relative = None
    if tally.largest is not None:
        none = 0.0 if not tally.largest else math.inf
        relative = tally.largest / tally.magnitude if tally.magnitude else none
    noisy = tally.noise and tally.power_a
    if part or tally.elements == after.elements:
        wrong = _wrong(tally, pair, after, relative)
    else:
        wrong = f"{tally.elements:,} of {after.elements:,} values could be read"
    zeros = tally.zeros_a, tally.zeros_b
    turned = tally.zeros_gained, tally.zeros_lost
    return Agreement(
        agrees=wrong is None,
        same_bits=tally.bits and values and pair.a.dtype == pair.b.dtype,
        same_values=values,
        elements=tally.elements,
        differing=tally.differing,
        zeros_a=zeros[back],
        zeros_b=zeros[not back],
        largest=tally.largest,
        relative=relative,
        where=None if values else _index(tally.where, after.shape),
        ulps=tally.ulps if "float" in (target_dtype(pair) or "") else None,
        in_scale_units=0.0 if after.real is not None and tally.steps is None else tally.steps,
        clipped=tally.clipped,
        snr_db=10 * math.log10(tally.power_a / tally.noise) if noisy else None,
        masked_nonzero=tally.masked,
        why_not=wrong,
        mean=tally.mean,
        relative_norm=tally.relative_norm(tally.power_b if back else tally.power_a),
        cosine=tally.cosine,
        sign_flips=tally.sign_flips,
        zeros_gained=turned[back],
        zeros_lost=turned[not back],
    )


def _wrong(tally: Tally, pair: Pair, after: Tensor, relative: float | None) -> str | None:
    """Why values do not agree, in words; None where they do."""
    if pair.change is not None and not pair.change.expected:
        return pair.change.words
    if not tally.differing:
        return None
    if after.real is not None and tally.steps is not None:
        if tally.clipped and not (pair.change is not None and pair.change.clips):
            many = "1 value is" if tally.clipped == 1 else f"{tally.clipped:,} values are"
            return f"{many} past the range of its integers"
        most = _HALF_NIBBLE if after.dtype.endswith("int4") else _HALF_STEP
        if tally.steps <= most:
            return None
        return f"off by up to {tally.steps:.3g} steps of its scale; rounding explains half of one"
    kind = "" if pair.change is None else pair.change.kind
    # Integers are cast without rounding, or are others.
    rounded = "cast" in kind and "float" in after.dtype
    if rounded and tally.ulps <= 1.0 and "folded" not in kind:
        return None
    if ("folded" in kind or "scaled" in kind) and relative is not None:
        allowed = _FOLD_RELATIVE + (
            float_format(numpy_dtype(after.dtype))[2] if "cast" in kind else 0.0
        )
        if relative <= allowed:
            return None
    one = "values differs" if tally.differing == 1 else "values differ"
    by = "" if tally.largest is None else f", by up to {tally.largest:.6g}"
    return f"{tally.differing:,} of {tally.elements:,} {one}{by}"


def _index(
    where: int | tuple[int, ...] | None, shape: Sequence[int] | None
) -> tuple[int, ...] | None:
    """A place as an index; places of slices are counted in C order."""
    if where is None or isinstance(where, tuple):
        return where
    return tuple(int(one) for one in np.unravel_index(where, tuple(shape or ())))
