"""The comparison of two artifacts, whole."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import UNSET

from inspector import report as r
from inspector.difference.configs import config_facts
from inspector.difference.filters import Chosen, chosen
from inspector.difference.interface import interface_facts
from inspector.difference.nouns import Subject, Wanted
from inspector.difference.places import places
from inspector.difference.tensors import Compared, Formats, alone, paired
from inspector.difference.told import Told
from inspector.difference.totals import total_facts
from inspector.difference.training import training_facts
from inspector.difference.values import compare_values, known
from inspector.difference.words import story
from inspector.errors import UsageError
from inspector.limits import DEFAULT, Limits
from inspector.model import GROUP_OF, Group, Role, Tensor
from inspector.pairing import Pair, Pairing, pair
from inspector.pairing.names import Names
from inspector.report import TensorReport
from inspector.words import count

_EVERYTHING = Wanted()
# What an artifact has all of, or nothing.
_GROUPS = {
    Group.PRUNING: "pruning",
    Group.CLUSTERING: "clustering",
    Group.QUANTIZATION: "quantization wrappers",
    Group.TRAINING: "training state",
}
_STATUSES = ("unread", "changed", "removed", "added", "unchanged")


def compare(
    a: Subject, b: Subject, wanted: Wanted = _EVERYTHING, limits: Limits = DEFAULT
) -> r.Diff:
    """What is in one of the two, in both and not the same, or the same in both.

    Both are open, or saved reports. Raises UsageError for what `wanted` cannot mean, ArtifactError
    when values that pairing needs cannot be read.
    """
    filtered = chosen(wanted, a, b)
    found = pair(a.side, b.side, limits)
    pairs, ignored, unknown = _Pairs(a, b, wanted, filtered, limits).of(found)
    pairs.sort(key=_importance)
    facts = tuple(
        fact
        for fact in (
            *config_facts(a, b, found.layers),
            *training_facts(a, b),
            *interface_facts(a, b),
            *total_facts(a, b),
            *_unknown(unknown),
        )
        if fact.part == "values" or filtered.keeps(fact)
    )
    summary = _summary(pairs, ignored)
    same = not (
        summary.unread or any(one.counts for one in pairs) or any(one.counts for one in facts)
    )
    apart = _places(a, b, wanted, limits) if wanted.places or (same and not ignored) else None
    told = Told(
        a=a.report,
        b=b.report,
        pairs=tuple(pairs),
        facts=facts,
        same=same,
        identical=None if apart is None else not apart,
    )
    at = apart or () if wanted.places else UNSET
    return r.Diff(summary, told.pairs, same, story(told), facts, at)


def _places(
    a: Subject, b: Subject, wanted: Wanted, limits: Limits
) -> tuple[r.DiffPlace, ...] | None:
    """Where bytes differ; None where nobody asked, and one of the two has none to look at."""
    if not (a.saved or b.saved):
        return places(a.artifact, b.artifact, limits)
    if wanted.places:
        raise UsageError("a saved report has no bytes of its artifact: leave out --bytes")
    return None


@dataclass(slots=True)
class _Pairs:
    """From what pairing found to the report's pairs."""

    a: Subject
    b: Subject
    wanted: Wanted
    filtered: Chosen
    limits: Limits
    formats: Formats = field(init=False)
    entries: tuple[Mapping[str, TensorReport], Mapping[str, TensorReport]] = field(init=False)

    def of(self, found: Pairing) -> tuple[list[r.DiffPair], int, Mapping[str, int]]:
        """The pairs, how many were left out, and why nobody could tell the values of how many."""
        self.formats = Formats(self.a.artifact.format, self.b.artifact.format)
        self.entries = (_by_name(self.a), _by_name(self.b))
        renamed = self._renamed(found)
        sides = known(self.a), known(self.b)
        pairs: list[r.DiffPair] = []
        unknown: Counter[str] = Counter()
        ignored = 0
        for one in found.pairs:
            if not self.filtered.takes(self._role(0, one.a), self._role(1, one.b)):
                ignored += 1
                continue
            values = compare_values(one, *sides, self.wanted.tolerance, self.limits)
            if values.unknown:
                unknown[values.words] += 1
            entries = self.entries[0][one.a.name], self.entries[1][one.b.name]
            compared = Compared(one, *entries, values, self.formats, renamed.get(_key(one)))
            pairs.append(paired(compared, self.filtered.kinds))
        for at, tensors, reasons in (
            (0, found.only_a, found.gone_a),
            (1, found.only_b, found.gone_b),
        ):
            for tensor in tensors:
                if not self.filtered.takes(self._role(at, tensor)):
                    ignored += 1
                    continue
                entry, known_why = self.entries[at][tensor.name], reasons.get(tensor.name)
                pairs.append(
                    alone(
                        entry,
                        added=at == 1,
                        known_why=known_why,
                        why=known_why or self._missing(entry, other="AB"[1 - at]),
                        formats=self.formats,
                    )
                )
        return pairs, ignored, unknown

    def _missing(self, entry: TensorReport, other: str) -> str:
        """Why one side lacks a tensor, where it lacks all of the kind."""
        group = GROUP_OF[Role(entry.role)]
        theirs = self.entries["AB".index(other)].values()
        if group in _GROUPS and not any(GROUP_OF[Role(one.role)] is group for one in theirs):
            return f"{other} has no {_GROUPS[group]}"
        return f"{other} has none"

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
    """Whether the names of layers are those that people gave them."""
    model = subject.artifact.model
    if subject.saved:
        return model is not None and subject.artifact.format.startswith("keras-")
    return model is not None and any(layer.config for layer in model.walk())


def _by_name(subject: Subject) -> Mapping[str, TensorReport]:
    return {entry.name: entry for entry in subject.report.tensors}


def _key(one: Pair) -> tuple[str, str]:
    return one.a.name, one.b.name


def _unknown(reasons: Mapping[str, int]) -> Iterable[r.DiffFact]:
    """That values were not compared, where they were not."""
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
