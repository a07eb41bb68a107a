"""Which tensor is which, on the committed samples and on files built and tampered with by hand."""

import dataclasses
import os
import shutil
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inspector
from inspector.classify import classify
from inspector.model import GROUP_OF, Artifact, Group, Role, Section, Tensor, Verdict
from inspector.pairing import Side, agreement, pair
from tests.builders.hdf5 import weights_file
from tests.builders.samples import NAMES, path

WEIGHTS = {Role.WEIGHT, Role.STATISTIC}


class Both:
    """Two artifacts held open, with their pairs."""

    def __init__(self, stack, a, b):
        self.a, self.b = (side(stack, one) for one in (a, b))
        self.found = pair(self.a, self.b)

    def role(self, one):
        return self.a.verdicts[one.a.name].role

    def weights(self):
        return [one for one in self.found.pairs if self.role(one) in WEIGHTS]

    def wrong(self):
        """Weights that do not agree: name of each in `a` -> why."""
        held = {one.a.name: agreement(one) for one in self.weights()}
        return {name: one.why_not for name, one in held.items() if not one.agrees}

    def lonely(self, which):
        """Weights that have no partner, by name."""
        each, tensors = {"a": (self.a, self.found.only_a), "b": (self.b, self.found.only_b)}[which]
        return [t.name for t in tensors if each.verdicts[t.name].role in WEIGHTS]


def side(stack, name):
    opened = stack.enter_context(inspector.open(name if os.sep in name else path(name)))
    return Side(opened.artifact, classify(opened.artifact).verdicts)


@pytest.fixture
def both():
    with ExitStack() as stack:
        yield lambda a, b: Both(stack, str(a), str(b))


SAME_MODEL = [
    ("pruned.h5", "stripped.h5", 4),
    ("pruned.h5", "pruned.keras", 4),
    ("pruned.keras", "stripped.h5", 4),
    ("pruned.keras", "stripped_weights.h5", 4),
    ("pruned.weights.h5", "stripped.keras", 4),
    ("pruned_weights.h5", "stripped.keras", 4),
    ("pruned.h5", "saved_stripped", 4),
    ("saved_pruned", "stripped.h5", 4),
    ("saved_pruned", "saved_stripped", 4),
    ("ckpt_pruned", "stripped.h5", 4),
    ("ckpt_pruned", "pruned.h5", 4),
    ("stripped.h5", "saved_stripped", 4),
    ("pruned_2by4.h5", "stripped_2by4.h5", 4),
    ("pruned_convnet.h5", "stripped_convnet.h5", 18),
    ("pruned_convnet.keras", "stripped_convnet.h5", 18),
    ("pruned_rnn.keras", "stripped_rnn.keras", 6),
    ("clustered.h5", "clustered_stripped.h5", 4),
    ("clustered.keras", "clustered_stripped.h5", 4),
    ("qat.h5", "qat.keras", 4),
    ("k3.keras", "k3.h5", 12),
    ("k3.keras", "k3_dir", 12),
    ("k3.weights.h5", "k3.h5", 12),
    ("k3.keras", "k3_npz.keras", 12),
    ("frozen_convnet.pb", "saved_frozen", 8),
    ("frozen_tiny.pb", "frozen_tiny.pbtxt", 3),
    ("lite_float.tflite", "lite_offsets.tflite", 6),
    ("lite_sparse.tflite", "lite_pruned_dense.tflite", 4),
    ("lite_float.tflite", "lite_int8.tflite", 6),
    ("lite_float.tflite", "lite_float16.tflite", 6),
]


@pytest.mark.parametrize(("a", "b", "count"), SAME_MODEL)
def test_every_weight_of_one_model_finds_itself_in_another_file(both, a, b, count):
    """`count`: variables of the stripped model, as live Keras has them."""
    found = both(a, b)
    assert found.wrong() == {}
    assert (found.lonely("a"), found.lonely("b")) == ([], [])
    assert len(found.weights()) == count


@pytest.mark.parametrize(("a", "b", "count"), SAME_MODEL)
def test_the_other_way_round_the_pairs_are_the_same(both, a, b, count):
    forth, back = both(a, b).found, both(b, a).found
    assert {(one.a.name, one.b.name, kind(one)) for one in forth.pairs} == {
        (one.b.name, one.a.name, kind(one)) for one in back.pairs
    }
    assert {one.name for one in forth.only_a} == {one.name for one in back.only_b}
    assert {one.name for one in forth.only_b} == {one.name for one in back.only_a}
    assert len(back.pairs) >= count


def kind(one):
    return None if one.change is None else one.change.kind


@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_is_paired_with_itself(both, name):
    found = both(name, name)
    assert [(one.a.name, kind(one)) for one in found.found.pairs if one.a.name != one.b.name] == []
    assert found.lonely("a") == []
    assert found.wrong() == {
        name: why for name, why in found.wrong().items() if why.endswith("has no values")
    }


