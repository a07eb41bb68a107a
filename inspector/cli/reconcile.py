"""`inspect reconcile A [B]`: why the count is what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inspector.cli import completing, options
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from inspector.report import Reconciliation

_HELP = """Say why a model's count is what it is: lines that add up to it, what stripping leaves,
and what is left over, which must be nothing. With B, the same model stripped, converted or saved in
another format: hold every weight against its partner.

\b
  inspect reconcile pruned.h5
  inspect reconcile pruned.h5 --gzip
  inspect reconcile pruned.h5 stripped.h5
  inspect reconcile stripped.h5 model.tflite
  inspect reconcile pruned.h5 stripped.h5 --live

--live loads the artifacts with real TensorFlow, in a process of its own, and sets its counts beside
those of the files. Exits with 1 where a residual is not 0 or a weight is not what it was.
"""


@click.command("reconcile", help=_HELP, short_help="Why the count is what it is.")
@click.argument("artifact", metavar="A", shell_complete=completing.files)
@click.argument("other", metavar="[B]", required=False, shell_complete=completing.files)
@click.option("--gzip", is_flag=True, help="Deflate the weights that stay, and say their size.")
@click.option("--live", is_flag=True, help="Ask real TensorFlow for the same counts.")
@click.option(
    "--live-python",
    metavar="PATH",
    shell_complete=completing.files,
    help="The Python that has TensorFlow, or its environment. Default: $INSPECT_LIVE_PYTHON, or the"
    " one that runs this.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT.live_seconds,
    show_default=True,
    metavar="SECONDS",
    help="How long TensorFlow may take.",
)
@click.option(
    "--allow-code",
    is_flag=True,
    help="Let TensorFlow load what could run code: Lambda layers, custom objects, py_function.",
)
@options.isolating
@options.limiting
@options.measuring
@options.output
@click.pass_obj
def command(
    env: Environment,
    *,
    artifact: str,
    other: str | None,
    gzip: bool,
    live: bool,
    live_python: str | None,
    timeout: float,
    allow_code: bool,
    isolate: bool,
    limits: Limits,
    measure: bool,
    out: options.Output,
) -> ExitCode:
    """Reconcile; 1 where a residual is not 0, or TensorFlow refuses the file."""
    from inspector import api
    from inspector.cli.progress import progress

    out.prepare([artifact, other] if other else [artifact])
    asked = live or live_python is not None or allow_code
    report = api.reconcile(
        artifact,
        other,
        measure=measure,
        gzip=gzip,
        pictures=out.pictures,
        live=api.LiveOptions(live_python, timeout, allow_code=allow_code) if asked else None,
        isolate=options.isolated(env, isolate),
        limits=limits,
        progress=progress(env, out.quiet),
    )
    out.write(env, report)
    found = report.reconciliation
    return ExitCode.FINDING if found and not is_balanced(found) else ExitCode.CLEAN


def is_balanced(found: Reconciliation) -> bool:
    """Whether nothing is left over, neither in the files nor against TensorFlow, which took them.

    Where TensorFlow has no count either (weights without a model) there is nothing to balance.
    """
    live = found.live
    took = live is None or not (live.residual or any(one.error for one in live.artifacts))
    return not found.residual and took
