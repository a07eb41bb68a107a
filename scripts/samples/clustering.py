"""Models whose weights were clustered by tfmot, wrapped and stripped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras import layers

from samples.catalog import Writer, family
from samples.training import noise, train, without_optimizer

clustering = tfmot.clustering.keras
strip = clustering.strip_clustering


def cluster(model: Any, number: int, **options: Any) -> Any:
    return clustering.cluster_weights(
        model,
        number_of_clusters=number,
        cluster_centroids_init=clustering.CentroidInitialization.LINEAR,
        **options,
    )


@family("clustered.h5", "clustered.keras", "clustered_stripped.h5")
def dense() -> Mapping[str, Writer]:
    """414 parameters; 810 once wrapped: 2 x 6 centroids, 240 + 144 indices."""
    model = tf_keras.Sequential(
        [layers.Dense(24, activation="relu", input_shape=(10,)), layers.Dense(6)]
    )
    clustered = train(cluster(model, 6), noise(32, 10), steps=3)
    return {
        "clustered.h5": clustered.save,
        "clustered.keras": clustered.save,
        "clustered_stripped.h5": without_optimizer(strip(clustered)),
    }


@family("clustered_conv.h5")
def conv() -> Mapping[str, Writer]:
    """Conv2D clustered per channel: centroids of shape (channels, clusters)."""
    model = tf_keras.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 2)),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    clustered = cluster(model, 4, cluster_per_channel=True)
    return {"clustered_conv.h5": train(clustered, noise(16, 8, 8, 2), steps=3).save}


FAMILIES = (dense, conv)
