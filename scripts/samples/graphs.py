"""Frozen graphs: weights are Const nodes, told apart by the operators that read them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.python.framework import convert_to_constants
from tf_keras import layers

from samples.catalog import Writer, family
from samples.parts import InSession, Part, keras_parts
from samples.saved_models import without_empty_folders
from samples.tensorflow_live import Built
from samples.training import noise

v1 = tf.compat.v1


def frozen(model: Any) -> Any:
    """The GraphDef of a model's call, with its variables as constants."""
    spec = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32, "x")
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
    graph = convert_to_constants.convert_variables_to_constants_v2(function)
    return graph.graph.as_graph_def()


def write_graph(graph: Any, path: str) -> None:
    tf.io.write_graph(
        graph, os.path.dirname(path), os.path.basename(path), as_text=path.endswith(".pbtxt")
    )


def fill(model: Any) -> Any:
    """Values of no particular meaning in every variable, positive where they are a variance."""
    rng = np.random.default_rng(60)
    for variable in model.weights:
        variable.assign(rng.uniform(0.1, 1.0, variable.shape))
    return model


def convnet() -> Any:
    """1,578 parameters, 8 of them statistics."""
    parts = [
        layers.Conv2D(4, 3, input_shape=(8, 8, 3)),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(10),
    ]
    return fill(tf_keras.Sequential(parts))


@family("frozen_convnet.pb", "saved_frozen")
def convolution() -> Mapping[str, Writer]:
    """1,580 constants: 1,578 weights and statistics, and Flatten's shape of 2.

    As a SavedModel it has no variable at all: a TF1 meta graph around the same nodes.
    """
    model = convnet()

    def save_model(path: str) -> None:
        builder = v1.saved_model.Builder(path)
        nodes = frozen(model)
        with v1.Session(graph=v1.Graph()) as session:
            tf.import_graph_def(nodes, name="")
            inputs, outputs = nodes.node[0].name, nodes.node[-1].name
            ports = v1.saved_model.predict_signature_def(
                {"x": session.graph.get_tensor_by_name(f"{inputs}:0")},
                {"y": session.graph.get_tensor_by_name(f"{outputs}:0")},
            )
            builder.add_meta_graph_and_variables(
                session, [v1.saved_model.tag_constants.SERVING], {"serving_default": ports}
            )
        builder.save()
        without_empty_folders(path)

    parts = keras_parts(model)
    return {
        "frozen_convnet.pb": Built(
            "frozen-graph", lambda path: write_graph(frozen(model), path), parts
        ),
        "saved_frozen": Built("saved-model", save_model, parts),
    }


@family("frozen_tiny.pb", "frozen_tiny.pbtxt")
def tiny() -> Mapping[str, Writer]:
    """The same graph in both of GraphDef's forms."""
    model = fill(
        tf_keras.Sequential(
            [layers.Input((5,)), layers.Embedding(8, 3), layers.Flatten(), layers.Dense(2)]
        )
    )
    parts = keras_parts(model)
    return {
        name: Built("frozen-graph", lambda path: write_graph(frozen(model), path), parts)
        for name in ("frozen_tiny.pb", "frozen_tiny.pbtxt")
    }


@family("frozen_contrib_pruned.pb")
def contrib_pruned() -> Mapping[str, Writer]:
    """tf.contrib.model_pruning's graph: a mask beside every weight, multiplied in on every call."""
    session = v1.Session(graph=v1.Graph())
    parts: list[Part] = []
    with session.graph.as_default():
        x = v1.placeholder(tf.float32, [None, 8, 8, 1], name="x")
        y = tf.nn.conv2d(x, masked("conv1", (3, 3, 1, 4), session, parts), 2, "SAME")
        y = tf.nn.relu(tf.nn.bias_add(y, biases("conv1", 4, session, parts)))
        y = tf.matmul(tf.reshape(y, [-1, 64]), masked("fc1", (64, 3), session, parts))
        y = tf.nn.bias_add(y, biases("fc1", 3, session, parts), name="logits")

    def save(path: str) -> None:
        # Nothing reads a threshold when the graph is called, so freezing would drop it.
        kept = ["logits", "conv1/threshold", "fc1/threshold"]
        with session.graph.as_default():
            graph = v1.graph_util.convert_variables_to_constants(
                session, session.graph.as_graph_def(), kept
            )
        write_graph(graph, path)

    return {"frozen_contrib_pruned.pb": Built("frozen-graph", save, parts)}


def masked(scope: str, shape: tuple[int, ...], session: Any, parts: list[Part]) -> Any:
    """Half of the weights are masked, and are not zero themselves."""
    values = noise(*shape)
    threshold = float(np.median(np.abs(values)))
    weights = variable(f"{scope}/weights", values, session)
    mask = variable(f"{scope}/mask", (np.abs(values) > threshold).astype("float32"), session)
    limit = variable(f"{scope}/threshold", np.float32(threshold), session)
    parts += [
        Part("weight", weights, trainable=True),
        Part("mask", mask, of=weights),
        Part("threshold", limit, of=weights),
    ]
    return tf.multiply(weights.variable, mask.variable, name=f"{scope}/masked_weight")


def biases(scope: str, size: int, session: Any, parts: list[Part]) -> Any:
    made = variable(f"{scope}/biases", np.zeros(size, "float32"), session)
    parts.append(Part("weight", made, trainable=True))
    return made.variable


def variable(name: str, values: Any, session: Any) -> InSession:
    made = v1.get_variable(name, initializer=tf.constant(values), use_resource=False)
    session.run(made.initializer)
    return InSession(made, session)


FAMILIES = (convolution, tiny, contrib_pruned)
