"""Expected values are counted by plain NumPy on the whole small array, or written by hand."""

import math
import signal
import threading
import time
import tracemalloc
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import Corrupt, Truncated, UsageError
from inspector.limits import Limits
from inspector.measure import (
    Histogram,
    MaskReport,
    compare,
    histogram,
    mask_against_weight,
    measure,
    measure_all,
    run,
)
from inspector.model import Measurement, Tensor
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import MemorySource
from inspector.wire.int4 import Int4Payload

FLOATS = ("float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
NARROW = ("int2", "uint2", "int4", "uint4", "float8_e4m3b11fnuz", "float8_e8m0fnu")


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def tensor(array, name="t", order=""):
    """A tensor whose values lie in memory as they are; order ">" stores them big-endian."""
    array = np.ascontiguousarray(array)
    stored = array.view("u1") if array.ndim else array.reshape(1).view("u1")
    if order == ">" and array.itemsize > 1:
        stored = stored.reshape(-1, array.itemsize)[:, ::-1]
    payload = RawPayload(
        MemorySource(stored.tobytes(), "memory"), 0, array.size, order + array.dtype.name
    )
    return Tensor(name, array.dtype.name, array.shape, array.nbytes, payload=payload)


def filled(value, shape, dtype="float32"):
    count = math.prod(shape)
    return Tensor("f", dtype, shape, 0, payload=FilledPayload(count, value, dtype))


@dataclass(frozen=True)
class Blocks:
    """A payload that yields what it is told to, whatever was asked for."""

    arrays: tuple

    def blocks(self, max_bytes):
        yield from self.arrays


@dataclass(frozen=True)
class Broken:
    def blocks(self, max_bytes):
        yield np.ones(3, "float32")
        raise Corrupt("the values cannot be read", "bad.h5")


def expected(array):
    """The same facts from the whole array at once, in float64 and Python integers."""
    exact = array.dtype.kind in "iub" or "int" in array.dtype.name
    values = [int(v) for v in array.reshape(-1)] if exact else array.astype("f8").reshape(-1)
    numbers = [v for v in values if v == v]
    different = set(numbers)
    nan = len(values) - len(numbers)
    distinct = len(different) + (nan > 0)
    return (
        sum(v == 0 for v in values),
        min(numbers, default=None),
        max(numbers, default=None),
        nan,
        sum(math.isinf(v) for v in numbers),
        distinct if distinct <= 256 else None,
    )


def facts(found):
    return (found.zeros, found.minimum, found.maximum, found.nan, found.inf, found.distinct)


@st.composite
def arrays(draw, names=FLOATS + INTEGERS + NARROW + ("bool",)):
    """Arrays of any bits at all, with some values made zero."""
    dtype = dtype_of(draw(st.sampled_from(names)))
    shape = tuple(draw(st.lists(st.integers(0, 9), max_size=3)))
    count = math.prod(shape)
    bits = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    raw = np.frombuffer(bits, "u1")
    if dtype.kind == "b":
        raw = raw & 1
    array = raw.view(dtype).reshape(shape).copy()
    cut = draw(st.integers(0, count))
    array.reshape(-1).view("u1")[: cut * dtype.itemsize] = 0
    return array


@given(arrays(), st.integers(1, 40), st.sampled_from(["", ">"]))
@settings(max_examples=400, deadline=None)
def test_measures_what_whole_array_arithmetic_says(array, slice_bytes, order):
    with np.errstate(invalid="ignore"):
        want = expected(array)
    found = measure(tensor(array, order=order), Limits(slice_bytes=slice_bytes))
    assert facts(found) == want
    assert (
        found.minimum is None
        or type(found.minimum) is type(want[1])
        or math.isclose(found.minimum, want[1])
    )


@pytest.mark.parametrize("name", FLOATS)
def test_negative_zero_is_zero_and_no_second_value(name):
    array = np.array([0.0, -0.0, 1.0, -0.0]).astype(dtype_of(name))
    assert facts(measure(tensor(array))) == (3, 0.0, 1.0, 0, 0, 2)


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "bfloat16", "float8_e5m2"])
def test_nan_is_left_out_of_the_range_and_infinity_is_in_it(name):
    array = np.array([np.nan, 2.0, -np.inf, 0.0, np.nan, np.inf]).astype(dtype_of(name))
    found = measure(tensor(array))
    # Different values: NaN, 2, -inf, 0, inf.
    assert facts(found) == (1, -math.inf, math.inf, 2, 2, 5)


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "bfloat16", "float8_e4m3fn"])
def test_all_nan_has_no_range(name):
    array = np.full(7, np.nan).astype(dtype_of(name))
    assert facts(measure(tensor(array), Limits(slice_bytes=4))) == (0, None, None, 7, 0, 1)


