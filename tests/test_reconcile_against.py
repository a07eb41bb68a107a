"""A file's counts beside those of TensorFlow, whose answers are made up here."""

import dataclasses
import sys

import inspector
from inspector.classify import classify
from inspector.count import count
from inspector.live.runner import LayerCounts, LiveCounts, LiveTensor
from inspector.reconciliation import against, verdict
from tests.builders import cases as c
from tests.builders import samples
from tests.builders.terminal import call


def held(name, live):
    with inspector.open(samples.path(name)) as opened:
        artifact = opened.artifact
    return against(artifact, count(artifact, classify(artifact).verdicts), live)


# Dense(64, input 10) 704, mask 640, threshold and step; Dense(10) 650, mask 640 ...: by hand.
PRUNED = LiveCounts(
    "tf_keras 2.21.0",
    2638,
    1354,
    1284,
    1354,
    {
        "dense_input": LayerCounts(0, 0, 0),
        "prune_low_magnitude_dense": LayerCounts(704 + 642, 704, 642),
        "prune_low_magnitude_dense_1": LayerCounts(650 + 642, 650, 642),
    },
)


def rows(found):
    return {row.what: (row.file, row.live, row.residual) for row in (*found.totals, *found.layers)}


def test_every_total_and_every_layer_has_a_row():
    found = held("pruned.h5", PRUNED)
    assert rows(found) == {
        "count_params": (2638, 2638, 0),
        "trainable": (1354, 1354, 0),
        "non_trainable": (1284, 1284, 0),
        "after_strip": (1354, 1354, 0),
        "prune_low_magnitude_dense": (1346, 1346, 0),
        "prune_low_magnitude_dense_1": (1292, 1292, 0),
    }
    assert found.residual == 0
    assert verdict(found) == (
        "tf_keras 2.21.0 says the same: 2,638 parameters, and the same in every layer (2)."
    )


def test_each_difference_is_part_of_the_residual():
    layers = {**PRUNED.layers, "prune_low_magnitude_dense": LayerCounts(1340)}
    found = held("pruned.h5", dataclasses.replace(PRUNED, count_params=2632, layers=layers))
    assert found.residual == 6 + 6
    assert verdict(found) == "tf_keras 2.21.0 says otherwise: count_params 2,632, not 2,638."


def test_a_layer_that_only_tensorflow_has_is_a_difference():
    layers = {**PRUNED.layers, "extra": LayerCounts(5, 5, 0)}
    found = held("pruned.h5", dataclasses.replace(PRUNED, layers=layers))
    assert rows(found)["extra"] == (0, 5, 5)
    assert found.residual == 5


def test_what_tensorflow_cannot_say_is_no_difference():
    live = LiveCounts("none", reasons={"count_params": "there is no model"})
    found = held("pruned.weights.h5", live)
    assert found.residual is None
    assert rows(found) == {"count_params": (2638, None, None), "after_strip": (1354, None, None)}
    assert verdict(found) == "TensorFlow counts nothing here: there is no model."


def listed(name):
    """All tensors of a sample as TensorFlow's reader would list them."""
    with inspector.open(samples.path(name)) as opened:
        return {t.name: LiveTensor(t.dtype, t.shape) for t in opened.artifact.tensors}


def test_tensors_are_held_against_each_other_by_name():
    found = held("ckpt_pruned", LiveCounts("tensorflow", tensors=listed("ckpt_pruned")))
    # 2,638 of the model, 2,708 slots, iteration and learning rate.
    assert (found.tensors.file, found.tensors.live, found.unlike) == (5348, 5348, ())
    assert found.residual == 0


def test_a_tensor_of_another_dtype_is_named():
    tensors = listed("ckpt_pruned")
    name = "layer_with_weights-0/mask/.ATTRIBUTES/VARIABLE_VALUE"
    tensors[name] = LiveTensor("float16", (10, 64))
    found = held("ckpt_pruned", LiveCounts("tensorflow", tensors=tensors))
    assert found.unlike == (
        f"{name} is float32 [10, 64] in the file, float16 [10, 64] to TensorFlow",
    )
    assert found.residual == 1


def test_tensors_that_only_one_lists_are_named():
    tensors = listed("ckpt_pruned")
    (gone, *_) = tensors
    del tensors[gone]
    tensors["more"] = LiveTensor("float32", ())
    found = held("ckpt_pruned", LiveCounts("tensorflow", tensors=tensors))
    assert set(found.unlike) == {
        "more: TensorFlow alone lists it",
        f"{gone}: TensorFlow does not list it",
    }


def test_integers_of_four_bits_may_come_as_bytes():
    tensors = {
        name: dataclasses.replace(one, dtype="int8" if one.dtype == "int4" else one.dtype)
        for name, one in listed("lite_int4.tflite").items()
    }
    with inspector.open(samples.path("lite_int4.tflite")) as opened:
        made = {t.name for t in opened.artifact.tensors if t.made}
    stored = {name: one for name, one in tensors.items() if name not in made}
    assert held("lite_int4.tflite", LiveCounts("ai-edge-litert", tensors=stored)).residual == 0


def test_a_file_that_tensorflow_refuses_has_its_words():
    found = held("pruned.h5", LiveCounts("tf_keras 2.21.0", error="ValueError: no."))
    assert verdict(found) == "tf_keras 2.21.0 cannot load it: ValueError: no."


# --- the command --------------------------------------------------------------------------------


def test_without_tensorflow_one_line_says_what_to_install(tmp_path):
    # A Python that starts, and in which nothing can be imported but what it comes with.
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    result = call("reconcile", samples.path("pruned.h5"), "--live", "--live-python", str(python))
    assert (result.code, result.out) == (2, "")
    assert len(result.err.strip().split("\n")) == 1
    assert "pip install 'tf-inspector[live]'" in result.err


def test_what_could_run_code_is_refused(tmp_path):
    config = c.sequential(c.layer("Lambda", "lambda", function=["4wEA", None, None]))
    path = c.legacy(tmp_path / "lambda.h5", {"lambda": {}}, config)
    result = call("reconcile", path, "--live")
    assert (result.code, result.out) == (2, "")
    assert "--allow-code" in result.err
