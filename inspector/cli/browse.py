"""`inspect browse PATH...`: look through saved models at the terminal."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from inspector.cli import completing, options
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.errors import UsageError
from inspector.limits import Limits
from inspector.writing import write_whole

if TYPE_CHECKING:
    from inspector.report import Report

_HELP = """Look through saved models at the terminal: a tree of layers and tensors, what is known
of each beside it. Values are read when their tensor is selected.

\b
  inspect browse pruned.h5
  inspect browse pruned.h5 stripped.h5    then c compares the two

"?" lists the keys: / searches, f goes through the findings of an audit, r shows one role, s sorts,
c compares, q quits. The mouse works too.
"""
_NEEDS = 'browsing needs textual: pip install "tf-inspector[tui]"'


@click.command("browse", help=_HELP, short_help="Look through saved models at the terminal.")
@click.argument(
    "paths", nargs=-1, required=True, metavar="PATH...", shell_complete=completing.files
)
@options.isolating
@options.limiting
@options.measuring
@click.pass_obj
def command(
    env: Environment, *, paths: tuple[str, ...], isolate: bool, limits: Limits, measure: bool
) -> ExitCode:
    """Browse the artifacts; 2 where none of them can be read."""
    _need_terminal(env)
    _need_textual()
    from inspector import api
    from inspector.render.text import complaint

    isolate = options.isolated(env, isolate)
    report = api.show(dict.fromkeys(paths), measure=False, isolate=isolate, limits=limits)
    if not any(artifact.readable for artifact in report.artifacts):
        for artifact in report.artifacts:
            env.complain(f"inspect: {complaint(artifact)}")
        return ExitCode.UNUSABLE
    return _browse(env, report, measure=measure, isolate=isolate, limits=limits)


def _browse(
    env: Environment, report: Report, *, measure: bool, isolate: bool, limits: Limits
) -> ExitCode:
    from inspector.browse.app import BrowseApp, is_light
    from inspector.browse.source import Source

    paths = tuple(artifact.path for artifact in report.artifacts)
    save = functools.partial(_save, paths)
    source = Source(measure=measure, isolate=isolate, limits=limits, save=save)
    colorful = env.color() and _has_colors(env.variables.get("TERM", ""))
    # textual asks the process: it takes an empty NO_COLOR for one, and knows of no terminals.
    if colorful:
        os.environ.pop("NO_COLOR", None)
    else:
        os.environ["NO_COLOR"] = "1"
    app = BrowseApp(source, report.artifacts, colorful=colorful, light=is_light(env.variables))
    app.run()
    if app.crash is not None:
        raise app.crash
    return ExitCode.CLEAN


def _save(artifacts: tuple[str, ...], path: str, parts: Iterable[str]) -> None:
    """Write a page, but over none of the artifacts."""
    options.Output("html", path, "never", None, quiet=True).prepare(artifacts)
    write_whole(path, parts)


def _need_terminal(env: Environment) -> None:
    """Keys come from stdin, textual draws on stderr; somebody looks at stdout."""
    streams = (sys.stdin, env.stdout, env.stderr)
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise UsageError("browse needs a terminal; `inspect show` writes to files and pipes")
    if env.variables.get("TERM", "") in ("", "dumb"):
        raise UsageError("browse needs a terminal whose cursor moves; `inspect show` needs none")


def _need_textual() -> None:
    import importlib.util

    if importlib.util.find_spec("textual") is None:
        raise UsageError(_NEEDS)


def _has_colors(term: str) -> bool:
    """Whether the terminal of this name has more than two colours; yes where nobody knows."""
    try:
        import curses
    except ImportError:  # not on Windows
        return True
    try:
        curses.setupterm(term, sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return curses.tigetnum("colors") > 2
    except (curses.error, OSError, ValueError):
        return True
