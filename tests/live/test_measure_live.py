"""Kernels pruned by the real toolkit, and its own check of N:M sparsity, against our patterns."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")
tfmot = pytest.importorskip("tensorflow_model_optimization")

from tensorflow_model_optimization.python.core.sparsity.keras import pruning_utils  # noqa: E402

from inspector.measure import mask_against_weight, measure  # noqa: E402
from inspector.model import Tensor  # noqa: E402
from inspector.payloads import RawPayload  # noqa: E402
from inspector.storage import MemorySource  # noqa: E402

pytestmark = pytest.mark.live

SCHEDULE = tfmot.sparsity.keras.ConstantSparsity(0.5, begin_step=0, frequency=1)


def tensor(array):
    array = np.ascontiguousarray(array)
    payload = RawPayload(MemorySource(array.tobytes(), "memory"), 0, array.size, array.dtype.name)
    return Tensor("k", array.dtype.name, array.shape, array.nbytes, payload=payload)


def patterns(array, **how):
    found = measure(tensor(array), **how).patterns
    return {(p.name, p.axis): (p.held, p.groups, p.holds) for p in found}


def pruned(shape, layer, **how):
    """Kernel and mask of a layer after two steps of training with the toolkit."""
    tf_keras.utils.set_random_seed(7)
    inputs = tf_keras.Input(shape)
    wrapped = tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=SCHEDULE, **how)
    model = tf_keras.Model(inputs, wrapped(inputs))
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).standard_normal((8, *shape)).astype("float32")
    y = np.ones((8, *model.output_shape[1:]), "float32")
    step = tfmot.sparsity.keras.UpdatePruningStep()
    model.fit(x, y, batch_size=4, verbose=0, callbacks=[step])
    kernel, mask, _ = wrapped.pruning_vars[0]
    stripped = tfmot.sparsity.keras.strip_pruning(model).layers[-1].kernel.numpy()
    assert np.array_equal(stripped, kernel.numpy())
    return mask.numpy(), stripped


def test_two_by_four_of_a_dense_layer_lies_along_its_inputs():
    mask, kernel = pruned((16,), tf_keras.layers.Dense(8), sparsity_m_by_n=(2, 4))
    assert measure(tensor(kernel)).zeros == 64
    assert patterns(kernel)["2:4", "input"] == (32, 32, True)
    assert ("2:4", "output") not in patterns(kernel)
    report = mask_against_weight(tensor(mask), tensor(kernel))
    assert (report.mask_zeros, report.kept_zeros, report.leaked) == (64, 0, 0)
    assert report.mask_is_binary
    # TensorFlow Lite keeps the same kernel as (outputs, inputs).
    assert patterns(kernel.T, outputs_first=True)["2:4", "input"] == (32, 32, True)


def test_two_by_four_of_a_convolution_lies_along_its_input_channels():
    _, kernel = pruned((6, 6, 8), tf_keras.layers.Conv2D(5, 3), sparsity_m_by_n=(2, 4))
    # 3 x 3 places, 8 / 4 groups of channels, 5 outputs.
    assert measure(tensor(kernel)).zeros == 3 * 3 * 2 * 5 * 2
    assert patterns(kernel)["2:4", "input"] == (90, 90, True)
    ohwi = kernel.transpose(3, 0, 1, 2)
    assert patterns(ohwi, outputs_first=True)["2:4", "input"] == (90, 90, True)


@pytest.mark.parametrize("channels", [5, 6, 7, 20])
def test_groups_that_do_not_come_out_even_are_padded(channels):
    _, kernel = pruned((4, 4, channels), tf_keras.layers.Conv2D(4, 2), sparsity_m_by_n=(2, 4))
    groups = 2 * 2 * -(-channels // 4) * 4
    assert patterns(kernel)["2:4", "input"] == (groups, groups, True)


def test_three_by_four_is_one_of_four():
    _, kernel = pruned((16,), tf_keras.layers.Dense(8), sparsity_m_by_n=(3, 4))
    assert measure(tensor(kernel)).zeros == 96
    assert patterns(kernel)["1:4", "input"] == (32, 32, True)


def test_blocks_of_four_by_four_are_zero_as_a_whole():
    _, kernel = pruned((16,), tf_keras.layers.Dense(12), block_size=(4, 4))
    # Half of 4 x 3 blocks.
    assert patterns(kernel)["4x4", "block"] == (6, 12, True)


def test_blocks_at_the_edges_are_cut_short():
    _, kernel = pruned((18,), tf_keras.layers.Dense(10), block_size=(4, 4))
    held, groups, holds = patterns(kernel)["4x4", "block"]
    assert (groups, holds) == (5 * 3, True)
    assert 7 <= held <= 8


@pytest.mark.parametrize(
    "shape", [(16, 8), (9, 6), (4, 4), (3, 3, 8, 4), (2, 2, 6, 5), (3, 1, 4, 7)]
)
@pytest.mark.parametrize("broken", [0, 1])
def test_the_toolkits_own_check_agrees(shape, broken):
    rng = np.random.default_rng(sum(shape))
    weights = rng.standard_normal(shape).astype("float32")
    rows = pruning_utils.weights_rearrange(tf.constant(weights))
    mask = pruning_utils.generate_m_by_n_mask(rows, (2, 4))
    keep = pruning_utils.m_by_n_sparsity_mask_prepare(mask, tf.TensorShape(shape)).numpy()
    kernel = weights * keep
    if broken:
        # A whole group of four inputs at the first output.
        kernel[(*[0] * (len(shape) - 2), slice(0, 4), 0)] = 1
    says = pruning_utils.is_pruned_m_by_n(tf.constant(kernel), (2, 4), "C_OUT")
    assert says is not bool(broken)
    assert patterns(kernel).get(("2:4", "input"), (0, 0, False))[2] is says
