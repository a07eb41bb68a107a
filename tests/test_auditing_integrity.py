"""Damage and versions, made by hand; the codes of problems are read out of the package's source."""

import ast
import importlib.resources
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from inspector import api
from inspector.auditing.look import audit_context
from inspector.auditing.policy import Policy, Runtime
from inspector.auditing.rules.integrity import ELSEWHERE, HARMLESS, PROBLEMS, RULES
from inspector.auditing.rules.integrity_versions import parse
from inspector.tflite.versions import release_of
from tests.builders import bundles, cases, hdf5, keras, samples, saved_models
from tests.builders.tflite import graph, model, op, tensor

KERNEL, BIAS = np.arange(1, 13, dtype="f4").reshape(4, 3), np.ones(3, "f4")
DENSE = cases.sequential(cases.dense("dense", 3))


def run(path, code, policy=None):
    (rule,) = (one for one in RULES if one.code == code)
    with audit_context(path, policy) as context:
        assert context.error is None
        return [(one.message, str(one.severity or rule.severity)) for one in rule.check(context)]


def every(path, policy=None):
    with audit_context(path, policy) as context:
        assert context.error is None
        return {rule.code for rule in RULES if list(rule.check(context))}


def whole(path, version=cases.TF_KERAS, config=DENSE, **weights):
    held = {"dense/kernel:0": KERNEL, "dense/bias:0": BIAS, **weights}
    return cases.legacy(path, {"dense": held}, config, version=version)


# --- every problem has its place ----------------------------------------------------------------


def codes_in_source():
    """Kebab-case texts in the package that stand first in a call that makes a problem."""
    makers = re.compile(r"Problem|Fault|_?note|(add_)?_?problem|warn")
    found = set()
    for file in Path(str(importlib.resources.files("inspector"))).rglob("*.py"):
        if {"auditing", "difference", "render", "cli", "live"} & set(file.parts):
            continue
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            name = getattr(call.func, "id", None) or getattr(call.func, "attr", "")
            first = call.args[0]
            if makers.fullmatch(name) and isinstance(first, ast.Constant):
                found.add(first.value)
    return {one for one in found if isinstance(one, str) and re.fullmatch(r"[a-z]+(-[a-z]+)+", one)}


def test_every_problem_of_the_package_is_a_finding_or_is_said_to_be_none():
    placed = {code for codes in PROBLEMS.values() for code in codes} | ELSEWHERE | HARMLESS
    found = codes_in_source()
    assert len(found) > 60
    assert found - placed == set()


def test_no_problem_has_two_places():
    placed = [code for codes in PROBLEMS.values() for code in codes]
    assert len(placed) == len(set(placed))
    assert not set(placed) & (ELSEWHERE | HARMLESS)
    assert not ELSEWHERE & HARMLESS


def test_every_problem_of_the_tables_is_in_the_source():
    text = "".join(
        file.read_text("utf-8")
        for file in Path(str(importlib.resources.files("inspector"))).rglob("*.py")
        if "auditing" not in file.parts
    )
    placed = {code for codes in PROBLEMS.values() for code in codes} | ELSEWHERE | HARMLESS
    assert {code for code in placed if f'"{code}"' not in text} == set()


# --- damage ---------------------------------------------------------------------------------------


def test_sound_artifacts_have_no_findings(tmp_path):
    (tmp_path / "m.tflite").write_bytes(relu())
    paths = [whole(tmp_path / "m.h5"), saved_models.module(tmp_path / "saved")]
    assert [every(path) for path in (*paths, tmp_path / "m.tflite")] == [set()] * 3


def checkpoint(folder, damage=lambda name, data: data, **more):
    """Two variables of three and two floats."""
    items = [
        saved_models.floats("a", [1.0, 2.0, 3.0]),
        saved_models.floats("b", [4.0, 5.0]),
    ]
    for name, data in bundles.bundle(*items, **more).items():
        changed = damage(name, data)
        if changed is not None:
            (folder / name).write_bytes(changed)
    return folder / "ckpt"


def flipped(name, data):
    return data if "index" in name else data[:1] + bytes([data[1] ^ 1]) + data[2:]


