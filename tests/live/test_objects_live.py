"""Object graphs that Keras and TensorFlow write: whose each variable is, and what Keras counts.

Every variable gets a value of its own before it is saved, so that the file's values tell which
live variable each key holds, whatever the graph says.
"""

from __future__ import annotations

import contextlib
import itertools
import os

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras2 = pytest.importorskip("tf_keras")
tfmot = pytest.importorskip("tensorflow_model_optimization")

from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2  # noqa: E402
from tf_keras.protobuf import saved_metadata_pb2  # noqa: E402

from inspector.classify import classify  # noqa: E402
from inspector.keras.objects import place  # noqa: E402
from inspector.limits import DEFAULT  # noqa: E402
from inspector.model import Artifact, Role, Section, Store  # noqa: E402
from inspector.read.bundle_common import contents, facts_of, open_bundle  # noqa: E402
from inspector.storage import LocalFile, MemorySource  # noqa: E402
from inspector.wire.object_graph import (  # noqa: E402
    read_keras_metadata,
    read_saved_object_graph,
    read_trackable_object_graph,
)
from inspector.wire.protobuf import message  # noqa: E402

pytestmark = pytest.mark.live

L = keras2.layers
prune = tfmot.sparsity.keras.prune_low_magnitude
GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


# --- reading --------------------------------------------------------------------------------------


class Read:
    """A SavedModel or a checkpoint, placed and classified; its values as TensorFlow has them."""

    def __init__(self, path):
        folder = os.path.isdir(path)
        prefix = os.path.join(path, "variables", "variables") if folder else path
        with contextlib.ExitStack() as held:
            bundle = open_bundle(prefix, held, DEFAULT)
            graph = read_trackable_object_graph(bundle.object_graph())
            more = {}
            if folder:
                saved = message(LocalFile(os.path.join(path, "saved_model.pb")))
                more["saved"] = read_saved_object_graph(saved.find(2, 7))
                metadata = os.path.join(path, "keras_metadata.pb")
                if os.path.exists(metadata):
                    more["metadata"] = read_keras_metadata(message(LocalFile(metadata)))
            self.placement = place(graph, bundle.stored, **more)
            self.stored = dict(bundle.stored)
            places = self.placement.places
            found = contents(
                bundle,
                lambda key: facts_of(places[key]) if key in places else {"section": Section.OTHER},
            )
            self.artifact = Artifact(
                path=path,
                format="checkpoint",
                kind="",
                files=found.files,
                tensors=found.tensors,
                overhead={},
                model=self.placement.model,
                store=Store.OBJECTS,
                flavor=self.placement.flavor,
                guessed=self.placement.guessed,
                listed=self.placement.listed,
                uncounted=self.placement.uncounted,
            )
            self.verdicts = classify(self.artifact).verdicts
        self.reader = tf.train.load_checkpoint(prefix)

    def keys(self, role):
        return {key for key, verdict in self.verdicts.items() if verdict.role is role}

    def roles(self):
        return {verdict.role for verdict in self.verdicts.values()}

    def elements(self, keys):
        return sum(int(np.prod(self.stored[key][1])) for key in keys)

    def holding(self, variable, among=None):
        """The key that has the variable's value."""
        value = np.asarray(variable)
        found = [
            key
            for key in (self.stored if among is None else among)
            if self.stored[key][0] == value.dtype.name
            and tuple(self.stored[key][1]) == value.shape
            and np.array_equal(self.reader.get_tensor(key), value)
        ]
        assert len(found) == 1, (variable.name, found)
        return found[0]


def mark(*groups):
    """Give every variable a value that no other has."""
    numbers = itertools.count(1)
    seen = set()
    for variable in itertools.chain(*groups):
        if id(variable) not in seen and variable.dtype != "string":
            seen.add(id(variable))
            value = np.full(variable.shape, next(numbers), np.asarray(variable).dtype)
            variable.assign(value)


def elements(variables):
    return sum(int(np.prod(one.shape)) for one in variables)


def assert_counts(read, model, loaded=None):
    """The listed variables are what Keras counts, each with its flag."""
    listed = read.placement.listed
    assert read.elements(listed) == model.count_params()
    trained = {read.holding(v, listed) for v in model.trainable_weights}
    assert {key for key, flag in listed.items() if flag} == trained
    assert {key for key in listed if read.verdicts[key].trainable} == trained
    if loaded is not None:
        assert read.elements(listed) == loaded.count_params()
        assert read.elements(trained) == elements(loaded.trainable_weights)


