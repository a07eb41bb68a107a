"""Cases that random models against live Keras brought up, each as small as it gets.

What a test expects is what live Keras 3.15, tf_keras 2.21 or tfmot 0.8 said of such a model: the
order in which it writes `weight_names`, the numbers of its v3 groups, and its own counts.
"""

from __future__ import annotations

import json
import zipfile
from io import BytesIO

import h5py
import numpy as np
import pytest

from inspector.classify import classify
from inspector.count import count
from inspector.keras.bind import by_name
from inspector.keras.config import parse_model
from inspector.keras.order import effective_trainable, legacy_order
from inspector.keras.paths import object_paths
from inspector.model import Flavor, Role
from inspector.read import read

F32 = "float32"


def store(path, objects, names=None):
    """A v3 store: group path -> arrays, each a shape, a (shape, dtype) or an array."""
    with h5py.File(path, "w") as file:
        for group, arrays in objects.items():
            held = file.create_group(f"{group}/vars" if group else "vars")
            if names is not None:
                held.attrs["name"] = names.get(group, group.rpartition("/")[2])
            for index, one in enumerate(arrays):
                shape, dtype = one if one and isinstance(one[-1], str) else (one, F32)
                held[str(index)] = np.ones(shape, dtype)
    return str(path)


def legacy(path, groups, config=None):
    """A weights-only `.h5`, or a whole one where a config is given."""
    with h5py.File(path, "w") as file:
        root = file
        if config is not None:
            version, content = config
            file.attrs["keras_version"] = version
            file.attrs["model_config"] = json.dumps(content)
            root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in groups]
        for name, weights in groups.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, one in weights.items():
                shape, dtype = one if one and isinstance(one[-1], str) else (one, F32)
                group[weight] = np.ones(shape, dtype)
    return str(path)


def roles(path):
    """Tensor name -> (variable, role); and the totals."""
    with read(path) as opened:
        verdicts = classify(opened.artifact).verdicts
        totals = count(opened.artifact, verdicts).totals
        return {
            t.name: (t.variable, verdicts[t.name].role) for t in opened.artifact.tensors
        }, totals


def sequential(*layers, **more):
    return {"class_name": "Sequential", "config": {"name": "m", "layers": list(layers), **more}}


def layer(class_name, name, **config):
    return {
        "module": "keras.layers",
        "class_name": class_name,
        "registered_name": None,
        "config": {"name": name, "trainable": True, **config},
    }


def slots(content, flavor, count=None, ranks=None):
    root = parse_model(content, flavor)
    found = legacy_order(root.children[0], flavor, count, ranks)
    return [(slot.layer_path, slot.variable.name, slot.trainable) for slot in found]


W, S, Q = Role.WEIGHT, Role.STATISTIC, Role.QUANT_PARAM


@pytest.mark.parametrize(
    ("group", "arrays", "expected"),
    [
        ("layers/dense", [(4, 3)], [("kernel", W)]),
        ("layers/einsum_dense", [(3, 2, 2), (2, 2)], [("kernel", W), ("bias", W)]),
        # Three vectors: beta or gamma, then the two statistics.
        (
            "layers/batch_normalization",
            [(3,)] * 3,
            [(None, W), ("moving_mean", S), ("moving_variance", S)],
        ),
        ("layers/batch_normalization", [(3,)] * 2, [("moving_mean", S), ("moving_variance", S)]),
        ("layers/layer_normalization_1", [(3,)], [(None, W)]),
        # In a subclassed model, a list of any name.
        (
            "steps/normalization",
            [(3,), (3,), ((), "int64")],
            [("mean", S), ("variance", S), ("count", S)],
        ),
        # Nothing names the class inside a wrapper, and nothing else has four vectors.
        (
            "layers/time_distributed/layer",
            [(3,)] * 4,
            [("gamma", W), ("beta", W), ("moving_mean", S), ("moving_variance", S)],
        ),
        (
            "layers/dense",
            [((8, 4), "int8"), (4,), (4,)],
            [("kernel", W), ("bias", W), ("kernel_scale", Q)],
        ),
        ("layers/dense", [((8, 4), "int8"), (4,)], [("kernel", W), ("kernel_scale", Q)]),
        (
            "layers/einsum_dense",
            [((8, 3), "int8"), (2, 3), (1, 6), ((1, 6), "int8"), (8,)],
            [("kernel", W), ("bias", W), ("kernel_scale", Q), ("kernel_zero", Q), ("g_idx", Q)],
        ),
    ],
)
def test_the_variables_tell_the_options_that_no_config_gives(tmp_path, group, arrays, expected):
    outer = group.rpartition("/")[0]
    objects = {group: arrays} if outer in {"layers", "steps"} else {outer: [], group: arrays}
    path = store(tmp_path / "m.weights.h5", objects)
    found, _ = roles(path)
    assert [found[f"{group}/vars/{i}"] for i in range(len(arrays))] == expected


