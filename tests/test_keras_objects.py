"""Places in object graphs, held against what TensorFlow's writers put where."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import LimitExceeded
from inspector.keras.objects import place
from inspector.keras.specs import layers_of
from inspector.limits import Limits
from inspector.model import Flavor, Section
from inspector.wire.object_graph import (
    Attribute,
    ObjectGraph,
    ObjectNode,
    Reference,
    SavedVariable,
    SlotReference,
)
from tests.builders.objects import VALUE, Obj, build, layer, listing, mapping, model, var


def placed(root, *, classes=True):
    """The placement, and each variable's place by the object."""
    built = build(root)
    saved = {"saved": built.saved, "metadata": built.metadata} if classes else {}
    placement = place(built.checkpoint, built.stored, **saved)
    return placement, lambda one: placement.places[built.key(one)], built


def dense(name, rows, columns):
    kernel, bias = var(f"{name}/kernel", rows, columns), var(f"{name}/bias", columns)
    return layer("Dense", name, {"kernel": kernel, "bias": bias}), kernel, bias


def with_lists(children, trainable, others=()):
    """A model's children with its own lists first, as tf_keras writes them."""
    lists = {
        "variables": listing(*trainable, *others),
        "trainable_variables": listing(*trainable),
    }
    return model("Functional", {**lists, **children})


def pruned(name, weights, inner):
    """A wrapper around `inner`; weights: the pruned variables. The last mask has the attribute."""
    sets = [
        (
            w,
            var(f"{name}/mask", *w.shape, trainable=False),
            var(f"{name}/threshold", trainable=False),
        )
        for w in weights
    ]
    step = var(f"{name}/pruning_step", dtype="int64", trainable=False)
    groups = [Obj({"0": w, "1": m, "2": t}, "trackable_tuple_wrapper") for w, m, t in sets]
    wrapper = layer(
        "PruneLowMagnitude",
        name,
        {
            "pruning_vars": listing(*groups),
            "layer": inner,
            "prunable_weights": listing(*weights),
            "mask": sets[-1][1],
            "threshold": sets[-1][2],
            "pruning_step": step,
        },
        config={"pruning_schedule": {}},
    )
    return wrapper, sets, step


def lstm():
    cell = {
        "kernel": var("lstm/lstm_cell/kernel", 2, 12),
        "recurrent_kernel": var("lstm/lstm_cell/recurrent_kernel", 3, 12),
        "bias": var("lstm/lstm_cell/bias", 12),
    }
    inner = layer("LSTM", "lstm", {"cell": layer("LSTMCell", "lstm_cell", cell)})
    return pruned(
        "prune_low_magnitude_lstm", [cell["kernel"], cell["recurrent_kernel"]], inner
    ), cell


# --- layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [True, False])
def test_a_variable_that_lists_reach_first_belongs_to_the_layer_that_has_it(classes):
    (wrapper, sets, step), cell = lstm()
    overhead = [v for _, mask, threshold in sets for v in (mask, threshold)]
    root = with_lists(
        {"layer_with_weights-0": wrapper, "layer-0": wrapper}, cell.values(), [*overhead, step]
    )
    _, of, built = placed(root, classes=classes)
    assert built.key(cell["kernel"]) == f"variables/0{VALUE}"  # the key tells nothing
    where = "prune_low_magnitude_lstm/lstm/lstm_cell"
    assert {n: of(v).layer for n, v in cell.items()} == dict.fromkeys(cell, where)
    assert [of(v).variable for v in cell.values()] == list(cell)
    assert {of(v).layer for v in (*overhead, step)} == {"prune_low_magnitude_lstm"}
    assert "layer_with_weights-0/layer/cell/kernel" in of(cell["kernel"]).links


@pytest.mark.parametrize("classes", [True, False])
def test_each_mask_serves_its_own_weight(classes):
    (wrapper, sets, step), _ = lstm()
    root = model("Sequential", {"layer_with_weights-0": wrapper, "layer-0": wrapper})
    _, of, built = placed(root, classes=classes)
    for weight, mask, threshold in sets:
        assert of(mask).serves == of(threshold).serves == built.key(weight)
        assert of(mask).variable == "mask"
        assert of(weight).serves is None
    assert of(step).serves is None


def test_the_tree_has_classes_and_attributes_as_a_config_gives_them():
    (wrapper, _, _), _ = lstm()
    last, _, _ = dense("out", 3, 2)
    root = model(
        "Sequential",
        {
            "layer_with_weights-1": last,
            "layer-1": last,
            "layer_with_weights-0": wrapper,
            "layer-0": wrapper,
        },
    )
    placement, _, _ = placed(root)
    tree = [(one.path, one.class_name, one.attr) for one in placement.model.walk()]
    assert tree == [
        ("", "Sequential", "layers"),
        ("prune_low_magnitude_lstm", "PruneLowMagnitude", "layers"),
        ("prune_low_magnitude_lstm/lstm", "LSTM", "layer"),
        ("prune_low_magnitude_lstm/lstm/lstm_cell", "LSTMCell", "cell"),
        ("out", "Dense", "layers"),
    ]
    assert placement.keras_version == "2.21.0"
    assert placement.flavor is Flavor.TF_KERAS


