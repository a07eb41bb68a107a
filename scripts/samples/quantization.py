"""Quantization-aware training with tfmot, alone and on top of pruning and clustering.

Two of these files tfmot writes and cannot load back: `qat.keras` (the quantize layer's min and
max are visited twice by the fresh model, once by the saved one) and `pcqat.h5` (the config does
not name the cluster-preserving quantizer, so the fresh model lacks its variables).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
    default_8bit_cluster_preserve_quantize_scheme as cluster_preserve,
)
from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (  # noqa: E501
    default_8bit_prune_preserve_quantize_scheme as prune_preserve,
)
from tf_keras import layers

from samples.catalog import Unloadable, Writer, family
from samples.clustering import cluster
from samples.clustering import strip as strip_clustering
from samples.pruning import prune, schedules, train_pruned
from samples.pruning import strip as strip_pruning
from samples.training import noise, train

quantization = tfmot.quantization.keras


def dense_model() -> Any:
    return tf_keras.Sequential(
        [layers.Dense(12, activation="relu", input_shape=(8,)), layers.Dense(4)]
    )


@family("qat.h5", "qat.keras", "qat_annotated.h5")
def dense() -> Mapping[str, Writer]:
    model = dense_model()
    annotated = train(quantization.quantize_annotate_model(model), noise(32, 8))
    qat = train(quantization.quantize_model(model), noise(32, 8), steps=3)
    return {
        "qat.h5": qat.save,
        "qat.keras": Unloadable(qat, qat.save),
        "qat_annotated.h5": annotated.save,
    }


@family("qat_conv.h5")
def conv() -> Mapping[str, Writer]:
    """Conv2D kernels are quantized per channel: kernel_min and kernel_max have its length."""
    model = tf_keras.Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(8, 8, 2)),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    qat = train(quantization.quantize_model(model), noise(16, 8, 8, 2), steps=3)
    return {"qat_conv.h5": qat.save}


def pruned_model() -> Any:
    schedule = schedules.ConstantSparsity(0.5, begin_step=0, frequency=1)
    return strip_pruning(train_pruned(prune(dense_model(), schedule), noise(32, 8)))


def quantize(model: Any, scheme: Any) -> Any:
    annotated = quantization.quantize_annotate_model(model)
    return train(quantization.quantize_apply(annotated, scheme), noise(32, 8), steps=3)


@family("pqat.h5")
def pruned_then_quantized() -> Mapping[str, Writer]:
    scheme = prune_preserve.Default8BitPrunePreserveQuantizeScheme()
    return {"pqat.h5": quantize(pruned_model(), scheme).save}


@family("pcqat.h5")
def pruned_then_clustered_then_quantized() -> Mapping[str, Writer]:
    clustered = train(cluster(pruned_model(), 6, preserve_sparsity=True), noise(32, 8), steps=3)
    scheme = cluster_preserve.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=True)
    pcqat = quantize(strip_clustering(clustered), scheme)
    return {"pcqat.h5": Unloadable(pcqat, pcqat.save)}


FAMILIES = (dense, conv, pruned_then_quantized, pruned_then_clustered_then_quantized)
