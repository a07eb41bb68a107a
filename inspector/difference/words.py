"""A difference in words: what matters most first. A is told as what was, B as what is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inspector import report as r
from inspector.difference.told import (
    CONVERSIONS,
    Question,
    Told,
    elements,
    of_kind,
    sentence,
)
from inspector.difference.values import EQUAL
from inspector.difference.words_facts import beside, size, sparsity
from inspector.difference.words_tensors import (
    architectures,
    changed,
    converted,
    frozen,
    lone,
    overhead,
    renamed,
    rest,
    states,
)
from inspector.words import count

_FORMATS = {
    "keras-h5": "Keras HDF5 file",
    "keras-weights-h5": "file of Keras weights",
    "keras-zip": "Keras archive",
    "keras-dir": "Keras folder",
    "saved-model": "SavedModel",
    "checkpoint": "checkpoint",
    "tflite": "TFLite model",
    "frozen-graph": "frozen graph",
}


def story(told: Told) -> tuple[str, ...]:
    """The answer: a line a question."""
    asked = (_one_is_empty,) if None in (told.a.format, told.b.format) else QUESTIONS
    lines = (" ".join(question(told)) for question in asked)
    return tuple(line for line in lines if line)


def _same(told: Told) -> Iterable[str]:
    if not told.same:
        return
    compared = _compared(told)
    alike = told.a.format == told.b.format
    if told.identical and alike:
        yield f"The two are the same, byte for byte{compared}."
        return
    only = "; only their bytes differ" if alike and told.identical is False else ""
    far = " as far as they could be compared" if told.fact("values", "not compared") else ""
    yield f"The two say the same{far}{compared}{only}."


def _compared(told: Told) -> str:
    """What was looked at, and how near it is."""
    values = [one.values for one in told.pairs if one.values is not None]
    if values:
        return f": {count(len(values), 'tensor')} of {_elements(values)}{_how(told, values)}"
    digests = sum(EQUAL in one.words for one in told.pairs)
    return f": {count(digests, 'tensor')}, by the digests of their values" if digests else ""


def _how(told: Told, values: Sequence[r.DiffValues]) -> str:
    """How near the values are."""
    if all(one.same_bits for one in values):
        return ", equal bit for bit"
    apart = [one.largest for one in values if isinstance(one.largest, int | float) and one.largest]
    if apart and told.a.format == told.b.format:
        return f", no values further apart than {max(apart):.3g}, which the tolerance allows"
    return ", equal by value"


def _elements(values: Sequence[r.DiffValues]) -> str:
    return count(sum(one.elements for one in values), "element")


def _formats(told: Told) -> Iterable[str]:
    """What became of the weights in the other format."""
    if told.a.format == told.b.format or not (told.a.format and told.b.format):
        return
    a, b = (_FORMATS.get(one.format or "", "file") for one in (told.a, told.b))
    if not told.weights or not told.whole:
        yield f"A is a {a}, B a {b}."
    elif told.kept:
        lite = next((one for one in (told.a, told.b) if one.format == "tflite"), None)
        turned = any("transposed" in (one.conversion or "") for one in told.weights)
        how = ", transposed where LiteRT keeps them so" if lite and turned else ""
        yield f"B is a {b}: its weights are those of A{how}."
    elif told.whole and of_kind(told.weights, *CONVERSIONS) and not of_kind(told.weights, "values"):
        yield f"B is a {b}: its weights were made of those of A."
    else:
        yield f"A is a {a}, B a {b}."


def _one_is_empty(told: Told) -> Iterable[str]:
    """A file that is not there in one of two versions."""
    for one, other, what in ((told.a, told.b, "B is new"), (told.b, told.a, "A is gone")):
        if one.format is None and other.format is not None:
            kind = _FORMATS.get(other.format, "file")
            yield (
                f"{what}: a {kind} with {count(len(other.tensors), 'tensor')} of"
                f" {count(other.totals.stored_elements or 0, 'element')}, where the other has"
                " nothing."
            )
    if told.a.format is told.b.format is None:
        yield "Both are empty."


def _unread(told: Told) -> Iterable[str]:
    found = [one for one in told.pairs if one.status == "unread"]
    if found:
        yield (
            f"{count(len(found), 'tensor')} of {count(elements(found), 'element')} could not be"
            f" compared: {found[0].words}."
        )
    for one in told.parts("values", "complete"):
        yield sentence(one.words)


QUESTIONS: tuple[Question, ...] = (
    _same,
    _formats,
    architectures,
    overhead,
    changed,
    converted,
    lone,
    frozen,
    renamed,
    rest,
    states,
    beside,
    sparsity,
    size,
    _unread,
)
