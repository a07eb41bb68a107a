"""Cases from the field: what people asked of a Keras file, and the right answer.

The files are made here in the layout of the real ones; the numbers are those of the cases, with
the arithmetic beside them. MNIST-20410 is Reshape -> Conv2D(12, 3) -> MaxPooling2D -> Flatten ->
Dense(10): kernels 3*3*1*12 = 108 and 13*13*12*10 = 20,280, biases 12 and 10.
"""

import json
import os
import struct
import warnings
import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest

import inspector
from inspector.measure import mask_against_weight
from tests.builders import cases as c

KERNELS, MODEL = 108 + 20_280, 20_410


def ours(path):
    """The report; what must hold for every artifact is held here."""
    report = inspector.show([path]).artifacts[0]
    assert report.readable, report.problems
    assert sum(report.bytes.values()) == report.nbytes
    assert "unaccounted" not in report.bytes
    return report


def refused(path):
    """The one problem of an artifact that cannot be read."""
    report = inspector.show([path]).artifacts[0]
    assert not report.readable
    assert report.totals.count_params is None
    (problem,) = report.problems
    return problem


def said(report):
    assert [t.name for t in report.tensors if t.role == "unknown"] == []
    totals = report.totals
    return totals.count_params, totals.trainable, totals.non_trainable


def roles(report):
    return {role: one.elements for role, one in report.roles.items()}


def codes(report):
    return [problem.code for problem in report.problems]


def message(report, code):
    return next(p.message for p in report.problems if p.code == code)


@pytest.fixture
def wrapped(tmp_path):
    """MNIST-20410 in pruning wrappers, without the optimizer."""
    weights = c.wrapped_weights(c.mnist_weights(pruned=True), c.MNIST_MASKED)
    return c.legacy(tmp_path / "wrapped.h5", weights, c.sequential(*map(c.pruned, c.MNIST)))


# --- pruned and stripped, masks, sparsity, file size -------------------------------------------


def test_a_wrapped_model_counts_masks_thresholds_and_a_step_for_each_wrapper(wrapped):
    report = ours(wrapped)
    # Masks 20,388, two thresholds and five steps.
    assert said(report) == (MODEL + 20_395, 20_410, 20_395) == (40_805, 20_410, 20_395)
    assert report.totals.after_strip == MODEL
    assert roles(report) == {"weight": MODEL, "mask": KERNELS, "threshold": 2, "pruning_step": 5}
    steps = [t for t in report.tensors if t.role == "pruning_step"]
    assert {t.dtype for t in steps} == {"int64"}
    assert {t.about.rsplit("/", 1)[-1] for t in report.tensors if t.role == "mask"} == {"kernel:0"}


def test_stripping_leaves_the_size_of_the_model_before_pruning(tmp_path):
    reports = [
        ours(
            c.legacy(
                tmp_path / f"{zeros}.h5", c.mnist_weights(pruned=zeros), c.sequential(*c.MNIST)
            )
        )
        for zeros in (False, True)
    ]
    for report in reports:
        assert said(report) == (MODEL, MODEL, 0)
        assert report.roles["weight"].nbytes == 4 * MODEL == 81_640
    assert reports[0].nbytes == reports[1].nbytes
    assert [r.weights.zeros for r in reports] == [0, 86 + 16_224]
    assert [r.totals.nonzero for r in reports] == [MODEL, MODEL - 16_310]


def test_the_keras_file_of_a_pruned_model_stores_every_pruned_kernel_twice(tmp_path):
    weights = c.mnist_weights(pruned=True)
    legacy = c.legacy(
        tmp_path / "trained.h5",
        c.wrapped_weights(weights, c.MNIST_MASKED),
        c.sequential(*map(c.pruned, c.MNIST)),
        training=c.ADAM,
        optimizer=c.adam(
            conv2d__kernel=weights["conv2d"]["conv2d/kernel:0"],
            conv2d__bias=weights["conv2d"]["conv2d/bias:0"],
            dense__kernel=weights["dense"]["dense/kernel:0"],
            dense__bias=weights["dense"]["dense/bias:0"],
        ),
    )
    objects, slots = {}, [c.scalar(2, "int64")]
    for index, name in enumerate(weights):
        kernel, *rest = weights[name].values() or (None,)
        place = f"layers/prune_low_magnitude{f'_{index}' if index else ''}"
        step = c.scalar(6, "int64")
        if kernel is None:
            objects[f"{place}/layer"], objects[place] = [], [step]
            continue
        objects[f"{place}/layer"] = [kernel, *rest]
        objects[place] = [kernel, c.mask_of(kernel), c.scalar(0.25), step]
        slots += [np.ones_like(one) for one in (kernel, *rest) for _ in "mv"]
    objects |= {"optimizer": slots, "metrics/mean": [c.scalar(1), c.scalar(1)]}
    config = {**c.sequential(*map(c.pruned, c.MNIST)), "compile_config": c.ADAM}
    archive = c.archive(tmp_path / "trained.keras", config, objects)
    legacy, archive = ours(legacy), ours(archive)
    # Adam: two slots for each trainable variable, and the iteration.
    assert legacy.totals.stored_elements == 40_805 + 2 * MODEL + 1 == 81_626
    # The kernels again, and the two scalars of the loss metric.
    assert archive.totals.stored_elements == 81_626 + KERNELS + 2 == 102_016
    assert roles(archive)["alias"] == KERNELS
    for report in (legacy, archive):
        assert said(report) == (40_805, 20_410, 20_395)
        assert report.totals.after_strip == MODEL
        assert report.totals.nonzero == MODEL - 86 - 16_224
        training = [report.roles["optimizer_slot"], report.roles["optimizer_state"]]
        assert sum(one.elements for one in training) == 40_821
        assert sum(one.nbytes for one in training) == 4 * 40_820 + 8 == 163_288