def test_a_wrapper_is_known_by_its_attributes_where_no_class_is_told():
    (wrapper, _, _), _ = lstm()
    placement, _, _ = placed(
        model("Sequential", {"layer_with_weights-0": wrapper, "layer-0": wrapper}), classes=False
    )
    assert placement.model is None
    found = {one.path: one.class_name for one in placement.guessed}
    assert found["prune_low_magnitude_lstm"] == "PruneLowMagnitude"
    assert found["prune_low_magnitude_lstm/lstm"] == ""


def test_a_layer_without_a_name_is_called_as_its_attribute():
    inner, kernel, _ = dense("dense", 4, 3)
    nested = model("Functional", {"layer_with_weights-0": inner, "layer-0": inner})
    root = model("Functional", {"layer_with_weights-0": nested, "layer-1": nested})
    _, of, _ = placed(root, classes=False)
    assert of(kernel).layer == "layer_with_weights-0/dense"


def test_a_layer_that_a_wrapper_builds_under_its_own_name_gives_the_wrapper_the_name():
    kernel = var("time_distributed/kernel", 4, 3)
    wrapper = Obj({"layer": Obj({"kernel": kernel})})
    root = model("Functional", {"layer_with_weights-0": wrapper, "layer-1": wrapper})
    _, of, _ = placed(root, classes=False)
    assert of(kernel).layer == "time_distributed/layer"


def test_what_is_all_inside_one_wrapper_leaves_the_wrapper_its_name():
    """Keras 3: a TimeDistributed called mask, and no other layer with variables."""
    inner = Obj({"gamma": var("mask/batch_normalization/gamma", 3)})
    root = Obj({"_functional": Obj(), "_operations": listing(Obj(), Obj({"layer": inner}))})
    _, of, _ = placed(root, classes=False)
    assert of(inner.children["gamma"]).layer == "mask/batch_normalization"
    own = Obj({"kernel": var("sub/dense/kernel", 4, 3)})
    _, of, _ = placed(Obj({"_functional": Obj(), "head": own}), classes=False)
    assert of(own.children["kernel"]).layer == "dense"


def test_a_quantizer_that_quantizes_nothing_is_known_by_its_step():
    step = var("quantize_layer/optimizer_step", dtype="int32", trainable=False)
    one = Obj({"optimizer_step": step})
    placement, of, _ = placed(model("Functional", {"layer-0": one}), classes=False)
    assert of(step).layer == "quantize_layer"
    assert {"quantize_layer": "QuantizeLayer"}.items() <= {
        layer.path: layer.class_name for layer in placement.guessed
    }.items()


@pytest.mark.parametrize("classes", [True, False])
def test_a_layer_of_one_s_own_has_the_name_that_its_inner_layers_variables_share(classes):
    # Keras 3: all that Block(name="block_0") builds inside itself is called "block_0/kernel".
    up, down = var("block_0/kernel", 4, 8), var("block_0/kernel", 8, 4)
    query = var("block_0/kernel", 4, 4)
    mark = {"call_signature_parameters": listing()}  # every layer of Keras 3 has it
    inner = {name: Obj({"_kernel": one, **mark}) for name, one in (("up", up), ("down", down))}
    att = Obj({"_query_dense": Obj({"_kernel": query, **mark}), **mark})
    block = Obj({**inner, "att": att, **mark})
    root = Obj({"_operations": listing(block), **mark})
    _, of, _ = placed(root, classes=classes)
    assert of(up).layer == "block_0/up"
    assert of(down).layer == "block_0/down"
    assert of(query).layer == "block_0/att/_query_dense"


def test_layers_that_share_their_model_s_name_are_called_by_their_attributes():
    first, second = var("net/kernel", 3, 4), var("net/kernel", 4, 1)
    root = Obj({"a": Obj({"_kernel": first}), "out": Obj({"_kernel": second})})
    _, of, _ = placed(root, classes=False)
    assert (of(first).layer, of(second).layer) == ("a", "out")


def test_of_two_layers_that_hold_a_variable_the_one_inside_has_it():
    kernel = var("spectral_normalization/kernel", 4, 3)
    inner = layer("Dense", "dense", {"kernel": kernel})
    outer = layer("SpectralNormalization", "spectral", {"kernel": kernel, "layer": inner})
    _, of, _ = placed(model("Functional", {"layer-0": outer}))
    assert of(kernel).layer == "spectral/dense"


