"""Small tensors measured by the many: the same answers as for each alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from inspector.limits import DEFAULT
from inspector.look import Look
from inspector.measure import measure_all
from inspector.model import Tensor
from inspector.payloads import RawPayload
from inspector.small import is_small, measure_small
from inspector.storage import LocalFile

SHAPES = [(), (1,), (7,), (300,), (4, 4), (8, 16), (3, 3, 2, 8), (1, 1200)]
DTYPES = ["float32", "float64", "int16", "int32", "int64", "uint64"]


def in_a_file(path: Path, arrays: list[np.ndarray]) -> list[Tensor]:
    """Tensors whose values lie one behind the other."""
    path.write_bytes(b"".join(one.tobytes() for one in arrays))
    source, at, tensors = LocalFile(str(path)), 0, []
    for number, one in enumerate(arrays):
        dtype = one.dtype.newbyteorder("=").name
        payload = RawPayload(source, at, one.size, one.dtype.str)
        tensors.append(
            Tensor(
                name=str(number),
                dtype=dtype,
                shape=one.shape,
                extents=(),
                nbytes=one.nbytes,
                payload=payload,
            )
        )
        at += one.nbytes
    return tensors


def strewn(seed: int) -> list[np.ndarray]:
    """Values of all kinds: none zero, some, all, in a 2:4 pattern, equal, negative zeros."""
    random = np.random.default_rng(seed)
    made = []
    for shape in SHAPES:
        for dtype in DTYPES:
            values = random.standard_normal(shape) * 100
            flat = values.reshape(-1)
            kind = random.integers(0, 6)
            if kind == 1:
                flat[random.random(flat.size) < 0.5] = -0.0
            elif kind == 2:
                flat[::2] = 0
            elif kind == 3:
                flat[:] = flat[0]
            elif kind == 4:
                flat[:] = 0
            unsigned = dtype.startswith("u")
            made.append((np.abs(values) if unsigned else values).astype(dtype))
    return made


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("slice_bytes", [DEFAULT.slice_bytes, 4096, 512])
def test_what_is_said_of_many_is_what_a_look_at_each_says(
    tmp_path: Path, slice_bytes: int, thorough: bool
) -> None:
    limits = dataclasses.replace(DEFAULT, slice_bytes=slice_bytes)
    for seed in range(4):
        tensors = in_a_file(tmp_path / f"values{seed}", strewn(seed))
        found = measure_small(tensors, limits, thorough=thorough)
        assert len(found) > len(tensors) // 2
        for tensor in tensors:
            if tensor.name in found:
                look = Look(tensor, limits, None, thorough=thorough)
                look.take(look.whole)
                assert found[tensor.name] == look.result()


def test_what_is_not_finite_in_another_order_or_cut_off_is_left_to_a_look(tmp_path: Path) -> None:
    plain = np.arange(4, dtype="f4")
    nan, infinite = plain.copy(), plain.copy()
    nan[1], infinite[2] = np.nan, -np.inf
    tensors = in_a_file(tmp_path / "values", [plain, nan, infinite, plain.astype(">f4"), plain])
    missing = dataclasses.replace(
        tensors[4], payload=RawPayload(LocalFile(str(tmp_path / "values")), 72, 4, "f4")
    )
    assert list(measure_small([*tensors[:4], missing], DEFAULT)) == ["0"]
    found, failed = measure_all([*tensors[:4], missing])
    assert list(found) == ["0", "1", "2", "3"]
    assert [found[name].nan + found[name].inf for name in found] == [0, 1, 1, 0]
    assert found["0"] == found["3"]
    assert list(failed) == ["4"]


def test_small_is_a_few_thousand_bytes_and_no_more_than_a_slice(tmp_path: Path) -> None:
    few, many = in_a_file(tmp_path / "values", [np.ones(1024, "f4"), np.ones(1025, "f4")])
    assert is_small(few, DEFAULT)
    assert not is_small(many, DEFAULT)
    assert not is_small(few, dataclasses.replace(DEFAULT, slice_bytes=2048))


def test_tensors_come_back_in_their_order_whatever_their_size(tmp_path: Path) -> None:
    arrays = [np.ones(size, "f4") for size in (3, 5000, 2, 3, 5000)]
    found, _ = measure_all(in_a_file(tmp_path / "values", arrays))
    assert list(found) == ["0", "1", "2", "3", "4"]
