"""The layer tree of configs written by hand, as each line of Keras writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.errors import ArtifactError, Corrupt, LimitExceeded
from inspector.keras.config import flavor_of, parse_model, shared_layers
from inspector.limits import Limits
from inspector.model import Flavor


def layer(class_name, name, **config):
    return {"class_name": class_name, "config": {"name": name, **config}}


def sequential(name, *layers):
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def functional(name, *layers, **config):
    entries = [{**one, "name": one["config"]["name"], "inbound_nodes": []} for one in layers]
    config = {"name": name, "layers": entries, "output_layers": [], **config}
    return {"class_name": "Functional", "config": config}


def tree(root):
    return {one.path: (one.class_name, one.attr) for one in root.walk()}


def test_a_sequential_holds_its_layers_in_order():
    root = parse_model(
        sequential("s", layer("Dense", "b", units=1), layer("Flatten", "a")), Flavor.TF_KERAS
    )
    assert root.is_model
    assert [one.path for one in root.walk()] == ["", "b", "a"]
    assert root.children[0].config["units"] == 1


def test_keras_1_writes_a_sequential_as_a_list():
    config = {"class_name": "Sequential", "config": [layer("Dense", "dense_1", output_dim=3)]}
    root = parse_model(config, Flavor.KERAS1)
    assert tree(root) == {"": ("Sequential", "layers"), "dense_1": ("Dense", "layers")}


def test_keras_1_merges_branches():
    branch = {"class_name": "Sequential", "config": [layer("Dense", "dense_1")]}
    config = {"class_name": "Sequential", "config": [layer("Merge", "merge_1", layers=[branch])]}
    root = parse_model(config, Flavor.KERAS1)
    assert tree(root)["merge_1/sequential/dense_1"] == ("Dense", "layers")


def test_paths_are_qualified_by_the_models_around():
    inner = functional("inner", layer("Dense", "dense"))
    root = parse_model(functional("outer", inner, layer("Dense", "dense")), Flavor.KERAS3)
    assert list(tree(root)) == ["", "inner", "inner/dense", "dense"]
    assert root.children[0].is_model


def test_names_that_hold_a_slash_do_not_collide():
    # "conv2/bn" is a layer of the model, and the "bn" inside "conv2" has the same path.
    inner = sequential("conv2", layer("Conv2D", "bn"))
    root = parse_model(
        sequential("s", inner, layer("BatchNormalization", "conv2/bn")), Flavor.TF_KERAS
    )
    assert tree(root) == {
        "": ("Sequential", "layers"),
        "conv2": ("Sequential", "layers"),
        "conv2/bn": ("Conv2D", "layers"),
        "conv2/bn#2": ("BatchNormalization", "layers"),
    }
    assert root.children[1].name == "conv2/bn"


def test_a_wrapper_holds_its_layer():
    wrapped = layer("TimeDistributed", "td", layer=layer("Dense", "dense"))
    root = parse_model(sequential("s", wrapped), Flavor.TF_KERAS)
    assert tree(root)["td/dense"] == ("Dense", "layer")


def test_bidirectional_holds_two_renamed_copies():
    # tf_keras keeps the name of the layer that it was given, Keras 3 writes the copies' own.
    old = layer("Bidirectional", "bi", layer=layer("LSTM", "lstm", units=2))
    new = layer(
        "Bidirectional",
        "bi",
        layer=layer("LSTM", "forward_lstm", units=2),
        backward_layer=layer("LSTM", "backward_lstm", units=2),
    )
    expected = {
        "bi/forward_lstm": ("LSTM", "forward_layer"),
        "bi/forward_lstm/lstm_cell": ("LSTMCell", "cell"),
        "bi/backward_lstm": ("LSTM", "backward_layer"),
        "bi/backward_lstm/lstm_cell": ("LSTMCell", "cell"),
    }
    for config, flavor in ((old, Flavor.TF_KERAS), (new, Flavor.KERAS3)):
        found = tree(parse_model(sequential("s", config), flavor))
        assert {path: found[path] for path in found if path.startswith("bi/")} == expected


def test_an_rnn_holds_its_stacked_cells():
    cells = [layer("LSTMCell", "a"), layer("GRUCell", "b")]
    cell = layer("StackedRNNCells", "stacked", cells=cells)
    root = parse_model(sequential("s", layer("RNN", "rnn", cell=cell)), Flavor.KERAS3)
    assert tree(root)["rnn/stacked/b"] == ("GRUCell", "cells")


def test_a_custom_class_may_hold_layers_under_any_key():
    block = layer(
        "Block",
        "block",
        first=layer("Dense", "d1"),
        parts=[layer("Dense", "d2"), [layer("Dense", "d3")]],
        table={"x": layer("Dense", "d4")},
        kernel_initializer={"class_name": "Zeros", "config": {"name": "no layer"}},
        dtype={"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}},
        rate={"class_name": "Schedule", "config": {}},
    )
    root = parse_model(sequential("s", block), Flavor.KERAS3)
    assert {p: a for p, (_, a) in tree(root).items() if "/" in p} == {
        "block/d1": "first",
        "block/d2": "parts",
        "block/d3": "parts",
        "block/d4": "table",
    }


def test_flags_and_registration_come_from_the_config():
    one = {
        "module": "mylib",
        "class_name": "Block",
        "registered_name": "mylib>Block",
        "config": {"name": "b", "trainable": False},
    }
    block = parse_model(sequential("s", one, layer("Dense", "d")), Flavor.KERAS3).children
    assert (block[0].module, block[0].registered) == ("mylib", "mylib>Block")
    assert [b.trainable for b in block] == [False, None]


def test_a_layer_is_shared_where_a_wrapper_repeats_a_neighbour():
    shared = layer("Dense", "shared", units=10)
    model = functional("m", layer("TimeDistributed", "td", layer=shared), shared)
    root = parse_model(model, Flavor.TF_KERAS)
    assert shared_layers(root) == {"shared": "td/shared"}


def test_a_mark_of_sharing_tells_across_models():
    first = layer("Dense", "d", units=1)
    again = {**first, "shared_object_id": 7}
    model = functional("m", sequential("a", first), sequential("b", again), sequential("c", again))
    root = parse_model(model, Flavor.KERAS3)
    assert shared_layers(root) == {"b/d": "a/d", "c/d": "a/d"}


def test_marks_that_differ_mean_two_layers():
    # TensorFlow 2.5 to 2.12 number every object.
    one, two = ({**layer("Dense", "d"), "shared_object_id": i} for i in (1, 2))
    root = parse_model(sequential("s", sequential("a", one), sequential("b", two)), Flavor.TF_KERAS)
    assert shared_layers(root) == {}


def test_cloned_models_share_nothing():
    models = [sequential(name, layer("Dense", "d", units=4)) for name in ("one", "two")]
    assert shared_layers(parse_model(sequential("s", *models), Flavor.TF_KERAS)) == {}


@pytest.mark.parametrize(
    ("version", "config", "flavor"),
    [
        ("1.2.2", {}, Flavor.KERAS1),
        ("2.2.4-tf", {}, Flavor.TF_KERAS),
        ("3.15.1", {}, Flavor.KERAS3),
        (None, {"config": {"layers": [layer("Dense", "d", output_dim=2)]}}, Flavor.KERAS1),
        (None, sequential("s", layer("Dense", "d", kernel_initializer={})), Flavor.TF_KERAS),
        (None, sequential("s", layer("InputLayer", "i", batch_shape=[None, 2])), Flavor.KERAS3),
    ],
)
def test_the_flavor_comes_from_the_version_else_from_the_words(version, config, flavor):
    assert flavor_of(version, config) is flavor


@pytest.mark.parametrize("config", [None, 3, "model", {}, {"config": 3}, {"layers": {}}])
def test_a_config_with_nothing_in_it_is_corrupt(config):
    with pytest.raises(Corrupt):
        parse_model(config, Flavor.KERAS3, "model.keras")


@pytest.mark.parametrize(
    "entries",
    [
        [3, None, "dense", []],
        [{"class_name": 3, "config": {"name": 4, "trainable": "no"}}],
        [{"class_name": "Dense", "config": 5}],
        [{"class_name": "Bidirectional", "config": {"name": "b", "layer": []}}],
        [{"class_name": "LSTM", "config": {"units": "many"}}],
        [{"config": {"name": "x"}}],
    ],
)
def test_malformed_layers_are_read_as_far_as_they_go(entries):
    root = parse_model({"class_name": "Sequential", "config": {"layers": entries}}, Flavor.KERAS3)
    assert all(isinstance(one.name, str) for one in root.walk())


def test_nesting_past_the_limit_is_refused():
    config = sequential("s")
    for _ in range(10_000):
        config = sequential("s", config)
    with pytest.raises(LimitExceeded, match="depth"):
        parse_model(config, Flavor.KERAS3)


def test_a_chain_of_bidirectionals_does_not_double_without_end():
    config = layer("LSTM", "lstm")
    for _ in range(50):  # 2 ** 50 layers if each were read twice
        config = layer("Bidirectional", "b", layer=config)
    with pytest.raises(LimitExceeded, match="nodes"):
        parse_model(sequential("s", config), Flavor.TF_KERAS)


def test_more_layers_than_the_limit_are_refused():
    config = sequential("s", *(layer("Dense", f"d{i}") for i in range(20)))
    with pytest.raises(LimitExceeded, match="nodes"):
        parse_model(config, Flavor.KERAS3, limits=Limits(nodes=10))


KEYS = ["class_name", "config", "name", "layers", "layer", "cell", "cells", "module", "trainable"]
KEYS += ["registered_name", "shared_object_id", "backward_layer", "x"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner | st.sampled_from(["Dense", "Sequential", "LSTM", "Bidirectional", "RNN"]),
            max_size=6,
        )
    ),
    max_leaves=40,
)


@given(json_values, st.sampled_from(Flavor))
def test_any_json_gives_a_tree_or_a_typed_error(config, flavor):
    try:
        root = parse_model(config, flavor)
    except ArtifactError:
        return
    paths = [one.path for one in root.walk()]
    assert len(paths) == len(set(paths))
    assert set(shared_layers(root)) <= set(paths)