def test_all_sixteen_bit_patterns_of_both_half_floats():
    codes = np.arange(1 << 16, dtype="u2")
    # binary16 has 10 bits of fraction, bfloat16 7: NaN has a full exponent and a fraction not 0.
    half = measure(tensor(codes.view("float16")))
    assert facts(half) == (2, -math.inf, math.inf, 2 * (2**10 - 1), 2, None)
    brain = measure(tensor(codes.view(ml_dtypes.bfloat16)))
    assert facts(brain) == (2, -math.inf, math.inf, 2 * (2**7 - 1), 2, None)


def test_range_of_large_integers_is_exact():
    array = np.array([2**63 - 1, -(2**63), 2**53 + 1], "int64")
    found = measure(tensor(array))
    assert (found.minimum, found.maximum) == (-(2**63), 2**63 - 1)
    assert type(found.minimum) is int


def test_complex_values_have_no_range():
    array = np.array([0, complex(-0.0, 0.0), complex(math.nan, math.inf), complex(1, -math.inf)])
    found = measure(tensor(array.astype("complex64")))
    assert facts(found) == (2, None, None, 1, 1, None)


def test_an_int4_kernel_counts_values_not_bytes():
    # Low nibble first along axis 0: bytes 0x10 0xF0 are the values 0, 1 and 0, -1.
    packed = RawPayload(MemorySource(b"\x10\xf0", "memory"), 0, 2, "int8")
    payload = Int4Payload(packed, (2, 1), (4, 1), 0)
    found = measure(Tensor("k", "int4", (4, 1), 2, payload=payload))
    assert facts(found) == (2, -1, 1, 0, 0, 3)


@pytest.mark.parametrize("count", [65_535, 65_536, 65_537, 200_001])
def test_bytes_are_counted_one_by_one_and_in_pairs_alike(count):
    array = np.random.default_rng(count).integers(-100, 101, count).astype("int8")
    found = measure(tensor(array))
    assert facts(found) == (int((array == 0).sum()), -100, 100, 0, 0, 201)


def test_extended_precision_comes_as_python_floats():
    found = measure(tensor(np.array([0, 0.5, -3], "longdouble")))
    assert facts(found) == (1, -3.0, 0.5, 0, 0, 3)
    assert type(found.minimum) is float


@pytest.mark.parametrize("name", ["string", "object", "S5", "V2", "str"])
def test_what_is_no_number_is_not_measured(name):
    values = Blocks((np.array([b"", b"a"], dtype=object),))
    assert measure(Tensor("t", name, (2,), 2, payload=values)) is None


def test_no_payload_is_not_measured():
    assert measure(Tensor("t", "float32", (2,), 8)) is None


def test_an_empty_tensor_has_no_zeros_and_no_range():
    empty = measure(tensor(np.zeros((0, 4), "float32")))
    assert empty == Measurement(0, None, None, 0, 0, 0, ())


@pytest.mark.parametrize("dtype", ["float32", "int32", "float16"])
@pytest.mark.parametrize("count", [1, 48, 49, 255, 256, 257, 2000])
def test_distinct_values_are_counted_up_to_256(dtype, count):
    rng = np.random.default_rng(count)
    values = np.concatenate([np.arange(count), rng.integers(0, count, 5000)])
    rng.shuffle(values)
    found = measure(tensor(values.astype(dtype)), Limits(slice_bytes=3000))
    assert found.distinct == (count if count <= 256 else None)


