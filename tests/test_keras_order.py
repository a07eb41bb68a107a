"""Legacy order, flags and tfmot's wrappers, for configs written by hand.

Expected orders were measured with tf_keras 2.21, Keras 3.15 and tfmot 0.8.1.
"""

import pytest
from test_keras_config import functional, layer, sequential

from inspector.keras import order, tfmot
from inspector.keras.config import parse_model
from inspector.model import Flavor, Role


def dense(name, **config):
    return layer("Dense", name, use_bias=True, activation="linear", **config)


def bn(name, **config):
    return layer("BatchNormalization", name, center=True, scale=True, **config)


def pruned(inner, **config):
    name = f"prune_low_magnitude_{inner['config']['name']}"
    return layer("PruneLowMagnitude", name, layer=inner, pruning_schedule={}, **config)


def clustered(inner, class_name="ClusterWeights"):
    return layer(class_name, "cluster", layer=inner, number_of_clusters=4)


def quantized(inner, class_name="QuantizeWrapperV2", attrs=("kernel",), **config):
    plan = {"weight_attrs": list(attrs), "activation_attrs": ["activation"], **config}
    plan = {"class_name": "Default8BitQuantizeConfig", "config": {"quantize_output": False, **plan}}
    return layer(class_name, "quant", layer=inner, quantize_config=plan)


def listed(top, flavor, count=None):
    root = parse_model(sequential("s", top), flavor)
    slots = order.legacy_order(root.children[0], flavor, count)
    return None if slots is None else [f"{s.layer_path}:{s.variable.name}" for s in slots]


def stored(top, count=None, flavor=Flavor.TF_KERAS):
    root = parse_model(sequential("s", top), flavor)
    return tfmot.v3_variables(root.children[0], flavor, count=count)


def test_trainable_variables_stand_before_the_others():
    inner = sequential("inner", bn("bn"), dense("d"))
    expected = ["gamma", "beta", "kernel", "bias", "moving_mean", "moving_variance"]
    for flavor in (Flavor.TF_KERAS, Flavor.KERAS3):
        assert [one.rpartition(":")[2] for one in listed(inner, flavor)] == expected


def test_a_frozen_layer_moves_to_the_second_part():
    inner = functional("inner", dense("a", trainable=False), bn("bn"), dense("b"))
    expected = ["inner/bn:gamma", "inner/bn:beta", "inner/b:kernel", "inner/b:bias"]
    expected += ["inner/a:kernel", "inner/a:bias", "inner/bn:moving_mean"]
    for flavor in (Flavor.TF_KERAS, Flavor.KERAS3):
        assert listed(inner, flavor)[:7] == expected


def test_the_two_keras_differ_on_a_frozen_model_with_a_thawed_layer():
    frozen = {"trainable": False}
    inner = functional("inner", dense("a", **frozen), bn("bn", **frozen), dense("b"), **frozen)
    first = {flavor: listed(inner, flavor)[0] for flavor in (Flavor.TF_KERAS, Flavor.KERAS3)}
    assert first == {Flavor.TF_KERAS: "inner/b:kernel", Flavor.KERAS3: "inner/a:kernel"}


def test_a_layer_shared_inside_one_model_is_listed_once():
    shared = dense("shared")
    inner = functional("inner", layer("TimeDistributed", "td", layer=shared), shared)
    assert listed(inner, Flavor.TF_KERAS) == ["inner/td/shared:kernel", "inner/td/shared:bias"]


def test_an_unknown_class_inside_gives_no_order():
    assert listed(sequential("inner", dense("d"), layer("Mine", "m")), Flavor.KERAS3) is None


def test_keras_1_lists_the_branches_of_a_merge():
    branches = [{"class_name": "Sequential", "config": [layer("Dense", n)]} for n in ("a", "b")]
    config = [layer("Merge", "merge_1", layers=branches), layer("Dense", "c")]
    root = parse_model({"class_name": "Sequential", "config": config}, Flavor.KERAS1)
    assert [one.name for one in order.stored_layers(root, Flavor.KERAS1)] == ["a", "b", "c"]