def assert_layers(read, model, keys):
    """Each variable is given to the layer that has it, or that its own name says made it.

    Clustering and quantization take kernels away from the layer whose name they keep.
    """
    owners = {}
    for one in (model, *model._flatten_layers(include_self=False)):
        for variable in (*one._trainable_weights, *one._non_trainable_weights):
            owners.setdefault(id(variable), set()).add(one.name)
    for variable in model.weights:
        found = read.placement.places[read.holding(variable, keys)]
        *path, name = variable.name.removesuffix(":0").split("/")
        names = {*owners.get(id(variable), ()), *path[-1:]}
        if found.layer and names:  # a metric's variable has neither
            assert found.layer.rpartition("/")[2].partition("#")[0] in names
        assert found.variable == name


def assert_slots(read, optimizer, model, name, slots):
    """optimizer: a live list of slots, in the order of what the model trains."""
    for slot, variable in zip(slots, model.trainable_variables, strict=True):
        found = read.placement.places[read.holding(slot)]
        assert (found.section, found.variable) == (Section.OPTIMIZER, name)
        assert found.slot_of == read.holding(variable)


# --- models ---------------------------------------------------------------------------------------


def dense():
    return keras2.Sequential([L.Dense(6, activation="relu", input_shape=(10,)), L.Dense(4)])


def pruned_lstm():
    return prune(keras2.Sequential([L.LSTM(3, input_shape=(5, 2)), L.Dense(2)]))


def pruned_mixture():
    return prune(
        keras2.Sequential(
            [
                L.SeparableConv2D(4, 3, input_shape=(8, 8, 3)),
                L.DepthwiseConv2D(2),
                L.BatchNormalization(),
                L.Flatten(),
                L.Dense(2),
            ]
        )
    )


def clustered():
    return tfmot.clustering.keras.cluster_weights(
        keras2.Sequential([L.Conv2D(4, 3, input_shape=(6, 6, 2)), L.Flatten(), L.Dense(3)]),
        number_of_clusters=4,
        cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.LINEAR,
    )


def quantized():
    return tfmot.quantization.keras.quantize_model(
        keras2.Sequential(
            [
                L.Conv2D(4, 3, input_shape=(6, 6, 2)),
                L.BatchNormalization(),
                L.ReLU(),
                L.Flatten(),
                L.Dense(3, activation="relu"),
            ]
        )
    )


def frozen():
    inner = keras2.Sequential([L.Dense(3, input_shape=(4,)), L.BatchNormalization()], name="inner")
    outer = keras2.Sequential([L.Dense(4, input_shape=(4,), trainable=False), inner, L.Dense(2)])
    inner.layers[0].trainable = False
    return outer


def shared():
    base = keras2.Sequential([L.Dense(4, input_shape=(6,))], name="base")
    twice = L.Dense(4, name="twice")
    one, two, steps = keras2.Input((6,)), keras2.Input((6,)), keras2.Input((3, 4))
    difference = L.Subtract()([twice(base(one)), twice(base(two))])
    return keras2.Model([one, two, steps], [difference, L.TimeDistributed(twice)(steps)])


def recurrent():
    given = keras2.Input((5, 2))
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(given)
    x = L.RNN(L.StackedRNNCells([L.LSTMCell(3), L.GRUCell(2)]), return_sequences=True)(x)
    x = L.MultiHeadAttention(2, 3)(x, x)
    x = L.SpectralNormalization(L.Dense(3))(L.Flatten()(x))
    return keras2.Model(given, L.PReLU()(x))


def prepared():
    scale = L.Normalization()
    scale.adapt(np.random.default_rng(0).random((10, 3), "float32"))
    given = keras2.Input((3,))
    return keras2.Model(given, L.Dense(2)(L.Dropout(0.1)(scale(given))))


class Subclassed(keras2.Model):
    def __init__(self):
        super().__init__()
        self.enc = L.Dense(4)
        self.blocks = [L.Dense(3), L.BatchNormalization()]
        self.heads = {"a": L.Dense(1), "b": L.Dense(2)}
        self.temperature = tf.Variable(1.0, name="temperature")
        self.tracker = keras2.metrics.Mean(name="tracker")

    def call(self, inputs, training=False):
        x = self.enc(inputs)
        for block in self.blocks:
            x = block(x)
        return tf.concat([head(x) for head in self.heads.values()], -1) * self.temperature


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 5), "float32"))
    return model


