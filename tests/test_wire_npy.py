import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import (
    Corrupt,
    InspectorError,
    LimitExceeded,
    Truncated,
    UnknownFormat,
    Unsupported,
)
from inspector.storage import MemorySource
from inspector.wire.npy import item_size, read_header


def saved(array, version=None):
    target = io.BytesIO()
    np.lib.format.write_array(target, array, version=version)
    return target.getvalue()


def header_of(data, offset=0):
    return read_header(MemorySource(data, "a.npy"), offset)


def with_header(text, version=1):
    raw = text.encode()
    width = "<H" if version == 1 else "<I"
    return b"\x93NUMPY" + bytes((version, 0)) + struct.pack(width, len(raw)) + raw


ARRAYS = [
    np.arange(6, dtype="<f4").reshape(2, 3),
    np.arange(6, dtype=">f8"),
    np.array(7, dtype="<i8"),
    np.zeros((0, 4), dtype="float16"),
    np.asfortranarray(np.arange(12, dtype="int8").reshape(3, 4)),
    np.array([True, False]),
    np.array([1 + 2j]),
    np.array(["ab", "größer"]),
    np.array([b"abc"]),
    np.array(["2020-01-01"], dtype="M8[D]"),
    np.zeros(3, dtype="V2"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_agrees_with_what_numpy_wrote(array, version):
    data = b"front" + saved(array, version)
    header = header_of(data, 5)
    assert header.dtype == array.dtype.str
    assert header.shape == array.shape
    assert header.nbytes == array.nbytes
    assert header.data_offset + header.nbytes == len(data)
    values = np.frombuffer(data, array.dtype, array.size, header.data_offset)
    order = "F" if header.fortran_order else "C"
    assert np.array_equal(values.reshape(header.shape, order=order), array)


def test_object_arrays_are_named_and_take_what_is_left():
    data = saved(np.array({"a": 1}, dtype=object))
    header = header_of(data)
    assert (header.dtype, header.shape) == ("object", ())
    assert header.data_offset + header.nbytes == len(data)


def test_structured_dtypes_are_unsupported():
    with pytest.raises(Unsupported, match="structured"):
        header_of(saved(np.zeros(2, dtype=[("a", "<f4")])))


def test_other_bytes_are_no_npy():
    for data in (b"", b"\x93NUM", b"PK\x03\x04 and more"):
        with pytest.raises(UnknownFormat):
            header_of(data)


@pytest.mark.parametrize("cut", [6, 7, 9, 40, 127])
def test_a_cut_off_header_is_truncated(cut):
    with pytest.raises(Truncated):
        header_of(saved(ARRAYS[0])[:cut])


def test_missing_values_are_counted():
    with pytest.raises(Truncated, match="24 bytes of values, 5 of them are missing"):
        header_of(saved(ARRAYS[0])[:-5])


def test_a_declared_tebibyte_costs_nothing():
    with pytest.raises(Truncated, match="1,099,511,627,776 bytes"):
        header_of(
            with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,)}")
        )


def test_a_later_version_is_unsupported():
    with pytest.raises(Unsupported, match="version 9"):
        header_of(b"\x93NUMPY\x09\x00")


def test_a_huge_header_exceeds_the_limit():
    with pytest.raises(LimitExceeded, match="npy_header_bytes"):
        header_of(with_header(" " * 10_001, version=2))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "__import__('os').system('x')",
        "(" * 9000,
        "-" * 9000 + "1",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f3', 'fortran_order': False, 'shape': ()}",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (9999999999,)}",
        "{'descr': 5, 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1.0,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 65 + ")}",
        "{[]: 1}",
        "\0",
    ],
    ids=lambda text: text[:60],
)
def test_a_header_that_is_no_header_is_corrupt(text):
    with pytest.raises(Corrupt):
        header_of(with_header(text))


@pytest.mark.parametrize("dtype", ["<f4", ">i8", "|b1", "<c16", "<U3", "|S7", "<M8[ns]", "|V2"])
def test_item_sizes_are_numpys(dtype):
    assert item_size(dtype) == np.dtype(dtype).itemsize


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([saved(array) for array in ARRAYS]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.integers(0, 200),
)
def test_mutated_headers_end_in_a_result_or_a_typed_error(data, flips, keep):
    mutated = bytearray(data)
    for place, value in flips:
        mutated[place % len(mutated)] = value
    try:
        header = header_of(bytes(mutated[: keep if keep > 100 else None]))
    except InspectorError:
        return
    assert header.data_offset + header.nbytes <= len(mutated)
