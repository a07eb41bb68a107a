"""`inspect formats`: what is read."""

from __future__ import annotations

import click

from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode

_HELP = """List the formats that this version reads. The content of a file decides, not its name.

\b
  inspect formats
  inspect formats --limits
"""


@click.command(
    "formats", help=_HELP, short_help="The formats that are read, and what a file may cost."
)
@click.option(
    "--limits",
    is_flag=True,
    help="List the limits instead: what one artifact may cost, and --limit NAME=VALUE changes.",
)
@click.pass_obj
def command(env: Environment, *, limits: bool) -> ExitCode:
    """List the formats, or the limits."""
    from inspector.render.table import Column, layout

    if limits:
        return _limits(env)
    from inspector.read import FORMATS

    rows = [(one.name, " ".join(one.suffixes), one.title) for one in FORMATS]
    columns = (
        Column("format", words=True),
        Column("files", words=True),
        Column("what", words=True, least=20),
    )
    lines, _ = layout(columns, rows, env.width())
    env.write("\n".join(lines) + "\n")
    return ExitCode.CLEAN


def _limits(env: Environment) -> ExitCode:
    import textwrap

    from inspector.cli.limits import spelled
    from inspector.limits import CAPS

    for cap in CAPS:
        unit = "" if cap.unit == "bytes" else f" {cap.unit}"
        said = textwrap.wrap(cap.reason, env.width(), initial_indent="  ", subsequent_indent="  ")
        env.write("\n".join((f"{cap.name}={spelled(cap)}{unit}".rstrip(), *said, "")))
    return ExitCode.CLEAN
