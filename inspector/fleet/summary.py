"""A data set asked: DuckDB over its parts, which reads those and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector.errors import UsageError
from inspector.fleet.place import Place, Remote
from inspector.fleet.queries import OF, QUERIES, SAVED, Query, over_views, sql_of
from inspector.fleet.results import SUFFIX, known_place, needs_pyarrow, parts
from inspector.fleet.schema import TABLES
from inspector.limits import MIB

if TYPE_CHECKING:
    import duckdb

TOP = 10  # rows of an answer
_MEMORY = 1024 * MIB  # that DuckDB takes at most; what is more goes to a temporary folder
_MAGIC = "[*?"  # of a glob


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave: a cell for each of its columns in each row. of: how many rows there are in
    all; saved: see `Query`. basis: see there, None where it has none.
    """

    query: Query
    rows: tuple[tuple[Any, ...], ...]
    of: int
    saved: int | None = None
    basis: tuple[int, int] | None = None


def summarize(
    where: str, *, names: Iterable[str] = tuple(QUERIES), top: int = TOP
) -> tuple[Answer, ...]:
    """What the data set at `where`, a folder or its URL, says to some questions, or to all.

    What a run that goes on has not finished is not in it. Raises UsageError where there are no
    results, for a part that cannot be read, and without DuckDB.
    """
    at = known_place(where)
    sources = _sources(at)
    queries = [QUERIES[name] for name in names]
    if not sources:
        return tuple(Answer(query, (), 0) for query in queries)
    with _database(at) as database:
        return tuple(_asked(database, query, sources, top, at) for query in queries)


def selected(where: str, sql: str, uses: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a SELECT over some of the views, by column. Raises UsageError as `summarize`."""
    import duckdb

    at = known_place(where)
    sources = _sources(at)
    if not sources:
        return []
    with _database(at) as database:
        try:
            found = database.execute(over_views(sql, uses, sources))
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        except duckdb.Error as error:
            said = str(error).partition("\n")[0]
            raise UsageError(f"{at.shown} cannot be asked: {said:.300}") from error


def _sources(at: Place) -> dict[str, str]:
    """What each table is read from: the parts that were there at one moment, in all three tables,
    so that a batch counts or does not. Nothing where there are none.
    """
    whole = [name.rpartition("/")[2] for name in parts(at, "artifacts")]
    if not whole:
        return {}
    return {
        table: _read(f"[{', '.join(literal(f'{at.url}/{table}/{one}') for one in whole)}]")
        for table in TABLES
    }


def statement(where: str, name: str, top: int = TOP) -> str:
    """The SQL of a question, which runs by itself in any DuckDB. Raises UsageError where there are
    no results.
    """
    at = known_place(where)
    return statement_over(
        "".join(f"[{c}]" if c in _MAGIC else c for c in at.url), QUERIES[name], top
    )


def statement_over(root: str, query: Query, top: int = TOP) -> str:
    """The same of any folder. root: its path or URL, as a part of a glob."""
    sources = {table: _read(literal(f"{root}/{table}/*{SUFFIX}")) for table in TABLES}
    return sql_of(query, sources, top)


def _read(what: str) -> str:
    # Parts of an older inspect may lack a column.
    return f"read_parquet({what}, union_by_name = true)"


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _asked(
    database: duckdb.DuckDBPyConnection,
    query: Query,
    sources: Mapping[str, str],
    top: int,
    at: Place,
) -> Answer:
    import duckdb

    try:
        found = database.execute(sql_of(query, sources, top))
        names = [column[0] for column in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        basis = None
        if query.basis:
            basis = database.execute(over_views(query.basis, query.uses, sources)).fetchone()
    except duckdb.Error as error:
        said = str(error).partition("\n")[0]
        raise UsageError(f"{at.shown} cannot be asked for {query.name}: {said:.300}") from error
    cells = tuple(tuple(row[column.name] for column in query.columns) for row in rows)
    of = _first(rows, OF)
    return Answer(query, cells, len(rows) if of is None else of, _first(rows, SAVED), basis)


def _first(rows: Sequence[Mapping[str, Any]], name: str) -> int | None:
    found = rows[0].get(name) if rows else None
    return None if found is None else int(found)


@contextlib.contextmanager
def _database(at: Place) -> Iterator[duckdb.DuckDBPyConnection]:
    """One in memory, that may read below the data set, and else no file, network or extension."""
    import tempfile

    try:
        import duckdb
    except ImportError:
        raise UsageError('duckdb is not installed: pip install "tf-inspector[results]"') from None
    needs_pyarrow()
    alone: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with (
        tempfile.TemporaryDirectory(prefix="inspect-") as spare,
        duckdb.connect(":memory:", config=alone) as database,
    ):
        if isinstance(at, Remote):
            database.register_filesystem(at.filesystem)
        for name, value in (
            ("memory_limit", literal(f"{_MEMORY}B")),
            ("temp_directory", literal(spare)),
            ("preserve_insertion_order", "false"),
            ("TimeZone", "'UTC'"),
            ("allowed_directories", f"[{literal(at.url)}]"),
            ("enable_external_access", "false"),
            ("lock_configuration", "true"),
        ):
            database.execute(f"SET {name} = {value}")
        yield database
