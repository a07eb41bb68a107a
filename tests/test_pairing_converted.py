"""A .tflite file built by hand, held against the layers that it could have been converted of."""

from contextlib import ExitStack

import numpy as np
import pytest

import inspector
from inspector.classify import classify
from inspector.pairing import Side, agreement, pair
from inspector.pairing.fits import fits
from tests.builders.flatbuffers import flatbuffer
from tests.builders.hdf5 import weights_file
from tests.builders.tflite import graph, op, tensor, values

RNG = np.random.default_rng(1)
K1, B1 = RNG.normal(size=(4, 3)).astype("f4"), RNG.normal(size=3).astype("f4")
K2, B2 = RNG.normal(size=(3, 3)).astype("f4"), RNG.normal(size=3).astype("f4")


def keras(folder, **layers):
    """A weights file with the variables of each layer."""
    named = {
        layer: {f"{layer}/{name}:0": value for name, value in variables.items()}
        for layer, variables in layers.items()
    }
    return weights_file(folder / "m.weights.h5", named)


def lite(folder, *dense, names=None):
    """FULLY_CONNECTED after FULLY_CONNECTED: of each a (kernel, bias or None), or a kernel index
    to use again. A kernel may be (integers, scales)."""
    tensors, operators, buffers, kernels = [tensor("x", (1, 4))], [], [], []

    def add(name, value):
        scales = None
        if isinstance(value, tuple):
            value, scales = value
        buffers.append(value)
        more = {} if scales is None else {"scale": scales}
        tensors.append(tensor(name, value.shape, value.dtype.name, len(buffers), **more))
        return len(tensors) - 1

    last = 0
    for at, (kernel, bias) in enumerate(dense):
        name = (names or [f"arith{i}" for i in range(9)])[at]
        index = kernels[kernel] if isinstance(kernel, int) else add(f"{name}/MatMul", kernel)
        kernels.append(index)
        inputs = [last, index, -1 if bias is None else add(f"{name}/BiasAdd", bias)]
        tensors.append(tensor(f"{name}/out", (1, 3)))
        last = len(tensors) - 1
        operators.append(op("FULLY_CONNECTED", inputs, [last]))
    content = values(graph(tensors, operators, [0], [last], "main"), buffers=buffers)
    path = folder / "m.tflite"
    path.write_bytes(flatbuffer(content))
    return str(path)


@pytest.fixture
def paired():
    with ExitStack() as stack:

        def make(a, b):
            sides = []
            for name in (a, b):
                artifact = stack.enter_context(inspector.open(name)).artifact
                sides.append(Side(artifact, classify(artifact).verdicts))
            return pair(*sides)

        yield make


def told(found):
    return {
        one.a.name: (one.b.name, one.change.kind if one.change else None, agreement(one).agrees)
        for one in found.pairs
    }


def two_layers(tmp_path):
    return keras(tmp_path, dense={"kernel": K1, "bias": B1}, dense_1={"kernel": K2, "bias": B2})


def test_kernels_are_turned_and_biases_stay(paired, tmp_path):
    found = paired(two_layers(tmp_path), lite(tmp_path, (K1.T.copy(), B1), (K2.T.copy(), B2)))
    assert told(found) == {
        "dense/dense/kernel:0": ("arith0/MatMul", "transposed", True),
        "dense/dense/bias:0": ("arith0/BiasAdd", None, True),
        "dense_1/dense_1/kernel:0": ("arith1/MatMul", "transposed", True),
        "dense_1/dense_1/bias:0": ("arith1/BiasAdd", None, True),
    }
    assert found.only_a == ()


def test_from_the_file_to_its_model_the_pairs_are_the_same(paired, tmp_path):
    a, b = two_layers(tmp_path), lite(tmp_path, (K1.T.copy(), B1), (K2.T.copy(), B2))
    forth, back = paired(a, b), paired(b, a)
    assert {(x.a.name, x.b.name) for x in forth.pairs} == {(x.b.name, x.a.name) for x in back.pairs}
    assert all(x.change.backwards for x in back.pairs if x.change)
    assert all(agreement(x).agrees for x in back.pairs)


def test_layers_of_equal_shapes_without_a_name_are_told_by_their_values(paired, tmp_path):
    swapped = RNG.normal(size=(3, 3)).astype("f4")
    a = keras(tmp_path, p={"kernel": K2, "bias": B2}, q={"kernel": swapped, "bias": B1})
    found = paired(a, lite(tmp_path, (swapped.T.copy(), B1), (K2.T.copy(), B2)))
    assert told(found)["p/p/kernel:0"] == ("arith1/MatMul", "transposed", True)
    assert told(found)["q/q/kernel:0"] == ("arith0/MatMul", "transposed", True)


