"""Pair the tensors of two artifacts that keep their layers, in the same format or in two."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from inspector.changed import changed
from inspector.limits import Limits
from inspector.model import Role, Tensor
from inspector.pairing import content
from inspector.pairing.layers import Match, match_layers, units_of
from inspector.pairing.names import Names, bare, is_weight, variable_of
from inspector.pairing.nouns import Change, Pair, Pairing, Side, in_order
from inspector.pairing.values import digest, is_narrower, same_dtype

# Roles that have no partner: copies of what is paired, and what a graph computes or needs itself.
_LEFT_OUT = frozenset({Role.ALIAS, Role.ACTIVATION})
# Roles whose names are all that tells them apart.
_BY_NAME = frozenset({Role.CONSTANT, Role.UNKNOWN, Role.LOOKUP})


def match(a: Side, b: Side, limits: Limits) -> Pairing:
    """Layers first, then the variables in them, then what serves those."""
    return _Pairs(a, b, limits).run()


@dataclass(slots=True)
class _Pairs:
    a: Side
    b: Side
    limits: Limits
    pairs: list[Pair] = field(default_factory=list)
    layers: dict[str, str] = field(default_factory=dict)
    used_a: set[str] = field(default_factory=set)
    used_b: set[str] = field(default_factory=set)
    serving: tuple[Mapping[str, Mapping[Role, Tensor]], ...] = ()

    def run(self) -> Pairing:
        names = (Names(self.a.artifact), Names(self.b.artifact))
        units = [units_of(side, of) for side, of in zip((self.a, self.b), names, strict=True)]
        for found in match_layers(units[0], units[1], self.limits):
            if found.a.path != found.b.path:
                self.layers[found.a.path] = found.b.path
            self._variables(found)
        self._by_content()
        self._followers(names)
        self.serving = (serving(self.a), serving(self.b))
        return Pairing(
            pairs=in_order(map(self._with_change, self.pairs), self.a),
            only_a=tuple(t for t in self.a.artifact.tensors if t.name not in self.used_a),
            only_b=tuple(t for t in self.b.artifact.tensors if t.name not in self.used_b),
            layers=self.layers,
        )

    def _take(self, a: Tensor, b: Tensor, why: str, basis: str) -> None:
        self.pairs.append(Pair(a, b, why, basis))
        self.used_a.add(a.name)
        self.used_b.add(b.name)

    def _variables(self, found: Match) -> None:
        """Variables of two layers that are one: by name, then by shape, then in their order."""
        left, right = list(found.a.tensors), list(found.b.tensors)
        keys: tuple[Callable[[Tensor], Hashable], ...] = (
            variable_of,
            lambda tensor: (tensor.shape, self._role(tensor)),
            lambda tensor: tensor.shape,
        )
        for key in keys:
            for one, other in only(left, right, key):
                self._take(one, other, found.why, found.basis)
                left.remove(one)
                right.remove(other)
            if not (left and right):
                return
        # What no name tells apart: equal values first, so that one that was changed is the rest.
        contents = _contents(left, right, self.limits)
        for tells, why in ((contents.get, "equal values"), (bool, "the next of its shape")):
            for one in list(left):
                fits = [
                    other
                    for other in right
                    if other.shape == one.shape and tells(id(other)) == tells(id(one))
                ]
                if fits:
                    self._take(one, fits[0], f"{found.why}; {why}", "structure")
                    left.remove(one)
                    right.remove(fits[0])

    def _role(self, tensor: Tensor) -> Role:
        side = self.a if tensor.name in self.a.verdicts else self.b
        return side.verdicts[tensor.name].role

    def _by_content(self) -> None:
        """Weights of which nothing else tells: equal values that only one on each side has."""
        left, right = self._weights(self.a, self.used_a), self._weights(self.b, self.used_b)
        if not (left and right):
            return
        counts = {tensor.elements for tensor in left} & {tensor.elements for tensor in right}
        left = [tensor for tensor in left if tensor.elements in counts]
        right = [tensor for tensor in right if tensor.elements in counts]
        for one, other in only(left, right, lambda tensor: digest(tensor, self.limits)):
            self._take(one, other, "equal values", "content")

    def _weights(self, side: Side, used: set[str]) -> list[Tensor]:
        return [
            tensor
            for tensor in side.artifact.tensors
            if tensor.name not in used and is_weight(side.verdicts[tensor.name].role)
        ]

    def _followers(self, names: tuple[Names, Names]) -> None:
        """Masks, slots, ranges ...: each with that of the same weight, or of the same layer."""
        partner = {pair.a.name: pair.b.name for pair in self.pairs}
        left = self._rest(self.a, self.used_a)
        right = self._rest(self.b, self.used_b)
        here = Key(self.a, names[0], partner, self.layers)
        there = Key(self.b, names[1], {}, {})
        keys = {t.name: here(t) for t in left}, {t.name: there(t) for t in right}
        for one, other in only(
            left, right, lambda t: keys[0].get(t.name), lambda t: keys[1][t.name]
        ):
            about = self.a.verdicts[one.name].about or one.slot_of
            self._take(one, other, "of the same weight" if about else "same name", "name")

    def _rest(self, side: Side, used: set[str]) -> list[Tensor]:
        return [
            tensor
            for tensor in side.artifact.tensors
            if tensor.name not in used
            and side.verdicts[tensor.name].role not in _LEFT_OUT
            and not is_weight(side.verdicts[tensor.name].role)
        ]

    def _with_change(self, pair: Pair) -> Pair:
        """The pair with its mask, and with what became of the values."""
        if not is_weight(self.a.verdicts[pair.a.name].role):
            return changed(pair, change=retyped(pair.a, pair.b))
        ours = self.serving[0].get(pair.a.name, {})
        theirs = self.serving[1].get(pair.b.name, {})
        mask, other = ours.get(Role.MASK), theirs.get(Role.MASK)
        pair = changed(pair, mask=mask or other, mask_of_a=mask is not None)
        change = content.turned(pair.a, pair.b, self.limits)
        if change is None and (pair.a.shape, pair.a.dtype) == (pair.b.shape, pair.b.dtype):
            gone = {role: tensor for role, tensor in ours.items() if role not in theirs}
            change = self._made(pair, gone)
        change = change or retyped(pair.a, pair.b)
        return pair if change is None else changed(pair, change=change)

    def _made(self, pair: Pair, gone: Mapping[Role, Tensor]) -> Change | None:
        """What was done to the values of `a` on purpose, if that and nothing less makes `b`.

        gone: what served `a` and has no partner on the other side.
        """
        if Role.MASK in gone:
            return content.masked(pair.a, pair.b, gone[Role.MASK], self.limits)
        if Role.CENTROIDS in gone and Role.CLUSTER_INDICES in gone:
            parts = gone[Role.CENTROIDS], gone[Role.CLUSTER_INDICES]
            return content.clustered(pair.a, pair.b, *parts, self.limits)
        return None


def retyped(a: Tensor, b: Tensor) -> Change | None:
    """The change of dtype; None where there is none."""
    if same_dtype(a.dtype, b.dtype):
        return None
    # Floats are made integers, and wide ones narrow; the way back would be lossless.
    back = (a.real is not None and b.real is None) or is_narrower(a.dtype, b.dtype)
    kind = "cast" if (a.real is None) == (b.real is None) else "quantized"
    return Change(
        kind, f"{b.dtype} to {a.dtype}" if back else f"{a.dtype} to {b.dtype}", backwards=back
    )


def serving(side: Side) -> Mapping[str, Mapping[Role, Tensor]]:
    """Name of a weight -> what serves it, by role: its mask, its centroids."""
    found: dict[str, dict[Role, Tensor]] = {}
    for tensor in side.artifact.tensors:
        verdict = side.verdicts[tensor.name]
        if verdict.about is not None:
            target = side.verdicts.get(verdict.about)
            name = (target.alias_of if target is not None else None) or verdict.about
            found.setdefault(name, {}).setdefault(verdict.role, tensor)
    return found


@dataclass(slots=True)
class Key:
    """What two tensors that are no weights have in common where they are one.

    partner: name of a tensor -> that of its partner, of whose side keys are made; layers alike.
    """

    side: Side
    names: Names
    partner: Mapping[str, str]
    layers: Mapping[str, str]

    def __call__(self, tensor: Tensor) -> Hashable:
        verdict = self.side.verdicts[tensor.name]
        variable = None if tensor.variable is None else bare(tensor.variable)
        if verdict.role in _BY_NAME and tensor.variable is None:
            return verdict.role, tensor.name, tensor.dtype, tensor.shape
        served = verdict.about or tensor.slot_of
        if served is not None:
            aliased = self.side.verdicts.get(served)
            served = (aliased.alias_of if aliased is not None else None) or served
            return verdict.role, self.partner.get(served, served), variable
        layer = self.names.of(tensor.layer)
        return verdict.role, self.layers.get(layer, layer), variable


def _contents(
    left: Sequence[Tensor], right: Sequence[Tensor], limits: Limits
) -> Mapping[int, Hashable]:
    """Digests of tensors' values, by id, where a shape of one side is in the other too.

    A tensor that has none is equal to itself alone.
    """
    shapes = {tensor.shape for tensor in left} & {tensor.shape for tensor in right}
    return {
        id(tensor): digest(tensor, limits) or id(tensor)
        for tensor in (*left, *right)
        if tensor.shape in shapes
    }


def only(
    left: Sequence[Tensor],
    right: Sequence[Tensor],
    key: Callable[[Tensor], Hashable],
    other_key: Callable[[Tensor], Hashable] | None = None,
) -> Iterable[tuple[Tensor, Tensor]]:
    """Pairs of which each has its key alone on its side."""
    ours, theirs = grouped(left, key), grouped(right, other_key or key)
    return [
        (ones[0], theirs[found][0])
        for found, ones in ours.items()
        if found is not None and len(ones) == 1 and len(theirs.get(found, ())) == 1
    ]


def grouped(
    tensors: Iterable[Tensor], key: Callable[[Tensor], Hashable]
) -> Mapping[Hashable, list[Tensor]]:
    """Tensors by their key, in their order."""
    found: dict[Hashable, list[Tensor]] = {}
    for tensor in tensors:
        found.setdefault(key(tensor), []).append(tensor)
    return found
