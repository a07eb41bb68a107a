"""SavedModels that are no tf_keras model: counts of what TensorFlow restores."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

KEYS = tf.compat.v1.GraphKeys


def counts(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """options: "tags": those of the meta graph to load; "keras": 3 where Keras 3 exported it."""
    loaded = tf.saved_model.load(path, tags=options["tags"] or None)
    said: dict[str, Any] = {"loader": "tensorflow " + tf.__version__, "reasons": {}}
    if options["keras"] == 3:
        return {**said, **exported(path, loaded, said["reasons"])}
    reason = "what was saved is no Keras model"
    said["reasons"] = dict.fromkeys(("count_params", "after_strip"), reason)
    graph = getattr(loaded, "graph", None)
    variables = held_by(loaded) if graph is None else collected(graph, KEYS.GLOBAL_VARIABLES)
    if not variables:
        reason = "TensorFlow restores no variable from it"
        said["reasons"].update(dict.fromkeys(("trainable", "non_trainable"), reason))
        return said
    said["trainable"] = elements([one for one in variables if one.trainable])
    if graph is not None and collected(graph, KEYS.TRAIN_OP):
        reason = "a TensorFlow 1 graph does not tell an optimizer's variables from a model's"
        said["reasons"]["non_trainable"] = reason
    else:
        said["non_trainable"] = elements([one for one in variables if not one.trainable])
    return said


def exported(path: str, loaded: Any, reasons: dict[str, str]) -> dict[str, Any]:
    """Counts of the layer that Keras 3 makes of an export."""
    import keras

    endpoint = "serve" if hasattr(loaded, "serve") else next(iter(loaded.signatures), None)
    if not hasattr(keras.layers, "TFSMLayer") or endpoint is None:
        names = ("count_params", "trainable", "non_trainable", "after_strip")
        reasons.update(dict.fromkeys(names, "Keras makes no layer of this export"))
        return {}
    layer = keras.layers.TFSMLayer(path, call_endpoint=endpoint)
    total = int(layer.count_params())
    return {
        "loader": "keras " + keras.__version__ + " (TFSMLayer)",
        "count_params": total,
        "trainable": elements(layer.trainable_weights),
        "non_trainable": elements(layer.non_trainable_weights),
        "after_strip": total,
    }


def collected(graph: Any, key: str) -> list[Any]:
    """What a TensorFlow 1 graph has under one of its collections' names."""
    return list(graph.get_collection(key))


def held_by(loaded: Any) -> list[Any]:
    """Variables that the restored objects hold; what an optimizer holds is no part of the model."""
    found: dict[int, Any] = {}
    view = tf.train.TrackableView(loaded)
    seen, stack = {id(loaded)}, [loaded]
    while stack:
        for one in view.children(stack.pop()).values():
            if id(one) in seen or type(one).__name__.endswith("Optimizer"):
                continue
            seen.add(id(one))
            stack.append(one)
            if isinstance(one, tf.Variable):
                found[id(one)] = one
    return list(found.values())


def elements(variables: Any) -> int:
    """Elements of all of them."""
    total = 0
    for variable in variables:
        size = 1
        for side in variable.shape:
            size *= int(side)
        total += size
    return total
