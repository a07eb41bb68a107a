"""What live TensorFlow says through the runner, of every sample, and of files that could run code.

All samples go through one process, so that TensorFlow is imported once.
"""

import os
import sys
from contextlib import ExitStack

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")
pytest.importorskip("tensorflow_model_optimization")
pytest.importorskip("ai_edge_litert")

import inspector
from inspector.classify import classify
from inspector.count import count
from inspector.errors import CodeRefused, LiveError
from inspector.live.runner import run_live, run_live_many
from tests.builders import cases as c
from tests.builders.samples import CHECKPOINTS, GRAPHS, KERAS, SAVED_MODELS, TFLITE, expected, path

pytestmark = pytest.mark.live

# A Python with tflite-runtime 2.14.0, which needs an environment of its own.
RUNTIME = os.environ.get("INSPECT_TFLITE_RUNTIME", "")

COUNTS = ("count_params", "trainable", "non_trainable", "after_strip")
WHOLE = [name for name in KERAS if not expected(name)["weights_only"]]
WEIGHTS = [name for name in KERAS if expected(name)["weights_only"]]
UNLOADABLE = {
    "k3_npz.keras": "Object arrays cannot be loaded when allow_pickle=False",
    "pcqat.h5": "Weight count mismatch",
    "qat.keras": "expected 5 variables, but received 3",
}
LOADABLE = [name for name in WHOLE if name not in UNLOADABLE]
ALL = [*WHOLE, *WEIGHTS, *SAVED_MODELS, *CHECKPOINTS, *GRAPHS, *TFLITE]


def lambda_file(folder):
    """Dense(4) on 4 inputs, 20 parameters, and a Lambda whose code is the Python's own."""
    import tf_keras

    model = tf_keras.Sequential(
        [tf_keras.layers.Dense(4, input_shape=(4,)), tf_keras.layers.Lambda(lambda x: x * 2)]
    )
    made = str(folder / "lambda.keras")
    model.save(made)
    return made


def module_with_optimizer(folder):
    """Three trained values, and an optimizer with its rate, its step and three slots."""
    import tensorflow as tf
    import tf_keras

    module = tf.Module()
    module.w = tf.Variable([1.0, 2.0, 3.0])
    module.optimizer = tf_keras.optimizers.SGD(momentum=0.9)
    module.optimizer.apply_gradients([(tf.constant([1.0, 1.0, 1.0]), module.w)])
    made = str(folder / "module")
    tf.saved_model.save(module, made)
    return made


def training_graph(folder):
    """A TensorFlow 1 graph with its train_op: three values, their slots, two powers."""
    import tensorflow as tf

    v1 = tf.compat.v1
    made = str(folder / "training")
    with tf.Graph().as_default(), v1.Session() as session:
        w = v1.get_variable("w", initializer=[1.0, 2.0, 3.0])
        v1.train.AdamOptimizer().minimize(tf.reduce_sum(w * w))
        session.run(v1.global_variables_initializer())
        x = v1.placeholder(tf.float32, [3])
        v1.saved_model.simple_save(session, made, {"x": x}, {"y": x * w})
    return made


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    return lambda_file(tmp_path_factory.mktemp("code"))


@pytest.fixture(scope="module")
def live(code, tmp_path_factory):
    """name -> what TensorFlow says."""
    folder = tmp_path_factory.mktemp("trained")
    made = {
        "code": code,
        "module": module_with_optimizer(folder),
        "training": training_graph(folder),
    }
    with ExitStack() as held:
        paths = [*map(path, ALL), *made.values()]
        asked = [(one, held.enter_context(inspector.open(one)).artifact) for one in paths]
        found = run_live_many(asked, python=sys.executable, timeout=500, allow_code=True)
    return dict(zip([*ALL, *made], found, strict=True))


@pytest.mark.parametrize("name", LOADABLE)
def test_counts_of_a_keras_file(name, live):
    said = live[name]
    assert said.error is None
    assert {key: getattr(said, key) for key in COUNTS} == {
        key: expected(name)[key] for key in COUNTS
    }
    assert said.loader.split()[0] == expected(name)["loader"].split()[0]


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_counts_of_a_saved_model(name, live):
    said = live[name]
    assert said.error is None
    assert {key: getattr(said, key) for key in COUNTS} == {
        key: expected(name)[key] for key in COUNTS
    }
    assert said.loader.split()[0] == expected(name)["loader"].split()[0]


@pytest.mark.parametrize("name", UNLOADABLE)
def test_what_keras_refuses_is_told_in_its_words(name, live):
    assert UNLOADABLE[name] in live[name].error
    assert live[name].count_params is None
    assert not expected(name)["loads"]


def test_no_other_sample_is_refused(live):
    assert {name for name, said in live.items() if said.error} == UNLOADABLE.keys()


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weights_only_file_has_no_counts_and_a_reason(name, live):
    assert [getattr(live[name], key) for key in COUNTS] == [None] * 4
    assert set(live[name].reasons) == set(COUNTS)


@pytest.mark.parametrize("name", [*WHOLE, *SAVED_MODELS])
def test_a_count_that_is_missing_has_a_reason(name, live):
    said = live[name]
    assert {key for key in COUNTS if getattr(said, key) is None} == set(said.reasons)


