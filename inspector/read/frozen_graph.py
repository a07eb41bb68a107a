"""Graphs in a file of their own: a frozen GraphDef, as bytes or as text, and a `.meta` alone."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from inspector import filesystem
from inspector.errors import ArtifactError, Corrupt, Truncated
from inspector.graph.flow import uses_of
from inspector.limits import Limits
from inspector.model import (
    Artifact,
    FileEntry,
    Port,
    Problem,
    Producer,
    Severity,
    Signature,
    Store,
)
from inspector.read.formats import FROZEN_GRAPH, Opened
from inspector.read.graph_common import (
    GRAPH,
    UNKNOWN,
    Constants,
    meta_overhead,
    operators_of,
    read_constants,
    variables_of,
)
from inspector.storage import ByteSource, covered
from inspector.wire.graph_def import Graph, Node, attr_shape, attr_shapes, attr_type, read_graph
from inspector.wire.graph_kind import GraphKind, graph_kind
from inspector.wire.protobuf import Message, message
from inspector.wire.saved_model import read_meta_graph
from inspector.wire.text_format import Text, to_binary
from inspector.words import count, some

_UNCOUNTED = "a graph holds operators, not Keras layers"
_REPLACED = "\ufffd".encode()  # what decoders put in the place of bytes that are no text
_SAMPLE, _RECURS = 1 << 20, 3
_HEAD = 4096
_TEXT_META = re.compile(
    rb"(?:\s++|#[^\n]*+\n)*+(meta_info_def|graph_def|saver_def|collection_def|signature_def)\b"
)
_FED = frozenset({"Placeholder", "PlaceholderV2"})
# Operators whose result, where nothing reads it, is no result of the graph.
_NO_RESULT = _FED | {"Const", "NoOp", "Assert", "VarHandleOp", "VariableV2", "Variable"}
# What lowering puts in the place of values that the branches of an If or a While do not take.
_UNUSED = "unused_control_flow_input"


def read(path: str, limits: Limits) -> Opened:
    """Open a GraphDef or a MetaGraphDef.

    Raises ArtifactError: Truncated and Corrupt with the offset, LimitExceeded.
    """
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(filesystem.opened(path))
        try:
            artifact = _artifact(source, limits)
        except (Corrupt, Truncated) as error:
            if _is_reencoded(source):
                raise Corrupt(
                    "looks re-encoded as text: bytes that are no text were replaced, and are lost;"
                    " fetch the file anew as binary",
                    path,
                    error.offset,
                ) from error
            raise
        return Opened(artifact, stack.pop_all())


def _artifact(source: ByteSource, limits: Limits) -> Artifact:
    kind = graph_kind(source)
    if kind is not None:
        whole = message(source, limits)
        if kind is GraphKind.META_GRAPH:
            return _meta_graph(source, whole)
        return _graph(source, whole)
    is_meta = _TEXT_META.match(source.view(0, min(source.size, _HEAD))) is not None
    text = to_binary(source, "MetaGraphDef" if is_meta else "GraphDef", limits)
    try:
        return (_meta_graph if is_meta else _graph)(source, text.message, text)
    except ArtifactError as error:
        error.offset = None  # of the binary form, which is in no file
        raise


def _graph(source: ByteSource, whole: Message, text: Text | None = None) -> Artifact:
    graph, found = _read(whole, text)
    frozen = "with variables, not frozen" if any(variables_of(graph)) else "frozen graph"
    version = "" if graph.producer is None else f" (graph version {graph.producer})"
    kind = f"GraphDef, {frozen}{version}"
    return replace(
        _made_of(source, kind, graph, found, text),
        overhead=_remaining(source, found) if text else found.overhead,
        # It says which version of graphs it is of, and not which TensorFlow made it.
        producer=Producer("tensorflow"),
        signatures=_signature(graph),
    )


def _meta_graph(source: ByteSource, whole: Message, text: Text | None = None) -> Artifact:
    meta = read_meta_graph(whole)
    if meta.graph is None:
        raise Corrupt("a MetaGraphDef without a graph", source.path)
    graph, found = _read(meta.graph, text)
    kind = "MetaGraphDef, graph of a checkpoint, without its variables"
    return replace(
        _made_of(source, kind, graph, found, text),
        overhead=_remaining(source, found) if text else meta_overhead(meta, found),
        producer=Producer("tensorflow", meta.tensorflow_version),
        tags=(meta.tags,) if meta.tags else (),
        signatures=meta.signatures,
    )


def _read(message: Message, text: Text | None) -> tuple[Graph, Constants]:
    graph = read_graph(message)
    uses = uses_of(graph, limits=message.limits)
    return graph, read_constants(graph, uses, None if text is None else text.spans)


def _made_of(
    source: ByteSource, kind: str, graph: Graph, found: Constants, text: Text | None
) -> Artifact:
    """What an artifact has from its graph alone."""
    return Artifact(
        path=source.path,
        format=FROZEN_GRAPH.name,
        kind=f"{kind}, as text" if text else kind,
        files=(FileEntry(source.path, source.size),),
        tensors=found.tensors,
        overhead={},
        store=Store.NAMES,
        guessed=found.layers,
        operators=operators_of([graph]),
        uncounted=_UNCOUNTED,
        problems=(*found.problems, *_problems(graph, found, source)),
    )


def _remaining(source: ByteSource, found: Constants) -> dict[str, int]:
    """Bytes of a text that are no values."""
    held = covered(extent for tensor in found.tensors for extent in tensor.extents)
    return {GRAPH: source.size - held}


def _problems(graph: Graph, found: Constants, source: ByteSource) -> Iterator[Problem]:
    unknown = found.overhead.get(UNKNOWN, 0)
    if unknown:
        message = f"{unknown:,} bytes are in fields that TensorFlow 2.21 does not have"
        yield Problem("unknown-fields", Severity.INFO, message, source.path)
    variables = [node.name for node in variables_of(graph)]
    if variables:
        index = f"{os.path.splitext(source.path)[0]}.index"
        where = f"the checkpoint beside it, {os.path.basename(index)}"
        if not filesystem.isfile(index):
            where = "a checkpoint, not in this file"
        message = f"{count(len(variables), 'variable')} ({some(variables)}): values are in {where}"
        yield Problem("variables-elsewhere", Severity.INFO, message, source.path)
    if graph.producer is None and graph_kind(source) is GraphKind.GRAPH:
        message = (
            "says no version, which TensorFlow writes behind the nodes: the graph may be cut off"
            " there, or was not written by TensorFlow"
        )
        yield Problem("no-version", Severity.INFO, message, source.path)
    lost = list(_lost(graph))
    if lost:
        message = (
            f"{count(len(lost), 'node')} that others read are not there ({some(lost)}):"
            " the graph is cut off, or a part of another"
        )
        yield Problem("missing-node", Severity.WARNING, message, source.path)


def _lost(graph: Graph) -> Iterable[str]:
    """Nodes of the graph itself that are inputs of others and do not exist, each once."""
    known = {node.name for node in graph.nodes}
    read = dict.fromkeys(_node(text) for node in graph.nodes for text in node.inputs)
    return (name for name in read if name not in known)


def _node(text: str) -> str:
    """The node of an input: "conv" of "conv:1" and of "^conv"."""
    return text.removeprefix("^").partition(":")[0]


def _signature(graph: Graph) -> tuple[Signature, ...]:
    """How a graph is called, which it does not say: what is fed, and what nothing reads."""
    read = {_node(text) for node in graph.nodes for text in node.inputs}
    fed = [node for node in graph.nodes if node.op in _FED and not node.name.startswith(_UNUSED)]
    ends = [node for node in graph.nodes if node.name not in read and node.op not in _NO_RESULT]
    if not fed and not ends:
        return ()
    return (Signature("graph", tuple(map(_port, fed)), tuple(map(_port, ends))),)


def _port(node: Node) -> Port:
    dtype = next((one for one in map(node.attr, ("dtype", "T")) if one is not None), None)
    if node.op in _FED:
        said = node.attr("shape")
        shape = None if said is None else attr_shape(said)
    else:
        said = node.attr("_output_shapes")
        shape = None if said is None else next(iter(attr_shapes(said)), None)
    return Port(node.name, None if dtype is None else attr_type(dtype), shape, f"{node.name}:0")


def _is_reencoded(source: ByteSource) -> bool:
    """Whether bytes that are no text were replaced: then the rest is text, and they recur."""
    head = bytes(source.view(0, min(source.size, _SAMPLE)))
    if head.count(_REPLACED) < _RECURS:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # its last character may be cut
    except UnicodeDecodeError:
        return False
    return True
