"""What is said of a command line that cannot be understood."""

from __future__ import annotations

import os
from collections.abc import Collection

import click

from inspector.meant import asked, did_you_mean, nearest

_ALIKE = 0.7  # how like a command a word must be: most words are paths


def message(error: click.ClickException) -> str:
    """What click says; of an option that there is not, in our words, whatever click's version."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return error.format_message()
    known = [
        name
        for one in error.ctx.command.get_params(error.ctx)
        if isinstance(one, click.Option)
        for name in (*one.opts, *one.secondary_opts)
    ]
    return f"No such option '{error.option_name}'{did_you_mean(error.option_name, known)}"


def no_such_command(word: str, commands: Collection[str]) -> str | None:
    """What to say of a first word that is no command, where it must be one misspelt; else it is a
    path to show.
    """
    near = nearest(word, commands, alike=_ALIKE)
    if not near or _is_path(word):
        return None
    return f"{word}: no such command or file{asked([f'inspect {near[0]}'])}"


def _is_path(word: str) -> bool:
    """Whether something lies there, or begins so, as a checkpoint's files do."""
    try:
        beside = os.listdir()
    except OSError:
        return True
    return word[:1] == "-" or os.sep in word or any(name.startswith(word) for name in beside)
