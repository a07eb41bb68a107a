"""The sentences about what is beside the tensors: layers, settings, signatures, zeros, bytes."""

from __future__ import annotations

from collections.abc import Iterable

from inspector.difference.told import Told, are, is_renaming, sentence, shortened
from inspector.report import WeightsReport
from inspector.words import ROLE_LABELS, count, listing, number, percent

_NAMED = 3  # facts that a sentence tells
_LABELS = 4  # labels of bytes that a sentence tells
_LONGEST = 120  # characters of a fact: converters make names of any length
# Parts of the facts that are told together: how the sentence begins, and the word with which the
# facts' own words begin, which is not said twice.
_TOGETHER: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Layers", "layer", ("layers",)),
    ("Config", "", ("config",)),
    ("Training config", "", ("training-config",)),
    ("Signatures", "signature", ("signatures",)),
    ("Tags", "tags", ("tags",)),
    ("Operators", "operator", ("operators",)),
    ("Quantization", "quantization", ("scheme",)),
    ("Vocabulary", "vocabulary", ("vocabulary",)),
    ("Attached files", "attached file", ("attached",)),
)


def beside(told: Told) -> Iterable[str]:
    """What else is not the same, as far as it makes a difference."""
    for head, noun, parts in _TOGETHER:
        if told.apart and head == "Config":
            continue  # settings of layers that are not the same ones
        found: dict[str, list[str]] = {}
        for one in told.parts(*parts):
            if not one.counts or is_renaming(one):
                continue
            if one.what == "compiled":
                yield sentence(one.words)
                continue
            done, words = _without(noun, one.words.rstrip("."))
            found.setdefault(f"{head}{done}", []).append(shortened(words, _LONGEST))
        for title, clauses in found.items():
            more = f"; and {len(clauses) - _NAMED:,} more" if len(clauses) > _NAMED else ""
            yield f"{title}: {'; '.join(clauses[:_NAMED])}{more}."


def _without(noun: str, words: str) -> tuple[str, str]:
    """("layer", "layer added: dense (Dense)") -> (" added", "dense (Dense)")."""
    if not noun:
        return "", words
    lead, _, rest = words.partition(": ")
    for done in (" added", " removed"):
        if lead == noun + done:
            return done, rest
    if lead.endswith(f" {noun}s"):  # so many of them
        return "", rest
    return "", words.removeprefix(f"{noun} ")


def sparsity(told: Told) -> Iterable[str]:
    """Zeros among the weights, and patterns of them."""
    if told.fact("values", "left out"):
        return
    a, b = told.a.weights, told.b.weights
    told_of = told.fact("sparsity", "weights") is not None
    if told_of and a and b and a.elements and b.elements and a.zeros != b.zeros:
        was = "was" if a.zeros == 1 else "were"
        yield (
            f"{_share(a)} weight elements {was} zero ({percent(a.zeros, a.elements)}),"
            f" {_share(b)} {are(b.zeros)} ({percent(b.zeros, b.elements)})."
        )
    patterns = told.parts("patterns")
    if patterns:
        yield sentence("; ".join(one.words for one in patterns))


def _share(row: WeightsReport) -> str:
    return f"{number(row.zeros)} of {number(row.elements)}"


def size(told: Told) -> Iterable[str]:
    """Where the bytes went, or came from."""
    a, b = told.a.nbytes, told.b.nbytes
    labels = {one.what: one.b - one.a for one in told.parts("bytes")}
    if a is None or b is None or a == b or not labels:
        return
    way = 1 if b > a else -1
    of_tensors = set(ROLE_LABELS.values())
    parts = {label: way * more for label, more in labels.items() if label in of_tensors}
    around = way * sum(more for label, more in labels.items() if label not in of_tensors)
    gained = sorted(((n, label) for label, n in parts.items() if n > 0), reverse=True)
    # One more is told by its name: "other tensors" are several.
    most = len(gained) if len(gained) == _LABELS + 1 else _LABELS
    told_of = [f"{number(n)} of {label}" for n, label in gained[:most]]
    others = sum(n for n, _ in gained[most:])
    if others:
        told_of.append(f"{number(others)} of other tensors")
    if around > 0:
        told_of.append(f"{number(around)} of what is around the tensors")
    against = [f"{number(-n)} of {label}" for label, n in parts.items() if n < 0]
    if around < 0:
        against.append(f"{number(-around)} of what is around the tensors")
    less, more_or_less = ("smaller", "more") if way < 0 else ("larger", "less")
    but = f", but {listing(against)} {more_or_less}" if against else ""
    yield f"B is {count(abs(b - a), 'byte')} {less}: {listing(told_of)}{but}."
