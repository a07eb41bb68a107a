"""Zeros that are claimed, lost, or cost more than they save. Numbers are counted by hand."""

import numpy as np
import pytest

from inspector.auditing.look import audit_context
from inspector.auditing.policy import Policy, Sparsity
from inspector.auditing.rules.sparsity import RULES
from tests.builders import cases, tflite
from tests.builders import samples as stored


def found(path, code, against=None, **claims):
    """What the rule of that code says, with claims of `policy.sparsity`."""
    (rule,) = (one for one in RULES if one.code == code)
    policy = Policy(sparsity=Sparsity(**claims))
    if against is None:
        with audit_context(path, policy) as context:
            assert context.error is None
            return [
                (one.message, str(one.severity or rule.severity)) for one in rule.check(context)
            ]
    with (
        audit_context(against) as original,
        audit_context(path, policy, original=original.examined) as context,
    ):
        return [(one.message, str(one.severity or rule.severity)) for one in rule.check(context)]


def evidence(path, code, **claims):
    (rule,) = (one for one in RULES if one.code == code)
    with audit_context(path, Policy(sparsity=Sparsity(**claims))) as context:
        return [one.evidence for one in rule.check(context)]


def every(path):
    with audit_context(path) as context:
        return {
            rule.code
            for rule in RULES
            if rule.needs.value != "original"
            if list(rule.check(context))
        }


def dense(tmp_path, kernel, bias=None, name="m.h5", layer="dense"):
    """A Dense layer with this kernel, and a bias without zeros."""
    units = kernel.shape[1]
    bias = np.ones(units, "f4") if bias is None else bias
    weights = {layer: {f"{layer}/kernel:0": kernel, f"{layer}/bias:0": bias}}
    config = cases.sequential(cases.dense(layer, units))
    return cases.legacy(tmp_path / name, weights, config)


def wrapped(tmp_path, kernel, mask, *, threshold=True, with_mask=True):
    """The same in a pruning wrapper."""
    wrapper = "prune_low_magnitude_dense"
    own = {f"{wrapper}/mask:0": mask} if with_mask else {}
    if threshold:
        own[f"{wrapper}/threshold:0"] = cases.scalar(0.5)
    own[f"{wrapper}/pruning_step:0"] = cases.scalar(6, "int64")
    units = kernel.shape[1]
    weights = {
        wrapper: {"dense/kernel:0": kernel, "dense/bias:0": np.ones(units, "f4"), **own},
    }
    config = cases.sequential(cases.pruned(cases.dense("dense", units)))
    return cases.legacy(tmp_path / "w.h5", weights, config)


# --- claims ---------------------------------------------------------------------------------


def test_without_claims_nothing_is_said(tmp_path):
    assert every(dense(tmp_path, cases.values(10, 10, zeros=3))) == set()


def test_all_weights_together_are_held_against_the_claim(tmp_path):
    path = dense(tmp_path, cases.values(10, 9, zeros=50))  # 50 of 90 + 9
    assert found(path, "sparsity-claim", overall=0.6) == [
        ("50 of 99 values of all weights are zero (50.51 %), and the policy claims 0.6", "error")
    ]
    assert found(path, "sparsity-claim", overall=0.5) == []
    assert found(path, "sparsity-claim", overall=0.51) == []  # within the tolerance of 0.005
    assert len(found(path, "sparsity-claim", overall=0.52, tolerance=0.0)) == 1


def test_a_layer_has_its_claim_by_its_kernel_or_as_a_whole(tmp_path):
    path = dense(tmp_path, cases.values(10, 10, zeros=80))  # 80 of 100, and of 110 with the bias
    assert found(path, "sparsity-claim", layers={"dense": 0.8}) == []
    assert found(path, "sparsity-claim", layers={"dense": 0.9}) == [
        ("80 of 100 values of dense/kernel are zero (80 %), and the policy claims 0.9", "error")
    ]
    zeros = dense(tmp_path, cases.values(10, 10, zeros=40), np.zeros(10, "f4"), "z.h5")
    assert found(zeros, "sparsity-claim", layers={"dense": 0.45}) == []  # 50 of 110


@pytest.mark.parametrize(
    ("elements", "share", "zeros"),
    [(7, 0.5, 3), (7, 0.99, 6), (3, 0.5, 1), (36, 0.8, 29), (108, 0.8, 86), (108, 0.99, 107)],
)
def test_as_many_zeros_as_the_toolkit_makes_are_enough(tmp_path, elements, share, zeros):
    kernel = cases.values(elements, 1, zeros=zeros)
    assert found(dense(tmp_path, kernel), "sparsity-claim", layers={"dense": share}) == []
    kernel = cases.values(elements, 1, zeros=zeros - 1)
    path = dense(tmp_path, kernel, name="less.h5")
    assert len(found(path, "sparsity-claim", layers={"dense": share})) == 1


