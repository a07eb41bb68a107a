"""Parts of a report as tables: pandas DataFrames and pyarrow Tables, with the same columns.

A column is of one of these kinds, whatever is in it:

    kind     pandas              Arrow                       unknown is
    text     string              string                      NA, null
    word     category            dictionary of strings       NaN, null
    count    Int64               int64                       NA, null
    number   float64             float64                     NaN, null
    flag     boolean             bool                        NA, null
    sides    object, of tuples   list of int64               None, null

Which tables a report has, and the columns of each, are in `tables.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inspector.errors import UsageError
from inspector.frames.tables import (
    COUNT,
    FLAG,
    NUMBER,
    ROLES,
    SIDES,
    TEXT,
    WORD,
    Columns,
    tables_of,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from inspector.report import Report

_MOST = 2**63


def to_frame(report: Report, table: str | None = None) -> pd.DataFrame:
    """A table of the report as a DataFrame; None for the one that its command is about.

    `attrs` of the frame has the table's name, the paths and the tool's version. Raises UsageError
    for a table that there is not, without pandas, and for a count past 64 bits.
    """
    try:
        import pandas as pd
    except ImportError:
        raise _missing("pandas") from None
    name, columns, cells = _cells(report, table)
    made = {
        column: _series(pd, kind, found)
        for (column, kind), found in zip(columns.items(), cells, strict=True)
    }
    frame = pd.DataFrame(made)
    frame.attrs.update(_about(report, name))
    return frame


def arrow_kinds() -> dict[str, pa.DataType]:
    """Arrow's types of the kinds of columns."""
    import pyarrow as pa

    return {
        TEXT: pa.string(),
        WORD: pa.dictionary(pa.int32(), pa.string()),
        COUNT: pa.int64(),
        NUMBER: pa.float64(),
        FLAG: pa.bool_(),
        SIDES: pa.list_(pa.int64()),
    }


def to_arrow(report: Report, table: str | None = None) -> pa.Table:
    """The same as an Arrow table; its metadata has what `attrs` of the frame have.

    Raises UsageError as `to_frame` does.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise _missing("pyarrow") from None
    kinds = arrow_kinds()
    name, columns, cells = _cells(report, table)
    about = {f"tf_inspector.{key}": value for key, value in _about(report, name).items()}
    schema = pa.schema([(column, kinds[kind]) for column, kind in columns.items()], metadata=about)
    arrays = [
        pa.array(found, type=kinds[kind])
        for kind, found in zip(columns.values(), cells, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _cells(report: Report, table: str | None) -> tuple[str, Columns, list[list[Any]]]:
    """The table's name, its columns, and the cells of each."""
    known = tables_of(report)
    name = next(iter(known)) if table is None else table
    if name not in known:
        raise UsageError(f"{name!r} is no table of this report; there are {', '.join(known)}")
    columns = known[name].columns(report)
    rows = list(known[name].rows(report))
    cells = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    for (column, kind), found in zip(columns.items(), cells, strict=True):
        if kind in (COUNT, SIDES):
            _check_size(column, found)
    return name, columns, cells


def _check_size(column: str, cells: Sequence[Any]) -> None:
    """A file of a few bytes may declare any number of elements."""
    for cell in cells:
        for number in cell if isinstance(cell, tuple) else (cell,):
            if number is not None and not -_MOST <= number < _MOST:
                raise UsageError(f"{column} {number:,} is past 64 bits: no table can hold it")


def _about(report: Report, table: str) -> dict[str, str]:
    return {
        "table": table,
        "command": report.command,
        "path": "\n".join(artifact.path for artifact in report.artifacts),
        "version": report.tool.version,
        "schema_version": report.schema_version,
    }


def _series(pd: Any, kind: str, cells: list[Any]) -> Any:
    if kind == WORD:
        there = dict.fromkeys(cell for cell in cells if cell is not None)
        order = [role for role in ROLES if role in there]
        order += [word for word in there if word not in order]
        return pd.Categorical(cells, categories=order)
    dtype = {TEXT: "string", COUNT: "Int64", NUMBER: "float64", FLAG: "boolean", SIDES: "object"}
    return pd.Series(cells, dtype=dtype[kind])


def _missing(package: str) -> UsageError:
    return UsageError(f'{package} is not installed: pip install "tf-inspector[frame]"')
