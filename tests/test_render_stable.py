"""The text that git holds against another version's: what changes is a line, all else is still."""

import hashlib
import json
import os
import shutil

import h5py
import pytest

from tests.builders.artifacts import CASES
from tests.builders.samples import NAMES, path
from tests.builders.terminal import call


def stable(file, *more, **variables):
    result = call("show", "--stable", str(file), *more, **variables)
    assert (result.code, result.err) == (0, "")
    return result.out.splitlines()


def changed(before, after):
    """Lines that only one of two texts has: (gone, new)."""
    return [one for one in before if one not in after], [one for one in after if one not in before]


@pytest.fixture
def model(tmp_path):
    target = tmp_path / "git-blob-1" / "model.h5"
    target.parent.mkdir()
    shutil.copy(path("stripped.h5"), target)
    return target


def edit(file, change):
    with h5py.File(file, "r+") as opened:
        change(opened)


def test_a_changed_weight_is_one_changed_line(model):
    before = stable(model)
    edit(model, lambda f: f["model_weights/dense/dense/bias:0"].__setitem__(0, 0.25))
    gone, new = changed(before, stable(model))
    assert [len(gone), len(new)] == [1, 1]
    assert gone[0].split(" zeros")[0] == new[0].split(" zeros")[0]
    assert gone[0].startswith("tensor dense/bias: weight float32 64 zeros 0 from ")
    assert " to 0.25 " in new[0]


def test_a_changed_setting_is_one_changed_line(model):
    before = stable(model)

    def change(file):
        text = file.attrs["model_config"]
        file.attrs["model_config"] = text.replace('"activation": "relu"', '"activation": "tanh"', 1)

    edit(model, change)
    assert changed(before, stable(model)) == (
        ['layer dense activation = "relu"'],
        ['layer dense activation = "tanh"'],
    )


def test_another_learning_rate_is_one_changed_line(tmp_path):
    model = tmp_path / "m.h5"
    shutil.copy(path("pruned.h5"), model)
    before = stable(model)

    def change(file):
        training = json.loads(file.attrs["training_config"])
        training["optimizer_config"]["config"]["learning_rate"] = 0.5
        file.attrs["training_config"] = json.dumps(training)

    edit(model, change)
    gone, new = changed(before, stable(model))
    assert new == ["training optimizer_config.config.learning_rate = 0.5"]
    assert len(gone) == 1


@pytest.mark.parametrize("name", NAMES)
def test_it_never_says_where_the_file_lies(name, monkeypatch):
    here = stable(path(name))
    assert not any(os.path.dirname(path(name)) in line for line in here)
    monkeypatch.chdir(os.path.dirname(path(name)))
    assert stable(name) == here


def test_neither_terminal_nor_variables_matter(model):
    plain = stable(model)
    terminal = call(
        "show",
        "--stable",
        str(model),
        terminal=True,
        COLUMNS="40",
        TERM="xterm",
        LANG="de_DE.UTF-8",
    )
    assert terminal.out.splitlines() == plain
    assert stable(model, "--width", "50", "--color", "always") == plain


def test_storage_does_not_matter(model, tmp_path):
    again = tmp_path / "again.h5"
    with h5py.File(model) as old, h5py.File(again, "w") as new:
        for key in reversed(list(old.attrs)):
            new.attrs[key] = old.attrs[key]
        for key in reversed(list(old)):
            old.copy(key, new)
        weights = new["model_weights/dense/dense"]
        values = weights["kernel:0"][()]
        del weights["kernel:0"]
        weights.create_dataset("kernel:0", data=values, chunks=(2, 64), compression="gzip")
    assert os.path.getsize(again) != os.path.getsize(model)
    assert stable(again) == stable(model)


@pytest.mark.parametrize("name", CASES)
def test_every_line_is_printable_and_none_is_endless(name):
    from inspector.render.stable import render
    from inspector.report import report

    text = render(report("show", (CASES[name]().build(),)))
    assert all(line.isprintable() for line in text.splitlines())


def test_a_line_for_each_tensor_says_what_it_is(model):
    lines = [one for one in stable(model) if one.startswith("tensor ")]
    with h5py.File(model) as file:
        bias = file["model_weights/dense/dense/bias:0"][()]
    digest = hashlib.sha256(bias.tobytes()).hexdigest()[:12]
    assert lines[0] == (
        f"tensor dense/bias: weight float32 64 zeros {int((bias == 0).sum())} "
        f"from {bias.min():.6g} to {bias.max():.6g} {digest}"
    )
    assert len(lines) == 4


def test_connections_are_settings_of_the_layer():
    """Keras 3 and Keras 2 write them in two ways."""
    assert 'layer head inputs = [{"args": ["inner"], "kwargs": {}}]' in stable(path("k3.keras"))
    assert 'layer subtract inputs = [["base:1:0", "base:2:0"]]' in stable(path("tfk_shared.h5"))


def test_scales_of_integers_are_in_the_line():
    (line,) = [one for one in stable(path("lite_int8.tflite")) if "depthwise_kernel" in one]
    assert " scale [" in line
    assert " zero_point [0, 0] " in line


def test_a_long_setting_has_a_beginning_and_a_digest(model):
    def change(file):
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"]["vocabulary"] = [f"word{i}" for i in range(1000)]
        file.attrs["model_config"] = json.dumps(config)

    edit(model, change)
    (line,) = [one for one in stable(model) if "vocabulary" in one]
    assert len(line) < 400
    assert '"word0"' in line


# --- what cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 20])
def test_a_pointer_of_git_lfs_is_told_and_its_versions_differ(tmp_path, size):
    pointer = tmp_path / "model.h5"
    texts = []
    for oid in "ab":
        pointer.write_text(
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid * 64}\nsize {size}\n"
        )
        texts.append(stable(pointer))
    assert texts[0][0].startswith("cannot be read: ")
    assert "LFS" in texts[0][0]
    assert texts[0] != texts[1]
    assert not any(str(tmp_path) in line for line in texts[0])


def test_a_broken_file_is_told_and_git_goes_on(tmp_path):
    broken = tmp_path / "model.h5"
    with open(path("pruned.h5"), "rb") as whole:
        broken.write_bytes(whole.read(20_000))
    lines = stable(broken)
    assert lines[0].startswith("cannot be read: ")
    assert not any(str(tmp_path) in line for line in lines)


def test_a_path_that_leads_nowhere_is_an_error(tmp_path):
    result = call("show", "--stable", str(tmp_path / "none.h5"))
    assert (result.code, result.out) == (2, "")
    assert "no such file" in result.err


def test_it_is_text_and_nothing_else(model):
    result = call("show", "--stable", str(model), "--format", "json")
    assert (result.code, result.out) == (2, "")
    assert "--stable" in result.err


def test_two_artifacts_stand_apart(model):
    both = call("show", "--stable", str(model), str(model)).out
    once = call("show", "--stable", str(model)).out
    assert both == f"{once}\n{once}"


def test_it_goes_to_a_file(model, tmp_path):
    result = call("show", "--stable", str(model), "-o", str(tmp_path / "out.txt"))
    assert result.out == ""
    assert (tmp_path / "out.txt").read_text().splitlines() == stable(model)
