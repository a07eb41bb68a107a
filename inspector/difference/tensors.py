"""From a pair of tensors, and what was found out about its values, to what changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inspector import report as r
from inspector.assemble import extreme
from inspector.difference.told import shape
from inspector.difference.values import Values, comparable
from inspector.model import GROUP_OF, Group, Role
from inspector.pairing import Agreement, Pair
from inspector.pairing.values import same_dtype
from inspector.words import count, number

# What each format keeps, or makes, in its own way: it says something only of two of one format.
_OF_THE_FORMAT = frozenset({Role.ALIAS, Role.CONSTANT, Role.ACTIVATION})
# Formats that count their own savings.
_COUNTING = frozenset({"saved-model", "checkpoint"})
# Groups whose roles some formats have no word for.
_VAGUE = frozenset({Group.STRUCTURE, Group.UNKNOWN})
_QUANTIZATION = ("scheme", "scale", "zero_point", "axis")


@dataclass(frozen=True, slots=True)
class Formats:
    """The two formats: what one of them cannot say is no difference."""

    a: str
    b: str

    @property
    def alike(self) -> bool:
        """Whether they are one."""
        return self.a == self.b

    def counts(self, role: Role) -> bool:
        """Whether what differs in a tensor of this role makes the artifacts differ."""
        if self.alike:
            return True
        counting = bool({self.a, self.b} & _COUNTING)
        return role not in _OF_THE_FORMAT and not (role is Role.COUNTER and counting)


@dataclass(frozen=True, slots=True)
class Compared:
    """A pair, the entry that each report has of it, and what is known of its values.

    layers: the names of its layer in A and in B, where it was renamed.
    """

    pair: Pair
    a: r.TensorReport
    b: r.TensorReport
    values: Values
    formats: Formats
    layers: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of change. words: what a person reads of it, in one clause."""

    name: str
    is_it: Callable[[Compared], bool]
    words: Callable[[Compared], str]


def paired(one: Compared, kinds: tuple[Kind, ...]) -> r.DiffPair:
    """What changed, of the kinds that are asked for."""
    found = [kind for kind in kinds if kind.is_it(one)]
    roles = (Role(one.a.role), Role(one.b.role))
    values, change = one.values, one.pair.change
    status = "unread" if values.unread else "changed" if found else "unchanged"
    conversion = None if change is None else change.words
    if change is not None and change.backwards:
        conversion = f"{change.words} (from B to A)"
    words = [text for text in (kind.words(one) for kind in found) if text]
    if conversion is not None and not found:
        words.append(conversion)
    if values.unread or (values.words and values.differ is not True):
        words.append(values.words)
    return r.DiffPair(
        status=status,
        a=_side(one.a),
        b=_side(one.b),
        why=one.pair.why,
        basis=one.pair.basis,
        changes=tuple(kind.name for kind in found),
        words="; ".join(words),
        conversion=conversion,
        values=None if values.found is None else _values(values.found),
        counts=bool(found) and any(map(one.formats.counts, roles)),
        clauses=tuple(kind.words(one) for kind in found),
    )


def alone(
    entry: r.TensorReport,
    *,
    added: bool,
    why: str,
    known_why: str | None,
    formats: Formats,
) -> r.DiffPair:
    """What only one of the two has. known_why: as pairing found, where it did."""
    role = Role(entry.role)
    explained = known_why is not None and GROUP_OF[role] is Group.WEIGHT
    return r.DiffPair(
        status="added" if added else "removed",
        a=None if added else _side(entry),
        b=_side(entry) if added else None,
        why=why,
        basis="none" if known_why is None else "graph",
        changes=(),
        words=why,
        conversion=None,
        values=None,
        counts=not explained and formats.counts(role),
    )


def _side(entry: r.TensorReport) -> r.DiffTensor:
    return r.DiffTensor(
        name=entry.name,
        layer=entry.layer,
        variable=entry.variable,
        role=entry.role,
        trainable=entry.trainable,
        dtype=entry.dtype,
        shape=entry.shape,
        elements=entry.elements,
        nbytes=entry.nbytes,
    )


