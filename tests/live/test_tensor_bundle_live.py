"""Checkpoints that TensorFlow wrote: every key, dtype, shape and value as TensorFlow reads them."""

from __future__ import annotations

import math
import os

import pytest

pytest.importorskip("tensorflow")

import numpy as np
import tensorflow as tf

from inspector.storage import LocalFile
from inspector.wire.tensor_bundle import read_bundle
from inspector.wire.tensor_slices import SlicedPayload
from tests.builders.bundles import Item, strings
from tests.builders.bundles import bundle as built

pytestmark = pytest.mark.live

V1 = tf.compat.v1


def values_of(bundle, entry, max_bytes=1 << 20):
    if entry.dtype == "string":
        strings = [bytes(value.view()) for value in bundle.strings(entry)]
        return np.array(strings, object).reshape(entry.shape)
    blocks = [block.copy() for block in entry.payload.blocks(max_bytes)]
    assert all(block.nbytes <= max(max_bytes, block.itemsize) for block in blocks)
    flat = np.concatenate(blocks) if blocks else np.empty(0, np.uint8)
    return flat.reshape(entry.shape)


def assert_same(prefix, max_bytes=1 << 20):
    """Held against `load_checkpoint`; the bundle, for more to look at."""
    reader = tf.train.load_checkpoint(prefix)
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    bundle = read_bundle(prefix, LocalFile)
    assert bundle.problems == ()
    assert {entry.key for entry in bundle.entries} == set(shapes)
    for entry in bundle.entries:
        assert list(entry.shape) == shapes[entry.key]
        assert entry.dtype == dtypes[entry.key].name
        assert bundle.verify(entry)
        assert sum(extent.length for extent in bundle.extents(entry)) == sum(
            one.size for one in entry.stored()
        )
        if dtypes[entry.key] == tf.variant:
            continue
        # NumPy's own bytes would lose the zeros at their ends.
        kind = object if entry.dtype == "string" else None
        expected = np.asarray(reader.get_tensor(entry.key), kind)
        found = values_of(bundle, entry, max_bytes)
        assert found.shape == expected.shape
        if entry.dtype == "string":
            assert found.tolist() == expected.tolist()
        else:
            assert found.tobytes() == expected.tobytes()
    for shard in bundle.shards:
        assert (shard.gaps, shard.tensors, shard.size) == (
            0,
            os.path.getsize(shard.path),
            os.path.getsize(shard.path),
        )
    assert sum(bundle.index.overhead.values()) == os.path.getsize(f"{prefix}.index")
    return bundle


def test_every_kind_of_variable_reads_as_tensorflow_reads_it(tmp_path):
    rng = np.random.default_rng(7)
    plain = [
        *("float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "complex64", "complex128", "bool"),
        *("float8_e5m2", "float8_e4m3fn", "int4", "uint4"),
    ]
    variables = {
        name: tf.Variable(
            rng.integers(0, 2, (3, 5)).astype(tf.dtypes.as_dtype(name).as_numpy_dtype)
        )
        for name in plain
    }
    variables |= {
        "scalar": tf.Variable(3.25),
        "empty": tf.Variable(np.zeros((0, 4), np.float32)),
        "special": tf.Variable([np.nan, np.inf, -np.inf, -0.0, 5e-324], dtype=tf.float64),
        "large": tf.Variable(rng.normal(size=(700, 1000)).astype(np.float32)),
        "word": tf.Variable("one"),
        "words": tf.Variable([["", "a\0b", "\u00fc" * 100], ["x" * 70_000, "y", "z"]]),
        "no_words": tf.Variable(np.empty((0, 2), object), dtype=tf.string),
        "many_words": tf.Variable([str(n) * (n % 7) for n in range(20_000)]),
        "a/b.c-d \u00e9": tf.Variable(1),
    }
    # A key a block and more: prefixes that are shared, and an index of several blocks.
    variables |= {f"layer_with_a_long_name_{n:05d}": tf.Variable(n) for n in range(6000)}
    written = tf.train.Checkpoint(**variables).write(str(tmp_path / "kinds"))
    bundle = assert_same(written)
    assert len(bundle.index.blocks) > 1
    graph = bundle.get("_CHECKPOINTABLE_OBJECT_GRAPH")
    assert graph.dtype == "string"
    for entry in bundle.entries:
        key = entry.key.encode()
        assert bundle.index.get(key).offset == entry.at


def test_quantized_dtypes_and_int4_are_stored_a_value_a_byte(tmp_path):
    # What a variable cannot be, the save operation writes all the same.
    values = tf.constant([[-8, 7, 0], [1, 2, 3]])
    tensors = {name: tf.cast(values, getattr(tf, name)) for name in ("qint8", "qint16", "qint32")}
    tensors |= {name: tf.cast(abs(values), getattr(tf, name)) for name in ("quint8", "quint16")}
    tensors["int4"] = tf.cast(values, tf.dtypes.experimental.int4)
    prefix = str(tmp_path / "q")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=sorted(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tensors[name] for name in sorted(tensors)],
    )
    bundle = read_bundle(prefix, LocalFile)
    assert bundle.problems == ()
    for name in sorted(tensors):
        entry = bundle.get(name)
        expected = abs(values) if name.startswith("qu") else values
        assert (entry.dtype, entry.shape) == (name, (2, 3))
        found = values_of(bundle, entry).astype(np.int64)
        assert found.tolist() == expected.numpy().tolist()
        assert bundle.verify(entry)


