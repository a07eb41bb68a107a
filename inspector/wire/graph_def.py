"""GraphDef: nodes and functions of a graph; their attributes are read when asked.

Sources, of TensorFlow 2.21: graph.proto, node_def.proto, function.proto, op_def.proto and
attr_value.proto of tensorflow/core/framework. Functions as TensorFlow wrote them before 0.12
(a node's results have names of their own) come in the form of later ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

from inspector import deadline
from inspector.errors import LimitExceeded
from inspector.limits import Limits
from inspector.wire.leading_texts import LeadingTexts, Split
from inspector.wire.once import once
from inspector.wire.protobuf import Message, Wire, decode, signed
from inspector.wire.protobuf_schema import numbers as packed_numbers
from inspector.wire.protobuf_schema import packed, parse
from inspector.wire.tensor_proto import DTYPES, TENSOR_SHAPE, VERSION_DEF

ATTRIBUTES = 5  # of a node of either kind, and of a function
_KEY = 0x0A  # the tag of a map entry's key
REFERENCE = 100  # added to a dtype's number for a reference to one


class Node(NamedTuple):
    """One node. scope: the name of the function it is in, "" in the graph itself.

    inputs: as written: "node", "node:1", in a function "node:output:1"; "^node" waits for it only.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    scope: str
    message: Message

    def attr(self, name: str) -> Message | None:
        """The AttrValue of a name. Raises what `protobuf.fields` raises."""
        return attribute(self.message, name)


