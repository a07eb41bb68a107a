"""Checkpoints that TensorFlow wrote, read as artifacts: keys, values and checksums are its own."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("tensorflow")

import numpy as np
import tensorflow as tf

from inspector.classify import classify
from inspector.errors import ArtifactError
from inspector.limits import DEFAULT
from inspector.model import Role, Section, Store
from inspector.read.checkpoint import read as read_checkpoint
from inspector.storage import covered

pytestmark = pytest.mark.live

V1 = tf.compat.v1
RECORDS = ("_CHECKPOINTABLE_OBJECT_GRAPH", "py_state", "ITERATOR_STATE", "OBJECT_CONFIG_JSON")


def open_checkpoint(path):
    opened = read_checkpoint(str(path), DEFAULT)
    artifact = opened.artifact
    extents = [extent for tensor in artifact.tensors for extent in tensor.extents]
    assert sum(artifact.overhead.values()) + covered(extents) == artifact.nbytes
    assert artifact.nbytes == sum(os.path.getsize(one.path) for one in artifact.files)
    return opened


def assert_same(path, prefix, *, values=True):
    """The artifact at a path, held against TensorFlow's reader of `prefix`."""
    reader = tf.train.load_checkpoint(prefix)
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    with open_checkpoint(path) as opened:
        artifact = opened.artifact
        found = {tensor.name: tensor for tensor in artifact.tensors}
        assert set(found) == {key for key in shapes if not key.endswith(RECORDS)}
        for key, tensor in found.items():
            assert list(tensor.shape) == shapes[key]
            dtype = dtypes[key].name
            # Quantized dtypes go by their values: qint8 is int8 here.
            assert tensor.dtype == (dtype.removeprefix("q"))
            if tensor.dtype == "string" or not values:
                continue
            watched = tensor.check.watch() if tensor.check is not None else None
            payload = tensor.payload if watched is None else watched
            blocks = list(payload.blocks(64))
            read = np.concatenate(blocks) if blocks else np.empty(0)
            expected = np.asarray(reader.get_tensor(key))
            assert read.tobytes() == expected.tobytes()
            assert watched is None or watched.held
            assert tensor.check is None or tensor.check.holds()
        return artifact


def graph(folder, build, step=7, config=None, **saver):
    """A TF1 graph's variables, saved by a Saver. build: makes them. Gives the prefix."""
    with V1.Graph().as_default():
        build()
        with V1.Session(config=config) as session:
            for variable in V1.global_variables():  # in order: averages start from variables
                session.run(variable.initializer)
            V1.train.Saver(**saver).save(session, str(folder / "model.ckpt"), global_step=step)
    return str(folder / f"model.ckpt-{step}")


def roles_of(artifact):
    return {name: verdict.role for name, verdict in classify(artifact).verdicts.items()}


def adam_and_average():
    step = V1.train.get_or_create_global_step()
    w = V1.get_variable("w", [4, 2], use_resource=False)
    y = V1.matmul(tf.ones([1, 4]), w)
    V1.train.AdamOptimizer().minimize(V1.reduce_sum(y), global_step=step)
    V1.train.ExponentialMovingAverage(0.9, step).apply([w])


@pytest.mark.parametrize("version", [V1.train.SaverDef.V2, V1.train.SaverDef.V1])
def test_adam_and_an_average_leave_eight_parameters(tmp_path, version):
    prefix = graph(tmp_path, adam_and_average, write_version=version)
    artifact = assert_same(prefix, prefix)
    assert artifact.store is Store.NAMES
    # w, two slots and an average of 8 each, two powers and the step.
    assert sum(tensor.elements for tensor in artifact.tensors) == 35
    roles = roles_of(artifact)
    assert {name for name, role in roles.items() if role is Role.WEIGHT} == {"w"}
    assert Role.UNKNOWN not in roles.values()
    assert {t.name: t.slot_of for t in artifact.tensors if t.slot_of} == {
        "w/Adam": "w",
        "w/Adam_1": "w",
        "w/ExponentialMovingAverage": "w",
    }
    # The graph beside the checkpoint lists what is trained.
    assert {t.name for t in artifact.tensors if t.trainable} == {"w"}
    assert artifact.producer.version == tf.__version__
    os.remove(f"{prefix}.meta")
    alone = assert_same(prefix, prefix)
    assert roles_of(alone) == roles
    assert {t.trainable for t in alone.tensors} == {None}


