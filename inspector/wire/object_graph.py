"""The object graphs of SavedModels and checkpoints, and Keras' metadata: messages -> plain nodes.

Both graphs list objects; each refers to others by number, under a name. A SavedModel's graph says
what each object is; a checkpoint's says under which key each variable is stored. A SavedModel has
both, with the same objects under the same numbers. Sources, of TensorFlow 2.21 and tf_keras 2.21:
saved_object_graph.proto, trackable_object_graph.proto and tf_keras' saved_metadata.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inspector import deadline
from inspector.errors import Corrupt, LimitExceeded
from inspector.wire.once import once
from inspector.wire.protobuf import Message
from inspector.wire.protobuf_schema import Schema, many, maybe, one, parse
from inspector.wire.tensor_proto import DTYPES, TENSOR_SHAPE, shape_of

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"  # a checkpoint's entry: its graph, as a string

_REFERENCE: Schema = {1: one("node", "int32"), 2: one("name", "string")}
_SLOT: Schema = {
    1: one("variable", "int32"),
    2: one("name", "string"),
    3: one("slot", "int32"),
}
_ATTRIBUTE: Schema = {
    1: one("name", "string"),
    2: one("full_name", "string"),
    3: one("key", "string"),
}
_COMPONENT: Schema = {
    1: one("dtype", "enum"),
    2: one("shape", TENSOR_SHAPE),
    3: one("trainable", "bool"),
    4: one("synchronization", "enum"),
    5: one("aggregation", "enum"),
    6: one("name", "string"),
    7: one("device", "string"),
}
_VARIABLE: Schema = {**_COMPONENT, 8: many("components", _COMPONENT)}
# The members of the oneof `kind`, by name; what a function's signature looks like is left out.
_KINDS: Schema = {
    4: maybe("user_object", {1: one("identifier", "string"), 3: one("metadata", "string")}),
    5: maybe("asset", {1: one("asset", "int32")}),
    6: maybe("function", {1: many("functions", "string")}),
    7: maybe("variable", _VARIABLE),
    8: maybe("bare_concrete_function", {1: one("function", "string")}),
    9: maybe("constant", {1: one("operation", "string")}),
    10: maybe("resource", {1: one("device", "string")}),
    12: maybe("captured_tensor", {1: one("operation", "string"), 2: one("function", "string")}),
}
_SAVED_OBJECT: Schema = {
    1: many("children", _REFERENCE),
    3: many("slots", _SLOT),
    13: one("registered", "string"),
    **_KINDS,
}
_TRACKABLE_OBJECT: Schema = {
    1: many("children", _REFERENCE),
    2: many("attributes", _ATTRIBUTE),
    3: many("slots", _SLOT),
    4: maybe("saver", {1: one("registered", "string"), 2: one("object", "string")}),
}
_CAPTURES: Schema = {
    1: one("name", "string"),
    2: maybe("function", {2: many("bound_inputs", "int32")}),
}
_KERAS_NODE: Schema = {
    2: one("id", "int32"),
    3: one("path", "string"),
    4: one("identifier", "string"),
    5: one("metadata", "string"),
}


class Reference(NamedTuple):
    """A child: the name under which an object holds another, and that one's number."""

    name: str
    node: int


class SlotReference(NamedTuple):
    """An optimizer's slot ("m"), the variable that it is of, and the variable that it is."""

    name: str
    variable: int
    slot: int


class Attribute(NamedTuple):
    """A value of an object that the checkpoint stores under `key`.

    name: what it is of the object ("VARIABLE_VALUE"); full_name: the variable's own name.
    """

    name: str
    full_name: str
    key: str


