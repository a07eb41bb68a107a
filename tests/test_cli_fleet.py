import csv
import io
import json
import os
import sys

import duckdb
import pytest

from inspector.cli.fleet import TABLES
from inspector.fleet.queries import QUERIES
from tests.builders import samples
from tests.builders.fleets import write
from tests.builders.terminal import call

NAMES = ("pruned.h5", "stripped.h5", "lite_sparse.tflite")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    where = str(tmp_path_factory.mktemp("fleet") / "results")
    write(where, map(samples.path, NAMES))
    return where


def test_the_command_knows_every_table():
    assert tuple(QUERIES) == TABLES


def test_it_shows_every_table(results):
    result = call("fleet", "summary", results)
    assert (result.code, result.err) == (0, "")
    for query in QUERIES.values():
        assert f"\n{query.title}\n" in f"\n{result.out}"


def test_json_has_numbers_and_null(results):
    result = call("fleet", "summary", results, "--format", "json")
    found = json.loads(result.out)
    assert [table["name"] for table in found["tables"]] == list(TABLES)
    largest = next(table for table in found["tables"] if table["name"] == "largest")
    assert [(row["path"], row["nbytes"], row["count_params"]) for row in largest["rows"]] == sorted(
        (
            (
                samples.path(name),
                os.path.getsize(samples.path(name)),
                samples.expected(name).get("count_params"),
            )
            for name in NAMES
        ),
        key=lambda row: -row[1],
    )
    assert largest["of"] == 3


def test_some_tables_and_some_rows(results):
    result = call("fleet", "summary", results, "--table", "largest", "--top", "1")
    assert "Largest" in result.out
    assert "Most overhead" not in result.out
    assert "1 of 3 rows; --top N shows more." in result.out


def test_csv_is_one_table_or_a_line_a_cell(results, tmp_path):
    at = str(tmp_path / "largest.csv")
    result = call("fleet", "summary", results, "--table", "largest", "--format", "csv", "-o", at)
    assert (result.code, result.out) == (0, "")
    with open(at, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows} == set(map(samples.path, NAMES))
    everything = call("fleet", "summary", results, "--format", "csv").out
    cells = list(csv.DictReader(io.StringIO(everything)))
    assert {"table": "totals", "row": "1", "column": "total", "value": "3"} in cells
    assert {cell["table"] for cell in cells} <= set(TABLES)


def test_markdown_has_tables(results):
    result = call("fleet", "summary", results, "--format", "markdown", "--table", "formats")
    assert result.out.startswith("### By format\n")
    assert "| `keras-h5` | 2 |" in result.out or "| keras-h5 | 2 |" in result.out


def test_the_sql_that_is_printed_runs(results):
    result = call("fleet", "summary", results, "--sql", "totals")
    with duckdb.connect() as database:
        assert database.sql(result.out).fetchall()[0] == ("artifacts", 3, 3)


def test_without_its_packages_one_line_says_what_to_install(results, monkeypatch):
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    for more in ((), ("--sql", "totals")):
        found = call("fleet", "summary", results, *more)
        said = 'inspect: pyarrow is not installed: pip install "tf-inspector[results]"\n'
        assert (found.code, found.out, found.err) == (2, "", said)


def test_the_usage_is_as_it_is_typed():
    assert call("fleet", "--help").out.startswith("Usage: inspect fleet summary [OPTIONS] DIR\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "nowhere: no results are there"),
        ((samples.SAMPLES,), "is not empty, and holds no results of inspect"),
        (("nowhere", "--sql", "totals"), "nowhere: no results are there"),
        (("nowhere", "--sql", "total"), "did you mean 'totals'?"),
        (("nowhere", "--sql", "totals", "--table", "rules"), "exclude each other"),
    ],
)
def test_where_there_is_nothing_it_says_so_with_2(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("fleet", "summary", *arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert os.listdir(tmp_path) == []
