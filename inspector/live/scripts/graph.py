"""Graphs, those of SavedModels too: their constants, once TensorFlow has imported the graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from google.protobuf import text_format


def counts(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """options: "message": GraphDef, MetaGraphDef or SavedModel; "text"; "alone": nothing else."""
    tensors: dict[str, Any] = {}
    for above, graph in graphs(path, options["message"], options["text"]):
        if options["alone"]:
            with tf.Graph().as_default():
                tf.import_graph_def(graph, name="")
        for name, node in constants(graph):
            value = node.attr["value"].tensor
            tensors[above + name] = {
                "dtype": tf.dtypes.as_dtype(node.attr["dtype"].type).name,
                "shape": [side.size for side in value.tensor_shape.dim],
            }
    said: dict[str, Any] = {"tensors": tensors}
    if options["alone"]:
        said["loader"] = "tensorflow " + tf.__version__
        reason = "a graph has constants and no model: TensorFlow counts none as parameters"
        names = ("count_params", "trainable", "non_trainable", "after_strip")
        said["reasons"] = dict.fromkeys(names, reason)
    return said


def graphs(path: str, kind: str, text: bool) -> Iterator[tuple[str, Any]]:
    """(what its names begin with, GraphDef): tags tell the graphs of one SavedModel apart."""
    if kind == "SavedModel":
        from tensorflow.python.saved_model import loader_impl

        metas = loader_impl.parse_saved_model(path).meta_graphs
        for meta in metas:
            tags = "+".join(meta.meta_info_def.tags) + ":"
            yield tags if len(metas) > 1 else "", meta.graph_def
        return
    message = getattr(tf.compat.v1, kind)()
    with open(path, "rb") as file:
        content = file.read()
    if text:
        text_format.Parse(content, message)
    else:
        message.ParseFromString(content)
    yield "", message.graph_def if kind == "MetaGraphDef" else message


def constants(graph: Any) -> Iterator[tuple[str, Any]]:
    """(name, node) of every Const, behind its function's name where it is in one."""
    for node in graph.node:
        if node.op == "Const":
            yield node.name, node
    for function in graph.library.function:
        for node in function.node_def:
            if node.op == "Const":
                yield function.signature.name + "/" + node.name, node
