"""Step 4: the values of tensors, each looked at once, or those of two tensors side by side."""

from __future__ import annotations

import _thread
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from inspector import deadline
from inspector.errors import ArtifactError, LimitExceeded, UsageError
from inspector.limits import DEFAULT, MIB, Limits
from inspector.look import Look, Part
from inspector.masked import Kept, Leaks
from inspector.model import Measurement, Tensor
from inspector.payloads import FilledPayload
from inspector.placed import are_far, as_they_lie
from inspector.small import measure_small
from inspector.value_digest import narrow
from inspector.values import (
    Array,
    Tally,
    declared_dtype,
    family_of,
    native,
    slices,
)

NONE_YET = np.empty(0)
NO_MASKS: Mapping[str, str] = {}
# Less than this in all, bytes, is measured faster without threads.
WORTH_THREADS = 8 * MIB
# A thread takes so many small tensors at once.
JOB_BYTES = MIB
# Seconds that threads get to end once nobody waits for them: they look after each slice.
PATIENCE = 5.0

T = TypeVar("T")
Job = list[tuple[int, Part]]  # (which tensor, a part of it)


def measure(
    tensor: Tensor,
    limits: Limits = DEFAULT,
    on_bytes: Callable[[int], None] | None = None,
    *,
    outputs_first: bool = False,
    thorough: bool = False,
) -> Measurement | None:
    """Look at every value of a tensor; None when it has no payload or holds no numbers.

    Zeros are values equal to zero (-0.0 is one), or to their zero point where the tensor has one
    (then `centred` tells); infinities are in the range, NaN is not; all NaN are one distinct value.
    Of complex values only zeros, nan (either part) and inf are known. Patterns: see
    `patterns.Search`. Everything is taken from the same slices, but for zero points and for very
    wide matrices, which have a second look.

    on_bytes: told how many more bytes of values are done. outputs_first: a kernel's first dimension
    is its outputs (TFLite), not the last one (Keras); it names the patterns' axes. thorough: fill
    in `detail`, in the same looks.

    Where the file has a checksum of the bytes it is held against them, in the first look where it
    can be.

    Memory is a few slices (limits.slice_bytes). Raises ArtifactError when bytes cannot be read, and
    ChecksumMismatch.
    """
    look = Look(tensor, limits, on_bytes, outputs_first=outputs_first, thorough=thorough)
    look.take(look.whole)
    return look.result()


def measure_all(
    tensors: Sequence[Tensor],
    limits: Limits = DEFAULT,
    threads: int | None = None,
    on_bytes: Callable[[int], None] | None = None,
    *,
    thorough: bool = False,
    digests: bool = False,
    masks: Mapping[str, str] = NO_MASKS,
) -> tuple[dict[str, Measurement], dict[str, ArtifactError]]:
    """Measure many tensors: measurements by name, and by name what could not be read.

    A tensor that has no measurement (no payload, no numbers) is in neither. threads: how many to
    use; by default one a processor, one alone where there is little to measure. on_bytes,
    thorough: as for `measure`; on_bytes is called by one thread at a time. digests: take them in
    the same looks; each tensor is then looked at by one thread. masks: the name of the mask by that
    of its weight, which are held against each other for its `detail` (see `masked.masks_of`).
    """
    lock = threading.Lock()

    def report(nbytes: int) -> None:
        if on_bytes is not None:
            with lock:
                on_bytes(nbytes)

    far = are_far(tensors)
    small = measure_small(tensors, limits, thorough=thorough, digests=digests)
    if small:
        report(sum(tensor.nbytes for tensor in tensors if tensor.name in small))
    whole, tensors = tensors, [tensor for tensor in tensors if tensor.name not in small]
    tensors = as_they_lie(tensors) if far else tensors
    units, beside = paired(tensors, masks if thorough else NO_MASKS)
    looks = [
        Look(tensor, limits, report, thorough=thorough, digest=digests, beside=beside.get(at))
        for at, tensor in enumerate(tensors)
    ]
    errors: list[tuple[int, int, ArtifactError]] = []

    def work(job: Job) -> None:
        for at, part in job:
            try:
                looks[at].take(part)
            except ArtifactError as error:
                if isinstance(error, LimitExceeded) and error.name == "seconds":
                    raise  # there is no time for the others either
                errors.append((at, part.start, error))

    if threads is None:
        threads = 1 if sum(t.nbytes for t in tensors) < WORTH_THREADS else os.cpu_count() or 1
    if threads == 1:
        work([(at, looks[at].whole) for unit in units for at in unit])
    else:
        run(work, in_turn(jobs(looks, units), far=far), threads)
    # Of several errors of a tensor the first in its bytes is told.
    failed = {at: error for at, _, error in sorted(errors, key=lambda one: one[:2], reverse=True)}
    unread = {tensors[at].name: error for at, error in failed.items()}
    problems = {tensor.name: unread[tensor.name] for tensor in whole if tensor.name in unread}
    large = {look.tensor.name: look.result() for at, look in enumerate(looks) if at not in failed}
    results = ((one.name, small.get(one.name) or large.get(one.name)) for one in whole)
    return {name: result for name, result in results if result is not None}, problems


