"""4-bit values: unpacking and zero points, against values packed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from inspector.payloads import RawPayload
from inspector.storage import MemorySource
from inspector.wire.int4 import CentredPayload, Int4Payload


def _raw(values):
    array = np.ascontiguousarray(values)
    return RawPayload(MemorySource(array.tobytes(), "m"), 0, array.size, array.dtype.name)


def _read(payload, max_bytes=1 << 20):
    return np.concatenate([*payload.blocks(max_bytes)])


def test_the_low_nibble_comes_first_along_the_last_axis():
    # 0x21 holds 1 then 2; 0xF8 holds -8 then -1; the sixth nibble of a row of five is padding.
    packed = np.array([[0x21, 0xF8 - 256, 0x07]], "i1")
    payload = Int4Payload(_raw(packed), (1, 3), (1, 5), 1)
    assert _read(payload).tolist() == [1, 2, -8, -1, 7]


def test_along_the_first_axis_a_byte_holds_two_rows():
    packed = np.array([[0x21, 0x43], [0x05, 0x06]], "i1")
    payload = Int4Payload(_raw(packed), (2, 2), (3, 2), 0)
    assert _read(payload).tolist() == [1, 3, 2, 4, 5, 6]


def test_unsigned_bytes_hold_0_to_15():
    packed = np.array([[0xF0]], "u1")
    assert _read(Int4Payload(_raw(packed), (1, 1), (1, 2), 1)).tolist() == [0, 15]


@pytest.mark.parametrize("max_bytes", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("axis", [0, 1])
def test_any_block_size_gives_the_same_values(axis, max_bytes):
    rng = np.random.default_rng(1)
    packed = rng.integers(-128, 128, (9, 11)).astype("i1")
    shape = (17, 11) if axis == 0 else (9, 21)
    payload = Int4Payload(_raw(packed), (9, 11), shape, axis)
    expected = np.zeros((18, 11) if axis == 0 else (9, 22), "i1")
    for row in range(9):
        for column in range(11):
            byte = int(packed[row, column]) & 0xFF
            for half, nibble in enumerate((byte & 0xF, byte >> 4)):
                value = nibble - 16 if nibble > 7 else nibble
                at = (2 * row + half, column) if axis == 0 else (row, 2 * column + half)
                expected[at] = value
    expected = expected[: shape[0], : shape[1]]
    assert _read(payload, max_bytes).tolist() == expected.reshape(-1).tolist()


def test_a_value_is_zero_where_it_equals_its_groups_zero_point():
    # Rows 0 and 1 are group 0 (zero points 1 and 2), row 2 is group 1 (3 and 4).
    packed = np.array([[0x21], [0x22], [0x43]], "i1")
    values = Int4Payload(_raw(packed), (3, 1), (3, 2), 1)
    zero = np.array([[1, 2], [3, 4]], "i1")
    group = np.array([0, 0, 1], "f4")
    centred = CentredPayload(values, _raw(zero), (2, 2), _raw(group), 0)
    assert centred.is_sound()
    assert _read(centred).tolist() == [0, 0, 1, 0, 0, 0]


def test_groups_may_run_along_the_columns():
    packed = np.array([[0x21, 0x03]], "i1")
    values = Int4Payload(_raw(packed), (1, 2), (1, 3), 1)
    centred = CentredPayload(
        values, _raw(np.array([[1, 3]], "i1")), (1, 2), _raw(np.array([0, 0, 1], "f4")), 1
    )
    assert _read(centred).tolist() == [0, 1, 0]


@pytest.mark.parametrize("group", [[0, 0, 2], [-1, 0, 1], [0.5, 0, 1], [0, 1]])
def test_group_numbers_that_point_nowhere_are_not_sound(group):
    values = Int4Payload(_raw(np.zeros((3, 1), "i1")), (3, 1), (3, 2), 1)
    zero = _raw(np.zeros((2, 2), "i1"))
    assert not CentredPayload(values, zero, (2, 2), _raw(np.array(group, "f4")), 0).is_sound()
