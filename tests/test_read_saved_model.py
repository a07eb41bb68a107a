import os
import pathlib
import random

import pytest

from inspector.errors import (
    ArtifactError,
    Corrupt,
    LimitExceeded,
    NotFound,
    Truncated,
    Unsupported,
)
from inspector.limits import DEFAULT, Limits
from inspector.model import Naming, Port, Section, Store
from inspector.read import saved_model
from inspector.read.folder import list_folder
from inspector.wire.tensor_slices import WHOLE_AXIS, slice_key
from tests.builders import saved_models as build
from tests.builders.bundles import Item, chunk, number, slice_of
from tests.builders.checks import assert_adds_up, codes, tensor

W, B = f"w{build.VALUE}", f"b{build.VALUE}"


def opened(path, limits=DEFAULT):
    with saved_model.read(str(path), limits) as result:
        assert_adds_up(result.artifact)
        return result.artifact


def refused(path, kind):
    with pytest.raises(kind) as caught:
        saved_model.read(str(path), DEFAULT)
    assert type(caught.value) is kind
    return caught.value.message


def labels(artifact, *names):
    return {name: artifact.overhead.get(name) for name in names}


def variables(artifact):
    return [one.name for one in artifact.tensors if one.section is not Section.GRAPH]


# --- a module of TensorFlow 2 ---


def test_a_module_has_its_variables_tags_signatures_and_version(tmp_path):
    artifact = opened(build.module(tmp_path))
    assert artifact.format == "saved-model"
    assert artifact.kind == "SavedModel, tf.Module"
    assert (artifact.producer.name, artifact.producer.version) == ("tensorflow", "2.21.0")
    assert artifact.tags == (("serve",),)
    assert artifact.store is Store.OBJECTS
    assert variables(artifact) == [B, W]
    assert (tensor(artifact, W).trainable, tensor(artifact, B).trainable) == (True, False)
    assert tensor(artifact, W).naming is Naming.OBJECTS
    assert artifact.uncounted is not None
    assert artifact.complete
    assert artifact.problems == ()


def test_signatures_for_the_loader_are_left_out(tmp_path):
    (only,) = opened(build.module(tmp_path)).signatures
    assert (only.name, only.method) == ("serving_default", "tensorflow/serving/predict")
    assert only.inputs == (Port("x", "float32", (None, 4), "serving_default_x:0"),)
    assert only.outputs == (Port("y", "float32", (None, 2), "StatefulPartitionedCall:0"),)


def test_the_path_of_the_protobuf_stands_for_its_folder(tmp_path):
    build.module(tmp_path)
    artifact = opened(tmp_path / "saved_model.pb")
    assert artifact.path == str(tmp_path)
    assert variables(artifact) == [B, W]


def test_a_protobuf_under_another_name_is_refused_by_name(tmp_path):
    build.module(tmp_path)
    (tmp_path / "saved_model.pb").rename(tmp_path / "model.pb")
    assert "under the name model.pb" in refused(tmp_path / "model.pb", Unsupported)
    assert "no saved_model.pb" in refused(tmp_path, NotFound)


def test_a_captured_variable_or_constant_is_used_where_its_argument_is_read(tmp_path):
    artifact = opened(build.module(tmp_path))
    uses = {one.name: [(use.op, use.input) for use in one.uses] for one in artifact.tensors}
    assert uses[W] == [("MatMul", 1)]
    assert uses[B] == [("BiasAdd", 1)]
    assert uses["Const"] == [("MatMul", 1)]
    assert uses["__inference_call_1/scale"] == [("Mul", 1)]


def test_constants_of_the_graph_and_of_functions_are_tensors(tmp_path):
    artifact = opened(build.module(tmp_path))
    constants = {one.name: one for one in artifact.tensors if one.section is Section.GRAPH}
    assert {name: one.shape for name, one in constants.items()} == {
        "Const": (3, 2),
        "__inference_call_1/scale": (2,),
    }
    with saved_model.read(str(tmp_path), DEFAULT) as result:
        one = tensor(result.artifact, "Const")
        assert [v for block in one.payload.blocks(1 << 20) for v in block] == [0, 1, 2, 3, 4, 5]