def test_two_layers_of_one_name_have_different_paths():
    first, one, _ = dense("dense", 4, 3)
    second, two, _ = dense("dense", 3, 3)
    root = model("Sequential", {"layer-0": first, "layer-1": second})
    _, of, _ = placed(root)
    assert (of(one).layer, of(two).layer) == ("dense", "dense#2")


def test_a_shared_layer_stands_where_the_model_holds_it():
    shared, kernel, _ = dense("tw", 4, 4)
    wrapper = layer("TimeDistributed", "td", {"layer": shared})
    root = model("Functional", {"layer-0": wrapper, "layer-1": shared})
    _, of, _ = placed(root)
    assert of(kernel).layer == "tw"
    assert of(kernel).links == ()  # the walk goes no second time through the same layer


def test_a_subclassed_model_s_layers_are_found_in_lists_and_dicts():
    enc, kernel, _ = dense("sub/dense", 5, 4)
    enc.info["name"] = "dense"
    block, block_kernel, _ = dense("sub/dense_1", 4, 3)
    head, head_kernel, _ = dense("sub/dense_2", 3, 1)
    temperature = var("temperature")
    children = {
        "enc": enc,
        "blocks": listing(block),
        "heads": mapping(a=head),
        "temp": temperature,
        "train_function": Obj(),
    }
    root = Obj(children, "_tf_keras_model")
    for one in (enc, block, head):
        one.info.clear()
    _, of, _ = placed(root, classes=False)
    assert of(kernel).layer == "dense"
    assert of(block_kernel).layer == "dense_1"
    assert of(head_kernel).layer == "dense_2"
    assert (of(temperature).layer, of(temperature).variable) == ("", "temperature")


def test_a_module_s_parts_are_called_by_their_attributes():
    inner = Obj({"w": var("w", 3, 4), "b": var("Variable", 4)})
    root = Obj({"blocks": listing(inner), "scale": var("Variable_1")})
    placement, of, _ = placed(root)
    assert of(inner.children["w"]).layer == "blocks/0"
    assert of(inner.children["b"]).variable == "b"
    assert (of(root.children["scale"]).layer, of(root.children["scale"]).variable) == ("", "scale")
    assert placement.listed is None
    assert "no Keras model" in placement.uncounted


def test_a_checkpoint_s_only_model_is_shown_as_the_model():
    inner, kernel, _ = dense("dense", 4, 3)
    counter = var("save_counter", dtype="int64")
    net = model("Sequential", {"layer_with_weights-0": inner, "layer-0": inner})
    placement, of, _ = placed(Obj({"model": net, "save_counter": counter}), classes=False)
    assert of(kernel).layer == "dense"
    assert (of(counter).section, of(counter).owner) == (Section.OTHER, None)
    assert placement.uncounted is None


def test_several_models_of_a_checkpoint_are_counted_by_none():
    nets = {}
    for name in ("generator", "critic"):
        inner, _, _ = dense("dense", 4, 3)
        nets[name] = model("Sequential", {"layer_with_weights-0": inner, "layer-0": inner})
    placement, _, _ = placed(Obj(nets), classes=False)
    assert {"generator/dense", "critic/dense"} <= {one.path for one in placement.guessed}
    assert "2 models" in placement.uncounted


def test_a_layer_that_was_saved_by_itself_is_counted_as_a_model_is():
    """Keras 3's models, too, look like layers until they are compiled."""
    kernel = var("dense/kernel", 4, 3)
    inner = Obj({"_kernel": kernel, "call_signature_parameters": Obj(), "_loss_ids": Obj()})
    root = Obj({"call_signature_parameters": Obj(), "steps": listing(inner)})
    placement, of, _ = placed(root)
    assert (placement.uncounted, placement.flavor) == (None, Flavor.KERAS3)
    assert of(kernel).layer == "dense"
    # TensorFlow does not track a list of Keras 3 in a checkpoint: some of it may be missing.
    assert placed(root, classes=False)[0].uncounted is not None


def test_saved_weights_are_of_a_model_whatever_it_is_made_of():
    """`save_weights` writes Checkpoint(root=model), and counts no saves."""
    inner, _, _ = dense("dense", 4, 3)
    root = Obj({"encoder": Obj(dict(inner.children))})
    assert placed(root, classes=False)[0].uncounted is not None
    root.children["root"] = root
    assert placed(root, classes=False)[0].uncounted is None
    root.children["save_counter"] = var("save_counter", dtype="int64")
    assert placed(root, classes=False)[0].uncounted is not None


