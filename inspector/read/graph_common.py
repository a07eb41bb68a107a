"""What readers of graphs share: constants as tensors, operators, and whose the bytes are."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from inspector.errors import ArtifactError, LimitExceeded
from inspector.graph.bodies import CONSTANTS, VARIABLES
from inspector.graph.ops import is_core
from inspector.limits import MIB
from inspector.model import (
    Extent,
    Layer,
    Naming,
    Operator,
    Problem,
    Section,
    Severity,
    Tensor,
    Use,
)
from inspector.read.graph_layers import Place, Scopes, place
from inspector.storage import covered
from inspector.wire.graph_def import Graph, Node, attr_tensor
from inspector.wire.protobuf import Message
from inspector.wire.saved_model import MetaGraph, VariableDef
from inspector.wire.tensor_values import TensorValue, read_tensor
from inspector.words import some

Uses = Mapping[Hashable, tuple[Use, ...]]
Spans = tuple[tuple[int, int], ...]  # (offset, length) each

# Fields of a GraphDef: what their bytes are called, values of constants left out.
GRAPH, FUNCTIONS, UNKNOWN = "graph", "functions", "unknown fields"
_LABELS: Mapping[int, str] = {1: GRAPH, 2: FUNCTIONS, 3: GRAPH, 4: GRAPH, 5: "debug info"}
# And of a MetaGraphDef.
_META_LABELS: Mapping[int, str] = {
    1: "meta info",
    2: GRAPH,
    **dict.fromkeys((3, 4, 5, 6), "collections"),
    7: "object graph",
}
_UNREADABLE = "constant-unreadable"
_SAID = 20  # constants that have a problem of their own
_COPY_BYTES = 64  # fewer bytes are alike by chance
_NAME = b"\x0a"  # the tag of a node's name
_TWIN_BYTES, _TWINS = 512, 8192  # bytes of nodes whose values are kept, and how many are


@dataclass(frozen=True, slots=True)
class Constants:
    """The constants of a graph and of its functions, and the layers that read weights among them.

    overhead: bytes of the GraphDef that are no values of theirs, by label.
    """

    tensors: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    overhead: Mapping[str, int]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    node: Node
    value: TensorValue
    spans: Spans
    tensor: Tensor
    place: Place


def read_constants(
    graph: Graph, uses: Uses, in_text: Callable[[Spans], Spans] | None = None
) -> Constants:
    """The values that nodes of a graph and of its functions hold, as tensors.

    uses: what `flow.uses_of` says of the graph; in_text: where the values are in the text that the
    graph was made of, None where its source is the file. A constant of a function is called
    "function/node"; one that repeats another function's, name and bytes, says so. What cannot be
    read is a problem. Raises LimitExceeded (`tensors`).
    """
    reading = _Reading(graph, uses, in_text)
    for node in graph.walk():
        if node.op in CONSTANTS:
            reading.add(node)
    return reading.finish()


class _Reading:
    def __init__(self, graph: Graph, uses: Uses, in_text: Callable[[Spans], Spans] | None) -> None:
        self.graph = graph
        self.uses = uses
        self.path = graph.message.source.path
        self.in_text = in_text
        self.scopes = Scopes(node.name for node in graph.walk())
        self.found: dict[str, _Found] = {}
        self.named: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.unreadable = 0
        # Values of small constants by their bytes: graphs repeat axes and shapes without end.
        self.known: dict[bytes, tuple[TensorValue, int]] = {}

    def problem(self, message: str, node: Node) -> None:
        """Note a constant that cannot be read; after many, only how many more there are."""
        self.unreadable += 1
        if self.unreadable <= _SAID:
            offset = node.message.offset if self.in_text is None else None
            self.problems.append(Problem(_UNREADABLE, Severity.ERROR, message, self.path, offset))

    def add(self, node: Node) -> None:
        limit = self.graph.message.limits.tensors
        if len(self.found) >= limit:
            raise LimitExceeded("tensors", len(self.found) + 1, limit, self.path)
        name = self._name(node)
        read = self._value(node, name)
        if read is None:
            return
        value, spans = read
        uses = self.uses.get((node.scope, node.name), ())
        where = place(node.name, uses, self.scopes)
        extents = self._extents(spans)
        tensor = Tensor(
            name=name,
            dtype=value.values or value.dtype,
            shape=value.shape,
            nbytes=sum(one.length for one in extents),
            extents=extents,
            storage=_storage(value),
            section=Section.GRAPH,
            layer=where.layer,
            variable=where.variable,
            naming=Naming.NODES if uses else Naming.NONE,
            owner=where.layer if where.op is not None else None,
            uses=uses,
            payload=value.payload,
        )
        self.found[name] = _Found(node, value, spans, tensor, where)

    def _name(self, node: Node) -> str:
        """A name that no other has; TensorFlow refuses a graph where two have the same."""
        whole = f"{node.scope}/{node.name}" if node.scope else node.name
        self.named[whole] += 1
        name, count = whole, max(self.named[whole], 2)
        while name in self.found:
            name = f"{whole} ({count})"
            count += 1
        return name

    def _value(self, node: Node, name: str) -> tuple[TensorValue, Spans] | None:
        """The node's value, and where it is; None, and a problem, where none can be read."""
        behind, at = _behind_name(node.message)
        known = self.known.get(behind)
        if known is not None:
            value, first = known
            return value, tuple([(start + at - first, length) for start, length in value.spans])
        try:
            attr = node.attr("value")
            tensor = None if attr is None else attr_tensor(attr)
            read = None if tensor is None else read_tensor(tensor)
        except ArtifactError as error:
            self.problem(f"{name}: {error.message}", node)
            return None
        if read is None:
            elsewhere = node.op == "ImmutableConst"
            why = "has its values in another file" if elsewhere else "is a constant without a value"
            self.problem(f"{name} {why}", node)
            return None
        if read.fault is not None:
            self.problem(f"{name}: {read.fault}", node)
        elif behind and len(self.known) < _TWINS:
            self.known[behind] = read, at
        return read, read.spans

    def _extents(self, spans: Spans) -> tuple[Extent, ...]:
        if self.in_text is None:
            return tuple([Extent(self.path, *span) for span in spans])
        return tuple([Extent(self.path, *span, "text") for span in self.in_text(spans)])

    def finish(self) -> Constants:
        found = list(self.found.values())
        copies = _copies(found)
        return Constants(
            tuple(
                replace(one.tensor, repeats=copies[name]) if name in copies else one.tensor
                for name, one in self.found.items()
            ),
            _layers(found),
            _overhead(self.graph, found),
            (*self.problems, *self._many()),
        )

    def _many(self) -> Iterator[Problem]:
        """Problems that are about many constants at once."""
        if self.unreadable > _SAID:
            more = f"{self.unreadable - _SAID:,} more constants cannot be read"
            yield Problem(_UNREADABLE, Severity.ERROR, more, self.path)
        twice = [name for name, count in self.named.items() if count > 1]
        if twice:
            message = f"several constants have one name: {some(twice)}; TensorFlow refuses that"
            yield Problem("duplicate-node", Severity.ERROR, message, self.path)


