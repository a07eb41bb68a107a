"""The committed SavedModels, checkpoints and graphs, and our readers, held against TensorFlow."""

import os
import shutil

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")
tfmot = pytest.importorskip("tensorflow_model_optimization")

import make_samples  # noqa: E402
from samples import catalog, compare, stored, tensorflow_live  # noqa: E402

import inspector  # noqa: E402
from inspector.limits import DEFAULT  # noqa: E402
from inspector.storage import LocalFile  # noqa: E402
from inspector.wire.tensor_bundle import read_bundle  # noqa: E402
from tests.builders import samples  # noqa: E402
from tests.builders.samples import CHECKPOINTS, SAVED_MODELS, TENSORFLOW, expected, path  # noqa: E402

pytestmark = pytest.mark.live

every = pytest.mark.parametrize("name", TENSORFLOW)
LOADABLE = [name for name in TENSORFLOW if expected(name)["loads"]]
NEVER_CALLED = "__saved_model_init_op"


@pytest.fixture(autouse=True)
def _fresh_names():
    catalog.start_afresh()


def values(tensor):
    blocks = list(tensor.payload.blocks(1 << 20))
    return b"".join(block.tobytes() for block in blocks)


def rows(name, kind):
    """What is expected of variables or constants, without what only the generator knows."""
    generator = ("key", "name", "tags", "role", "of", "trainable")
    return {
        row.get("key") or (tuple(row["tags"]), row["name"]): {
            field: value for field, value in row.items() if field not in generator
        }
        for row in expected(name)[kind]
    }


def told(dtype, held):
    return {"shape": list(held.shape), "dtype": dtype, **tensorflow_live.numbers(held)}


# --- what is expected ---------------------------------------------------------------------------


@every
def test_tensorflow_reads_the_variables_that_are_expected(name):
    found = {key: told(*held) for key, held in stored.variables(path(name)).items()}
    for record in expected(name)["file"]["records"]:
        del found[record]
    assert rows(name, "variables") == found


@every
def test_tensorflow_makes_the_constants_that_are_expected(name):
    found = {
        (one.tags, one.name): told(one.dtype, one.values) for one in stored.constants(path(name))
    }
    file = expected(name)["file"]
    assert len(found) == file["constants"]
    assert sum(int(np.prod(one["shape"])) for one in found.values()) == file["constant_elements"]
    listed = rows(name, "constants")
    assert {place: found[place] for place in listed} == listed
    every_row = [{"name": place[1], **row} for place, row in found.items()]
    assert tensorflow_live.constants_digest(every_row) == file["constants_sha256"]


@pytest.mark.parametrize("name", LOADABLE)
def test_live_keras_counts_what_is_expected(name):
    said = tensorflow_live.counts(path(name))
    assert said == {key: expected(name)[key] for key in said}


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_tensorflow_loads_it_and_has_its_signatures(name):
    assert stored.signatures(path(name)) == expected(name)["signatures"]
    for tags in expected(name)["tags"]:
        said = {one["name"]: one for one in expected(name)["signatures"] if one["tags"] == tags}
        said.pop(NEVER_CALLED, None)
        loaded = tf.saved_model.load(path(name), tags=tags)
        assert set(loaded.signatures) == set(said)
        for called, signature in loaded.signatures.items():
            _, inputs = signature.structured_input_signature
            assert {key: (spec.dtype.name, _sides(spec.shape)) for key, spec in inputs.items()} == {
                port["name"]: (port["dtype"], port["shape"]) for port in said[called]["inputs"]
            }
            assert set(signature.structured_outputs) == {
                port["name"] for port in said[called]["outputs"]
            }


def _sides(shape):
    return None if shape.rank is None else shape.as_list()


@pytest.mark.parametrize("name", ["saved_module", "saved_captured"])
def test_the_loaded_modules_variables_are_trained_as_expected(name):
    loaded = tf.saved_model.load(path(name))
    found = {True: 0, False: 0}
    for held in tf.train.TrackableView(loaded).descendants():
        if isinstance(held, tf.Variable):
            found[held.trainable] += int(np.prod(held.shape))
    assert found == {True: expected(name)["trainable"], False: expected(name)["non_trainable"]}


# --- our readers --------------------------------------------------------------------------------


@every
def test_every_variable_is_read_as_tensorflow_reads_it(name):
    said = stored.variables(path(name))
    with inspector.open(path(name)) as opened:
        found = {tensor.name: tensor for tensor in opened.artifact.tensors}
        for key, (dtype, wanted) in said.items():
            if key in expected(name)["file"]["records"]:
                assert key not in found
                continue
            assert (found[key].dtype, found[key].shape) == (dtype, wanted.shape)
            if dtype != "string":
                assert values(found[key]) == wanted.tobytes()


