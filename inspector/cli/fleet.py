"""`inspect fleet summary DIR`: what `audit --results DIR` wrote, asked."""

from __future__ import annotations

import click

from inspector.cli import completing, options
from inspector.cli.choice import Choice
from inspector.cli.environment import Environment
from inspector.cli.exit import ExitCode
from inspector.errors import UsageError

# As `inspector.fleet.queries` has them, which a list of words need not import.
TABLES = (
    "totals", "formats", "largest", "overhead", "duplicates", "sparsity", "severities", "rules",
    "failing", "unreadable",
)  # fmt: skip

_HELP = """Ask the results of many audits, that "inspect audit PATH... --results DIR" keeps in DIR:
what the fleet takes, its largest models, most overhead, tensors that several models have, sparsity
by layer class, findings by rule.

\b
  inspect fleet summary results
  inspect fleet summary results --table overhead --top 50
  inspect fleet summary results --table largest --format csv -o largest.csv
  inspect fleet summary results --sql sparsity

Its tables are: totals, formats, largest, overhead, duplicates, sparsity, severities, rules,
failing and unreadable.

DIR is a folder of Parquet files, or its URL, that any tool for Parquet reads. A model that was
audited several times counts once, as it was the last time.

Exits with 2 where DIR has no results.
"""


class _Command(click.Command):
    """`summary` stands where a command would: before the options."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        some, what, folder = super().collect_usage_pieces(ctx)
        return [what, some, folder]


@click.command(
    "fleet", cls=_Command, help=_HELP, short_help="What audits of many models found together."
)
@click.argument("what", type=Choice(["summary"]), metavar="summary")
@click.argument("folder", metavar="DIR", shell_complete=completing.files)
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=Choice(TABLES),
    metavar="NAME",
    help="Only this table. Repeatable.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="Rows of a table, at most.",
)
@click.option(
    "--sql",
    type=Choice(TABLES),
    metavar="NAME",
    help="Print the SQL of a table instead, which DuckDB runs by itself.",
)
@options.explanation_output
@click.pass_obj
def command(
    env: Environment,
    *,
    what: str,
    folder: str,
    tables: tuple[str, ...],
    top: int,
    sql: str | None,
    out: options.Output,
) -> ExitCode:
    """Print the answers, or how they are asked for."""
    from inspector.fleet.rendered import RENDERERS
    from inspector.fleet.summary import statement, summarize
    from inspector.render.options import RenderOptions

    if sql is not None:
        if tables:
            raise UsageError("--sql and --table exclude each other")
        env.write(f"{statement(folder, sql, top)};\n", out.path)
        return ExitCode.CLEAN
    answers = summarize(folder, names=tables or TABLES, top=top)
    to_file = out.path is not None
    wanted = RenderOptions(
        env.width(out.width, to_file=to_file), env.color(out.color, to_file=to_file)
    )
    env.write(RENDERERS[out.format](folder, answers, wanted), out.path)
    return ExitCode.CLEAN
