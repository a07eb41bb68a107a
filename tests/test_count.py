"""The totals, each with its reason where it is open, and the rows."""

import dataclasses

import h5py
import pytest

import inspector
from inspector.classify import classify
from inspector.count import count
from inspector.measure import measure_all
from inspector.model import Artifact, Layer, Role, Store, Tensor
from tests.builders import cases as c

KERNEL, BIAS = c.values(4, 3, zeros=5), c.values(3)
DENSE = {"dense": {"dense/kernel:0": KERNEL, "dense/bias:0": BIAS}}
CONFIG = c.sequential(c.dense("dense", 3))
STORE = {"layers/dense": [KERNEL, BIAS]}


def counted(path, *, measured=True, change=lambda artifact: artifact):
    with inspector.open(path) as opened:
        artifact = change(opened.artifact)
        verdicts = classify(artifact).verdicts
        values = measure_all(artifact.tensors)[0] if measured else None
        return count(artifact, verdicts, values)


def numbers(found):
    return dataclasses.astuple(found.totals)


def codes(found):
    return [problem.code for problem in found.problems]


# --- totals and reasons -------------------------------------------------------------------------


def test_a_known_model_has_every_total(tmp_path):
    found = counted(c.legacy(tmp_path / "m.h5", DENSE, CONFIG))
    # 4*3 + 3 = 15, of which 5 are zero.
    assert numbers(found) == (15, 15, 15, 0, 15, 10)
    assert found.reasons == {}
    assert found.problems == ()


def test_without_measuring_only_nonzero_is_open(tmp_path):
    found = counted(c.legacy(tmp_path / "m.h5", DENSE, CONFIG), measured=False)
    assert numbers(found) == (15, 15, 15, 0, 15, None)
    assert found.reasons == {"nonzero": "not measured"}


@pytest.mark.parametrize("legacy", [True, False])
def test_a_weights_file_leaves_trainability_open(tmp_path, legacy):
    if legacy:
        path = c.legacy(tmp_path / "m.h5", DENSE)
    else:
        path = c.store(tmp_path / "m.weights.h5", STORE, {})
    found = counted(path)
    assert numbers(found) == (15, 15, None, None, 15, 10)
    assert set(found.reasons) == {"trainable", "non_trainable"}
    assert all("no model config" in reason for reason in found.reasons.values())


def test_a_weights_file_of_statistics_alone_is_known_not_to_be_trained(tmp_path):
    weights = {"bn": {f"bn/{name}:0": c.values(4) for name in ("moving_mean", "moving_variance")}}
    found = counted(c.legacy(tmp_path / "m.h5", weights))
    assert numbers(found) == (8, 8, 0, 8, 8, 0)


def test_a_missing_shard_leaves_the_count_open(tmp_path):
    import json

    c.store(tmp_path / "m_00000.weights.h5", STORE, {})
    names = {"/layers/dense/vars": "m_00000", "/layers/dense_1/vars": "m_00001"}
    weight_map = {place: [f"{name}.weights.h5"] for place, name in names.items()}
    path = tmp_path / "m.weights.json"
    path.write_text(json.dumps({"metadata": {"total_size": 120}, "weight_map": weight_map}))
    found = counted(path)
    assert numbers(found) == (15, None, None, None, None, 10)
    open_ = ("count_params", "trainable", "non_trainable", "after_strip")
    assert set(found.reasons) == set(open_)
    assert all("parts of the model are missing" in found.reasons[name] for name in open_)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_layer_of_the_config_without_stored_variables_is_named(tmp_path, legacy):
    config = c.sequential(c.dense("dense", 3), c.dense("lost", 2), c.dense("gone", 2))
    if legacy:
        path = c.legacy(tmp_path / "m.h5", DENSE, config)
    else:
        path = c.archive(tmp_path / "m.keras", c.keras3(config), STORE, {}, version=c.KERAS3)
    found = counted(path)
    assert found.totals.count_params is None
    assert found.totals.stored_elements == 15
    reason = found.reasons["count_params"]
    assert "layer lost and 1 more" in reason
    assert "not stored" in reason