def test_nan_counts_among_the_256_different_values():
    values = np.concatenate([np.arange(256), [np.nan]]).astype("float32")
    assert measure(tensor(values)).distinct is None
    assert measure(tensor(values[1:])).distinct == 256


def test_blocks_of_any_size_are_measured_alike():
    array = np.arange(-500, 500, dtype="float32")
    payload = Blocks((array[:7], array[7:7], array[7:]))
    found = measure(Tensor("t", "float32", (1000,), 4000, payload=payload), Limits(slice_bytes=64))
    assert facts(found) == (1, -500.0, 499.0, 0, 0, None)


def test_blocks_that_are_not_contiguous_are_measured():
    array = np.arange(20, dtype="float16")
    payload = Blocks((array[::2],))
    found = measure(Tensor("t", "float16", (10,), 20, payload=payload))
    assert facts(found) == (1, 0.0, 18.0, 0, 0, 10)


def test_progress_adds_up_to_the_bytes_of_the_values():
    seen = []
    measure(tensor(np.ones(1000, "float32")), Limits(slice_bytes=256), seen.append)
    assert sum(seen) == 4000
    assert max(seen) == 256
    seen.clear()
    measure(filled(0.0, (100, 10)), Limits(slice_bytes=256), seen.append)
    assert sum(seen) == 4000


@pytest.mark.parametrize(("value", "zeros"), [(0.0, 2**30), (1.5, 0)])
def test_a_filled_tensor_of_2_to_the_30_costs_neither_memory_nor_time(value, zeros):
    huge = filled(value, (2**15, 2**15))
    began = time.perf_counter()
    tracemalloc.start()
    found = measure(huge)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert facts(found) == (zeros, value, value, 0, 0, 1)
    assert peak < 4 << 20
    assert time.perf_counter() - began < 60


@pytest.mark.parametrize("dtype", ["float32", "int8", "float16", "int64"])
def test_a_file_that_declares_more_than_anyone_can_count_is_no_burden(dtype):
    shape = (2**32, 2**32, 3)
    huge = filled(1, shape, dtype)
    assert facts(measure(huge)) == (0, 1, 1, 0, 0, 1)
    assert measure(filled(0, shape, dtype)).zeros == 3 * 2**64
    assert compare(huge, huge) is True
    assert mask_against_weight(huge, filled(0, shape, dtype)).kept_zeros == 3 * 2**64
    assert sum(histogram(huge).counts) == 3 * 2**64


@pytest.mark.parametrize("shape", [(2, 4_000_000), (4_000_000, 2), (64, 125_000), (2000, 4000)])
def test_memory_stays_at_a_few_slices_whatever_the_shape(shape):
    rng = np.random.default_rng(1)
    array = rng.standard_normal(math.prod(shape), dtype="float32")
    array[rng.random(array.size, dtype="float32") < 0.9] = 0  # patterns are looked for to the end
    whole = tensor(array.reshape(shape))
    tracemalloc.start()
    found = measure(whole)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.zeros == int((array == 0).sum())
    assert peak < 8 << 20  # of a payload of 32 MB


# -- two tensors