def test_cells_that_an_rnn_keeps_in_a_list_are_missing():
    """Keras 3's StackedRNNCells holds nothing that TensorFlow tracks."""
    kernel = var("dense/kernel", 4, 3)
    cell = Obj()
    rnn = Obj({"cell": cell})
    root = Obj({"_operations": listing(rnn, Obj({"_kernel": kernel}))})
    assert "cells in a list" in placed(root, classes=False)[0].uncounted
    cell.children["kernel"] = var("lstm/lstm_cell/kernel", 4, 8)
    assert placed(root, classes=False)[0].uncounted is None


# --- lists and flags ------------------------------------------------------------------------------


def test_the_root_s_lists_say_what_is_counted_and_what_is_trained():
    frozen, kernel, bias = dense("frozen", 4, 3)
    head, head_kernel, head_bias = dense("head", 3, 2)
    root = with_lists(
        {"layer-0": frozen, "layer-1": head}, [head_kernel, head_bias], [kernel, bias]
    )
    placement, of, built = placed(root)
    # Keras freezes layers; the variables' own flags stay on.
    assert [of(v).trainable for v in (kernel, bias, head_kernel, head_bias)] == [
        False,
        False,
        True,
        True,
    ]
    elements = sum(math.prod(built.stored[key][1]) for key in placement.listed)
    assert elements == 4 * 3 + 3 + 3 * 2 + 2
    assert sum(placement.listed.values()) == 2


def test_without_lists_the_layers_own_flags_tell_what_is_frozen():
    frozen, kernel, _ = dense("frozen", 4, 3)
    frozen.info["trainable"] = False
    head, head_kernel, _ = dense("head", 3, 2)
    inner = layer("Sequential", "inner", {"layer-0": head}, identifier="_tf_keras_sequential")
    _, of, _ = placed(model("Functional", {"layer-0": frozen, "layer-1": inner}))
    assert (of(kernel).trainable, of(head_kernel).trainable) == (False, True)
    inner.info["trainable"] = False
    _, of, _ = placed(model("Functional", {"layer-0": frozen, "layer-1": inner}))
    assert of(head_kernel).trainable is False


def test_a_weight_that_a_quantization_wrapper_keeps_is_trained_though_its_layer_is_frozen():
    frozen, kernel, bias = dense("dense", 4, 3)
    frozen.info["trainable"] = False
    parts = listing(Obj({"0": kernel}, "trackable_tuple_wrapper"))
    centroids = var("quant/cluster_centroids_tf", 4)
    held = {"layer": frozen, "_weight_vars": parts, "cluster_centroids_tf": centroids}
    wrapper = layer("QuantizeWrapperV2", "quant", held)
    wrapper.info["trainable"] = False
    _, of, _ = placed(model("Functional", {"layer-0": wrapper}))
    assert (of(kernel).trainable, of(bias).trainable) == (True, False)
    assert of(centroids).trainable is True


def test_a_wrapper_trains_a_variable_of_its_own_though_the_layer_inside_is_frozen():
    """tf_keras' SpectralNormalization has its layer's kernel as an attribute of its own."""
    frozen, kernel, bias = dense("dense", 4, 3)
    frozen.info["trainable"] = False
    wrapper = layer("SpectralNormalization", "norm", {"layer": frozen, "kernel": kernel})
    _, of, _ = placed(model("Functional", {"layer-0": wrapper}))
    assert (of(kernel).trainable, of(bias).trainable) == (True, False)


def test_a_variable_that_only_a_list_reaches_is_placed_by_its_name():
    inner, kernel, bias = dense("dense", 4, 3)
    loose = var("dense/loose", 3)
    root = with_lists({"layer-0": inner}, [kernel, bias, loose])
    _, of, _ = placed(root)
    assert (of(loose).layer, of(loose).variable) == ("dense", "loose")


def export(*, seed=None, frozen=()):
    """A Keras 3 export: every variable in two lists, as two objects."""
    first = [var("sequential/dense/kernel", 3, 4), var("sequential/dense/bias", 4)]
    again = [var("sequential/dense/bias", 4), var("sequential/dense/kernel", 3, 4)]
    state = [seed] if seed is not None else []
    trainable = [one for one in first if one.name not in frozen]
    rest = [one for one in first if one.name in frozen]
    root = Obj(
        {
            "variables": listing(*first, *state),
            "trainable_variables": listing(*trainable),
            "non_trainable_variables": listing(*rest, *state),
            "_all_variables": listing(*again),
        }
    )
    return root, first, again


def test_an_export_s_second_list_repeats_the_first():
    root, first, again = export()
    placement, of, built = placed(root)
    assert [of(one).repeats for one in first] == [None, None]
    assert of(again[0]).repeats == built.key(first[1])
    assert of(again[1]).repeats == built.key(first[0])
    assert {(of(one).layer, of(one).variable) for one in first} == {
        ("dense", "kernel"),
        ("dense", "bias"),
    }
    assert placement.flavor is Flavor.KERAS3


