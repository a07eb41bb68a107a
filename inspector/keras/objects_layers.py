"""From a walked object graph to the tree of layers, with the names that people know.

A SavedModel has each Keras layer's class, name and config. A checkpoint has none of it: there a
layer is called what its variables' own names say ("dense/kernel"), else as its attribute is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from inspector.errors import LimitExceeded
from inspector.keras.bind import parts_of
from inspector.keras.objects_graph import Thing, Walked
from inspector.keras.objects_kinds import INDEXED, KERAS, Kind
from inspector.limits import DEFAULT, Limits
from inspector.model import Layer, Section

# Attributes that only a wrapper of tensorflow-model-optimization has -> its class.
_WRAPPERS: Sequence[tuple[frozenset[str], str]] = (
    (frozenset({"pruning_vars", "pruning_step"}), "PruneLowMagnitude"),
    (frozenset({"clustering_algorithms", "cluster_centroids"}), "ClusterWeights"),
    (frozenset({"_weight_vars", "_output_quantizers", "optimizer_step"}), "QuantizeWrapperV2"),
    (frozenset({"quantizer_vars", "optimizer_step"}), "QuantizeLayer"),
)
METRIC_MODULE = "keras.metrics"
# Lists in which a Keras 3 model has its layers.
_MODEL_LISTS = frozenset({"_operations", "_layers"})


def layer_index(name: str) -> int | None:
    """The place in the model's list that "layer-3" tells."""
    found = INDEXED.match(name)
    return int(found[2]) if found is not None and found[1] is None else None


def told_class(thing: Thing) -> str:
    """The class of a metric or tfmot wrapper, told by what it holds; "" for other objects."""
    names = thing.names
    if thing.kind is Kind.METRIC:
        return "Metric"
    if names == {"optimizer_step"}:  # one that quantizes nothing has no more
        return "QuantizeLayer"
    return next((name for wanted, name in _WRAPPERS if wanted <= names), "")


@dataclass(frozen=True, slots=True)
class Tree:
    """The layers. layers: by the object's number; root: the object whose path is "".

    model: that object's layer, where the file tells classes.
    """

    root: int
    layers: Mapping[int, Layer]
    model: Layer | None
    guessed: tuple[Layer, ...]


def root_model(walked: Walked, *, classless: bool) -> int:
    """The object that is shown as the model: the root, or the only model of a checkpoint."""
    if walked.things[0].kind is Kind.MODEL or not classless:
        return 0
    models = {
        number
        for number, (parent, _) in walked.parents.items()
        if parent == 0 and walked.things[number].kind is Kind.MODEL
    }
    return models.pop() if len(models) == 1 else 0


def tree_of(
    walked: Walked, held: Mapping[int, Sequence[int]], *, classless: bool, limits: Limits = DEFAULT
) -> Tree:
    """The layers of the graph.

    held: object -> the variables that are its own, of the model's section. classless: the graph is
    a checkpoint's alone. Raises LimitExceeded (`depth`, `keys_bytes`).
    """
    builder = _Builder(walked, held, classless, limits)
    return builder.tree()


def root_name(prefixes: Iterable[Sequence[str]]) -> str | None:
    """The name of the model itself, where the names of all its variables begin with it.

    "sub/dense/kernel", "sub/dense_1/kernel": "sub". Variables that were made before the model was
    built lack it ("dense/kernel").
    """
    parts = [tuple(prefix) for prefix in prefixes if prefix]
    deep = [prefix for prefix in parts if len(prefix) > 1]
    names = {prefix[0] for prefix in deep}
    if len(names) != 1:
        return None
    flat = {prefix[0] for prefix in parts if len(prefix) == 1}
    return names.pop() if flat <= {prefix[1] for prefix in deep} | names else None


