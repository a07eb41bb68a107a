import contextlib
import struct
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import Corrupt, InspectorError, LimitExceeded, Truncated, UnknownFormat
from inspector.limits import Limits
from inspector.storage import MemorySource
from inspector.wire.flatbuffer import SCALARS, Flatbuffer
from inspector.wire.flatbuffer_schema import Record, Schema, claims
from tests.builders.flatbuffers import flatbuffer

SCHEMA = Schema(
    {
        "Root": " ".join(
            [
                *(f"one_{kind}:{kind}" for kind in SCALARS),
                *(f"many_{kind}:[{kind}]" for kind in SCALARS),
                "- text:string texts:[string] inner:Root list:[Root] choice:Choice last:int32=7",
            ]
        ),
        "Leaf": "value:int16=-3 ratio:float32=0.5 flag:bool=true",
        "Empty": "",
    },
    {"Choice": ("Leaf", "Root", "Empty")},
)


def record(raw, kind="Root", schema=SCHEMA, limits=None):
    return Record(
        Flatbuffer(MemorySource(raw, "f"), limits or Limits()).root(b"TFL3"), kind, schema
    )


def build(values, kind="Root"):
    return flatbuffer(values, kind, SCHEMA)


# --- what is written is read ---


def span(kind):
    if kind == "bool":
        return st.booleans()
    if kind.startswith("float"):
        return st.floats(width=int(kind[5:]), allow_nan=False)
    bits = int(kind.lstrip("uint"))
    low, high = (0, 1 << bits) if kind.startswith("u") else (-1 << bits - 1, 1 << bits - 1)
    return st.integers(low, high - 1)


def tables(depth):
    fields = {
        **{f"one_{kind}": span(kind) for kind in SCALARS},
        **{f"many_{kind}": st.lists(span(kind), max_size=4) for kind in SCALARS},
        "text": st.text(max_size=9),
        "texts": st.lists(st.text(max_size=5), max_size=3),
        "last": span("int32"),
    }
    if depth:
        fields |= {
            "inner": tables(depth - 1),
            "list": st.lists(tables(depth - 1), max_size=3),
            "choice": st.one_of(
                st.tuples(st.just("Root"), tables(depth - 1)),
                st.tuples(st.just("Leaf"), st.fixed_dictionaries({"value": span("int16")})),
                st.tuples(st.just("Empty"), st.just({})),
            ),
        }
    return st.fixed_dictionaries({}, optional=fields)


def assert_same(found, written):
    for name, field in SCHEMA.fields("Root").items():
        value, assigned = found[name], written.get(name)
        if assigned is None:
            assert not found.has(name)
            if field.many:
                assert len(value) == 0
            else:
                assert value == field.default
        elif field.kind == "Choice":
            which, inner = assigned
            assert value.kind == which
            if which == "Root":
                assert_same(value, inner)
            elif which == "Leaf":
                assert value["value"] == inner["value"]
        elif field.kind == "Root":
            pairs = zip(value, assigned, strict=True) if field.many else [(value, assigned)]
            for one, other in pairs:
                assert_same(one, other)
        elif field.many and field.kind != "string":
            assert value.tolist() == assigned
            assert found.numbers(name) == tuple(assigned)
        elif field.many:
            assert value == tuple(assigned)
        else:
            assert value == assigned


@settings(max_examples=150, deadline=None)
@given(tables(2))
def test_what_a_builder_writes_is_read(values):
    assert_same(record(build(values)), values)


@settings(max_examples=80, deadline=None)
@given(tables(2))
def test_every_part_is_claimed_once_and_only_zeros_are_left(values):
    raw = build(values)
    taken = bytearray(len(raw))
    for claim in claims(record(raw)):
        part = slice(claim.offset, claim.offset + claim.length)
        assert claim.length == len(taken[part])
        assert not any(taken[part])
        taken[part] = b"\1" * claim.length
    assert not any(byte for byte, is_taken in zip(raw, taken, strict=True) if not is_taken)


def test_defaults_are_the_schema_s():
    leaf = record(build({}, "Leaf"), "Leaf")
    assert (leaf["value"], leaf["ratio"], leaf["flag"]) == (-3, 0.5, True)
    assert record(build({}))["last"] == 7


def test_a_slot_out_of_use_keeps_its_place():
    fields = SCHEMA.fields("Root")
    assert fields["text"].slot == 2 * len(SCALARS) + 1
    # A union takes two slots: its type, then its value.
    assert fields["last"].slot == fields["choice"].slot + 2


def test_a_union_of_a_type_unknown_is_none_and_tells_its_number():
    found = record(build({"choice": (9, {})}))
    assert found["choice"] is None
    assert found.choice("choice") == 9


