"""What pictures of an artifact are drawn from: areas, steps, operators, and who asks for them."""

import os
from collections import Counter

import h5py
import numpy as np
import pytest
from msgspec import UNSET

from inspector import api
from inspector.model import Artifact, Extent, FileEntry, Role, Tensor, Verdict
from inspector.pictures.areas import areas_of
from tests.builders import hdf5, samples, tflite

CORPUS = os.environ.get("INSPECT_CORPUS", "")


def pictured(path, **options):
    (artifact,) = api.show(path, pictures=True, **options).artifacts
    assert artifact.readable, artifact.problems
    return artifact


def assert_adds_up(artifact):
    """All that pictures promise of their sums."""
    pictures, totals = artifact.pictures, artifact.totals
    sizes = Counter()
    for area in pictures.areas:
        sizes[area.label] += area.nbytes
    assert sizes == artifact.bytes
    whose = {(one.label, one.role, one.layer, one.layers) for one in pictures.areas}
    assert len(whose) == len(pictures.areas)
    if totals.count_params is None:
        assert pictures.steps == ()
    else:
        steps = pictures.steps
        assert sum(step.elements for step in steps) == totals.stored_elements
        assert sum(step.count_params for step in steps) == totals.count_params
        if totals.after_strip is not None:
            assert sum(step.after_strip for step in steps) == totals.after_strip
    for one in pictures.histograms:
        inside = sum(bar.elements for bar in one.bars)
        assert inside + one.zeros + one.not_finite == one.elements
        assert all(bar.elements >= 0 and bar.low < bar.high for bar in one.bars)
    measures = {tensor.name: tensor.measure for tensor in artifact.tensors}
    for one in pictures.histograms:
        measure = measures[one.tensor]
        assert (one.zeros, one.not_finite) == (measure.zeros, measure.nan + measure.inf)
    for one in pictures.heats:
        sizes = np.outer(
            lengths(one.rows, one.cell_rows, len(one.cells)),
            lengths(one.columns, one.cell_columns, len(one.cells[0])),
        )
        found = (np.array(one.cells) * sizes).sum()
        assert abs(found - measures[one.tensor].zeros) <= 1e-4 * one.rows * one.columns


def lengths(side, cell, count):
    found = [min(cell, side - at * cell) for at in range(count)]
    assert all(one > 0 for one in found)
    assert sum(found) == side
    assert count <= 48
    return found


@pytest.mark.parametrize("name", samples.NAMES)
def test_all_sums_hold_in_every_sample(name):
    artifact = pictured(samples.path(name))
    assert_adds_up(artifact)
    total = sum(area.nbytes for area in artifact.pictures.areas)
    assert total == sum(os.stat(file.path).st_size for file in artifact.files)


def of_the_corpus():
    found = []
    for folder, _, files in os.walk(CORPUS) if CORPUS else ():
        found += [os.path.join(folder, name) for name in sorted(files)]
    # Every tenth: the whole of it is read by other tests.
    return found[::10] or [
        pytest.param("", marks=pytest.mark.skip(reason="INSPECT_CORPUS names no folder"))
    ]


@pytest.mark.parametrize("path", of_the_corpus())
def test_all_sums_hold_in_real_artifacts(path):
    (artifact,) = api.show(path, pictures=True).artifacts
    if artifact.readable:
        assert_adds_up(artifact)
    else:
        assert artifact.pictures is UNSET


# --- areas --------------------------------------------------------------------------------------


def test_bytes_are_the_layers_own():
    areas = pictured(samples.path("pruned.h5")).pictures.areas
    # float32: a kernel of 10 x 64 and a bias of 64; a mask as large as the kernel, in the wrapper.
    found = {(one.label, one.layer): (one.nbytes, one.tensors) for one in areas}
    inner, outer = "prune_low_magnitude_dense/dense", "prune_low_magnitude_dense"
    assert found["weights", inner] == (4 * (10 * 64 + 64), 2)
    assert found["masks", outer] == (4 * 10 * 64, 1)
    config = [one for one in areas if one.label == "config"]
    assert [(one.role, one.layer, one.tensors) for one in config] == [(None, None, 0)]