def _behind_name(message: Message) -> tuple[bytes, int]:
    """The bytes of a small node behind its name, and where they are; of a large one, none.

    What they hold is the same wherever they are the same.
    """
    if message.length > _TWIN_BYTES:
        return b"", message.offset
    data = bytes(message.view())
    named = data[:1] == _NAME and len(data) > 1 and data[1] < 0x80
    start = 2 + data[1] if named else 0
    return data[start:], message.offset + start


def _storage(value: TensorValue) -> str:
    """How the values are stored, in words."""
    words = value.storage
    if value.stored == 1 and value.elements > 1:
        words = f"{words.partition(',')[0]}, one value for all {value.elements:,} elements"
    return words if value.values in {None, value.dtype} else f"{value.dtype} in {words}"


def _overhead(graph: Graph, found: Sequence[_Found]) -> dict[str, int]:
    """Bytes of a GraphDef by label, those of its constants' values left out. Adds up."""
    sizes = sizes_by_field(graph.message, _LABELS, UNKNOWN)
    for label, inner in ((GRAPH, False), (FUNCTIONS, True)):
        spans = (
            Extent("", *span)
            for one in found
            if bool(one.node.scope) is inner
            for span in one.spans
        )
        sizes[label] = sizes.get(label, 0) - covered(spans)
    if not graph.functions:
        sizes[GRAPH] = sizes.get(GRAPH, 0) + sizes.pop(FUNCTIONS, 0)  # an empty list of them
    return {label: size for label, size in sizes.items() if size}


