"""Equal weights in layers whose class is not known: one variable, or two?"""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest

from inspector import api
from inspector.classify import classify
from inspector.model import Store
from inspector.ties import find_ties

KERNEL = np.arange(24, dtype="f4").reshape(6, 4)


def _store(path, second=KERNEL, names=("dense", "tied")):
    """A v3 store without a config; "tied" is no class that Keras has."""
    with h5py.File(path, "w") as file:
        file[f"layers/{names[0]}/vars/0"] = KERNEL
        file[f"layers/{names[1]}/vars/0"] = second
    return str(path)


def _show(path, *, measure=True):
    return api.show(path, measure=measure).artifacts[0]


def test_one_variable_saved_under_two_layers_leaves_the_count_open(tmp_path):
    found = _show(_store(tmp_path / "m.weights.h5"))
    assert found.totals.count_params is None
    assert found.totals.stored_elements == 48
    message = next(p.message for p in found.problems if p.code == "equal-tensors")
    # 6 x 4 = 24 values of 4 bytes = 96 bytes.
    assert "count_params is 24" in message
    assert "96 bytes" in message
    assert "it is 48" in message


def test_without_measuring_the_first_bytes_tell(tmp_path):
    found = _show(_store(tmp_path / "m.weights.h5"), measure=False)
    assert found.totals.count_params is None


def test_different_values_are_two_variables(tmp_path):
    found = _show(_store(tmp_path / "m.weights.h5", KERNEL + 1))
    assert found.totals.count_params == 48


def test_values_that_differ_only_far_behind_are_two_when_measured(tmp_path):
    first = np.arange(4096, dtype="f4").reshape(64, 64)
    second = first.copy()
    # Two values change places: the minimum, the maximum and the zeros are the same.
    second[40, 0], second[40, 1] = first[40, 1], first[40, 0]
    path = str(tmp_path / "m.weights.h5")
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = first
        file["layers/tied/vars/0"] = second
    assert _show(path).totals.count_params == 8192


def test_zero_initialised_tensors_of_one_shape_are_no_ties(tmp_path):
    path = str(tmp_path / "m.weights.h5")
    with h5py.File(path, "w") as file:
        for name in ("alpha", "beta"):
            file[f"layers/{name}/vars/0"] = np.zeros((6, 4), "f4")
    assert _show(path).totals.count_params == 48


def test_known_classes_are_two_layers_even_with_equal_values(tmp_path):
    found = _show(_store(tmp_path / "m.weights.h5", names=("dense", "dense_1")))
    assert found.totals.count_params == 48
    assert not [p for p in found.problems if p.code == "equal-tensors"]


@pytest.mark.parametrize(("store", "ties"), [(Store.V3, 1), (Store.OBJECTS, 0), (Store.NAMES, 0)])
def test_where_each_variable_has_one_key_equal_values_are_two_variables(tmp_path, store, ties):
    with api.open(_store(tmp_path / "m.weights.h5")) as opened:
        verdicts = classify(opened.artifact).verdicts
        found = find_ties(dataclasses.replace(opened.artifact, store=store), verdicts)
    assert len(found) == ties
