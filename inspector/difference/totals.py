"""What the counts, the bytes and the makers of two artifacts have that is not the same.

None of it makes two artifacts differ: what does is in their tensors and configs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from inspector import report as r
from inspector.difference.nouns import Subject
from inspector.model import Role
from inspector.words import count, number, percent

_COUNTS = {
    "stored_elements": "elements stored",
    "count_params": "parameters as Keras counts them",
    "trainable": "trainable parameters",
    "non_trainable": "parameters that are not trainable",
    "after_strip": "parameters after stripping",
    "nonzero": "weight elements that are not zero",
}


def total_facts(a: Subject, b: Subject) -> tuple[r.DiffFact, ...]:
    """A fact for each number and each word that differs."""
    return tuple(fact for part in _PARTS for fact in part(a, b))


def _fact(part: str, what: str, a: Any, b: Any, words: str) -> r.DiffFact:
    return r.DiffFact(part, what, a, b, words, counts=False)


def _totals(a: Subject, b: Subject) -> Iterable[r.DiffFact]:
    for name, words in _COUNTS.items():
        one, other = getattr(a.report.totals, name), getattr(b.report.totals, name)
        if one != other:
            yield _fact("totals", name, one, other, f"{words}: {_said(one)} -> {_said(other)}")
    if a.report.nbytes != b.report.nbytes:
        words = f"bytes: {_said(a.report.nbytes)} -> {_said(b.report.nbytes)}"
        yield _fact("totals", "nbytes", a.report.nbytes, b.report.nbytes, words)


def _said(value: int | None) -> str:
    return "unknown" if value is None else number(value)


def _roles(a: Subject, b: Subject) -> Iterable[r.DiffFact]:
    for role in Role:
        one, other = a.report.roles.get(role), b.report.roles.get(role)
        if one != other:
            words = f"{role.value}: {_role(one)} -> {_role(other)}"
            yield _fact("roles", role.value, _fields(one), _fields(other), words)


def _role(row: r.RoleReport | None) -> str:
    if row is None:
        return "none"
    return f"{count(row.tensors, 'tensor')} of {count(row.elements, 'element')}"


def _fields(row: r.RoleReport | None) -> dict[str, int] | None:
    if row is None:
        return None
    return {"tensors": row.tensors, "elements": row.elements, "nbytes": row.nbytes}


def _bytes(a: Subject, b: Subject) -> Iterable[r.DiffFact]:
    """By label; the differences add up to that of the sizes, since the labels do to the sizes."""
    for label in dict.fromkeys([*a.report.bytes, *b.report.bytes]):
        one, other = a.report.bytes.get(label, 0), b.report.bytes.get(label, 0)
        if one != other:
            words = f"bytes of {label}: {number(one)} -> {number(other)}"
            yield _fact("bytes", label, one, other, words)


def _sparsity(a: Subject, b: Subject) -> Iterable[r.DiffFact]:
    one, other = a.report.weights, b.report.weights
    if one is None or other is None or (one.zeros, one.elements) == (other.zeros, other.elements):
        return
    words = f"zeros among the weights: {_share(one)} -> {_share(other)}"
    yield _fact("sparsity", "weights", _zeros(one), _zeros(other), words)


def _share(row: r.WeightsReport) -> str:
    return f"{number(row.zeros)} of {number(row.elements)} ({percent(row.zeros, row.elements)})"


def _zeros(row: r.WeightsReport) -> dict[str, Any]:
    return {"elements": row.elements, "zeros": row.zeros, "sparsity": row.sparsity}


def _patterns(a: Subject, b: Subject) -> Iterable[r.DiffFact]:
    """How many weights hold each pattern."""
    if a.report.weights is None or b.report.weights is None:
        return
    ours, theirs = _holding(a.report), _holding(b.report)
    for name in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(name, 0), theirs.get(name, 0)
        if one != other:
            words = f"{name} holds in {count(one, 'weight')} of A, in {other:,} of B"
            yield _fact("patterns", name, one, other, words)


def _holding(report: r.ArtifactReport) -> Mapping[str, int]:
    return Counter(
        name
        for tensor in report.tensors
        if tensor.role == Role.WEIGHT and tensor.measure is not None
        for name, pattern in tensor.measure.patterns.items()
        if pattern.holds
    )


def _producer(a: Subject, b: Subject) -> Iterable[r.DiffFact]:
    one, other = _maker(a.report), _maker(b.report)
    if one != other:
        words = f"written by {one or 'unknown'} -> {other or 'unknown'}"
        yield _fact("producer", "version", one, other, words)


def _maker(report: r.ArtifactReport) -> str | None:
    made = report.producer
    return None if made is None else f"{made.name} {made.version or ''}".strip()


def _format(a: Subject, b: Subject) -> Iterable[r.DiffFact]:
    if a.report.format != b.report.format:
        words = f"{a.report.kind} -> {b.report.kind}"
        yield _fact("format", "format", a.report.format, b.report.format, words)


def _complete(a: Subject, b: Subject) -> Iterable[r.DiffFact]:
    one, other = a.artifact.complete, b.artifact.complete
    if one != other:
        words = f"parts of {'B' if one else 'A'} are missing"
        yield _fact("complete", "complete", one, other, words)


_PARTS: tuple[Callable[[Subject, Subject], Iterable[r.DiffFact]], ...] = (
    _totals,
    _roles,
    _bytes,
    _sparsity,
    _patterns,
    _producer,
    _format,
    _complete,
)
