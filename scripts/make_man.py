"""Makes the manual page of the command line's own help: docs/man/inspect.1.

python scripts/make_man.py            write it
python scripts/make_man.py --check    exit 1 where it would change
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
from make_readme import ROOT, update

from inspector._version import __version__
from inspector.cli.main import COMMANDS, group

PAGE = ROOT / "docs" / "man" / "inspect.1"
_SHARED_BY = 3  # commands; what as many have is said once
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
# What roff takes for something else, or sets as another character than was written.
_ROFF = str.maketrans(
    {
        "\\": r"\e",
        "-": r"\-",
        "'": r"\(aq",
        "`": r"\(ga",
        "^": r"\(ha",
        "~": r"\(ti",
    }
)

ENVIRONMENT = {
    "NO_COLOR": "Where it is set and not empty, text is not coloured, but with --color always.",
    "FORCE_COLOR, CLICOLOR_FORCE": "Where one is set, and neither empty nor 0, text is coloured"
    " though it goes to no terminal.",
    "CLICOLOR": "0: text is not coloured.",
    "TERM": "dumb: text is not coloured.",
    "COLUMNS": "How wide text is, before the terminal's own width.",
    "INSPECT_LIVE_PYTHON": "The Python that has TensorFlow, or its environment, for"
    " inspect reconcile --live.",
    "INSPECT_DEBUG": "1: a bug in inspect shows its traceback.",
}
FILES = {
    "inspector.toml": "The policy of inspect audit, found in the folder of each artifact or the"
    " nearest above it. inspect audit --init writes one.",
    "pyproject.toml": "The same, in its table [tool.inspector].",
}
SEE_ALSO = ("git-diff(1)", "h5dump(1)", "h5ls(1)", "unzip(1)")


def roff(text: str) -> str:
    """Text as roff sets it, letter by letter."""
    return text.translate(_ROFF)


def no_request(line: str) -> str:
    return rf"\&{line}" if line[:1] == "." else line


def bold(text: str) -> str:
    return rf"\fB{roff(text)}\fR"


def marked(text: str) -> str:
    """Text with its options in bold."""
    ends = [0]
    for match in _OPTION.finditer(text):
        ends += match.span()
    pieces = [text[a:b] for a, b in zip(ends, [*ends[1:], len(text)], strict=True)]
    return "".join(bold(one) if at % 2 else roff(one) for at, one in enumerate(pieces))


def filled(text: str) -> str:
    """The same of a paragraph, in lines."""
    lines = textwrap.wrap(
        marked(" ".join(text.split())), 78, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(map(no_request, lines))


def prose(text: str) -> Iterator[str]:
    r"""The paragraphs of a help text; what stands behind "\b" line by line."""
    for number, paragraph in enumerate(filter(None, _PARAGRAPH.split(text.strip()))):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield ".nf"
            yield from (no_request(roff(line)) for line in paragraph.split("\n")[1:])
            yield ".fi"
        else:
            yield filled(paragraph)


def listed(entries: dict[str, str]) -> Iterator[str]:
    for name, text in entries.items():
        yield ".TP"
        yield bold(name)
        yield filled(text)


def options(records: list[tuple[str, str]]) -> Iterator[str]:
    for name, text in records:
        yield ".TP"
        yield marked(name)
        yield filled(text)


class Command:
    """One command, as its help has it."""

    def __init__(self, name: str, parent: click.Context) -> None:
        found = group.get_command(parent, name)
        assert found is not None
        self.context = click.Context(found, parent, name)
        self.help = found.help or ""
        self.usage = " ".join((f"inspect {name}", *found.collect_usage_pieces(self.context)))
        params = found.get_params(self.context)
        own = [one for one in params if isinstance(one, click.Option)]
        self.records = [one for one in (o.get_help_record(self.context) for o in own) if one]


def page() -> str:
    top = click.Context(group, info_name="inspect", **group.context_settings)
    commands = [Command(name, top) for name in COMMANDS]
    told = Counter(record for one in commands for record in one.records)
    shared = [record for record, number in told.items() if number >= _SHARED_BY]
    about, _, exits = (group.help or "").partition("\b\nExit codes:\n")
    intro, _, rest = about.partition("\b\n")
    examples, _, more = rest.partition("\n\n")
    return "\n".join(
        (
            r".\" Made by scripts/make_man.py of the command line's own help. Do not edit.",
            f'.TH INSPECT 1 "" "inspect {__version__}" "User Commands"',
            ".SH NAME",
            rf"inspect \- {roff('say what every tensor in a saved model is, and why')}",
            ".SH SYNOPSIS",
            *_synopsis(commands),
            ".SH DESCRIPTION",
            *prose(f"{intro}\n\n{more}"),
            ".SH COMMANDS",
            *(line for one in commands for line in _command(one, shared)),
            ".SH OPTIONS",
            "These are of several commands.",
            *options(shared),
            ".TP",
            bold("--version"),
            "Show the version and exit.",
            ".SH EXIT STATUS",
            *listed({**dict(_columns(exits)), "130": "interrupted"}),
            ".SH ENVIRONMENT",
            *listed(ENVIRONMENT),
            ".SH FILES",
            *listed(FILES),
            ".SH EXAMPLES",
            *(line for one in _columns(examples) for line in (".TP", bold(one[0]), filled(one[1]))),
            ".SH SEE ALSO",
            ",\n".join(f".BR {name[:-3]} {name[-3:]}".translate({45: r"\-"}) for name in SEE_ALSO),
            "",
        )
    )


def _synopsis(commands: list[Command]) -> Iterator[str]:
    for usage in ("inspect [OPTIONS] PATH...", *(one.usage for one in commands)):
        name, _, rest = usage.partition(" [")
        if not usage.startswith("inspect ["):
            yield ".br"
        yield f"{bold(name)} {roff(f'[{rest}')}"


def _command(one: Command, shared: list[tuple[str, str]]) -> Iterator[str]:
    own = [record for record in one.records if record not in shared]
    also = [_OPTION.findall(record[0])[-1] for record in one.records if record in shared]
    yield f'.SS "{roff(one.usage)}"'
    yield from prose(one.help)
    yield from options(own)
    yield ".PP"
    yield filled(f"See OPTIONS for {', '.join(also)}.")


def _columns(text: str) -> Iterator[tuple[str, str]]:
    """Two columns, parted by two spaces."""
    for line in text.strip("\n").splitlines():
        left, _, right = line.strip().partition("  ")
        yield left, right.strip()


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.touch()
    raise SystemExit(update([Path(PAGE)], lambda _: page()))