@pytest.mark.parametrize(
    ("n", "zeros"), [(108, 54), (108, 86), (108, 97), (108, 107), (36, 29), (7, 3), (7, 6), (3, 2)]
)
def test_zeros_are_exact_integers(tmp_path, n, zeros):
    """tfmot keeps max(1, round(n * (1 - s))) weights: hardly ever the share that was asked for."""
    weights = {"dense": {"dense/kernel:0": c.values(n, 1, zeros=zeros)}}
    node = c.dense("dense", 1, use_bias=False)
    (tensor,) = ours(c.legacy(tmp_path / "n.h5", weights, c.sequential(node))).tensors
    assert tensor.measure.zeros == zeros
    assert tensor.measure.sparsity == zeros / n


def test_only_kernels_that_the_toolkit_prunes_have_masks(tmp_path):
    nodes = (
        c.conv("conv2d", 4, padding="same"),
        c.norm("bn"),
        c.layer("DepthwiseConv2D", "dw", kernel_size=[3, 3], depth_multiplier=1, use_bias=True),
        c.layer("SeparableConv2D", "sep", filters=6, kernel_size=[3, 3], depth_multiplier=1,
                use_bias=True),
        c.layer("GlobalAveragePooling2D", "gap"),
        c.dense("dense", 2),
    )  # fmt: skip
    statistics = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = {
        "conv2d": {"conv2d/kernel:0": c.values(3, 3, 3, 4), "conv2d/bias:0": c.values(4)},
        "bn": {f"bn/{name}:0": c.values(4) for name in statistics},
        "dw": {"dw/depthwise_kernel:0": c.values(3, 3, 4, 1), "dw/bias:0": c.values(4)},
        "sep": {
            "sep/depthwise_kernel:0": c.values(3, 3, 4, 1),
            "sep/pointwise_kernel:0": c.values(1, 1, 4, 6),
            "sep/bias:0": c.values(6),
        },
        "gap": {},
        "dense": {"dense/kernel:0": c.values(6, 2), "dense/bias:0": c.values(2)},
    }
    # 108+4, 8+8, 36+4, 36+24+6, 12+2
    base = ours(c.legacy(tmp_path / "base.h5", weights, c.sequential(*nodes)))
    assert said(base) == (112 + 16 + 40 + 66 + 14, 240, 8) == (248, 240, 8)
    masked = {
        "conv2d": "conv2d/kernel:0",
        "sep": "sep/pointwise_kernel:0",
        "dense": "dense/kernel:0",
    }
    wrapped = c.wrapped_weights(weights, masked)
    report = ours(c.legacy(tmp_path / "w.h5", wrapped, c.sequential(*map(c.pruned, nodes))))
    assert said(report) == (401, 240, 161)
    assert roles(report) == {
        "weight": 240,
        "statistic": 8,
        "mask": 108 + 24 + 12,
        "threshold": 3,
        "pruning_step": 6,
    }
    assert report.problems == ()


def test_two_of_four_zeros_hold_along_the_input_axis(tmp_path):
    kernel = c.values(16, 8)
    for column in range(8):  # another two of each four inputs for each output
        for four in range(4):
            kernel[4 * four + np.array([column % 4, (column + 1) % 4]), column] = 0
    weights = {"dense": {"dense/kernel:0": kernel, "dense/bias:0": c.values(8)}}
    report = ours(c.legacy(tmp_path / "2by4.h5", weights, c.sequential(c.dense("dense", 8))))
    measure = report.tensors[0].measure
    assert measure.zeros == 64
    pattern = measure.patterns["2:4 input"]
    assert (pattern.held, pattern.groups, pattern.holds) == (32, 32, True)


def test_weights_that_come_back_under_a_mask_are_counted(wrapped):
    with h5py.File(wrapped, "r+") as file:
        group = file["model_weights/prune_low_magnitude_dense"]
        kernel = group["dense/kernel:0"][...]
        removed = np.argwhere(group["prune_low_magnitude_dense/mask:0"][...] == 0)
        kernel[tuple(removed[:10].T)] = 1e-4
        group["dense/kernel:0"][...] = kernel
    with inspector.open(wrapped) as opened:
        by_name = {t.stored_name: t for t in opened.artifact.tensors}
        found, other = (
            mask_against_weight(
                by_name[f"prune_low_magnitude_{layer}/mask:0"], by_name[f"{layer}/kernel:0"]
            )
            for layer in ("dense", "conv2d")
        )
    assert (found.leaked, found.mask_zeros, found.weight_zeros) == (10, 16_224, 16_214)
    assert (other.leaked, other.mask_zeros, other.mask_is_binary) == (0, 86, True)
    explained = inspector.explain(wrapped, "dense/kernel:0")
    assert explained.mask.leaks == 10


