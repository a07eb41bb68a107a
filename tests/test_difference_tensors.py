"""Each kind of change, made by hand on a copy: it is found, alone, with numpy's numbers."""

import h5py
import numpy as np
import pytest

from inspector import api
from tests.builders import changed, samples

STRIPPED = samples.path("stripped.h5")
PRUNED = samples.path("pruned.h5")


def kernel():
    with h5py.File(STRIPPED) as file:
        return file[changed.KERNEL][()]


def diff(a, b, **options):
    return api.diff(a, b, **options).diff


def only_change(found):
    """The one pair that changed; all else is the same, but for what depends on it."""
    pairs = [pair for pair in found.pairs if pair.status != "unchanged"]
    assert len(pairs) == 1
    assert not [fact for fact in found.facts if fact.counts]
    assert found.same is False
    assert found.pairs[0] is pairs[0]  # what changed comes first
    return pairs[0]


def test_changed_values_are_counted_and_sized(tmp_path):
    before = kernel()
    some = np.argwhere(before != 0)

    def edit(values):
        values[tuple(some[0])] += np.float32(0.5)
        values[tuple(some[1])] *= -1
        for place in some[2:5]:
            values[tuple(place)] = 0
        values[tuple(np.argwhere(before == 0)[0])] = 0.25

    other = changed.values(tmp_path / "b.h5", edit)
    after = before.copy()
    edit(after)
    gone = np.abs(after.astype("f8") - before.astype("f8"))

    pair = only_change(diff(STRIPPED, other))
    found = pair.values
    assert pair.changes == ("values",) or pair.changes == ("values", "sparsity")
    assert (pair.a.layer, pair.a.variable) == ("dense", "kernel")
    assert found.elements == 640
    assert found.differing == np.count_nonzero(gone)
    assert found.largest == pytest.approx(gone.max(), rel=1e-12)
    assert found.mean == pytest.approx(gone.mean(), rel=1e-9)
    assert found.relative_norm == pytest.approx(
        np.linalg.norm(gone) / np.linalg.norm(before.astype("f8")), rel=1e-6
    )
    x, y = before.astype("f8").ravel(), after.astype("f8").ravel()
    assert found.cosine == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y), rel=1e-6)
    assert found.sign_flips == np.count_nonzero(x * y < 0)
    assert found.zeros_gained == np.count_nonzero((y == 0) & (x != 0))
    assert found.zeros_lost == np.count_nonzero((x == 0) & (y != 0))
    assert found.zeros_a == np.count_nonzero(x == 0)
    assert not found.same_bits


def test_a_zero_that_was_lost_is_told(tmp_path):
    before = kernel()
    row, column = np.argwhere(before == 0)[0]

    def edit(values):
        values[row, column] = 1e-4

    pair = only_change(diff(STRIPPED, changed.values(tmp_path / "b.h5", edit)))
    assert "values" in pair.changes
    assert "1 of 640 values differs" in pair.words
    assert "1 zero lost" in pair.words
    assert (pair.values.zeros_lost, pair.values.zeros_gained) == (1, 0)


def test_a_zero_of_the_other_sign_is_the_same_value(tmp_path):
    def edit(values):
        values[values == 0] = -0.0

    found = diff(STRIPPED, changed.values(tmp_path / "b.h5", edit))
    assert found.same
    assert "equal by value; only their bytes differ" in found.answer[0]


def test_nan_is_itself_and_not_a_number(tmp_path):
    def edit(values):
        values[0, 0] = np.nan

    a = changed.values(tmp_path / "a.h5", edit)
    b = changed.values(tmp_path / "b.h5", edit)
    assert diff(a, b).same
    pair = only_change(diff(STRIPPED, a))
    assert pair.values.differing == 1
    assert pair.values.largest == "Infinity"
    assert pair.values.cosine is None
    assert "finite in one alone" in pair.words


def test_another_dtype_is_measured_in_units_of_its_last_place(tmp_path):
    before = kernel()
    other = changed.replaced(tmp_path / "b.h5", lambda values: values.astype("f2"))
    half = before.astype("f2")
    units = np.abs(half.astype("f8") - before) / np.spacing(np.abs(half)).astype("f8")

    pair = only_change(diff(STRIPPED, other))
    assert "retyped" in pair.changes
    assert "values" not in pair.changes
    assert pair.values.ulps == pytest.approx(units.max(), abs=0.01)
    assert pair.words.startswith("float32 -> float16, by up to 0.")
    back = only_change(diff(other, STRIPPED))
    assert back.words.startswith("float16 -> float32")


def test_a_dtype_that_loses_nothing_is_a_change_all_the_same(tmp_path):
    other = changed.replaced(tmp_path / "b.h5", lambda values: values.astype("f8"))
    pair = only_change(diff(STRIPPED, other))
    assert pair.changes == ("retyped",)
    assert pair.words == "float32 -> float64, no value lost"


def test_another_shape_is_said_and_nothing_is_compared(tmp_path):
    other = changed.replaced(tmp_path / "b.h5", lambda values: values[:9])
    found = diff(STRIPPED, other)
    pair = only_change(found)
    assert "reshaped" in pair.changes
    assert "(10, 64) -> (9, 64)" in pair.words
    assert pair.values is None
    assert "dense/kernel has another shape, (10, 64) -> (9, 64)." in found.answer[0]


def test_a_turned_kernel_is_a_change_within_a_format(tmp_path):
    other = changed.replaced(tmp_path / "b.h5", np.transpose)
    pair = only_change(diff(STRIPPED, other))
    assert pair.changes == ("transposed",)
    assert pair.values.differing == 0