@pytest.mark.parametrize(("a", "b", "count"), SAME_MODEL)
def test_each_tensor_is_in_one_place(both, a, b, count):
    found = both(a, b)
    for each, paired, only in (
        (found.a, [one.a for one in found.found.pairs], found.found.only_a),
        (found.b, [one.b for one in found.found.pairs], found.found.only_b),
    ):
        names = [one.name for one in (*paired, *only)]
        assert sorted(names) == sorted(one.name for one in each.artifact.tensors)


def test_a_stripped_weight_is_zero_where_its_mask_is(both):
    found = both("pruned.h5", "stripped.h5")
    held = [agreement(one) for one in found.weights() if one.mask is not None]
    # Half of two kernels of 640.
    assert [(one.zeros_a, one.zeros_b, one.masked_nonzero) for one in held] == [(320, 320, 0)] * 2


def test_overhead_has_no_partner_in_a_stripped_file(both):
    found = both("pruned.h5", "stripped.h5")
    roles = [found.a.verdicts[one.name].role for one in found.found.only_a]
    assert sorted(r for r in roles if GROUP_OF[r] is Group.PRUNING) == sorted(
        [Role.MASK, Role.THRESHOLD, Role.PRUNING_STEP] * 2
    )


def test_masks_pair_with_masks_and_slots_with_slots(both):
    found = both("pruned.h5", "pruned.keras")
    for one in found.found.pairs:
        assert found.role(one) is found.b.verdicts[one.b.name].role
    roles = [found.role(one) for one in found.found.pairs]
    # Two masks; m and v of four weights.
    assert (roles.count(Role.MASK), roles.count(Role.OPTIMIZER_SLOT)) == (2, 8)


def test_copies_have_no_partner(both):
    found = both("pruned.h5", "pruned.keras")
    copies = [one for one in found.found.only_b if found.b.verdicts[one.name].role is Role.ALIAS]
    assert len(copies) == 2


def test_a_clustered_kernel_is_looked_up_in_its_centroids(both):
    found = both("clustered.h5", "clustered_stripped.h5")
    kinds = {one.a.variable: kind(one) for one in found.weights()}
    assert kinds == {"kernel": "clustered", "bias": None}


# --- names ---------------------------------------------------------------------------------------


def layer(name, inputs, outputs, *, seed):
    values = np.random.default_rng(seed)
    return {
        name: {
            f"{name}/kernel:0": values.normal(size=(inputs, outputs)).astype("f4"),
            f"{name}/bias:0": values.normal(size=outputs).astype("f4"),
        }
    }


def saved(folder, name, *layers):
    return weights_file(folder / name, {k: v for one in layers for k, v in one.items()})


def partners(found):
    return {one.a.layer: one.b.layer for one in found.weights()}


def test_layers_that_are_numbered_otherwise_are_the_same(both, tmp_path):
    a = saved(tmp_path, "a.h5", layer("dense", 4, 4, seed=1), layer("dense_1", 4, 4, seed=2))
    b = saved(tmp_path, "b.h5", layer("dense_1", 4, 4, seed=1), layer("dense_2", 4, 4, seed=2))
    found = both(a, b)
    assert partners(found) == {"dense": "dense_1", "dense_1": "dense_2"}
    assert found.wrong() == {}
    assert found.found.layers == {"dense": "dense_1", "dense_1": "dense_2"}
    assert {one.basis for one in found.weights()} == {"name"}


@pytest.mark.parametrize("inputs", [1, 4])
def test_layers_that_one_file_numbers_by_their_class_are_told_apart(both, tmp_path, inputs):
    """Of "head" and "dense" the file makes "dense" and "dense_1", of other shapes or the same."""
    a = saved(tmp_path, "a.h5", layer("head", inputs, 4, seed=1), layer("dense", 4, 4, seed=2))
    b = saved(tmp_path, "b.h5", layer("dense", inputs, 4, seed=1), layer("dense_1", 4, 4, seed=2))
    found = both(a, b)
    assert partners(found) == {"head": "dense", "dense": "dense_1"}
    assert found.wrong() == {}


def test_a_renamed_layer_is_told_by_its_shapes(both, tmp_path):
    a = saved(tmp_path, "a.h5", layer("head", 4, 2, seed=1), layer("body", 3, 4, seed=2))
    b = saved(tmp_path, "b.h5", layer("logits", 4, 2, seed=1), layer("body", 3, 4, seed=2))
    found = both(a, b)
    assert partners(found) == {"head": "logits", "body": "body"}
    (one,) = {one.why for one in found.weights() if one.a.layer == "head"}
    assert one == "the only layer of its shapes: head is logits"
    assert found.wrong() == {}


