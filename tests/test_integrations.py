"""What other tools run: the hook for pre-commit, the action for GitHub, the recipe for make."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.builders import samples
from tests.builders.terminal import call

ROOT = Path(__file__).resolve().parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
PAGE = (ROOT / "docs" / "audit.md").read_text("utf-8")

STOP = re.compile(r"::stop-commands::(\S+)\n(.*?)::\1::\n", re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a model that passes and one that does not."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(samples.path("stripped.h5"), "good model.h5")
    shutil.copyfile(samples.path("pruned.h5"), "pruned.h5")
    return tmp_path


# pre-commit


def test_the_hook_has_what_pre_commit_needs():
    assert {"id", "name", "entry", "language", "files"} <= set(HOOK)
    assert HOOK["id"] == "inspect-audit"
    assert HOOK["language"] == "python"


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("models/m.h5", True),
        ("m.weights.h5", True),
        ("m.hdf5", True),
        ("m.keras", True),
        ("m.tflite", True),
        ("export/saved_model.pb", True),
        ("export/fingerprint.pb", False),
        ("keras_metadata.pb", False),
        ("m.h5.txt", False),
        ("h5", False),
        ("notes_h5", False),
        ("m.py", False),
    ],
)
def test_the_hook_is_for_files_that_are_models(path, taken):
    fits = re.search(HOOK["files"], path) and not re.search(HOOK["exclude"], path)
    assert bool(fits) == taken


def test_the_hook_fails_on_a_model_that_must_not_ship(folder):
    program, *arguments = shlex.split(HOOK["entry"])
    assert program == "inspect"
    assert call(*arguments, "good model.h5").code == 0
    assert call(*arguments, "good model.h5", "pruned.h5").code == 1


# GitHub


def test_the_action_is_composite_and_says_what_each_input_is():
    assert ACTION["runs"]["using"] == "composite"
    for group in (ACTION["inputs"], ACTION["outputs"]):
        assert all(one["description"] for one in group.values())
    steps = ACTION["runs"]["steps"]
    assert all("shell" in one for one in steps if "run" in one)


def test_no_input_is_a_part_of_a_script():
    assert not [one for one in ACTION["runs"]["steps"] if "${{" in one.get("run", "")]
    used = re.findall(r"inputs\.([\w-]+)", json.dumps(ACTION["runs"]))
    assert set(used) == set(ACTION["inputs"])


def run_action(folder, **inputs):
    """Run the action's last step as the runner does: (exit code, stdout, outputs, summary)."""
    step = ACTION["runs"]["steps"][-1]
    given = {
        name.upper().replace("-", "_"): inputs.get(name.replace("-", "_"), one.get("default", ""))
        for name, one in ACTION["inputs"].items()
    }
    runner = folder / "runner"
    runner.mkdir()
    for name in ("output", "summary"):
        (runner / name).touch()
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            **os.environ,
            **{f"AUDIT_{name}": value for name, value in given.items()},
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "PYTHONSAFEPATH": step["env"]["PYTHONSAFEPATH"],
            "RUNNER_TEMP": str(runner),
            "GITHUB_OUTPUT": str(runner / "output"),
            "GITHUB_STEP_SUMMARY": str(runner / "summary"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in (runner / "output").read_text().splitlines())
    assert outputs["exit-code"] == str(done.returncode), done.stderr
    return done, outputs, (runner / "summary").read_text()


def test_each_input_of_the_action_has_a_variable():
    env = ACTION["runs"]["steps"][-1]["env"]
    taken = {
        f"AUDIT_{name.upper().replace('-', '_')}": f"${{{{ inputs.{name} }}}}"
        for name in ACTION["inputs"]
        if name != "python-version"
    }
    assert taken.items() <= env.items()


def test_the_action_fails_with_annotations_a_log_a_summary_and_sarif(folder):
    done, outputs, summary = run_action(folder, paths="good model.h5\n\npruned.h5\n")
    assert done.returncode == 1
    assert "::error file=pruned.h5,title=leftover-pruning::" in done.stdout
    assert "leftover-pruning" in STOP.search(done.stdout)[2]
    assert summary.startswith("**Audit failed: ")
    log = json.loads((folder / outputs["sarif"]).read_text("utf-8"))
    assert log["runs"][0]["results"][0]["ruleId"] == "leftover-pruning"


def test_the_action_passes_and_writes_no_sarif_where_none_is_wanted(folder):
    done, outputs, _ = run_action(folder, paths="good*.h5", sarif="")
    assert done.returncode == 0
    assert set(outputs) == {"exit-code"}
    assert not list(folder.glob("*.sarif"))


def test_the_action_hands_its_inputs_on(folder):
    (folder / "own.toml").write_text("fail-on = 'never'")
    assert run_action(folder, paths="pruned.h5", policy="own.toml")[0].returncode == 0


def test_an_input_is_no_command_and_no_option(folder):
    done, _, _ = run_action(folder, paths='$(touch owned)"; touch owned #\n--version')
    assert done.returncode == 2
    assert not (folder / "owned").exists()


def test_nothing_in_the_working_directory_is_imported(folder):
    for name in ("numpy.py", "inspector.py", "json.py", "secrets.py"):
        (folder / name).write_text("raise SystemExit('imported')")
    assert run_action(folder, paths="good model.h5")[0].returncode == 0


def test_what_was_suppressed_is_no_alert(folder):
    assert call("audit", "pruned.h5", "--format", "json", "-o", "known.json").code == 1
    done, outputs, summary = run_action(folder, paths="pruned.h5", baseline="known.json")
    assert done.returncode == 0
    assert "3 not shown: in the baseline (3)" in summary
    assert json.loads((folder / outputs["sarif"]).read_text("utf-8"))["runs"][0]["results"] == []


def test_a_policy_that_is_wrong_fails_the_action_with_what_is_wrong(folder):
    (folder / "own.toml").write_text("selct = 1")
    done, outputs, _ = run_action(folder, paths="pruned.h5", policy="own.toml")
    assert done.returncode == 2
    assert "own.toml:1:1" in done.stderr
    assert "sarif" not in outputs


# docs/audit.md


def test_the_policy_in_the_page_is_one(folder):
    (policy,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (folder / "inspector.toml").write_text(policy, "utf-8")
    result = call("audit", "good model.h5", "--format", "json")
    assert result.err == ""
    assert json.loads(result.out)["audit"]["fail_on"] == "warning"


def test_the_workflows_in_the_page_are_yaml_and_use_what_there_is():
    action, hooks, gitlab = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    step = action["jobs"]["audit"]["steps"][1]
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert (
        action["jobs"]["audit"]["steps"][2]["with"]["sarif_file"]
        == (ACTION["inputs"]["sarif"]["default"])
    )
    assert hooks["repos"][0]["hooks"][0]["id"] == HOOK["id"]
    assert gitlab["audit"]["artifacts"]["reports"]["junit"] in gitlab["audit"]["script"]


def test_the_recipe_in_the_page_fails_on_a_model_that_must_not_ship(tmp_path):
    assert shutil.which("make"), "this test runs make: put it on the PATH"
    (recipe,) = re.findall(r"```make\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "Makefile").write_text(recipe, "utf-8")
    (tmp_path / "build").mkdir()
    command = tmp_path / "inspect"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m inspector "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def make(sample):
        shutil.copyfile(samples.path(sample), tmp_path / "build" / "model.h5")
        return subprocess.run(
            ["make", "audit-model"], cwd=tmp_path, env=environment, capture_output=True, check=False
        ).returncode

    assert make("stripped.h5") == 0
    assert make("pruned.h5") != 0