def test_hdf5_holds_zeros_like_any_value(tmp_path):
    weights = {"dense": {"dense/kernel:0": c.values(40, 50, zeros=1300)}}
    node = c.dense("dense", 50, use_bias=False)
    (tensor,) = ours(c.legacy(tmp_path / "65.h5", weights, c.sequential(node))).tensors
    assert (tensor.storage, tensor.nbytes) == ("contiguous", 2000 * 4)
    assert tensor.measure.sparsity == 0.65


# --- counting parameters -----------------------------------------------------------------------

TWO_DENSE = {  # 4*5 + 5 + 5*3 + 3 = 43
    "layers/dense": [c.values(4, 5), c.values(5)],
    "layers/dense_1": [c.values(5, 3), c.values(3)],
}
SLOTS = [np.ones_like(one) for pair in TWO_DENSE.values() for one in pair for _ in "mv"]
ADAM = {"optimizer": [c.scalar(1, "int64"), c.scalar(1e-3), *SLOTS]}
TWO_DENSE_CONFIG = c.keras3(c.sequential(c.dense("dense", 5), c.dense("dense_1", 3)))


def test_the_optimizer_is_in_the_file_and_not_in_the_count(tmp_path):
    config = {**TWO_DENSE_CONFIG, "compile_config": c.keras3(c.ADAM3)}
    path = c.archive(tmp_path / "a.keras", config, TWO_DENSE | ADAM, {}, version=c.KERAS3)
    report = ours(path)
    assert said(report) == (43, 43, 0)
    # Two slots for each parameter, the iteration and the learning rate.
    assert report.totals.stored_elements == 43 + 2 * 43 + 2 == 131
    assert roles(report) == {"weight": 43, "optimizer_slot": 86, "optimizer_state": 2}


def test_a_weights_file_carries_the_optimizer_too(tmp_path):
    report = ours(c.store(tmp_path / "m.weights.h5", TWO_DENSE | ADAM, {}))
    assert report.totals.stored_elements == 131
    assert roles(report) == {"weight": 43, "optimizer_slot": 86, "optimizer_state": 2}
    assert said(report) == (43, None, None)
    assert any("optimizer" in line and "88" in line for line in report.answer)


def test_adam_makes_a_file_of_three_times_the_weights(tmp_path):
    kernel = c.values(300, 300)
    report = ours(
        c.legacy(
            tmp_path / "three.h5",
            {"dense": {"dense/kernel:0": kernel}},
            c.sequential(c.dense("dense", 300, use_bias=False)),
            training=c.ADAM,
            optimizer=c.adam(dense__kernel=kernel),
        )
    )
    assert report.bytes["weights"] == 4 * 90_000
    assert report.roles["optimizer_slot"].nbytes == 2 * 4 * 90_000
    assert any("720,008 bytes of optimizer state" in line for line in report.answer)


def test_batch_normalization_keeps_two_statistics_a_channel(tmp_path):
    channels = (16, 32, 64, 128, 256, 512, 1024, 1024)
    config = c.keras3(c.functional(*(c.norm(f"bn{i}") for i in range(len(channels)))))
    objects = {
        f"layers/batch_normalization{f'_{i}' if i else ''}": [c.values(n) for _ in range(4)]
        for i, n in enumerate(channels)
    }
    report = ours(c.archive(tmp_path / "bn.keras", config, objects, {}, version=c.KERAS3))
    # 2 * 3,056 channels
    assert said(report) == (12_224, 6_112, 6_112)
    assert roles(report) == {"weight": 6_112, "statistic": 6_112}
    names = {t.variable for t in report.tensors if t.role == "statistic"}
    assert names == {"moving_mean", "moving_variance"}


def shared_nodes():
    shared = c.dense("dense", 10)
    return c.layer("TimeDistributed", "time_distributed", layer=c.inner(shared)), shared


def test_a_layer_shared_through_a_wrapper_is_two_layers_once_loaded(tmp_path):
    kernel, bias = c.values(5, 10), c.values(10)
    names = ("time_distributed/dense/kernel", "time_distributed/dense/bias")
    weights = {
        layer: dict(zip(names, (kernel, bias), strict=True))
        for layer in ("time_distributed", "dense")
    }
    config = c.keras3(c.functional(*shared_nodes()))
    report = ours(c.legacy(tmp_path / "shared.h5", weights, config, version=c.KERAS3))
    # Live Keras says 60 before saving and 120 after loading.
    assert said(report) == (120, 120, 0)
    assert report.totals.stored_elements == 120
    text = message(report, "shared-layer")
    assert "time_distributed/dense" in text
    assert text.startswith("dense and ")


