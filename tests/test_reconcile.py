"""One artifact against itself: lines that add up, sizes, words."""

import dataclasses
import functools
import gzip
import os

import h5py
import numpy as np
import pytest

import inspector
from inspector import api
from inspector.classify import classify
from inspector.count import count
from inspector.model import Extent, Measurement, Role, Tensor
from inspector.reconciliation import deflated, lines_of, sizes_of
from inspector.reconciliation.sizes import dense_bytes
from tests.builders import cases as c
from tests.builders import samples

every = pytest.mark.parametrize("name", samples.NAMES)
KERNELS = {"conv2d": "conv2d/kernel:0", "dense": "dense/kernel:0"}


@functools.cache
def sample(name):
    report = api.reconcile(samples.path(name))
    return report.artifacts[0], report.reconciliation


def lines(found):
    return {
        line.label: (line.elements, line.count_params, line.after_strip) for line in found.lines
    }


def total(found, name):
    return sum(getattr(line, name) or 0 for line in found.lines)


# --- every sample -------------------------------------------------------------------------------


@every
def test_no_element_of_a_sample_is_left_over(name):
    _, found = sample(name)
    assert (found.residual, found.odd) == (0, ())


@every
def test_lines_add_up_to_what_is_stored(name):
    artifact, found = sample(name)
    assert total(found, "elements") == artifact.totals.stored_elements


@every
def test_bytes_of_lines_and_of_structure_are_the_files(name):
    artifact, found = sample(name)
    with inspector.open(samples.path(name)) as opened:
        structure = sum(opened.artifact.overhead.values())
    files = sum(os.path.getsize(file.path) for file in artifact.files)
    assert total(found, "nbytes") + structure == files


@pytest.mark.parametrize(
    "name", [n for n in samples.NAMES if "count_params" in samples.expected(n)]
)
def test_lines_add_up_to_what_live_keras_counts(name):
    said = samples.expected(name)
    artifact, found = sample(name)
    if artifact.totals.count_params is None:  # of TensorFlow's own formats: variables alone
        assert all(line.count_params is None for line in found.lines)
        return
    assert total(found, "count_params") == said["count_params"]
    if said.get("after_strip") is not None:
        assert total(found, "after_strip") == said["after_strip"]


# --- lines --------------------------------------------------------------------------------------


def test_a_pruned_model_has_a_line_a_role():
    _, found = sample("pruned.h5")
    # Dense(64, input 10) + Dense(10): 10*64 + 64 + 64*10 + 10 = 1354; masks 10*64 + 64*10.
    assert lines(found) == {
        "weights": (1354, 1354, 1354),
        "masks": (1280, 1280, 0),
        "thresholds": (2, 2, 0),
        "pruning steps": (2, 2, 0),
        "optimizer slots": (2708, 0, 0),
        "optimizer state": (1, 0, 0),
    }


def test_what_loading_makes_is_a_line_of_nothing_stored():
    _, found = sample("k3_lora.keras")
    # lora_kernel_a (8, 2) and lora_kernel_b (2, 6): 16 + 12 = 28; 54 + 28 = 82.
    assert lines(found)["made by loading"] == (0, 28, 28)


def artifact_of(path):
    with inspector.open(path) as opened:
        return opened.artifact


def own_lines(artifact, change=lambda verdicts: verdicts):
    verdicts = change(dict(classify(artifact).verdicts))
    return lines_of(artifact, verdicts, count(artifact, verdicts))


def test_what_no_rule_explains_is_the_residual():
    artifact = artifact_of(samples.path("pruned.h5"))
    name = "optimizer_weights/Adam/m/dense/bias:0"

    def forget(verdicts):
        verdicts[name] = dataclasses.replace(verdicts[name], role=Role.UNKNOWN)
        return verdicts

    found = own_lines(artifact, forget)
    assert [(odd.tensor, odd.elements) for odd in found.odd] == [(name, 64)]
    assert found.residual == 64


def test_bytes_that_two_tensors_claim_are_the_residual():
    artifact = artifact_of(samples.path("stripped.h5"))
    first, second = (t for t in artifact.tensors if t.variable == "bias")
    place = first.extents[0]
    # The second bias, 10 float32, is said to lie where the first one's last values are.
    moved = dataclasses.replace(
        second, extents=(Extent(place.file, place.offset + place.length - 40, 40),)
    )
    tensors = tuple(moved if t is second else t for t in artifact.tensors)
    found = own_lines(dataclasses.replace(artifact, tensors=tensors))
    assert [(odd.tensor, odd.elements) for odd in found.odd] == [(second.name, 10)]


# --- sizes, by hand -----------------------------------------------------------------------------