def test_a_glob_of_no_layer_is_a_finding(tmp_path):
    path = dense(tmp_path, cases.values(10, 10, zeros=80))
    assert found(path, "sparsity-claim", layers={"conv*": 0.8}) == [
        ('the policy claims 0.8 of zeros of "conv*", and no layer is called so', "error")
    ]
    assert found(path, "sparsity-pattern", patterns={"conv*": "2:4"}) == [
        ('the policy claims 2:4 sparsity of "conv*", and no layer is called so', "error")
    ]


def test_a_wrapped_layer_is_known_by_its_inner_name(tmp_path):
    kernel = cases.values(10, 10, zeros=80)
    path = wrapped(tmp_path, kernel, cases.mask_of(kernel))
    for name in ("dense", "prune_low_magnitude_dense", "*dense"):
        assert found(path, "sparsity-claim", layers={name: 0.8}) == []
        assert len(found(path, "sparsity-claim", layers={name: 0.9})) == 1


def test_layers_without_a_kernel_are_not_meant_by_a_glob_of_all(tmp_path):
    held = {
        f"norm/{name}:0": np.ones(4, "f4")
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    path = cases.legacy(tmp_path / "n.h5", {"norm": held}, cases.sequential(cases.norm("norm")))
    assert found(path, "sparsity-claim", layers={"*": 0.8}) == []


def test_masks_that_the_graph_applies_count_as_applied():
    # Of fc1/weights no value is 0; fc1/mask removes 96 of its 192.
    path = stored.path("frozen_contrib_pruned.pb")
    assert found(path, "sparsity-claim", layers={"fc1": 0.5}, tolerance=0.0) == []
    assert len(found(path, "sparsity-claim", layers={"fc1": 0.52}, tolerance=0.0)) == 1


# --- patterns -------------------------------------------------------------------------------


def two_of_four(broken=0):
    """16 inputs x 8 outputs: the last two of each four inputs are 0, but for `broken` groups."""
    kernel = np.ones((16, 8), "f4") * np.arange(1, 9, dtype="f4")
    kernel[2::4] = 0
    kernel[3::4] = 0
    kernel[2, :broken] = 1
    return kernel


def test_two_of_four_holds_in_every_group_of_inputs(tmp_path):
    path = dense(tmp_path, two_of_four())
    assert found(path, "sparsity-pattern", patterns={"dense": "2:4"}) == []
    assert found(path, "sparsity-pattern", patterns={"dense": "4:8"}) == []  # follows from it
    assert found(path, "sparsity-pattern", patterns={"dense": "1:4"}) == [
        ("1:4 sparsity does not hold in dense/kernel", "error")
    ]


def test_two_groups_of_32_that_break_it_are_counted(tmp_path):
    path = dense(tmp_path, two_of_four(broken=2))
    assert found(path, "sparsity-pattern", patterns={"dense": "2:4"}) == [
        ("2:4 sparsity does not hold in dense/kernel", "error")
    ]
    assert evidence(path, "sparsity-pattern", patterns={"dense": "2:4"}) == [
        "30 of 32 groups hold it"
    ]


def test_a_pattern_along_the_outputs_is_not_the_toolkit_s(tmp_path):
    path = dense(tmp_path, np.ascontiguousarray(two_of_four().T))
    assert len(found(path, "sparsity-pattern", patterns={"dense": "2:4"})) == 1


def test_the_sample_of_two_of_four_holds_it():
    path = stored.path("stripped_2by4.h5")
    assert found(path, "sparsity-pattern", patterns={"dense": "2:4"}) == []
    assert len(found(stored.path("stripped.h5"), "sparsity-pattern", patterns={"*": "2:4"})) > 0


def test_a_pattern_that_cannot_be_told_of_is_information(tmp_path):
    path = dense(tmp_path, two_of_four())
    assert found(path, "sparsity-pattern", patterns={"dense": "3:5"}) == [
        ("3:5 sparsity cannot be told of dense/kernel", "info")
    ]
    narrow = dense(tmp_path, cases.values(3, 8, zeros=2), name="n.h5")
    assert found(narrow, "sparsity-pattern", patterns={"dense": "2:4"}) == [
        ("2:4 sparsity cannot be told of dense/kernel", "info")
    ]


def test_a_kernel_that_is_wholly_zero_holds_any_pattern(tmp_path):
    path = dense(tmp_path, np.zeros((8, 4), "f4"))
    assert found(path, "sparsity-pattern", patterns={"dense": "1:4"}) == []


# --- lost -----------------------------------------------------------------------------------


def test_zeros_that_fine_tuning_lost_are_counted(tmp_path):
    kernel = cases.values(10, 10, zeros=80)
    before = dense(tmp_path, kernel, name="before.h5")
    tuned = kernel.copy()
    tuned.flat[np.flatnonzero(kernel == 0)[:10]] = 1e-4
    after = dense(tmp_path, tuned, name="after.h5")
    assert found(after, "sparsity-lost", before) == [
        ("dense: 80 of 100 weights were zero (80 %), and 70 are (70 %)", "error")
    ]
    assert found(after, "sparsity-lost", before, lost=0.1001) == []
    assert found(before, "sparsity-lost", after) == []  # zeros gained are none lost


def test_masks_that_the_graph_applies_count_on_both_sides():
    path = stored.path("frozen_contrib_pruned.pb")
    assert found(path, "sparsity-lost", path) == []


def test_a_mask_that_is_not_applied_makes_no_zeros(tmp_path):
    kernel = cases.values(10, 10, zeros=80)
    drifted = kernel.copy()
    drifted.flat[np.flatnonzero(kernel == 0)[:10]] = 1e-4
    path = wrapped(tmp_path, drifted, cases.mask_of(kernel))
    assert len(found(path, "sparsity-claim", layers={"*": 0.8})) == 1
    before = dense(tmp_path, kernel)
    assert len(found(path, "sparsity-lost", before)) == 1


def test_clusters_without_one_of_zero_lose_all_zeros():
    # Two models of the same layers: 384 of 512 and 1,536 of 2,048 weights of the first are 0.
    before = stored.path("lite_pruned_dense.tflite")
    messages = found(stored.path("lite_clustered.tflite"), "sparsity-lost", before)
    assert [one.partition(": ")[2] for one, _ in messages] == [
        "384 of 512 weights were zero (75 %), and 0 are (0 %)",
        "1,536 of 2,048 weights were zero (75 %), and 0 are (0 %)",
    ]


def test_an_original_of_other_kernels_is_told_and_no_pass(tmp_path):
    original = dense(tmp_path, cases.values(10, 10, zeros=80), name="a.h5")
    path = dense(tmp_path, cases.values(6, 4), name="b.h5")
    said = "no kernel of the original is found again, so its zeros were not looked for"
    assert found(path, "sparsity-lost", against=original) == [(said, "error")]


def test_stripping_loses_no_zeros():
    against = stored.path("pruned.h5")
    assert found(stored.path("stripped.h5"), "sparsity-lost", against) == []


@pytest.mark.parametrize("name", ["lite_sparse.tflite", "lite_sparse_int8.tflite"])
def test_conversion_and_quantization_keep_zeros(name):
    # Both were converted from the model that lite_pruned_dense holds in full.
    assert found(stored.path(name), "sparsity-lost", stored.path("lite_pruned_dense.tflite")) == []


# --- masks ----------------------------------------------------------------------------------


def test_weights_that_their_mask_removes_are_counted(tmp_path):
    kernel = cases.values(10, 10, zeros=80)
    mask = cases.mask_of(kernel)
    assert every(wrapped(tmp_path, kernel, mask)) == set()
    drifted = kernel.copy()
    drifted.flat[np.flatnonzero(kernel == 0)[:10]] = 1e-4
    assert found(wrapped(tmp_path, drifted, mask), "sparsity-mask-leak") == [
        (
            "10 of 80 values of prune_low_magnitude_dense/dense/kernel are not 0 where the mask is",
            "error",
        )
    ]


def test_a_negative_zero_under_a_mask_is_zero(tmp_path):
    kernel = cases.values(10, 10, zeros=80)
    mask = cases.mask_of(kernel)
    kernel[kernel == 0] = -0.0
    assert found(wrapped(tmp_path, kernel, mask), "sparsity-mask-leak") == []


def test_weights_beside_a_mask_of_contrib_keep_what_it_removes():
    assert found(stored.path("frozen_contrib_pruned.pb"), "sparsity-mask-leak") == []


def test_a_mask_of_other_values_than_0_and_1_is_found(tmp_path):
    kernel = cases.values(10, 10, zeros=80)
    mask = cases.mask_of(kernel)
    mask.flat[0] = 0.5
    assert found(wrapped(tmp_path, kernel, mask), "sparsity-mask-values") == [
        (
            "the mask prune_low_magnitude_dense/mask holds 3 different values, not 0 and 1 alone",
            "error",
        )
    ]
    ones = wrapped(tmp_path, np.ones((10, 10), "f4"), np.ones((10, 10), "f4"))
    assert found(ones, "sparsity-mask-values") == []  # nothing is pruned yet


def test_a_mask_without_its_threshold_is_a_warning(tmp_path):
    kernel = cases.values(10, 10, zeros=80)
    path = wrapped(tmp_path, kernel, cases.mask_of(kernel), threshold=False)
    assert found(path, "sparsity-mask-incomplete") == [
        ("prune_low_magnitude_dense has 1 mask and no threshold", "warning")
    ]


def test_a_wrapper_without_its_mask_is_found(tmp_path):
    kernel = cases.values(10, 10, zeros=80)
    path = wrapped(tmp_path, kernel, None, with_mask=False, threshold=False)
    assert found(path, "sparsity-mask-incomplete") == [
        ("prune_low_magnitude_dense prunes 1 weight and has no mask", "error")
    ]


@pytest.mark.parametrize(
    "name", ["pruned.h5", "pruned_convnet.h5", "pruned_convnet.keras", "pruned_rnn.keras"]
)
def test_wrappers_of_what_is_not_pruned_need_no_mask(name):
    # BatchNormalization, depthwise kernels and ReLU are wrapped, and have steps alone.
    assert found(stored.path(name), "sparsity-mask-incomplete") == []


# --- wholly zero, and sparse storage --------------------------------------------------------


def test_a_kernel_of_zeros_is_found_and_a_bias_of_zeros_is_not(tmp_path):
    assert found(dense(tmp_path, np.zeros((4, 3), "f4")), "sparsity-layer-zero") == [
        ("all 12 values of dense/kernel are zero", "warning")
    ]
    path = dense(tmp_path, cases.values(4, 3, zeros=11), np.zeros(3, "f4"), "b.h5")
    assert found(path, "sparsity-layer-zero") == []


def csr(tmp_path, densify=True):
    """A kernel of 3 x 3 as CSR: 7 in row 0, 8 and 9 in row 2; DENSIFY writes it out."""
    sparsity = {
        "traversal_order": [0, 1],
        "dim_metadata": [
            {"format": 0, "dense_size": 3},
            {
                "format": 1,
                "array_segments": ("Uint8Vector", {"values": [0, 1, 1, 3]}),
                "array_indices": ("Uint8Vector", {"values": [2, 0, 1]}),
            },
        ],
    }
    tensors = [
        tflite.tensor("x", (1, 3)),
        tflite.tensor("c", (3, 3), buffer=1, sparsity=sparsity),
        tflite.tensor("y", (1, 3)),
        tflite.tensor("full", (3, 3)),
    ]
    operators = [
        *([tflite.op("DENSIFY", [1], [3])] if densify else []),
        tflite.op("FULLY_CONNECTED", [0, 3 if densify else 1], [2]),
    ]
    path = tmp_path / f"csr{densify}.tflite"
    graph = tflite.graph(tensors, operators, [0], [2])
    path.write_bytes(tflite.model(graph, buffers=[np.array([7, 8, 9], "f4")]))
    return str(path)


def test_sparse_tensors_that_loading_writes_out_are_information(tmp_path):
    assert found(csr(tmp_path), "sparsity-dense") == [
        ("1 sparse tensor is written out in full when the model is loaded (DENSIFY)", "info")
    ]
    assert found(csr(tmp_path, densify=False), "sparsity-dense") == []


def test_sparse_storage_that_the_original_had_is_a_warning(tmp_path):
    sparse = stored.path("lite_sparse_block.tflite")
    full = stored.path("lite_pruned_dense.tflite")
    assert found(full, "sparsity-dense", sparse) == [
        ("2 tensors were stored without zeros, and none is now", "warning")
    ]
    assert found(sparse, "sparsity-dense", full) == []


def test_sparse_storage_that_costs_more_than_it_saves_is_found(tmp_path):
    # Of int8: 9 values dense; 3 of them, 4 segments and 3 indices stored: 10 bytes.
    path = csr(tmp_path, densify=False)
    assert found(path, "sparsity-storage") == []  # of float32: 36 bytes against 19
    sparsity = {
        "traversal_order": [0, 1],
        "dim_metadata": [
            {"format": 0, "dense_size": 3},
            {
                "format": 1,
                "array_segments": ("Uint8Vector", {"values": [0, 1, 1, 3]}),
                "array_indices": ("Uint8Vector", {"values": [2, 0, 1]}),
            },
        ],
    }
    tensors = [
        tflite.tensor("x", (1, 3), "int8", scale=[0.5]),
        tflite.tensor("c", (3, 3), "int8", buffer=1, sparsity=sparsity, scale=[0.5]),
        tflite.tensor("y", (1, 3), "int8", scale=[0.5]),
    ]
    graph = tflite.graph(tensors, [tflite.op("FULLY_CONNECTED", [0, 1], [2])], [0], [2])
    path = tmp_path / "int8.tflite"
    path.write_bytes(tflite.model(graph, buffers=[np.array([7, 8, 9], "i1")]))
    assert found(path, "sparsity-storage") == [
        ("sparse storage of y/kernel takes 1 byte more than all values would", "warning")
    ]


# --- samples --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [one for one in stored.NAMES if one.startswith("stripped")])
def test_what_was_stripped_is_clean(name):
    assert every(stored.path(name)) == set()
