"""Which of TensorFlow's messages about graphs a file is: protobuf itself does not say.

The official runtime reads nearly any of them as nearly any other, and sets aside what it does
not know. What tells them apart is the wire type of each field, and what the first ones hold.
Sources, of TensorFlow 2.21: framework/graph.proto, node_def.proto, function.proto,
protobuf/meta_graph.proto, protobuf/saved_model.proto.
"""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Callable, Iterator, Mapping

from inspector.errors import ArtifactError, Truncated
from inspector.storage import ByteSource
from inspector.wire.protobuf import Field, Message, Wire, message, read_varint

_LOOKED_AT = 64  # fields: enough to see that a message is another one
_LONGEST = 1 << 12  # bytes of a name
_TAG = 11  # bytes of a short tag and a length


class GraphKind(enum.StrEnum):
    """The message that a file is."""

    GRAPH = "graph-def"
    META_GRAPH = "meta-graph"
    SAVED_MODEL = "saved-model"


def graph_kind(source: ByteSource) -> GraphKind | None:
    """What a file is, by its first fields; None where it is none of these. Never raises.

    A file that was cut off, or is broken further on, is what its beginning says.
    """
    whole = message(source)
    return next((kind for kind, test in _KINDS.items() if source.size and test(whole, False)), None)


_Test = Callable[[Message, bool], bool]  # a message, and whether its end is cut off


def _is(known: Mapping[int, Wire | _Test], *required: int) -> _Test:
    """A test: all known fields have their wire type, and the first of each holds what it must.

    A message that is not empty must have one whose content was tested, where any is, and all that
    are required.
    """
    tells = {number for number, rule in known.items() if not isinstance(rule, Wire)} or set(known)

    def test(message: Message, short: bool) -> bool:
        passed: set[int] = set()
        end = message.offset + message.length
        for field, cut in _fields(message):
            short = short or cut
            rule = known.get(field.number)
            if rule is None:
                continue
            if field.wire is not (rule if isinstance(rule, Wire) else Wire.BYTES):
                return False
            if not isinstance(rule, Wire) and field.number not in passed:
                held = Message(message.source, field.offset, field.length, message.limits)
                if not rule(held, cut or (short and held.offset + held.length == end)):
                    return False
            passed.add(field.number)
        if short:
            return True
        return passed.issuperset(required) and (bool(passed & tells) or not message.length)

    return test


def _text(form: bytes) -> _Test:
    pattern = re.compile(form)

    def test(message: Message, short: bool) -> bool:
        if message.length > _LONGEST:
            return False
        return pattern.fullmatch(bytes(message.view())) is not None or (
            short and not message.length
        )

    return test


def _fields(message: Message) -> Iterator[tuple[Field, bool]]:
    """The first fields, and whether one is cut off: then it is what is there of it."""
    try:
        for field in itertools.islice(message.fields(), _LOOKED_AT):
            yield field, False
    except Truncated as error:
        if error.offset is not None:
            yield from _cut(message, error.offset)
    except ArtifactError:
        return


def _cut(message: Message, start: int) -> Iterator[tuple[Field, bool]]:
    stop = message.offset + message.length
    view = message.source.view(start, min(stop - start, _TAG))
    try:
        tag, at = read_varint(view, 0, message.source.path)
        _, at = read_varint(view, at, message.source.path)
    except ArtifactError:
        return
    if tag & 7 == Wire.BYTES:
        yield Field(tag >> 3, Wire.BYTES, 0, start + at, stop - start - at), True


_BYTES, _VARINT = Wire.BYTES, Wire.VARINT
_NAME = _text(rb"[!-~]+")  # of a node, an operator, a function ("__inference_<lambda>_7")
_VERSION = _text(rb"[\w.+-]*")
_PRINTABLE = _text(rb"[ -~]*")

_NODE = _is({1: _NAME, 2: _NAME, 3: _BYTES, 4: _BYTES, 5: _BYTES, 6: _BYTES, 7: _BYTES}, 1, 2)
_OPERATOR = _is({1: _NAME, 2: _BYTES, 3: _BYTES, 4: _BYTES}, 1)
_LIBRARY = _is({1: _is({1: _OPERATOR}, 1), 2: _is({1: _NAME, 2: _NAME})})
_VERSIONS = _is({1: _VARINT, 2: _VARINT})
_GRAPH = _is({1: _NODE, 2: _LIBRARY, 3: _VARINT, 4: _VERSIONS})
_META_INFO = _is(
    {
        1: _BYTES,
        2: _is({1: _OPERATOR}),
        3: _BYTES,
        4: _BYTES,
        5: _VERSION,
        6: _PRINTABLE,
        7: _VARINT,
        8: _BYTES,
    }
)
_META_GRAPH = _is({1: _META_INFO, 2: _GRAPH, **dict.fromkeys(range(3, 8), _BYTES)})
_SAVED_MODEL = _is({1: _VARINT, 2: _META_GRAPH}, 2)

_KINDS: Mapping[GraphKind, _Test] = {
    GraphKind.GRAPH: _GRAPH,
    GraphKind.META_GRAPH: _META_GRAPH,
    GraphKind.SAVED_MODEL: _SAVED_MODEL,
}