def test_operators_are_counted_over_the_graph_and_its_functions(tmp_path):
    found = {one.name: one.count for one in opened(build.module(tmp_path)).operators}
    # Two MatMuls, two ReadVariableOps, BiasAdd, Mul and a constant are in the function.
    assert found == {
        "BiasAdd": 1,
        "Const": 2,
        "MatMul": 2,
        "Mul": 1,
        "Placeholder": 1,
        "ReadVariableOp": 2,
        "StatefulPartitionedCall": 1,
        "VarHandleOp": 2,
    }


def test_an_operator_that_is_not_tensorflows_own_is_custom(tmp_path):
    nodes = [build.node("trees", "SimpleMLInferenceOp"), build.node("sum", "AddV2")]
    artifact = opened(build.write(tmp_path, build.meta_graph(build.graph(nodes))))
    assert {one.name: one.custom for one in artifact.operators} == {
        "SimpleMLInferenceOp": True,
        "AddV2": False,
    }


# --- bytes ---


def test_the_protobuf_is_split_into_what_its_parts_are(tmp_path):
    nodes = [build.node("x", "Placeholder"), build.const("c", [1.0, 2.0, 3.0])]
    functions = [build.function("f", ["a"], [build.const("d", [4.0, 5.0])], {"b": "a"})]
    objects = build.object_graph([build.saved_object(build.user_object())])
    meta = build.meta_graph(build.graph(nodes, functions), objects=objects)
    artifact = opened(build.write(tmp_path, meta))
    # Fields with their tags and lengths. Three float32 in the graph, two in the function.
    library = len(build.graph(nodes, functions)) - len(build.graph(nodes))
    whole = len(chunk(2, build.graph(nodes, functions)))
    assert artifact.overhead == {
        "functions": library - 8,
        "graph": whole - library - 12,
        "object graph": len(chunk(7, objects)),
        "meta info": len(chunk(1, chunk(4, b"serve") + chunk(5, b"2.21.0")))
        + len(chunk(2, meta))
        - len(meta)
        + len(number(1, 1)),
    }


def test_every_other_file_has_a_label_that_says_what_it_is(tmp_path):
    files = {
        "fingerprint.pb": b"\x08\x01",
        "assets/vocab.txt": b"one\ntwo\n",
        "assets.extra/tf_serving_warmup_requests": b"12345",
        "debug/saved_model_debug_info.pb": b"1234",
        "README": b"123",
    }
    artifact = opened(build.module(tmp_path, files=files))
    assert labels(artifact, "fingerprint", "assets", "extra assets", "debug info") == {
        "fingerprint": 2,
        "assets": 8,
        "extra assets": 5,
        "debug info": 4,
    }
    assert artifact.overhead["other files"] == 3
    assert len(artifact.files) == 3 + len(files)


def test_a_constant_in_two_meta_graphs_is_two_tensors_of_different_names(tmp_path):
    graph = build.graph([build.const("c", [1.0, 2.0])])
    metas = [build.meta_graph(graph, tags) for tags in (("train", "serve"), ("serve",))]
    artifact = opened(build.write(tmp_path, *metas))
    assert [one.name for one in artifact.tensors] == ["train,serve:c", "serve:c"]


# --- the variables' files ---


def test_a_model_without_variables_needs_no_folder_of_them(tmp_path):
    graph = build.graph([build.const("w", [1.0, 2.0])])
    artifact = opened(build.write(tmp_path, build.meta_graph(graph)))
    assert artifact.kind == "SavedModel of TensorFlow 1, frozen"
    assert artifact.complete
    assert artifact.problems == ()


def test_variables_that_the_graph_needs_and_that_are_not_there_are_an_error(tmp_path):
    build.module(tmp_path, items=())
    artifact = opened(tmp_path)
    assert codes(artifact) == ["variables-missing"]
    assert "2 variables" in artifact.problems[0].message
    assert not artifact.complete


def test_variables_of_a_graph_of_tensorflow_1_are_missed_too(tmp_path):
    graph = build.graph([build.node("w", "VariableV2"), build.node("x", "Placeholder")])
    artifact = opened(build.write(tmp_path, build.meta_graph(graph)))
    assert codes(artifact) == ["variables-missing"]
    assert "1 variable" in artifact.problems[0].message


def test_a_local_variable_is_never_saved_and_not_missed(tmp_path):
    graph = build.graph([build.node("total", "VariableV2"), build.const("w", [1.0])])
    held = [build.collection("local_variables", build.variable_def("total"))]
    artifact = opened(build.write(tmp_path, build.meta_graph(graph, collections=held)))
    assert artifact.problems == ()