def test_a_pruned_dense_lists_the_inner_layer_then_the_pruning_variables():
    name = "prune_low_magnitude_d"
    assert listed(pruned(dense("d")), Flavor.TF_KERAS) == [
        f"{name}/d:kernel",
        f"{name}/d:bias",
        f"{name}:mask",
        f"{name}:threshold",
        f"{name}:pruning_step",
    ]


def test_a_pruning_wrapper_stores_the_kernel_again():
    found = stored(pruned(dense("d")))
    assert [(v.name, v.role, v.about) for v in found] == [
        ("kernel", Role.ALIAS, "layer/kernel"),
        ("mask", Role.MASK, "layer/kernel"),
        ("threshold", Role.THRESHOLD, "layer/kernel"),
        ("pruning_step", Role.PRUNING_STEP, None),
    ]
    assert not found[0].counted


@pytest.mark.parametrize(
    ("inner", "masks"),
    [
        (layer("LSTM", "l", units=2), ["layer/cell/kernel", "layer/cell/recurrent_kernel"]),
        (layer("Embedding", "e"), ["layer/embeddings"]),
        (layer("SeparableConv2D", "s"), ["layer/pointwise_kernel"]),
        (layer("DepthwiseConv2D", "w"), []),
        (bn("bn"), []),
        (layer("ReLU", "r"), []),
    ],
)
def test_each_class_has_its_prunable_weights(inner, masks):
    found = stored(pruned(inner))
    assert [v.about for v in found if v.role is Role.MASK] == masks
    assert len(found) == 3 * len(masks) + 1


def test_masks_of_stacked_cells_point_into_the_list():
    cells = [layer("LSTMCell", "a"), layer("GRUCell", "b")]
    inner = layer("RNN", "rnn", cell=layer("StackedRNNCells", "sc", cells=cells))
    assert [v.about for v in stored(pruned(inner)) if v.role is Role.MASK] == [
        "layer/cell/cells/lstm_cell/kernel",
        "layer/cell/cells/lstm_cell/recurrent_kernel",
        "layer/cell/cells/gru_cell/kernel",
        "layer/cell/cells/gru_cell/recurrent_kernel",
    ]


def test_around_an_unknown_class_the_count_tells_the_masks():
    mine = pruned(layer("Mine", "m"))
    assert stored(mine) is None
    roles = [v.role for v in stored(mine, count=7)]
    pair = [Role.MASK, Role.THRESHOLD]
    assert roles == [Role.ALIAS, Role.ALIAS, *pair, *pair, Role.PRUNING_STEP]
    assert stored(mine, count=6) is None


def test_a_clustering_wrapper_keeps_the_kernel_itself():
    root = parse_model(sequential("s", clustered(dense("d"))), Flavor.TF_KERAS)
    wrapper = root.children[0]
    found = tfmot.v3_variables(wrapper, Flavor.TF_KERAS)
    assert [(v.name, v.role, v.trainable) for v in found] == [
        ("kernel", Role.WEIGHT, True),
        ("cluster_centroids_kernel", Role.CENTROIDS, True),
        ("pulling_indices_kernel", Role.CLUSTER_INDICES, False),
    ]
    inner = tfmot.v3_variables(wrapper.children[0], Flavor.TF_KERAS, wrapper=wrapper)
    assert [v.name for v in inner] == ["bias"]


def test_a_clustered_dense_lists_its_bias_first():
    assert [one.rpartition(":")[2] for one in listed(clustered(dense("d")), Flavor.TF_KERAS)] == [
        "bias",
        "kernel",
        "cluster_centroids_kernel",
        "pulling_indices_kernel",
    ]


def test_clustered_cells_are_numbered():
    inner = layer("Bidirectional", "bi", layer=layer("GRU", "gru"))
    names = [v.name for v in stored(clustered(inner, "ClusterWeightsRNN"))]
    assert names[:4] == [
        "kernel",
        "cluster_centroids_kernel/0",
        "recurrent_kernel",
        "cluster_centroids_recurrent_kernel/0",
    ]
    assert names[-1] == "pulling_indices_recurrent_kernel/1"


