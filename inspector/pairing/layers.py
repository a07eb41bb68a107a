"""Which layer of one artifact is which of the other: by name, by structure, by content."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inspector.limits import Limits
from inspector.model import Layer, Tensor
from inspector.pairing.names import Names, is_weight, numbered
from inspector.pairing.nouns import Side
from inspector.pairing.values import digest


@dataclass(frozen=True, slots=True)
class Unit:
    """A layer with the weights and statistics it has. order: its place in the model."""

    path: str
    tensors: tuple[Tensor, ...]
    order: tuple[int, ...]

    @property
    def shapes(self) -> Hashable:
        """What two layers of one structure have in common."""
        return frozenset(Counter(tensor.shape for tensor in self.tensors).items())


@dataclass(frozen=True, slots=True)
class Match:
    """Two layers that are one. why: in words; basis: "name", "structure" or "content"."""

    a: Unit
    b: Unit
    basis: str
    why: str


def units_of(side: Side, names: Names) -> tuple[Unit, ...]:
    """The layers that own weights, in the model's order."""
    walked = {layer.path: at for at, layer in enumerate(_walk(side))}
    groups: dict[str, list[Tensor]] = {}
    for tensor in side.artifact.tensors:
        if is_weight(side.verdicts[tensor.name].role):
            groups.setdefault(names.of(tensor.layer), []).append(tensor)
    units = [
        Unit(path, tuple(group), (walked.get(group[0].layer or "", len(walked)), *_order(group[0])))
        for path, group in groups.items()
    ]
    return tuple(sorted(units, key=lambda unit: unit.order))


def _walk(side: Side) -> Iterator[Layer]:
    return iter(()) if side.artifact.model is None else side.artifact.model.walk()


def _order(tensor: Tensor) -> tuple[int, ...]:
    """Numbers in a name, so that the tenth layer comes after the second."""
    return tuple(int(one) for one in re.findall(r"\d{1,9}", tensor.name))


def match_layers(a: Sequence[Unit], b: Sequence[Unit], limits: Limits) -> tuple[Match, ...]:
    """Pair layers: each is in at most one match. Reads values only where all else is equal."""
    return _Matching(list(a), list(b), limits).run()


@dataclass(slots=True)
class _Matching:
    a: list[Unit]
    b: list[Unit]
    limits: Limits
    found: list[Match] = field(default_factory=list)

    def run(self) -> tuple[Match, ...]:
        self._same_names()
        self._renumbered()
        self._within()
        self._unique(lambda unit: unit.shapes, "structure", "the only layer of its shapes")
        self._unique(self._content, "content", "the only layer of equal values")
        self._in_order()
        # What is left of one name has other shapes.
        self._unique(lambda unit: unit.path, "name", "same name")
        return tuple(self.found)

    def _take(self, a: Unit, b: Unit, basis: str, why: str) -> None:
        self.found.append(Match(a, b, basis, _renamed(a, b, why)))
        self.a.remove(a)
        self.b.remove(b)

    def _same_names(self) -> None:
        """Same names and shapes, but where names are numbers that have moved."""
        others = {unit.path: unit for unit in self.b}
        moved = self._moved()
        for unit in list(self.a):
            other = others.get(unit.path)
            base = numbered(unit.path)[0]
            if other is not None and base not in moved and _compatible(unit, other):
                self._take(unit, other, "name", "same name")

    def _moved(self) -> frozenset[str]:
        """Names that are numbered otherwise: as many layers of the same shapes, other numbers."""
        left, right = _by_base(self.a), _by_base(self.b)
        return frozenset(
            base
            for base, units in left.items()
            if [u.path for u in units] != [u.path for u in right.get(base, ())]
            and [u.shapes for u in units] == [u.shapes for u in right.get(base, ())]
        )

    def _renumbered(self) -> None:
        for base in sorted(self._moved()):
            for unit, other in zip(_by_base(self.a)[base], _by_base(self.b)[base], strict=True):
                self._take(unit, other, "name", "same name, numbered otherwise")

    def _within(self) -> None:
        """One name is the other inside of a scope: "sequential/conv2d" and "conv2d"."""
        for ends in (_ends_alike, lambda x, y: _last(x) == _last(y)):
            for unit in list(self.a):
                fits = [o for o in self.b if ends(unit.path, o.path) and _compatible(unit, o)]
                if len(fits) != 1:
                    continue
                back = [o for o in self.a if ends(o.path, fits[0].path) and _compatible(o, fits[0])]
                if len(back) == 1:
                    self._take(unit, fits[0], "name", "same name in another scope")

    def _unique(self, key: Callable[[Unit], Hashable], basis: str, why: str) -> None:
        left, right = _grouped(self.a, key), _grouped(self.b, key)
        for one, units in left.items():
            others = right.get(one, ())
            if one is not None and len(units) == len(others) == 1:
                self._take(units[0], others[0], basis, why)

    def _content(self, unit: Unit) -> Hashable:
        """Digests of all its values; None where nothing else has these shapes."""
        if not any(other.shapes == unit.shapes for other in (*self.a, *self.b) if other != unit):
            return None
        found = [digest(tensor, self.limits) for tensor in unit.tensors]
        return None if None in found else frozenset(Counter(found).items())

    def _in_order(self) -> None:
        left, right = _grouped(self.a, lambda u: u.shapes), _grouped(self.b, lambda u: u.shapes)
        for shapes, units in left.items():
            for unit, other in zip(units, right.get(shapes, ()), strict=False):
                self._take(unit, other, "structure", "the next layer of its shapes")


def _renamed(a: Unit, b: Unit, why: str) -> str:
    return why if a.path == b.path or not (a.path and b.path) else f"{why}: {a.path} is {b.path}"


def _compatible(a: Unit, b: Unit) -> bool:
    """Whether they can be one layer: some shape is in both."""
    return bool({t.shape for t in a.tensors} & {t.shape for t in b.tensors})


def _ends_alike(a: str, b: str) -> bool:
    return bool(a and b) and (a.endswith(f"/{b}") or b.endswith(f"/{a}"))


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _by_base(units: Iterable[Unit]) -> Mapping[str, list[Unit]]:
    found: dict[str, list[Unit]] = {}
    for unit in sorted(units, key=lambda unit: numbered(unit.path)[1]):
        found.setdefault(numbered(unit.path)[0], []).append(unit)
    return found


def _grouped(
    units: Iterable[Unit], key: Callable[[Unit], Hashable]
) -> Mapping[Hashable, list[Unit]]:
    found: dict[Hashable, list[Unit]] = {}
    for unit in units:
        found.setdefault(key(unit), []).append(unit)
    return found
