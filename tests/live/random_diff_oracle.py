"""What a difference says of two files between which one thing was edited, held against the edit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector import api
from inspector.model import GROUP_OF, Group, Role

if TYPE_CHECKING:
    from random_diff import Expected

    from inspector.report import Diff, DiffPair


def differences(a: str, b: str, expected: Expected, *, config: bool) -> Iterator[str]:
    """What a difference of the two says that is not so. config: both files have one."""
    found, back = _diff(a, b), _diff(b, a)
    yield from _mirrored(found, back)
    weights = [one for one in found.pairs if _is_weight(one)]
    yield from _numbers(weights, expected)
    yield from _changes(found, weights, expected, config=config)
    yield from _facts(found, expected, config=config)
    counts = any(one.counts for one in (*found.pairs, *found.facts))
    if found.same is counts or (found.summary.unread and found.same):
        yield f"same is {found.same}"
    if not found.answer or any(".." in line or "  " in line for line in found.answer):
        yield f"answer {found.answer}"


def _diff(a: str, b: str) -> Diff:
    return api.diff(a, b, measure=False).diff


def _group(one: DiffPair) -> Group:
    side = one.a or one.b
    assert side is not None
    return GROUP_OF[Role(side.role)]


def _is_weight(one: DiffPair) -> bool:
    return _group(one) is Group.WEIGHT


def _numbers(weights: list[DiffPair], expected: Expected) -> Iterator[str]:
    changed = [one for one in weights if "values" in one.changes]
    if expected.before is None:
        yield from (f"values of {one.words}" for one in changed)
        return
    if len(changed) != 1:
        yield f"{len(changed)} weights of other values, {[one.words for one in changed]}"
        return
    found = changed[0].values
    assert found is not None
    a, b = (one.astype(np.float64) for one in (expected.before, expected.after))
    apart = np.abs(a - b)
    norms = np.linalg.norm(a), np.linalg.norm(b)
    exact = {
        "elements": a.size,
        "differing": int((a != b).sum()),
        "sign_flips": int((a * b < 0).sum()),
        "zeros_gained": int(((a != 0) & (b == 0)).sum()),
        "zeros_lost": int(((a == 0) & (b != 0)).sum()),
    }
    near = {
        "largest": apart.max(),
        "mean": apart.mean(),
        "relative_norm": np.linalg.norm(a - b) / norms[0] if norms[0] else None,
        "cosine": (a * b).sum() / (norms[0] * norms[1]) if all(norms) else None,
    }
    for name, value in exact.items():
        if getattr(found, name) != value:
            yield f"{name} is {getattr(found, name)}, numpy says {value}"
    for name, number in near.items():
        ours = getattr(found, name)
        if (ours is None) is not (number is None) or (
            number is not None and not np.isclose(ours, number, rtol=1e-6, atol=1e-12)
        ):
            yield f"{name} is {ours}, numpy says {number}"


def _changes(
    found: Diff, weights: list[DiffPair], expected: Expected, *, config: bool
) -> Iterator[str]:
    wanted = Counter(expected.changes)
    if not config:
        for told in ("trainable", "renamed"):
            wanted.pop(frozenset({told}), None)
    kinds = Counter(
        frozenset(one.changes)
        for one in weights
        if one.changes and one.a and one.b and "values" not in one.changes
    )
    if kinds != wanted:
        yield f"weights changed {dict(kinds)}, not {dict(wanted)}"
    for status, lone in (("removed", expected.gone), ("added", expected.come)):
        sizes = Counter((one.a or one.b).elements for one in weights if one.status == status)
        if sizes != lone:
            yield f"{status} {dict(sizes)}, not {dict(lone)}"
    for one in found.pairs:
        if one.counts and not _is_weight(one) and _group(one) not in expected.groups:
            side = one.a or one.b
            yield f"{one.status} {side and side.name}: {one.words} ({one.why})"
    if found.summary.unread:
        yield f"{found.summary.unread} unread"


def _facts(found: Diff, expected: Expected, *, config: bool) -> Iterator[str]:
    facts = [f"{one.part} {one.what}" for one in found.facts if one.counts]
    allowed = (*expected.facts, *expected.more)
    for text in facts:
        if not any(re.fullmatch(one, text) for one in allowed):
            yield f"fact {text}: {[o.words for o in found.facts if o.what in text]}"
    for pattern in expected.facts if config else ():
        if not any(re.fullmatch(pattern, text) for text in facts):
            yield f"no fact {pattern}, but {facts}"


_TURNED = {"removed": "added", "added": "removed"}
_SWAPPED = {"zeros_a": "zeros_b", "zeros_gained": "zeros_lost"}


def _mirrored(one: Diff, other: Diff) -> Iterator[str]:
    """How the difference the other way round is not this one mirrored."""
    if one.same is not other.same:
        yield f"same is {one.same} and {other.same}"
    ours = {_names(pair.a, pair.b): pair for pair in one.pairs}
    theirs = {_names(pair.b, pair.a): pair for pair in other.pairs}
    if ours.keys() != theirs.keys():
        yield f"pairs are not mirrored: {sorted(map(str, ours.keys() ^ theirs.keys()))[:4]}"
        return
    for names, pair in ours.items():
        back = theirs[names]
        if _TURNED.get(pair.status, pair.status) != back.status or pair.counts != back.counts:
            yield f"{names} is {pair.status}, {pair.counts}; back {back.status}, {back.counts}"
        elif set(pair.changes) != set(back.changes):
            yield f"{names} is {pair.changes}, back {back.changes}"
        elif pair.values is not None and back.values is not None:
            there, here = pair.values, back.values
            for name, turned in (*_SWAPPED.items(), ("differing", "differing")):
                if getattr(there, name) != getattr(here, turned):
                    yield f"{names}: {name} {getattr(there, name)}, {getattr(here, turned)}"
    counting = [Counter(fact.part for fact in each.facts if fact.counts) for each in (one, other)]
    if counting[0] != counting[1]:
        yield f"facts {dict(counting[0])}, back {dict(counting[1])}"


def _names(a: Any, b: Any) -> tuple[str | None, str | None]:
    return a and a.name, b and b.name
