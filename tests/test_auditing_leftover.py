"""What training leaves in an artifact, and next to each what is like it and is none of it."""

import shutil
import zipfile

import h5py
import numpy as np
import pytest

from inspector import api
from inspector.auditing.look import audit_context
from inspector.auditing.rules.leftover import RULES
from tests.builders import bundles, cases, saved_models, tflite
from tests.builders import samples as stored

KERNEL = cases.values(4, 3)
BIAS = cases.values(3)
DENSE = {"dense": {"dense/kernel:0": KERNEL, "dense/bias:0": BIAS}}
CONFIG = cases.sequential(cases.dense("dense", 3))


def found(path, code):
    """What the rule of that code says of an artifact."""
    (rule,) = (one for one in RULES if one.code == code)
    with audit_context(path, measure=False) as context:
        assert context.error is None
        return [(one.message, str(one.severity or rule.severity)) for one in rule.check(context)]


def evidence(path, code):
    (rule,) = (one for one in RULES if one.code == code)
    with audit_context(path, measure=False) as context:
        return [one.evidence for one in rule.check(context)]


def every(path):
    """The codes of all rules of the family that find something."""
    with audit_context(path, measure=False) as context:
        return {rule.code for rule in RULES if list(rule.check(context))}


def mnist(tmp_path, **more):
    """The wrapped model with Adam: 20,410 weights, 5 wrappers, 2 of them with a mask."""
    weights = cases.wrapped_weights(cases.mnist_weights(pruned=True), cases.MNIST_MASKED)
    config = cases.sequential(*(cases.pruned(one) for one in cases.MNIST))
    return cases.legacy(tmp_path / "m.h5", weights, config, **more)


# --- pruning, the optimizer, the training config --------------------------------------------


def test_a_wrapped_and_trained_model_has_three_leftovers_that_fail(tmp_path):
    held = {
        f"{layer}__{name}": value
        for layer, variables in cases.mnist_weights().items()
        for name, value in (
            (stored.split("/")[1].split(":")[0], value) for stored, value in variables.items()
        )
    }
    path = mnist(tmp_path, optimizer=cases.adam(**held), training=cases.ADAM)
    assert every(path) == {
        "leftover-pruning",
        "leftover-optimizer",
        "leftover-training-config",
    }
    # Masks of 108 + 20,280. Slots 2 * 20,410 floats and an iteration of int64.
    assert found(path, "leftover-pruning") == [
        ("2 pruning wrappers with masks (20,388 elements), 3 that only count steps", "error")
    ]
    assert found(path, "leftover-optimizer") == [
        ("the optimizer's state is stored: 40,821 elements, 163,288 bytes", "error")
    ]
    assert found(path, "leftover-training-config") == [
        ("how the model was compiled is stored: optimizer Adam, loss mse", "error")
    ]
    report = api.audit([path])
    assert report.audit.failed
    assert [one.code for one in report.findings if one.code.startswith("leftover-")] == [
        "leftover-pruning",
        "leftover-optimizer",
        "leftover-training-config",
    ]


def test_the_stripped_model_passes(tmp_path):
    weights = cases.mnist_weights(pruned=True)
    path = cases.legacy(tmp_path / "m.h5", weights, cases.sequential(*cases.MNIST))
    assert every(path) == set()
    assert not api.audit([path]).audit.failed


def test_masks_are_found_where_there_is_no_config(tmp_path):
    weights = cases.wrapped_weights(cases.mnist_weights(), cases.MNIST_MASKED)
    path = cases.legacy(tmp_path / "w.h5", weights)
    assert found(path, "leftover-pruning") == [
        ("2 pruning wrappers with masks (20,388 elements), 3 that only count steps", "error")
    ]
    assert evidence(path, "leftover-pruning") == [
        "layers: prune_low_magnitude_conv2d, prune_low_magnitude_dense,"
        " prune_low_magnitude_reshape, prune_low_magnitude_max_pooling2d,"
        " prune_low_magnitude_flatten"
    ]


def test_a_frozen_graph_has_masks_and_no_wrappers():
    # conv1/weights is 3 x 3 x 1 x 4, fc1/weights 64 x 3: masks of 36 + 192.
    path = stored.path("frozen_contrib_pruned.pb")
    assert found(path, "leftover-pruning") == [("2 layers with masks (228 elements)", "error")]