def test_keras_leaves_out_a_stored_layer_that_the_config_lacks(tmp_path):
    # As live Keras 3 and tf_keras do with a `.keras`: it loads, and counts 15.
    objects = {**STORE, "layers/dense_1": [c.values(3, 2), c.values(2)]}
    path = c.archive(tmp_path / "m.keras", c.keras3(CONFIG), objects, {}, version=c.KERAS3)
    found = counted(path)
    assert found.totals.stored_elements == 15 + 8
    assert (found.totals.count_params, found.totals.trainable) == (15, 15)
    (problem,) = found.problems
    assert problem.code == "layer-not-in-config"
    assert "layers/dense_1" in problem.message
    assert "leaves them out" in problem.message
    assert rows(found)["layers/dense_1"].count_params == 0


def test_keras_fails_to_load_hdf5_with_a_layer_that_the_config_lacks(tmp_path):
    weights = {**DENSE, "more": {"more/kernel:0": c.values(3, 2), "more/bias:0": c.values(2)}}
    found = counted(c.legacy(tmp_path / "m.h5", weights, CONFIG))
    assert (found.totals.stored_elements, found.totals.count_params) == (23, None)
    assert "variables of more" in found.reasons["count_params"]
    (problem,) = found.problems
    assert "fails to load" in problem.message


def test_what_a_custom_layer_holds_inside_is_counted(tmp_path):
    config = c.keras3(c.sequential(c.layer("My>Block", "block"), c.dense("dense", 3)))
    objects = {"layers/block/first": [c.values(4, 4), c.values(4)], **STORE}
    found = counted(c.archive(tmp_path / "m.keras", config, objects, {}, version=c.KERAS3))
    assert found.totals.count_params == 20 + 15
    assert found.problems == ()


def test_a_layer_without_variables_of_its_own_is_not_missed(tmp_path):
    config = c.sequential(c.layer("Flatten", "flatten"), c.dense("dense", 3))
    assert counted(c.legacy(tmp_path / "m.h5", DENSE, config)).totals.count_params == 15


def test_an_unknown_custom_class_is_counted_and_its_training_is_open(tmp_path):
    weights = {**DENSE, "mine": {"mine/centers:0": c.values(4, 4)}}
    config = c.sequential(c.dense("dense", 3), c.layer("My>Centers", "mine"))
    found = counted(c.legacy(tmp_path / "m.h5", weights, config))
    # 15 + 16
    assert numbers(found) == (31, 31, None, None, 31, 26)
    assert "mine/centers:0 is trainable" in found.reasons["trainable"]


def test_a_variable_that_a_list_names_and_the_file_lacks_leaves_the_count_open(tmp_path):
    weights = {"dense": {"dense/kernel:0": KERNEL, "dense/bias:0": None}}
    found = counted(c.legacy(tmp_path / "m.h5", weights, CONFIG))
    assert found.totals.count_params is None
    assert "dense/bias:0" in found.reasons["count_params"]


def test_a_link_out_of_the_file_leaves_the_count_open(tmp_path):
    path = c.legacy(tmp_path / "m.h5", {"dense": {"dense/kernel:0": KERNEL, "dense/bias:0": None}})
    with h5py.File(path, "r+") as file:
        file["dense/dense/bias:0"] = h5py.ExternalLink("other.h5", "/bias")
    found = counted(path)
    assert found.totals.count_params is None
    assert "other.h5" in found.reasons["count_params"]


