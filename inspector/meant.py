"""What somebody may have meant by a word that nothing is called: one way to look, one wording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from inspector.errors import one_line

_LONGEST = 200  # characters: longer words are nobody's slip of the finger
_MOST = 20_000  # known words that are looked at: a second's work at worst
_ALIKE = 0.6  # of 1, as difflib counts it


def nearest(word: str, known: Iterable[str], most: int = 1, alike: float = _ALIKE) -> list[str]:
    """Of the known words those that are like `word`, the likest first; capitals do not count."""
    if not word or len(word) > _LONGEST:
        return []
    import difflib

    folded: dict[str, str] = {}
    for one in islice(known, _MOST):
        if one and len(one) <= _LONGEST:
            folded.setdefault(one.casefold(), one)
    near = difflib.get_close_matches(word.casefold(), folded, most, alike)
    return [folded[one] for one in near]


def did_you_mean(word: str, known: Iterable[str], most: int = 1) -> str:
    """The end of a sentence, "; did you mean 'mask'?"; "" where nothing is like `word`."""
    return asked(nearest(word, known, most))


def asked(near: Sequence[str]) -> str:
    """The question, of words that were found: "" of none."""
    quoted = [f"'{one_line(one)}'" for one in near]
    if not quoted:
        return ""
    *others, last = quoted
    before = f"{', '.join(others)} or " if others else ""
    return f"; did you mean {before}{last}?"
