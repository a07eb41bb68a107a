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


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A layer with the weights and statistics it has.

    order: its place in the model. shapes: what two layers of one structure have in common.
    """

    path: str
    tensors: tuple[Tensor, ...]
    order: tuple[int, ...]
    shapes: Hashable


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
        Unit(
            path,
            tuple(group),
            (walked.get(group[0].layer or "", len(walked)), *_order(group[0])),
            frozenset(Counter(tensor.shape for tensor in group).items()),
        )
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
    return _Matching({u.path: u for u in a}, {u.path: u for u in b}, limits).run()


@dataclass(slots=True)
class _Matching:
    """a, b: layers that have no partner yet, by path, in their order."""

    a: dict[str, Unit]
    b: dict[str, Unit]
    limits: Limits
    found: list[Match] = field(default_factory=list)

    def run(self) -> tuple[Match, ...]:
        self._renumbered()
        for fit in (_alike, _compatible):
            self._same_names(fit)
            self._within(_ends_alike, fit)
            self._within(_both, fit)
            if fit is _alike:
                what = "the only layer of its shapes"
                self._unique(lambda unit: unit.shapes, "structure", what)
        self._unique(self._contents(), "content", "the only layer of equal values")
        self._in_order()
        # What is left of one name has other shapes.
        self._unique(lambda unit: unit.path, "name", "same name")
        return tuple(self.found)

    def _take(self, a: Unit, b: Unit, basis: str, why: str) -> None:
        self.found.append(Match(a, b, basis, _renamed(a, b, why)))
        del self.a[a.path], self.b[b.path]

    def _renumbered(self) -> None:
        """Layers of equal values under other names, where one side has more of a numbered name.

        A file may number layers by their class, whatever they are called: its "dense" need not be
        the other's.
        """
        left, right = _by_base(self.a.values()), _by_base(self.b.values())
        doubtful = {
            unit.shapes
            for base, units in left.items()
            if len(units) != len(right.get(base, units))
            for unit in (*units, *right[base])
        }
        content = self._contents()

        def key(unit: Unit) -> Hashable:
            return content(unit) if unit.shapes in doubtful else None

        self._unique(key, "content", "the only layer of equal values", renamed=True)

    def _same_names(self, fit: Callable[[Unit, Unit], bool]) -> None:
        """Same names and shapes, but where names are numbers that have moved."""
        left, right = _by_base(self.a.values()), _by_base(self.b.values())
        for base, units in left.items():
            others = right.get(base, [])
            if _moved(units, others):
                for unit, other in zip(units, others, strict=True):
                    self._take(unit, other, "name", "same name, numbered otherwise")
                continue
            for unit in units:
                same = self.b.get(unit.path)
                if same is not None and fit(unit, same):
                    self._take(unit, same, "name", "same name")

    def _within(self, alike: Callable[[str, str], bool], fit: Callable[[Unit, Unit], bool]) -> None:
        """One name is the other inside of a scope: "sequential/conv2d" and "conv2d"."""
        left = _grouped(self.a.values(), lambda unit: _last(unit.path))
        right = _grouped(self.b.values(), lambda unit: _last(unit.path))
        for last, units in left.items():
            fits = [
                (unit, other)
                for unit in units
                for other in right.get(last, ())
                if alike(unit.path, other.path) and fit(unit, other)
            ]
            ours = Counter(unit.path for unit, _ in fits)
            theirs = Counter(other.path for _, other in fits)
            for unit, other in fits:
                if ours[unit.path] == theirs[other.path] == 1:
                    self._take(unit, other, "name", "same name in another scope")

    def _unique(
        self, key: Callable[[Unit], Hashable], basis: str, why: str, *, renamed: bool = False
    ) -> None:
        """Layers that alone have a key. renamed: only those of two names."""
        left, right = _grouped(self.a.values(), key), _grouped(self.b.values(), key)
        for one, units in left.items():
            others = right.get(one, ())
            if one is None or not len(units) == len(others) == 1:
                continue
            if not renamed or units[0].path != others[0].path:
                self._take(units[0], others[0], basis, why)

    def _contents(self) -> Callable[[Unit], Hashable]:
        """Digests of all of a layer's values; None where the other side has no layer like it."""
        ours = {unit.shapes for unit in self.a.values()}
        both = ours & {unit.shapes for unit in self.b.values()}

        def content(unit: Unit) -> Hashable:
            if unit.shapes not in both:
                return None
            found = [digest(tensor, self.limits) for tensor in unit.tensors]
            return None if None in found else frozenset(Counter(found).items())

        return content

    def _in_order(self) -> None:
        left = _grouped(self.a.values(), lambda unit: unit.shapes)
        right = _grouped(self.b.values(), lambda unit: unit.shapes)
        for shapes, units in left.items():
            for unit, other in zip(units, right.get(shapes, ()), strict=False):
                self._take(unit, other, "structure", "the next layer of its shapes")


def _moved(a: Sequence[Unit], b: Sequence[Unit]) -> bool:
    """Whether the same layers are numbered otherwise: as many, of the same shapes in turn."""
    return [u.path for u in a] != [u.path for u in b] and [u.shapes for u in a] == [
        u.shapes for u in b
    ]


def _renamed(a: Unit, b: Unit, why: str) -> str:
    return why if a.path == b.path or not (a.path and b.path) else f"{why}: {a.path} is {b.path}"


def _alike(a: Unit, b: Unit) -> bool:
    """Whether they have the same shapes."""
    return a.shapes == b.shapes


def _compatible(a: Unit, b: Unit) -> bool:
    """Whether they can be one layer: some shape is in both."""
    return bool({t.shape for t in a.tensors} & {t.shape for t in b.tensors})


def _ends_alike(a: str, b: str) -> bool:
    return bool(a and b) and (a.endswith(f"/{b}") or b.endswith(f"/{a}"))


def _both(*_: str) -> bool:
    return True


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
