"""How values agree, slice by slice: every expected number is worked out beside it."""

import math
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.limits import Limits
from inspector.model import Tensor
from inspector.pairing import (
    Absorbed,
    Change,
    Clustered,
    Folded,
    Makes,
    Masked,
    Pair,
    Part,
    Scaled,
    agreement,
)
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import MemorySource
from inspector.wire.tflite_values import Steps

SMALL = Limits(slice_bytes=64)  # 16 float32 values a slice, 8 a tile


class InOrder:
    """A payload that can only be read from its beginning, a few values at a time."""

    def __init__(self, array):
        self.values = array.reshape(-1)

    def blocks(self, max_bytes):
        for start in range(0, self.values.size, 5):
            yield self.values[start : start + 5]


def tensor(array, name="t", *, in_order=False, real=None):
    array = np.ascontiguousarray(array) if np.ndim(array) else np.asarray(array)
    source = MemorySource(array.tobytes(), "memory")
    payload = InOrder(array) if in_order else RawPayload(source, 0, array.size, array.dtype.name)
    return Tensor(name, array.dtype.name, array.shape, array.nbytes, payload=payload, real=real)


def held(a, b, change=None, *, mask=None, limits=SMALL, **more):
    tensors = [one if isinstance(one, Tensor) else tensor(one) for one in (a, b)]
    kept = None if mask is None else tensor(mask)
    return agreement(Pair(*tensors, "", "", change, kept, **more), limits)


def floats(*values):
    return np.array(values, "f4")


def test_equal_bits_agree():
    found = held(floats(1, 0, -2), floats(1, 0, -2))
    assert (found.agrees, found.same_bits, found.same_values) == (True, True, True)
    assert (found.elements, found.differing, found.zeros_a, found.zeros_b) == (3, 0, 1, 1)
    assert (found.largest, found.relative, found.where, found.snr_db) == (0.0, 0.0, None, None)


def test_zeros_of_either_sign_are_equal_values_of_other_bits():
    found = held(floats(0.0, 1), floats(-0.0, 1))
    assert (found.agrees, found.same_bits, found.same_values) == (True, False, True)
    assert (found.zeros_a, found.zeros_b) == (1, 1)


def test_a_difference_is_told_with_its_size_and_its_place():
    a = np.full((4, 25), 2, "f4")
    b = a.copy()
    b[3, 7] = 2.5  # 0.5 of at most 2; the noise is 0.25, the signal 100 x 4
    b[0, 1] = 1.75
    found = held(a, b)
    assert not found.agrees
    assert (found.differing, found.largest, found.relative) == (2, 0.5, 0.25)
    assert found.where == (3, 7)
    assert found.snr_db == pytest.approx(10 * math.log10(400 / (0.25 + 0.0625)))
    assert found.why_not == "2 of 100 values differ, by up to 0.5"


def test_nan_is_itself_and_nothing_else():
    nan = float("nan")
    assert held(floats(nan, 1), floats(nan, 1)).agrees
    found = held(floats(nan, 1), floats(2, 1))
    assert (found.differing, found.largest, found.where) == (1, math.inf, (0,))


def test_integers_past_the_precision_of_floats_are_told_apart():
    big = 2**53
    found = held(np.array([big], "i8"), np.array([big + 1], "i8"))
    assert (found.agrees, found.differing) == (False, 1)


def test_texts_and_booleans_are_compared_as_they_are():
    assert held(np.array([True, False]), np.array([True, False])).agrees
    assert held(np.array([True, False]), np.array([True, True])).differing == 1


def test_two_opaque_bytes_are_what_the_other_side_says_they_are():
    """Keras 3 keeps bfloat16 in `.h5` as V2: 1.0, 0.0 and -2.5 are the same bytes either way."""
    typed = np.array([1.0, 0.0, -2.5], ml_dtypes.bfloat16)
    opaque = replace(tensor(typed.view("u2")), dtype="V2", payload=InOrder(typed.view("V2")))
    other = np.array([1.0, 0.0, -2.0], ml_dtypes.bfloat16)
    for one, two in ((opaque, tensor(typed)), (tensor(typed), opaque)):
        change = Change("cast", "")
        assert held(one, two, change).same_values
    found = held(opaque, tensor(other), Change("cast", ""))
    assert (found.differing, found.largest) == (1, 0.5)