@dataclass(frozen=True, slots=True)
class SavedVariable:
    """A variable. dtype: TensorFlow's name; shape: None where a side is not fixed.

    components: the variables that a sharded or mirrored one is made of.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    trainable: bool
    synchronization: int = 0
    aggregation: int = 0
    device: str = ""
    components: tuple[SavedVariable, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectNode:
    """One object. kind: the word of the oneof ("variable" ...), "" where the graph does not tell.

    identifier, metadata: a user object's own words. functions: names of the concrete functions
    that a function has. operation: the graph's node that makes a constant or captured tensor.
    asset: number of an asset's file. registered: name of the registered class or saver.
    """

    id: int
    kind: str = ""
    children: tuple[Reference, ...] = ()
    identifier: str = ""
    metadata: str = ""
    variable: SavedVariable | None = None
    attributes: tuple[Attribute, ...] = ()
    slots: tuple[SlotReference, ...] = ()
    functions: tuple[str, ...] = ()
    operation: str = ""
    asset: int | None = None
    registered: str = ""

    def child(self, name: str) -> int | None:
        """Number of the object held under this name."""
        return next((one.node for one in self.children if one.name == name), None)


@dataclass(frozen=True, slots=True)
class ObjectGraph:
    """The objects by their numbers; number 0 is the root.

    captures: name of a concrete function -> numbers of the objects that it captured, in the order
    of its last arguments.
    """

    nodes: tuple[ObjectNode, ...]
    captures: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class KerasNode(NamedTuple):
    """What Keras says of one object. path: "root.layer-1"; metadata: JSON, not parsed."""

    id: int
    path: str
    identifier: str
    metadata: str


def read_saved_object_graph(message: Message) -> ObjectGraph:
    """The nodes of a SavedObjectGraph.

    Raises Corrupt (a reference to an object that is not there), LimitExceeded (`nodes`: objects
    and references together) and what reading a message raises.
    """
    return once(
        lambda: _read_saved(message), message.source, message.length, "objects", message[1:]
    )


def _read_saved(message: Message) -> ObjectGraph:
    budget = _Budget(message)
    nodes = tuple(
        _saved(number, budget.parsed(item, _SAVED_OBJECT))
        for number, item in enumerate(deadline.watched(message.each(1)))
    )
    captures: dict[str, tuple[int, ...]] = {}
    for entry in (budget.parsed(item, _CAPTURES) for item in message.each(2)):
        bound = entry["function"]["bound_inputs"] if entry["function"] is not None else ()
        captures[entry["name"]] = tuple(bound)
    _check(message, nodes, captures)
    return ObjectGraph(nodes, captures)


def read_trackable_object_graph(message: Message) -> ObjectGraph:
    """The nodes of a TrackableObjectGraph, as a checkpoint has it. Raises as its sibling does."""
    budget = _Budget(message)
    nodes = tuple(
        _trackable(number, budget.parsed(item, _TRACKABLE_OBJECT))
        for number, item in enumerate(deadline.watched(message.each(1)))
    )
    _check(message, nodes, {})
    return ObjectGraph(nodes)


def read_keras_metadata(message: Message) -> Mapping[int, KerasNode]:
    """What `keras_metadata.pb` (SavedMetadata) says, by the objects' numbers."""
    budget = _Budget(message)
    found = (
        KerasNode(**budget.parsed(item, _KERAS_NODE)) for item in deadline.watched(message.each(1))
    )
    return {node.id: node for node in found}


class _Budget:
    """Counts objects and what they refer to, so that a file cannot fill memory with them."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._spent = 0

    def parsed(self, item: Message, schema: Schema) -> dict[str, Any]:
        values = parse(item, schema)
        self._spent += 1 + sum(len(v) for v in values.values() if isinstance(v, list))
        limit = self._message.limits.nodes
        if self._spent > limit:
            raise LimitExceeded("nodes", self._spent, limit, item.source.path, item.offset)
        return values


def _saved(number: int, values: dict[str, Any]) -> ObjectNode:
    # A oneof's members do not unset each other here: of two, which no writer sets, one is taken.
    kinds = [slot.name for slot in _KINDS.values() if values[slot.name] is not None]
    kind = kinds[-1] if kinds else ""
    said = values[kind] if kind else {}
    function = said.get("function", "")
    return ObjectNode(
        id=number,
        kind=kind,
        children=_children(values),
        identifier=said.get("identifier", ""),
        metadata=said.get("metadata", ""),
        variable=_variable(said) if kind == "variable" else None,
        slots=_slots(values),
        functions=tuple(said.get("functions", ())) or ((function,) if function else ()),
        operation=said.get("operation", ""),
        asset=said.get("asset"),
        registered=values["registered"],
    )


def _trackable(number: int, values: dict[str, Any]) -> ObjectNode:
    saver = values["saver"]
    return ObjectNode(
        id=number,
        children=_children(values),
        attributes=tuple(Attribute(**one) for one in values["attributes"]),
        slots=_slots(values),
        registered=saver["registered"] if saver is not None else "",
    )


def _children(values: dict[str, Any]) -> tuple[Reference, ...]:
    return tuple(Reference(one["name"], one["node"]) for one in values["children"])


def _slots(values: dict[str, Any]) -> tuple[SlotReference, ...]:
    return tuple(SlotReference(**one) for one in values["slots"])


def _variable(said: dict[str, Any]) -> SavedVariable:
    dtype = DTYPES.get(said["dtype"])
    return SavedVariable(
        name=said["name"],
        dtype="" if dtype is None else dtype.name,
        shape=shape_of(said["shape"]),
        trainable=said["trainable"],
        synchronization=said["synchronization"],
        aggregation=said["aggregation"],
        device=said["device"],
        components=tuple(map(_variable, said.get("components", ()))),
    )


def _check(
    message: Message, nodes: tuple[ObjectNode, ...], captures: Mapping[str, tuple[int, ...]]
) -> None:
    """Every reference leads to an object: callers follow them without looking."""
    for number in _referred(nodes, captures):
        if not 0 <= number < len(nodes):
            raise Corrupt(
                f"an object refers to object {number:,} of {len(nodes):,}",
                message.source.path,
                message.offset,
            )


def _referred(
    nodes: tuple[ObjectNode, ...], captures: Mapping[str, tuple[int, ...]]
) -> Iterator[int]:
    for node in nodes:
        yield from (child.node for child in node.children)
        for slot in node.slots:
            yield slot.variable
            yield slot.slot
    for bound in captures.values():
        yield from bound
