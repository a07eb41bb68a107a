"""The layers of both models, wrappers taken off, and which is which."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspector.difference.config_values import normal, text_of, unpackaged
from inspector.errors import InspectorError
from inspector.keras.config import parse_model
from inspector.keras.layers_table import SPELLINGS
from inspector.keras.tfmot import CLASSES
from inspector.model import Artifact, Layer, Store
from inspector.pairing.names import Names

# A wrapper that is a layer of its own.
_LONE = "QuantizeLayer"
_INPUT = "InputLayer"
# Names of one class in Keras' history.
_MODELS: Mapping[str, str] = dict.fromkeys(("Model", "Network", "Container"), "Functional")
# How a layer holds another -> the key of its config where both directions come from one layer.
_KEY_OF: Mapping[str, str] = {"forward_layer": "layer"}
# Layers of which the order is looked at, on the one side times on the other: the comparison takes
# so many steps, at best.
_STEPS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A layer without the wrappers around it, the outermost of which comes first in `wrappers`.

    path: its names from the model down, no wrapper's among them; place: among its siblings.
    """

    path: str
    layer: Layer
    wrappers: tuple[Layer, ...]
    parent: Node | None
    place: int

    @property
    def stored_name(self) -> str:
        """As the model's own wiring calls it."""
        return (self.wrappers or (self.layer,))[0].name

    @property
    def class_name(self) -> str:
        """One name for a class that has had several."""
        name = str(unpackaged(self.layer.class_name))
        return _MODELS.get(name, SPELLINGS.get(name, name))

    @property
    def is_input(self) -> bool:
        """Whether it stands for an input of its model."""
        return self.layer.class_name == _INPUT

    @property
    def in_sequence(self) -> bool:
        """Whether its place in the list is its place in the model."""
        return self.parent is not None and self.parent.class_name == "Sequential"

    @property
    def implied(self) -> bool:
        """Whether it only tells the input of a Sequential, whose first layer can tell it as well;
        it is then named after that.
        """
        return self.is_input and self.in_sequence

    def config(self) -> dict[str, Any]:
        """Its own settings, in their normal form: no name, and no layer inside it."""
        return own_config(self.layer, keep_shape=self.is_input or self._starts())

    def _starts(self) -> bool:
        return self.in_sequence and self.place == 0


def own_config(layer: Layer, *, keep_shape: bool = False) -> dict[str, Any]:
    """A layer's settings without its name, the layers inside it, and how those are connected.

    keep_shape: where it says what goes into the model; elsewhere another layer says it.
    """
    left_out = {"name", *(_KEY_OF.get(child.attr, child.attr) for child in layer.children)}
    if layer.is_model:
        left_out |= {"layers", "input_layers", "output_layers", "build_input_shape"}
    found = normal({key: value for key, value in layer.config.items() if key not in left_out})
    if not keep_shape:
        found.pop("batch_shape", None)
    return dict(found)


def nodes_of(artifact: Artifact, *, reread: bool = True) -> tuple[Node, ...]:
    """The layers of the model, or those told from names where there is no config; depth first.

    reread: those of a SavedModel are told by the config of the model, if there is one, rather than
    by its objects.
    """
    roots = _roots(artifact, reread=reread)
    # Objects are in the file themselves, whatever a config says.
    walker = _Walker(Names(artifact), artifact.store is Store.OBJECTS and artifact.model in roots)
    for place, root in enumerate(roots):
        walker.visit(root, None, (), place)
    return tuple(walker.found)


def _roots(artifact: Artifact, *, reread: bool) -> Sequence[Layer]:
    model = artifact.model
    if model is None:
        return artifact.guessed
    if reread and artifact.store is Store.OBJECTS and isinstance(model.config.get("layers"), list):
        # Objects are what has variables or functions: the model's own config has every layer.
        try:
            node = {"class_name": model.class_name, "config": model.config}
            return (parse_model(node, artifact.flavor),)
        except InspectorError:
            return (model,)
    return (model,)


@dataclass(slots=True)
class _Walker:
    names: Names
    objects: bool
    taken: set[str] = field(default_factory=set)
    found: list[Node] = field(default_factory=list)

    def visit(
        self, layer: Layer, parent: Node | None, around: tuple[Layer, ...], place: int
    ) -> None:
        inner = layer.child("layer")
        if inner is not None and layer.class_name in CLASSES and layer.class_name != _LONE:
            self.visit(inner, parent, (*around, layer), place)
            return
        path = self.names.of(layer.path)
        path = layer.path if path in self.taken else path
        self.taken.add(path)
        node = Node(path, layer, around, parent, place)
        self.found.append(node)
        for at, child in enumerate(layer.children if self.objects else _spelled_out(layer)):
            self.visit(child, node, (), at)


