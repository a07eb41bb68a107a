"""Writing a report as a page: where to, and whether over what is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text

from inspector.browse.dialogs import Choice, Prompt
from inspector.browse.lines import clean
from inspector.errors import UsageError
from inspector.render import RenderOptions, pieces, ready
from inspector.report import Report

if TYPE_CHECKING:
    from inspector.browse.explorer import Explorer
    from inspector.browse.source import Share

_FORMAT = "html"


def suggested(path: str) -> str:
    """The name of a page about an artifact: "models/pruned.h5" -> "pruned.html"."""
    name = os.path.basename(os.path.normpath(path))
    return f"{name.partition('.')[0] or 'report'}.html"


def ask_where(screen: Explorer, path: str, make: Callable[[Share], Report]) -> None:
    """Ask for a file, ask again where there is one, and have the page made and written."""
    try:
        ready(_FORMAT)
    except UsageError as error:
        screen.say(str(error))
        return

    def sure(at: str) -> None:
        choices = [("", Text("leave it")), (at, Text("write over it"))]

        def chosen(over: str | None) -> None:
            if over:
                _write(screen, over, make)

        screen.app.push_screen(Choice(f"{clean(at, 200)} is there already", choices), chosen)

    def given(at: str | None) -> None:
        if at is None:
            return
        target = os.path.expanduser(at)
        if os.path.exists(target):
            sure(target)
        else:
            _write(screen, target, make)

    screen.app.push_screen(Prompt("Write the page to which file?", suggested(path)), given)


def _write(screen: Explorer, at: str, make: Callable[[Share], Report]) -> None:
    save = screen.source.save

    def write(share: Share) -> str:
        if os.path.isdir(at):
            raise UsageError(f"{at} is a folder")
        save(at, pieces(_FORMAT, make(share), RenderOptions()))
        return at

    screen.ask(("writing", at), write)