def test_an_attribute_is_told_by_the_name_that_keras_3_notes(tmp_path):
    objects = {"layers/rnn": [], "b": [(3,)] * 4}
    path = store(tmp_path / "m.weights.h5", objects, {"b": "batch_normalization_7"})
    found, _ = roles(path)
    assert [found[f"b/vars/{i}"][1] for i in range(4)] == [W, W, S, S]


def test_int4_is_told_from_int8_by_the_scales(tmp_path):
    arrays = [((8, 4), "int8"), (7,), (7,)]
    with read(store(tmp_path / "m.weights.h5", {"layers/dense": arrays})) as opened:
        kernel = opened.artifact.tensors[0]
    assert (kernel.dtype, kernel.shape, kernel.keras_elements) == ("int4", (8, 7), 32)


def test_a_layer_may_be_called_model_weights(tmp_path):
    groups = {
        "model_weights": {"model_weights/kernel:0": (4, 3)},
        "dense": {"dense/kernel:0": (3, 2), "dense/bias:0": (2,)},
    }
    _, totals = roles(legacy(tmp_path / "m.h5", groups))
    assert totals.count_params == 12 + 6 + 2


def test_a_quantize_layers_scalars_are_ranges_without_a_config(tmp_path):
    names = ["quantize_layer_min:0", "quantize_layer_max:0"]
    weights = {f"quantize_layer/{name}": () for name in names}
    weights["quantize_layer/optimizer_step:0"] = ((), "int32")
    found, _ = roles(legacy(tmp_path / "m.h5", {"quantize_layer": weights}))
    assert [role for _, role in found.values()] == [Q, Q, Role.QUANT_STEP]


@pytest.mark.parametrize(
    ("frozen", "expected"),
    [
        (False, [("sn/d", "kernel", True), ("sn/d", "bias", True), ("sn", "vector_u", False)]),
        (True, [("sn/d", "kernel", False), ("sn", "vector_u", False), ("sn/d", "bias", False)]),
    ],
)
@pytest.mark.parametrize("flavor", [Flavor.KERAS3, Flavor.TF_KERAS])
def test_spectral_normalization_lists_its_layers_kernel_first(flavor, frozen, expected):
    inner = layer("Dense", "d", units=3)
    outer = layer("SpectralNormalization", "sn", layer=inner)
    for node in (inner, outer):
        node["config"]["trainable"] = not frozen
    assert slots(sequential(outer), flavor) == expected


def test_a_kernel_under_lora_is_listed_behind_what_is_trained():
    dense = layer("Dense", "d", units=3, lora_rank=2)
    names = [name for _, name, _ in slots(sequential(dense), Flavor.KERAS3)]
    assert names == ["bias", "lora_kernel_a", "lora_kernel_b", "kernel"]


def test_float8_made_by_quantizing_a_built_layer_comes_behind_the_kernel():
    policy = {"class_name": "QuantizedFloat8DTypePolicy", "config": {"mode": "float8"}}
    dense = layer("Dense", "d", units=3, dtype=policy)
    found = slots(sequential(dense), Flavor.KERAS3, 8, [2, 1, 0, 1, 0, 1, 0, 1])
    assert [name for _, name, _ in found][:4] == [
        *("kernel", "bias", "inputs_scale", "inputs_amax_history"),
    ]


