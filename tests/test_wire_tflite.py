import contextlib
import itertools
import math
import struct
import tracemalloc

import ml_dtypes
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
from inspector.limits import Limits
from inspector.storage import MemorySource
from inspector.wire.tflite_bytes import ranges, totals
from inspector.wire.tflite_model import read_model
from inspector.wire.tflite_operators import OPERATORS
from inspector.wire.tflite_schema import TENSOR_TYPES, type_name, word
from inspector.wire.tflite_values import centred, payload_of, sparsity_of, strings
from tests.builders.flatbuffers import flatbuffer


def read(values, limits=None, behind=b""):
    raw = flatbuffer(values) + behind
    return read_model(MemorySource(raw, "m.tflite"), limits or Limits())


def with_tensor(tensor, data=b"", limits=None):
    """A model of one tensor, its data in buffer 1."""
    tensor = {"shape": [], "type": 0, "buffer": 1, **tensor}
    return read({"subgraphs": [{"tensors": [tensor]}], "buffers": [{}, {"data": data}]}, limits)


def values(model, most=1 << 20, limits=None):
    payload = payload_of(model, model.subgraphs[0].tensors[0], limits or Limits())
    return list(itertools.chain.from_iterable(one.tolist() for one in payload.blocks(most)))


def kind(name):
    return TENSOR_TYPES.index(name)


# --- tables ---


def test_a_model_is_read_with_all_its_parts():
    model = read(
        {
            "version": 3,
            "description": "made by hand",
            "operator_codes": [
                {"deprecated_builtin_code": 9, "version": 4, "builtin_code": 9},
                {"deprecated_builtin_code": 32, "custom_code": "Mine", "builtin_code": 32},
            ],
            "subgraphs": [
                {
                    "name": "main",
                    "inputs": [0],
                    "outputs": [1],
                    "tensors": [
                        {"name": "x", "shape": [1, 2], "shape_signature": [-1, 2], "buffer": 0},
                        {"name": "w", "shape": [2], "type": kind("int8"), "buffer": 1},
                        {"name": "state", "is_variable": True, "has_rank": True},
                    ],
                    "operators": [
                        {
                            "opcode_index": 0,
                            "inputs": [0, 1, -1],
                            "outputs": [1],
                            "builtin_options": (
                                "FullyConnectedOptions",
                                {"fused_activation_function": 1},
                            ),
                        },
                        {"opcode_index": 1, "custom_options": b"xyz", "intermediates": [2]},
                    ],
                }
            ],
            "buffers": [{}, {"data": b"ab"}],
            "metadata": [{"name": "min_runtime_version", "buffer": 1}],
            "signature_defs": [
                {
                    "signature_key": "serving_default",
                    "subgraph_index": 0,
                    "inputs": [{"name": "in", "tensor_index": 0}],
                    "outputs": [{"name": "out", "tensor_index": 1}],
                }
            ],
            "external_buffer_groups": [{"name": "weights.bin"}],
            "external_buffers": [{"id": 7, "group": 0, "offset": 64, "packing": "unpacked"}],
        }
    )
    assert (model.version, model.description) == (3, "made by hand")
    assert [(one.name, one.version, one.custom) for one in model.codes] == [
        ("FULLY_CONNECTED", 4, None),
        ("CUSTOM", 1, "Mine"),
    ]
    graph = model.subgraphs[0]
    assert (graph.name, graph.inputs, graph.outputs) == ("main", (0,), (1,))
    x, w, state = graph.tensors
    assert (x.name, x.dtype, x.shape, x.signature) == ("x", "float32", (1, 2), (-1, 2))
    assert (w.dtype, w.shape, w.signature, w.buffer) == ("int8", (2,), None, 1)
    assert (state.shape, state.variable, state.has_rank) == (None, True, True)
    first, second = graph.operators
    assert first.inputs == (0, 1, -1)
    assert first.options["fused_activation_function"] == 1
    assert bytes(model.source.view(*second.custom_options)) == b"xyz"
    assert second.intermediates == (2,)
    assert model.code(second).custom == "Mine"
    assert bytes(model.source.view(*model.data(w))) == b"ab"
    assert model.data(x) is None
    assert [(one.name, one.buffer) for one in model.metadata] == [("min_runtime_version", 1)]
    signature = model.signatures[0]
    assert (signature.key, signature.inputs, signature.outputs) == (
        "serving_default",
        (("in", 0),),
        (("out", 1),),
    )
    assert model.external_groups == ("weights.bin",)
    assert [(one.id, one.start, one.packing) for one in model.external] == [(7, 64, "unpacked")]


