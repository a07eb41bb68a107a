"""Sizes that a layer's config fixes: what a stored shape must agree with for Keras to load it.

Source: the `build` methods of Keras 2 and 3. Keras 1 laid kernels out by backend: left alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.keras.layers_policy import quantization_of
from inspector.model import Layer

# (class, variable) -> axis of the shape (negative from the end) -> config key that gives its size.
_CONV = {name: {-1: "filters"} for name in ("Conv1D", "Conv2D", "Conv3D")}
_AXES: Mapping[tuple[str, str], Mapping[int, str]] = {
    ("Dense", "kernel"): {-1: "units"},
    ("Dense", "bias"): {0: "units"},
    ("Embedding", "embeddings"): {0: "input_dim", 1: "output_dim"},
    **{(name, "kernel"): axes for name, axes in _CONV.items()},
    **{(name, "bias"): {0: "filters"} for name in _CONV},
    **{
        (cell, "recurrent_kernel"): {0: "units"}
        for cell in ("LSTMCell", "GRUCell", "SimpleRNNCell")
    },
}


def disagreement(layer: Layer, variable: str, shape: tuple[int, ...]) -> str | None:
    """How a stored shape contradicts the layer's config, in words; None where it does not."""
    if quantization_of(layer) is not None:
        return None  # two values a byte, or transposed
    for axis, key in _AXES.get((layer.class_name, variable), {}).items():
        wanted = layer.config.get(key)
        if not isinstance(wanted, int) or isinstance(wanted, bool) or len(shape) <= max(axis, 0):
            continue
        if shape[axis] != wanted:
            return (
                f"{variable} of {layer.path} is stored as {shape}, its config says {key}={wanted}"
            )
    return None
