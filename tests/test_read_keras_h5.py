"""Keras' legacy HDF5 layout: whole models and weights, sound and broken."""

import json
import os

import h5py
import numpy as np
import pytest

from inspector.classify import classify
from inspector.count import count
from inspector.errors import Corrupt, Truncated, UnknownFormat
from inspector.limits import DEFAULT, Limits
from inspector.model import Flavor, Naming, Role, Section
from tests.builders.checks import codes, opened, refused, tensor
from tests.builders.hdf5 import (
    DENSE,
    DENSE_BIAS,
    DENSE_CONFIG,
    DENSE_KERNEL,
    heap_references,
    legacy_weights,
    move_dataset,
    sequential,
    weights_file,
    whole_model,
)


def placed(artifact):
    """Name -> (layer, variable, how that was found)."""
    return {one.name: (one.layer, one.variable, one.naming) for one in artifact.tensors}


def params(artifact):
    return count(artifact, classify(artifact).verdicts).totals.count_params


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
@pytest.mark.parametrize("block", [0, 512, 1024])
def test_a_whole_model_names_layer_and_variable_by_position(tmp_path, libver, block):
    path = whole_model(tmp_path / "m.h5", libver=libver, userblock_size=block)
    artifact = opened(path)
    assert artifact.format == "keras-h5"
    assert artifact.producer is not None
    assert (artifact.producer.version, artifact.producer.backend) == ("2.15.0", "tensorflow")
    assert artifact.flavor is Flavor.TF_KERAS
    assert placed(artifact) == {
        "model_weights/dense/dense/kernel:0": ("dense", "kernel", Naming.POSITION),
        "model_weights/dense/dense/bias:0": ("dense", "bias", Naming.POSITION),
    }
    assert artifact.overhead["config"] == len(json.dumps(DENSE_CONFIG))
    assert params(artifact) == 15
    assert artifact.problems == ()


def test_weights_alone_say_what_their_names_say(tmp_path):
    artifact = opened(weights_file(tmp_path / "w.h5"))
    assert artifact.format == "keras-weights-h5"
    assert artifact.model is None
    assert placed(artifact) == {
        "dense/dense/kernel:0": ("dense", "kernel", Naming.STORED),
        "dense/dense/bias:0": ("dense", "bias", Naming.STORED),
    }


def test_a_list_of_names_split_in_parts_is_one_list(tmp_path):
    # 700 Dense(1, no bias) with long names: Keras splits layer_names past 64 KiB.
    names = [f"dense_{i:03}_{'x' * 110}" for i in range(700)]
    config = sequential(*(("Dense", name, {"units": 1, "use_bias": False}) for name in names))
    layers = {name: {f"{name}/kernel:0": np.ones((1, 1), "f4")} for name in names}
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        weights = file.create_group("model_weights")
        for name, variables in layers.items():
            group = weights.create_group(name)
            group.attrs["weight_names"] = np.array([one.encode() for one in variables])
            for stored, value in variables.items():
                group[stored] = value
        for part in range(12):
            chosen = names[part * 60 : (part + 1) * 60]
            weights.attrs[f"layer_names{part}"] = np.array([one.encode() for one in chosen])
    artifact = opened(path)
    assert [one.layer for one in artifact.tensors] == names
    assert params(artifact) == 700


def test_a_layer_whose_name_begins_like_another_is_its_own(tmp_path):
    # conv1 3 + 1, conv1/bn 4 of one channel: a walk below the group conv1 would count 12.
    ones = np.ones(1, "f4")
    layers = {
        "conv1": {"conv1/kernel:0": np.ones((1, 1, 3, 1), "f4"), "conv1/bias:0": ones},
        "conv1/bn": {
            f"conv1/bn/{name}:0": ones
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        },
        "conv1/relu": {},
    }
    artifact = opened(weights_file(tmp_path / "w.h5", layers))
    assert sum(one.elements for one in artifact.tensors) == 8
    owners = [one.owner for one in artifact.tensors]
    assert owners == ["conv1"] * 2 + ["conv1/bn"] * 4
    verdicts = classify(artifact).verdicts
    assert [verdicts[one.name].role for one in artifact.tensors][-2:] == [Role.STATISTIC] * 2
    assert params(artifact) == 8


