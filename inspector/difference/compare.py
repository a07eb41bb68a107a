"""The comparison of two artifacts, whole."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import UNSET

from inspector import report as r
from inspector.both import Agreements, Together
from inspector.difference.configs import config_facts
from inspector.difference.filters import Chosen, chosen
from inspector.difference.interface import interface_facts
from inspector.difference.nouns import Subject, Wanted
from inspector.difference.places import is_identical, places
from inspector.difference.tensors import Compared, Formats, alone, paired
from inspector.difference.told import Told
from inspector.difference.totals import total_facts
from inspector.difference.training import training_facts
from inspector.difference.values import Values, compare_values, known
from inspector.difference.words import story
from inspector.errors import UsageError
from inspector.limits import DEFAULT, Limits
from inspector.model import GROUP_OF, Group, Role, Tensor
from inspector.pairing import Pair, Pairing, pair
from inspector.pairing.names import Names
from inspector.report import TensorReport
from inspector.words import count

_EVERYTHING = Wanted()
_APART = Together()
# What an artifact has all of, or nothing.
_GROUPS = {
    Group.PRUNING: "pruning",
    Group.CLUSTERING: "clustering",
    Group.QUANTIZATION: "quantization state",
    Group.TRAINING: "training state",
}
_STATUSES = ("unread", "changed", "removed", "added", "unchanged")


def compare(
    a: Subject,
    b: Subject,
    wanted: Wanted = _EVERYTHING,
    limits: Limits = DEFAULT,
    together: Together = _APART,
) -> r.Diff:
    """What is in one of the two, in both and not the same, or the same in both.

    Both are open, or saved reports. together: what is known of their pairs already.
    Raises UsageError for what `wanted` cannot mean, ArtifactError
    when values that pairing needs cannot be read.
    """
    filtered = chosen(wanted, a, b)
    found = pair(a.side, b.side, limits) if together.pairing is None else together.pairing
    pairs = _Pairs(a, b, wanted, filtered, together.agreements, limits)
    pairs.of(found)
    facts = tuple(
        fact
        for fact in (
            *config_facts(a, b, found.layers),
            *training_facts(a, b),
            *interface_facts(a, b),
            *total_facts(a, b),
            *_unknown(pairs.unknown, left_out=not filtered.values),
        )
        if fact.part == "values" or filtered.keeps(fact)
    )
    summary = _summary(pairs.made, pairs.ignored)
    counts = any(one.counts for one in pairs.made) or any(one.counts for one in facts)
    same = not (counts or summary.unread)
    apart = _places(a, b, wanted, limits)
    identical = None if apart is None else not apart
    if (
        apart is None
        and same
        and not pairs.ignored
        and filtered.values
        and not (a.saved or b.saved)
    ):
        identical = is_identical(a.artifact, b.artifact, limits, together.alike)
    told = Told(
        a=a.report,
        b=b.report,
        pairs=tuple(pairs.made),
        facts=facts,
        same=same,
        identical=identical,
    )
    return r.Diff(summary, told.pairs, same, story(told), facts, UNSET if apart is None else apart)


def _places(
    a: Subject, b: Subject, wanted: Wanted, limits: Limits
) -> tuple[r.DiffPlace, ...] | None:
    """Where bytes differ; None where nobody asked."""
    if not wanted.places:
        return None
    if a.saved or b.saved:
        raise UsageError("a saved report has no bytes of its artifact: leave out --bytes")
    return places(a.artifact, b.artifact, limits)


@dataclass(slots=True)
class _Pairs:
    """From what pairing found to the report's pairs.

    made: those so far; ignored: how many were left out; unknown: why nobody could tell whether
    values are the same -> of how many pairs.
    """

    a: Subject
    b: Subject
    wanted: Wanted
    filtered: Chosen
    agreements: Agreements
    limits: Limits
    made: list[r.DiffPair] = field(default_factory=list)
    ignored: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    formats: Formats = field(init=False)
    entries: tuple[Mapping[str, TensorReport], ...] = field(init=False)
    groups: tuple[frozenset[Group], ...] = field(init=False)

    def of(self, found: Pairing) -> None:
        """Make them all."""
        both = (self.a, self.b)
        self.formats = Formats(self.a.artifact.format, self.b.artifact.format)
        self.entries = tuple({e.name: e for e in one.report.tensors} for one in both)
        self.groups = tuple(
            frozenset(GROUP_OF[verdict.role] for verdict in one.verdicts.values()) for one in both
        )
        self._both(found)
        self._lone(found.only_a, found.gone_a, 0)
        self._lone(found.only_b, found.gone_b, 1)
        self.made.sort(key=_importance)

    def _both(self, found: Pairing) -> None:
        renamed = self._renamed(found)
        sides = known(self.a), known(self.b)
        kinds, by_value = self.filtered.kinds, self.filtered.values
        for one in found.pairs:
            if not self.filtered.takes(self._role(0, one.a), self._role(1, one.b)):
                self.ignored += 1
                continue
            values = Values()
            if by_value:
                values = compare_values(
                    one, *sides, self.wanted.tolerance, self.limits, self.agreements.get(_key(one))
                )
            if values.unknown:
                self.unknown[values.words] += 1
            entries = self.entries[0][one.a.name], self.entries[1][one.b.name]
            compared = Compared(one, *entries, values, self.formats, renamed.get(_key(one)))
            self.made.append(paired(compared, kinds))

    def _lone(self, tensors: Iterable[Tensor], reasons: Mapping[str, str], at: int) -> None:
        """What only A (0) or only B (1) has."""
        for tensor in tensors:
            if self.filtered.kinds_alone or not self.filtered.takes(self._role(at, tensor)):
                self.ignored += 1
                continue
            entry, known_why = self.entries[at][tensor.name], reasons.get(tensor.name)
            why = known_why or self._missing(Role(entry.role), 1 - at)
            self.made.append(
                alone(entry, added=at == 1, why=why, known_why=known_why, formats=self.formats)
            )

    def _missing(self, role: Role, other: int) -> str:
        """Why one side lacks a tensor, where it lacks all of the kind."""
        group = GROUP_OF[role]
        lacks_all = group in _GROUPS and group not in self.groups[other]
        return f"{'AB'[other]} has {f'no {_GROUPS[group]}' if lacks_all else 'none'}"

    def _role(self, at: int, tensor: Tensor) -> tuple[Tensor, Role]:
        return tensor, (self.a, self.b)[at].verdicts[tensor.name].role

    def _renamed(self, found: Pairing) -> Mapping[tuple[str, str], tuple[str, str]]:
        """Names of a pair's two tensors -> those of its layer, where both artifacts name layers."""
        if not (_has_config(self.a) and _has_config(self.b)):
            return {}
        names = Names(self.a.artifact), Names(self.b.artifact)
        result = {}
        for one in found.pairs:
            layers = names[0].of(one.a.layer), names[1].of(one.b.layer)
            own = [path.rpartition("/")[2] for path in layers]
            if found.layers.get(layers[0]) == layers[1] and own[0] != own[1]:
                result[_key(one)] = layers
        return result