def test_values_that_cannot_be_read_leave_nonzero_open(tmp_path):
    path = c.legacy(tmp_path / "m.h5", DENSE, CONFIG)
    with inspector.open(path) as opened:
        verdicts = classify(opened.artifact).verdicts
        measured = measure_all(opened.artifact.tensors[1:])[0]
        found = count(opened.artifact, verdicts, measured)
    assert found.totals.nonzero is None
    assert "dense/kernel:0 could not be read" in found.reasons["nonzero"]
    assert found.totals.count_params == 15


def test_optimizer_metrics_copies_and_unlisted_datasets_are_no_parameters(tmp_path):
    objects = {
        "layers/prune_low_magnitude/layer": [KERNEL, BIAS],
        "layers/prune_low_magnitude": [
            KERNEL, c.mask_of(KERNEL), c.scalar(1), c.scalar(1, "int64"),
        ],
        "optimizer": [c.scalar(1, "int64"), KERNEL, KERNEL, BIAS, BIAS],
        "metrics/mean": [c.scalar(1), c.scalar(1)],
    }  # fmt: skip
    config = {**c.sequential(c.pruned(c.dense("dense", 3))), "compile_config": c.ADAM}
    found = counted(c.archive(tmp_path / "m.keras", config, objects))
    # Stored: 15, the copy 12, mask 12, threshold, step; Adam 1 + 2*15; metric 2.
    # Counted: 15 + 12 + 1 + 1 = 29; stripping leaves 15; 12 - 5 + 3 = 10 weights are not zero.
    assert numbers(found) == (15 + 12 + 14 + 31 + 2, 29, 15, 14, 15, 10)


# --- sharing and loading ------------------------------------------------------------------------


def wrapped_dense(name="td"):
    return c.layer("TimeDistributed", name, layer=c.inner(c.dense("dense", 3)))


def test_a_layer_that_two_places_share_counts_twice_where_it_is_stored_twice(tmp_path):
    weights = {"td": {"td/kernel": KERNEL, "td/bias": BIAS}, **DENSE}
    config = c.keras3(c.functional(wrapped_dense(), c.dense("dense", 3)))
    found = counted(c.legacy(tmp_path / "m.h5", weights, config, version=c.KERAS3))
    assert found.totals.count_params == 30
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("shared-layer", "warning")
    assert "dense and td/dense were one layer" in problem.message
    assert "count_params counts both" in problem.message


def shared_archive(path, first, second, place, version):
    """Two nodes that are one layer; `place` is where its variables are."""
    config = c.functional(first, second)
    config = c.keras3(config) if version == c.KERAS3 else config
    names = {} if version == c.KERAS3 else None
    return c.archive(path, config, {place: [KERNEL, BIAS]}, names, version=version)


def marked(node, inside=False):
    """The node with Keras' mark of sharing, or with the one on the layer inside it."""
    if not inside:
        return {**node, "shared_object_id": 7}
    config = {**node["config"], "layer": {**node["config"]["layer"], "shared_object_id": 7}}
    return {**node, "config": config}


DENSE_FIRST = (marked(c.dense("dense", 3)), marked(wrapped_dense(), inside=True), "layers/dense")
WRAPPER_FIRST = (
    wrapped_dense(), marked(c.dense("dense", 3)), "layers/time_distributed/layer",
)  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "version", "loads"),
    [
        # As live Keras does: it joins only what it marked in both places; tf_keras joins nothing.
        (DENSE_FIRST, c.KERAS3, True),
        (WRAPPER_FIRST, c.KERAS3, False),
        (DENSE_FIRST, c.TF_KERAS, False),
        (WRAPPER_FIRST, c.TF_KERAS, False),
    ],
)
def test_a_layer_stored_once_for_two_places_may_not_load(tmp_path, nodes, version, loads):
    found = counted(shared_archive(tmp_path / "m.keras", *nodes, version))
    assert found.totals.count_params == 15
    assert codes(found) == ([] if loads else ["shared-layer"])
    assert all("fails to load" in problem.message for problem in found.problems)


