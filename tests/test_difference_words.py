"""The sentences about a difference: what a person reads first."""

import h5py
import numpy as np
import pytest

from inspector import api
from inspector.render.json import render
from inspector.render.options import RenderOptions
from tests.builders import changed, samples


def answer(a, b, **options):
    """The lines, of samples by their names or of files."""
    paths = [one if "/" in one else samples.path(one) for one in map(str, (a, b))]
    return api.diff(*paths, **options).diff.answer


def test_stripping_is_told_as_such_with_the_bytes_it_saved():
    # 51,276 - 20,536 = 30,740 bytes; slots are twice the 1,354 weights, 4 bytes each; a step and
    # the iteration have 8 bytes.
    assert 51276 - 20536 == 30740 == 10832 + 5120 + 16 + 8 + 8 + 14756
    assert 2 * 1354 * 4 == 10832
    assert 2 * 640 * 4 == 5120
    assert answer("pruned.h5", "stripped.h5", ignore=("config", "training-config")) == (
        "Pruning overhead was stripped: 2 masks, 2 thresholds and 2 steps are gone (1,284"
        " elements); no weight changed. Training state was dropped: 8 optimizer slots and 1"
        " optimizer scalar are gone (2,709 elements).",
        "B is 30,740 bytes smaller: 10,832 of optimizer slots, 5,120 of masks, 16 of pruning"
        " steps, 8 of thresholds, 8 of optimizer state and 14,756 of what is around the tensors.",
    )


def test_the_way_back_reads_as_pruning_added():
    lines = answer("stripped.h5", "pruned.h5")
    assert lines[0].startswith(
        "Pruning was added: 2 masks, 2 thresholds and 2 steps are new (1,284 elements); no weight"
        " changed. Training state was added:"
    )
    assert lines[-1].startswith("B is 30,740 bytes larger: 10,832 of optimizer slots,")


@pytest.mark.parametrize(
    ("a", "b", "begins"),
    [
        ("clustered.h5", "clustered_stripped.h5", "Clustering overhead was stripped: 2 sets of"),
        ("clustered_stripped.h5", "clustered.h5", "Clustering was added: 2 sets of centroids"),
        ("pruned_weights.h5", "stripped_weights.h5", "Pruning overhead was stripped: 2 masks,"),
    ],
)
def test_what_is_around_a_model_has_a_name(a, b, begins):
    assert any(line.startswith(begins) for line in answer(a, b))


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ("stripped.h5", "saved_stripped", "B is a SavedModel: its weights are those of A."),
        ("stripped.h5", "stripped.keras", "B is a Keras archive: its weights are those of A."),
        ("saved_stripped", "stripped.h5", "B is a Keras HDF5 file: its weights are those of A."),
    ],
)
def test_another_format_is_no_other_model(a, b, sentence):
    lines = answer(a, b)
    assert lines[0] == "The two say the same: 4 tensors of 1,354 elements, equal bit for bit."
    assert lines[1] == sentence


def test_what_only_a_format_keeps_is_told_apart():
    assert "Only B has 9 constants: its format keeps them, the other does not." in answer(
        "stripped.h5", "saved_stripped"
    )


def test_changed_values_are_told_with_their_number_and_size(tmp_path):
    with h5py.File(samples.path("stripped.h5")) as file:
        kernel = file[changed.KERNEL][()]
    places = np.argwhere(kernel != 0)[:3]

    def edit(values):
        for place in places:
            values[tuple(place)] += np.float32(0.5)

    lines = answer("stripped.h5", changed.values(tmp_path / "b.h5", edit))
    assert lines == ("1 of 4 tensors changed: 3 of 640 values of dense/kernel, by up to 0.5.",)


def test_zeros_lost_are_told_with_the_sparsity(tmp_path):
    with h5py.File(samples.path("stripped.h5")) as file:
        zeros = np.argwhere(file[changed.KERNEL][()] == 0)[:2]

    def edit(values):
        for place in zeros:
            values[tuple(place)] = 2

    lines = answer("stripped.h5", changed.values(tmp_path / "b.h5", edit))
    assert lines[0].endswith("2 of 640 values of dense/kernel, by up to 2 (2 zeros lost).")
    # 640 of the 1,354 elements are zero in the sample.
    assert lines[1] == (
        "640 of 1,354 weight elements were zero (47.27 %), 638 of 1,354 are (47.12 %)."
    )


def test_same_values_in_other_bytes_are_the_same(tmp_path):
    other = changed.replaced(tmp_path / "b.h5", np.copy, chunks=(5, 8), compression="gzip")
    assert answer("stripped.h5", other)[0] == (
        "The two say the same: 4 tensors of 1,354 elements, equal bit for bit; only their bytes"
        " differ."
    )


