"""Checkpoints written by hand: which files are read, what is told of them, every byte placed."""

import os
import struct
import time

import ml_dtypes
import numpy as np
import pytest

from inspector.classify import classify
from inspector.errors import ArtifactError, Corrupt, NotFound, UnknownFormat
from inspector.limits import DEFAULT, Limits
from inspector.model import Section, Severity, Store
from inspector.read.bundle_common import StoredCrc
from inspector.read.checkpoint import read as read_checkpoint
from inspector.storage import covered
from inspector.wire.tensor_slices import slice_key
from tests.builders.bundles import (
    Item,
    bundle,
    chunk,
    number,
    shape,
    slice_of,
    strings,
    table,
)
from tests.builders.saved_models import (
    collection,
    const,
    dtype,
    graph,
    meta_graph,
    node,
    trackable,
    variable_def,
)

FLOAT, STRING, INT64, QINT8, BFLOAT16, VARIANT = 1, 7, 9, 11, 14, 21


def floats(key, *values, **more):
    data = struct.pack(f"<{len(values)}f", *values)
    return Item(key, data, sides=more.pop("sides", (len(values),)), **more)


def text(key, *values, **more):
    data, crc = strings(*values)
    return Item(key, data, STRING, more.pop("sides", (len(values),)), crc=crc, **more)


def write(folder, *items, prefix="model.ckpt-7", **more):
    for name, data in bundle(*items, prefix=prefix, **more).items():
        (folder / name).write_bytes(data)
    return str(folder / prefix)


def write_state(folder, latest, *kept):
    lines = [f'model_checkpoint_path: "{latest}"']
    lines += [f'all_model_checkpoint_paths: "{one}"' for one in kept]
    (folder / "checkpoint").write_text("\n".join(lines) + "\n")


def read(path, limits=DEFAULT):
    """The artifact, its bytes added up over exactly its files."""
    with read_checkpoint(str(path), limits) as opened:
        artifact = opened.artifact
        extents = [extent for tensor in artifact.tensors for extent in tensor.extents]
        assert sum(artifact.overhead.values()) + covered(extents) == artifact.nbytes
        assert {extent.file for extent in extents} <= {one.path for one in artifact.files}
        for one in artifact.files:
            assert os.path.getsize(one.path) == one.nbytes
        return artifact


def names(artifact):
    return [tensor.name for tensor in artifact.tensors]


def files(artifact):
    return [os.path.basename(one.path) for one in artifact.files]


def codes(artifact):
    return [one.code for one in artifact.problems]


# --- which files ---


@pytest.mark.parametrize("ending", ["", ".index", ".data-00000-of-00001"])
def test_a_prefix_and_each_of_its_files_lead_to_the_checkpoint(tmp_path, ending):
    prefix = write(tmp_path, floats(b"w", 1, 2))
    artifact = read(prefix + ending)
    assert (artifact.format, artifact.store) == ("checkpoint", Store.NAMES)
    assert artifact.path == prefix + ending
    assert names(artifact) == ["w"]
    assert files(artifact) == ["model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001"]


def test_a_folder_gives_its_latest_checkpoint_and_names_the_others(tmp_path):
    write(tmp_path, floats(b"old", 1), prefix="ckpt-1")
    write(tmp_path, floats(b"new", 1), prefix="ckpt-2")
    write_state(tmp_path, "ckpt-2", "ckpt-1", "ckpt-2")
    artifact = read(tmp_path)
    assert names(artifact) == ["new"]
    assert files(artifact)[-1] == "checkpoint"
    (problem,) = artifact.problems
    assert (problem.code, problem.severity) == ("other-checkpoints", Severity.INFO)
    assert problem.message == "ckpt-2 is read; also in this folder: ckpt-1"
    assert names(read(tmp_path / "checkpoint")) == ["new"]


@pytest.mark.parametrize(
    "written",
    ["/home/someone/run/ckpt-1", "../elsewhere/ckpt-1", r"C:\\\\runs\\\\ckpt-1", r"\143kpt-1"],
)
def test_of_a_path_in_the_state_file_only_the_last_part_is_followed(tmp_path, written):
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere", floats(b"outside", 1), prefix="ckpt-1")
    write(folder, floats(b"inside", 1), prefix="ckpt-1")
    write_state(folder, written)
    assert names(read(folder)) == ["inside"]


@pytest.mark.parametrize("written", ["..", "/", "a/..", ""])
def test_a_state_file_that_leads_nowhere_is_no_path(tmp_path, written):
    write_state(tmp_path, written)
    with pytest.raises(NotFound, match="no checkpoint is in this folder"):
        read(tmp_path)


