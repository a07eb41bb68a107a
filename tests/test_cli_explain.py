import json
import os

import jsonschema
import pytest

from inspector.report import schema
from tests.builders.terminal import call

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "sample_models")
PRUNED = os.path.join(SAMPLES, "pruned.h5")


@pytest.mark.parametrize(
    ("name", "path", "tensor"),
    [
        ("kernel", "pruned.h5", "prune_low_magnitude_dense/dense/kernel"),
        ("mask", "pruned.h5", "*/prune_low_magnitude_dense/mask:0"),
        ("step", "pruned.h5", "*_dense/pruning_step:0"),
        ("copy", "pruned.keras", "*prune_low_magnitude/vars/0"),
        ("pattern", "stripped_2by4.h5", "dense/kernel"),
        ("int4", "k3_int4.keras", "dense_2/kernel"),
    ],
)
def test_explanations_are_as_reviewed(name, path, tensor, golden, monkeypatch):
    monkeypatch.chdir(SAMPLES)
    result = call("explain", path, tensor)
    assert (result.code, result.err) == (0, "")
    golden(f"explain-{name}.txt", result.out)


@pytest.mark.parametrize(
    ("name", "path", "tensor"),
    [
        ("saved-kernel", "saved_pruned", "variables/0"),
        ("saved-mask", "saved_pruned", "prune_low_magnitude_dense/mask"),
        ("saved-copy", "saved_export", "_all_variables/0"),
        (
            "saved-slot",
            "saved_adam_legacy",
            "layer_with_weights-0/kernel/.OPTIMIZER_SLOT/optimizer/m",
        ),
        ("graph-constant", "frozen_convnet.pb", "sequential/flatten/Const"),
        ("graph-mask", "frozen_contrib_pruned.pb", "conv1/mask"),
        ("named-slot", "ckpt_v1", "w/Adam"),
    ],
)
def test_explanations_of_tensorflow_s_own_formats_are_as_reviewed(
    name, path, tensor, golden, monkeypatch
):
    monkeypatch.chdir(SAMPLES)
    result = call("explain", path, tensor)
    assert (result.code, result.err) == (0, "")
    golden(f"explain-{name}.txt", result.out)


@pytest.mark.parametrize("name", ["saved_adam", "saved_export", "ckpt_adam_legacy"])
def test_a_layer_s_variable_is_meant_before_its_slots_and_copies(name):
    out = call("explain", os.path.join(SAMPLES, name), "dense/kernel").out
    assert "role       weight\n" in out


def test_every_name_of_the_table_of_tensors_names_its_tensor():
    path = os.path.join(SAMPLES, "saved_adam_legacy")
    table = call(path, "--tensors", "--no-measure", "--width", "250").out
    names = [line.split()[0] for line in table.splitlines() if " float32 " in line]
    assert "optimizer/beta_1" in names
    for name in names:
        assert call("explain", path, name, "--no-measure").out.startswith(name)


@pytest.mark.parametrize(
    ("path", "wanted", "name"),
    [
        ("saved_adam_legacy", "v of dense/kernel", "layer_with_weights-0/kernel/.OPTIMIZER_SLOT/"),
        ("pruned.h5", "m of prune_low_magnitude_dense/dense/kernel", "optimizer_weights/"),
        ("ckpt_v1", "Adam_1 of w", "w/Adam_1"),
    ],
)
def test_a_slot_may_be_named_by_what_it_is_of(path, wanted, name):
    out = call("explain", os.path.join(SAMPLES, path), wanted, "--no-measure").out
    assert out.startswith(name)
    assert "role       optimizer_slot" in out


def test_candidates_are_told_by_the_layers_that_have_them():
    result = call("explain", os.path.join(SAMPLES, "saved_pruned"), "mask")
    assert result.err.splitlines()[1:] == [
        "  layer_with_weights-0/mask  (prune_low_magnitude_dense/mask)",
        "  layer_with_weights-1/mask  (prune_low_magnitude_dense_1/mask)",
    ]


def test_no_line_is_wider_than_the_terminal():
    out = call("explain", PRUNED, "*_dense/dense/kernel:0", "--width", "60").out
    assert max(map(len, out.splitlines())) <= 60


def test_the_json_obeys_the_schema():
    out = call("explain", PRUNED, "*_dense/dense/kernel:0", "--format", "json").out
    report = json.loads(out)
    jsonschema.validate(report, schema())
    explanation = report["explanation"]
    assert report["command"] == "explain"
    assert explanation["schedule"]["block_size"] == [1, 1]
    assert explanation["mask"]["leaks"] == 0


@pytest.mark.parametrize("format_", ["markdown", "csv"])
def test_other_formats_name_the_tensor(format_):
    out = call("explain", PRUNED, "*_dense/dense/kernel:0", "--format", format_).out
    assert "model_weights/prune_low_magnitude_dense/dense/kernel:0" in out


def test_an_ambiguous_tensor_lists_the_candidates():
    result = call("explain", PRUNED, "mask:0")
    assert (result.code, result.out) == (2, "")
    assert "names 2 tensors" in result.err
    assert result.err.count("mask:0") == 3


def test_an_unknown_tensor_is_bad_usage():
    result = call("explain", PRUNED, "nix")
    assert (result.code, result.out) == (2, "")


def test_an_unreadable_artifact_is_one_line():
    result = call("explain", "missing.h5", "x")
    assert (result.code, result.out) == (2, "")
    assert result.err == "inspect: missing.h5: no such file\n"


def test_a_tensor_may_be_named_by_the_wrapper_around_its_layer():
    out = call("explain", PRUNED, "prune_low_magnitude_dense/kernel").out
    assert out.startswith("model_weights/prune_low_magnitude_dense/dense/kernel:0\n")


def test_the_name_of_a_layer_lists_its_tensors():
    result = call("explain", PRUNED, "prune_low_magnitude_dense")
    assert (result.code, result.out) == (2, "")
    # kernel, bias, mask, threshold, step
    assert "names 5 tensors" in result.err
