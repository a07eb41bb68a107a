"""Messages by hand: which of TensorFlow's they are, whole, cut off, and what looks like them."""

import pytest

from inspector.storage import MemorySource
from inspector.wire.graph_kind import GraphKind, graph_kind


def field(number, content):
    """A length-delimited field. A varint of up to two bytes holds its length."""
    size = len(content)
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + content


def kind(data):
    return graph_kind(MemorySource(data, "x.pb"))


# NodeDef: 1 name, 2 op, 3 input. GraphDef: 1 node, 2 library, 4 versions.
NODE = field(1, b"dense/kernel") + field(2, b"Const")
VERSIONS = b"\x08\x99\x0e"
SIGNATURE = field(1, b"__inference_<lambda>_7")
LIBRARY = field(1, field(1, SIGNATURE) + field(3, NODE))
GRAPH = field(1, NODE) + field(2, b"") + field(4, VERSIONS)
# MetaInfoDef: 2 operators (1 operator: 1 name), 4 tags, 5 TensorFlow's version.
META_INFO = field(2, field(1, field(1, b"Add"))) + field(4, b"serve") + field(5, b"1.13.1")
META_GRAPH = field(1, META_INFO) + field(2, GRAPH)
SAVED_MODEL = b"\x08\x01" + field(2, META_GRAPH)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (GRAPH, GraphKind.GRAPH),
        (field(2, LIBRARY), GraphKind.GRAPH),  # functions and no node
        (field(4, VERSIONS), GraphKind.GRAPH),
        (META_GRAPH, GraphKind.META_GRAPH),
        (field(2, GRAPH), GraphKind.META_GRAPH),  # without meta info
        (field(1, field(5, b"2.4.1")) + field(2, GRAPH), GraphKind.META_GRAPH),
        (SAVED_MODEL, GraphKind.SAVED_MODEL),
        (b"\x08\x01" + field(2, field(2, GRAPH)) * 2, GraphKind.SAVED_MODEL),
    ],
)
def test_a_message_is_told_by_what_its_fields_hold(data, expected):
    assert kind(data) is expected


@pytest.mark.parametrize("data", [GRAPH, META_GRAPH, SAVED_MODEL])
def test_a_file_that_was_cut_off_is_what_its_beginning_says(data):
    big = field(1, NODE + field(5, bytes(300)))
    whole = data.replace(field(1, NODE), big) if data is GRAPH else data
    expected = kind(whole)
    assert {kind(whole[:size]) for size in range(40, len(whole))} == {expected}


def test_a_graph_that_is_broken_further_on_is_still_one():
    assert kind(field(1, NODE) + b"\xff" * 20) is GraphKind.GRAPH


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\x18\x00\x00\x00TFL3",  # a flatbuffer, which begins like GraphDef.version
        b"\x08\xeb\xfb\x04\x10\xe6\x1f",  # a fingerprint: varints
        # keras_metadata.pb: nodes of 2 id, 3 path, 4 kind, 5 metadata.
        field(1, b"\x10\x01" + field(3, b"root") + field(4, b"_tf_keras_model") + field(5, b"{}")),
        field(1, b"Conv1") + field(1, b"Conv2"),  # a list of texts
        b"\x08\x07" + field(2, b"pytorch") + field(7, b"graph"),  # ONNX
        b"model_checkpoint_path: 'a'",
        b'node {\n  name: "x"\n}\n',
        bytes(range(256)),
    ],
)
def test_what_begins_like_one_of_them_is_none(data):
    assert kind(data) is None