def test_a_flipped_bit_is_a_checksum(tmp_path):
    path = checkpoint(tmp_path, flipped)
    ((message, severity),) = run(path, "integrity-checksum")
    assert message.startswith("a was not measured: its bytes do not have the checksum")
    assert severity == "error"
    (tmp_path / "sound").mkdir()
    assert every(checkpoint(tmp_path / "sound")) == set()


def test_a_missing_shard_is_found(tmp_path):
    def lost(name, data):
        return None if "data-00000" in name else data

    path = checkpoint(tmp_path, lost)
    assert every(path) == {"integrity-missing"}
    assert {severity for _, severity in run(path, "integrity-missing")} == {"error"}


def relu(reads=0):
    tensors = [tensor("x", (2,)), tensor("y", (2,))]
    return model(graph(tensors, [op("RELU", [reads], [1])], [0], [1]))


def test_an_index_past_the_end_is_out_of_bounds(tmp_path):
    (tmp_path / "m.tflite").write_bytes(relu(reads=9))
    assert run(tmp_path / "m.tflite", "integrity-bounds") == [
        ("operator 0 of subgraph 0 has inputs (9) of 2 tensors", "error")
    ]


def test_a_finding_has_the_problem_and_its_place(tmp_path):
    content = relu(reads=9)
    (tmp_path / "m.tflite").write_bytes(content)
    with audit_context(tmp_path / "m.tflite") as context:
        (rule,) = (one for one in RULES if one.code == "integrity-bounds")
        (found,) = rule.check(context)
    assert found.evidence == "problem no-such-tensor"
    assert found.path is None  # the artifact's own
    assert 0 < (found.offset or 0) < len(content)


def test_a_dataset_that_claims_bytes_past_the_end_is_found(tmp_path):
    path = hdf5.move_dataset(
        hdf5.whole_model(tmp_path / "m.h5"), "model_weights/dense/dense/kernel:0", 1 << 20
    )
    assert every(path) == {"integrity-values", "integrity-missing"}


def test_a_layer_that_the_file_lacks_is_missing(tmp_path):
    path = whole(tmp_path / "m.h5", **{"dense/bias:0": None})
    ((message, severity),) = run(path, "integrity-missing")
    assert "bias" in message
    assert severity == "error"


def test_values_that_cannot_be_inflated_are_found(tmp_path):
    def packed(group, name):
        group.create_dataset(name, data=KERNEL, compression="gzip", chunks=(4, 3))

    layers = {"dense": {"dense/kernel:0": packed, "dense/bias:0": BIAS}}
    path = hdf5.whole_model(tmp_path / "m.h5", layers)
    assert every(path) == set()
    with h5py.File(path) as file:
        place = file["model_weights/dense/dense/kernel:0"].id.get_chunk_info(0).byte_offset
    hdf5.patch(path, (place, b"\xff" * 8))
    ((message, severity),) = run(path, "integrity-values")
    assert "dense/kernel:0 was not measured" in message
    assert severity == "error"


def test_a_config_that_is_no_json_is_found(tmp_path):
    path = hdf5.whole_model(tmp_path / "m.h5", config="{")
    assert "integrity-config" in every(path)


def test_a_graph_that_reads_what_nothing_makes_breaks_the_rules(tmp_path):
    (tmp_path / "m.tflite").write_bytes(relu(reads=1))
    assert every(tmp_path / "m.tflite") == {"integrity-structure"}


def test_a_dataset_that_no_list_names_is_told(tmp_path):
    path = whole(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file["model_weights"].create_dataset("stray", data=BIAS)
    ((message, severity),) = run(path, "integrity-structure")
    assert message.startswith("model_weights/stray is in the file and in no list of weights")
    assert severity == "warning"


def test_copies_that_differ_are_found_and_equal_ones_are_not(tmp_path):
    config = cases.sequential(cases.pruned(cases.dense("dense", 3)))
    place = "layers/prune_low_magnitude"
    for name, copy, wanted in (
        ("same", KERNEL, set()),
        ("other", KERNEL + 1, {"integrity-copies"}),
    ):
        objects = {
            f"{place}/layer": (KERNEL, BIAS),
            place: (copy, np.ones_like(KERNEL), cases.scalar(0), cases.scalar(1, "int32")),
        }
        path = cases.archive(tmp_path / f"{name}.keras", config, objects)
        assert every(path) == wanted, name


@pytest.mark.parametrize(("total", "count"), [(60, 0), (64, 1)])
def test_a_total_size_that_the_shards_do_not_have_is_found(tmp_path, total, count):
    # 12 + 3 float32 are 60 bytes.
    path = keras.sharded(tmp_path, {"m_00000": {"layers/dense": (KERNEL, BIAS)}}, total)
    wanted = [("the map's total_size is 64 bytes; the shards hold 60", "warning")]
    assert run(path, "integrity-size") == wanted[:count]


# --- versions --------------------------------------------------------------------------------


def runtime(**versions):
    return Policy(runtime=Runtime(**versions))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2.16.1-tf", (2, 16, 1)),
        ("2.9", (2, 9, 0)),
        ("3.0.0-rc1", (3, 0, 0)),
        ("nightly", None),
        (None, None),
    ],
)
def test_a_version_is_its_first_three_numbers(text, wanted):
    assert parse(text) == wanted