OPTIMIZERS = {
    "momentum": lambda: V1.train.MomentumOptimizer(0.1, 0.9),
    "rmsprop": lambda: V1.train.RMSPropOptimizer(0.1, centered=True),
    "adagrad": lambda: V1.train.AdagradOptimizer(0.1),
    "ftrl": lambda: V1.train.FtrlOptimizer(0.1),
    "adadelta": lambda: V1.train.AdadeltaOptimizer(0.1),
    "proximal": lambda: V1.train.ProximalAdagradOptimizer(0.1),
    "dual": lambda: V1.train.AdagradDAOptimizer(0.1, V1.train.get_or_create_global_step()),
    "descent": lambda: V1.train.GradientDescentOptimizer(0.1),
}


@pytest.mark.parametrize("scope", ["", "OptimizeLoss"])
def test_every_optimizer_of_tensorflow_1_names_its_slots_as_they_are_known(tmp_path, scope):
    def build():
        for name, make in OPTIMIZERS.items():
            w = V1.get_variable(f"{name}/kernel", [4, 2], use_resource=False)
            loss = V1.reduce_sum(V1.matmul(tf.ones([1, 4]), w))
            step = V1.train.get_or_create_global_step()
            if not scope:
                make().minimize(loss, var_list=[w], global_step=step)
                continue
            with V1.variable_scope(scope):
                make().minimize(loss, var_list=[w], global_step=step)

    prefix = graph(tmp_path, build)
    artifact = assert_same(prefix, prefix)
    roles = roles_of(artifact)
    weights = {f"{name}/kernel" for name in OPTIMIZERS}
    assert {name for name, role in roles.items() if role is Role.WEIGHT} == weights
    assert roles["global_step"] is Role.COUNTER
    for tensor in artifact.tensors:
        if tensor.name in weights or tensor.name == "global_step":
            continue
        assert roles[tensor.name] is Role.OPTIMIZER_SLOT
        kernel = tensor.name.removeprefix("OptimizeLoss/").rpartition("/")[0]
        assert tensor.slot_of == kernel


@pytest.mark.parametrize("version", [V1.train.SaverDef.V2, V1.train.SaverDef.V1])
def test_partitioned_variables_are_one_and_a_name_alone_is_none(tmp_path, version):
    def build():
        by_three = V1.fixed_size_partitioner(3)
        V1.get_variable("emb", [10, 4], partitioner=by_three, use_resource=False)
        inner = V1.fixed_size_partitioner(3, axis=1)
        V1.get_variable("cube", [10, 4, 5], partitioner=inner, use_resource=False)
        V1.get_variable("w", [4, 2], use_resource=False)
        V1.get_variable("t/part_0", [3, 3], use_resource=False)

    prefix = graph(tmp_path, build, write_version=version)
    whole = version == V1.train.SaverDef.V2
    # TensorFlow's own reader of version 1 refuses tensors in slices.
    artifact = assert_same(prefix, prefix, values=whole)
    assert {t.name: t.storage for t in artifact.tensors} == {
        "cube": "in 3 slices",
        "emb": "in 3 slices",
        "t/part_0": "contiguous",
        "w": "contiguous",
    }
    if not whole:
        with open_checkpoint(prefix) as opened, V1.Graph().as_default(), V1.Session() as session:
            for tensor in opened.artifact.tensors:
                restored = V1.raw_ops.RestoreSlice(
                    file_pattern=prefix,
                    tensor_name=tensor.name,
                    shape_and_slice="",
                    dt=tf.float32,
                )
                expected = session.run(restored)
                read = np.concatenate(list(tensor.payload.blocks(64)))
                assert read.tobytes() == expected.tobytes()


KINDS = "float16 float32 float64 int8 int16 int32 int64 uint8 bool complex64 complex128"


