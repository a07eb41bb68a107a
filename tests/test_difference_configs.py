"""What is said of layers and their settings: each change, made on a copy, is found alone."""

import json
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.difference.config_values import Writers, differences, normal
from inspector.difference.configs import config_facts
from inspector.pairing import pair
from tests.builders.edits import edited_h5, edited_keras, node, nodes, renamed, subject
from tests.builders.samples import KERAS, path


@pytest.fixture
def facts():
    """The facts of two artifacts, those that count first: (part, what, a, b)."""
    with ExitStack() as stack:

        def found(a, b):
            one, other = (subject(stack, str(each)) for each in (a, b))
            return config_facts(one, other, pair(one.side, other.side).layers)

        yield found


def short(facts):
    return [(fact.part, fact.what, fact.a, fact.b) for fact in facts]


def words(facts, *, counts=True):
    return [fact.words for fact in facts if fact.counts is counts]


# --- nothing to say ----------------------------------------------------------------------------

SAME_MODEL = [
    ("stripped.h5", "stripped.keras"),
    ("stripped.h5", "saved_stripped"),
    ("stripped.keras", "saved_stripped"),
    ("pruned.h5", "pruned.keras"),
    ("pruned.h5", "saved_pruned"),
    ("qat.h5", "qat.keras"),
    ("clustered.h5", "clustered.keras"),
    ("k3.h5", "k3.keras"),
    ("k3.keras", "k3_dir"),
    ("pruned_convnet.h5", "pruned_convnet.keras"),
]


@pytest.mark.parametrize(("a", "b"), SAME_MODEL)
def test_one_model_in_two_formats_says_no_difference(facts, a, b):
    assert facts(path(a), path(b)) == facts(path(b), path(a)) == ()


@pytest.mark.parametrize("name", KERAS)
def test_an_artifact_differs_in_nothing_from_itself(facts, name):
    assert facts(path(name), path(name)) == ()


# --- one change, found alone -------------------------------------------------------------------


def setting(layer, key, value):
    def edit(config):
        found = node(config, layer)["config"]
        *outer, last = key.split(".")
        for one in outer:
            found = found[one]
        found[last] = value

    return edit


CHANGES = [
    ("head", "activation", "gelu", "head: activation linear -> gelu"),
    ("head", "units", 3, "head: units 2 -> 3"),
    ("head", "use_bias", False, "head: use_bias true -> false"),
    ("head", "trainable", False, "head: trainable true -> false"),
    ("dropout", "rate", 0.5, "dropout: rate 0.25 -> 0.5"),
    ("batch_normalization", "epsilon", 1e-5, "batch_normalization: epsilon 0.001 -> 1e-05"),
    ("inner/dense", "activation", "tanh", "inner/dense: activation relu -> tanh"),
    ("head", "kernel_initializer.config.seed", 3, "head: kernel_initializer seed none -> 3"),
    (
        "head",
        "kernel_initializer.class_name",
        "HeNormal",
        "head: kernel_initializer GlorotUniform() -> HeNormal()",
    ),
    (
        "head",
        "kernel_regularizer",
        {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.01}},
        "head: kernel_regularizer none -> L2(l2=0.01)",
    ),
    ("head", "dtype.config.name", "mixed_float16", "head: dtype float32 -> mixed_float16"),
    (
        "input_layer_1",
        "batch_shape",
        [None, 16],
        "input_layer_1: input shape [?, 8] -> [?, 16]",
    ),
]


@pytest.mark.parametrize(("layer", "key", "value", "said"), CHANGES)
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_changed_setting_is_found_alone(facts, tmp_path, suffix, layer, key, value, said):
    edited = {"h5": edited_h5, "keras": edited_keras}[suffix]
    source = path(f"k3.{suffix}")
    change = setting(layer.rpartition("/")[2], key, value)
    changed = edited(source, tmp_path / f"changed.{suffix}", change)
    found = facts(source, changed)
    assert [fact.words for fact in found] == [said]
    assert found[0].part == "config"
    assert found[0].counts
    what = key.removesuffix(".class_name") if "class_name" in key else key
    assert found[0].what == f"{layer}.{what.removesuffix('.config.name')}"
    # The other way round it is the same, mirrored.
    (back,) = facts(changed, source)
    assert (back.what, back.a, back.b) == (found[0].what, found[0].b, found[0].a)


