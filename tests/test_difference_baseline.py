"""A saved report stands for its artifact: what is rebuilt of it pairs with the artifact itself."""

from __future__ import annotations

import dataclasses
import json
import shutil

import h5py
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inspector
from inspector import api
from inspector.classify import classify
from inspector.difference.baseline import read_saved
from inspector.errors import (
    ArtifactError,
    Corrupt,
    InspectorError,
    LimitExceeded,
    UsageError,
)
from inspector.limits import DEFAULT
from inspector.model import Role, Store
from inspector.pairing import Side, pair
from inspector.pairing.names import Names
from inspector.render import json as as_json
from inspector.render.options import RenderOptions
from tests.builders.samples import NAMES, path


def saved(name, folder):
    """Where the report of an artifact was saved, as `inspect show --format json -o` does."""
    target = folder / "base.json"
    report = inspector.show(path(name), measure=False)
    target.write_text(as_json.render(report, RenderOptions()), encoding="utf-8")
    return str(target)


def changed(folder, **changes):
    """A saved report of stripped.h5 with something else in it."""
    target = saved("stripped.h5", folder)
    content = json.loads((folder / "base.json").read_text(encoding="utf-8"))
    (folder / "base.json").write_text(json.dumps(content | changes), encoding="utf-8")
    return target


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_report_leaves_nothing_unpaired_with_its_own_artifact(name, tmp_path):
    subject = read_saved(saved(name, tmp_path))
    with inspector.open(path(name)) as opened:
        live = Side(opened.artifact, classify(opened.artifact).verdicts)
        found = pair(subject.side, live)
        assert ([t.name for t in found.only_a], [t.name for t in found.only_b]) == ([], [])
        assert [one.a.name for one in found.pairs] == [one.b.name for one in found.pairs]
        for one in found.pairs:
            assert (one.a.dtype, one.a.shape, one.a.nbytes) == (
                one.b.dtype,
                one.b.shape,
                one.b.nbytes,
            )
            assert subject.verdicts[one.a.name] == live.verdicts[one.b.name]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_report_tells_of_an_artifact_is_rebuilt_as_it_was(name, tmp_path):
    mine = read_saved(saved(name, tmp_path)).artifact
    with inspector.open(path(name)) as opened:
        live = opened.artifact
        assert (mine.format, mine.kind, mine.nbytes) == (live.format, live.kind, live.nbytes)
        for field in ("files", "producer", "signatures", "operators", "tags", "scheme", "runtime"):
            assert getattr(mine, field) == getattr(live, field), field
        assert mine.store == live.store or live.store is Store.LEGACY
        assert (mine.model is None) == (live.model is None)
        for one, other in zip(mine.tensors, live.tensors, strict=True):
            assert (one.layer, one.variable, one.storage) == (
                other.layer,
                other.variable,
                other.storage,
            )
            assert (one.uses, one.sparse, one.quantized) == (
                other.uses,
                other.sparse,
                other.quantized,
            )
            assert one.payload is None


# Its objects are numbered by class, and only attributes in the file have the layers' own names.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "k3.weights.h5"])
def test_layers_have_the_same_names_without_their_wrappers(name, tmp_path):
    mine = Names(read_saved(saved(name, tmp_path)).artifact)
    with inspector.open(path(name)) as opened:
        live = Names(opened.artifact)
        for tensor in opened.artifact.tensors:
            assert mine.of(tensor.layer) == live.of(tensor.layer)


def test_wrappers_and_what_they_wrap_are_in_the_tree(tmp_path):
    model = read_saved(saved("pruned.h5", tmp_path)).artifact.model
    assert [(one.path, one.class_name) for one in model.walk() if one.path] == [
        ("dense_input", "InputLayer"),
        ("prune_low_magnitude_dense", "PruneLowMagnitude"),
        ("prune_low_magnitude_dense/dense", "Dense"),
        ("prune_low_magnitude_dense_1", "PruneLowMagnitude"),
        ("prune_low_magnitude_dense_1/dense_1", "Dense"),
    ]
    assert model.children[1].child("layer").name == "dense"


def test_a_wrapper_in_a_wrapper_is_in_the_tree(tmp_path):
    target = saved("stripped.h5", tmp_path)
    content = json.loads((tmp_path / "base.json").read_text(encoding="utf-8"))
    rows = content["artifacts"][0]["layers"]
    rows[1] |= {"class_name": "PruneLowMagnitude", "wraps": "TimeDistributed(Dense)"}
    (tmp_path / "base.json").write_text(json.dumps(content), encoding="utf-8")
    outer = read_saved(target).artifact.model.children[1]
    assert [one.class_name for one in outer.walk()] == [
        "PruneLowMagnitude",
        "TimeDistributed",
        "Dense",
    ]