def test_a_missing_shard_leaves_the_model_incomplete_and_its_tensors_told(tmp_path):
    build.module(tmp_path)
    os.remove(tmp_path / "variables/variables.data-00000-of-00001")
    artifact = opened(tmp_path)
    assert "bundle-shard-missing" in codes(artifact)
    assert not artifact.complete
    assert tensor(artifact, W).shape == (4, 3)
    assert tensor(artifact, W).extents == ()


def test_a_broken_index_is_a_problem_and_its_bytes_are_counted(tmp_path):
    build.module(tmp_path)
    index = tmp_path / "variables/variables.index"
    index.write_bytes(index.read_bytes()[:-1])
    artifact = opened(tmp_path)
    assert "variables-unreadable" in codes(artifact)
    assert not artifact.complete
    assert variables(artifact) == []
    sizes = sum(os.path.getsize(one.path) for one in artifact.files if "variables" in one.path)
    assert artifact.overhead["variables, unread"] == sizes


def test_a_flipped_bit_of_a_value_fails_that_tensors_check(tmp_path):
    build.module(tmp_path)
    with saved_model.read(str(tmp_path), DEFAULT) as result:
        place = tensor(result.artifact, W).extents[0]
    data = bytearray(pathlib.Path(place.file).read_bytes())
    data[place.offset + 5] ^= 1
    pathlib.Path(place.file).write_bytes(data)
    with saved_model.read(str(tmp_path), DEFAULT) as result:
        held = {name: tensor(result.artifact, name).check.holds() for name in (W, B)}
    assert held == {W: False, B: True}


def test_variables_of_objects_in_a_graph_of_tensorflow_1_are_found_by_their_names(tmp_path):
    """As Keras of TensorFlow 1.14 exports: no object graph but the checkpoint's own."""
    nodes = [
        build.node("dense/kernel", "VarHandleOp"),
        build.node("Read", "ReadVariableOp", "dense/kernel"),
        build.node("x", "Placeholder"),
        build.node("MatMul", "MatMul", "x", "Read"),
    ]
    held = [
        build.collection(name, build.variable_def("dense/kernel"))
        for name in ("variables", "trainable_variables")
    ]
    key = f"layer-0/kernel{build.VALUE}"
    items = [
        build.floats(key, [1.0, 2.0], (2, 1)),
        build.trackable(({"layer-0": 1}, None), ({"kernel": 2}, None), ({}, ("dense/kernel", key))),
    ]
    meta = build.meta_graph(build.graph(nodes), collections=held)
    artifact = opened(build.write(tmp_path, meta, items=items))
    assert artifact.kind == "SavedModel of TensorFlow 1"
    kernel = tensor(artifact, key)
    assert [(use.op, use.input) for use in kernel.uses] == [("MatMul", 1)]
    assert kernel.trainable is True


@pytest.mark.parametrize("name", ["keras_metadata.pb", "fingerprint.pb"])
def test_a_file_beside_the_graphs_that_cannot_be_read_is_a_warning(tmp_path, name):
    artifact = opened(build.module(tmp_path, files={name: b"\x0a\xff"}))
    assert codes(artifact) == ["metadata"]
    assert name in artifact.problems[0].message
    assert artifact.complete


def test_without_the_checkpoints_object_graph_variables_go_by_their_keys(tmp_path):
    build.module(tmp_path, items=[build.floats("w", [1.0]), build.floats("b", [2.0])])
    artifact = opened(tmp_path)
    assert artifact.kind == "SavedModel"
    assert artifact.store is Store.NAMES
    assert variables(artifact) == ["b", "w"]


def test_an_object_graph_that_cannot_be_read_is_an_error_and_no_end(tmp_path):
    meta = build.meta_graph(objects=b"\x0a\xff")
    artifact = opened(build.write(tmp_path, meta))
    assert codes(artifact) == ["object-graph"]


# --- links, devices, depth ---


def test_links_are_not_followed_wherever_they_lead(tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"secret")
    folder = tmp_path / "model"
    build.module(folder, files={"assets/a.txt": b"a\n"})
    (folder / "assets/out.txt").symlink_to(outside)
    (folder / "more").symlink_to(tmp_path)
    artifact = opened(folder)
    assert codes(artifact) == ["symbolic-link", "symbolic-link"]
    assert all("outside" not in one.path for one in artifact.files)
    assert artifact.overhead["assets"] == 2


