"""Names of TensorFlow 1, as its optimizers, averages, layers and contrib modules make them."""

from inspector.classify.rule import Context
from inspector.classify.tf_names import LAST, RULES
from inspector.model import Artifact, Role, Section, Store, Tensor
from inspector.read.bundle_common import named_facts

SCALAR: tuple[int, ...] = ()


def judge(variables, store=Store.NAMES, trained=None, section=None):
    """Verdicts by name. A variable is (dtype, shape), or the shape alone of float32."""
    stored = {
        name: one if isinstance(next(iter(one), 0), str) else ("float32", one)
        for name, one in variables.items()
    }
    facts = named_facts(stored, trained)
    placed = {"section": section} if section else {}
    tensors = tuple(
        Tensor(name, dtype, shape, 0, **{**facts(name), **placed})
        for name, (dtype, shape) in stored.items()
    )
    artifact = Artifact("ckpt", "checkpoint", "", (), tensors, {}, store=store)
    context = Context.of(artifact)
    found = {}
    for rule in (*RULES, *LAST):
        open_ = [one for one in tensors if one.name not in found]
        found |= rule.apply(context, open_)
    return found


def roles(variables, **more):
    return {name: one.role for name, one in judge(variables, **more).items()}


def test_adam_its_average_and_its_counters_leave_eight_parameters():
    # w [4, 2] with Adam, an exponential moving average and global_step: 35 elements, 8 of them w.
    variables = {
        "beta1_power": SCALAR,
        "beta2_power": SCALAR,
        "global_step": ("int64", SCALAR),
        "w": (4, 2),
        "w/Adam": (4, 2),
        "w/Adam_1": (4, 2),
        "w/ExponentialMovingAverage": (4, 2),
    }
    found = judge(variables)
    assert {name: one.role for name, one in found.items()} == {
        "beta1_power": Role.OPTIMIZER_STATE,
        "beta2_power": Role.OPTIMIZER_STATE,
        "global_step": Role.COUNTER,
        "w": Role.WEIGHT,
        "w/Adam": Role.OPTIMIZER_SLOT,
        "w/Adam_1": Role.OPTIMIZER_SLOT,
        "w/ExponentialMovingAverage": Role.OPTIMIZER_SLOT,
    }
    assert found["w/Adam_1"].about == "w"
    assert found["w/ExponentialMovingAverage"].about == "w"
    assert "moving average" in found["w/ExponentialMovingAverage"].evidence


def test_a_slot_is_one_only_beside_its_variable_and_as_large():
    assert roles({"w": (4, 2), "w/Adam": (4, 3)})["w/Adam"] is Role.WEIGHT
    assert roles({"w/Adam": (4, 2)}) == {"w/Adam": Role.WEIGHT}
    assert roles({"w": (4,), "w/Adam": ("int32", (4,))}).get("w/Adam") is None


def test_an_optimizers_scope_may_stand_before_the_variables_name():
    found = judge({"dense/kernel": (3, 2), "OptimizeLoss/dense/kernel/Momentum": (3, 2)})
    slot = found["OptimizeLoss/dense/kernel/Momentum"]
    assert (slot.role, slot.about) == (Role.OPTIMIZER_SLOT, "dense/kernel")


def test_a_parts_name_may_stand_between_variable_and_slot():
    # DNNClassifier of TensorFlow 1.8, with a partitioner.
    found = judge({"dnn/h0/bias": (9,), "dnn/h0/bias/t_0/Adagrad": (9,)})
    slot = found["dnn/h0/bias/t_0/Adagrad"]
    assert (slot.role, slot.about) == (Role.OPTIMIZER_SLOT, "dnn/h0/bias")
    assert roles({"a/w": (9,), "a/w/t_0/deep": (9,)})["a/w/t_0/deep"] is Role.WEIGHT


def test_slots_of_keras_optimizers_under_a_saver():
    variables = {
        "dense/kernel": (3, 2),
        "training/Adam/dense/kernel/m": (3, 2),
        "training/Adam/dense/kernel/v": (3, 2),
        "training/SGD/Variable": (3, 2),
        "training/Adam/iter": ("int64", SCALAR),
        "Adam/lr": SCALAR,
    }
    found = judge(variables)
    assert found["training/Adam/dense/kernel/v"].about == "dense/kernel"
    assert found["training/SGD/Variable"].role is Role.OPTIMIZER_SLOT
    assert found["training/Adam/iter"].role is Role.OPTIMIZER_STATE
    assert found["Adam/lr"].role is Role.OPTIMIZER_STATE
    assert found["dense/kernel"].role is Role.WEIGHT


def test_an_optimizer_that_nobody_knows_still_names_its_slots_after_variables():
    found = judge({"w": (4, 2), "w/MyOptimizer": (4, 2)})
    assert found["w/MyOptimizer"].role is Role.OPTIMIZER_SLOT
    assert "MyOptimizer" in found["w/MyOptimizer"].evidence


def test_a_scalar_below_a_scalars_name_is_no_slot_of_an_unknown_optimizer():
    assert roles({"a": SCALAR, "a/b": SCALAR}) == {"a": Role.WEIGHT, "a/b": Role.WEIGHT}


def test_one_power_of_a_decay_alone_tells_nothing():
    assert roles({"beta1_power": SCALAR}) == {"beta1_power": Role.WEIGHT}


