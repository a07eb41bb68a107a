import dataclasses
import json
import os
import shutil

import pytest

from inspector.discover import discover
from inspector.errors import LimitExceeded, NotFound, UsageError
from inspector.limits import DEFAULT
from tests.builders import keras, samples
from tests.builders.hdf5 import whole_model

HDF5 = samples.path("stripped.h5")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a file `put` there by name as a copy of a sample."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name, sample="stripped.h5"):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    source = samples.path(sample)
    if os.path.isdir(source):
        shutil.copytree(source, name)
    else:
        shutil.copyfile(source, name)


def put_checkpoint(prefix):
    put(f"{prefix}.index", "ckpt_adam.index")
    put(f"{prefix}.data-00000-of-00001", "ckpt_adam.data-00000-of-00001")


def below(*paths):
    return discover(paths or ["."], recursive=True)


def test_paths_keep_their_order_and_count_once(folder):
    put("b.h5")
    put("a.h5")
    assert discover(["b.h5", "a.h5", "./b.h5"]).paths == ("b.h5", "a.h5")


def test_what_is_not_there_is_said_to_be_missing(folder):
    with pytest.raises(NotFound, match="no such file"):
        discover(["nix.h5"])


def test_of_a_folder_the_models_in_it_are_meant_and_not_those_below(folder):
    put("models/b.h5")
    put("models/a", "saved_module")
    put("models/below/c.h5")
    put_checkpoint("models/run/ckpt-1")
    assert discover(["models"]).paths == ("models/a", "models/b.h5", "models/run")
    assert "models/below/c.h5" in discover(["models"], recursive=True).paths


def test_a_folder_with_models_only_below_is_bad_usage_and_says_what_to_do(folder):
    put("models/below/c.h5")
    with pytest.raises(UsageError, match=r"models: no model .*--recursive"):
        discover(["models"])


def test_a_file_that_is_no_model_is_taken_where_it_is_named(folder):
    (folder / "notes.txt").write_text("nothing")
    assert discover(["notes.txt"]).paths == ("notes.txt",)


def test_folders_are_looked_through_by_content(folder):
    put("z/model")
    put("a/b/c/m.bin")
    (folder / "a" / "notes.txt").write_text("nothing")
    (folder / "a" / "compose.yml").write_text("version: 2\n")
    found = below()
    assert found.paths == ("a/b/c/m.bin", "z/model")
    assert found.found == {"a/b/c/m.bin", "z/model"}


