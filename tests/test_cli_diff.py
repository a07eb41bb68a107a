"""`inspect diff` as a person and as a program sees it."""

import csv
import io
import json
import os
import stat

import jsonschema
import pytest

from inspector.report import schema
from tests.builders import changed, samples
from tests.builders.terminal import call

CASES = {
    "pruned-stripped": ["pruned.h5", "stripped.h5"],
    "stripped-saved": ["stripped.h5", "saved_stripped"],
    "float-int8": ["lite_float.tflite", "lite_int8.tflite"],
    "k3-stripped": ["k3.keras", "stripped.h5"],
    "stripped-all": ["stripped.h5", "stripped.keras", "--all"],
    "stripped-stat": ["pruned.h5", "stripped.h5", "--stat"],
    "clustered-stripped": ["clustered.h5", "clustered_stripped.h5", "--ignore", "training"],
}


@pytest.fixture(autouse=True)
def _among_the_samples(monkeypatch):
    monkeypatch.chdir(samples.SAMPLES)


@pytest.mark.parametrize("name", ["k3-stripped", "clustered-stripped"])
def test_differences_look_as_reviewed(name, golden):
    result = call("diff", *CASES[name], "--width", "100")
    assert result.err == ""
    assert all(len(line) <= 100 for line in result.out.split("\n"))
    golden(f"diff-{name}-100.txt", result.out)


def test_all_lists_what_did_not_change_and_stat_a_line_a_change():
    everything = call("diff", *CASES["stripped-all"]).out
    assert "Unchanged:" in everything
    assert "dense_1/bias" in everything
    assert "Unchanged:" not in call("diff", "stripped.h5", "stripped.keras").out
    short = call("diff", *CASES["stripped-stat"]).out
    assert sum("removed" in line for line in short.splitlines()) >= 15


@pytest.mark.parametrize("name", CASES)
def test_json_is_that_of_the_schema(name):
    result = call("diff", *CASES[name], "--format", "json")
    document = json.loads(result.out)
    jsonschema.validate(document, schema())
    assert document["command"] == "diff"
    assert len(document["artifacts"]) == 2
    assert document["diff"]["same"] is (result.code == 0)


def test_csv_has_a_row_a_tensor():
    rows = list(
        csv.DictReader(io.StringIO(call("diff", *CASES["pruned-stripped"], "--format", "csv").out))
    )
    assert {"mask", "threshold"} <= {value for row in rows for value in row.values()}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["stripped.h5", "stripped.h5"], 0),
        (["stripped.h5", "stripped.keras"], 0),
        (["stripped.h5", "saved_stripped"], 0),
        (["pruned.h5", "stripped.h5"], 1),
        (["pruned.h5", "stripped.h5", "--exit-zero"], 0),
        (["pruned.h5", "stripped.h5", "--only", "weights"], 0),
        (["pruned.h5", "stripped.h5", "--no-measure"], 1),
    ],
)
def test_the_exit_code_says_whether_they_say_the_same(arguments, code):
    result = call("diff", *arguments)
    assert (result.code, result.err) == (code, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stripped.h5", "nowhere.h5"], "nowhere.h5"),
        (["stripped.h5", "../Makefile"], "Makefile"),
        (["stripped.h5", "stripped.h5", "--ignore", "maks"], "did you mean 'mask'"),
        (["stripped.h5", "stripped.h5", "--rtol", "-1"], "--rtol"),
        (["stripped.h5"], "B"),
    ],
)
def test_what_cannot_be_compared_is_one_line_on_stderr(arguments, said):
    result = call("diff", *arguments)
    assert result.code == 2
    assert result.out == ""
    assert said in result.err.split("\n")[0]


def test_tolerances_and_places_are_options(tmp_path):
    def edit(values):
        values[values != 0] += 1e-5

    other = changed.values(tmp_path / "b.h5", edit)
    assert call("diff", "stripped.h5", other).code == 1
    assert call("diff", "stripped.h5", other, "--atol", "1e-4").code == 0
    result = call("diff", "stripped.h5", other, "--bytes", "--format", "json")
    places = json.loads(result.out)["diff"]["places"]
    assert places
    assert "dense/kernel" in places[0]["what"]
    plain = call("diff", "stripped.h5", other, "--format", "json")
    assert "places" not in json.loads(plain.out)["diff"]


def test_a_report_is_not_written_over_an_artifact(tmp_path):
    other = changed.values(tmp_path / "b.h5", lambda values: None)
    before = (tmp_path / "b.h5").read_bytes()
    result = call("diff", "stripped.h5", other, "-o", other)
    assert result.code == 2
    assert (tmp_path / "b.h5").read_bytes() == before


def test_git_hands_over_devnull_for_a_file_that_is_not_there():
    result = call("diff", os.devnull, "stripped.h5")
    assert (result.code, result.err) == (1, "")
    assert "B is new: a Keras HDF5 file" in result.out
    result = call("diff", "stripped.h5", os.devnull)
    assert "A is gone" in result.out
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