@dataclass(slots=True)
class _Builder:
    walked: Walked
    held: Mapping[int, Sequence[int]]
    classless: bool
    limits: Limits
    inside: dict[int, list[int]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=lambda: {""})
    repeats: dict[str, int] = field(default_factory=dict)
    layers: dict[int, Layer] = field(default_factory=dict)
    spent: int = 0

    def tree(self) -> Tree:
        root = root_model(self.walked, classless=self.classless)
        kept = self._kept()
        for number in kept:
            parent = self.walked.parents[number][0]
            self.inside.setdefault(parent, []).append(number)
        self._name(root)
        self._layer(root, None, 0)
        beside = [n for n in self.inside.get(0, []) if n != root] if root != 0 else []
        for number in beside:
            self._layer(number, "", 1)
        model = self.layers[root]
        known = bool(self._info(root).get("class_name"))
        others = [one for n in beside for one in self.layers[n].walk()]
        guessed = tuple(others) if known else (*model.walk(), *others)
        return Tree(root, self.layers, model if known else None, guessed)

    def _info(self, number: int) -> Mapping[str, Any]:
        return self.walked.things[number].info

    def _kept(self) -> list[int]:
        """Objects that are layers: of a class that the file tells, or with variables inside."""
        wanted = set(self.held)
        for number in self.held:
            wanted.update(self.walked.ancestors(number))
        return [
            number
            for number in self.walked.parents
            if self.walked.sections[number] is Section.MODEL
            and (number in wanted or bool(self._info(number).get("class_name")))
            and self._around(number)
        ]

    def _around(self, number: int) -> bool:
        """Whether all objects around are the model's too: no optimizer is among them."""
        sections = self.walked.sections
        return all(sections[one] is Section.MODEL for one in self.walked.ancestors(number))

    # --- names -------------------------------------------------------------------------------

    def _name(self, root: int) -> None:
        """Names from the names of variables, where the file has no metadata."""
        things = self.walked.things
        prefixes = {
            number: parts_of(things[variables[0]].stored_name or "")[0]
            for number, variables in self.held.items()
            if variables
        }
        listed = any(layer_index(name) is not None for name in things[root].names)
        # A name for the model too makes a name of more parts than there are objects.
        deeper = any(len(prefix) > self._depth(number, root) for number, prefix in prefixes.items())
        own = root_name(prefixes.values()) if deeper and not listed else None
        alike: dict[tuple[int, tuple[str, ...]], list[int]] = {}
        for number, prefix in prefixes.items():
            rest = prefix[1:] if own is not None and prefix[:1] == [own] else prefix
            alike.setdefault((self._model_around(number, root), tuple(rest)), []).append(number)
        for (_, shared), numbers in alike.items():
            # Keras 3 names what a layer of one's own builds inside itself after that layer.
            number = self._around_all(numbers) if len(numbers) > 1 else numbers[0]
            if self._is_named(number):
                self._climb(number, root, list(shared))

    def _model_around(self, number: int, root: int) -> int:
        around = self.walked.ancestors(number)
        return next((n for n in around if self.walked.things[n].kind is Kind.MODEL), root)

    def _around_all(self, numbers: Sequence[int]) -> int:
        """The innermost object that is, or holds, all of these."""
        chains = [[one, *self.walked.ancestors(one)] for one in numbers]
        common = set(chains[0]).intersection(*map(set, chains[1:]))
        return next((one for one in chains[0] if one in common), numbers[0])

    def _depth(self, number: int, root: int) -> int:
        around = [number, *self.walked.ancestors(number)]
        return around.index(root) if root in around else len(around)

    def _is_named(self, number: int) -> bool:
        thing = self.walked.things[number]
        said = isinstance(thing.info.get("name"), str)
        return not said and (self.classless or thing.kind in KERAS)

    def _climb(self, number: int, root: int, prefix: list[str]) -> None:
        """The last part of the prefix is the object's name, the one before its parent's ..."""
        below = None
        while prefix and number != root and number in self.walked.parents:
            if below is not None and (self.held.get(number) or not self._is_named(number)):
                return
            self.names.setdefault(number, prefix.pop())
            below = number
            number = self.walked.parents[number][0]
        if below is None or number == root or number in self.names or not self._is_named(number):
            return
        # TimeDistributed builds its layer under its own name.
        wrapper = self.walked.things[number].kind is not Kind.MODEL and not self.held.get(number)
        if wrapper and self.walked.parents[below][1] == ("layer",):
            self.names[number] = self.names[below]
            self.names[below] = "layer"

    def _called(self, number: int, within: tuple[str, ...]) -> str:
        said = self._info(number).get("name")
        if isinstance(said, str) and said:
            return said
        return self.names.get(number) or "/".join(within)

    def _passed_over(self, number: int) -> bool:
        """A dict that holds layers looks like an object, and adds nothing to their names."""
        children = self.inside.get(number, [])
        return (
            self.classless
            and number not in self.names
            and number not in self.held
            and self.walked.things[number].kind is Kind.OBJECT
            and all(child in self.names for child in children)
        )

    # --- layers ------------------------------------------------------------------------------

    def _layer(self, number: int, parent: str | None, depth: int) -> Layer:
        if depth > self.limits.depth:
            raise LimitExceeded("depth", depth, self.limits.depth, "the object graph")
        thing = self.walked.things[number]
        holder, within = self.walked.parents.get(number, (number, ()))
        name = self._called(number, within)
        config, trainable = thing.info.get("config"), thing.info.get("trainable")
        class_name = thing.info.get("class_name")
        layer = Layer(
            path="" if parent is None else self._place(parent, name),
            name=name,
            class_name=class_name if isinstance(class_name, str) else told_class(thing),
            attr=self._attr(holder, within),
            module=METRIC_MODULE if thing.kind is Kind.METRIC else None,
            config=config if isinstance(config, Mapping) else {},
            trainable=trainable if isinstance(trainable, bool) else None,
            is_model=parent is None or thing.kind is Kind.MODEL,
        )
        children = tuple(self._layer(n, layer.path, depth + 1) for n in self._children(number))
        self.layers[number] = replace(layer, children=children)
        return self.layers[number]

    def _children(self, number: int) -> list[int]:
        """The objects inside, in the model's own order where it has one."""
        thing = self.walked.things[number]
        places: dict[int, int] = {}
        for child in thing.children:
            place = layer_index(child.name)
            if place is not None:
                places.setdefault(child.node, place)
        found: list[int] = []
        for child_number in self.inside.get(number, []):
            over = self._passed_over(child_number)
            found += self._children(child_number) if over else [child_number]
        return sorted(found, key=lambda one: places.get(one, len(places) + 1))

    def _attr(self, holder: int, within: tuple[str, ...]) -> str:
        """How the parent holds it, as a config would have it."""
        if not within:
            return "layers"
        if self.walked.things[holder].kind is Kind.MODEL:
            in_list = any(part in _MODEL_LISTS for part in within)
            if in_list or within[0].startswith(("layer-", "layer_with_weights-")):
                return "layers"
        return within[0]

    def _place(self, parent: str, name: str) -> str:
        wanted = f"{parent}/{name}" if parent else name
        path = wanted
        while path in self.taken:
            self.repeats[wanted] = self.repeats.get(wanted, 1) + 1
            path = f"{wanted}#{self.repeats[wanted]}"
        self.taken.add(path)
        self.spent += len(path)
        if self.spent > self.limits.keys_bytes:
            where = "the object graph"
            raise LimitExceeded("keys_bytes", self.spent, self.limits.keys_bytes, where)
        return path
