"""Checkpoints of version 1, written by hand as saved_tensor_slice.proto says."""

import struct

import numpy as np
import pytest

from inspector.errors import Corrupt, InspectorError, LimitExceeded, Unsupported
from inspector.limits import Limits
from inspector.model import Extent
from inspector.payloads import RawPayload
from inspector.storage import MemorySource, covered
from inspector.wire.saved_slices import is_saved_slices, read_saved_slices
from inspector.wire.sstable import read_table
from inspector.wire.tensor_slices import slice_key
from tests.builders.bundles import chunk, header, number, shape, slice_of, table, varint

FLOAT, DOUBLE, INT32, STRING, COMPLEX64, INT64, BOOL, QINT8, HALF = 1, 2, 3, 7, 8, 9, 10, 11, 19
# Fields of TensorProto. Source: tensorflow/core/framework/tensor.proto.
FLOAT_VAL, INT_VAL, STRING_VAL, INT64_VAL, BOOL_VAL, HALF_VAL = 5, 7, 8, 10, 11, 13


def floats(*values):
    return chunk(FLOAT_VAL, struct.pack(f"<{len(values)}f", *values))


def packed(field, *values):
    return chunk(field, b"".join(varint(one) for one in values))


def one_tensor(name, dtype, sides, *slices):
    """A tensor of the list. slices: extents, None for a whole axis."""
    out = chunk(1, name) + chunk(2, shape(*sides)) + number(3, dtype)
    return out + b"".join(chunk(4, slice_of(*extents)) for extents in slices)


def meta(*tensors, versions=b""):
    return chunk(1, b"".join(chunk(1, one) for one in tensors) + chunk(2, versions))


def record(name, extents, proto):
    """A slice with its values, and its key."""
    key = slice_key(name, [(0, -1) if one is None else one for one in extents])
    return key, chunk(2, chunk(1, name) + chunk(2, slice_of(*extents)) + chunk(3, proto))


def checkpoint(listed, *records, **more):
    return table([(b"", listed), *sorted(records)], **more)


def read(*files, limits=None):
    sources = [MemorySource(data, f"shard {at}") for at, data in enumerate(files)]
    found = read_saved_slices(sources, limits or Limits())
    extents = [e for t in found.tensors for part in t.parts for e in part.extents]
    assert sum(found.overhead.values()) + covered(extents) == sum(map(len, files))
    return found


def values(tensor, max_bytes=1 << 20):
    return np.concatenate(list(tensor.payload.blocks(max_bytes))).tolist()


def test_a_tensor_has_its_dtype_shape_place_and_values():
    data = checkpoint(
        meta(one_tensor(b"w", FLOAT, (2, 2), (None, None))),
        record(b"w", (None, None), floats(1, -2, 0.5, 4)),
    )
    found = read(data)
    (w,) = found.tensors
    assert (w.name, w.dtype, w.values, w.shape) == ("w", "float32", "float32", (2, 2))
    at = data.index(struct.pack("<4f", 1, -2, 0.5, 4))
    assert w.parts[0].extents == (Extent("shard 0", at, 16),)
    assert isinstance(w.payload, RawPayload)
    assert values(w) == [1, -2, 0.5, 4]
    assert found.problems == ()
    assert found.overhead == {"index": len(data) - 16}


@pytest.mark.parametrize(
    ("dtype", "name", "kind", "proto", "expected"),
    [
        (INT32, "int32", "int32", packed(INT_VAL, 1, -1, 300), [1, -1, 300]),
        (INT64, "int64", "int64", packed(INT64_VAL, 1, -1, 1 << 40), [1, -1, 1 << 40]),
        (BOOL, "bool", "bool", packed(BOOL_VAL, 1, 0, 1), [True, False, True]),
        (QINT8, "qint8", "int8", packed(INT_VAL, 5, -5, 127), [5, -5, 127]),
        # half_val has the bits: 0x3C00 is 1.0, 0xC000 is -2.0.
        (HALF, "float16", "float16", packed(HALF_VAL, 0x3C00, 0xC000, 0), [1.0, -2.0, 0.0]),
    ],
)
def test_values_are_in_the_field_of_their_dtype(dtype, name, kind, proto, expected):
    found = read(
        checkpoint(meta(one_tensor(b"v", dtype, (3,), (None,))), record(b"v", (None,), proto))
    )
    (tensor,) = found.tensors
    assert (tensor.dtype, tensor.values) == (name, kind)
    assert values(tensor) == expected


