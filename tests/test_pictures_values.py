"""Pictures of values: histograms, heats, both sides of a pair. NumPy and h5py say what is right."""

import functools

import h5py
import ml_dtypes
import numpy as np
import pytest

from inspector import api, deadline
from inspector.errors import Corrupt, LimitExceeded
from inspector.limits import DEFAULT, Limits
from inspector.model import Tensor
from inspector.payloads import FilledPayload, RawPayload
from inspector.pictures.heats import cell, heat
from inspector.pictures.reading import all_readable, real
from inspector.pictures.reading import stored as values_of
from inspector.pictures.spread import edges_of, span, spread, whole_edges
from inspector.render.json import render
from inspector.render.options import RenderOptions
from inspector.storage import MemorySource
from tests.builders import changed, hdf5, samples, tflite

KERNEL = "model_weights/prune_low_magnitude_dense/dense/kernel:0"


def pictures_of(path, **options):
    (artifact,) = api.show(str(path), pictures=True, **options).artifacts
    assert artifact.readable, artifact.problems
    return artifact.pictures


def stored(name, dataset):
    with h5py.File(samples.path(name)) as file:
        return file[dataset][()]


def in_memory(values, **more):
    """A tensor of an array's values."""
    raw = RawPayload(MemorySource(values.tobytes(), "m"), 0, values.size, values.dtype.name)
    return Tensor("t", values.dtype.name, values.shape, values.nbytes, payload=raw, **more)


def once(values):
    """A source of values in uneven slices."""
    return lambda: ((part, 1) for part in np.array_split(values.reshape(-1), 3) if part.size)


# --- histograms ---------------------------------------------------------------------------------


def test_a_histogram_is_numpys_of_the_values_that_are_not_zero():
    (one, *_) = pictures_of(samples.path("pruned.h5")).histograms
    values = stored("pruned.h5", KERNEL)
    assert (one.tensor, one.variable, one.role) == (KERNEL, "kernel", "weight")
    counts, edges = np.histogram(values[values != 0].astype("f8"), len(one.bars))
    assert [bar.elements for bar in one.bars] == counts.tolist()
    assert [bar.low for bar in one.bars] + [one.bars[-1].high] == pytest.approx(edges.tolist())
    assert (one.zeros, one.not_finite, one.elements) == (320, 0, 640)
    mask = stored("pruned.h5", changed.MASK)
    threshold = stored("pruned.h5", changed.MASK.replace("mask", "threshold"))
    assert one.masked == np.count_nonzero(mask == 0)
    assert one.threshold == float(threshold)


def test_kernels_come_first_and_the_largest_of_them():
    pictures = pictures_of(samples.path("pruned_convnet.h5"))
    with h5py.File(samples.path("pruned_convnet.h5")) as file:
        shapes = [file[one.tensor].shape for one in pictures.histograms]
    kernels = [shape for shape in shapes if len(shape) > 1]
    assert shapes[: len(kernels)] == kernels
    sizes = [int(np.prod(shape)) for shape in kernels]
    assert sizes == sorted(sizes, reverse=True)
    assert pictures.histograms_of == len(shapes)


def test_no_more_than_36_are_drawn(tmp_path):
    layers = {f"d{at}": {"kernel:0": np.ones((2, 2), "f4")} for at in range(50)}
    pictures = pictures_of(hdf5.weights_file(tmp_path / "m.h5", layers))
    assert (len(pictures.histograms), pictures.histograms_of) == (36, 50)