def test_the_same_file_is_called_that():
    assert answer("stripped.h5", "stripped.h5") == (
        "The two are the same, byte for byte: 4 tensors of 1,354 elements, equal bit for bit.",
    )


def test_another_dtype_is_told_with_what_it_cost(tmp_path):
    other = changed.replaced(tmp_path / "b.h5", lambda values: values.astype("f8"))
    assert answer("stripped.h5", other)[0] == (
        "1 weight went from float32 to float64, no value lost."
    )
    other = changed.replaced(tmp_path / "c.h5", lambda values: values.astype("f2"))
    assert answer("stripped.h5", other)[0].startswith(
        "1 weight went from float32 to float16, off by up to 0."
    )


def test_two_models_are_told_apart():
    lines = answer("k3.keras", "stripped.h5")
    assert any(
        line.startswith("These are two architectures: none of 5 layers with weights has a partner.")
        for line in lines
    )
    assert any(line.startswith("Only A has 10 weights and 2 statistics") for line in lines)


def test_converted_weights_are_told_by_what_became_of_them():
    lines = " ".join(answer("lite_float.tflite", "lite_int8.tflite"))
    assert "3 weights went from float32 to int8, off by up to 0.5 steps of the scale." in lines
    assert "3 weights went from float32 to int32" in lines
    lines = " ".join(answer("lite_float.tflite", "lite_float16.tflite"))
    assert "6 weights went from float32 to float16, off by up to 0." in lines


def test_what_is_stored_sparse_is_told():
    lines = " ".join(answer("lite_sparse.tflite", "lite_pruned_dense.tflite"))
    assert "No weight changed: all 4 are equal by value." in lines
    assert "no longer stored without its zeros (CSR)" in lines


def test_frozen_layers_are_told(tmp_path):
    import json

    def edit(file):
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["config"]["name"] == "dense":
                layer["config"]["trainable"] = False
        file.attrs["model_config"] = json.dumps(config)

    other = changed.copied(tmp_path / "b.h5", edit)
    lines = " ".join(answer("stripped.h5", other))
    assert "2 weights were frozen: dense/kernel and dense/bias." in lines
    assert "2 weights were made trainable" in " ".join(answer(other, "stripped.h5"))


def raised(target):
    """A copy in which two zeros of a kernel are 1."""

    def edit(values):
        rows, columns = np.nonzero(values == 0)
        values[rows[:2], columns[:2]] = 1

    return changed.values(target, edit)


def test_values_that_are_left_out_are_neither_told_nor_claimed_to_be_the_same(tmp_path):
    other = raised(tmp_path / "b.h5")
    for a in ("stripped.h5", report_of("stripped.h5", tmp_path)):
        assert answer(a, other, ignore=("values",)) == (
            "The two say the same.",
            "Values were left out, as asked for.",
        )
    assert "2 of 640 values of dense/kernel" in " ".join(answer("stripped.h5", other))


def report_of(name, folder):
    path = folder / "saved.json"
    text = render(api.show(samples.path(name), digest=True), RenderOptions())
    path.write_text(text)
    return str(path)


def test_two_architectures_are_not_told_to_be_renamed():
    lines = " ".join(answer("k3.keras", "k3_sharded.keras"))
    assert "These are two architectures: none of 5 layers with weights has a partner." in lines
    assert "renamed" not in lines
    assert "Config: " not in lines


def test_no_sentence_says_its_head_twice():
    lines = " ".join(answer("lite_signatures.tflite", "lite_metadata.tflite"))
    assert "Signatures removed: decode (code: float32[1, 3]) -> (x: float32[1, 4]);" in lines
    assert "Layers removed: sub (SUB);" in lines
    assert "Operators: FULLY_CONNECTED: 2 times -> 1 time; SUB: 1 time -> none;" in lines
    assert "Attached files added: labels.txt (13 bytes); notes/about.txt (5 bytes)." in lines
    assert "Operators: Identity 43 times -> 67 times" in " ".join(
        answer("saved_adam", "saved_adam_legacy")
    )


def test_a_setting_that_is_none_is_one_that_is_not_there():
    # Adam of tf_keras 2.21 has weight_decay=None and clipnorm=None, the legacy one has neither.
    lines = " ".join(answer("saved_adam", "saved_adam_legacy"))
    assert "Training config: optimizer Adam: " in lines
    assert "clipnorm" not in lines


def test_states_that_changed_are_named():
    lines = " ".join(answer("ckpt_adam", "ckpt_adam_legacy"))
    assert "8 of 10 tensors of training state changed: " in lines


def test_no_share_of_nothing_is_told():
    lines = answer("lite_table.tflite", "stripped.h5")
    assert not any("of 0 weight elements" in line for line in lines)
