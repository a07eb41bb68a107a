"""SavedModels that are no tf_keras model: counts of what TensorFlow restores."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def counts(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """options: "tags": those of the meta graph to load; "keras": 3 where Keras 3 exported it."""
    loaded = tf.saved_model.load(path, tags=options["tags"] or None)
    said: dict[str, Any] = {"loader": "tensorflow " + tf.__version__, "reasons": {}}
    if options["keras"] == 3:
        return {**said, **exported(path, loaded, said["reasons"])}
    variables = variables_of(loaded)
    reason = "what was saved is no Keras model"
    said["reasons"] = dict.fromkeys(("count_params", "after_strip"), reason)
    if not variables:
        reason = "TensorFlow restores no variable from it"
        said["reasons"].update(dict.fromkeys(("trainable", "non_trainable"), reason))
        return said
    for name, wanted in (("trainable", True), ("non_trainable", False)):
        said[name] = elements([one for one in variables if bool(one.trainable) is wanted])
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


def variables_of(loaded: Any) -> list[Any]:
    """Those of a TensorFlow 1 graph, else those that the restored objects hold."""
    graph = getattr(loaded, "graph", None)
    if graph is not None:
        return list(graph.get_collection(tf.compat.v1.GraphKeys.GLOBAL_VARIABLES))
    held = tf.train.TrackableView(loaded).descendants()
    return list({id(one): one for one in held if isinstance(one, tf.Variable)}.values())


def elements(variables: Any) -> int:
    """Elements of all of them."""
    total = 0
    for variable in variables:
        size = 1
        for side in variable.shape:
            size *= int(side)
        total += size
    return total
