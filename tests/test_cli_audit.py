import json
import os
import shutil
import zipfile

import pytest

import inspector
from inspector.auditing.policy import Policy
from inspector.auditing.rule import Needs
from inspector.auditing.rules import RULES
from inspector.errors import NotFound, UsageError
from inspector.render import AUDITS
from tests.builders import samples
from tests.builders.terminal import call

LINT = "integrity-unknown-format"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a sound model and a file that is none."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(samples.path("stripped.h5"), "good.h5")
    (tmp_path / "bad.h5").write_text("no model")
    return tmp_path


def codes(result):
    return [one["code"] for one in json.loads(result.out)["findings"]]


def test_a_sound_model_passes(folder):
    result = call("audit", "good.h5")
    assert (result.code, result.err) == (0, "")
    assert "passed" in result.out


def test_a_finding_fails_with_1_and_is_shown_with_its_fix(folder):
    result = call("audit", "good.h5", "bad.h5")
    assert (result.code, result.err) == (1, "")
    assert LINT in result.out
    assert "bad.h5" in result.out
    assert "failed" in result.out


@pytest.mark.parametrize(
    ("fail_on", "code"), [("info", 1), ("warning", 1), ("error", 1), ("never", 0)]
)
def test_fail_on_is_the_severity_that_fails(folder, fail_on, code):
    assert call("audit", "bad.h5", "--fail-on", fail_on).code == code
    (folder / "inspector.toml").write_text(f"fail-on = '{fail_on}'")
    assert call("audit", "bad.h5").code == code
    assert call("audit", "bad.h5", "--fail-on", "error").code == 1