def test_an_export_lists_generators_that_keras_does_not_count():
    seed = var("seed_generator/seed_generator_state", 2, dtype="int64", trainable=False)
    root, first, _ = export(seed=seed, frozen={"sequential/dense/bias"})
    placement, _, built = placed(root)
    assert placement.listed == {built.key(first[0]): True, built.key(first[1]): False}


def test_variables_of_an_export_alike_in_all_are_paired_once_each():
    pair = [var("sub/kernel", 3, 3), var("sub/kernel", 3, 3)]
    copies = [var("sub/kernel", 3, 3), var("sub/kernel", 3, 3)]
    root = Obj(
        {
            "variables": listing(*pair),
            "trainable_variables": listing(*pair),
            "non_trainable_variables": listing(),
            "_all_variables": listing(*copies),
        }
    )
    _, of, built = placed(root)
    assert {of(one).repeats for one in copies} == {built.key(one) for one in pair}


def test_variables_of_an_export_alike_in_name_and_shape_are_paired_by_their_values():
    # A layer of one's own names the variables of all layers inside it after itself.
    first = [var("block/bias", 4) for _ in range(3)]
    again = [var("block/bias", 4) for _ in range(3)]
    root = Obj(
        {
            "variables": listing(*first),
            "trainable_variables": listing(*first),
            "non_trainable_variables": listing(),
            "_all_variables": listing(*again),
        }
    )
    built = build(root)
    values = dict(zip(map(built.key, first), [1, 2, 3], strict=True))
    # The third copy's values were changed after saving: it is of what the others leave.
    values |= zip(map(built.key, again), [3, 1, 9], strict=True)
    placement = place(
        built.checkpoint,
        built.stored,
        saved=built.saved,
        metadata=built.metadata,
        checksums=values,
    )
    pairs = [placement.places[built.key(one)].repeats for one in again]
    assert pairs == [built.key(first[2]), built.key(first[0]), built.key(first[1])]


# --- training -------------------------------------------------------------------------------------


def test_declared_slots_name_their_variables():
    inner, kernel, bias = dense("dense", 4, 3)
    m = var("Adam/dense/kernel/m", 4, 3, trainable=False)
    optimizer = Obj(
        {"iter": var("Adam/iter", dtype="int64"), "learning_rate": var("Adam/learning_rate")},
        "optimizer",
        slots=[("m", kernel, m)],
    )
    root = with_lists({"layer-0": inner, "optimizer": optimizer}, [kernel, bias])
    _, of, built = placed(root)
    assert of(m).slot_of == built.key(kernel)
    assert (of(m).variable, of(m).section) == ("m", Section.OPTIMIZER)
    state = of(optimizer.children["iter"])
    assert (state.variable, state.slot_of, state.section) == ("iter", None, Section.OPTIMIZER)


def newer_optimizer(slots, trained=None):
    iteration = var("iteration", dtype="int64")
    children = {
        "_variables": listing(iteration, *slots),
        "_iterations": iteration,
        "_learning_rate": var("learning_rate"),
        "_momentums": listing(*slots),
    }
    if trained is not None:
        children["_trainable_variables"] = listing(*trained)
    return Obj(children)


def test_slots_of_two_variables_of_one_name_are_told_by_their_order():
    first, one, _ = dense("dense", 3, 3)
    second, two, _ = dense("dense", 3, 3)
    slots = [var("Adam/m/dense/kernel", 3, 3), var("Adam/m/dense/kernel", 3, 3)]
    root = with_lists(
        {"layer-0": first, "layer-1": second, "optimizer": newer_optimizer(slots)}, [one, two]
    )
    _, of, built = placed(root)
    assert [of(slot).slot_of for slot in slots] == [built.key(one), built.key(two)]
    assert [of(slot).variable for slot in slots] == ["m", "m"]


def test_slots_of_a_factored_optimizer_are_told_by_the_order_of_all_that_it_has():
    """Keras 3's Adafactor: r, c and velocity of each variable; r and c have its plain name."""
    first, one, bias = dense("dense", 4, 3)
    second, two, _ = dense("dense_1", 3, 4)
    slots = {
        one: [var("adafactor/kernel", 4), var("adafactor/kernel", 3), var("a/x_velocity", 4, 3)],
        bias: [var("bias"), var("bias"), var("adafactor/dense_bias_velocity", 3)],
        two: [var("adafactor/kernel", 3), var("adafactor/kernel", 4), var("a/y_velocity", 3, 4)],
    }
    for single in slots[bias][:2]:
        single.shape = ()
    optimizer = newer_optimizer([s for group in slots.values() for s in group], trained=slots)
    del optimizer.children["_momentums"]
    optimizer.children |= {"_r": listing(), "_c": listing(), "_v": listing()}
    net = Obj({"_functional": Obj({"_operations": listing(first, second)})})
    _, of, built = placed(Obj({"model": net, "optimizer": optimizer}), classes=False)
    for variable in (one, two):
        assert [of(s).variable for s in slots[variable]] == ["r", "c", "velocity"]
        assert {of(s).slot_of for s in slots[variable]} == {built.key(variable)}
    assert of(slots[bias][2]).slot_of == built.key(bias)
    assert of(slots[bias][0]).slot_of is None


