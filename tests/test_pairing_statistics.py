"""How far values are apart: every number is worked out beside it, with plain NumPy."""

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inspector.limits import Limits
from inspector.model import Tensor
from inspector.pairing import Change, Pair, Tolerance, agreement
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import MemorySource
from inspector.wire.tflite_values import Steps

SMALL = Limits(slice_bytes=64)  # 16 float32 values a slice, 8 a tile
DTYPES = ["f4", "f8", "f2", "i1", "u1", "i4", "i8", "bfloat16", "float8_e4m3fn", "int4", "c8", "?"]
FIELDS = ("differing", "mean", "largest", "cosine", "sign_flips", "zeros_gained", "zeros_lost")


def tensor(array, real=None):
    array = np.ascontiguousarray(array) if np.ndim(array) else np.asarray(array)
    source = MemorySource(array.tobytes(), "memory")
    payload = RawPayload(source, 0, array.size, array.dtype.name)
    return Tensor("t", array.dtype.name, array.shape, array.nbytes, payload=payload, real=real)


def held(a, b, change=None, *, limits=SMALL, tolerance=Tolerance()):  # noqa: B008
    tensors = [one if isinstance(one, Tensor) else tensor(one) for one in (a, b)]
    return agreement(Pair(*tensors, "", "", change), limits, tolerance)