def test_another_identifier_is_no_tflite_file():
    with pytest.raises(UnknownFormat):
        read_model(MemorySource(flatbuffer({}, identifier=b"TFL2"), "m"))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        # Files from before there were more than 127 operators have the older field alone.
        ({"deprecated_builtin_code": 3}, "CONV_2D"),
        ({"deprecated_builtin_code": 127, "builtin_code": 150}, "GELU"),
        ({}, "ADD"),
        ({"builtin_code": 5000}, "operator 5000"),
        ({"builtin_code": -2, "deprecated_builtin_code": -1}, "operator -1"),
    ],
)
def test_an_operator_s_code_is_the_larger_of_both_fields(fields, name):
    assert read({"operator_codes": [fields]}).codes[0].name == name


def test_numbers_without_a_name_are_shown():
    assert type_name(99) == "type 99"
    assert type_name(-1) == "type -1"
    assert word("Padding", 1) == "VALID"
    assert word("Padding", 9) == "Padding 9"
    assert OPERATORS[32] == "CUSTOM"


def test_an_operator_without_a_code_is_refused_where_it_stands():
    model = read({"subgraphs": [{"operators": [{"opcode_index": 3}]}]})
    operator = model.subgraphs[0].operators[0]
    with pytest.raises(Corrupt, match="code 3 of 0") as caught:
        model.code(operator)
    assert caught.value.offset == operator.offset


def test_buffer_0_has_no_data_even_where_it_has_bytes():
    model = read(
        {"subgraphs": [{"tensors": [{"shape": [1], "buffer": 0}]}], "buffers": [{"data": b"abcd"}]}
    )
    assert model.data(model.subgraphs[0].tensors[0]) is None


def test_a_buffer_that_is_not_there_has_no_data():
    model = read({"subgraphs": [{"tensors": [{"shape": [1], "buffer": 5}]}], "buffers": [{}]})
    assert model.data(model.subgraphs[0].tensors[0]) is None


def test_a_buffer_s_bytes_may_be_behind_the_flatbuffer():
    fields = {"buffers": [{}, {"offset": 1 << 40, "size": 4}, {"offset": 1, "size": 1}]}
    size = len(flatbuffer(fields))
    fields["buffers"][1]["offset"] = size
    model = read(fields, behind=b"wxyz")
    assert bytes(model.source.view(*model.buffers[1].span)) == b"wxyz"
    assert model.buffers[1].behind
    # 1 keeps room for an offset that was never written.
    assert model.buffers[2].span is None


@pytest.mark.parametrize("size", [5, 1 << 62])
def test_a_buffer_past_the_end_of_the_file_is_refused_where_it_is_declared(size):
    with pytest.raises(Truncated, match="buffer data") as caught:
        read({"buffers": [{"offset": 2, "size": 1 << 63}]})
    assert caught.value.offset is not None
    fields = {"buffers": [{"offset": 100, "size": 4}]}
    fields["buffers"][0] = {"offset": len(flatbuffer(fields)), "size": size}
    with pytest.raises(Truncated):
        read(fields, behind=b"wxyz")


def test_large_custom_options_are_behind_too():
    operator = {"large_custom_options_offset": 9, "large_custom_options_size": 3}
    fields = {"subgraphs": [{"operators": [operator]}]}
    operator["large_custom_options_offset"] = len(flatbuffer(fields))
    model = read(fields, behind=b"xyz")
    found = model.subgraphs[0].operators[0].custom_options
    assert bytes(model.source.view(*found)) == b"xyz"
    assert totals(model)["custom options"] == 3


