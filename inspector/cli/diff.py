"""`inspect diff A B`: what changed between two artifacts."""

from __future__ import annotations

import click

from inspector.cli import completing, options
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.limits import Limits

_HELP = """Say what changed from A to B: in words first, then tensor by tensor, that which changed
most first. Tensors are paired by layer and variable, through wrappers, renamed layers and
conversions; files that differ in their bytes alone say the same.

\b
  inspect diff pruned.h5 stripped.h5
  inspect diff stripped.h5 model.tflite --all
  inspect diff monday.keras friday.keras --ignore training --rtol 1e-6
  inspect diff baseline.json model.h5 --only weights

A or B may be a report that "inspect show --format json --digest" saved: it stands for its file.

--ignore and --only take a role (mask), a group of roles (weights, pruning, training ...), a part
(config, layers, training-config, signatures, operators ...), a kind of change (values, retyped,
renamed, trainable ...), or a glob of tensors or layers ("dense_*", "*/bias").

Exits with 0 where the two say the same, 1 where not, 2 where one cannot be read.
"""


@click.command("diff", help=_HELP, short_help="What changed between two models.")
@click.argument("a", metavar="A", shell_complete=completing.files)
@click.argument("b", metavar="B", shell_complete=completing.files)
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="X",
    help="Values apart by at most X times the larger one are the same.",
)
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="X",
    help="Values apart by at most X are the same.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="WHAT",
    shell_complete=completing.parts,
    help="Leave this out. Repeatable.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="WHAT",
    shell_complete=completing.parts,
    help="Look at nothing else. Repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="List what did not change too.")
@click.option("--stat", is_flag=True, help="One line for each tensor that changed.")
@click.option("--bytes", "places", is_flag=True, help="Say where the bytes differ.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 where they differ too.")
@click.option(
    "--no-measure",
    "measure",
    flag_value=False,
    default=True,
    help="Count no zeros and no patterns for the totals; values are compared all the same.",
)
@options.isolating
@options.limiting
@options.output
@click.pass_obj
def command(
    env: Environment,
    *,
    a: str,
    b: str,
    rtol: float,
    atol: float,
    ignore: tuple[str, ...],
    only: tuple[str, ...],
    everything: bool,
    stat: bool,
    places: bool,
    exit_zero: bool,
    isolate: bool,
    limits: Limits,
    measure: bool,
    out: options.Output,
) -> ExitCode:
    """Compare two artifacts; 1 where they do not say the same."""
    from inspector import api
    from inspector.cli.progress import progress

    out.prepare([a, b])
    report = api.diff(
        a,
        b,
        rtol=rtol,
        atol=atol,
        ignore=ignore,
        only=only,
        places=places,
        measure=measure,
        pictures=out.pictures,
        isolate=options.isolated(env, isolate),
        limits=limits,
        progress=progress(env, out.quiet),
    )
    out.write(env, report, all=everything, stat=stat)
    same = bool(report.diff and report.diff.same)
    return ExitCode.CLEAN if same or exit_zero else ExitCode.FINDING
