"""Makes one input of the benchmark with TensorFlow: python inputs_live.py NAME SIZE FOLDER.

SIZE is in MiB, or a number of tensors. What is made is what TensorFlow writes: pruned models of
Dense layers, half of each kernel zero, as `inputs.py` has them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from inputs import MIB, layers_of, pruned_layer, side_of

SHARDS = 8


def saved_model(path: str, mib: int) -> None:
    """A pruned model as tf_keras saves it in TensorFlow's format."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    side, count = side_of(mib, 2), layers_of(mib, 2)
    layers = [tf_keras.layers.Dense(side, input_shape=(side,))]
    layers += [tf_keras.layers.Dense(side) for _ in range(count - 1)]
    model = tfmot.sparsity.keras.prune_low_magnitude(tf_keras.Sequential(layers))
    for seed, layer in enumerate(model.layers):
        kernel, _, mask = pruned_layer(seed, side)
        for variable in layer.weights:
            value = {"kernel:0": kernel, "mask:0": mask}.get(variable.name.rpartition("/")[2])
            if value is not None:
                variable.assign(value)
    model.save(path, save_format="tf")


def checkpoint(path: str, mib: int) -> None:
    """Kernels in eight shards, as a Saver of many devices writes them."""
    side, count = side_of(mib, 1), layers_of(mib, 1)
    shards = []
    for shard in range(SHARDS):
        names = [f"layer_{index}/kernel" for index in range(shard, count, SHARDS)]
        values = [pruned_layer(index, side)[0] for index in range(shard, count, SHARDS)]
        shards.append(tf.raw_ops.ShardedFilename(basename=path, shard=shard, num_shards=SHARDS))
        _save(shards[-1], names, values)
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=shards, destination_prefix=path)


def small_checkpoint(path: str, count: int) -> None:
    """That many tensors of 8 x 8."""
    random = np.random.default_rng(0)
    names = [f"layer_{index}/kernel" for index in range(count)]
    _save(path, names, list(random.standard_normal((count, 8, 8), np.float32)))


def _save(prefix: Any, names: list[str], values: list[np.ndarray]) -> None:
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=values
    )


def graph(path: str, mib: int) -> None:
    """A SavedModel whose saved_model.pb is that large: a module's function of many operations."""
    side, nbytes = 4, 0
    module = tf.Module()
    module.w = tf.Variable(np.eye(side, dtype=np.float32), name="w")
    module.b = tf.Variable(np.zeros(side, np.float32), name="b")
    steps = 40
    while nbytes < 0.9 * mib * MIB:
        steps = int(steps * min(mib * MIB / nbytes, 100)) if nbytes else steps
        module.run = tf.function(_steps(module, steps), [tf.TensorSpec((None, side))])
        tf.saved_model.save(module, path, signatures=module.run)
        nbytes = os.path.getsize(os.path.join(path, "saved_model.pb"))


def _steps(module: Any, count: int) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for index in range(count):
            with tf.name_scope(f"model/encoder/block_{index}/attention/output/dense"):
                x = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, module.w), module.b)) + 1.0
        return x

    return run


MAKERS: dict[str, Callable[[str, int], None]] = {
    "saved_model": saved_model,
    "ckpt": checkpoint,
    "small.ckpt": small_checkpoint,
    "graph": graph,
}


if __name__ == "__main__":
    MAKERS[sys.argv[1]](os.path.join(sys.argv[3], sys.argv[1]), int(sys.argv[2]))
