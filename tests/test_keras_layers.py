"""What layer classes own: key facts, stated by hand from Keras' source and from files it wrote."""

from __future__ import annotations

import pytest

from inspector.keras.layers import (
    implied_children,
    known_classes,
    made_on_load,
    own_variables,
    trainable_on_load,
    unpacked,
    weights_order,
)
from inspector.keras.layers_policy import Quantization, quantization_of
from inspector.model import Flavor, Layer, Role

K1, K2, K3 = Flavor.KERAS1, Flavor.TF_KERAS, Flavor.KERAS3


def layer(class_name, path="a", module=None, registered=None, **config):
    return Layer(path, path, class_name, module=module, registered=registered, config=config)


def names(variables):
    return [v.name for v in variables]


def policy(mode, class_name="QuantizedDTypePolicy"):
    return {"class_name": class_name, "config": {"mode": mode, "source_name": "float32"}}


@pytest.mark.parametrize(
    ("flavor", "class_name", "config", "expected"),
    [
        (K3, "Dense", {}, "kernel bias"),
        (K3, "Dense", {"use_bias": False}, "kernel"),
        (K2, "DepthwiseConv2D", {}, "depthwise_kernel bias"),
        (K3, "DepthwiseConv2D", {}, "kernel bias"),
        (K2, "SeparableConv2D", {}, "depthwise_kernel pointwise_kernel bias"),
        (K2, "SeparableConvolution2D", {}, "depthwise_kernel pointwise_kernel bias"),
        (K2, "BatchNormalization", {}, "gamma beta moving_mean moving_variance"),
        (K2, "BatchNormalizationV1", {"scale": False}, "beta moving_mean moving_variance"),
        (K3, "LayerNormalization", {"rms_scaling": True}, "gamma"),
        (K3, "EinsumDense", {"bias_axes": "d"}, "kernel bias"),
        (K3, "EinsumDense", {"bias_axes": None}, "kernel"),
        (K3, "Normalization", {"mean": None}, "mean variance count"),
        (K3, "Normalization", {"mean": [1.0], "variance": [2.0]}, ""),
        (K2, "Attention", {"use_scale": True, "score_mode": "concat"}, "scale concat_score_weight"),
        (K2, "CuDNNLSTM", {}, "kernel recurrent_kernel bias"),
        (K2, "LSTM", {}, ""),
        (K3, "Dropout", {"rate": 0.5}, ""),
        (K3, "StringLookup", {"output_mode": "tf_idf"}, "idf_weights"),
        (K3, "StringLookup", {"output_mode": "int"}, ""),
        (K1, "Convolution2D", {"bias": True}, "W b"),
        (K1, "Dense", {"bias": False}, "W"),
        (K1, "BatchNormalization", {"mode": 0}, "gamma beta running_mean running_std"),
        (K1, "LSTM", {}, "W_i U_i b_i W_c U_c b_c W_f U_f b_f W_o U_o b_o"),
        (K1, "LSTM", {"consume_less": "gpu"}, "W U b"),
        (K1, "GRU", {"consume_less": "cpu"}, "W_z U_z b_z W_r U_r b_r W_h U_h b_h"),
        (K1, "SimpleRNN", {"consume_less": "gpu"}, "W U b"),
        (K1, "Highway", {}, "W W_carry b b_carry"),
    ],
)
def test_variables_follow_the_class_the_config_and_the_line_of_keras(
    flavor, class_name, config, expected
):
    assert names(own_variables(layer(class_name, **config), flavor)) == expected.split()


def test_statistics_are_neither_weights_nor_trainable():
    own = own_variables(layer("BatchNormalization"), K3)
    assert [v.role for v in own] == [Role.WEIGHT] * 2 + [Role.STATISTIC] * 2
    assert [v.trainable for v in own] == [True, True, False, False]


def test_unknown_and_foreign_classes_are_not_guessed():
    assert own_variables(layer("MyAttention"), K3) is None
    assert own_variables(layer("TFSMLayer", module="keras.layers"), K3) is None
    assert "TFSMLayer" in known_classes(K3)


def test_a_users_class_called_like_keras_own_is_not_taken_for_it():
    assert own_variables(layer("Dense", registered="my_package>Dense"), K3) is None
    assert own_variables(layer("Dense", module="my_package.layers"), K3) is None
    assert own_variables(layer("Dense", module="keras.layers"), K3) is not None


def test_an_operation_owns_nothing_though_a_layer_has_its_name():
    assert (
        own_variables(layer("Einsum", module="keras.src.ops.numpy", registered="Einsum"), K3) == ()
    )


def test_spectral_normalization_repeats_its_layers_kernel():
    kernel, vector = own_variables(layer("SpectralNormalization"), K2)
    assert (kernel.role, kernel.about, kernel.counted) == (Role.ALIAS, "layer/kernel", False)
    assert (vector.name, vector.role, vector.trainable) == ("vector_u", Role.STATISTIC, False)


