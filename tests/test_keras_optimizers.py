"""Expected values: the classes' source, live Keras (tests/live), names in published files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.keras.optimizer_tables import UntoldError, matches
from inspector.keras.optimizers import by_name, by_shapes, expected, fitting, optimizer_of
from inspector.model import Flavor, Role

KERNEL, BIAS = (3, 2), (2,)
SHAPES = [KERNEL, BIAS]
NAMED = [("dense/kernel:0", KERNEL), ("dense/bias:0", BIAS)]


def brief(variables):
    return None if variables is None else [(v.name, v.slot_of) for v in variables]


def shapes_of(variables):
    return [v.shape for v in variables]


# --- expected ------------------------------------------------------------------------------------


def test_keras3_adam_keeps_two_scalars_then_pairs():
    assert brief(expected("Adam", {}, Flavor.KERAS3, SHAPES)) == [
        ("iteration", None),
        ("learning_rate", None),
        ("momentum", 0),
        ("velocity", 0),
        ("momentum", 1),
        ("velocity", 1),
    ]


def test_tf_keras_adam_stores_no_learning_rate():
    config = {"name": "Adam", "jit_compile": True, "is_legacy_optimizer": False}
    assert brief(expected("Adam", config, Flavor.TF_KERAS, SHAPES)) == [
        ("iteration", None),
        ("m", 0),
        ("v", 0),
        ("m", 1),
        ("v", 1),
    ]


def test_legacy_adam_keeps_runs_of_all_variables():
    config = {"name": "Adam", "decay": 0.0, "amsgrad": True}
    assert brief(expected("Adam", config, Flavor.TF_KERAS, SHAPES)) == [
        ("iter", None),
        *[("m", 0), ("m", 1), ("v", 0), ("v", 1), ("vhat", 0), ("vhat", 1)],
    ]


def test_a_schedule_is_no_variable_in_keras3():
    config = {"learning_rate": {"class_name": "ExponentialDecay", "config": {}}}
    assert brief(expected("Lion", config, Flavor.KERAS3, [BIAS])) == [
        ("iteration", None),
        ("momentum", 0),
    ]


def test_averages_and_accumulators_come_before_the_slots():
    config = {"use_ema": True, "gradient_accumulation_steps": 2, "amsgrad": True}
    names = [v.name for v in expected("Adam", config, Flavor.KERAS3, [BIAS])]
    assert names == [
        "iteration",
        "learning_rate",
        "average",
        "gradient_accumulator",
        "momentum",
        "velocity",
        "velocity_hat",
    ]


@pytest.mark.parametrize(
    ("flavor", "config", "slots"),
    [
        (Flavor.KERAS3, {"momentum": 0.0}, []),
        (Flavor.KERAS3, {"momentum": 0.9}, ["momentum"]),
        (Flavor.TF_KERAS, {"momentum": 0.0, "jit_compile": False}, ["m"]),
        (Flavor.TF_KERAS, {"name": "SGD", "momentum": 0.0, "decay": 0.0}, []),
        (Flavor.TF_KERAS, {"name": "SGD", "momentum": 0.9, "decay": 0.0}, ["momentum"]),
        (Flavor.TF_KERAS, {"momentum": 0.0, "decay": 0.0, "lr": 0.1}, ["moment"]),
    ],
)
def test_sgd_keeps_a_momentum_where_its_class_makes_one(flavor, config, slots):
    found = expected("SGD", config, flavor, [BIAS])
    assert [v.name for v in found if v.role is Role.OPTIMIZER_SLOT] == slots


def test_adafactor_factors_the_last_two_axes():
    # A kernel (7, 3, 2): rows (7, 3), columns (7, 2).
    found = expected("Adafactor", {}, Flavor.KERAS3, [(7, 3, 2), BIAS])
    assert shapes_of(found)[2:] == [(7, 3), (7, 2), (7, 3, 2), (), (), BIAS]
    found = expected("Adafactor", {"jit_compile": False}, Flavor.TF_KERAS, [(7, 3, 2), BIAS])
    assert shapes_of(found)[1:] == [(7, 3), (7, 2), (7, 3, 2), BIAS]


def test_muon_leaves_vectors_and_embeddings_to_adamw():
    names = ["embedding/embeddings", "dense/kernel", "dense/bias"]
    shapes = [(6, 2), KERNEL, BIAS]
    found = expected("Muon", {"exclude_layers": []}, Flavor.KERAS3, shapes, names=names)
    assert brief(found)[2:] == [
        ("momentum", 0),
        ("velocity", 0),
        ("momentum", 1),
        ("momentum", 2),
        ("velocity", 2),
    ]


def test_a_loss_scale_optimizer_of_keras3_keeps_its_own_scalars_before_the_inner_ones():
    config = {"inner_optimizer": {"class_name": "SGD", "config": {"momentum": 0.9}}}
    assert [v.name for v in expected("LossScaleOptimizer", config, Flavor.KERAS3, [BIAS])] == [
        *["iteration", "learning_rate", "step_counter", "dynamic_scale"],
        *["iteration", "learning_rate", "momentum"],
    ]


def test_a_loss_scale_optimizer_of_tf_keras_stores_the_inner_one_alone():
    inner = {"class_name": "Custom>Adam", "config": {"name": "Adam", "jit_compile": False}}
    config = {"inner_optimizer": inner, "dynamic": True}
    found = expected("LossScaleOptimizerV3", config, Flavor.TF_KERAS, [BIAS])
    assert [v.name for v in found] == ["iteration", "m", "v"]


def test_an_optimizer_that_was_never_built_keeps_its_scalars():
    assert [v.name for v in expected("Adam", {}, Flavor.KERAS3, SHAPES, built=False)] == [
        "iteration",
        "learning_rate",
    ]
    found = expected("Adam", {}, Flavor.TF_KERAS, SHAPES, built=False)
    assert [v.name for v in found] == ["iteration"]


def test_an_unknown_class_is_told_as_unknown():
    assert expected("MyOptimizer", {}, Flavor.KERAS3, SHAPES) is None
    assert expected("LossScaleOptimizer", {}, Flavor.KERAS3, SHAPES) is None


def test_wrappers_nested_without_end_are_unknown():
    config: dict = {}
    for _ in range(50):
        config = {"inner_optimizer": {"class_name": "LossScaleOptimizer", "config": config}}
    assert expected("LossScaleOptimizer", config, Flavor.KERAS3, SHAPES) is None


def multi(pattern):
    adam, sgd = {"class_name": "Adam", "config": {"name": "adam"}}, {"class_name": "SGD"}
    mapping = {"default_optimizer": sgd, "optimizer_map": {pattern: adam}}
    return {"optimizer_map": {"class_name": "OptimizerMap", "config": mapping}}


def test_a_multi_optimizer_shares_the_variables_out_by_path():
    names = ["encoder/kernel", "head/bias"]
    found = expected("MultiOptimizer", multi("head/.*"), Flavor.KERAS3, SHAPES, names=names)
    assert brief(found) == [
        *[("iteration", None), ("learning_rate", None)],
        *[("iteration", None), ("learning_rate", None), ("momentum", 1), ("velocity", 1)],
        *[("iteration", None), ("learning_rate", None)],
    ]


def test_a_path_of_its_own_wins_over_a_pattern():
    config = multi("head/.*")
    rules = config["optimizer_map"]["config"]["optimizer_map"]
    rules["head/bias"] = {"class_name": "Lion", "config": {}}
    names = ["head/kernel", "head/bias"]
    found = expected("MultiOptimizer", config, Flavor.KERAS3, SHAPES, names=names)
    assert brief(found)[4:8] == [
        ("momentum", 0),
        ("velocity", 0),
        ("iteration", None),
        ("learning_rate", None),
    ]
    assert brief(found)[8] == ("momentum", 1)


def test_a_multi_optimizer_is_unknown_without_paths_or_behind_a_real_regular_expression():
    assert expected("MultiOptimizer", multi("head/.*"), Flavor.KERAS3, SHAPES) is None
    evil = multi("(a+)+$")
    names = ["a" * 60 + "!", "b"]
    assert expected("MultiOptimizer", evil, Flavor.KERAS3, SHAPES, names=names) is None


@pytest.mark.parametrize(
    ("pattern", "text", "whole", "found"),
    [
        ("dense", "model/dense/kernel", False, True),
        ("dense", "model/dense/kernel", True, False),
        ("model/.*", "model/dense", True, True),
        (".*kernel", "model/kernel/bias", True, False),
        (".*kernel", "kernel/kernel", True, True),
        ("a.*b.*c", "a-b-c", True, True),
        ("a.*b.*c", "a-c-b", True, False),
        ("aba.*aba", "aba", True, False),
        ("b.*a", "ab", False, False),
        (".*", "", True, True),
        ("", "x", True, False),
    ],
)
def test_plain_patterns_match_as_regular_expressions_do(pattern, text, whole, found):
    assert matches(pattern, text, whole=whole) is found


@pytest.mark.parametrize("pattern", ["(a+)+", "a|b", "x.y", "^a", 3, None])
def test_other_patterns_are_refused(pattern):
    with pytest.raises(UntoldError):
        matches(pattern, "a", whole=False)


# --- standalone Keras and Keras 1: names and shapes of published files ---------------------------

LSTM = [(1, 200), (50, 200), (200,), (50, 1), (1,)]


def test_rmsprop_before_keras_2_3_stores_no_iterations():
    config = {"epsilon": 1e-07, "lr": 0.001, "rho": 0.9, "decay": 0.0}  # Keras 2.1.3
    found = fitting(LSTM, "RMSprop", config, Flavor.TF_KERAS, LSTM)
    assert brief(found) == [("accumulator", i) for i in range(5)]
    later = fitting([(), *LSTM], "RMSprop", config, Flavor.TF_KERAS, LSTM)
    assert brief(later) == [("iterations", None), *brief(found)]


def test_adam_of_keras_2_1_6_keeps_placeholders_for_amsgrad():
    config = {"lr": 0.001, "beta_1": 0.9, "beta_2": 0.999, "decay": 0.0, "amsgrad": False}
    own = [(5, 5, 1, 6), (6,)]
    stored = [(), *own, *own, (1,), (1,)]
    found = fitting(stored, "Adam", config, Flavor.TF_KERAS, own)
    assert brief(found) == [
        ("iterations", None),
        *[("m", 0), ("m", 1), ("v", 0), ("v", 1), ("vhat", 0), ("vhat", 1)],
    ]


def test_adam_of_keras_2_1_1_knows_no_amsgrad():
    config = {"lr": 0.001, "beta_1": 0.9, "beta_2": 0.999, "decay": 0.0, "epsilon": 1e-08}
    found = fitting([(), *LSTM, *LSTM], "Adam", config, Flavor.TF_KERAS, LSTM)
    assert [v.name for v in found] == ["iterations", *["m"] * 5, *["v"] * 5]


def test_keras_1_goes_through_the_variables_by_name():
    names = [f"lstm_1_{kind}_{gate}:0" for gate in "icfo" for kind in "WUb"]
    names += ["dense_1_W:0", "dense_1_b:0"]
    kinds = {"W": (1, 50), "U": (50, 50), "b": (50,)}
    own = [kinds[name[7]] for name in names[:12]] + [(50, 1), (1,)]
    # optimizer_weights of a Keras 1.2.2 file: Variable_4:0 (50, 1), Variable_5:0 (1,), ...
    stored = [(50, 1), (1,), *[(50, 50)] * 4, *[(1, 50)] * 4, *[(50,)] * 4]
    config = {"epsilon": 1e-08, "lr": 0.001, "rho": 0.9, "decay": 0.0}
    found = fitting(stored, "RMSprop", config, Flavor.KERAS1, own, names=names)
    assert [v.slot_of for v in found[:4]] == [12, 13, names.index("lstm_1_U_c:0"), 7]
    assert fitting(stored, "RMSprop", config, Flavor.KERAS1, own) is None


def test_a_store_that_disagrees_with_its_config_does_not_fit():
    assert fitting([(), (), KERNEL], "Adam", {}, Flavor.KERAS3, SHAPES) is None
    assert len(fitting([(), ()], "Adam", {}, Flavor.KERAS3, SHAPES)) == 2


# --- by_name -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "shape", "name", "owner"),
    [
        ("Adam/m/dense/kernel:0", KERNEL, "m", 0),
        ("Adam/v/dense/bias:0", BIAS, "v", 1),
        ("m/dense/kernel:0", KERNEL, "m", 0),
        ("Adam/average/dense/kernel:0", KERNEL, "average", 0),
        ("RMSprop/velocity/dense/kernel:0", KERNEL, "velocity", 0),
        ("Adafactor/r/dense/kernel:0", (3,), "r", 0),
        ("Adafactor/c/dense/kernel:0", (2,), "c", 0),
        ("Adam/dense/kernel/m:0", KERNEL, "m", 0),
        ("training/Adam/dense/kernel/vhat:0", KERNEL, "vhat", 0),
        ("cond_1/Adam/dense/bias/v:0", BIAS, "v", 1),
        ("Adam/dense/bias/m_1:0", BIAS, "m", 1),
        ("RMSprop/dense/kernel/rms:0", KERNEL, "rms", 0),
        ("adam/dense_kernel_momentum", KERNEL, "momentum", 0),
        ("adam_2/sequential_2_dense_kernel_velocity_hat", KERNEL, "velocity_hat", 0),
        ("adam/dense_bias_gradient_accumulator", BIAS, "gradient_accumulator", 1),
        ("loss_scale_optimizer/sgd/model_dense_bias_momentum", BIAS, "momentum", 1),
        ("training/Adam/m_1:0", BIAS, "m", 1),
        ("training/Adadelta/delta_accumulator_0:0", KERNEL, "delta_accumulator", 0),
        ("training/Adam/Variable_3:0", BIAS, "slot", 1),
        ("training_2/Adam/Variable:0", KERNEL, "slot", 0),
        ("Variable_4:0", KERNEL, "slot", 0),
        ("param_5", BIAS, "slot", 1),
    ],
)
def test_slots_are_told_by_every_generation_of_names(stored, shape, name, owner):
    found = by_name(stored, shape, NAMED)
    assert (found.role, found.name, found.slot_of) == (Role.OPTIMIZER_SLOT, name, owner)


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("iteration:0", "iteration"),
        ("Adam/iter:0", "iter"),
        ("Adam/iterations:0", "iterations"),
        ("iterations_139962", "iterations"),
        ("adam_1/iteration", "iteration"),
        ("adam/learning_rate", "learning_rate"),
        ("Nadam/momentum_cache:0", "momentum_cache"),
        ("nadam/variable", "u_product"),
        ("loss_scale_optimizer/dynamic_scale", "dynamic_scale"),
        ("training/Nadam/m_schedule:0", "m_schedule"),
        ("Variable:0", "state"),
        ("custom/temperature:0", "temperature"),
    ],
)
def test_scalars_about_the_run_are_state(stored, name):
    found = by_name(stored, (), NAMED)
    assert (found.role, found.name, found.slot_of) == (Role.OPTIMIZER_STATE, name, None)


def test_the_longer_name_wins_over_its_own_ending():
    variables = [("dense/kernel:0", KERNEL), ("inner_dense/kernel:0", KERNEL)]
    assert by_name("Adam/m/inner_dense/kernel:0", KERNEL, variables).slot_of == 1
    assert by_name("adam/model_inner_dense_kernel_momentum", KERNEL, variables).slot_of == 1
    assert by_name("adam/model_dense_kernel_momentum", KERNEL, variables).slot_of == 0


def test_an_exact_name_wins_over_a_qualified_one():
    variables = [("inner/dense/kernel", KERNEL), ("dense/kernel", KERNEL)]
    assert by_name("Adam/m/dense/kernel:0", KERNEL, variables).slot_of == 1


def test_a_qualified_variable_is_found_by_its_stored_ending():
    variables = [("inner/dense/kernel", KERNEL), ("inner/dense/bias", BIAS)]
    assert by_name("Adam/m/dense/bias:0", BIAS, variables).slot_of == 1


def test_two_variables_of_one_name_leave_the_owner_open_unless_the_shape_tells():
    variables = [("dense/kernel:0", KERNEL), ("dense/kernel:0", (9, 9))]
    assert by_name("Adam/m/dense/kernel:0", (9, 9), variables).slot_of == 1
    variables = [("dense/kernel:0", KERNEL), ("dense/kernel:0", KERNEL)]
    found = by_name("Adam/m/dense/kernel:0", KERNEL, variables)
    assert (found.name, found.slot_of, found.role) == ("m", None, Role.OPTIMIZER_SLOT)


def test_a_name_is_not_believed_against_the_shape():
    found = by_name("Adam/m/dense/kernel:0", (8, 8), NAMED)
    assert (found.role, found.slot_of) == (Role.OPTIMIZER_SLOT, None)


def test_a_trainable_variable_called_like_state_still_has_slots():
    variables = [("scale/learning_rate:0", ())]
    found = by_name("Adam/m/scale/learning_rate:0", (), variables)
    assert (found.role, found.name, found.slot_of) == (Role.OPTIMIZER_SLOT, "m", 0)
    assert by_name("iteration:0", (), variables).role is Role.OPTIMIZER_STATE


# --- by_shapes -----------------------------------------------------------------------------------


def test_pairs_are_told_from_runs_by_their_order():
    pairs = by_shapes([(), (), KERNEL, KERNEL, BIAS, BIAS], SHAPES)
    assert brief(pairs)[2:] == [("slot 0", 0), ("slot 1", 0), ("slot 0", 1), ("slot 1", 1)]
    runs = by_shapes([(), (), KERNEL, BIAS, KERNEL, BIAS], SHAPES)
    assert [v.slot_of for v in runs][2:] == [0, 1, 0, 1]


def test_the_line_of_keras_narrows_the_names():
    # Keras 3: Nadam alone has a scalar at the end.
    found = by_shapes([(), (), KERNEL, KERNEL, ()], [KERNEL], Flavor.KERAS3)
    assert [v.name for v in found] == [
        "iteration",
        "learning_rate",
        "momentum",
        "velocity",
        "u_product",
    ]
    found = by_shapes([(), (3,), (2,), KERNEL, BIAS], SHAPES, Flavor.TF_KERAS)
    assert [v.name for v in found] == ["iteration", "r", "c", "v", "v"]  # Adafactor alone


def test_a_reading_that_is_not_the_only_one_names_no_owner():
    # Pairs (Adam) or runs (RMSprop with momentum): for equal shapes both fit.
    found = by_shapes([(), (), BIAS, BIAS, BIAS, BIAS], [BIAS, BIAS], Flavor.KERAS3)
    assert [v.slot_of for v in found] == [None, None, 0, None, None, 1]
    assert all(v.role is Role.OPTIMIZER_SLOT for v in found[2:])


def test_a_custom_optimizer_is_read_as_slots_for_each_variable():
    # Three scalars, then five slots a variable: no class of Keras keeps that.
    found = by_shapes([()] * 3 + [KERNEL] * 5 + [BIAS] * 5, SHAPES)
    assert brief(found)[:4] == [("state", None)] * 3 + [("slot 0", 0)]
    assert brief(found)[-1] == ("slot 4", 1)


def test_scalars_alone_are_a_store_that_was_never_built():
    assert [v.name for v in by_shapes([(), ()], SHAPES, Flavor.KERAS3)] == [
        "iteration",
        "learning_rate",
    ]


def test_shapes_that_fit_nothing_are_not_forced():
    assert by_shapes([(), (), KERNEL], SHAPES) is None
    assert by_shapes([(5, 5)], []) is None


# --- optimizer_of --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"optimizer_config": {"class_name": "Custom>Adam", "config": {"a": 1}}},
         ("Adam", {"a": 1})),
        ({"optimizer_config": {"class_name": "RMSprop", "config": {"lr": 0.1}}, "loss": "mse"},
         ("RMSprop", {"lr": 0.1})),
        ({"optimizer": "adam", "loss": "mse"}, ("Adam", {})),
        ({"optimizer": {"module": "keras.optimizers", "class_name": "AdamW", "config": {}}},
         ("AdamW", {})),
        ({"optimizer": {"class_name": "Addons>LAMB", "config": {}}}, ("Addons>LAMB", {})),
        ({"optimizer": "mine"}, ("mine", {})),
        ({"optimizer": {"class_name": "SGD", "config": None}}, ("SGD", {})),
        ({"loss": "mse"}, None),
        ({"optimizer": ["adam"]}, None),
        ({"optimizer": {"class_name": 3}}, None),
        ({"optimizer": None}, None),
        (None, None),
        ("adam", None),
    ],
)  # fmt: skip
def test_the_optimizer_is_found_in_either_config(config, found):
    assert optimizer_of(config) == found


# --- hostile configs -----------------------------------------------------------------------------

CLASSES = ["Adam", "Muon", "Adafactor", "LossScaleOptimizer", "MultiOptimizer", "SGD", "Nadam"]
KEYS = st.sampled_from(
    [
        "optimizer",
        "optimizer_config",
        "class_name",
        "config",
        "inner_optimizer",
        "optimizer_map",
        "default_optimizer",
        "learning_rate",
        "lr",
        "decay",
        "name",
        "exclude_layers",
        "use_ema",
        "gradient_accumulation_steps",
        "amsgrad",
        "momentum",
        "jit_compile",
        ".*",
        "dense/bias",
    ]
)
LEAVES = st.sampled_from([None, True, 0, -1, 1.5, float("nan"), "Adam", "(a+)+", [], [3], {}])
JSON = LEAVES | st.dictionaries(
    KEYS, LEAVES | st.dictionaries(KEYS, LEAVES, max_size=3), max_size=4
)


@given(st.sampled_from(CLASSES), st.dictionaries(KEYS, JSON, max_size=6), st.sampled_from(Flavor))
def test_any_config_gives_a_list_or_none(class_name, config, flavor):
    found = expected(class_name, config, flavor, SHAPES, names=["dense/kernel", "dense/bias"])
    assert found is None or all(v.slot_of in {None, 0, 1} for v in found)
    optimizer_of(config)


@given(st.text(max_size=30), st.sampled_from([(), BIAS, KERNEL, (7,)]))
def test_any_stored_name_gives_a_variable(stored, shape):
    assert by_name(stored, shape, NAMED).shape == shape
