"""Results as they come, written as Parquet: a folder of parts for each of three tables.

    DIR/_inspect.json                          what the folder is
    DIR/artifacts/part-<run>-<n>.parquet       a row an artifact
    DIR/tensors/part-<run>-<n>.parquet         a row a tensor
    DIR/findings/part-<run>-<n>.parquet        a row a finding

What was found of some artifacts is a batch: three parts with one name, each of which is there whole
or not at all. That of `artifacts` is written last, and makes the batch count: whoever reads takes
rows of the others only where `artifacts` has their `run` and `number`. So a run may be ended at any
moment, and loses no more than the batch that it had open. Runs have ids of their own, so that
several may write into one folder.

    with Results(DIR) as results:
        done = Done(DIR)                      # before anything is looked at
        key = Key(policy_digest(wanted.policy, wanted.today), options)
        if before := done.knows(path, version, key):
            ...                               # an earlier run has it: before.failed, .errors ...
        else:
            results.take(path, version, nbytes, looked, seconds, key)
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from inspector._version import __version__
from inspector.errors import UsageError
from inspector.fleet.place import Place, place
from inspector.fleet.rows import Look, Row, cells, rows_of, written
from inspector.fleet.schema import TABLES, VERSION, schema_of
from inspector.writing import TEMPORARY

if TYPE_CHECKING:
    import pyarrow as pa

    from inspector.auditing.session import Looked
    from inspector.fleet.done import Key

MARK = "_inspect.json"
SUFFIX = ".parquet"
_ARTIFACTS = 2_000  # of a batch, at most
_ROWS = 200_000  # of a batch, over all tables
_SECONDS = 60.0  # that what was found waits to be written
_PLAIN = 2_000  # rows that are held as Python's, some 2 KiB each, before they become Arrow's
_ABANDONED = 3_600.0  # seconds after which no run still means to finish a batch


class _Table:
    """Rows of one table that are not written yet."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._schema = schema_of(name)
        self._plain: list[Row] = []
        self._packed: list[pa.RecordBatch] = []

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._plain.append(row)
            if len(self._plain) >= _PLAIN:
                self._pack()

    def _pack(self) -> None:
        import pyarrow as pa

        columns = zip(cells(self._name, self._plain), self._schema.types, strict=True)
        arrays = [pa.array(found, type=kind) for found, kind in columns]
        self._packed.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._plain = []

    def taken(self) -> memoryview:
        """All of them as a file of Parquet; there are none afterwards."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pack()
        table = pa.Table.from_batches(self._packed, schema=self._schema)
        self._packed = []
        out = pa.BufferOutputStream()
        pq.write_table(table, out, compression="zstd")
        return memoryview(out.getvalue())


class Results:
    """A data set that is written to: a context manager, which writes what is left when it is left,
    by Ctrl-C too.

    where: a folder or its URL, which is made where it is not there. Raises UsageError where it is
    something else's, or of a newer inspect, and without pyarrow; OSError where it cannot be
    written. Not for several threads.
    """

    def __init__(self, where: str) -> None:
        needs_pyarrow()
        self._place = place(where)
        if not is_marked(self._place):
            self._place.write(MARK, json.dumps(_mark(), indent=1).encode() + b"\n")
        _tidy(self._place)
        now = dt.datetime.now(dt.UTC)
        self.run = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self._tables = {name: _Table(name) for name in TABLES}
        self._due: list[tuple[str, memoryview]] = []  # parts, in the order to be written in
        self._taken = self._batches = 0
        self._clear()

    def _clear(self) -> None:
        self._artifacts = self._rows = 0
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def take(
        self,
        path: str,
        version: str | None,
        nbytes: int | None,
        looked: Looked | None,
        seconds: float | None,
        key: Key,
    ) -> None:
        """What was found of one artifact: it is written now, or soon.

        path: as it may be shown, without credentials, and as `Done.knows` is asked of it; version:
        of its content, None where nothing stands for that; nbytes: as storage says; looked: None of
        a file that is no model, which is remembered, too; seconds: that it took.
        """
        at = dt.datetime.now(dt.UTC)
        look = Look(self.run, self._taken, written(path), version, nbytes, seconds, key, at)
        self._taken += 1
        if not self._artifacts:
            self._since = time.monotonic()
        for name, rows in rows_of(look, looked).items():
            self._tables[name].add(rows)
            self._rows += len(rows)
        self._artifacts += 1
        if self._artifacts >= _ARTIFACTS or self._rows >= _ROWS:
            self.flush()
        self.tick()

    def tick(self) -> None:
        """Write what has waited long enough; for a driver to call while nothing comes."""
        if self._artifacts and time.monotonic() - self._since >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what there is. Raises OSError; what was not written then, the next call writes."""
        if self._artifacts:
            name = f"part-{self.run}-{self._batches:06}{SUFFIX}"
            # Nothing of it counts until its artifacts are there.
            for table in sorted(TABLES, key=lambda one: one == "artifacts"):
                self._due.append((f"{table}/{name}", self._tables[table].taken()))
            self._batches += 1
            self._clear()
        while self._due:
            self._place.write(*self._due[0])
            del self._due[0]


def needs_pyarrow() -> None:
    """Raises UsageError where it is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UsageError('pyarrow is not installed: pip install "tf-inspector[results]"') from None


def known_place(where: str) -> Place:
    """The data set that is there. Raises UsageError where there is none."""
    found = place(where)
    needs_pyarrow()
    if not is_marked(found):
        raise UsageError(
            f"{found.shown}: no results are there; `inspect audit --results` writes some"
        )
    return found


def parts(at: Place, table: str) -> list[str]:
    """Names of the parts of a table, relative to the data set."""
    return [f"{table}/{one.name}" for one in at.entries(table) if one.name.endswith(SUFFIX)]


def _mark() -> dict[str, Any]:
    tool = {"name": "inspect", "version": __version__}
    return {"what": "results of inspect", "schema_version": VERSION, "tool": tool}


def is_marked(at: Place) -> bool:
    """Whether a data set is there already; False of an empty folder, and where there is none.

    Raises UsageError where it is another's.
    """
    names = {one.name for one in at.entries() if not one.name.startswith(TEMPORARY)}
    if not names:
        return False
    if MARK not in names:
        raise UsageError(
            f"{at.shown} is not empty, and holds no results of inspect: name a folder that is new"
            f" or empty, or one with a {MARK}"
        )
    try:
        version = json.loads(at.read(MARK))["schema_version"]
        kind = int(version.partition(".")[0])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{at.shown}/{MARK} is not what inspect writes: take another folder"
        ) from None
    if kind != int(VERSION.partition(".")[0]):
        raise UsageError(
            f"{at.shown} has results of schema {version!s:.20}, of another inspect; this one"
            f" ({__version__}) writes {VERSION}: take another folder, or that version"
        )
    return True


def _tidy(at: Place) -> None:
    """Remove what runs that were ended left: parts that no artifacts came after, halves of files.

    Only what is so old that no run which still goes on can mean to finish it.
    """
    before = time.time() - _ABANDONED
    whole = {one.name for one in at.entries("artifacts")}
    for table in TABLES:
        for one in at.entries(table):
            left = one.name.startswith(TEMPORARY) or one.name not in whole
            if left and one.changed is not None and one.changed < before:
                at.remove(f"{table}/{one.name}")