@given(arrays(), st.integers(1, 40), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_equal_bits_are_the_same_and_one_flipped_bit_is_not(array, slice_bytes, place):
    limits = Limits(slice_bytes=slice_bytes)
    assert compare(tensor(array), tensor(array, order=">"), limits) is True
    if array.size:
        changed = array.copy()
        bits = changed.reshape(-1).view("u1")
        bits[place % bits.size] ^= 1
        assert compare(tensor(array), tensor(changed), limits) is False


def test_comparing_is_by_bits_shape_and_dtype():
    def of(*values, dtype="float32"):
        return tensor(np.array(values, dtype))

    assert compare(of(math.nan, 1), of(math.nan, 1)) is True
    assert compare(of(0.0), of(-0.0)) is False
    assert compare(of(1, 2), tensor(np.array([[1, 2]], "float32"))) is False
    assert compare(of(1), of(1, dtype="float64")) is False
    assert compare(of(1), Tensor("t", "float32", (1,), 4)) is None


def test_comparing_does_not_depend_on_how_values_are_stored():
    ones = tensor(np.ones((40, 5), "float32"))
    assert compare(ones, filled(1.0, (40, 5)), Limits(slice_bytes=24)) is True
    assert compare(filled(0.0, (40, 5)), ones) is False
    packed = RawPayload(MemorySource(b"\x10\xf0", "memory"), 0, 2, "int8")
    int4 = Tensor("k", "int4", (4, 1), 2, payload=Int4Payload(packed, (2, 1), (4, 1), 0))
    plain = np.array([[0], [1], [0], [-1]])
    assert compare(int4, tensor(plain.astype(ml_dtypes.int4))) is True


def test_texts_are_compared_too():
    def text(*words):
        array = np.array(words, dtype=object)
        return Tensor("t", "string", array.shape, 9, payload=Blocks((array,)))

    assert compare(text(b"a", b"b"), text(b"a", b"b")) is True
    assert compare(text(b"a", b"b"), text(b"a", b"c")) is False


def test_comparing_two_huge_fill_values_is_quick():
    assert compare(filled(2.0, (2**15, 2**15)), filled(2.0, (2**15, 2**15))) is True


def test_a_mask_is_held_against_its_weight():
    #         removed, kept, leaked, kept zero, removed with -0.0
    mask = np.array([0, 1, 0, 1, 0], "float32")
    weight = np.array([0, 3, 1e-4, 0, -0.0], "float32")
    report = mask_against_weight(tensor(mask), tensor(weight), Limits(slice_bytes=8))
    assert report == MaskReport(3, 3, kept_zeros=1, leaked=1, mask_is_binary=True)


@given(st.binary(min_size=1, max_size=60), st.integers(1, 40))
@settings(deadline=None)
def test_mask_counts_match_whole_array_arithmetic(bits, slice_bytes):
    mask = np.frombuffer(bits, "u1") % 3 / 2  # 0, 0.5, 1
    weight = np.frombuffer(bits, "u1") // 3 % 2 - 0.0
    report = mask_against_weight(
        tensor(mask.astype("float32")),
        tensor(weight.astype(ml_dtypes.bfloat16)),
        Limits(slice_bytes=slice_bytes),
    )
    assert report == MaskReport(
        int((mask == 0).sum()),
        int((weight == 0).sum()),
        int(((mask != 0) & (weight == 0)).sum()),
        int(((mask == 0) & (weight != 0)).sum()),
        not (mask == 0.5).any(),
    )


def test_a_nan_in_a_mask_is_not_binary():
    mask, weight = np.array([1, math.nan], "float32"), np.array([1, 0], "float32")
    report = mask_against_weight(tensor(mask), tensor(weight))
    assert report == MaskReport(0, 1, kept_zeros=1, leaked=0, mask_is_binary=False)


def test_a_mask_of_fill_values_is_counted_whole():
    report = mask_against_weight(filled(0.0, (100, 7)), filled(2.0, (100, 7)))
    assert report == MaskReport(700, 0, 0, 700, mask_is_binary=True)


def test_a_mask_of_another_shape_is_the_callers_mistake():
    with pytest.raises(UsageError, match="no mask"):
        mask_against_weight(tensor(np.ones(3)), tensor(np.ones(4)))
    with pytest.raises(UsageError, match="no values"):
        mask_against_weight(Tensor("m", "float32", (4,), 0), tensor(np.ones(4)))


# -- histogram


def test_histogram_counts_finite_values_in_equal_steps():
    array = np.array([0, 0.5, 1, 1.5, 2, math.nan, math.inf, -math.inf], "float32")
    found = histogram(tensor(array), bins=2, limits=Limits(slice_bytes=8))
    assert found == Histogram((0.0, 1.0, 2.0), (2, 3))


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16", "int8", "int64", "bool"])
def test_histogram_matches_numpy_on_the_whole_array(name):
    values = np.random.default_rng(5).standard_normal(3000) * 20
    array = values.astype(dtype_of(name))
    whole = tensor(array)
    counts, edges = np.histogram(array.astype("f8"), 20)
    want = Histogram(tuple(edges.tolist()), tuple(counts.tolist()))
    assert histogram(whole, limits=Limits(slice_bytes=100)) == want
    assert histogram(whole, known=measure(whole)) == want


def test_histogram_of_one_value_and_of_none():
    assert histogram(filled(3.0, (10, 10)), bins=2) == Histogram((2.5, 3.0, 3.5), (0, 100))
    assert histogram(tensor(np.full(3, math.nan))) == Histogram((), ())
    assert histogram(Tensor("t", "float32", (3,), 12)) == Histogram((), ())
    assert histogram(tensor(np.ones(3, "complex64"))) == Histogram((), ())
    with pytest.raises(UsageError):
        histogram(tensor(np.ones(3)), bins=0)


def test_histogram_of_the_widest_range():
    largest = np.finfo("float64").max
    found = histogram(tensor(np.array([-largest, 0.0, largest])), bins=2)
    assert found.counts == (1, 2)
    assert found.edges == (-largest, 0.0, largest)


# -- many tensors


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_many_tensors_are_measured_by_name_in_their_order(threads):
    parts = [tensor(np.full(n, n, "int32"), f"t{n}") for n in (3, 50, 7)]
    text = Tensor("text", "string", (1,), 1, payload=Blocks((np.array([b"a"], object),)))
    found, problems = measure_all([*parts, text], threads=threads)
    assert list(found) == ["t3", "t50", "t7"]
    assert [m.maximum for m in found.values()] == [3, 50, 7]
    assert problems == {}


@pytest.mark.parametrize("threads", [1, 2])
def test_what_cannot_be_read_is_a_problem_of_its_own(threads):
    short = RawPayload(MemorySource(b"\0" * 8, "short.h5"), 0, 3, "float32")
    tensors = [
        tensor(np.ones(4, "float32"), "good"),
        Tensor("cut", "float32", (3,), 12, payload=short),
        Tensor("bad", "float32", (9,), 36, payload=Broken()),
    ]
    found, problems = measure_all(tensors, threads=threads)
    assert list(found) == ["good"]
    assert isinstance(problems["cut"], Truncated)
    assert isinstance(problems["bad"], Corrupt)


def test_large_tensors_are_measured_by_several_threads_which_report_in_turn():
    tensors = [tensor(np.ones(1 << 20, "float32"), f"t{n}") for n in range(4)]
    total, names = [], set()
    busy = threading.Lock()

    def report(nbytes):
        assert busy.acquire(blocking=False)
        total.append(nbytes)
        names.add(threading.current_thread().name)
        busy.release()

    found, _ = measure_all(tensors, on_bytes=report)
    assert len(found) == 4
    assert sum(total) == 16 << 20
    assert threading.main_thread().name not in names


def test_an_interrupt_never_leaves_threads_waiting_for_a_lock():
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for at in range(100):
            # A busy machine may let the alarm come at any line of these.
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.002 + at * 1e-4)
                run(lambda job: None, [[]] * 200_000, 2)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 50


@pytest.mark.parametrize(
    ("values", "edges", "counts"),
    [
        # Three neighbours: between the least and the largest there is one more float.
        ([1.0, 1.0 + 2**-52, 1.0 + 2**-51], (1.0, 1.0 + 2**-52, 1.0 + 2**-51), (1, 2)),
        ([0.0, 5e-324], (0.0, 5e-324), (2,)),
        ([4.0, 4.0], (3.5, 4.5), (2,)),
        # A half is nothing beside it: the next float is 2 ** 53 away from 2 ** 105.
        ([2.0**105] * 3, (2.0**105 - 2.0**53, 2.0**105 + 2.0**53), (3,)),
    ],
)
def test_a_histogram_has_no_more_bars_than_floats_to_part_them(values, edges, counts):
    found = histogram(tensor(np.array(values)), 2 if len(set(values)) > 1 else 1)
    assert (found.edges, found.counts) == (edges, counts)
    assert sum(histogram(tensor(np.array(values)), 20).counts) == len(values)
