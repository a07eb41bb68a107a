"""What a shell is told that asks how a command line goes on.

The script of each shell (`inspect.bash`, `inspect.zsh`, `inspect.fish`) hands over the line up to
the cursor in `_INSPECT_LINE`, and reads lines of fields between tabs:

    plain   VALUE  HELP    the word may become VALUE
    file    PREFIX         ... or PREFIX and a file's path, which the shell completes by itself
    nospace                nothing is to be put behind it

What is not printable is in no value, so that none can break a line, nor steer the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.cli.shells.words import Line, for_bash, split
from inspector.errors import one_line
from inspector.render.printable import safe, shorten

if TYPE_CHECKING:
    import click

VARIABLE = "_INSPECT_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
_LONGEST = 300  # characters of a value: nobody picks longer ones from a list
_HELP = 70  # characters of what is said of one


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to go on. kind: "plain" or "file"; value: the word whole, or what precedes a path."""

    kind: str
    value: str
    help: str = ""


def script(shell: str) -> str:
    """What makes the shell ask."""
    from importlib import resources

    return resources.files(__name__).joinpath(f"inspect.{shell}").read_text(encoding="utf-8")


def answer(group: click.Command, env: Environment) -> ExitCode:
    """Tell the shell that asks, or give it its script ("bash_source"). What fails says nothing: the
    line is still being written.
    """
    shell, _, instruction = env.variables[VARIABLE].partition("_")
    if shell not in SHELLS:
        return ExitCode.UNUSABLE
    if instruction == "source":
        env.write(script(shell))
        return ExitCode.CLEAN
    line = split(env.variables.get("_INSPECT_LINE", ""))
    try:
        found = choices(group, line)
    except Exception:  # noqa: BLE001 - a traceback in the middle of a prompt helps nobody
        return ExitCode.UNUSABLE
    lines = _TOLD[shell](found, line, env.variables)
    env.write("".join(f"{one}\n" for one in lines))
    return ExitCode.CLEAN


def choices(group: click.Command, line: Line) -> list[Choice]:
    """How the line may go on."""
    from click.shell_completion import ShellComplete

    words, word, before = list(line.words[1:]), line.word, ""
    option, equals, value = word.partition("=")
    if equals and option[:1] == "-":  # "--format=js" is completed as "--format js" is
        words, word, before = [*words, option], value, f"{option}="
    asked = ShellComplete(group, {}, "inspect", VARIABLE)
    found = [
        Choice(one.type, f"{before}{one.value}", _brief(one.help or ""))
        for one in asked.get_completions(words, word)
    ]
    return [one for one in found if len(one.value) <= _LONGEST and safe(one.value) == one.value]


def _brief(text: str) -> str:
    return shorten(
        one_line(" ".join(text.split())).partition(". ")[0].rstrip("."), _HELP, _HELP - 1
    )


def _told(found: Sequence[Choice], line: Line, _: Mapping[str, str]) -> Iterator[str]:
    for one in found:
        yield f"{one.kind}\t{one.value}\t{one.help}"
    if any(one.value[-1:] == "=" for one in found if one.kind == "plain"):
        yield "nospace"


def _told_bash(found: Sequence[Choice], line: Line, variables: Mapping[str, str]) -> Iterator[str]:
    """The same, of words the part that bash replaces, quoted: it puts in what it gets."""
    for one in found:
        put = for_bash(one.value, line, variables.get("_INSPECT_BREAKS"))
        if one.kind == "file":
            yield one.kind
        elif put:
            yield f"{one.kind}\t{put}"
    if any(one.value[-1:] == "=" for one in found if one.kind == "plain"):
        yield "nospace"


_TOLD: Mapping[str, Callable[[Sequence[Choice], Line, Mapping[str, str]], Iterator[str]]] = {
    "bash": _told_bash,
    "zsh": _told,
    "fish": _told,
}
