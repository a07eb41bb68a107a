"""Two artifacts: what is the same, what explains the rest, and what nothing explains."""

import h5py
import numpy as np
import pytest

from inspector import api
from tests.builders import cases as c
from tests.builders import samples
from tests.builders.terminal import call

# Each sample and what tfmot's strip_pruning or strip_clustering made of it, across formats.
STRIPPED = [
    ("pruned.h5", "stripped.h5"),
    ("pruned.h5", "stripped.keras"),
    ("pruned.keras", "stripped.h5"),
    ("pruned.weights.h5", "stripped_weights.h5"),
    ("pruned_weights.h5", "stripped_weights.h5"),
    ("pruned_2by4.h5", "stripped_2by4.h5"),
    ("pruned_convnet.h5", "stripped_convnet.h5"),
    ("pruned_convnet.keras", "stripped_convnet.h5"),
    ("pruned_rnn.keras", "stripped_rnn.keras"),
    ("saved_pruned", "saved_stripped"),
    ("saved_pruned", "stripped.keras"),
    ("ckpt_pruned", "stripped.h5"),
    ("clustered.h5", "clustered_stripped.h5"),
    ("clustered.keras", "clustered_stripped.h5"),
    ("saved_clustered", "clustered_stripped.h5"),
]
# The same model in two formats.
AGAIN = [
    ("pruned.h5", "pruned.keras"),
    ("pruned.h5", "saved_pruned"),
    ("pruned.h5", "ckpt_pruned"),
    ("qat.h5", "qat.keras"),
    ("k3.h5", "k3.keras"),
    ("k3.keras", "k3.weights.h5"),
    ("k3.keras", "k3_npz.keras"),
    ("k3.keras", "k3_dir"),
    ("k3_sharded.keras", "k3_sharded.weights.json"),
    ("frozen_tiny.pb", "frozen_tiny.pbtxt"),
    ("saved_frozen", "frozen_convnet.pb"),
]


def between(a, b):
    return api.reconcile(a, b, measure=False).reconciliation


def of_samples(a, b):
    return between(samples.path(a), samples.path(b))


def counted(found, side):
    whose = [line if side == "a" else line.other for line in found.lines]
    return sum(one.count_params or 0 for one in whose)


@pytest.mark.parametrize(("a", "b"), STRIPPED)
def test_stripping_leaves_every_weight_as_it_was(a, b):
    found = of_samples(a, b)
    assert (found.residual, found.odd, found.gone) == (0, (), ())
    assert {pair.agrees for pair in found.pairs} <= {"bits", "values"}
    assert all(pair.masked_nonzero in (None, 0) for pair in found.pairs)


@pytest.mark.parametrize(("a", "b"), STRIPPED)
def test_the_difference_of_the_counts_is_what_was_stripped(a, b):
    found = of_samples(a, b)
    before, after = samples.expected(a), samples.expected(b)
    extra = sum(
        line.count_params - (line.other.count_params or 0)
        for line in found.lines
        if line.role not in ("weight", "statistic")
    )
    assert extra == before["count_params"] - after["count_params"]
    assert (counted(found, "a"), counted(found, "b")) == (
        before["count_params"],
        after["count_params"],
    )


@pytest.mark.parametrize(("a", "b"), AGAIN)
def test_another_format_holds_the_same_model(a, b):
    found = of_samples(a, b)
    assert (found.residual, found.gone) == (0, ())
    assert {pair.agrees for pair in found.pairs} <= {"bits", "values"}


@pytest.mark.parametrize(("a", "b"), [*STRIPPED[:4], *AGAIN[:2]])
def test_the_order_of_the_two_does_not_matter(a, b):
    found, turned = of_samples(a, b), of_samples(b, a)
    assert turned.residual == 0
    assert len(turned.pairs) == len(found.pairs)
    assert turned.answer[0] == found.answer[0]


def test_the_answer_says_what_was_stripped_and_what_stayed():
    assert of_samples("pruned.h5", "stripped.h5").answer == (
        "2,638 - 1,354 = 1,284: two masks of 640 each, two thresholds, two steps.",
        "All four weights are equal bit for bit.",
        "Where the two masks are 0, the weights are 0 in both.",
        "Sparsity survived: 640 of 1,354 are zero in both (47.27 %).",
        # 1,354 float32; the files' own sizes; 1,280 float32, two float32, two int64, and of Adam
        # two slots a weight and an int64. What is left is of HDF5, names and config.
        "Zeros saved no byte, the weights take 5,416 in both; 51,276 - 20,536 = 30,740 bytes are"
        " 5,120 of masks, 8 of thresholds, 16 of pruning steps, 10,832 of optimizer slots, 8 of"
        " optimizer state and 14,756 of what is around the tensors.",
        "Nothing is left unexplained.",
    )