def tensor(name, dtype, *shape):
    return Tensor(name, dtype, shape, 0)


def measured(**zeros):
    return {name: Measurement(number, 0.0, 1.0, 0, 0) for name, number in zeros.items()}


def test_sparse_sizes_are_those_counted_by_hand():
    # 8 x 6 float32, 36 of 48 zero: 12 values of 4 bytes = 48, dense 192.
    found = sizes_of([tensor("k", "float32", 8, 6)], measured(k=36))
    assert (found.elements, found.zeros, found.dense) == (48, 36, 192)
    assert found.bitmask == 6 + 48
    # Rows of 6 or columns of 8, whichever are fewer: 6 + 1 starts of a byte each.
    assert found.csr == {8: 48 + 12 + 7, 16: 48 + 24 + 7, 32: 48 + 48 + 7}


def test_a_tensor_that_gains_nothing_counts_as_it_is():
    # A bias without zeros: 16 bytes, with a bitmask 17.
    found = sizes_of([tensor("b", "float32", 4)], measured(b=0))
    assert (found.dense, found.bitmask, set(found.csr.values())) == (16, 16, {16})


def test_indices_that_cannot_name_every_column_are_not_used():
    # 300 x 300: no side fits 8 bits. 900 values: starts take 2 bytes each.
    found = sizes_of([tensor("k", "float32", 300, 300)], measured(k=90_000 - 900))
    assert found.csr == {8: 360_000, 16: 3600 + 1800 + 602, 32: 3600 + 3600 + 602}


def test_four_bit_values_take_half_a_byte():
    found = sizes_of([tensor("k", "int4", 4, 4)], measured(k=13))
    # 3 values round up to 2 bytes.
    assert (found.dense, found.bitmask) == (8, 2 + 2)


def test_values_of_an_unknown_dtype_count_as_they_are_stored():
    assert dense_bytes(Tensor("odd", "4-byte type unknown to NumPy", (10,), 44)) == 44


def test_without_a_measure_there_are_no_sizes():
    assert sizes_of([tensor("k", "float32", 4)], {}) is None
    assert api.reconcile(samples.path("pruned.h5"), measure=False).reconciliation.sizes is None


def test_deflating_is_what_gzip_does():
    with inspector.open(samples.path("stripped.h5")) as opened:
        found = deflated(opened.artifact.tensors)
    with h5py.File(samples.path("stripped.h5")) as file:
        values = []
        file.visititems(
            lambda _, one: (
                values.append(one[()].tobytes()) if isinstance(one, h5py.Dataset) else None
            )
        )
    # gzip adds 10 bytes of header and 8 of checksum and size. Both biases and kernels are visited
    # in the order of their names; the order of the file may be another, so some bytes may differ.
    assert abs(found - (len(gzip.compress(b"".join(values), 6)) - 18)) <= 64


def test_deflating_is_bounded_by_what_is_stored(tmp_path):
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights/dense")
        group.create_dataset("dense/kernel:0", shape=(1 << 18, 1 << 18), dtype="float32")
    with inspector.open(path) as opened:
        assert deflated(opened.artifact.tensors) is None


# --- words --------------------------------------------------------------------------------------


def answer(path, **options):
    return "\n".join(api.reconcile(path, **options).reconciliation.answer)


def test_the_answer_comes_first_and_is_made_of_the_lines():
    first, second, *_ = sample("pruned.h5")[1].answer
    assert first == ("2,638 - 1,354 = 1,284: two masks of 640 each, two thresholds, two steps.")
    assert second == "strip_pruning leaves 1,354."


def test_wrappers_with_nothing_to_prune_add_steps_alone(tmp_path):
    weights = c.wrapped_weights(c.mnist_weights(pruned=True), KERNELS)
    config = c.sequential(*map(c.pruned, c.MNIST))
    text = answer(c.legacy(tmp_path / "mnist.h5", weights, config))
    # 12 + 10 + 108 + 20,280 = 20,410; masks 108 + 20,280 = 20,388; five wrapped layers.
    assert text.startswith(
        "40,805 - 20,410 = 20,395: two masks (20,388 in all), two thresholds, five steps."
    )
    # 86 + 16,224 zeros of 20,410.
    assert "16,310 of 20,410 weight elements are zero (79.91 %)" in text
    assert "sparsity changes no count" in text
    # 20,388 float32 of masks beside as many of kernels.
    assert "the masks take 81,552 bytes, as much as those." in text
    assert "optimizer" not in text


