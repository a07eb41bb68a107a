"""Quantization that is wrong, and next to it what is like it and sound. All made by hand."""

import numpy as np
import pytest

from inspector.auditing.look import audit_context
from inspector.auditing.policy import Numbers, Policy
from inspector.auditing.rules.quantization import RULES
from tests.builders import cases
from tests.builders.tflite import graph, model, op, tensor

INTEGER = Policy(integer=True)
# Four channels of 32 integers, each from -127 to 127: a kernel that uses what there is.
KERNEL = np.stack([np.roll(np.linspace(-127, 127, 32), k).round().astype("i1") for k in range(4)])


def run(path, code, policy=None):
    (rule,) = (one for one in RULES if one.code == code)
    with audit_context(path, policy) as context:
        assert context.error is None
        return [(one.message, str(one.severity or rule.severity)) for one in rule.check(context)]


def every(path, policy=None):
    with audit_context(path, policy) as context:
        assert context.error is None
        return {rule.code for rule in RULES if list(rule.check(context))}


def dense(tmp_path, kernel=KERNEL, *, kind="int8", zero=None, inner=(3,), made="int8", **scales):
    """A FULLY_CONNECTED of integers: x, kernel, y. inner: the zero point of x."""
    scale = scales.get("scale", [0.5] * len(kernel))
    points = {"zero_point": zero} if zero is not None else {}
    tensors = [
        tensor("x", (1, kernel.shape[1]), made, scale=[0.25], zero_point=list(inner)),
        tensor("k", kernel.shape, kind, buffer=1, scale=scale, axis=0, **points),
        tensor("y", (1, len(kernel)), made, scale=scales.get("out", [0.25]), zero_point=[0]),
    ]
    content = model(
        graph(tensors, [op("FULLY_CONNECTED", [0, 1], [2])], [0], [2]), buffers=[kernel]
    )
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    return path


def test_a_sound_integer_model_has_no_findings(tmp_path):
    assert every(dense(tmp_path)) == set()
    assert every(dense(tmp_path), INTEGER) == set()


# --- scales and zero points -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "wanted"),
    [
        ([0.5, 0.0, 0.5, 0.0], [("2 of 4 scales of y/kernel are 0", "error")]),
        ([0.5, -0.5, 0.5, 0.5], [("1 of 4 scales of y/kernel is negative", "error")]),
        ([0.5, 1e-40, 0.5, 0.5], [("1 of 4 scales of y/kernel is denormal", "warning")]),
        ([0.5, 1.2e-38, 0.5, 0.5], []),  # the least normal float32 is 1.18e-38
    ],
)
def test_scales_of_a_kernel_are_counted_by_what_is_wrong(tmp_path, scale, wanted):
    assert run(dense(tmp_path, scale=scale), "quant-scale") == wanted


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_a_scale_that_is_no_number_is_found(tmp_path, scale):
    path = dense(tmp_path, scale=[0.5, scale, 0.5, 0.5])
    ((message, severity),) = run(path, "quant-scale")
    assert message.endswith(" no finite number")
    assert severity == "error"


def test_a_scale_of_an_activation_is_looked_at(tmp_path):
    assert run(dense(tmp_path, out=[0.0]), "quant-scale") == [("1 of 1 scale of y is 0", "error")]


def test_a_scale_left_on_a_list_of_sides_is_nobodys(tmp_path):
    tensors = [
        tensor("x", (2, 2), "int8", scale=[0.5]),
        tensor("shape", (1,), "int32", buffer=1, scale=[0.0]),
        tensor("y", (4,), "int8", scale=[0.5]),
    ]
    path = tmp_path / "m.tflite"
    reshape = graph(tensors, [op("RESHAPE", [0, 1], [2])], [0], [2])
    path.write_bytes(model(reshape, buffers=[np.array([4], "i4")]))
    assert run(path, "quant-scale") == []


@pytest.mark.parametrize(("scales", "count"), [((0.1, 0.0, 0.2), 1), ((0.1, 0.3, 0.2), 0)])
def test_scales_that_are_variables_are_looked_at(tmp_path, scales, count):
    config = cases.keras3(
        cases.sequential(
            cases.dense(
                "dense",
                3,
                dtype={
                    "class_name": "QuantizedDTypePolicy",
                    "config": {"mode": "int8", "source_name": "float32"},
                },
            )
        )
    )
    kernel = KERNEL[:3].T
    held = (kernel, np.zeros(3, "f4"), np.array(scales, "f4"))
    path = cases.archive(tmp_path / "m.keras", config, {"layers/dense": held}, version=cases.KERAS3)
    wanted = [("1 of 3 scales of dense/kernel_scale is 0", "error")]
    assert run(path, "quant-scale") == wanted[:count]