def test_a_latest_checkpoint_that_is_gone_is_told(tmp_path):
    write(tmp_path, floats(b"w", 1), prefix="ckpt-1")
    write_state(tmp_path, "ckpt-9", "ckpt-9")
    artifact = read(tmp_path)
    assert names(artifact) == ["w"]
    assert codes(artifact) == ["checkpoint-state"]
    assert "names ckpt-9 as the latest" in artifact.problems[0].message
    write(tmp_path, floats(b"w", 1), prefix="ckpt-2")
    with pytest.raises(UnknownFormat, match=r"ckpt-9.*2 checkpoints.*ckpt-1, ckpt-2"):
        read(tmp_path)


def test_a_folder_without_state_needs_exactly_one_index(tmp_path):
    write(tmp_path, floats(b"w", 1), prefix="variables")
    artifact = read(tmp_path)
    assert files(artifact) == ["variables.index", "variables.data-00000-of-00001"]
    write(tmp_path, floats(b"w", 1), prefix="b")
    with pytest.raises(UnknownFormat, match="2 checkpoints are in this folder, say which"):
        read(tmp_path)


def test_a_folder_of_the_prefixs_name_does_not_hide_the_checkpoint(tmp_path):
    prefix = write(tmp_path, floats(b"w", 1), prefix="best")
    (tmp_path / "best").mkdir()
    assert names(read(prefix)) == ["w"]


def test_a_shard_without_its_index_is_refused_with_the_reason(tmp_path):
    prefix = write(tmp_path, floats(b"w", 1))
    os.remove(f"{prefix}.index")
    with pytest.raises(NotFound, match="index of this checkpoint is missing"):
        read(f"{prefix}.data-00000-of-00001")
    with pytest.raises(NotFound, match="no checkpoint with this prefix"):
        read(prefix)


def test_an_index_that_is_none_is_refused(tmp_path):
    prefix = write(tmp_path, floats(b"w", 1))
    data = bytearray((tmp_path / "model.ckpt-7.index").read_bytes())
    (tmp_path / "model.ckpt-7.index").write_bytes(data[:30])
    with pytest.raises(ArtifactError):
        read(prefix)


# --- tensors and their bytes ---


def test_slots_serve_their_variables_and_scopes_are_layers(tmp_path):
    prefix = write(
        tmp_path,
        floats(b"dense/kernel", 1, 2),
        floats(b"dense/kernel/Adam", 0, 0),
        Item(b"global_step", bytes(8), INT64),
    )
    artifact = read(prefix)
    kernel, slot, step = artifact.tensors
    assert (kernel.layer, kernel.variable, kernel.section) == ("dense", "kernel", Section.MODEL)
    assert (slot.section, slot.slot_of) == (Section.OPTIMIZER, "dense/kernel")
    assert step.section is Section.OTHER
    assert kernel.trainable is None
    assert artifact.uncounted is not None


def test_gaps_and_shards_and_slices_are_told(tmp_path):
    whole = Item(b"emb", sides=(3, 2), slices=(slice_of((0, 1), None), slice_of((1, 2), None)))
    first = floats(slice_key(b"emb", [(0, 1), (0, -1)]), 1, 2, sides=(1, 2))
    rest = floats(slice_key(b"emb", [(1, 2), (0, -1)]), 3, 4, 5, 6, sides=(2, 2), shard=1)
    prefix = write(tmp_path, whole, first, rest, floats(b"w", 7, shard=1), shards=2, tail=b"end")
    artifact = read(prefix)
    emb, w = artifact.tensors
    assert emb.shape == (3, 2)
    assert emb.storage == "in 2 slices, in shards 1, 2 of 2"
    assert w.storage == "in shard 2 of 2"
    assert len(emb.extents) == 2
    assert artifact.overhead["gaps"] == 6
    assert "2 shards" in artifact.kind


def test_a_missing_shard_leaves_the_others_and_the_shapes(tmp_path):
    prefix = write(tmp_path, floats(b"a", 1), floats(b"b", 2, shard=1), shards=2)
    os.remove(f"{prefix}.data-00001-of-00002")
    artifact = read(prefix)
    assert not artifact.complete
    assert codes(artifact) == ["bundle-shard-missing"]
    a, b = artifact.tensors
    assert (a.check is not None, b.check, b.payload, b.shape) == (True, None, None, (1,))


def test_a_shard_that_ends_early_has_no_check_for_what_is_cut(tmp_path):
    prefix = write(tmp_path, floats(b"a", 1), floats(b"b", 2))
    shard = tmp_path / "model.ckpt-7.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:6])
    artifact = read(prefix)
    assert not artifact.complete
    assert codes(artifact) == ["bundle-shard-short"]
    a, b = artifact.tensors
    assert (a.check is not None, b.check, b.payload) == (True, None, None)


