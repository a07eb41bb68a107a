"""`inspect completion SHELL`: what makes a shell complete command lines of `inspect`."""

from __future__ import annotations

import click

from inspector.cli.choice import Choice
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.cli.shells import SHELLS, script

_HELP = """Print what makes a shell complete commands, options and what they take, files, rules,
and the tensors of a file. Put it where the shell looks for such things (make the folder where
there is none), and open a new one:

\b
  inspect completion bash > ~/.local/share/bash-completion/completions/inspect
  inspect completion zsh > "${fpath[1]}/_inspect"
  inspect completion fish > ~/.config/fish/completions/inspect.fish

bash is of version 4 or later, and needs its package bash-completion to look there; without it, put
this into ~/.bashrc (zsh has compinit called before, in ~/.zshrc):

\b
  source <(inspect completion bash)
"""


@click.command("completion", help=_HELP, short_help="Completion of command lines for a shell.")
@click.argument("shell", type=Choice(SHELLS))
@click.pass_obj
def command(env: Environment, shell: str) -> ExitCode:
    """Print the script."""
    env.write(script(shell))
    return ExitCode.CLEAN
