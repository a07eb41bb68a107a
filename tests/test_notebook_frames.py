"""Reports as pandas DataFrames and Arrow tables: every kind of column, whatever is in it."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from msgspec.structs import replace

import inspector
from inspector.errors import UsageError
from inspector.frames.tables import TABLES
from inspector.report import report
from tests.builders import samples

PRUNED, STRIPPED = samples.path("pruned.h5"), samples.path("stripped.h5")
PANDAS = {
    "text": "string",
    "word": "category",
    "count": "Int64",
    "number": "float64",
    "flag": "boolean",
    "sides": "object",
}
ARROW = {
    "text": pa.string(),
    "word": pa.dictionary(pa.int32(), pa.string()),
    "count": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "sides": pa.list_(pa.int64()),
}


@pytest.fixture(scope="module")
def model():
    return inspector.open(PRUNED)


@pytest.fixture(scope="module")
def made():
    """A report of each command."""
    return {
        "show": inspector.show([PRUNED, samples.path("lite_int8.tflite")]),
        "diff": inspector.diff(PRUNED, STRIPPED),
        "reconcile": inspector.reconcile(PRUNED, STRIPPED),
        "audit": inspector.audit(PRUNED),
    }


def test_a_row_a_tensor_with_what_live_keras_measured(model):
    frame = model.to_frame()
    assert len(frame) == samples.expected("pruned.h5")["file"]["h5_datasets"]
    by_name = frame.set_index("name")
    for row in samples.expected("pruned.h5")["variables"]:
        layer, _, variable = row["path"].partition("/")
        inner = layer.removeprefix("prune_low_magnitude_")
        own = inner if variable in {"kernel:0", "bias:0"} else layer
        found = by_name.loc[f"model_weights/{layer}/{own}/{variable}"]
        assert found["shape"] == tuple(row["shape"])
        assert found["dtype"] == row["dtype"]
        assert found["trainable"] == row["trainable"]
        assert (found["zeros"], found["min"], found["max"]) == (
            row["zeros"],
            row["min"],
            row["max"],
        )


def test_roles_add_up_as_by_hand(model):
    found = model.to_frame().groupby("role", observed=True)[["elements", "nbytes"]].sum()
    # Two dense layers of 640 + 64 and 640 + 10 float32 weights, all kernels masked.
    assert found.loc["weight"].tolist() == [1354, 4 * 1354]
    assert found.loc["mask"].tolist() == [1280, 4 * 1280]
    assert found.loc["threshold"].tolist() == [2, 8]
    assert found.loc["pruning_step"].tolist() == [2, 2 * 8]
    assert found.loc["optimizer_slot"].tolist() == [2 * 1354, 2 * 4 * 1354]


@pytest.mark.parametrize("command", ["show", "diff", "reconcile", "audit"])
def test_every_column_has_the_dtype_of_its_kind(made, command):
    for name, table in TABLES[command].items():
        columns = table.columns(made[command])
        frame, arrow = made[command].to_frame(name), made[command].to_arrow(name)
        assert list(frame) == arrow.column_names == list(columns)
        for column, kind in columns.items():
            assert frame[column].dtype == PANDAS[kind], f"{name}.{column}"
            assert arrow.schema.field(column).type == ARROW[kind], f"{name}.{column}"


@pytest.mark.parametrize("command", ["show", "diff", "reconcile", "audit"])
def test_an_empty_table_has_the_same_columns(made, command):
    empty = replace(made[command], artifacts=())
    for name in ("tensors", "problems"):
        assert empty.to_frame(name).empty
        full = made[command].to_frame(name)
        assert [*map(str, empty.to_frame(name).dtypes)] == [*map(str, full.dtypes)]
        assert empty.to_arrow(name).schema.equals(made[command].to_arrow(name).schema)


@pytest.mark.parametrize("command", ["show", "diff", "reconcile", "audit"])
def test_both_libraries_have_the_same_cells(made, command):
    for name in TABLES[command]:
        ours = made[command].to_frame(name).astype(object)
        rows = made[command].to_arrow(name).to_pylist()
        for (_, one), other in zip(ours.iterrows(), rows, strict=True):
            for column, cell in other.items():
                left = one[column]
                if cell is None:
                    assert left is None or pd.isna(left), f"{name}.{column}"
                elif isinstance(cell, list):
                    assert list(left) == cell
                else:
                    assert left == cell or (left != left and cell != cell), f"{name}.{column}"


def test_what_a_table_is_of_is_in_its_metadata(model):
    about = {
        "table": "tensors",
        "command": "show",
        "path": PRUNED,
        "version": inspector.__version__,
        "schema_version": "1.0",
    }
    assert model.to_frame().attrs == about
    stored = model.to_arrow().schema.metadata
    assert stored == {
        f"tf_inspector.{key}".encode(): value.encode() for key, value in about.items()
    }


def test_counts_that_are_not_known_are_na(tmp_path):
    model = inspector.open(PRUNED)
    frame = model.to_frame(measure=False)
    assert not model.is_measured
    assert frame["zeros"].isna().all()
    assert frame["elements"].sum() == 5347
    assert model.to_arrow(measure=False)["zeros"].null_count == 19


def test_layers_have_a_column_of_elements_a_role(model):
    frame = model.to_frame("layers").set_index("name")
    row = frame.loc["prune_low_magnitude_dense"]
    # Dense(64) of 10 inputs: 640 + 64 weights, a mask of 640, a threshold and a step.
    assert row["elements_weight"] == 704
    assert row["elements_mask"] == 640
    assert row["count_params"] == 704 + 640 + 2
    assert row["overhead"] == 642
    assert row["zeros"] == 320


def test_roles_come_in_their_own_order(model):
    order = list(model.to_frame()["role"].cat.categories)
    assert order == [role for role in map(str, inspector.Role) if role in order]


def test_a_difference_is_a_row_a_pair(made):
    frame = made["diff"].to_frame()
    assert frame["status"].value_counts().to_dict() == {"removed": 15, "unchanged": 4}
    kept = frame[frame["status"] == "unchanged"]
    assert kept["elements_a"].sum() == kept["elements_b"].sum() == 1354
    assert kept["same_bits"].all()
    gone = frame[frame["status"] == "removed"]
    assert gone["name_b"].isna().all()
    assert gone["elements_a"].sum() == 1280 + 4 + 2 * 1354 + 1


def test_a_reconciliation_is_a_row_a_line(made):
    frame = made["reconcile"].to_frame()
    assert frame["elements"].sum() == samples.expected("pruned.h5")["file"]["elements"]
    assert frame["count_params"].sum() == samples.expected("pruned.h5")["count_params"]
    assert frame["count_params_b"].sum() == samples.expected("stripped.h5")["count_params"]
    assert set(made["reconcile"].to_frame("pairs")["agrees"]) == {"bits"}


def test_an_audit_is_a_row_a_finding(made):
    frame = made["audit"].to_frame()
    assert "leftover-pruning" in set(frame["code"])
    assert frame["fails"].any()


def test_no_finding_is_no_row():
    frame = inspector.audit(STRIPPED, select=["leftover"]).to_frame()
    assert len(frame) == 0
    assert frame["severity"].dtype == "category"


def test_infinities_and_nan_are_numbers(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.array([[np.inf, -np.inf], [np.nan, 0]], "f4")
        file["layers/dense/vars/1"] = np.array([1, 2], "f4")
    row = inspector.open(path).to_frame().set_index("name").loc["layers/dense/vars/0"]
    assert (row["min"], row["max"]) == (-np.inf, np.inf)
    assert (row["nan"], row["inf"], row["zeros"]) == (1, 2, 1)


def test_a_count_past_64_bits_is_told(model):
    tensor = replace(model.structure.tensors[0], elements=2**63)
    shown = report("show", (replace(model.structure, tensors=(tensor,)),))
    with pytest.raises(UsageError, match="elements 9,223,372,036,854,775,808 is past 64 bits"):
        shown.to_frame()
    fits = replace(tensor, elements=2**63 - 1)
    shown = report("show", (replace(model.structure, tensors=(fits,)),))
    assert shown.to_arrow()["elements"][0].as_py() == 2**63 - 1


def test_a_table_that_there_is_not_is_told(model):
    with pytest.raises(UsageError, match=r"'rows' is no table .* tensors, layers, roles"):
        model.to_frame("rows")


@pytest.mark.parametrize(("package", "how"), [("pandas", "to_frame"), ("pyarrow", "to_arrow")])
def test_what_is_not_installed_is_named_with_what_installs_it(model, monkeypatch, package, how):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf'{package} .*pip install "tf-inspector\[frame\]"'):
        getattr(model, how)()
