"""Keys found by walking a SavedModel's graph, held against those that TensorFlow wrote."""

import contextlib
import shutil
from pathlib import Path

import pytest

import inspector
from inspector.limits import DEFAULT
from inspector.read.bundle_common import open_bundle
from inspector.storage import LocalFile
from inspector.wire.object_graph import (
    ObjectGraph,
    ObjectNode,
    Reference,
    SlotReference,
    read_saved_object_graph,
    read_trackable_object_graph,
)
from inspector.wire.object_keys import with_keys
from inspector.wire.protobuf import message
from inspector.wire.saved_model import read_saved_model

SAMPLES = Path(__file__).parent.parent / "sample_models"
WITH_OBJECTS = sorted(
    path.parent.parent.name
    for path in SAMPLES.glob("saved_*/variables/variables.index")
    if path.parent.parent.name != "saved_v1"
)


def keyed(graph):
    return {one.key: node.id for node in graph.nodes for one in node.attributes}


@pytest.mark.parametrize("name", WITH_OBJECTS)
def test_the_saved_graph_leads_each_key_to_the_object_that_the_checkpoint_gives_it(name):
    folder = SAMPLES / name
    with contextlib.ExitStack() as held:
        bundle = open_bundle(str(folder / "variables" / "variables"), held, DEFAULT)
        checkpoint = read_trackable_object_graph(bundle.object_graph())
        source = held.enter_context(LocalFile(str(folder / "saved_model.pb")))
        meta = read_saved_model(message(source, DEFAULT)).meta_graphs[0]
        saved = read_saved_object_graph(meta.objects)
        expected = keyed(checkpoint)
        for record in (one for entries in bundle.records.values() for one in entries):
            expected.pop(record.key, None)
        assert keyed(with_keys(saved, bundle.stored)) == expected


def test_names_with_dots_and_slashes_are_spelled_as_tensorflow_does():
    # tensorflow/python/checkpoint/util.py: "." becomes "..", then "/" becomes ".S".
    graph = ObjectGraph((ObjectNode(0, children=(Reference("a/b.c", 1),)), ObjectNode(1)))
    key = "a.Sb..c/.ATTRIBUTES/VARIABLE_VALUE"
    assert keyed(with_keys(graph, [key])) == {key: 1}


def test_a_slot_is_found_by_its_variable_and_its_optimizer():
    graph = ObjectGraph(
        (
            ObjectNode(0, children=(Reference("w", 1), Reference("opt", 2))),
            ObjectNode(1),
            ObjectNode(2, slots=(SlotReference("m", 1, 3), SlotReference("v", 1, 4))),
            ObjectNode(3),
            ObjectNode(4),
        )
    )
    key = "w/.OPTIMIZER_SLOT/opt/v/.ATTRIBUTES/VARIABLE_VALUE"
    assert keyed(with_keys(graph, [key])) == {key: 4}


@pytest.mark.parametrize(
    "key", ["w", "x/.ATTRIBUTES/VARIABLE_VALUE", "w/.OPTIMIZER_SLOT/x/m/.ATTRIBUTES/VARIABLE_VALUE"]
)
def test_a_key_that_leads_nowhere_is_no_object_s(key):
    graph = ObjectGraph((ObjectNode(0, children=(Reference("w", 1),)), ObjectNode(1)))
    assert keyed(with_keys(graph, [key])) == {}


def test_without_objects_no_key_leads_anywhere():
    assert with_keys(ObjectGraph(()), ["a/.ATTRIBUTES/VARIABLE_VALUE"]).nodes == ()


@pytest.mark.parametrize("name", ["saved_adam", "saved_pruned"])
def test_a_saved_model_without_its_values_is_told_as_with_them(tmp_path, name):
    shutil.copytree(SAMPLES / name, tmp_path / name)
    (tmp_path / name / "variables" / "variables.data-00000-of-00001").unlink()
    told = []
    for path in (SAMPLES / name, tmp_path / name):
        report = inspector.show(path, measure=False).artifacts[0]
        told.append({one.name: (one.layer, one.variable, one.role) for one in report.tensors})
    assert told[0] == told[1]
    assert [one.code for one in report.problems] == ["bundle-shard-missing"]
