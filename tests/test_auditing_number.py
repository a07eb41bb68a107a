"""Values that are wrong, and next to each what is like it and sound. Counts are made by hand."""

import h5py
import ml_dtypes
import numpy as np
import pytest

from inspector.auditing.look import audit_context
from inspector.auditing.policy import Numbers, Policy
from inspector.auditing.rules.number import RULES
from tests.builders import cases, hdf5, tflite

KERNEL = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]], "f4") / 16
BIAS = np.zeros(3, "f4")
ONES, ZEROS = np.ones(3, "f4"), np.zeros(3, "f4")


def found(path, code, policy=None):
    """What the rule of that code says of a file."""
    (rule,) = (one for one in RULES if one.code == code)
    with audit_context(path, policy) as context:
        assert context.error is None
        return [(one.message, str(one.severity or rule.severity)) for one in rule.check(context)]


def every(path):
    """The codes of all rules of the family that find something."""
    with audit_context(path) as context:
        return {rule.code for rule in RULES if list(rule.check(context))}


def dense(tmp_path, kernel=KERNEL, bias=BIAS, **more):
    weights = {"dense": {"dense/kernel:0": kernel, "dense/bias:0": bias}}
    config = cases.sequential(cases.dense("dense", 3))
    return cases.legacy(tmp_path / "m.h5", weights, config, **more)


def norm(tmp_path, **values):
    held = {"gamma": ONES, "beta": ZEROS, "moving_mean": ZEROS, "moving_variance": ONES, **values}
    weights = {"bn": {f"bn/{name}:0": value for name, value in held.items()}}
    config = cases.sequential(cases.norm("bn"))
    return cases.legacy(tmp_path / "m.h5", weights, config)


def changed(array, *places):
    """A copy with other values at flat places."""
    copy = np.array(array)
    for place, value in places:
        copy.flat[place] = value
    return copy


def test_a_sound_model_with_a_fresh_bias_has_no_findings(tmp_path):
    assert every(dense(tmp_path)) == set()


def test_a_fresh_batch_normalization_has_no_findings(tmp_path):
    assert every(norm(tmp_path)) == set()


def test_nan_is_counted(tmp_path):
    kernel = changed(KERNEL, (0, np.nan), (5, np.nan))
    assert found(dense(tmp_path, kernel), "number-nan") == [
        ("2 of 12 values of dense/kernel are NaN", "error")
    ]


def test_infinity_is_counted_and_is_no_range(tmp_path):
    path = dense(tmp_path, changed(KERNEL, (3, -np.inf)))
    assert found(path, "number-inf") == [("1 of 12 values of dense/kernel is infinite", "error")]
    assert every(path) == {"number-inf"}


def test_nan_in_the_optimizer_is_a_warning(tmp_path):
    slots = cases.adam(dense__kernel=KERNEL, dense__bias=BIAS)
    slots["Adam/m/dense/bias:0"] = changed(BIAS, (0, np.nan))
    path = dense(tmp_path, optimizer=slots, training=cases.ADAM)
    ((message, severity),) = found(path, "number-nan")
    assert message.startswith("1 of 3 values of ")
    assert severity == "warning"


def test_denormals_past_the_share_of_the_policy_are_found(tmp_path):
    # 3 of 12 is 25 %. The least normal float32 is 1.1754944e-38.
    kernel = changed(KERNEL, (0, 1e-40), (1, -1e-40), (2, 1e-45), (3, 1.1754944e-38))
    path = dense(tmp_path, kernel)
    assert found(path, "number-denormal") == [
        ("3 of 12 values of dense/kernel are denormal", "warning")
    ]
    assert found(path, "number-denormal", Policy(numbers=Numbers(denormals=0.25))) == []


def test_zeros_are_no_denormals(tmp_path):
    assert found(dense(tmp_path, changed(KERNEL, (0, 0), (1, -0.0))), "number-denormal") == []


