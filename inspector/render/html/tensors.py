"""The table of tensors as a page has it: all that is known of each, why it is what it is folded in.

Thousands of rows have to be small: a cell is text and little else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspector.render.drawing.roles import css_of
from inspector.render.printable import safe, shape, shorten, value
from inspector.render.rows import full_name, tells
from inspector.render.table import Column
from inspector.report import ArtifactReport, TensorReport
from inspector.words import keyless, number, percent

MOST = 6_000  # rows; of a broken file there may be a million
_WHY = 600  # characters of what a rule says: it names other tensors
_NUMBERS = ("elements", "bytes", "zeros", "share", "min", "max")


@dataclass(frozen=True, slots=True)
class Row:
    """A tensor. before, after: cells as text, those before and after its role; css: of the role;
    why: the rule, and the evidence.
    """

    name: str
    before: tuple[str, ...]
    role: str
    css: str
    why: str
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tensors:
    """The table. left: how many tensors have no row."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    left: int


def tensors_of(artifact: ArtifactReport) -> Tensors:
    """A row a tensor, in the artifact's order."""
    shown = artifact.tensors[:MOST]
    called = any(not tells(one) for one in shown)
    layered = any(one.layer for one in shown)
    measured = any(one.measure for one in shown)
    by_name = {one.name: one for one in artifact.tensors} if called else {}
    columns = (
        Column("tensor", words=True),
        *((Column("variable" if called else "layer", words=True),) if called or layered else ()),
        *(Column(word, words=True) for word in ("role", "dtype", "shape")),
        *(Column(word) for word in (_NUMBERS if measured else _NUMBERS[:2])),
    )

    def before(one: TensorReport) -> tuple[str, ...]:
        if called:
            return (full_name(one, by_name) or one.layer or "",)
        return (one.layer or "",) if layered else ()

    rows = tuple(
        Row(
            one.name,
            before(one),
            one.role,
            css_of(one.role),
            shorten(safe(keyless(_sentence(one))), _WHY),
            (
                one.dtype,
                shape(one.shape),
                number(one.elements),
                number(one.nbytes),
                *(_measured(one) if measured else ()),
            ),
        )
        for one in shown
    )
    return Tensors(columns, rows, max(len(artifact.tensors) - MOST, 0))


def _sentence(one: TensorReport) -> str:
    """The rule, its evidence, and what else sets this tensor apart."""
    return f"{one.rule}: {'; '.join(_said(one))}"


def _said(one: TensorReport) -> Iterator[str]:
    yield one.evidence
    if one.alias_of:
        yield f"a copy of {one.alias_of}"
    if one.measure:
        for many, word in ((one.measure.nan, "NaN"), (one.measure.inf, "infinite")):
            if many:
                yield f"{number(many)} of its values are {word}"


def _measured(one: TensorReport) -> Sequence[str]:
    found = one.measure
    if not found:
        return ("-",) * 4
    return (
        number(found.zeros),
        percent(found.zeros, one.elements),
        value(found.min),
        value(found.max),
    )
