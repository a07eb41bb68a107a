"""Options that several commands share, said once."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from inspector.cli import completing
from inspector.cli.choice import Choice
from inspector.cli.environment import NARROWEST, Environment
from inspector.cli.limits import limits_of
from inspector.errors import UsageError
from inspector.filesystem import keep_copies
from inspector.meant import did_you_mean
from inspector.model import Role
from inspector.render import AUDITS, EXPLANATIONS, PICTURED, REPORTS, RenderOptions, pieces, ready
from inspector.writing import is_of

if TYPE_CHECKING:
    from inspector.report import Report

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Output:
    """How and where to write a report: the options of `output`, parsed. also: more formats, and the
    file of each.
    """

    format: str
    path: str | None
    color: str
    width: int | None
    quiet: bool
    also: tuple[tuple[str, str], ...] = ()

    def is_read(self, env: Environment) -> bool:
        """Whether a person reads the report as it is written."""
        return self.format == "text" and self.path is None and env.is_terminal

    @property
    def pictures(self) -> bool:
        """Whether pictures are wanted in any of what is written."""
        return any(name in PICTURED for name in (self.format, *(name for name, _ in self.also)))

    def prepare(self, paths: Sequence[str]) -> None:
        """Raise UsageError, before anything is read, where the report would be written over one of
        the artifacts, or by what is not installed.
        """
        self._spare(paths)
        for name in (self.format, *(name for name, _ in self.also)):
            ready(name)

    def _spare(self, paths: Iterable[str]) -> None:
        options = [("-o ", self.path)] if self.path is not None else []
        options += [(f"--also {name}=", file) for name, file in self.also]
        for path in paths if options else ():
            for option, file in options:
                if is_of(file, path):
                    raise UsageError(f"{option}{file} would write the report over {path}")

    def write(self, env: Environment, report: Report, **rows: bool) -> None:
        """Render the report and put it where it was wanted. rows: which ones, as RenderOptions has
        it ("tensors", "all", "stat"). Raises OSError, and UsageError where that would be over a
        file of an artifact.
        """
        from inspector.report import sources

        self._spare(sources(report))
        for name, path in (*self.also, (self.format, self.path)):
            wanted = RenderOptions(
                env.width(self.width, to_file=path is not None),
                env.color(self.color, to_file=path is not None),
                root=_here(),
                **rows,
            )
            env.write(pieces(name, report, wanted), path)


def _here() -> str:
    """The working directory; "" where it was taken away meanwhile."""
    try:
        return os.getcwd()
    except OSError:
        return ""


_OUTPUT = (
    click.option(
        "-o",
        "--output",
        "path",
        metavar="FILE",
        shell_complete=completing.files,
        help="Write to FILE, whole or not at all, instead of stdout.",
    ),
    click.option(
        "--color",
        type=Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Colour the text. auto: on a terminal, unless NO_COLOR is set; with FORCE_COLOR,"
        " elsewhere too.",
    ),
    click.option(
        "--width",
        type=click.IntRange(min=NARROWEST),
        metavar="COLUMNS",
        help="Columns of text. Default: the terminal's, 100 when piped.",
    ),
    click.option("--quiet", is_flag=True, help="Show no progress bar."),
)

_FILTERS = (
    click.option(
        "--layer",
        "layers",
        multiple=True,
        shell_complete=completing.layers,
        metavar="GLOB",
        help="Only rows of layers whose path or name matches, and of those inside. Repeatable.",
    ),
    click.option(
        "--role",
        "roles",
        multiple=True,
        type=Choice([role.value for role in Role]),
        metavar="ROLE",
        help="Only rows with tensors of this role: mask, optimizer_slot ... Repeatable.",
    ),
)

measuring = click.option(
    "--no-measure",
    "measure",
    flag_value=False,
    default=True,
    help="Read no values: no zeros, no ranges; only what the file declares.",
)

isolating = click.option(
    "--isolate",
    is_flag=True,
    help="Read in a process of its own, which a broken file may crash, hang or fill.",
)

not_isolating = click.option(
    "--no-isolate",
    "isolate",
    flag_value=False,
    default=True,
    help="Read in this process. Without it, what crashes or hangs the reading is one finding.",
)


def limiting(function: Function) -> Function:
    """--limit, given to the command as `limits`."""

    @functools.wraps(function)
    def gathered(*args: Any, limit: tuple[str, ...], **others: Any) -> Any:
        return function(*args, limits=limits_of(limit), **others)

    return _decorate(gathered, (_LIMIT, _CACHE))


def _keep_copies(ctx: click.Context, param: click.Parameter, folder: str | None) -> None:
    keep_copies(folder)


_CACHE = click.option(
    "--cache",
    metavar="DIR",
    expose_value=False,
    callback=_keep_copies,
    type=click.Path(file_okay=False),
    help="Keep copies of files that are read from URLs in DIR. Without it none is written.",
)


_LIMIT = click.option(
    "--limit",
    multiple=True,
    shell_complete=completing.limits,
    metavar="NAME=VALUE",
    help='Allow an artifact more, or less: "inspect formats --limits" lists what. Repeatable.',
)


def isolated(env: Environment, wanted: bool) -> bool:
    """Whether to read in a process of its own: as wanted, where the system can; it is said where it
    cannot.
    """
    if not wanted:
        return False
    from inspector.isolation import available

    can = available()
    if not can:
        env.complain("inspect: nothing is isolated: this system keeps no process within limits")
    return can


def _format(names: Sequence[str]) -> Callable[[Function], Function]:
    return click.option(
        "--format",
        type=Choice(names),
        default="text",
        show_default=True,
        help="How to write the report.",
    )


def _formats_and_files(
    ctx: click.Context, param: click.Parameter, values: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """("sarif=audit.sarif",) -> (("sarif", "audit.sarif"),). Raises click.UsageError."""
    parts = [value.partition("=") for value in values]
    for name, equals, path in parts:
        if name not in AUDITS or not path:
            raise click.UsageError(
                f"--also {name}{equals}{path}: a format, '=' and a file are wanted, as"
                f" sarif=audit.sarif; formats are {', '.join(AUDITS)}"
                f"{'' if name in AUDITS else did_you_mean(name, AUDITS)}"
            )
    return tuple((name, path) for name, _, path in parts)


_ALSO = click.option(
    "--also",
    multiple=True,
    shell_complete=completing.formats_and_files,
    callback=_formats_and_files,
    metavar="FORMAT=FILE",
    help="Write it to FILE in FORMAT, as well. Repeatable.",
)


def _output(function: Function, formats: Sequence[str]) -> Function:
    @functools.wraps(function)
    def gathered(
        *args: Any,
        format: str,  # noqa: A002 - click names it after the option
        path: str | None,
        color: str,
        width: int | None,
        quiet: bool,
        also: tuple[tuple[str, str], ...] = (),
        **others: Any,
    ) -> Any:
        return function(*args, out=Output(format, path, color, width, quiet, also), **others)

    return _decorate(gathered, (_format(formats), *_OUTPUT))


def output(function: Function) -> Function:
    """--format, -o, --color, --width and --quiet, given to the command as one `out`."""
    return _output(function, REPORTS)


def explanation_output(function: Function) -> Function:
    """The same, with the formats that one tensor is explained in."""
    return _output(function, EXPLANATIONS)


def audit_output(function: Function) -> Function:
    """The same, with the formats that only findings have, and several of them at once."""
    return _output(_ALSO(function), AUDITS)


def filters(function: Function) -> Function:
    """--layer and --role."""
    return _decorate(function, _FILTERS)


def _decorate(function: Function, options: tuple[Callable[[Function], Function], ...]) -> Function:
    for option in reversed(options):
        function = option(function)
    return function