@pytest.mark.parametrize("name", ["saved_module"])
def test_strings_are_read_as_tensorflow_reads_them(name):
    bundle = read_bundle(stored.bundle_prefix(path(name)), LocalFile, DEFAULT)
    strings = [entry for entry in bundle.entries if entry.dtype == "string"]
    assert len(strings) == 3  # the labels, a table's keys and the object graph
    said = stored.variables(path(name))
    for entry in strings:
        held = [bytes(one.view()) for one in bundle.strings(entry)]
        assert held == said[entry.key][1].ravel().tolist()


@every
def test_every_constant_is_read_as_tensorflow_makes_it(name):
    several = len(expected(name).get("tags", [])) > 1
    with inspector.open(path(name)) as opened:
        found = {tensor.name: tensor for tensor in opened.artifact.tensors}
        for one in stored.constants(path(name)):
            tags = "+".join(one.tags) + ":" if several else ""
            tensor = found[tags + one.name]
            assert (tensor.dtype, tensor.shape) == (one.dtype, one.values.shape)
            if one.dtype != "string":
                assert values(tensor) == one.values.tobytes(), one.name


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoints_reader_and_ours_name_the_same_variables(name):
    with inspector.open(path(name)) as opened:
        found = {tensor.name for tensor in opened.artifact.tensors}
    said = {key for key, _ in tf.train.list_variables(path(name))}
    assert found == said - set(expected(name)["file"]["records"])


# --- what the samples are -----------------------------------------------------------------------


def roles(name):
    return expected(name)["roles"]


def test_a_pruned_saved_model_holds_the_parameters_of_the_pruned_h5():
    for name in ("saved_pruned", "ckpt_pruned"):
        assert expected(name)["count_params"] == expected("pruned.h5")["count_params"] == 2638
        assert (roles(name)["mask"], roles(name)["threshold"]) == (2 * 640, 2)
    assert expected("saved_stripped")["count_params"] == 1354


def test_stripping_the_pruned_saved_model_gives_the_stripped_one():
    pruned = tensorflow_live.load(path("saved_pruned"))
    stripped = tfmot.sparsity.keras.strip_pruning(pruned).weights
    held = tensorflow_live.load(path("saved_stripped")).weights
    for one, other in zip(stripped, held, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_an_lstm_of_five_has_two_masks():
    # Kernel 3 x 20, recurrent kernel 5 x 20, bias 20; a mask and a threshold each, one step.
    assert roles("saved_pruned_lstm")["weight"] == 60 + 100 + 20
    assert expected("saved_pruned_lstm")["count_params"] == 180 + 160 + 2 + 1


def test_an_export_stores_43_parameters_twice():
    assert roles("saved_export")["weight"] == roles("saved_export")["alias"] == 43
    assert expected("saved_export")["file"]["elements"] == 86


def test_metrics_are_stored_without_the_optimizer():
    # Dense(3) on 4: 15, with two slots each; the step and the learning rate.
    assert expected("saved_adam")["file"]["elements"] == 15 + 30 + 2 + 2
    assert expected("saved_no_optimizer")["file"]["elements"] == 15 + 2


def test_eight_parameters_of_thirty_five_elements():
    for name in ("ckpt_v1", "ckpt_v1_format.ckpt"):
        # w, two slots and the average of [4, 2]; two powers and the step.
        assert expected(name)["file"]["elements"] == 4 * 8 + 2 + 1 == 35
        assert roles(name)["weight"] == 8


def test_a_frozen_convnet_has_its_weights_and_one_shape():
    # Conv2D(4, 3) on 3 channels, BatchNormalization, Dense(10) on 6 x 6 x 4.
    assert roles("frozen_convnet.pb")["weight"] == 108 + 4 + 8 + 1440 + 10
    assert roles("frozen_convnet.pb") == roles("saved_frozen")
    assert expected("frozen_convnet.pb")["file"]["constant_elements"] == 1580


def test_masks_of_a_frozen_graph_are_as_large_as_their_weights():
    # Kernels 3 x 3 x 1 x 4 and 64 x 3, biases 4 and 3.
    assert roles("frozen_contrib_pruned.pb")["mask"] == 36 + 192
    assert roles("frozen_contrib_pruned.pb")["weight"] == 36 + 192 + 4 + 3


@pytest.mark.parametrize("name", ["saved_captured", "ckpt_sharded", "frozen_tiny*"])
def test_made_again_a_sample_holds_the_same_tensors(name):
    assert make_samples.main(["--check", "--only", name]) == 0


def test_the_check_finds_a_graph_that_is_another(tmp_path, capsys):
    for name in (path("frozen_convnet.pb"), path("frozen_tiny.pb") + compare.SUFFIX):
        target = tmp_path / os.path.basename(name).replace("frozen_convnet", "frozen_tiny")
        shutil.copy(name, target)
    options = ["--check", "--only", "frozen_tiny.pb", "--out", str(tmp_path)]
    assert make_samples.main(options) == 1
    assert "sequential/conv2d" in capsys.readouterr().out


def test_every_sample_is_of_a_known_format():
    assert set(TENSORFLOW) | set(samples.KERAS) | set(samples.TFLITE) == set(samples.NAMES)