def test_quantization_says_scales_axis_and_details():
    tensor = {
        "quantization": {
            "scale": [0.5, 0.25],
            "zero_point": [0, 3],
            "quantized_dimension": 1,
            "min": [-1.0],
            "max": [2.0],
        }
    }
    found = with_tensor(tensor).subgraphs[0].tensors[0].quantization
    assert found.scale.tolist() == [0.5, 0.25]
    assert found.zero_point.tolist() == [0, 3]
    assert (found.axis, found.details, found.blocks) == (1, None, None)
    assert (found.minimum.tolist(), found.maximum.tolist()) == ([-1.0], [2.0])
    assert found.quantizes
    empty = with_tensor({"quantization": {}}).subgraphs[0].tensors[0].quantization
    assert not empty.quantizes


def test_quantization_in_blocks_names_the_tensors_of_scales():
    old = ("BlockwiseQuantization", {"scales": 3, "zero_points": -1, "block_size": 32})
    new = ("MultiAxisQuantization", {"scales": 4, "quantized_dimensions": [0, 2]})
    found = with_tensor({"quantization": {"details": old}}).subgraphs[0].tensors[0].quantization
    assert (found.blocks.scales, found.blocks.zero_points, found.blocks.block_size) == (3, -1, 32)
    found = with_tensor({"quantization": {"details": new}}).subgraphs[0].tensors[0].quantization
    assert (found.blocks.scales, found.blocks.axes) == (4, (0, 2))
    found = with_tensor({"quantization": {"details": (8, {})}}).subgraphs[0].tensors[0].quantization
    assert (found.details, found.blocks) == ("number 8", None)


def test_a_shape_of_too_many_sides_is_refused():
    with pytest.raises(Corrupt, match="65 sides"):
        with_tensor({"shape": [1] * 65})


def test_one_subgraph_listed_many_times_ends_at_the_limit():
    fields = {"subgraphs": [{"tensors": [{}] * 30}] * 30}
    raw = bytearray(flatbuffer(fields))
    root = read_model(MemorySource(raw, "m")).root
    place = root.vector("subgraphs")
    last = root.records("subgraphs")[-1].offset
    for index in range(30):
        at = place.offset + 4 * index
        struct.pack_into("<I", raw, at, last - at)
    with pytest.raises(LimitExceeded) as caught:
        read_model(MemorySource(raw, "m"), Limits(tensors=800))
    assert (caught.value.name, caught.value.value) == ("tensors", 27 * 30)


# --- bytes ---

PARTS = {
    "operator_codes": [{"builtin_code": 32, "custom_code": "Mine"}],
    "subgraphs": [
        {
            "tensors": [
                {"shape": [2], "buffer": 1, "quantization": {"scale": [1.0], "zero_point": [0]}},
                {
                    "shape": [2, 2],
                    "buffer": 2,
                    "sparsity": {
                        "traversal_order": [0, 1],
                        "dim_metadata": [
                            {"dense_size": 2},
                            {
                                "format": 1,
                                "array_segments": ("Int32Vector", {"values": [0, 1, 1]}),
                                "array_indices": ("Int32Vector", {"values": [0]}),
                            },
                        ],
                    },
                },
            ],
            "operators": [{"custom_options": b"0123456789"}],
        }
    ],
    "buffers": [{}, {"data": b"a" * 8}, {"data": b"b" * 4}],
}


def test_every_byte_of_a_file_is_told_apart():
    found = totals(read(PARTS, behind=b"PK and so on"))
    assert found["buffer"] == 8 + 4
    assert found["quantization"] == (4 + 4) + (4 + 8)
    # The traversal order, the segments and the indices, each with its length.
    assert found["sparsity index"] == (4 + 2 * 4) + (4 + 3 * 4) + (4 + 4)
    assert found["custom options"] == 4 + 10
    assert found["header"] == 8
    assert found["behind"] == 12
    assert "unclaimed" not in found
    assert sum(found.values()) == len(flatbuffer(PARTS)) + 12


