"""docs/reference/commands.md: every command, as click knows it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from inspector.cli.main import COMMANDS, group
from reference.words import block, code, page, said, sentence, table

# When a command's exit code is 1. A command that is not here has no findings.
ONE = {
    "show": "An artifact has a problem that is an error: values are missing, a checksum does not"
    " hold.",
    "diff": "The two do not say the same, or a value of one could not be read.",
    "reconcile": "A residual is not 0 (a weight that is not what it was has one), or TensorFlow"
    " refuses the file.",
    "audit": "There is a finding as severe as `--fail-on`, or an artifact cannot be read.",
}


def render() -> str:
    """The page."""
    return page("Commands", _parts())


def _parts() -> Iterator[str]:
    yield (
        "`inspect PATH` is short for `inspect show PATH`. A file that is named like a command is"
        " `./show`. Options may stand before or after paths; after `--` everything is a path. What"
        " the exit codes mean, and which variables are read, is in [Exit codes and"
        " environment](environment.md)."
    )
    with click.Context(group, info_name="inspect") as parent:
        rows = [
            (
                f"[`inspect {name}`](#inspect-{name})",
                said(_command(parent, name).get_short_help_str(200)),
            )
            for name in COMMANDS
        ]
        yield table(("command", "what it is for"), rows)
        for name in COMMANDS:
            yield from _one(parent, name, _command(parent, name))


def _command(parent: click.Context, name: str) -> click.Command:
    found = group.get_command(parent, name)
    if found is None:
        raise LookupError(name)
    return found


def _one(parent: click.Context, name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    yield f"## inspect {name}"
    usage = " ".join(context.get_usage().removeprefix("Usage:").split())
    yield block(usage, "text")
    for paragraph in textwrap.dedent(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield block(textwrap.dedent(paragraph.removeprefix("\b\n")).rstrip())
        else:
            yield said(paragraph)
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    options = [one for one in command.params if isinstance(one, click.Option)]
    if arguments:
        yield "**Arguments**"
        yield table(("argument", "required", "how many"), map(_argument, arguments))
    if options:
        yield "**Options**"
        yield table(("option", "value", "default", "what it does"), map(_option, options))
    if name in ONE:
        yield f"**Exit code 1**: {ONE[name]}"


def _argument(one: click.Argument) -> tuple[str, ...]:
    name = one.metavar or (one.name or "").upper()
    many = (
        "one or more" if one.nargs == -1 and one.required else "any" if one.nargs == -1 else "one"
    )
    return code(name.strip("[].")), "yes" if one.required else "no", many


def _option(one: click.Option) -> tuple[str, ...]:
    names = "<br>".join(code(name) for name in one.opts)
    help_text = (one.help or "").removesuffix(" Repeatable.")
    if one.multiple:
        help_text += " May be given again."
    return names, _value(one), _default(one), sentence(help_text)


def _value(one: click.Option) -> str:
    if one.is_flag:
        return ""
    if one.metavar:
        return code(one.metavar)
    if isinstance(one.type, click.Choice):
        return " ".join(code(str(choice)) for choice in one.type.choices)
    return code(one.type.name)


def _default(one: click.Option) -> str:
    if one.is_flag or one.multiple or not isinstance(one.default, (str, int, float)):
        return ""
    return code(f"{one.default:g}" if isinstance(one.default, float) else str(one.default))
