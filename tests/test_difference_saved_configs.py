"""Layers and settings where one side is a saved report, with digests, configs or neither."""

from contextlib import ExitStack

import msgspec
import pytest

from inspector import api
from inspector.difference.baseline import read_saved
from inspector.difference.configs import config_facts
from inspector.difference.training import training_facts
from inspector.pairing import pair
from tests.builders.edits import edited_h5, node, renamed, subject
from tests.builders.samples import path


@pytest.fixture
def facts(tmp_path):
    """facts(a, b, **asked): of the saved report of `a` and the open `b`."""
    with ExitStack() as stack:

        def found(a, b, **asked):
            place = tmp_path / "saved.json"
            place.write_bytes(msgspec.json.encode(api.show(a, measure=False, **asked)))
            one, other = read_saved(str(place)), subject(stack, b)
            layers = pair(one.side, other.side).layers
            return (*config_facts(one, other, layers), *training_facts(one, other))

        yield found


def counted(facts):
    return [fact.words for fact in facts if fact.counts]


@pytest.mark.parametrize("asked", [{}, {"digest": True}, {"configs": True}])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("k3.h5", "k3.h5"),
        ("k3.keras", "k3.keras"),
        ("pruned.h5", "pruned.h5"),
        ("saved_stripped", "saved_stripped"),
        ("saved_pruned", "saved_pruned"),
        ("stripped.h5", "saved_stripped"),
        ("saved_stripped", "stripped.keras"),
        ("k3.h5", "k3.keras"),
        ("lite_float.tflite", "lite_float.tflite"),
    ],
)
def test_an_artifact_says_what_its_saved_report_says(facts, a, b, asked):
    assert counted(facts(path(a), path(b), **asked)) == []


def units(config):
    node(config, "head")["config"]["units"] = 3


def test_a_changed_setting_is_known_by_its_digest(facts, tmp_path):
    changed = edited_h5(path("k3.h5"), tmp_path / "b.h5", units)
    assert counted(facts(path("k3.h5"), changed, digest=True)) == [
        "head: its config differs (the saved report has only its digest)"
    ]


def test_a_changed_setting_is_told_where_the_report_has_configs(facts, tmp_path):
    changed = edited_h5(path("k3.h5"), tmp_path / "b.h5", units)
    assert counted(facts(path("k3.h5"), changed, configs=True)) == ["head: units 2 -> 3"]


def test_a_report_without_digests_says_so(facts, tmp_path):
    changed = edited_h5(path("k3.h5"), tmp_path / "b.h5", units)
    words = [fact.words for fact in facts(path("k3.h5"), changed)]
    assert "A has no digests of its layers' configs to compare" in words


@pytest.mark.parametrize("asked", [{"digest": True}, {"configs": True}])
def test_a_renamed_layer_is_known_without_configs(facts, tmp_path, asked):
    changed = edited_h5(
        path("k3.h5"), tmp_path / "b.h5", lambda c: renamed(c, "dropout", "regularize")
    )
    assert counted(facts(path("k3.h5"), changed, **asked)) == [
        "layer renamed: dropout -> regularize"
    ]


@pytest.mark.parametrize("asked", [{"digest": True}, {"configs": True}])
def test_wrappers_taken_off_are_known_without_configs(facts, asked):
    said = counted(facts(path("pruned.h5"), path("stripped.h5"), **asked))
    assert said[0] == "2 PruneLowMagnitude wrappers taken off: dense, dense_1"
    assert all("compiled" in words for words in said[1:])


def test_the_compilation_is_told_where_the_report_has_it(facts):
    (told,) = [
        f
        for f in facts(path("pruned.h5"), path("stripped.h5"), configs=True)
        if f.part == "training-config"
    ]
    assert told.counts
    saved = facts(path("stripped.h5"), path("pruned.h5"))
    (told,) = [fact for fact in saved if fact.part == "training-config"]
    assert told.words == "B is compiled with Adam; a saved report does not tell how its model was"
    assert not told.counts