def test_ranges_follow_one_another_to_the_end():
    model = read(PARTS)
    reached = 0
    for one in ranges(model):
        assert one.offset == reached
        assert one.length > 0
        reached += one.length
    assert reached == model.source.size


def test_bytes_that_no_table_leads_to_are_unclaimed():
    raw = bytearray(flatbuffer({"description": "abcdefgh", "buffers": [{}]}))
    model = read_model(MemorySource(bytes(raw), "m"))
    # The field is taken out of the vtable: its text stays, and nothing leads there.
    slot = struct.pack("<H", model.root.table.at(3) - model.root.offset)
    at = raw.index(slot, model.root.table.vtable.offset + 4)
    raw[at : at + 2] = bytes(2)
    found = totals(read_model(MemorySource(bytes(raw), "m")))
    assert found["unclaimed"] >= 8
    assert sum(found.values()) == len(raw)


def test_a_buffer_over_other_parts_counts_before_them():
    fields = {"description": "text", "buffers": [{}, {"offset": 2, "size": 30}]}
    model = read(fields)
    found = list(ranges(model))
    assert [(one.offset, one.length) for one in found if one.buffer == 1] == [(2, 30)]
    assert sum(one.length for one in found) == model.source.size


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 300), st.integers(0, 300)), max_size=6))
def test_buffers_anywhere_leave_every_byte_in_one_range(places):
    fields = {"description": "d" * 100, "buffers": [{"offset": 2, "size": 0} for _ in places]}
    size = len(flatbuffer(fields))
    for buffer, (offset, length) in zip(fields["buffers"], places, strict=True):
        buffer |= {"offset": min(offset, size), "size": min(length, size - min(offset, size))}
    model = read(fields)
    taken = {at for one in model.buffers if one.span for at in range(one.span[0], sum(one.span))}
    reached, inside = 0, set()
    for one in ranges(model):
        assert one.offset == reached
        reached += one.length
        if one.label == "buffer":
            inside |= set(range(one.offset, reached))
    assert reached == size
    assert inside == taken


# --- values ---


def test_values_are_views_of_the_file():
    model = with_tensor({"shape": [3]}, struct.pack("<3f", 1, -2, 3))
    assert values(model) == [1, -2, 3]


def test_a_scalar_is_one_value():
    assert values(with_tensor({"shape": []}, struct.pack("<f", 5))) == [5]


def test_bfloat16_is_read_as_such():
    raw = np.array([1.5, -2], ml_dtypes.bfloat16).tobytes()
    assert values(with_tensor({"shape": [2], "type": kind("bfloat16")}, raw)) == [1.5, -2]


def test_int4_values_come_lowest_bits_first_and_their_last_byte_is_padded():
    # Nine values take five bytes; the last high nibble, 0xF here, is none of them.
    numbers = [-3, -2, -1, 0, 1, 2, 3, -8, 7]
    low, high = numbers[0::2], [*numbers[1::2], -1]
    raw = bytes((a & 15) | (b & 15) << 4 for a, b in zip(low, high, strict=True))
    model = with_tensor({"shape": [1, 3, 3, 1], "type": kind("int4")}, raw)
    assert len(raw) == 5
    assert values(model) == values(model, most=1) == numbers


def test_uint4_values_have_no_sign():
    model = with_tensor({"shape": [3], "type": kind("uint4")}, bytes([0xF1, 0x0A]))
    assert values(model) == [1, 15, 10]


def test_int2_values_are_four_a_byte():
    # 0b10_01_11_00: 0, -1, 1, -2 from the lowest bits up; then 0b01 and padding.
    model = with_tensor({"shape": [5], "type": kind("int2")}, bytes([0b10011100, 0b01]))
    assert values(model) == values(model, most=1) == [0, -1, 1, -2, 1]


