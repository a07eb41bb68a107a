"""What could run code on load is told from the bytes, and what could not is left in peace."""

import pytest

import inspector
from inspector.keras.config import parse_model
from inspector.live.dangers import dangers
from inspector.model import Artifact, Flavor, Operator, Tensor
from tests.builders import cases as c
from tests.builders import samples

# As Keras 2 and Keras 3 keep a lambda.
MARSHALLED = ["4wEAAAAAAAAAAAAAAAIAAABDAAAA\n", None, None]
KERAS3_LAMBDA = {
    "class_name": "__lambda__",
    "config": {"code": "4wEAAAAAAAAA\n", "defaults": None, "closure": None},
}


def artifact(config, flavor=Flavor.TF_KERAS, form="keras-h5"):
    model = parse_model(config, flavor)
    return Artifact("m.h5", form, "", (), (), {}, model=model, flavor=flavor)


def graph(*operators, form="frozen-graph"):
    return Artifact("g.pb", form, "", (), (), {}, operators=operators)


def of(*nodes, flavor=Flavor.TF_KERAS, form="keras-h5"):
    return dangers(artifact(c.sequential(c.dense("a", 4), *nodes), flavor, form))


def serialized(name, module, config=None, registered=None):
    """An object as Keras 2.12 and newer write it."""
    return {
        "class_name": name,
        "module": module,
        "config": {} if config is None else config,
        "registered_name": registered,
    }


# --- samples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in samples.NAMES if n != "k3_npz.keras"])
def test_samples_can_run_no_code(name):
    with inspector.open(samples.path(name)) as opened:
        assert dangers(opened.artifact) == ()


def test_weights_that_are_pickled_are_a_danger():
    with inspector.open(samples.path("k3_npz.keras")) as opened:
        (said,) = dangers(opened.artifact)
    assert "pickled" in said


# --- code in the config -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"function": MARSHALLED, "function_type": "lambda"},
        {"function": KERAS3_LAMBDA},
        {"function": "scale", "function_type": "function", "output_shape_type": "lambda"},
    ],
)
def test_a_lambda_keeps_code(config):
    (said, *_) = of(c.layer("Lambda", "twice", **config))
    assert said.startswith("the Lambda layer 'twice' keeps Python code")


def test_a_lambda_that_names_its_function_calls_it():
    named = {"function": "scale", "function_type": "function", "output_shape_type": "raw"}
    (said,) = of(c.layer("Lambda", "twice", **named))
    assert said == "the Lambda layer 'twice' calls a Python function that its config names"


def test_each_lambda_is_named():
    found = of(*(c.layer("Lambda", name, function=MARSHALLED) for name in ("x", "y", "z")))
    assert [one.split("'")[1] for one in found] == ["x", "y", "z"]


def test_a_lambda_inside_a_nested_model_or_a_wrapper_is_found():
    inner = c.sequential(c.layer("Lambda", "deep", function=MARSHALLED), name="inner")
    wrapped = c.layer("TimeDistributed", "each", layer=c.layer("Lambda", "held", function="f"))
    assert [one.split("'")[1] for one in of(inner, wrapped)] == ["deep", "held"]


def test_code_elsewhere_in_a_config_is_found():
    (said,) = of(c.dense("b", 4, activation=KERAS3_LAMBDA))
    assert "'b' keeps Python code" in said


def test_a_lambda_that_is_no_layer_by_its_place_is_found():
    hidden = {"class_name": "Lambda", "config": {"function": MARSHALLED}}
    (said,) = of(c.dense("b", 4, kernel_initializer=hidden))
    assert said.startswith("'Lambda' in the layer 'b' keeps Python code")


def test_a_text_that_reads_like_one_is_none():
    assert of(c.dense("Lambda", 4), c.dense("__lambda__", 4)) == ()


# --- other code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["kernel_initializer", "activation", "bias_regularizer"])
def test_a_module_outside_keras_is_a_danger_wherever_it_stands(key):
    (said,) = of(c.dense("b", 4, **{key: serialized("function", "os", "system")}))
    assert said.startswith("system of the module os, which loading may import and call")
    assert "'b'" in said


@pytest.mark.parametrize(
    "module",
    [
        "keras.utils",
        "keras.src.utils.file_utils",
        "keras.saving",
        "keras.applications",
        "tensorflow",
        "tensorflow.python.platform.gfile",
        "tf_keras.src.utils.data_utils",
        "kerasy.layers",
        "keras_hub.layers",
        "builtinsx",
        "subprocess",
    ],
)
def test_modules_that_do_more_than_make_models(module):
    (said,) = of(c.dense("b", 4, activation=serialized("function", module, "get_file")))
    assert f"get_file of the module {module}," in said


@pytest.mark.parametrize(
    "module",
    [
        "builtins",
        "keras",
        "keras.layers",
        "keras.initializers",
        "keras.dtype_policies",
        "keras.src.models.functional",
        "keras.src.ops.numpy",
        "keras.engine.functional",
        "keras.layers.core.tf_op_layer",
        "tf_keras.src.engine.functional",
        "tensorflow.keras.layers",
        "tensorflow.python.keras.layers",
        "tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper",
    ],
)
def test_modules_that_make_models(module):
    assert of(c.dense("b", 4, activation=serialized("function", module, "relu"))) == ()


