"""Checkpoints, those inside SavedModels too: what TensorFlow lists, and how large each is."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def counts(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """options: "alone": whether this is the whole artifact, and nothing else counts anything."""
    dtypes = tf.train.load_checkpoint(path).get_variable_to_dtype_map()
    said: dict[str, Any] = {"tensors": {}}
    for name, shape in tf.train.list_variables(path):
        if name != OBJECT_GRAPH:
            said["tensors"][name] = {"dtype": dtypes[name].name, "shape": [int(n) for n in shape]}
    if options["alone"]:
        said["loader"] = "tensorflow " + tf.__version__
        reason = "a checkpoint has variables and no model: TensorFlow lists them, and counts none"
        names = ("count_params", "trainable", "non_trainable", "after_strip")
        said["reasons"] = dict.fromkeys(names, reason)
    return said