def run(work: Callable[[T], None], todo: Sequence[T], threads: int) -> None:
    """Have the jobs done by threads, which share this one's deadline. Raises what one raises.

    Not by an executor: an interrupt between two lines of it would leave a lock taken that its
    threads wait for. Here the thread that may be interrupted takes none that others need.
    """
    waiting, ours, stop = deque(todo), deadline.current(), deadline.Stop()
    raised: list[BaseException] = []
    busy: list[None] = []  # one for each thread at work
    left = list(range(threads))  # the last thread that ends takes the 0
    done = threading.Lock()

    def labour() -> None:
        busy.append(None)
        try:
            deadline.resume(ours, stop)
            while waiting and not stop.asked:
                try:
                    job = waiting.popleft()
                except IndexError:  # another thread took the last one
                    break
                work(job)
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            raised.append(error)
            stop.asked = True
        finally:
            busy.pop()
            if left.pop() == 0:
                done.release()

    done.acquire()
    try:
        for _ in range(threads):
            _thread.start_new_thread(labour, ())
        done.acquire()
    except BaseException:
        stop.asked = True
        until = time.monotonic() + PATIENCE
        while busy and time.monotonic() < until:  # what they read is closed next
            time.sleep(0.001)
        raise
    if raised:
        raise raised[0]


def paired(
    tensors: Sequence[Tensor], masks: Mapping[str, str]
) -> tuple[list[list[int]], dict[int, Kept | Leaks]]:
    """Which tensors one thread looks at in turn, and what it keeps of the first for the second.

    masks: the name of the mask by that of its weight; the others are units of their own.
    """
    places = {tensor.name: at for at, tensor in enumerate(tensors)}
    both = [
        (places[weight], places[mask])
        for weight, mask in masks.items()
        if weight in places and mask in places
    ]
    before = {max(pair): min(pair) for pair in both}
    behind_weights = {mask for weight, mask in both if mask > weight}
    kept = {first: Kept(tensors[first].elements) for first in before.values()}
    leaks = {
        at: Leaks(kept[first], tensors[at].elements, is_mask=at in behind_weights)
        for at, first in before.items()
    }
    units = [[before[at], at] if at in before else [at] for at in places.values() if at not in kept]
    return units, {**kept, **leaks}


def jobs(looks: Sequence[Look], units: Sequence[Sequence[int]]) -> Iterator[Job]:
    """What threads do at a time: a part of a large tensor, or many small ones; a unit in turn."""
    few: Job = []
    held = 0
    for unit in units:
        alone = len(unit) == 1
        parts = [(at, part) for at in unit for part in looks[at].parts()]
        for some in [[one] for one in parts] if alone else [parts]:
            few += some
            held += job_bytes(some)
            if held >= JOB_BYTES:
                yield few
                few, held = [], 0
    if few:
        yield few