def test_a_model_inside_is_a_model_with_its_layers_inside(tmp_path):
    model = read_saved(saved("k3_shared.h5", tmp_path)).artifact.model
    base = next(one for one in model.children if one.path == "base")
    assert base.is_model
    assert [(one.name, one.class_name) for one in base.children] == [
        ("input_layer", "InputLayer"),
        ("dense", "Dense"),
    ]


@pytest.mark.parametrize(
    ("a", "b"),
    [("pruned.h5", "stripped.h5"), ("pruned.keras", "saved_stripped"), ("qat.h5", "qat.keras")],
)
def test_two_saved_reports_pair_their_weights_by_name(a, b, tmp_path):
    sides = []
    for name in (a, b):
        folder = tmp_path / name
        folder.mkdir()
        sides.append(read_saved(saved(name, folder)).side)
    found = pair(*sides)
    lonely = [
        tensor.name
        for side, tensors in zip(sides, (found.only_a, found.only_b), strict=True)
        for tensor in tensors
        if side.verdicts[tensor.name].role is Role.WEIGHT
    ]
    assert lonely == []


WITH_CONFIGS = ["pruned.h5", "qat.keras", "k3.keras", "k3_rnn.keras", "tfk_shared.h5", "saved_adam"]


@pytest.mark.parametrize(
    ("name", "configs"),
    [*((name, False) for name in NAMES), *((name, True) for name in WITH_CONFIGS)],
)
def test_a_report_with_digests_says_the_same_as_its_own_artifact(name, configs, tmp_path):
    report = inspector.show(path(name), digest=True, configs=configs)
    target = report_of(tmp_path, report)
    for pair_of in ((target, path(name)), (path(name), target), (target, target)):
        found = api.diff(*pair_of, measure=False).diff
        assert found.same
        assert {one.status for one in found.pairs} <= {"unchanged"}
        assert not any(fact.counts for fact in found.facts)


def test_a_digest_tells_that_one_value_changed(tmp_path):
    target = report_of(tmp_path, inspector.show(path("stripped.h5"), digest=True))
    changed = shutil.copy(path("stripped.h5"), tmp_path / "changed.h5")
    with h5py.File(changed, "r+") as file:
        bias = file["model_weights/dense/dense/bias:0"]
        bias[7] = np.nextafter(bias[7], np.float32(1))  # one unit in the last place
    found = api.diff(target, changed).diff
    assert not found.same
    assert [one.a.name for one in found.pairs if one.status == "changed"] == [
        "model_weights/dense/dense/bias:0"
    ]


def test_digests_are_those_of_the_tensors_that_have_one(tmp_path):
    target = saved("stripped.h5", tmp_path)
    content = json.loads((tmp_path / "base.json").read_text(encoding="utf-8"))
    first, second, third, _ = content["artifacts"][0]["tensors"]
    first["digest"], second["digest"] = "sha256:00", None
    (tmp_path / "base.json").write_text(json.dumps(content), encoding="utf-8")
    assert read_saved(target).digests == {first["name"]: "sha256:00"}
    assert third["name"] not in read_saved(target).digests


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"weight_map": {"layers/dense/vars": "a.h5"}}',
        b'{"schema_version": "1.0", "tool": {"name": "other", "version": "1"}, "command": "show"}',
        b'{"schema_version": 3}',
        b'{"artifacts": []}',
        b"\x89HDF\r\n\x1a\n",
        b"\xff\xfe\x00",
    ],
)
def test_any_other_file_is_no_saved_report(content, tmp_path):
    (tmp_path / "file.json").write_bytes(content)
    assert read_saved(str(tmp_path / "file.json")) is None


@pytest.mark.parametrize("name", ["stripped.h5", "saved_stripped", "ckpt_adam", "not there"])
def test_an_artifact_is_no_saved_report(name):
    assert read_saved(path(name)) is None


def test_a_large_file_that_is_no_report_is_not_read(tmp_path):
    target = tmp_path / "huge.json"
    with target.open("wb") as file:
        file.write(b'{"model": "')
        file.truncate(1 << 34)  # sparse: 16 GiB of zero bytes
    assert read_saved(str(target)) is None


def test_a_report_larger_than_the_limit_is_not_read(tmp_path):
    few = dataclasses.replace(DEFAULT, report_bytes=100)
    with pytest.raises(LimitExceeded) as caught:
        read_saved(saved("stripped.h5", tmp_path), few)
    assert caught.value.name == "report_bytes"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_report_that_a_shell_wrote_in_its_own_encoding_is_read(encoding, tmp_path):
    target = saved("stripped.h5", tmp_path)
    text = (tmp_path / "base.json").read_text(encoding="utf-8")
    (tmp_path / "base.json").write_text(text, encoding=encoding)
    assert read_saved(target).artifact.format == "keras-h5"