def test_a_quantized_dense_has_its_kernel_twice_and_its_bias_again():
    root = parse_model(sequential("s", quantized(dense("d"))), Flavor.TF_KERAS)
    wrapper = root.children[0]
    found = tfmot.v3_variables(wrapper, Flavor.TF_KERAS)
    assert [(v.name, v.role) for v in found] == [
        ("kernel", Role.WEIGHT),
        ("bias", Role.ALIAS),
        ("kernel", Role.ALIAS),
        ("optimizer_step", Role.QUANT_STEP),
        ("kernel_min", Role.QUANT_PARAM),
        ("kernel_max", Role.QUANT_PARAM),
        ("post_activation_min", Role.QUANT_PARAM),
        ("post_activation_max", Role.QUANT_PARAM),
    ]
    inner = tfmot.v3_variables(wrapper.children[0], Flavor.TF_KERAS, wrapper=wrapper)
    assert [(v.name, v.role) for v in inner] == [("bias", Role.WEIGHT)]


def test_a_quantized_dense_lists_each_variable_once():
    assert [one.rpartition(":")[2] for one in listed(quantized(dense("d")), Flavor.TF_KERAS)] == [
        "kernel",
        "bias",
        "optimizer_step",
        "kernel_min",
        "kernel_max",
        "post_activation_min",
        "post_activation_max",
    ]


def test_the_first_quantization_wrapper_listed_the_bias_first():
    found = listed(quantized(dense("d"), "QuantizeWrapper"), Flavor.TF_KERAS)
    assert [one.rpartition(":")[2] for one in found[:3]] == ["bias", "kernel", "optimizer_step"]


def test_the_count_tells_cluster_preserving_quantization():
    found = stored(quantized(dense("d")), count=11)
    assert [v.role for v in found[2:5]] == [Role.CENTROIDS, Role.CLUSTER_ORIGINAL, Role.ALIAS]
    assert [v.name for v in found[5:7]] == ["optimizer_step", "pulling_indices_tf"]
    names = [one.rpartition(":")[2] for one in listed(quantized(dense("d")), Flavor.TF_KERAS, 10)]
    assert names[:4] == ["kernel", "bias", "cluster_centroids_tf", "ori_weights_vars_tf"]


@pytest.mark.parametrize(
    ("activation", "ranges"),
    [
        ("relu", ["post_activation"]),
        ("softmax", ["pre_activation"]),
        ("gelu", ["pre_activation", "post_activation"]),
        (
            {
                "class_name": "QuantizeAwareActivation",
                "config": {"activation": {"class_name": "NoOpActivation", "config": {}}},
            },
            [],
        ),
        (
            {"class_name": "QuantizeAwareActivation", "config": {"activation": "tanh"}},
            ["pre_activation"],
        ),
    ],
)
def test_activations_are_quantized_before_or_after(activation, ranges):
    inner = layer("Dense", "d", use_bias=False, activation=activation)
    names = [
        v.name.removesuffix("_min") for v in stored(quantized(inner)) if v.name.endswith("_min")
    ]
    assert names == ["kernel", *ranges]


def test_outputs_are_quantized_where_the_plan_says_so():
    wrapper = quantized(layer("ReLU", "r"), attrs=(), activation_attrs=[], quantize_output=True)
    assert [v.name for v in stored(wrapper)] == ["optimizer_step", "output_min", "output_max"]


def test_a_quantize_layer_has_a_range_of_its_own_name():
    quantizer = {"class_name": "AllValuesQuantizer", "config": {}}
    top = layer("QuantizeLayer", "quantize_layer", quantizer=quantizer)
    assert [v.name for v in stored(top)] == [
        "quantize_layer_min",
        "quantize_layer_max",
        "optimizer_step",
    ]
    assert [v.name for v in stored(layer("QuantizeLayer", "q", quantizer=None))] == [
        "optimizer_step"
    ]


def test_an_annotated_layer_owns_nothing():
    top = layer("QuantizeAnnotate", "q", layer=dense("d"), quantize_config=None)
    assert stored(top) == ()
    assert listed(top, Flavor.TF_KERAS) == ["q/d:kernel", "q/d:bias"]