def test_a_weight_that_a_checkpoint_keys_by_its_optimizer_is_the_model_s_all_the_same():
    inner, kernel, bias = dense("dense", 4, 3)
    slot = var("sgd/dense_kernel_momentum", 4, 3)
    optimizer = newer_optimizer([slot], trained=[kernel])
    # As Keras 3 is tracked: the optimizer's list is nearer to the root than the layer.
    net = Obj({"_functional": Obj({"_operations": listing(inner)})})
    root = Obj({"optimizer": optimizer, "model": net})
    placement, of, built = placed(root, classes=False)
    assert "_trainable_variables" in built.key(kernel)
    assert (of(kernel).section, of(kernel).layer, of(kernel).trainable) == (
        Section.MODEL,
        "dense",
        True,
    )
    assert of(bias).trainable is False  # the optimizer lists all that it trains
    assert (of(slot).slot_of, of(slot).variable) == (built.key(kernel), "momentum")
    assert placement.flavor is Flavor.KERAS3


def test_weights_that_only_an_optimizer_leads_to_are_not_counted_as_the_whole_model():
    kernel = var("sub/kernel", 4, 3)
    root = Obj(
        {
            "model": Obj({"_compiled_trainable_state": Obj()}),
            "optimizer": newer_optimizer([var("adam/sub_kernel_momentum", 4, 3)], trained=[kernel]),
        }
    )
    placement, of, _ = placed(root, classes=False)
    assert of(kernel).section is Section.MODEL
    assert "not stored" in placement.uncounted


def test_a_checkpoint_says_nothing_of_training_without_slots():
    inner, kernel, _ = dense("dense", 4, 3)
    placement, of, _ = placed(model("Sequential", {"layer_with_weights-0": inner}), classes=False)
    assert of(kernel).trainable is None
    assert placement.listed is None


def test_metrics_are_called_by_their_names():
    total = var("total", trainable=False)
    metric = Obj({"total": total}, "_tf_keras_metric", {"class_name": "Mean", "name": "loss"})
    api = Obj({"metrics": listing(metric)})
    root = model("Functional", {"keras_api": api})
    _, of, _ = placed(root)
    assert (of(total).section, of(total).owner) == (Section.METRICS, "metrics/loss")


def test_a_metric_that_is_a_model_s_own_attribute_is_counted_with_the_model():
    total, count = var("total", trainable=False), var("count", trainable=False)
    kernel = var("dense/kernel", 4, 3)
    children = {
        "layer-0": Obj({"kernel": kernel}),
        "tracker": Obj({"total": total, "count": count}),
    }
    _, of, _ = placed(model("Functional", children), classes=False)
    assert (of(total).section, of(total).layer) == (Section.MODEL, "tracker")
    # Beside a model, in a checkpoint's root, it is none of the model's.
    beside = {
        "model": model("Functional", {"layer-0": children["layer-0"]}),
        "tracker": children["tracker"],
    }
    _, of, _ = placed(Obj(beside), classes=False)
    assert (of(total).section, of(total).owner) == (Section.METRICS, "tracker")


def test_an_object_that_stores_a_tensor_of_its_own_has_a_place():
    odd = Obj(table=True)
    built = build(model("Functional", {"odd": Obj({"inner": odd})}))
    key = built.key(odd)
    placement = place(built.checkpoint, {key: ("float32", (2,))})
    assert (placement.places[key].layer, placement.places[key].variable) == ("", "inner")


def test_a_table_s_keys_and_values_have_the_layer_that_holds_it():
    table = Obj(table=True)
    lookup = layer("StringLookup", "words", {"token_counts": table})
    placement, _, built = placed(model("Functional", {"layer-0": lookup}))
    for part in ("keys", "values"):
        found = placement.places[f"{built.key(table)}-{part}"]
        assert (found.layer, found.variable) == ("words", f"token_counts-{part}")