_node: Callable[[tuple[str, str, tuple[str, ...], str, Message]], Node] = partial(
    tuple.__new__, Node
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the graph's library.

    arguments, outputs: names of its signature's; returns: by output, which node's output it is.
    """

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    returns: Mapping[str, str]
    message: Message = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph. producer, min_consumer: versions of TensorFlow's graphs; None where not said."""

    nodes: tuple[Node, ...]
    functions: Mapping[str, Function]
    producer: int | None
    min_consumer: int | None
    message: Message = field(compare=False, repr=False)

    def walk(self) -> Iterator[Node]:
        """The nodes of the graph, then those of each function."""
        yield from self.nodes
        for function in self.functions.values():
            yield from function.nodes


class _Budget:
    """Nodes and their inputs: each is a Python value, and may be two bytes of the file."""

    def __init__(self, limits: Limits) -> None:
        self._limit = self.left = limits.nodes

    def spend(self, count: int, message: Message) -> None:
        self.left -= count
        if self.left < 0:
            spent, path = self._limit - self.left, message.source.path
            raise LimitExceeded("nodes", spent, self._limit, path, message.offset)

    def texts(self, message: Message, number: int) -> tuple[str, ...]:
        """The strings of a repeated field, no more than are left."""
        found = tuple(islice(message.texts(number), self.left + 1))
        self.spend(len(found), message)
        return found


class _Texts:
    """What reads the texts of a graph's nodes and of its functions' arguments."""

    def __init__(self, message: Message) -> None:
        self.budget = _Budget(message.limits)
        self.nodes = LeadingTexts(message, 3)
        self.arguments = LeadingTexts(message, 1)

    def together(self, message: Message, number: int, *others: int) -> Split | None:
        """The nodes in a repeated field of a graph or a function, and its fields of the others.

        None where they must be read one by one.
        """
        found = self.nodes.split(message, number, others, self.budget.left)
        if found is not None:
            spent = len(found.texts) + sum([len(inputs) for _, _, inputs in found.texts])
            self.budget.spend(spent, message)
        return found


def read_graph(message: Message) -> Graph:
    """The graph that a GraphDef is.

    Raises what `protobuf.fields` raises, and LimitExceeded (`nodes`: those of all functions too,
    and their inputs).
    """
    return once(lambda: _read_graph(message), message.source, message.length, "graph", message[1:])


def _read_graph(message: Message) -> Graph:
    texts = _Texts(message)
    together = texts.together(message, 1)
    if together is not None:
        nodes = _nodes(message, together, "")
    else:
        nodes = [_read_node(one, "", texts) for one in deadline.watched(message.each(1))]
    functions = (
        _function(found, texts)
        for library in message.each(2)
        for found in deadline.watched(library.each(1))
    )
    versions = message.find(4)
    said = None if versions is None else parse(versions, VERSION_DEF)
    if said is None:
        old = message.last(3, Wire.VARINT)
        producer = None if old is None else signed(old.value, 32)
        minimum = None
    else:
        producer, minimum = said["producer"], said["min_consumer"]
    return Graph(tuple(nodes), {one.name: one for one in functions}, producer, minimum, message)


def _read_node(message: Message, scope: str, texts: _Texts) -> Node:
    """The node that a NodeDef is."""
    budget = texts.budget
    quick = texts.nodes.read(message, budget.left)
    if quick is not None:
        name, op, inputs = quick
        budget.spend(1 + len(inputs), message)
    else:
        # However it is written, or the error that says what is wrong with it.
        name, op, inputs = message.text(1), message.text(2), budget.texts(message, 3)
        budget.spend(1, message)
    return _node((name, sys.intern(op), inputs, scope, message))


def _nodes(message: Message, found: Split, scope: str) -> list[Node]:
    intern = sys.intern
    return [
        _node((name, intern(op), inputs, scope, one))
        for (name, op, inputs), one in zip(found.texts, message.children(found.places), strict=True)
    ]


def _function(message: Message, texts: _Texts) -> Function:
    returned: dict[str, str] = {}
    names: dict[int, list[str]] = {1: [""], 2: [], 3: []}
    found: list[Node] = []
    together = texts.together(message, 3, 1, 4)
    for one in message.fields(1, 3, 4) if together is None else together.others:
        if one.wire != Wire.BYTES:
            continue
        child = message.child(one)
        if one.number == 3:
            found.append(_read_node(child, names[1][0], texts))
            continue
        texts.budget.spend(1, child)
        if one.number == 1:
            _add_signature(names, child, texts)
        else:
            quick = texts.nodes.read(child, 0)
            output, value = (child.text(1), child.text(2)) if quick is None else quick[:2]
            returned[output] = value
    (name,), arguments, outputs = names[1], tuple(names[2]), tuple(names[3])
    if together is not None:
        found = _nodes(message, together, name)
    elif any(node.scope != name for node in found):  # the signature is written behind them
        found = [node._replace(scope=name) for node in found]
    nodes = tuple(found)
    if not nodes:
        nodes = tuple(_early_nodes(message, name, texts.budget))
        returned = returned or {one: one for one in outputs}
    return Function(name, arguments, outputs, nodes, returned, message)


def _add_signature(names: dict[int, list[str]], message: Message, texts: _Texts) -> None:
    """Add an OpDef's name (1), and the names of its arguments (2) and outputs (3)."""
    for found in message.fields(*names):
        if found.wire != Wire.BYTES:
            continue
        if found.number == 1:
            names[1] = [decode(message.source, found, message.limits)]
        else:
            texts.budget.spend(1, message)
            child = message.child(found)
            quick = texts.arguments.read(child, 0)
            names[found.number].append(child.text(1) if quick is None else quick[0])


def _early_nodes(message: Message, scope: str, budget: _Budget) -> Iterator[Node]:
    """Nodes of a function before TensorFlow 0.12: ret = 1, op = 2, arg = 3, dep = 4, attr = 5.

    A node is called what its first result is called; its other results are outputs of it.
    """
    renamed: dict[str, str] = {}
    for child in message.each(2):
        budget.spend(1, child)
        results = budget.texts(child, 1)
        name = results[0] if results else ""
        renamed |= {other: f"{name}:{at}" for at, other in enumerate(results[1:], 1)}
        inputs = tuple(renamed.get(one, one) for one in budget.texts(child, 3))
        inputs += tuple(f"^{renamed.get(one, one)}" for one in budget.texts(child, 4))
        yield Node(name, sys.intern(child.text(2)), inputs, scope, child)


def attributes(message: Message, number: int = ATTRIBUTES) -> Iterator[tuple[str, Message]]:
    """Name and AttrValue of each attribute of a node or function, as they are written.

    Of two with one name the last one counts.
    """
    for entry in message.each(number):
        yield _pair(entry)


def attribute(message: Message, name: str, number: int = ATTRIBUTES) -> Message | None:
    """The AttrValue of a name, of a node or function."""
    key = name.encode()
    usual = bytes((_KEY, len(key))) + key if len(key) < 0x80 else b""
    source, found = message.source, None
    for one in message.fields(number):
        if one.wire != Wire.BYTES:
            continue
        start = source.view(one.offset, min(len(usual), one.length))
        # Writers put the key first; only what may be another writer's is looked at in full.
        if start == usual or not start or start[0] != _KEY or not usual:
            key_read, value = _pair(message.child(one))
            if key_read == name:
                found = value
    return found


def _pair(entry: Message) -> tuple[str, Message]:
    """Key and value of a map's entry: an empty message where there is no value."""
    name, value = "", Message(entry.source, entry.offset, 0, entry.limits, entry.depth)
    for found in entry.fields(1, 2):
        if found.wire == Wire.BYTES and found.number == 1:
            name = decode(entry.source, found, entry.limits)
        elif found.wire == Wire.BYTES:
            value = entry.child(found)
    return name, value


def attr_text(value: Message) -> str | None:
    """The string of an AttrValue (`s`); None where it is of another kind, as for all of these."""
    return None if value.last(2) is None else value.text(2)


def attr_int(value: Message) -> int | None:
    """The integer (`i`)."""
    found = value.last(3, Wire.VARINT)
    return None if found is None else signed(found.value)


def attr_bool(value: Message) -> bool | None:
    """The truth value (`b`)."""
    found = value.last(5, Wire.VARINT)
    return None if found is None else bool(found.value)


def attr_type(value: Message) -> str | None:
    """The dtype (`type`), as `type_name` gives it."""
    found = value.last(6, Wire.VARINT)
    return None if found is None else type_name(signed(found.value, 32))


def attr_shape(value: Message) -> tuple[int | None, ...] | None:
    """The shape (`shape`), as `sides` gives it; None also where not even the rank is known."""
    return sides(value.find(7))


def attr_tensor(value: Message) -> Message | None:
    """The TensorProto (`tensor`)."""
    return value.find(8)


def attr_func(value: Message) -> str | None:
    """The name of the function (`func`)."""
    found = value.find(10)
    return None if found is None else found.text(1)


def attr_funcs(value: Message) -> tuple[str, ...]:
    """The names of the functions of a list (`list.func`): a Case's branches."""
    return tuple(one.text(1) for part in value.each(1) for one in part.each(9))


def attr_types(value: Message) -> tuple[str, ...]:
    """The dtypes of a list (`list.type`)."""
    found: list[str] = []
    for part in value.each(1):
        kinds = packed_numbers(part.source, packed(part, 6, "enum"), part.limits)
        found += [type_name(int(kind)) for kind in kinds]
    return tuple(found)


def attr_shapes(value: Message) -> tuple[tuple[int | None, ...] | None, ...]:
    """The shapes of a list (`list.shape`)."""
    return tuple(sides(one) for part in value.each(1) for one in part.each(7))


def attr_texts(value: Message) -> tuple[str, ...]:
    """The strings of a list (`list.s`)."""
    return tuple(text for part in value.each(1) for text in part.texts(2))


def type_name(number: int) -> str:
    """TensorFlow's own name of a dtype: "float32", "qint8", "float32_ref"; "unknown (99)"."""
    known = DTYPES.get(number)
    if known is not None:
        return known.name
    known = DTYPES.get(number - REFERENCE)
    return f"unknown ({number})" if known is None else f"{known.name}_ref"


def sides(shape: Message | None) -> tuple[int | None, ...] | None:
    """The sides of a TensorShapeProto, None for one that is not fixed.

    None where there is no shape, or not even the rank is known.
    """
    if shape is None:
        return None
    found = parse(shape, TENSOR_SHAPE)
    if found["unknown_rank"]:
        return None
    return tuple(dim["size"] if dim["size"] >= 0 else None for dim in found["dim"])
