import struct
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import Corrupt, InspectorError, LimitExceeded, Truncated
from inspector.limits import Limits
from inspector.storage import MemorySource
from inspector.wire.protobuf import (
    Message,
    Wire,
    fields,
    message,
    read_varint,
    short_fields,
    signed,
    zigzag,
)
from inspector.wire.protobuf_schema import (
    Packed,
    many,
    mapping,
    maybe,
    numbers,
    one,
    packed,
    parse,
)
from tests.builders.bundles import chunk, fixed32, number, tag, varint

# --- the official runtime as oracle ---

SCALAR_TYPES = {
    "int32": 5,
    "int64": 3,
    "uint32": 13,
    "uint64": 4,
    "sint32": 17,
    "sint64": 18,
    "bool": 8,
    "fixed32": 7,
    "fixed64": 6,
    "sfixed32": 15,
    "sfixed64": 16,
    "float": 2,
    "double": 1,
    "string": 9,
    "bytes": 12,
}
NODE = {
    **{index: one(f"one_{kind}", kind) for index, kind in enumerate(SCALAR_TYPES, 1)},
    **{index: many(f"many_{kind}", kind) for index, kind in enumerate(SCALAR_TYPES, 101)},
    **{index: many(f"loose_{kind}", kind) for index, kind in enumerate(SCALAR_TYPES, 201)},
    301: mapping("by_name", "string", "int64"),
    304: maybe("presence", "int32"),
}
NODE[302] = one("inner", NODE)
NODE[303] = many("nodes", NODE)