def test_renamed_layers_of_equal_shapes_are_told_by_their_values(both, tmp_path):
    a = saved(tmp_path, "a.h5", *(layer(n, 4, 4, seed=i) for i, n in enumerate("abc")))
    b = saved(tmp_path, "b.h5", *(layer(n, 4, 4, seed=i) for i, n in ((2, "x"), (0, "y"))))
    found = both(a, b)
    assert partners(found) == {"a": "y", "c": "x"}
    assert {one.basis for one in found.weights()} == {"content"}
    assert set(found.lonely("a")) == {"b/b/bias:0", "b/b/kernel:0"}


def test_layers_that_nothing_tells_apart_are_taken_in_their_order(both, tmp_path):
    a = saved(tmp_path, "a.h5", layer("a", 4, 4, seed=1), layer("b", 4, 4, seed=2))
    b = saved(tmp_path, "b.h5", layer("x", 4, 4, seed=3), layer("y", 4, 4, seed=4))
    found = both(a, b)
    assert partners(found) == {"a": "x", "b": "y"}
    assert len(found.wrong()) == 4


def test_variables_of_a_layer_that_no_name_tells_apart_are_told_by_their_values(both, tmp_path):
    """As in a file that numbers them: the one that was changed is what is left."""
    x, y, z = np.random.default_rng(1).normal(size=(3, 4)).astype("f4")
    a = weights_file(tmp_path / "a.h5", {"n": {"n/p:0": x, "n/q:0": y, "n/r:0": z}})
    b = weights_file(tmp_path / "b.h5", {"n": {"n/u:0": z, "n/v:0": y + 1, "n/w:0": x}})
    found = both(a, b)
    assert {one.a.variable: one.b.variable for one in found.weights()} == {
        "p": "w",
        "q": "v",
        "r": "u",
    }
    assert list(found.wrong()) == ["n/n/q:0"]


def test_a_layer_in_another_scope_is_told_by_its_own_name(both, tmp_path):
    a = saved(tmp_path, "a.h5", layer("conv", 4, 4, seed=1), layer("head", 4, 4, seed=2))
    b = {
        "model": {
            **{f"model/{k}": v for k, v in layer("head", 4, 4, seed=2)["head"].items()},
            **{f"model/{k}": v for k, v in layer("conv", 4, 4, seed=1)["conv"].items()},
        }
    }
    found = both(a, weights_file(tmp_path / "b.h5", b))
    assert found.wrong() == {}
    assert len(found.weights()) == 4


def test_a_layer_of_one_name_and_another_shape_is_that_layer(both, tmp_path):
    a = saved(tmp_path, "a.h5", layer("dense", 4, 2, seed=1))
    b = saved(tmp_path, "b.h5", layer("dense", 4, 3, seed=1))
    found = both(a, b)
    assert partners(found) == {"dense": "dense"}
    assert found.wrong()["dense/dense/kernel:0"] == "shapes (4, 2) and (4, 3) differ"


def test_other_dtypes_are_a_cast(both, tmp_path):
    one = layer("dense", 4, 2, seed=1)
    half = {"dense": {k: v.astype("f2") for k, v in one["dense"].items()}}
    found = both(saved(tmp_path, "a.h5", one), saved(tmp_path, "b.h5", half))
    assert {kind(one) for one in found.weights()} == {"cast"}
    assert found.wrong() == {}


# --- tampered ------------------------------------------------------------------------------------


def tampered(tmp_path, name, tensor, change):
    """A copy of a file sample in which the values of one tensor are others."""
    copy = str(tmp_path / name)
    shutil.copy(path(name), copy)
    with inspector.open(copy) as opened:
        (found,) = (one for one in opened.artifact.tensors if one.name == tensor)
        (extent,) = found.extents
        values = np.concatenate([b.copy() for b in found.payload.blocks(1 << 20)])
    made = change(values.reshape(found.shape)).astype(values.dtype)
    with open(copy, "r+b") as file:
        file.seek(extent.offset)
        file.write(np.ascontiguousarray(made).tobytes())
    return copy


KERNEL = "model_weights/dense/dense/kernel:0"


def test_one_changed_weight_is_named(both, tmp_path):
    def change(kernel):
        kernel[3, 5] += 1
        return kernel

    found = both("pruned.h5", tampered(tmp_path, "stripped.h5", KERNEL, change))
    (one,) = found.wrong()
    assert one == "model_weights/prune_low_magnitude_dense/dense/kernel:0"
    (pair_,) = (x for x in found.weights() if x.a.name == one)
    assert agreement(pair_).where == (3, 5)


