"""From an object graph to each stored variable's place: its layer, its name, what it serves.

The keys of a checkpoint are paths to variables, often not the telling ones: a pruned model's
kernel is "variables/0". The object graph has all the paths, and a SavedModel's has the classes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from inspector.changed import changed
from inspector.errors import LimitExceeded
from inspector.keras.bind import by_name, parts_of
from inspector.keras.objects_counted import COUNTED_SAVES, NO_MODEL_SHOWN, uncounted
from inspector.keras.objects_graph import Claim, Thing, Walked, things_of, walk
from inspector.keras.objects_kinds import Kind
from inspector.keras.objects_layers import Tree, root_name, tree_of
from inspector.keras.objects_training import Training, training_of
from inspector.keras.objects_wrappers import keeps_its_own, kept, served
from inspector.limits import DEFAULT, Limits
from inspector.model import Flavor, Layer, Naming, Section
from inspector.wire.object_graph import KerasNode, ObjectGraph

Stored = Mapping[str, tuple[str, tuple[int, ...] | None]]

# Names that TensorFlow gives a variable that has none.
_NAMELESS = re.compile(r"^(Variable)?(_\d+)?$")
_TABLE_PARTS = ("-keys", "-values")


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of one key. The fields are Tensor's own."""

    section: Section
    layer: str | None = None
    variable: str | None = None
    owner: str | None = None
    position: int | None = None
    naming: Naming = Naming.OBJECTS
    slot_of: str | None = None
    repeats: str | None = None
    serves: str | None = None
    stored_name: str | None = None
    trainable: bool | None = None
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """The whole of an object graph, for an Artifact.

    model: the layer tree, where the file tells classes; guessed: layers that it does not.
    places: by checkpoint key; a key that the graph does not have has none.
    listed: keys of what the root lists as its weights -> whether among the trainable ones.
    uncounted: why Keras would count nothing here. training: Keras' training config, as it is.
    """

    model: Layer | None = None
    guessed: tuple[Layer, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    listed: Mapping[str, bool] | None = None
    flavor: Flavor = Flavor.TF_KERAS
    keras_version: str | None = None
    uncounted: str | None = None
    training: object = None


def place(
    checkpoint: ObjectGraph,
    stored: Stored,
    *,
    saved: ObjectGraph | None = None,
    metadata: Mapping[int, KerasNode] | None = None,
    checksums: Mapping[str, int] | None = None,
    limits: Limits = DEFAULT,
) -> Placement:
    """Say of each key which layer and variable it is.

    checkpoint: the graph that has the keys; stored: key -> (dtype, shape) of what is in the
    bundle; saved: the SavedModel's graph, where there is one; metadata: `keras_metadata.pb`, by
    the SavedModel's object numbers; checksums: of values, by key, where the bundle has one.
    Raises LimitExceeded (`depth`, `keys_bytes`, `config_bytes`, `key_bytes`).
    """
    things = things_of(checkpoint, stored, saved, metadata or {}, limits)
    if not things:
        return Placement(uncounted=NO_MODEL_SHOWN)
    return _Placer(
        walk(things, limits), stored, saved is not None, limits, checksums or {}
    ).placement()


class _Placer:
    def __init__(
        self,
        walked: Walked,
        stored: Stored,
        has_classes: bool,
        limits: Limits,
        checksums: Mapping[str, int],
    ) -> None:
        self.walked = walked
        self.things = walked.things
        self.stored = stored
        self.checksums = checksums
        self.has_classes = has_classes
        self.limits = limits
        self.keys = dict(self._keys())
        self.claims = {n: claim for n in walked.claims if (claim := walked.best(n)) is not None}
        self.flavor = walked.flavor
        held: dict[int, list[int]] = {}
        for number, claim in self.claims.items():
            if number in self.keys and claim.section is Section.MODEL and claim.rank <= 1:
                held.setdefault(claim.holder, []).append(number)
        self.positions = {one: at for own in held.values() for at, one in enumerate(own)}
        self.tree: Tree = tree_of(walked, held, classless=not has_classes, limits=limits)
        self.extra: dict[str, Layer] = {}
        self._trainable_of: dict[int, frozenset[int] | None] = {}
        self.paths = _Paths(walked, limits)

    def _keys(self) -> Iterator[tuple[int, str]]:
        for thing in self.things:
            if thing.kind is Kind.VARIABLE:
                key = next((a.key for a in thing.attributes if a.key in self.stored), None)
                if key is not None:
                    yield thing.number, key

    def placement(self) -> Placement:
        root = self.things[self.tree.root]
        lists = self._lists(root)
        listed = None if lists is None else self._listed(*lists)
        training = self._training([] if lists is None else lists[1])
        served_by = served(self.walked)
        places: dict[str, Place] = {}
        for number, key in self.keys.items():
            slot = training.slots.get(number)
            if slot is not None:
                found = Place(
                    Section.OPTIMIZER,
                    variable=slot.name,
                    owner=self.paths.of(slot.optimizer) or "optimizer",
                    position=slot.position,
                    slot_of=self.keys.get(slot.target) if slot.target is not None else None,
                )
            elif number in self.claims:
                found = self._place(number, self.claims[number])
                if found.section is Section.MODEL:
                    flag = self._trainable(number, key, listed, training)
                    target = served_by.get(number)
                    serves = self.keys.get(target) if target is not None else None
                    found = changed(found, trainable=flag, serves=serves)
            else:
                found = Place(Section.OTHER, naming=Naming.NONE)
            places[key] = changed(
                found,
                stored_name=self.things[number].stored_name,
                links=self._links(number, key),
            )
        for key, origin in self._repeats().items():
            flag = places[origin].trainable
            places[key] = changed(places[key], repeats=origin, trainable=flag)
        places |= self._tables()
        return Placement(
            self.tree.model,
            (*self.tree.guessed, *self.extra.values()),
            places,
            listed,
            self.flavor,
            _text(self.things[self.tree.root].info.get("keras_version")),
            uncounted(self.walked, self.claims.values(), root, has_classes=self.has_classes),
            self.things[self.tree.root].info.get("training_config"),
        )

    # --- one variable ------------------------------------------------------------------------

    def _place(self, number: int, claim: Claim) -> Place:
        stored_name = self.things[number].stored_name or ""
        variable = _variable(stored_name, claim.within)
        if claim.section is Section.METRICS:
            owner = self._metric(claim)
            return Place(Section.METRICS, variable=variable, owner=owner)
        if claim.within == (COUNTED_SAVES,):
            return Place(Section.OTHER, variable=COUNTED_SAVES)
        if claim.rank > 1:
            return self._by_name(stored_name, variable)
        layer = self._layer_of(claim.holder)
        if layer is None:
            # Directly in a checkpoint's root, beside the model.
            return Place(Section.OTHER, variable=variable)
        return Place(
            Section.MODEL,
            layer=layer.path,
            variable=variable,
            owner=layer.path,
            position=self.positions[number],
        )

    def _layer_of(self, holder: int) -> Layer | None:
        """The layer that an object is, or is in."""
        for number in (holder, *self.walked.ancestors(holder)):
            layer = self.tree.layers.get(number)
            if layer is not None:
                return layer
        return None

    def _by_name(self, stored_name: str, variable: str) -> Place:
        """A variable that only a list of the model leads to: its own name tells its layer."""
        if self.tree.model is not None:
            bound = by_name(self.tree.model, stored_name)
            path = bound.layer or ""
        else:
            prefix = parts_of(stored_name)[0]
            if prefix[:1] == [self._root_name]:
                prefix = prefix[1:]
            path = "/".join(prefix)
            known = {one.path for one in self.tree.guessed}
            if path not in known and path not in self.extra:
                self.extra[path] = Layer(path, path.rpartition("/")[2], "")
        return Place(Section.MODEL, layer=path, variable=variable, owner=path, naming=Naming.STORED)

    @cached_property
    def _root_name(self) -> str | None:
        names = (
            self.things[n].stored_name or ""
            for n, c in self.claims.items()
            if c.section is Section.MODEL and n in self.keys
        )
        return root_name(parts_of(name)[0] for name in names if not _is_seed(name))

    def _metric(self, claim: Claim) -> str:
        name = self.things[claim.holder].info.get("name")
        if self.things[claim.holder].kind is Kind.METRIC and isinstance(name, str) and name:
            return f"metrics/{name}"
        within = [part for part in claim.within[:-1] if part != "keras_api"]
        return self.paths.of(claim.holder, *within) or "metrics"

    def _links(self, number: int, key: str) -> tuple[str, ...]:
        """The other ways to a variable, Keras' lists left out."""
        claims = [c for c in self.walked.claims.get(number, ()) if c.rank <= 1]
        found = (self.paths.of(c.holder, *c.within) for c in claims)
        own = key.partition("/.ATTRIBUTES/")[0]
        return tuple(path for path in dict.fromkeys(found) if path != own)

    # --- the model's own lists ---------------------------------------------------------------

    def _lists(self, root: Thing) -> tuple[list[int], list[int]] | None:
        """The root's `variables` and `trainable_variables`."""
        if root.kind is not Kind.MODEL or root.number != 0:
            return None
        everything = root.child("variables")
        if everything is None:
            return None
        return (
            self.walked.variables(everything),
            self.walked.variables(root.child("trainable_variables")),
        )

    def _listed(self, everything: Sequence[int], trainable: Sequence[int]) -> Mapping[str, bool]:
        """What Keras counts: its models' lists; the state of random generators is in none."""
        chosen = set(trainable)
        return {
            self.keys[number]: number in chosen
            for number in everything
            if number in self.keys and not _is_seed(self.things[number].stored_name or "")
        }

    def _trainable(
        self, number: int, key: str, listed: Mapping[str, bool] | None, training: Training
    ) -> bool | None:
        if listed is not None and key in listed:
            return listed[key]
        if number in training.trained or number in self._kept:
            return True
        claim, variable = self.claims[number], self.things[number].variable
        flag = None if variable is None else variable.trainable
        if training.complete and self.flavor is Flavor.KERAS3:
            return False
        own = self._own_trainable(claim.holder)
        # Saved without traces, a model has no lists; its layers' flags are in their metadata. A
        # layer trains what it has as an attribute of its own, though the layer inside is frozen.
        holders = {c.holder for c in self.walked.claims[number] if c.rank == 0} | {claim.holder}
        if flag and all(map(self._is_frozen, holders)):
            return False
        return flag if own is None else number in own

    def _is_frozen(self, holder: int) -> bool:
        if keeps_its_own(self.things[holder]):
            return False
        around = (holder, *self.walked.ancestors(holder))
        return any(self.things[one].info.get("trainable") is False for one in around)

    @cached_property
    def _kept(self) -> frozenset[int]:
        return kept(self.walked) if self.flavor is Flavor.TF_KERAS else frozenset()

    def _own_trainable(self, holder: int) -> frozenset[int] | None:
        """What a Keras layer lists as trainable itself."""
        if holder not in self._trainable_of:
            own = self.things[holder].child("trainable_variables")
            listed = None if own is None else frozenset(self.walked.variables(own))
            self._trainable_of[holder] = listed
        return self._trainable_of[holder]

    def _training(self, trainable: Sequence[int]) -> Training:
        shapes = {n: self.stored[key][1] or () for n, key in self.keys.items()}
        model = [
            n
            for n, claim in self.claims.items()
            if n in self.keys and claim.section is Section.MODEL
        ]
        return training_of(self.walked, shapes, model, trainable or model)

    def _repeats(self) -> Mapping[str, str]:
        """Keras 3 exports each variable in two lists, as two variables: key -> the first's key.

        Of variables alike in name, dtype and shape (those of a layer of one's own have its name
        all) the ones of equal values are a pair.
        """
        root = self.things[0]
        if root.child("_all_variables") is None:
            return {}
        originals = self.walked.variables(root.child("variables"))
        again = self.walked.variables(root.child("_all_variables"))
        free = [self.keys[number] for number in originals if number in self.keys]
        left = [self.keys[n] for n in again if n in self.keys and n not in set(originals)]
        numbers = {key: number for number, key in self.keys.items()}
        found: dict[str, str] = {}
        for by_value in (True, False):
            alike: dict[tuple[Any, ...], deque[str]] = {}
            for key in free:
                alike.setdefault(self._same(numbers[key], by_value), deque()).append(key)
            for key in left:
                same = alike.get(self._same(numbers[key], by_value))
                if same:
                    found[key] = same.popleft()
            taken = set(found.values())
            free = [key for key in free if key not in taken]
            left = [key for key in left if key not in found]
        return found

    def _same(self, number: int, by_value: bool) -> tuple[Any, ...]:
        key = self.keys[number]
        value = self.checksums.get(key) if by_value else None
        return (self.things[number].stored_name, value, *self.stored[key])

    # --- the rest ----------------------------------------------------------------------------

    def _tables(self) -> Iterator[tuple[str, Place]]:
        for number, claim in self.claims.items():
            if self.things[number].kind is not Kind.TABLE:
                continue
            layer = self._layer_of(claim.holder)
            name = claim.within[-1]
            for attribute in self.things[number].attributes:
                path = None if layer is None else layer.path
                section = Section.OTHER if layer is None else Section.MODEL
                for part in ("", *_TABLE_PARTS):
                    if f"{attribute.key}{part}" in self.stored:
                        found = Place(section, path, f"{name}{part}", owner=path)
                        yield f"{attribute.key}{part}", found


class _Paths:
    """The attributes that lead from the root to an object. Raises LimitExceeded (`keys_bytes`)."""

    def __init__(self, walked: Walked, limits: Limits) -> None:
        self._walked = walked
        self._limits = limits
        self._spent = 0

    def of(self, number: int, *within: str) -> str:
        """The path of an object, or of what it holds under these attributes."""
        parts = within
        while number in self._walked.parents:
            number, before = self._walked.parents[number]
            parts = (*before, *parts)
        path = "/".join(parts)
        self._spent += len(path)
        if self._spent > self._limits.keys_bytes:
            where = "the object graph"
            raise LimitExceeded("keys_bytes", self._spent, self._limits.keys_bytes, where)
        return path


def _variable(stored_name: str, within: Sequence[str]) -> str:
    """The variable's own name; where it has none, the attribute that holds it."""
    name = parts_of(stored_name)[1]
    return "/".join(within) if _NAMELESS.match(name) else name


def _is_seed(stored_name: str) -> bool:
    return stored_name.rpartition("/")[2].startswith("seed_generator_state")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