@pytest.fixture(scope="module")
def official():
    """A message class of the official runtime with the fields of NODE."""
    descriptor = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    file = descriptor.FileDescriptorProto(name="node.proto", package="t", syntax="proto3")
    node = file.message_type.add(name="Node")
    for start, label, word, loose in ((1, 1, "one", 0), (101, 3, "many", 0), (201, 3, "loose", 1)):
        for index, (kind, code) in enumerate(SCALAR_TYPES.items(), start):
            added = node.field.add(name=f"{word}_{kind}", number=index, type=code, label=label)
            if loose and kind not in ("string", "bytes"):
                added.options.packed = False
    pair = node.nested_type.add(name="ByNameEntry")
    pair.options.map_entry = True
    pair.field.add(name="key", number=1, type=9, label=1)
    pair.field.add(name="value", number=2, type=3, label=1)
    node.field.add(name="by_name", number=301, type=11, label=3, type_name=".t.Node.ByNameEntry")
    node.field.add(name="inner", number=302, type=11, label=1, type_name=".t.Node")
    node.field.add(name="nodes", number=303, type=11, label=3, type_name=".t.Node")
    node.oneof_decl.add(name="_presence")
    node.field.add(
        name="presence", number=304, type=5, label=1, oneof_index=0, proto3_optional=True
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Node"))


def ranged(bits, sign):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if sign else (0, (1 << bits) - 1)
    return st.integers(low, high) | st.sampled_from([low, high, 0, 1])


VALUES = {
    "int32": ranged(32, True),
    "int64": ranged(64, True),
    "uint32": ranged(32, False),
    "uint64": ranged(64, False),
    "sint32": ranged(32, True),
    "sint64": ranged(64, True),
    "bool": st.booleans(),
    "fixed32": ranged(32, False),
    "fixed64": ranged(64, False),
    "sfixed32": ranged(32, True),
    "sfixed64": ranged(64, True),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(st.characters(exclude_categories=["Cs"])),
    "bytes": st.binary(max_size=40),
}
SCALARS = st.fixed_dictionaries(
    {},
    optional={
        **{f"one_{kind}": values for kind, values in VALUES.items()},
        **{f"many_{kind}": st.lists(values, max_size=4) for kind, values in VALUES.items()},
        **{f"loose_{kind}": st.lists(values, max_size=4) for kind, values in VALUES.items()},
        "by_name": st.dictionaries(VALUES["string"], VALUES["int64"], max_size=3),
        "presence": VALUES["int32"],
    },
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.builds(
        lambda own, one, more: own | ({"inner": one} if one else {}) | {"nodes": more},
        SCALARS,
        st.none() | inner,
        st.lists(inner, max_size=2),
    ),
    max_leaves=4,
)


def as_official(node):
    """What the official runtime read, in the shape that `parse` gives."""
    found = {}
    for slot in NODE.values():
        value = getattr(node, slot.name)
        if slot.name == "presence":
            value = value if node.HasField("presence") else None
        elif slot.name == "inner":
            value = as_official(value) if node.HasField("inner") else None
        elif slot.name == "nodes":
            value = [as_official(one) for one in value]
        elif slot.rule == "map":
            value = dict(value)
        elif slot.rule == "many":
            value = list(value)
        found[slot.name] = value
    return found


def read_as_ours(data):
    source = MemorySource(data, "node.pb")

    def plain(values):
        for slot in NODE.values():
            value = values[slot.name]
            if slot.kind == "bytes":
                places = value if slot.rule == "many" else [value]
                texts = [bytes(source.view(at.offset, at.length)) if at else b"" for at in places]
                values[slot.name] = texts if slot.rule == "many" else texts[0]
            elif slot.name == "inner" and value is not None:
                plain(value)
            elif slot.name == "nodes":
                for node in value:
                    plain(node)
        return values

    return plain(parse(message(source), NODE))


@settings(max_examples=150, deadline=None)
@given(trees=st.lists(TREES, min_size=1, max_size=3))
def test_messages_read_as_the_official_runtime_reads_them(official, trees):
    # Messages one behind another merge: the last value wins, lists grow, inner messages merge.
    data = b"".join(official(**tree).SerializeToString() for tree in trees)
    node = official.FromString(data)
    assert read_as_ours(data) == as_official(node)
    for kind in VALUES:
        if kind in ("string", "bytes"):
            continue
        for start in (101, 201):
            at = start + list(SCALAR_TYPES).index(kind)
            source = MemorySource(data, "node.pb")
            found = numbers(source, packed(message(source), at, kind))
            assert found.tolist() == list(getattr(node, NODE[at].name))


@settings(max_examples=400, deadline=None)
@given(data=st.binary(max_size=60))
def test_what_is_refused_is_refused_by_the_official_runtime_too(official, data):
    from google.protobuf.message import DecodeError

    # The other way round does not hold: it looks into nested messages and texts as well.
    try:
        list(fields(MemorySource(data, "x")))
        sound = True
    except InspectorError:
        sound = False
    try:
        official.FromString(data)
        theirs = True
    except DecodeError:
        theirs = False
    assert sound or not theirs


@settings(max_examples=200, deadline=None)
@given(tree=TREES, seed=st.integers(0, 1 << 30))
def test_broken_messages_end_in_typed_errors(official, tree, seed):
    data = bytearray(official(**tree).SerializeToString())
    if data:
        data[seed % len(data)] ^= 1 << seed % 8
    for content in (bytes(data), bytes(data[: seed % (len(data) + 1)])):
        try:
            read_as_ours(content)
        except InspectorError as error:
            where = error.offset
        else:
            where = 0
        assert 0 <= where <= len(content)


# --- bytes by hand ---


def scan(data, offset=0, length=None, limits=None):
    return list(fields(MemorySource(data, "x.pb"), offset, length, limits or Limits()))


@given(data=st.one_of(st.binary(max_size=40), st.binary(max_size=12).map(lambda b: b"\x08" + b)))
def test_fields_of_a_short_message_are_those_of_any_other(data):
    found = short_fields(data, 7)

    if found is not None:
        assert found == list(fields(MemorySource(b"#" * 7 + data, "m"), 7))


def test_a_short_message_is_found_at_once_where_it_is_sound_and_common():
    data = number(1, 300) + chunk(2, b"ab") + fixed32(3, 5) + chunk(4, b"x" * 200)

    assert short_fields(data, 0) == list(fields(MemorySource(data, "m")))
    assert short_fields(data[:-1], 0) is None
    assert short_fields(data, 0, Limits(message_fields=3)) is None


def test_each_field_says_where_its_bytes_are():
    # 08 96 01 is the example of the encoding's own documentation: field 1 is 150.
    data = b"\xff" * 3 + bytes.fromhex("089601") + chunk(2, b"testing") + fixed32(3, 7)
    found = scan(data, 3)
    assert [tuple(one) for one in found] == [
        (1, Wire.VARINT, 150, 4, 2),
        (2, Wire.BYTES, 0, 8, 7),
        (3, Wire.FIXED32, 7, 16, 4),
    ]
    assert data[8:15] == b"testing"


def test_a_message_ends_where_it_is_told_to():
    data = number(1, 5) + number(2, 6)
    assert [one.number for one in scan(data, 0, 2)] == [1]


def test_zigzag_and_signs():
    # The documentation's table: 0, -1, 1, -2 are 0, 1, 2, 3; 0xfffffffe is 0x7fffffff.
    assert [zigzag(n) for n in (0, 1, 2, 3, 0xFFFFFFFE, 0xFFFFFFFF)] == [
        *(0, -1, 1, -2, 0x7FFFFFFF, -0x80000000),
    ]
    assert signed((1 << 64) - 2) == -2
    assert signed((1 << 64) - 2, 32) == -2


@pytest.mark.parametrize(
    ("data", "error", "at"),
    [
        (b"\x08", Truncated, 1),  # a varint that is not there
        (b"\x08\x80", Truncated, 1),
        (b"\x08" + b"\xff" * 10 + b"\x01", Corrupt, 1),  # over 10 bytes
        (b"\xff" * 11, Corrupt, 0),  # such a tag
        (b"\x80", Truncated, 0),
        (b"\x0d\1\2\3", Truncated, 0),  # 3 of 4 bytes
        (b"\x09" + b"\0" * 7, Truncated, 0),  # 7 of 8 bytes
        (b"\x12\x05abcd", Truncated, 0),  # 4 of 5 bytes
        (b"\x12" + varint(1 << 63) + b"abcd", Truncated, 0),
        (b"\x08\x01\x00\x01", Corrupt, 2),  # field number 0
        (tag(1 << 29, 0) + b"\1", Corrupt, 0),  # field number past 2**29 - 1
        (b"\x08\x01\x0e", Corrupt, 2),  # wire type 6
        (b"\x0f", Corrupt, 0),  # wire type 7
        (b"\x0c", Corrupt, 0),  # a group's end alone
        (b"\x0b\x14", Corrupt, 1),  # another group's end
        (b"\x0b\x08\x01", Truncated, 3),  # a group without end
    ],
)
def test_unsound_bytes_are_refused_with_their_absolute_place(data, error, at):
    with pytest.raises(error) as raised:
        scan(b"12345" + data, 5)
    assert raised.value.offset == 5 + at


def test_groups_are_passed_over_and_bounded():
    group = tag(7, 3) + number(1, 1) + chunk(2, b"x") + tag(8, 3) + tag(8, 4) + tag(7, 4)
    assert [one.number for one in scan(number(1, 1) + group + number(2, 2))] == [1, 2]
    assert scan((tag(1, 3) * 5) + (tag(1, 4) * 5), limits=Limits(depth=5)) == []
    with pytest.raises(LimitExceeded) as raised:
        scan(tag(1, 3) * 6, limits=Limits(depth=5))
    assert raised.value.offset == 5


def test_the_number_of_fields_is_bounded():
    assert len(scan(number(1, 1) * 10, limits=Limits(message_fields=10))) == 10
    with pytest.raises(LimitExceeded) as raised:
        scan(number(1, 1) * 11, limits=Limits(message_fields=10))
    assert (raised.value.name, raised.value.offset) == ("message_fields", 20)


def test_messages_are_found_by_path_and_the_last_one_wins():
    inner = chunk(2, chunk(3, b"old")) + chunk(2, number(9, 1) + chunk(3, b"new"))
    data = chunk(1, b"") + chunk(1, inner)
    whole = message(MemorySource(data, "x.pb"))
    assert whole.find(1, 2).text(3) == "new"
    assert whole.find(1, 2).number(9) == 1
    assert whole.find(1, 5, 7) is None
    assert [one.text(3) for one in whole.find(1).each(2)] == ["old", "new"]
    assert bytes(whole.find(1, 2).view()) == number(9, 1) + chunk(3, b"new")
    assert list(whole.texts(1)) == ["", inner.decode()]
    assert whole.text(4, "none") == "none"


def test_depth_of_nested_messages_is_bounded():
    data = b""
    for _ in range(10):
        data = chunk(1, data)
    whole = Message(MemorySource(data, "x.pb"), 0, len(data), Limits(depth=9))
    assert whole.find(*[1] * 9) is not None
    with pytest.raises(LimitExceeded):
        whole.find(*[1] * 10)
    schema = {}
    schema[1] = one("inner", schema)
    with pytest.raises(LimitExceeded):
        parse(whole, schema)


def test_text_that_is_no_utf8_stays_apart_and_printable():
    whole = message(MemorySource(chunk(1, b"a\xff") + chunk(1, b"a\xfe"), "x.pb"))
    assert list(whole.texts(1)) == ["a\\xff", "a\\xfe"]
    with pytest.raises(LimitExceeded):
        Message(whole.source, 0, 8, Limits(member_bytes=1)).text(1)


def test_values_of_another_wire_type_are_unknown_fields():
    data = number(1, 5) + fixed32(1, 9) + chunk(2, number(8, 8)) + number(2, 1)
    schema = {1: one("value", "int32"), 2: one("inner", {})}
    assert parse(message(MemorySource(data, "x.pb")), schema) == {"value": 5, "inner": {}}


def test_a_map_entry_without_key_or_value_has_their_defaults():
    schema = {1: mapping("by", "string", {1: one("n", "int32")})}
    data = chunk(1, b"") + chunk(1, chunk(1, b"k")) + chunk(1, chunk(1, b"k") + chunk(2, b"\x08\7"))
    found = parse(message(MemorySource(data, "x.pb")), schema)
    assert found == {"by": {"": {"n": 0}, "k": {"n": 7}}}


def test_packed_numbers_of_fixed_size_are_views_of_the_source():
    values = np.arange(1000, dtype="<f4")
    source = MemorySource(chunk(5, values.tobytes()), "x.pb")
    found = numbers(source, packed(message(source), 5, "float"))
    assert found.tolist() == values.tolist()
    assert found.base is not None
    assert not found.flags.writeable


def test_packed_and_single_numbers_join_in_order():
    data = chunk(1, varint(1) + varint(300)) + number(1, 7) + chunk(1, b"") + chunk(1, varint(-1))
    source = MemorySource(data, "x.pb")
    assert numbers(source, packed(message(source), 1, "int64")).tolist() == [1, 300, 7, -1]
    assert parse(message(source), {1: many("n", "int64")}) == {"n": [1, 300, 7, -1]}
    assert numbers(source, Packed("double", [])).tolist() == []


def test_long_runs_of_packed_varints_are_decoded_piece_by_piece():
    # Lengths 1 to 10, so that pieces end within one wherever they are cut.
    values = [(1 << (7 * (n % 10))) + n % 3 for n in range(150_000)]
    data = chunk(1, b"".join(map(varint, values)))
    source = MemorySource(data, "x.pb")
    assert numbers(source, packed(message(source), 1, "uint64")).tolist() == [
        value & (1 << 64) - 1 for value in values
    ]


@pytest.mark.parametrize(
    ("kind", "data", "error"),
    [
        ("int64", b"\1\x80", Truncated),
        ("int64", b"\x80", Truncated),
        ("int64", b"\1" + b"\x80" * 10 + b"\1", Corrupt),
        ("int64", b"\x80" * 500_000, Corrupt),
        ("float", b"\0" * 7, Corrupt),
        ("double", b"\0" * 7, Corrupt),
    ],
)
def test_unsound_packed_numbers_are_refused(kind, data, error):
    source = MemorySource(chunk(1, data), "x.pb")
    with pytest.raises(error):
        numbers(source, packed(message(source), 1, kind))


def test_what_is_parsed_or_unpacked_whole_is_bounded():
    source = MemorySource(chunk(1, b"\1" * 100), "x.pb")
    with pytest.raises(LimitExceeded) as raised:
        numbers(source, packed(message(source), 1, "int32"), Limits(packed_bytes=99))
    assert raised.value.name == "packed_bytes"
    limits = Limits(parsed_fields=100)
    with pytest.raises(LimitExceeded) as raised:
        parse(message(source, limits), {1: many("n", "int32")})
    assert raised.value.name == "parsed_fields"
    nested = MemorySource(chunk(1, chunk(1, b"") * 60) * 2, "x.pb")
    with pytest.raises(LimitExceeded):
        parse(message(nested, limits), {1: many("a", {1: many("b", {})})})


def test_scanning_a_long_message_holds_nothing_of_it():
    data = (number(1, 5) + chunk(2, b"y" * 100)) * 20_000
    source = MemorySource(data, "x.pb")
    tracemalloc.start()
    started = time.process_time()
    assert sum(1 for _ in fields(source)) == 40_000
    assert time.process_time() - started < 5
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_a_varint_may_end_with_the_bytes():
    assert read_varint(memoryview(b"\xac\x02"), 0, "x") == (300, 2)
    assert read_varint(memoryview(struct.pack("<10B", *[255] * 9, 1)), 0, "x") == (
        (1 << 64) - 1,
        10,
    )