def test_one_changed_weight_is_named_and_the_others_agree(paired, tmp_path):
    wrong = K1.T.copy()
    wrong[2, 1] += 0.5
    b = lite(tmp_path, (wrong, B1), (K2.T.copy(), B2), names=["m/dense", "m/dense_1"])
    found = paired(two_layers(tmp_path), b)
    bad = [one for one in found.pairs if not agreement(one).agrees]
    assert [one.a.name for one in bad] == ["dense/dense/kernel:0"]
    held = agreement(bad[0])
    assert (held.differing, held.where) == (1, (2, 1))
    assert held.largest == pytest.approx(0.5)


def test_a_kernel_that_was_not_turned_is_named(paired, tmp_path):
    b = lite(
        tmp_path, (K1.T.copy(), B1), (K2.T.copy()[::-1].copy(), B2), names=["dense", "dense_1"]
    )
    found = paired(two_layers(tmp_path), b)
    bad = [one.a.name for one in found.pairs if not agreement(one).agrees]
    assert bad == ["dense_1/dense_1/kernel:0"]


def test_integers_are_held_against_the_floats_that_they_stand_for(paired, tmp_path):
    scale = float(np.abs(K1).max() / 127)
    codes = np.round(K1.T / np.float32(scale)).astype("i1")
    b = lite(tmp_path, ((codes, [scale]), B1), (K2.T.copy(), B2))
    found = paired(two_layers(tmp_path), b)
    (one,) = (x for x in found.pairs if x.a.name == "dense/dense/kernel:0")
    held = agreement(one)
    assert (one.change.kind, held.agrees) == ("transposed + quantized", True)
    off = np.abs(K1.T.astype("f8") - codes * np.float64(np.float32(scale)))
    assert held.in_scale_units == pytest.approx((off / scale).max(), abs=1e-5)
    assert held.largest == pytest.approx(off.max(), abs=1e-7)


def test_one_integer_that_is_off_is_named(paired, tmp_path):
    scale = float(np.abs(K1).max() / 127)
    codes = np.round(K1.T / np.float32(scale)).astype("i1")
    codes[1, 1] += 1 if codes[1, 1] < 0 else -1
    found = paired(two_layers(tmp_path), lite(tmp_path, ((codes, [scale]), B1), (K2.T.copy(), B2)))
    assert [x.a.name for x in found.pairs if not agreement(x).agrees] == ["dense/dense/kernel:0"]


def test_equal_constants_are_one_and_zero_biases_are_none(paired, tmp_path):
    ones, zeros = np.ones((3, 3), "f4"), np.zeros(3, "f4")
    a = keras(tmp_path, p={"kernel": ones, "bias": zeros}, q={"kernel": ones, "bias": zeros})
    found = paired(a, lite(tmp_path, (ones, None), (0, None)))
    assert [(x.a.name, x.shared) for x in found.pairs] == [
        ("p/p/kernel:0", False),
        ("q/q/kernel:0", True),
    ]
    assert found.gone_a == dict.fromkeys(("p/p/bias:0", "q/q/bias:0"), "all zero, left out")
    assert {one.name for one in found.only_a} == set(found.gone_a)


def test_a_bias_that_is_not_zero_is_missed(paired, tmp_path):
    found = paired(two_layers(tmp_path), lite(tmp_path, (K1.T.copy(), None), (K2.T.copy(), B2)))
    assert [one.name for one in found.only_a] == ["dense/dense/bias:0"]
    assert found.gone_a == {}


def test_a_layer_that_is_not_there_is_left_over(paired, tmp_path):
    found = paired(two_layers(tmp_path), lite(tmp_path, (K1.T.copy(), B1)))
    assert {one.name for one in found.only_a} == {
        "dense_1/dense_1/kernel:0",
        "dense_1/dense_1/bias:0",
    }
    assert found.gone_a == {}


def elementwise(folder, *steps):
    """Operators of two inputs in a row: of each its name, its constant's name and the constant,
    which SUB takes first."""
    tensors, operators, buffers = [tensor("x", (1, 6))], [], []
    for at, (name, called, value) in enumerate(steps):
        buffers.append(value)
        tensors.append(tensor(called, value.shape, value.dtype.name, len(buffers)))
        tensors.append(tensor(f"out{at}", (1, 6)))
        inputs = [2 * at, 2 * at + 1]
        operators.append(op(name, inputs[::-1] if name == "SUB" else inputs, [2 * at + 2]))
    content = values(graph(tensors, operators, [0], [2 * len(steps)], "main"), buffers=buffers)
    path = folder / "m.tflite"
    path.write_bytes(flatbuffer(content))
    return str(path)