def test_what_clustering_keeps_serves_its_weight():
    inner, kernel, _ = dense("dense", 4, 3)
    centroids = var("cluster_dense/cluster_centroids_kernel", 6)
    indices = var("cluster_dense/pulling_indices_kernel", 4, 3, dtype="int64", trainable=False)
    wrapper = Obj(
        {
            "layer": inner,
            "original_clusterable_weights": mapping(kernel=kernel),
            "clustering_algorithms": Obj(),
            "pulling_indices": mapping(kernel=indices),
            "cluster_centroids": mapping(kernel=centroids),
            "original_weight_kernel": kernel,
            "cluster_centroids_kernel": centroids,
            "pulling_indices_kernel": indices,
        },
        "_tf_keras_layer",
    )
    root = model("Sequential", {"layer_with_weights-0": wrapper, "layer-0": wrapper})
    for classes in (True, False):
        _, of, built = placed(root, classes=classes)
        assert of(centroids).serves == of(indices).serves == built.key(kernel)
        assert of(centroids).layer == of(indices).layer == "cluster_dense"
        assert of(kernel).layer == "cluster_dense/dense"


def test_ranges_of_quantization_serve_the_weight_of_their_name():
    inner, kernel, _ = dense("dense", 4, 3)
    low = var("quant_dense/kernel_min", 3, trainable=False)
    high = var("quant_dense/kernel_max", 3, trainable=False)
    step = var("quant_dense/optimizer_step", dtype="int32", trainable=False)
    output = var("quant_dense/post_activation_min", trainable=False)
    ranges = Obj({"min_var": low, "max_var": high})
    wrapper = Obj(
        {
            "layer": inner,
            "optimizer_step": step,
            "_weight_vars": listing(Obj({"0": kernel, "2": ranges}, "trackable_tuple_wrapper")),
            "kernel_min": low,
            "kernel_max": high,
            "_output_quantizers": listing(),
            "post_activation_min": output,
        },
        "_tf_keras_layer",
    )
    root = model("Sequential", {"layer_with_weights-0": wrapper, "layer-0": wrapper})
    for classes in (True, False):
        _, of, built = placed(root, classes=classes)
        assert of(low).serves == of(high).serves == built.key(kernel)
        assert of(low).layer == of(step).layer == of(output).layer
        assert of(output).serves is None
        assert of(low).variable == "kernel_min"


# --- what is wrong --------------------------------------------------------------------------------


def test_a_saved_graph_with_other_numbers_is_followed_by_names():
    inner, kernel, bias = dense("dense", 4, 3)
    built = build(with_lists({"layer-0": inner}, [kernel], [bias]))
    count = len(built.saved.nodes)
    turned = {0: 0, **{number: count - number for number in range(1, count)}}
    nodes = [None] * count
    for node in built.saved.nodes:
        children = tuple(Reference(c.name, turned[c.node]) for c in node.children)
        nodes[turned[node.id]] = ObjectNode(
            turned[node.id], node.kind, children, node.identifier, variable=node.variable
        )
    metadata = {turned[n]: one._replace(id=turned[n]) for n, one in built.metadata.items()}
    placement = place(
        built.checkpoint, built.stored, saved=ObjectGraph(tuple(nodes)), metadata=metadata
    )
    found = placement.places[built.key(kernel)]
    assert (found.layer, found.variable, found.trainable) == ("dense", "kernel", True)
    assert placement.model.children[0].class_name == "Dense"


def test_metadata_that_is_no_json_leaves_the_names_of_variables():
    inner, kernel, _ = dense("dense", 4, 3)
    built = build(model("Sequential", {"layer-0": inner, "layer_with_weights-0": inner}))
    for text in (
        "{",
        "[1]",
        '{"name": 3, "class_name": [], "config": "x"}',
        '{"a":' + "[" * 100_000,
    ):
        metadata = {n: one._replace(metadata=text) for n, one in built.metadata.items()}
        placement = place(built.checkpoint, built.stored, saved=built.saved, metadata=metadata)
        assert placement.places[built.key(kernel)].layer == "dense"


def test_a_graph_that_goes_in_circles_ends():
    root, inner = Obj(), Obj()
    kernel = var("w", 2, 2)
    root.children = {"a": inner, "root": root}
    inner.children = {"back": root, "w": kernel}
    _, of, _ = placed(root)
    assert of(kernel).layer == "a"


def chain(length):
    nodes = [ObjectNode(n, children=(Reference("a", n + 1),)) for n in range(length)]
    key = f"x{VALUE}"
    last = ObjectNode(length, attributes=(Attribute("VARIABLE_VALUE", "x", key),))
    return ObjectGraph((*nodes, last)), {key: ("float32", (2,))}


def test_a_deep_graph_is_refused_by_name():
    graph, stored = chain(100_000)
    start = time.monotonic()
    with pytest.raises(LimitExceeded, match="depth"):
        place(graph, stored)
    assert time.monotonic() - start < 30