def test_a_layer_of_another_module_is_a_danger():
    node = {**c.layer("Dense", "b", units=4), **serialized("Dense", "evil.layers", {"name": "b"})}
    (said,) = of(node, flavor=Flavor.KERAS3)
    assert said.startswith("Dense of the module evil.layers")


def test_a_class_that_some_program_registered_is_a_danger():
    old = c.layer("Addons>WeightNormalization", "w", layer=c.dense("in", 3))
    new = {**c.layer("Scale", "s"), "module": None, "registered_name": "Custom>Scale"}
    found = of(old, new)
    assert found[0].endswith("'w' is of code outside Keras (Addons>WeightNormalization)")
    assert found[1] == "the Scale layer 's' is of code outside Keras (Custom>Scale)"


def test_a_class_that_keras_has_not_is_a_danger():
    (said,) = of(c.layer("Swin", "s", heads=3))
    assert said.startswith("the Swin layer 's' is of no class of Keras' own")


def test_a_saved_model_has_graphs_of_such_classes_and_needs_no_code():
    assert of(c.layer("Swin", "s", heads=3), form="saved-model") == ()
    assert of(c.layer("Lambda", "l", function=MARSHALLED), form="saved-model")


@pytest.mark.parametrize(
    ("name", "word"),
    [("TFSMLayer", "SavedModel"), ("TorchModuleWrapper", "PyTorch"), ("KerasLayer", "Hub")],
)
def test_layers_that_load_other_things(name, word):
    (said,) = of(c.layer(name, "x"), flavor=Flavor.KERAS3)
    assert word in said


# --- calls of TensorFlow's functions, as layers ---------------------------------------------------


@pytest.mark.parametrize(
    "function", ["math.add", "__operators__.getitem", "nn.relu", "reshape", "concat", "linalg.inv"]
)
def test_a_function_that_computes_is_harmless(function):
    assert of(c.layer("TFOpLambda", "tf.it", function=function)) == ()


@pytest.mark.parametrize(
    "function",
    [
        "io.gfile.rmtree",
        "io.write_file",
        "py_function",
        "load_library",
        "saved_model.load",
        "raw_ops.X",
    ],
)
def test_a_function_that_does_more_is_a_danger(function):
    (said,) = of(c.layer("TFOpLambda", "tf.it", function=function))
    assert f"calls tf.{function}" in said


def test_methods_are_told_by_their_class():
    fine = c.layer("ClassMethod", "m", cls_symbol="RaggedTensor", method_name="from_tensor")
    other = c.layer("ClassMethod", "n", cls_symbol="io.TFRecordWriter", method_name="write")
    (said,) = of(fine, other)
    assert "io.TFRecordWriter" in said


def test_an_operator_as_a_layer_is_told_by_its_name():
    fine = c.layer("TensorFlowOpLayer", "a", node_def='{"name": "PyFuncs", "op": "Mul"}')
    other = c.layer("TensorFlowOpLayer", "b", node_def='{"name": "x", "op": "PyFunc"}')
    (said,) = of(fine, other)
    assert "'b' is the operator PyFunc, which calls Python code" in said


@pytest.mark.parametrize("name", ["TFOpLambda", "ClassMethod", "TensorFlowOpLayer", "Lambda"])
def test_a_config_without_what_should_be_there_is_no_crash(name):
    node = {"class_name": name, "config": []}
    assert isinstance(of(c.dense("b", 4, kernel_initializer=node)), tuple)


# --- graphs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["PyFunc", "EagerPyFunc", "PyFuncStateless", "WriteFile"])
def test_operators_that_reach_python_or_files(name):
    (said,) = dangers(graph(Operator("MatMul", 3), Operator(name, 1)))
    assert said.startswith(f"the operator {name} ")


def test_an_operator_that_is_not_tensorflows_own():
    (said,) = dangers(graph(Operator("MatMul", 3), Operator("DecodeMine", 1, custom=True)))
    assert "DecodeMine is not TensorFlow's own" in said


def test_a_tflite_model_is_not_run_whatever_operators_it_has():
    assert dangers(graph(Operator("FlexPyFunc", 1, custom=True), form="tflite")) == ()


# --- hostile input ------------------------------------------------------------------------------


def test_a_config_is_walked_once_however_deep_its_layers_are():
    node = c.dense("leaf", 2)
    for depth in range(55):
        node = c.layer("TimeDistributed", f"t{depth}", layer=node)
    assert of(node) == ()


def test_what_is_told_has_an_end():
    many = [c.layer("Lambda", f"l{i}", function=MARSHALLED) for i in range(3000)]
    assert len(of(*many)) == 1000


def test_an_artifact_of_nothing_is_no_danger():
    tensor = Tensor("a", "float32", (3,), 12)
    assert dangers(Artifact("m.weights.h5", "keras-weights-h5", "", (), (tensor,), {})) == ()