def _values(found: Agreement) -> r.DiffValues:
    return r.DiffValues(
        elements=found.elements,
        differing=found.differing,
        same_bits=found.same_bits,
        largest=extreme(found.largest),
        mean=extreme(found.mean),
        relative_norm=extreme(found.relative_norm),
        cosine=found.cosine,
        sign_flips=found.sign_flips,
        zeros_a=found.zeros_a,
        zeros_b=found.zeros_b,
        zeros_gained=found.zeros_gained,
        zeros_lost=found.zeros_lost,
        ulps=extreme(found.ulps),
        in_scale_units=extreme(found.in_scale_units),
        clipped=found.clipped,
    )


# --- the kinds -----------------------------------------------------------------------------------


def _is_unexpected(step: str) -> Callable[[Compared], bool]:
    """Whether the values came to lie otherwise, and no conversion asks for that."""

    def is_it(one: Compared) -> bool:
        change = one.pair.change
        return change is not None and not change.expected and step in change.kind.split(" + ")

    return is_it


def _is_step(step: str) -> Callable[[Compared], bool]:
    """Whether this was done to the values on purpose, which makes others of them."""

    def is_it(one: Compared) -> bool:
        return one.pair.change is not None and step in one.pair.change.kind.split(" + ")

    return is_it


def _said(one: Compared) -> str:
    """What was done to the values, without what became of shape and dtype."""
    change = one.pair.change
    return "" if change is None else change.words.split(", ")[0]


def _is_reshaped(one: Compared) -> bool:
    return not comparable(one.pair) or _is_unexpected("reshaped")(one)


def _shapes(one: Compared) -> str:
    return f"{shape(one.a.shape)} -> {shape(one.b.shape)}"


def _differing(one: Compared) -> str:
    found = one.values.found
    if found is None:
        return one.values.words
    verb = "differs" if found.differing == 1 else "differ"
    return f"{number(found.differing)} of {count(found.elements, 'value')} {verb}{_sizes(found)}"


def _sizes(found: Agreement) -> str:
    """How large the differences are, and what became of zeros and signs."""
    text = ""
    if found.largest is not None and math.isinf(found.largest):
        text = ", some of which are finite in one alone"
    elif found.largest is not None:
        mean = "" if found.mean is None else f" (mean {found.mean:.3g})"
        text = f", by up to {found.largest:.6g}{mean}"
    told = (
        (found.zeros_lost, "zero lost", "zeros lost"),
        (found.zeros_gained, "zero gained", "zeros gained"),
        (found.sign_flips, "sign turned", "signs turned"),
    )
    return text + "".join(f"; {count(many, *words)}" for many, *words in told if many)


def _dtypes(one: Compared) -> str:
    return f"{one.a.dtype} -> {one.b.dtype}{_loss(one.values)}"


def _loss(values: Values) -> str:
    """What another dtype cost, where it is all that changed."""
    found = values.found
    if found is None or values.differ:
        return ""
    if not found.differing:
        return ", no value lost"
    if found.in_scale_units is not None:
        return f", by up to {found.in_scale_units:.3g} steps of its scale"
    if found.ulps is not None:
        return f", by up to {found.ulps:.3g} units in the last place"
    return "" if found.largest is None else f", by up to {found.largest:.6g}"


def _is_of_other_role(one: Compared) -> bool:
    a, b = Role(one.a.role), Role(one.b.role)
    vague = {GROUP_OF[a], GROUP_OF[b]} & _VAGUE
    return a is not b and (one.formats.alike or not vague)


def _is_frozen_otherwise(one: Compared) -> bool:
    return {one.a.trainable, one.b.trainable} == {True, False}


def _training(one: Compared) -> str:
    return "trainable -> frozen" if one.a.trainable else "frozen -> trainable"


def _patterns(entry: r.TensorReport) -> dict[str, bool]:
    measure = entry.measure
    return {} if measure is None else {name: one.holds for name, one in measure.patterns.items()}


def _unlike_patterns(one: Compared) -> list[tuple[str, bool]]:
    """Patterns that hold in one only, and whether B is that one."""
    if one.a.shape != one.b.shape:
        return []
    a, b = _patterns(one.a), _patterns(one.b)
    return [(name, holds) for name, holds in b.items() if name in a and a[name] is not holds]


