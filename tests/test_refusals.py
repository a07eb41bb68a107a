"""Files whose stored variables and config do not go together: Keras refuses them, we say why."""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import pytest

from inspector import api
from inspector.read import read
from tests.builders import cases as c

KERNEL, BIAS = c.values(4, 4), c.values(4)


def _dense(name):
    return {f"{name}/kernel:0": KERNEL, f"{name}/bias:0": BIAS}


def _two(path, units=4):
    """Two layers of 4 x 4 + 4 = 20 parameters each."""
    config = c.sequential(c.dense("a", 4), c.dense("b", units))
    return c.legacy(path, {"a": _dense("a"), "b": _dense("b")}, config)


def _totals(path):
    found = api.show(str(path)).artifacts[0]
    return found.totals, found.totals_reasons, [p.code for p in found.problems]


def test_a_sound_file_is_counted(tmp_path):
    totals, reasons, _ = _totals(_two(tmp_path / "m.h5"))
    assert totals.count_params == 40
    assert reasons == {}


def test_a_shape_that_the_config_contradicts_leaves_the_count_open(tmp_path):
    totals, reasons, _ = _totals(_two(tmp_path / "m.h5", units=5))
    assert totals.count_params is None
    assert "units=5" in reasons["count_params"]
    assert "refuses" in reasons["count_params"]


def test_too_few_variables_for_the_class_leave_the_count_open(tmp_path):
    config = c.sequential(c.dense("a", 4), c.dense("b", 4))
    path = c.legacy(tmp_path / "m.h5", {"a": _dense("a"), "b": {"b/kernel:0": KERNEL}}, config)
    totals, reasons, _ = _totals(path)
    assert totals.count_params is None
    assert totals.stored_elements == 36
    assert "2 variables by its config, and 1 are stored" in reasons["count_params"]


def test_two_variables_loaded_from_one_dataset_count_twice_and_are_stored_once(tmp_path):
    path = _two(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        weights = file["model_weights"]
        del weights["b/b/kernel:0"]
        weights["b/b/kernel:0"] = weights["a/a/kernel:0"]  # a hard link
    totals, _, codes = _totals(path)
    # Keras reads 20 + 20 values; the file holds 20 + 4.
    assert totals.count_params == totals.trainable == 40
    assert totals.stored_elements == 24
    assert "linked-tensor" in codes
    with read(str(path)) as opened:
        assert sum(t.nbytes for t in opened.artifact.tensors) == 24 * 4


def test_the_same_without_a_config_may_be_one_variable_or_two(tmp_path):
    path = tmp_path / "w.h5"
    c.legacy(path, {"a": _dense("a"), "b": _dense("b")})
    with h5py.File(path, "a") as file:
        del file["b/b/kernel:0"]
        file["b/b/kernel:0"] = file["a/a/kernel:0"]
        file["b/b/bias:0"][:] = -BIAS
    totals, reasons, codes = _totals(path)
    assert totals.count_params is None
    assert "one variable saved twice, or two" in reasons["count_params"]
    assert "equal-tensors" in codes


@pytest.mark.parametrize(("version", "expected"), [(c.TF_KERAS, 40), (c.KERAS3, None)])
def test_newer_keras_3_refuses_soft_links_and_tf_keras_follows_them(tmp_path, version, expected):
    config = c.sequential(c.dense("a", 4), c.dense("b", 4))
    objects = {"layers/dense": [KERNEL, BIAS], "layers/dense_1": [KERNEL, -BIAS]}
    path = c.archive(tmp_path / "m.keras", config, objects, version=version)
    inner = tmp_path / "inner.h5"
    with zipfile.ZipFile(path) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    inner.write_bytes(members["model.weights.h5"])
    with h5py.File(inner, "a") as file:
        del file["layers/dense_1/vars/0"]
        file["layers/dense_1/vars/0"] = h5py.SoftLink("/layers/dense/vars/0")
    members["model.weights.h5"] = inner.read_bytes()
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    totals, _, codes = _totals(path)
    assert totals.count_params == expected
    assert "soft-link" in codes


def test_a_store_without_variables_has_no_count(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layers/dense/vars").attrs["name"] = "dense"
    totals, reasons, _ = _totals(path)
    assert totals.count_params is None
    assert "saved before it was built" in reasons["count_params"]


def test_two_opaque_bytes_without_a_word_are_probably_bfloat16(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((4, 3), "V2")
    found = api.show(str(path)).artifacts[0]
    assert "probably bfloat16" in found.tensors[0].storage
    assert any("probably bfloat16" in sentence for sentence in found.answer)


def test_a_link_is_named_with_the_tensor_it_leads_to_even_where_no_bytes_are_stored(tmp_path):
    path = tmp_path / "w.h5"
    c.legacy(path, {name: {f"{name}/kernel:0": None} for name in "abc"})
    with h5py.File(path, "a") as file:
        for name in "ac":
            file.create_dataset(f"{name}/{name}/kernel:0", (4, 4), "f4")  # never written
        file["b/b/kernel:0"] = file["a/a/kernel:0"]
    _, reasons, _ = _totals(path)
    assert "holds the values of a/a/kernel:0" in reasons["count_params"]
