"""int4 layers: what is zero, by Keras' own unpacking and zero points."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow")

import numpy as np

from inspector.measure import measure
from inspector.read import read

pytestmark = pytest.mark.live


def test_zeros_of_grouped_int4_layers_equal_kerases_own(tmp_path):
    import keras
    from keras import quantizers

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            keras.layers.Embedding(20, 7),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(9),
            keras.layers.Dense(300),
            keras.layers.Dense(5),
        ]
    )
    rng = np.random.default_rng(3)
    for variable in model.weights:
        values = rng.normal(0.7, 1, variable.shape)
        values[rng.random(variable.shape) < 0.3] = 0
        variable.assign(values)
    model.quantize("int4")
    path = str(tmp_path / "int4.keras")
    model.save(path)
    loaded = keras.models.load_model(path)
    expected = {}
    for layer in loaded.layers:
        name = "embeddings" if isinstance(layer, keras.layers.Embedding) else "kernel"
        if not layer.weights:
            continue
        packed = getattr(layer, f"_{name}")
        width = layer.output_dim if name == "embeddings" else layer.units
        values = np.asarray(quantizers.unpack_int4(packed, width, axis=-1))
        zero = np.asarray(getattr(layer, f"{name}_zero"))
        groups = np.asarray(layer.g_idx).astype(int)
        centre = zero[groups] if name == "kernel" else zero[:, groups]
        assert np.any(centre != 0)
        expected[layer.name] = (values.shape, int(np.count_nonzero(values == centre)))
    with read(path) as opened:
        found = {
            tensor.layer: (tensor.shape, measure(tensor).zeros)
            for tensor in opened.artifact.tensors
            if tensor.dtype == "int4"
        }
    assert found == expected