def test_lora_made_on_loading_is_counted_with_a_problem(tmp_path):
    config = c.keras3(c.sequential(c.dense("dense", 3, lora_rank=2)))
    found = counted(c.archive(tmp_path / "m.keras", config, STORE, {}, version=c.KERAS3))
    # lora_kernel_a 4*2, lora_kernel_b 2*3; trainable: those and the bias, no longer the kernel.
    assert numbers(found) == (15, 15 + 8 + 6, 8 + 6 + 3, 12, 29, 10)
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("made-on-load", "info")
    assert "lora_kernel_a, lora_kernel_b" in problem.message
    assert "14 parameters" in problem.message


def test_frozen_layers_are_not_trainable(tmp_path):
    frozen = c.sequential(c.dense("dense", 3, trainable=False))
    assert numbers(counted(c.legacy(tmp_path / "a.h5", DENSE, frozen))) == (15, 15, 0, 15, 15, 10)
    # Freezing a model freezes every layer in it, and each layer's config says so.
    inner = c.sequential(c.dense("dense", 3, trainable=False), name="inner")
    weights = {"inner": {"dense/kernel:0": KERNEL, "dense/bias:0": BIAS}}
    found = counted(c.legacy(tmp_path / "b.h5", weights, c.functional(inner)))
    assert (found.totals.trainable, found.totals.non_trainable) == (0, 15)


# --- rows ---------------------------------------------------------------------------------------


def rows(found):
    return {row.path: row for row in found.layers}


def test_layers_of_nested_models_have_rows_of_their_own(tmp_path):
    deep = c.functional(c.dense("dense", 3), name="deep")
    inner = c.sequential(deep, c.dense("dense", 3), name="inner")
    config = c.functional(inner, c.dense("dense", 3))
    twice = {
        "deep/dense/kernel:0": KERNEL,
        "deep/dense/bias:0": BIAS,
        "dense/kernel:0": c.values(3, 3),
        "dense/bias:0": BIAS,
    }
    weights = {
        "inner": twice,
        "dense": {"dense/kernel:0": c.values(3, 3), "dense/bias:0": BIAS},
    }
    found = rows(counted(c.legacy(tmp_path / "m.h5", weights, config)))
    counts = {path: row.count_params for path, row in found.items()}
    assert counts == {"inner/deep/dense": 15, "inner/dense": 12, "dense": 12}
    assert {row.class_name for row in found.values()} == {"Dense"}


def test_a_wrapper_has_one_row_with_what_it_wraps(tmp_path):
    weights = c.wrapped_weights(DENSE, {"dense": "dense/kernel:0"})
    path = c.legacy(tmp_path / "m.h5", weights, c.sequential(c.pruned(c.dense("dense", 3))))
    (row,) = counted(path).layers
    assert (row.path, row.class_name) == ("prune_low_magnitude_dense", "PruneLowMagnitude")
    assert row.wraps == "Dense"
    # Mask 12, threshold, step.
    assert (row.count_params, row.overhead, row.trainable) == (29, 14, True)
    assert row.roles == {Role.WEIGHT: 15, Role.MASK: 12, Role.THRESHOLD: 1, Role.PRUNING_STEP: 1}
    assert len(row.tensors) == 5


def test_a_wrapper_in_a_wrapper_names_both(tmp_path):
    timed = c.layer("TimeDistributed", "td", layer=c.inner(c.dense("dense", 3)))
    node = c.layer("TimeDistributed", "outer", layer=c.inner(timed))
    weights = {"outer": {"outer/kernel:0": KERNEL, "outer/bias:0": BIAS}}
    (row,) = counted(c.legacy(tmp_path / "m.h5", weights, c.sequential(node))).layers
    assert (row.path, row.wraps, row.count_params) == ("outer", "TimeDistributed(Dense)", 15)


