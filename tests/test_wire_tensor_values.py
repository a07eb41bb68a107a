import struct
import time
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import Corrupt, InspectorError, Truncated
from inspector.limits import Limits
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import MemorySource
from inspector.wire.protobuf import message
from inspector.wire.tensor_values import read_tensor, strings
from inspector.wire.typed_values import VALUE_FIELDS, PaddedPayload, TypedPayload
from tests.builders.bundles import chunk, number, shape, tag, varint
from tests.builders.official import official

# Numbers of dtypes and of fields: tensorflow/core/framework/types.proto and tensor.proto.
DT_FLOAT, DT_DOUBLE, DT_INT32, DT_INT8, DT_STRING, DT_COMPLEX64, DT_BOOL = 1, 2, 3, 6, 7, 8, 10
DT_QINT8, DT_BFLOAT16, DT_COMPLEX128, DT_HALF, DT_RESOURCE, DT_VARIANT = 11, 14, 18, 19, 20, 21
CONTENT, FLOAT, INT, STRING, COMPLEX, HALF, RESOURCE, VARIANT, FLOAT8 = (
    4,
    5,
    7,
    8,
    9,
    13,
    14,
    15,
    18,
)


def proto(dtype, sides, *fields):
    return number(1, dtype) + chunk(2, shape(*sides)) + b"".join(fields)


def read(data, **limits):
    return read_tensor(message(MemorySource(data, "graph.pb"), Limits(**limits)))


def values(value, max_bytes=1 << 20):
    blocks = [block.copy() for block in value.payload.blocks(max_bytes)]
    assert all(block.nbytes <= max(max_bytes, block.itemsize) for block in blocks)
    return np.concatenate(blocks) if blocks else np.empty(0)


def packed(number, form, *numbers):
    return chunk(number, struct.pack(f"<{len(numbers)}{form}", *numbers))


# --- against NumPy: every dtype, every way to write it ---

# dtype: number, NumPy's dtype, field, how its numbers are written.
FORMS = {
    "float32": (1, np.float32, 5, "f"),
    "float64": (2, np.float64, 6, "d"),
    "int32": (3, np.int32, 7, "varint"),
    "uint8": (4, np.uint8, 7, "varint"),
    "int16": (5, np.int16, 7, "varint"),
    "int8": (6, np.int8, 7, "varint"),
    "complex64": (8, np.complex64, 9, "f"),
    "int64": (9, np.int64, 10, "varint"),
    "bool": (10, np.bool_, 11, "varint"),
    "qint8": (11, np.int8, 7, "varint"),
    "quint8": (12, np.uint8, 7, "varint"),
    "qint32": (13, np.int32, 7, "varint"),
    "bfloat16": (14, ml_dtypes.bfloat16, 13, "bits"),
    "qint16": (15, np.int16, 7, "varint"),
    "quint16": (16, np.uint16, 7, "varint"),
    "uint16": (17, np.uint16, 7, "varint"),
    "complex128": (18, np.complex128, 12, "d"),
    "float16": (19, np.float16, 13, "bits"),
    "uint32": (22, np.uint32, 16, "varint"),
    "uint64": (23, np.uint64, 17, "varint"),
    "float8_e5m2": (24, ml_dtypes.float8_e5m2, 18, "bytes"),
    "float8_e4m3fn": (25, ml_dtypes.float8_e4m3fn, 18, "bytes"),
    "float8_e4m3fnuz": (26, ml_dtypes.float8_e4m3fnuz, 18, "bytes"),
    "float8_e4m3b11fnuz": (27, ml_dtypes.float8_e4m3b11fnuz, 18, "bytes"),
    "float8_e5m2fnuz": (28, ml_dtypes.float8_e5m2fnuz, 18, "bytes"),
    "int4": (29, ml_dtypes.int4, 7, "varint"),
    "uint4": (30, ml_dtypes.uint4, 7, "varint"),
    "int2": (31, ml_dtypes.int2, 7, "varint"),
    "uint2": (32, ml_dtypes.uint2, 7, "varint"),
    "float4_e2m1fn": (33, ml_dtypes.float4_e2m1fn, 18, "bytes"),
}
BITS = {"int4": 4, "uint4": 4, "int2": 2, "uint2": 2, "float4_e2m1fn": 4}