def test_denormals_of_half_precision_have_bounds_of_their_own(tmp_path):
    # The least normal float16 is 2 ** -14 = 6.1e-5; of bfloat16 it is that of float32.
    half = changed(KERNEL.astype("f2"), (0, 2.0**-15))
    brain = changed(KERNEL.astype(ml_dtypes.bfloat16), (0, 2.0**-15))
    paths = [
        cases.archive(
            tmp_path / f"{one.dtype.name}.keras",
            cases.keras3(cases.sequential(cases.dense("dense", 3))),
            {"layers/dense": (one, BIAS.astype(one.dtype))},
            version=cases.KERAS3,
        )
        for one in (half, brain)
    ]
    assert [len(found(path, "number-denormal")) for path in paths] == [1, 0]


def test_a_kernel_of_one_value_is_found(tmp_path):
    path = dense(tmp_path, np.full((4, 3), 0.5, "f4"))
    assert found(path, "number-constant") == [("all 12 values of dense/kernel are 0.5", "warning")]


@pytest.mark.parametrize(
    "kernel",
    [
        changed(np.full((4, 3), 0.5, "f4"), (0, 0.25)),
        np.zeros((4, 3), "f4"),
        np.full((2, 3), 0.5, "f4"),
    ],
    ids=["one value differs", "all are zero", "few values"],
)
def test_a_kernel_of_several_values_or_of_few_or_of_zeros_is_not_constant(tmp_path, kernel):
    assert found(dense(tmp_path, kernel), "number-constant") == []


def test_a_constant_kernel_that_is_not_trained_is_information(tmp_path):
    config = cases.sequential(cases.dense("dense", 3, trainable=False))
    weights = {"dense": {"dense/kernel:0": np.ones((4, 3), "f4"), "dense/bias:0": BIAS}}
    path = cases.legacy(tmp_path / "m.h5", weights, config)
    assert found(path, "number-constant") == [("all 12 values of dense/kernel are 1", "info")]


def test_statistics_never_updated_beside_a_trained_gamma_are_found(tmp_path):
    path = norm(tmp_path, gamma=np.array([0.5, 1, 1.5], "f4"))
    assert found(path, "number-uninitialised") == [
        ("the statistics of bn are as made: means 0 and variances 1, 3 each", "warning")
    ]


def test_statistics_that_were_updated_are_not_found(tmp_path):
    gamma, mean = np.array([0.5, 1, 1.5], "f4"), np.array([0, 0, 0.1], "f4")
    assert found(norm(tmp_path, gamma=gamma, moving_mean=mean), "number-uninitialised") == []


def never(group, name):
    group.create_dataset(name, (4, 3), "f4")


def written(group, name):
    group.create_dataset(name, data=np.zeros((4, 3), "f4"))


@pytest.mark.parametrize(("make", "count"), [(never, 1), (written, 0)])
def test_a_dataset_that_was_never_written_is_found_and_zeros_are_not(tmp_path, make, count):
    layers = {"dense": {"dense/kernel:0": make, "dense/bias:0": BIAS}}
    path = hdf5.whole_model(tmp_path / "m.h5", layers)
    with h5py.File(path) as file:  # h5py makes the space only once something is written
        assert (file["model_weights/dense/dense/kernel:0"].id.get_offset() is None) == bool(count)
    said = found(path, "number-uninitialised")
    assert len(said) == count
    if count:
        assert said == [("none of 12 values of dense/kernel was ever written", "warning")]


def test_a_value_past_the_bound_of_the_policy_is_found(tmp_path):
    path = dense(tmp_path, changed(KERNEL, (0, -12000.5)))
    assert found(path, "number-range") == [
        ("the largest magnitude of dense/kernel is 12000.5", "warning")
    ]
    assert found(path, "number-range", Policy(numbers=Numbers(largest=12001))) == []


