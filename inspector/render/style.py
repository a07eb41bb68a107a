"""A little colour, where it is wanted."""

from __future__ import annotations

from dataclasses import dataclass

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
# What became of a row's tensor, as diffs are coloured everywhere.
_TONES = {"added": "green", "removed": "red", "changed": "yellow", "unread": "red"}


@dataclass(frozen=True, slots=True)
class Style:
    """ANSI styles; with color False every method gives its text back."""

    color: bool

    def bold(self, text: str) -> str:
        return self._paint(text, "bold")

    def dim(self, text: str) -> str:
        return self._paint(text, "dim")

    def severity(self, severity: str, text: str) -> str:
        """A problem in the colour of its severity."""
        color = {"error": "red", "warning": "yellow"}.get(severity)
        return self._paint(text, color) if color else text

    def tone(self, tone: str, text: str) -> str:
        """A row in the colour of what became of it: "added", "removed", "changed", "unread"."""
        return self._paint(text, _TONES[tone]) if tone in _TONES else text

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.color and text else text