def _zeros(one: Compared) -> tuple[int, int] | None:
    """Zeros of A and of B, where both are known of the same elements."""
    found = one.values.found
    if found is not None:
        return found.zeros_a, found.zeros_b
    if one.a.measure is None or one.b.measure is None or one.a.elements != one.b.elements:
        return None
    return one.a.measure.zeros, one.b.measure.zeros


def _is_sparse_otherwise(one: Compared) -> bool:
    stored = one.formats.alike and (one.a.sparsity is None) != (one.b.sparsity is None)
    if stored or (one.values.found is not None and not one.values.found.differing):
        return stored  # zeros of equal values are as many, or the tolerance lets them pass
    zeros = _zeros(one)
    return (zeros is not None and zeros[0] != zeros[1]) or bool(_unlike_patterns(one))


def _sparsity(one: Compared) -> str:
    told = []
    if one.formats.alike and one.a.sparsity is None and one.b.sparsity is not None:
        told.append(f"now stored without its zeros ({one.b.sparsity['format']})")
    if one.formats.alike and one.a.sparsity is not None and one.b.sparsity is None:
        told.append(f"no longer stored without its zeros ({one.a.sparsity['format']})")
    zeros = _zeros(one)
    told_already = one.values.differ is True and one.values.found is not None
    if zeros is not None and zeros[0] != zeros[1] and not told_already:
        told.append(f"zeros {number(zeros[0])} -> {number(zeros[1])}")
    told += [f"{name} {'holds now' if now else 'broken'}" for name, now in _unlike_patterns(one)]
    return ", ".join(told)


def _scales(entry: r.TensorReport) -> Mapping[str, Any]:
    known = entry.quantization or {}
    return {name: known.get(name) for name in _QUANTIZATION}


def _is_quantized_otherwise(one: Compared) -> bool:
    return _scales(one.a) != _scales(one.b)


def _quantization(one: Compared) -> str:
    a, b = _scales(one.a), _scales(one.b)
    if a["scheme"] is None:
        return f"quantized {b['scheme']}"
    if b["scheme"] is None:
        return f"no longer quantized {a['scheme']}"
    return ", ".join(
        f"{name.replace('_', ' ')} {_ends(a[name])} -> {_ends(b[name])}"
        for name in _QUANTIZATION
        if a[name] != b[name]
    )


def _ends(value: Any) -> str:
    """A range as one number where it is one."""
    if isinstance(value, list):
        ends = [f"{end:.6g}" if isinstance(end, float) else str(end) for end in value]
        return ends[0] if len(set(ends)) == 1 else f"{ends[0]} to {ends[-1]}"
    return "none" if value is None else str(value)


def _renaming(one: Compared) -> str:
    return "" if one.layers is None else f"{one.layers[0]} is now {one.layers[1]}"


# Every kind of change, in the order in which words tell them.
KINDS: tuple[Kind, ...] = (
    Kind("reshaped", _is_reshaped, _shapes),
    Kind("transposed", _is_unexpected("transposed"), _said),
    Kind("reordered", _is_unexpected("reordered"), _said),
    Kind("split", _is_unexpected("split"), _said),
    Kind("fused", _is_unexpected("fused"), _said),
    Kind("masked", _is_step("masked"), _said),
    Kind("clustered", _is_step("clustered"), _said),
    Kind("folded", _is_step("folded"), _said),
    Kind("scaled", _is_step("scaled"), _said),
    Kind("values", lambda one: one.values.differ is True, _differing),
    Kind("retyped", lambda one: not same_dtype(one.a.dtype, one.b.dtype), _dtypes),
    Kind("sparsity", _is_sparse_otherwise, _sparsity),
    Kind("quantization", _is_quantized_otherwise, _quantization),
    Kind("role", _is_of_other_role, lambda one: f"{one.a.role} -> {one.b.role}"),
    Kind("trainable", _is_frozen_otherwise, _training),
    Kind("renamed", lambda one: one.layers is not None, _renaming),
)