def test_keras_3_counts_no_activation_layer_that_was_never_called(tmp_path):
    activation = layer("PReLU", "p")
    dense = layer("Dense", "dense", units=3, activation=activation)
    groups = {"dense": {"m/dense/kernel": (4, 3), "m/dense/bias": (3,)}}
    _, totals = roles(legacy(tmp_path / "m.h5", groups, ("3.15.1", sequential(dense))))
    assert (totals.count_params, totals.trainable) == (15, 15)
    weights = BytesIO()
    store(weights, {"layers/dense": [(4, 3), (3,)]})
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(sequential(dense)))
        archive.writestr("model.weights.h5", weights.getvalue())
    _, totals = roles(str(path))
    assert (totals.count_params, totals.trainable) == (15, 15)


def test_a_group_is_called_after_the_class_itself_not_its_exported_name():
    attention = layer("GroupQueryAttention", "g", head_dim=2, num_query_heads=4)
    root = parse_model(sequential(attention), Flavor.KERAS3)
    found = object_paths(root, Flavor.KERAS3)
    assert found["layers/grouped_query_attention/_key_dense"].path == "g/key"


def test_a_frozen_convlstm_of_keras_3_has_a_trainable_cell_once_loaded():
    nodes = [layer(name, name) for name in ("ConvLSTM2D", "LSTM")]
    for node in nodes:
        node["config"]["trainable"] = False
    gates = effective_trainable(parse_model(sequential(*nodes), Flavor.KERAS3), Flavor.KERAS3)
    assert gates["ConvLSTM2D/conv_lstm_cell"] is True
    assert gates["LSTM/lstm_cell"] is False


def test_a_quantize_config_around_another_leaves_the_weights_alone():
    inside = {
        "class_name": "Default8BitQuantizeConfig",
        "config": {
            "weight_attrs": ["kernel"],
            "activation_attrs": ["activation"],
            "quantize_output": False,
        },
    }
    around = {"class_name": "OutputOnlyConfig", "config": {"quantize_config": inside}}
    wrapper = {
        "class_name": "QuantizeWrapperV2",
        "config": {
            "name": "q",
            "trainable": True,
            "quantize_config": around,
            "layer": layer("Dense", "d", units=3, activation="linear"),
        },
    }
    found = slots(sequential(wrapper), Flavor.TF_KERAS)
    assert [name for _, name, _ in found] == [
        *("kernel", "bias", "optimizer_step", "post_activation_min", "post_activation_max"),
    ]


def test_each_wrapper_in_a_nested_models_group_has_its_own_step(tmp_path):
    weights = {
        "a/kernel:0": (4, 3),
        "b/kernel:0": (3, 4),
        "prune_low_magnitude_a/mask:0": (4, 3),
        "prune_low_magnitude_a/threshold:0": (),
        "prune_low_magnitude_a/pruning_step:0": ((), "int64"),
        "prune_low_magnitude_b/mask:0": (3, 4),
        "prune_low_magnitude_b/threshold:0": (),
        "prune_low_magnitude_b/pruning_step:0": ((), "int64"),
    }
    found, totals = roles(legacy(tmp_path / "m.h5", {"inner": weights}))
    pruning = [Role.MASK, Role.THRESHOLD, Role.PRUNING_STEP]
    assert [role for _, role in found.values()] == [W, W, *pruning, *pruning]
    assert totals.after_strip == 24


def test_the_cells_of_a_clustered_rnn_are_numbered_in_its_variables_names(tmp_path):
    group = "cluster_gru"
    weights = {f"gru/gru_cell/{name}:0": (3, 6) for name in ("kernel", "recurrent_kernel")}
    for name in ("kernel", "recurrent_kernel"):
        weights[f"{group}/cluster_centroids_{name}/0:0"] = (4,)
        weights[f"{group}/pulling_indices_{name}/0:0"] = ((3, 6), "int64")
    found, totals = roles(legacy(tmp_path / "m.h5", {group: weights}))
    assert [role for _, role in found.values()] == [
        *(W, W),
        *[Role.CENTROIDS, Role.CLUSTER_INDICES] * 2,
    ]
    assert totals.after_strip == 36