def test_a_flipped_bit_of_a_mask_is_told(both, tmp_path):
    mask = "model_weights/prune_low_magnitude_dense/prune_low_magnitude_dense/mask:0"

    def change(values):
        values.flat[np.flatnonzero(values)[0]] = 0  # a weight that it keeps
        return values

    found = both(tampered(tmp_path, "pruned.h5", mask, change), "stripped.h5")
    held = {one.b.name: agreement(one).masked_nonzero for one in found.weights() if one.mask}
    assert held == {KERNEL: 1, "model_weights/dense_1/dense_1/kernel:0": 0}


def test_a_transposed_square_kernel_is_named(both, tmp_path):
    one, other = layer("dense", 6, 6, seed=1), layer("dense", 6, 6, seed=1)
    other["dense"]["dense/kernel:0"] = other["dense"]["dense/kernel:0"].T.copy()
    found = both(saved(tmp_path, "a.h5", one), saved(tmp_path, "b.h5", other))
    assert found.wrong() == {"dense/dense/kernel:0": "its axes are the other way round"}


def test_a_transposed_kernel_of_other_sides_is_named(both, tmp_path):
    one, other = layer("dense", 6, 3, seed=1), layer("dense", 6, 3, seed=1)
    other["dense"]["dense/kernel:0"] = other["dense"]["dense/kernel:0"].T.copy()
    found = both(saved(tmp_path, "a.h5", one), saved(tmp_path, "b.h5", other))
    assert found.wrong() == {"dense/dense/kernel:0": "its axes are the other way round"}


def test_a_dropped_layer_is_left_over(both, tmp_path):
    layers = [layer(n, 4, 4, seed=i) for i, n in enumerate(["dense", "dense_1", "dense_2"])]
    a = saved(tmp_path, "a.h5", *layers)
    b = saved(tmp_path, "b.h5", layers[0], layers[2])
    found = both(a, b)
    assert found.wrong() == {}
    assert set(found.lonely("a")) == {"dense_1/dense_1/kernel:0", "dense_1/dense_1/bias:0"}
    assert found.lonely("b") == []


def test_a_mask_that_was_not_applied_before_explains_the_stripped_weight(both, tmp_path):
    kernel = "model_weights/prune_low_magnitude_dense/dense/kernel:0"

    def change(values):
        values[values == 0] = 7
        return values

    found = both(tampered(tmp_path, "pruned.h5", kernel, change), "stripped.h5")
    assert found.wrong() == {}
    assert [kind(one) for one in found.weights() if one.a.name == kernel] == ["masked"]


# --- any model -----------------------------------------------------------------------------------

shapes = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(shapes=shapes, data=st.data())
def test_any_layers_are_found_again_whatever_they_are_called(tmp_path_factory, shapes, data):
    folder = tmp_path_factory.mktemp("m")
    order = data.draw(st.permutations(range(len(shapes))))
    layers = [layer(f"l{at}x", *shape, seed=at) for at, shape in enumerate(shapes)]
    renamed = [layer(f"r{at}y", *shapes[at], seed=at) for at in order]
    a, b = saved(folder, "a.h5", *layers), saved(folder, "b.h5", *renamed)
    with ExitStack() as stack:
        found, back = Both(stack, a, b), Both(stack, b, a)
        assert found.wrong() == {}
        assert partners(found) == {f"l{at}x": f"r{at}y" for at in range(len(shapes))}
        assert partners(back) == {f"r{at}y": f"l{at}x" for at in range(len(shapes))}


def test_a_side_may_be_made_of_any_artifact(both):
    found = both("stripped.h5", "stripped.h5")
    empty = Side(dataclasses.replace(found.a.artifact, tensors=()), {})
    nothing = pair(found.a, empty)
    assert (nothing.pairs, len(nothing.only_a)) == ((), 4)


def _constants(*names):
    """A SavedModel's side: strings in functions, of which nothing reads the values."""
    tensors = tuple(
        Tensor(name, "string", (2,), 8, section=Section.GRAPH, storage="string_val")
        for name in names
    )
    artifact = Artifact("m", "saved-model", "SavedModel", (), tensors, {})
    verdict = Verdict(Role.CONSTANT, "made", "name", "made")
    return Side(artifact, dict.fromkeys(names, verdict))


def test_constants_of_functions_are_paired_whatever_number_tensorflow_gave_those():
    a = _constants("__inference__traced_save_276/Const", "cond_true_9/x", "cond_true_12/x")
    b = _constants("cond_true_88/x", "cond_true_90/x", "__inference__traced_save_831/Const")
    found = pair(a, b)
    assert [(one.a.name, one.b.name) for one in found.pairs] == [
        ("__inference__traced_save_276/Const", "__inference__traced_save_831/Const"),
        ("cond_true_9/x", "cond_true_88/x"),
        ("cond_true_12/x", "cond_true_90/x"),
    ]
    assert (found.only_a, found.only_b) == ((), ())
