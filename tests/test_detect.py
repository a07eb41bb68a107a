"""What is at a path, told from its content; what is no Keras model gets one line that says so."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from inspector.detect import detect
from inspector.errors import NotFound, UnknownFormat, Unsupported
from tests.builders.checks import refused
from tests.builders.hdf5 import v3_store, weights_file
from tests.builders.keras import h5_weights, keras_folder, keras_zip, members, sharded


def npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.zeros(3), b=np.zeros(2))
    return out.getvalue()


def npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return out.getvalue()


def message(field: int, content: bytes) -> bytes:
    """A protobuf field of bytes; short ones only, so that the length is one byte."""
    assert len(content) < 128
    return bytes([field << 3 | 2, len(content)]) + content


LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 102853048\n"
)
HTML = b"<!DOCTYPE html>\n<html><head><title>404: Not Found</title></head></html>"
TFLITE = b"\x1c\0\0\0TFL3" + bytes(100)
TABLE = bytes(40) + 0xDB4775248B80FB57.to_bytes(8, "little")
NODE = message(1, message(1, b"input") + message(2, b"Placeholder"))
META_INFO = message(1, message(4, b"serve") + message(5, b"2.21.0"))
SAVED_MODEL = b"\x08\x01" + message(2, META_INFO + message(2, NODE))
META_GRAPH = message(1, message(2, message(1, message(1, b"Add"))) + message(4, b"serve"))
KERAS_METADATA = message(1, b"\x1a\x04root" + message(4, b"_tf_keras_sequential"))
SAFETENSORS = (8).to_bytes(8, "little") + b'{"a":{}}' + bytes(8)
GRAPH_TEXT = b'node {\n  name: "input"\n  op: "Placeholder"\n}\n'
STATE = b'model_checkpoint_path: "model-1000"\nall_model_checkpoint_paths: "model-1000"\n'

FILES = {
    "an empty file": (b"", UnknownFormat, "an empty file (0 bytes)"),
    "a Git LFS pointer": (
        LFS,
        UnknownFormat,
        "real object, 102,853,048 bytes (sha256 4d7a214614ab",
    ),
    "a protobuf that a checkout took for text": (
        (NODE + b"\x80\xff\xfe" + NODE).decode("utf-8", "replace").encode("utf-8"),
        UnknownFormat,
        "re-encoded as text",
    ),
    "a web page": (HTML, UnknownFormat, 'an HTML page titled "404: Not Found"'),
    "a web page after blank lines": (b"\r\n\n <html>", UnknownFormat, "an HTML page"),
    "TFLite of a schema long gone": (
        TFLITE.replace(b"TFL3", b"TFL2"),
        Unsupported,
        "TFLite model of schema version 2",
    ),
    "Keras metadata": (KERAS_METADATA, Unsupported, "keras_metadata.pb"),
    "safetensors": (SAFETENSORS, UnknownFormat, "safetensors"),
    "a pickle": (pickle.dumps({"a": [1]}), UnknownFormat, "Python pickle"),
    "an old pickle": (pickle.dumps([1], protocol=2), UnknownFormat, "Python pickle"),
    "npy": (npy(), UnknownFormat, "NumPy array (.npy)"),
    "npz": (npz(), UnknownFormat, "NumPy .npz of 2 arrays"),
    "PyTorch": (zipped("m/data.pkl", "m/version"), UnknownFormat, "PyTorch"),
    "another zip": (zipped("a", "b"), UnknownFormat, "zip without a Keras config.json"),
    "an empty zip": (zipped(), UnknownFormat, "zip without a Keras config.json (0 members)"),
    "gzip": (gzip.compress(b"x"), UnknownFormat, "gzip"),
    "tar": (tarred(), UnknownFormat, "tar archive"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(20), UnknownFormat, "PNG"),
    "JSON": (b'{"a": 1}', UnknownFormat, "JSON"),
    "a config": (b'{"class_name": "Sequential", "config": {}}', UnknownFormat, "config (JSON)"),
    "zeros": (bytes(5000), UnknownFormat, "zero bytes"),
    "noise": (bytes(range(128, 256)) * 40, UnknownFormat, "not HDF5, not a zip"),
    "text": (b"accuracy 0.93\nloss 0.2\n", UnknownFormat, 'beginning "accuracy 0.93"'),
    "a cut signature": (b"\x89HDF\r\n", UnknownFormat, "beginning of an HDF5 signature"),
    "a line of control codes": (b"\x1b[31mred", UnknownFormat, "not HDF5, not a zip"),
}


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "model.tflite"])
@pytest.mark.parametrize("kind", FILES)
def test_says_what_a_file_is_whatever_its_name(tmp_path, kind, name):
    content, error, words = FILES[kind]
    path = tmp_path / name
    path.write_bytes(content)
    assert words in refused(path, error)


def test_lfs_pointer_of_the_sample_has_134_bytes():
    assert len(LFS) == 134


def test_a_missing_file_is_also_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        detect(str(tmp_path / "nothing.h5"))
    assert refused(tmp_path / "nothing.h5", NotFound) == "no such file"
    assert refused(tmp_path / "a\0b.h5", NotFound) == "no such file"
    (tmp_path / "file").write_bytes(b"x")
    assert refused(tmp_path / "file" / "below.h5", NotFound) == "no such file"


def test_a_missing_file_s_near_namesake_is_told(tmp_path):
    for name in ("model.ckpt-100.index", "model.ckpt-100.data-00000-of-00001", "other.h5"):
        (tmp_path / name).write_bytes(b"x")
    meant = tmp_path / "model.ckpt-100"
    assert refused(tmp_path / "model.ckpt-10", NotFound) == f"no such file; did you mean '{meant}'?"
    assert refused(tmp_path / "otter.h5", NotFound) == (
        f"no such file; did you mean '{tmp_path / 'other.h5'}'?"
    )


def test_a_fingerprint_beside_its_model_is_told(tmp_path):
    (tmp_path / "fingerprint.pb").write_bytes(b"\x08\xff\xff\x03")
    (tmp_path / "saved_model.pb").write_bytes(SAVED_MODEL)
    assert "fingerprint.pb of a SavedModel" in refused(tmp_path / "fingerprint.pb", Unsupported)


@pytest.mark.parametrize("kind", ["fifo", "device", "loop"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "model.h5"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(path)
    assert "cannot be read" in refused(path)


CONTAINERS = {
    "a table": (TABLE, "checkpoint"),
    "a checkpoint's state": (STATE, "checkpoint"),
    "SavedModel": (SAVED_MODEL, "saved-model"),
    "SavedModel as text": (b"saved_model_schema_version: 1\n", "saved-model"),
    "GraphDef": (NODE, "graph-def"),
    "GraphDef as text": (GRAPH_TEXT, "graph-text"),
    "GraphDef as text, after a comment": (b"# made by hand\n\n" + GRAPH_TEXT, "graph-text"),
    "MetaGraphDef": (META_GRAPH, "meta-graph"),
    "TFLite": (TFLITE, "tflite"),
}


@pytest.mark.parametrize("name", ["model.h5", "model.pb", "model"])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_knows_files_of_tensorflow_whatever_their_name(tmp_path, kind, name):
    content, container = CONTAINERS[kind]
    (tmp_path / name).write_bytes(content)
    assert detect(str(tmp_path / name)) == container


def test_a_prefix_is_a_checkpoint_where_its_index_is(tmp_path):
    (tmp_path / "ckpt-1.index").write_bytes(TABLE)
    assert detect(str(tmp_path / "ckpt-1")) == "checkpoint"
    with pytest.raises(NotFound):
        detect(str(tmp_path / "ckpt-2"))
    # Version 1 has no index: shards alone.
    (tmp_path / "m-7-00000-of-00002").write_bytes(TABLE)
    assert detect(str(tmp_path / "m-7")) == "checkpoint"
    assert detect(str(tmp_path / "m-7-?????-of-00002")) == "checkpoint"
    with pytest.raises(NotFound):
        detect(str(tmp_path / "m-8-?????-of-00002"))
    # The prefix may be a folder's name as well.
    (tmp_path / "ckpt-1").mkdir()
    assert detect(str(tmp_path / "ckpt-1")) == "checkpoint"


def test_a_data_shard_is_told_by_its_name_as_its_content_says_nothing(tmp_path):
    shard = tmp_path / "v.data-00000-of-00001"
    shard.write_bytes(np.arange(9, dtype="f4").tobytes() + b"\x9e\x01")
    assert "its values are, is not beside it" in refused(shard, UnknownFormat)
    # With the index beside it any bytes will do, those of a pickle too.
    (tmp_path / "v.index").write_bytes(TABLE)
    shard.write_bytes(b"\x80\x02" + bytes(9))
    assert detect(str(shard)) == "checkpoint"
    shard.write_bytes(LFS)
    assert "Git LFS pointer" in refused(shard, UnknownFormat)


def test_a_huge_file_that_begins_like_json_is_not_read_whole(tmp_path):
    path = tmp_path / "model.json"
    with open(path, "wb") as file:
        file.write(b'{"weight_map": {')
        file.truncate(40 << 30)
    assert "not HDF5, not a zip" in refused(path, UnknownFormat)


def test_a_message_is_one_short_line_whatever_the_names_in_it(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for index in range(9):
        (folder / f"a\n\x1b{index}{'x' * 200}.index.data-00000").write_bytes(b"")
    (folder / f"a\n\x1b{'y' * 200}.h5").write_bytes(b"x")
    assert "a folder, not a model" in refused(folder, UnknownFormat)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("b\n" + "z" * 60_000, b"")
    assert "zip without" in refused(tmp_path / "m.keras", UnknownFormat)


FOLDERS = {
    "SavedModel in chunks": ({"saved_model.cpb": b""}, Unsupported, "saved_model.cpb"),
    "empty": ({}, UnknownFormat, "an empty folder"),
    "unrelated": ({"a.txt": b"x", "b.txt": b"y"}, UnknownFormat, "no model in it"),
    "one file": ({"a.txt": b"x"}, UnknownFormat, "no model in it that is known here: 1 entry"),
    "config of something else": ({"config.json": b"{}"}, UnknownFormat, "no model in it"),
    "variables of a SavedModel": (
        {"variables/variables.index": TABLE},
        UnknownFormat,
        "without its saved_model.pb: ",
    ),
    "a model further down": ({"1/saved_model.pb": b""}, UnknownFormat, "around a model: open "),
    "models further down": (
        {"1/saved_model.pb": b"", "2/checkpoint": b""},
        UnknownFormat,
        "a folder of models, not a model: open one of ",
    ),
    "SavedModel not pulled": ({"saved_model.pb": LFS}, UnknownFormat, "Git LFS pointer"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_says_what_a_folder_is(tmp_path, kind):
    parts, error, words = FOLDERS[kind]
    folder = tmp_path / "model.keras"
    folder.mkdir()
    keras_folder(folder, parts)
    assert words in refused(folder, error)


OPENED_FOLDERS = {
    "SavedModel": ({"saved_model.pb": SAVED_MODEL}, "saved-model"),
    "SavedModel as text": ({"saved_model.pbtxt": b""}, "saved-model"),
    "SavedModel beside other models": ({"saved_model.pb": b"", "a.h5": b""}, "saved-model"),
    "checkpoint": ({"checkpoint": STATE}, "checkpoint"),
    "checkpoint beside other models": ({"checkpoint": STATE, "a.h5": b""}, "checkpoint"),
    "index": ({"ckpt-1.index": TABLE}, "checkpoint"),
}


@pytest.mark.parametrize("kind", OPENED_FOLDERS)
def test_knows_folders_of_tensorflow(tmp_path, kind):
    parts, container = OPENED_FOLDERS[kind]
    folder = tmp_path / "model.keras"
    folder.mkdir()
    assert detect(keras_folder(folder, parts)) == container


def test_knows_what_it_reads_by_content(tmp_path):
    content = h5_weights(tmp_path)
    assert detect(weights_file(tmp_path / "a.txt")) == "hdf5"
    assert detect(weights_file(tmp_path / "b.txt", userblock_size=2048)) == "hdf5"
    assert detect(v3_store(tmp_path / "c.txt", {"layers/d": [np.zeros(1)]})) == "hdf5"
    assert detect(keras_zip(tmp_path / "d.h5", members(content))) == "zip"
    assert detect(keras_folder(tmp_path / "e.h5", members(content))) == "keras-dir"
    assert detect(sharded(tmp_path, {"s.weights.h5": {"layers/d": [np.zeros(1)]}}, 8)) == (
        "keras-shards"
    )


def test_a_weight_map_needs_no_telling_name(tmp_path):
    path = tmp_path / "w.h5"
    path.write_text(json.dumps({"metadata": {}, "weight_map": {}}))
    assert detect(str(path)) == "keras-shards"


def test_a_folder_of_models_asks_for_one_of_them(tmp_path):
    for name in ("b.h5", "a.keras", "model.index"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UnknownFormat, match=r"name the files in it \(a.keras, b.h5\)"):
        detect(str(tmp_path))


def test_stdin_is_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownFormat, match="not read from stdin"):
        detect("-")
    v3_store("-", {})
    assert detect("-") == "hdf5"


def test_a_link_to_nowhere_is_not_said_to_be_missing_itself(tmp_path):
    (tmp_path / "link.h5").symlink_to(tmp_path / "gone.h5")
    with pytest.raises(NotFound, match="a link to a file that is not there"):
        detect(str(tmp_path / "link.h5"))
