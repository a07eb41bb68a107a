"""Cases from the field: the artifact made for real, and both live Keras and the report asked.

Numbers are those that people were given when they asked; where arithmetic gives them it stands
beside them. MNIST-20410 is Reshape -> Conv2D(12, 3) -> MaxPooling2D -> Flatten -> Dense(10):
kernels 3*3*1*12 = 108 and 13*13*12*10 = 20,280, biases 12 and 10.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")
tfmot = pytest.importorskip("tensorflow_model_optimization")

import inspector  # noqa: E402

pytestmark = pytest.mark.live

prune = tfmot.sparsity.keras.prune_low_magnitude
strip_pruning = tfmot.sparsity.keras.strip_pruning
Constant = tfmot.sparsity.keras.ConstantSparsity
KERNELS, MODEL = 108 + 20_280, 20_410
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where this module's artifacts are written; kept where CASES_DIR names a folder."""
    kept = os.environ.get("CASES_DIR")
    if kept:
        os.makedirs(kept, exist_ok=True)
        return kept
    return str(tmp_path_factory.mktemp("cases"))


@pytest.fixture(autouse=True)
def _fresh_names():
    keras.backend.clear_session()
    tf_keras.backend.clear_session()


def ours(path):
    """Our report of one artifact; what must hold for every artifact is held here."""
    report = inspector.show([path]).artifacts[0]
    assert report.readable, report.problems
    assert sum(report.bytes.values()) == report.nbytes
    assert "unaccounted" not in report.bytes
    assert [t.name for t in report.tensors if t.role == "unknown"] == []
    return report


