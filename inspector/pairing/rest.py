"""Pair what is left beside the weights: copies, activations, constants, and what shares a name.

It comes last, and goes by whatever still tells: what a tensor serves, its name, its shape, its
values, and its place at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from inspector.limits import Limits
from inspector.model import GROUP_OF, Group, Role, Section, Tensor
from inspector.pairing.match import Key, grouped, only, retyped
from inspector.pairing.names import Names, is_weight
from inspector.pairing.nouns import Pair, Pairing, Side, in_order
from inspector.pairing.values import digest

# Constants past this are told by their names: to read them all would cost more than it tells.
_FEW = 1 << 16
_NUMBER = re.compile(r"_\d+$")


@dataclass(frozen=True, slots=True)
class _Told:
    """What tells the tensors of a side apart.

    partner: name of a tensor -> that of its partner, of whose side keys are made.
    """

    side: Side
    key: Key
    partner: Mapping[str, str]
    limits: Limits

    def role(self, tensor: Tensor) -> Role:
        return self.side.verdicts[tensor.name].role

    def served(self, tensor: Tensor) -> str | None:
        """The other side's name of what it repeats, or was made for."""
        verdict = self.side.verdicts[tensor.name]
        name = verdict.alias_of or verdict.about or tensor.slot_of
        return None if name is None else self.partner.get(name, name)


def _name(told: _Told, tensor: Tensor) -> Hashable:
    return told.role(tensor), told.served(tensor), tensor.name, _rank(tensor)


def _name_alone(told: _Told, tensor: Tensor) -> Hashable:
    # A slot's name may be a number, which is of another weight where there is one more of them.
    role = told.role(tensor)
    return None if role is Role.OPTIMIZER_SLOT else (role, tensor.name, _rank(tensor))


def _unnumbered(told: _Told, tensor: Tensor) -> Hashable:
    """A constant of a function, whose name TensorFlow ends in a number that no two saves share."""
    if tensor.section is not Section.GRAPH:
        return None
    function, slash, node = tensor.name.partition("/")
    if not slash:
        return None
    return told.role(tensor), _NUMBER.sub("", function), node, tensor.dtype, tensor.shape


def _unnumbered_equal(told: _Told, tensor: Tensor) -> Hashable:
    name = _unnumbered(told, tensor)
    if name is None or tensor.elements > _FEW:
        return None
    found = digest(tensor, told.limits)
    return None if found is None else (name, found)


def _rank(tensor: Tensor) -> int | None:
    """Of what a converter numbers as it comes: such a name may be another tensor's in turn."""
    return None if tensor.made is None or tensor.shape is None else len(tensor.shape)


def _served(told: _Told, tensor: Tensor) -> Hashable:
    """The only one of its kind that a tensor has, whatever either side calls it."""
    served = told.served(tensor)
    return None if served is None else (told.role(tensor), served)


def _place(told: _Told, tensor: Tensor) -> Hashable:
    if told.served(tensor) is None and tensor.variable is None:
        return None
    if told.role(tensor) is Role.ALIAS:
        return Role.ALIAS, told.served(tensor), tensor.shape
    return told.key(tensor), tensor.shape


def _values(told: _Told, tensor: Tensor) -> Hashable:
    role = told.role(tensor)
    if role not in (Role.CONSTANT, Role.LOOKUP, Role.UNKNOWN) or tensor.elements > _FEW:
        return None
    found = digest(tensor, told.limits)
    return None if found is None else (role, tensor.dtype, tensor.shape, found)


def _state(told: _Told, tensor: Tensor) -> Hashable:
    """State of training and of wrappers that one side has under a number."""
    role = told.role(tensor)
    if GROUP_OF[role] is Group.STRUCTURE:
        return None
    found = digest(tensor, told.limits)
    return None if found is None else (role, tensor.dtype, tensor.shape, found)


def _step(told: _Told, tensor: Tensor) -> Hashable:
    """Numbers that every wrapper has one of, in the order of the wrappers."""
    role = told.role(tensor)
    return role if role in (Role.PRUNING_STEP, Role.QUANT_STEP, Role.THRESHOLD) else None


def _made(told: _Told, tensor: Tensor) -> Hashable:
    """An activation by the operator that makes it: "made by CONV_2D conv/Relu"."""
    if tensor.made is None:
        return None
    return told.role(tensor), tensor.dtype, tensor.shape, tuple(tensor.made.split()[:3])


@dataclass(frozen=True, slots=True)
class _Way:
    """What two tensors must have in common. in_order: also where several have, each in turn."""

    why: str
    basis: str
    key: Callable[[_Told, Tensor], Hashable]
    in_order: bool = False


_WAYS = (
    _Way("same name", "name", _name),
    _Way("in such a function, of equal values", "name", _unnumbered_equal, in_order=True),
    _Way("in such a function", "name", _unnumbered, in_order=True),
    _Way("of the same tensor, in the same place", "structure", _place),
    _Way("of the same tensor, the only one of its kind", "structure", _served),
    _Way("the only ones of equal values", "content", _state),
    _Way("same name", "name", _name_alone),
    _Way("the next of its kind in the same place", "place", _place, in_order=True),
    _Way("equal values", "content", _values, in_order=True),
    _Way("the next of its kind", "place", _step, in_order=True),
    _Way("the next that such an operator makes", "place", _made, in_order=True),
)


def pair_rest(a: Side, b: Side, found: Pairing, limits: Limits) -> Pairing:
    """The pairing with all those pairs in it."""
    partner = {pair.a.name: pair.b.name for pair in found.pairs}
    names = Names(a.artifact), Names(b.artifact)
    ours = _Told(a, Key(a, names[0], partner, found.layers), partner, limits)
    theirs = _Told(b, Key(b, names[1], {}, {}), {}, limits)
    left, right = (
        {t.name: t for t in tensors if not is_weight(told.role(t))}
        for told, tensors in ((ours, found.only_a), (theirs, found.only_b))
    )
    pairs = []
    for way in _WAYS:
        for one, other in _alike(way, (ours, left), (theirs, right)):
            pairs.append(Pair(one, other, way.why, way.basis, retyped(one, other)))
            partner[one.name] = other.name
            del left[one.name], right[other.name]
    taken = {pair.a.name for pair in pairs}, {pair.b.name for pair in pairs}
    return replace(
        found,
        pairs=in_order((*found.pairs, *pairs), a),
        only_a=tuple(t for t in found.only_a if t.name not in taken[0]),
        only_b=tuple(t for t in found.only_b if t.name not in taken[1]),
    )


def _alike(
    way: _Way, a: tuple[_Told, Mapping[str, Tensor]], b: tuple[_Told, Mapping[str, Tensor]]
) -> Sequence[tuple[Tensor, Tensor]]:
    if not (a[1] and b[1]):
        return ()
    left, right = list(a[1].values()), list(b[1].values())
    keys = (lambda t: way.key(a[0], t)), (lambda t: way.key(b[0], t))
    if not way.in_order:
        return tuple(only(left, right, *keys))
    return tuple(_in_turn(grouped(left, keys[0]), grouped(right, keys[1])))


def _in_turn(
    left: Mapping[Hashable, list[Tensor]], right: Mapping[Hashable, list[Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    for key, ones in left.items():
        if key is not None:
            yield from zip(ones, right.get(key, ()), strict=False)