@pytest.mark.parametrize(
    ("made", "point", "wanted"),
    [
        ("int8", 128, [("a zero point of x is 128, outside int8", "error")]),
        ("int8", -129, [("a zero point of x is -129, outside int8", "error")]),
        ("int8", -128, []),
        ("uint8", 255, []),
        ("uint8", -1, [("a zero point of x is -1, outside uint8", "error")]),
    ],
)
def test_a_zero_point_is_an_integer_of_its_dtype(tmp_path, made, point, wanted):
    assert run(dense(tmp_path, made=made, inner=[point]), "quant-zero-point") == wanted


def test_scales_fit_the_side_that_they_are_for(tmp_path):
    path = dense(tmp_path, scale=[0.5, 0.5, 0.5])
    assert run(path, "quant-mismatch") == [
        ("y/kernel has 3 scales on side 0, which has 4", "error")
    ]
    assert run(dense(tmp_path), "quant-mismatch") == []


def test_zero_points_are_as_many_as_scales(tmp_path):
    path = dense(tmp_path, zero=[0, 0, 0])
    assert run(path, "quant-mismatch") == [
        ("y/kernel has another number of zero points than 4 scales", "error")
    ]
    assert run(dense(tmp_path, zero=[0, 0, 0, 0]), "quant-mismatch") == []


# --- how the range is used --------------------------------------------------------------------


def spread(cut):
    """4 x 250 integers, 100 different ones, `cut` of them 127, and the rest below."""
    values = np.arange(1000) % 100 - 50
    values[:cut] = 127
    return values.reshape(4, 250).astype("i1")


def test_values_at_the_ends_past_the_share_of_the_policy_are_found(tmp_path):
    # One scale: two values are expected at the ends; 60 - 2 of 1,000 are more than 2 %.
    path = dense(tmp_path, spread(60), scale=[0.5])
    assert run(path, "quant-saturated") == [
        ("60 of 1,000 values of y/kernel are at an end of int8", "warning")
    ]
    assert run(path, "quant-saturated", Policy(numbers=Numbers(saturated=0.058))) == []


def test_the_largest_value_of_each_channel_is_at_an_end_by_design(tmp_path):
    path = dense(tmp_path)  # two of 32 values of each channel: 6 %
    assert run(path, "quant-saturated") == []


def test_a_clustered_kernel_has_many_values_at_its_ends(tmp_path):
    kernel = np.tile(np.array([-127, -40, 40, 127], "i1"), (4, 64))
    assert run(dense(tmp_path, kernel, scale=[0.5]), "quant-saturated") == []


def narrow(*channels):
    """The kernel with the values of some channels a quarter as large: 32 of 127 is 25 %."""
    kernel = KERNEL.astype("f4")
    kernel[list(channels)] /= 4
    return kernel.round().astype("i1")


@pytest.mark.parametrize(
    ("kernel", "scales", "wanted"),
    [
        (narrow(), 4, []),
        (
            narrow(2),
            4,
            [("1 of 4 channels of y/kernel uses less than 50 % of the range of int8", "info")],
        ),
        (
            narrow(0, 1, 2),
            4,
            [("3 of 4 channels of y/kernel use less than 50 % of the range of int8", "warning")],
        ),
        (
            narrow(0, 1, 2, 3),
            1,
            [("y/kernel uses less than 50 % of the range of int8", "warning")],
        ),
        (narrow(0, 1, 2), 1, []),  # one scale for all, and channel 3 uses it up
        (KERNEL * np.array([[1], [1], [0], [1]], "i1"), 4, []),  # a channel of zeros
        (np.abs(KERNEL), 1, []),  # all positive: the other half is the mirror of this one
    ],
)
def test_range_that_is_not_used_is_found_by_channel(tmp_path, kernel, scales, wanted):
    assert run(dense(tmp_path, kernel, scale=[0.5] * scales), "quant-range-unused") == wanted


def test_the_bound_is_the_policys(tmp_path):
    path = dense(tmp_path, narrow(0, 1, 2, 3), scale=[0.5])
    assert run(path, "quant-range-unused", Policy(numbers=Numbers(used_range=0.2))) == []


