"""`inspect reconcile A [B]`: why the count is what it is."""

from __future__ import annotations

import click

from inspector.cli import options
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode

_HELP = """Say why a model's count is what it is: lines that add up to it, what stripping leaves,
and what is left over, which must be nothing. With B, the same model stripped, converted or saved in
another format: hold every weight against its partner.

\b
  inspect reconcile pruned.h5
  inspect reconcile pruned.h5 --gzip
  inspect reconcile pruned.h5 stripped.h5
  inspect reconcile stripped.h5 model.tflite

Exits with 1 where the residual is not 0 or a weight is not what it was.
"""


@click.command("reconcile", help=_HELP, short_help="Why the count is what it is.")
@click.argument("artifact", metavar="A")
@click.argument("other", metavar="[B]", required=False)
@click.option("--gzip", is_flag=True, help="Deflate the weights that stay, and say their size.")
@options.measuring
@options.output
@click.pass_obj
def command(
    env: Environment,
    *,
    artifact: str,
    other: str | None,
    gzip: bool,
    measure: bool,
    out: options.Output,
) -> ExitCode:
    """Reconcile; 1 where the residual is not 0."""
    from inspector import api
    from inspector.cli.progress import progress

    out.spare([artifact, other] if other else [artifact])
    report = api.reconcile(
        artifact, other, measure=measure, gzip=gzip, progress=progress(env, out.quiet)
    )
    out.write(env, report)
    found = report.reconciliation
    return ExitCode.FINDING if found and found.residual else ExitCode.CLEAN
