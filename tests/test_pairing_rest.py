"""What is no weight finds its partner too, and names alone do where there are no values."""

import dataclasses
import json
import shutil

import h5py
import pytest

import inspector
from inspector.classify import classify
from inspector.model import Role
from inspector.pairing import Side, agreement, pair
from tests.builders.samples import NAMES, path


def side(artifact):
    return Side(artifact, classify(artifact).verdicts)


def without_values(one):
    """As a report tells it that was saved: no payloads, and no bytes to find them at."""
    tensors = tuple(
        dataclasses.replace(t, payload=None, centred=None, real=None, check=None, extents=())
        for t in one.artifact.tensors
    )
    return Side(dataclasses.replace(one.artifact, tensors=tensors), one.verdicts)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_an_artifact_is_left_over_beside_itself(name):
    with inspector.open(path(name)) as a, inspector.open(path(name)) as b:
        found = pair(side(a.artifact), side(b.artifact))
    assert (found.only_a, found.only_b) == ((), ())
    assert [one for one in found.pairs if one.a.name != one.b.name] == []
    assert len({one.a.name for one in found.pairs}) == len(found.pairs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", [0, 1])
def test_values_on_one_side_are_enough_to_pair_and_not_to_compare(name, which):
    with inspector.open(path(name)) as a, inspector.open(path(name)) as b:
        sides = [side(a.artifact), side(b.artifact)]
        sides[which] = without_values(sides[which])
        found = pair(*sides)
        assert (found.only_a, found.only_b) == ((), ())
        assert [one for one in found.pairs if one.a.name != one.b.name] == []
        for one in found.pairs:
            held = agreement(one)
            assert not held.agrees
            assert held.why_not.endswith("has no values")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("pruned.h5", "stripped.h5"),
        ("stripped.h5", "saved_stripped"),
        ("lite_float.tflite", "lite_int8.tflite"),
        ("k3.keras", "k3.h5"),
    ],
)
def test_two_formats_without_values_do_not_break_it(a, b):
    with inspector.open(path(a)) as one, inspector.open(path(b)) as other:
        sides = side(one.artifact), side(other.artifact)
        full = pair(*sides)
        bare = pair(*map(without_values, sides))
    assert {(p.a.name, p.b.name) for p in bare.pairs} == {(p.a.name, p.b.name) for p in full.pairs}


@pytest.mark.parametrize("which", [0, 1])
def test_a_converted_model_without_values_does_not_break_it(which):
    with inspector.open(path("stripped.h5")) as a, inspector.open(path("lite_float.tflite")) as b:
        sides = [side(a.artifact), side(b.artifact)]
        sides[which] = without_values(sides[which])
        found = pair(*sides)
    assert all(agreement(one).why_not for one in found.pairs)


def renamed(source, target, old, new):
    """A whole model in HDF5 with one layer called otherwise, everywhere."""
    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        for key in ("model_config",):
            config = json.loads(file.attrs[key])
            for node in config["config"]["layers"]:
                if node["config"]["name"] == old:
                    node["config"]["name"] = new
            file.attrs[key] = json.dumps(config)
        weights = file["model_weights"]
        names = [
            one.decode() if isinstance(one, bytes) else one for one in weights.attrs["layer_names"]
        ]
        weights.attrs["layer_names"] = [new if one == old else one for one in names]
        weights.move(old, new)
    return str(target)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("stripped.h5", "dense"),
        ("pruned.h5", "prune_low_magnitude_dense_1"),
        ("qat.h5", "quant_dense"),
        ("clustered.h5", "cluster_dense"),
    ],
)
def test_nothing_is_left_over_where_one_layer_has_another_name(tmp_path, name, layer):
    again = renamed(path(name), tmp_path / "again.h5", layer, "another")
    with inspector.open(path(name)) as a, inspector.open(again) as b:
        found = pair(side(a.artifact), side(b.artifact))
        assert ([one.name for one in found.only_a], [one.name for one in found.only_b]) == ([], [])
        assert all(agreement(one).same_values for one in found.pairs)


def test_copies_are_paired_with_copies_of_the_same():
    with inspector.open(path("pruned.keras")) as a, inspector.open(path("pruned.keras")) as b:
        one = side(a.artifact)
        found = pair(one, side(b.artifact))
    copies = [p for p in found.pairs if one.verdicts[p.a.name].role is Role.ALIAS]
    assert len(copies) == 2
    assert all(p.a.name == p.b.name for p in copies)


def test_the_weights_alone_are_paired_when_the_rest_is_not_wanted():
    with inspector.open(path("pruned.keras")) as a, inspector.open(path("pruned.keras")) as b:
        found = pair(side(a.artifact), side(b.artifact), rest=False)
    assert len(found.only_a) == len(found.only_b) == 2  # the copies


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("k3_bfloat16.keras", "k3_rnn.keras"),
        ("k3_rnn.keras", "k3_sharded.keras"),
        ("pruned_2by4.h5", "pruned_convnet.keras"),
        ("pruned_2by4.h5", "pruned_convnet.h5"),
    ],
)
def test_two_models_that_have_little_in_common_are_paired_alike_from_both_sides(a, b):
    with inspector.open(path(a)) as one, inspector.open(path(b)) as other:
        sides = side(one.artifact), side(other.artifact)
        forth, back = pair(*sides), pair(*sides[::-1])
    assert {(p.a.name, p.b.name) for p in forth.pairs} == {(p.b.name, p.a.name) for p in back.pairs}
    assert {t.name for t in forth.only_a} == {t.name for t in back.only_b}
