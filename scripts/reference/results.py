"""docs/reference/results.md: the tables of many audits, and what a summary asks of them."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.fleet.queries import QUERIES
from inspector.fleet.schema import TABLES, VERSION, schema_of
from inspector.fleet.summary import TOP, statement_over
from reference.words import block, code, page, said, sentence, table

ABOUT = {
    "artifacts": "One look at one artifact. One that was looked at again has a newer row.",
    "tensors": "A tensor of such a look.",
    "findings": "A finding of such a look.",
}


def render() -> str:
    """The page."""
    return page("Results and their SQL", _parts())


def _parts() -> Iterator[str]:
    yield (
        "`inspect audit PATH... --results DIR` writes three tables as Parquet into `DIR`, and"
        " `inspect fleet summary DIR` asks them. Anything that reads Parquet can do the same:"
        " DuckDB, pandas, Spark."
    )
    yield block(
        "DIR/_inspect.json                       what the folder is\n"
        "DIR/artifacts/part-<run>-<n>.parquet    a row an artifact\n"
        "DIR/tensors/part-<run>-<n>.parquet      a row a tensor\n"
        "DIR/findings/part-<run>-<n>.parquet     a row a finding",
        "text",
    )
    yield (
        "The parts of a batch have one name. That of `artifacts` is written last and makes the"
        " batch count: a row of `tensors` or `findings` counts where `artifacts` has its `run` and"
        " `number`. A run that is ended, by `kill -9` too, loses the batch that it had open and no"
        " more. Several runs may write into one folder. What an ended run left is removed by a run"
        " that starts an hour later or more."
    )
    yield (
        f"The version of the schema is {VERSION}; within 1.x columns are only added. What is not"
        " known is null, never 0."
    )
    yield "## Tables"
    for name, columns in TABLES.items():
        types = schema_of(name)
        yield f"### {name}"
        yield ABOUT[name]
        yield table(
            ["column", "type", "what it is"],
            [
                [code(one.name), _type(str(types.field(one.name).type)), said(one.about)]
                for one in columns
            ],
        )
    yield "## Questions"
    yield (
        "These are the tables of `inspect fleet summary`. `inspect fleet summary DIR --sql NAME`"
        " prints one for a folder of yours, with its address in it, and `--top N` in place of"
        f" {TOP}. Each runs by itself."
    )
    for query in QUERIES.values():
        yield f"### {query.name}"
        yield f"**{query.title}**. {sentence(query.about)}"
        yield block(statement_over("DIR", query), "sql")


def _type(name: str) -> str:
    """Arrow's name of it, in short: how text is packed is nobody's business."""
    if name.startswith("dictionary"):
        return "string"
    return {
        "list<element: int64>": "list of int64",
        "list<item: int64>": "list of int64",
        "timestamp[us, tz=UTC]": "timestamp, UTC",
    }.get(name, "map of string to int64" if name.startswith("map") else name)