def test_a_layer_named_after_pruning_is_no_wrapper(tmp_path):
    config = cases.sequential(cases.dense("prune_low_magnitude_dense", 3))
    name = "prune_low_magnitude_dense"
    weights = {name: {f"{name}/kernel:0": KERNEL, f"{name}/bias:0": BIAS}}
    assert every(cases.legacy(tmp_path / "m.h5", weights, config)) == set()


def test_an_optimizer_of_scalars_alone_is_information(tmp_path):
    optimizer = {"iteration:0": cases.scalar(2, "int64")}
    path = cases.legacy(tmp_path / "m.h5", DENSE, CONFIG, optimizer=optimizer)
    assert found(path, "leftover-optimizer") == [
        ("the optimizer's state is stored: 1 element, 8 bytes", "info")
    ]


def test_state_of_training_in_a_checkpoint_is_a_warning():
    # Two slots for each of 35 trained elements, a learning rate and an iteration of 8 bytes.
    assert found(stored.path("ckpt_adam"), "leftover-optimizer") == [
        ("the optimizer's state is stored: 72 elements, 292 bytes", "warning")
    ]


def test_a_compile_config_without_slots_is_information(tmp_path):
    path = cases.legacy(tmp_path / "m.h5", DENSE, CONFIG, training=cases.ADAM)
    assert found(path, "leftover-training-config") == [
        ("how the model was compiled is stored: optimizer Adam, loss mse", "info")
    ]


def test_a_compile_config_that_names_what_is_registered_is_a_warning(tmp_path):
    loss = {"class_name": "function", "config": "my_loss", "registered_name": "my_pkg>my_loss"}
    training = {"loss": loss, "optimizer_config": {"class_name": "Custom>Lion", "config": {}}}
    path = cases.legacy(tmp_path / "m.h5", DENSE, CONFIG, training=training)
    assert found(path, "leftover-training-config") == [
        ("how the model was compiled is stored: optimizer Lion, loss my_loss", "warning")
    ]


def test_an_empty_compile_config_is_nothing(tmp_path):
    path = cases.legacy(tmp_path / "m.h5", DENSE, CONFIG, training={})
    assert every(path) == set()


def test_moving_averages_are_told_apart_from_the_optimizer():
    path = stored.path("ckpt_v1")  # w of 8, its average of 8, Adam's two slots and two powers
    assert found(path, "leftover-average") == [
        ("moving averages of 1 variable are stored: 8 elements, 32 bytes", "warning")
    ]
    assert found(path, "leftover-optimizer") == [
        ("the optimizer's state is stored: 18 elements, 72 bytes", "warning")
    ]
    assert found(stored.path("ckpt_adam"), "leftover-average") == []


def test_averages_that_an_optimizer_of_keras_keeps_are_told(tmp_path):
    config = {"name": "Adam", "use_ema": True}
    training = {"loss": "mse", "optimizer_config": {"class_name": "Custom>Adam", "config": config}}
    optimizer = {
        "iteration:0": cases.scalar(2, "int64"),
        **{
            f"Adam/{slot}/dense/{name}:0": value
            for slot in ("average", "m", "v")
            for name, value in (("kernel", KERNEL), ("bias", BIAS))
        },
    }
    path = cases.legacy(tmp_path / "m.h5", DENSE, CONFIG, optimizer=optimizer, training=training)
    assert found(path, "leftover-average") == [
        ("moving averages of 2 variables are stored: 15 elements, 60 bytes", "warning")
    ]
    assert found(path, "leftover-optimizer") == [
        ("the optimizer's state is stored: 31 elements, 128 bytes", "error")
    ]


def test_metrics_are_information():
    assert found(stored.path("saved_no_optimizer"), "leftover-metric") == [
        ("the state of metrics is stored: 2 elements, 8 bytes", "info")
    ]
    assert found(stored.path("saved_stripped"), "leftover-metric") == []


# --- clustering and quantization ------------------------------------------------------------


def clustered(tmp_path, *, stripped=False):
    node = cases.dense("dense", 3)
    if stripped:
        return cases.legacy(tmp_path / "c.h5", DENSE, cases.sequential(node))
    weights = {
        "cluster_dense": {
            **DENSE["dense"],
            "cluster_dense/cluster_centroids_kernel:0": cases.values(8),
            "cluster_dense/pulling_indices_kernel:0": np.zeros((4, 3), "int64"),
        }
    }
    return cases.legacy(tmp_path / "c.h5", weights, cases.sequential(cases.clustered(node)))


