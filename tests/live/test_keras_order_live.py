"""Config, legacy order, store paths and flags against real Keras 3, tf_keras and tfmot.

Every live variable gets a value of its own, so that a stored array tells which variable it is.
"""

import contextlib
import functools
import io
import json
import os
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import h5py
import numpy as np
import pytest

from inspector.keras import order, paths, tfmot
from inspector.keras.config import parse_model
from inspector.model import Flavor, Role

pytest.importorskip("tensorflow", exc_type=ImportError)
keras3 = pytest.importorskip("keras", minversion="3.0", exc_type=ImportError)
tf_keras = pytest.importorskip("tf_keras", exc_type=ImportError)
toolkit = pytest.importorskip("tensorflow_model_optimization", exc_type=ImportError)

import keras_models  # noqa: E402

pytestmark = pytest.mark.live

_K3, _K3_CLASSES = keras_models.common(keras3)
_K2, _K2_CLASSES = keras_models.common(tf_keras)
_WRAPPED = keras_models.tfmot_models(tf_keras, toolkit)

CASES = [
    *(pytest.param(keras3, _K3[name], id=f"keras3-{name}") for name in _K3),
    *(pytest.param(tf_keras, _K2[name], id=f"tf_keras-{name}") for name in _K2),
    *(pytest.param(tf_keras, _WRAPPED[name], id=f"tfmot-{name}") for name in _WRAPPED),
]
each_model = pytest.mark.parametrize(("keras", "builder"), CASES)


class Live:
    """A live model whose variables hold 1, 2, 3 ..."""

    def __init__(self, keras, builder):
        keras.backend.clear_session()
        self.keras = keras
        self.flavor = Flavor.KERAS3 if keras is keras3 else Flavor.TF_KERAS
        self.model = builder()
        self.owners = {}  # value -> {(path of a layer that lists the variable, its name)}
        self._values = {}
        self._walk(self.model, "", set())

    def _own(self, layer):
        if self.keras is keras3:
            return [*layer._trainable_variables, *layer._non_trainable_variables]
        return [*layer._trainable_weights, *layer._non_trainable_weights]

    def _walk(self, layer, path, above):
        if id(layer) in above:
            return
        for variable in self._own(layer):
            value = self._values.setdefault(id(variable), len(self._values) + 1)
            if value not in self.owners:
                self.owners[value] = set()
                variable.assign(np.full(variable.shape, value).astype(variable.numpy().dtype))
            name = variable.name.split(":")[0]
            self.owners[value] |= {(path, name), (path, name.rpartition("/")[2])}
        for inner in layer._flatten_layers(recursive=False, include_self=False):
            self._walk(inner, f"{path}/{inner.name}".lstrip("/"), above | {id(layer)})

    def named(self, value, path, variable, wrapper):
        """Whether this is that layer's variable, kept by the layer or by tfmot's wrapper of it."""
        places = {path} | ({wrapper.path} if wrapper is not None else set())
        return any(
            place in places and (variable == name or variable.endswith(f"/{name}"))
            for place, name in self.owners[value]
        ) or any(place in places and name.endswith(variable) for place, name in self.owners[value])


@functools.cache
def live(keras, builder):
    return Live(keras, builder)


def _saved(keras, builder, tmp_path, suffix):
    """The live model, and its file; skips what this Keras cannot write."""
    one = live(keras, builder)
    path = str(tmp_path / f"model{suffix}")
    try:
        one.model.save(path)
    except (ValueError, NotImplementedError) as error:
        # Two variables of one name in a layer: two masks, two optimizer_step in a frozen wrapper.
        if suffix != ".h5" or "already exists" not in str(error):
            raise
        pytest.skip("h5 cannot hold two variables of one name")
    return one, path


def _value(dataset):
    return int(np.ravel(dataset[()])[0])


def _h5_config(path):
    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


def _store(path):
    """config.json and group path -> values of vars/0, vars/1 ..."""
    groups = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            group, _, number = name.rpartition("/")
            found = groups.setdefault(group.removesuffix("vars").rstrip("/"), {})
            found[int(number)] = _value(node)

    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(visit)
    return config, {g: [found[i] for i in sorted(found)] for g, found in groups.items()}