@pytest.mark.parametrize(
    ("shape", "data", "error"),
    [
        ([3], bytes(8), Truncated),
        ([1], bytes(8), Corrupt),
        ([-1], bytes(8), Corrupt),
        ([1 << 30, 1 << 30], bytes(8), Truncated),
    ],
)
def test_a_shape_that_does_not_fit_its_data_is_refused(shape, data, error):
    model = with_tensor({"shape": shape}, data)
    with pytest.raises(error, match="float32"):
        payload_of(model, model.subgraphs[0].tensors[0])


def test_no_data_and_types_without_a_size_have_no_values():
    for tensor, data in [
        ({"shape": [4]}, b""),
        ({"type": kind("resource")}, b"abc"),
        ({"type": kind("string")}, b"abc"),
        ({"type": 77}, b"abc"),
    ]:
        model = with_tensor(tensor, data)
        assert payload_of(model, model.subgraphs[0].tensors[0]) is None


def test_an_empty_tensor_has_no_values_and_is_no_error():
    assert values(with_tensor({"shape": [0, 3]}, b"")) == []


def texts(*words):
    ends = list(itertools.accumulate(map(len, words), initial=4 * (len(words) + 2)))
    return struct.pack(f"<{len(ends) + 1}i", len(words), *ends) + b"".join(words)


def test_texts_are_read():
    model = with_tensor({"shape": [3], "type": kind("string")}, texts(b"a", b"", b"bcd"))
    tensor = model.subgraphs[0].tensors[0]
    assert [bytes(one) for one in strings(model, tensor)] == [b"a", b"", b"bcd"]


@pytest.mark.parametrize(
    "raw",
    [
        b"abc",
        struct.pack("<i", -1) + bytes(8),
        struct.pack("<i", 1 << 30) + bytes(8),
        struct.pack("<iii", 1, 12, 99),
        struct.pack("<iii", 1, -4, 12),
        struct.pack("<iiii", 2, 12, 4, 12),
    ],
)
def test_texts_outside_their_tensor_are_refused(raw):
    model = with_tensor({"shape": [1], "type": kind("string")}, raw)
    with pytest.raises(Corrupt):
        list(strings(model, model.subgraphs[0].tensors[0]))


def test_values_are_centred_on_the_zero_point_of_their_channel():
    tensor = {
        "shape": [2, 3],
        "type": kind("int8"),
        "quantization": {"scale": [1.0] * 3, "zero_point": [1, 0, -1], "quantized_dimension": 1},
    }
    model = with_tensor(tensor, struct.pack("<6b", 1, 0, -1, 3, -4, 5))
    one = model.subgraphs[0].tensors[0]
    found = centred(payload_of(model, one), one)
    for most in (1, 16, 1000):
        parts = [part.tolist() for part in found.blocks(most)]
        assert list(itertools.chain.from_iterable(parts)) == [0, 0, 0, 2, -4, 6]


def test_values_centred_on_0_stay_as_they_are():
    for zero in ([], [0], [0, 0], [1, 2, 3, 4]):  # the last fits no side
        tensor = {"shape": [2], "type": kind("int8"), "quantization": {"zero_point": zero}}
        model = with_tensor(tensor, b"ab")
        one = model.subgraphs[0].tensors[0]
        assert centred(payload_of(model, one), one) is None


# --- sparse tensors ---


def index(numbers, vector="Int32Vector"):
    return (vector, {"values": numbers})