def test_a_report_with_its_keys_sorted_by_another_tool_is_read(tmp_path):
    target = saved("stripped.h5", tmp_path)
    content = json.loads((tmp_path / "base.json").read_text(encoding="utf-8"))
    (tmp_path / "base.json").write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
    assert len(read_saved(target).artifact.tensors) == 4


def test_fields_of_a_later_minor_version_are_passed_over(tmp_path):
    subject = read_saved(changed(tmp_path, schema_version="1.9", later={"a": [1, 2]}))
    assert len(subject.artifact.tensors) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": "2.0"}, "schema 2.0"),
        ({"command": "reconcile"}, "inspect reconcile"),
        ({"artifacts": []}, "0 artifacts"),
    ],
)
def test_a_report_that_is_no_baseline_says_what_to_do(changes, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        read_saved(changed(tmp_path, **changes))


def report_of(tmp_path, report):
    target = tmp_path / "base.json"
    target.write_text(as_json.render(report, RenderOptions()), encoding="utf-8")
    return str(target)


def test_a_report_of_several_artifacts_is_refused(tmp_path):
    report = inspector.show([path("stripped.h5"), path("stripped.keras")], measure=False)
    with pytest.raises(UsageError, match="2 artifacts"):
        read_saved(report_of(tmp_path, report))


def test_a_report_of_an_unreadable_artifact_is_refused(tmp_path):
    with pytest.raises(UsageError, match="could not be read"):
        read_saved(report_of(tmp_path, inspector.show(str(tmp_path / "none.h5"))))


def test_a_report_narrowed_to_some_rows_is_refused(tmp_path):
    from inspector.assemble import narrow

    report = inspector.show(path("pruned.h5"), measure=False)
    less = narrow(report.artifacts[0], roles=("mask",))
    with pytest.raises(UsageError, match="narrowed"):
        read_saved(report_of(tmp_path, msgspec.structs.replace(report, artifacts=(less,))))


def test_a_report_cut_short_anywhere_is_an_error_with_a_name(tmp_path):
    target = saved("stripped.h5", tmp_path)
    whole = (tmp_path / "base.json").read_bytes()
    for length in range(40, len(whole) - 2, 97):
        (tmp_path / "base.json").write_bytes(whole[:length])
        with pytest.raises(Corrupt, match="save it again"):
            read_saved(target)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [-1, 4]},
        {"nbytes": -1},
        {"role": "secret"},
        {"shape": "none"},
        {"layer": f"dense/{'/'.join('a' * 500)}"},
        {"name": "model_weights/dense/dense/bias:0"},
        {"dtype": None},
    ],
)
def test_a_report_of_what_no_artifact_can_be_is_an_error_with_a_name(change, tmp_path):
    target = saved("stripped.h5", tmp_path)
    content = json.loads((tmp_path / "base.json").read_text(encoding="utf-8"))
    tensors = content["artifacts"][0]["tensors"]
    tensors[next(i for i, t in enumerate(tensors) if "kernel" in t["name"])].update(change)
    (tmp_path / "base.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtifactError):
        read_saved(target)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places_in(node, way=()):
    """The way to every value of a JSON document."""
    yield way
    inside = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inside if isinstance(node, dict | list) else ():
        yield from places_in(value, (*way, key))


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(), name=st.sampled_from(["pruned.h5", "lite_int8.tflite", "lite_sparse.tflite"])
)
def test_whatever_stands_in_a_report_is_read_or_an_error_with_a_name(data, name, tmp_path_factory):
    report = msgspec.to_builtins(inspector.show(path(name), measure=False, configs=True))
    *way, last = data.draw(st.sampled_from([way for way in places_in(report) if way]))
    node = report
    for key in way:
        node = node[key]
    node[last] = data.draw(JSON)
    target = tmp_path_factory.mktemp("fuzz") / "base.json"
    target.write_text(json.dumps(report), encoding="utf-8")
    try:
        read_saved(str(target))
    except InspectorError:
        pass


def test_json_nested_without_end_is_an_error_with_a_name(tmp_path):
    target = tmp_path / "deep.json"
    head = '{"schema_version": "1.0", "later": '
    target.write_text(head + "[" * 1_000_000, encoding="utf-8")
    with pytest.raises(Corrupt):
        read_saved(str(target))


def test_wrappers_taken_off_since_are_told_and_no_config_for_it(tmp_path):
    target = report_of(tmp_path, inspector.show(path("pruned.h5"), digest=True))
    facts = api.diff(target, path("stripped.h5")).diff.facts
    assert [fact.what for fact in facts if fact.part in ("config", "layers")] == [
        "wrappers.PruneLowMagnitude"
    ]
