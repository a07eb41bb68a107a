"""Every family of samples, in the order of making."""

from samples import (
    checkpoints,
    clustering,
    graphs,
    keras3,
    pruning,
    quantization,
    saved_models,
    saved_modules,
    tf_keras_layers,
    tflite,
)

KERAS_FILES = (
    *pruning.FAMILIES,
    *clustering.FAMILIES,
    *quantization.FAMILIES,
    *tf_keras_layers.FAMILIES,
    *keras3.FAMILIES,
)

TENSORFLOW_ARTIFACTS = (
    *saved_models.FAMILIES,
    *saved_modules.FAMILIES,
    *checkpoints.FAMILIES,
    *graphs.FAMILIES,
)

FAMILIES = (*KERAS_FILES, *TENSORFLOW_ARTIFACTS, *tflite.FAMILIES)