@pytest.mark.parametrize("centroids", [(8,), (3, 8)])
def test_a_cluster_preserving_wrapper_is_told_by_its_indices(tmp_path, centroids):
    kernel, group = (2, 2, 2, 3), "layers/quantize_wrapper_v2"
    indices, step = (kernel, "int32"), ((), "int32")
    arrays = [kernel, (3,), centroids, kernel, kernel, step, indices, (3,), (3,), (), ()]
    path = tmp_path / "m.weights.h5"
    store(path, {group: arrays, f"{group}/layer": [(3,)]})
    found, _ = roles(str(path))
    assert [found[f"{group}/vars/{i}"][1] for i in range(len(arrays))] == [
        *(W, Role.ALIAS, Role.CENTROIDS, Role.CLUSTER_ORIGINAL, Role.ALIAS, Role.QUANT_STEP),
        *(Role.CLUSTER_INDICES, Q, Q, Q, Q),
    ]


def test_names_tell_what_a_lost_flag_moved(tmp_path):
    """A GRUCell frozen inside a Bidirectional: no config of tf_keras has that flag."""
    gru = layer("GRU", "gru", units=2, use_bias=False)
    content = sequential(layer("Bidirectional", "b", layer=gru))
    names = [
        f"b/{way}_gru/gru_cell/{name}:0"
        for way in ("backward", "forward")
        for name in ("kernel", "recurrent_kernel")
    ]
    path = legacy(tmp_path / "m.h5", {"b": dict.fromkeys(names, (2, 6))}, ("2.21.0", content))
    with read(path) as opened:
        layers = [tensor.layer for tensor in opened.artifact.tensors]
    assert layers == ["b/backward_gru/gru_cell"] * 2 + ["b/forward_gru/gru_cell"] * 2


def test_slots_of_variables_frozen_later_are_not_given_to_others(tmp_path):
    """SGD with momentum had four slots; the config says that the first layer is frozen."""
    nodes = [layer("Dense", name, units=3) for name in ("a", "b")]
    nodes[0]["config"]["trainable"] = False
    content = sequential(*nodes)
    optimizer = {"class_name": "SGD", "config": {"learning_rate": 0.1, "momentum": 0.9}}
    content["compile_config"] = {"optimizer": optimizer, "loss": "mse"}
    weights = BytesIO()
    arrays = [(3, 3), (3,)]
    slots_ = [((), "int64"), (), *arrays, *arrays]
    store(weights, {"layers/dense": arrays, "layers/dense_1": arrays, "optimizer": slots_})
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(content))
        archive.writestr("model.weights.h5", weights.getvalue())
    with read(str(path)) as opened:
        served = {t.name: t.slot_of for t in opened.artifact.tensors if t.section == "optimizer"}
    assert [served[f"optimizer/vars/{i}"] for i in range(2, 6)] == [
        *("layers/dense/vars/0", "layers/dense/vars/1"),
        *("layers/dense_1/vars/0", "layers/dense_1/vars/1"),
    ]


def test_a_layer_may_be_called_optimizer(tmp_path):
    content = sequential(layer("Dense", "optimizer", units=3))
    weights = BytesIO()
    store(weights, {"layers/dense": [(4, 3), (3,)], "optimizer": [((), "int64"), (), (4, 3), (3,)]})
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(content))
        archive.writestr("model.weights.h5", weights.getvalue())
    found, totals = roles(str(path))
    assert found["layers/dense/vars/0"] == ("kernel", W)
    assert (totals.count_params, totals.trainable) == (15, 15)


def test_a_kernel_that_a_wrapper_keeps_is_trainable_in_a_frozen_layer(tmp_path):
    """tf_keras: a frozen layer inside, loaded again in a wrapper whose own flag is not asked."""
    inner = layer("Dense", "d", units=3, activation="linear", use_bias=False)
    inner["config"]["trainable"] = False
    config = {"weight_attrs": ["kernel"], "activation_attrs": [], "quantize_output": False}
    quantize = {"class_name": "Default8BitQuantizeConfig", "config": config}
    wrapper = {
        "class_name": "QuantizeWrapperV2",
        "config": {"name": "q", "trainable": False, "quantize_config": quantize, "layer": inner},
    }
    weights = {
        "d/kernel:0": (4, 3),
        "q/optimizer_step:0": ((), "int32"),
        "q/kernel_min:0": (),
        "q/kernel_max:0": (),
    }
    path = legacy(tmp_path / "m.h5", {"q": weights}, ("2.21.0", sequential(wrapper)))
    _, totals = roles(path)
    assert (totals.count_params, totals.trainable) == (15, 12)