def test_strings_have_a_place_and_no_payload():
    proto = chunk(STRING_VAL, b"a") + chunk(STRING_VAL, b"bcd")
    data = checkpoint(meta(one_tensor(b"s", STRING, (2,), (None,))), record(b"s", (None,), proto))
    (tensor,) = read(data).tensors
    assert tensor.payload is None
    # The two strings and the tag and length between them: 1 + 2 + 3 bytes.
    assert sum(extent.length for extent in tensor.parts[0].extents) == 6


@pytest.mark.parametrize("max_bytes", [4, 8, 1 << 20])
def test_slices_are_put_together_in_the_wholes_order(max_bytes):
    left, right = ((None), (0, 1)), ((None), (1, 2))
    data = checkpoint(
        meta(one_tensor(b"w", INT32, (2, 3), left, right)),
        record(b"w", left, packed(INT_VAL, 0, 3)),
        record(b"w", right, packed(INT_VAL, 1, 2, 4, 5)),
    )
    (tensor,) = read(data).tensors
    assert values(tensor, max_bytes) == [0, 1, 2, 3, 4, 5]
    assert len(tensor.parts) == 2


def test_shards_each_have_a_list_and_their_own_slices():
    top, rest = ((0, 1), None), ((1, 1), None)
    first = checkpoint(meta(one_tensor(b"w", FLOAT, (2, 2), top)), record(b"w", top, floats(1, 2)))
    second = checkpoint(
        meta(one_tensor(b"b", FLOAT, (1,), (None,)), one_tensor(b"w", FLOAT, (2, 2), rest)),
        record(b"b", (None,), floats(9)),
        record(b"w", rest, floats(3, 4)),
    )
    found = read(first, second)
    assert {one.name: values(one) for one in found.tensors} == {"w": [1, 2, 3, 4], "b": [9]}
    places = [extent.file for t in found.tensors for part in t.parts for extent in part.extents]
    assert places == ["shard 0", "shard 1", "shard 1"]


def test_shards_that_disagree_about_a_tensor_are_told():
    first = checkpoint(
        meta(one_tensor(b"w", FLOAT, (1,), (None,))), record(b"w", (None,), floats(1))
    )
    second = checkpoint(
        meta(one_tensor(b"w", FLOAT, (2,), (None,))), record(b"w", (None,), floats(1, 2))
    )
    found = read(first, second)
    assert [one.code for one in found.problems] == ["slices-differ", "slices-stray"]
    assert values(found.tensors[0]) == [1]


WHOLE = one_tensor(b"w", FLOAT, (2,), (None,))


@pytest.mark.parametrize(
    ("listed", "records", "words"),
    [
        (WHOLE, [], "is missing"),
        (WHOLE, [record(b"w", (None,), floats(1))], "has 1 values, and needs 2"),
        (WHOLE, [record(b"w", (None,), floats(1, 2, 3))], "has 3 values, and needs 2"),
        (WHOLE, [record(b"w", (None,), b"")], "has 0 values, and needs 2"),
        (one_tensor(b"w", FLOAT, (2,)), [], "do not make up the whole"),
        (one_tensor(b"w", FLOAT, (2,), (None,), (None,)), [], "is missing"),
        (one_tensor(b"w", FLOAT, (2,), ((1, 2),)), [], "outside its shape"),
        (one_tensor(b"w", FLOAT, (2,), ((-1, 2),)), [], "outside its shape"),
        (one_tensor(b"w", FLOAT, (2,), (None, None)), [], "has 2 axes, its tensor 1"),
        (one_tensor(b"w", 99, (2,), (None,)), [], "unknown (99)"),
        (one_tensor(b"w", FLOAT, (-1,), (None,)), [], "of shape None is none"),
        (
            one_tensor(b"w", FLOAT, (2,), ((0, 1),)),
            [record(b"w", ((0, 1),), floats(1))],
            "do not make up the whole",
        ),
        (
            one_tensor(b"w", FLOAT, (2,), (None,), (None,)),
            [record(b"w", (None,), floats(1, 2))],
            "listed twice",
        ),
    ],
)
def test_a_tensor_that_cannot_be_is_told_and_the_others_are_read(listed, records, words):
    other = one_tensor(b"z", FLOAT, (1,), (None,))
    data = checkpoint(meta(listed, other), *records, record(b"z", (None,), floats(7)))
    found = read(data)
    assert words in next(one.message for one in found.problems if one.code == "slices-tensor")
    first, second = found.tensors
    assert first.payload is None
    assert values(second) == [7]


