"""The committed SavedModels, checkpoints and frozen graphs: our report against live TensorFlow.

`<name>.expected.json` was written by a script that has TensorFlow read the artifact and walks the
live objects for the roles; it knows nothing of this package.
"""

import functools
import hashlib
import json
import os
import re
import shutil

import jsonschema
import msgspec
import pytest

import inspector
from inspector.model import Role
from inspector.words import ROLE_LABELS
from tests.builders import samples
from tests.builders.samples import CHECKPOINTS, GRAPHS, SAVED_MODELS, TENSORFLOW, expected

# What runs when a SavedModel is loaded; nobody calls it.
INIT = "__saved_model_init_op"

every = pytest.mark.parametrize("name", TENSORFLOW)


@functools.cache
def whole(name):
    return inspector.show([samples.path(name)])


def ours(name):
    (artifact,) = whole(name).artifacts
    assert artifact.readable, artifact.problems
    return artifact


def test_there_are_samples_of_every_format():
    assert len(SAVED_MODELS) >= 14
    assert len(CHECKPOINTS) >= 7
    assert len(GRAPHS) >= 4


@every
def test_the_format_is_the_one_that_was_written(name):
    assert ours(name).format == expected(name)["format"]


@every
def test_totals_are_those_of_the_live_model(name):
    totals, said = ours(name).totals, expected(name)
    assert totals.count_params == said["count_params"]
    assert totals.after_strip == said["after_strip"]
    assert totals.nonzero == said["nonzero_weights"]
    for found, live in (
        (totals.trainable, said["trainable"]),
        (totals.non_trainable, said["non_trainable"]),
    ):
        # A checkpoint of objects need not tell which layers are frozen.
        open_question = name in CHECKPOINTS and said["count_params"] is not None
        assert found == live or (open_question and found is None)


@every
def test_every_role_has_the_elements_that_the_live_objects_have(name):
    found = {role: row.elements for role, row in ours(name).roles.items() if row.elements}
    assert found == {
        role: elements for role, elements in expected(name)["roles"].items() if elements
    }


@every
def test_every_stored_element_is_counted_once(name):
    file = expected(name)["file"]
    stored = file["elements"] + file["constant_elements"]
    assert ours(name).totals.stored_elements == stored
    assert sum(role.elements for role in ours(name).roles.values()) == stored


def named(name):
    tensors = {tensor.name: tensor for tensor in ours(name).tensors}
    assert len(tensors) == len(ours(name).tensors)
    return tensors


def about(row):
    """What is said of one tensor, by TensorFlow and the generator."""
    return (
        row["role"],
        row["dtype"],
        tuple(row["shape"]),
        row["zeros"],
        row["min"],
        row["max"],
    )


def reported(tensor):
    """The same of ours."""
    measure = tensor.measure
    numbers = (measure.zeros, measure.min, measure.max) if measure else (None, None, None)
    return (tensor.role, tensor.dtype, tensor.shape, *numbers)


@every
def test_every_variable_has_its_role_shape_zeros_and_range(name):
    tensors = named(name)
    rows = {row["key"]: about(row) for row in expected(name)["variables"]}
    assert {key: reported(tensors[key]) for key in rows} == rows
    assert len(rows) == expected(name)["file"]["variables"]


@every
def test_every_tensor_is_a_variable_or_a_constant(name):
    file = expected(name)["file"]
    assert len(ours(name).tensors) == file["variables"] + file["constants"]


@every
def test_every_constant_listed_has_its_role_shape_zeros_and_range(name):
    tensors = named(name)
    rows = {place(name, row): about(row) for row in expected(name)["constants"]}
    assert {key: reported(tensors[key]) for key in rows} == rows