MODELS = {
    "pruned_lstm": pruned_lstm,
    "pruned_mixture": pruned_mixture,
    "clustered": clustered,
    "quantized": quantized,
    "frozen": frozen,
    "shared": shared,
    "recurrent": recurrent,
    "prepared": prepared,
    "subclassed": subclassed,
}


@pytest.fixture(autouse=True)
def clean():
    keras2.backend.clear_session()
    keras2.utils.set_random_seed(1)


# --- SavedModels of tf_keras ----------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_lists_what_keras_counts_and_every_variable_has_its_layer(name, tmp_path):
    model = MODELS[name]()
    mark(model.weights)
    model.save(tmp_path / "m", save_format="tf")
    read = Read(str(tmp_path / "m"))
    with tfmot.quantization.keras.quantize_scope(), tfmot.sparsity.keras.prune_scope():
        # Loaded again: a file is what Keras makes of it.
        loaded = None if name == "clustered" else keras2.models.load_model(tmp_path / "m")
    assert_counts(read, model, loaded)
    assert_layers(read, model, read.placement.listed)
    assert Role.UNKNOWN not in read.roles()


def test_masks_of_a_wrapped_lstm_serve_their_weights_and_strip_takes_them(tmp_path):
    model = pruned_lstm()
    mark(model.weights)
    model.save(tmp_path / "m", save_format="tf")
    model.save_weights(str(tmp_path / "w"), save_format="tf")
    stripped = tfmot.sparsity.keras.strip_pruning(pruned_lstm()).count_params()
    for path in (tmp_path / "m", tmp_path / "w"):
        read = Read(str(path))
        triples = [triple for one in model.layers for triple in one.pruning_vars]
        for weight, mask, threshold in triples:
            for made, role in ((mask, Role.MASK), (threshold, Role.THRESHOLD)):
                verdict = read.verdicts[read.holding(made)]
                assert (verdict.role, verdict.about) == (role, read.holding(weight))
        overhead = set().union(*map(read.keys, (Role.MASK, Role.THRESHOLD, Role.PRUNING_STEP)))
        assert len(overhead) == 2 * len(triples) + len(model.layers)
        counted = [k for k, t in read.placement.places.items() if t.section is Section.MODEL]
        assert read.elements(counted) - read.elements(overhead) == stripped


def test_clusters_and_ranges_serve_their_weights(tmp_path):
    for name, make in (("clustered", clustered), ("quantized", quantized)):
        model = make()
        mark(model.weights)
        model.save_weights(str(tmp_path / name), save_format="tf")
        read = Read(str(tmp_path / name))
        by_name = {one.name: one for one in model.weights}
        told = {
            "clustered": (
                ("conv2d/kernel:0", "cluster_conv2d/cluster_centroids_kernel:0", Role.CENTROIDS),
                ("dense/kernel:0", "cluster_dense/pulling_indices_kernel:0", Role.CLUSTER_INDICES),
            ),
            "quantized": (
                ("conv2d/kernel:0", "quant_conv2d/kernel_min:0", Role.QUANT_PARAM),
                ("dense/kernel:0", "quant_dense/kernel_max:0", Role.QUANT_PARAM),
            ),
        }[name]
        for weight, made, role in told:
            verdict = read.verdicts[read.holding(by_name[made])]
            assert (verdict.role, verdict.about) == (role, read.holding(by_name[weight]))
        assert Role.UNKNOWN not in read.roles()
        keras2.backend.clear_session()


@pytest.mark.parametrize("kind", ["new", "legacy", "scaled"])
def test_slots_of_an_optimizer_are_those_of_the_live_one(kind, tmp_path):
    model = frozen()
    adam = keras2.optimizers.legacy.Adam() if kind == "legacy" else keras2.optimizers.Adam()
    optimizer = keras2.mixed_precision.LossScaleOptimizer(adam) if kind == "scaled" else adam
    model.compile(optimizer, "mse", metrics=["mae"])
    model.fit(np.zeros((4, 4)), np.zeros((4, 2)), verbose=0)
    inner = adam
    mark(model.weights, inner.weights if kind == "legacy" else inner.variables)
    model.save(tmp_path / "m", save_format="tf")
    tf.train.Checkpoint(model=model, optimizer=optimizer).save(str(tmp_path / "c"))
    for path in (tmp_path / "m", tmp_path / "c-1"):
        read = Read(str(path))
        for name, slots in (("m", "_momentums"), ("v", "_velocities")):
            live = (
                [inner.get_slot(v, name) for v in model.trainable_variables]
                if kind == "legacy"
                else getattr(inner, slots)
            )
            assert_slots(read, inner, model, name, live)
        count = 2 * len(model.trainable_variables)
        assert len(read.keys(Role.OPTIMIZER_SLOT)) == count
        assert Role.UNKNOWN not in read.roles()
    read = Read(str(tmp_path / "m"))
    owners = {read.placement.places[key].owner for key in read.keys(Role.METRIC)}
    assert owners == {"metrics/loss", "metrics/mae"}