def encode(dense, order, block_map, block_sizes, sparse):
    """(sparsity fields, stored values) of an array, by the definition: one node after another.

    order: of the levels; sparse: which of the outer ones are. A node is kept where it has a
    value other than 0 under it.
    """
    rank, sizes = dense.ndim, list(dense.shape)
    for side, size in zip(block_map, block_sizes, strict=True):
        sizes[side] //= size
    sizes += block_sizes
    inner = dict(zip(block_map, block_sizes, strict=True))

    def values_under(path):
        ranges_ = [range(size) for size in sizes]
        for level, number in zip(order, path, strict=False):
            ranges_[level] = [number]
        for place in itertools.product(*ranges_):
            at = list(place[:rank])
            for number, side in enumerate(block_map):
                at[side] = at[side] * inner[side] + place[rank + number]
            yield dense[tuple(at)]

    nodes, metadata = [()], []
    for at, level in enumerate(order):
        children, segments, indices = [], [0], []
        for node in nodes:
            for number in range(sizes[level]):
                path = (*node, number)
                if not sparse[at] or any(one != 0 for one in values_under(path)):
                    children.append(path)
                    indices.append(number)
            segments.append(len(children))
        nodes = children
        if sparse[at]:
            metadata.append(
                {"format": 1, "array_segments": index(segments), "array_indices": index(indices)}
            )
        else:
            metadata.append({"dense_size": sizes[level]})
    stored = [next(iter(values_under(path))) for path in nodes]
    fields = {"traversal_order": order, "block_map": block_map, "dim_metadata": metadata}
    return fields, np.array(stored, dense.dtype)


@st.composite
def sparse_arrays(draw):
    rank = draw(st.integers(1, 3))
    shape = [draw(st.sampled_from([1, 2, 4, 6])) for _ in range(rank)]
    block_map = draw(st.lists(st.integers(0, rank - 1), unique=True, max_size=2))
    sizes = [
        draw(st.sampled_from([one for one in (1, 2, 4) if shape[side] % one == 0]))
        for side in block_map
    ]
    outer = draw(st.permutations(range(rank)))
    inner = draw(st.permutations(range(rank, rank + len(block_map))))
    sparse = [*(draw(st.booleans()) for _ in outer), *(False for _ in inner)]
    count = math.prod(shape)
    numbers = draw(st.lists(st.sampled_from([0, 0, 0, 1, -2]), min_size=count, max_size=count))
    dense = np.array(numbers, "i1").reshape(shape)
    return dense, encode(dense, [*outer, *inner], block_map, sizes, sparse)


@settings(max_examples=200, deadline=None)
@given(sparse_arrays(), st.sampled_from([1, 8, 24, 1 << 20]))
def test_sparse_values_come_out_dense_whatever_their_order(made, most):
    dense, (fields, stored) = made
    tensor = {"shape": list(dense.shape), "type": kind("int8"), "sparsity": fields}
    model = with_tensor(tensor, stored.tobytes())
    payload = payload_of(model, model.subgraphs[0].tensors[0])
    blocks = list(payload.blocks(most))
    assert all(one.nbytes <= max(most, 1) for one in blocks)
    assert np.concatenate(blocks).tolist() == dense.reshape(-1).tolist()


CSR = np.array([[0, 5, 0, 0], [0, 0, 0, 0], [7, 0, 0, 9]], "f4")


def csr(**changes):
    """CSR's fields: rows dense, columns sparse; by hand."""
    fields = {
        "traversal_order": [0, 1],
        "dim_metadata": [
            {"dense_size": 3},
            {
                "format": 1,
                "array_segments": index([0, 1, 1, 3]),
                "array_indices": index([1, 0, 3], "Uint8Vector"),
            },
        ],
        **changes,
    }
    return {"shape": [3, 4], "sparsity": fields}, np.array([5, 7, 9], "f4").tobytes()


def test_csr_is_told_by_its_name_and_sizes():
    model = with_tensor(*csr())
    found = sparsity_of(model, model.subgraphs[0].tensors[0])
    assert (found.format, found.block, found.stored) == ("CSR", None, 3)
    assert found.index_bytes == 4 * 4 + 3
    assert values(model) == CSR.reshape(-1).tolist()