DTYPES = ["f4", "f8", "f2", "bfloat16", "float8_e4m3fn"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lowest", [-3.0, 0.5])
def test_bars_are_numpys_in_every_dtype(dtype, lowest):
    dtype = getattr(ml_dtypes, dtype, None) or dtype
    random = np.random.default_rng(7)
    values = random.uniform(lowest, 5, 5_000).astype(dtype)
    values[random.random(values.size) < 0.3] = 0
    values[:9] = np.nan
    if np.isinf(np.array(np.inf, dtype).astype("f8")):
        values[9:12], values[12:14] = np.inf, -np.inf
    wide = values.astype("f8")
    right = wide[np.isfinite(wide) & (wide != 0)]
    ends = span(once(values), None, None, 0)
    assert ends == (right.min(), right.max())
    found = spread(once(values), edges_of(*ends))
    counts, _ = np.histogram(right, 24)
    assert [bar.elements for bar in found.bars] == counts.tolist()
    assert found.zeros == np.count_nonzero(wide == 0)
    assert found.not_finite == np.count_nonzero(~np.isfinite(wide))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_values_at_the_edges_are_in_the_bar_that_begins_there(dtype):
    """Of edges that are no float32: the neighbours of each on either side are in other bars."""
    edges = edges_of(-1.0, 1.7, 10)
    near, up, down = edges.astype(dtype), np.dtype(dtype).type(9), np.dtype(dtype).type(-9)
    values = np.concatenate([near, np.nextafter(near, up), np.nextafter(near, down)])
    inside = values[(values.astype("f8") >= -1.0) & (values.astype("f8") <= 1.7)]
    found = spread(once(inside), edges)
    places = [
        sum(low <= float(one) < high or (high == 1.7 and float(one) == 1.7) for one in inside)
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    assert [bar.elements for bar in found.bars] == places


def test_integers_have_bars_of_as_many_integers():
    values = np.arange(-127, 128, dtype="i1")
    edges = whole_edges(-127, 127)
    assert set(np.diff(edges)) == {11.0}  # 255 integers in at most 24 bars
    bars = spread(once(values), edges).bars
    # All bars hold 11, that of 0 one less, and the last what is left of 255.
    assert [bar.elements for bar in bars] == [11] * 11 + [10] + [11] * 11 + [255 - 23 * 11]


def test_one_value_alone_has_one_bar_around_it():
    for value in (3.0, -3.0, 5e-324, 1.7e308):
        (bar,) = spread(once(np.full(5, value)), edges_of(value, value)).bars
        assert bar.low <= value <= bar.high
        assert bar.elements == 5


def test_the_widest_range_there_is():
    values = np.array([-1.7e308, -1.0, 1.0, 1.7e308])
    bars = spread(once(values), edges_of(-1.7e308, 1.7e308)).bars
    assert [bar.elements for bar in bars if bar.elements] == [1, 1, 1, 1]
    assert np.all(np.diff([bar.low for bar in bars]) > 0)


def test_neighbouring_floats_have_one_bar():
    low, high = 1.0, float(np.nextafter(1.0, 2))
    (bar,) = spread(once(np.array([low, high])), edges_of(low, high)).bars
    assert (bar.low, bar.high, bar.elements) == (low, high, 2)


def test_a_fill_value_stands_for_as_many_as_are_declared():
    count = 10**20
    source = lambda: ((block, count) for block, _ in once(np.array([2.0, 0.0], "f4"))())  # noqa: E731
    found = spread(source, edges_of(1.0, 3.0, 2))
    assert [bar.elements for bar in found.bars] == [0, count]
    assert found.zeros == count


def test_zeros_of_quantized_weights_are_at_their_zero_point(tmp_path):
    kernel = np.array([[3, 4, 3, 0], [7, 3, -5, 0]], "i1")
    tensors = [
        tflite.tensor("x", (1, 4)),
        tflite.tensor("w", (2, 4), "int8", 1, scale=[0.5], zero_point=[3]),
        tflite.tensor("y", (1, 2)),
    ]
    path = tmp_path / "m.tflite"
    operators = [tflite.op("FULLY_CONNECTED", [0, 1], [2])]
    path.write_bytes(
        tflite.model(tflite.graph(tensors, operators, [0], [2], "main"), buffers=[kernel])
    )
    (one,) = pictures_of(path).histograms
    assert (one.zeros, one.elements) == (3, 8)
    bars = {bar.low: bar.elements for bar in one.bars if bar.elements}
    assert bars == {-5.0: 1, 0.0: 2, 4.0: 1, 7.0: 1}


def test_all_zeros_have_no_bars(tmp_path):
    layers = {"d": {"kernel:0": np.zeros((4, 4), "f4"), "bias:0": np.array([np.nan, np.inf], "f4")}}
    found = pictures_of(hdf5.weights_file(tmp_path / "m.h5", layers)).histograms
    assert [(one.bars, one.zeros, one.not_finite) for one in found] == [((), 16, 0), ((), 0, 2)]


# --- heats --------------------------------------------------------------------------------------


def test_zero_blocks_are_seen_where_they_are(tmp_path):
    kernel = np.ones((96, 64), "f4")
    kernel[16:32, :32] = 0  # a block of 16 x 32
    kernel[95, 63] = 0
    (one,) = pictures_of(hdf5.weights_file(tmp_path / "m.h5", {"d": {"kernel:0": kernel}})).heats
    # 96 rows in at most 48 cells are 2 a cell; 64 columns likewise.
    assert (one.rows, one.columns, one.cell_rows, one.cell_columns) == (96, 64, 2, 2)
    expected = np.zeros((48, 32))
    expected[8:16, :16] = 1
    expected[47, 31] = 0.25
    assert np.array_equal(np.array(one.cells), expected)
    assert (one.row_words, one.column_words) == ("inputs", "outputs")


def shares(matrix, one):
    """The share of zeros of each cell of a matrix, by NumPy."""
    rows, columns = one.cell_rows, one.cell_columns
    return [
        [
            float(np.mean(matrix[r : r + rows, c : c + columns] == 0))
            for c in range(0, matrix.shape[1], columns)
        ]
        for r in range(0, matrix.shape[0], rows)
    ]


@pytest.mark.parametrize("slice_bytes", [60, 1_000, 1 << 20])
@pytest.mark.parametrize("shape", [(100, 53), (3, 3, 20, 70), (9, 500)])
@pytest.mark.parametrize("outputs_first", [False, True])
def test_cells_are_shares_whatever_is_read_at_once(shape, slice_bytes, outputs_first):
    random = np.random.default_rng(1)
    kernel = random.standard_normal(shape).astype("f4")
    kernel[random.random(shape) < 0.4] = 0
    limits = Limits(slice_bytes=slice_bytes)
    one = heat(in_memory(kernel, outputs_first=outputs_first), limits)
    rows = kernel.reshape(shape[0], -1).T if outputs_first else kernel.reshape(-1, shape[-1])
    assert (one.rows, one.columns) == rows.shape
    assert max(len(one.cells), len(one.cells[0])) <= 48
    assert np.allclose(one.cells, shares(rows, one), atol=5.1e-5)


def test_one_value_among_very_many_zeros_is_not_none():
    kernel = np.zeros((4_800, 4_800), "i1")  # cells of 112 by 112, 12,544 values
    kernel[0, 0] = 1
    kernel[:112, 112:224] = 1
    kernel[0, 112] = 0
    (first, second, third, *_), *_ = heat(in_memory(kernel), Limits()).cells
    assert (first, second, third) == (0.9999, 0.0001, 1)


def test_cells_hold_blocks_whole():
    for side in range(1, 3_000):
        size = cell(side)
        assert -(-side // size) <= 48
        assert size % 16 == 0 or 16 % size == 0


def test_a_converted_kernel_has_its_outputs_as_columns():
    (large, small) = pictures_of(samples.path("lite_pruned_dense.tflite")).heats
    shapes = {
        one["name"]: one["shape"] for one in samples.expected("lite_pruned_dense.tflite")["tensors"]
    }
    for one in (large, small):
        outputs, inputs = shapes[one.tensor]
        assert (one.rows, one.columns) == (inputs, outputs)


def test_only_matrices_with_some_zeros_are_drawn(tmp_path):
    def kernel(shape, zeros):
        values = np.ones(shape, "f4")
        values.reshape(-1)[:zeros] = 0
        return {"kernel:0": values}

    layers = {
        "narrow": kernel((7, 100), 350),
        "dense": kernel((100, 100), 99),
        "just": kernel((100, 100), 100),
        "empty": kernel((100, 100), 10_000),
        "nearly": kernel((100, 100), 9_990),
    }
    pictures = pictures_of(hdf5.weights_file(tmp_path / "m.h5", layers))
    assert sorted(one.layer for one in pictures.heats) == ["just", "nearly"]
    assert pictures.heats_of == 2


# --- pairs --------------------------------------------------------------------------------------


def test_both_sides_of_a_pair_have_the_same_edges(tmp_path):
    def twice(values):
        values *= 2
        values[0, :5] = 0

    other = changed.values(tmp_path / "b.h5", twice)
    (one,) = api.diff(samples.path("stripped.h5"), other, pictures=True).diff.pictures
    before = stored("stripped.h5", changed.KERNEL)
    with h5py.File(other) as file:
        after = file[changed.KERNEL][()]
    both = np.concatenate([before[before != 0], after[after != 0]]).astype("f8")
    ends = (both.min(), both.max())
    for bars, zeros, values in (
        (one.bars_a, one.zeros_a, before),
        (one.bars_b, one.zeros_b, after),
    ):
        counts, edges = np.histogram(values[values != 0].astype("f8"), 24, ends)
        assert [bar.elements for bar in bars] == counts.tolist()
        assert [bar.low for bar in bars] == pytest.approx(edges[:-1].tolist())
        assert zeros == np.count_nonzero(values == 0)
    assert [(x.low, x.high) for x in one.bars_a] == [(x.low, x.high) for x in one.bars_b]
    isolated = api.diff(samples.path("stripped.h5"), other, pictures=True, isolate=True)
    assert isolated.diff.pictures == (one,)


def test_the_same_values_have_no_picture():
    path = samples.path("stripped.h5")
    assert api.diff(path, path, pictures=True).diff.pictures == ()


def test_a_saved_report_has_no_values_to_draw(tmp_path):
    path = tmp_path / "saved.json"
    report = api.show(samples.path("stripped.h5"))
    path.write_text(render(report, RenderOptions()), encoding="utf-8")
    other = changed.values(tmp_path / "b.h5", lambda values: values.fill(1))
    assert api.diff(str(path), other, pictures=True).diff.pictures == ()


def test_quantized_values_are_what_they_stand_for():
    found = api.diff(
        samples.path("lite_float.tflite"), samples.path("lite_int8.tflite"), pictures=True
    ).diff.pictures
    assert found
    for one in found:
        # What a scale makes of integers is in the range of the floats, and not up to 127.
        low, high = one.bars_a[0].low, one.bars_a[-1].high
        assert -10 < low < high < 10
        assert (
            sum(bar.elements for bar in one.bars_b) + one.zeros_b
            == sum(bar.elements for bar in one.bars_a) + one.zeros_a
        )


def test_real_values_are_scaled_channel_by_channel(tmp_path):
    kernel = np.arange(-12, 12, dtype="i1").reshape(4, 6)
    scale = [0.5, 1.0, 2.0, 4.0]
    tensors = [
        tflite.tensor("x", (1, 6)),
        tflite.tensor("w", (4, 6), "int8", 1, scale=scale, zero_point=[0] * 4),
        tflite.tensor("y", (1, 4)),
    ]
    path = tmp_path / "m.tflite"
    operators = [tflite.op("FULLY_CONNECTED", [0, 1], [2])]
    path.write_bytes(
        tflite.model(tflite.graph(tensors, operators, [0], [2], "main"), buffers=[kernel])
    )
    with api.open(path) as opened:
        (tensor,) = (one for one in opened.artifact.tensors if one.name == "w")
        parts = [values for values, _ in real(tensor, Limits(slice_bytes=10))]
    assert len(parts) > 1
    assert np.array_equal(np.concatenate(parts).reshape(4, 6), kernel * np.array(scale)[:, None])


# --- what cannot be read ------------------------------------------------------------------------


def failing(tensor, error=None):
    raise error or Corrupt("the values cannot be read", "m")


@pytest.mark.parametrize("threads", [1, 3])
def test_what_cannot_be_read_has_no_picture(threads):
    tensors = [Tensor(name, "float32", (2,), 8) for name in "abc"]

    def draw(tensor):
        return failing(tensor) if tensor.name == "b" else tensor.name

    assert all_readable(draw, tensors, threads) == ["a", "c"]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_time_limit_holds(threads):
    kernel = in_memory(np.eye(64, dtype="f4"))
    with deadline.within(-1, "m"), pytest.raises(LimitExceeded):
        all_readable(functools.partial(heat, limits=DEFAULT), [kernel], threads)


def test_a_damaged_tensor_is_left_out_of_the_pictures(tmp_path):
    kernel = np.random.default_rng(0).standard_normal((64, 64)).astype("f4")
    kernel[:8] = 0

    def deflated(group, name):
        group.create_dataset(name, data=kernel, chunks=(64, 64), compression="gzip")

    layers = {"sound": {"kernel:0": kernel}, "damaged": {"kernel:0": deflated}}
    path = hdf5.weights_file(tmp_path / "m.h5", layers)
    with h5py.File(path) as file:
        chunk = file["damaged/kernel:0"].id.get_chunk_info(0)
    hdf5.patch(path, (chunk.byte_offset + chunk.size // 2, bytes(64)))
    pictures = pictures_of(path)
    for drawn in (pictures.histograms, pictures.heats):
        assert [one.layer for one in drawn] == ["sound"]


def test_a_filled_tensor_is_drawn_without_counting_through_it():
    payload = FilledPayload(10**15, 0.5, "float32")
    tensor = Tensor("t", "float32", (10**15,), 0, payload=payload)
    found = spread(functools.partial(values_of, tensor, DEFAULT), edges_of(0.5, 0.5))
    assert [bar.elements for bar in found.bars] == [10**15]
