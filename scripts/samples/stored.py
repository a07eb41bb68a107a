"""What TensorFlow itself reads in a SavedModel, a checkpoint or a graph."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Constant:
    """A Const node. name: the node's, behind its function's ("" for none) and "/"."""

    name: str
    function: str
    tags: tuple[str, ...]
    dtype: str
    values: np.ndarray

    @property
    def steady(self) -> str:
        """The name without the numbers that only one process gave it.

        They end a function's name, and are all of the last part of an embedding's.
        """
        node = self.name[len(self.function) :]
        return self.function.rstrip("0123456789") + re.sub(r"/\d+$", "/", node)


def is_saved_model(path: str) -> bool:
    return os.path.isfile(os.path.join(path, "saved_model.pb"))


def is_graph(path: str) -> bool:
    return path.endswith((".pb", ".pbtxt"))


def is_checkpoint(path: str) -> bool:
    """A prefix, a V1 file, or a directory with a `checkpoint` file."""
    import tensorflow as tf

    return tf.train.latest_checkpoint(path) is not None or tf.train.checkpoint_exists(path)


def bundle_prefix(path: str) -> str | None:
    """What `tf.train.load_checkpoint` takes to read an artifact's variables; None: it has none."""
    if is_graph(path):
        return None
    if not is_saved_model(path):
        return path
    prefix = os.path.join(path, "variables", "variables")
    return prefix if os.path.exists(prefix + ".index") else None


def variables(path: str) -> dict[str, tuple[str, np.ndarray]]:
    """dtype and values of every key of the artifact's checkpoint, by key."""
    import tensorflow as tf

    prefix = bundle_prefix(path)
    if prefix is None:
        return {}
    reader = tf.train.load_checkpoint(prefix)
    dtypes = reader.get_variable_to_dtype_map()
    return {key: (dtypes[key].name, _values(reader, key)) for key in sorted(dtypes)}


def _values(reader: Any, key: str) -> np.ndarray:
    values = reader.get_tensor(key)
    return np.asarray(values, object) if isinstance(values, bytes) else np.asarray(values)


def saved_model(path: str) -> Any:
    """TensorFlow's own SavedModel message."""
    from tensorflow.python.saved_model import loader_impl

    return loader_impl.parse_saved_model(path)


def graph_def(path: str) -> Any:
    """TensorFlow's own GraphDef message of a .pb or .pbtxt."""
    import tensorflow as tf
    from google.protobuf import text_format

    graph = tf.compat.v1.GraphDef()
    with open(path, "rb") as file:
        content = file.read()
    if path.endswith(".pbtxt"):
        text_format.Parse(content, graph)
    else:
        graph.ParseFromString(content)
    return graph


def constants(path: str) -> list[Constant]:
    """Every Const node of the artifact's graphs and of their functions."""
    if is_graph(path):
        return list(_constants(graph_def(path), ()))
    if not is_saved_model(path):
        return []
    return [
        constant
        for meta in saved_model(path).meta_graphs
        for constant in _constants(meta.graph_def, tuple(meta.meta_info_def.tags))
    ]


def _constants(graph: Any, tags: tuple[str, ...]) -> Iterator[Constant]:
    import tensorflow as tf

    bodies = [("", graph.node), *((f.signature.name, f.node_def) for f in graph.library.function)]
    for function, nodes in bodies:
        for node in nodes:
            if node.op == "Const":
                yield Constant(
                    f"{function}/{node.name}" if function else node.name,
                    function,
                    tags,
                    tf.dtypes.as_dtype(node.attr["dtype"].type).name,
                    np.asarray(tf.make_ndarray(node.attr["value"].tensor)),
                )


def signatures(path: str) -> list[dict[str, Any]]:
    """Every signature of every meta graph, as its SignatureDef says."""
    if not is_saved_model(path):
        return []
    return [
        {
            "name": name,
            "method": signature.method_name or None,
            "tags": list(meta.meta_info_def.tags),
            "inputs": _ports(signature.inputs),
            "outputs": _ports(signature.outputs),
        }
        for meta in saved_model(path).meta_graphs
        for name, signature in sorted(meta.signature_def.items())
    ]


def _ports(infos: Any) -> list[dict[str, Any]]:
    import tensorflow as tf

    return [
        {
            "name": name,
            "tensor": info.name,
            "dtype": tf.dtypes.as_dtype(info.dtype).name if info.dtype else None,
            "shape": None
            if info.tensor_shape.unknown_rank
            else [None if side.size < 0 else side.size for side in info.tensor_shape.dim],
        }
        for name, info in sorted(infos.items())
    ]


def digest(values: np.ndarray) -> str:
    """SHA-256 of values in C order, little-endian, each string behind its length in 8 bytes."""
    if values.dtype.kind in "OSU":
        content = b"".join(len(one).to_bytes(8, "little") + one for one in values.ravel().tolist())
    else:
        content = np.ascontiguousarray(values).tobytes()
    return hashlib.sha256(content).hexdigest()
