"""The notebook of the documents runs, and says what live Keras said."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
from pathlib import Path

import pytest

from tests.builders import samples

ROOT = Path(samples.ROOT)
NOTEBOOK = ROOT / "docs" / "notebooks" / "why_is_my_pruned_model_larger.ipynb"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "make_notebooks", ROOT / "scripts" / "make_notebooks.py"
    )
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def run(script):
    return script.run(NOTEBOOK)


def said(run, words):
    """What the cell with these words in its source gives, as Python."""
    (cell,) = [one for one in run.cells if one.cell_type == "code" and words in one.source]
    return ast.literal_eval(cell.outputs[-1]["data"]["text/plain"])


def test_its_last_cells_say_what_live_keras_said(run):
    live = samples.expected("pruned.h5")
    assert said(run, "totals = m.totals") == {
        "counted": live["count_params"],
        "overhead of pruning": live["count_params"] - live["after_strip"],
        "left after stripping": live["after_strip"],
        "of those not zero": live["nonzero_weights"],
        "stored": live["file"]["elements"],
    }
    weights = 4 * samples.expected("stripped.h5")["count_params"]  # float32
    assert said(run, "stripped = inspector.open") == {
        "bytes before": os.path.getsize(samples.path("pruned.h5")),
        "bytes after": os.path.getsize(samples.path("stripped.h5")),
        "bytes of weights before": weights,
        "bytes of weights after": weights,
    }


def test_its_zeros_are_those_of_live_keras(run):
    (kernel,) = [
        row
        for row in samples.expected("pruned.h5")["variables"]
        if row["path"] == "prune_low_magnitude_dense/kernel:0"
    ]
    assert said(run, "np.asarray(kernel)") == f"{kernel['zeros']} of 640 are zero"
    assert set(said(run, "the mask keeps it").values()) == {0}


def test_its_page_is_what_it_shows(run, script):
    made = script.page(run, NOTEBOOK.name)
    assert NOTEBOOK.with_suffix(".md").read_text("utf-8") == made


def test_it_is_kept_without_outputs_and_as_nobody_in_particular(run):
    kept = json.loads(NOTEBOOK.read_text("utf-8"))
    cells = [one for one in kept["cells"] if one["cell_type"] == "code"]
    assert all(one["outputs"] == [] and one["execution_count"] is None for one in cells)
    assert kept["metadata"]["kernelspec"]["name"] == "python3"
