"""`inspect rules [CODE]`: the rules that tell what a tensor is."""

from __future__ import annotations

import textwrap

import click

from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode


@click.command("rules", short_help="The rules that tell what a tensor is.")
@click.argument("code", required=False)
@click.pass_obj
def command(env: Environment, code: str | None) -> ExitCode:
    """List the rules that give a tensor its role, or explain the one called CODE."""
    from inspector.classify import RULES

    width = env.width()
    if code is None:
        from inspector.render.table import Column, layout

        rows = [(rule.code, rule.summary) for rule in RULES]
        columns = (Column("rule", words=True), Column("what it says", words=True))
        lines, _ = layout(columns, rows, 1000)
        env.write("\n".join(lines) + "\n")
        return ExitCode.CLEAN
    rule = next((rule for rule in RULES if rule.code.casefold() == code.casefold()), None)
    if rule is None:
        raise click.UsageError(f"no rule is called {code!r}; `inspect rules` lists them")
    lines = [f"{rule.code}: {rule.summary}", "", *textwrap.wrap(rule.explanation, width)]
    if rule.example:
        lines += [
            "",
            "Example:",
            *textwrap.wrap(rule.example, width, initial_indent="  ", subsequent_indent="  "),
        ]
    env.write("\n".join(lines) + "\n")
    return ExitCode.CLEAN