def test_a_shared_layer_is_stored_once_in_a_keras_file(tmp_path):
    wrapper, shared = shared_nodes()
    config = c.keras3(c.functional(wrapper, {**shared, "shared_object_id": 7}))
    objects = {"layers/time_distributed/layer": [c.values(5, 10), c.values(10)]}
    report = ours(c.archive(tmp_path / "shared.keras", config, objects, {}, version=c.KERAS3))
    assert said(report) == (60, 60, 0)
    # Only one of the two places has the mark: Keras makes two layers and fails to fill them.
    assert "fails to load" in message(report, "shared-layer")


def test_a_variable_tied_into_two_layers_is_in_the_file_twice(tmp_path):
    kernel = c.values(6, 4)
    objects = {"layers/dense": [kernel], "layers/tied": [kernel]}
    report = ours(c.store(tmp_path / "tied.weights.h5", objects, {}))
    assert report.totals.stored_elements == 48
    assert report.totals.count_params is None
    text = message(report, "equal-tensors")
    assert "count_params is 24" in text
    assert "96 bytes" in text


def test_a_siamese_base_is_counted_once(tmp_path):
    base = c.sequential(c.dense("dense", 4), name="base")
    nodes = (base, c.layer("Subtract", "subtract"))
    weights = {
        "base": {"base/dense/kernel": c.values(6, 4), "base/dense/bias": c.values(4)},
        "subtract": {},
    }
    config = c.keras3(c.functional(*nodes))
    report = ours(c.legacy(tmp_path / "siamese.h5", weights, config, version=c.KERAS3))
    assert said(report) == (28, 28, 0)
    assert codes(report) == []


def test_layers_in_a_list_are_counted_as_the_file_holds_them(tmp_path):
    objects = {
        "first": [np.ones((512, 512), "f4"), np.ones(512, "f4")],
        "rest/dense": [np.ones((512, 1024), "f4"), np.ones(1024, "f4")],
        "rest/dense_1": [np.ones((1024, 1024), "f4"), np.ones(1024, "f4")],
    }
    report = ours(c.store(tmp_path / "listed.weights.h5", objects, {}))
    assert report.totals.stored_elements == 262_656 + 525_312 + 1_049_600 == 1_837_568
    assert report.totals.count_params == 1_837_568
    assert roles(report) == {"weight": 1_837_568}


def test_a_config_with_fewer_layers_than_the_weights_is_told(tmp_path):
    names = ("first", "list_0", "list_1")
    weights = {
        name: {f"{name}/kernel:0": c.values(4, 4), f"{name}/bias:0": c.values(4)} for name in names
    }
    path = c.legacy(tmp_path / "more.h5", weights, c.sequential(c.dense("first", 4)))
    report = ours(path)
    assert report.totals.stored_elements == 3 * 20
    assert report.totals.count_params is None
    assert "list_0, list_1" in message(report, "layer-not-in-config")


def test_seeds_of_dropout_are_no_parameters(tmp_path):
    nodes = (c.dense("dense", 2), c.layer("Dropout", "dropout", rate=0.5))
    config = c.keras3(c.sequential(*nodes))
    objects = {"layers/dense": [c.values(3, 2), c.values(2)], "layers/dropout": []}
    seeds = {"layers/dropout/seed_generator": [np.array([1, 2], "uint32")]}
    plain = ours(c.archive(tmp_path / "a.keras", config, objects, {}, version=c.KERAS3))
    seeded = ours(c.archive(tmp_path / "b.keras", config, objects | seeds, {}, version=c.KERAS3))
    assert said(plain) == said(seeded) == (8, 8, 0)
    assert roles(seeded) == {"weight": 8, "counter": 2}


def test_freezing_moves_parameters_and_keeps_the_total(tmp_path):
    weights = {
        "a": {"a/kernel:0": c.values(6, 5), "a/bias:0": c.values(5)},
        "b": {"b/kernel:0": c.values(5, 3), "b/bias:0": c.values(3)},
    }
    found = [
        said(ours(c.legacy(tmp_path / f"{trainable}.h5", weights, c.sequential(
            c.dense("a", 5, trainable=trainable), c.dense("b", 3)))))
        for trainable in (True, False)
    ]  # fmt: skip
    assert found == [(53, 53, 0), (53, 18, 35)]


def test_lora_is_made_anew_on_loading_and_not_stored(tmp_path):
    node = c.dense("dense", 6, lora_rank=2, lora_alpha=2)
    objects = {"layers/dense": [c.values(8, 6), c.values(6)]}
    config = c.keras3(c.sequential(node))
    report = ours(c.archive(tmp_path / "lora.keras", config, objects, {}, version=c.KERAS3))
    # Stored: 48 + 6. Made on loading: lora_kernel_a 8*2 and lora_kernel_b 2*6; the kernel freezes.
    assert report.totals.stored_elements == 54
    assert said(report) == (82, 34, 48)
    assert "28 parameters" in message(report, "made-on-load")


# --- layout and integrity ----------------------------------------------------------------------


def test_lists_of_names_past_64_kib_are_read_whole(tmp_path):
    names = [f"{'layer_with_a_long_name_' * 5}{index:05d}" for index in range(700)]
    nodes = [c.layer("InputLayer", "input_1"), *(c.dense(n, 1, use_bias=False) for n in names)]
    weights = {"input_1": {}, **{n: {f"{n}/kernel:0": np.ones((1, 1), "f4")} for n in names}}
    path = c.legacy(tmp_path / "long.h5", weights, c.functional(*nodes), chunk=351)
    with h5py.File(path) as file:
        assert set(file["model_weights"].attrs) >= {"layer_names0", "layer_names1"}
        assert "layer_names" not in file["model_weights"].attrs
    report = ours(path)
    assert said(report) == (700, 700, 0)
    assert len(report.layers) == 701


