"""The committed samples: our report against what live Keras said of each file.

`<name>.expected.json` was written by a script that loads the file with real Keras and knows nothing
of this package.
"""

import functools
import json
import os
from collections import Counter

import jsonschema
import msgspec
import pytest

import inspector
from inspector.model import Role
from inspector.words import ROLE_LABELS
from tests.builders import samples

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SAMPLES = os.path.join(ROOT, "sample_models")
SUFFIX = ".expected.json"
NAMES = samples.KERAS
# What Keras makes of an int4 kernel is its packed bytes; we say what the values are.
PACKED = {"k3_int4.keras"}
# Made anew on loading; no file holds them.
ON_LOAD = {"lora_kernel_a", "lora_kernel_b"}


@functools.cache
def expected(name):
    with open(os.path.join(SAMPLES, name + SUFFIX), encoding="utf-8") as file:
        return json.load(file)


@functools.cache
def whole(name):
    return inspector.show([os.path.join(SAMPLES, name)])


def ours(name):
    (artifact,) = whole(name).artifacts
    return artifact


every = pytest.mark.parametrize("name", NAMES)


def test_there_are_samples_of_every_family():
    assert len(NAMES) >= 40
    assert {ours(name).format for name in NAMES} == {
        "keras-h5",
        "keras-weights-h5",
        "keras-zip",
        "keras-dir",
    }


@every
def test_totals_are_those_of_live_keras(name):
    totals, said = ours(name).totals, expected(name)
    known = not said["weights_only"]
    assert totals.count_params == said["count_params"]
    assert totals.after_strip == said["after_strip"]
    assert totals.nonzero == said["nonzero_weights"]
    assert totals.trainable == (said["trainable"] if known else None)
    assert totals.non_trainable == (said["non_trainable"] if known else None)
    reasons = ours(name).totals_reasons
    assert ("no model config" in reasons.get("trainable", "")) is not known


@every
def test_every_element_of_the_file_is_counted_once(name):
    stored = expected(name)["file"]["elements"]
    if name in PACKED:
        # Kernels (16, 8) and (8, 4) are kept two values a byte, as (16, 4) and (8, 2).
        stored += (16 * 8 - 16 * 4) + (8 * 4 - 8 * 2)
        assert stored == 220
    assert ours(name).totals.stored_elements == stored
    assert sum(role.elements for role in ours(name).roles.values()) == stored


def told(name):
    """(variable, shape, dtype, trainable, zeros, min, max) of each variable that Keras loads."""
    known = not expected(name)["weights_only"]
    return Counter(
        (
            one["path"].rpartition("/")[2].partition(":")[0],
            tuple(one["shape"]),
            one["dtype"],
            one["trainable"] if known else None,
            one["zeros"],
            one["min"],
            one["max"],
        )
        for one in expected(name)["variables"]
        if one["path"].rpartition("/")[2] not in ON_LOAD
    )


def found(name):
    """The same of each tensor that is a variable of the model and no copy."""
    known = not expected(name)["weights_only"]
    training = ("optimizer_slot", "optimizer_state", "metric", "counter", "alias")
    return Counter(
        (
            t.variable,
            t.shape,
            t.dtype,
            t.trainable if known else None,
            t.measure.zeros,
            t.measure.min,
            t.measure.max,
        )
        for t in ours(name).tensors
        if t.role not in training
    )


def without_names(variables):
    return Counter({key[1:]: 0 for key in variables}) + Counter(
        key[1:] for key, times in variables.items() for _ in range(times)
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PACKED])
def test_every_variable_is_found_with_its_shape_zeros_and_range(name):
    assert without_names(found(name)) == without_names(told(name))


# A v3 store without a config holds no names: where options of a class differ, ours are left open.
NAMELESS = [
    name
    for name in NAMES
    if name.endswith((".weights.h5", ".weights.json")) and expected(name)["weights_only"]
]


@pytest.mark.parametrize("name", [n for n in NAMES if n not in PACKED and n not in NAMELESS])
def test_every_variable_has_the_name_that_live_keras_gives_it(name):
    assert found(name) == told(name)


@pytest.mark.parametrize("name", NAMELESS)
def test_a_name_given_without_a_config_is_the_one_that_live_keras_gives(name):
    named = Counter({key: times for key, times in found(name).items() if key[0] is not None})
    assert named <= told(name)


def test_int4_kernels_are_twice_as_wide_as_their_bytes():
    kernels = [t for t in ours("k3_int4.keras").tensors if t.dtype == "int4"]
    assert [t.shape for t in kernels] == [(16, 8), (8, 4)]
    assert [t.nbytes for t in kernels] == [64, 16]
    packed = [v for v in expected("k3_int4.keras")["variables"] if v["path"].endswith("kernel")]
    assert [v["shape"] for v in packed] == [[16, 4], [8, 2]]


@every
def test_bytes_add_up_to_the_files(name):
    artifact = ours(name)
    assert artifact.nbytes == sum(os.path.getsize(file.path) for file in artifact.files)
    assert sum(artifact.bytes.values()) == artifact.nbytes
    assert not {"unaccounted", "shared by several"} & set(artifact.bytes)
    for role, row in artifact.roles.items():
        if row.nbytes and list(ROLE_LABELS.values()).count(ROLE_LABELS[Role(role)]) == 1:
            assert artifact.bytes[ROLE_LABELS[Role(role)]] == row.nbytes


@every
def test_nothing_that_keras_or_the_toolkit_wrote_is_unknown(name):
    for tensor in ours(name).tensors:
        assert tensor.role != "unknown", tensor.name
        assert tensor.rule != "unknown"
        assert tensor.evidence


@every
def test_rows_hold_every_parameter_once(name):
    artifact = ours(name)
    assert sum(row.count_params for row in artifact.layers) == artifact.totals.count_params
    gone = artifact.totals.count_params - artifact.totals.after_strip
    assert sum(row.overhead for row in artifact.layers) >= gone


@every
def test_the_json_is_valid_by_the_schema(name):
    with open(os.path.join(ROOT, "inspector/schema/report-1.0.json"), encoding="utf-8") as file:
        schema = json.load(file)
    content = json.loads(msgspec.json.encode(whole(name)))
    jsonschema.validate(content, schema)
    assert content["artifacts"][0]["totals"]["count_params"] == expected(name)["count_params"]


PROBLEMS = {
    "k3_lora.keras": ["made-on-load"],
    # TextVectorization saves its vocabulary, and its lookup layer saves it again.
    "k3_normalization.keras": ["vocabulary-copy"],
}


@every
def test_a_sound_file_has_no_problem(name):
    assert [p.code for p in ours(name).problems] == PROBLEMS.get(name, [])


@pytest.mark.parametrize(
    ("name", "dtype", "variables"),
    [
        ("k3_int8.keras", "int8", {"kernel_scale"}),
        ("k3_int4.keras", "int4", {"kernel_scale", "kernel_zero", "g_idx"}),
        ("qat.h5", "float32", {"kernel_min", "kernel_max"}),
    ],
)
def test_a_kernel_names_the_tensors_that_quantize_it(name, dtype, variables):
    found = inspector.show([os.path.join(SAMPLES, name)]).artifacts[0]
    held = {tensor.name: tensor for tensor in found.tensors}
    kernels = [t for t in found.tensors if t.role == "weight" and t.variable == "kernel"]
    assert kernels
    for kernel in kernels:
        assert kernel.quantization["dtype"] == dtype
        assert set(kernel.quantization["parameters"]) == variables
        for variable, place in kernel.quantization["parameters"].items():
            assert held[place].variable == variable
            assert held[place].about == kernel.name
