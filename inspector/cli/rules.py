"""`inspect rules [CODE]`: the rules that tell what a tensor is, and those of an audit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Protocol

import click

from inspector.cli import completing
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.meant import did_you_mean


class _Rule(Protocol):
    """What rules of both kinds say of themselves."""

    @property
    def code(self) -> str: ...

    @property
    def summary(self) -> str: ...

    @property
    def explanation(self) -> str: ...

    @property
    def example(self) -> str: ...


_HELP = """List the rules that give a tensor its role, and those of "inspect audit", or explain the
one called CODE. Of an audit, those whose code begins with CODE are listed, too.

\b
  inspect rules
  inspect rules safety
  inspect rules leftover-pruning
"""


@click.command(
    "rules", help=_HELP, short_help="The rules that tell what a tensor is, and those of an audit."
)
@click.argument("code", required=False, shell_complete=completing.all_codes)
@click.pass_obj
def command(env: Environment, code: str | None) -> ExitCode:
    """List the rules, or explain one."""
    from inspector.auditing.rule import matches
    from inspector.auditing.rules import RULES as AUDIT
    from inspector.classify import RULES as ROLES

    width = env.width()
    if code is not None:
        everything: tuple[_Rule, ...] = (*ROLES, *AUDIT)
        found = next((one for one in everything if one.code.casefold() == code.casefold()), None)
        family = [one for one in AUDIT if matches(one.code, code.casefold())]
        if found is None and family:
            env.write("\n".join(_listed("Rules of an audit:", family, width)) + "\n")
            return ExitCode.CLEAN
        if found is None:
            known = sorted({*(one.code for one in everything), *(one.family for one in AUDIT)})
            hint = did_you_mean(code, known) or ";"
            raise click.UsageError(f"no rule is called {code!r}{hint} `inspect rules` lists them")
        env.write("\n".join(_explained(found, width)) + "\n")
        return ExitCode.CLEAN
    blocks = (
        _listed("Rules that tell what a tensor is:", ROLES, width),
        _listed("Rules of an audit:", AUDIT, width),
    )
    env.write("\n\n".join("\n".join(lines) for lines in blocks) + "\n")
    return ExitCode.CLEAN


def _listed(title: str, rules: Sequence[_Rule], width: int) -> Iterator[str]:
    margin = max(len(rule.code) for rule in rules) + 4
    yield title
    yield ""
    for rule in rules:
        lines = textwrap.wrap(f"{rule.summary}{_severity(rule)}", max(width - margin, 20))
        for number, line in enumerate(lines or [""]):
            yield f"{'' if number else f'  {rule.code}':{margin}}{line}"


def _severity(rule: _Rule) -> str:
    """How severe an audit's rule is; nothing of others."""
    found = getattr(rule, "severity", None)
    return f" [{found}]" if found else ""


def _explained(rule: _Rule, width: int) -> Iterator[str]:
    yield f"{rule.code}: {rule.summary}{_severity(rule)}"
    yield ""
    yield from textwrap.wrap(rule.explanation, width)
    for title, text in (("Example:", rule.example), ("Fix:", getattr(rule, "fix", ""))):
        if text:
            yield from ("", title)
            yield from textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")
