"""What the sentences about a difference are made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from inspector import report as r
from inspector.difference.values import EQUAL
from inspector.model import GROUP_OF, Group, Role
from inspector.words import ROLE_WORDS, count, keyless, listing

# What a weight goes through that makes other values of it, or another kind of tensor.
CONVERSIONS = ("retyped", "quantization", "folded", "masked", "clustered", "scaled")
# What makes other places of its values.
LAYOUTS = ("reshaped", "transposed", "reordered", "split", "fused")

_PARTNERS = 0.5  # share of the layers below which two models are two architectures
_LONGEST = 48  # characters of a tensor's name in a sentence
_BOTH = "both"  # where a pair is that is not "added" or "removed"
_place = itemgetter(0)


@dataclass(frozen=True)  # no slots: it keeps what was asked of it
class Told:
    """All that is known of two artifacts side by side.

    same: they say the same. identical: their bytes are the same too; None where that is not known.
    """

    a: r.ArtifactReport
    b: r.ArtifactReport
    pairs: tuple[r.DiffPair, ...]
    facts: tuple[r.DiffFact, ...]
    same: bool
    identical: bool | None

    @cached_property
    def _grouped(self) -> Mapping[tuple[str, Group], list[tuple[int, r.DiffPair]]]:
        """Pairs and their places, by where they are and their group, which many questions ask."""
        found: dict[tuple[str, Group], list[tuple[int, r.DiffPair]]] = {}
        for at, one in enumerate(self.pairs):
            where = _BOTH if one.a and one.b else one.status
            found.setdefault((where, group_of(one)), []).append((at, one))
        return found

    def _some(self, where: str, groups: Iterable[Group]) -> list[r.DiffPair]:
        """In their order."""
        kept = [found for group in groups if (found := self._grouped.get((where, group)))]
        together = kept[0] if len(kept) == 1 else sorted(itertools.chain(*kept), key=_place)
        return [one for _, one in together]

    def of(self, *groups: Group) -> list[r.DiffPair]:
        """Pairs of tensors that both have, of these groups."""
        return self._some(_BOTH, groups)

    def lone(self, status: str, *groups: Group) -> list[r.DiffPair]:
        """What only one of the two has: "added" or "removed"."""
        return self._some(status, groups)

    def fact(self, part: str, what: str) -> r.DiffFact | None:
        """The fact of that name, where there is one."""
        return next((one for one in self.facts if (one.part, one.what) == (part, what)), None)

    def parts(self, *parts: str) -> list[r.DiffFact]:
        """The facts of some parts."""
        return [one for one in self.facts if one.part in parts]

    @cached_property
    def weights(self) -> list[r.DiffPair]:
        """Weights and statistics that both have."""
        return self.of(Group.WEIGHT)

    @property
    def kept(self) -> bool:
        """No weight that both have is another one in B, whatever was done to its layout."""
        return all(_is_looked_at(one) and not _is_changed(one) for one in self.weights)

    @property
    def whole(self) -> bool:
        """Neither has a weight that the other lacks for no known reason."""
        lone = [*self.lone("added", Group.WEIGHT), *self.lone("removed", Group.WEIGHT)]
        return not any(one.counts for one in lone)

    @property
    def partners(self) -> tuple[int, int]:
        """Of how many layers with weights the other side has one too, and how many there are."""
        both = {side(one).layer for one in self.weights}
        return len(both), len(both) + max(map(len, self._layers_alone))

    @cached_property
    def apart(self) -> bool:
        """Whether these are two architectures: most layers of either have no partner."""
        both, most = self.partners
        return all(self._layers_alone) and both < _PARTNERS * most

    @property
    def _layers_alone(self) -> tuple[set[str | None], set[str | None]]:
        """Layers of A and of B that have weights, and none that the other has too."""
        both = {tensor.layer for one in self.weights for tensor in (one.a, one.b) if tensor}
        ours, theirs = (
            {side(one).layer for one in self.lone(status, Group.WEIGHT) if one.counts}
            for status in ("removed", "added")
        )
        return ours - both, theirs - both


# A report has roles by their names.
_GROUP_OF = {role.value: group for role, group in GROUP_OF.items()}

Question = Callable[[Told], Iterable[str]]


def _is_looked_at(one: r.DiffPair) -> bool:
    """Whether it is known that the values are the same, or not."""
    known = one.values is not None or EQUAL in one.words or one.status == "changed"
    return known and one.status != "unread"


def _is_changed(one: r.DiffPair) -> bool:
    return bool({"values", *CONVERSIONS, *LAYOUTS}.intersection(one.changes))


def of_kind(pairs: Iterable[r.DiffPair], *kinds: str) -> list[r.DiffPair]:
    """Those that changed in one of these ways."""
    wanted = frozenset(kinds)
    return [one for one in pairs if not wanted.isdisjoint(one.changes)]


def side(one: r.DiffPair) -> r.DiffTensor:
    """A's tensor, or B's where A has none."""
    found = one.a or one.b
    assert found is not None  # noqa: S101 - a pair has one side at least
    return found


def group_of(one: r.DiffPair) -> Group:
    """What it is for, as A has it."""
    return _GROUP_OF[side(one).role]


def label(one: r.DiffPair) -> str:
    """What people call a tensor: the shorter of the two names, cut where a converter made it."""
    name = min((_name(tensor) for tensor in (one.a, one.b) if tensor is not None), key=len)
    return shortened(name, _LONGEST)


def shortened(text: str, most: int) -> str:
    """The text without its middle, where it is longer than that."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def shape(sides: tuple[int, ...] | None) -> str:
    """As numpy writes it."""
    if sides is None:
        return "no shape"
    return f"({', '.join(map(str, sides))}{',' if len(sides) == 1 else ''})"


def _name(tensor: r.DiffTensor) -> str:
    if tensor.variable is None:
        return keyless(tensor.name)
    return f"{tensor.layer}/{tensor.variable}" if tensor.layer else tensor.variable


def labels(pairs: Sequence[r.DiffPair], most: int = 3) -> str:
    """The first names, and how many more there are."""
    names = [label(one) for one in pairs[: most + 1]]
    if len(names) <= most:
        return listing(names)
    return f"{', '.join(names[:most])} and {len(pairs) - most:,} more"


def elements(pairs: Iterable[r.DiffPair]) -> int:
    """Elements of all of them."""
    return sum(side(one).elements for one in pairs)


def by_role(pairs: Sequence[r.DiffPair]) -> str:
    """As in "2 masks, 2 thresholds and 2 steps"."""
    counts = {role.value: 0 for role in Role}
    for one in pairs:
        counts[side(one).role] += 1
    return listing([count(many, *ROLE_WORDS[role]) for role, many in counts.items() if many])


def are(many: int) -> str:
    """The verb."""
    return "is" if many == 1 else "are"


def is_renaming(one: r.DiffFact) -> bool:
    """Whether the fact is the new name of a layer."""
    return one.part == "layers" and one.what.endswith(".name")


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def largest(pairs: Iterable[r.DiffPair], name: str) -> float | None:
    """The largest of a number of the values compared, None where none has it."""
    found = [getattr(one.values, name) for one in pairs if one.values is not None]
    finite = [value for value in found if isinstance(value, int | float)]
    return max(finite, default=None)
