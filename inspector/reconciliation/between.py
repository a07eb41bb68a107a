"""Two artifacts: each weight of one is one of the other, with the same values, or it is said why
not. What neither a pair nor a known reason explains is the residual, in elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from inspector.errors import ArtifactError
from inspector.limits import DEFAULT, Limits
from inspector.model import GROUP_OF, Artifact, Group, Role, Tensor, Verdict
from inspector.pairing import Agreement, Pair, Pairing, Side, agreement, pair
from inspector.reconciliation.lines import Line, Lines, Odd

_NONE_YET: Mapping[tuple[str, str], Agreement] = {}
# What must be the same on both sides, or have a reason not to be.
_KEPT = frozenset({Group.WEIGHT, Group.UNKNOWN})
_COMPARED = frozenset(
    {Group.WEIGHT, Group.PRUNING, Group.CLUSTERING, Group.QUANTIZATION, Group.UNKNOWN}
)


@dataclass(frozen=True, slots=True)
class Known:
    """One of the two artifacts, and its own lines."""

    artifact: Artifact
    verdicts: Mapping[str, Verdict]
    lines: Lines
    count_params: int | None

    @property
    def side(self) -> Side:
        """As pairing wants it."""
        return Side(self.artifact, self.verdicts)

    def role(self, tensor: Tensor) -> Role:
        """What the tensor is."""
        return self.verdicts[tensor.name].role


@dataclass(frozen=True, slots=True)
class Held:
    """A pair and how its values agree; None where they could not be read."""

    pair: Pair
    role: Role
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Gone:
    """A tensor that the other artifact has not. of: "A" or "B", whose it is; why: in words, None
    where nothing explains it.
    """

    tensor: Tensor
    role: Role
    of: str
    why: str | None


@dataclass(frozen=True, slots=True)
class Between:
    """All that is known of two artifacts side by side.

    lines: of each label that of A and that of B, empty where one has none. held: pairs of variables
    of the model; training: pairs of training state whose values differ, and of how many. gone:
    tensors of the model that only one has.
    """

    a: Known
    b: Known
    lines: tuple[tuple[Line, Line], ...]
    held: tuple[Held, ...]
    training: tuple[int, int]
    gone: tuple[Gone, ...]
    layers: Mapping[str, str]
    odd: tuple[Odd, ...]

    @property
    def residual(self) -> int:
        """Elements that nothing explains."""
        return sum(one.elements for one in self.odd)


def between(
    a: Known,
    b: Known,
    limits: Limits = DEFAULT,
    pairing: Pairing | None = None,
    agreements: Mapping[tuple[str, str], Agreement] = _NONE_YET,
) -> Between:
    """Pair the two and hold each pair against each other. Both must be open.

    pairing, agreements: where they are known already, the latter by the names of pairs.

    Raises ArtifactError when values that pairing needs cannot be read.
    """
    paired = pair(a.side, b.side, limits, rest=False) if pairing is None else pairing
    held: list[Held] = []
    odd: list[Odd] = [*a.lines.odd, *b.lines.odd]
    differing = states = 0
    for one in paired.pairs:
        role = a.role(one.a)
        if GROUP_OF[role] in _COMPARED:
            found = agreements.get((one.a.name, one.b.name)) or _agreement(one, limits)
            held.append(Held(one, role, found))
            odd += _disagreement(one, found)
        elif GROUP_OF[role] is Group.TRAINING:
            found = agreements.get((one.a.name, one.b.name)) or _agreement(one, limits)
            states += 1
            differing += found is None or not found.agrees
    gone = (
        *_gone(a, paired.only_a, paired.gone_a, "A"),
        *_gone(b, paired.only_b, paired.gone_b, "B"),
    )
    odd += [
        Odd(one.tensor.name, one.tensor.stored_elements, f"only {one.of} has it")
        for one in gone
        if one.why is None
    ]
    return Between(
        a=a,
        b=b,
        lines=_side_by_side(a, b),
        held=tuple(held),
        training=(differing, states),
        gone=gone,
        layers=paired.layers,
        odd=tuple(odd),
    )


def _agreement(one: Pair, limits: Limits) -> Agreement | None:
    try:
        return agreement(one, limits)
    except ArtifactError:
        return None


def _disagreement(one: Pair, found: Agreement | None) -> Iterable[Odd]:
    size = max(one.a.elements, one.b.elements)
    if found is None:
        yield Odd(one.a.name, size, "its values, or its partner's, cannot be read")
    elif not found.agrees:
        elements = max(found.differing, found.masked_nonzero or 0) or size
        yield Odd(one.a.name, elements, f"{_partner(one)}: {found.why_not or 'values differ'}")
    elif found.masked_nonzero:
        mask = f", the mask {one.mask.name}" if one.mask is not None else ""
        yield Odd(one.a.name, found.masked_nonzero, f"is not 0 where its mask is{mask}")
    elif one.change is not None and not one.change.expected:
        yield Odd(one.a.name, size, f"{_partner(one)} only once {one.change.words}")


def _partner(one: Pair) -> str:
    return f"is {one.b.name}" if one.a.name != one.b.name else "is in both"


def _gone(
    known: Known, tensors: Iterable[Tensor], reasons: Mapping[str, str], of: str
) -> Iterable[Gone]:
    """Tensors of the model that the other has not; what is wrapped around it needs no reason."""
    for tensor in tensors:
        role = known.role(tensor)
        if not tensor.stored_elements or GROUP_OF[role] not in _KEPT:
            continue
        yield Gone(tensor, role, of, reasons.get(tensor.name))


def _side_by_side(a: Known, b: Known) -> tuple[tuple[Line, Line], ...]:
    """Lines of the same label together, in the order of roles."""
    of_a, of_b = ({line.label: line for line in known.lines.lines} for known in (a, b))
    either = {**of_b, **of_a}
    order = {role: at for at, role in enumerate(Role)}
    labels = sorted(
        dict.fromkeys([*of_a, *of_b]),
        key=lambda label: order.get(either[label].role or Role.UNKNOWN, len(order)),
    )
    return tuple(
        (
            of_a.get(label) or _empty(either[label], a.count_params),
            of_b.get(label) or _empty(either[label], b.count_params),
        )
        for label in labels
    )


def _empty(line: Line, count_params: int | None) -> Line:
    """The line of an artifact that has nothing of the kind."""
    counted = None if count_params is None else 0
    return replace(
        line, tensors=0, elements=0, nbytes=0, each=None, counted=counted, left=counted, basis=""
    )