def test_clustering_wrappers_are_found_with_what_they_hold(tmp_path):
    path = clustered(tmp_path)  # 8 centroids and 12 indices
    assert found(path, "leftover-clustering") == [
        ("1 clustering wrapper with centroids and indices (20 elements)", "error")
    ]
    assert every(clustered(tmp_path, stripped=True)) == set()


def test_a_model_for_quantization_aware_training_is_not_quantized():
    # Two Dense layers, a kernel and a bias each, and the layer that quantizes the input.
    path = stored.path("qat.h5")
    assert found(path, "leftover-qat") == [
        (
            "3 layers wrapped for quantization-aware training, and nothing is quantized:"
            " 4 weights are float32",
            "error",
        )
    ]
    assert found(path, "leftover-annotation") == []


@pytest.mark.parametrize("name", ["k3_int8.keras", "k3_int4.keras", "lite_qat.tflite"])
def test_a_quantized_model_is_no_wrapped_one(name):
    assert found(stored.path(name), "leftover-qat") == []


def test_clusters_that_quantization_keeps_are_told_with_it():
    assert found(stored.path("pcqat.h5"), "leftover-clustering") == []
    assert len(found(stored.path("pcqat.h5"), "leftover-qat")) == 1


def test_layers_that_are_only_marked_are_found():
    path = stored.path("qat_annotated.h5")
    assert found(path, "leftover-annotation") == [
        ("2 layers are only marked for quantization", "error")
    ]
    assert found(path, "leftover-qat") == []


# --- bytes ----------------------------------------------------------------------------------


def test_copies_cost_what_they_take():
    # 4 x 5 + 5, 5 x 3 + 3 floats, twice.
    assert found(stored.path("saved_export"), "leftover-copy") == [
        ("4 variables are stored again: 43 elements, 172 bytes", "info")
    ]


def test_copies_of_a_tenth_of_the_artifact_are_a_warning(tmp_path):
    kernel = cases.values(200, 50)
    wrapper = (kernel, cases.mask_of(kernel), cases.scalar(0.25), cases.scalar(6, "int64"))
    config = cases.sequential(cases.pruned(cases.dense("dense", 50, use_bias=False)))
    objects = {
        "layers/prune_low_magnitude": wrapper,
        "layers/prune_low_magnitude/layer": (kernel,),
    }
    path = cases.archive(tmp_path / "m.keras", config, objects)
    assert found(path, "leftover-copy") == [
        ("1 variable is stored again: 10,000 elements, 40,000 bytes", "warning")
    ]


def test_a_copy_that_shares_its_bytes_costs_nothing():
    assert found(stored.path("lite_signatures.tflite"), "leftover-copy") == []


def test_files_in_an_archive_that_keras_does_not_know_are_found(tmp_path):
    config = cases.keras3(CONFIG)
    objects = {"layers/dense": (KERNEL, BIAS)}
    path = cases.archive(tmp_path / "m.keras", config, objects, version=cases.KERAS3)
    assert every(path) == set()
    with zipfile.ZipFile(path, "a") as out:
        out.writestr("notes/todo.txt", b"x" * 20)
        out.writestr("assets/vocabulary.txt", b"a\nb\n")
    assert found(path, "leftover-file") == [("1 file that no loader reads: 20 bytes", "info")]
    assert evidence(path, "leftover-file") == ["notes/todo.txt"]


def test_debug_info_of_a_saved_model_is_found_and_its_fingerprint_is_not(tmp_path):
    files = {"debug/saved_model_debug_info.pb": b"\0" * 5000, "fingerprint.pb": b""}
    path = saved_models.module(tmp_path, files=files)
    assert found(path, "leftover-file") == [("1 file that no loader reads: 5,000 bytes", "warning")]
    assert found(stored.path("saved_stripped"), "leftover-file") == []


def test_values_of_a_saved_model_in_another_number_of_shards_are_found(tmp_path):
    names = {"variables/variables.data-00001-of-00002": b"\0" * 64}
    assert found(saved_models.module(tmp_path / "a", files=names), "leftover-file") == [
        ("1 file that no loader reads: 64 bytes", "info")
    ]
    assert found(saved_models.module(tmp_path / "b", shards=2), "leftover-file") == []