def dtype(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def values(name):
    """Numbers that every dtype of the list has, often equal, zero or of either sign."""
    some = {"?": [0, 1], "u1": [0, 1, 2, 7]}.get(name, [0, 1, -1, 2, -2, 5, 7, -8])
    return st.sampled_from(some)


@st.composite
def two(draw):
    name = draw(st.sampled_from(DTYPES))
    shape = draw(arrays.array_shapes(max_dims=3, max_side=7))
    size = math.prod(shape)
    made = [
        np.array(draw(st.lists(values(name), min_size=size, max_size=size)), "f8")
        .reshape(shape)
        .astype(dtype(name))
        for _ in range(2)
    ]
    if draw(st.booleans()):
        made[1] = made[0].copy()
    return made


def wide(array):
    return array.astype("c16" if array.dtype.kind == "c" else "f8").reshape(-1)


@settings(max_examples=150, deadline=None)
@given(two(), st.sampled_from([(0, 0), (0.5, 0), (0, 2), (0.1, 1)]))
def test_the_numbers_are_those_of_numpy(both, allowed):
    relative, absolute = allowed
    a, b = map(wide, both)
    found = held(*both, tolerance=Tolerance(relative, absolute))
    apart = np.abs(a - b)
    near = apart <= absolute + relative * np.maximum(np.abs(a), np.abs(b))
    assert found.differing == np.count_nonzero(~near)
    assert found.same_values == near.all()
    assert found.largest == pytest.approx(apart.max())
    assert found.mean == pytest.approx(apart.mean())
    assert (found.zeros_a, found.zeros_b) == (np.sum(a == 0), np.sum(b == 0))
    assert found.zeros_gained == np.sum((a != 0) & (b == 0))
    assert found.zeros_lost == np.sum((a == 0) & (b != 0))
    real = not np.iscomplexobj(a)
    assert found.sign_flips == (np.sum(np.sign(a) * np.sign(b) < 0) if real else 0)
    norms = np.linalg.norm(a), np.linalg.norm(b)
    if norms[0]:
        assert found.relative_norm == pytest.approx(np.linalg.norm(a - b) / norms[0])
    else:
        assert found.relative_norm is None
    if all(norms):
        assert found.cosine == pytest.approx(np.vdot(a, b).real / (norms[0] * norms[1]), abs=1e-9)
    else:
        assert found.cosine is None


@settings(max_examples=100, deadline=None)
@given(two(), st.booleans())
def test_a_mirrored_pair_has_the_mirrored_agreement(both, turned):
    a, b = map(tensor, both)
    if not turned:
        forth, back = held(a, b), held(b, a)
    else:
        # The same pair of a turned tensor, told from either side.
        axes = tuple(reversed(range(both[0].ndim)))
        b = tensor(both[1].transpose(axes))
        change = Change("transposed", "turned", axes, None, b.shape)
        forth = held(a, b, change)
        back = held(b, a, Change("transposed", "turned", axes, None, b.shape, backwards=True))
    assert [getattr(forth, one) for one in ("differing", "mean", "largest", "sign_flips")] == [
        getattr(back, one) for one in ("differing", "mean", "largest", "sign_flips")
    ]
    assert forth.cosine == back.cosine
    assert (forth.zeros_a, forth.zeros_b) == (back.zeros_b, back.zeros_a)
    assert (forth.zeros_gained, forth.zeros_lost) == (back.zeros_lost, back.zeros_gained)
    norms = [float(np.linalg.norm(wide(one))) for one in both]
    apart = float(np.linalg.norm(wide(both[0]) - wide(both[1])))
    for found, norm in ((forth, norms[0]), (back, norms[1])):
        assert found.relative_norm == (pytest.approx(apart / norm) if norm else None)


def test_one_difference_in_words_of_numbers():
    """Of (3, -4) and (3, 4): 8 apart in one of two, norm 8 of 5, (9 - 16) / 25."""
    found = held(np.array([3, -4], "f4"), np.array([3, 4], "f4"))
    assert (found.mean, found.relative_norm, found.sign_flips) == (4.0, 1.6, 1)
    assert found.cosine == pytest.approx(-7 / 25)


def test_equal_values_are_at_no_angle():
    found = held(np.full(1000, 0.1, "f4"), np.full(1000, 0.1, "f4"))
    assert (found.mean, found.relative_norm, found.cosine) == (0.0, 0.0, 1.0)


def test_zeros_have_no_norm_and_no_angle():
    found = held(np.zeros(3, "f4"), np.ones(3, "f4"))
    assert (found.relative_norm, found.cosine, found.zeros_lost) == (None, None, 3)
    assert found.mean == 1.0


def test_values_whose_squares_vanish_in_their_dtype_have_a_norm():
    tiny = np.full(100, 1e-30, "f4")
    assert held(tiny, 2 * tiny).relative_norm == pytest.approx(1.0)
    assert held(tiny, tiny).relative_norm == 0.0
    large = np.full(100, 1e30, "f4")
    assert held(large, large).cosine == 1.0
    assert held(large, -large).relative_norm == pytest.approx(2.0)


def test_nan_and_infinity_are_themselves_at_any_tolerance():
    odd = np.array([math.nan, math.inf, -math.inf, 2], "f4")
    found = held(odd, odd.copy(), tolerance=Tolerance())
    assert (found.same_bits, found.differing, found.largest, found.mean) == (True, 0, 0.0, 0.0)
    assert (found.relative_norm, found.cosine) == (0.0, 1.0)
    changed = odd.copy()
    changed[3] = 3
    found = held(odd, changed, tolerance=Tolerance(relative=0.5))
    assert (found.differing, found.largest, found.mean) == (0, 1.0, 0.25)
    assert found.relative_norm == 0.5


@pytest.mark.parametrize(
    ("a", "b"), [(math.nan, 1), (math.inf, 1), (math.inf, -math.inf), (1, math.nan)]
)
def test_what_is_not_finite_in_one_alone_differs_at_any_tolerance(a, b):
    found = held(np.array([a, 1], "f4"), np.array([b, 1], "f4"), tolerance=Tolerance(1e9, 1e9))
    assert (found.differing, found.largest, found.mean) == (1, math.inf, math.inf)
    assert (found.relative_norm, found.cosine) == (None, None)


def test_a_tolerance_is_of_the_larger_magnitude_whichever_side_has_it():
    """10 of 110 is within a tenth; of 100 it is not... of the larger one, from either side."""
    a, b = np.array([100.0]), np.array([110.0])
    for first, second in ((a, b), (b, a)):
        assert held(first, second, tolerance=Tolerance(relative=0.095)).differing == 0
        assert held(first, second, tolerance=Tolerance(relative=0.090)).differing == 1


def test_what_is_within_the_tolerance_agrees_and_its_bits_are_still_others():
    found = held(np.array([1.0]), np.array([1.0 + 1e-9]), tolerance=Tolerance(absolute=1e-6))
    assert (found.agrees, found.same_values, found.same_bits) == (True, True, False)
    assert found.largest == pytest.approx(1e-9)


def test_differences_of_large_integers_are_exact():
    big = 2**53
    found = held(np.array([big, -big], "i8"), np.array([big + 1, -big - 3], "i8"))
    assert (found.differing, found.largest, found.mean) == (2, 3.0, 2.0)
    top = 2**64 - 1
    found = held(np.array([top], "u8"), np.array([top - 1], "u8"))
    assert (found.differing, found.largest) == (1, 1.0)
    assert held(np.array([top], "u8"), np.array([-1], "i8")).differing == 1
    assert held(np.array([7], "u8"), np.array([7], "i8")).differing == 0


def test_values_that_stand_for_many_are_counted_so_often():
    count = 1 << 40
    a, b = (
        Tensor("f", "float32", (count,), 0, payload=FilledPayload(count, value, "float32"))
        for value in (2.0, -1.0)
    )
    found = held(a, b)
    assert (found.differing, found.sign_flips, found.mean) == (count, count, 3.0)
    assert (found.relative_norm, found.cosine) == (1.5, -1.0)


def test_texts_have_no_distance():
    a, b = np.array(["a", "b"], object), np.array(["a", "c"], object)

    class Texts:
        def __init__(self, array):
            self.array = array

        def blocks(self, max_bytes):
            yield self.array

    sides = [Tensor("t", "string", (2,), 2, payload=Texts(one)) for one in (a, b)]
    found = held(*sides, tolerance=Tolerance(1, 1))
    assert (found.differing, found.where) == (1, (1,))
    nothing = (found.largest, found.mean, found.relative_norm, found.cosine)
    assert nothing == (None, None, None, None)


def steps(shape, scale, zero=0, ends=(-127, 127)):
    rank = len(shape)
    scale, zero = (np.asarray(x, "f8").reshape(np.shape(x) or (1,) * rank) for x in (scale, zero))
    return Steps(shape, scale, zero, ends)


def test_integers_of_two_scales_are_compared_in_what_they_stand_for():
    """2 x 0.5 = 1 x 1.0; 4 x 0.5 - 3 x 1.0 = -1, one step of the second."""
    a = tensor(np.array([2, 4], "i1"), steps((2,), 0.5))
    b = tensor(np.array([1, 3], "i1"), steps((2,), 1.0))
    found = held(a, b)
    assert (found.differing, found.largest, found.in_scale_units) == (1, 1.0, 1.0)
    assert (found.mean, found.sign_flips) == (0.5, 0)
    same = held(a, tensor(np.array([1, 2], "i1"), steps((2,), 1.0)))
    assert (same.same_values, same.same_bits) == (True, False)


def test_the_zero_of_integers_is_their_zero_point():
    a = tensor(np.array([3, 4], "i1"), steps((2,), 0.5, 3))
    b = tensor(np.array([0, 3], "i1"), steps((2,), 0.5, 3))
    found = held(a, b)
    assert (found.zeros_a, found.zeros_b) == (1, 1)
    assert (found.zeros_gained, found.zeros_lost) == (1, 1)


def test_scales_are_turned_with_the_values():
    codes = np.array([[1, 2, 3], [4, 5, 6]], "i1")
    a = tensor(codes, steps((2, 3), np.array([[0.5], [2.0]])))
    b = tensor(codes.T, steps((3, 2), np.array([[0.5, 2.0]])))
    change = Change("transposed", "turned", (1, 0), None, (3, 2))
    assert held(a, b, change).same_bits
    other = tensor(codes.T, steps((3, 2), np.array([[0.5, 1.0]])))
    # The second row of 4, 5 and 6 stands for half as much.
    assert held(a, other, change).largest == 6.0
