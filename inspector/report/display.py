"""How a report shows itself in a notebook.

What draws knows the report; the report asks for it when it is shown, and not before.
"""

from __future__ import annotations

from typing import Any


class Displayed:
    """What a notebook asks of an object that it shows."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from inspector.render.card import card

        return card(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """As IPython prints it: as the command line does, not every field of it."""
        from inspector.render.card import plain

        printer.text(plain(self))
