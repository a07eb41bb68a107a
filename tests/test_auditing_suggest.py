import json
import os
import shutil
import tomllib
import zipfile

import pytest
from msgspec.structs import replace

from inspector import api
from inspector.auditing.policy import Policy
from inspector.auditing.policy_file import Policies
from inspector.auditing.rules import RULES
from inspector.auditing.suggest import Subject, place, suggest
from inspector.errors import UsageError
from inspector.model import Severity
from inspector.report import Finding
from tests.builders import samples

CODES = [one.code for one in RULES]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name, sample):
    source = samples.path(sample)
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    (shutil.copytree if os.path.isdir(source) else shutil.copyfile)(source, name)


def finding(code, message="so", severity=Severity.WARNING):
    return Finding(code, severity, message, "m.h5", None, None, None)


def suggested(path, *findings):
    (artifact,) = api.show(path).artifacts
    return suggest([Subject(artifact, findings)], os.getcwd())


@pytest.mark.parametrize(
    "sample",
    [
        *("pruned.h5", "stripped_2by4.h5", "qat.h5", "k3_npz.keras", "saved_pruned", "k3_dir"),
        *("lite_sparse_block.tflite", "lite_custom.tflite", "frozen_contrib_pruned.pb"),
    ],
)
def test_an_artifact_passes_the_policy_that_was_made_of_it(folder, sample):
    put(sample, sample)
    at, text = api.suggest_policy(sample)
    assert at == "inspector.toml"
    (folder / at).write_text(text, encoding="utf-8")
    report = api.audit(sample, fail_on="warning")
    assert report.audit.policy == "inspector.toml"
    assert not report.audit.failed, report.findings


def test_several_artifacts_pass_one_policy_with_what_each_claims(folder):
    names = ["a/stripped.h5", "b/stripped_2by4.h5", "b/k3.keras"]
    for name in names:
        put(name, os.path.basename(name))
    at, text = api.suggest_policy(["a", "b"], recursive=True)
    (folder / at).write_text(text, encoding="utf-8")
    said = tomllib.loads(text)
    of = {one["paths"][0]: one for one in said["overrides"]}
    assert list(of) == ["./a/stripped.h5", "./b/k3.keras", "./b/stripped_2by4.h5"]
    assert of["./b/stripped_2by4.h5"]["sparsity"]["patterns"] == {"dense": "2:4", "dense_1": "2:4"}
    assert set(of["./b/k3.keras"]) == {"paths", "runtime"}
    assert not api.audit(["a", "b"], recursive=True, fail_on="warning").audit.failed


def test_budgets_have_the_room_that_is_said():
    said = tomllib.loads(suggested(samples.path("stripped.h5")))
    # What live Keras counts of it is 1,354; a tenth more is 1,489.4, in three digits 1,490.
    assert said["budgets"]["count-params"] == 1490
    nbytes = os.path.getsize(samples.path("stripped.h5"))
    assert 1.1 * nbytes <= said["budgets"]["nbytes"] < 1.1 * nbytes + 100
    assert "1,354 today, and 10 % of room" in suggested(samples.path("stripped.h5"))


@pytest.mark.parametrize("sample", ["pruned.h5", "stripped.h5"])
def test_claims_are_what_layers_have_rounded_down(sample):
    said = tomllib.loads(suggested(samples.path(sample)))["sparsity"]
    # Half of each kernel is pruned: 320 of 704 values with the biases, and 320 of 650.
    assert sorted(said["layers"].values()) == [0.45, 0.49]
    assert said["overall"] == 0.47  # 640 of 1,354


def test_a_dense_model_claims_nothing():
    assert "sparsity" not in tomllib.loads(suggested(samples.path("k3.keras")))


def test_versions_are_those_of_the_producer():
    with zipfile.ZipFile(samples.path("k3.keras")) as archive:
        version = json.loads(archive.read("metadata.json"))["keras_version"]
    keras = tomllib.loads(suggested(samples.path("k3.keras")))["runtime"]
    assert keras == {"keras": version}
    assert "litert" in tomllib.loads(suggested(samples.path("lite_int8.tflite")))["runtime"]


def test_what_is_found_is_ignored_by_code_with_a_comment():
    text = suggested(
        samples.path("k3.keras"), finding("number-nan", "3 of them"), finding("number-nan")
    )
    assert tomllib.loads(text)["ignore"] == ["number-nan"]
    assert "  # warning: 3 of them, and 1 more\n" in text


def test_what_may_be_an_attack_is_allowed_for_these_bytes_only():
    text = suggested(
        samples.path("k3.keras"),
        finding("safety-lambda", severity=Severity.ERROR),
        finding("safety-custom", severity=Severity.INFO),
    )
    said = tomllib.loads(text)
    assert "ignore" not in said
    (allowed,) = said["allow"]
    assert allowed["codes"] == ["safety-lambda"]
    assert allowed["digest"].startswith("sha256:")


def test_an_unreadable_file_is_allowed_as_it_is(folder):
    (folder / "m.h5").write_text("nothing")
    at, text = api.suggest_policy("m.h5")
    (folder / at).write_text(text)
    assert not api.audit("m.h5").audit.failed
    (folder / "m.h5").write_text("nothing else")
    assert api.audit("m.h5").audit.failed


@pytest.mark.parametrize(
    "text", ['a"b', "a\\b", 'x"\n[[allow]]\n', "\x00\x7f\x1b[0m", "ünï 😀", "\udcff", "[x]*?"]
)
def test_text_from_a_file_stays_where_it_is_put(text):
    (artifact,) = api.show(samples.path("stripped.h5")).artifacts
    tensors = tuple(
        replace(one, layer=text) if one.layer == "dense" else one for one in artifact.tensors
    )
    layers = tuple(
        replace(one, name=text) if one.name == "dense" else one for one in artifact.layers
    )
    odd = replace(artifact, tensors=tensors, layers=layers)
    made = suggest([Subject(odd, (finding("number-nan", text),))], os.getcwd())
    said = tomllib.loads(made.encode().decode())
    assert set(said) == {"select", "ignore", "fail-on", "budgets", "sparsity", "runtime"}
    assert len(said["sparsity"]["layers"]) == 2


def test_a_policy_is_written_where_it_is_found_from_all_of_them(folder):
    policies = Policies(CODES)
    assert place(["a/m.h5", "b/m.h5"], None, policies) == "inspector.toml"
    outside = [str(folder.parent / "x" / one / "m.h5") for one in ("a", "b")]
    assert place(outside, None, policies) == os.path.join("..", "x", "inspector.toml")
    assert place(["a/m.h5"], "p.toml", policies) == "p.toml"


def test_nothing_is_overwritten_and_no_nearer_policy_overlooked(folder):
    (folder / "inspector.toml").write_text("")
    with pytest.raises(UsageError, match="is there already"):
        api.suggest_policy(samples.path("k3.keras"), output="inspector.toml")
    os.remove("inspector.toml")
    put("a/m.h5", "stripped.h5")
    (folder / "a" / "inspector.toml").write_text("")
    with pytest.raises(UsageError, match="it is nearer"):
        api.suggest_policy("a/m.h5")


def test_the_default_policy_is_what_an_empty_suggestion_is():
    said = tomllib.loads(suggest([], os.getcwd()))
    assert said == {"select": list(Policy().select), "fail-on": Policy().fail_on}
