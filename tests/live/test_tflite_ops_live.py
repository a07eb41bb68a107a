"""What operators take, and what they cost, against the Keras models that were converted."""

import math

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from inspector.model import Role
from inspector.storage import MemorySource
from inspector.tflite.macs import macs
from inspector.tflite.ops import operand_role, reading
from inspector.wire.tflite_model import read_model
from inspector.wire.tflite_values import payload_of
from tests.live import tflite_models
from tests.live.tflite_models import made

KERAS = {
    "offsets": tflite_models.plain_cnn,
    "lstm": tflite_models.lstm,
    "transposed": tflite_models.transposed,
}


def constants(model):
    """(what an operator takes it for, the tensor, its values) of each use of a constant."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            for place, index in enumerate(operator.inputs):
                if index < 0 or model.data(graph.tensors[index]) is None:
                    continue
                tensor = graph.tensors[index]
                name = model.code(operator).name
                found = reading(name, place, len(operator.inputs))
                payload = payload_of(model, tensor)
                yield (
                    found,
                    tensor,
                    None if payload is None else np.concatenate(list(payload.blocks(1 << 20))),
                )


@pytest.mark.parametrize("which", KERAS)
def test_weights_are_the_layers_weights_and_constants_are_not(which):
    model = read_model(MemorySource(made(which), which))
    known = np.concatenate([one.reshape(-1) for one in KERAS[which]().get_weights()])
    counted = 0
    for found, tensor, values in constants(model):
        if found.role is Role.WEIGHT:
            assert np.isin(values, known).all()
            counted += values.size
        else:
            assert found.role is Role.CONSTANT
            assert tensor.dtype == "int32"
    # Biases that are all 0 are left out.
    kernels = sum(one.size for one in KERAS[which]().get_weights() if one.any())
    assert kernels <= counted <= known.size


def test_gates_of_an_lstm_are_told_apart_by_their_places():
    model = read_model(MemorySource(made("lstm"), "lstm"))
    layers = [layer for layer in tflite_models.lstm().layers if "dense" not in layer.name]
    by_variable = {"kernel": [], "recurrent_kernel": [], "bias": []}
    for layer in layers:
        weights = layer.get_weights()
        for start in range(0, len(weights), 3):
            for variable, value in zip(by_variable, weights[start : start + 3], strict=True):
                # Keras has the gates beside each other, and LiteRT each in its own tensor.
                by_variable[variable] += [np.asarray(one) for one in np.split(value, 4, axis=-1)]
    seen = dict.fromkeys(by_variable, 0)
    graph = model.subgraphs[0]
    for operator in graph.operators:
        if model.code(operator).name != "UNIDIRECTIONAL_SEQUENCE_LSTM":
            continue
        for place, index in enumerate(operator.inputs):
            found = reading("UNIDIRECTIONAL_SEQUENCE_LSTM", place, len(operator.inputs))
            if index < 0 or found.role is not Role.WEIGHT:
                continue
            tensor = graph.tensors[index]
            values = np.concatenate(list(payload_of(model, tensor).blocks(1 << 20)))
            values = values.reshape(tensor.shape).T
            assert any(np.array_equal(values, one) for one in by_variable[found.variable])
            seen[found.variable] += 1
    # Three layers (one of them in two directions), four gates each.
    assert seen == {"kernel": 12, "recurrent_kernel": 12, "bias": 12}


def test_a_batch_normalization_s_multipliers_are_weights():
    layers = tflite_models.keras.layers
    keras = tflite_models.keras.Sequential(
        [layers.Input((4, 4, 3), batch_size=1), layers.ReLU(), layers.BatchNormalization()]
    )
    keras.set_weights([np.arange(1, 4, dtype="f4") + one for one in range(4)])
    model = read_model(MemorySource(bytes(tflite_models.convert(keras)), "m"))
    roles = {
        tensor.shape: operand_role(tensor.dtype, tensor.shape, quantized=False)
        for found, tensor, _ in constants(model)
        if found.role is None
    }
    assert roles
    assert set(roles.values()) == {Role.WEIGHT}


@pytest.mark.parametrize("which", ["shapes", "flow", "table"])
def test_what_is_no_weight_is_told_by_its_place(which):
    model = read_model(MemorySource(made(which), which))
    for found, tensor, _ in constants(model):
        assert found is not None
        if tensor.dtype in ("string", "int64"):
            assert found.role in (Role.LOOKUP, Role.CONSTANT)
        if found.role is Role.WEIGHT:
            assert tensor.dtype == "float32"


# TensorFlow's name of an operator -> LiteRT's.
SAME = {
    "Conv2D": "CONV_2D",
    "DepthwiseConv2dNative": "DEPTHWISE_CONV_2D",
    "Conv2DBackpropInput": "TRANSPOSE_CONV",
    "MatMul": "FULLY_CONNECTED",
}


@pytest.mark.parametrize("which", ["float", "offsets", "transposed", "sparse_float"])
def test_products_are_as_many_as_tensorflow_s_profiler_counts(which):
    make = {
        "float": tflite_models.cnn,
        "sparse_float": lambda: tflite_models.mlp(False),
        **KERAS,
    }[which]
    keras = make()
    function = tf.function(keras).get_concrete_function(tf.TensorSpec((1, *keras.input_shape[1:])))
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder.float_operation()
    told = profiler.profile(
        convert_variables_to_constants_v2(function).graph,
        options=profiler.ProfileOptionBuilder(options).with_empty_output().build(),
        cmd="op",
    )
    expected, waiting = {}, [told]
    while waiting:
        one = waiting.pop()
        waiting += one.children
        if one.name in SAME:
            expected[SAME[one.name]] = one.float_ops // 2  # a product and a sum each
    raw = made(which) if which != "sparse_float" else bytes(tflite_models.convert(keras))
    model = read_model(MemorySource(raw, which))
    graph, found = model.subgraphs[0], {}
    for operator in graph.operators:
        counted = macs(model, graph, operator)
        if counted is not None:
            name = model.code(operator).name
            found[name] = found.get(name, 0) + counted.count
    assert found == expected
    assert all(math.isfinite(one) for one in found.values())