@pytest.mark.parametrize("keras", ["tf_keras", "keras"])
def test_checkpoints_of_a_model_and_its_optimizer(tmp_path, keras):
    library = pytest.importorskip(keras)
    layers = library.layers
    model = library.Sequential(
        [layers.Input((6,)), layers.Dense(8), layers.BatchNormalization(), layers.Dense(2)]
    )
    model.compile("adam", "mse")
    model.fit(np.ones((4, 6)), np.ones((4, 2)), verbose=0)
    if keras == "tf_keras":
        prefix = str(tmp_path / "weights")
        model.save_weights(prefix, save_format="tf")
        assert_same(prefix)
    path = str(tmp_path / "saved")
    tf.saved_model.save(model, path)
    assert_same(f"{path}/variables/variables")


def partitioned(tmp_path, make):
    """A V1 checkpoint of partitioned variables, of two shards where devices differ."""
    prefix = str(tmp_path / "v1")
    with tf.Graph().as_default(), V1.Session() as session:
        make()
        saver = V1.train.Saver(sharded=True)
        session.run(V1.global_variables_initializer())
        return saver.save(session, prefix, write_meta_graph=False)


def variable(name, values, axis=None, parts=3):
    split = V1.fixed_size_partitioner(parts, axis) if axis is not None else None
    return V1.get_variable(
        name,
        shape=values.shape,
        dtype=values.dtype,
        initializer=lambda shape, dtype=None, partition_info=None: tf.constant(
            values[
                tuple(
                    slice(at, at + side)
                    for at, side in zip(
                        partition_info.var_offset if partition_info else [0] * values.ndim,
                        shape,
                        strict=True,
                    )
                )
            ]
        ),
        partitioner=split,
    )


@pytest.mark.parametrize("max_bytes", [1, 64, 1000, 1 << 20])
def test_partitioned_variables_give_their_values_in_the_whole_tensors_order(tmp_path, max_bytes):
    rng = np.random.default_rng(3)
    arrays = {
        "rows": (rng.normal(size=(10, 7)).astype("f4"), 0),
        "columns": (rng.normal(size=(5, 10)).astype("f8"), 1),
        "deep": (rng.integers(0, 9, (3, 4, 8, 2)), 2),
        "last": (rng.integers(0, 9, (2, 3, 5)).astype("i2"), 2),
        "line": (rng.normal(size=100).astype("f4"), 0),
        "whole": (rng.normal(size=(4, 4)).astype("f4"), None),
    }

    def make():
        for name, (values, axis) in arrays.items():
            variable(name, values, axis)

    bundle = assert_same(partitioned(tmp_path, make), max_bytes)
    assert {entry.key for entry in bundle.entries} == set(arrays)
    for name, (values, axis) in arrays.items():
        entry = bundle.get(name)
        assert len(entry.slices) == (0 if axis is None else 3)
        assert isinstance(entry.payload, SlicedPayload) == (axis is not None)
        assert values_of(bundle, entry).tobytes() == values.tobytes()


def test_slices_of_any_cut_and_size_and_their_keys(tmp_path):
    # Names with bytes that keys escape; starts past 63 and 8191, where they take more bytes.
    rng = np.random.default_rng(4)
    grid = rng.normal(size=(9, 6)).astype("f4")
    line = rng.integers(-9, 9, 300_000).astype("i4")
    cuts = [
        ("grid\xff\u00fc", grid, (slice(0, 4), slice(0, 6))),
        ("grid\xff\u00fc", grid, (slice(4, 9), slice(0, 1))),
        ("grid\xff\u00fc", grid, (slice(4, 6), slice(1, 6))),
        ("grid\xff\u00fc", grid, (slice(6, 9), slice(1, 6))),
        ("line", line, (slice(0, 70),)),
        ("line", line, (slice(70, 9000),)),
        ("line", line, (slice(9000, 299_999),)),
        ("line", line, (slice(299_999, 300_000),)),
    ]
    specs = [
        " ".join(map(str, whole.shape))
        + " "
        + ":".join(
            "-" if (cut.start, cut.stop) == (0, side) else f"{cut.start},{cut.stop - cut.start}"
            for cut, side in zip(box, whole.shape, strict=True)
        )
        for _, whole, box in cuts
    ]
    prefix = str(tmp_path / "cut")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=[name for name, _, _ in cuts],
        shape_and_slices=specs,
        tensors=[tf.constant(whole[box]) for _, whole, box in cuts],
    )
    bundle = assert_same(prefix, 100)
    for name, whole in (("grid\xff\u00fc", grid), ("line", line)):
        assert values_of(bundle, bundle.get(name), 4096).tobytes() == whole.tobytes()


