"""Which tensors a search means, and where the next one is."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from inspector.browse.outline import Key, Node, every
from inspector.render.rows import row_around
from inspector.report import TensorReport

_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. text: words or a glob, "" for anything; role: "" for any."""

    text: str = ""
    role: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.role)


def matches(tensor: TensorReport, wanted: Wanted) -> bool:
    """Whether a tensor is meant: the text lies in its name, its layer's and variable's or its role,
    in any case of letters; a glob must match one of them, or the end of one, whole.
    """
    if wanted.role and tensor.role != wanted.role:
        return False
    return says(wanted.text, _names(tensor))


def _names(tensor: TensorReport) -> tuple[str, ...]:
    called = "/".join(filter(None, (tensor.layer, tensor.variable)))
    return (tensor.name, called, tensor.layer or "", tensor.role)


def says(text: str, names: Sequence[str]) -> bool:
    """Whether one of the names holds the text, or matches it where it is a glob."""
    sought = text.strip().lower()
    lowered = [name.lower() for name in names]
    if not _GLOB & set(sought):
        return any(sought in name for name in lowered)
    return any(
        fnmatch.fnmatchcase(name, pattern)
        for name in lowered
        for pattern in (sought, f"*/{sought}")
    )


def step(nodes: Sequence[Node], at: Key | None, forward: bool) -> Node | None:
    """The next leaf after `at` in the order of the tree, or the one before; around the ends.

    None where there is none.
    """
    return beyond([one for one in every(nodes) if not one.children], every_key(nodes), at, forward)


def every_key(nodes: Sequence[Node]) -> dict[Key, int]:
    """The place of each node among all."""
    return {node.key: place for place, node in enumerate(every(nodes))}


def beyond(
    stops: Sequence[Node], places: dict[Key, int], at: Key | None, forward: bool
) -> Node | None:
    """The stop that comes after the place of `at`, or before it; around the ends."""
    if not stops:
        return None
    here = places.get(at, -1) if at is not None else -1
    if forward:
        return next((one for one in stops if places[one.key] > here), stops[0])
    return next((one for one in reversed(stops) if places[one.key] < here), stops[-1])


def place_of(nodes: Sequence[Node], top: Key, tensor: str | None, layer: str | None) -> Key:
    """Where something is to be shown that is said of a tensor or of a layer: its line, that of the
    layer around it, or of the artifact, whose key is `top`.
    """
    below = [one for one in every(nodes) if one.key[:1] == top]
    for node in below:
        if tensor is not None and node.kind == "tensor" and node.item.name == tensor:
            return node.key
    rows = {node.item.name: node.key for node in below if node.kind == "layer"}
    row = row_around(layer, rows)
    return top if row is None else rows[row]