def test_a_file_that_is_named_like_a_model_and_is_none_is_found(folder):
    (folder / "m.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    (folder / "m.txt").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert below().paths == ("m.h5",)


def test_a_model_s_folder_counts_once(folder):
    put("out/saved", "saved_export")
    put("out/dir", "k3_dir")
    put("out/m.h5")
    assert below("out").paths == ("out/dir", "out/m.h5", "out/saved")
    assert below("out/saved").paths == ("out/saved",)
    assert below("out/saved").found == frozenset()


def test_a_checkpoint_counts_once_by_its_prefix(folder):
    put_checkpoint("run/ckpt-1")
    put_checkpoint("run/ckpt-2")
    (folder / "run" / "checkpoint").write_text('model_checkpoint_path: "ckpt-2"\n')
    assert below("run").paths == ("run/ckpt-1", "run/ckpt-2")


@pytest.mark.parametrize(
    "given",
    [
        ["c", "c.index"],
        ["c.index", "c.data-00000-of-00001"],
        ["c.data-00000-of-00001", "c.index"],
        ["c*"],
        ["./c", "c.index", "c.data-00000-of-00001"],
    ],
)
def test_a_checkpoint_s_files_are_one_artifact_however_they_are_named(folder, given):
    put_checkpoint("c")
    assert len(discover(given).paths) == 1


def test_a_shard_without_its_index_is_left_to_be_told(folder):
    put("c.data-00000-of-00001", "ckpt_adam.data-00000-of-00001")
    assert discover(["c.data-00000-of-00001"]).paths == ("c.data-00000-of-00001",)


def test_files_of_version_1_of_checkpoints_count_once(folder):
    put("a/m.ckpt", "ckpt_v1_format.ckpt")
    put("b/c.index", "ckpt_v1.index")
    put("b/c.data-00000-of-00001", "ckpt_v1.data-00000-of-00001")
    put("b/c.meta", "ckpt_v1.meta")
    assert below().paths == ("a/m.ckpt", "b/c")
    put("d/alone.meta", "ckpt_v1.meta")
    assert below("d").paths == ("d/alone.meta",)


def test_shards_of_weights_count_once(folder):
    for name in os.listdir(samples.SAMPLES):
        if name.startswith("k3_sharded") and name.endswith((".weights.h5", ".weights.json")):
            put(f"w/{name}", name)
    assert below().paths == ("w/k3_sharded.weights.json",)
    assert discover(["w/*"]).paths == ("w/k3_sharded.weights.json",)
    put("w/other.weights.h5", "k3.weights.h5")
    assert below().paths == ("w/k3_sharded.weights.json", "w/other.weights.h5")


@pytest.mark.parametrize("shards", ["../out.h5", 3, ["a.h5", None]])
def test_a_weight_map_that_makes_no_sense_hides_nothing_outside(folder, shards):
    put("out.h5")
    os.mkdir("w")
    (folder / "w" / "m.weights.json").write_text(json.dumps({"weight_map": {"x": shards}}))
    found = below().paths
    assert "out.h5" in found
    assert "w/m.weights.json" in found


def test_hidden_files_and_folders_are_left_out(folder):
    put(".git/m.h5")
    put("a/.m.h5")
    put("a/m.h5")
    assert below().paths == ("a/m.h5",)
    assert below(".git").paths == (".git/m.h5",)


def test_links_out_of_the_folder_are_not_followed_and_told(folder):
    put("out/m.h5")
    put("in/m.h5")
    os.symlink("../out/m.h5", "in/link.h5")
    os.symlink("../out", "in/folder")
    found = below("in")
    assert found.paths == ("in/m.h5",)
    assert found.notes == ("in/link.h5: a link out of the folder, not followed",)


def test_a_link_to_nothing_is_told(folder):
    put("m.h5")
    os.symlink("nowhere", "link.h5")
    found = below()
    assert (found.paths, found.notes) == (("m.h5",), ("link.h5: a link to nothing",))


def test_links_within_the_folder_count_once(folder):
    put("blobs/abc")
    os.mkdir("snapshots")
    os.symlink("../blobs/abc", "snapshots/m.h5")
    assert below().paths == ("blobs/abc",)


def test_loops_of_links_end(folder):
    put("a/m.h5")
    os.symlink("..", "a/up")
    os.symlink("a", "again")
    os.symlink("self", "self")
    assert below().paths == ("a/m.h5",)
    assert discover(["**/*.h5"]).paths == ("a/m.h5",)


def test_pipes_are_left_out(folder):
    os.mkfifo("pipe.h5")
    put("m.h5")
    assert below().paths == ("m.h5",)


def test_a_folder_without_a_model_is_a_note(folder):
    os.mkdir("empty")
    put("m.h5")
    found = below("empty", "m.h5")
    assert (found.paths, found.notes) == (("m.h5",), ("empty: no model is in this folder",))


def test_to_look_at_nothing_is_bad_usage(folder):
    os.mkdir("empty")
    with pytest.raises(UsageError, match="empty: no model is in this folder"):
        below("empty")
    with pytest.raises(UsageError, match="no path"):
        discover([])


@pytest.mark.parametrize(
    ("glob", "paths"),
    [
        ("*.h5", ("b.h5",)),
        ("a/*.h5", ("a/m.h5", "a/n.h5")),
        ("./a/?.h5", ("./a/m.h5", "./a/n.h5")),
        ("**/*.h5", ("b.h5", "a/m.h5", "a/n.h5", "a/c/o.h5")),
        ("*/*/*.h5", ("a/c/o.h5",)),
        ("a/**/[mo].h5", ("a/m.h5", "a/c/o.h5")),
    ],
)
def test_globs_that_the_shell_left_alone_are_matched(folder, glob, paths):
    for name in ("b.h5", "a/n.h5", "a/m.h5", "a/c/o.h5", "a/c/x.txt"):
        put(name)
    assert discover([glob]).paths == paths
    absolute = tuple(os.path.join(folder, one) for one in paths)
    assert discover([os.path.join(folder, glob)]).paths == absolute


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (["**"], ("b.h5", "saved")),
        (["saved", "saved/*", "saved/**/*"], ("saved",)),
        (["saved/saved_model.pb", "saved"], ("saved/saved_model.pb",)),
        (["**/*.pb"], ("saved/saved_model.pb",)),
        (["saved/*"], ("saved/notes.h5", "saved/saved_model.pb")),
        # What somebody names is looked at.
        (
            ["saved", "saved/variables/variables.index"],
            ("saved", "saved/variables/variables.index"),
        ),
    ],
)
def test_a_glob_counts_a_saved_model_once(folder, given, paths):
    put("b.h5")
    put("saved", "saved_stripped")
    put("saved/notes.h5")
    assert discover(given).paths == paths


def test_a_folder_that_is_called_as_one_of_a_saved_model_is_its_own(folder):
    put_checkpoint("x/variables/variables")
    assert discover(["x/*"]).paths == ("x/variables",)


def test_a_glob_at_any_depth_finds_each_checkpoint_of_a_folder_once(folder):
    put("many", "ckpt_manager")
    assert discover(["**"]).paths == ("many/ckpt-2", "many/ckpt-3")


def test_a_glob_that_matches_nothing_is_bad_usage(folder):
    for glob in ("*.h5", "nix/*.h5"):
        with pytest.raises(UsageError, match="nothing matches"):
            discover([glob])


def test_a_file_that_is_named_like_a_glob_is_itself(folder):
    put("m[1].h5")
    put("m1.h5")
    assert discover(["m[1].h5"]).paths == ("m[1].h5",)


def test_looking_is_bounded(folder):
    for number in range(5):
        put(f"many/{number}.h5")
    put("a/b/c/d/m.h5")
    few = dataclasses.replace(DEFAULT, nodes=4)
    with pytest.raises(LimitExceeded, match="nodes"):
        discover(["many"], recursive=True, limits=few)
    shallow = dataclasses.replace(DEFAULT, depth=3)
    with pytest.raises(LimitExceeded, match="depth"):
        discover(["a"], recursive=True, limits=shallow)


def test_all_samples_are_found_once(monkeypatch):
    monkeypatch.chdir(samples.ROOT)
    found = discover(["sample_models"], recursive=True).paths
    named = {f"sample_models/{name}" for name in samples.NAMES} - {"sample_models/ckpt_manager"}
    assert set(found) == named | {f"sample_models/ckpt_manager/ckpt-{one}" for one in (2, 3)}
    assert len(found) == len(set(found))


def test_a_keras_file_is_found_by_content(folder):
    os.mkdir("x")
    keras.keras_zip("x/archive", keras.members(keras.h5_weights("x")))
    whole_model("x/whole")
    assert below().paths == ("x/archive", "x/whole")