@pytest.mark.parametrize("flavor", [K2, K3])
def test_recurrent_layers_hold_their_variables_in_a_cell_made_from_their_config(flavor):
    (cell,) = implied_children(layer("GRU", path="m/gru_1", use_bias=False, name="gru_1"), flavor)
    assert (cell.path, cell.name, cell.attr) == ("m/gru_1/gru_cell", "gru_cell", "cell")
    assert names(own_variables(cell, flavor)) == ["kernel", "recurrent_kernel"]
    assert implied_children(layer("LSTM"), K1) == ()


def test_attention_makes_its_projections_under_the_names_of_each_library():
    def held(class_name, flavor, **config):
        children = implied_children(layer(class_name, **config), flavor)
        return [(c.attr, c.name) for c in children if c.class_name == "EinsumDense"]

    two = held("MultiHeadAttention", K2)
    assert two[0] == ("_query_dense", "query")
    assert two[-1] == ("_output_dense", "attention_output")
    assert [name for _, name in two] == ["query", "key", "value", "attention_output"]
    assert held("MultiHeadAttention", K3)[1] == ("key_dense", "key")
    assert ("_gate_dense", "gate") in held("GroupedQueryAttention", K3, use_gate=True)


def test_attention_hands_its_quantization_to_its_projections():
    entries = {"model/a/query": policy("int8")}
    dtype = {"class_name": "DTypePolicyMap", "config": {"policy_map": entries}}
    children = implied_children(layer("MultiHeadAttention", dtype=dtype), K3)
    query, key = (c for c in children if c.name in ("query", "key"))
    assert names(own_variables(query, K3)) == ["kernel", "bias", "kernel_scale"]
    assert names(own_variables(key, K3)) == ["kernel", "bias"]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", None),
        ("mixed_bfloat16", None),
        (None, None),
        (policy("float32", "DTypePolicy"), None),
        ("int8_from_float32", Quantization("int8")),
        (policy("int4"), Quantization("int4")),
        (policy("int4/-1"), Quantization("int4")),
        ("int4/128_from_float32", Quantization("int4", block=128)),
        (policy("float8"), Quantization("float8")),
        (policy("gptq/4/128"), Quantization("gptq", 4, 128)),
        (policy("awq/4/-1"), Quantization("awq", 4)),
        ({"class_name": "DTypePolicyMap", "config": {"policy_map": 7}}, None),
        ({"class_name": "DTypePolicyMap"}, None),
        ({"class_name": "DTypePolicy", "config": {"mode": ["int8"]}}, None),
        ("int4/9999999999999999_from_float32", Quantization("int4")),
    ],
)
def test_every_form_of_a_dtype_policy_is_read(dtype, expected):
    assert quantization_of(layer("Dense", dtype=dtype)) == expected


@pytest.mark.parametrize(
    ("pattern", "path", "holds"),
    [
        ("enc/.*", "enc/dense", True),
        (".*query", "enc/att/query", True),
        ("enc/.*/out", "enc/x/out", True),
        ("enc/.*/out", "enc/out", False),
        ("dec/.*", "enc/dense", False),
        (".*" * 60 + "x", "a" * 5000, False),  # a pattern that would stall a regex engine
    ],
)
def test_wildcards_in_a_policy_map(pattern, path, holds):
    dtype = {
        "class_name": "DTypePolicyMap",
        "config": {"policy_map": {pattern: "int8_from_float32"}},
    }
    assert (quantization_of(layer("Dense", path=path, dtype=dtype)) is not None) == holds


def test_quantized_dense_stores_what_its_mode_needs():
    def dense(mode, stored=None, **config):
        return names(own_variables(layer("Dense", dtype=policy(mode), **config), K3, stored))

    assert dense("int8") == ["kernel", "bias", "kernel_scale"]
    assert dense("int4/-1", use_bias=False) == ["kernel", "kernel_scale"]
    assert dense("int4/128") == ["kernel", "bias", "kernel_scale", "kernel_zero", "g_idx"]
    assert len(dense("float8")) == 8
    # keras 3.15 leaves the zero point out of the store; a file with five arrays has it.
    assert dense("gptq/4/128") == ["bias", "kernel", "kernel_scale", "g_idx"]
    assert dense("gptq/4/128", 5) == ["bias", "kernel", "kernel_scale", "kernel_zero", "g_idx"]


def test_a_quantized_layer_lists_its_weights_in_another_order_than_it_stores_them():
    node = layer("Dense", dtype=policy("int8"), lora_rank=2)
    expected = ["bias", "lora_kernel_a", "lora_kernel_b", "kernel", "kernel_scale"]
    assert names(weights_order(node, K3)) == expected
    float8 = names(weights_order(layer("Dense", dtype=policy("float8")), K3))
    assert float8[0] == "inputs_scale"
    assert float8[-2:] == ["kernel", "bias"]