def _spelled_out(layer: Layer) -> Iterator[Layer]:
    """The layers inside that the config has; none that only the class makes.

    The second direction of a Bidirectional is left out where it is the first one again.
    """
    forward = layer.child("forward_layer")
    for child in layer.children:
        if child.attr == "backward_layer" and forward is not None and _mirrored(child, forward):
            continue
        key = _KEY_OF.get(child.attr, child.attr)
        if layer.is_model or not layer.config or key in layer.config:
            yield child


def _mirrored(layer: Layer, forward: Layer) -> bool:
    ours, theirs = own_config(layer), own_config(forward)
    return ours | {"go_backwards": None} == theirs | {"go_backwards": None}


@dataclass(frozen=True, slots=True)
class Paired:
    """Every layer of both is in one of the three; the pairs are in A's order."""

    pairs: tuple[tuple[Node, Node], ...]
    only_a: tuple[Node, ...]
    only_b: tuple[Node, ...]


def pair_nodes(a: Sequence[Node], b: Sequence[Node], layers: Mapping[str, str]) -> Paired:
    """Pair layers by what pairing found of their weights, by name, then by class and order.

    layers: paths of A -> paths of B, of layers with weights that have another name in B.
    """
    matching = _Matching({n.path: n for n in a}, {n.path: n for n in b})
    for ours, theirs in layers.items():
        matching.take(ours, theirs)
    for path in list(matching.a):
        matching.take(path, path)
    matching.in_order(lambda node: (*_place(node), text_of(node.config())))
    matching.in_order(_place)
    order = {id(node): at for at, node in enumerate(a)}
    pairs = sorted(matching.found, key=lambda pair: order[id(pair[0])])
    return Paired(tuple(pairs), tuple(matching.a.values()), tuple(matching.b.values()))


def _place(node: Node) -> tuple[int, str]:
    return node.path.count("/"), node.class_name


@dataclass(slots=True)
class _Matching:
    """a, b: layers that have no partner yet, by path, in their order."""

    a: dict[str, Node]
    b: dict[str, Node]
    found: list[tuple[Node, Node]] = field(default_factory=list)

    def take(self, ours: str, theirs: str) -> None:
        if ours in self.a and theirs in self.b:
            self.found.append((self.a.pop(ours), self.b.pop(theirs)))

    def in_order(self, key: Callable[[Node], tuple[Any, ...]]) -> None:
        """Layers of one key, as far as both have them in one order."""
        left, right = [{p: key(n) for p, n in side.items()} for side in (self.a, self.b)]
        common = set(left.values()) & set(right.values())
        ours, theirs = [[p for p in side if side[p] in common] for side in (left, right)]
        if len(ours) * len(theirs) > _STEPS:
            return
        for one, other in _in_one_order([left[p] for p in ours], [right[p] for p in theirs]):
            self.take(ours[one], theirs[other])


def _in_one_order(a: list[Any], b: list[Any]) -> list[tuple[int, int]]:
    """Indices of equal values, increasing in both; the other way round the same ones."""
    if b < a:  # what is found depends on which of the two comes first
        return [(one, other) for other, one in _in_one_order(b, a)]
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return [(block.a + at, block.b + at) for block in blocks for at in range(block.size)]


def moved(pairs: Sequence[tuple[Node, Node]]) -> list[tuple[Node, Node]]:
    """Pairs of one Sequential that are not in one order: the fewest that could have been moved."""
    groups: dict[tuple[int, int], list[tuple[Node, Node]]] = {}
    for a, b in pairs:
        if a.in_sequence and b.in_sequence and not (a.implied or b.implied):
            groups.setdefault((id(a.parent), id(b.parent)), []).append((a, b))
    return [pair for group in groups.values() for pair in _out_of_order(group)]


def _out_of_order(group: Sequence[tuple[Node, Node]]) -> list[tuple[Node, Node]]:
    """All but the longest run of pairs, in A's order, that B has in its order too."""
    ends: list[int] = []  # B's places: the least with which a run of each length can end
    last: list[int] = []  # indices of the pairs that these are
    before: list[int] = []
    for at, (_, b) in enumerate(group):
        length = bisect_left(ends, b.place)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [b.place]
        last[length : length + 1] = [at]
    kept, at = set(), last[-1] if last else -1
    while at >= 0:
        kept.add(at)
        at = before[at]
    return [pair for at, pair in enumerate(group) if at not in kept]