def made_of(*tensors, overhead=0):
    """(artifact, verdicts, labels) of tensors: (name, layer, role, offset, length) each."""
    end = max(offset + length for *_, offset, length in tensors) + overhead
    artifact = Artifact(
        "f",
        "keras-h5",
        "",
        (FileEntry("f", end),),
        tuple(
            Tensor(name, "uint8", (length,), length, (Extent("f", at, length),), layer=layer)
            for name, layer, _, at, length in tensors
        ),
        {"config": overhead} if overhead else {},
    )
    return artifact, {name: Verdict(role, "r", "config", "") for name, _, role, _, _ in tensors}


def test_bytes_that_tensors_share_are_the_first_ones():
    artifact, verdicts = made_of(
        ("a", "one", Role.WEIGHT, 0, 100), ("b", "two", Role.WEIGHT, 60, 100), overhead=5
    )
    areas = areas_of(artifact, verdicts, {"weights": 160, "config": 5})
    assert [(one.layer, one.nbytes, one.tensors) for one in areas] == [
        ("one", 100, 1),
        ("two", 60, 1),
        (None, 5, 0),
    ]


def test_many_layers_have_one_area_for_those_that_are_small():
    many = [(f"t{at}", f"layer_{at}", Role.WEIGHT, at * 10_000, at + 1) for at in range(5_000)]
    masks = [(f"m{at}", f"layer_{at}", Role.MASK, at * 10_000 + 9_000, 1) for at in range(5_000)]
    artifact, verdicts = made_of(*many, *masks)
    labels = {"weights": 5_000 * 5_001 // 2, "masks": 5_000}
    areas = areas_of(artifact, verdicts, labels, most=400)
    assert len(areas) == 402
    weights = [one for one in areas if one.label == "weights"]
    # The 400 largest are of 4,601 to 5,000 bytes; 4,600 layers are left, of 1 to 4,600.
    assert {one.nbytes for one in weights if one.layer} == set(range(4_601, 5_001))
    (rest,) = (one for one in weights if one.layer is None)
    assert (rest.nbytes, rest.tensors, rest.role) == (4_600 * 4_601 // 2, 4_600, "weight")
    assert rest.layers == 4_600
    (rest,) = (one for one in areas if one.label == "masks")
    assert (rest.layer, rest.nbytes, rest.tensors, rest.layers) == (None, 5_000, 5_000, 5_000)


# --- steps --------------------------------------------------------------------------------------


def test_steps_go_from_the_model_to_all_that_is_stored():
    steps = pictured(samples.path("pruned.keras")).pictures.steps
    # 10 x 64 + 64 + 64 x 10 + 10 parameters; two kernels of 640 have a mask, a threshold and a step
    # each. Adam has two slots a weight, and its count of steps; two metrics; each mask once more.
    assert [(step.role, step.elements, step.count_params, step.after_strip) for step in steps] == [
        ("weight", 1_354, 1_354, 1_354),
        ("mask", 1_280, 1_280, 0),
        ("threshold", 2, 2, 0),
        ("pruning_step", 2, 2, 0),
        ("optimizer_slot", 2 * 1_354, 0, 0),
        ("optimizer_state", 1, 0, 0),
        ("metric", 2, 0, 0),
        ("alias", 1_280, 0, 0),
    ]


def test_what_no_rule_explains_is_a_step_too(tmp_path):
    path = hdf5.whole_model(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file["extra/blob"] = np.ones(7, "f4")
    artifact = pictured(path)
    assert_adds_up(artifact)
    steps = [(step.role, step.elements, step.nbytes) for step in artifact.pictures.steps]
    assert steps == [("weight", 4 * 3 + 3, 4 * (4 * 3 + 3)), ("unknown", 7, 4 * 7)]


# --- operators ----------------------------------------------------------------------------------


def two_layers(shared=False):
    """Dense, RELU, Dense, of 3 values each; shared: both kernels are the same bytes."""
    second = 1 if shared else 2
    tensors = [
        tflite.tensor("x", (1, 3)),
        tflite.tensor("w1", (3, 3), buffer=1),
        tflite.tensor("h", (1, 3)),
        tflite.tensor("r", (1, 3)),
        tflite.tensor("w2", (3, 3), buffer=second),
        tflite.tensor("y", (1, 3)),
    ]
    operators = [
        tflite.op("FULLY_CONNECTED", [0, 1], [2]),
        tflite.op("RELU", [2], [3]),
        tflite.op("FULLY_CONNECTED", [3, 4], [5]),
    ]
    kernel = np.arange(9, dtype="f4")
    return tflite.model(
        tflite.graph(tensors, operators, [0], [5], "main"), buffers=[kernel, kernel + 1]
    )


@pytest.mark.parametrize(("shared", "second"), [(False, 36), (True, 0)])
def test_operators_say_what_they_take(tmp_path, shared, second):
    path = tmp_path / "m.tflite"
    path.write_bytes(two_layers(shared))
    pictures = pictured(str(path)).pictures
    # float32: kernels of 9 values, 3 values between; 3 outputs x 3 inputs of each.
    assert [
        (one.op, one.macs, one.weight_bytes, one.activation_bytes) for one in pictures.operators
    ] == [
        ("FULLY_CONNECTED", 9, 36, 12),
        ("RELU", None, 0, 12),
        ("FULLY_CONNECTED", 9, second, 12),
    ]
    assert pictures.operators_of == 3


def test_a_size_that_is_not_fixed_is_not_known(tmp_path):
    tensors = [tflite.tensor("x", (1, 4)), tflite.tensor("y", (-1, 4)), tflite.tensor("z", (2, 4))]
    operators = [tflite.op("RELU", [0], [1]), tflite.op("RELU", [1], [2])]
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite.model(tflite.graph(tensors, operators, [0], [2], "main")))
    found = pictured(str(path)).pictures.operators
    assert [one.activation_bytes for one in found] == [None, 2 * 4 * 4]


def test_of_many_operators_the_costliest_are_told_in_the_order_in_which_they_run(tmp_path):
    tensors = [tflite.tensor(f"t{at}", (1, 2 + at % 7)) for at in range(301)]
    operators = [tflite.op("RELU", [at], [at + 1]) for at in range(300)]
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite.model(tflite.graph(tensors, operators, [0], [300], "main")))
    pictures = pictured(str(path)).pictures
    assert (len(pictures.operators), pictures.operators_of) == (200, 300)
    names = [int(one.name.removeprefix("t")) for one in pictures.operators]
    assert names == sorted(names)
    # Sizes go round from 2 to 8 values: 43 x (8, 7, 6, 5) are 172, and 28 of 4 fill it up.
    sizes = Counter(one.activation_bytes // 4 for one in pictures.operators)
    everything = Counter(2 + at % 7 for at in range(1, 301))
    assert sizes == {8: everything[8], 7: everything[7], 6: everything[6], 5: everything[5],
                     4: 200 - sum(everything[one] for one in (5, 6, 7, 8))}  # fmt: skip


def test_other_formats_have_no_operators():
    pictures = pictured(samples.path("frozen_convnet.pb")).pictures
    assert (pictures.operators, pictures.operators_of) == ((), 0)


# --- who asks -----------------------------------------------------------------------------------


def test_nobody_gets_pictures_who_has_not_asked():
    path = samples.path("pruned.h5")
    for found in (api.show(path), api.reconcile(path), api.audit(path)):
        assert found.artifacts[0].pictures is UNSET
    assert api.diff(path, samples.path("stripped.h5")).diff.pictures is UNSET


def test_every_command_has_the_same_pictures():
    path = samples.path("pruned.h5")
    expected = pictured(path).pictures
    assert pictured(path, isolate=True).pictures == expected
    for isolate in (False, True):
        assert api.reconcile(path, pictures=True, isolate=isolate).artifacts[0].pictures == expected
        assert api.audit(path, pictures=True, isolate=isolate).artifacts[0].pictures == expected


def test_reconciling_two_gives_pictures_of_both():
    found = api.reconcile(samples.path("pruned.h5"), samples.path("stripped.h5"), pictures=True)
    assert [one.pictures.heats_of for one in found.artifacts] == [2, 2]


def test_without_measures_there_are_no_pictures_of_values():
    pictures = pictured(samples.path("lite_pruned_dense.tflite"), measure=False).pictures
    assert (pictures.histograms, pictures.histograms_of) == ((), 0)
    assert (pictures.heats, pictures.heats_of) == ((), 0)
    assert pictures.areas
    assert pictures.operators


def test_what_cannot_be_read_has_none(tmp_path):
    path = tmp_path / "m.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (artifact,) = api.show(str(path), pictures=True).artifacts
    assert not artifact.readable
    assert artifact.pictures is UNSET