def test_an_asymmetric_range_is_from_the_least_to_the_greatest(tmp_path):
    # 100 integers from 100 to 199 of uint8: 99 / 254 is 39 %.
    kernel = (np.arange(200) % 100 + 100).reshape(4, 50).astype("u1")
    more = {"kind": "uint8", "made": "uint8", "scale": [0.5], "zero": [120]}
    path = dense(tmp_path, kernel, **more)
    assert run(path, "quant-range-unused") == [
        ("y/kernel uses less than 50 % of the range of uint8", "warning")
    ]
    wide = (np.arange(200) + 30).reshape(4, 50).astype("u1")
    assert run(dense(tmp_path, wide, **more), "quant-range-unused") == []


@pytest.mark.parametrize(("scales", "count"), [(1, 1), (4, 0)])
def test_a_depthwise_kernel_with_one_scale_is_told(tmp_path, scales, count):
    kernel = KERNEL.T.reshape(1, 4, 8, 4)
    tensors = [
        tensor("x", (1, 4, 8, 4), "int8", scale=[0.5]),
        tensor("k", kernel.shape, "int8", buffer=1, scale=[0.5] * scales, axis=3),
        tensor("y", (1, 1, 1, 4), "int8", scale=[0.5]),
    ]
    made = graph(tensors, [op("DEPTHWISE_CONV_2D", [0, 1], [2])], [0], [2])
    path = tmp_path / "m.tflite"
    path.write_bytes(model(made, buffers=[kernel]))
    wanted = [("1 of 1 depthwise kernel has one scale for all channels", "info")]
    assert run(path, "quant-per-tensor") == wanted[:count]


# --- floats among integers ---------------------------------------------------------------------


def chain(tmp_path, *steps, first="int8", kernel="int8"):
    """FULLY_CONNECTED of integers, then one operator after the other. steps: (word, dtype)."""
    tensors = [
        tensor("x", (1, 32), first, **({"scale": [0.5]} if first == "int8" else {})),
        tensor("k", KERNEL.shape, kernel, buffer=1, scale=[0.5]),
        tensor("t0", (1, 4), first, **({"scale": [0.5]} if first == "int8" else {})),
    ]
    operators = [op("FULLY_CONNECTED", [0, 1], [2])]
    for at, (word, dtype) in enumerate(steps):
        scaled = {"scale": [0.5]} if dtype == "int8" else {}
        tensors.append(tensor(f"t{at + 1}", (1, 4), dtype, **scaled))
        operators.append(op(word, [2 + at], [3 + at]))
    path = tmp_path / "m.tflite"
    ends = [len(tensors) - 1]
    path.write_bytes(model(graph(tensors, operators, [0], ends), buffers=[KERNEL]))
    return path


FLOAT_END = (("DEQUANTIZE", "float32"),)
FLOAT_SOFTMAX = (("DEQUANTIZE", "float32"), ("SOFTMAX", "float32"))
ISLAND = (("DEQUANTIZE", "float32"), ("ELU", "float32"), ("QUANTIZE", "int8"), ("RELU", "int8"))


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ((("SOFTMAX", "int8"),), []),
        (FLOAT_END, []),
        (FLOAT_SOFTMAX, [("1 of 3 operators computes with floats: 1 SOFTMAX", "warning")]),
        (ISLAND, [("1 of 5 operators computes with floats: 1 ELU", "warning")]),
        ((("DEQUANTIZE", "float32"), ("custom:Boxes", "float32")), []),
    ],
)
def test_what_computes_with_floats_in_an_integer_model_is_to_blame(tmp_path, steps, wanted):
    assert run(chain(tmp_path, *steps), "quant-float-activation") == wanted


def test_float_ends_are_errors_where_the_policy_asks_for_integers(tmp_path):
    assert run(chain(tmp_path, *FLOAT_END), "quant-float-activation", INTEGER) == [
        ("1 output of main is float32", "error")
    ]


def test_a_float_model_is_to_blame_only_where_the_policy_asks_for_integers(tmp_path):
    path = chain(tmp_path, ("RELU", "float32"), first="float32")  # hybrid: dynamic range
    assert run(path, "quant-float-activation") == []
    assert run(path, "quant-float-activation", INTEGER) == [
        ("2 of 2 operators compute with floats: 1 FULLY_CONNECTED, 1 RELU", "error"),
        ("1 input of main is float32", "error"),
        ("1 output of main is float32", "error"),
    ]


