"""Reconciling against real TensorFlow: no sample has a residual."""

import json
import sys

import pytest

import inspector
from inspector import api
from inspector.classify import classify
from inspector.count import count
from inspector.live.runner import run_live_many
from inspector.reconciliation import against
from tests.builders import samples
from tests.builders.terminal import call

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.live

# Files that the Keras which wrote them cannot read back; their counts are of the model in memory.
REFUSED = {name for name in samples.NAMES if not samples.expected(name).get("loads", True)} & set(
    samples.KERAS
)


@pytest.fixture(scope="module")
def answers():
    """What TensorFlow says of every sample, asked in one process."""
    asked = []
    for name in samples.NAMES:
        with inspector.open(samples.path(name)) as opened:
            asked.append((samples.path(name), opened.artifact))
    said = run_live_many(asked, python=sys.executable, allow_code=True)
    return {
        name: against(artifact, count(artifact, classify(artifact).verdicts), live)
        for name, (_, artifact), live in zip(samples.NAMES, asked, said, strict=True)
    }


@pytest.mark.parametrize("name", samples.NAMES)
def test_no_sample_has_a_residual(name, answers):
    found = answers[name]
    if name in REFUSED:
        assert found.error is not None
        return
    assert found.error is None
    assert not found.residual
    assert not [row for row in (*found.totals, *found.layers) if row.residual]


def test_the_two_of_a_pair_print_zeros_alone():
    paths = [samples.path(name) for name in ("pruned.h5", "stripped.h5")]
    result = call("reconcile", *paths, "--live", "--live-python", sys.executable)
    assert (result.code, result.err) == (0, "")
    assert "residual: 0; against TensorFlow: 0" in result.out
    result = call(
        "reconcile", *paths, "--live", "--live-python", sys.executable, "--format", "json"
    )
    live = json.loads(result.out)["reconciliation"]["live"]
    found = [row for one in live["artifacts"] for row in (*one["totals"], *one["layers"])]
    # Four totals and two layers each.
    assert [row["residual"] for row in found] == [0] * 12


# --- converted models ---------------------------------------------------------------------------

SCHEMES = ("float", "float16", "dynamic", "int8")


def lite(model, scheme):
    """The model as TensorFlow's converter writes it."""
    import tensorflow as tf
    from samples.tflite import DEFAULT, INT8, convert

    match scheme:
        case "float":
            return convert(model)
        case "float16":
            return convert(model, DEFAULT, types=[tf.float16])
        case "dynamic":
            return convert(model, DEFAULT)
        case _:
            return convert(model, DEFAULT, ops=INT8, calibrated=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models as files of Keras: two stripped samples, and one whose BatchNormalization folds."""
    import tf_keras
    from samples import tflite_models

    tf_keras.backend.clear_session()  # layers are numbered as if no test came before
    tf_keras.utils.set_random_seed(3)
    path = tmp_path_factory.mktemp("models") / "convnet.h5"
    found = tflite_models.convnet()
    found.save(path)
    stripped = {
        name: (
            samples.path(f"{name}.h5"),
            tf_keras.models.load_model(samples.path(f"{name}.h5"), compile=False),
        )
        for name in ("stripped", "stripped_convnet")
    }
    return {"convnet": (str(path), found), **stripped}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["convnet", "stripped", "stripped_convnet"])
def test_every_weight_of_a_model_is_found_in_its_conversion(name, scheme, models, tmp_path):
    original, model = models[name]
    path = tmp_path / f"{scheme}.tflite"
    path.write_bytes(lite(model, scheme))
    found = api.reconcile(original, path).reconciliation
    assert (found.residual, found.odd) == (0, ())
    assert {pair.agrees for pair in found.pairs} <= {"bits", "values", "close"}
    # Rounding to the nearest step is off by half of one at most, as far as float32 can tell.
    steps = [pair.in_scale_units for pair in found.pairs if pair.in_scale_units is not None]
    assert all(step <= 0.51 for step in steps)
    assert bool(steps) == (scheme == "int8")
    # What was pruned stays zero: 0 is a value of every scheme.
    kernels = [pair for pair in found.pairs if pair.zeros_a]
    assert all(pair.zeros_b >= pair.zeros_a for pair in kernels)


def test_a_weight_changed_after_conversion_is_named(models, tmp_path):
    import tf_keras

    original, model = models["convnet"]
    path = tmp_path / "model.tflite"
    other = tf_keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    kernel, bias = other.layers[-1].get_weights()
    kernel[3, 2] += 0.25
    other.layers[-1].set_weights([kernel, bias])
    path.write_bytes(lite(other, "float"))
    result = call("reconcile", original, str(path))
    assert result.code == 1
    assert "dense/kernel" in result.out
    assert "1 of 640 value" in result.out