def test_blocks_are_told_by_their_shape():
    dense = np.zeros((4, 8), "f4")
    dense[1, 4:] = 1, 2, 0, 4
    fields, stored = encode(dense, [0, 1, 2], [1], [4], [False, True, False])
    model = with_tensor({"shape": [4, 8], "sparsity": fields}, stored.tobytes())
    found = sparsity_of(model, model.subgraphs[0].tensors[0])
    assert (found.format, found.block, found.stored) == ("block CSR 1x4", (1, 4), 4)
    # A zero inside a block is stored.
    assert stored.tolist() == [1, 2, 0, 4]


def test_a_row_without_values_takes_no_memory():
    fields, stored = csr()
    model = with_tensor(fields, stored)
    blocks = list(payload_of(model, model.subgraphs[0].tensors[0]).blocks(16))
    assert [one.strides for one in blocks] == [(4,), (0,), (4,)]


def test_segments_of_eight_bits_hold_blocks_past_them():
    # 100 blocks of 16 rows by 1 column, which are not in C order: 1,600 values.
    dense = np.arange(1, 1601, dtype="i2").reshape(16, 100)
    fields, stored = encode(dense, [0, 1, 2], [0], [16], [False, True, False])
    for name in ("array_segments", "array_indices"):
        fields["dim_metadata"][1][name] = ("Uint8Vector", fields["dim_metadata"][1][name][1])
    tensor = {"shape": [16, 100], "type": kind("int16"), "sparsity": fields}
    model = with_tensor(tensor, stored.tobytes())
    assert values(model) == values(model, most=64) == dense.reshape(-1).tolist()


def level(**changes):
    return [{"dense_size": 3}, {**csr()[0]["sparsity"]["dim_metadata"][1], **changes}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"traversal_order": [0, 0]}, "traversal order"),
        ({"traversal_order": [0]}, "traversal order"),
        ({"traversal_order": [1, 2]}, "traversal order"),
        ({"traversal_order": []}, "traversal order"),
        ({"dim_metadata": level()[:1]}, "do not fit"),
        ({"traversal_order": [0, 1, 2], "block_map": [5]}, "do not fit"),
        ({"dim_metadata": [{"dense_size": 2}, level()[1]]}, "2 indices, its side 3"),
        ({"dim_metadata": level(array_segments=index([0, 1, 3]))}, "3 segments for 3 nodes"),
        ({"dim_metadata": level(array_segments=index([0, 2, 1, 3]))}, "not in order"),
        ({"dim_metadata": level(array_segments=index([-1, 1, 1, 3]))}, "not in order"),
        ({"dim_metadata": level(array_segments=index([0, 1, 1, 9]))}, "not in order"),
        ({"dim_metadata": level(array_indices=index([1, 0, 4]))}, "side of 4 has not"),
        ({"dim_metadata": level(array_indices=index([1, -1, 3]))}, "side of 4 has not"),
        ({"dim_metadata": level(array_indices=index([1, 3, 3]))}, "not in order"),
        ({"dim_metadata": level(array_segments=index([0, 1, 1, 2]))}, "2 values"),
        ({"dim_metadata": [{"dense_size": 3}, {"format": 1}]}, "no array segments"),
        ({"dim_metadata": [{"dense_size": 3}, {"dense_size": 4}]}, "12 values"),
    ],
)
def test_sparsity_that_does_not_fit_together_is_refused(changes, message):
    model = with_tensor(*csr(**changes))
    with pytest.raises(Corrupt, match=message) as caught:
        values(model)
    assert caught.value.offset is not None


def test_an_unknown_kind_of_level_is_not_supported():
    with pytest.raises(Unsupported, match="DimensionType 4"):
        values(with_tensor(*csr(dim_metadata=level(format=4))))


def test_a_sparse_block_is_not_supported():
    fields, stored = csr(traversal_order=[0, 1, 2], block_map=[1])
    fields["sparsity"]["dim_metadata"] = [
        {"dense_size": 3},
        {"dense_size": 1},
        {**level()[1], "dense_size": 4},
    ]
    with pytest.raises(Unsupported, match="a level of blocks is SPARSE_CSR"):
        values(with_tensor(fields, stored))


