"""The tables of operators against the registry of an installed TensorFlow, and frozen models."""

import importlib.util
import os
import subprocess
import sys

import pytest

import inspector
from inspector.graph import ops
from inspector.graph.bodies import CONSTANTS, VARIABLES
from inspector.graph.passing import ARITHMETIC, CALLS, OUTPUTS, PASSING, To
from inspector.model import Role
from tests.live.conftest import SCRIPTS

pytestmark = pytest.mark.live


REGISTERED = """
import sys
import tensorflow
from tensorflow.python.client import pywrap_tf_session as session
sys.stdout.buffer.write(session.TF_GetBuffer(session.TF_GetAllOpList()))
"""


@pytest.fixture(scope="module")
def registry():
    """The operators of a process of its own: converters register more wherever they run."""
    from tensorflow.core.framework import op_def_pb2

    done = subprocess.run([sys.executable, "-c", REGISTERED], capture_output=True, check=True)
    return {op.name: op for op in op_def_pb2.OpList.FromString(done.stdout).op}


def is_list(arg):
    return bool(arg.number_attr or arg.type_list_attr)


def test_the_names_of_operators_and_inputs_are_the_registrys(registry):
    known = ops.core_ops()
    for name, op in registry.items():
        assert known[name] == tuple(
            f"{arg.name}*" if is_list(arg) else arg.name for arg in op.input_arg
        )
    gone = set(known) - set(registry)
    spec = importlib.util.spec_from_file_location(
        "make_op_names", os.path.join(SCRIPTS, "make_op_names.py")
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert gone <= {line.split()[0] for line in script.GONE.split("\n") if line}


def test_every_row_of_the_tables_is_an_operator_with_that_input(registry):
    for op, name in ops.PLACES:
        assert name in {arg.name for arg in registry[op].input_arg}, (op, name)
    for op in ARITHMETIC | CONSTANTS | VARIABLES:
        assert op in registry


def test_operators_that_hand_on_have_the_inputs_and_outputs_that_they_are_said_to(registry):
    for name, way in PASSING.items():
        op = registry[name]
        inputs, outputs = list(op.input_arg), list(op.output_arg)
        assert inputs, name
        assert outputs, name
        listed = any(map(is_list, inputs))
        count = 3 if listed else len(inputs)
        assert any(way.takes(at, count) for at in range(count)), name
        several = len(outputs) > 1 or is_list(outputs[0])
        assert several or way.outputs is not To.EVERY, name
        if way.outputs is To.SAME:
            assert listed, name
            assert is_list(outputs[0]), name
    for name, outputs in OUTPUTS.items():
        assert outputs == tuple(arg.name for arg in registry[name].output_arg)


def test_operators_with_several_outputs_of_which_one_is_followed_have_names(registry):
    """A function's body refers to outputs by name: the others must not be taken for the first."""
    for name in PASSING:
        outputs = registry[name].output_arg
        if len(outputs) > 1:
            assert name in OUTPUTS


def test_calls_have_the_attributes_and_inputs_that_they_are_said_to(registry):
    for name, call in CALLS.items():
        op = registry[name]
        kinds = {attr.name: attr.type for attr in op.attr}
        assert all(kinds[attr] in {"func", "list(func)"} for attr in call.attrs), name
        functions = {attr for attr, kind in kinds.items() if kind in {"func", "list(func)"}}
        assert functions == set(call.attrs), name
        assert is_list(op.input_arg[call.first]), name


def test_quantized_operators_take_ranges_where_they_are_said_to(registry):
    """Each end of a range is a float scalar or vector beside what it is the range of."""
    for name, op in registry.items():
        for at, arg in enumerate(op.input_arg):
            if any(map(is_list, op.input_arg[: at + 1])) or name.startswith("_Mkl"):
                continue
            if ops.reading(name, at).role is Role.QUANT_PARAM:
                assert "uant" in name or name == "Requantize", (name, arg.name)


# --- frozen models: what Keras counts is what is read as weights and statistics -------------------


def freeze(model, shape, dtype="float32", *, lower=True):
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    call = tf.function(lambda x: model(x, training=False))
    concrete = call.get_concrete_function(tf.TensorSpec(shape, dtype))
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=lower)
    return frozen.graph.as_graph_def().SerializeToString()


def convnet(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.SeparableConv2D(6, 3),
            layers.DepthwiseConv2D(3),
            layers.Conv2DTranspose(2, 3),
            layers.BatchNormalization(scale=False, center=False),
            layers.Flatten(),
            layers.Dense(10),
            layers.PReLU(),
            layers.LayerNormalization(),
        ]
    ), (1, 8, 8, 3)


