"""Expected values are counted by plain NumPy on the whole small array, or by hand."""

import ml_dtypes
import numpy as np
import pytest

from inspector.limits import Limits
from inspector.measure import measure, measure_all
from inspector.model import Quantized, Tensor
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import MemorySource

FLOATS = ("float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2")
# Slices of eight bytes end within rows, and within channels.
SMALL = Limits(slice_bytes=8)


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def tensor(array, **more):
    payload = RawPayload(MemorySource(array.tobytes(), "memory"), 0, array.size, array.dtype.name)
    return Tensor("t", array.dtype.name, array.shape, array.nbytes, payload=payload, **more)


def detail(one, limits=SMALL):
    found = measure(one, limits, thorough=True)
    assert found is not None
    assert found.detail is not None
    return found.detail


@pytest.mark.parametrize("name", FLOATS)
def test_denormals_are_counted_in_every_float(name):
    dtype = dtype_of(name)
    least, smallest = (
        float(getattr(ml_dtypes.finfo(dtype), one))
        for one in ("smallest_normal", "smallest_subnormal")
    )
    # Two denormals of each sign's smallest, and what is next to them: zeros, the least normal.
    array = np.array([smallest, -smallest, 0.0, -0.0, least, -least, np.nan, 1.0], dtype)
    assert detail(tensor(array)).denormals == 2


@pytest.mark.parametrize("name", FLOATS)
def test_denormals_agree_with_numpy_over_all_codes(name):
    dtype = dtype_of(name)
    if dtype.itemsize > 2:
        codes = np.random.default_rng(0).integers(0, 1 << 16, 4096).astype(f"u{dtype.itemsize}")
    else:
        codes = np.arange(1 << (8 * dtype.itemsize)).astype(f"u{dtype.itemsize}")
    array = codes.view(dtype)
    with np.errstate(invalid="ignore"):
        wide = np.abs(array.astype("f8"))
        least = float(ml_dtypes.finfo(dtype).smallest_normal)
        wanted = int(np.count_nonzero((wide < least) & (wide > 0)))
    assert detail(tensor(array)).denormals == wanted > 0


def test_integers_have_no_denormals():
    assert detail(tensor(np.arange(4, dtype="i1"))).denormals is None


@pytest.mark.parametrize(
    ("array", "ends"),
    [
        (np.array([-128, -127, -126, 0, 126, 127, 127], "i1"), (2, 2)),
        (np.array([0, 0, 1, 254, 255], "u1"), (2, 1)),
        (np.array([-32767, 32767, 5], "i2"), (1, 1)),
        (np.array([-8, -7, 7, 0], ml_dtypes.int4), (2, 1)),
        (np.array([2**31 - 1, 0], "i4"), None),
        (np.array([1.0, 0.0], "f4"), None),
    ],
)
def test_integers_at_the_ends_of_their_dtype_are_counted(array, ends):
    assert detail(tensor(array)).ends == ends


@pytest.mark.parametrize("name", ["float32", "float16", "int8", "float64"])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4), (1, 3, 3, 7), (7, 1)])
@pytest.mark.parametrize("limits", [Limits(slice_bytes=8), Limits(slice_bytes=64), Limits()])
def test_zero_slices_agree_with_numpy(name, shape, limits):
    rng = np.random.default_rng(sum(shape))
    array = (rng.integers(-3, 4, shape) * (rng.random(shape) < 0.3)).astype(name)
    wanted = tuple(
        int(np.count_nonzero(~(array != 0).any(axis=tuple(i for i in range(len(shape)) if i != k))))
        for k in range(len(shape))
    )
    assert detail(tensor(array), limits).zero_slices == wanted


def test_a_vector_has_no_slices_of_zeros():
    assert detail(tensor(np.zeros(4, "f4"))).zero_slices is None


def test_a_side_past_the_bound_is_not_looked_at():
    long = np.zeros((1, (1 << 20) + 1), "i1")
    assert detail(tensor(long), Limits()).zero_slices is None


@pytest.mark.parametrize(("value", "wanted"), [(0.0, (1 << 20, 1 << 20)), (2.0, (0, 0))])
def test_what_a_file_only_declares_is_told_without_being_counted_through(value, wanted):
    payload = FilledPayload(1 << 40, value, "float32")
    declared = Tensor("t", "float32", (1 << 20, 1 << 20), 0, payload=payload)
    assert detail(declared, Limits()).zero_slices == wanted


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("limits", [Limits(slice_bytes=8), Limits(slice_bytes=29), Limits()])
def test_spans_agree_with_numpy_on_every_side(axis, limits):
    array = np.random.default_rng(axis).integers(-128, 128, (3, 2, 5, 4)).astype("i1")
    scales = Quantized("per-channel", array.shape[axis], (0.1, 0.2), (0, 0), axis)
    others = tuple(i for i in range(4) if i != axis)
    wanted = tuple(
        zip(array.min(axis=others).tolist(), array.max(axis=others).tolist(), strict=True)
    )
    assert detail(tensor(array, quantized=scales), limits).spans == wanted


def test_there_are_no_spans_where_no_side_has_scales_that_fit_it():
    array = np.ones((3, 4), "i1")
    one = Quantized("per-tensor", 1, (0.1, 0.1), (0, 0))
    wrong = Quantized("per-channel", 5, (0.1, 0.1), (0, 0), 1)
    assert detail(tensor(array, quantized=one)).spans is None
    assert detail(tensor(array, quantized=wrong)).spans is None


def test_a_look_is_closer_only_where_it_is_asked_for():
    one = tensor(np.eye(2, dtype="f4"))
    plain, _ = measure_all([one])
    close, _ = measure_all([one], thorough=True)
    assert plain["t"].detail is None
    assert close["t"].detail is not None
    assert close["t"].detail.zero_slices == (0, 0)


def test_zeros_of_a_slice_are_values_at_the_zero_point():
    array = np.array([[3, 3], [3, 4]], "u1")
    centred = RawPayload(MemorySource((array.astype("i2") - 3).tobytes(), "memory"), 0, 4, "int16")
    assert detail(tensor(array, centred=centred)).zero_slices == (1, 1)