def test_an_attention_wrappers_copies_come_in_the_order_of_its_layers(tmp_path):
    group, dense, mask = "layers/prune_low_magnitude", (4, 2, 2), [(4, 2, 2), ()]
    attrs = ("query", "key", "value", "output")
    inner = {f"{group}/layer/_{attr}_dense": [dense] for attr in attrs}
    arrays = [*[dense] * 4, *mask * 4, ((), "int64")]
    path = store(tmp_path / "m.weights.h5", {group: arrays, f"{group}/layer": [], **inner})
    with read(path) as opened:
        verdicts = classify(opened.artifact).verdicts
    assert [verdicts[f"{group}/vars/{i}"].alias_of for i in range(4)] == [
        f"{group}/layer/_{attr}_dense/vars/0" for attr in attrs
    ]


def test_an_int4_kernel_in_h5_is_as_wide_as_its_units(tmp_path):
    """Dense(7) on 6 inputs in int4: (6, 4) bytes, which Keras counts, hold 42 values."""
    policy = {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int4"}}
    node = layer("Dense", "d", units=7, dtype=policy)
    names = {"m/d/bias": (7,), "m/d/kernel": ((6, 4), "int8"), "m/d/kernel_scale": (7,)}
    path = legacy(tmp_path / "m.h5", {"d": names}, ("3.15.1", sequential(node)))
    found, totals = roles(path)
    assert found["model_weights/d/m/d/kernel"] == ("kernel", W)
    assert (totals.stored_elements, totals.count_params) == (7 + 42 + 7, 7 + 24 + 7)


def test_a_name_with_a_slash_is_found_whole_before_its_beginning():
    inner = [layer("Custom", name) for name in ("a", "a/b")]
    (root,) = parse_model(sequential(sequential(*inner)), Flavor.TF_KERAS).children
    assert by_name(root, "a/b/kernel:0").layer == "m/a/b"
    assert by_name(root, "a/kernel:0").layer == "m/a"


def test_lora_on_an_int4_kernel_is_made_anew_too(tmp_path):
    """Dense(9) on 16 inputs in int4, lora_rank 2: live Keras 3.15 counts 173 once loaded.

    bias 9 + kernel 16*5 bytes + scale 9 + zero 9 + g_idx 16 = 123; lora 16*2 + 2*9 = 50.
    """
    policy = {"class_name": "Int4DTypePolicy", "config": {"mode": "int4/128"}}
    node = layer("Dense", "d", units=9, lora_rank=2, dtype=policy)
    arrays = [((16, 5), "int8"), (9,), (1, 9), ((1, 9), "int8"), (16,)]
    inner = store(tmp_path / "w.h5", {"layers/dense": arrays})
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        file.writestr("config.json", json.dumps(sequential(node)))
        file.write(inner, "model.weights.h5")
    _, totals = roles(str(path))
    assert (totals.count_params, totals.trainable) == (173, 59)


def test_idf_weights_are_no_weights_to_keras_3(tmp_path):
    """A StringLookup with tf_idf over 3 terms and a Dense(1): live Keras 3.15 counts 3 + 1."""
    path = tmp_path / "w.h5"
    store(path, {"layers/dense": [(3, 1), (1,)], "layers/string_lookup": []})
    with h5py.File(path, "a") as file:
        file["layers/string_lookup/vars/idf_weights"] = np.ones(3, F32)
    found, totals = roles(str(path))
    assert found["layers/string_lookup/vars/idf_weights"] == ("idf_weights", S)
    assert (totals.stored_elements, totals.count_params) == (7, 4)


def test_inner_layers_of_one_name_are_told_by_their_parents():
    attention = {"num_heads": 2, "key_dim": 1, "use_bias": True}
    node = {
        "class_name": "Sequential",
        "config": {
            "name": "inner",
            "layers": [
                {
                    "class_name": "MultiHeadAttention",
                    "config": {"name": name, **attention},
                }
                for name in ("one", "two")
            ],
        },
    }
    tree = parse_model({"class_name": "Sequential", "config": {"layers": [node]}}, Flavor.KERAS3)
    inner = tree.children[0]
    for name in ("one", "two"):
        found = by_name(inner, f"inner/{name}/query/kernel")
        assert (found.layer, found.variable) == (f"inner/{name}/query", "kernel")