def test_an_archive_in_the_archive_is_one_file(tmp_path):
    inner = tmp_path / "more.zip"
    with zipfile.ZipFile(inner, "w") as out:
        out.writestr("notes.txt", b"x" * 20)
    size = inner.stat().st_size
    path = saved_models.module(tmp_path / "m", files={"more.zip": inner.read_bytes()})
    assert found(path, "leftover-file") == [(f"1 file that no loader reads: {size} bytes", "info")]


def test_values_that_the_index_of_a_checkpoint_does_not_have_are_found(tmp_path):
    files = bundles.bundle(saved_models.floats("w", [1.0, 2.0]), prefix="ckpt")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    path = str(tmp_path / "ckpt")
    assert found(path, "leftover-file") == []
    (tmp_path / "ckpt.data-00001-of-00002").write_bytes(b"\0" * 64)
    (tmp_path / "ckpt2.data-00000-of-00001").write_bytes(b"\0" * 64)  # another one's
    assert found(path, "leftover-file") == [("1 file that no loader reads: 64 bytes", "info")]
    (tmp_path / "ckpt.data-00001-of-00002").write_bytes(b"\0" * 4096)
    assert found(path, "leftover-file") == [("1 file that no loader reads: 4,096 bytes", "warning")]


def test_other_checkpoints_in_the_folder_are_information():
    assert found(stored.path("ckpt_manager"), "leftover-file") == [
        ("ckpt-3 is read; also in this folder: ckpt-2", "info")
    ]


def test_space_of_deleted_values_is_slack(tmp_path):
    path = cases.legacy(tmp_path / "m.h5", DENSE, CONFIG)
    assert every(path) == set()  # HDF5 itself leaves some
    with h5py.File(path, "a") as file:
        file["old"] = np.ones(100_000, "f4")
        file.flush()
        file["new"] = np.ones(10, "f4")  # behind it, so that the file does not shrink
        del file["old"]
    ((message, severity),) = found(path, "leftover-slack")
    size = int(message.split()[0].replace(",", ""))
    assert 400_000 <= size < 410_000
    assert severity == "warning"


def two_variables(folder, *, reads):
    """A tf.Module of w (4 x 3) and b (3) with a function y = x @ w, and + b where `reads`."""
    made = saved_models
    kind = made.dtype(made.FLOAT)
    body = [
        made.node("ReadW", "ReadVariableOp", "w_resource", dtype=kind),
        made.node("MatMul", "MatMul", "x", "ReadW:value:0", T=kind),
    ]
    if reads:
        body += [
            made.node("ReadB", "ReadVariableOp", "b_resource", dtype=kind),
            made.node("BiasAdd", "BiasAdd", "MatMul:product:0", "ReadB:value:0", T=kind),
        ]
    last = "BiasAdd:output:0" if reads else "MatMul:product:0"
    given = ["w", "b"] if reads else ["w"]
    name = "__inference_call_1"
    call = made.function(name, ["x", *(f"{one}_resource" for one in given)], body, {"y": last})
    nodes = [
        *(made.node(one, "VarHandleOp") for one in ("w", "b")),
        made.node("call_x", "Placeholder"),
        made.node("Call", "StatefulPartitionedCall", "call_x", *given, f=made.called(name)),
    ]
    held = {"w": 1, "b": 2, "f": 3}
    objects = [
        made.saved_object(made.user_object(), **held),
        made.saved_object(made.variable("w", 4, 3)),
        made.saved_object(made.variable("b", 3)),
        made.saved_object(bundles.chunk(6, bundles.chunk(1, name.encode()))),
    ]
    stored_objects = made.trackable(
        (held, None),
        *(({}, (one, f"{one}{made.VALUE}")) for one in ("w", "b")),
        ({}, None),
    )
    signature = made.signature(
        {"x": made.tensor_info("call_x:0", (-1, 4))},
        {"y": made.tensor_info("Call:0", (-1, 3))},
    )
    meta = made.meta_graph(
        made.graph(nodes, [call]),
        signatures={"serving_default": signature},
        objects=made.object_graph(objects, {name: [1, 2][: len(given)]}),
    )
    items = (
        stored_objects,
        made.floats(f"b{made.VALUE}", [1.0, 2.0, 3.0]),
        made.floats(f"w{made.VALUE}", [float(one) for one in range(12)], (4, 3)),
    )
    return made.write(folder, meta, items=items)


