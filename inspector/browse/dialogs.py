"""Small windows over the screen: a question with a line to type, a list to choose from, help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from inspector.browse.lines import Lines, painted
from inspector.render.printable import safe

if TYPE_CHECKING:
    from textual.app import ComposeResult

_CLOSE: list[BindingType] = [Binding("escape", "close", "Close", show=False)]


class Prompt(ModalScreen[str | None]):
    """Asks for a line of text; None where it was left. value: what it begins with; one that would
    steer the terminal is not offered, since it is shown as it is.
    """

    BINDINGS: ClassVar[list[BindingType]] = _CLOSE

    def __init__(self, question: str, value: str = "", hint: str = "") -> None:
        super().__init__()
        self._question, self._hint = question, hint
        self._value = value if safe(value) == value else ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            yield Static(Text(self._question, "bold"))
            yield Input(self._value, id="answer")
            yield Static(Text(self._hint or "Enter: go on   Esc: leave", "dim"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """What was typed, unless it is nothing."""
        self.dismiss(event.value.strip() or None)

    def action_close(self) -> None:
        """Leave."""
        self.dismiss(None)


class Choice(ModalScreen[str | None]):
    """Asks for one of several lines: (its name, what it says); None where it was left."""

    BINDINGS: ClassVar[list[BindingType]] = _CLOSE

    def __init__(self, question: str, choices: Sequence[tuple[str, Text]], at: int = 0) -> None:
        super().__init__()
        self._question, self._choices, self._at = question, choices, at

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            yield Static(Text(self._question, "bold"))
            # Names may be anything, and ids may not: the place tells which it was.
            yield OptionList(*(Option(text) for _, text in self._choices), id="choices")

    def on_mount(self) -> None:
        """Begin at the one that holds."""
        self.query_one(OptionList).highlighted = self._at

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """The one that was chosen."""
        self.dismiss(self._choices[event.option_index][0])

    def action_close(self) -> None:
        """Leave."""
        self.dismiss(None)


class Page(ModalScreen[None]):
    """Shows some lines until a key closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "close", "Close", show=False)
    ]

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="window page"):
            yield Static(painted(self._lines))

    def on_mount(self) -> None:
        """Arrows scroll it."""
        self.query_one(VerticalScroll).focus()

    def action_close(self) -> None:
        """Close it."""
        self.dismiss(None)
