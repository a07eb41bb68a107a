"""The committed samples and their expected values, held against real TensorFlow."""

import json
import os
import shutil

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")
tfmot = pytest.importorskip("tensorflow_model_optimization")

import make_samples  # noqa: E402
from samples import catalog, compare, families, live  # noqa: E402

from tests.builders import samples  # noqa: E402

pytestmark = pytest.mark.live

SAMPLES = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "sample_models"
)


def sample(name):
    return os.path.join(SAMPLES, name)


def expected(name):
    with open(sample(name) + compare.SUFFIX) as f:
        return json.load(f)


NAMES = samples.KERAS
LOADABLE = [name for name in NAMES if expected(name)["loads"]]
UNLOADABLE = [name for name in NAMES if not expected(name)["loads"]]


@pytest.fixture(autouse=True)
def _fresh_names():
    catalog.start_afresh()


def numbers(name):
    """What does not depend on how a format names its variables."""
    return [
        (v["shape"], v["dtype"], v["trainable"], v["zeros"], v["min"], v["max"])
        for v in expected(name)["variables"]
    ]


def weights(name):
    return [v.numpy() for v in live.load(sample(name)).weights]


def test_every_sample_the_families_declare_is_committed_and_none_besides():
    declared = {name for family in families.FAMILIES for name in family.names}
    assert declared == set(samples.NAMES)


@pytest.mark.parametrize("name", LOADABLE)
def test_live_keras_says_of_the_file_what_is_expected(name):
    said = live.measure(sample(name))
    wanted = expected(name)
    # The numbers must hold for any version of the loader; which one it is must not change.
    assert said.pop("loader").split()[0] == wanted.pop("loader").split()[0]
    assert list(compare.said(wanted, said, "expected")) == []


@pytest.mark.parametrize("name", UNLOADABLE)
def test_live_keras_really_cannot_load_the_file(name):
    with pytest.raises(ValueError, match=r"expected \d+ variables|[Ww]eight count|Object arrays"):
        live.load(sample(name))


@pytest.mark.parametrize("name", UNLOADABLE)
def test_every_variable_of_a_model_that_cannot_be_loaded_is_in_its_file(name):
    stored = {
        (values.shape, values.dtype.name, float(values.min()), float(values.max()))
        for values in compare.arrays(sample(name)).values()
    }
    for variable in expected(name)["variables"]:
        held = (tuple(variable["shape"]), variable["dtype"], variable["min"], variable["max"])
        assert held in stored, variable["path"]


def test_an_expected_variable_is_never_one_that_the_weights_file_left_unset():
    for name in live.WEIGHTS_OF:
        unset = [v for v in expected(name)["variables"] if v["min"] == v["max"] == live.SENTINEL]
        assert unset == [], name


@pytest.mark.parametrize(
    "names",
    [
        ("pruned.h5", "pruned_weights.h5", "pruned.weights.h5", "pruned.keras"),
        ("stripped.h5", "stripped_weights.h5", "stripped.keras"),
        ("pruned_convnet.h5", "pruned_convnet.keras"),
        ("clustered.h5", "clustered.keras"),
        ("qat.h5", "qat.keras"),
        ("k3.keras", "k3.h5", "k3.weights.h5", "k3_npz.keras", "k3_dir"),
        ("k3_sharded.keras", "k3_sharded.weights.json"),
        ("k3_bfloat16.keras", "k3_bfloat16.weights.h5"),
        ("k3_mixed_float16.keras", "k3_mixed_float16.weights.h5"),
    ],
)
def test_every_format_of_one_model_holds_the_same_variables(names):
    first = sorted(numbers(names[0]))
    for other in names[1:]:
        assert sorted(numbers(other)) == first, other


def test_pruning_adds_two_masks_two_thresholds_and_two_steps():
    # Kernels 10 x 64 and 64 x 10, biases 64 and 10.
    model = 640 + 64 + 640 + 10
    said = expected("pruned.h5")
    assert said["count_params"] == model + 2 * 640 + 2 + 2 == 2638
    assert (said["trainable"], said["non_trainable"]) == (1354, 1284)
    assert said["after_strip"] == expected("stripped.h5")["count_params"] == 1354


def test_masks_hold_half_zeros_and_so_do_the_kernels_under_them():
    zeros = [v["zeros"] for v in expected("pruned.h5")["variables"] if len(v["shape"]) == 2]
    assert zeros == [320, 320, 320, 320]


def test_clustering_adds_six_centroids_and_one_index_an_element():
    # Kernels 10 x 24 and 24 x 6, biases 24 and 6.
    model = 240 + 24 + 144 + 6
    said = expected("clustered.h5")
    assert said["count_params"] == model + 2 * 6 + 240 + 144 == 810
    assert said["after_strip"] == expected("clustered_stripped.h5")["count_params"] == model == 414


@pytest.mark.parametrize(
    ("pruned", "stripped"),
    [
        ("pruned.h5", "stripped.h5"),
        ("pruned_convnet.h5", "stripped_convnet.h5"),
        ("pruned_convnet.keras", "stripped_convnet.h5"),
        ("pruned_rnn.keras", "stripped_rnn.keras"),
        ("pruned_2by4.h5", "stripped_2by4.h5"),
    ],
)
def test_stripping_the_pruned_file_gives_the_stripped_file(pruned, stripped):
    model = tfmot.sparsity.keras.strip_pruning(live.load(sample(pruned)))
    file = weights(stripped)
    assert model.count_params() == expected(stripped)["count_params"]
    assert len(model.weights) == len(file)
    for variable, values in zip(model.weights, file, strict=True):
        np.testing.assert_array_equal(variable.numpy(), values)


def test_stripping_the_clustered_file_gives_the_clustered_kernels():
    model = tfmot.clustering.keras.strip_clustering(live.load(sample("clustered.h5")))
    for variable, values in zip(model.weights, weights("clustered_stripped.h5"), strict=True):
        np.testing.assert_array_equal(variable.numpy(), values)
        if values.ndim == 2:
            assert np.unique(values).size <= 6


def test_two_of_every_four_inputs_are_zero():
    for kernel in (w for w in weights("stripped_2by4.h5") if w.ndim == 2):
        groups = kernel.T.reshape(-1, 4)
        np.testing.assert_array_equal(np.count_nonzero(groups, axis=1), 2)


def test_made_again_a_sample_holds_the_same_tensors():
    assert make_samples.main(["--check", "--only", "clustered_stripped.h5"]) == 0


def test_the_check_finds_a_sample_that_is_another(tmp_path, capsys):
    shutil.copy(sample("tfk_shared.h5"), tmp_path / "clustered_stripped.h5")
    expected_file = "clustered_stripped.h5" + compare.SUFFIX
    shutil.copy(sample(expected_file), tmp_path / expected_file)
    options = ["--check", "--only", "clustered_stripped.h5", "--out", str(tmp_path)]
    assert make_samples.main(options) == 1
    said = capsys.readouterr().out
    assert "/model_weights/base/dense/kernel:0 is only in the committed file" in said


def test_the_samples_stay_small():
    for folder, _, files in os.walk(SAMPLES):
        for name in files:
            # The functions of a tf_keras model's layers are many, however small the layers.
            limit = 350_000 if name == "saved_model.pb" else 150_000
            assert os.path.getsize(os.path.join(folder, name)) < limit, name
