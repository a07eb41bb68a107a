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
        margin = max(len(rule.code) for rule in RULES) + 2
        for rule in RULES:
            lines = textwrap.wrap(rule.summary, max(width - margin, 20))
            first, *rest = lines or [""]
            env.write(f"{rule.code:{margin}}{first}\n")
            env.write("".join(f"{'':{margin}}{line}\n" for line in rest))
        return ExitCode.CLEAN
    found = next((rule for rule in RULES if rule.code.casefold() == code.casefold()), None)
    if found is None:
        raise click.UsageError(f"no rule is called {code!r}; `inspect rules` lists them")
    lines = [f"{found.code}: {found.summary}", "", *textwrap.wrap(found.explanation, width)]
    if found.example:
        lines += [
            "",
            "Example:",
            *textwrap.wrap(found.example, width, initial_indent="  ", subsequent_indent="  "),
        ]
    env.write("\n".join(lines) + "\n")
    return ExitCode.CLEAN
