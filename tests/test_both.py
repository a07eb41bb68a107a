"""Two artifacts examined together say what each of them says by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

import inspector
from inspector.both import Together, examine_both
from inspector.examine import Known, Silent, examine
from inspector.limits import DEFAULT, Limits
from inspector.pairing import Tolerance

SHAPE = (96, 160)
# Some slices are the same, and some are not: a slice has 1,000 of the 15,360 values.
SMALL = dataclasses.replace(DEFAULT, slice_bytes=4000)


def written(path: Path, *kernels: np.ndarray, chunks: bool = False) -> str:
    """A weights file with a layer a kernel."""
    target = str(path)
    with h5py.File(target, "w") as file:
        for at, kernel in enumerate(kernels):
            name = f"layers/dense_{at}/vars/0" if at else "layers/dense/vars/0"
            how = {"chunks": (16, 40), "compression": "gzip"} if chunks else {}
            file.create_dataset(name, data=kernel, **how)
    return target


def both(a: str, b: str, limits: Limits = DEFAULT) -> tuple[tuple[Known, Known], Together]:
    with inspector.open(a) as one, inspector.open(b) as other:
        *known, together = examine_both(
            one.artifact, other.artifact, limits, Silent(), tolerance=Tolerance()
        )
    return (known[0], known[1]), together


def alone(path: str) -> Known:
    with inspector.open(path) as opened:
        return examine(opened.artifact, True, DEFAULT, 1, Silent())


def kernel(seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=SHAPE).astype("f4")
    values[np.abs(values) < 0.5] = 0
    return values


def changed(values: np.ndarray) -> np.ndarray:
    """Another value, a zero, a NaN and a sign, far apart."""
    result = values.copy()
    result.reshape(-1)[[5, 7000, 15000]] = [9.5, 0.0, np.nan]
    result[40, 40] = -1.0 if values[40, 40] >= 0 else 1.0
    return result


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("limits", [DEFAULT, SMALL])
def test_measures_are_those_of_each_by_itself(tmp_path: Path, chunks: bool, limits: Limits) -> None:
    a = written(tmp_path / "a.weights.h5", kernel(), kernel(1))
    b = written(tmp_path / "b.weights.h5", kernel(), changed(kernel(1)), chunks=chunks)
    known, _ = both(a, b, limits)
    assert [one.measured for one in known] == [alone(a).measured, alone(b).measured]
    assert [one.problems for one in known] == [alone(a).problems, alone(b).problems]


@pytest.mark.parametrize("limits", [DEFAULT, SMALL])
def test_numbers_of_a_difference_are_those_of_numpy(tmp_path: Path, limits: Limits) -> None:
    x = kernel()
    y = x.copy()
    y.reshape(-1)[[5, 7000, 15000]] = [9.5, 0.25, -3.0]
    a, b = written(tmp_path / "a.weights.h5", x), written(tmp_path / "b.weights.h5", y)
    _, together = both(a, b, limits)
    (found,) = together.agreements.values()
    p, q = x.astype("f8").ravel(), y.astype("f8").ravel()
    assert found.differing == int((p != q).sum())
    assert found.largest == np.abs(p - q).max()
    assert found.where == np.unravel_index(np.abs(p - q).argmax(), SHAPE)
    assert found.mean == pytest.approx(np.abs(p - q).mean(), rel=1e-12)
    # Squares of what is the same on both sides are added up as float32, in rows of 1,024.
    assert found.relative_norm == pytest.approx(np.linalg.norm(p - q) / np.linalg.norm(p), rel=1e-6)
    assert found.cosine == pytest.approx(p @ q / np.linalg.norm(p) / np.linalg.norm(q), rel=1e-6)
    assert (found.zeros_a, found.zeros_b) == (int((p == 0).sum()), int((q == 0).sum()))
    assert found.zeros_lost == int(((p == 0) & (q != 0)).sum())
    assert found.sign_flips == int((p * q < 0).sum())


def test_same_bits_are_known_without_another_look(tmp_path: Path) -> None:
    a = written(tmp_path / "a.weights.h5", kernel(), kernel(1))
    b = written(tmp_path / "b.weights.h5", kernel(), changed(kernel(1)))
    _, together = both(a, b)
    assert [one.a.variable for one in together.alike] == ["kernel"]
    assert len(together.agreements) == 2


def test_reordered_rows_are_found_where_values_were_read_together(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
    a = written(tmp_path / "a.weights.h5", values)
    b = written(tmp_path / "b.weights.h5", values[::-1])
    _, together = both(a, b)
    assert together.pairing is not None
    (one,) = together.pairing.pairs
    assert one.change is not None
    assert one.change.kind == "reordered"
    assert one.change.order is not None
    assert one.change.order.places == tuple(reversed(range(SHAPE[0])))
    assert not together.agreements


def test_a_side_that_cannot_be_read_leaves_the_other_measured(tmp_path: Path) -> None:
    a = written(tmp_path / "a.weights.h5", kernel(), chunks=True)
    b = written(tmp_path / "b.weights.h5", kernel(), chunks=True)
    with h5py.File(b) as file:
        where = file["layers/dense/vars/0"].id.get_chunk_info(3)
    with open(b, "r+b") as raw:
        raw.seek(where.byte_offset)
        raw.write(b"\xff" * where.size)
    for paths, at in (((a, b), 1), ((b, a), 0)):
        known, together = both(*paths)
        assert not known[at].measured
        assert [problem.code for problem in known[at].problems] == ["unreadable-values"]
        assert known[1 - at].measured == alone(a).measured
        assert not together.agreements