def test_statistics_may_be_as_large_as_the_data(tmp_path):
    assert found(norm(tmp_path, moving_variance=ONES * 1e6), "number-range") == []


def test_a_negative_variance_is_found(tmp_path):
    path = norm(tmp_path, moving_variance=np.array([0, 1, -0.5], "f4"))
    assert found(path, "number-negative-variance") == [
        ("the least variance of bn/moving_variance is -0.5", "error")
    ]


def test_a_variance_of_zero_and_a_negative_mean_are_sound(tmp_path):
    path = norm(tmp_path, moving_variance=np.array([0, 1, 2], "f4"), moving_mean=-ONES)
    assert found(path, "number-negative-variance") == []


@pytest.mark.parametrize(
    ("kernel", "bias", "wanted"),
    [
        ("f4", "f8", [("1 tensor of 3 values is float64 among 2 tensors of floats", "warning")]),
        ("f8", "f8", [("2 tensors of 15 values are float64", "info")]),
        ("f4", "f4", []),
    ],
)
def test_float64_among_others_is_a_warning_and_throughout_information(
    tmp_path, kernel, bias, wanted
):
    path = dense(tmp_path, KERNEL.astype(kernel), BIAS.astype(bias))
    assert found(path, "number-float64") == wanted


def columns(*dead):
    kernel = KERNEL.copy()
    kernel[:, list(dead)] = 0
    return kernel


@pytest.mark.parametrize(
    ("dead", "wanted"),
    [
        ((), []),
        ((1,), [("1 of 3 output channels of dense/kernel is wholly zero", "info")]),
        ((0, 1), [("2 of 3 output channels of dense/kernel are wholly zero", "warning")]),
        ((0, 1, 2), []),  # the whole kernel: another rule's
    ],
)
def test_dead_channels_are_counted(tmp_path, dead, wanted):
    assert found(dense(tmp_path, columns(*dead)), "number-dead-channel") == wanted


def test_a_row_of_zeros_is_no_dead_output(tmp_path):
    kernel = KERNEL.copy()
    kernel[1] = 0
    assert found(dense(tmp_path, kernel), "number-dead-channel") == []


def test_dead_channels_that_a_mask_explains_are_information(tmp_path):
    kernel = columns(0, 1)
    config = cases.sequential(cases.pruned(cases.dense("dense", 3)))
    weights = cases.wrapped_weights(
        {"dense": {"dense/kernel:0": kernel, "dense/bias:0": BIAS}}, {"dense": "dense/kernel:0"}
    )
    path = cases.legacy(tmp_path / "m.h5", weights, config)
    ((message, severity),) = found(path, "number-dead-channel")
    assert message.startswith("2 of 3 output channels of ")
    assert severity == "info"


@pytest.mark.parametrize(
    ("op", "shape", "side"),
    [
        ("FULLY_CONNECTED", (3, 8), 0),
        ("CONV_2D", (3, 2, 2, 2), 0),
        ("DEPTHWISE_CONV_2D", (1, 2, 2, 3), 3),
    ],
)
def test_outputs_of_a_converted_kernel_are_found_on_their_own_side(tmp_path, op, shape, side):
    kernel = np.arange(1, 1 + np.prod(shape), dtype="f4").reshape(shape)
    index = [slice(None)] * len(shape)
    index[side] = [0, 2]
    kernel[tuple(index)] = 0
    graph = tflite.graph(
        [
            tflite.tensor("x", (1, 2, 2, 2)),
            tflite.tensor("k", shape, buffer=1),
            tflite.tensor("y", (1, 3)),
        ],
        [tflite.op(op, [0, 1], [2])],
        [0],
        [2],
    )
    path = tmp_path / "m.tflite"
    path.write_bytes(tflite.model(graph, buffers=[kernel]))
    ((message, severity),) = found(path, "number-dead-channel")
    assert message.startswith("2 of 3 output channels of ")
    assert severity == "warning"
