"""`inspect show PATH...`: what is in some artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from inspector.cli import completing, options
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.limits import Limits

if TYPE_CHECKING:
    from inspector.report import ArtifactReport

_HELP = """Say what every tensor in saved models is: the answer in words, one row a layer, the
bytes.

\b
  inspect show pruned.h5
  inspect show pruned.h5 --tensors --role mask
  inspect show *.keras --no-measure --format json -o models.json
  inspect show model.keras --digest --format json -o baseline.json
  inspect show 's3://models/2026/*.keras' --no-measure
  git config diff.inspect.textconv "inspect show --stable"
"""


@click.command("show", help=_HELP, short_help="What is in saved models (the default command).")
@click.argument(
    "paths", nargs=-1, required=True, metavar="PATH...", shell_complete=completing.files
)
@click.option("--tensors", is_flag=True, help="One row a tensor instead of one a layer.")
@click.option("--digest", is_flag=True, help="SHA-256 of the values, of each file, of all content.")
@click.option(
    "--stable",
    is_flag=True,
    help="Text for git diff, with --digest: a fact a line, the same wherever the file lies. What "
    "cannot be read is said there, and the exit code is 0, since git would stop at any other.",
)
@options.filters
@options.isolating
@options.limiting
@options.measuring
@options.output
@click.pass_obj
def command(
    env: Environment,
    *,
    paths: tuple[str, ...],
    tensors: bool,
    digest: bool,
    stable: bool,
    layers: tuple[str, ...],
    roles: tuple[str, ...],
    isolate: bool,
    limits: Limits,
    measure: bool,
    out: options.Output,
) -> ExitCode:
    """Show the artifacts; those that cannot be read are named on stderr too, unless a person sees
    them among the others.
    """
    from msgspec.structs import replace

    from inspector import api
    from inspector.assemble import narrow
    from inspector.cli.progress import progress
    from inspector.render.text import complaint

    out.prepare(paths)
    isolate = options.isolated(env, isolate)
    if stable:
        how = {"isolate": isolate, "limits": limits, "measure": measure}
        return _stable(env, paths, layers, roles, how, out)
    report = api.show(
        paths,
        measure=measure,
        digest=digest,
        pictures=out.pictures,
        isolate=isolate,
        limits=limits,
        progress=progress(env, out.quiet),
    )
    failed = [artifact for artifact in report.artifacts if not artifact.readable]
    done = len(failed) < len(report.artifacts)
    if not (done and out.is_read(env)):
        for artifact in failed:
            env.complain(f"inspect: {complaint(artifact)}")
    if done:
        kept = tuple(narrow(artifact, layers, roles) for artifact in report.artifacts)
        out.write(env, replace(report, artifacts=kept), tensors=tensors)
    if failed:
        return ExitCode.UNUSABLE
    return ExitCode.FINDING if any(map(_is_broken, report.artifacts)) else ExitCode.CLEAN


def _stable(
    env: Environment,
    paths: tuple[str, ...],
    layers: tuple[str, ...],
    roles: tuple[str, ...],
    how: Mapping[str, Any],
    out: options.Output,
) -> ExitCode:
    """The text for git, which shows no difference at all where this fails.

    Git asks of nothing that is not there: a path that leads nowhere is an error here too.
    """
    from msgspec.structs import replace

    from inspector import api
    from inspector.assemble import narrow
    from inspector.errors import UsageError
    from inspector.render.stable import render
    from inspector.render.text import complaint

    if out.format != "text":
        raise UsageError(f"--stable is text; it has no --format {out.format}")
    report = api.show(paths, digest=True, configs=True, **how)
    missing = [artifact for artifact in report.artifacts if _is_missing(artifact)]
    for artifact in missing:
        env.complain(f"inspect: {complaint(artifact)}")
    kept = tuple(
        narrow(artifact, layers, roles) for artifact in report.artifacts if artifact not in missing
    )
    if kept:
        env.write(render(replace(report, artifacts=kept)), out.path)
    return ExitCode.UNUSABLE if missing else ExitCode.CLEAN


def _is_missing(artifact: ArtifactReport) -> bool:
    """Whether there was nothing at its path."""
    return not artifact.readable and any(one.code == "not-found" for one in artifact.problems)


def _is_broken(artifact: ArtifactReport) -> bool:
    """Whether parts of it are missing or spoilt, though it could be read."""
    return any(problem.severity.value == "error" for problem in artifact.problems)
