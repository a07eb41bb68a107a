"""An object graph, walked: what kind of object each is, and which object holds each variable.

A SavedModel and a checkpoint keep objects under the attributes that hold them. Several attributes
may lead to one object: a model's lists have every variable again, a wrapper has its layer's.
Source: the trackable objects of keras 3.15, tf_keras 2.21 and tensorflow 2.21.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspector.errors import LimitExceeded
from inspector.keras.objects_kinds import KERAS, NO_TENSOR, Kind, flavor_of, kind_of
from inspector.limits import DEFAULT, Limits
from inspector.model import Flavor, Section
from inspector.wire.object_graph import (
    Attribute,
    KerasNode,
    ObjectGraph,
    ObjectNode,
    Reference,
    SavedVariable,
    SlotReference,
)

_LEAVES = frozenset({Kind.VARIABLE, Kind.TABLE})

# Lists that Keras keeps beside the attributes: they lead to what is held elsewhere.
_LISTS = frozenset(
    {
        "variables",
        "trainable_variables",
        "non_trainable_variables",
        "_all_variables",
        "weights",
        "keras_api",
        "layers",
        "metrics",
        "layer_metrics",
        "_compiled_trainable_state",
        "root",
        "signatures",
        "prunable_weights",
    }
)
# Attributes that belong to the object that has them, whatever they are themselves.
_PARTS = re.compile(
    r"^(_functional|_random_generator|_generator|_?seed_generators?|input_spec|state_spec"
    r"|original_clusterable_weights|cluster_centroids|pulling_indices|quantizer_vars"
    r"|_weight_vars|_output_quantizer_vars)$"
)


@dataclass(frozen=True, slots=True)
class Thing:
    """An object. info: Keras' metadata of it, parsed; variable: as the SavedModel describes it."""

    number: int
    kind: Kind
    children: tuple[Reference, ...]
    identifier: str = ""
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)
    variable: SavedVariable | None = None
    attributes: tuple[Attribute, ...] = ()
    slots: tuple[SlotReference, ...] = ()

    def child(self, name: str) -> int | None:
        """Number of the object held under this name."""
        return next((one.node for one in self.children if one.name == name), None)

    @property
    def names(self) -> frozenset[str]:
        """The names of all that it holds."""
        return frozenset(one.name for one in self.children)

    @property
    def stored_name(self) -> str | None:
        """The variable's own name, as the file has it."""
        for attribute in self.attributes:
            if attribute.full_name:
                return attribute.full_name
        return (self.variable.name or None) if self.variable is not None else None


@dataclass(frozen=True, slots=True)
class Claim:
    """A way to a variable: from an object that is no container, through containers only.

    rank: 0 for the object's own attribute, 1 through containers, 2 through Keras' lists, 3 as what
    an optimizer trains. within: the attributes on the way.
    """

    holder: int
    within: tuple[str, ...]
    rank: int
    section: Section


@dataclass(slots=True)
class Walked:
    """The graph after the walk.

    claims: of each variable and table, in the walk's order. parents: of each object that is no
    container, the one that holds it and the attributes in between. sections: of each such object.
    """

    things: Sequence[Thing]
    flavor: Flavor
    claims: dict[int, list[Claim]] = field(default_factory=dict)
    parents: dict[int, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    sections: dict[int, Section] = field(default_factory=dict)

    def ancestors(self, number: int) -> Iterator[int]:
        """The objects around one, the nearest first."""
        while number in self.parents:
            number = self.parents[number][0]
            yield number

    def best(self, number: int) -> Claim | None:
        """The claim that tells most of a variable.

        An attribute before a list, and of two attributes the one of the object further inside: a
        wrapper may hold its layer's variable under its own attribute too.
        """
        chosen: Claim | None = None
        for claim in self.claims.get(number, ()):
            inside = chosen is not None and chosen.holder in self.ancestors(claim.holder)
            if chosen is None or (claim.rank, not inside) < (chosen.rank, True):
                chosen = claim
        return chosen

    def variables(self, number: int | None) -> list[int]:
        """Variables directly in a list or dict, in its order."""
        if number is None:
            return []
        children = sorted(self.things[number].children, key=lambda one: _natural(one.name))
        return [c.node for c in children if self.things[c.node].kind is Kind.VARIABLE]


def _natural(name: str) -> tuple[int, int, str]:
    return (0, int(name), "") if name.isdecimal() and len(name) < 10 else (1, 0, name)


def things_of(
    checkpoint: ObjectGraph,
    stored: Mapping[str, Any],
    saved: ObjectGraph | None,
    metadata: Mapping[int, KerasNode],
    limits: Limits = DEFAULT,
) -> list[Thing]:
    """The checkpoint's objects, with what the SavedModel's graph and Keras say of them."""
    partners = _partners(checkpoint, saved) if saved is not None else {}
    spent = 0
    found = []
    for node in checkpoint.nodes:
        partner = partners.get(node.id)
        said = metadata.get(partner.id) if partner is not None else None
        text = said.metadata if said is not None else (partner.metadata if partner else "")
        spent += len(text)
        if spent > limits.config_bytes:
            path = "keras_metadata.pb" if said is not None else "saved_model.pb"
            raise LimitExceeded("config_bytes", spent, limits.config_bytes, path)
        identifier = said.identifier if said is not None else ""
        if not identifier and partner is not None:
            identifier = partner.identifier
        found.append(
            Thing(
                node.id,
                kind_of(node, partner, identifier, stored),
                node.children,
                identifier,
                _parsed(text),
                partner.variable if partner is not None else None,
                tuple(a for a in node.attributes if a.name not in NO_TENSOR),
                node.slots,
            )
        )
    return found


def _parsed(text: str) -> Mapping[str, Any]:
    """The metadata's JSON. A graph without it is a graph all the same."""
    if not text.startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}