def test_keras_before_1_numbers_its_layers_and_parameters(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = 12
        for index in range(12):
            group = file.create_group(f"layer_{index}")
            group.attrs["nb_params"] = 0 if index % 2 else 11
            for number in range(0 if index % 2 else 11):
                group[f"param_{number}"] = np.zeros(index + 1, "f4")
    artifact = opened(path)
    assert artifact.flavor is Flavor.KERAS1
    assert [one.owner for one in artifact.tensors[::11]] == [f"layer_{i}" for i in range(0, 12, 2)]
    assert [one.stored_name for one in artifact.tensors[:11]] == [f"param_{i}" for i in range(11)]
    assert codes(artifact) == []


def test_a_number_of_layers_out_of_all_reason_costs_nothing(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = 1 << 60
        group = file.create_group("layer_0")
        group.attrs["nb_params"] = 1 << 60
        group["param_0"] = np.zeros(3, "f4")
    assert sum(one.elements for one in opened(path).tensors) == 3


def test_a_name_in_the_list_and_not_in_the_file_is_a_problem(tmp_path):
    path = whole_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights/dense/dense/bias:0"]
    artifact = opened(path)
    assert codes(artifact) == ["missing-tensor"]
    assert "'dense/bias:0'" in artifact.problems[0].message


def test_a_layer_in_the_list_without_a_group_is_a_problem(tmp_path):
    path = whole_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights/dense"]
    artifact = opened(path)
    assert "missing-layer" in codes(artifact)
    assert artifact.tensors == ()


def test_a_dataset_in_no_list_is_shown_and_not_counted(tmp_path):
    path = whole_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file["model_weights/dense/dense/kernel_1:0"] = np.zeros((4, 3), "f4")
        file["notes"] = np.zeros(5)
    artifact = opened(path)
    assert codes(artifact) == ["unlisted-tensor"] * 2
    assert tensor(artifact, "notes").section is Section.OTHER
    assert params(artifact) == 15


def test_a_variable_under_two_names_is_stored_once_and_counted_once(tmp_path):
    path = whole_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        kernel = file["model_weights/dense/dense/kernel:0"]
        file["model_weights/again"] = kernel
    artifact = opened(path)
    (kernel,) = (one for one in artifact.tensors if one.variable == "kernel")
    names = sorted([kernel.name, *kernel.links])
    assert names == ["model_weights/again", "model_weights/dense/dense/kernel:0"]
    assert sum(one.elements for one in artifact.tensors) == 15


def test_a_soft_link_inside_the_file_is_the_tensor_that_it_leads_to(tmp_path):
    path = whole_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file.move("model_weights/dense/dense/kernel:0", "kept")
        file["model_weights/dense/dense/kernel:0"] = h5py.SoftLink("/kept")
    artifact = opened(path)
    assert tensor(artifact, "kept").variable == "kernel"
    assert not {"missing-tensor", "unlisted-tensor"} & set(codes(artifact))


@pytest.mark.parametrize("target", ["/nowhere", "/model_weights/dense/dense/kernel:0"])
def test_a_soft_link_that_leads_nowhere_is_a_missing_tensor(tmp_path, target):
    path = whole_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights/dense/dense/kernel:0"]
        file["model_weights/dense/dense/kernel:0"] = h5py.SoftLink(target)
    assert codes(opened(path)) == ["missing-tensor"]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{not json", "is not JSON"),
        ("", "is not JSON"),
        ("[" * 10_000 + "]" * 10_000, "nested too deep"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "nested too deep"),
        ("null", "makes no sense"),
        ('"text"', "makes no sense"),
        ("{}", "makes no sense"),
        ("1" * 5000, "is not JSON"),
    ],
)
def test_a_config_that_makes_no_sense_is_a_problem_and_the_tensors_are_still_shown(
    tmp_path, config, reason
):
    artifact = opened(whole_model(tmp_path / "m.h5", config=config))
    assert codes(artifact) == ["config-unreadable"]
    assert reason in artifact.problems[0].message
    assert artifact.model is None
    assert sum(one.elements for one in artifact.tensors) == 15
    classify(artifact)


@pytest.mark.parametrize("config", ["[1, 2]", '{"class_name": "Sequential", "config": 5}'])
def test_a_config_of_the_wrong_shape_stops_nothing(tmp_path, config):
    artifact = opened(whole_model(tmp_path / "m.h5", config=config))
    assert sum(one.elements for one in artifact.tensors) == 15
    assert params(artifact) in (None, 15)


def test_a_config_over_the_limit_is_not_parsed(tmp_path):
    path = whole_model(tmp_path / "m.h5")
    artifact = opened(path, Limits(config_bytes=20))
    assert codes(artifact) == ["config-unreadable"]
    assert artifact.overhead["config"] == len(json.dumps(DENSE_CONFIG))


def test_a_list_as_the_config_of_a_sequential_is_keras_1s(tmp_path):
    config = {"class_name": "Sequential", "config": DENSE_CONFIG["config"]["layers"]}
    artifact = opened(whole_model(tmp_path / "m.h5", config=config))
    assert params(artifact) == 15
    assert codes(artifact) == []


@pytest.mark.parametrize("training", ["{broken", "[]", "5", '{"optimizer_config": 7}'])
def test_a_broken_training_config_leaves_the_optimizer_to_its_names(tmp_path, training):
    optimizer = {
        "Adam/iter:0": np.int64(3),
        "Adam/dense/kernel/m:0": np.zeros((4, 3), "f4"),
        "Adam/dense/bias/m:0": np.zeros(3, "f4"),
    }
    artifact = opened(whole_model(tmp_path / "m.h5", training=training, optimizer=optimizer))
    assert codes(artifact) == (["config-unreadable"] if training == "{broken" else [])
    assert [one.section for one in artifact.tensors[2:]] == [Section.OPTIMIZER] * 3
    assert params(artifact) == 15


def test_a_config_without_weights_is_no_error(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(DENSE_CONFIG)
    artifact = opened(path)
    assert codes(artifact) == ["no-weights"]
    assert artifact.missing == ("dense",)


def test_hdf5_that_is_no_model_says_what_it_holds(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        for name in ("train\n", "test", "x" * 500, "z"):
            file[name] = np.zeros(3)
    assert refused(path, UnknownFormat).startswith("HDF5 with no Keras model in it: 4 datasets")


def test_two_tensors_that_claim_the_same_bytes_are_counted_once(tmp_path):
    layers = {"dense": {"dense/kernel:0": DENSE_KERNEL, "dense/bias:0": DENSE_BIAS}}
    path = weights_file(tmp_path / "w.h5", layers)
    with h5py.File(path) as file:
        offset = file["dense/dense/kernel:0"].id.get_offset()
    artifact = opened(move_dataset(path, "dense/dense/bias:0", offset + 8))
    assert sum(one.nbytes for one in artifact.tensors) == 60


def test_attributes_that_claim_one_text_many_times_are_corrupt(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        legacy_weights(file, DENSE)
        file["dense"].attrs["long"] = "x" * 50_000
        for index in range(20):
            file["dense"].attrs[f"short{index}"] = "y" * (1000 + index)
    content = bytearray(path.read_bytes())
    (long,) = heap_references(content, 50_000)
    for index in range(20):
        (short,) = heap_references(content, 1000 + index)
        content[short : short + 16] = content[long : long + 16]
    path.write_bytes(content)
    assert "more text than the file has bytes" in refused(path, Corrupt)


def test_a_model_cut_anywhere_is_truncated_or_opens_whole(tmp_path):
    whole_model(tmp_path / "m.h5")
    content = (tmp_path / "m.h5").read_bytes()
    for size in range(1, len(content), 37):
        path = tmp_path / "cut.h5"
        path.write_bytes(content[:size])
        if size < 8:
            refused(path, UnknownFormat)
            continue
        message = refused(path, Truncated)
        if size >= 96:
            assert f"{len(content) - size:,} missing" in message


def test_bytes_behind_a_model_are_labelled(tmp_path):
    path = whole_model(tmp_path / "m.h5")
    with open(path, "ab") as file:
        file.write(bytes(777))
    assert opened(path).overhead["trailing bytes"] == 777


def test_the_limits_are_the_readers(tmp_path):
    path = whole_model(tmp_path / "m.h5")
    assert os.path.getsize(path) == opened(path, DEFAULT).nbytes