def as_numbers(array, how):
    """What a writer puts in the typed field: each number as its bytes alone, and its wire type."""
    if how in ("f", "d"):
        flat = array.view(np.float32 if how == "f" else np.float64)
        return [struct.pack("<" + how, one) for one in flat.tolist()], 5 if how == "f" else 1
    plain = array.view(np.uint16) if how == "bits" else array
    return [varint(int(one) & (1 << 64) - 1) for one in plain.tolist()], 0


@st.composite
def tensors(draw):
    """(name of a dtype, values stored, elements, whether as content, cut into which chunks)."""
    name = draw(st.sampled_from(sorted(FORMS)))
    dtype = np.dtype(FORMS[name][1])
    stored = draw(st.integers(0, 9) | st.integers(30, 40))
    bits = BITS.get(name, 8)
    if name == "bool":
        data = bytes(draw(st.lists(st.integers(0, 1), min_size=stored, max_size=stored)))
    else:
        size = stored * dtype.itemsize
        data = bytes(one & (1 << bits) - 1 for one in draw(st.binary(min_size=size, max_size=size)))
    array = np.frombuffer(data, dtype)
    if dtype.kind in "fc":  # a NaN's own bits may get lost on the way through a Python float
        array = np.where(np.isnan(array), array.dtype.type(1), array)
    return (
        name,
        array,
        draw(st.integers(0, 14) | st.integers(25, 50)),
        draw(st.booleans()),
        draw(st.randoms()),
    )


@settings(max_examples=400, deadline=None)
@given(tensors(), st.integers(1, 40))
def test_every_dtype_reads_as_numpy_has_it_however_it_is_written(drawn, max_bytes):
    name, array, elements, as_content, random = drawn
    code, dtype, field, how = FORMS[name]
    expected = array
    if as_content:
        elements = array.size
        written = [chunk(CONTENT, array.tobytes())]
    elif how == "bytes":
        written = [chunk(field, array.tobytes())] if array.size else []
    else:
        numbers, wire = as_numbers(array, how)
        written = []
        while numbers:
            count = random.randint(1, len(numbers))
            part, numbers = numbers[:count], numbers[count:]
            loose = b"".join(tag(field, wire) + one for one in part)
            written.append(loose if random.random() < 0.5 else chunk(field, b"".join(part)))
    if not as_content:
        tail = array[-1:] if array.size else np.zeros(1, dtype)
        expected = np.concatenate((array, np.repeat(tail, elements)))[:elements]
    value = read(proto(code, (elements,), *written))
    assert (value.dtype, value.values) == (name, np.dtype(dtype).name)
    assert (value.shape, value.elements, value.fault) == ((elements,), elements, None)
    assert value.stored == (array.size if elements or not as_content else 0)
    found = values(value, max_bytes)
    assert found.tobytes() == expected.tobytes()
    if elements:
        assert found.dtype == np.dtype(dtype)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(sorted(FORMS)), st.integers(0, 20))
def test_any_bytes_end_in_values_or_in_a_typed_error(data, name, elements):
    for tail in (data, chunk(FORMS[name][2], data), chunk(CONTENT, data)):
        whole = MemorySource(proto(FORMS[name][0], (elements,), tail), "graph.pb")
        try:
            value = read_tensor(message(whole))
            if value.payload is not None:
                assert values(value, 64).size == value.elements
            list(strings(message(whole)))
        except InspectorError:
            continue


def test_the_fields_are_those_of_the_official_message():
    descriptor = official("TensorProto")["TensorProto"].DESCRIPTOR
    fields = {one.name: one.number for one in descriptor.fields}
    others = {"dtype", "tensor_shape", "version_number"}
    assert {fields[name] for name in fields.keys() - others} == VALUE_FIELDS


# --- where values are, and what is read as what ---


