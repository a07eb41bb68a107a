"""Graphs written by hand: nodes, functions, and the calls between them."""

from inspector.storage import MemorySource
from inspector.wire.graph_def import Graph, read_graph
from inspector.wire.protobuf import message
from tests.builders.bundles import chunk


def _text(field, value):
    return chunk(field, value.encode())


def _attr(name, value):
    """An AttrValue that names a function (`func` = 10), or a list of them (`list.func` = 9)."""
    if isinstance(value, str):
        inner = chunk(10, _text(1, value))
    else:
        inner = chunk(1, b"".join(chunk(9, _text(1, one)) for one in value))
    return chunk(5, _text(1, name) + chunk(2, inner))


def node(name, op, *inputs, **functions) -> bytes:
    """A NodeDef: name = 1, op = 2, input = 3, attr = 5."""
    head = _text(1, name) + _text(2, op) + b"".join(_text(3, one) for one in inputs)
    return head + b"".join(_attr(key, value) for key, value in functions.items())


def function(name, arguments, nodes, returns) -> bytes:
    """A FunctionDef: signature = 1, node_def = 3, ret = 4."""
    signature = _text(1, name)
    signature += b"".join(chunk(2, _text(1, one)) for one in arguments)
    signature += b"".join(chunk(3, _text(1, one)) for one in returns)
    body = b"".join(chunk(3, one) for one in nodes)
    ends = b"".join(chunk(4, _text(1, key) + _text(2, ref)) for key, ref in returns.items())
    return chunk(1, signature) + body + ends


def graph(nodes=(), functions=()) -> Graph:
    """A Graph: node = 1, library.function = 2.1."""
    data = b"".join(chunk(1, one) for one in nodes)
    data += chunk(2, b"".join(chunk(1, one) for one in functions))
    return read_graph(message(MemorySource(data, "graph.pb")))
