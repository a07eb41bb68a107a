import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import Corrupt, LimitExceeded, Truncated
from inspector.limits import Limits
from inspector.storage import MemorySource
from inspector.wire.graph_def import attr_tensor, read_graph
from inspector.wire.protobuf_schema import SCALARS
from inspector.wire.tensor_values import read_tensor, strings
from inspector.wire.tensorflow_messages import known
from inspector.wire.text_format import to_binary
from tests.builders.official import official

NAMES = ("SavedModel", "CheckpointState")


@pytest.fixture(scope="module")
def classes():
    return official(*NAMES)


def encoded(text, kind="GraphDef", **limits):
    data = text if isinstance(text, bytes) else text.encode()
    return to_binary(MemorySource(data, "graph.pbtxt"), kind, Limits(**limits))


def binary(text, kind="GraphDef"):
    return bytes(encoded(text, kind).message.view())


# --- against the official runtime ---

INTEGERS = {
    "int32": (-(1 << 31), (1 << 31) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "sint64": (-(1 << 63), (1 << 63) - 1),
    "uint32": (0, (1 << 32) - 1),
    "uint64": (0, (1 << 64) - 1),
    "fixed32": (0, (1 << 32) - 1),
    "fixed64": (0, (1 << 64) - 1),
}
SCALAR_VALUES = {
    **{kind: st.integers(*ends) | st.sampled_from(ends) for kind, ends in INTEGERS.items()},
    "bool": st.booleans(),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    "bytes": st.binary(max_size=12),
}


@st.composite
def messages(draw, kind, depth=3):
    """Values of a random few of a message's fields, as the official runtime's constructor wants."""
    table = known(kind)
    values = {}
    for name in draw(st.lists(st.sampled_from(sorted(table) or [""]), max_size=4, unique=True)):
        if not name:
            continue
        one = table[name]
        key, _, value = one.kind.partition(":")
        if value or one.is_message:
            if depth == 0:
                continue
            inner = (
                SCALAR_VALUES[value]
                if value in SCALAR_VALUES
                else messages(value or key, depth - 1)
            )
            if value:
                drawn = draw(st.dictionaries(SCALAR_VALUES[key], inner, max_size=2))
            else:
                drawn = draw(st.lists(inner, max_size=2) if one.repeated else inner)
        else:
            scalar = (
                st.sampled_from(sorted(one.values.values()))
                if one.values
                else SCALAR_VALUES[one.kind]
            )
            drawn = draw(st.lists(scalar, max_size=4) if one.repeated else scalar)
        values[name] = drawn
    return values


def built(classes, kind, values):
    made = classes[kind]()
    for name, value in values.items():
        one = known(kind)[name]
        key, _, inner = one.kind.partition(":")
        if inner in classes:
            for word, entry in value.items():
                getattr(made, name)[word].CopyFrom(built(classes, inner, entry))
        elif inner:
            getattr(made, name).update(value)
        elif one.is_message and one.repeated:
            getattr(made, name).extend(built(classes, key, entry) for entry in value)
        elif one.is_message:
            getattr(made, name).CopyFrom(built(classes, key, value))
        elif one.repeated:
            getattr(made, name).extend(value)
        else:
            setattr(made, name, value)
    return made


STYLES = [
    {},
    {"as_one_line": True},
    {"use_short_repeated_primitives": True},
    {"pointy_brackets": True, "as_utf8": True},
]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["GraphDef", "SavedModel", "MetaGraphDef", "CheckpointState", "TensorProto"]
    ).flatmap(lambda kind: st.tuples(st.just(kind), messages(kind))),
    st.sampled_from(STYLES),
)
def test_what_the_official_printer_writes_comes_back_as_the_same_message(classes, drawn, style):
    from google.protobuf import text_format

    kind, values = drawn
    expected = built(classes, kind, values)
    text = text_format.MessageToString(expected, **style)
    assert classes[kind].FromString(binary(text, kind)) == expected


