"""`inspect formats`: what is read."""

from __future__ import annotations

import click

from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode


@click.command("formats", short_help="The formats that are read.")
@click.pass_obj
def command(env: Environment) -> ExitCode:
    """List the formats that this version reads. The content of a file decides, not its name."""
    from inspector.read import FORMATS
    from inspector.render.table import Column, layout

    rows = [(one.name, " ".join(one.suffixes), one.title) for one in FORMATS]
    columns = (
        Column("format", words=True),
        Column("files", words=True),
        Column("what", words=True, least=20),
    )
    lines, _ = layout(columns, rows, env.width())
    env.write("\n".join(lines) + "\n")
    return ExitCode.CLEAN
