"""Every family of samples, in the order of making."""

from samples import clustering, keras3, pruning, quantization, tf_keras_layers

FAMILIES = (
    *pruning.FAMILIES,
    *clustering.FAMILIES,
    *quantization.FAMILIES,
    *tf_keras_layers.FAMILIES,
    *keras3.FAMILIES,
)