ODD_BUT_SOUND = {
    "comments, and a last line without an end": 'node {  # one\n name: "a" # {"\n} # two',
    "pointy brackets": 'node < name: "a" op: "b" >',
    "a colon before a message": 'node: { name: "a" }',
    "separators": 'node { name: "a", op: "b"; }, versions { producer: 3 };',
    "a list of messages": 'node: [{ name: "a" }, < name: "b" >]',
    "a list of messages without a colon": 'node [{ name: "a" }]',
    "an empty list": "node { input: [] }",
    "a list of strings": 'node { input: ["a", "b" "c"] }',
    "strings side by side": 'node { name: "a" \'b\'\n "c" }',
    "quotes in quotes": 'node { name: \'say "a"\' op: "it\'s" }',
    "escapes": r'node { attr { key: "k" value { s: "\a\b\f\n\r\t\v\\\'\"\0\12\377\x7\x7f" } } }',
    "unicode escapes": r'node { name: "\u00e9\U0001F600" }',
    "octal digits after three": r'node { attr { key: "k" value { s: "\0011\18\78" } } }',
    "utf-8 as it is": 'node { name: "é😀" }',
    "both in one": r'node { name: "é\303\251" }',
    "hexadecimal and octal": "version: 0x1F versions { producer: 017 min_consumer: -0x1 }",
    "floats": 'node { attr { key: "k" value { list { f: [1, -1.5, .5, 1e-3, 2E+2, 1.f, 3F] } } } }',
    "infinite": 'node { attr { key: "k" value { list { f: [inf, -inf, Infinity, 1e39] } } } }',
    "words of a bool": 'node { attr { key: "k" value { list { b: [true, t, 1, false, f, 0] } } } }',
    "an enumeration by name and number": (
        'node { attr { key: "k" value { list { type: [DT_FLOAT, 3, DT_HALF_REF] } } } }'
    ),
    "a repeated number here and there": (
        'node { attr { key: "k" value { tensor { int_val: 1 int_val: [2, 3] dtype: DT_INT32 '
        "int_val: 4 } } } }"
    ),
    "a map's entry without a value": 'node { attr { key: "k" } }',
    "nothing": "  # nothing\n",
}


@pytest.mark.parametrize("text", ODD_BUT_SOUND.values(), ids=ODD_BUT_SOUND)
def test_odd_texts_mean_what_the_official_parser_says(classes, text):
    from google.protobuf import text_format

    expected = text_format.Parse(text, classes["GraphDef"]())
    assert classes["GraphDef"].FromString(binary(text)) == expected


BROKEN = {
    "an unknown field": 'node {\n nam: "a" }',
    "an unknown name of a dtype": 'node { attr { key: "k"\n value { type: DT_FLOT } } }',
    "no colon": 'node {\n name "a" }',
    "no value": "node {\n name: }",
    "a word for a text": "node {\n name: a }",
    "a text for a number": '\nversion: "1"',
    "a word for a number": "\nversion: one",
    "a fraction for an integer": "\nversion: 1.5",
    "underscores in a number": "\nversion: 1_0",
    "past 32 bits": "\nversion: 2147483648",
    "below zero": 'node { attr { key: "k" value { tensor {\nuint64_val: -1 } } } }',
    "8 is no octal digit": "\nversion: 08",
    "a number for a message": "\nversions: 3",
    "a list for one value": "\nversion: [1, 2]",
    "a list that does not go on": 'node { input: ["a"\n "b" : ] }',
    "the wrong closing mark": "node {\n>",
    "a closing mark too many": "node { }\n}",
    "a text over two lines": 'node {\n name: "a\nb" }',
    "a text that does not end": 'node {\n name: "a',
    "an escape of nothing": 'node {\n name: "\\q" }',
    "an escape past a byte": 'node {\n name: "\\777" }',
    "half a surrogate": 'node {\n name: "\\ud800" }',
    "a sign for a name": "node { }\n-",
}