def in_turn(todo: Iterable[Job], *, far: bool) -> Sequence[Job]:
    """The jobs in the order in which they are begun. far: of values in a storage."""
    # The largest first: a large one last would keep one thread busy at the end.
    return list(todo) if far else sorted(todo, key=job_bytes, reverse=True)


def job_bytes(job: Job) -> int:
    """Bytes of values that a job has to look at."""
    return sum(part.nbytes for _, part in job)


@dataclass(frozen=True, slots=True)
class MaskReport:
    """A pruning mask held against its weight. Counts are elements.

    kept_zeros: weight 0 where the mask is not; the mask does not explain them.
    leaked: weight not 0 where the mask is; the mask should have removed them.
    mask_is_binary: the mask holds nothing but 0 and 1.
    """

    mask_zeros: int
    weight_zeros: int
    kept_zeros: int
    leaked: int
    mask_is_binary: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """counts[i] finite values from edges[i] up to edges[i + 1], the last edge included.

    Both are empty where there is no finite value.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


def compare(a: Tensor, b: Tensor, limits: Limits = DEFAULT) -> bool | None:
    """Whether two tensors hold the same values, bit for bit; None when one has no payload.

    So a NaN equals the same NaN, and -0.0 is not 0.0; byte order and storage do not matter. Of
    different dtype or shape they are not the same. Raises ArtifactError.
    """
    if a.payload is None or b.payload is None:
        return None
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return False
    return all(same(x, y) for x, y, _ in side_by_side(a, b, limits))


def compare_known(
    a: Tensor, b: Tensor, measured: Mapping[str, Measurement], limits: Limits = DEFAULT
) -> bool | None:
    """As `compare`, without reading again what has a digest. measured: by name. The same errors."""
    taken = [one.digest for one in map(measured.get, (a.name, b.name)) if one is not None]
    # Of narrow integers a digest leaves out the bits that are no part of them.
    if len(taken) < 2 or None in taken or narrow(a) is not None:
        return compare(a, b, limits)
    return (a.shape, a.dtype) == (b.shape, b.dtype) and taken[0] == taken[1]


def same(x: Array, y: Array) -> bool:
    """Whether two slices of equal length hold the same bits (the same values if no numbers)."""
    if x.dtype != y.dtype or family_of(x.dtype) is None:
        # Text, or int4 that one payload gives as int4 and the other as int8.
        return bool(np.all(x == y))
    # A view of other bytes needs an axis, which a single number has not.
    return np.array_equal(np.atleast_1d(x).view("u1"), np.atleast_1d(y).view("u1"))


def mask_against_weight(mask: Tensor, weight: Tensor, limits: Limits = DEFAULT) -> MaskReport:
    """Hold a mask against the weight that it prunes, value by value.

    Raises UsageError unless both have a payload of numbers and one shape; ArtifactError.
    """
    for tensor in (mask, weight):
        dtype = declared_dtype(tensor)
        if tensor.payload is None or dtype is None or family_of(dtype) is None:
            raise UsageError(f"{tensor.name} has no values to compare")
    if mask.shape != weight.shape:
        raise UsageError(f"{mask.name} {mask.shape} is no mask for {weight.name} {weight.shape}")
    mask_zeros = weight_zeros = kept_zeros = leaked = 0
    binary = True
    for x, y, times in side_by_side(mask, weight, limits):
        keeps, filled = is_nonzero(x), is_nonzero(y)
        kept, full = int(np.count_nonzero(keeps)), int(np.count_nonzero(filled))
        both = int(np.count_nonzero(keeps & filled))
        mask_zeros += times * (x.size - kept)
        weight_zeros += times * (x.size - full)
        kept_zeros += times * (kept - both)
        leaked += times * (full - both)
        binary = binary and kept == int(np.count_nonzero(x == x.dtype.type(1)))
    return MaskReport(mask_zeros, weight_zeros, kept_zeros, leaked, binary)


def is_nonzero(values: Array) -> Array:
    """Where the values are not zero."""
    family = family_of(values.dtype)
    assert family is not None, values.dtype  # noqa: S101 - the callers let only numbers in
    return family.nonzero(values)


def side_by_side(a: Tensor, b: Tensor, limits: Limits) -> Iterator[tuple[Array, Array, int]]:
    """Slices of equal length of two payloads, wherever their own blocks end.

    The number says how many times each pair of values stands for (as in `slices`).
    """
    if a.payload is None or b.payload is None:
        return
    most = limits.slice_bytes
    if isinstance(a.payload, FilledPayload) and isinstance(b.payload, FilledPayload):
        for (x, times), (y, _) in zip(
            slices(a.payload, most), slices(b.payload, most), strict=True
        ):
            yield x, y, times
        return
    left = (block for block in a.payload.blocks(limits.slice_bytes) if block.size)
    right = (block for block in b.payload.blocks(limits.slice_bytes) if block.size)
    x = y = NONE_YET
    while True:
        x = x if x.size else next(left, NONE_YET)
        y = y if y.size else next(right, NONE_YET)
        size = min(x.size, y.size)
        if not size:
            return
        size = min(size, max(limits.slice_bytes // max(x.itemsize, y.itemsize), 1))
        yield native(x[:size]), native(y[:size]), 1
        x, y = x[size:], y[size:]


def histogram(
    tensor: Tensor,
    bins: int = 20,
    known: Measurement | None = None,
    limits: Limits = DEFAULT,
) -> Histogram:
    """How the finite values of a tensor spread over `bins` equal steps from the least to the most.

    known: its measurement, which saves a pass where its range is finite. There are fewer steps
    where so many floats do not lie between the two. When all values are one value v, the edges go
    from v - 0.5 to v + 0.5, or to the next floats where those are further. Empty for a tensor
    without a payload, of complex numbers, or of none. Raises UsageError for less than one bin,
    ArtifactError.
    """
    if bins < 1:
        raise UsageError(f"a histogram needs at least one bin, not {bins}")
    low, high = finite_range(tensor, known, limits)
    if low is None or high is None:
        return Histogram((), ())
    # Twice the largest float64 is no float64: such a range is looked at a quarter the size.
    scale = 1.0 if np.isfinite(high - low) else 0.25
    span = _wide(low * scale, high * scale)
    while bins > 1 and np.any(np.diff(np.linspace(*span, bins + 1)) <= 0):
        bins -= 1
    counts = np.zeros(bins, dtype=object)  # a declared fill value may exceed 64 bits
    for values, times in finite(tensor, limits):
        counts += np.histogram(values * scale, bins, span)[0].astype(object) * times
    edges = np.histogram_bin_edges(NONE_YET, bins, span) / scale
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))


def _wide(low: float, high: float) -> tuple[float, float]:
    """A range that is one: a single value is in the middle of it."""
    if low < high:
        return low, high
    half = max(0.5, float(np.spacing(abs(low))))
    return low - half, low + half


def finite_range(
    tensor: Tensor, known: Measurement | None, limits: Limits
) -> tuple[float | None, float | None]:
    """The least and the largest finite value."""
    if known is not None and known.minimum is not None and known.maximum is not None:
        low, high = float(known.minimum), float(known.maximum)
        if np.isfinite(low) and np.isfinite(high):
            return low, high
    seen = Tally()
    for values, _ in finite(tensor, limits):
        seen.widen(float(values.min()), float(values.max()))
    return seen.minimum, seen.maximum


def finite(tensor: Tensor, limits: Limits) -> Iterator[tuple[Array, int]]:
    """Slices of the finite values as float64, none empty; nothing for what has no order."""
    dtype = declared_dtype(tensor)
    if tensor.payload is None or dtype is None or not is_real(dtype):
        return
    for values, times in slices(tensor.payload, limits.slice_bytes):
        wide = values.astype("f8")
        numbers = wide[np.isfinite(wide)]
        if numbers.size:
            yield numbers, times


def is_real(dtype: np.dtype[np.generic]) -> bool:
    """Whether values of the dtype are numbers that have an order."""
    return dtype.kind not in "cW" and family_of(dtype) is not None
