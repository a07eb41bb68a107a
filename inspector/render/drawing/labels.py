"""Text within the room that it has: how wide it is, cut where it is wider, or left out."""

from __future__ import annotations

import math

from inspector.render.drawing.shapes import SIZE
from inspector.render.printable import FILLER, safe, shorten, widened
from inspector.words import keyless

# Of letters, in sizes of the text, as the widest of common fonts have them (DejaVu Sans, Verdana):
# a page takes the font of whoever reads it.
_LETTER = 0.64
_CAPITAL = 0.78
_OTHERS = {
    **dict.fromkeys("fijlrtI -./,:;'|!()[]", 0.42),
    **dict.fromkeys("mwMW%@+=<>±×…→", 1.0),
}
_LEAST = 6  # letters of a name that still tell something


def wide(text: str) -> float:
    """About how wide a text is."""
    return round(SIZE * math.fsum(map(_letter, widened(text))), 6)


def _letter(letter: str) -> float:
    return _OTHERS.get(letter) or (_CAPITAL if letter.isupper() else _LETTER)


def fitted(text: str, room: float) -> str:
    """A file's text made safe, its middle left out where it is wider than `room`.

    "" where so little would be left that it tells nothing.
    """
    whole = widened(safe(keyless(text)))
    most = min(len(whole), int(room / (min(_OTHERS.values()) * SIZE)))
    for letters in range(most, 0, -1):
        if letters < min(_LEAST, len(whole)):
            break
        cut = shorten(whole, letters).replace(FILLER, "")
        if wide(cut) <= room + 1e-6:  # a room made to measure holds what it is of
            return cut
    return ""


def whole(text: str, most: int = 200) -> str:
    """A file's text for a title: made safe, and of bounded length."""
    return shorten(safe(keyless(text)), most)


def fits(text: str, room: float) -> str:
    """The text, or "" where the room is less: of a number no part may be left out."""
    return text if wide(text) <= room else ""