def test_numbered_lists_are_joined_by_number_and_not_by_name(tmp_path):
    names = [f"d{index:02d}" for index in range(12)]
    weights = {n: {f"{n}/kernel:0": c.values(2, 2)} for n in names}
    path = c.legacy(tmp_path / "twelve.h5", weights, chunk=1)
    assert [t.layer for t in ours(path).tensors] == names


def test_layers_without_weights_have_rows_too(tmp_path):
    nodes = [
        c.layer("InputLayer", "input_1"),
        c.conv("conv2d", 4),
        c.layer("Activation", "relu"),
        c.conv("conv2d_1", 4),
        c.layer("MaxPooling2D", "pool"),
        c.layer("Dropout", "dropout"),
        c.layer("Flatten", "flatten"),
        c.dense("dense", 8),
        c.dense("dense_1", 2),
    ]
    weights = {node["config"]["name"]: {} for node in nodes}
    shapes = {"conv2d": (3, 3, 1, 4), "conv2d_1": (3, 3, 4, 4), "dense": (64, 8), "dense_1": (8, 2)}
    for name, shape in shapes.items():
        weights[name] = {
            f"{name}/kernel:0": c.values(*shape),
            f"{name}/bias:0": c.values(shape[-1]),
        }
    report = ours(c.legacy(tmp_path / "cnn.h5", weights, c.functional(*nodes)))
    assert len(report.layers) == 9
    assert sum(bool(row.count_params) for row in report.layers) == 4


def test_a_truncated_file_says_how_much_is_missing(tmp_path):
    path = c.legacy(tmp_path / "cut.h5", c.mnist_weights(), c.sequential(*c.MNIST))
    with open(path, "r+b") as file:
        file.seek(40)  # the end-of-file address in a superblock of version 0
        file.write(struct.pack("<Q", 102_853_048))
        file.truncate(98_304)
    assert os.path.getsize(path) == 98_304
    problem = refused(path)
    assert problem.code == "truncated"
    assert "98,304 bytes" in problem.message
    assert "102,853,048; 102,754,744 missing (99.90 %)" in problem.message


@pytest.mark.parametrize("keep", [100, 1_000, 50_000])
def test_a_file_cut_anywhere_is_refused(tmp_path, keep):
    path = c.legacy(tmp_path / "cut.h5", c.mnist_weights(), c.sequential(*c.MNIST))
    size = os.path.getsize(path)
    os.truncate(path, keep)
    problem = refused(path)
    assert problem.code == "truncated"
    assert f"{size - keep:,} missing" in problem.message


def test_a_git_lfs_pointer_names_the_real_object(tmp_path):
    text = (
        b"version https://git-lfs.github.com/spec/v1\n"
        b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
        b"size 102853048\n"
    )
    assert len(text) == 134
    path = tmp_path / "model.h5"
    path.write_bytes(text)
    problem = refused(path)
    assert "Git LFS pointer" in problem.message
    assert "102,853,048 bytes" in problem.message
    assert "sha256 4d7a214614ab" in problem.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty file"]),
        (b"<!DOCTYPE html><title>404</title>", ["HTML page", "404"]),
        (b"\x93NUMPY" + bytes(64), ["NumPy array"]),
        (b"PK\x05\x06" + bytes(18), ["zip without a Keras config.json"]),
    ],
)
def test_another_thing_under_a_model_name_is_named_by_its_content(tmp_path, content, words):
    path = tmp_path / "w.hdf5"
    path.write_bytes(content)
    problem = refused(path)
    for word in words:
        assert word in problem.message


def test_a_keras_zip_named_h5_is_read_as_what_it_is(tmp_path):
    path = c.archive(tmp_path / "model.h5", TWO_DENSE_CONFIG, TWO_DENSE, {}, version=c.KERAS3)
    report = ours(path)
    assert (report.format, report.totals.count_params) == ("keras-zip", 43)


NESTED = {
    "dense_5/kernel:0": (4, 3),
    "dense_5/bias:0": (3,),
    "bn/gamma:0": (3,),
    "bn/beta:0": (3,),
    "bn/moving_mean:0": (3,),
    "bn/moving_variance:0": (3,),
}


def test_variables_of_a_nested_model_belong_to_its_layers(tmp_path):
    inner = c.sequential(c.dense("dense_5", 3), c.norm("bn"), name="inner")
    config = c.functional(c.layer("InputLayer", "input_1"), inner, c.dense("outer", 2))
    weights = {
        "input_1": {},
        "inner": {name: c.values(*shape) for name, shape in NESTED.items()},
        "outer": {"outer/kernel:0": c.values(3, 2), "outer/bias:0": c.values(2)},
    }
    report = ours(c.legacy(tmp_path / "nested.h5", weights, config))
    # dense_5: 4*3 + 3; gamma, beta: 6; outer: 3*2 + 2. Statistics: 6.
    assert said(report) == (35, 29, 6)
    counts = {row.name: row.count_params for row in report.layers if row.count_params}
    assert counts == {"inner/dense_5": 15, "inner/bn": 12, "outer": 8}