@pytest.mark.parametrize("size", [0, -1, 3])
def test_a_block_that_does_not_divide_its_side_is_refused(size):
    fields, stored = csr(traversal_order=[0, 1, 2], block_map=[1])
    fields["sparsity"]["dim_metadata"] = [*level(), {"dense_size": size}]
    with pytest.raises(Corrupt, match="in blocks of"):
        values(with_tensor(fields, stored))


def test_a_sparse_tensor_of_texts_is_refused():
    fields, stored = csr()
    model = with_tensor({**fields, "type": kind("int4")}, stored)
    with pytest.raises(Corrupt, match="int4"):
        values(model)


def huge(shape):
    """A tensor of this shape of which one value is stored, the last."""
    one = [
        {"format": 1, "array_segments": index([0, 1]), "array_indices": index([side - 1])}
        for side in shape
    ]
    sparsity = {"traversal_order": list(range(len(shape))), "dim_metadata": one}
    return {"shape": shape, "sparsity": sparsity}, struct.pack("<f", 2)


def test_a_size_that_is_declared_and_hardly_stored_is_refused():
    model = with_tensor(*huge([1 << 20, 1 << 20]))
    with pytest.raises(LimitExceeded) as caught:
        payload_of(model, model.subgraphs[0].tensors[0])
    assert caught.value.name == "bomb_ratio"


def test_zeros_that_are_not_stored_are_not_allocated():
    model = with_tensor(*huge([1 << 12, 1 << 13]))
    payload = payload_of(model, model.subgraphs[0].tensors[0])
    tracemalloc.start()
    total = sum(float(one.sum()) if one.strides != (0,) else 0 for one in payload.blocks(1 << 16))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert total == 2


def test_values_out_of_order_are_bounded_in_memory():
    dense = np.ones((2, 8), "f4")
    fields, stored = encode(dense, [1, 0], [], [], [False, True])
    tensor = {"shape": [2, 8], "sparsity": fields}
    model = with_tensor(tensor, stored.tobytes())
    assert values(model) == [1] * 16
    with pytest.raises(LimitExceeded) as caught:
        values(model, limits=Limits(chunk_bytes=8 * 15))
    assert caught.value.name == "chunk_bytes"


# --- hostile files ---


def test_a_file_cut_anywhere_is_refused_by_name():
    raw = flatbuffer(PARTS)
    whole = read_model(MemorySource(raw, "m"))
    for size in range(len(raw)):
        # Nothing that is read may lie behind the cut, and padding alone may be missing.
        with contextlib.suppress(Truncated, UnknownFormat):
            read_model(MemorySource(raw[:size], "m"))
            missing = [one for one in ranges(whole) if one.offset + one.length > size]
            assert all(one.label in ("padding", "behind", "strings", "tables") for one in missing)


@settings(max_examples=400, deadline=3000)
@given(st.data())
def test_a_mutated_model_is_read_or_refused_by_name(data):
    raw = bytearray(flatbuffer(PARTS) + b"behind")
    for _ in range(data.draw(st.integers(1, 4))):
        form = data.draw(st.sampled_from(["<B", "<H", "<I"]))
        size = struct.calcsize(form)
        at = data.draw(st.integers(0, len(raw) - size))
        number = data.draw(st.sampled_from([0, 1, 2, 255, (1 << 8 * size) - 1, 1 << 8 * size - 1]))
        struct.pack_into(form, raw, at, min(number, (1 << 8 * size) - 1))
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    with contextlib.suppress(InspectorError):
        model = read_model(MemorySource(bytes(raw), "m"), Limits(bomb_bytes=1 << 16))
        for graph in model.subgraphs:
            for tensor in graph.tensors:
                with contextlib.suppress(InspectorError):
                    payload = payload_of(model, tensor, Limits(bomb_bytes=1 << 16))
                    if payload is not None:
                        sum(one.size for one in payload.blocks(1 << 16))
        assert sum(totals(model).values()) == len(raw)