def test_lora_matrices_are_counted_from_the_kernel():
    """Dense(6) on 8 inputs, rank 2: 54 stored, 8 x 2 + 2 x 6 = 28 made: Keras says 82."""
    node = layer("Dense", units=6, lora_rank=2)
    made = made_on_load(node, K3, {"kernel": (8, 6), "bias": (6,)})
    assert made == (("lora_kernel_a", (8, 2)), ("lora_kernel_b", (2, 6)))
    kernel, bias = own_variables(node, K3)
    assert not trainable_on_load(node, K3, kernel)
    assert trainable_on_load(node, K3, bias)
    assert made_on_load(node, K3, {"kernel": (8, 6), "lora_kernel_a": (8, 2)}) == ()
    assert made_on_load(layer("Dense", units=6), K3, {"kernel": (8, 6)}) == ()


def test_lora_on_a_packed_kernel_counts_the_unpacked_one():
    """Dense(5) on 7 inputs in int4 is kept as (7, 3); rank 2: 7 x 2 and 2 x 5."""
    node = layer("Dense", units=5, lora_rank=2, dtype=policy("int4"))
    made = made_on_load(node, K3, {"kernel": (7, 3), "bias": (5,), "kernel_scale": (5,)})
    assert [shape for _, shape in made] == [(7, 2), (2, 5)]


@pytest.mark.parametrize(
    ("node", "name", "stored", "expected"),
    [
        (layer("Dense", units=8, dtype=policy("int4")), "kernel", (16, 4), ((16, 8), 1)),
        (layer("Dense", units=7, dtype=policy("int4/2")), "kernel", (16, 4), ((16, 7), 1)),
        (layer("Dense", units=7, dtype=policy("gptq/4/2")), "kernel", (4, 16), ((7, 16), 0)),
        (layer("Dense", units=7, dtype=policy("gptq/8/2")), "kernel", (7, 16), None),
        (layer("Dense", units=8, dtype=policy("int8")), "kernel", (16, 8), None),
        (layer("Dense", units=9, dtype=policy("int4")), "kernel", (16, 4), None),
        (layer("Dense", units=8, dtype=policy("int4")), "kernel_scale", (8,), None),
        (layer("Dense", dtype=policy("int4")), "kernel", (16, 4), None),
        # keras 3.12 packed along the input: 16 or 15 inputs, 8 units.
        (layer("Dense", units=8, dtype=policy("int4")), "kernel", (8, 8), None),
        (
            layer("ReversibleEmbedding", output_dim=5, dtype=policy("int4")),
            "reverse_embeddings",
            (3, 9),
            ((5, 9), 0),
        ),
        (
            layer("Embedding", output_dim=5, dtype=policy("int4")),
            "embeddings",
            (9, 3),
            ((9, 5), 1),
        ),
        (
            layer(
                "EinsumDense",
                equation="abc,cde->abde",
                output_shape=[None, 3, 5],
                dtype=policy("int4"),
            ),
            "kernel",
            (6, 8),
            ((6, 15), 1),
        ),
    ],
)
def test_a_packed_kernel_has_the_size_that_its_config_gives(node, name, stored, expected):
    assert unpacked(node, name, stored) == expected


def test_scales_tell_the_size_that_an_attention_leaves_out():
    """The output projection of an attention has no size in the config: 6 columns have 6 scales."""
    children = implied_children(
        layer("MultiHeadAttention", num_heads=2, key_dim=3, dtype=policy("int4")), K3
    )
    output = next(c for c in children if c.name == "attention_output")
    assert unpacked(output, "kernel", (6, 3)) is None
    assert unpacked(output, "kernel", (6, 3), {"kernel_scale": (6,)}) == ((6, 6), 1)


def test_the_number_of_arrays_tells_the_quantization_that_a_config_leaves_out():
    node = layer("EinsumDense", bias_axes="d")
    assert names(own_variables(node, K3, 3)) == ["kernel", "bias", "kernel_scale"]
    assert names(own_variables(node, K3, 5))[-2:] == ["kernel_zero", "g_idx"]
    assert names(own_variables(node, K3, 2)) == ["kernel", "bias"]
    assert names(own_variables(node, K3, 99)) == ["kernel", "bias"]


def test_an_endless_equation_is_not_walked():
    equation = "a" * 10**6 + "," + "b" * 10**6 + "->" + "c" * 10**6
    node = layer("EinsumDense", equation=equation, output_shape=[None, 3], dtype=policy("int4"))
    assert unpacked(node, "kernel", (6, 8)) is None
