"""Operators of a graph that reach past it, and where the names of the files come from.

Every SavedModel saves and restores its variables, and reads its tables, with operators that would
be dangerous elsewhere. What tells them apart is who names the file: the saver's own tensor, that of
an asset, or the graph itself. So names are followed back from the operator, out of functions to
their callers.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from inspector import deadline
from inspector.auditing.contents import Asset, Operation
from inspector.dangers import (
    ATTRIBUTE_OPERATORS,
    OPERATORS,
    SAVER_OPERATORS,
    TABLE_OPERATORS,
)
from inspector.errors import ArtifactError
from inspector.graph.ops import is_core
from inspector.graph.passing import CALLS, Call
from inspector.limits import Limits
from inspector.storage import ByteSource
from inspector.wire.graph_def import (
    Graph,
    Node,
    attr_func,
    attr_funcs,
    attr_tensor,
    attr_text,
    attr_texts,
    attr_type,
    read_graph,
)
from inspector.wire.graph_kind import GraphKind, graph_kind
from inspector.wire.object_graph import read_saved_object_graph
from inspector.wire.protobuf import Message, message
from inspector.wire.saved_model import MetaGraph, read_meta_graph, read_saved_model
from inspector.wire.tensor_values import strings
from inspector.wire.text_format import to_binary

_TEXTS, _LONGEST = 8, 200  # constants of an operator that are told, and bytes of each
_STEPS = 500  # nodes that are looked at to find them
_SAVER_DEF, _FILENAME = 3, 1  # fields of a MetaGraphDef, and of the SaverDef in it
_REACHING = (
    OPERATORS.keys() | SAVER_OPERATORS.keys() | TABLE_OPERATORS.keys() | ATTRIBUTE_OPERATORS.keys()
)
_FED = frozenset({"Placeholder", "PlaceholderV2"})
# The tensor by which each `tf.train.Saver` is given its file: of several, a graph names one.
_SAVERS = re.compile(r"(?:.*/)?save(?:_\d+)?/(?:Const|filename)")
_ADDRESSES = "debug_urls"  # where DebugIdentity sends values
_TRACED = 2_000  # operators whose names are followed back: what is beyond has come from anywhere
_TOLD = 1_000  # nodes of one operator that are kept
_NAMED = {"saved_model.pb": GraphKind.SAVED_MODEL}
# Text formats begin with a word.
_BEFORE = rb"(?:\s++|#[^\n]*+\n)*+"
_TEXT_KINDS = tuple(
    (re.compile(_BEFORE + words), kind)
    for words, kind in (
        (rb"(?:saved_model_schema_version|meta_graphs)\b", "SavedModel"),
        (
            rb"(?:meta_info_def|graph_def|saver_def|collection_def|signature_def)\b",
            "MetaGraphDef",
        ),
        (rb"(?:node|versions|library)\s*[:{]", "GraphDef"),
    )
)


@dataclass(slots=True)
class Looked:
    """What was found in an artifact's graphs. metadata: (identifier, JSON) of Keras' objects."""

    operations: list[Operation] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    metadata: list[tuple[str, str]] = field(default_factory=list)


def look_at_graph(source: ByteSource, path: str, into: Looked, limits: Limits) -> None:
    """Look at a file that may be a graph; add what is found to `into`.

    Raises what reading protobuf raises, where the file is a graph.
    """
    kind, whole = _message(source, limits)
    if kind is GraphKind.SAVED_MODEL:
        for meta in read_saved_model(whole).meta_graphs:
            _meta_graph(meta, path, into)
    elif kind is GraphKind.META_GRAPH:
        _meta_graph(read_meta_graph(whole), path, into)
    elif kind is GraphKind.GRAPH:
        into.operations += _operations(read_graph(whole), path, frozenset(), frozenset())


def _message(source: ByteSource, limits: Limits) -> tuple[GraphKind | None, Message]:
    kinds = {
        "SavedModel": GraphKind.SAVED_MODEL,
        "MetaGraphDef": GraphKind.META_GRAPH,
        "GraphDef": GraphKind.GRAPH,
    }
    head = bytes(source.view(0, min(source.size, 4096)))
    for pattern, word in _TEXT_KINDS:
        if pattern.match(head):
            return kinds[word], to_binary(source, word, limits).message
    # A loader goes by the name: what the first fields look like is no matter then.
    kind = _NAMED.get(os.path.basename(source.path)) or graph_kind(source)
    return kind, message(source, limits)


def _meta_graph(meta: MetaGraph, path: str, into: Looked) -> None:
    into.assets += (Asset(one.filename, path) for one in meta.assets)
    if meta.objects is not None:
        into.metadata += (
            (f"object {node.id}", node.metadata)
            for node in read_saved_object_graph(meta.objects).nodes
            if node.metadata
        )
    if meta.graph is None:
        return
    saver = meta.message.find(_SAVER_DEF)
    named = {_node_of(saver.text(_FILENAME))} if saver is not None else set()
    assets = frozenset(_node_of(one.tensor) for one in meta.assets)
    into.operations += _operations(read_graph(meta.graph), path, frozenset(named - {""}), assets)


def _operations(
    graph: Graph, path: str, saver: frozenset[str], assets: frozenset[str]
) -> Iterator[Operation]:
    """The operators that reach past the graph.

    saver, assets: nodes that are given the file's name by who loads it.
    """
    saver |= {node.name for node in graph.nodes if _SAVERS.fullmatch(node.name)}
    origins: _Origins | None = None
    told: Counter[str] = Counter()
    for node in deadline.watched(graph.walk()):
        op = node.op
        reaches = op in _REACHING
        if not reaches and (op in graph.functions or is_core(op)):
            continue
        said = _attributes(node)
        if op in ATTRIBUTE_OPERATORS and not any(map(ATTRIBUTE_OPERATORS[op][1].match, said)):
            continue
        told[op] += 1
        if told[op] > _TOLD:
            continue
        if reaches:
            found = _Found()
            if told.total() <= _TRACED:
                origins = origins or _Origins(graph, saver, assets)
                found = origins.of(node, _places(op))
            own = bool(found.fed) and found.fed <= saver and not found.open
            yield Operation(
                op=op,
                node=node.name,
                function=node.scope,
                path=path,
                texts=(*said, *found.texts)[:_TEXTS],
                given=(*sorted(found.fed - saver - assets), *sorted(found.open)),
                saver=op in SAVER_OPERATORS and own,
                asset=bool(found.fed & assets),
            )
        else:
            yield Operation(op, node.name, node.scope, path)


def _places(op: str) -> Sequence[int] | None:
    """The inputs that name files; None where any may."""
    if op in SAVER_OPERATORS:
        return SAVER_OPERATORS[op][0]
    return (TABLE_OPERATORS[op],) if op in TABLE_OPERATORS else None


def _attributes(node: Node) -> tuple[str, ...]:
    """Files and addresses that stand in the node itself."""
    found: list[str] = []
    name = ATTRIBUTE_OPERATORS[node.op][0] if node.op in ATTRIBUTE_OPERATORS else _ADDRESSES
    value = node.attr(name)
    if value is not None:
        one = attr_text(value)
        found += attr_texts(value) if one is None else (one,)
    return tuple(text[:_LONGEST] for text in found if text)


@dataclass(slots=True)
class _Found:
    """What inputs are made of.

    texts: constants; fed: nodes of the graph that a caller feeds; open: arguments of functions that
    nothing in the graph gives.
    """

    texts: list[str] = field(default_factory=list)
    fed: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)


class _Origins:
    """Who gives a node its inputs, followed back within one graph.

    saver, assets: constants that are fed all the same; what those of assets hold is no matter.
    """

    def __init__(self, graph: Graph, saver: frozenset[str], assets: frozenset[str]) -> None:
        self._named, self._assets = saver | assets, assets
        self._functions = graph.functions
        self._nodes: dict[str, dict[str, Node]] = {"": {one.name: one for one in graph.nodes}}
        for name, function in graph.functions.items():
            self._nodes[name] = {one.name: one for one in function.nodes}
        self._sites: dict[str, list[tuple[Node, Call]]] = {}
        for node in graph.walk():
            call = CALLS.get(node.op)
            if call is not None:
                for name in _called(node, call):
                    self._sites.setdefault(name, []).append((node, call))
            elif node.op in self._functions:
                self._sites.setdefault(node.op, []).append((node, Call(())))

    def of(self, node: Node, places: Sequence[int] | None) -> _Found:
        """What the inputs at `places` (all where None) of a node are made of."""
        inputs = _values(node)
        chosen = inputs if places is None else [inputs[at] for at in places if at < len(inputs)]
        found = _Found()
        waiting = [(node.scope, one) for one in reversed(chosen)]
        seen: set[tuple[str, str]] = set()
        while waiting and len(seen) < _STEPS:
            scope, text = waiting.pop()
            name = text.partition(":")[0]
            if (scope, name) in seen:
                continue
            seen.add((scope, name))
            waiting += reversed(self._before(scope, name, found))
        return found

    def _before(self, scope: str, name: str, found: _Found) -> list[tuple[str, str]]:
        """What a value is made of; what leads no further is kept in `found`."""
        node = self._nodes[scope].get(name)
        if node is None:
            return self._given(scope, name, found)
        if not scope and (node.op in _FED or name in self._named):
            found.fed.add(name)
        if node.op == "Const" and (scope or name not in self._assets):
            found.texts += _texts(node, _TEXTS - len(found.texts))
        before = [(scope, one) for one in _values(node)]
        for called in _called(node, CALLS[node.op]) if node.op in CALLS else ():
            function = self._functions.get(called)
            if function is not None:
                before += ((called, one) for one in function.returns.values())
        return before

    def _given(self, scope: str, name: str, found: _Found) -> list[tuple[str, str]]:
        """What the callers of a function give as one of its arguments."""
        function = self._functions.get(scope)
        if function is None or name not in function.arguments:
            return []
        at = function.arguments.index(name)
        given: list[tuple[str, str]] = []
        for node, call in self._sites.get(scope, ()):
            inputs = _values(node)
            place = at - call.argument + call.first
            if 0 <= place < len(inputs):
                given.append((node.scope, inputs[place]))
        if not given:
            found.open.add(f"argument {name} of {scope}")
        return given


def _values(node: Node) -> list[str]:
    return [one for one in node.inputs if not one.startswith("^")]


def _called(node: Node, call: Call) -> list[str]:
    """Names of the functions that a node calls."""
    found: list[str] = []
    for name in call.attrs:
        value = node.attr(name)
        if value is not None:
            one = attr_func(value)
            found += attr_funcs(value) if one is None else (one,)
    return found


def _texts(node: Node, most: int) -> Iterator[str]:
    """The texts of a Const of strings, the first of them."""
    kind, value = node.attr("dtype"), node.attr("value")
    if kind is None or value is None or attr_type(kind) != "string":
        return
    tensor = attr_tensor(value)
    if tensor is None:
        return
    try:
        for at, text in enumerate(strings(tensor)):
            if at >= most:
                return
            yield bytes(text[:_LONGEST]).decode("utf-8", "backslashreplace")
    except ArtifactError:
        return


def _node_of(tensor: str) -> str:
    """The node of a tensor: "save/Const" of "save/Const:0"."""
    return tensor.partition(":")[0]