def test_a_checkpoint_of_weights_has_the_layers_of_the_saved_model(tmp_path):
    for name, make in MODELS.items():
        model = make()
        mark(model.weights)
        model.save_weights(str(tmp_path / name), save_format="tf")
        read = Read(str(tmp_path / name))
        counted = [
            key for key, found in read.placement.places.items() if found.section is Section.MODEL
        ]
        assert read.elements(counted) == model.count_params()
        assert Role.UNKNOWN not in read.roles()
        assert read.placement.listed is None
        keras2.backend.clear_session()


# --- Keras 3 --------------------------------------------------------------------------------------


def keras3():
    # Beside tf_keras, Keras 3 is what `import keras` gives.
    keras = pytest.importorskip("keras")
    if not keras.__version__.startswith("3"):
        pytest.skip("needs Keras 3")
    return keras


def keras3_model(keras):
    layers = keras.layers
    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization()])
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, trainable=False, name="still"),
            layers.Dropout(0.2),
            inner,
            layers.Dense(2, name="head"),
        ]
    )
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 4)), np.zeros((4, 2)), verbose=0)
    numbers = itertools.count(1)
    for variable in (*model.weights, *model.optimizer.variables):
        value = np.asarray(variable)
        variable.assign(np.full(value.shape, next(numbers), value.dtype))
    return model


def live3(variable):
    """A Keras variable as `holding` wants it."""
    return variable.value


def test_a_keras3_export_stores_each_variable_twice_and_counts_it_once(tmp_path):
    model = keras3_model(keras3())
    model.export(str(tmp_path / "e"), verbose=False)
    read = Read(str(tmp_path / "e"))
    listed = read.placement.listed
    assert read.elements(listed) == model.count_params()
    trained = {read.holding(live3(v), listed) for v in model.trainable_weights}
    assert {key for key, flag in listed.items() if flag} == trained
    copies = read.keys(Role.ALIAS)
    assert read.elements(copies) == model.count_params()
    for key in copies:
        origin = read.verdicts[key].alias_of
        assert np.array_equal(read.reader.get_tensor(key), read.reader.get_tensor(origin))
    for variable in model.weights:
        found = read.placement.places[read.holding(live3(variable), listed)]
        assert found.variable == variable.name
        assert found.layer.endswith(variable.path.split("/")[-2])
    assert len(read.keys(Role.COUNTER)) == 1  # the dropout's seed
    assert Role.UNKNOWN not in read.roles()


@pytest.mark.parametrize("saved", [True, False])
def test_keras3_objects_are_told_by_their_attributes(saved, tmp_path):
    model = keras3_model(keras3())
    if saved:
        tf.saved_model.save(model, str(tmp_path / "s"))
        read = Read(str(tmp_path / "s"))
    else:
        tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(tmp_path / "c"))
        read = Read(str(tmp_path / "c-1"))
    counted = [
        key
        for key, found in read.placement.places.items()
        if found.section is Section.MODEL and read.verdicts[key].role is not Role.COUNTER
    ]
    assert read.elements(counted) == model.count_params()
    trained = {read.holding(live3(v)) for v in model.trainable_weights}
    assert {key for key in counted if read.verdicts[key].trainable} == trained
    slots = {read.holding(live3(v)) for v in model.optimizer.variables[2:]}
    assert read.keys(Role.OPTIMIZER_SLOT) == slots
    for variable, momentum in zip(
        model.trainable_variables, model.optimizer._momentums, strict=True
    ):
        found = read.placement.places[read.holding(live3(momentum))]
        assert found.slot_of == read.holding(live3(variable))
    assert Role.UNKNOWN not in read.roles()


# --- plain objects --------------------------------------------------------------------------------