def command_line(path, *options):
    """What the command prints as JSON, and its exit code."""
    ran = subprocess.run(
        [sys.executable, "-m", "inspector", path, "--format", "json", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
        check=False,
    )
    return (json.loads(ran.stdout) if ran.stdout else ran.stderr), ran.returncode


def load(path):
    """Live Keras' model of a tf_keras file."""
    with (
        tfmot.sparsity.keras.prune_scope(),
        tfmot.clustering.keras.cluster_scope(),
        tfmot.quantization.keras.quantize_scope(),
    ):
        return tf_keras.models.load_model(path, compile=False)


def load3(path, **options):
    return keras.models.load_model(path, compile=False, **options)


def live(model):
    """(count_params, trainable, non_trainable) as Keras says, each variable once."""

    def elements(variables):
        return sum(int(np.prod(v.shape)) for v in {id(v): v for v in variables}.values())

    trainable = elements(model.trainable_weights)
    assert trainable + elements(model.non_trainable_weights) == model.count_params()
    return model.count_params(), trainable, model.count_params() - trainable


def said(report):
    totals = report.totals
    return totals.count_params, totals.trainable, totals.non_trainable


def roles(report):
    return {role: one.elements for role, one in report.roles.items()}


def codes(report):
    return [problem.code for problem in report.problems]


def zeros(report):
    """Zeros of each weight, by shape."""
    return {t.shape: t.measure.zeros for t in report.tensors if t.role == "weight"}


def mnist():
    return tf_keras.Sequential(
        [
            tf_keras.layers.Reshape((28, 28, 1), input_shape=(28, 28)),
            tf_keras.layers.Conv2D(12, 3, activation="relu"),
            tf_keras.layers.MaxPooling2D(),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(10),
        ]
    )


def fit(model, *shape, steps=2, outputs=None):
    """Some steps of Adam; the end of the epoch puts zeros where the masks have them."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(4 * steps, *shape)).astype("float32")
    y = rng.normal(size=(4 * steps, *(outputs or model.output_shape[1:]))).astype("float32")
    model.compile("adam", "mse")
    pruned = any(type(one).__name__ == "PruneLowMagnitude" for one in model.layers)
    callbacks = [tfmot.sparsity.keras.UpdatePruningStep()] if pruned else []
    model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=callbacks)
    return model


def save(model, folder, name, **options):
    path = os.path.join(folder, name)
    model.save(path, **options)
    return path


@pytest.fixture(scope="module")
def wrapped(folder):
    """The files of a pruned MNIST-20410, with and without optimizer, and stripped."""
    tf_keras.backend.clear_session()
    base = mnist()
    files = {"base": save(base, folder, "mnist.h5", include_optimizer=False)}
    model = fit(prune(base, pruning_schedule=Constant(0.8, 0, frequency=1)), 28, 28)
    files["plain"] = save(model, folder, "mnist_pruned_plain.h5", include_optimizer=False)
    files["h5"] = save(model, folder, "mnist_pruned.h5")
    files["keras"] = save(model, folder, "mnist_pruned.keras")
    stripped = strip_pruning(model)
    files["stripped"] = save(stripped, folder, "mnist_stripped.h5", include_optimizer=False)
    return files


# --- A. pruned and stripped, masks, sparsity, file size ----------------------------------------


def test_a_wrapped_model_counts_masks_thresholds_and_a_step_for_each_wrapper(wrapped):
    report = ours(wrapped["plain"])
    assert live(load(wrapped["plain"])) == said(report) == (40_805, 20_410, 20_395)
    assert report.totals.after_strip == MODEL
    wanted = {"weight": MODEL, "mask": KERNELS, "threshold": 2, "pruning_step": 5}
    assert roles(report) == wanted
    dtypes = {t.role: t.dtype for t in report.tensors if t.role != "weight"}
    assert dtypes == {"mask": "float32", "threshold": "float32", "pruning_step": "int64"}
    masked = {t.about.rsplit("/", 1)[-1] for t in report.tensors if t.role == "mask"}
    assert masked == {"kernel:0"}


def test_stripping_leaves_the_size_of_the_model_before_pruning(wrapped):
    base, stripped = ours(wrapped["base"]), ours(wrapped["stripped"])
    for report in (base, stripped):
        assert said(report) == (MODEL, MODEL, 0)
        assert report.roles["weight"].nbytes == 4 * MODEL == 81_640
    assert base.nbytes == stripped.nbytes
    assert live(load(wrapped["stripped"])) == said(stripped)
    # Kept: round(108 * 0.2) = 22, round(20,280 * 0.2) = 4,056.
    assert zeros(stripped)[3, 3, 1, 12] == 108 - 22 == 86
    assert zeros(stripped)[2028, 10] == 20_280 - 4_056 == 16_224
    assert stripped.totals.nonzero == sum(
        np.count_nonzero(w) for w in load(wrapped["stripped"]).get_weights()
    )


def test_the_keras_file_of_a_pruned_model_stores_every_pruned_kernel_twice(wrapped):
    legacy, archive = ours(wrapped["h5"]), ours(wrapped["keras"])
    # Adam: two slots for each trainable variable, and the iteration.
    assert legacy.totals.stored_elements == 40_805 + 2 * MODEL + 1 == 81_626
    # The kernels again, and the two scalars of the loss metric.
    assert archive.totals.stored_elements == 81_626 + KERNELS + 2 == 102_016
    assert roles(archive)["alias"] == KERNELS
    assert said(legacy) == said(archive) == live(load(wrapped["keras"])) == (40_805, 20_410, 20_395)
    copies = [t for t in archive.tensors if t.role == "alias"]
    assert len(copies) == 2
    assert all("byte-identical" in t.evidence for t in copies)
    assert legacy.totals.after_strip == archive.totals.after_strip == MODEL


def test_the_command_line_says_of_the_wrapped_model_what_live_keras_says(wrapped):
    said_, code = command_line(wrapped["h5"])
    assert code == 0
    artifact = said_["artifacts"][0]
    assert artifact["totals"]["count_params"] == 40_805
    assert artifact["totals"]["after_strip"] == MODEL
    assert artifact["roles"]["optimizer_slot"]["elements"] == 40_820
    assert artifact["roles"]["optimizer_state"] == {"tensors": 1, "elements": 1, "nbytes": 8}


def test_state_that_inference_does_not_need_is_counted_by_role(wrapped):
    report = ours(wrapped["h5"])
    training = [report.roles["optimizer_slot"], report.roles["optimizer_state"]]
    assert sum(one.elements for one in training) == 40_821
    assert sum(one.nbytes for one in training) == 4 * 40_820 + 8 == 163_288
    wrappers = [row for row in report.layers if row.class_name == "PruneLowMagnitude"]
    assert len(wrappers) == 5
    assert sum("mask" in row.roles for row in wrappers) == 2
    assert sum(row.roles == {"pruning_step": 1} for row in wrappers) == 3


# n weights, sparsity -> zeros: n - max(1, round(n * (1 - s))), half to even.
EXACT = {
    108: {0.5: 54, 0.8: 86, 0.9: 97, 0.99: 107},
    100: {0.5: 50, 0.8: 80, 0.9: 90, 0.99: 99},
    36: {0.8: 29, 0.9: 32, 0.99: 35},
    7: {0.5: 3, 0.8: 6, 0.9: 6, 0.99: 6},
    3: {0.5: 1, 0.8: 2, 0.9: 2, 0.99: 2},
}


def test_zeros_are_the_exact_numbers_that_the_toolkit_rounds_to(folder):
    layers, inputs, outputs = tf_keras.layers, [], []
    names = {}
    for n, by_target in EXACT.items():
        for target, wanted in by_target.items():
            name = f"n{n}_{round(100 * target)}"
            names[name] = n, wanted
            inputs.append(layers.Input((n,)))
            dense = layers.Dense(1, use_bias=False, name=name)
            wrapper = prune(dense, pruning_schedule=Constant(target, 0, frequency=1))
            outputs.append(wrapper(inputs[-1]))
    model = tf_keras.Model(inputs, layers.Concatenate()(outputs))
    rng = np.random.default_rng(3)
    for weight in model.trainable_weights:  # distinct magnitudes
        weight.assign(rng.permutation(np.arange(1, weight.shape[0] + 1))[:, None] / 100.0)
    x = [np.zeros((2, *one.shape[1:]), "float32") for one in inputs]
    model.compile("sgd", "mse")
    callbacks = [tfmot.sparsity.keras.UpdatePruningStep()]
    model.fit(x, np.zeros((2, len(names))), verbose=0, callbacks=callbacks)
    report = ours(save(strip_pruning(model), folder, "exact.h5", include_optimizer=False))
    found = {t.layer: (t.elements, t.measure.zeros) for t in report.tensors}
    assert found == names
    share = next(t for t in report.tensors if t.layer == "n108_80").measure.sparsity
    assert share == 86 / 108  # 79.63 %, not the 80 % asked for


def test_only_kernels_that_the_toolkit_prunes_have_masks(folder):
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.SeparableConv2D(6, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    base = ours(save(model, folder, "convnet.h5"))
    assert said(base) == live(model) == (248, 240, 8)
    path = save(prune(model, pruning_schedule=Constant(0.5, 0)), folder, "convnet_pruned.h5")
    report = ours(path)
    assert said(report) == live(load(path)) == (401, 240, 161)
    # Masks: conv kernel 3*3*3*4, pointwise kernel 4*6, dense kernel 6*2. BN's statistics: 2 * 4.
    assert roles(report) == {
        "weight": 240,
        "statistic": 8,
        "mask": 108 + 24 + 12,
        "threshold": 3,
        "pruning_step": 6,
    }
    masked = {t.about.split("/")[-1] for t in report.tensors if t.role == "mask"}
    assert masked == {"kernel:0", "pointwise_kernel:0"}
    unmasked = {row.wraps for row in report.layers if row.wraps and "mask" not in row.roles}
    assert unmasked == {"BatchNormalization", "DepthwiseConv2D", "GlobalAveragePooling2D"}
    assert report.problems == ()


def test_two_of_four_zeros_hold_along_the_input_axis(folder):
    model = tf_keras.Sequential([tf_keras.layers.Dense(8, input_shape=(16,))])
    schedule = Constant(0.5, 0, frequency=1)
    model = fit(prune(model, pruning_schedule=schedule, sparsity_m_by_n=(2, 4)), 16)
    path = save(strip_pruning(model), folder, "two_of_four.h5", include_optimizer=False)
    kernel = next(t for t in ours(path).tensors if t.variable == "kernel")
    assert kernel.measure.zeros == 64
    pattern = kernel.measure.patterns["2:4 input"]
    assert (pattern.held, pattern.groups, pattern.holds) == (32, 32, True)
    values = load(path).get_weights()[0]
    groups = values.T.reshape(-1, 4)  # the input axis is the kernel's first
    assert (np.count_nonzero(groups, axis=1) == 2).all()


def test_weights_that_come_back_under_a_mask_are_counted(wrapped, folder):
    name = next(t.name for t in ours(wrapped["plain"]).tensors if t.shape == (2028, 10))
    before = inspector.explain(wrapped["plain"], name)
    assert before.mask.leaks == 0
    assert before.mask.masked == 16_224
    path = os.path.join(folder, "drifted.h5")
    shutil.copy(wrapped["plain"], path)
    with h5py.File(path, "r+") as file:
        values, mask = file[name][...], file[before.mask.mask][...]
        values[tuple(np.argwhere(mask == 0)[:10].T)] = 1e-4
        file[name][...] = values
    assert inspector.explain(path, name).mask.leaks == 10
    assert zeros(ours(path))[2028, 10] == zeros(ours(wrapped["plain"]))[2028, 10] - 10


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_hdf5_holds_zeros_like_any_value(folder, library):
    model = library.Sequential([library.layers.Input((40,)), library.layers.Dense(50)])
    kernel = np.random.default_rng(1).normal(size=2000).astype("float32")
    kernel[:1300] = 0  # 65 %
    model.layers[-1].kernel.assign(kernel.reshape(40, 50))
    model.compile("adam", "mse")
    kinds: list = [{"include_optimizer": False}, {}]
    for index, options in enumerate(kinds):
        path = save(model, folder, f"sparse_{library.__name__}_{index}.h5", **options)
        tensor = next(
            t for t in ours(path).tensors if t.variable == "kernel" and t.role == "weight"
        )
        assert (tensor.storage, tensor.nbytes) == ("contiguous", 2000 * 4)
        assert tensor.measure.zeros == 1300


# --- B. counting parameters --------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_dense(folder):
    """Dense(5), Dense(3) on 4 inputs, after a step of Adam: 4*5 + 5 + 5*3 + 3 = 43."""
    keras.backend.clear_session()
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(3)]
    )
    fit(model, 4)
    weights = os.path.join(folder, "two_dense.weights.h5")
    model.save_weights(weights)
    return {
        "keras": save(model, folder, "two_dense.keras"),
        "h5": save(model, folder, "two_dense.h5"),
        "weights": weights,
        "plain": save(model, folder, "two_dense_plain.h5", include_optimizer=False),
        "summary": model.count_params()
        + sum(int(np.prod(v.shape)) for v in model.optimizer.variables),
    }


def test_the_optimizer_is_in_the_file_and_not_in_the_count(two_dense):
    for kind in ("keras", "h5"):
        report = ours(two_dense[kind])
        assert said(report) == live(load3(two_dense[kind])) == (43, 43, 0)
        # Two slots for each parameter, the iteration and the learning rate.
        assert report.totals.stored_elements == two_dense["summary"] == 43 + 2 * 43 + 2 == 131
        assert roles(report) == {"weight": 43, "optimizer_slot": 86, "optimizer_state": 2}


def test_a_weights_file_carries_the_optimizer_too(two_dense):
    weights, plain = ours(two_dense["weights"]), ours(two_dense["plain"])
    assert weights.totals.stored_elements == 131
    assert plain.totals.stored_elements == plain.totals.count_params == 43
    assert roles(weights) == {"weight": 43, "optimizer_slot": 86, "optimizer_state": 2}
    said_ = {t.name: t.variable for t in weights.tensors if t.role == "optimizer_state"}
    assert [one.strip("/") for one in said_] == ["optimizer/vars/0", "optimizer/vars/1"]
    assert weights.totals.trainable is None
    assert "no model config" in weights.totals_reasons["trainable"]


def test_adam_makes_a_file_of_three_times_the_weights(wrapped):
    report = ours(wrapped["h5"])
    slots, weights = report.roles["optimizer_slot"].nbytes, report.roles["weight"].nbytes
    assert weights == 4 * MODEL
    assert slots == 2 * weights
    assert slots + report.roles["optimizer_state"].nbytes + report.bytes["weights"] < report.nbytes


def test_batch_normalization_keeps_two_statistics_a_channel(folder):
    channels = (16, 32, 64, 128, 256, 512, 1024, 1024)
    inputs = [keras.layers.Input((n,)) for n in channels]
    outputs = [keras.layers.BatchNormalization()(one) for one in inputs]
    path = save(keras.Model(inputs, outputs), folder, "norms.keras")
    report = ours(path)
    assert said(report) == live(load3(path)) == (4 * 3056, 2 * 3056, 6_112)
    statistics = [t for t in report.tensors if t.role == "statistic"]
    assert {t.variable for t in statistics} == {"moving_mean", "moving_variance"}
    assert not any(t.trainable for t in statistics)


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_a_layer_shared_through_a_wrapper_is_two_layers_once_loaded(folder, library):
    layers = library.layers
    # 784 steps of the first input; 5 features of both.
    one, two, shared = layers.Input((784, 5)), layers.Input((5,)), layers.Dense(10)
    model = library.Model([one, two], [layers.TimeDistributed(shared)(one), shared(two)])
    assert model.count_params() == 5 * 10 + 10 == 60
    path = save(model, folder, f"shared_{library.__name__}.h5", include_optimizer=False)
    loaded = load(path) if library is tf_keras else load3(path)
    report = ours(path)
    assert said(report) == live(loaded) == (120, 120, 0)
    assert report.totals.stored_elements == 120
    problem = next(p for p in report.problems if p.code == "shared-layer")
    assert "time_distributed" in problem.message
    assert "dense" in problem.message


@pytest.mark.parametrize(
    ("library", "wrapper_first", "loads"),
    [(keras, True, False), (keras, False, True), (tf_keras, True, False), (tf_keras, False, False)],
)
def test_a_keras_file_stores_a_shared_layer_once_and_may_not_load(
    folder, library, wrapper_first, loads
):
    """Keras marks a shared layer, but not a place inside a wrapper that it writes first."""
    layers = library.layers
    one, two, shared = layers.Input((784, 5)), layers.Input((5,)), layers.Dense(10)
    if wrapper_first:
        outputs = [layers.TimeDistributed(shared)(one), shared(two)]
        model = library.Model([one, two], outputs)
    else:
        outputs = [shared(two), layers.TimeDistributed(shared)(one)]
        model = library.Model([two, one], outputs)
    path = save(model, folder, f"shared_{library.__name__}_{wrapper_first}.keras")
    report = ours(path)
    assert report.totals.stored_elements == report.totals.count_params == 60
    reload = load if library is tf_keras else load3
    if loads:
        assert live(reload(path)) == (60, 60, 0)
    else:
        with pytest.raises(ValueError, match=r"expected \d variables"):
            reload(path)
    assert ("shared-layer" in codes(report)) is not loads


def test_a_variable_tied_into_two_layers_is_in_the_file_twice(folder):
    class Tied(keras.layers.Layer):
        def __init__(self, other):
            super().__init__()
            self.other_kernel = other.kernel

        def call(self, x):
            return keras.ops.matmul(x, keras.ops.transpose(self.other_kernel))

    dense = keras.layers.Dense(4, use_bias=False)
    dense.build((None, 6))
    inputs = keras.layers.Input((6,))
    model = keras.Model(inputs, Tied(dense)(dense(inputs)))
    assert model.count_params() == 24
    path = os.path.join(folder, "tied.weights.h5")
    model.save_weights(path)
    report = ours(path)
    assert report.totals.stored_elements == 48
    first, second = report.tensors
    assert (first.shape, first.nbytes) == (second.shape, second.nbytes) == ((6, 4), 96)
    with h5py.File(path) as file:
        assert file[first.name][...].tobytes() == file[second.name][...].tobytes()
    # The file does not say that it is one variable: both counts are named, neither is claimed.
    assert report.totals.count_params is None
    message = next(p.message for p in report.problems if p.code == "equal-tensors")
    assert "24" in message
    assert "96 bytes" in message


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_a_siamese_base_is_counted_once(folder, library):
    layers = library.layers
    base = library.Sequential([layers.Input((6,)), layers.Dense(4)], name="base")
    one, two = layers.Input((6,)), layers.Input((6,))
    model = library.Model([one, two], layers.Subtract()([base(one), base(two)]))
    path = save(model, folder, f"siamese_{library.__name__}.h5")
    report = ours(path)
    loaded = load(path) if library is tf_keras else load3(path)
    assert said(report) == live(loaded) == (6 * 4 + 4, 28, 0)
    assert report.totals.stored_elements == 28
    assert codes(report) == []


def test_layers_in_a_list_are_counted_as_the_file_holds_them(folder):
    class Listed(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = keras.layers.Dense(512)
            self.rest = [keras.layers.Dense(1024), keras.layers.Dense(1024)]

        def call(self, x):
            x = self.first(x)
            for layer in self.rest:
                x = layer(x)
            return x

    model = Listed()
    model(np.zeros((1, 512), "float32"))
    path = os.path.join(folder, "listed.weights.h5")
    model.save_weights(path)
    # 512*512 + 512, 512*1024 + 1024, 1024*1024 + 1024
    wanted = 262_656 + 525_312 + 1_049_600
    report = ours(path)
    assert report.totals.stored_elements == wanted == 1_837_568 == model.count_params()
    assert report.totals.count_params == wanted
    assert roles(report) == {"weight": wanted}


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_layers_that_the_config_lacks_are_not_counted_as_loaded(folder, library):
    layers = library.layers
    model = library.Sequential([layers.Input((4,)), layers.Dense(4), layers.Dense(4)])
    whole = save(model, folder, f"whole_{library.__name__}.keras")
    path = os.path.join(folder, f"fewer_{library.__name__}.keras")
    with zipfile.ZipFile(whole) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"].pop()
                content = json.dumps(config).encode()
            after.writestr(name, content)
    report = ours(path)
    loaded = load(path) if library is tf_keras else load3(path)
    assert report.totals.stored_elements == 40
    assert said(report) == live(loaded) == (20, 20, 0)
    assert codes(report) == ["layer-not-in-config"]


def test_seeds_of_dropout_are_variables_and_no_parameters(folder):
    model = keras.Sequential(
        [
            keras.layers.Input((3,)),
            keras.layers.Dense(2),
            keras.layers.Dropout(0.5),
            keras.layers.GaussianNoise(0.1),
        ]
    )
    path = save(fit(model, 3), folder, "noise.keras")
    loaded = load3(path)
    assert (len(loaded.weights), len(loaded.variables)) == (2, 4)
    report = ours(path)
    assert said(report) == live(loaded) == (8, 8, 0)
    assert roles(report) == {"weight": 8, "optimizer_slot": 16, "optimizer_state": 2}


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_freezing_moves_parameters_and_keeps_the_total(folder, library):
    layers = library.layers
    stack = [layers.Input((6,)), layers.Dense(5, name="a"), layers.Dense(3, name="b")]
    model = library.Sequential(stack)
    free = ours(save(model, folder, f"free_{library.__name__}.h5"))
    model.get_layer("a").trainable = False
    path = save(model, folder, f"frozen_{library.__name__}.h5")
    loaded = load(path) if library is tf_keras else load3(path)
    assert said(free) == (53, 53, 0)
    assert said(ours(path)) == live(loaded) == (53, 18, 35)


def test_lora_is_made_anew_on_loading_and_not_stored(folder):
    model = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(6)])
    model.layers[0].enable_lora(2)
    path = save(model, folder, "lora.keras")
    report = ours(path)
    # kernel 48, bias 6; lora_kernel_a 8*2, lora_kernel_b 2*6
    assert report.totals.stored_elements == 54
    assert said(report) == live(load3(path)) == (82, 34, 48)
    assert "28 parameters" in next(p.message for p in report.problems if p.code == "made-on-load")


# --- C. layout and integrity ------------------------------------------------------------------


def test_lists_of_names_past_64_kib_are_read_whole(folder):
    stack = [tf_keras.layers.Input((1,))]
    stack += [
        tf_keras.layers.Dense(1, use_bias=False, name=f"{'layer_with_a_long_name_' * 5}{index:05d}")
        for index in range(700)
    ]
    x = stack[0]
    for layer in stack[1:]:
        x = layer(x)
    path = os.path.join(folder, "long_names.h5")
    tf_keras.Model(stack[0], x).save(path, include_optimizer=False)
    with h5py.File(path) as file:
        attributes = file["model_weights"].attrs
        assert "layer_names" not in attributes
        chunks = [len(attributes[f"layer_names{i}"]) for i in range(2)]
    assert sum(chunks) == 701
    report = ours(path)
    assert report.totals.count_params == report.totals.stored_elements == 700
    assert len(report.layers) == 701


def test_layers_without_weights_have_rows_too(folder):
    """The layers that people count: all that Keras names, and those that hold something."""
    model = tf_keras.Sequential(
        [
            tf_keras.layers.Input((28, 28, 1)),
            tf_keras.layers.Conv2D(4, 3),
            tf_keras.layers.Activation("relu"),
            tf_keras.layers.Conv2D(4, 3),
            tf_keras.layers.MaxPooling2D(),
            tf_keras.layers.Dropout(0.25),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(8),
            tf_keras.layers.Dropout(0.5),
            tf_keras.layers.Dense(10),
        ]
    )
    inputs = tf_keras.layers.Input((28, 28, 1))
    x = inputs
    for layer in model.layers:
        x = layer(x)
    path = os.path.join(folder, "mnist_cnn.h5")
    tf_keras.Model(inputs, x).save(path)
    report = ours(path)
    with h5py.File(path) as file:
        assert len(file["model_weights"].attrs["layer_names"]) == len(report.layers) == 10
    assert sum(bool(row.count_params) for row in report.layers) == 4


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_variables_of_a_nested_model_belong_to_its_layers(folder, library):
    layers = library.layers
    inner = library.Sequential(
        [layers.Input((4,)), layers.Dense(3, name="dense_5"), layers.BatchNormalization(name="bn")],
        name="inner",
    )
    inputs = layers.Input((4,))
    model = library.Model(inputs, layers.Dense(2, name="outer")(inner(inputs)))
    for ending in (".h5", ".keras"):
        path = save(model, folder, f"nested_{library.__name__}{ending}")
        loaded = load(path) if library is tf_keras else load3(path)
        report = ours(path)
        # dense_5: 4*3 + 3; gamma, beta: 6; outer: 3*2 + 2. Statistics: 6.
        assert said(report) == live(loaded) == (35, 29, 6)
        counts = {row.name: row.count_params for row in report.layers if row.count_params}
        assert counts == {"inner/dense_5": 15, "inner/bn": 12, "outer": 8}


def test_a_layer_whose_name_begins_anothers_does_not_take_its_variables(folder):
    model = tf_keras.Sequential(
        [
            tf_keras.layers.Conv2D(1, 1, name="conv1", input_shape=(2, 2, 3)),
            tf_keras.layers.BatchNormalization(name="conv1/bn"),
            tf_keras.layers.Activation("relu", name="conv1/relu"),
        ]
    )
    path = os.path.join(folder, "prefix.h5")
    model.save_weights(path)
    report = ours(path)
    assert report.totals.count_params == model.count_params() == 8
    by_layer = {}
    for tensor in report.tensors:
        by_layer[tensor.layer] = by_layer.get(tensor.layer, 0) + tensor.elements
    assert sorted(by_layer.values()) == [4, 4]
    assert roles(report) == {"weight": 6, "statistic": 2}


@pytest.mark.parametrize(
    ("dtype", "stored", "size"),
    [("bfloat16", "bfloat16", 2), ("float16", "float16", 2), ("mixed_float16", "float32", 4)],
)
def test_half_precision_weights_are_read_as_what_they_are(folder, dtype, stored, size):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, dtype=dtype)])
    path = os.path.join(folder, f"half_{dtype}.weights.h5")
    model.save_weights(path)
    report = ours(path)
    assert report.totals.stored_elements == model.count_params() == 15
    assert {t.dtype for t in report.tensors} == {stored}
    assert report.roles["weight"].nbytes == 15 * size
    kernel = np.asarray(model.layers[-1].kernel.value, "float32")
    found = next(t.measure for t in report.tensors if t.shape == (4, 3))
    assert (found.min, found.max) == (kernel.min(), kernel.max())


@pytest.fixture(scope="module")
def sharded(folder):
    keras.backend.clear_session()
    model = keras.Sequential(
        [keras.layers.Input((100,)), *(keras.layers.Dense(300) for _ in range(6))]
    )
    model.add(keras.layers.Dense(10))
    path = os.path.join(folder, "b2.weights.json")
    model.save_weights(path, max_shard_size=0.001)
    return path, model.count_params()


def test_shards_add_up_to_the_model(sharded):
    path, count = sharded
    with open(path) as file:
        assert json.load(file)["metadata"]["total_size"] == 1_939_240
    report = ours(path)
    # 100*300 + 300, five times 300*300 + 300, 300*10 + 10
    assert report.totals.count_params == count == 30_300 + 5 * 90_300 + 3_010 == 484_810
    assert sum(one.nbytes for one in report.roles.values()) == 4 * 484_810
    assert len(report.files) == 1 + 3


def test_a_missing_shard_is_named_with_the_layers_that_it_held(sharded, tmp_path):
    path, _ = sharded
    for name in os.listdir(os.path.dirname(path)):
        if name.startswith("b2") and name != "b2_00001.weights.h5":
            shutil.copy(os.path.join(os.path.dirname(path), name), tmp_path)
    report = inspector.show([str(tmp_path / "b2.weights.json")]).artifacts[0]
    problem = next(p for p in report.problems if p.severity == "error")
    assert "b2_00001.weights.h5" in problem.message
    assert "dense_3" in problem.message
    assert "dense_4" in problem.message
    assert report.totals.count_params is None
    assert report.totals_reasons["count_params"]


def test_one_shard_by_itself_is_said_to_be_a_part(sharded):
    report = ours(os.path.join(os.path.dirname(sharded[0]), "b2_00001.weights.h5"))
    assert "partial-shard" in codes(report)
    assert report.totals.count_params is None


def test_a_weights_file_has_counts_and_roles_and_no_trainability(folder):
    model = mnist()
    path = os.path.join(folder, "mnist_weights.h5")
    model.save_weights(path)
    report = ours(path)
    assert said(report) == (MODEL, None, None)
    assert roles(report) == {"weight": MODEL}
    assert "no model config" in report.totals_reasons["trainable"]
    assert command_line(path)[1] == 0


def test_a_vocabulary_is_counted_in_words_and_never_as_parameters(folder):
    text = keras.layers.TextVectorization(max_tokens=10)
    text.adapt(["ape bee cat"])
    model = keras.Sequential(
        [keras.layers.Input((1,), dtype="string"), text, keras.layers.Embedding(10, 2)]
    )
    path = save(model, folder, "words.keras")
    report = ours(path)
    assert said(report) == live(load3(path)) == (20, 20, 0)
    assert report.totals.stored_elements == 20
    # ape, bee, cat, padding and the unknown word; the layer and its table each save them.
    assert any("1 vocabulary of 5 entries" in line for line in report.answer)
    assert "vocabulary-copy" in {problem.code for problem in report.problems}


# --- F. clustering and quantization-aware training --------------------------------------------


def cluster(model, **options):
    return tfmot.clustering.keras.cluster_weights(
        model,
        number_of_clusters=8,
        cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.LINEAR,
        **options,
    )


def distinct(path):
    return {
        t.shape: t.measure.distinct for t in ours(path).tensors if t.role == "weight" and t.shape
    }


def test_clustering_adds_centroids_and_an_int64_index_for_each_weight(folder):
    model = cluster(mnist())
    path = save(model, folder, "mnist_clustered.h5", include_optimizer=False)
    report = ours(path)
    assert said(report) == live(load(path)) == (40_814, MODEL + 2 * 8, KERNELS)
    assert roles(report) == {"weight": MODEL, "centroids": 16, "cluster_indices": KERNELS}
    assert report.roles["cluster_indices"].nbytes == 8 * KERNELS == 163_104
    assert report.totals.after_strip == MODEL
    stripped = tfmot.clustering.keras.strip_clustering(model)
    path = save(stripped, folder, "mnist_clustered_stripped.h5", include_optimizer=False)
    assert said(ours(path)) == live(load(path)) == (MODEL, MODEL, 0)
    found = distinct(path)
    assert (found[3, 3, 1, 12], found[2028, 10], found[12,]) == (8, 8, 1)


@pytest.mark.parametrize("preserve", [True, False])
def test_zeros_survive_clustering_where_it_was_told_to_keep_them(folder, preserve):
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as e

    model = tf_keras.Sequential([tf_keras.layers.Dense(20, use_bias=False, input_shape=(10,))])
    kernel = np.random.default_rng(2).normal(size=200).astype("float32")
    kernel[:100] = 0
    model.layers[0].kernel.assign(kernel.reshape(10, 20))
    clustered = e.cluster_weights(
        model,
        number_of_clusters=8,
        cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.LINEAR,
        preserve_sparsity=preserve,
    )
    stripped = tfmot.clustering.keras.strip_clustering(clustered)
    path = save(stripped, folder, f"zero_centroid_{preserve}.h5", include_optimizer=False)
    tensor = ours(path).tensors[0]
    values = load(path).get_weights()[0]
    assert tensor.measure.zeros == np.count_nonzero(values == 0) == (100 if preserve else 0)
    assert tensor.measure.distinct == np.unique(values).size <= 8


def test_a_quantization_aware_model_is_float32_with_ranges_beside_it(folder):
    model = tfmot.quantization.keras.quantize_model(mnist())
    path = save(model, folder, "mnist_qat.h5", include_optimizer=False)
    report = ours(path)
    # Ranges: 12+12 of the convolution's channels, 1+1, twice 1+1 after activations, 1+1 of the
    # input: 32. Steps: the input and five layers.
    assert said(report) == live(load(path)) == (MODEL + 38, MODEL, 38)
    assert roles(report) == {"weight": MODEL, "quant_param": 32, "quant_step": 6}
    assert {t.dtype for t in report.tensors if t.role == "weight"} == {"float32"}
    steps = [t for t in report.tensors if t.role == "quant_step"]
    assert {t.dtype for t in steps} == {"int32"}
    assert all("optimizer" in t.evidence for t in steps)
    assert any("fake" in line or "float" in line for line in report.answer)


def test_what_is_shown_is_the_same_for_every_measuring_thread(wrapped):
    """Reports are made of the file alone."""
    reports = [inspector.show([wrapped["keras"]], threads=n) for n in (1, 2)]
    for one, two in itertools.pairwise(reports):
        assert one == two