def test_a_model_that_is_no_converted_one_is_not_asked_for_integers(tmp_path):
    weights = {"dense": {"dense/kernel:0": np.eye(3, dtype="f4"), "dense/bias:0": np.ones(3, "f4")}}
    path = cases.legacy(tmp_path / "m.h5", weights, cases.sequential(cases.dense("dense", 3)))
    assert every(path, INTEGER) == set()


def test_an_island_of_floats_is_told(tmp_path):
    assert run(chain(tmp_path, *ISLAND), "quant-float-island") == [
        ("1 operator between DEQUANTIZE and QUANTIZE computes with floats: 1 ELU", "info")
    ]


@pytest.mark.parametrize(
    "steps",
    [FLOAT_SOFTMAX, (("DEQUANTIZE", "float32"), ("QUANTIZE", "int8"))],
    ids=["floats to the end", "nothing in between"],
)
def test_floats_that_do_not_come_back_are_no_island(tmp_path, steps):
    assert run(chain(tmp_path, *steps), "quant-float-island") == []


def test_hybrid_operators_are_told_where_others_compute_in_integers(tmp_path):
    kernel = KERNEL
    tensors = [
        tensor("x", (1, 32), "int8", scale=[0.5]),
        tensor("k", kernel.shape, "int8", buffer=1, scale=[0.5]),
        tensor("y", (1, 4), "int8", scale=[0.5]),
        tensor("f", (1, 4)),
        tensor("k2", (8, 4), "int8", buffer=2, scale=[0.5]),
        tensor("z", (1, 8)),
    ]
    operators = [
        op("FULLY_CONNECTED", [0, 1], [2]),
        op("DEQUANTIZE", [2], [3]),
        op("FULLY_CONNECTED", [3, 4], [5]),
    ]
    path = tmp_path / "m.tflite"
    path.write_bytes(
        model(graph(tensors, operators, [0], [5]), buffers=[kernel, kernel.reshape(32, 4)[:8]])
    )
    message = "1 of 3 operators is hybrid, integer weights with float activations"
    assert run(path, "quant-hybrid") == [(f"{message}: 1 FULLY_CONNECTED", "info")]
    assert run(path, "quant-hybrid", INTEGER) == [(f"{message}: 1 FULLY_CONNECTED", "warning")]


def test_dynamic_range_is_hybrid_by_design(tmp_path):
    assert run(chain(tmp_path, first="float32"), "quant-hybrid") == []


# --- quantization-aware training ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 0, []),  # a kernel of zeros
        (-6, 6, [("the range of quant_dense/kernel is as made: -6 to 6", "warning")]),
        (-5.98, 5.99, [("the range of quant_dense/kernel is nearly as made: -6 to 6", "info")]),
        (-5.5, 6, []),
        (0, 6, []),
    ],
)
def test_a_range_that_training_never_moved_is_found(tmp_path, low, high, wanted):
    config = cases.sequential(cases.quantized(cases.dense("dense", 3), ["kernel"]))
    own = {
        "kernel_min": low,
        "kernel_max": high,
        "post_activation_min": -1,
        "post_activation_max": 1,
    }
    weights = {
        "quant_dense": {
            "dense/kernel:0": np.eye(3, dtype="f4"),
            "dense/bias:0": np.zeros(3, "f4"),
            "quant_dense/optimizer_step:0": cases.scalar(-1, "int32"),
            **{f"quant_dense/{name}:0": cases.scalar(one) for name, one in own.items()},
        }
    }
    path = cases.legacy(tmp_path / "m.h5", weights, config)
    assert run(path, "quant-uncalibrated") == wanted


@pytest.mark.parametrize(("high", "count"), [(0, 1), (1, 0)])
def test_a_range_of_inputs_is_made_from_0_to_0(tmp_path, high, count):
    config = cases.sequential(cases.quantize_layer())
    values = {"min": cases.scalar(0), "max": cases.scalar(high)}
    held = {f"quantize_layer/quantize_layer_{end}:0": one for end, one in values.items()}
    held["quantize_layer/optimizer_step:0"] = cases.scalar(-1, "int32")
    path = cases.legacy(tmp_path / "m.h5", {"quantize_layer": held}, config)
    said = "the range of quantize_layer/quantize_layer is as made: 0 to 0"
    assert run(path, "quant-uncalibrated") == [(said, "warning")][:count]
