"""Pairs of small tensors held against each other: what `agreement` says of each by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from inspector.limits import DEFAULT
from inspector.measure import measure
from inspector.model import Tensor
from inspector.pairing import Pair, Tolerance, agreement
from inspector.pairing.small import compare_small
from inspector.payloads import RawPayload
from inspector.storage import LocalFile

SHAPES = [(1,), (7,), (4, 4), (8, 16), (500,)]


def pairs_of(folder: Path, arrays: list[tuple[np.ndarray, np.ndarray]]) -> list[Pair]:
    """Pairs whose values lie one behind the other in two files."""
    sides: list[list[Tensor]] = []
    for side in (0, 1):
        path = folder / "ab"[side]
        path.write_bytes(b"".join(both[side].tobytes() for both in arrays))
        source, at, tensors = LocalFile(str(path)), 0, []
        for number, both in enumerate(arrays):
            one = both[side]
            payload = RawPayload(source, at, one.size, one.dtype.str)
            tensors.append(
                Tensor(
                    name=f"{'ab'[side]}{number}",
                    dtype=one.dtype.name,
                    shape=one.shape,
                    nbytes=one.nbytes,
                    extents=(),
                    payload=payload,
                )
            )
            at += one.nbytes
        sides.append(tensors)
    return [Pair(a, b, "same name", "name") for a, b in zip(*sides, strict=True)]


def some(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same bits, zeros of another sign, few values changed, all of them, tiny and huge ones."""
    random = np.random.default_rng(seed)
    made = []
    for shape in SHAPES:
        for dtype in ("f4", "f8", "i4", "u2"):
            for kind in range(6):
                one = (random.random(shape) * 50).astype(dtype)
                one.reshape(-1)[random.random(one.size) < 0.3] = 0
                if kind == 5 and dtype[0] == "f":
                    one *= np.asarray(random.choice([1e-30, 1e30]), dtype)
                other = one.copy()
                if kind == 1 and dtype[0] == "f":
                    other[other == 0] = -0.0
                elif kind == 2:
                    other.reshape(-1)[-1] += 1
                elif kind in (3, 5):
                    other = (other * 3 + 1).astype(dtype)
                elif kind == 4:
                    one[:] = other[:] = 0
                made.append((one, other))
    return made


@pytest.mark.parametrize("tolerance", [Tolerance(), Tolerance(absolute=2.0)])
def test_they_agree_as_each_pair_by_itself_does(tmp_path: Path, tolerance: Tolerance) -> None:
    pairs = pairs_of(tmp_path, some(1))
    found = compare_small(pairs, tolerance, DEFAULT)
    assert len(found.agreements) == len(pairs)
    for pair in pairs:
        names = pair.a.name, pair.b.name
        assert found.agreements[names] == agreement(pair, DEFAULT, tolerance)
        assert found.a[names[0]] == measure(pair.a)
        assert found.b[names[1]] == measure(pair.b)
        assert (names in found.alike) == found.agreements[names].same_bits


def test_what_is_not_finite_masked_or_cut_off_is_left_out(tmp_path: Path) -> None:
    plain, nan = np.ones(3, "f4"), np.array([1, np.nan, 2], "f4")
    pairs = pairs_of(tmp_path, [(plain, plain), (nan, nan), (plain, nan), (plain, plain)])
    pairs[3] = dataclasses.replace(pairs[3], mask=pairs[0].a)
    assert list(compare_small(pairs, Tolerance(), DEFAULT).a) == ["a0"]
    (tmp_path / "b").write_bytes(plain.tobytes() + nan.tobytes()[:8])
    source = LocalFile(str(tmp_path / "b"))
    for at in (0, 1):
        payload = RawPayload(source, 12 * at, 3, "<f4")
        other = dataclasses.replace(pairs[at].b, payload=payload)
        pairs[at] = dataclasses.replace(pairs[at], b=other)
    assert not compare_small(pairs[:2], Tolerance(), DEFAULT).agreements