def test_a_variable_that_no_function_reads_is_found(tmp_path):
    assert found(two_variables(tmp_path / "all", reads=True), "leftover-unread") == []
    assert found(two_variables(tmp_path / "one", reads=False), "leftover-unread") == [
        ("1 tensor that no operator reads: 3 elements, 12 bytes", "info")
    ]


def test_nothing_is_said_of_a_model_that_was_never_called():
    assert found(stored.path("saved_untraced"), "leftover-unread") == []


@pytest.mark.parametrize(("reads", "wanted"), [(2, 1), (3, 0)])
def test_a_constant_that_no_operator_reads_is_found(tmp_path, reads, wanted):
    tensors = [
        tflite.tensor("x", (1, 4)),
        tflite.tensor("kernel", (3, 4), buffer=1),
        tflite.tensor("y", (1, 3)),
        tflite.tensor("spare", (3,), buffer=2),
    ]
    inputs = [0, 1, 3][:reads] if reads == 3 else [0, 1, -1]
    one = tflite.graph(tensors, [tflite.op("FULLY_CONNECTED", inputs, [2])], [0], [2])
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite.model(one, buffers=[np.ones((3, 4), "f4"), np.ones(3, "f4")]))
    said = [("1 tensor that no operator reads: 3 elements, 12 bytes", "info")]
    assert found(path, "leftover-unread") == said * wanted


def test_lora_that_loading_makes_is_information_and_merged_kernels_are_none(tmp_path):
    # Dense(6) on 8 inputs, rank 2: 8 * 2 + 2 * 6.
    assert found(stored.path("k3_lora.keras"), "leftover-lora") == [
        ("loading makes 2 LoRA matrices of 28 elements anew", "info")
    ]
    assert found(stored.path("k3.keras"), "leftover-lora") == []


def test_lora_matrices_that_are_stored_are_found(tmp_path):
    weights = {
        "dense": {
            **DENSE["dense"],
            "dense/lora_kernel_a:0": cases.values(4, 2),
            "dense/lora_kernel_b:0": cases.values(2, 3),
        }
    }
    path = cases.legacy(tmp_path / "w.h5", weights)
    assert found(path, "leftover-lora") == [
        ("2 LoRA matrices are not merged: 14 elements, 56 bytes", "warning")
    ]


@pytest.mark.parametrize("name", [one for one in stored.NAMES if one.startswith("stripped")])
def test_what_was_stripped_is_clean(name):
    assert every(stored.path(name)) == set()


def test_every_rule_can_be_explained():
    for rule in RULES:
        assert rule.summary.endswith(".")
        assert all((rule.explanation, rule.example, rule.fix))


def sharded(tmp_path):
    for name in ("k3_sharded.weights.json", *(f"k3_sharded_0000{n}.weights.h5" for n in range(4))):
        shutil.copy(stored.path(name), tmp_path / name)
    return tmp_path / "k3_sharded.weights.json"


def test_shards_that_their_map_does_not_name_are_found(tmp_path):
    path = sharded(tmp_path)
    assert found(path, "leftover-file") == []
    shutil.copy(tmp_path / "k3_sharded_00000.weights.h5", tmp_path / "other_00004.weights.h5")
    assert found(path, "leftover-file") == []
    (tmp_path / "k3_sharded_00004.weights.h5").write_bytes(bytes(100))
    assert found(path, "leftover-file") == [("1 file that no loader reads: 100 bytes", "info")]


def test_shards_beside_weights_that_are_in_one_file_are_found(tmp_path):
    path = tmp_path / "model"
    shutil.copytree(stored.path("k3_dir"), path)
    assert found(path, "leftover-file") == []
    (path / "model_00000.weights.h5").write_bytes(bytes(100))
    assert found(path, "leftover-file") == [("1 file that no loader reads: 100 bytes", "info")]


def test_empty_folders_are_information_and_those_that_tensorflow_makes_are_none(tmp_path):
    path = tmp_path / "model"
    shutil.copytree(stored.path("saved_frozen"), path)
    (path / "assets").mkdir(exist_ok=True)
    assert found(path, "leftover-file") == []
    (path / "variables").mkdir()
    assert found(path, "leftover-file") == [("1 folder is empty", "info")]