def test_records_are_bytes_with_a_label_and_text_variables_are_tensors(tmp_path):
    state = text(b"py/.ATTRIBUTES/py_state", b"state", sides=())
    config = text(b"model/.ATTRIBUTES/OBJECT_CONFIG_JSON", b"{}", sides=())
    words = text(b"words", b"a", b"bc")
    looks = text(b"py/.ATTRIBUTES/py_state/w", b"x", sides=())
    prefix = write(tmp_path, state, config, words, looks)
    artifact = read(prefix)
    assert names(artifact) == ["py/.ATTRIBUTES/py_state/w", "words"]
    assert artifact.overhead["Python state"] == len(state.data)
    assert artifact.overhead["config"] == len(config.data)
    with read_checkpoint(prefix, DEFAULT) as opened:
        assert all(one.payload is None and one.check.holds() for one in opened.artifact.tensors)


def test_a_record_that_was_changed_is_told(tmp_path):
    prefix = write(tmp_path, text(b"py/.ATTRIBUTES/py_state", b"state", sides=()))
    shard = tmp_path / "model.ckpt-7.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:-1] + b"X")
    (problem,) = read(prefix).problems
    assert problem.code == "checksum-mismatch"
    assert problem.message.startswith("py/.ATTRIBUTES/py_state (Python state)")


def test_names_of_any_length_cost_little(tmp_path):
    # Names of 1,000 scopes each, and as many as a small file can hold.
    deep = "/".join("moments" for _ in range(1000))
    keys = [f"{deep}/{at}/ExponentialMovingAverage".encode() for at in range(100)]
    prefix = write(tmp_path, *(floats(key, 1, 2) for key in keys))
    start = time.monotonic()
    artifact = read(prefix)
    classify(artifact)
    assert len(artifact.tensors) == 100
    assert time.monotonic() - start < 5


def test_tables_have_a_vocabulary(tmp_path):
    keys = text(b"t/.ATTRIBUTES/table-keys", b"a", b"b", b"c")
    values = Item(b"t/.ATTRIBUTES/table-values", bytes(24), INT64, (3,))
    # A dense table keeps its empty places: how many are taken its shape does not say.
    dense = Item(b"d/.ATTRIBUTES/table-keys", bytes(64), INT64, (8, 1))
    artifact = read(write(tmp_path, keys, values, dense, text(b"mt-keys", b"x", b"y")))
    assert artifact.vocabulary == {"t": 3, "mt": 2}


def test_quantized_dtypes_go_by_their_values(tmp_path):
    prefix = write(tmp_path, Item(b"q", b"\x01\xff", QINT8, (2,)))
    with read_checkpoint(prefix, DEFAULT) as opened:
        (tensor,) = opened.artifact.tensors
        assert (tensor.dtype, tensor.storage) == ("int8", "qint8")
        assert next(tensor.payload.blocks(16)).tolist() == [1, -1]


@pytest.mark.parametrize(
    ("dtype", "name", "data", "expected"),
    [
        (FLOAT, "float32", struct.pack(">2f", 1, -0.5), [1, -0.5]),
        # bfloat16 is the upper half of a float32: 1.0 is 3F80, -2.0 is C000.
        (BFLOAT16, "bfloat16", b"\x3f\x80\xc0\x00", [1, -2]),
        (INT64, "int64", struct.pack(">2q", -3, 1 << 40), [-3, 1 << 40]),
        (8, "complex64", struct.pack(">4f", 1, 2, 3, 4), [1 + 2j, 3 + 4j]),
    ],
)
def test_big_endian_values_come_in_this_machines_order(tmp_path, dtype, name, data, expected):
    prefix = write(tmp_path, Item(b"v", data, dtype, (2,)), endianness=1)
    with read_checkpoint(prefix, DEFAULT) as opened:
        (tensor,) = opened.artifact.tensors
        assert (tensor.dtype, tensor.storage) == (name, "big-endian")
        (block,) = tensor.payload.blocks(1 << 20)
        assert block.dtype == (ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name))
        assert block.dtype.isnative
        assert block.tolist() == expected
        assert tensor.check.holds()
        assert tensor.check.watch() is None


# --- checksums ---