def test_shapes_that_differ_do_not_agree():
    found = held(np.zeros((2, 3), "f4"), np.zeros((3, 2), "f4"))
    assert (found.agrees, found.largest) == (False, None)
    assert found.why_not == "shapes (2, 3) and (3, 2) differ"


def test_a_tensor_without_values_does_not_agree():
    empty = Tensor("lost", "float32", (1,), 4)
    assert held(empty, floats(1)).why_not == "lost has no values"


def test_no_values_at_all_agree():
    assert held(np.zeros((0, 3), "f4"), np.zeros((0, 3), "f4")).agrees


def test_more_values_than_anyone_can_read_are_compared_by_the_one_that_they_are():
    count = 1 << 50
    filled = [
        Tensor("f", "float32", (count,), 0, payload=FilledPayload(count, value, "float32"))
        for value in (0.0, 0.0, 1.0)
    ]
    assert held(filled[0], filled[1]).zeros_b == count
    assert held(filled[0], filled[2]).differing == count


def test_values_that_come_in_pieces_of_other_sizes_are_held_side_by_side():
    values = np.arange(100, dtype="f4").reshape(10, 10)
    assert held(tensor(values, in_order=True), tensor(values)).same_bits


def test_what_a_mask_takes_out_must_be_zero_in_the_other():
    mask = floats(1, 0, 0, 1)
    assert held(floats(5, 0, 0, 7), floats(5, 0, 0, 7), mask=mask).masked_nonzero == 0
    found = held(floats(5, 3, 0, 7), floats(5, 3, 0, 7), mask=mask)
    assert (found.agrees, found.masked_nonzero) == (True, 1)


def test_a_mask_of_the_second_is_held_against_the_first():
    mask = floats(0, 1)
    found = held(floats(4, 0), floats(0, 0), mask=mask, mask_of_a=False)
    assert found.masked_nonzero == 1
    assert held(floats(4, 0), floats(0, 0), mask=mask).masked_nonzero == 0


def test_a_cast_is_as_near_as_the_smaller_dtype_can_be():
    # Around 1 bfloat16 has steps of 2**-7: 1 + 2**-9 is a quarter of one from 1.
    a = floats(1 + 2**-9, -3)
    b = a.astype(ml_dtypes.bfloat16)
    found = held(a, b, Change("cast", ""))
    assert (found.agrees, found.ulps, found.largest) == (True, 0.25, 2**-9)
    assert (found.same_values, found.same_bits) == (False, False)


def test_a_cast_that_is_off_by_more_than_a_step_does_not_agree():
    b = (floats(1, -3) + floats(2**-9, 0)).astype("f2")  # steps of 2**-10: two of them
    found = held(floats(1, -3), b, Change("cast", ""))
    assert (found.agrees, found.ulps) == (False, 2.0)


@pytest.mark.parametrize("in_order", [False, True])
def test_a_transposed_kernel_agrees_once_turned(in_order):
    a = np.arange(9 * 5 * 7, dtype="f4").reshape(3, 3, 5, 7)
    change = Change("transposed", "", (3, 0, 1, 2), None, (7, 3, 3, 5))
    b = np.transpose(a, (3, 0, 1, 2)).copy()
    assert held(tensor(a, in_order=in_order), tensor(b), change).same_bits
    b[6, 2, 1, 4] += 1
    found = held(tensor(a, in_order=in_order), tensor(b), change)
    assert (found.differing, found.where) == (1, (6, 2, 1, 4))


def test_a_change_backwards_is_made_of_the_second():
    a = np.arange(6, dtype="f4").reshape(2, 3)
    change = Change("transposed", "", (1, 0), None, (3, 2), backwards=True)
    found = held(a.T.copy(), a, change)
    assert found.same_bits
    assert (found.zeros_a, found.zeros_b) == (1, 1)


def test_a_gate_is_cut_out_of_a_kernel_and_turned():
    a = np.arange(2 * 12, dtype="f4").reshape(2, 12)
    part = Part(1, 3, 6)  # the second of four gates of three units
    change = Change("sliced + transposed", "", (1, 0), part, (3, 2))
    assert held(a, a[:, 3:6].T.copy(), change).same_bits