def test_fields_of_a_later_schema_are_passed_over():
    later = Schema({"Root": "text:string more:int32 inner:Root"})
    raw = flatbuffer({"text": "a", "more": 1, "inner": {"text": "b"}}, "Root", later)
    assert record(raw, schema=Schema({"Root": "text:string"}))["text"] == "a"


def test_a_table_that_the_schema_lacks_is_our_mistake():
    with pytest.raises(KeyError):
        SCHEMA.fields("Nothing")


def test_a_struct_and_a_vector_of_structs_are_read():
    # A table at 24 whose slot 0 is a struct of (int16, padding, float32), slot 1 a vector of them.
    raw = struct.pack("<I4s", 24, b"TFL3")
    raw += struct.pack("<HHHH", 8, 16, 4, 12) + bytes(8)
    raw += struct.pack("<ihxxfI", 16, -2, 0.25, 4)
    raw += struct.pack("<Ihxxfhxxf", 2, 1, 1.5, 2, 2.5)
    table = Flatbuffer(MemorySource(raw, "f")).root()
    assert table.struct(0, "<hxxf") == (-2, 0.25)
    kind = np.dtype({"names": ["a", "b"], "formats": ["<i2", "<f4"], "offsets": [0, 4]})
    place = table.vector(1, 8)
    assert table.buffer.array(place, kind).tolist() == [(1, 1.5), (2, 2.5)]


def test_a_vector_of_numbers_is_a_view_of_the_file():
    raw = build({"many_float32": [1.0, 2.0]})
    values = record(raw).array("many_float32")
    assert not values.flags.owndata
    assert not values.flags.writeable


def test_text_that_is_no_utf_8_is_kept_readable():
    assert record(build({"text": b"a\xff"}))["text"] == "a\\xff"


def test_lists_of_tables_behave_as_sequences():
    rows = record(build({"list": [{"last": 1}, {"last": 2}, {"last": 3}]})).records("list")
    assert [one["last"] for one in rows[1:]] == [2, 3]
    assert rows[-1]["last"] == 3
    with pytest.raises(IndexError):
        rows[3]


# --- what is wrong with a file ---


def test_another_identifier_is_another_format():
    with pytest.raises(UnknownFormat, match="'ABCD'") as caught:
        record(flatbuffer({}, "Root", SCHEMA, b"ABCD"))
    assert caught.value.offset == 4


@pytest.mark.parametrize("size", range(8))
def test_a_file_shorter_than_its_header_is_refused(size):
    with pytest.raises((Truncated, UnknownFormat)):
        record(build({})[:size])


def test_an_offset_past_the_end_is_refused_where_it_leads():
    raw = struct.pack("<I4s", 4000, b"TFL3")
    with pytest.raises(Truncated, match="of 8") as caught:
        record(raw)
    assert caught.value.offset == 4000


def test_an_offset_to_itself_is_refused():
    raw = bytearray(build({"inner": {}}))
    at = record(raw).table.at(SCHEMA.fields("Root")["inner"].slot)
    raw[at : at + 4] = bytes(4)
    with pytest.raises(Corrupt, match="leads to itself") as caught:
        record(raw)["inner"]
    assert caught.value.offset == at


def test_a_vector_longer_than_the_file_is_refused_without_memory():
    raw = bytearray(build({"many_int64": [1]}))
    at = record(raw).vector("many_int64").offset - 4
    raw[at : at + 4] = b"\xff" * 4
    tracemalloc.start()
    with pytest.raises(Truncated, match="4,294,967,295 items") as caught:
        record(raw)["many_int64"]
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert caught.value.offset == at + 4


@pytest.mark.parametrize(
    ("vtable", "table"),
    [
        (struct.pack("<HH", 3, 4), "odd, and shorter than its own header"),
        (struct.pack("<HH", 2, 4), "shorter than its own header"),
        (struct.pack("<HH", 4, 3), "a table without room for its offset"),
    ],
)
def test_a_vtable_that_cannot_be_is_refused(vtable, table):
    raw = struct.pack("<I4s4si", 12, b"TFL3", vtable, 4)
    with pytest.raises(Corrupt, match="vtable") as caught:
        record(raw)
    assert caught.value.offset == 8, table


def test_a_vtable_before_the_file_is_refused():
    with pytest.raises(Corrupt, match="before the file"):
        record(struct.pack("<I4si", 8, b"TFL3", 100))


def test_a_vtable_behind_the_file_is_refused():
    with pytest.raises(Truncated, match="vtable"):
        record(struct.pack("<I4si", 8, b"TFL3", -100))


