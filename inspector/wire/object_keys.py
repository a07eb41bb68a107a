"""The keys of a checkpoint, found again from a SavedModel's own object graph.

A checkpoint's object graph is stored beside its values, and is missing where they are. Each key is
a path through the objects all the same, by which the SavedModel's graph can be walked. Source:
tensorflow/python/checkpoint/util.py and trackable_view.py, of TensorFlow 2.21.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from inspector.wire.object_graph import Attribute, ObjectGraph, ObjectNode

_VALUE, _SLOT = "/.ATTRIBUTES/", "/.OPTIMIZER_SLOT/"


def with_keys(graph: ObjectGraph, keys: Iterable[str]) -> ObjectGraph:
    """The graph, each object with those of `keys` that lead to it; the others lead nowhere."""
    walker = _Walker(graph)
    found: dict[int, list[Attribute]] = {}
    # A lookup table is one value under one key, stored in two parts.
    for key in dict.fromkeys(one.removesuffix("-keys").removesuffix("-values") for one in keys):
        path, mark, name = key.partition(_VALUE)
        number = walker.object(path) if mark else None
        if number is not None:
            variable = graph.nodes[number].variable
            full_name = variable.name if variable is not None else ""
            found.setdefault(number, []).append(Attribute(name, full_name, key))
    nodes = tuple(
        replace(node, attributes=tuple(found[node.id])) if node.id in found else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


class _Walker:
    def __init__(self, graph: ObjectGraph) -> None:
        self._nodes = graph.nodes
        self._children: dict[int, dict[str, int]] = {}

    def object(self, path: str) -> int | None:
        """Number of the object at the end of a key's path; None where there is none."""
        before, mark, behind = path.partition(_SLOT)
        number = self._follow(before)
        if not mark:
            return number
        owner, _, name = behind.rpartition("/")
        optimizer = self._follow(owner)
        if number is None or optimizer is None:
            return None
        slots = self._nodes[optimizer].slots
        return next((s.slot for s in slots if (s.variable, s.name) == (number, name)), None)

    def _follow(self, path: str) -> int | None:
        number: int | None = 0 if self._nodes else None
        for part in path.split("/"):
            if number is None:
                return None
            number = self._named(self._nodes[number]).get(part)
        return number

    def _named(self, node: ObjectNode) -> dict[str, int]:
        """The object's children, under their names as keys spell them."""
        if node.id not in self._children:
            self._children[node.id] = {
                one.name.replace(".", "..").replace("/", ".S"): one.node for one in node.children
            }
        return self._children[node.id]