def recurrent(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((5, 3), batch_size=2),
            layers.LSTM(4, return_sequences=True),
            layers.GRU(3, return_sequences=True),
            layers.Bidirectional(layers.LSTM(2)),
            layers.Dense(2),
        ]
    ), (2, 5, 3)


def embedded(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(20, 8),
            layers.GlobalAveragePooling1D(),
            layers.BatchNormalization(),
            layers.Dense(3),
        ]
    ), (None, 6)


def attention(keras):
    layers = keras.layers
    start = keras.Input((6, 8))
    inner = layers.MultiHeadAttention(2, 4)(start, start)
    end = layers.Dense(2)(layers.LayerNormalization()(layers.Add()([inner, start])))
    return keras.Model(start, end), (2, 6, 8)


def mobilenet(keras):
    made = keras.applications.MobileNetV2(
        weights=None, input_shape=(32, 32, 3), alpha=0.35, classes=3
    )
    return made, (1, 32, 32, 3)


@pytest.mark.parametrize("lower", [True, False], ids=["lowered", "functional"])
@pytest.mark.parametrize("make", [convnet, recurrent, embedded, attention, mobilenet])
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_frozen_models_weights_and_statistics_are_the_models(library, make, lower, tmp_path):
    keras = importlib.import_module(library)
    model, shape = make(keras)
    path = tmp_path / "model.pb"
    dtype = "int32" if make is embedded else "float32"
    path.write_bytes(freeze(model, shape, dtype, lower=lower))
    (artifact,) = inspector.show([path]).artifacts
    found = {role: one.elements for role, one in artifact.roles.items() if one.elements}
    trained = sum(int(weight.shape.num_elements() if hasattr(weight.shape, "num_elements")
                      else weight.numpy().size) for weight in model.trainable_weights)  # fmt: skip
    others = model.count_params() - trained
    assert found.pop("weight") == trained
    assert found.pop("statistic", 0) == others
    assert set(found) <= {"constant"}


def test_ranges_of_quantization_aware_training_are_told_from_weights(tmp_path):
    import tf_keras as keras
    from tensorflow_model_optimization.quantization.keras import quantize_model

    layers = keras.layers
    model = quantize_model(
        keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.ReLU(),
                          layers.Flatten(), layers.Dense(10)])
    )  # fmt: skip
    path = tmp_path / "qat.pb"
    path.write_bytes(freeze(model, (1, 8, 8, 3)))
    (artifact,) = inspector.show([path]).artifacts
    ends = [w for w in model.weights if w.name.rpartition("_")[2] in {"min:0", "max:0"}]
    assert artifact.roles["weight"].elements == sum(w.numpy().size for w in model.trainable_weights)
    assert artifact.roles["quant_param"].elements == sum(w.numpy().size for w in ends)


def tf1(build):
    """A GraphDef for inference, and the one that trains, of TensorFlow 1's way."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default() as made, v1.Session(graph=made) as session:
        out = build(v1)
        session.run(v1.global_variables_initializer())
        frozen = v1.graph_util.convert_variables_to_constants(
            session, made.as_graph_def(), [out.op.name]
        )
    return frozen.SerializeToString(), made.as_graph_def().SerializeToString()


def roles(path):
    (artifact,) = inspector.show([path]).artifacts
    return {tensor.name: tensor.role for tensor in artifact.tensors}


def test_masks_of_old_pruning_are_told_by_what_they_are_multiplied_with(tmp_path):
    def build(v1):
        import tensorflow as tf

        x = v1.placeholder(tf.float32, (2, 4))
        with v1.variable_scope("fc", use_resource=False):
            weight = v1.get_variable("weights", (4, 6))
            mask = v1.get_variable("mask", (4, 6), trainable=False)
            masked = tf.multiply(weight, mask, "masked_weight")
            return tf.nn.bias_add(tf.matmul(x, masked), v1.get_variable("biases", (6,)))

    path = tmp_path / "pruned.pb"
    path.write_bytes(tf1(build)[0])
    assert {name: role for name, role in roles(path).items() if name.startswith("fc/")} == {
        "fc/weights": "weight",
        "fc/mask": "mask",
        "fc/biases": "weight",
    }


def test_normalization_that_is_written_out_is_told_by_its_structure(tmp_path):
    def build(v1):
        import tensorflow as tf

        x = v1.placeholder(tf.float32, (2, 4))
        one = {name: v1.get_variable(name, (4,)) for name in ("a", "b", "c", "d")}
        out = tf.nn.batch_normalization(x, one["a"], one["b"], one["c"], one["d"], 1e-3)
        return tf.identity(out)

    path = tmp_path / "norm.pb"
    path.write_bytes(tf1(build)[0])
    found = roles(path)
    assert [found[name] for name in "abcd"] == ["statistic", "statistic", "weight", "weight"]
