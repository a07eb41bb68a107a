import csv
import io

import pytest

from inspector.render import RENDERERS, RenderOptions
from inspector.render.csv import guard
from inspector.report import report
from tests.builders import artifacts
from tests.builders.artifacts import CASES


def written(*built):
    return RENDERERS["csv"](report("show", built), RenderOptions())


def test_csv_is_as_reviewed(golden):
    golden("cases.csv", written(*(builder().build() for builder in CASES.values())))


def test_one_row_a_tensor_with_the_path_first():
    text = written(artifacts.plain().build(), artifacts.copies().build())
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["path"] for row in rows] == ["plain.h5"] * 4 + ["copies.keras"] * 5
    assert next(iter(rows[0])) == "path"
    assert rows[0]["shape"] == "10x64"
    assert {row["zeros"] for row in rows[:4]} == {"0"}


def test_lines_end_as_the_standard_says():
    text = written(artifacts.hostile().build())
    assert text.count("\r\n") == text.count("\n") == 2


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-x", "@sum(a)"])
def test_no_text_cell_is_a_formula(cell):
    assert guard(cell) == f"'{cell}"


def test_a_tab_or_newline_before_a_formula_does_not_hide_it():
    assert guard("\t=1") == "\\x09=1"


def test_negative_numbers_stay_numbers():
    row = next(csv.DictReader(io.StringIO(written(artifacts.plain().build()), newline="")))
    assert row["min"] == "-0.5"
    row = next(csv.DictReader(io.StringIO(written(artifacts.hostile().build()), newline="")))
    assert (row["min"], row["max"]) == ("-Infinity", "Infinity")