@each_model
def test_legacy_order_is_the_order_of_weight_names(keras, builder, tmp_path):
    one, path = _saved(keras, builder, tmp_path, ".h5")
    root = parse_model(_h5_config(path), one.flavor)
    wrappers = tfmot.wrappers(root)
    with h5py.File(path) as file:
        groups = file["model_weights"]
        for layer in order.stored_layers(root, one.flavor):
            if layer.name not in groups:
                assert layer.class_name == "InputLayer"
                continue
            group = groups[layer.name]
            names = [str(name) for name in group.attrs["weight_names"]]
            values = [_value(group[name]) for name in names]
            slots = order.legacy_order(layer, one.flavor, len(values))
            assert slots is not None
            assert len(slots) == len(values)
            for slot, value in zip(slots, values, strict=True):
                wrapper = wrappers.get(slot.layer_path)
                assert one.named(value, slot.layer_path, slot.variable.name, wrapper), (
                    slot,
                    one.owners[value],
                )


@each_model
def test_store_paths_lead_to_the_layers_and_their_variables(keras, builder, tmp_path):
    one, path = _saved(keras, builder, tmp_path, ".keras")
    config, groups = _store(path)
    root = parse_model(config, one.flavor)
    found = paths.object_paths(root, one.flavor, groups)
    wrappers = tfmot.wrappers(root)
    for group, values in groups.items():
        if group.startswith("optimizer"):
            continue
        layer = found[group]
        wrapper = wrappers.get(layer.path)
        variables = tfmot.v3_variables(layer, one.flavor, wrapper=wrapper, count=len(values))
        assert variables is not None
        assert len(variables) == len(values)
        for variable, value in zip(variables, values, strict=True):
            assert one.named(value, layer.path, variable.name, None), (variable, one.owners[value])


@each_model
def test_aliases_hold_what_they_repeat_and_masks_have_their_weights_shape(keras, builder, tmp_path):
    one, path = _saved(keras, builder, tmp_path, ".keras")
    config, groups = _store(path)
    root = parse_model(config, one.flavor)
    found = paths.object_paths(root, one.flavor, groups)
    wrappers = tfmot.wrappers(root)
    unique = {}
    for group, values in groups.items():
        layer = found.get(group)
        if layer is None or group.startswith("optimizer"):
            continue
        wrapper = wrappers.get(layer.path)
        variables = tfmot.v3_variables(layer, one.flavor, wrapper=wrapper, count=len(values))
        for variable, value in zip(variables, values, strict=True):
            if variable.role is not Role.ALIAS:
                assert unique.setdefault(value, (group, variable)) == (group, variable)
                continue
            inner, name = tfmot.resolve(layer, variable.about, one.flavor)
            assert one.named(value, inner.path, name, layer)
    # Each live variable that is saved is there once as itself, however often it is stored.
    stored = {value for g, values in groups.items() if g in found for value in values}
    assert set(unique) == stored


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@each_model
def test_trainable_flags_are_those_of_the_loaded_model(keras, builder, suffix, tmp_path):
    one, path = _saved(keras, builder, tmp_path, suffix)
    classes = _K3_CLASSES if keras is keras3 else _K2_CLASSES
    with contextlib.ExitStack() as stack:
        stack.enter_context(keras.utils.custom_object_scope(classes))
        for scope in (
            toolkit.sparsity.keras.prune_scope,
            toolkit.clustering.keras.cluster_scope,
            toolkit.quantization.keras.quantize_scope,
        ):
            if keras is tf_keras:
                stack.enter_context(scope())
        try:
            loaded = keras.models.load_model(path, compile=False)
        except (ValueError, TypeError, AttributeError) as error:
            pytest.skip(f"Keras cannot load its own file: {str(error)[:60]}")
    _, groups = _store(_saved(keras, builder, tmp_path, ".keras")[1])
    config = _h5_config(path) if suffix == ".h5" else _store(path)[0]
    root = parse_model(config, one.flavor)
    gates = order.effective_trainable(root, one.flavor)
    found = paths.object_paths(root, one.flavor, groups)
    wrappers = tfmot.wrappers(root)
    trainable = {int(np.ravel(v.numpy())[0]) for v in loaded.trainable_weights}
    for group, values in groups.items():
        layer = found.get(group)
        if layer is None:
            continue
        wrapper = wrappers.get(layer.path)
        variables = tfmot.v3_variables(layer, one.flavor, wrapper=wrapper, count=len(values))
        for variable, value in zip(variables, values, strict=True):
            if variable.role is not Role.ALIAS:
                expected = variable.trainable and gates[layer.path]
                assert (value in trainable) == expected, (group, variable)


def test_a_layer_shared_through_a_wrapper_is_stored_twice_in_h5_and_once_in_keras(tmp_path):
    builder = _K3["shared_in_timedistributed"]
    one, path = _saved(keras3, builder, tmp_path, ".keras")
    config, groups = _store(path)
    root = parse_model(config, one.flavor)
    assert one.model.count_params() == 60
    assert list(groups) == ["layers/time_distributed/layer"]
    assert paths.object_paths(root, one.flavor)["layers/time_distributed/layer"].name == "shared"