def test_training_state_of_another_moment_is_said_and_no_fault(tmp_path):
    weights = {"dense": {"dense/kernel:0": c.values(4, 3), "dense/bias:0": c.values(3)}}
    config = c.sequential(c.dense("dense", 3))
    kernel = weights["dense"]["dense/kernel:0"]
    paths = [
        c.legacy(
            tmp_path / f"{step}.h5",
            weights,
            config,
            optimizer={
                "Adam/iteration:0": c.scalar(step, "int64"),
                "Adam/m/dense/kernel:0": kernel,
            },
        )
        for step in (1, 2)
    ]
    found = between(*paths)
    assert found.residual == 0
    assert any("of training state differ" in line for line in found.answer)


# --- tampered pairs -----------------------------------------------------------------------------

KERNELS = {"conv2d": "conv2d/kernel:0", "dense": "dense/kernel:0"}
KERNEL = "model_weights/dense/dense/kernel:0"
MASK = "model_weights/prune_low_magnitude_dense/prune_low_magnitude_dense/mask:0"


@pytest.fixture
def two(tmp_path):
    """Paths of a pruned model of 20,410 weights and of the same stripped."""
    weights = c.mnist_weights(pruned=True)
    return (
        c.legacy(
            tmp_path / "pruned.h5",
            c.wrapped_weights(weights, KERNELS),
            c.sequential(*map(c.pruned, c.MNIST)),
        ),
        c.legacy(tmp_path / "stripped.h5", weights, c.sequential(*c.MNIST)),
    )


def exits(two, *names):
    """Reconcile the two: exit code 1, and these names in what is printed."""
    result = call("reconcile", *two, "--width", "200")
    assert (result.code, result.err) == (1, "")
    for name in names:
        assert name in result.out
    return between(*two)


def test_a_sound_pair_exits_with_0(two):
    result = call("reconcile", *two)
    assert (result.code, result.err) == (0, "")
    # Masks 3*3*1*12 + 2028*10 = 108 + 20,280, a wrapper for each of five layers.
    assert "40,805 - 20,410 = 20,395: two masks (20,388 in all), two thresholds, five" in result.out


def test_one_changed_weight_is_found(two):
    with h5py.File(two[1], "a") as file:
        place = np.argwhere(file[KERNEL][()] != 0)[0]
        file[KERNEL][tuple(place)] += 0.5
    found = exits(two, "dense/kernel", "1 of 20,280 value")
    assert found.residual == 1


def test_one_changed_weight_where_the_mask_is_0_is_found(two):
    with h5py.File(two[1], "a") as file, h5py.File(two[0]) as pruned:
        place = np.argwhere(pruned[MASK][()] == 0)[0]
        file[KERNEL][tuple(place)] = 0.5
    assert exits(two, "dense/kernel").residual == 1


def test_one_flipped_bit_of_a_mask_is_found(two):
    with h5py.File(two[0], "a") as file:
        place = np.argwhere(file[MASK][()] == 1)[0]
        file[MASK][tuple(place)] = 0
    found = exits(two, "dense/kernel", "mask")
    assert found.residual == 1


def test_a_dropped_layer_is_found(two, tmp_path):
    weights = c.mnist_weights(pruned=True)
    del weights["dense"]
    path = c.legacy(tmp_path / "dropped.h5", weights, c.sequential(*c.MNIST[:-1]))
    found = exits((two[0], path), "prune_low_magnitude_dense/dense/kernel:0: only A has it")
    # 2028*10 + 10 weights.
    assert found.residual == 20_290


def test_a_transposed_kernel_is_found(tmp_path):
    config = c.sequential(c.dense("dense", 6))
    kernel = c.values(6, 6)
    paths = [
        c.legacy(
            tmp_path / f"{name}.h5",
            {"dense": {"dense/kernel:0": one, "dense/bias:0": c.values(6)}},
            config,
        )
        for name, one in (("as_is", kernel), ("turned", np.ascontiguousarray(kernel.T)))
    ]
    exits(paths, "dense/kernel")


def test_two_models_that_have_nothing_in_common_exit_with_1():
    result = call("reconcile", samples.path("frozen_tiny.pb"), samples.path("k3.keras"))
    assert result.code == 1
    assert "No weight of A is one of B." in result.out