def _has_config(subject: Subject) -> bool:
    """Whether the names of layers are those that people gave them: a config lists them. Those of a
    subclassed model are told by attributes in one format, by layers in another.
    """
    model = subject.artifact.model
    if model is None or (subject.saved and not subject.artifact.format.startswith("keras-")):
        return False
    return subject.saved or any(one.config for child in model.children for one in child.walk())


def _key(one: Pair) -> tuple[str, str]:
    return one.a.name, one.b.name


def _unknown(reasons: Mapping[str, int], *, left_out: bool) -> Iterable[r.DiffFact]:
    """That values were not compared, where they were not."""
    if left_out:
        words = "values were left out, as asked for"
        yield r.DiffFact("values", "left out", None, None, words, counts=False)
    for words, many in reasons.items():
        told = f"{count(many, 'tensor')}: {words}"
        yield r.DiffFact("values", "not compared", many, many, told, counts=False)


def _summary(pairs: Iterable[r.DiffPair], ignored: int) -> r.DiffSummary:
    counted = dict.fromkeys(_STATUSES, 0)
    for one in pairs:
        counted[one.status] += 1
    return r.DiffSummary(**counted, ignored=ignored)


def _importance(one: r.DiffPair) -> tuple[float, ...]:
    """What sorts pairs: what changed the model, and most, comes first."""
    side = one.a or one.b
    group = GROUP_OF[Role(side.role)] if side is not None else Group.UNKNOWN
    return (
        one.status == "unchanged",
        not (one.counts or one.status == "unread"),
        group is not Group.WEIGHT,
        _STATUSES.index(one.status),
        0.0 if one.status == "unchanged" else -_size(one.values),
    )


def _size(values: r.DiffValues | None) -> float:
    """How much changed: against the size of the values, as far as that says anything."""
    if values is None or not isinstance(values.relative_norm, int | float):
        return math.inf
    return values.relative_norm