@pytest.mark.parametrize("name", [n for n in [*LOADABLE, *SAVED_MODELS] if "export" not in n])
def test_layers_are_counted_as_the_table_has_them(name, live):
    with inspector.open(path(name)) as opened:
        artifact = opened.artifact
        counted = count(artifact, classify(artifact).verdicts, None, ())
    rows = {row.path: row.count_params for row in counted.layers}
    found = {place: said.count_params for place, said in live[name].layers.items()}
    if not found:
        assert artifact.model is None
        return
    assert found == {place: rows[place] for place in found}
    # A Sequential does not list its input among its layers.
    assert {place: total for place, total in rows.items() if place not in found and total} == {}


def test_layers_add_up_to_the_model(live):
    said = live["pruned.h5"]
    # Dense(64) on 10: 704, a mask of 640, a threshold and a step; Dense(10): 650 and as much.
    assert [one.count_params for one in said.layers.values()] == [704 + 642, 650 + 642]
    assert [one.trainable for one in said.layers.values()] == [704, 650]
    assert said.count_params == 2638


@pytest.mark.parametrize("name", [*CHECKPOINTS, *SAVED_MODELS])
def test_variables_are_listed_as_expected(name, live):
    wanted = {row["key"]: (row["dtype"], row["shape"]) for row in expected(name)["variables"]}
    found = live[name].tensors
    assert {key: (found[key].dtype, list(found[key].shape)) for key in wanted} == wanted


@pytest.mark.parametrize("name", [*CHECKPOINTS, *SAVED_MODELS, *GRAPHS])
def test_tensors_are_those_that_are_read(name, live):
    with inspector.open(path(name)) as opened:
        read = {one.name: (one.dtype, one.shape) for one in opened.artifact.tensors}
    assert {key: (one.dtype, one.shape) for key, one in live[name].tensors.items()} == read


@pytest.mark.parametrize("name", GRAPHS)
def test_constants_of_a_graph_are_as_many_as_expected(name, live):
    file = expected(name)["file"]
    tensors = live[name].tensors.values()
    assert (len(tensors), sum(one.elements for one in tensors)) == (
        file["constants"],
        file["constant_elements"],
    )


@pytest.mark.parametrize("name", TFLITE)
def test_constants_of_a_tflite_file_are_those_that_are_read(name, live):
    with inspector.open(path(name)) as opened:
        read = {
            one.name: one.shape
            for one in opened.artifact.tensors
            if one.made is None and one.dtype != "string" and one.elements
        }
    assert {key: one.shape for key, one in live[name].tensors.items()} == read


@pytest.mark.parametrize("name", TFLITE)
def test_constants_of_a_tflite_file_are_as_large_as_expected(name, live):
    rows = [one for one in expected(name)["tensors"] if one["nbytes"] and one["dtype"] != "string"]
    sizes = sorted(one.elements for one in live[name].tensors.values())
    wanted = []
    for row in rows:
        elements = 1
        for side in row["shape"]:
            elements *= side
        wanted.append(elements)
    assert sizes == sorted(wanted)


def test_what_an_optimizer_holds_is_no_part_of_a_module(live):
    assert (live["module"].trainable, live["module"].non_trainable) == (3, 0)


def test_a_training_graph_does_not_tell_what_is_the_models(live):
    said = live["training"]
    assert (said.trainable, said.non_trainable) == (3, None)
    assert "does not tell an optimizer's variables" in said.reasons["non_trainable"]


def test_versions_are_of_what_was_used(live):
    assert {"tensorflow", "tf_keras", "keras"} <= live["pruned.h5"].versions.keys()


# --- code, time and memory ----------------------------------------------------------------------


def test_a_lambda_is_refused_unless_code_is_allowed(code, live):
    with inspector.open(code) as opened, pytest.raises(CodeRefused, match="Lambda"):
        run_live(code, opened.artifact, python=sys.executable)
    assert (live["code"].count_params, live["code"].error) == (20, None)


def test_tensorflow_does_not_fit_into_next_to_nothing():
    with inspector.open(path("pruned.h5")) as opened, pytest.raises(LiveError):
        run_live(
            path("pruned.h5"), opened.artifact, python=sys.executable, timeout=60, memory=64 << 20
        )


def test_tensorflow_cannot_be_imported_in_no_time():
    with inspector.open(path("pruned.h5")) as opened, pytest.raises(LiveError, match="longer than"):
        run_live(path("pruned.h5"), opened.artifact, python=sys.executable, timeout=0.2)


def test_a_custom_class_is_refused_and_keras_would_not_know_it(tmp_path):
    config = c.sequential(c.dense("a", 4), c.layer("Swin", "s", heads=3))
    weights = {"a": {"a/kernel:0": c.values(4, 4), "a/bias:0": c.values(4)}, "s": {}}
    made = str(c.legacy(tmp_path / "m.h5", weights, config))
    with inspector.open(made) as opened:
        with pytest.raises(CodeRefused, match="Swin"):
            run_live(made, opened.artifact, python=sys.executable)
        said = run_live(made, opened.artifact, python=sys.executable, allow_code=True)
    assert "Unknown layer: 'Swin'" in said.error


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with inspector.open(path("lite_int8.tflite")) as opened:
        run_live(path("lite_int8.tflite"), opened.artifact, python=sys.executable)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not RUNTIME, reason="INSPECT_TFLITE_RUNTIME names no Python")
@pytest.mark.parametrize("name", ["lite_int8.tflite", "lite_sparse.tflite", "lite_custom.tflite"])
def test_another_python_is_asked_whatever_interpreter_it_has(name, live):
    with inspector.open(path(name)) as opened:
        said = run_live(path(name), opened.artifact, python=RUNTIME)
    assert said.loader == "tflite-runtime 2.14.0"
    assert said.tensors == live[name].tensors
