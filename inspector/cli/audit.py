"""`inspect audit PATH...`: rules that artifacts must pass before they ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from inspector.cli import completing, options
from inspector.cli.choice import Choice
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.errors import UsageError
from inspector.limits import Limits
from inspector.model import Severity

if TYPE_CHECKING:
    from inspector.auditing.policy import FailOn

_HELP = """Ask rules of models before they ship: leftovers of training, lost sparsity, broken
numbers, budgets, what could run code, broken files. Nothing in them is run.

\b
  inspect audit model.keras
  inspect audit exports --recursive --fail-on warning
  inspect audit model.tflite --against model.h5
  inspect audit model.h5 --init
  inspect audit model.h5 --format json -o known.json
  inspect audit model.h5 --baseline known.json
  inspect audit models/*.keras --also sarif=audit.sarif --also junit=audit.xml
  inspect audit exports -r --results found --jobs 8
  inspect audit exports -r --results found --cluster tcp://scheduler:8786

PATH is an artifact, a glob, or a folder: the models in it, and with --recursive those below it,
are found by content.

The policy is the inspector.toml, or the [tool.inspector] of a pyproject.toml, nearest above each
artifact. --init writes one that the artifacts pass today. "inspect rules" lists the rules. Models
of somebody else may come with a policy of their own: name yours with --policy.

--results writes all that is found of very many models to a folder as it comes, skips what an
earlier run has done, and reports numbers and the first findings; --cluster reads them on the
workers of a Dask cluster, which is trusted as your own code is. Progress goes to stderr: a bar on
a terminal, a line every half a minute in a log. After Ctrl-C the same command goes on.

Exits with 1 on a finding at or above --fail-on, an artifact that cannot be read among them; with 2
where there is nothing at a path, or the policy is wrong.
"""


@click.command("audit", help=_HELP, short_help="What must not be in a model that ships.")
@click.argument(
    "paths", nargs=-1, required=True, metavar="PATH...", shell_complete=completing.files
)
@click.option(
    "--policy",
    metavar="FILE",
    shell_complete=completing.files,
    help="The policy, in place of the one nearest above.",
)
@click.option("--no-policy", is_flag=True, help="Look for no policy: all rules, no budgets.")
@click.option(
    "--fail-on",
    type=Choice([*(one.value for one in Severity), "never"]),
    help="Exit with 1 on findings so severe or worse. Default: the policy's, or error.",
)
@click.option(
    "--select",
    multiple=True,
    shell_complete=completing.audit_codes,
    metavar="CODE",
    help="Ask rules with this code, or whose code begins so, in place of the policy's. Repeatable.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="CODE",
    shell_complete=completing.audit_codes,
    help="Do not ask these, as well. Repeatable.",
)
@click.option(
    "--against",
    metavar="ORIGINAL",
    shell_complete=completing.files,
    help="What the one artifact was made from.",
)
@click.option(
    "--baseline",
    metavar="FILE",
    shell_complete=completing.files,
    help="A report saved with --format json: say only what is new since.",
)
@click.option("-r", "--recursive", is_flag=True, help="Look for models below folders, too.")
@click.option(
    "--init", is_flag=True, help="Write an inspector.toml (or -o FILE) from what is there today."
)
@options.not_isolating
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Read so many artifacts side by side. Default: one a processor.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Read on a Dask cluster: tcp://HOST:PORT or tls://HOST:PORT of its scheduler, or local"
    " for one of --jobs processes here.",
)
@click.option(
    "--results",
    metavar="DIR",
    shell_complete=completing.files,
    help="Write what is found to DIR as it comes (Parquet), and skip what is done there.",
)
@options.limiting
@options.measuring
@options.audit_output
@click.pass_obj
def command(
    env: Environment,
    *,
    paths: tuple[str, ...],
    policy: str | None,
    no_policy: bool,
    fail_on: FailOn | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    against: str | None,
    baseline: str | None,
    recursive: bool,
    init: bool,
    isolate: bool,
    jobs: int | None,
    cluster: str | None,
    results: str | None,
    limits: Limits,
    measure: bool,
    out: options.Output,
) -> ExitCode:
    """Audit the artifacts; 1 where they fail."""
    from inspector import api
    from inspector.auditing.policy import Policy
    from inspector.cli.progress import fleet_progress, progress
    from inspector.render.printable import safe

    if policy is not None and no_policy:
        raise UsageError("--policy and --no-policy exclude each other")
    out.prepare(paths)
    if jobs is not None and jobs > 1 and not isolate:
        raise UsageError("--jobs needs processes of their own, which --no-isolate does without")
    is_fleet = cluster is not None or results is not None
    if is_fleet and (init or not isolate):
        what = "--cluster" if results is None else "--results"
        raise UsageError(f"{what} and {'--init' if init else '--no-isolate'} exclude each other")
    isolate = options.isolated(env, isolate)
    jobs = jobs if isolate else None
    if init:
        at, text = api.suggest_policy(
            paths,
            output=out.path,
            measure=measure,
            recursive=recursive,
            isolate=isolate,
            jobs=jobs,
            limits=limits,
            progress=progress(env, out.quiet),
        )
        env.write(text, at)
        env.write(f"{at}: written; read it, and keep what is meant.\n")
        return ExitCode.CLEAN
    common: dict[str, Any] = {
        "policy": Policy() if no_policy else policy,
        "select": select,
        "ignore": ignore,
        "against": against,
        "baseline": baseline,
        "measure": measure,
        "recursive": recursive,
        "fail_on": fail_on,
        "jobs": jobs,
        "limits": limits,
    }
    if is_fleet:
        from inspector.fleet.run import Interrupted, audit

        watch = fleet_progress(env, out.quiet)
        try:
            report = audit(paths, cluster=cluster, results=results, watch=watch, **common)
        except Interrupted as error:
            env.complain(f"inspect: {safe(str(error))}")
            return ExitCode.INTERRUPTED
    else:
        report = api.audit(paths, isolate=isolate, progress=progress(env, out.quiet), **common)
    out.write(env, report)
    return ExitCode.FINDING if report.audit and report.audit.failed else ExitCode.CLEAN
