"""The door: which command, and what becomes of whatever goes wrong."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from inspector import deadline
from inspector._version import __version__
from inspector.cli import usage
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.errors import ArtifactError, InspectorError

# Command -> its module, which holds it as `command`. A new command is a file and a line here.
COMMANDS = {
    "show": "inspector.cli.show",
    "explain": "inspector.cli.explain",
    "diff": "inspector.cli.diff",
    "reconcile": "inspector.cli.reconcile",
    "audit": "inspector.cli.audit",
    "fleet": "inspector.cli.fleet",
    "browse": "inspector.cli.browse",
    "rules": "inspector.cli.rules",
    "formats": "inspector.cli.formats",
    "completion": "inspector.cli.completion",
}
DEFAULT = "show"
_ASKED = "_INSPECT_COMPLETE"  # set where a shell asks how a line goes on

_HELP = """What is in a saved Keras or TensorFlow model, and why: every tensor by its role, every
count by its name, every byte accounted for. The file is read as bytes and never run; TensorFlow is
not needed.

\b
  inspect model.h5                       the answer, a row a layer, the bytes
  inspect model.keras --tensors          one row a tensor
  inspect a.h5 b.keras --format json     several files, for a program
  inspect model.h5 --role mask           only layers that hold masks
  inspect explain model.h5 dense/kernel  what one tensor is, and why
  inspect diff a.h5 b.keras              what changed from one to the other
  inspect reconcile model.h5             why the count is what it is
  inspect reconcile a.h5 b.keras         whether B has each weight of A
  inspect audit exports --recursive      what must not be in models that ship
  inspect fleet summary results          what audits of many models found
  inspect browse model.h5                look through it at the terminal
  inspect rules                          how roles are told, what is audited

"inspect PATH" is short for "inspect show PATH"; a file that is named like a command is ./show.

\b
Exit codes:
  0    clean
  1    a finding or a difference
  2    bad usage, or an artifact that cannot be read
  3    a bug in inspect
"""


class Group(click.Group):
    """Commands that are imported when they are called; a word that is none is a path to show."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        found: click.Command = importlib.import_module(module).command
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {name for option in self.get_params(ctx) for name in option.opts}
        if args and args[0] not in COMMANDS and args[0] not in own:
            said = None if ctx.resilient_parsing else usage.no_such_command(args[0], COMMANDS)
            if said:
                raise click.UsageError(said, ctx)
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """How the first word goes on: as a command, or as what may stand behind the default one."""
        default = importlib.import_module(COMMANDS[DEFAULT]).command
        items = super().shell_complete(ctx, incomplete)
        with default.make_context(DEFAULT, [], ctx, resilient_parsing=True) as within:
            if incomplete[:1] == "-":
                known = {one.value for one in items}
                more = default.shell_complete(within, incomplete)
                return [*items, *(one for one in more if one.value not in known)]
            return [*items, *default.params[0].shell_complete(within, incomplete)]


@click.group(
    cls=Group,
    name="inspect",
    help=_HELP,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "--version", prog_name="inspect", message="%(prog)s %(version)s")
def group() -> None:
    """The commands."""


def run(arguments: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run one command and return its exit code."""
    env = environment or Environment()
    with (
        contextlib.redirect_stdout(env.stdout),
        contextlib.redirect_stderr(env.stderr),
        deadline.own_process(),
    ):
        return int(_guarded(arguments, env))


def _guarded(arguments: Sequence[str] | None, env: Environment) -> int:
    if _ASKED in env.variables:
        from inspector.cli.shells import answer

        return answer(group, env)
    try:
        result: Any = group.main(
            args=list(sys.argv[1:] if arguments is None else arguments),
            prog_name="inspect",
            standalone_mode=False,
            obj=env,
            terminal_width=env.help_width(),
        )
        env.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        env.complain(error.format_message())
        return ExitCode.UNUSABLE
    except click.ClickException as error:
        return _usage(error, env, sys.argv[1:] if arguments is None else arguments)
    except ArtifactError as error:
        env.complain(f"inspect: {_line(str(error))}")
        return ExitCode.UNUSABLE
    except InspectorError as error:
        env.complain(f"inspect: {_clean(str(error))}")
        return ExitCode.UNUSABLE
    except (BrokenPipeError, SystemExit):
        # click leaves by SystemExit when the reader of its own output (--help) is gone.
        env.let_go()
        return ExitCode.CLEAN
    except (KeyboardInterrupt, click.exceptions.Abort):
        env.complain("inspect: interrupted")
        return ExitCode.INTERRUPTED
    except OSError as error:
        env.let_go()  # where it was stdout, what is left for it would fail once more at exit
        name = f"{error.filename}: " if error.filename else ""
        env.complain(f"inspect: {_line(f'{name}{error.strerror or error}')}")
        return ExitCode.UNUSABLE
    except Exception as error:  # noqa: BLE001 - the last resort: whatever is left is our bug
        return _bug(error, env)
    return result if isinstance(result, int) else ExitCode.CLEAN


def _usage(error: click.ClickException, env: Environment, arguments: Sequence[str]) -> ExitCode:
    env.complain(f"inspect: {_clean(usage.message(error))}")
    for name in arguments:
        if isinstance(error, click.NoSuchOption) and name[:1] == "-" and os.path.exists(name):
            env.complain(f"The file of that name is ./{_clean(name)}")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        env.complain(f"Try: {error.ctx.command_path} --help")
    return ExitCode.UNUSABLE


def _bug(error: Exception, env: Environment) -> ExitCode:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"
    env.complain(
        f"inspect: this is a bug in inspect {__version__}, please report it: "
        f"{type(error).__name__} at {where}: {_line(str(error))[:200]}"
    )
    if env.variables.get("INSPECT_DEBUG") == "1":
        env.complain("".join(traceback.format_exception(error)))
    else:
        env.complain("INSPECT_DEBUG=1 shows the traceback.")
    return ExitCode.BUG


def _line(text: str) -> str:
    """What a message quotes from a file must not steer the terminal, nor look like another one."""
    from inspector.render.printable import safe

    return safe(text)


def _clean(text: str) -> str:
    """The same of a message that has lines of its own."""
    return "\n".join(_line(line) for line in text.split("\n"))
