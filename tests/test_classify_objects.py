"""Roles of variables that an object graph places: what each rule takes, and what it leaves."""

from dataclasses import replace

import pytest

from inspector.classify import classify
from inspector.model import (
    Artifact,
    Flavor,
    Layer,
    Naming,
    Role,
    Section,
    Store,
    Tensor,
    Use,
)
from tests.builders.objects import VALUE


def tensor(name, variable, layer="", **fields):
    given = {
        "dtype": "float32",
        "shape": (3,),
        "nbytes": 12,
        "layer": layer,
        "owner": layer,
        "variable": variable,
        "naming": Naming.OBJECTS,
    }
    return Tensor(name=f"{name}{VALUE}", **{**given, **fields})


def artifact(*tensors, model=None, guessed=(), uncounted=None):
    return Artifact(
        path="m",
        format="saved-model",
        kind="",
        files=(),
        tensors=tensors,
        overhead={},
        model=model,
        store=Store.OBJECTS,
        guessed=guessed,
        uncounted=uncounted,
    )


def verdict(one, **around):
    others = around.pop("others", ())
    return classify(artifact(one, *others, **around)).verdicts[one.name]


def keras(class_name, path, config=None, **fields):
    config = {"name": path, **(config or {})}
    return Layer(path, path, class_name, config=config, **fields)


def net(*layers):
    return Layer("", "model", "Sequential", is_model=True, children=layers)


def test_a_known_class_says_what_its_variables_are_by_their_names():
    model = net(keras("BatchNormalization", "bn"), keras("Dense", "dense"))
    moving = verdict(tensor("a", "moving_mean", "bn", trainable=False), model=model)
    assert (moving.role, moving.rule, moving.trainable) == (
        Role.STATISTIC,
        "keras-statistic",
        False,
    )
    kernel = tensor("b", "kernel", "dense", shape=(4, 3), trainable=True)
    assert verdict(kernel, model=model).rule == "keras-weight"


def test_the_order_of_variables_does_not_matter():
    model = net(keras("Dense", "dense"))
    bias = tensor("a", "bias", "dense", position=0)
    kernel = tensor("b", "kernel", "dense", shape=(4, 3), position=1)
    found = classify(artifact(bias, kernel, model=model)).verdicts
    assert {one.rule for one in found.values()} == {"keras-weight"}


def test_the_file_s_flag_comes_before_the_config_s():
    model = net(keras("Dense", "dense", trainable=True))
    kernel = tensor("a", "kernel", "dense", shape=(4, 3), trainable=False)
    assert verdict(kernel, model=model).trainable is False
    # Without a flag the config tells.
    assert verdict(replace(kernel, trainable=None), model=model).trainable is True


def test_a_rank_that_a_class_cannot_have_is_not_taken_by_its_name():
    model = net(keras("Dense", "dense"))
    odd = tensor("a", "kernel", "dense", shape=(2, 2, 2), trainable=True)
    assert verdict(odd, model=model).rule != "keras-weight"


PRUNING = {"pruning_schedule": {}}


def test_a_mask_is_about_the_weight_that_the_graph_says():
    model = net(keras("PruneLowMagnitude", "pruned", PRUNING))
    weights = [tensor(f"w{i}", "kernel", "pruned", shape=(4, 3)) for i in range(2)]
    masks = [
        tensor(f"m{i}", "mask", "pruned", shape=(4, 3), serves=weights[i].name) for i in (1, 0)
    ]
    found = classify(artifact(*masks, *weights, model=model)).verdicts
    assert [found[one.name].role for one in masks] == [Role.MASK, Role.MASK]
    assert [found[one.name].about for one in masks] == [weights[1].name, weights[0].name]