def test_a_renamed_layer_is_renamed_and_nothing_else(facts, tmp_path):
    changed = edited_keras(
        path("k3.keras"), tmp_path / "b.keras", lambda c: renamed(c, "head", "logits")
    )
    found = facts(path("k3.keras"), changed)
    assert words(found) == ["layer renamed: head -> logits"]
    assert len(found) == 1


def test_a_renamed_layer_without_weights_is_renamed_not_removed_and_added(facts, tmp_path):
    changed = edited_h5(
        path("k3.h5"), tmp_path / "b.h5", lambda c: renamed(c, "dropout", "regularize")
    )
    assert words(facts(path("k3.h5"), changed)) == ["layer renamed: dropout -> regularize"]


def test_a_renamed_model_inside_does_not_rename_its_layers(facts, tmp_path):
    changed = edited_keras(
        path("k3.keras"), tmp_path / "b.keras", lambda c: renamed(c, "inner", "body")
    )
    assert words(facts(path("k3.keras"), changed)) == ["layer renamed: inner -> body"]


def test_the_models_own_name_does_not_count(facts, tmp_path):
    changed = edited_h5(
        path("k3.h5"), tmp_path / "b.h5", lambda c: c["config"].update(name="other")
    )
    found = facts(path("k3.h5"), changed)
    assert short(found) == [("layers", "model.name", "small", "other")]
    assert not found[0].counts


def test_the_name_of_a_sequentials_input_does_not_count(facts, tmp_path):
    changed = edited_h5(
        path("stripped.h5"), tmp_path / "b.h5", lambda c: renamed(c, "dense_input", "x")
    )
    found = facts(path("stripped.h5"), changed)
    assert words(found, counts=False) == ["layer renamed: dense_input -> x"]
    assert len(found) == 1


DROPOUT = {"class_name": "Dropout", "config": {"name": "new", "trainable": True, "rate": 0.1}}


def test_a_layer_more_in_a_sequential_is_added(facts, tmp_path):
    changed = edited_h5(
        path("stripped.h5"),
        tmp_path / "b.h5",
        lambda c: c["config"]["layers"].insert(2, DROPOUT),
    )
    assert words(facts(path("stripped.h5"), changed)) == ["layer added: new (Dropout)"]
    assert words(facts(changed, path("stripped.h5"))) == ["layer removed: new (Dropout)"]