# Python's parser lets these pass; the one in C++ and the specification do not.
LAX = ("underscores in a number", "an escape of nothing", "an escape past a byte")


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_broken_texts_are_refused_with_their_line(classes, text):
    from google.protobuf import text_format

    if text not in map(BROKEN.get, LAX):
        with pytest.raises((text_format.ParseError, ValueError)):
            text_format.Parse(text, classes["GraphDef"]())
    with pytest.raises(Corrupt, match=r"^graph.pbtxt: line \d") as caught:
        encoded(text)
    # Each of them is broken in its second line, if it has two.
    assert caught.value.message.startswith("line 2:" if "\n" in text else "line 1:")
    assert text[: caught.value.offset].count("\n") == text.count("\n", 0, caught.value.offset)


def test_a_sign_may_stand_apart_and_a_question_mark_be_escaped():
    # As the specification has it; Python's own parser refuses the one and keeps the other as it is.
    assert binary("version: - 1") == b"\x18" + b"\xff" * 9 + b"\x01"
    assert binary('node { name: "\\?" }') == b"\x0a\x03\x0a\x01?"


def test_a_text_that_ends_early_is_truncated():
    with pytest.raises(Truncated, match="line 3: the text ends within a message"):
        encoded('node {\n  name: "a"\n')


def test_every_cut_of_a_text_ends_in_a_typed_error_or_in_a_message():
    text = (
        'node { name: "a\\n" op: "Const" attr { key: "value" value { tensor { dtype: DT_FLOAT\n'
        "tensor_shape { dim { size: 2 } } float_val: [1.5, -2] } } } } versions: < producer: 9 >\n"
    )
    for cut in range(len(text)):
        try:
            encoded(text[:cut])
        except (Corrupt, Truncated):
            continue


def test_what_is_nan_is_nan():
    text = 'node { attr { key: "k" value { list { f: [nan, -NaN] } } } }'
    assert binary(text)[-8:-4] == struct.pack("<f", float("nan"))
    assert struct.unpack("<f", binary(text)[-4:])[0] != struct.unpack("<f", binary(text)[-4:])[0]


def test_names_in_brackets_are_passed_over_with_their_values():
    text = """
    meta_info_def {
      any_info {
        [type.googleapis.com/some.Thing] { inner < text: "a } # no comment" > more: [1, {}] # }
        }
      }
      [some.extension]: "text" 'more'
      [another]: [ { } ]
      [third]: -3
      tags: "serve"
    }
    """
    # any_info is field 3 of meta_info_def (1) and empty; tags are its field 4.
    assert binary(text, "MetaGraphDef") == b"\x0a\x09\x1a\x00\x22\x05serve"


@pytest.mark.parametrize("text", ["[a", "[a]", "[a] {", "[a] { ]", "[a] }", "[a]: :"])
def test_names_in_brackets_without_an_end_are_refused(text):
    with pytest.raises(Corrupt):
        encoded(text)


def test_a_singular_field_that_comes_twice_has_its_last_value():
    twice = encoded('node { name: "a" name: "b" } version: 1 version: 2')
    graph = read_graph(twice.message)
    assert (graph.nodes[0].name, graph.producer) == ("b", 2)


def test_a_checkpoint_state_gives_its_paths():
    text = (
        'model_checkpoint_path: "ckpt-2"\nall_model_checkpoint_paths: "ckpt-1"\n'
        'all_model_checkpoint_paths: "ckpt-2"\nlast_preserved_timestamp: 1.5\n'
    )
    state = encoded(text, "CheckpointState").message
    assert state.text(1) == "ckpt-2"
    assert list(state.texts(2)) == ["ckpt-1", "ckpt-2"]


# --- where the constants are in the text ---


def constant(text):
    whole = (
        f'node {{ name: "c" op: "Const" attr {{ key: "value" value {{ tensor {{ {text} }} }} }} }}'
    )
    found = encoded(whole)
    (node,) = read_graph(found.message).nodes
    tensor = attr_tensor(node.attr("value"))
    value = read_tensor(tensor)
    places = [whole[at : at + length] for at, length in found.spans(value.spans)]
    return tensor, value, places


def values(value):
    return [one for block in value.payload.blocks(1 << 20) for one in block.tolist()]


def test_raw_bytes_are_found_in_the_text():
    quoted = r'"\000\000\200?" "\000\000\000@"'
    _, value, places = constant(
        f"dtype: DT_FLOAT tensor_shape {{ dim {{ size: 2 }} }} tensor_content: {quoted}"
    )
    assert (values(value), places) == ([1.0, 2.0], [quoted])


