"""Masks held against their weights while both are measured: as `mask_against_weight` does it."""

import dataclasses

import ml_dtypes
import numpy as np
import pytest

from inspector.errors import ArtifactError
from inspector.limits import DEFAULT
from inspector.masked import KEPT_BYTES, Kept, masks_of
from inspector.measure import mask_against_weight, measure_all
from inspector.model import Role, Tensor, Verdict
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import MemorySource


def tensor(values, name, **more):
    kind = values.dtype.name
    payload = RawPayload(MemorySource(values.tobytes(), "m"), 0, values.size, kind)
    held = Tensor(name, kind, values.shape, values.nbytes, payload=payload)
    return dataclasses.replace(held, **more)


def pairs(shape, kinds, seed=0):
    """Weights and masks that do not always agree; a bias between them."""
    random = np.random.default_rng(seed)
    for at, (weight_kind, mask_kind) in enumerate(kinds):
        mask = random.random(shape) < 0.6
        kept = mask | (random.random(shape) < 0.1 * at)
        weight = (random.standard_normal(shape) * 4).astype(
            getattr(ml_dtypes, weight_kind, weight_kind)
        )
        weight = weight * kept.astype(weight.dtype)
        both = [
            tensor(weight, f"w{at}"),
            tensor(random.standard_normal(3).astype("f4"), f"b{at}"),
            tensor(mask.astype(getattr(ml_dtypes, mask_kind, mask_kind)), f"m{at}"),
        ]
        yield from reversed(both) if at % 2 else both


KINDS = [
    ("float32", "float32"), ("float16", "bool"), ("bfloat16", "int8"), ("float64", "float32"),
    ("int8", "uint8"),
]  # fmt: skip


@pytest.mark.parametrize("slice_bytes", [DEFAULT.slice_bytes, 1000])
@pytest.mark.parametrize("shape", [(67, 89), (1, 4801), (5, 7, 11, 13)])
def test_what_a_mask_should_have_removed_is_counted_in_passing(shape, slice_bytes):
    limits = dataclasses.replace(DEFAULT, slice_bytes=slice_bytes)
    tensors = list(pairs(shape, KINDS))
    by_name = {one.name: one for one in tensors}
    masks = {f"w{at}": f"m{at}" for at in range(len(KINDS))}
    plain, _ = measure_all(tensors, limits, thorough=True)
    for threads in (1, 2):
        found, failed = measure_all(tensors, limits, threads, thorough=True, masks=masks)
        assert (list(found), failed) == (list(plain), {})
        for at, (weight, mask) in enumerate(masks.items()):
            held = mask_against_weight(by_name[mask], by_name[weight], limits)
            leaked = [found[name].detail.leaked for name in (weight, mask)]
            assert leaked == [held.leaked, None] if at % 2 else [None, held.leaked]
            assert held.leaked > 0 or weight == "w0"
            # The one that lies behind the other tells, and nothing else of either changes.
            for name in (weight, mask):
                detail = dataclasses.replace(found[name].detail, leaked=None)
                assert dataclasses.replace(found[name], detail=detail) == plain[name]
    assert all(one.detail.leaked is None for one in plain.values())


class Broken:
    def __init__(self, values, good):
        self.values, self.good = values, good

    def blocks(self, max_bytes):
        yield self.values[: self.good]
        raise ArtifactError("is broken", "m")


@pytest.mark.parametrize("broken", ["w0", "m0"])
def test_nothing_is_said_where_one_of_both_cannot_be_read(broken):
    tensors = [
        dataclasses.replace(one, payload=Broken(np.ones(5000, "f4"), 4000))
        if one.name == broken
        else one
        for one in pairs((50, 100), KINDS[:1])
    ]
    found, failed = measure_all(tensors, thorough=True, masks={"w0": "m0"})
    assert list(failed) == [broken]
    assert all(one.detail.leaked is None for one in found.values())


def test_bits_are_kept_however_the_slices_are_cut():
    flags = np.random.default_rng(3).random(1003) < 0.5
    kept = Kept(flags.size)
    for part in np.split(flags, [1, 3, 20, 29, 500, 997]):
        kept.add(part)
    kept.end()
    assert kept.is_whole
    for start, count in ((0, 1003), (5, 7), (8, 8), (501, 502), (1002, 1), (10, 0)):
        assert (kept.window(start, count) == flags[start : start + count]).all()


def test_only_a_weight_with_one_mask_of_its_shape_is_held_against_it():
    ones = np.ones((4, 4), "f4")
    large = 8 * KEPT_BYTES + 1
    filled = {"payload": FilledPayload(16, 1.0, "float32")}
    each = {
        "good": (tensor(ones, "good"), [tensor(ones, "m1")]),
        "two": (tensor(ones, "two"), [tensor(ones, "m2"), tensor(ones, "m3")]),
        "other": (tensor(ones, "other"), [tensor(np.ones((2, 8), "f4"), "m4")]),
        "filled": (tensor(ones, "filled", **filled), [tensor(ones, "m5")]),
        "nothing": (tensor(ones, "nothing", payload=None), [tensor(ones, "m6")]),
        "zeroed": (tensor(ones, "zeroed", centred=filled["payload"]), [tensor(ones, "m7")]),
        "large": (tensor(ones, "large", shape=(large,)), [tensor(ones, "m8", shape=(large,))]),
        "none": (tensor(ones, "none"), []),
    }
    tensors = [one for weight, masks in each.values() for one in (weight, *masks)]
    verdicts = {
        one.name: Verdict(role, "", "", "", about=about)
        for weight, masks in each.values()
        for one, role, about in (
            (weight, Role.WEIGHT, None), *((mask, Role.MASK, weight.name) for mask in masks)
        )
    }  # fmt: skip
    assert masks_of(tensors, verdicts) == {"good": "m1"}
