"""Group paths of v3 stores, as files of each line of Keras have them."""

import pytest
from test_keras_config import functional, layer, sequential

from inspector.keras.config import parse_model
from inspector.keras.paths import group_name, object_paths, tidy
from inspector.model import Flavor


def names(root, flavor, present=None):
    return {path: one.path for path, one in object_paths(root, flavor, present).items()}


@pytest.mark.parametrize(
    ("class_name", "group"),
    [
        ("Dense", "dense"),
        ("Conv2D", "conv2d"),
        ("LSTM", "lstm"),
        ("PReLU", "p_re_lu"),
        ("BatchNormalization", "batch_normalization"),
        ("QuantizeWrapperV2", "quantize_wrapper_v2"),
        ("MultiHeadAttention", "multi_head_attention"),
        ("mylib>MyBlock", "my_block"),
    ],
)
def test_groups_are_named_after_classes(class_name, group):
    assert group_name(class_name) == group


def test_layers_of_one_class_are_numbered_in_the_order_of_the_config():
    inner = sequential("inner", layer("Dense", "z"))
    root = parse_model(
        sequential("s", layer("Dense", "b"), inner, layer("Dense", "a")), Flavor.KERAS3
    )
    assert names(root, Flavor.KERAS3) == {
        "": "",
        "layers/dense": "b",
        "layers/sequential": "inner",
        "layers/sequential/layers/dense": "inner/z",
        "layers/dense_1": "a",
    }


def test_wrappers_and_cells_are_named_after_attributes():
    stacked = layer(
        "StackedRNNCells", "sc", cells=[layer("LSTMCell", "c1"), layer("LSTMCell", "c2")]
    )
    root = parse_model(
        sequential(
            "s",
            layer("Bidirectional", "bi", layer=layer("LSTM", "lstm")),
            layer("RNN", "rnn", cell=stacked),
        ),
        Flavor.TF_KERAS,
    )
    found = names(root, Flavor.TF_KERAS)
    assert found["layers/bidirectional/forward_layer/cell"] == "bi/forward_lstm/lstm_cell"
    assert found["layers/rnn/cell/cells/lstm_cell_1"] == "rnn/sc/c2"


@pytest.mark.parametrize(
    ("flavor", "attention"), [(Flavor.KERAS3, "query_dense"), (Flavor.TF_KERAS, "_query_dense")]
)
def test_attention_names_its_projections_as_each_keras_does(flavor, attention):
    root = parse_model(
        functional("m", layer("MultiHeadAttention", "mha", num_heads=2, key_dim=4)), flavor
    )
    assert names(root, flavor)[f"layers/multi_head_attention/{attention}"] == "mha/query"


def test_keras_3_0_had_the_projections_private():
    # Measured with keras 3.0.0; 3.3.3 has the public property but still visits "_" first.
    root = parse_model(
        functional("m", layer("MultiHeadAttention", "mha", num_heads=2, key_dim=4)), Flavor.KERAS3
    )
    group = "layers/multi_head_attention/_query_dense"
    assert names(root, Flavor.KERAS3, [group])[group] == "mha/query"


def test_a_list_of_one_layer_is_still_a_list():
    block = layer("Block", "b", parts=[layer("Dense", "d")], head=layer("Dense", "h"))
    root = parse_model(sequential("s", block), Flavor.KERAS3)
    found = names(root, Flavor.KERAS3)
    assert found["layers/block/parts/dense"] == "b/d"
    assert found["layers/block/head"] == "b/h"


def test_of_a_shared_layer_the_first_path_wins():
    # Measured: the file of the model below holds layers/time_distributed/layer alone.
    shared = layer("Dense", "shared")
    root = parse_model(
        functional(
            "m", layer("TimeDistributed", "td", layer=shared), shared, layer("Dense", "own")
        ),
        Flavor.TF_KERAS,
    )
    assert names(root, Flavor.TF_KERAS) == {
        "": "",
        "layers/time_distributed": "td",
        "layers/time_distributed/layer": "td/shared",
        "layers/dense": "own",  # tf_keras gives no number to a layer that it has saved already
    }
    assert "layers/dense_1" in names(
        parse_model(
            functional(
                "m", layer("TimeDistributed", "td", layer=shared), shared, layer("Dense", "own")
            ),
            Flavor.KERAS3,
        ),
        Flavor.KERAS3,
    )


def test_tensorflow_2_13_lists_layers_with_weights_twice():
    # Measured with tensorflow-cpu 2.13.1: the second Dense is dense_2, of 2.14.1 it is dense_1.
    root = parse_model(
        functional("m", layer("Dense", "a"), layer("ReLU", "r"), layer("Dense", "b")),
        Flavor.TF_KERAS,
    )
    for group in ("dense_1", "dense_2"):
        present = [f"_layer_checkpoint_dependencies/{g}" for g in ("dense", group)]
        assert names(root, Flavor.TF_KERAS, present)[present[1]] == "b"


def test_windows_wrote_backslashes():
    assert tidy("_layer_checkpoint_dependencies\\dense") == "_layer_checkpoint_dependencies/dense"