def test_a_weight_is_masked_on_purpose():
    weight, mask = floats(1, 2, 3), floats(1, 0, 1)
    change = Change("masked", "", value=Masked(tensor(mask)), shape=(3,))
    assert held(weight, floats(1, 0, 3), change).same_bits
    assert not held(weight, floats(1, 2, 3), change).agrees


def test_a_clustered_weight_is_looked_up():
    centroids, indices = tensor(floats(0.5, -1, 2)), tensor(np.array([[2, 0], [1, 1]]))
    value = Clustered(centroids, indices)
    change = Change("clustered", "", value=value, shape=(2, 2))
    expected = np.array([[2, 0.5], [-1, -1]], "f4")
    assert held(np.zeros((2, 2), "f4"), expected, change).same_bits


def norm(makes, *, bias=None, axes=(), gamma=(2, 3), beta=(1, -1)):
    return Folded(
        makes=makes,
        layer="bn",
        mean=tensor(floats(0.5, 1)),
        variance=tensor(floats(4, 9)),
        gamma=None if gamma is None else tensor(floats(*gamma)),
        beta=None if beta is None else tensor(floats(*beta)),
        bias=bias,
        epsilon=0.0,
        axes=axes,
    )


def test_a_batch_normalization_goes_into_the_kernel_before_it():
    # Deviations of 2 and 3: the factors are 4 over 2, and 3 over 3.
    kernel = np.array([[1, 2], [3, 4], [5, 6]], "f4")
    value = norm(Makes.KERNEL, axes=(1,), gamma=(4, 3))
    change = Change("folded + transposed", "", (1, 0), None, (2, 3), value)
    expected = np.array([[2, 6, 10], [2, 4, 6]], "f4")
    found = held(kernel, expected, change)
    assert (found.agrees, found.largest) == (True, 0.0)


def test_a_batch_normalization_of_a_depthwise_kernel_has_a_channel_for_each_multiple():
    kernel = np.arange(1, 9, dtype="f4").reshape(2, 2, 1, 2)
    value = norm(Makes.KERNEL, axes=(2, 3), gamma=(4, 3))
    change = Change("folded + reshaped", "", None, None, (1, 2, 2, 2), value)
    expected = np.array([2, 2, 6, 4, 10, 6, 14, 8], "f4").reshape(1, 2, 2, 2)
    assert held(kernel, expected, change).largest == 0.0


@pytest.mark.parametrize(
    ("makes", "bias", "expected"),
    [
        (Makes.BIAS, (10, 20), (10 - 0.5 + 1, 20 - 1 - 1)),
        (Makes.BIAS, None, (-0.5 + 1, -1 - 1)),
        (Makes.OFFSET, None, (0.5, -2)),
        (Makes.SCALE, None, (1, 1)),
    ],
)
def test_a_batch_normalization_makes_a_bias_a_scale_or_an_offset(makes, bias, expected):
    own = None if bias is None else tensor(floats(*bias))
    change = Change("folded", "", value=norm(makes, bias=own), shape=(2,))
    assert held(own or tensor(floats(7, 7)), floats(*expected), change).largest == 0.0


def test_a_fold_may_lose_what_the_arithmetic_of_float32_does():
    value = norm(Makes.KERNEL, axes=(0,), gamma=(4, 3))
    change = Change("folded", "", value=value, shape=(2,))
    assert held(floats(100, 1), floats(200 * (1 + 2e-7), 1), change).agrees
    assert not held(floats(100, 1), floats(200 * (1 + 2e-4), 1), change).agrees


def test_what_came_before_a_dense_layer_goes_into_its_kernel_and_bias():
    kernel, bias = tensor(np.array([[1, 2], [3, 4]], "f4")), tensor(floats(10, 20))
    gamma, beta = tensor(floats(2, 3)), tensor(floats(1, -1))
    into = Absorbed(Makes.KERNEL, "ln", gamma, beta, kernel)
    change = Change("folded + transposed", "", (1, 0), None, (2, 2), into)
    assert held(kernel, np.array([[2, 9], [4, 12]], "f4"), change).largest == 0.0
    into = Absorbed(Makes.BIAS, "ln", gamma, beta, kernel, bias)
    change = Change("folded", "", value=into, shape=(2,))
    # beta @ kernel is (1 - 3, 2 - 4).
    assert held(bias, floats(8, 18), change).largest == 0.0