@pytest.mark.parametrize(
    "how",
    [
        {"chunks": (5, 8)},
        {"chunks": (5, 8), "compression": "gzip", "shuffle": True},
        {"track_times": True},
        {"chunks": (3, 64), "fletcher32": True},
    ],
    ids=["chunked", "gzip", "times", "checksum"],
)
def test_how_values_are_stored_is_no_difference(tmp_path, how):
    found = diff(STRIPPED, changed.replaced(tmp_path / "b.h5", np.copy, **how))
    assert found.same
    assert found.summary.unchanged == 4
    assert "only their bytes differ" in found.answer[0]


def test_a_bit_of_a_mask_is_a_change_of_the_mask_alone(tmp_path):
    def edit(mask):
        assert mask[0, 0] in (0, 1)
        mask[0, 0] = 1 - mask[0, 0]

    other = changed.values(tmp_path / "b.h5", edit, changed.MASK, "pruned.h5")
    found = diff(PRUNED, other)
    pair = only_change(found)
    assert pair.a.role == "mask"
    assert pair.values.differing == 1
    assert "No weight changed: all 4 are equal bit for bit." in found.answer
    assert any(line.startswith("1 of 6 tensors of pruning changed") for line in found.answer)


def test_an_optimizer_that_was_left_out_is_all_that_is_gone(tmp_path):
    def edit(file):
        del file["optimizer_weights"]

    found = diff(PRUNED, changed.copied(tmp_path / "b.h5", edit, "pruned.h5"))
    gone = [pair for pair in found.pairs if pair.status == "removed"]
    # Adam: m and v of two kernels and two biases, and the iteration.
    assert sorted(pair.a.role for pair in gone) == ["optimizer_slot"] * 8 + ["optimizer_state"]
    assert {pair.why for pair in gone} == {"B has no training state"}
    assert found.summary.changed == found.summary.added == 0
    assert (
        "Training state was dropped: 8 optimizer slots and 1 optimizer scalar are gone"
        " (2,709 elements); no weight changed." in found.answer[0]
    )
    # Two biases and two kernels, twice, and one number.
    assert 2 * (640 + 64 + 640 + 10) + 1 == 2709


def test_a_renamed_layer_is_renamed_and_not_gone(tmp_path):
    other = changed.renamed(tmp_path / "b.h5", "dense", "hidden")
    found = diff(STRIPPED, other)
    assert (found.summary.added, found.summary.removed) == (0, 0)
    pairs = [pair for pair in found.pairs if pair.status == "changed"]
    assert [pair.changes for pair in pairs] == [("renamed",)] * 2
    assert {pair.words for pair in pairs} == {"dense is now hidden"}
    assert found.same is False
    assert "1 layer was renamed: dense is now hidden." in found.answer
    assert diff(STRIPPED, other, ignore=("renamed",)).same


def test_strings_are_compared(tmp_path):
    def words(*texts):
        def edit(file):
            file["model_weights/dense"].create_dataset("words", data=np.array(texts, dtype="S5"))

        return edit

    a = changed.copied(tmp_path / "a.h5", words(b"one", b"two"))
    b = changed.copied(tmp_path / "b.h5", words(b"one", b"three"))
    assert diff(a, a).same
    pair = only_change(diff(a, b))
    assert pair.changes == ("values",)
    assert pair.words == "the strings differ"


def test_strings_of_no_fixed_length_are_said_not_to_be_compared(tmp_path):
    def words(*texts):
        def edit(file):
            kind = h5py.string_dtype()
            file.create_dataset("model_weights/dense/words", data=list(texts), dtype=kind)

        return edit

    a = changed.copied(tmp_path / "a.h5", words("one", "two"))
    b = changed.copied(tmp_path / "b.h5", words("one", "six"))
    found = diff(a, b)
    assert found.answer[-1] == "1 tensor: the strings were not compared."
    told = next(pair for pair in found.pairs if pair.words)
    assert (told.status, told.words) == ("unchanged", "the strings were not compared")


def test_values_that_cannot_be_read_are_unread_and_not_the_same(tmp_path):
    path = changed.replaced(tmp_path / "a.h5", np.copy, chunks=(10, 64), fletcher32=True)
    content = bytearray((tmp_path / "a.h5").read_bytes())
    with h5py.File(path) as file:
        at = file[changed.KERNEL].id.get_chunk_info(0).byte_offset
    content[at + 40] ^= 1
    broken = tmp_path / "b.h5"
    broken.write_bytes(content)
    found = diff(path, broken)
    pair = only_change(found)
    assert pair.status == "unread"
    assert found.summary.unread == 1
    assert any(line.startswith("1 tensor of 640 elements could not be") for line in found.answer)


def test_what_changed_most_comes_first(tmp_path):
    def edit(file):
        for name, factor in ((changed.KERNEL, 1.01), (changed.BIAS, 3.0)):
            file[name][()] = file[name][()] * factor + 1e-3

    found = diff(STRIPPED, changed.copied(tmp_path / "b.h5", edit))
    assert [pair.a.variable for pair in found.pairs[:2]] == ["bias", "kernel"]
    assert [pair.status for pair in found.pairs] == ["changed"] * 2 + ["unchanged"] * 2


def test_scale_and_zero_point_of_a_quantized_tensor_are_compared():
    found = diff(samples.path("lite_float.tflite"), samples.path("lite_int8.tflite"))
    weights = [
        pair
        for pair in found.pairs
        if pair.a and pair.b and pair.a.role == "weight" and pair.b.dtype == "int8"
    ]
    assert weights
    for pair in weights:
        assert {"retyped", "quantization"} <= set(pair.changes)
        assert "values" not in pair.changes
        assert pair.values.in_scale_units <= 0.501
        assert "float32 -> int8, by up to 0." in pair.words