def _partners(checkpoint: ObjectGraph, saved: ObjectGraph) -> dict[int, ObjectNode]:
    """Number in the checkpoint's graph -> the same object in the SavedModel's.

    TensorFlow writes both with the same numbers; following the names keeps a file that has them
    otherwise from being misread.
    """
    if not checkpoint.nodes or not saved.nodes:
        return {}
    found = {0: saved.nodes[0]}
    queue = deque([0])
    while queue:
        number = queue.popleft()
        node, partner = checkpoint.nodes[number], found[number]
        inside = dict(partner.children)
        slots = {(one.name, one.variable): one.slot for one in partner.slots}
        pairs = [(child.node, inside.get(child.name)) for child in node.children]
        pairs += [(one.slot, slots.get((one.name, one.variable))) for one in node.slots]
        for ours, theirs in pairs:
            if theirs is not None and ours not in found:
                found[ours] = saved.nodes[theirs]
                queue.append(ours)
    return found


def walk(things: Sequence[Thing], limits: Limits = DEFAULT) -> Walked:
    """Walk from the root, the nearest first; what only Keras' lists lead to comes last.

    Raises LimitExceeded: `depth` where an object is further from the root, `key_bytes` where a
    name is longer than any key.
    """
    walked = Walked(things, flavor_of((one.identifier, one.names) for one in things))
    if things:
        _Walk(walked, limits).run()
    return walked


@dataclass(frozen=True, slots=True)
class _Step:
    """An object to go on from. holder: the nearest object around it that is no container."""

    number: int
    holder: int
    within: tuple[str, ...]
    section: Section
    listed: bool
    depth: int


class _Walk:
    def __init__(self, walked: Walked, limits: Limits) -> None:
        self.walked = walked
        self.things = walked.things
        self.limits = limits
        # A checkpoint of one object (`save_weights`) has that one as its root, and says so.
        self.whole = walked.things[0].child("root") == 0
        self.seen: set[int] = set()
        self.queues: tuple[deque[_Step], deque[_Step]] = (deque(), deque())

    def run(self) -> None:
        root = self.things[0]
        section = Section.OPTIMIZER if root.kind is Kind.OPTIMIZER else Section.MODEL
        self.seen.add(0)
        self.walked.sections[0] = section
        self.queues[0].append(_Step(0, 0, (), section, False, 0))
        now, later = self.queues
        while now or later:
            step = (now or later).popleft()
            for child in self.things[step.number].children:
                self.follow(step, child)

    def _is_counted_metric(self, step: _Step, thing: Thing) -> bool:
        """tf_keras counts a metric that is a model's own attribute as one of its layers."""
        if thing.kind is not Kind.METRIC or step.listed or self.walked.flavor is Flavor.KERAS3:
            return False
        held = self.things[step.holder].kind in {Kind.MODEL, Kind.LAYER}
        return held or (self.whole and step.holder == 0)

    def follow(self, step: _Step, child: Reference) -> None:
        parent, thing = self.things[step.number], self.things[child.node]
        if len(child.name) > self.limits.key_bytes:
            limit = self.limits.key_bytes
            raise LimitExceeded("key_bytes", len(child.name), limit, "the object graph")
        within = (*step.within, child.name)
        listed = step.listed or (parent.kind in KERAS and child.name in _LISTS)
        section = step.section
        if listed and child.name == "metrics":
            section = Section.METRICS
        if thing.kind in _LEAVES:
            rank = _rank(within, listed)
            if rank == TRAINED:
                section = Section.MODEL
            claim = Claim(step.holder, within, rank, section)
            self.walked.claims.setdefault(thing.number, []).append(claim)
            return
        if thing.number in self.seen:
            return
        self.seen.add(thing.number)
        if section is Section.MODEL and not self._is_counted_metric(step, thing):
            section = _SECTIONS.get(thing.kind, section)
        inside = (
            thing.kind is Kind.CONTAINER
            or child.name == "keras_api"
            or _PARTS.match(child.name) is not None
            or (thing.kind is Kind.OBJECT and step.within[:1] == ("_weight_vars",))
            # All that is inside an optimizer or a metric is its own.
            or self.things[step.holder].kind in _SECTIONS
        )
        if inside:
            number, after = step.holder, within
        else:
            number, after = thing.number, ()
            self.walked.parents[number] = (step.holder, within)
            self.walked.sections[number] = section
        step = _Step(thing.number, number, after, section, listed, step.depth + 1)
        if step.depth > self.limits.depth:
            raise LimitExceeded("depth", step.depth, self.limits.depth, "the object graph")
        self.queues[listed].append(step)


_SECTIONS: Mapping[Kind, Section] = {
    Kind.OPTIMIZER: Section.OPTIMIZER,
    Kind.METRIC: Section.METRICS,
}


TRAINED = 3  # an optimizer's list of what it trains


def _rank(within: tuple[str, ...], listed: bool) -> int:
    if "_trainable_variables" in within:
        return TRAINED
    if listed:
        return 2
    return 1 if len(within) > 1 or within[0].startswith("original_weight_") else 0
