"""`.keras`, zipped and unpacked, with HDF5 and npz weights: sound, odd and broken."""

import io
import json
import os
import zipfile

import numpy as np
import pytest

from inspector.classify import classify
from inspector.count import count
from inspector.errors import Truncated, UnknownFormat
from inspector.limits import Limits
from inspector.model import Naming, Severity
from inspector.read import read
from tests.builders.checks import assert_adds_up, codes, opened, refused, tensor
from tests.builders.hdf5 import DENSE_BIAS, DENSE_CONFIG, DENSE_KERNEL
from tests.builders.keras import (
    DENSE_STORE,
    h5_weights,
    keras_folder,
    keras_zip,
    members,
    npz_weights,
)
from tests.builders.zips import Entry, build


@pytest.fixture
def weights(tmp_path):
    return h5_weights(tmp_path)


def params(artifact):
    return count(artifact, classify(artifact).verdicts).totals.count_params


def values(path):
    """Name -> values of each tensor, read while the artifact is open."""
    with read(str(path)) as result:
        return {
            one.name: np.concatenate([*one.payload.blocks(16)]).tolist()
            for one in result.artifact.tensors
        }


def test_a_zip_knows_layers_by_its_config_and_places_bytes_in_the_zip_itself(tmp_path, weights):
    path = keras_zip(tmp_path / "m.keras", members(weights))
    artifact = opened(path)
    assert artifact.format == "keras-zip"
    assert artifact.producer is not None
    assert artifact.producer.version == "3.5.0"
    assert [(t.layer, t.variable, t.naming) for t in artifact.tensors] == [
        ("dense", "kernel", Naming.CONFIG),
        ("dense", "bias", Naming.CONFIG),
    ]
    content = (tmp_path / "m.keras").read_bytes()
    (extent,) = tensor(artifact, "0").extents
    assert content[extent.offset : extent.offset + extent.length] == DENSE_KERNEL.tobytes()
    assert params(artifact) == 15
    assert codes(artifact) == []


def test_deflated_weights_are_read_and_counted_as_one_compressed_member(tmp_path, weights):
    path = keras_zip(tmp_path / "m.keras", members(weights), zipfile.ZIP_DEFLATED)
    artifact = opened(path)
    with zipfile.ZipFile(path) as archive:
        packed = archive.getinfo("model.weights.h5").compress_size
    assert artifact.overhead["model.weights.h5, compressed"] == packed
    assert params(artifact) == 15
    assert list(values(path).values()) == [DENSE_KERNEL.reshape(-1).tolist(), DENSE_BIAS.tolist()]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_npz_weights_are_read_without_unpickling(tmp_path, method):
    path = keras_zip(tmp_path / "m.keras", members(npz_weights(), "model.weights.npz"), method)
    artifact = opened(path)
    assert [(t.layer, t.variable) for t in artifact.tensors] == [
        ("dense", "kernel"),
        ("dense", "bias"),
    ]
    assert params(artifact) == 15
    assert list(values(path).values()) == [DENSE_KERNEL.reshape(-1).tolist(), DENSE_BIAS.tolist()]


def test_an_npz_with_a_broken_member_shows_the_others(tmp_path):
    content = npz_weights({**DENSE_STORE, "layers/dense_1": [np.ones(7, "f4")]})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["layers/dense_1.npy"] = parts["layers/dense_1.npy"][:-20]
    parts["readme.npy"] = b"no array"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    path = keras_zip(tmp_path / "m.keras", members(out.getvalue(), "model.weights.npz"))
    artifact = opened(path)
    assert codes(artifact) == ["member-unreadable"] * 2
    assert sum(one.elements for one in artifact.tensors) == 15


def test_an_unpacked_folder_is_the_same_model(tmp_path, weights):
    artifact = opened(keras_folder(tmp_path / "m", members(weights)))
    assert artifact.format == "keras-dir"
    assert sorted(os.path.basename(entry.path) for entry in artifact.files) == [
        "config.json",
        "metadata.json",
        "model.weights.h5",
    ]
    assert params(artifact) == 15