def test_a_factor_is_multiplied_in():
    change = Change("scaled", "", value=Scaled(0.5), shape=(2,))
    assert held(floats(3, -4), floats(1.5, -2), change).agrees


def steps(shape, scale, zero=0, ends=(-127, 127)):
    scale, zero = (
        np.asarray(one, "f8").reshape([1] * len(shape) if np.ndim(one) == 0 else np.shape(one))
        for one in (scale, zero)
    )
    return Steps(shape, scale, zero, ends)


QUANTIZED = Change("quantized", "")


def test_rounding_is_at_most_half_a_step():
    codes = tensor(np.array([1, 2, -127], "i1"), real=steps((3,), 0.5))
    found = held(tensor(floats(0.6, 1.25, -63.5)), codes, QUANTIZED)
    assert found.agrees
    # 0.6 - 0.5 is a fifth of a step of 0.5, 1.25 - 1 half of one.
    assert (found.in_scale_units, found.clipped) == (0.5, 0)
    assert found.largest == 0.25
    signal, noise = 0.6**2 + 1.25**2 + 63.5**2, 0.1**2 + 0.25**2
    assert found.snr_db == pytest.approx(10 * math.log10(signal / noise), abs=1e-4)


def test_more_than_half_a_step_is_no_rounding():
    codes = tensor(np.array([1, 2], "i1"), real=steps((2,), 0.5))
    found = held(tensor(floats(0.5, 1.8)), codes, QUANTIZED)
    assert not found.agrees
    assert found.in_scale_units == pytest.approx(1.6, abs=1e-6)


def test_a_zero_point_stands_for_zero():
    codes = tensor(np.array([3, 5], "i1"), real=steps((2,), 0.5, 3))
    found = held(tensor(floats(0, 1)), codes, QUANTIZED)
    assert (found.agrees, found.in_scale_units, found.zeros_a, found.zeros_b) == (True, 0, 1, 1)


def test_each_channel_has_its_own_step():
    real = steps((2, 3), np.array([[0.5], [0.25]]))
    codes = tensor(np.array([[2, 4, 6], [2, 4, 6]], "i1"), real=real)
    kernel = np.array([[1, 0.5], [2, 1], [3, 1.5]], "f4")
    change = Change("transposed + quantized", "", (1, 0), None, (2, 3))
    assert held(tensor(kernel), codes, change).in_scale_units == 0


def test_each_block_has_its_own_step():
    real = steps((1, 4), np.array([[0.5, 2.0]]))
    codes = tensor(np.array([[1, 2, 1, 2]], "i1"), real=real)
    assert held(tensor(np.array([[0.5, 1, 2, 4]], "f4")), codes, QUANTIZED).same_values


def test_what_is_past_the_range_is_clipped_and_told():
    codes = tensor(np.array([127, 1], "i1"), real=steps((2,), 0.5))
    found = held(tensor(floats(70, 0.5)), codes, QUANTIZED)
    assert (found.agrees, found.clipped, found.in_scale_units) == (False, 1, 0)
    assert found.why_not == "1 value is past the range of its integers"


def test_what_is_past_a_learned_range_was_cut_off_on_purpose():
    codes = tensor(np.array([127, 1], "i1"), real=steps((2,), 0.5))
    found = held(tensor(floats(70, 0.5)), codes, Change("quantized", "", clips=True))
    assert (found.agrees, found.clipped) == (True, 1)


def test_integers_of_both_sides_are_compared_as_what_they_stand_for():
    a = tensor(np.array([2, 4], "i1"), real=steps((2,), 0.5))
    b = tensor(np.array([1, 2], "i1"), real=steps((2,), 1.0))
    assert held(a, b).same_values


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_permutation_of_any_shape_is_undone(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=5)))
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    a = np.arange(math.prod(shape), dtype="f4").reshape(shape)
    b = np.transpose(a, axes).copy()
    change = Change("transposed", "", axes, None, b.shape)
    assert held(a, b, change).same_bits
    at = data.draw(st.integers(0, b.size - 1))
    b.flat[at] += 0.5
    found = held(a, b, change)
    assert found.differing == 1
    assert found.where == tuple(int(i) for i in np.unravel_index(at, b.shape))
    assert found.largest == 0.5