def test_a_variable_of_one_element_is_told_from_the_graphs_own_numbers(paired, tmp_path):
    gamma, beta = np.array([[-0.7], [0.4]], "f4")
    a = keras(tmp_path, norm={"gamma": gamma, "beta": beta})
    steps = (
        ("ADD", "model/norm/epsilon", np.array(0.001, "f4")),
        ("MUL", "model/norm/mul/ReadVariableOp", gamma),
        ("ADD", "model/norm/add/ReadVariableOp", beta),
    )
    found = paired(a, elementwise(tmp_path, *steps))
    assert told(found) == {
        "norm/norm/gamma:0": ("model/norm/mul/ReadVariableOp", None, True),
        "norm/norm/beta:0": ("model/norm/add/ReadVariableOp", None, True),
    }
    wrong = (steps[0], steps[1], (*steps[2][:2], beta + 1))
    (tmp_path / "wrong").mkdir()
    found = paired(a, elementwise(tmp_path / "wrong", *wrong))
    assert [one.name for one in found.only_a] == ["norm/norm/beta:0"]


def test_zeros_of_an_operator_are_no_variable_of_as_many_elements(paired, tmp_path):
    offset = RNG.normal(size=6).astype("f4")
    a = keras(tmp_path, norm={"beta": offset})
    zeros = ("SUB", "arith.constant", np.zeros(6, "f4"))
    found = paired(a, elementwise(tmp_path, zeros))
    assert found.pairs == ()
    assert [one.name for one in found.only_a] == ["norm/norm/beta:0"]
    assert found.gone_b == {"arith.constant": "zeros, which the operator asks for"}


def test_what_no_layer_has_is_left_over(paired, tmp_path):
    extra = RNG.normal(size=(7, 9)).astype("f4")
    b = lite(tmp_path, (K1.T.copy(), B1), (K2.T.copy(), B2), (extra, None))
    assert [one.name for one in paired(two_layers(tmp_path), b).only_b if one.payload] == [
        "arith2/MatMul"
    ]


@pytest.mark.parametrize(
    ("op_name", "at", "a", "b", "axes"),
    [
        # Keras' shape, LiteRT's, and what numpy.transpose would need.
        ("FULLY_CONNECTED", 1, (4, 3), (3, 4), (1, 0)),
        ("CONV_2D", 1, (3, 2, 5, 7), (7, 3, 2, 5), (3, 0, 1, 2)),
        ("CONV_2D", 1, (3, 5, 7), (7, 1, 3, 5), (2, 0, 1)),  # Conv1D
        ("TRANSPOSE_CONV", 1, (3, 2, 7, 5), (7, 3, 2, 5), (2, 0, 1, 3)),
        ("DEPTHWISE_CONV_2D", 1, (3, 2, 5, 2), (1, 3, 2, 10), None),
        ("CONV_3D", 1, (2, 3, 4, 5, 6), (2, 3, 4, 5, 6), None),
        ("FULLY_CONNECTED", 1, (8, 2, 4), (8, 8), (1, 2, 0)),  # attention's query
        ("FULLY_CONNECTED", 1, (2, 4, 8), (8, 8), (2, 0, 1)),  # and its output
        ("GATHER", 0, (20, 6), (20, 6), None),
    ],
)
def test_a_variable_lies_in_an_operator_as_its_kernels_want_it(op_name, at, a, b, axes):
    found = fits(op_name, at, "kernel", a, b)
    assert axes in [one.axes for one in found]
    assert all(one.shape == b for one in found)


@pytest.mark.parametrize(("at", "gate"), [(1, 0), (2, 1), (3, 2), (4, 3)])
def test_a_sequence_lstm_takes_a_gate_at_each_input(at, gate):
    (one,) = fits("UNIDIRECTIONAL_SEQUENCE_LSTM", at, "kernel", (3, 20), (5, 3))
    assert (one.part.axis, one.part.start, one.part.stop) == (1, 5 * gate, 5 * gate + 5)
    assert fits("UNIDIRECTIONAL_SEQUENCE_LSTM", at, "recurrent_kernel", (3, 20), (5, 3)) == ()


def test_a_shape_that_does_not_fit_fits_nowhere():
    assert fits("FULLY_CONNECTED", 1, "kernel", (4, 3), (4, 4)) == ()
    assert fits("CONV_2D", 1, "kernel", (3, 3, 5, 7), (5, 3, 3, 7)) == ()
    assert fits("DEPTHWISE_CONV_2D", 1, None, (3, 3, 5, 2), (1, 3, 3, 5)) == ()