@pytest.mark.parametrize(
    "look_alike",
    [
        layer("PruneLowMagnitude", "p", layer=dense("d")),
        {**pruned(dense("d")), "registered_name": "mylib>PruneLowMagnitude"},
        {**pruned(dense("d")), "module": "mylib.layers"},
        {**quantized(dense("d")), "class_name": "Vitis>QuantizeWrapper"},
        layer("QuantizeWrapperV2", "q", layer=dense("d"), quantize_config={"class_name": "Mine"}),
    ],
)
def test_a_look_alike_is_an_unknown_class(look_alike):
    assert stored(look_alike) is None
    assert listed(look_alike, Flavor.TF_KERAS) is None


def test_tfmots_own_registration_counts():
    own = {
        **pruned(dense("d")),
        "module": "tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper",
        "registered_name": "PruneLowMagnitude",
    }
    assert len(stored(own)) == 4


def gates(config, flavor):
    return order.effective_trainable(parse_model(config, flavor), flavor)


def test_a_models_own_flag_is_not_restored_except_of_a_functional_root_in_keras_3():
    inner = functional("inner", dense("a"), trainable=False)
    config = functional("m", inner, dense("b"))
    for flavor in (Flavor.TF_KERAS, Flavor.KERAS3):
        assert gates(config, flavor)["inner/a"]
    frozen = functional("m", dense("a"), trainable=False)
    assert gates(frozen, Flavor.TF_KERAS)["a"]
    assert not gates(frozen, Flavor.KERAS3)["a"]


def test_a_frozen_attention_is_trainable_again_in_keras_3():
    attention = layer("MultiHeadAttention", "mha", num_heads=1, key_dim=2, trainable=False)
    config = functional("m", attention, layer("LSTM", "lstm", trainable=False))
    assert gates(config, Flavor.KERAS3)["mha/query"]
    assert not gates(config, Flavor.KERAS3)["lstm/lstm_cell"]
    assert not gates(config, Flavor.TF_KERAS)["mha/query"]


def test_a_pruning_wrapper_leaves_the_flag_to_the_layer_inside():
    frozen = pruned(dense("d", trainable=False), trainable=False)
    thawed = pruned(dense("d"), trainable=False)
    assert not gates(sequential("s", frozen), Flavor.TF_KERAS)["prune_low_magnitude_d/d"]
    assert gates(sequential("s", thawed), Flavor.TF_KERAS)["prune_low_magnitude_d/d"]


def test_copies_and_masks_have_the_rank_of_their_weight():
    ranks = {(v.name, v.rank) for v in stored(pruned(dense("d")))}
    assert ranks == {("kernel", 2), ("mask", 2), ("threshold", 0), ("pruning_step", 0)}


def test_a_layer_that_was_frozen_when_wrapped_has_nothing_clustered():
    # Loading a frozen clustered Dense back gives a wrapper that expects no variables.
    root = parse_model(sequential("s", clustered(dense("d"))), Flavor.TF_KERAS)
    wrapper = root.children[0]
    assert tfmot.v3_variables(wrapper, Flavor.TF_KERAS, count=0) == ()
    inner = tfmot.v3_variables(wrapper.children[0], Flavor.TF_KERAS, wrapper=wrapper, count=2)
    assert [v.name for v in inner] == ["kernel", "bias"]


def test_a_mask_leads_to_the_layer_that_holds_its_weight():
    root = parse_model(sequential("s", pruned(layer("LSTM", "l", units=2))), Flavor.TF_KERAS)
    wrapper = root.children[0]
    masks = [v for v in tfmot.v3_variables(wrapper, Flavor.TF_KERAS) if v.role is Role.MASK]
    found = [tfmot.resolve(wrapper, mask.about, Flavor.TF_KERAS) for mask in masks]
    assert [(one.path.rpartition("/")[2], name) for one, name in found] == [
        ("lstm_cell", "kernel"),
        ("lstm_cell", "recurrent_kernel"),
    ]