def sizes_by_field(message: Message, labels: Mapping[int, str], other: str) -> dict[str, int]:
    """Bytes of a message's fields by label, tags included; they add up to the message's length."""
    sizes: dict[str, int] = {}
    end = message.offset
    for field in message.fields():
        label = labels.get(field.number, other)
        sizes[label] = sizes.get(label, 0) + field.offset + field.length - end
        end = field.offset + field.length
    rest = message.offset + message.length - end
    return {**sizes, other: sizes.get(other, 0) + rest} if rest else sizes


def meta_overhead(meta: MetaGraph, constants: Constants | None) -> dict[str, int]:
    """The same of a MetaGraphDef; constants: those of its graph, None where it has none."""
    sizes = sizes_by_field(meta.message, _META_LABELS, UNKNOWN)
    if meta.graph is not None and constants is not None:
        sizes[GRAPH] -= meta.graph.length
        for label, size in constants.overhead.items():
            sizes[label] = sizes.get(label, 0) + size
    return {label: size for label, size in sizes.items() if size}


def _copies(found: Iterable[_Found]) -> dict[str, str]:
    """Constants of functions that are another function's again -> the first one's name.

    A function that is called from several places is often written once for each of them.
    """
    groups: dict[tuple[object, ...], list[_Found]] = {}
    for one in found:
        if one.value.nbytes >= _COPY_BYTES:
            leaf = one.node.name.rpartition("/")[2]
            key = (leaf, one.value.dtype, one.value.shape, one.value.nbytes)
            groups.setdefault(key, []).append(one)
    copies: dict[str, str] = {}
    for group in groups.values():
        if len({one.node.scope for one in group}) < 2:
            continue
        firsts: dict[bytes, list[_Found]] = {}
        for one in group:
            known = firsts.setdefault(_digest(one), [])
            first = next((other for other in known if _is_copy(one.node, other.node)), None)
            if first is None:
                known.append(one)
            else:
                copies[one.tensor.name] = first.tensor.name
    return copies


def _is_copy(one: Node, other: Node) -> bool:
    """Whether two nodes of different functions are called the same, scopes around them aside."""
    if one.scope == other.scope:
        return False
    short, long = sorted((f"/{one.name}", f"/{other.name}"), key=len)
    return long.endswith(short)


def _digest(one: _Found) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    source = one.node.message.source
    for offset, length in one.spans:
        for start in range(offset, offset + length, MIB):
            digest.update(source.view(start, min(MIB, offset + length - start)))
    return digest.digest()


def _layers(found: Iterable[_Found]) -> tuple[Layer, ...]:
    """A layer for each scope that has weights, called after what reads the largest of them."""
    largest: dict[str, tuple[int, str]] = {}
    for one in found:
        layer, op, size = one.place.layer, one.place.op, one.value.elements
        if layer is not None and op is not None and size > largest.get(layer, (-1, ""))[0]:
            largest[layer] = (size, op)
    return tuple(Layer(path, path.rpartition("/")[2], op) for path, (_, op) in largest.items())


def operators_of(graphs: Iterable[Graph]) -> tuple[Operator, ...]:
    """The operators of graphs and of their functions, the most used first.

    A call of a function by its name is no operator.
    """
    counts = Counter(
        node.op for graph in graphs for node in graph.walk() if node.op not in graph.functions
    )
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Operator(name, count, not is_core(name)) for name, count in ordered)


def variables_of(graph: Graph) -> Iterator[Node]:
    """The nodes of the graph itself that are variables: their values are elsewhere."""
    return (node for node in graph.nodes if node.op in VARIABLES)


def variable_uses(
    graph: Graph, uses: Uses, defined: Iterable[VariableDef] = ()
) -> dict[str, tuple[Use, ...]]:
    """Where each variable of a TensorFlow 1 graph is read, by its key in the checkpoint.

    The key is the node's name; defined: the VariableDefs of the graph's collections, which say
    which whole the parts of a partitioned variable belong to.
    """
    keys = {one.name: one.key for one in defined}
    found: dict[str, dict[Use, None]] = {}
    for node in variables_of(graph):
        of_node = uses.get(("", node.name), ())
        found.setdefault(keys.get(node.name, node.name), {}).update(dict.fromkeys(of_node))
    return {key: tuple(of_key) for key, of_key in found.items()}
