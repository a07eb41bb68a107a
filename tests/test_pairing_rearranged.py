"""What was reordered, split or fused is named, and what only looks like it is not."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inspector.limits import Limits
from inspector.model import Artifact, Role, Tensor, Verdict
from inspector.pairing import Order, Part, Side, agreement, pair
from inspector.pairing.fingerprints import along, unordered
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import MemorySource

SMALL = Limits(slice_bytes=64)


def tensor(array, layer, variable):
    array = np.ascontiguousarray(array)
    source = MemorySource(array.tobytes(), "memory")
    payload = RawPayload(source, 0, array.size, array.dtype.name)
    name = f"{layer}/{variable}"
    return Tensor(
        name, array.dtype.name, array.shape, array.nbytes,
        layer=layer, variable=variable, payload=payload,
    )  # fmt: skip


def side(layers):
    """layers: name -> variable -> array."""
    tensors = [
        tensor(array, layer, variable)
        for layer, variables in layers.items()
        for variable, array in variables.items()
    ]
    verdicts = {one.name: Verdict(Role.WEIGHT, "", "", "") for one in tensors}
    return Side(Artifact("a", "keras-h5", "by hand", (), tuple(tensors), {}), verdicts)


def paired(a, b, limits=SMALL):
    return pair(side(a), side(b), limits)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def told(found):
    return {
        (one.a.name, one.b.name): (one.change.kind, one.change.words) if one.change else None
        for one in found.pairs
    }


# --- reordered -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "axis", "words"),
    [
        ((6, 8), 0, "its rows are in another order"),
        ((6, 8), 1, "its columns are in another order"),
        ((9,), 0, "its values are in another order"),
        ((3, 3, 5, 7), 3, "its slices along axis 3 are in another order"),
    ],
)
def test_an_axis_in_another_order_is_told_with_the_order(shape, axis, words):
    values = random(*shape)
    places = tuple(np.random.default_rng(1).permutation(shape[axis]).tolist())
    b = np.take(values, places, axis)
    (one,) = paired({"d": {"kernel": values}}, {"d": {"kernel": b}}).pairs
    assert (one.change.kind, one.change.words, one.change.expected) == ("reordered", words, False)
    assert one.change.order == Order(axis, places)
    held = agreement(one, SMALL)
    assert (held.same_values, held.agrees, held.why_not) == (True, False, words)


def test_from_the_other_side_it_is_reordered_too():
    values = random(6, 8)
    a, b = {"d": {"kernel": values}}, {"d": {"kernel": values[:, ::-1]}}
    for found in (paired(a, b), paired(b, a)):
        assert found.pairs[0].change.kind == "reordered"
        assert agreement(found.pairs[0], SMALL).same_values


@pytest.mark.parametrize(
    ("b", "kind"),
    [
        (random(6, 8)[:, [3, 1, 0, 2, 4, 7, 5, 6]], "reordered"),
        (random(6, 8).T, "transposed"),
        (random(6, 8)[::-1], "reordered"),
    ],
)
def test_whichever_comes_first_the_change_is_told_from_it_on(b, kind):
    sides = {"d": {"kernel": random(6, 8)}}, {"d": {"w": b}}
    for first, second in (sides, sides[::-1]):
        (one,) = paired(first, second).pairs
        assert (one.change.kind, one.change.backwards) == (kind, False)
        assert agreement(one, SMALL).same_values


@pytest.mark.parametrize(
    "b",
    [
        random(6, 8, seed=1),  # other values
        np.random.default_rng(2).permutation(random(6, 8).ravel()).reshape(6, 8),  # in no order
        random(6, 8) + np.float32(1),
    ],
)
def test_other_values_are_no_other_order(b):
    assert told(paired({"d": {"kernel": random(6, 8)}}, {"d": {"kernel": b}})) == {
        ("d/kernel", "d/kernel"): None
    }


def test_ones_and_zeros_in_any_order_are_no_order():
    a, b = np.array([0, 0, 1, 1, 0, 1], "f4"), np.array([1, 0, 0, 1, 1, 0], "f4")
    assert told(paired({"d": {"bias": a}}, {"d": {"bias": b}})) == {("d/bias", "d/bias"): None}


@settings(max_examples=60, deadline=None)
@given(arrays.array_shapes(max_dims=4, max_side=6), st.data())
def test_fingerprints_are_equal_where_slices_are(shape, data):
    """Slices of small integers, many of them equal: as many different ones as NumPy finds."""
    values = data.draw(arrays.arrays("i4", shape, elements=st.integers(0, 2)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    marks = along(tensor(values, "d", "k"), axis, SMALL)
    slices = [np.take(values, at, axis).tobytes() for at in range(shape[axis])]
    for at, mark in enumerate(marks):
        assert [other == mark for other in marks] == [slices[at] == one for one in slices]


@given(arrays.arrays("f4", arrays.array_shapes(max_dims=2, max_side=9)), st.randoms())
@settings(max_examples=40, deadline=None)
def test_the_fingerprint_of_all_values_is_that_of_any_order(values, chance):
    flat = values.ravel().tolist()
    chance.shuffle(flat)
    again = np.array(flat, "f4").reshape(values.shape)
    ours, theirs = (unordered(tensor(one, "d", "k"), SMALL) for one in (values, again))
    # NaN may lose its bits on the way through Python's floats.
    assert ours == theirs or np.isnan(values).any()


# --- split and fused -----------------------------------------------------------------------------

QKV = {"kernel": random(4, 12), "bias": random(12, seed=1)}


def thirds(variables, *names):
    kernel, bias = variables["kernel"], variables["bias"]
    size = bias.size // 3
    return {
        name: {
            "kernel": kernel[:, at * size : (at + 1) * size],
            "bias": bias[at * size : (at + 1) * size],
        }
        for at, name in enumerate(names)
    }


@pytest.mark.parametrize("names", [("query", "key", "value"), ("dense", "dense_1", "dense_2")])
def test_a_kernel_that_became_three_is_split(names):
    """Also where one of the three has its name, and would be its partner."""
    found = paired({"dense": QKV}, thirds(QKV, *names))
    assert (found.only_a, found.only_b) == ((), ())
    expected = {}
    for at, name in enumerate(names):
        ends = f"{4 * at} to {4 * at + 3} of 12"
        expected["dense/kernel", f"{name}/kernel"] = ("split", f"split: columns {ends}")
        expected["dense/bias", f"{name}/bias"] = ("split", f"split: values {ends}")
    assert told(found) == expected
    for one in found.pairs:
        held = agreement(one, SMALL)
        assert (held.same_values, held.agrees) == (True, False)


def test_three_kernels_that_became_one_are_fused():
    found = paired(thirds(QKV, "q", "k", "v"), {"dense": QKV})
    kinds = {(one.a.name, one.change.kind, one.change.part) for one in found.pairs}
    assert kinds == {
        (f"{name}/{variable}", "fused", Part(axis, 4 * at, 4 * at + 4))
        for at, name in enumerate("qkv")
        for variable, axis in (("kernel", 1), ("bias", 0))
    }
    assert all(agreement(one, SMALL).same_values for one in found.pairs)
    assert found.pairs[0].change.words == "fused: columns 0 to 3 of 12"


def test_split_from_one_side_is_fused_from_the_other():
    a, b = {"dense": QKV}, thirds(QKV, "q", "k", "v")
    forth, back = told(paired(a, b)), told(paired(b, a))
    assert {
        (other, one): (kind.replace("fused", "split"), words.replace("fused", "split"))
        for (one, other), (kind, words) in back.items()
    } == forth


def test_a_stack_that_became_single_matrices_is_split():
    stack = random(3, 4, 5)
    a = {"heads": {"kernel": stack}}
    b = {f"head_{at}": {"kernel": stack[at]} for at in range(3)}
    found = paired(a, b)
    assert [one.change.kind for one in found.pairs] == ["split"] * 3
    assert all(agreement(one, SMALL).same_values for one in found.pairs)


def test_zeros_are_parts_only_beside_what_was_told_by_its_values():
    zeros = {**QKV, "bias": np.zeros(12, "f4")}
    found = paired({"dense": zeros}, thirds(zeros, "q", "k", "v"))
    assert len(found.pairs) == 6
    alone = {"dense": {"bias": np.zeros(12, "f4")}}
    parts = {name: {"bias": np.zeros(4, "f4")} for name in "qkv"}
    assert paired(alone, parts).pairs == ()


def test_parts_that_are_not_all_of_it_are_no_split():
    some = thirds(QKV, "q", "k", "v")
    some["v"]["kernel"] = some["v"]["kernel"] + np.float32(1)
    kinds = {one.a.variable: one.change for one in paired({"dense": QKV}, some).pairs}
    assert "kernel" not in kinds


def test_a_layer_of_another_size_is_not_split():
    found = paired({"d": {"kernel": random(4, 12)}}, {"d": {"kernel": random(4, 4, seed=3)}})
    assert told(found) == {("d/kernel", "d/kernel"): None}


# --- bounds --------------------------------------------------------------------------------------


def filled(name, shape):
    count = int(np.prod(shape, dtype=object))
    payload = FilledPayload(count, 0.0, "float32")
    return Tensor(name, "float32", shape, 0, layer="d", variable="kernel", payload=payload)


def test_values_that_nobody_could_go_through_are_not_gone_through():
    sides = []
    for shape in ((1 << 20, 1 << 21), (1 << 21, 1 << 20)):
        made = side({})
        tensors = (filled("d/kernel", shape),)
        verdicts = {"d/kernel": Verdict(Role.WEIGHT, "", "", "")}
        sides.append(Side(dataclasses.replace(made.artifact, tensors=tensors), verdicts))
    (one,) = pair(*sides).pairs
    assert one.change is None


def test_what_is_larger_than_may_be_looked_through_is_not():
    values = random(6, 8)
    small = Limits(inflated_bytes=100)
    found = paired({"d": {"kernel": values}}, {"d": {"kernel": values[::-1]}}, small)
    assert found.pairs[0].change is None


@pytest.mark.parametrize(("fingerprints", "kinds"), [(12, {"reordered"}), (11, {None})])
def test_axes_of_more_slices_than_may_be_told_apart_are_not_looked_through(fingerprints, kinds):
    values = random(6, 40)  # six rows, of either: 12 numbers
    found = paired(
        {"d": {"kernel": values}},
        {"d": {"kernel": values[::-1]}},
        Limits(slice_bytes=64, fingerprints=fingerprints),
    )
    assert {one.change and one.change.kind for one in found.pairs} == kinds


@pytest.mark.parametrize(("fingerprints", "count"), [(18, 2), (17, 1)])
def test_orders_that_are_kept_count_as_what_is_told_apart(fingerprints, count):
    # The first order of 6 is kept, and leaves room for 12 numbers, or one too few.
    a = {name: {"kernel": random(6, 40, seed=seed)} for seed, name in enumerate("de")}
    b = {name: {"kernel": held["kernel"][::-1]} for name, held in a.items()}
    found = paired(a, b, Limits(slice_bytes=64, fingerprints=fingerprints))
    assert sum(one.change is not None for one in found.pairs) == count


@pytest.mark.parametrize(("fingerprints", "kinds"), [(6, {"split"}), (5, set())])
def test_parts_of_more_slices_than_may_be_told_apart_are_no_split(fingerprints, kinds):
    values = random(6, 40)
    parts = {"x": {"kernel": values[:2]}, "y": {"kernel": values[2:]}}
    found = paired(
        {"d": {"kernel": values}}, parts, Limits(slice_bytes=64, fingerprints=fingerprints)
    )
    assert {one.change.kind for one in found.pairs if one.change} == kinds
