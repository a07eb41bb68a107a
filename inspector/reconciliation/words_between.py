"""Two artifacts in words: where the difference of the counts comes from, and what is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from inspector.model import GROUP_OF, Group, Role
from inspector.pairing import Agreement
from inspector.reconciliation.between import Between, Gone, Held
from inspector.reconciliation.lines import Line
from inspector.reconciliation.words import apiece, spelled
from inspector.words import count, in_general, listing, number, percent

_NAMED = 4  # variables that a sentence names


def story_between(found: Between) -> tuple[str, ...]:
    """The answer: a line a question, the counts first."""
    lines = (" ".join(question(found)) for question in QUESTIONS)
    return tuple(line for line in lines if line)


def _counts(found: Between) -> Iterable[str]:
    a, b = found.a.count_params, found.b.count_params
    if a is None or b is None:
        yield from _elements(found)
        return
    more_a, more_b = _more(found.lines), _more([(y, x) for x, y in found.lines])
    if a == b and not more_a:
        yield f"Both count {count(a, 'parameter')}."
    elif a == b:
        yield (
            f"Both count {count(a, 'parameter')}, A with {_words(more_a)}, B with {_words(more_b)}."
        )
    else:
        most, least, more, rest, other = (
            (a, b, more_a, more_b, "B") if a > b else (b, a, more_b, more_a, "A")
        )
        without = f"; {other} has {_words(rest)} instead" if rest else ""
        yield f"{number(most)} - {number(least)} = {number(most - least)}: {_words(more)}{without}."


def _more(lines: Sequence[tuple[Line, Line]]) -> list[str]:
    """What the first has more of, as Keras counts, in words."""
    result = []
    for first, second in lines:
        more = (first.counted or 0) - (second.counted or 0)
        if more > 0 and not second.tensors:
            result.append(apiece(first))
        elif more > 0:
            result.append(f"{number(more)} more of {first.label}")
    return result


def _words(parts: Sequence[str]) -> str:
    return ", ".join(parts) or "nothing"


def _elements(found: Between) -> Iterable[str]:
    """Where Keras does not count on both sides: what is of the model."""
    a = _of_model(line for line, _ in found.lines)
    b = _of_model(line for _, line in found.lines)
    if a == b:
        yield f"Both have {count(a, 'parameter')} of the model."
    else:
        most, least, who, other = (a, b, "A", "B") if a > b else (b, a, "B", "A")
        here, there = _reasons(found, who), _reasons(found, other)
        parts = [f"{number(size)} {why}" for why, size in here.items()]
        parts += [f"less {number(size)} of {other}, {why}" for why, size in there.items()]
        rest = most - least - sum(here.values()) + sum(there.values())
        if rest:
            parts.append(f"{number(rest)} more in {who}")
        yield f"{number(most)} - {number(least)} = {number(most - least)}: {', '.join(parts)}."
    for known, name, first in ((found.a, "A", 0), (found.b, "B", 1)):
        added = [
            pair[first]
            for pair in found.lines
            if pair[first].counted and not _is_of_model(pair[first])
        ]
        if known.count_params is not None and added:
            extra = sum(line.counted or 0 for line in added)
            words = ", ".join(apiece(line) for line in added)
            yield (
                f"Keras counts {number(known.count_params)} in {name}, {number(extra)} of which are"
                f" not of the model: {words}."
            )


def _reasons(found: Between, of: str) -> dict[str, int]:
    """Elements that one side has alone, by the reason in words."""
    result: dict[str, int] = {}
    for one in found.gone:
        if one.of == of and one.why:
            why = in_general(one.why)
            result[why] = result.get(why, 0) + one.tensor.stored_elements
    return result


def _of_model(lines: Iterable[Line]) -> int:
    return sum(line.elements for line in lines if _is_of_model(line))


def _is_of_model(line: Line) -> bool:
    return line.role is not None and GROUP_OF[line.role] is Group.WEIGHT


def _values(found: Between) -> Iterable[str]:
    """How many pairs agree, and how well."""
    held = [one for one in found.held if GROUP_OF[one.role] is Group.WEIGHT]
    if not held:
        yield "No weight of A is one of B."
        return
    ways = Counter(how(one) for one in held)
    names = {
        "bits": "equal bit for bit",
        "values": "equal by value",
        "close": "equal as far as the conversion keeps values",
        "differs": "different",
        "unread": "unreadable",
    }
    if len(ways) == 1 and len(held) > 1:
        (way,) = ways
        yield f"All {spelled(len(held), '', 'weights').strip()} are {names[way]}."
    else:
        parts = [
            f"{spelled(ways[way], '', '').strip()} {'is' if ways[way] == 1 else 'are'} {name}"
            for way, name in names.items()
            if ways[way]
        ]
        yield f"Of {spelled(len(held), 'weight', 'weights')} that both have, {listing(parts)}."
    yield from _loss(held)


def how(one: Held) -> str:
    """In one word how a pair agrees: bits, values, close, differs or unread."""
    found = one.agreement
    if found is None:
        return "unread"
    if not found.agrees:
        return "differs"
    return "bits" if found.same_bits else "values" if found.same_values else "close"


def _loss(held: Sequence[Held]) -> Iterable[str]:
    """How far the values of converted weights are off."""
    close = [one.agreement for one in held if how(one) == "close"]
    found = [one for one in close if one is not None]
    steps = [one.in_scale_units for one in found if one.in_scale_units is not None]
    if steps:
        decibels = [one.snr_db for one in found if one.snr_db is not None]
        noise = f", with a signal-to-noise ratio from {min(decibels):.1f} dB" if decibels else ""
        yield f"Quantized ones are off by at most {max(steps):.2f} steps of their scale{noise}."
    floats = [one for one in found if one.in_scale_units is None and one.largest is not None]
    if floats:
        who = "Others" if steps else "Those"
        yield f"{who} are off by at most {max(one.largest or 0.0 for one in floats):.3g}."


def _changes(found: Between) -> Iterable[str]:
    """What conversion did to how many weights, each step by itself."""
    kinds: Counter[str] = Counter()
    for one in found.held:
        if one.pair.change is not None:
            kinds.update(dict.fromkeys(one.pair.change.kind.split(" + "), 1))
    if kinds:
        parts = [f"{spelled(times, '', '').strip()} {kind}" for kind, times in kinds.items()]
        yield f"Changed on the way: {', '.join(parts)}."


def _masks(found: Between) -> Iterable[str]:
    """Whether every weight is 0 where its mask is."""
    held = [one for one in _agreed(found) if one[1].masked_nonzero is not None]
    if not held:
        return
    nonzero = sum(one.masked_nonzero or 0 for _, one in held)
    masks = "the mask is" if len(held) == 1 else f"the {spelled(len(held), 'mask', 'masks')} are"
    if nonzero:
        yield f"Where {masks} 0, {count(nonzero, 'weight element')} are not."
    else:
        yield f"Where {masks} 0, the weights are 0 in both."


def _zeros(found: Between) -> Iterable[str]:
    """Whether the sparsity survived."""
    held = [one for pair, one in _agreed(found) if pair.role is Role.WEIGHT]
    before, after = sum(one.zeros_a for one in held), sum(one.zeros_b for one in held)
    elements = sum(one.elements for one in held)
    if not elements or not (before or after):
        return
    share = percent(before, elements)
    if before == after:
        are = f"{number(before)} of {number(elements)} are zero in both ({share})"
        yield f"Sparsity survived: {are}."
        return
    lost = "lost" if after < before else "gained"
    yield (
        f"{number(abs(before - after))} zeros were {lost}: {number(before)} of {number(elements)}"
        f" in A ({share}), {number(after)} in B ({percent(after, elements)})."
    )


def _bytes(found: Between) -> Iterable[str]:
    """Where the bytes went that B has fewer, since many think that zeros saved them."""
    a, b = found.a.artifact.nbytes, found.b.artifact.nbytes
    zeros = any(pair.zeros_a for one, pair in _agreed(found) if one.role is Role.WEIGHT)
    model = [pair for pair in found.lines if _is_of_model(pair[0])]
    if not zeros or a <= b or any(x.nbytes != y.nbytes for x, y in model):
        return
    less = [(x.label, x.nbytes - y.nbytes) for x, y in found.lines if x.nbytes > y.nbytes]
    rest = a - b - sum(nbytes for _, nbytes in less)
    parts = [f"{number(nbytes)} of {label}" for label, nbytes in less]
    if rest > 0:
        parts.append(f"{number(rest)} of what is around the tensors")
    weights = sum(x.nbytes for x, _ in model)
    difference = f"{number(a)} - {number(b)} = {number(a - b)}"
    yield (
        f"Zeros saved no byte, the weights take {number(weights)} in both; {difference} bytes are"
        f" {listing(parts)}."
    )


def _agreed(found: Between) -> list[tuple[Held, Agreement]]:
    return [(one, one.agreement) for one in found.held if one.agreement is not None]


def _gone(found: Between) -> Iterable[str]:
    """What only one has, and why."""
    groups: dict[tuple[str, str], list[Gone]] = {}
    for one in found.gone:
        if one.why:
            groups.setdefault((one.of, in_general(one.why)), []).append(one)
    for (of, why), gone in groups.items():
        size = sum(one.tensor.stored_elements for one in gone)
        names = sorted({one.tensor.variable for one in gone if one.tensor.variable})
        which = f": {listing(names)}" if 0 < len(names) <= _NAMED else ""
        words = spelled(len(gone), "tensor", "tensors").capitalize()
        yield f"{words} of {of} ({count(size, 'element')}) {_verb(len(gone))} {why}{which}."


def _verb(number_of: int) -> str:
    return "is" if number_of == 1 else "are"


def _training(found: Between) -> Iterable[str]:
    differing, states = found.training
    if differing:
        yield (
            f"{number(differing)} of {count(states, 'tensor')} of training state differ: the two"
            " were saved at other moments."
        )


def _residual(found: Between) -> Iterable[str]:
    if not found.odd:
        yield "Nothing is left unexplained."
        return
    first = found.odd[0]
    where = f"{first.tensor} " if first.tensor else ""
    more = f" (and {len(found.odd) - 1:,} more)" if len(found.odd) > 1 else ""
    yield f"Unexplained: {count(found.residual, 'element')}. {where}{first.message}{more}."


QUESTIONS: tuple[Callable[[Between], Iterable[str]], ...] = (
    _counts,
    _values,
    _changes,
    _masks,
    _zeros,
    _bytes,
    _gone,
    _training,
    _residual,
)
