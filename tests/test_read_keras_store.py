"""The v3 layout by itself and in shards: numbered variables, the map, what is missing."""

import json
import os

import h5py
import ml_dtypes
import numpy as np
import pytest

from inspector.errors import Corrupt
from inspector.model import Section
from tests.builders.checks import codes, opened, refused, tensor
from tests.builders.hdf5 import DENSE_BIAS, DENSE_KERNEL, v3_store
from tests.builders.keras import sharded


def test_variables_are_in_the_order_of_their_numbers(tmp_path):
    store = {"layers/custom": [np.full(i + 1, i, "f4") for i in range(12)]}
    artifact = opened(v3_store(tmp_path / "m.weights.h5", store))
    assert [one.shape for one in artifact.tensors] == [(i + 1,) for i in range(12)]
    assert [one.position for one in artifact.tensors] == list(range(12))


def test_sections_are_told_by_the_first_group(tmp_path):
    store = {
        "layers/dense": [DENSE_KERNEL, DENSE_BIAS],
        "optimizer": [np.int64(1), np.float32(0.1)],
        "metrics/mean": [np.float32(0), np.float32(0)],
    }
    artifact = opened(v3_store(tmp_path / "m.weights.h5", store))
    found = {one.name: one.section for one in artifact.tensors}
    assert found == {
        "layers/dense/vars/0": Section.MODEL,
        "layers/dense/vars/1": Section.MODEL,
        "optimizer/vars/0": Section.OPTIMIZER,
        "optimizer/vars/1": Section.OPTIMIZER,
        "metrics/mean/vars/0": Section.METRICS,
        "metrics/mean/vars/1": Section.METRICS,
    }


def test_bfloat16_variables_are_two_bytes_each(tmp_path):
    kernel = np.ones((4, 3), ml_dtypes.bfloat16)

    def write(group, name):
        group.create_dataset(name, data=kernel.view("V2"))
        group[name].attrs["dtype"] = "bfloat16"

    artifact = opened(v3_store(tmp_path / "m.weights.h5", {"layers/dense": [write]}))
    assert (artifact.tensors[0].dtype, artifact.tensors[0].nbytes) == ("bfloat16", 24)


def test_a_dataset_outside_any_vars_group_is_shown(tmp_path):
    path = v3_store(tmp_path / "m.weights.h5", {"layers/dense": [DENSE_KERNEL]})
    with h5py.File(path, "a") as file:
        file["stray"] = np.zeros(5, "f4")
    artifact = opened(path)
    assert tensor(artifact, "stray").section is Section.OTHER


def test_one_variable_under_two_objects_is_stored_once(tmp_path):
    path = v3_store(tmp_path / "m.weights.h5", {"layers/a": [DENSE_KERNEL], "layers/b": []})
    with h5py.File(path, "a") as file:
        file["layers/b/vars/0"] = file["layers/a/vars/0"]
    (only,) = opened(path).tensors
    assert only.name == "layers/a/vars/0"
    assert only.links == ("layers/b/vars/0",)


def test_a_store_whose_groups_hold_each_other_ends(tmp_path):
    path = v3_store(tmp_path / "m.weights.h5", {"layers/a": [DENSE_KERNEL]})
    with h5py.File(path, "a") as file:
        file["layers/a/vars/up"] = file["layers"]
        file["layers/a/again"] = file["/"]
    assert sum(one.elements for one in opened(path).tensors) == 12


# Shards

KERNELS = [np.full((4, 3), i, "f4") for i in range(4)]
SHARDS = {
    "m_00000.weights.h5": {"layers/dense": [KERNELS[0]], "layers/dense_1": [KERNELS[1]]},
    "m_00001.weights.h5": {"layers/dense_2": [KERNELS[2]], "layers/dense_3": [KERNELS[3]]},
}


def test_a_map_and_its_shards_are_one_artifact(tmp_path):
    artifact = opened(sharded(tmp_path, SHARDS, 192))
    assert artifact.format == "keras-weights-h5"
    assert artifact.complete
    assert len(artifact.files) == 3
    assert sum(one.elements for one in artifact.tensors) == 48
    assert codes(artifact) == []


def test_a_total_that_differs_is_said(tmp_path):
    artifact = opened(sharded(tmp_path, SHARDS, 193))
    assert codes(artifact) == ["total-size-differs"]
    assert "193 bytes; the shards hold 192" in artifact.problems[0].message


@pytest.mark.parametrize("how", ["missing", "cut", "another file"])
def test_a_missing_or_broken_shard_is_named_with_its_layers(tmp_path, how):
    path = sharded(tmp_path, SHARDS, 192)
    shard = tmp_path / "m_00001.weights.h5"
    if how == "missing":
        shard.unlink()
    elif how == "cut":
        os.truncate(shard, 2000)
    else:
        shard.write_bytes(b"<html>")
    artifact = opened(path)
    assert not artifact.complete
    assert codes(artifact) == ["shard-unreadable"]
    message = artifact.problems[0].message
    assert "m_00001.weights.h5" in message
    assert "layers/dense_2, layers/dense_3" in message
    assert sum(one.elements for one in artifact.tensors) == 24


@pytest.mark.parametrize("name", ["../x.h5", "/etc/passwd", "a/b.h5", "..", ".", "", "a\\b", 7])
def test_a_map_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    path = tmp_path / "m.weights.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": {"/layers/dense/vars": name}}))
    assert "weight_map" in refused(path, Corrupt)


def test_a_map_that_names_a_pipe_or_itself_ends(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "m.weights.json"
    path.write_text(
        json.dumps({"weight_map": {"/a/vars": ["pipe"], "/b/vars": ["m.weights.json"]}})
    )
    assert codes(opened(path)) == ["shard-unreadable"] * 2


def test_a_map_of_nothing_is_an_artifact_of_nothing(tmp_path):
    path = tmp_path / "m.weights.json"
    path.write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": {}}))
    assert opened(path).tensors == ()


def test_one_object_may_be_spread_over_shards(tmp_path):
    shards = {"m_00000.weights.h5": {"layers/dense": [DENSE_KERNEL]}}
    path = sharded(tmp_path, shards, None)
    with h5py.File(tmp_path / "m_00001.weights.h5", "w") as file:
        file["layers/dense/vars/1"] = DENSE_BIAS
    with open(path, "w", encoding="utf-8") as file:
        names = ["m_00000.weights.h5", "m_00001.weights.h5"]
        json.dump(
            {"metadata": {"total_size": 60}, "weight_map": {"/layers/dense/vars": names}}, file
        )
    artifact = opened(path)
    assert [(one.position, one.shape) for one in artifact.tensors] == [(0, (4, 3)), (1, (3,))]
    assert codes(artifact) == []


def test_a_shard_given_alone_says_that_it_may_be_a_part(tmp_path):
    sharded(tmp_path, SHARDS, 192)
    artifact = opened(tmp_path / "m_00001.weights.h5")
    assert codes(artifact) == ["partial-shard"]
    assert "m.weights.json" in artifact.problems[0].message


def test_objects_stand_in_the_order_of_their_numbers(tmp_path):
    names = ["dense", *(f"dense_{n}" for n in range(1, 12))]
    path = v3_store(
        tmp_path / "m.weights.h5",
        {f"layers/{name}": [np.ones((2, 3), "f4"), np.ones(3, "f4")] for name in names},
    )
    kernels = [t.name for t in opened(path).tensors if t.name.endswith("/0")]
    assert kernels == [f"layers/{name}/vars/0" for name in names]
