"""Text within the room that it has: how wide it is, cut where it is wider, or left out."""

from __future__ import annotations

from inspector.render.drawing.shapes import SIZE
from inspector.render.printable import FILLER, safe, shorten, widened
from inspector.words import keyless

# Of an average letter, in sizes of the text; a little more than most fonts have, since a page
# takes the font of whoever reads it.
_LETTER = 0.56
_LEAST = 4  # letters of a name that still tell something


def wide(text: str) -> float:
    """About how wide a text is."""
    return len(widened(text)) * _LETTER * SIZE


def fitted(text: str, room: float) -> str:
    """A file's text made safe, its middle left out where it is wider than `room`.

    "" where so little would be left that it tells nothing.
    """
    letters = int(room / (_LETTER * SIZE) + 1e-6)  # a room made to measure holds what it is of
    whole = widened(safe(keyless(text)))
    if len(whole) > letters and letters < _LEAST:
        return ""
    return shorten(whole, letters).replace(FILLER, "")


def whole(text: str, most: int = 200) -> str:
    """A file's text for a title: made safe, and of bounded length."""
    return shorten(safe(keyless(text)), most)


def fits(text: str, room: float) -> str:
    """The text, or "" where the room is less: of a number no part may be left out."""
    return text if wide(text) <= room else ""