def test_a_checksum_holds_while_the_values_are_read(tmp_path):
    prefix = write(tmp_path, floats(b"w", *range(100)), floats(b"z"))
    with read_checkpoint(prefix, DEFAULT) as opened:
        w, z = opened.artifact.tensors
        for tensor, count in ((w, 100), (z, 0)):
            assert isinstance(tensor.check, StoredCrc)
            watched = tensor.check.watch()
            assert not watched.held
            assert sum(block.size for block in watched.blocks(64)) == count
            assert watched.held
            assert sum(block.size for block in watched.blocks(64)) == count
            assert watched.held


def test_a_flipped_bit_is_seen_in_one_pass(tmp_path):
    prefix = write(tmp_path, floats(b"a", 1, 2, 3), floats(b"b", 4))
    shard = tmp_path / "model.ckpt-7.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[5] ^= 8
    shard.write_bytes(data)
    with read_checkpoint(prefix, DEFAULT) as opened:
        a, b = opened.artifact.tensors
        assert [a.check.holds(), b.check.holds()] == [False, True]
        seen = []
        for tensor in (a, b):
            watched = tensor.check.watch()
            for _ in watched.blocks(4):
                pass
            seen.append(watched.held)
        assert seen == [False, True]


def test_a_payload_read_in_part_holds_nothing(tmp_path):
    prefix = write(tmp_path, floats(b"w", 1, 2, 3))
    with read_checkpoint(prefix, DEFAULT) as opened:
        watched = opened.artifact.tensors[0].check.watch()
        next(watched.blocks(4))
        assert not watched.held


def test_slices_are_checked_apart_and_not_watched(tmp_path):
    whole = Item(b"emb", sides=(2,), slices=(slice_of((0, 1)), slice_of((1, 1))))
    parts = [floats(slice_key(b"emb", [(at, 1)]), at) for at in range(2)]
    prefix = write(tmp_path, whole, *parts)
    with read_checkpoint(prefix, DEFAULT) as opened:
        (emb,) = opened.artifact.tensors
        assert emb.check.watch() is None
        assert emb.check.holds()


# --- objects, and the graph beside ---


def test_objects_tell_the_variables_and_what_none_of_them_has_is_apart(tmp_path):
    value = "net/w/.ATTRIBUTES/VARIABLE_VALUE"
    objects = trackable(({"net": 1}, None), ({"w": 2}, None), ({}, ("weights", value)))
    prefix = write(tmp_path, objects, floats(value.encode(), 1, 2), floats(b"stray", 3))
    artifact = read(prefix)
    assert artifact.store is Store.OBJECTS
    assert artifact.overhead["object graph"] == len(objects.data)
    w, stray = artifact.tensors
    assert (w.section, w.layer, w.variable) == (Section.MODEL, "net", "weights")
    assert stray.section is Section.OTHER


def training_graph():
    """y = x @ w, with w in two parts and trained, and scale, a variable that is not."""
    variables = ("w/part_0", "w/part_1", "scale")
    nodes = [node(name, "VariableV2", dtype=dtype(FLOAT)) for name in variables]
    nodes += [node(f"{name}/read", "Identity", name) for name in variables]
    nodes += [
        const("axis", [0.0]),
        node("concat", "ConcatV2", "w/part_0/read", "w/part_1/read", "axis"),
        node("matmul", "MatMul", "x", "concat"),
        node("mul", "Mul", "matmul", "scale/read"),
    ]
    parts = [variable_def(name, "w") for name in variables[:2]]
    held = (
        collection("trainable_variables", *parts),
        collection("variables", *parts, variable_def("scale")),
    )
    return meta_graph(graph(nodes), tags=(), collections=held, version="1.15.0")


def test_the_graph_beside_a_checkpoint_tells_readers_and_what_is_trained(tmp_path):
    halves = (slice_of((0, 1)), slice_of((1, 1)))
    parts = [floats(slice_key(b"w", [(at, 1)]), at) for at in range(2)]
    whole = Item(b"w", sides=(2,), slices=halves)
    prefix = write(tmp_path, whole, *parts, floats(b"scale", 2, sides=()))
    (tmp_path / "model.ckpt-7.meta").write_bytes(training_graph())
    artifact = read(prefix)
    scale, w = artifact.tensors
    assert (w.trainable, scale.trainable) == (True, False)
    assert {(use.op, use.node) for use in scale.uses} == {("Mul", "mul")}
    assert {use.op for use in w.uses} <= {"ConcatV2", "MatMul"}
    assert w.uses
    assert artifact.producer.version == "1.15.0"
    assert "MatMul" in {one.name for one in artifact.operators}
    assert files(artifact)[-1] == "model.ckpt-7.meta"
    # The one float of the graph's constant, and the rest of its file.
    assert artifact.overhead["graph constants"] == 4
    assert artifact.overhead["graph"] == len(training_graph()) - 4
    assert classify(artifact).verdicts["w"].trainable