def test_long_names_and_paths_are_refused_by_name():
    graph, stored = chain(3)
    nodes = (ObjectNode(0, children=(Reference("n" * 20_000, 1),)), *graph.nodes[1:])
    with pytest.raises(LimitExceeded, match="key_bytes"):
        place(ObjectGraph(nodes), stored)
    with pytest.raises(LimitExceeded, match="keys_bytes"):
        place(graph, stored, limits=Limits(keys_bytes=3))
    built = build(model("Sequential", {}))
    with pytest.raises(LimitExceeded, match="config_bytes"):
        place(
            built.checkpoint,
            {},
            saved=built.saved,
            metadata=built.metadata,
            limits=Limits(config_bytes=10),
        )


def test_a_graph_without_objects_places_nothing():
    placement = place(ObjectGraph(()), {f"x{VALUE}": ("float32", (2,))})
    assert placement.places == {}
    assert placement.uncounted is not None


def test_a_key_that_the_bundle_lacks_has_no_place():
    inner, kernel, bias = dense("dense", 4, 3)
    built = build(with_lists({"layer-0": inner}, [kernel, bias]))
    stored = {k: v for k, v in built.stored.items() if k != built.key(bias)}
    placement = place(built.checkpoint, stored, saved=built.saved, metadata=built.metadata)
    assert set(placement.places) == set(placement.listed) == set(stored)


NAMES = st.sampled_from(
    [
        *("kernel", "layer", "layer-0", "layer_with_weights-0", "0", "1", "root", "model"),
        *("variables", "trainable_variables", "non_trainable_variables", "_all_variables"),
        *("keras_api", "metrics", "optimizer", "_variables", "_learning_rate", "iter", "decay"),
        *("_trainable_variables", "_momentums", "_functional", "_operations", "_weight_vars"),
        *("pruning_vars", "pruning_step", "optimizer_step", "_output_quantizers", "kernel_min"),
        *("original_clusterable_weights", "cluster_centroids", "clustering_algorithms"),
        *("total", "count", "_random_generator", "original_weight_kernel", "cells", "a/b", ""),
    ]
)
FULL_NAMES = st.sampled_from(
    ["", "Variable", "dense/kernel", "m/dense/kernel", "Adam/m/dense/kernel", "save_counter", "/"]
)
METADATA = st.sampled_from(
    [
        "",
        "{}",
        '{"name": "dense", "class_name": "Dense", "config": {}, "trainable": false}',
        '{"name": "", "class_name": "PruneLowMagnitude", "config": {"pruning_schedule": 1}}',
        '{"name": ["x"], "config": 3, "keras_version": 2}',
    ]
)
IDENTIFIERS = st.sampled_from(
    ["", "_tf_keras_layer", "_tf_keras_model", "_tf_keras_metric", "optimizer", "_generic"]
)


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 9))
    number = st.integers(0, size - 1)
    edges = st.lists(st.builds(Reference, NAMES, number), max_size=5).map(tuple)
    slots = st.lists(st.builds(SlotReference, NAMES, number, number), max_size=2).map(tuple)
    checkpoint, saved, stored = [], [], {}
    for one in range(size):
        children, slot_list = draw(edges), draw(slots)
        attributes = ()
        if draw(st.booleans()):
            name = draw(st.sampled_from(["VARIABLE_VALUE", "table", "OBJECT_CONFIG_JSON"]))
            attributes = (Attribute(name, draw(FULL_NAMES), f"k{one}"),)
            stored[f"k{one}"] = ("float32", draw(st.sampled_from([(), (2,), (2, 3), None])))
        checkpoint.append(
            ObjectNode(one, children=children, attributes=attributes, slots=slot_list)
        )
        variable = SavedVariable("v", "float32", (2,), draw(st.booleans()))
        saved.append(
            ObjectNode(
                one,
                draw(st.sampled_from(["", "variable", "user_object"])),
                draw(st.one_of(st.just(children), edges)),
                draw(IDENTIFIERS),
                draw(METADATA),
                variable if draw(st.booleans()) else None,
            )
        )
    return ObjectGraph(tuple(checkpoint)), ObjectGraph(tuple(saved)), stored


@settings(max_examples=300, deadline=None)
@given(graphs(), st.booleans())
def test_any_graph_is_placed_whole_and_its_layers_are_in_the_tree(built, classes):
    checkpoint, saved, stored = built
    placement = place(checkpoint, stored, saved=saved if classes else None)
    assert placement.places.keys() <= stored.keys()
    layers = layers_of(placement.model, placement.guessed)
    for found in placement.places.values():
        assert found.layer is None or found.layer in layers
        for other in (found.slot_of, found.repeats, found.serves):
            assert other is None or other in stored
    assert set(placement.listed or ()) <= stored.keys()
