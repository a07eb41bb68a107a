"""`inspect reconcile` as a person and as a program sees it."""

import csv
import io
import json
import os

import jsonschema
import pytest

from inspector.report import schema
from tests.builders import samples
from tests.builders.terminal import call

CASES = {
    "pruned.h5": ["pruned.h5"],
    "pruned.h5-gzip": ["pruned.h5", "--gzip"],
    "clustered.keras": ["clustered.keras"],
    "k3_lora.keras": ["k3_lora.keras"],
    "saved_pruned": ["saved_pruned"],
    "frozen_contrib_pruned.pb": ["frozen_contrib_pruned.pb"],
    "lite_int8.tflite": ["lite_int8.tflite"],
    "pruned-stripped": ["pruned.h5", "stripped.h5"],
    "saved-stripped": ["saved_pruned", "stripped.keras"],
    "clustered-pruned": ["clustered.h5", "pruned.h5"],
}


@pytest.fixture(autouse=True)
def _among_the_samples(monkeypatch):
    monkeypatch.chdir(samples.SAMPLES)


@pytest.mark.parametrize("width", ["80", "100", "200"])
@pytest.mark.parametrize("name", CASES)
def test_reconciliations_look_as_reviewed(name, width, golden):
    result = call("reconcile", *CASES[name], "--width", width)
    assert result.err == ""
    assert all(len(line) <= int(width) for line in result.out.split("\n"))
    golden(f"reconcile-{name}-{width}.txt", result.out)


@pytest.mark.parametrize("name", ["pruned.h5", "pruned-stripped"])
def test_markdown_looks_as_reviewed(name, golden):
    golden(f"reconcile-{name}.md", call("reconcile", *CASES[name], "--format", "markdown").out)


@pytest.mark.parametrize("name", CASES)
def test_json_is_that_of_the_schema(name):
    result = call("reconcile", *CASES[name], "--format", "json")
    document = json.loads(result.out)
    jsonschema.validate(document, schema())
    assert document["command"] == "reconcile"
    assert len(document["artifacts"]) == len([one for one in CASES[name] if one[0] != "-"])
    assert document["reconciliation"]["residual"] == (0 if result.code == 0 else 1354)


def test_csv_has_a_row_a_line():
    rows = list(csv.DictReader(io.StringIO(call("reconcile", "pruned.h5", "--format", "csv").out)))
    assert [(row["label"], row["elements"]) for row in rows][:3] == [
        ("weights", "1354"),
        ("masks", "1280"),
        ("thresholds", "2"),
    ]
    assert sum(int(row["count_params"]) for row in rows) == 2638


def test_a_balanced_artifact_exits_with_0_and_an_odd_pair_with_1():
    assert call("reconcile", "pruned.h5").code == 0
    assert call("reconcile", "clustered.h5", "pruned.h5").code == 1


@pytest.mark.parametrize("paths", [["absent.h5"], ["pruned.h5", "absent.h5"]])
def test_what_cannot_be_read_exits_with_2_and_prints_nothing(paths):
    result = call("reconcile", *paths)
    assert (result.code, result.out) == (2, "")
    assert "absent.h5" in result.err


def test_values_are_not_read_when_nobody_wants_them():
    out = call("reconcile", "pruned.h5", "--no-measure").out
    assert "residual: 0" in out
    assert "zero" not in out
    assert "bitmask" not in out


def test_a_report_is_never_written_over_an_artifact(tmp_path):
    result = call("reconcile", "pruned.h5", "stripped.h5", "-o", os.path.abspath("stripped.h5"))
    assert result.code == 2
    assert "would write the report over stripped.h5" in result.err