def test_raw_bytes_are_a_view_of_the_source():
    data = proto(DT_FLOAT, (2,), chunk(CONTENT, struct.pack("<2f", 1.5, -2.0)))
    value = read(data)
    # dtype takes 2 bytes, the shape 2 + 4, tag and length of the content 2 more.
    assert value.payload == RawPayload(value.payload.source, 10, 2, "float32")
    assert (value.spans, value.nbytes, value.storage) == (((10, 8),), 8, "tensor_content")
    assert values(value).tolist() == [1.5, -2.0]


def test_packed_floats_are_a_view_and_so_are_complex_ones():
    value = read(proto(DT_FLOAT, (2,), packed(FLOAT, "f", 1, 2)))
    assert isinstance(value.payload, RawPayload)
    value = read(proto(DT_COMPLEX64, (2,), packed(COMPLEX, "f", 1, 2, 3, 4)))
    assert isinstance(value.payload, RawPayload)
    assert values(value).tolist() == [1 + 2j, 3 + 4j]


def test_raw_bytes_win_over_typed_values_and_both_are_accounted_for():
    data = proto(
        DT_FLOAT, (1,), packed(FLOAT, "f", 7), chunk(CONTENT, struct.pack("<f", 9)), number(3, 1)
    )
    value = read(data)
    assert values(value).tolist() == [9.0]
    assert (value.nbytes, len(value.spans)) == (8, 2)


def test_empty_raw_bytes_leave_the_typed_values():
    value = read(proto(DT_FLOAT, (1,), chunk(CONTENT, b""), packed(FLOAT, "f", 7)))
    assert values(value).tolist() == [7.0]


def test_one_value_stands_for_all_without_being_expanded():
    value = read(proto(DT_FLOAT, (1 << 20, 1 << 30), packed(FLOAT, "f", 0.5)))
    assert (value.elements, value.stored, value.nbytes) == (1 << 50, 1, 4)
    assert isinstance(value.payload, FilledPayload)
    assert value.payload.window(0, 3).tolist() == [0.5] * 3
    assert value.storage == "float_val, one value repeated"


def test_no_value_at_all_is_zeros():
    value = read(proto(DT_BFLOAT16, (1 << 40,)))
    assert (value.stored, value.spans, value.storage) == (0, (), "no values")
    assert value.payload == FilledPayload(1 << 40, 0, "bfloat16")


def test_a_message_of_nothing_but_a_dtype_is_a_scalar_zero():
    value = read(number(1, DT_INT32))
    assert (value.shape, values(value).tolist()) == ((), [0])


def test_the_last_of_several_values_is_repeated_in_bounded_memory():
    value = read(proto(DT_DOUBLE, (100_000,), packed(6, "d", 1, 2, 3)))
    assert isinstance(value.payload, PaddedPayload)
    found = values(value, 800)
    assert found[:4].tolist() == [1, 2, 3, 3]
    assert (found[3:] == 3).all()
    assert value.storage == "double_val, the last value repeated"


def test_a_few_values_that_stand_for_too_many_are_a_fault():
    value = read(proto(DT_FLOAT, (1 << 40,), packed(FLOAT, "f", 1, 2)))
    assert (value.payload, value.elements) == (None, 1 << 40)
    assert value.fault == "2 values stand for 1,099,511,627,776: not read"


def test_values_past_the_shape_are_left_out_but_accounted_for():
    value = read(proto(DT_INT32, (2,), chunk(INT, varint(1) + varint(300) + varint(3))))
    assert (value.stored, value.nbytes) == (3, 4)
    assert values(value).tolist() == [1, 300]


def test_numbers_are_cut_to_the_low_bits_of_their_dtype():
    # 300 = 1 * 256 + 44: what TensorFlow makes of it in an int8.
    value = read(proto(DT_INT8, (2,), chunk(INT, varint(300) + varint((1 << 64) - 1))))
    assert values(value).tolist() == [44, -1]


def test_half_values_are_bits():
    # 0x3C00 is 1.0 as a float16, 0x3F80 as a bfloat16.
    assert values(read(proto(DT_HALF, (1,), chunk(HALF, varint(0x3C00))))) == [1.0]
    assert values(read(proto(DT_BFLOAT16, (1,), chunk(HALF, varint(0x3F80))))) == [1.0]


