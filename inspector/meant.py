"""What somebody may have meant by a word that nothing is called: one way to look, one wording."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice

from inspector.errors import one_line

_LONGEST = 200  # characters: longer words are nobody's slip of the finger
_MOST = 20_000  # known words that are looked at
_CLOSE = 50  # and those of them that are looked at closely: it may take a millisecond each
_ALIKE = 0.6  # of 1, as difflib counts it
_FILES_ALIKE = 0.8  # the same of files: a folder may have any


def nearest(word: str, known: Iterable[str], most: int = 1, alike: float = _ALIKE) -> list[str]:
    """Of the known words those that are like `word`, the likest first; capitals do not count.

    It takes a second at most, whatever the words.
    """
    if not word or len(word) > _LONGEST:
        return []
    import difflib
    import heapq

    looked = difflib.SequenceMatcher(b=word.casefold(), autojunk=False)
    rough: dict[str, float] = {}
    for one in islice(known, _MOST):
        if one and one not in rough and len(one) <= _LONGEST:
            looked.set_seq1(one.casefold())
            if looked.real_quick_ratio() >= alike and (ratio := looked.quick_ratio()) >= alike:
                rough[one] = ratio
    found: list[tuple[float, str]] = []
    for one in heapq.nlargest(_CLOSE, rough, rough.__getitem__):
        looked.set_seq1(one.casefold())
        if (ratio := looked.ratio()) >= alike:
            found.append((ratio, one))
    return [one for _, one in heapq.nlargest(most, found, lambda pair: pair[0])]


def did_you_mean(word: str, known: Iterable[str], most: int = 1) -> str:
    """The end of a sentence, "; did you mean 'mask'?"; "" where nothing is like `word`."""
    return asked(nearest(word, known, most))


def did_you_mean_file(path: str) -> str:
    """The same of a path at which there is nothing: what lies beside it, or in a folder beside its
    folder. A checkpoint is named without ".index".
    """
    folder, name = os.path.split(path)
    try:
        if folder and not os.path.isdir(folder):
            parent, last = os.path.split(folder)
            near = nearest(last, os.listdir(parent or os.curdir), alike=_FILES_ALIKE)
            paths = [os.path.join(parent, one, name) for one in near]
            return asked([one for one in paths if os.path.lexists(one)])
        beside = sorted(os.listdir(folder or os.curdir))
    except (OSError, ValueError):  # a name with a NUL in it
        return ""
    if name in beside:  # a link that leads nowhere
        return ""
    near = nearest(name, (one.removesuffix(".index") for one in beside), alike=_FILES_ALIKE)
    return asked([os.path.join(folder, one) for one in near])


def asked(near: Sequence[str]) -> str:
    """The question, of words that were found: "" of none."""
    quoted = [f"'{one_line(one)}'" for one in near]
    if not quoted:
        return ""
    *others, last = quoted
    before = f"{', '.join(others)} or " if others else ""
    return f"; did you mean {before}{last}?"