def test_a_field_on_its_table_s_header_is_refused():
    raw = struct.pack("<I4sHHHxxi", 16, b"TFL3", 6, 8, 2, 8)
    with pytest.raises(Corrupt, match="header"):
        record(raw)["one_bool"]


def nested(depth):
    values = {}
    for _ in range(depth):
        values = {"inner": values}
    return build(values)


def test_tables_in_tables_end_at_the_limit():
    def bottom(found):
        return found if found["inner"] is None else bottom(found["inner"])

    assert bottom(record(nested(30), limits=Limits(depth=30))).table.depth == 30
    with pytest.raises(LimitExceeded) as caught:
        bottom(record(nested(31), limits=Limits(depth=30)))
    assert caught.value.name == "depth"


def test_the_map_of_tables_in_tables_ends_at_the_limit():
    with pytest.raises(LimitExceeded):
        list(claims(record(nested(40), limits=Limits(depth=30))))


def test_one_table_in_many_lists_is_mapped_once():
    # Each of 12 lists leads 50 times to the next: 50 ** 12 ways to the last table.
    depth, width = 12, 50
    values = {}
    for _ in range(depth):
        values = {"list": [values] + [{}] * (width - 1)}
    raw = bytearray(build(values))
    found, length = record(raw), 0
    while len(found["list"]):
        place = found.vector("list")
        first = struct.unpack_from("<I", raw, place.offset)[0]
        for index in range(width):
            struct.pack_into("<I", raw, place.offset + 4 * index, first - 4 * index)
        found, length = record(raw), length + 1
        for _ in range(length):
            found = found["list"][0]
    start = time.perf_counter()
    mapped = [one for one in claims(record(raw)) if one.what == "table"]
    assert len(mapped) == depth + 1
    assert time.perf_counter() - start < 5


def test_texts_over_one_another_end_at_the_limit():
    # Texts of 16, 12, 8 and 4 bytes, each inside the one before.
    inner = b"".join(struct.pack("<I", 4 * left) for left in range(3, 0, -1)) + b"ende"
    raw = bytearray(build({"texts": [inner, "", "", ""]}))
    place = record(raw).vector("texts")
    first = struct.unpack_from("<I", raw, place.offset)[0] + place.offset
    for index in range(4):
        at = place.offset + 4 * index
        struct.pack_into("<I", raw, at, first + 4 * index - at)
    assert len(record(raw)["texts"]) == 4
    with pytest.raises(LimitExceeded) as caught:
        record(raw, limits=Limits(keys_bytes=30))["texts"]
    assert (caught.value.name, caught.value.value) == ("keys_bytes", 16 + 12 + 8)


def test_numbers_turned_into_values_end_at_the_limit_and_count_once():
    found = record(build({"many_int8": [1] * 9}), limits=Limits(vector_numbers=10))
    assert found.numbers("many_int8") == found.numbers("many_int8") == (1,) * 9
    with pytest.raises(LimitExceeded) as caught:
        record(build({"many_int8": [1] * 11}), limits=Limits(vector_numbers=10)).numbers(
            "many_int8"
        )
    assert caught.value.name == "vector_numbers"


def test_a_text_longer_than_the_limit_is_refused():
    found = record(build({"text": "a" * 9}), limits=Limits(member_bytes=8))
    with pytest.raises(LimitExceeded):
        found["text"]


def walk(found, left):
    """Read every field, and a few of every list."""
    for name, field in SCHEMA.fields(found.kind).items():
        value = found[name]
        if isinstance(value, Record):
            inner = [value]
        elif field.many and field.kind == "Root":
            inner = value[:3]
        else:
            inner = []
        for one in inner:
            if left:
                walk(one, left - 1)


@settings(max_examples=300, deadline=2000)
@given(tables(2), st.data())
def test_a_mutated_file_is_read_or_refused_by_name(values, data):
    raw = bytearray(build(values))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["<B", "<H", "<I"]))
        size = struct.calcsize(kind)
        if at + size <= len(raw):
            number = data.draw(st.sampled_from([0, 1, 4, (1 << 8 * size) - 1, 1 << 8 * size - 1]))
            struct.pack_into(kind, raw, at, number)
    raw = raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw
    for use in (lambda one: walk(one, 3), lambda one: list(claims(one))):
        with contextlib.suppress(InspectorError):
            use(record(bytes(raw)))


@settings(max_examples=300, deadline=2000)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_name(raw):
    with contextlib.suppress(InspectorError):
        found = record(struct.pack("<I", 8) + b"TFL3" + raw)
        walk(found, 3)
        list(claims(found))