def test_half_of_a_complex_value_is_none():
    assert values(read(proto(DT_COMPLEX64, (2,), packed(COMPLEX, "f", 1)))).tolist() == [0, 0]
    assert values(read(proto(DT_COMPLEX64, (2,), packed(COMPLEX, "f", 1, 2, 3)))).tolist() == [
        1 + 2j,
        1 + 2j,
    ]


def test_a_complex_value_may_lie_in_two_chunks():
    value = read(proto(DT_COMPLEX64, (2,), packed(COMPLEX, "f", 1), packed(COMPLEX, "f", 2, 3, 4)))
    assert values(value).tolist() == [1 + 2j, 3 + 4j]


def test_values_one_by_one_are_one_span_with_the_tags_between_them():
    loose = b"".join(tag(FLOAT, 5) + struct.pack("<f", one) for one in (1, 2, 3))
    value = read(proto(DT_FLOAT, (3,), loose))
    # Three values of 4 bytes, and a tag before the second and the third.
    assert ([length for _, length in value.spans], value.nbytes) == ([14], 14)
    assert values(value).tolist() == [1, 2, 3]


def test_many_small_numbers_are_decoded_a_piece_at_a_time():
    count = 3_000_000
    source = MemorySource(
        proto(DT_INT32, (count,), chunk(INT, b"\x01\xac\x02" * (count // 2))), "g"
    )
    tracemalloc.start()
    value = read_tensor(message(source))
    assert isinstance(value.payload, TypedPayload)
    total = sum(int(block.sum()) for block in value.payload.blocks(1 << 16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == count // 2 * 301
    assert peak < 8 << 20


def test_many_chunks_of_one_number_take_no_time_each():
    count = 100_000
    source = MemorySource(proto(DT_INT32, (count,), chunk(INT, b"\x05") * count), "g")
    start = time.perf_counter()
    value = read_tensor(message(source))
    assert sum(int(block.sum()) for block in value.payload.blocks(1 << 16)) == 5 * count
    assert time.perf_counter() - start < 5


# --- what is no tensor ---


@pytest.mark.parametrize("length", [0, 11, 13, 16])
def test_raw_bytes_that_do_not_fit_the_shape_are_a_fault(length):
    value = read(proto(DT_FLOAT, (3,), chunk(CONTENT, bytes(length))))
    if length:
        assert value.payload is None
        assert value.fault == f"3 values of float32 take 12 bytes, tensor_content has {length}"
    else:
        assert values(value).tolist() == [0, 0, 0]
    assert value.nbytes == length


def test_a_tensor_without_elements_has_no_values_whatever_is_stored():
    value = read(proto(DT_FLOAT, (1 << 40, 0), chunk(CONTENT, bytes(16))))
    assert (value.fault, value.elements, value.nbytes) == (None, 0, 16)
    assert list(value.payload.blocks(64)) == []


def test_a_shape_that_no_tensor_has_is_a_fault():
    for sides in ((-1,), (1 << 40, 1 << 40), (2,) * 255):
        value = read(proto(DT_FLOAT, sides, packed(FLOAT, "f", 1)))
        assert (value.shape, value.elements, value.payload) == (None, 0, None)
        assert value.fault == "no tensor can have its shape"


@pytest.mark.parametrize("dtype", [0, 34, 99, 101, 1 << 40])
def test_a_dtype_that_is_none_is_a_fault(dtype):
    value = read(proto(dtype, (2,), packed(FLOAT, "f", 1)))
    assert (value.values, value.payload) == (None, None)
    assert value.dtype.startswith("unknown (")
    assert value.fault.startswith("dtype ")


@pytest.mark.parametrize(
    ("dtype", "broken"),
    [
        (DT_FLOAT, chunk(FLOAT, bytes(7))),
        (DT_COMPLEX128, chunk(12, bytes(9))),
        (DT_INT32, chunk(INT, b"\x80")),
    ],
)
def test_a_packed_field_that_ends_within_a_value_is_corrupt(dtype, broken):
    with pytest.raises(Corrupt, match="no whole number of"):
        read(proto(dtype, (2,), broken))


def test_a_varint_without_an_end_is_corrupt_once_it_is_read():
    value = read(proto(DT_INT32, (4,), chunk(INT, b"\xff" * 200_000 + b"\x01\x01")))
    with pytest.raises(Corrupt, match="more than 10 bytes"):
        values(value)


def test_a_field_past_the_end_is_truncated():
    with pytest.raises(Truncated):
        read(proto(DT_FLOAT, (2,), chunk(CONTENT, bytes(8)))[:-1])


def test_a_field_written_as_another_type_holds_no_values():
    value = read(proto(DT_FLOAT, (2,), number(FLOAT, 3), number(CONTENT, 3)))
    assert (value.stored, value.spans) == (0, ())


# --- strings and objects ---


def text_of(data):
    return [bytes(one) for one in strings(message(MemorySource(data, "graph.pb")))]


def test_strings_are_listed_as_stored():
    data = proto(DT_STRING, (3,), chunk(STRING, b"a"), chunk(STRING, b""), chunk(STRING, b"\xff\0"))
    value = read(data)
    assert (value.dtype, value.values, value.payload, value.fault) == ("string", None, None, None)
    assert (value.stored, value.storage) == (3, "string_val")
    assert text_of(data) == [b"a", b"", b"\xff\0"]
    # 1 + 0 + 2 bytes, and tag and length before the second and the third.
    assert [length for _, length in value.spans] == [7]


def test_fewer_strings_than_elements_are_not_repeated_and_more_are_left_out():
    assert text_of(proto(DT_STRING, (1 << 50,), chunk(STRING, b"a"))) == [b"a"]
    assert text_of(proto(DT_STRING, (1,), chunk(STRING, b"a"), chunk(STRING, b"b"))) == [b"a"]
    assert text_of(proto(DT_STRING, (0,), chunk(STRING, b"a"))) == []


def test_strings_as_raw_bytes_have_their_lengths_first():
    data = proto(DT_STRING, (3,), chunk(CONTENT, b"\x01\x02\x00abc"))
    assert read(data).stored == 3
    assert text_of(data) == [b"a", b"bc", b""]


@pytest.mark.parametrize("content", [b"\x01\x02\x00abcd", b"\x01\x02\x00ab", b"\x01\x02\x80"])
def test_strings_as_raw_bytes_that_do_not_add_up_are_corrupt(content):
    with pytest.raises((Corrupt, Truncated)):
        text_of(proto(DT_STRING, (3,), chunk(CONTENT, content)))


def test_more_strings_than_bytes_are_a_fault():
    value = read(proto(DT_STRING, (1 << 40,), chunk(CONTENT, b"\0\0")))
    assert value.fault.startswith("1,099,511,627,776 values of string take at least")


def test_resources_and_variants_have_places_and_no_values():
    handle = chunk(RESOURCE, chunk(3, b"table"))
    value = read(proto(DT_RESOURCE, (), handle))
    assert (value.dtype, value.values, value.payload) == ("resource", None, None)
    assert (value.stored, value.nbytes) == (1, 7)
    value = read(proto(DT_VARIANT, (2,), chunk(VARIANT, b""), chunk(VARIANT, b"")))
    assert (value.dtype, value.stored, value.fault) == ("variant", 2, None)


def test_quantized_values_keep_their_dtypes_name():
    value = read(proto(DT_QINT8, (2,), chunk(CONTENT, b"\x7f\x80")))
    assert (value.dtype, value.values) == ("qint8", "int8")
    assert values(value).tolist() == [127, -128]


def test_float8_values_are_the_last_string_of_bytes():
    # 0x3C is 1.0 as a float8_e5m2, 0x40 is 2.0.
    value = read(proto(24, (3,), chunk(FLOAT8, b"\0\0\0"), chunk(FLOAT8, b"\x3c\x40")))
    assert values(value).tolist() == [1.0, 2.0, 2.0]


def test_booleans_of_any_number_are_true():
    value = read(proto(DT_BOOL, (3,), chunk(11, b"\x02\x00\x01")))
    assert values(value).tolist() == [True, False, True]