def test_moving_moments_need_each_other():
    pair = {"bn/moving_mean": (4,), "bn/moving_variance": (4,)}
    assert set(roles(pair).values()) == {Role.STATISTIC}
    assert roles({"bn/moving_mean": (4,)}) == {"bn/moving_mean": Role.WEIGHT}
    assert set(roles({**pair, "bn/moving_variance": (5,)}).values()) == {Role.WEIGHT}


def test_averages_of_a_layers_moments_are_statistics():
    # What batch normalization by hand leaves: ema.apply([mean, variance]) of tf.nn.moments.
    name = "bn/moments/Squeeze_1/ExponentialMovingAverage"
    assert roles({name: (64,), "bn/gamma": (64,)})[name] is Role.STATISTIC


def test_a_mask_needs_a_weight_as_large_and_a_scalar_threshold():
    whole = {
        "conv1/weights": (3, 4),
        "conv1/biases": (4,),
        "conv1/mask": (3, 4),
        "conv1/threshold": SCALAR,
        "model_pruning/last_mask_update_step": ("int32", SCALAR),
    }
    found = judge(whole)
    assert found["conv1/mask"].role is Role.MASK
    assert found["conv1/mask"].about == "conv1/weights"
    assert found["conv1/threshold"].role is Role.THRESHOLD
    assert found["conv1/weights"].role is Role.WEIGHT
    assert found["model_pruning/last_mask_update_step"].role is Role.PRUNING_STEP
    for changed in (
        {"conv1/mask": (3, 5)},
        {"conv1/threshold": (1,)},
        {"conv1/weights": (4, 3)},
    ):
        assert Role.MASK not in roles({**whole, **changed}).values()


def test_a_mask_alone_is_a_variable_like_any_other():
    assert roles({"attention/mask": (8, 8)}) == {"attention/mask": Role.WEIGHT}


def test_ranges_have_two_ends():
    pair = {"conv1/weights_quant/min": SCALAR, "conv1/weights_quant/max": SCALAR}
    assert set(roles(pair).values()) == {Role.QUANT_PARAM}
    assert roles({"conv1/weights_quant/min": SCALAR}) == {"conv1/weights_quant/min": Role.WEIGHT}
    assert set(roles({"clip/min": SCALAR, "clip/max": SCALAR}).values()) == {Role.WEIGHT}


def test_what_corrects_a_moving_average_is_of_that_average():
    variables = {
        "conv1/act_quant/min": SCALAR,
        "conv1/act_quant/max": SCALAR,
        "conv1/act_quant/conv1/act_quant/min/biased": SCALAR,
        "conv1/act_quant/conv1/act_quant/min/local_step": SCALAR,
    }
    found = judge(variables)
    for name in list(variables)[2:]:
        assert found[name].role is Role.OPTIMIZER_STATE
        assert found[name].about == "conv1/act_quant/min"


def test_keys_and_values_of_a_table_are_a_lookup_whatever_saved_them():
    keys, values = "t/.ATTRIBUTES/table-keys", "t/.ATTRIBUTES/table-values"
    pair = {keys: ("string", (3,)), values: ("int64", (3,))}
    for store in (Store.NAMES, Store.OBJECTS):
        assert set(roles(pair, store=store).values()) == {Role.LOOKUP}
    assert Role.LOOKUP not in roles({**pair, values: ("int64", (4,))}).values()
    assert Role.LOOKUP not in roles({"attention/keys": (4, 4)}).values()


def test_partitions_without_slices_are_variables_of_their_own():
    assert roles({"emb/part_0": (5, 4), "emb/part_1": (5, 4)}) == {
        "emb/part_0": Role.WEIGHT,
        "emb/part_1": Role.WEIGHT,
    }


def test_text_and_counts_are_no_weights_and_other_integers_stay_open():
    variables = {
        "words": ("string", (3,)),
        "epoch": ("int32", SCALAR),
        "codes": ("int8", (4, 4)),
        "flag": ("bool", SCALAR),
    }
    assert roles(variables) == {"words": Role.CONSTANT, "epoch": Role.COUNTER}


def test_a_weight_says_whether_a_graph_lists_it_as_trainable():
    known = judge({"w": (2,), "frozen": (2,)}, trained={"w": True, "frozen": False})
    assert (known["w"].trainable, known["frozen"].trainable) == (True, False)
    alone = judge({"w": (2,)})["w"]
    assert alone.trainable is None
    assert "no graph tells" in alone.evidence


def test_names_of_constants_and_of_other_stores_say_nothing():
    variables = {"w": (4, 2), "w/Adam": (4, 2), "global_step": ("int64", SCALAR)}
    assert judge(variables, section=Section.GRAPH) == {}
    assert judge(variables, store=Store.OBJECTS) == {}
    assert judge(variables, store=Store.V3) == {}


def test_layers_are_scopes_and_ranges_belong_to_what_is_around_them():
    shapes = {
        "net/conv1/weights": (3, 4),
        "net/conv1/weights_quant/min": SCALAR,
        "net/conv1/weights_quant/max": SCALAR,
        "w": (2,),
    }
    facts = named_facts({name: ("float32", shape) for name, shape in shapes.items()})
    assert {name: (facts(name)["layer"], facts(name)["variable"]) for name in shapes} == {
        "net/conv1/weights": ("net/conv1", "weights"),
        "net/conv1/weights_quant/min": ("net/conv1", "weights_quant/min"),
        "net/conv1/weights_quant/max": ("net/conv1", "weights_quant/max"),
        "w": ("", "w"),
    }