def test_checkpoints_cut_to_a_size_of_shard_are_whole(tmp_path):
    policy = tf.train.experimental.MaxShardSizePolicy(max_shard_size=4000)
    options = tf.train.CheckpointOptions(experimental_sharding_callback=policy)
    rng = np.random.default_rng(8)
    variables = {
        "long": tf.Variable(rng.normal(size=(100, 33)).astype("f4")),
        "wide": tf.Variable(rng.normal(size=(3, 2001)).astype("f4")),
        "small": tf.Variable(1.5),
        "word": tf.Variable("w" * 100),
    }
    written = tf.train.Checkpoint(**variables).write(str(tmp_path / "cut"), options)
    bundle = assert_same(written, 512)
    assert len(bundle.shards) > 5
    assert any(len(entry.slices) > 2 for entry in bundle.entries)


def test_merged_shards_are_found_by_number(tmp_path):
    parts = []
    for number in range(3):
        parts.append(str(tmp_path / f"part{number}"))
        tf.raw_ops.SaveV2(
            prefix=parts[-1],
            tensor_names=[f"of_{number}", "shared"],
            shape_and_slices=["", f"6 2 {2 * number},2:-"],
            tensors=[tf.fill([number + 1, 3], number), tf.fill([2, 2], float(number))],
        )
    prefix = str(tmp_path / "merged")
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=prefix)
    bundle = assert_same(prefix)
    assert len(bundle.shards) == 3
    assert len(bundle.get("shared").slices) == 3


def test_a_flipped_bit_is_told_wherever_tensorflow_tells_it(tmp_path):
    prefix = str(tmp_path / "flipped")
    names = ["numbers", "words"]
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=names,
        shape_and_slices=["", ""],
        tensors=[tf.range(20.0), tf.constant(["one", "twenty", ""])],
    )
    data = f"{prefix}.data-00000-of-00001"
    with open(data, "rb") as file:
        sound = file.read()
    for at in range(len(sound)):
        with open(data, "wb") as file:
            file.write(sound[:at] + bytes([sound[at] ^ 1 << at % 8]) + sound[at + 1 :])
        bundle = read_bundle(prefix, LocalFile)
        reader = tf.train.load_checkpoint(prefix)
        for name in names:
            try:
                reader.get_tensor(name)
                refused = False
            except (tf.errors.OpError, RuntimeError, ValueError):
                refused = True
            assert bundle.verify(bundle.get(name)) is not refused
    assert math.prod(bundle.get("numbers").shape) == 20


@pytest.mark.parametrize("order", ["<", ">"])
def test_bundles_by_hand_read_as_tensorflow_reads_them_in_either_byte_order(tmp_path, order):
    words, crc = strings(b"one", b"", b"w" * 300, order=order)
    arrays = {
        b"f4": np.array([[1.5, -0.0], [np.inf, 1e-40]], f"{order}f4"),
        b"i8": np.array([-1, 1 << 40], f"{order}i8"),
        b"c8": np.array([1 + 2j, -3j], f"{order}c8"),
        b"f2": np.array([0.1, 65504], f"{order}f2"),
        b"u1": np.array([1, 255], "u1"),
    }
    codes = {b"f4": 1, b"i8": 9, b"c8": 8, b"f2": 19, b"u1": 4}
    files = built(
        *(Item(key, one.tobytes(), codes[key], one.shape) for key, one in arrays.items()),
        Item(b"words", words, 7, (3,), crc=crc),
        endianness=int(order == ">"),
        prefix=str(tmp_path / "hand"),
    )
    for path, content in files.items():
        with open(path, "wb") as file:
            file.write(content)
    reader = tf.train.load_checkpoint(str(tmp_path / "hand"))
    found = read_bundle(str(tmp_path / "hand"), LocalFile)
    assert found.problems == ()
    for key in arrays:
        entry = found.get(key.decode())
        expected = reader.get_tensor(entry.key)
        values = values_of(found, entry)
        assert values.astype(values.dtype.newbyteorder("=")).tobytes() == expected.tobytes()
        assert found.verify(entry)
    assert values_of(found, found.get("words")).tolist() == reader.get_tensor("words").tolist()
    assert found.verify(found.get("words"))


def test_variants_have_their_running_crc(tmp_path):
    prefix = str(tmp_path / "variants")
    lists = tf.raw_ops.EmptyTensorList(
        element_shape=[2], max_num_elements=3, element_dtype=tf.float32
    )
    lists = tf.raw_ops.TensorListPushBack(input_handle=lists, tensor=tf.constant([1.0, 2.0]))
    stacked = tf.stack([lists, lists])
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=["v"], shape_and_slices=[""], tensors=[stacked])
    bundle = read_bundle(prefix, LocalFile)
    entry = bundle.get("v")
    assert (entry.dtype, entry.shape, entry.payload) == ("variant", (2,), None)
    assert bundle.problems == ()
    assert bundle.verify(entry)
    data = bundle.shards[0].path
    with open(data, "r+b") as file:
        file.seek(entry.size // 2)
        byte = file.read(1)[0]
        file.seek(entry.size // 2)
        file.write(bytes([byte ^ 4]))
    again = read_bundle(prefix, LocalFile)
    assert not again.verify(again.get("v"))