def test_a_link_in_the_place_of_the_protobuf_is_refused(tmp_path):
    build.module(tmp_path / "real")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/saved_model.pb").symlink_to(tmp_path / "real/saved_model.pb")
    assert "not followed" in refused(tmp_path / "linked", Unsupported)
    assert "not followed" in refused(tmp_path / "linked/saved_model.pb", Unsupported)


def test_a_link_in_the_place_of_a_shard_leaves_the_variables_unread(tmp_path):
    build.module(tmp_path / "model")
    shard = tmp_path / "model/variables/variables.data-00000-of-00001"
    shard.rename(tmp_path / "away")
    shard.symlink_to(tmp_path / "away")
    artifact = opened(tmp_path / "model")
    assert {"symbolic-link", "variables-unreadable"} <= set(codes(artifact))
    assert not artifact.complete


def test_a_folder_that_is_itself_given_by_a_link_opens(tmp_path):
    build.module(tmp_path / "model")
    (tmp_path / "latest").symlink_to(tmp_path / "model")
    assert variables(opened(tmp_path / "latest")) == [B, W]


def test_what_is_no_file_is_left_alone(tmp_path):
    build.module(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    artifact = opened(tmp_path)
    assert codes(artifact) == ["odd-file"]


def test_folders_are_listed_within_bounds(tmp_path):
    (tmp_path / "/".join("abcdef")).mkdir(parents=True)
    (tmp_path / "a/file").write_bytes(b"12")
    assert list_folder(str(tmp_path), DEFAULT).sizes == {"a/file": 2}
    with pytest.raises(LimitExceeded, match="depth"):
        list_folder(str(tmp_path), Limits(depth=3))
    with pytest.raises(LimitExceeded, match="nodes"):
        list_folder(str(tmp_path), Limits(nodes=3))
    with pytest.raises(ArtifactError, match="cannot be listed"):
        list_folder(str(tmp_path / "none"), DEFAULT)


# --- assets ---


def with_asset(folder, filename, files):
    return build.write(folder, build.meta_graph(assets=[build.asset(filename)]), files=files)


def test_lines_of_a_text_asset_are_vocabulary(tmp_path):
    artifact = opened(with_asset(tmp_path, "vocab.txt", {"assets/vocab.txt": b"a\nb\nc\n"}))
    assert artifact.vocabulary == {"assets/vocab.txt": 3}
    assert artifact.problems == ()


def test_an_asset_that_is_no_text_is_no_vocabulary(tmp_path):
    artifact = opened(with_asset(tmp_path, "spm.txt", {"assets/spm.txt": b"\n\xff\0\1\n"}))
    assert artifact.vocabulary == {}


def test_a_missing_asset_is_an_error(tmp_path):
    artifact = opened(with_asset(tmp_path, "vocab.txt", {}))
    assert codes(artifact) == ["asset-missing"]
    assert "vocab.txt" in artifact.problems[0].message


@pytest.mark.parametrize("filename", ["../secret.txt", "/etc/passwd", "a/../../secret.txt"])
def test_an_asset_outside_the_folder_is_told_and_not_opened(tmp_path, filename):
    (tmp_path / "secret.txt").write_bytes(b"a\nb\n")
    artifact = opened(with_asset(tmp_path / "model", filename, {}))
    assert codes(artifact) == ["asset-outside"]
    assert artifact.vocabulary == {}


# --- TensorFlow 1 ---


def tf1(folder, *collections, tags=(("serve",),), nodes=(), items=None):
    """`w` read by a MatMul, and `emb` in two parts."""
    graph = build.graph(
        [
            build.node("w", "VariableV2"),
            build.node("w/read", "Identity", "w"),
            build.node("x", "Placeholder"),
            build.node("MatMul", "MatMul", "x", "w/read"),
            build.node("emb/part_0", "VariableV2"),
            build.node("emb/part_1", "VariableV2"),
            build.node("embedding_lookup", "GatherV2", "emb/part_1", "x", "x"),
            *nodes,
        ]
    )
    halves = (slice_of((0, 2), None), slice_of((2, 1), None))
    items = items or [
        build.floats("w", [1.0, 2.0, 3.0]),
        Item(b"emb", sides=(3, 2), slices=halves),
        Item(slice_key(b"emb", ((0, 2), (0, WHOLE_AXIS))), bytes(16), sides=(2, 2)),
        Item(slice_key(b"emb", ((2, 1), (0, WHOLE_AXIS))), bytes(8), sides=(1, 2)),
    ]
    metas = [
        build.meta_graph(graph, one, collections=held, version="1.15.0")
        for one, held in zip(tags, collections or ((),) * len(tags), strict=True)
    ]
    return build.write(folder, *metas, items=items)


W_DEF = build.variable_def("w")
PARTS = [build.variable_def(f"emb/part_{one}", "emb") for one in range(2)]


def test_names_are_the_keys_and_collections_tell_what_is_trained(tmp_path):
    held = (
        build.collection("variables", W_DEF, *PARTS),
        build.collection("trainable_variables", *PARTS),
    )
    artifact = opened(tf1(tmp_path, held))
    assert artifact.kind == "SavedModel of TensorFlow 1"
    assert artifact.producer.version == "1.15.0"
    assert artifact.store is Store.NAMES
    assert {one.name: one.trainable for one in artifact.tensors} == {"emb": True, "w": False}
    assert artifact.uncounted is not None


def test_variables_are_used_where_their_nodes_or_their_parts_are_read(tmp_path):
    artifact = opened(tf1(tmp_path, (build.collection("variables", W_DEF, *PARTS),)))
    assert [(use.op, use.input) for use in tensor(artifact, "w").uses] == [("MatMul", 1)]
    assert [(use.op, use.input) for use in tensor(artifact, "emb").uses] == [("GatherV2", 0)]


def test_without_collections_nothing_is_said_about_training(tmp_path):
    artifact = opened(tf1(tmp_path))
    assert {one.trainable for one in artifact.tensors} == {None}


def test_meta_graphs_that_disagree_about_training_are_told(tmp_path):
    train = (
        build.collection("variables", W_DEF, *PARTS),
        build.collection("trainable_variables", W_DEF, *PARTS),
    )
    serve = (
        build.collection("variables", W_DEF, *PARTS),
        build.collection("trainable_variables", *PARTS),
    )
    artifact = opened(tf1(tmp_path, train, serve, tags=(("train", "serve"), ("serve",))))
    assert artifact.tags == (("train", "serve"), ("serve",))
    assert {one.name: one.trainable for one in artifact.tensors} == {"emb": True, "w": True}
    (problem,) = artifact.problems
    assert problem.code == "trainable-differs"
    assert "2 in train,serve, 1 in serve" in problem.message


def test_a_meta_graph_that_lists_nothing_trained_contradicts_none(tmp_path):
    train = (
        build.collection("variables", W_DEF, *PARTS),
        build.collection("trainable_variables", W_DEF),
    )
    serve = (build.collection("variables", W_DEF),)
    artifact = opened(tf1(tmp_path, train, serve, tags=(("train", "serve"), ("serve",))))
    assert {one.name: one.trainable for one in artifact.tensors} == {"emb": False, "w": True}
    assert artifact.problems == ()


def test_meta_graphs_that_agree_raise_no_question(tmp_path):
    held = (
        build.collection("variables", W_DEF),
        build.collection("trainable_variables", W_DEF),
    )
    artifact = opened(tf1(tmp_path, held, held, tags=(("train",), ("serve",))))
    assert artifact.problems == ()
    assert len(tensor(artifact, "w").uses) == 1


def test_a_constant_that_shares_a_variables_name_gets_one_of_its_own(tmp_path):
    nodes = [build.const("w", [1.0, 2.0])]
    path = tf1(tmp_path, nodes=nodes)
    artifact = opened(path)
    assert sorted(one.name for one in artifact.tensors) == ["emb", "graph:w", "w"]


# --- damage ---


def test_a_protobuf_without_a_graph_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert "no graph" in refused(tmp_path, Corrupt)


def test_a_protobuf_cut_anywhere_is_refused_or_adds_up(tmp_path):
    build.module(tmp_path)
    path = tmp_path / "saved_model.pb"
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        try:
            opened(tmp_path)
        except (Truncated, Corrupt):
            pass


def test_flipped_bits_of_the_protobuf_end_in_a_typed_error_or_add_up(tmp_path):
    build.module(tmp_path)
    path = tmp_path / "saved_model.pb"
    whole = path.read_bytes()
    chance = random.Random(3)
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            opened(tmp_path)
        except ArtifactError:
            pass