def place(name, row):
    """Meta graphs may have nodes of one name: where there are several, tags come before it."""
    several = len(expected(name).get("tags", [])) > 1
    return f"{'+'.join(row['tags'])}:{row['name']}" if several else row["name"]


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_what_the_file_says_is_trained_is_what_the_live_model_trains(name):
    tensors = named(name)
    said = {
        row["key"]: row["trainable"]
        for row in expected(name)["variables"]
        if row["trainable"] is not None and row["role"] != "alias"
    }
    assert {key: tensors[key].trainable for key in said} == said


@every
def test_masks_slots_and_copies_name_the_tensor_that_they_belong_to(name):
    tensors = named(name)
    said = {row["key"]: row["of"] for row in expected(name)["variables"] if "of" in row}
    found = {key: tensors[key].alias_of or tensors[key].about for key in said}
    assert found == said


def digest(tensor):
    held = hashlib.sha256()
    for block in tensor.payload.blocks(1 << 20):
        held.update(block.tobytes())
    return held.hexdigest()


@every
def test_every_value_is_the_one_that_tensorflow_reads(name):
    said = {
        row["key"]: row["sha256"] for row in expected(name)["variables"] if row["dtype"] != "string"
    }
    with inspector.open(samples.path(name)) as opened:
        found = {t.name: digest(t) for t in opened.artifact.tensors if t.name in said}
    assert found == said


@every
def test_every_constant_is_the_one_that_tensorflow_makes(name):
    keys = {row["key"] for row in expected(name)["variables"]}
    with inspector.open(samples.path(name)) as opened:
        lines = sorted(
            f"{t.name.rpartition(':')[2]} {t.dtype} {t.shape} {digest(t)}"
            for t in opened.artifact.tensors
            if t.name not in keys and t.dtype != "string"
        )
    found = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert found == expected(name)["file"]["constants_sha256"]


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
def test_every_byte_is_a_tensors_or_has_a_label(name):
    with inspector.open(samples.path(name)) as opened:
        artifact = opened.artifact
        marks = {entry.path: bytearray(entry.nbytes) for entry in artifact.files}
        for tensor in artifact.tensors:
            for extent in tensor.extents:
                end = extent.offset + extent.length
                assert end <= len(marks[extent.file])
                marks[extent.file][extent.offset : end] = b"\1" * extent.length
        taken = sum(map(sum, marks.values()))
        assert taken + sum(artifact.overhead.values()) == artifact.nbytes


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_every_file_of_the_directory_is_a_file_of_the_artifact(name):
    stored = {
        os.path.join(folder, file)
        for folder, _, files in os.walk(samples.path(name))
        for file in files
    }
    assert {file.path for file in ours(name).files} == stored


@every
def test_nothing_is_unknown(name):
    for tensor in ours(name).tensors:
        assert tensor.role != "unknown", tensor.name
        assert tensor.rule != "unknown"
        assert tensor.evidence


@every
def test_a_sound_artifact_has_no_error(name):
    assert [p for p in ours(name).problems if p.severity in ("warning", "error")] == []


@every
def test_the_json_is_valid_by_the_schema(name):
    with open(
        os.path.join(samples.ROOT, "inspector/schema/report-1.0.json"), encoding="utf-8"
    ) as file:
        schema = json.load(file)
    content = json.loads(msgspec.json.encode(whole(name)))
    jsonschema.validate(content, schema)
    assert content["artifacts"][0]["totals"]["count_params"] == expected(name)["count_params"]


@every
def test_rows_hold_every_weight_once(name):
    rows = ours(name).layers
    held = sum(row.roles.get("weight", 0) for row in rows)
    outside = ours(name).in_no_layer.get("weight", 0)
    assert held + outside == expected(name)["roles"].get("weight", 0)
    if expected(name)["count_params"] is not None:
        assert sum(row.count_params for row in rows) == expected(name)["count_params"]