def test_numbers_one_by_one_are_found_as_one_stretch():
    _, value, places = constant(
        "dtype: DT_FLOAT tensor_shape { dim { size: 3 } } "
        "float_val: 1 float_val: 2.5\nfloat_val: -3"
    )
    assert (values(value), places) == (
        [1.0, 2.5, -3.0],
        ["1 float_val: 2.5\nfloat_val: -3"],
    )


def test_numbers_in_a_list_and_apart_are_found_as_they_stand():
    _, value, places = constant(
        "int_val: [1, 2] dtype: DT_INT32 int_val: 3 tensor_shape { dim { size: 3 } }"
    )
    assert (values(value), places) == ([1, 2, 3], ["[1, 2]", "3"])


def test_strings_are_found_in_the_text():
    tensor, value, places = constant(
        "dtype: DT_STRING tensor_shape { dim { size: 2 } } string_val: 'a' string_val: \"b\" 'c' "
    )
    assert value.elements == 2
    assert [bytes(one) for one in strings(tensor)] == [b"a", b"bc"]
    assert places == ["'a' string_val: \"b\" 'c'"]


def test_a_variant_and_the_tensors_inside_it_are_one_stretch():
    inner = "{ type_name: 'x' tensors { dtype: DT_INT32 int_val: 7 } }"
    _, value, places = constant(f"dtype: DT_VARIANT variant_val {inner} tensor_shape {{ }}")
    assert value.dtype == "variant"
    assert places == [inner]


def test_two_constants_have_places_of_their_own():
    one = 'node { attr { key: "value" value { tensor { dtype: DT_INT32 int_val: %d } } } }\n'
    whole = one % 12 + one % 345
    found = encoded(whole)
    spans = [
        found.spans(read_tensor(attr_tensor(node.attr("value"))).spans)
        for node in read_graph(found.message).nodes
    ]
    assert [[whole[at : at + length] for at, length in each] for each in spans] == [["12"], ["345"]]


# --- bounds ---


def test_depth_is_bounded():
    # AttrValue { list { func { attr { value { list ... : five messages a round.
    text = 'node { attr { key: "k" value { ' + "list { func { attr { value { " * 40
    with pytest.raises(LimitExceeded, match="limit depth"):
        encoded(text)
    with pytest.raises(LimitExceeded, match="limit depth"):
        encoded("[a] " + "{" * 1000)


def test_size_and_fields_are_bounded():
    with pytest.raises(LimitExceeded, match="limit text_bytes"):
        encoded('node { name: "aaaa" }', text_bytes=8)
    # Two characters of text may be eight bytes.
    text = "all_model_checkpoint_timestamps: [" + ",".join("1" * 100) + "]"
    with pytest.raises(LimitExceeded, match="limit text_bytes"):
        encoded(text, "CheckpointState", text_bytes=300)
    with pytest.raises(LimitExceeded, match="limit message_fields"):
        encoded("node { } " * 9, message_fields=8)


@pytest.mark.parametrize(
    "text",
    [
        'node { name: "' + "\\000" * 250_000 + '" }',
        'node { name: "' + "\\0" * 500_000,
        "# \n" * 300_000 + "!",
        'node { name: "a"' + " 'a'" * 200_000 + " }",
        "version: " + "1" * 1_000_000,
        "[a] {" + '"a"b' * 250_000,
    ],
    ids=["escapes", "escapes without an end", "comments", "strings", "digits", "brackets"],
)
def test_a_megabyte_of_one_thing_takes_no_time(text):
    start = time.perf_counter()
    try:
        encoded(text)
    except (Corrupt, Truncated):
        pass
    assert time.perf_counter() - start < 5


# --- the tables ---


def test_every_kind_in_the_tables_is_a_message_or_a_scalar(classes):
    for name in classes:
        for one in known(name).values():
            key, _, value = one.kind.partition(":")
            assert all(
                word in classes or word in SCALARS or word in ("string", "bytes")
                for word in ((key, value) if value else (key,))
            )