def test_a_layer_whose_name_begins_anothers_does_not_take_its_variables(tmp_path):
    statistics = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = {
        "conv1": {"conv1/kernel:0": c.values(1, 1, 3, 1), "conv1/bias:0": c.values(1)},
        "conv1/bn": {f"conv1/bn/{name}:0": c.values(1) for name in statistics},
        "conv1/relu": {},
    }
    nodes = (c.conv("conv1", 1, 1), c.norm("conv1/bn"), c.layer("Activation", "conv1/relu"))
    for config in (None, c.sequential(*nodes)):
        report = ours(c.legacy(tmp_path / "prefix.h5", weights, config))
        assert report.totals.count_params == 8
        counts = sorted(row.count_params for row in report.layers if row.count_params)
        assert counts == [4, 4]  # a walk below the group conv1 would give 12
        assert roles(report) == {"weight": 6, "statistic": 2}


@pytest.mark.parametrize(
    ("dtype", "size"),
    [(ml_dtypes.bfloat16, 2), (np.float16, 2), (np.float32, 4)],
    ids=["bfloat16", "float16", "mixed_float16 stores float32"],
)
def test_half_precision_weights_are_read_as_what_they_are(tmp_path, dtype, size):
    kernel = np.array([[1.5, -2, 0], [4, 0.5, 3], [1, 1, 1], [2, 2, 2]], dtype)
    objects = {"layers/dense": [kernel, np.zeros(3, dtype)]}
    report = ours(c.store(tmp_path / "half.weights.h5", objects, {}))
    assert report.totals.count_params == report.totals.stored_elements == 15
    assert {t.dtype for t in report.tensors} == {np.dtype(dtype).name}
    assert report.roles["weight"].nbytes == 15 * size
    first = report.tensors[0].measure
    assert (first.min, first.max, first.zeros) == (-2, 4, 1)
    assert report.totals.nonzero == 11


def test_two_opaque_bytes_are_not_claimed_to_be_bfloat16(tmp_path):
    kernel = np.ones((4, 3), ml_dtypes.bfloat16).view("V2")
    path = c.store(tmp_path / "opaque.weights.h5", {"layers/dense": [kernel]}, {})
    (tensor,) = ours(path).tensors
    assert (tensor.dtype, tensor.elements, tensor.nbytes) == ("V2", 12, 24)
    assert tensor.measure is None


@pytest.fixture
def shards(tmp_path):
    """Dense(300) six times and Dense(10) on 100 inputs, in three shards as Keras cuts them."""
    sizes = [(100, 300), *[(300, 300)] * 5, (300, 10)]
    place = {0: (0, 1, 2), 1: (3, 4), 2: (5, 6)}
    weight_map = {}
    for shard, layers in place.items():
        name = f"b2_{shard:05d}.weights.h5"
        objects = {}
        for index in layers:
            path = f"layers/dense{f'_{index}' if index else ''}"
            weight_map[f"/{path}/vars"] = [name]
            objects[path] = [c.values(*sizes[index]), c.values(sizes[index][1])]
        c.store(tmp_path / name, objects, {})
    path = tmp_path / "b2.weights.json"
    content = {"metadata": {"total_size": 1_939_240.0}, "weight_map": weight_map}
    path.write_text(json.dumps(content))
    return path


def test_shards_add_up_to_the_model(shards):
    report = ours(shards)
    # 100*300 + 300, five times 300*300 + 300, 300*10 + 10
    assert said(report) == (30_300 + 5 * 90_300 + 3_010, None, None) == (484_810, None, None)
    assert report.roles["weight"].nbytes == 1_939_240
    assert codes(report) == []
    assert len(report.files) == 4


def test_a_missing_shard_is_named_with_the_layers_that_it_held(shards):
    os.remove(shards.parent / "b2_00001.weights.h5")
    report = ours(shards)
    text = message(report, "shard-unreadable")
    for word in ("b2_00001.weights.h5", "layers/dense_3", "layers/dense_4"):
        assert word in text
    assert report.totals.count_params is None
    assert "missing" in report.totals_reasons["count_params"]


def test_one_shard_by_itself_is_said_to_be_a_part(shards):
    report = ours(shards.parent / "b2_00001.weights.h5")
    assert "b2.weights.json" in message(report, "partial-shard")
    assert report.totals.count_params is None
    assert report.totals.stored_elements == 2 * 90_300


def test_a_weights_file_has_counts_and_roles_and_no_trainability(tmp_path):
    report = ours(c.legacy(tmp_path / "weights.h5", c.mnist_weights()))
    assert said(report) == (MODEL, None, None)
    assert roles(report) == {"weight": MODEL}
    assert "no model config" in report.totals_reasons["trainable"]