@pytest.mark.parametrize("with_config", [True, False])
def test_a_wrapper_has_one_row_in_the_v3_layout_too(tmp_path, with_config):
    objects = {
        "layers/prune_low_magnitude/layer": [KERNEL, BIAS],
        "layers/prune_low_magnitude": [
            KERNEL, c.mask_of(KERNEL), c.scalar(1), c.scalar(1, "int64"),
        ],
    }  # fmt: skip
    if with_config:
        config = c.sequential(c.pruned(c.dense("dense", 3)))
        path = c.archive(tmp_path / "m.keras", config, objects)
    else:
        path = c.store(tmp_path / "m.weights.h5", objects)
    found = counted(path)
    (row,) = (row for row in found.layers if row.tensors)
    assert row.class_name == "PruneLowMagnitude"
    assert (row.count_params, row.overhead) == (29, 14)
    assert row.roles[Role.ALIAS] == 12
    assert found.totals.after_strip == 15


def test_centroids_of_a_quantization_wrapper_stay_where_no_config_tells_its_class():
    """A checkpoint: the wrapper is known by its attributes, and is among the guessed layers."""
    for kind, left in (("QuantizeWrapperV2", 12 + 4), ("ClusterWeights", 12)):
        tensors = [
            Tensor(name, "float32", shape, 0, layer="w", owner="w", variable=name)
            for name, shape in (("kernel", (4, 3)), ("cluster_centroids_tf", (4,)))
        ]
        artifact = Artifact(
            "m",
            "checkpoint",
            "",
            (),
            tuple(tensors),
            {},
            store=Store.OBJECTS,
            guessed=(Layer("w", "w", kind),),
        )
        found = count(artifact, classify(artifact).verdicts)
        assert (found.totals.count_params, found.totals.after_strip) == (16, left)


def test_clusters_go_with_strip_clustering_and_those_inside_quantization_stay(tmp_path):
    node = c.dense("dense", 3)
    own = {
        "cluster_dense/cluster_centroids_kernel:0": c.values(2),
        "cluster_dense/pulling_indices_kernel:0": c.mask_of(KERNEL).astype("int64"),
    }
    weights = {
        "cluster_dense": {"dense/bias:0": BIAS, "dense/kernel:0": KERNEL, **own},
    }
    found = counted(c.legacy(tmp_path / "m.h5", weights, c.sequential(c.clustered(node, 2))))
    # 15 + 2 centroids (trained) + 12 indices
    assert numbers(found) == (29, 29, 17, 12, 15, 10)
    ranges = ("kernel_min", "kernel_max", "post_activation_min", "post_activation_max")
    kept = {
        "dense/kernel:0": KERNEL,
        "dense/bias:0": BIAS,
        "quant_dense/cluster_centroids_tf:0": c.values(2),
        "quant_dense/ori_weights_vars_tf:0": KERNEL,
        "quant_dense/optimizer_step:0": c.scalar(0, "int32"),
        "quant_dense/pulling_indices_tf:0": c.mask_of(KERNEL).astype("int64"),
        **{f"quant_dense/{name}:0": c.scalar(1) for name in ranges},
    }
    config = c.sequential(c.quantized(node, ["kernel"]))
    found = counted(c.legacy(tmp_path / "q.h5", {"quant_dense": kept}, config))
    total = 15 + 2 + 12 + 12 + 1 + 4
    assert found.totals.count_params == found.totals.after_strip == total


def test_rows_follow_the_config_and_add_up(tmp_path):
    names = ["b", "a", "c"]
    weights = {n: {f"{n}/kernel:0": c.values(3, 3), f"{n}/bias:0": BIAS} for n in names}
    nodes = [c.layer("InputLayer", "in"), *(c.dense(n, 3) for n in names)]
    found = counted(c.legacy(tmp_path / "m.h5", {"in": {}, **weights}, c.functional(*nodes)))
    assert [row.path for row in found.layers] == ["in", *names]
    assert sum(row.count_params for row in found.layers) == found.totals.count_params == 36