def tensor(name, shape):
    history = {"shape": shape, "dtype": "float32", "keras_history": [name, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": history}


def test_a_layer_between_two_others_is_added_and_no_connection_is_changed(facts, tmp_path):
    def edit(config):
        call = {"args": [tensor("inner", [None, 4])], "kwargs": {}}
        config["config"]["layers"].insert(-1, {**DROPOUT, "name": "new", "inbound_nodes": [call]})
        node(config, "head")["inbound_nodes"][0]["args"] = [tensor("new", [None, 4])]

    changed = edited_keras(path("k3.keras"), tmp_path / "b.keras", edit)
    assert words(facts(path("k3.keras"), changed)) == ["layer added: new (Dropout)"]


def test_a_changed_connection_is_found_alone(facts, tmp_path):
    def edit(config):
        node(config, "inner")["inbound_nodes"][0]["args"] = [tensor("frozen", [None, 6])]

    changed = edited_h5(path("k3.h5"), tmp_path / "b.h5", edit)
    found = facts(path("k3.h5"), changed)
    assert words(found) == ["inner: inputs batch_normalization -> frozen"]
    assert len(found) == 1
    assert found[0].what == "inner.inputs"


def test_inputs_in_another_order_are_a_changed_connection(facts, tmp_path):
    def edit(config):
        node(config, "subtract")["inbound_nodes"][0]["args"][0].reverse()

    changed = edited_h5(path("k3_shared.h5"), tmp_path / "b.h5", edit)
    assert words(facts(path("k3_shared.h5"), changed)) == [
        "subtract: inputs base, base (call 2) -> base (call 2), base"
    ]


def test_another_output_of_the_model_is_found(facts, tmp_path):
    changed = edited_h5(
        path("k3.h5"),
        tmp_path / "b.h5",
        lambda c: c["config"].update(output_layers=["inner", 0, 0]),
    )
    assert words(facts(path("k3.h5"), changed)) == ["the model: outputs head -> inner"]


def test_what_a_layer_is_called_with_is_told(facts, tmp_path):
    def edit(config):
        node(config, "dropout")["inbound_nodes"][0]["kwargs"] = {"training": True}

    changed = edited_h5(path("k3.h5"), tmp_path / "b.h5", edit)
    assert words(facts(path("k3.h5"), changed)) == [
        'dropout: called with {"training": false} -> {"training": true}'
    ]


def test_a_layer_of_another_class_is_told_once(facts, tmp_path):
    changed = edited_h5(
        path("k3.h5"),
        tmp_path / "b.h5",
        lambda c: node(c, "dropout").update(class_name="GaussianDropout"),
    )
    assert words(facts(path("k3.h5"), changed)) == ["dropout: class Dropout -> GaussianDropout"]


def test_layers_of_a_sequential_in_another_order_have_moved(facts, tmp_path):
    """Of dense, new, dense_1 the fewest that moved is one."""
    longer, other = [tmp_path / "a.h5", tmp_path / "b.h5"]

    def insert(at):
        return lambda config: config["config"]["layers"].insert(at, DROPOUT)

    edited_h5(path("stripped.h5"), longer, insert(2))
    edited_h5(path("stripped.h5"), other, insert(3))
    found = facts(longer, other)
    assert len(found) == 1
    assert found[0].counts
    assert "moved, from place" in found[0].words


# --- wrappers ----------------------------------------------------------------------------------


def test_wrappers_taken_off_are_one_fact_and_no_layer_is_removed(facts):
    found = facts(path("pruned.h5"), path("stripped.h5"))
    assert words(found) == ["2 PruneLowMagnitude wrappers taken off: dense, dense_1"]
    assert len(found) == 1
    assert found[0].what == "wrappers.PruneLowMagnitude"
    (back,) = facts(path("stripped.h5"), path("pruned.h5"))
    assert back.words == "2 PruneLowMagnitude wrappers put on: dense, dense_1"


def test_nine_wrappers_are_one_fact(facts):
    (found,) = facts(path("pruned_convnet.h5"), path("stripped_convnet.h5"))
    assert found.words.startswith("9 PruneLowMagnitude wrappers taken off: ")


def test_what_a_wrapper_was_told_is_found(facts, tmp_path):
    def edit(config):
        wrapper = node(config, "prune_low_magnitude_dense")["config"]
        wrapper["pruning_schedule"]["config"]["final_sparsity"] = 0.8

    changed = edited_h5(path("pruned.h5"), tmp_path / "b.h5", edit)
    (found,) = facts(path("pruned.h5"), changed)
    assert found.words == ("prune_low_magnitude_dense: pruning_schedule final_sparsity 0.5 -> 0.8")


# --- keys that one side lacks ------------------------------------------------------------------


def without(layer, key):
    return lambda config: node(config, layer)["config"].pop(key)


def test_a_key_that_one_file_of_one_version_lacks_is_a_difference(facts, tmp_path):
    changed = edited_h5(path("k3.h5"), tmp_path / "b.h5", without("dropout", "rate"))
    (found,) = facts(path("k3.h5"), changed)
    assert found.counts
    assert found.words == "dropout: only A has rate (0.25)"


def test_a_key_that_another_version_lacks_does_not_count(facts, tmp_path):
    changed = edited_keras(path("k3.keras"), tmp_path / "b.keras", without("dropout", "rate"))
    older = edited_keras(
        changed,
        tmp_path / "c.keras",
        lambda metadata: metadata.update(keras_version="3.0.0"),
        "metadata.json",
    )
    (found,) = facts(path("k3.keras"), older)
    assert not found.counts


def test_an_empty_key_that_another_version_lacks_is_not_told(facts, tmp_path):
    changed = edited_keras(
        path("k3.keras"), tmp_path / "b.keras", without("head", "quantization_config")
    )
    older = edited_keras(
        changed,
        tmp_path / "c.keras",
        lambda metadata: metadata.update(keras_version="3.0.0"),
        "metadata.json",
    )
    assert facts(path("k3.keras"), older) == ()


def test_no_config_on_one_side_is_said_and_does_not_count(facts):
    (found,) = facts(path("stripped.h5"), path("stripped_weights.h5"))
    assert found.words == "B has no config of its layers to compare"
    assert not found.counts


# --- hostile -----------------------------------------------------------------------------------


def test_a_deep_value_is_compared_as_far_as_it_is_read(facts, tmp_path):
    deep = json.loads("[" * 100 + "1" + "]" * 100)
    changed = edited_h5(path("k3.h5"), tmp_path / "b.h5", setting("head", "units", deep))
    (found,) = facts(path("k3.h5"), changed)
    assert len(found.words) < 200


def test_a_long_value_is_shortened(facts, tmp_path):
    changed = edited_h5(
        path("k3.h5"), tmp_path / "b.h5", setting("head", "units", list(range(100_000)))
    )
    (found,) = facts(path("k3.h5"), changed)
    assert found.words.endswith("... (100,000 of them)")
    assert len(json.dumps(found.b)) < 200


def test_an_integer_past_all_floats_is_another_value(facts, tmp_path):
    changed = edited_h5(path("k3.h5"), tmp_path / "b.h5", setting("dropout", "rate", 10**400))
    (found,) = facts(path("k3.h5"), changed)
    assert found.what == "dropout.rate"


def test_layers_wired_in_a_circle_end(facts, tmp_path):
    def circle(config):
        for name, source in (("x", "y"), ("y", "x")):
            call = {"args": [tensor(source, [None, 4])], "kwargs": {}}
            new = {"class_name": "Dropout", "config": {"name": name}, "inbound_nodes": [call]}
            config["config"]["layers"].append(new)
        node(config, "head")["inbound_nodes"][0]["args"] = [tensor("x", [None, 4])]

    changed = edited_h5(path("k3.h5"), tmp_path / "b.h5", circle)
    found = facts(path("k3.h5"), changed)
    assert "head.inputs" in [fact.what for fact in found]


def test_a_thousand_layers_more_end_soon(facts, tmp_path):
    def grown(config):
        for at in range(3000):
            config["config"]["layers"].append(
                {"class_name": f"Layer{at % 7}", "config": {"name": f"more_{at}"}}
            )

    changed = edited_h5(path("stripped.h5"), tmp_path / "b.h5", grown)
    assert len(facts(path("stripped.h5"), changed)) == 3000
    again = edited_h5(
        changed,
        tmp_path / "c.h5",
        lambda c: [one["config"].update(name="n" + one["config"]["name"]) for one in nodes(c)],
    )
    assert facts(changed, again)


# --- both ways ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("k3.h5", "stripped.h5"),
        ("clustered.keras", "k3_shared.h5"),
        ("pruned.h5", "k3_rnn.keras"),
        ("saved_untraced", "k3.h5"),
        ("qat.h5", "tfk_rnn.h5"),
    ],
)
def test_the_other_way_round_as_much_counts(facts, a, b):
    there, back = facts(path(a), path(b)), facts(path(b), path(a))
    assert len(there) == len(back)
    assert sum(fact.counts for fact in there) == sum(fact.counts for fact in back)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "axis", "class_name", "config"]), inner)
    ),
    max_leaves=12,
)


@given(JSON, JSON, st.sampled_from(list(Writers)))
def test_any_values_differ_both_ways_and_never_from_themselves(a, b, writers):
    a, b = normal(a), normal(b)
    assert list(differences(a, a, writers)) == []
    there = sorted(found.key for found in differences(a, b, writers))
    assert there == sorted(found.key for found in differences(b, a, writers))