@pytest.mark.parametrize("version", [V1.train.SaverDef.V2, V1.train.SaverDef.V1])
def test_values_of_every_dtype_are_bit_for_bit_the_same(tmp_path, version):
    generator = np.random.default_rng(5)
    later = " uint16 uint32 uint64 bfloat16 qint8 quint8 qint32"
    kinds = KINDS + (later if version == V1.train.SaverDef.V2 else " qint8 quint8 qint32")

    def build():
        for kind in kinds.split():
            dtype = getattr(tf, kind)
            signs = generator.integers(-100, 100, (3, 5))
            values = tf.constant(signs.astype(dtype.as_numpy_dtype), dtype)
            V1.get_variable(f"v_{kind}", initializer=values, use_resource=False)
        V1.get_variable("text", initializer=tf.constant(["a", "", "c" * 300]), use_resource=False)

    prefix = graph(tmp_path, build, write_version=version)
    # What NewCheckpointReader refuses of version 1: these are read back by an op.
    refused = {"float16", "bool", "complex64", "complex128", "qint8", "quint8", "qint32"}
    whole = version == V1.train.SaverDef.V2
    artifact = assert_same(prefix, prefix, values=whole)
    assert len(artifact.tensors) == len(kinds.split()) + 1
    if whole:
        return
    reader = V1.train.NewCheckpointReader(prefix)
    with open_checkpoint(prefix) as opened, V1.Graph().as_default(), V1.Session() as session:
        for tensor in opened.artifact.tensors:
            if tensor.dtype == "string":
                continue
            kind = tensor.name.removeprefix("v_")
            if kind in refused:
                restored = V1.raw_ops.Restore(
                    file_pattern=prefix, tensor_name=tensor.name, dt=getattr(tf, kind)
                )
                expected = session.run(restored)
            else:
                expected = reader.get_tensor(tensor.name)
            assert np.concatenate(list(tensor.payload.blocks(16))).tobytes() == expected.tobytes()


@pytest.mark.parametrize("version", [V1.train.SaverDef.V2, V1.train.SaverDef.V1])
def test_sharded_savers_are_read_whole_from_the_folder(tmp_path, version):
    def build():
        for device, names in (("/cpu:0", "ab"), ("/cpu:1", "cd")):
            with V1.device(device):
                for name in names:
                    V1.get_variable(name, [4, 3], use_resource=False)

    two = V1.ConfigProto(device_count={"CPU": 2})
    prefix = graph(tmp_path, build, config=two, sharded=True, write_version=version)
    names = ["a", "b", "c", "d"]
    pattern = prefix if version == V1.train.SaverDef.V2 else f"{prefix}-?????-of-00002"
    for given in (prefix, tmp_path, tmp_path / "checkpoint"):
        artifact = assert_same(given, pattern)
        assert [tensor.name for tensor in artifact.tensors] == names
        assert len({e.file for t in artifact.tensors for e in t.extents}) == 2


class State(tf.train.experimental.PythonState):
    def serialize(self):
        return "a state"

    def deserialize(self, value):
        pass


def test_objects_tables_iterators_and_python_state(tmp_path):
    module = tf.Module()
    module.w = tf.Variable(tf.ones([3, 4]))
    module.half = tf.Variable(tf.ones([2], tf.bfloat16))
    module.words = tf.Variable(["a", "bc"])
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(tf.constant(["x", "y", "z"]), tf.constant([1, 2, 3], tf.int64))
    rows = iter(tf.data.Dataset.range(10))
    next(rows)
    checkpoint = tf.train.Checkpoint(
        model=module,
        table=table,
        state=State(),
        rows=rows,
        generator=tf.random.Generator.from_seed(1),
    )
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=2)
    for _ in range(3):
        manager.save()
    artifact = assert_same(tmp_path, str(tmp_path / "ckpt-3"))
    assert artifact.store is Store.OBJECTS
    assert artifact.vocabulary == {"table": 3}
    assert {"object graph", "Python state", "iterator state", "index"} <= set(artifact.overhead)
    assert [one.message for one in artifact.problems if one.code == "other-checkpoints"] == [
        "ckpt-3 is read; also in this folder: ckpt-2"
    ]
    roles = roles_of(artifact)
    assert roles["table/.ATTRIBUTES/table-keys"] is Role.LOOKUP
    assert roles["table/.ATTRIBUTES/table-values"] is Role.LOOKUP
    assert roles["save_counter/.ATTRIBUTES/VARIABLE_VALUE"] is Role.COUNTER
    assert Role.UNKNOWN not in roles.values()