@pytest.mark.parametrize("content", [b"", b"\xff", training_graph()[:-3]])
def test_a_graph_that_cannot_be_read_leaves_the_checkpoint(tmp_path, content):
    prefix = write(tmp_path, floats(b"w", 1))
    (tmp_path / "model.ckpt-7.meta").write_bytes(content)
    artifact = read(prefix)
    assert codes(artifact) == ["meta-graph"]
    assert names(artifact) == ["w"]
    assert artifact.overhead.get("graph", 0) == len(content)


# --- version 1 ---


def version_1(name, *values):
    listed = chunk(1, name) + chunk(2, shape(len(values))) + number(3, FLOAT)
    listed += chunk(4, slice_of(None))
    proto = chunk(5, struct.pack(f"<{len(values)}f", *values))
    record = chunk(2, chunk(1, name) + chunk(2, slice_of(None)) + chunk(3, proto))
    meta = chunk(1, chunk(1, listed) + chunk(2, b""))
    return table([(b"", meta), (slice_key(name, [(0, -1)]), record)])


def test_a_checkpoint_of_version_1_is_one_file(tmp_path):
    path = tmp_path / "model.ckpt-3"
    path.write_bytes(version_1(b"dense/kernel", 1, 2, 3))
    artifact = read(path)
    assert (artifact.kind, artifact.store) == ("TensorFlow checkpoint, version 1", Store.NAMES)
    (kernel,) = artifact.tensors
    assert (kernel.layer, kernel.variable, kernel.nbytes) == ("dense", "kernel", 12)
    write_state(tmp_path, "/run/model.ckpt-3")
    assert files(read(tmp_path)) == ["model.ckpt-3", "checkpoint"]


@pytest.mark.parametrize("given", ["m-7", "m-7-00001-of-00002", "m-7-?????-of-00002", ""])
def test_shards_of_version_1_are_found_from_each_of_their_names(tmp_path, given):
    (tmp_path / "m-7-00000-of-00002").write_bytes(version_1(b"a", 1))
    (tmp_path / "m-7-00001-of-00002").write_bytes(version_1(b"b", 2))
    write_state(tmp_path, "/run/m-7-?????-of-00002")
    artifact = read(tmp_path / given)
    assert names(artifact) == ["a", "b"]
    assert artifact.complete


def test_a_missing_shard_of_version_1_is_told(tmp_path):
    (tmp_path / "m-7-00000-of-00002").write_bytes(version_1(b"a", 1))
    artifact = read(tmp_path / "m-7")
    assert not artifact.complete
    assert codes(artifact) == ["shard-missing"]


def test_a_table_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "table"
    path.write_bytes(table([(b"key", b"value")]))
    with pytest.raises(Corrupt, match="no list of tensors"):
        read(path)


# --- hostile files ---


def test_every_byte_of_an_index_may_change_and_the_end_is_sound(tmp_path):
    prefix = write(tmp_path, floats(b"w", 1, 2), text(b"s", b"x"))
    index = tmp_path / "model.ckpt-7.index"
    sound = index.read_bytes()
    for at in range(len(sound)):
        index.write_bytes(sound[:at] + bytes([sound[at] ^ 0x41]) + sound[at + 1 :])
        try:
            artifact = read(prefix)
        except ArtifactError:
            continue
        assert artifact.problems or at >= len(sound) - 48


def test_an_index_cut_anywhere_is_refused(tmp_path):
    prefix = write(tmp_path, floats(b"w", 1, 2))
    index = tmp_path / "model.ckpt-7.index"
    sound = index.read_bytes()
    for size in range(len(sound)):
        index.write_bytes(sound[:size])
        with pytest.raises(ArtifactError):
            read(prefix)


def test_a_broken_object_graph_leaves_the_variables_with_their_keys(tmp_path):
    graph = text(b"_CHECKPOINTABLE_OBJECT_GRAPH", b"\x0a\xff", sides=())
    artifact = read(write(tmp_path, graph, floats(b"w/.ATTRIBUTES/VARIABLE_VALUE", 1)))
    assert "object-graph" in codes(artifact)
    assert "object graph" in artifact.uncounted
    assert names(artifact) == ["w/.ATTRIBUTES/VARIABLE_VALUE"]
    assert artifact.overhead["object graph"] == len(graph.data)


def test_the_number_of_tensors_is_bounded(tmp_path):
    prefix = write(tmp_path, floats(b"a", 1), floats(b"b", 1))
    with pytest.raises(ArtifactError, match="limit tensors"):
        read(prefix, Limits(tensors=1))
