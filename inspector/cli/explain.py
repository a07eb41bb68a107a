"""`inspect explain PATH TENSOR`: what one tensor is, and how that is known."""

from __future__ import annotations

import click

from inspector.cli import completing, options
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.limits import Limits

_HELP = """Say all that is known of one tensor: its role and the rule behind it, where its bytes
are, what its values look like, how mask and weight agree.

TENSOR is its name, LAYER/VARIABLE, an ending that only one tensor has, or a glob.

\b
  inspect explain pruned.h5 dense/kernel
  inspect explain pruned.h5 '*_1/mask:0' --format json
"""


@click.command("explain", help=_HELP, short_help="What one tensor is, and how that is known.")
@click.argument("artifact", metavar="PATH", shell_complete=completing.files)
@click.argument("tensor", shell_complete=completing.tensors)
@options.isolating
@options.limiting
@options.measuring
@options.explanation_output
@click.pass_obj
def command(
    env: Environment,
    *,
    artifact: str,
    tensor: str,
    isolate: bool,
    limits: Limits,
    measure: bool,
    out: options.Output,
) -> ExitCode:
    """Explain the tensor."""
    from inspector import api
    from inspector.report import report

    out.prepare([artifact])
    explanation = api.explain(
        artifact,
        tensor,
        measure=measure,
        isolate=options.isolated(env, isolate),
        limits=limits,
    )
    out.write(env, report("explain", explanation=explanation), tensors=True)
    return ExitCode.CLEAN