def files(tmp_path):
    """One of each format of each Keras."""
    old, new = cases.TF_KERAS, cases.KERAS3
    parts = {"layers/dense": (KERNEL, BIAS)}
    return {
        "2 h5": whole(tmp_path / "2.h5", old),
        "3 h5": whole(tmp_path / "3.h5", new, cases.keras3(DENSE)),
        "2 zip": cases.archive(tmp_path / "2.keras", DENSE, parts, version=old),
        "3 zip": cases.archive(tmp_path / "3.keras", cases.keras3(DENSE), parts, version=new),
        "saved": saved_models.module(tmp_path / "saved"),
    }


# What keras.models.load_model and tf_keras' did of files like these, of Dense layers alone: but for
# "2 h5", which Keras 3 loads, and refuses once there is a DepthwiseConv2D or an LSTM.
KERAS = {
    ("2 h5", "2.21"): [],
    ("2 h5", "2.15"): ["warning"],
    ("2 h5", "3.15.1"): ["warning"],
    ("3 h5", "2.21"): ["error"],
    ("3 h5", "3.15"): [],
    ("3 h5", "3.10"): ["warning"],
    ("2 zip", "2.21"): [],
    ("2 zip", "3.15"): ["error"],
    ("2 zip", "2.11"): ["error", "warning"],
    ("3 zip", "2.21"): ["error"],
    ("3 zip", "3.15.1"): [],
    ("saved", "2.21"): [],
    ("saved", "3.15"): ["warning"],
}


@pytest.mark.parametrize(("kind", "version"), KERAS)
def test_what_a_keras_does_not_load_is_found(tmp_path, kind, version):
    found = run(files(tmp_path)[kind], "integrity-keras-version", runtime(keras=version))
    assert [severity for _, severity in found] == KERAS[kind, version]


def test_a_finding_names_both_versions(tmp_path):
    found = run(files(tmp_path)["3 h5"], "integrity-keras-version", runtime(keras="2.15.0"))
    assert found == [("written by keras 3.15.1; the policy's runtime is Keras 2.15.0", "error")]


def test_without_a_runtime_no_version_is_too_new(tmp_path):
    assert [every(path) for path in files(tmp_path).values()] == [set()] * 5


@pytest.mark.parametrize(("version", "count"), [("3.9.2", 1), ("3.10.0", 0)])
def test_a_map_of_shards_needs_keras_3_10(tmp_path, version, count):
    path = keras.sharded(tmp_path, {"m_00000": {"layers/dense": (KERNEL, BIAS)}}, 60)
    found = run(path, "integrity-keras-version", runtime(keras=version))
    said = "a map of sharded weights, which Keras reads from 3.10 on"
    assert found == [(f"{said}; the policy's runtime is Keras {version}", "error")][:count]


@pytest.mark.parametrize(("version", "count"), [("3.10", 1), ("3.11", 0)])
def test_packed_int4_needs_keras_3_11(version, count):
    found = run(samples.path("k3_int4.keras"), "integrity-keras-version", runtime(keras=version))
    assert len([one for one in found if one[0].startswith("packed int4 kernels")]) == count