def test_links_and_pipes_in_a_folder_are_not_followed(tmp_path, weights):
    path = keras_folder(tmp_path / "m", members(weights))
    os.symlink("/etc/passwd", tmp_path / "m" / "assets")
    os.makedirs(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", tmp_path / "m" / "more")
    os.mkfifo(tmp_path / "m" / "pipe")
    artifact = opened(path)
    assert sorted(codes(artifact)) == ["odd-file", "symbolic-link", "symbolic-link"]
    assert params(artifact) == 15


@pytest.mark.parametrize("name", ["model.weights.h5", "config.json"])
def test_a_member_that_is_a_link_is_not_read_through_it(tmp_path, weights, name):
    path = keras_folder(tmp_path / "m", members(weights))
    os.rename(tmp_path / "m" / name, tmp_path / "moved")
    os.symlink(tmp_path / "moved", tmp_path / "m" / name)
    artifact = opened(path)
    assert "symbolic-link" in codes(artifact)
    assert (artifact.tensors == ()) == (name == "model.weights.h5")
    assert (artifact.model is None) == (name == "config.json")


def test_a_config_alone_says_that_the_weights_are_missing(tmp_path):
    artifact = opened(keras_zip(tmp_path / "m.keras", members(None)))
    assert codes(artifact) == ["no-weights"]
    assert not artifact.complete
    assert artifact.model is not None


@pytest.mark.parametrize(
    ("drop", "add", "words"),
    [
        ("config.json", {}, "without a Keras config.json (2 members: metadata.json"),
        ("config.json", {"m/config.json": b"{}"}, "config.json lies in a folder, at m/config.json"),
    ],
)
def test_a_zip_without_a_config_at_its_top_is_no_model(tmp_path, weights, drop, add, words):
    parts = {**members(weights), **add}
    del parts[drop]
    assert words in refused(keras_zip(tmp_path / "m.keras", parts), UnknownFormat)


def test_weights_cut_short_inside_the_zip_are_a_problem_of_theirs_alone(tmp_path, weights):
    path = keras_zip(tmp_path / "m.keras", members(weights[:-600]))
    artifact = opened(path)
    assert codes(artifact) == ["weights-unreadable"]
    assert "600 missing" in artifact.problems[0].message
    assert artifact.model is not None
    assert artifact.overhead["model.weights.h5, unread"] == len(weights) - 600


def test_a_zip_cut_short_is_truncated(tmp_path, weights):
    path = tmp_path / "m.keras"
    keras_zip(path, members(weights))
    content = path.read_bytes()
    for size in range(4, len(content) - 1, 37):
        path.write_bytes(content[:size])
        refused(path, Truncated)


def entries(weights, *more, **changes):
    return [
        *(
            Entry(name.encode(), content, **changes.get(name, {}))
            for name, content in members(weights).items()
        ),
        *more,
    ]


def test_members_that_would_leave_their_folder_are_an_error_and_go_nowhere(tmp_path, weights):
    folder = tmp_path / "inner"
    folder.mkdir()
    path = folder / "m.keras"
    path.write_bytes(
        build(*entries(weights, Entry(b"../evil.txt", b"x"), Entry(b"/abs.txt", b"y")))
    )
    artifact = opened(path)
    assert codes(artifact) == ["zip-unsafe-name"] * 2
    assert {p.severity for p in artifact.problems} == {Severity.ERROR}
    assert sorted(os.listdir(tmp_path)) == ["inner"]
    assert os.listdir(folder) == ["m.keras"]


def test_of_two_configs_the_last_is_used_as_keras_does(tmp_path, weights):
    other = json.dumps({"class_name": "Sequential", "config": {"name": "other", "layers": []}})
    path = tmp_path / "m.keras"
    path.write_bytes(build(Entry(b"config.json", other.encode()), *entries(weights)))
    artifact = opened(path)
    assert codes(artifact) == ["zip-duplicate-name"]
    assert artifact.model is not None
    assert artifact.model.name == "model"
    assert artifact.overhead["shadowed members"] == len(other)


def test_encrypted_weights_are_a_problem(tmp_path, weights):
    path = tmp_path / "m.keras"
    path.write_bytes(build(*entries(weights, **{"model.weights.h5": {"flags": 1}})))
    artifact = opened(path)
    assert {"zip-encrypted", "weights-unreadable"} <= set(codes(artifact))
    assert not artifact.complete


def test_a_member_that_lies_on_the_weights_is_not_counted_twice(tmp_path, weights):
    plain = build(*entries(weights))
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        at = archive.getinfo("model.weights.h5").header_offset
    path = tmp_path / "m.keras"
    path.write_bytes(build(*entries(weights, Entry(b"assets/copy", weights, header_offset=at))))
    assert "zip-overlap" in codes(opened(path))


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_weights_or_config_whose_bytes_another_member_claims_still_add_up(tmp_path, weights, name):
    parts = members(weights)
    made = [
        Entry(key.encode(), value, **({"header_offset": 0} if key == name else {}))
        for key, value in parts.items()
    ]
    path = tmp_path / "m.keras"
    path.write_bytes(build(Entry(b"a", parts[name]), *made))
    artifact = opened(path)
    unread = "member-unreadable" if name == "config.json" else "weights-unreadable"
    assert {"zip-overlap", unread} <= set(codes(artifact))


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe\x00", b"5", b"null"])
@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
def test_json_that_makes_no_sense_leaves_the_tensors(tmp_path, weights, name, content):
    artifact = opened(keras_zip(tmp_path / "m.keras", {**members(weights), name: content}))
    assert sum(one.elements for one in artifact.tensors) == 15
    if name == "config.json":
        assert codes(artifact) == ["config-unreadable"]
        assert artifact.model is None


def test_names_that_utf8_cannot_spell_are_made_printable(tmp_path, weights):
    config = json.dumps(DENSE_CONFIG).replace('"name": "model"', '"name": "a\\ud800b"')
    artifact = opened(keras_zip(tmp_path / "m.keras", {**members(weights), "config.json": config}))
    assert artifact.model is not None
    assert artifact.model.name == "a?b"


def test_a_member_over_the_limit_is_a_problem(tmp_path, weights):
    path = keras_zip(tmp_path / "m.keras", members(weights))
    artifact = opened(path, Limits(config_bytes=100))
    assert "member-too-large" in codes(artifact)


def test_a_weights_bomb_is_not_inflated(tmp_path, weights):
    parts = {**members(None), "model.weights.h5": bytes(300 << 20)}
    path = keras_zip(tmp_path / "m.keras", parts, zipfile.ZIP_DEFLATED)
    with read(path, Limits(inflated_bytes=100 << 20)) as result:
        assert_adds_up(result.artifact)
        assert {"zip-bomb", "weights-unreadable"} <= set(codes(result.artifact))


def test_vocabularies_are_counted_and_are_no_parameters(tmp_path, weights):
    parts = {**members(weights), "assets/layers/t/_lookup/vocabulary.txt": b"a\nb\nc\n"}
    artifact = opened(keras_zip(tmp_path / "m.keras", parts))
    assert artifact.vocabulary == {"assets/layers/t/_lookup/vocabulary.txt": 3}
    assert artifact.overhead["assets"] == 6
    assert params(artifact) == 15
