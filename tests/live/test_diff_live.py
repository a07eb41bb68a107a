"""Differences of what real TensorFlow saves and converts, told as TensorFlow made them."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf
import tf_keras

from inspector import api
from tests.builders import samples

pytestmark = pytest.mark.live

STRIPPED = samples.path("stripped.h5")


@pytest.fixture(scope="module")
def model():
    return tf_keras.models.load_model(STRIPPED, compile=False)


def converted(model, path, **options):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for name, value in options.items():
        setattr(converter, name, value)
    path.write_bytes(converter.convert())
    return str(path)


def test_the_float_conversion_of_a_model_says_the_same(model, tmp_path):
    found = api.diff(STRIPPED, converted(model, tmp_path / "m.tflite")).diff
    assert found.same
    kept = [pair for pair in found.pairs if pair.a and pair.b]
    assert sorted(pair.conversion or "" for pair in kept) == ["", "", "transposed", "transposed"]
    assert sum(pair.values.elements for pair in kept) == model.count_params() == 1354
    assert found.answer[:2] == (
        "The two say the same: 4 tensors of 1,354 elements, equal bit for bit.",
        "B is a TFLite model: its weights are those of A, transposed where LiteRT keeps them so.",
    )
    back = api.diff(tmp_path / "m.tflite", STRIPPED).diff
    assert back.same


def test_a_float16_conversion_is_off_by_half_a_unit_at_most(model, tmp_path):
    path = converted(
        model,
        tmp_path / "m.tflite",
        optimizations=[tf.lite.Optimize.DEFAULT],
        target_spec=tf.lite.TargetSpec(supported_types=[tf.float16]),
    )
    found = api.diff(STRIPPED, path).diff
    kept = [pair for pair in found.pairs if pair.a and pair.b]
    assert {pair.b.dtype for pair in kept} == {"float16"}
    for pair in kept:
        assert "retyped" in pair.changes
        assert "values" not in pair.changes
        assert pair.values.ulps <= 0.5
    assert not found.same


def test_a_weight_that_was_changed_before_conversion_is_found_alone(model, tmp_path):
    other = tf_keras.models.clone_model(model)
    weights = model.get_weights()
    weights[0][3, 4] += 0.25
    other.set_weights(weights)
    found = api.diff(STRIPPED, converted(other, tmp_path / "m.tflite")).diff
    (pair,) = [one for one in found.pairs if one.status == "changed"]
    assert "values" in pair.changes
    assert pair.values.differing == 1
    assert pair.values.largest == pytest.approx(0.25, rel=1e-6)
    assert (pair.a.layer, pair.a.variable) == ("dense", "kernel")


def test_two_saves_of_one_model_say_the_same(model, tmp_path):
    model.save(tmp_path / "one", save_format="tf")
    # Functions traced in between move the numbers in the names of those that come after.
    tf_keras.models.load_model(STRIPPED, compile=False)(np.zeros((1, 10), "f4"))
    again = tf_keras.models.load_model(STRIPPED, compile=False)
    again.save(tmp_path / "two", save_format="tf")
    found = api.diff(tmp_path / "one", tmp_path / "two").diff
    assert found.same
    assert found.summary.added == found.summary.removed == 0
    for kind in ("m.keras", "m.h5"):
        model.save(tmp_path / kind)
        assert api.diff(tmp_path / "one", tmp_path / kind).diff.same
