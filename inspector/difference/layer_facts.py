"""Layers that one side has alone, and those of another name, class, place or wrapper."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from inspector.difference.config_layers import Node, Paired, moved
from inspector.difference.config_values import Writers, kept, unpackaged
from inspector.report import DiffFact
from inspector.words import count, some

# Names that Keras 2 and Keras 3 give to an input that has none.
_MADE_UP = re.compile(r"(input|input_layer|keras_tensor)(_\d+)?")


def called(node: Node) -> str:
    """What a sentence calls it."""
    return node.path or "the model"


def class_of(node: Node, writers: Writers) -> str:
    """Its class; what has had several names has one only where versions differ."""
    name = str(unpackaged(node.layer.class_name))
    return name if writers is Writers.SAME else node.class_name


def wrapping(node: Node) -> list[str]:
    """Classes of the wrappers around it."""
    return [around.class_name for around in node.wrappers]


def wrapper_facts(paired: Paired) -> Iterator[DiffFact]:
    """One fact a class of wrapper, for all layers that it was taken off, or put on."""
    off: dict[str, list[str]] = {}
    on: dict[str, list[str]] = {}
    for a, b in paired.pairs:
        ours, theirs = Counter(wrapping(a)), Counter(wrapping(b))
        for class_name in ours - theirs:
            off.setdefault(class_name, []).append(a.path)
        for class_name in theirs - ours:
            on.setdefault(class_name, []).append(b.path)
    for done, found in (("taken off", off), ("put on", on)):
        for class_name, paths in found.items():
            words = f"{count(len(paths), f'{class_name} wrapper')} {done}: {some(paths, 5)}"
            before, after = (paths, None) if found is off else (None, paths)
            what = f"wrappers.{class_name}"
            yield DiffFact("layers", what, kept(before), kept(after), words, counts=True)


def layer_facts(paired: Paired, writers: Writers, *, named: bool) -> Iterator[DiffFact]:
    """Layers that only one has, and those of another name, class or place."""
    yield from _lonely(paired.only_a, "removed", writers)
    yield from _lonely(paired.only_b, "added", writers)
    for a, b in paired.pairs:
        if named and a.layer.name != b.layer.name:
            yield from _renamed(a, b, writers)
        ours, theirs = class_of(a, writers), class_of(b, writers)
        if ours != theirs:
            words = f"{called(a)}: class {ours} -> {theirs}"
            what = f"{a.path or 'model'}.class_name"
            yield DiffFact("layers", what, ours, theirs, words, counts=True)
    for a, b in moved(paired.pairs):
        words = f"{a.path} moved, from place {a.place} in its model to place {b.place}"
        yield DiffFact("layers", f"{a.path}.place", a.place, b.place, words, counts=True)


def _lonely(nodes: Iterable[Node], done: str, writers: Writers) -> Iterator[DiffFact]:
    alone = {id(node): node for node in nodes}
    inside = Counter(
        id(around) for node in alone.values() for around in _around(node) if id(around) in alone
    )
    for node in alone.values():
        told = node.path and not (node.implied and writers is not Writers.SAME)
        if id(node.parent) in alone or not told:
            continue
        class_name = ", in ".join([node.layer.class_name or "layer", *reversed(wrapping(node))])
        more = inside[id(node)]
        holds = f", with {count(more, 'layer')} inside" if more else ""
        words = f"layer {done}: {called(node)} ({class_name}{holds})"
        a, b = (class_name, None) if done == "removed" else (None, class_name)
        yield DiffFact("layers", node.path or "model", a, b, words, counts=True)


def _around(node: Node) -> Iterator[Node]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def _renamed(a: Node, b: Node, writers: Writers) -> Iterator[DiffFact]:
    ours, theirs = a.layer.name, b.layer.name
    if not (ours and theirs):
        return  # a saved report does not name its model
    if writers is Writers.FLAVORS and a.is_input and all(map(_MADE_UP.fullmatch, (ours, theirs))):
        return
    is_root = a.parent is None and a.layer.is_model
    counts = not (is_root or a.implied or b.implied)
    what = "model.name" if is_root else f"{a.path}.name"
    words = f"{'the model' if is_root else 'layer'} renamed: {ours} -> {theirs}"
    yield DiffFact("layers", what, ours, theirs, words, counts)