class Block(tf.Module):
    def __init__(self, rows, columns):
        super().__init__()
        self.w = tf.Variable(tf.ones((rows, columns)), name="w")
        self.moving_mean = tf.Variable(tf.zeros(columns), trainable=False)


class Net(tf.Module):
    def __init__(self):
        super().__init__()
        self.blocks = [Block(3, 4), Block(4, 4)]
        self.heads = {"x": Block(4, 1)}
        self.tied = self.blocks[0].w
        self.q = tf.Variable(tf.ones((2, 2), tf.int8), trainable=False)
        self.words = tf.Variable(["a", "bb"], trainable=False)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.generator = tf.random.Generator.from_seed(1)
        self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, 0.0)
        self.table.insert(["p"], [1.0])


def test_a_module_s_flags_are_the_file_s(tmp_path):
    net = Net()
    tf.saved_model.save(net, str(tmp_path / "m"))
    read = Read(str(tmp_path / "m"))
    assert read.placement.listed is None
    assert read.placement.uncounted is not None
    trained = [k for k, v in read.verdicts.items() if v.trainable]
    assert read.elements(trained) == elements(net.trainable_variables)
    by_role = {
        Role.WEIGHT: {"w", "q"},
        Role.STATISTIC: {"moving_mean"},
        Role.COUNTER: {"step", "StateVar"},
        Role.CONSTANT: {"words"},
        Role.LOOKUP: {"table-keys", "table-values"},
    }
    for role, names in by_role.items():
        assert {read.placement.places[key].variable for key in read.keys(role)} == names
    assert read.roles() == set(by_role)


# --- the messages ---------------------------------------------------------------------------------


def test_every_object_is_what_tensorflow_s_own_messages_say(tmp_path):
    model = pruned_lstm()
    model.compile(keras2.optimizers.legacy.Adam(), "mse")
    model.fit(
        np.zeros((4, 5, 2)),
        np.zeros((4, 2)),
        verbose=0,
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
    )
    model.save(tmp_path / "m", save_format="tf")
    data = (tmp_path / "m" / "saved_model.pb").read_bytes()
    official = saved_model_pb2.SavedModel.FromString(data).meta_graphs[0].object_graph_def
    ours = read_saved_object_graph(message(MemorySource(data, "pb")).find(2, 7))
    assert len(ours.nodes) == len(official.nodes)
    for node, saved in zip(ours.nodes, official.nodes, strict=True):
        assert node.kind == (saved.WhichOneof("kind") or "")
        assert [*node.children] == [(c.local_name, c.node_id) for c in saved.children]
        assert [*node.slots] == [
            (s.slot_name, s.original_variable_node_id, s.slot_variable_node_id)
            for s in saved.slot_variables
        ]
        if node.kind == "user_object":
            assert node.identifier == saved.user_object.identifier
        if node.variable is not None:
            assert node.variable.name == saved.variable.name
            assert node.variable.trainable == saved.variable.trainable
            assert node.variable.dtype == tf.dtypes.as_dtype(saved.variable.dtype).name
            assert list(node.variable.shape) == [d.size for d in saved.variable.shape.dim]
        assert node.functions == tuple(saved.function.concrete_functions) or (
            node.functions == (saved.bare_concrete_function.concrete_function_name,)
        )
    assert ours.captures == {
        name: tuple(one.bound_inputs) for name, one in official.concrete_functions.items()
    }

    reader = tf.train.load_checkpoint(str(tmp_path / "m" / "variables" / "variables"))
    text = reader.get_tensor(GRAPH_KEY)
    official = trackable_object_graph_pb2.TrackableObjectGraph.FromString(text)
    tracked = read_trackable_object_graph(message(MemorySource(text, "graph")))
    for node, one in zip(tracked.nodes, official.nodes, strict=True):
        assert [*node.attributes] == [
            (a.name, a.full_name, a.checkpoint_key) for a in one.attributes
        ]
        assert [*node.children] == [(c.local_name, c.node_id) for c in one.children]

    data = (tmp_path / "m" / "keras_metadata.pb").read_bytes()
    official = saved_metadata_pb2.SavedMetadata.FromString(data)
    found = read_keras_metadata(message(MemorySource(data, "metadata")))
    assert {k: (n.path, n.identifier, n.metadata) for k, n in found.items()} == {
        n.node_id: (n.node_path, n.identifier, n.metadata) for n in official.nodes
    }