def test_a_vocabulary_is_counted_in_words_and_never_as_parameters(tmp_path):
    nodes = (
        c.layer("TextVectorization", "text", max_tokens=10, vocabulary=None, vocabulary_size=5),
        c.layer("Embedding", "embedding", input_dim=10, output_dim=2),
        c.layer("StringLookup", "lookup", vocabulary=["x", "y", "z"], max_tokens=None),
    )
    objects = {
        "layers/text_vectorization": [],
        "layers/text_vectorization/_lookup_layer": [],
        "layers/embedding": [c.values(10, 2)],
        "layers/string_lookup": [],
    }
    words = b"\n[UNK]\nape\nbee\ncat"
    folder = "assets/layers/text_vectorization"
    assets = {f"{folder}/_lookup_layer/vocabulary.txt": words, f"{folder}/vocabulary.txt": words}
    config = c.keras3(c.functional(*nodes))
    path = c.archive(tmp_path / "w.keras", config, objects, {}, version=c.KERAS3, assets=assets)
    report = ours(path)
    assert said(report) == (20, 20, 0)
    assert report.totals.stored_elements == 20
    assert report.bytes["assets"] == 2 * len(words)
    assert any("vocabular" in line for line in report.answer)


# --- clustering and quantization-aware training ------------------------------------------------


def clustered_weights():
    found = {}
    for name, variables in c.mnist_weights().items():
        wrapper = f"cluster_{name}"
        found[wrapper] = {}
        if variables:
            kernel = next(one for stored, one in variables.items() if "kernel" in stored)
            found[wrapper] = {
                f"{name}/bias:0": variables[f"{name}/bias:0"],
                f"{name}/kernel:0": kernel,
                f"{wrapper}/cluster_centroids_kernel:0": c.values(8),
                f"{wrapper}/pulling_indices_kernel:0": np.zeros(kernel.shape, "int64"),
            }
    return found


def test_clustering_adds_centroids_and_an_int64_index_for_each_weight(tmp_path):
    config = c.sequential(*map(c.clustered, c.MNIST))
    report = ours(c.legacy(tmp_path / "clustered.h5", clustered_weights(), config))
    assert said(report) == (40_814, MODEL + 2 * 8, KERNELS) == (40_814, 20_426, 20_388)
    assert roles(report) == {"weight": MODEL, "centroids": 16, "cluster_indices": KERNELS}
    assert report.roles["cluster_indices"].nbytes == 8 * KERNELS == 163_104
    assert report.totals.after_strip == MODEL


@pytest.mark.parametrize(("center", "zeros"), [(0.0, 100), (1e-3, 0)])
def test_zeros_survive_clustering_only_where_a_centroid_is_zero(tmp_path, center, zeros):
    centroids = np.array([center, -3, -2, -1, 1, 2, 3, 4], "float32")
    index = np.concatenate([np.zeros(100, int), np.arange(100) % 7 + 1])
    weights = {"dense": {"dense/kernel:0": centroids[index].reshape(10, 20)}}
    config = c.sequential(c.dense("dense", 20, use_bias=False))
    (tensor,) = ours(c.legacy(tmp_path / "zero.h5", weights, config)).tensors
    assert (tensor.measure.zeros, tensor.measure.distinct) == (zeros, 8)


def quantized_weights():
    step = c.scalar(-1, "int32")
    found = {
        "quantize_layer": {
            "quantize_layer/quantize_layer_min:0": c.scalar(-6),
            "quantize_layer/quantize_layer_max:0": c.scalar(6),
            "quantize_layer/optimizer_step:0": step,
        }
    }
    for name, variables in c.mnist_weights().items():
        wrapper = f"quant_{name}"
        own = {f"{wrapper}/optimizer_step:0": step}
        if variables:
            size = (12,) if name == "conv2d" else ()
            for end in ("kernel_min", "kernel_max"):
                own[f"{wrapper}/{end}:0"] = np.full(size, 0.5, "float32")
            for end in ("post_activation_min", "post_activation_max"):
                own[f"{wrapper}/{end}:0"] = c.scalar(1)
        found[wrapper] = {**variables, **own}
    return found


def test_a_quantization_aware_model_is_float32_with_ranges_beside_it(tmp_path):
    reshape, conv, pool, flatten, dense = c.MNIST
    config = c.sequential(
        c.quantize_layer(),
        c.quantized(reshape),
        c.quantized(conv, ["kernel"], "Conv"),
        c.quantized(pool),
        c.quantized(flatten),
        c.quantized(dense, ["kernel"]),
    )
    report = ours(c.legacy(tmp_path / "qat.h5", quantized_weights(), config))
    # Ranges: 12+12 of the convolution's channels, 1+1, twice 1+1 after activations, 1+1 of the
    # input: 32. Steps: the input and five layers.
    assert said(report) == (20_448, MODEL, 38)
    assert roles(report) == {"weight": MODEL, "quant_param": 32, "quant_step": 6}
    steps = [t for t in report.tensors if t.role == "quant_step"]
    assert {t.dtype for t in steps} == {"int32"}
    assert all("not an optimizer's" in t.evidence for t in steps)
    assert any("Not quantized yet" in line for line in report.answer)


