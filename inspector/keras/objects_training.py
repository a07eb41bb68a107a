"""The variables of optimizers in an object graph: which slot of which variable each is.

The older classes keep slots as such: the graph names slot and variable. The newer ones keep lists,
one a slot, in the order of the variables that they train. Source: optimizers of keras 3.15 and
tf_keras 2.21 (`optimizers/legacy` too).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inspector.keras.bind import parts_of
from inspector.keras.objects_graph import Thing, Walked
from inspector.keras.optimizer_names import by_name
from inspector.model import Role, Section

_ALL = "_variables"  # an optimizer's list of all that it has
# Comparisons of a slot's name with a variable's: names of some thousand of each.
_MOST = 4_000_000

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Slotted:
    """A variable of an optimizer. name: the slot's or state's; target: the variable it is of."""

    optimizer: int
    name: str
    target: int | None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """slots: by the variable's number. trained: what optimizers list or have slots for.

    complete: an optimizer lists all that it trains.
    """

    slots: Mapping[int, Slotted]
    trained: frozenset[int]
    complete: bool


def training_of(
    walked: Walked, shapes: Mapping[int, Shape], model: Sequence[int], trainable: Sequence[int]
) -> Training:
    """The variables of every optimizer.

    shapes: of each stored variable. model: the variables of the model; trainable: those of them
    that the file lists as trainable, in its order.
    """
    reader = _Reader(walked, shapes, model, trainable)
    slots = dict(reader.declared())
    for number, claims in walked.claims.items():
        best = walked.best(number)
        if best is None or best.section is not Section.OPTIMIZER:
            continue
        if number not in slots and number in shapes:
            places = [c.within for c in claims if c.holder == best.holder]
            slots[number] = reader.read(number, best.holder, places)
    lists = [reader.listed(number) for number in reader.optimizers()]
    trained = {one.target for one in slots.values() if one.target is not None}
    return Training(slots, frozenset(trained.union(*lists)), any(lists))


@dataclass(slots=True)
class _Reader:
    walked: Walked
    shapes: Mapping[int, Shape]
    model: Sequence[int]
    trainable: Sequence[int]
    spent: int = 0
    factored: dict[int, Mapping[int, Slotted]] = field(default_factory=dict)

    def optimizers(self) -> Iterator[int]:
        sections = self.walked.sections
        return (number for number, one in sections.items() if one is Section.OPTIMIZER)

    def listed(self, optimizer: int) -> list[int]:
        """What a Keras 3 optimizer trains, in the order of its slots."""
        return self.walked.variables(self.walked.things[optimizer].child("_trainable_variables"))

    def declared(self) -> Iterator[tuple[int, Slotted]]:
        """Slots that the graph itself declares."""
        for thing in self.walked.things:
            for slot in thing.slots:
                if slot.slot in self.shapes:
                    yield slot.slot, Slotted(thing.number, slot.name, slot.variable)

    def read(self, number: int, optimizer: int, places: Sequence[tuple[str, ...]]) -> Slotted:
        """What a variable is that an optimizer holds under these attributes."""
        position = next((int(w[-1]) for w in places if w[0] == _ALL and w[-1].isdecimal()), None)
        thing, shape = self.walked.things[number], self.shapes[number]
        stored = thing.stored_name or "/".join(places[0])
        if any(len(within) == 1 for within in places):
            return Slotted(optimizer, parts_of(stored)[1], None, position)
        if optimizer not in self.factored:
            self.factored[optimizer] = dict(self._factored(optimizer))
        if number in self.factored[optimizer]:
            return self.factored[optimizer][number]
        target = self._by_place(optimizer, shape, stored, places)
        if target is not None:
            found = by_name(stored, shape, [(self._name(target), shape)])
            if found.role is Role.OPTIMIZER_SLOT:
                return Slotted(optimizer, found.name, target, position)
        candidates = self.model
        self.spent += len(candidates)
        if self.spent > _MOST:
            candidates = ()
        variables = [(self._name(one), self.shapes.get(one, ())) for one in candidates]
        found = by_name(stored, shape, variables)
        owner = candidates[found.slot_of] if found.slot_of is not None else None
        return Slotted(optimizer, found.name, owner, position)

    def _factored(self, optimizer: int) -> Iterator[tuple[int, Slotted]]:
        """Slots of Keras 3's Adafactor: its lists are empty when TensorFlow comes to track them.

        What is left is the list of all that it has: r, c and velocity of each variable in turn.
        """
        thing, targets = self.walked.things[optimizer], self.listed(optimizer)
        if not {"_r", "_c", "_v"} <= thing.names:
            return
        everything = self.walked.variables(thing.child(_ALL))
        ends = [at for at, one in enumerate(everything) if self._name(one).endswith("_velocity")]
        if len(ends) != len(targets):
            return
        for at, target in zip(ends, targets, strict=True):
            for word, place in (("r", at - 2), ("c", at - 1), ("velocity", at)):
                # Of a variable that is not factored, r and c are single values.
                if place >= 0 and (word == "velocity" or self.shapes.get(everything[place])):
                    yield everything[place], Slotted(optimizer, word, target, place)

    def _by_place(
        self, optimizer: int, shape: Shape, stored: str, places: Sequence[tuple[str, ...]]
    ) -> int | None:
        """The variable at the same place of the list of what is trained.

        Where the optimizer has no such list, the model's is taken, and the names must agree.
        """
        own = self.listed(optimizer)
        targets = own or self.trainable
        for within in places:
            if within[0] == _ALL or not within[-1].isdecimal() or len(within) != 2:
                continue
            at = int(within[-1])
            if at < len(targets) and self.shapes.get(targets[at]) == shape:
                target = targets[at]
                if own or self._name(target) in stored:
                    return target
        return None

    def _name(self, number: int) -> str:
        thing: Thing = self.walked.things[number]
        return thing.stored_name or ""