@pytest.mark.parametrize(("version", "count"), [("2.20.3", 1), ("2.21", 0), ("2.22", 0)])
def test_a_saved_model_of_a_newer_tensorflow_is_found(version, count):
    path = samples.path("saved_module")  # written by TensorFlow 2.21.0
    said = "written by TensorFlow 2.21.0; the policy's runtime is TensorFlow"
    wanted = [(f"{said} {version}", "warning")]
    assert run(path, "integrity-tensorflow-version", runtime(tensorflow=version)) == wanted[:count]


def dense_lite(tmp_path, version):
    tensors = [tensor("x", (1, 4)), tensor("k", (3, 4), buffer=1), tensor("y", (1, 3))]
    dense = op("FULLY_CONNECTED", [0, 1], [2], version=version)
    path = tmp_path / "m.tflite"
    path.write_bytes(model(graph(tensors, [dense], [0], [2]), buffers=[KERNEL.T]))
    return path


@pytest.mark.parametrize(
    ("operator", "named", "needed"),
    [
        (12, "2.14.0", "2.17"),
        (12, "2.17.0", None),
        (12, "2.17", None),
        (9, "2.5.0", None),
        (14, "2.20.0", "2.21"),
        (99, "2.20.0", "2.21"),  # newer than what is known: at least the newest that is
        (14, "1.4.0", None),  # LiteRT's own numbers
        (99, "2.1.0", None),
    ],
)
def test_an_operator_newer_than_the_runtime_is_found(tmp_path, operator, named, needed):
    # tflite-runtime 2.14.0 says itself that it has no FULLY_CONNECTED of version 12.
    found = run(dense_lite(tmp_path, operator), "integrity-litert-version", runtime(litert=named))
    said = f"needs LiteRT of TensorFlow {needed}; the policy's runtime is {named}"
    assert found == ([] if needed is None else [(said, "error")])


def test_the_word_of_the_file_counts_where_no_operator_is_new(tmp_path):
    path = dense_lite(tmp_path, 1)
    content = model(
        graph([tensor("x", (2,)), tensor("y", (2,))], [op("RELU", [0], [1])], [0], [1]),
        buffers=[b"2.19.0".ljust(16, b"\0")],
        metadata=[{"name": "min_runtime_version", "buffer": 1}],
    )
    path.write_bytes(content)
    found = run(path, "integrity-litert-version", runtime(litert="2.18.0"))
    assert found == [("needs LiteRT of TensorFlow 2.19.0; the policy's runtime is 2.18.0", "error")]
    assert run(path, "integrity-litert-version", runtime(litert="2.19.0")) == []


@pytest.mark.parametrize(
    "name", sorted(path.name for path in Path(samples.path("")).glob("*.tflite"))
)
def test_the_table_of_releases_agrees_with_what_the_converter_wrote(name):
    with api.open(samples.path(name)) as opened:
        said = parse(opened.artifact.runtime)
        operators = [one for one in opened.artifact.operators if not one.custom]
    if said is None:
        return
    found = [release_of(one.name, one.version or 1) for one in operators]
    newest = max((one for one in found if one is not None), default=None)
    # What came with 2.5 and before is not in the table.
    assert newest == (said[:2] if said > (2, 5, 0) else None)


@pytest.mark.parametrize(("version", "count"), [("3.10", 1), ("2.21", 0)])
def test_wrappers_need_keras_2(version, count):
    found = run(samples.path("pruned.h5"), "integrity-tfmot-version", runtime(keras=version))
    said = "PruneLowMagnitude of tfmot; the policy's runtime is Keras"
    assert found == [(f"{said} {version}", "error")][:count]
    stripped = samples.path("stripped.h5")
    assert run(stripped, "integrity-tfmot-version", runtime(keras=version)) == []


@pytest.mark.parametrize(
    ("name", "version", "wanted"),
    [
        ("qat.h5", "0.4.1", ["AllValuesQuantizer, which tfmot has from 0.5 on"]),
        ("qat.h5", "0.5.0", []),
        ("clustered.h5", "0.3.0", ["ClusterWeights, which tfmot has from 0.4 on"]),
        ("clustered.h5", "0.4.0", []),
        ("pruned.h5", "0.1.0", []),
    ],
)
def test_what_came_with_a_newer_tfmot_is_found(name, version, wanted):
    found = run(samples.path(name), "integrity-tfmot-version", runtime(tfmot=version))
    said = f"; the policy's runtime is tfmot {version}"
    assert found == [(one + said, "error") for one in wanted]