def test_weights_that_their_mask_should_have_removed_are_counted(tmp_path):
    weights = c.wrapped_weights(c.mnist_weights(pruned=True), KERNELS)
    kernel = weights["prune_low_magnitude_dense"]["dense/kernel:0"]
    kernel.reshape(-1)[np.flatnonzero(kernel.reshape(-1) == 0)[:10]] = 1e-4
    config = c.sequential(*map(c.pruned, c.MNIST))
    text = answer(c.legacy(tmp_path / "leaking.h5", weights, config))
    assert "10 weights are not 0 where a mask is: stripping keeps them." in text
    assert "Where they are 0, every weight is." in "\n".join(sample("pruned.h5")[1].answer)


def test_a_clustered_model_names_centroids_and_indices():
    # 10*24 + 24*6 = 384 indices, 6 centroids a layer.
    assert sample("clustered.h5")[1].answer[:2] == (
        "810 - 414 = 396: two sets of centroids of 6 each, two sets of cluster indices"
        " (384 in all).",
        "strip_clustering leaves 414.",
    )


def test_a_plain_model_is_told_nothing_of_masks_or_zeros(tmp_path):
    weights = {"dense": {"dense/kernel:0": c.values(4, 3), "dense/bias:0": c.values(3)}}
    path = c.legacy(tmp_path / "m.h5", weights, c.sequential(c.dense("dense", 3)))
    assert answer(path) == "Keras counts 15, all of them weights."


def test_copies_and_optimizer_state_are_said_with_their_bytes():
    text = "\n".join(sample("pruned.keras")[1].answer)
    # Two slots for each of 1,354 weights, float32, and one int64 step: 2709 elements.
    assert "The optimizer's state is stored too: 2,709 elements, 10,840 bytes" in text
    assert "1,280 elements (5,120 bytes) are stored a second time" in text


def test_where_keras_counts_nothing_the_reason_is_given():
    text = "\n".join(sample("frozen_contrib_pruned.pb")[1].answer)
    assert text.startswith("The model has 235 parameters, all of them weights.")
    assert "a graph holds operators, not Keras layers" in text
    assert "after_strip" not in text


def test_a_residual_is_said_last(tmp_path):
    weights = {"dense": {"dense/kernel:0": c.values(4, 3), "dense/bias:0": c.values(3)}}
    path = c.legacy(tmp_path / "m.h5", weights, c.sequential(c.dense("dense", 3)))
    with h5py.File(path, "a") as file:
        file.create_dataset("blob", data=np.ones(7, "float32"))
    found = api.reconcile(path).reconciliation
    assert found.residual == 7
    assert [odd.tensor for odd in found.odd] == ["blob"]
    assert found.answer[-1] == "Unexplained: 7 elements. blob: no rule explains it."


# --- the size of the stripped file --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stripped"),
    [
        ("pruned.h5", "stripped.h5"),
        ("pruned_2by4.h5", "stripped_2by4.h5"),
        ("pruned_weights.h5", "stripped_weights.h5"),
        ("pruned_convnet.h5", "stripped_convnet.h5"),
        ("clustered.h5", "clustered_stripped.h5"),
        ("pruned.keras", "stripped.keras"),
        ("pruned_rnn.keras", "stripped_rnn.keras"),
    ],
)
def test_the_predicted_size_is_that_of_the_stripped_file(name, stripped):
    _, found = sample(name)
    # Names of groups are not known to the letter, and HDF5 gathers them in blocks.
    assert found.predicted.nbytes == pytest.approx(
        os.path.getsize(samples.path(stripped)), rel=0.025
    )
    assert not found.predicted.at_least


def test_a_large_model_costs_no_more_to_predict(tmp_path):
    # 64 MiB of weights: predicted from stand-ins of 4 KiB, and right to the byte all the same.
    kernel = np.zeros((4096, 4096), "float32")
    weights = {"dense": {"dense/kernel:0": kernel, "dense/bias:0": np.zeros(4096, "float32")}}
    config = c.sequential(c.dense("dense", 4096))
    bare = c.legacy(tmp_path / "bare.h5", weights, config)
    trained = c.legacy(
        tmp_path / "trained.h5",
        weights,
        config,
        optimizer={"Adam/iteration:0": c.scalar(1, "int64")},
    )
    found = api.reconcile(trained, measure=False).reconciliation.predicted
    assert found.what == "Without training state"
    assert abs(found.nbytes - os.path.getsize(bare)) <= 512


def test_the_graph_of_a_saved_model_is_not_foretold():
    _, found = sample("saved_pruned")
    assert found.predicted.at_least
    assert found.predicted.nbytes >= 5416  # 1,354 float32
    assert "which is traced anew" in found.answer[-1]


@pytest.mark.parametrize("name", ["stripped.h5", "lite_int8.tflite", "frozen_convnet.pb"])
def test_where_nothing_would_go_nothing_is_predicted(name):
    assert sample(name)[1].predicted is None