@pytest.mark.parametrize("make", ["keras", "tf_keras", "tf_keras legacy"])
def test_models_and_their_optimizers(tmp_path, make):
    package = pytest.importorskip(make.split()[0])
    layers = package.layers
    model = package.Sequential(
        [layers.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)]
    )
    optimizers = package.optimizers
    optimizer = optimizers.legacy.Adam() if "legacy" in make else optimizers.Adam()
    model.compile(optimizer, "mse")
    model.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    prefix = tf.train.Checkpoint(model=model, optimizer=optimizer).save(str(tmp_path / "ckpt"))
    artifact = assert_same(prefix, prefix)
    roles = roles_of(artifact)
    count = dict.fromkeys(Role, 0)
    for tensor in artifact.tensors:
        count[roles[tensor.name]] += tensor.elements
    # Dense 4*3 + 3, batch normalization 2*3 trained and 2*3 not, Dense 3*2 + 2.
    assert (count[Role.WEIGHT], count[Role.STATISTIC]) == (29, 6)
    assert count[Role.WEIGHT] + count[Role.STATISTIC] == model.count_params()
    assert count[Role.OPTIMIZER_SLOT] == 2 * 29
    assert count[Role.UNKNOWN] == 0
    kernels = {t.shape for t in artifact.tensors if t.variable == "kernel"}
    assert kernels == {(4, 3), (3, 2)}


def test_weights_saved_by_keras_2_in_tensorflows_format(tmp_path):
    package = pytest.importorskip("tf_keras")
    model = package.Sequential([package.layers.Input((4,)), package.layers.Dense(3, name="d1")])
    model.save_weights(str(tmp_path / "w"))
    artifact = assert_same(tmp_path, str(tmp_path / "w"))
    assert {(t.layer, t.variable) for t in artifact.tensors} == {("d1", "kernel"), ("d1", "bias")}
    assert {t.section for t in artifact.tensors} == {Section.MODEL}


def test_the_variables_folder_of_a_saved_model_by_itself(tmp_path):
    module = tf.Module()
    module.w = tf.Variable(tf.ones([3, 4]))
    tf.saved_model.save(module, str(tmp_path))
    artifact = assert_same(tmp_path / "variables", str(tmp_path / "variables" / "variables"))
    assert [one.code for one in artifact.problems] == ["part-of-saved-model"]


def test_masks_thresholds_and_ranges_of_tensorflow_1(tmp_path):
    # As tensorflow.contrib's model_pruning and quantize, which are gone, name theirs.
    def build():
        for scope in ("conv1", "fc"):
            with V1.variable_scope(scope):
                V1.get_variable("weights", [3, 4], use_resource=False)
                V1.get_variable("biases", [4], use_resource=False)
                for name, shape in (("mask", [3, 4]), ("threshold", [])):
                    V1.get_variable(name, shape, trainable=False, use_resource=False)
                for end in ("min", "max"):
                    V1.get_variable(f"weights_quant/{end}", [], trainable=False, use_resource=False)

    prefix = graph(tmp_path, build)
    artifact = assert_same(prefix, prefix)
    roles = roles_of(artifact)
    for scope in ("conv1", "fc"):
        assert {name.partition("/")[2]: role for name, role in roles.items() if scope in name} == {
            "weights": Role.WEIGHT,
            "biases": Role.WEIGHT,
            "mask": Role.MASK,
            "threshold": Role.THRESHOLD,
            "weights_quant/min": Role.QUANT_PARAM,
            "weights_quant/max": Role.QUANT_PARAM,
        }


@pytest.mark.parametrize("version", [V1.train.SaverDef.V2, V1.train.SaverDef.V1])
def test_a_flipped_bit_is_told_wherever_tensorflow_tells_it(tmp_path, version):
    prefix = graph(tmp_path, adam_and_average, write_version=version)
    whole = version == V1.train.SaverDef.V2
    path = f"{prefix}.data-00000-of-00001" if whole else prefix
    with open(path, "rb") as file:
        sound = file.read()
    for at in range(0, len(sound) if whole else len(sound) - 60, 7 if whole else 61):
        with open(path, "wb") as file:
            file.write(sound[:at] + bytes([sound[at] ^ 16]) + sound[at + 1 :])
        try:
            opened = open_checkpoint(prefix)
        except ArtifactError:
            continue
        with opened:
            checks = [tensor.check for tensor in opened.artifact.tensors]
            broken = [one for one in checks if one is not None and not one.holds()]
            assert broken or opened.artifact.problems