def test_a_severity_of_the_policy_decides_too(folder):
    (folder / "inspector.toml").write_text(f"severity = {{ {LINT} = 'warning' }}")
    assert call("audit", "bad.h5").code == 0
    assert call("audit", "bad.h5", "--fail-on", "warning").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("nix.h5",),
        ("*.keras",),
        ("empty",),
        ("good.h5", "--policy", "nix.toml"),
        ("good.h5", "--policy", "broken.toml"),
        ("good.h5", "--select", "nix"),
        ("good.h5", "--ignore", "nix"),
        ("good.h5", "--baseline", "good.h5"),
        ("good.h5", "bad.h5", "--against", "good.h5"),
        ("good.h5", "--against", "nix.h5"),
        ("good.h5", "--policy", "x", "--no-policy"),
        ("good.h5", "--fail-on", "nix"),
        ("good.h5", "-o", "good.h5"),
        (),
    ],
)
def test_bad_usage_is_2_and_says_nothing_on_stdout(folder, arguments):
    (folder / "broken.toml").write_text("selct = 1")
    (folder / "empty").mkdir()
    result = call("audit", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("inspect: ")


def test_a_wrong_policy_is_found_before_anything_is_read(folder):
    (folder / "inspector.toml").write_text("[budgets]\n\n  nbyts = 1\n")
    result = call("audit", "good.h5")
    path = os.path.join(folder, "inspector.toml")
    assert (
        result.err
        == f"inspect: {path}:3:3: unknown key 'nbyts' in budgets; did you mean 'nbytes'?\n"
    )
    assert call("audit", "good.h5", "--no-policy").code == 0


def test_a_policy_may_be_named(folder):
    (folder / "own.toml").write_text(f"ignore = ['{LINT}']")
    assert call("audit", "bad.h5", "--policy", "own.toml").code == 0
    assert "own.toml" in call("audit", "bad.h5", "--policy", "own.toml").out


def test_select_stands_in_place_of_the_policy_s_and_ignore_beside_it(folder):
    (folder / "inspector.toml").write_text("select = ['number']\nignore = ['safety']")
    plain = json.loads(call("audit", "good.h5", "--format", "json").out)["audit"]
    always = sum(one.always for one in RULES)

    def asked(*families):
        chosen = [one for one in RULES if one.family in families and not one.always]
        return always + sum(one.needs is not Needs.ORIGINAL for one in chosen)

    assert plain["rules"] == asked("number")
    told = call("audit", "good.h5", "--select", "number", "--select", "quant", "--format", "json")
    assert json.loads(told.out)["audit"]["rules"] == asked("number", "quant")
    less = call("audit", "good.h5", "--select", "all", "--ignore", "quant", "--format", "json")
    assert json.loads(less.out)["audit"]["rules"] == asked(
        *({one.family for one in RULES} - {"quant", "safety"})
    )


def test_each_artifact_is_held_to_its_own_policy(folder):
    for name in ("a", "b"):
        os.mkdir(name)
        shutil.copyfile("bad.h5", f"{name}/m.h5")
    (folder / "a" / "inspector.toml").write_text("fail-on = 'never'")
    assert call("audit", "a/m.h5").code == 0
    result = call("audit", "a/m.h5", "b/m.h5", "--format", "json")
    said = json.loads(result.out)["audit"]
    assert result.code == 1
    assert said["policy"] == os.path.join("a", "inspector.toml")
    assert said["fail_on"] == "error"
    assert (
        f"several policies: {said['policy']} (1 artifact), the default one (1 artifact)"
        in said["notes"]
    )


def test_folders_are_looked_through_and_what_is_no_model_there_is_a_note(folder):
    with zipfile.ZipFile("data.zip", "w") as archive:
        archive.writestr("x.txt", "x")
    result = call("audit", ".", "--recursive", "--format", "json")
    report = json.loads(result.out)
    assert [one["path"] for one in report["artifacts"]] == ["bad.h5", "good.h5"]
    assert result.code == 1
    assert "1 file is no model: data.zip" in report["audit"]["notes"]
    assert call("audit", "data.zip").code == 1
    os.mkdir("data")
    shutil.move("data.zip", "data")
    result = call("audit", "data", "--recursive")
    assert (result.code, result.err) == (2, "inspect: 1 file is no model: data/data.zip\n")


def test_a_baseline_leaves_what_is_new(folder):
    assert call("audit", "bad.h5", "--format", "json", "-o", "known.json").code == 1
    known = call("audit", "bad.h5", "--baseline", "known.json", "--format", "json")
    assert (known.code, codes(known)) == (0, [])
    assert json.loads(known.out)["audit"]["suppressed"][0]["why"] == "baseline"
    shutil.copyfile("bad.h5", "worse.h5")
    assert call("audit", "worse.h5", "--baseline", "known.json").code == 1


def test_without_values_rules_of_values_are_a_note(folder):
    result = call("audit", "good.h5", "--no-measure", "--format", "json")
    notes = json.loads(result.out)["audit"]["notes"]
    assert any("--no-measure" in note and "number-nan" in note for note in notes)


def test_init_writes_a_policy_that_passes_and_overwrites_none(folder):
    first = call("audit", "good.h5", "bad.h5", "--init")
    assert (first.code, first.out) == (
        0,
        "inspector.toml: written; read it, and keep what is meant.\n",
    )
    passed = call("audit", "good.h5", "bad.h5")
    assert passed.code == 0
    assert "inspector.toml" in passed.out
    again = call("audit", "good.h5", "--init")
    assert again.code == 2
    assert "is there already" in again.err
    assert call("audit", "good.h5", "--init", "-o", "other.toml").code == 0
    assert os.path.exists("other.toml")


def test_the_function_says_what_the_command_does(folder):
    report = inspector.audit(["good.h5", "bad.h5"])
    assert report.command == "audit"
    assert report.audit.failed
    assert [one.path for one in report.artifacts] == ["good.h5", "bad.h5"]
    assert LINT in [one.code for one in report.findings]
    assert not inspector.audit("bad.h5", policy=Policy(), fail_on="never").audit.failed
    with pytest.raises(NotFound):
        inspector.audit("nix.h5")
    with pytest.raises(UsageError, match="no audit rule is called 'nix'"):
        inspector.audit("good.h5", policy=Policy(select=("nix",)))


@pytest.mark.parametrize("format_", AUDITS)
def test_every_format_names_the_finding(folder, format_):
    result = call("audit", "bad.h5", "--format", format_)
    assert result.code == 1
    assert LINT in result.out


def test_rules_lists_those_of_an_audit_and_explains_each():
    listed = call("rules").out
    for one in RULES:
        assert f"  {one.code} " in listed
    explained = call("rules", LINT).out
    (rule,) = (one for one in RULES if one.code == LINT)
    flat = " ".join(explained.split())
    assert rule.summary in flat
    assert rule.fix in flat
    assert "[error]" in flat


# Several formats at once, and those that only findings have


def test_one_audit_is_written_in_several_formats(folder):
    plain = call("audit", "good.h5", "bad.h5")
    result = call("audit", "good.h5", "bad.h5", "--also", "sarif=a.sarif", "--also", "junit=a.xml")
    assert (result.code, result.out) == (1, plain.out)
    alone = call("audit", "good.h5", "bad.h5", "--format", "sarif").out
    assert (folder / "a.sarif").read_text() == alone
    assert (folder / "a.xml").read_text().startswith("<?xml")


@pytest.mark.parametrize("also", ["sarif", "sarif=", "=a.sarif", "pdf=a.pdf", "sarif=good.h5"])
def test_what_is_no_format_and_file_is_bad_usage(folder, also):
    before = (folder / "good.h5").read_bytes()
    result = call("audit", "good.h5", "--also", also)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("inspect: --also ")
    assert (folder / "good.h5").read_bytes() == before


@pytest.mark.parametrize("format_", ["sarif", "junit", "github"])
@pytest.mark.parametrize("command", ["show", "reconcile"])
def test_formats_of_findings_are_not_for_other_commands(folder, command, format_):
    result = call(command, "good.h5", "--format", format_)
    assert (result.code, result.out) == (2, "")
    assert f"'{format_}' is not one of" in result.err


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("ignore = ['safety']", True),
        ("fail-on = 'never'", True),
        ("[severity]\nsafety = 'info'", True),
        ("ignore = ['leftover']", False),
        ("select = ['safety', 'integrity']", False),
    ],
)
def test_a_policy_that_came_with_the_models_and_spares_them_is_told(folder, policy, told):
    (folder / "theirs").mkdir()
    shutil.copy(folder / "good.h5", folder / "theirs" / "m.h5")
    (folder / "theirs" / "inspector.toml").write_text(policy)
    note = "note: theirs/inspector.toml came along with the models"
    assert (note in call("audit", "theirs/m.h5").out) is told
    assert note not in call("audit", "theirs/m.h5", "--policy", "theirs/inspector.toml").out
    (folder / "inspector.toml").write_text(policy)
    assert "came along" not in call("audit", "good.h5").out


def test_rules_of_a_family_are_listed_by_its_name():
    listed = call("rules", "safety").out
    assert "safety-lambda" in listed
    assert "leftover-copy" not in listed
    assert call("rules", "safety-zip").out.count("safety-zip-") == listed.count("safety-zip-")
    assert call("rules", "saf").code == 2


def test_a_report_that_has_a_name_of_no_unicode_is_a_baseline(folder):
    os.rename(folder / "bad.h5", os.fsencode(folder) + b"/\xff.h5")
    assert call("audit", ".", "--format", "json", "-o", "known.json").code == 1
    again = call("audit", ".", "--baseline", "known.json")
    assert again.code == 0
    assert "in the baseline" in again.out