# --- hostile files -----------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_a_link_out_of_the_file_is_told_and_never_followed(tmp_path, there):
    target = tmp_path / "secret.h5"
    if there:
        with h5py.File(target, "w") as file:
            file["kernel"] = c.values(3, 3)
    path = c.legacy(tmp_path / "ext.h5", {"ext": {"kernel:0": None}, "ok": {"b:0": c.values(2)}})
    with h5py.File(path, "r+") as file:
        file["ext"]["kernel:0"] = h5py.ExternalLink(str(target), "/kernel")
    report = ours(path)
    text = message(report, "external-link")
    assert str(target) in text
    assert "/kernel" in text
    assert report.totals.count_params is None
    assert [t.shape for t in report.tensors] == [(2,)]


def test_values_kept_in_another_file_are_told_and_never_read(tmp_path):
    outside = tmp_path / "outside.bin"
    outside.write_bytes(b"\x11" * 64)
    path = c.legacy(tmp_path / "raw.h5", {"dense": {"kernel:0": None}})
    with h5py.File(path, "r+") as file:
        file["dense"].create_dataset("kernel:0", (4, 4), "f4", external=[(str(outside), 0, 64)])
    report = ours(path)
    assert str(outside) in message(report, "external-storage")
    assert [t.measure for t in report.tensors] == [None]
    assert report.totals.count_params is None


def test_a_virtual_dataset_is_told_and_never_read(tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["kernel"] = c.values(4, 4)
    layout = h5py.VirtualLayout((4, 4), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "source.h5"), "kernel", (4, 4))
    path = c.legacy(tmp_path / "vds.h5", {"dense": {"kernel:0": None}})
    with h5py.File(path, "r+", libver="latest") as file:
        file["dense"].create_virtual_dataset("kernel:0", layout)
    report = ours(path)
    assert "source.h5" in message(report, "virtual-dataset")
    assert [t.measure for t in report.tensors] == [None]


def test_a_link_in_the_middle_of_a_listed_path_is_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["there/kernel"] = c.values(3, 3)
    path = c.legacy(tmp_path / "middle.h5", {"dense": {"ext/kernel": None}})
    with h5py.File(path, "r+") as file:
        file["dense"]["ext"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/there")
    report = ours(path)
    assert "external-link" in codes(report)
    assert report.tensors == ()
    assert report.totals.count_params is None


def test_a_shape_that_declares_terabytes_is_listed_and_not_read(tmp_path):
    path = c.legacy(tmp_path / "bomb.h5", {"dense": {"kernel:0": None}})
    with h5py.File(path, "r+") as file:
        side = 1 << 20
        file["dense"].create_dataset(
            "kernel:0", (side, side), "f4", chunks=(1024, 1024), compression="gzip"
        )
    assert os.path.getsize(path) < 20_000
    report = ours(path)
    text = message(report, "declares-more-than-it-stores")
    assert "4,398,046,511,104" in text
    assert report.tensors[0].elements == 1 << 40
    assert report.tensors[0].nbytes == 0


@pytest.fixture
def plain(tmp_path):
    return c.archive(tmp_path / "plain.keras", TWO_DENSE_CONFIG, TWO_DENSE, {}, version=c.KERAS3)


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil.txt"])
def test_a_member_that_leads_out_of_the_archive_is_told(tmp_path, plain, name):
    with zipfile.ZipFile(plain, "a") as archive:
        archive.writestr(name, b"evil")
    before = sorted(os.listdir(tmp_path.parent))
    report = ours(plain)
    assert name.rsplit("/", 1)[-1] in message(report, "zip-unsafe-name")
    assert said(report) == (43, 43, 0)
    assert sorted(os.listdir(tmp_path.parent)) == before


def test_of_two_members_with_one_name_the_last_is_read_and_both_are_told(plain):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(plain, "a") as archive:
            other = c.keras3(c.sequential(c.dense("a", 5), c.dense("b", 3)))
            archive.writestr("config.json", json.dumps(other))
    report = ours(plain)
    assert "config.json" in message(report, "zip-duplicate-name")
    assert {t.layer for t in report.tensors} == {"a", "b"}


def test_deflated_weights_are_read_like_stored_ones(tmp_path, plain):
    path = c.archive(
        tmp_path / "deflated.keras",
        TWO_DENSE_CONFIG,
        TWO_DENSE,
        {},
        version=c.KERAS3,
        method=zipfile.ZIP_DEFLATED,
    )
    stored, deflated = ours(plain), ours(path)
    assert stored.totals == deflated.totals
    assert [t.measure for t in stored.tensors] == [t.measure for t in deflated.tensors]


def test_an_encrypted_member_is_told_and_not_read(plain):
    with open(plain, "r+b") as file:
        content = bytearray(file.read())
        name = b"model.weights.h5"
        local = content.index(b"PK\x03\x04", content.index(b"config.json") + 1)
        central = content.rindex(name) - 46
        assert content[local + 30 : local + 30 + len(name)] == name
        assert content[central : central + 4] == b"PK\x01\x02"
        content[local + 6] |= 1
        content[central + 8] |= 1
        file.seek(0)
        file.write(content)
    report = ours(plain)
    assert "encrypted" in message(report, "zip-encrypted")
    assert report.tensors == ()
    assert report.totals.count_params is None