@pytest.mark.parametrize(
    ("class_name", "config", "variable", "dtype", "shape", "role"),
    [
        ("PruneLowMagnitude", PRUNING, "threshold", "float32", (), Role.THRESHOLD),
        ("PruneLowMagnitude", PRUNING, "pruning_step", "int64", (), Role.PRUNING_STEP),
        (
            "ClusterWeightsRNN",
            {"number_of_clusters": 4},
            "cluster_centroids_kernel/0",
            "float32",
            (4,),
            Role.CENTROIDS,
        ),
        (
            "ClusterWeights",
            {"number_of_clusters": 4},
            "pulling_indices_kernel",
            "int64",
            (4, 3),
            Role.CLUSTER_INDICES,
        ),
        (
            "QuantizeWrapperV2",
            {"quantize_config": {}},
            "kernel_min",
            "float32",
            (3,),
            Role.QUANT_PARAM,
        ),
        (
            "QuantizeWrapperV2",
            {"quantize_config": {}},
            "optimizer_step",
            "int32",
            (),
            Role.QUANT_STEP,
        ),
        (
            "QuantizeWrapperV2",
            {"quantize_config": {}},
            "ori_weights_vars_tf",
            "float32",
            (4, 3),
            Role.CLUSTER_ORIGINAL,
        ),
        ("QuantizeLayer", {"quantizer": {}}, "quantize_layer_max", "float32", (), Role.QUANT_PARAM),
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_wrappers_are_known_by_config_or_by_the_attributes_that_gave_their_class(
    class_name, config, variable, dtype, shape, role, told
):
    one = tensor("a", variable, "wrapper", dtype=dtype, shape=shape)
    if told:
        found = verdict(one, model=net(keras(class_name, "wrapper", config)))
    else:
        found = verdict(one, guessed=(Layer("wrapper", "wrapper", class_name),))
    assert found.role is role


def test_a_look_alike_of_a_wrapper_has_no_masks():
    model = net(keras("PruneLowMagnitude", "mine", {"units": 3}))
    mask = tensor("a", "mask", "mine", shape=(4, 3), trainable=True)
    assert verdict(mask, model=model).role is Role.WEIGHT


def test_a_custom_layer_s_variables_have_the_file_s_word_on_training():
    model = net(keras("My>Scale", "scale"))
    centers = verdict(tensor("a", "centers", "scale", trainable=True), model=model)
    assert (centers.role, centers.rule, centers.trainable) == (
        Role.WEIGHT,
        "object-variable",
        True,
    )
    assert "My>Scale scale" in centers.evidence
    kept = verdict(tensor("b", "table", "scale", trainable=False), model=model)
    assert (kept.role, kept.trainable) == (Role.WEIGHT, False)


MODULE = "the object that was saved is no Keras model"


@pytest.mark.parametrize(
    ("variable", "fields", "role", "rule"),
    [
        ("w", {"trainable": True}, Role.WEIGHT, "object-variable"),
        ("moving_mean", {"trainable": False}, Role.STATISTIC, "object-statistic"),
        ("ema", {"trainable": False}, Role.STATISTIC, "object-statistic"),
        ("moving_mean", {"trainable": True}, Role.WEIGHT, "object-variable"),
        ("q", {"dtype": "int8", "shape": (2, 2)}, Role.WEIGHT, "object-variable"),
        ("step", {"dtype": "int64", "shape": ()}, Role.COUNTER, "object-counter"),
        ("global_step", {"dtype": "int64", "shape": ()}, Role.COUNTER, "object-counter"),
        ("step", {"dtype": "float32", "shape": (), "trainable": True}, Role.WEIGHT, None),
        ("version", {"dtype": "int32", "shape": ()}, Role.CONSTANT, "object-setting"),
        ("is_trained", {"dtype": "bool", "shape": ()}, Role.CONSTANT, "object-setting"),
        ("words", {"dtype": "string", "shape": (2,)}, Role.CONSTANT, "object-setting"),
    ],
)
def test_variables_of_a_module(variable, fields, role, rule):
    found = verdict(tensor("a", variable, "", **fields), uncounted=MODULE)
    assert found.role is role
    assert rule is None or found.rule == rule


def test_state_of_random_generators_is_no_parameter():
    for stored_name in ("seed_generator_1/seed_generator_state", "random_flip/StateVar"):
        one = tensor("a", "state", dtype="int64", stored_name=stored_name, trainable=False)
        assert verdict(one).role is Role.COUNTER
    floats = tensor("a", "state", stored_name="x/StateVar", trainable=True)
    assert verdict(floats).role is Role.WEIGHT


def test_a_copy_in_an_export_names_its_original():
    first, again = tensor("variables/0", "kernel"), tensor("_all_variables/1", "kernel")
    found = verdict(replace(again, repeats=first.name), others=[first])
    assert (found.role, found.rule, found.alias_of) == (Role.ALIAS, "export-copy", first.name)


def test_a_table_is_keys_and_values():
    for part in ("keys", "values"):
        one = replace(tensor("t", f"table-{part}"), name=f"net/table/.ATTRIBUTES/table-{part}")
        assert verdict(one).role is Role.LOOKUP
    assert verdict(tensor("a", "table-keys")).role is not Role.LOOKUP


def test_the_counter_of_saves_is_one():
    one = tensor("save_counter", "save_counter", None, dtype="int64", shape=())
    found = verdict(replace(one, section=Section.OTHER, owner=None))
    assert (found.role, found.rule) == (Role.COUNTER, "object-counter")


def test_a_slot_has_the_name_of_its_variable():
    kernel = tensor("k", "kernel", shape=(4, 3), trainable=True)
    slot = tensor("s", "m", None, shape=(4, 3), slot_of=kernel.name, owner="optimizer")
    found = verdict(replace(slot, section=Section.OPTIMIZER), others=[kernel])
    assert (found.role, found.about) == (Role.OPTIMIZER_SLOT, kernel.name)


def test_a_name_of_keras_says_more_than_a_flag_does_in_a_keras_model():
    scale = tensor("a", "moving_variance", "bn", trainable=False)
    assert verdict(scale).rule == "keras-name"
    assert verdict(scale, uncounted=MODULE).rule == "object-statistic"


def test_scales_beside_a_variable_of_keras3_are_parameters_of_its_quantization():
    kernel = tensor("k", "kernel", "dense", dtype="int8", shape=(4, 3))
    scale = tensor("s", "kernel_scale", "dense", uses=(Use("GatherV2", 0, "g"),))
    zero = tensor("z", "kernel_zero", "dense", dtype="int8")
    rows = tensor("g", "g_idx", "dense", shape=(4,))
    for one in (scale, zero, rows):
        found = classify(replace(artifact(kernel, one), flavor=Flavor.KERAS3)).verdicts[one.name]
        assert (found.role, found.rule) == (Role.QUANT_PARAM, "object-quant-param")
        # tf_keras has none, and a name alone is none.
        assert verdict(one, others=[kernel]).rule != "object-quant-param"
        alone = classify(replace(artifact(one), flavor=Flavor.KERAS3)).verdicts[one.name]
        assert alone.rule != "object-quant-param"


def test_the_vector_of_spectral_normalization_is_a_statistic_though_the_graph_multiplies_it():
    one = tensor("u", "vector_u", "sn", shape=(1, 5), uses=(Use("MatMul", 0, "m"),))
    assert verdict(replace(one, trainable=False)).role is Role.STATISTIC
    assert verdict(replace(one, trainable=True)).rule != "object-vector"
    assert verdict(replace(one, trainable=False), uncounted=MODULE).rule != "object-vector"


def test_what_renormalization_keeps_is_a_statistic():
    one = tensor("a", "renorm_stddev", "block", trainable=False)
    assert verdict(one, uncounted=MODULE).role is Role.STATISTIC


def test_other_stores_are_left_to_their_own_rules():
    one = tensor("a", "save_counter", dtype="int64", shape=(), trainable=False)
    legacy = replace(artifact(one), store=Store.V3)
    assert not classify(legacy).verdicts[one.name].rule.startswith("object-")