def test_a_slice_of_no_tensor_is_told():
    data = checkpoint(meta(WHOLE), record(b"w", (None,), floats(1, 2)), record(b"x", (), floats(1)))
    (problem,) = read(data).problems
    assert problem.code == "slices-stray"


def test_a_declared_size_that_is_not_stored_costs_nothing():
    # 2**40 values by the list, one of them stored.
    data = checkpoint(
        meta(one_tensor(b"w", FLOAT, (1 << 40,), (None,))), record(b"w", (None,), floats(1))
    )
    found = read(data)
    assert found.tensors[0].payload is None
    assert "has 1 values" in found.problems[0].message


def test_blocks_under_snappy_are_read_and_have_a_label():
    cramjam = pytest.importorskip("cramjam")

    def pack(data):
        return bytes(cramjam.snappy.compress_raw(data))

    data = table([(b"", meta(WHOLE)), record(b"w", (None,), floats(1, 2))], pack=pack)
    found = read(data)
    assert values(found.tensors[0]) == [1, 2]
    assert found.tensors[0].compressed
    assert found.tensors[0].parts[0].extents == ()
    assert set(found.overhead) == {"index", "compressed blocks"}


def test_what_snappy_inflates_to_is_bounded():
    cramjam = pytest.importorskip("cramjam")
    proto = chunk(FLOAT_VAL, bytes(4096))
    data = table(
        [(b"", meta(one_tensor(b"w", FLOAT, (1024,), (None,)))), record(b"w", (None,), proto)],
        pack=lambda block: bytes(cramjam.snappy.compress_raw(block)),
    )
    with pytest.raises(LimitExceeded):
        read(data, limits=Limits(blocks_bytes=1000))


def test_the_index_of_a_bundle_is_told_from_a_table_of_slices():
    bundle = read_table(MemorySource(table([(b"", header())]), "index"))
    slices = read_table(MemorySource(checkpoint(meta(WHOLE)), "slices"))
    empty = read_table(MemorySource(table([]), "empty"))
    assert [is_saved_slices(one) for one in (bundle, slices, empty)] == [False, True, False]


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (table([(b"x", b"")]), Corrupt, "no list of tensors"),
        (table([]), Corrupt, "no list of tensors"),
        (table([(b"", number(1, 1))]), Corrupt, "no list of tensors"),
        (checkpoint(meta(WHOLE, versions=number(2, 2))), Unsupported, "version 2"),
    ],
)
def test_a_table_without_a_list_that_is_read_here_is_refused(data, error, words):
    with pytest.raises(error, match=words):
        read_saved_slices([MemorySource(data, "file")])


def test_the_number_of_tensors_is_bounded():
    data = checkpoint(meta(WHOLE, one_tensor(b"x", FLOAT, (), ())))
    with pytest.raises(LimitExceeded):
        read_saved_slices([MemorySource(data, "file")], Limits(tensors=1))


def test_the_number_of_slices_is_bounded():
    top, rest = ((0, 1),), ((1, 1),)
    data = checkpoint(
        meta(one_tensor(b"w", FLOAT, (2,), top, rest)),
        record(b"w", top, floats(1)),
        record(b"w", rest, floats(2)),
    )
    found = read(data, limits=Limits(slices=1))
    assert "limit slices: 2 is over 1; --limit slices=2 allows it" in found.problems[0].message


def test_every_flipped_bit_ends_soundly():
    data = checkpoint(
        meta(WHOLE, one_tensor(b"n", INT64, (), ())),
        record(b"w", (None,), floats(1, 2)),
        record(b"n", (), packed(INT64_VAL, 7)),
    )
    sound = read(data)
    assert sound.problems == ()
    for at in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[at] ^= 1 << bit
            try:
                found = read_saved_slices([MemorySource(bytes(broken), "file")])
            except InspectorError:
                continue
            for tensor in found.tensors:
                if tensor.payload is not None:
                    for _ in tensor.payload.blocks(1 << 20):
                        pass
            # The footer's padding is all that no checksum covers.
            assert found.problems or at >= len(data) - 48
