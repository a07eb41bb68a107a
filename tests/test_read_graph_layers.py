"""The layer of a constant: names as TensorFlow and Keras give them when a graph is frozen."""

import pytest

from inspector.model import Use
from inspector.read.graph_layers import Scopes, place


@pytest.mark.parametrize(
    ("name", "use", "nodes", "layer", "variable"),
    [
        # TensorFlow 2: convert_variables_to_constants_v2.
        (
            "net/d/MatMul/ReadVariableOp/resource",
            ("MatMul", 1, "net/d/MatMul"),
            "",
            "net/d",
            "kernel",
        ),
        (
            "net/bn/ReadVariableOp_1/resource",
            ("FusedBatchNormV3", 2, "net/bn/FusedBatchNormV3"),
            "",
            "net/bn",
            "beta",
        ),
        (
            "net/bn/FusedBatchNormV3/ReadVariableOp_1/resource",
            ("FusedBatchNormV3", 4, "net/bn/FusedBatchNormV3"),
            "",
            "net/bn",
            "moving_variance",
        ),
        (
            "net/d/Cast/ReadVariableOp/resource",
            ("MatMul", 1, "net/d/MatMul"),
            "",
            "net/d",
            "kernel",
        ),
        (
            "net/sep/separable_conv2d/ReadVariableOp/resource",
            ("DepthwiseConv2dNative", 1, "net/sep/separable_conv2d/depthwise"),
            "net/sep/separable_conv2d",
            "net/sep",
            "depthwise_kernel",
        ),
        (
            "net/d/Tensordot/ReadVariableOp/resource",
            ("MatMul", 1, "net/d/Tensordot/MatMul"),
            "net/d/Tensordot",
            "net/d",
            "kernel",
        ),
        (
            "net/lstm/Read_1/ReadVariableOp/resource",
            ("MatMul", 1, "while/MatMul_1"),
            "",
            "net/lstm",
            "kernel",
        ),
        (
            "net/emb/embedding_lookup/1191",
            ("GatherV2", 0, "net/emb/embedding_lookup"),
            "",
            "net/emb",
            "embeddings",
        ),
        # Quantization-aware training, by tfmot.
        (
            "net/q/LastValueQuant/FakeQuantWithMinMaxVars/ReadVariableOp/resource",
            ("Conv2D", 1, "net/q/Conv2D"),
            "net/q/LastValueQuant/FakeQuantWithMinMaxVars",
            "net/q",
            "kernel",
        ),
        # TensorFlow 1: the variable's own name.
        ("conv1/weights", ("Conv2D", 1, "conv1_1/Conv2D"), "", "conv1", "weights"),
        ("rnn/cell/kernel", ("MatMul", 1, "rnn/while/rnn/cell/MatMul"), "", "rnn/cell", "kernel"),
        ("fc/b", ("BiasAdd", 1, "fc/add"), "", "fc", "b"),
        # Without scopes a node is a layer of its own.
        ("Variable_1", ("Conv2D", 1, "Conv2D_1"), "", "Conv2D_1", "Variable_1"),
    ],
)
def test_the_layer_of_a_variable_is_the_scope_that_it_shares_with_its_reader(
    name, use, nodes, layer, variable
):
    op, at, reader = use
    through = ("Identity",) if "1191" not in name else ()
    found = place(name, [Use(op, at, reader, through)], Scopes([name, reader, *nodes.split()]))
    assert (found.layer, found.variable, found.op) == (layer, variable, op)


def test_a_setting_is_in_a_layer_and_no_variable_of_it():
    scopes = Scopes(["net/flatten/Reshape", "net/flatten/Reshape/shape"])
    found = place("net/flatten/Reshape/shape", [Use("Reshape", 1, "net/flatten/Reshape")], scopes)
    assert found == ("net/flatten", None, None)
    # An initial state is data: the first matrix of a product, and no variable before.
    assert place("lstm/zeros", [Use("MatMul", 0, "lstm/while/MatMul")], Scopes([])).op is None
    # Epsilon reaches a product, but through sums.
    uses = [Use("AddV2", 1, "n/add"), Use("MatMul", 1, "n/MatMul", ("AddV2", "Rsqrt", "Mul"))]
    assert place("n/add/y", uses, Scopes([])).op is None
