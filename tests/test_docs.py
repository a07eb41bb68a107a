"""The documents show what the tool prints and what TensorFlow said; their links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import inspector

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "why-pruning-adds-parameters.md"
FIGURES = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]

MEASURED = re.compile(r"(?ms)^```console\n.*?^```$|^<!-- figures.*?^<!-- end -->$")
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


@pytest.mark.parametrize(
    "script", ["make_audit_docs.py", "make_readme.py", "make_reference.py", "why_pruning.py"]
)
def test_what_is_shown_is_what_was_printed_and_measured(script):
    done = subprocess.run(
        [sys.executable, f"scripts/{script}", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_to_files(document):
    links = re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    gone = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert gone == []


def test_the_makefile_of_the_page_on_diff_fails_when_the_model_is_not_the_reviewed_one(tmp_path):
    assert shutil.which("make"), "this test runs make: put it on the PATH"
    page = (ROOT / "docs" / "diff.md").read_text(encoding="utf-8")
    recipe = re.findall(r"```make\n(.*?)```", page, re.DOTALL)[0]
    (tmp_path / "Makefile").write_text(recipe, encoding="utf-8")
    (tmp_path / "build").mkdir()
    command = tmp_path / "inspect"
    script = f'#!/bin/sh\nexec "{sys.executable}" -m inspector "$@"\n'
    command.write_text(script, encoding="utf-8")
    command.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def make(target, sample):
        model = tmp_path / "build" / "model.h5"
        shutil.copy(ROOT / "sample_models" / sample, model)
        return subprocess.run(
            ["make", target], cwd=tmp_path, env=environment, capture_output=True, check=False
        ).returncode

    assert make("accept-model", "stripped.h5") == 0
    assert make("check-model", "stripped.h5") == 0
    assert make("check-model", "clustered_stripped.h5") != 0


def test_every_number_in_the_words_of_the_page_was_measured():
    page = PAGE.read_text(encoding="utf-8")
    known = set(NUMBER.findall(" ".join(MEASURED.findall(page))))
    known |= set(NUMBER.findall(f"{FIGURES['sizes']['model']['before']:,}"))
    words = re.sub(r"`[^`]*`|LeNet-300-100|1×1", "", MEASURED.sub("", page))
    assert set(NUMBER.findall(words)) - known - {"1", "2", "3"} == set()


@pytest.mark.parametrize(
    ("sample", "step"),
    [
        ("pruned.h5", "wrapped, trained"),
        ("pruned.keras", "wrapped, trained"),
        ("pruned.weights.h5", "wrapped, trained"),
        ("saved_pruned", "wrapped, trained"),
        ("ckpt_pruned.index", "wrapped, trained"),
        ("stripped.h5", "stripped"),
        ("stripped.keras", "stripped"),
        ("saved_stripped", "stripped"),
    ],
)
def test_the_files_say_what_the_live_models_said(sample, step):
    totals = inspector.show(str(ROOT / "sample_models" / sample)).artifacts[0].totals
    live = FIGURES["question"]["steps"][step]
    assert totals.count_params == live["count_params"]
    assert totals.after_strip in {FIGURES["question"]["steps"]["stripped"]["count_params"], None}
    if totals.trainable is not None:
        assert totals.trainable == live["trainable"]


def test_what_is_added_is_a_mask_and_a_threshold_for_each_weight_and_a_step_for_each_wrapper():
    # Dense(10) on 64 inputs: a mask of 64 x 10, one threshold, one step.
    added = {row["layer"]: row["added"] for row in FIGURES["layers"]}
    assert added["Dense(10)"] == 64 * 10 + 1 + 1
    # LSTM(5) on 6 features: four gates of 5, from 6 inputs and from 5 states; two thresholds.
    assert added["LSTM(5)"] == (6 * 20 + 1) + (5 * 20 + 1) + 1
    # Of SeparableConv2D(6, 3) on 3 channels only the pointwise kernel, 1 x 1 x 3 x 6.
    assert added["SeparableConv2D(6, 3)"] == 3 * 6 + 1 + 1
    assert added["ReLU()"] == added["BatchNormalization()"] == added["DepthwiseConv2D(3)"] == 1


def test_what_is_added_is_the_same_whatever_the_schedule_and_the_sparsity():
    # Masks of 10 x 64 and 64 x 10, two thresholds, two steps.
    assert {row["added"] for row in FIGURES["schedules"]} == {640 + 640 + 2 + 2}
    for row in FIGURES["schedules"]:
        assert row["zeros"] == round(1280 * row["target"])


def test_masks_are_as_large_as_what_they_mask_and_steps_are_int64():
    rows = [*FIGURES["layers"], *FIGURES["policies"], FIGURES["sizes"]["model"]]
    assert all(mask["as the weight"] for row in rows for mask in row["masks"])
    assert all(row["step dtypes"] == ["int64"] for row in rows)


def test_what_the_page_says_of_the_api_is_what_the_api_said():
    said = FIGURES["said"]
    assert said["pruning_vars is a list"]
    assert [len(entry) for entry in said["pruning_vars holds"]] == [3]
    assert not said["_pruning_variables exists"]
    assert (said["get_weights"], len(said["weights"])) == (2, 5)
    assert said["unbuilt"].startswith("ValueError")
    assert said["unbuilt, wrapped"].startswith("ValueError")
