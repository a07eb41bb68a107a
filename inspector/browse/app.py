"""The app: its screens, its colours, how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from inspector.browse.artifacts import Artifacts
from inspector.browse.dialogs import Page
from inspector.browse.keys import page
from inspector.browse.source import Source
from inspector.report import ArtifactReport

_THEMES = ("textual-dark", "textual-light", "ansi-dark", "textual-ansi")
_DARK = frozenset(range(7)) | {8}  # of the sixteen colours, those that are a dark background


class BrowseApp(App[None]):
    """Explores artifacts. colorful: whether any colour may be used; light: on a light background.

    After it has run, `crash` is the error that ended it, None without one.
    """

    TITLE = "inspect browse"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("t", "theme", "Colours", show=False),
    ]
    CSS = """
    #main { height: 1fr; }
    #tree {
        width: 46%; min-width: 34; max-width: 76; height: 1fr; background: $background;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1; overflow-x: hidden;
    }
    #pane { width: 1fr; height: 1fr; padding: 0 0 0 1; border-left: vkey $primary; }
    #pane:focus { border-left: vkey $accent; background-tint: $foreground 4%; }
    #pane { scrollbar-size-vertical: 1; overflow-x: hidden; scrollbar-gutter: stable; }
    #detail { width: 1fr; height: auto; }
    #search, #search:focus { height: 1; border: none; padding: 0 1; background: $boost; }
    #status { height: 1; padding: 0 1; background: $boost; }
    .narrow #main { layout: vertical; }
    .narrow #tree { width: 1fr; max-width: 100%; height: 45%; }
    .narrow #pane { width: 1fr; height: 1fr; border-left: none; border-top: solid $primary; }
    Prompt, Choice, Page { align: center middle; }
    .window {
        width: 72; max-width: 94%; height: auto; max-height: 90%; padding: 1 2;
        border: round $primary; background: $surface;
    }
    .page { width: 76; scrollbar-size-vertical: 1; }
    #choices { height: auto; max-height: 16; border: none; }
    Explorer:nocolor .tree--cursor, OutlineTree:nocolor > .tree--cursor { text-style: reverse; }
    OptionList:nocolor > .option-list--option-highlighted { text-style: reverse; }
    """

    def __init__(
        self,
        source: Source,
        shown: Sequence[ArtifactReport],
        *,
        colorful: bool = True,
        light: bool = False,
    ) -> None:
        # Without colours of ours there are the terminal's own two, and bold, dim, reverse.
        super().__init__(ansi_color=None if colorful else True)
        self._source, self._shown = source, shown
        self._colorful = colorful
        self.crash: Exception | None = None
        if colorful:
            self.theme = "textual-light" if light else "textual-dark"

    def on_mount(self) -> None:
        """Show the artifacts."""
        self.push_screen(Artifacts(self._source, self._shown))

    def action_keys(self) -> None:
        """Show all keys, and what the symbols mean."""
        self.push_screen(Page(page()))

    def action_theme(self) -> None:
        """The next of the themes that this version of textual has."""
        if self._colorful:
            there = [name for name in _THEMES if name in self.available_themes]
            at = there.index(self.theme) if self.theme in there else -1
            self.theme = there[(at + 1) % len(there)]

    def _handle_exception(self, error: Exception) -> None:
        self.crash = self.crash or error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End without textual's traceback: it has all values in it, and the command says it."""
        self._close_messages_no_wait()


def is_light(variables: Mapping[str, str]) -> bool:
    """Whether the terminal says that its background is light: COLORFGBG is "0;15" there."""
    background = variables.get("COLORFGBG", "").rpartition(";")[2]
    return background.isdecimal() and int(background) not in _DARK