def port(one):
    shape = one["shape"] if isinstance(one, dict) else one.shape
    shape = None if shape is None else tuple(shape)
    if isinstance(one, dict):
        return one["name"], one["dtype"], shape, one["tensor"]
    return one.name, one.dtype, shape, one.tensor


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_signatures_and_tags_are_those_of_the_file(name):
    said = {
        (one["name"], tuple(one["tags"])): (
            one["method"],
            [port(p) for p in one["inputs"]],
            [port(p) for p in one["outputs"]],
        )
        for one in expected(name)["signatures"]
        if one["name"] != INIT
    }
    with inspector.open(samples.path(name)) as opened:
        artifact = opened.artifact
        found = {
            (one.name, one.tags): (
                one.method,
                [port(p) for p in one.inputs],
                [port(p) for p in one.outputs],
            )
            for one in artifact.signatures
        }
        assert [list(tags) for tags in artifact.tags] == expected(name)["tags"]
    assert found == said


# --- what each sample is there for --------------------------------------------------------------


def test_both_masks_of_a_wrapped_lstm_are_masks():
    masks = [t for t in ours("saved_pruned_lstm").tensors if t.role == "mask"]
    # Kernel and recurrent kernel of LSTM(5) on 3 features.
    assert sorted(t.shape for t in masks) == [(3, 20), (5, 20)]
    assert len({t.about for t in masks}) == 2


@pytest.mark.parametrize("name", ["saved_export", "saved_export_dropout"])
def test_a_keras_3_export_says_what_its_copies_cost(name):
    # 43 float32 values, stored twice.
    assert ours(name).roles["alias"].nbytes == 43 * 4 == 172
    assert "172" in " ".join(ours(name).answer)


def test_a_partitioned_variable_is_one_tensor():
    assert {t.name: t.shape for t in ours("ckpt_sharded").tensors} == {"emb": (10, 4), "w": (4, 2)}


def test_the_latest_checkpoint_of_a_directory_is_shown():
    # 1200, and 100 more before each of three saves, of which two are kept.
    artifact = ours("ckpt_manager")
    (step,) = [t for t in artifact.tensors if t.name.startswith("step/")]
    assert step.measure.min == 1500
    assert {os.path.basename(file.path) for file in artifact.files} >= {"ckpt-3.index"}


@pytest.mark.parametrize("name", ["ckpt_adam", "ckpt_v1", "ckpt_sharded"])
def test_an_index_is_its_checkpoint(name):
    (artifact,) = inspector.show([samples.path(name) + ".index"]).artifacts
    assert artifact.format == "checkpoint"
    assert artifact.totals == ours(name).totals


def test_text_and_binary_of_a_graph_hold_the_same():
    def held(name):
        # An embedding's table is named by a number that each freezing gives anew.
        return {re.sub(r"/\d+$", "", key): reported(t) for key, t in named(name).items()}

    assert len(held("frozen_tiny.pb")) == 5
    assert held("frozen_tiny.pbtxt") == held("frozen_tiny.pb")


def test_variables_given_by_themselves_are_a_checkpoint():
    path = os.path.join(samples.path("saved_pruned"), "variables")
    (artifact,) = inspector.show([path]).artifacts
    assert artifact.format == "checkpoint"
    assert artifact.totals.count_params == 2638
    assert artifact.roles["mask"].elements == 1280


DATA = "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize(
    ("name", "data"),
    [("saved_pruned", DATA), ("saved_pruned_lstm", DATA), ("saved_module", DATA)],
)
def test_a_flipped_bit_is_reported_with_the_tensors_name(name, data, tmp_path):
    copy = tmp_path / name
    shutil.copytree(samples.path(name), copy)
    with inspector.open(copy) as opened:
        places = {
            tensor.name: extent.offset
            for tensor in opened.artifact.tensors
            for extent in tensor.extents
            if extent.file.endswith(data) and extent.length
        }
    assert places
    sound = (copy / data).read_bytes()
    for tensor, offset in places.items():
        broken = bytearray(sound)
        broken[offset] ^= 0x10
        (copy / data).write_bytes(broken)
        (artifact,) = inspector.show([copy]).artifacts
        assert any(
            tensor in problem.message
            for problem in artifact.problems
            if problem.severity == "error"
        ), tensor
