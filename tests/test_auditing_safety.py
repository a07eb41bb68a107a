"""Each attack is found, where it stands and without touching what it names; its twins are not."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from inspector.auditing.containers import contents
from inspector.auditing.look import audit_context
from inspector.auditing.policy import Policy
from inspector.auditing.rule import Context, Needs
from inspector.auditing.rules.safety import RULES
from inspector.model import Severity
from tests.builders import attacks as a
from tests.builders import attacks_common as common
from tests.builders import attacks_configs, attacks_files, attacks_graphs, samples
from tests.builders import attacks_keras as keras
from tests.builders import cases as c
from tests.builders import saved_models as sm

_ROOT = Path(__file__).parent.parent
_WORST = {Severity.WARNING, Severity.ERROR}


def findings(path, policy=None):
    """(code, severity, finding) of each thing that the rules find."""
    context = Context(path, policy or Policy(), contents=contents(path))
    return [
        (rule.code, found.severity or rule.severity, found)
        for rule in RULES
        for found in rule.check(context)
    ]


def alarms(path, policy=None):
    return [(code, found) for code, severity, found in findings(path, policy) if severity in _WORST]


def of(code, path, policy=None):
    return [found for one, _, found in findings(path, policy) if one == code]


def text(found):
    return f"{found.message} {found.evidence} {found.path}"


def attack(name):
    return next(one for one in (*a.ATTACKS, *a.TWINS) if one.name == name)


# --- attacks and twins --------------------------------------------------------------------------


@pytest.mark.parametrize("one", a.ATTACKS, ids=lambda one: one.name)
def test_an_attack_is_found_and_nothing_else_is_said(one, tmp_path):
    found = alarms(one.make(str(tmp_path)))
    assert {code for code, _ in found} == set(one.codes)
    said = " ".join(text(each) for _, each in found)
    for what in one.says:
        assert what in said


@pytest.mark.parametrize("twin", a.TWINS, ids=lambda twin: twin.name)
def test_a_twin_is_none(twin, tmp_path):
    assert alarms(twin.make(str(tmp_path))) == []


def test_each_rule_has_an_attack_that_fires_or_a_note():
    fired = {code for one in a.ATTACKS for code in one.codes}
    notes = {"safety-custom", "safety-url"}  # never an alarm
    assert {rule.code for rule in RULES} == fired | notes


def test_every_known_number_has_an_attack():
    wanted = """
        CVE-2024-3660 CVE-2024-55459 CVE-2025-1550 CVE-2025-8747 CVE-2025-9905 CVE-2025-9906
        CVE-2025-12058 CVE-2025-12060 CVE-2025-12638 CVE-2026-0897 CVE-2026-1462 CVE-2026-1669
    """
    assert set(wanted.split()) <= {one.cve for one in a.ATTACKS}


def test_names_of_attacks_are_unique():
    names = [one.name for one in (*a.ATTACKS, *a.TWINS)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["hdf5-link-h5", "hdf5-storage-h5", "hdf5-virtual-h5"])
def test_the_report_is_the_same_whether_the_target_is_there_or_not(name, tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()
    monkeypatch.setattr(attacks_files, "NOWHERE", str(target))
    path = attack(name).make(str(tmp_path))
    before = alarms(path)
    with h5py.File(target / "other.h5", "w") as file:
        file["kernel"] = np.full((4, 3), 7, "f4")
    (target / "secret").write_bytes(b"\x07" * 48)
    assert alarms(path) == before != []


# --- code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lambda-list-h5", "lambda-dict-keras"])
def test_code_is_measured_and_digested_once_decoded(name, tmp_path):
    (found,) = of("safety-lambda", attack(name).make(str(tmp_path)))
    digest = hashlib.sha256(common.CODE).hexdigest()
    assert f"{len(common.CODE):,} bytes of code, sha256 {digest}" in found.evidence
    assert found.layer == "twice"


def test_three_lambdas_are_three_findings_with_their_places(tmp_path):
    layers = [c.layer("Lambda", name, function=keras.KERAS2_CODE) for name in ("x", "y", "z")]
    path = str(tmp_path / "m.keras")
    c.archive(path, c.sequential(*layers), {})
    found = of("safety-lambda", path)
    assert [one.layer for one in found] == ["x", "y", "z"]
    assert [one.evidence.partition(": f")[0] for one in found] == [
        f"config.json: $.config.layers[{at}]" for at in range(3)
    ]


def test_what_a_saved_model_repeats_is_said_once(tmp_path):
    config = c.sequential(c.layer("Lambda", "twice", function=keras.KERAS2_CODE))
    path = attacks_configs.in_saved({**config, "model_config": config})(str(tmp_path))
    assert len(of("safety-lambda", path)) == 1


def test_of_hdf5_it_is_said_that_safe_mode_does_not_help(tmp_path):
    (found,) = of("safety-lambda", attack("lambda-list-h5").make(str(tmp_path)))
    assert "safe_mode has no effect" in found.message


def test_of_an_archive_that_is_not_said(tmp_path):
    (found,) = of("safety-lambda", attack("lambda-list-keras").make(str(tmp_path)))
    assert "safe_mode" not in found.message


def test_a_lambda_that_keeps_no_code_is_a_warning(tmp_path):
    path = attack("lambda-names-a-function").make(str(tmp_path))
    assert [severity for code, severity, _ in findings(path)] == [Severity.WARNING]


# --- custom objects -------------------------------------------------------------------------------


def test_registered_classes_are_notes(tmp_path):
    found = findings(attack("registered").make(str(tmp_path)))
    assert [(code, severity) for code, severity, _ in found] == [("safety-custom", Severity.INFO)]
    assert "Custom>Scale" in found[0][2].message


def test_other_toolkits_are_notes(tmp_path):
    found = of("safety-custom", attack("other-toolkits").make(str(tmp_path)))
    assert [one.message.split()[0] for one in found] == [
        "qkeras.qlayers.QDense",
        "Vitis>QuantizeWrapper",
    ]


def test_a_policy_expects_custom_classes(tmp_path):
    policy = Policy(allow_custom=("Custom>*",))
    assert of("safety-custom", attack("registered").make(str(tmp_path)), policy) == []


def test_a_policy_expects_modules_by_their_full_name_alone(tmp_path):
    path = attack("module-initializer-keras").make(str(tmp_path))
    assert of("safety-module", path, Policy(allow_custom=("math.*",))) == []
    assert len(of("safety-module", path, Policy(allow_custom=("sqrt",)))) == 1


def test_a_policy_expects_custom_operators(tmp_path):
    path = attack("lite-custom").make(str(tmp_path))
    assert of("safety-custom-operator", path, Policy(allow_custom=("MyOwn",))) == []


def test_keras_own_optimizers_are_no_custom_classes(tmp_path):
    path = str(tmp_path / "m.keras")
    config = {**c.sequential(c.dense("d", 3)), "compile_config": c.ADAM}
    c.archive(path, config, {})
    assert of("safety-custom", path) == []


# --- addresses ------------------------------------------------------------------------------------


def test_addresses_in_configs_and_assets_are_notes(tmp_path):
    path = str(tmp_path / "m.keras")
    config = c.sequential(c.dense("d", 3, note="see https://example.com/a?b=c for more"))
    c.archive(path, config, {}, assets={"words.txt": b""})
    (found,) = of("safety-url", path)
    assert "https://example.com/a?b=c " in found.message
    assert "$.config.layers[0].config.note" in found.evidence
    assert alarms(path) == []


# --- pickles --------------------------------------------------------------------------------------


def test_an_npz_is_one_finding_as_bad_as_its_worst_member(tmp_path):
    members = {
        "a_npy": attacks_files._npy("|O", common.PICKLE),
        "b_npy": attacks_files._npy("|O", b"N."),
    }
    path = common.file("w.npz", common.zip_of(**members))(str(tmp_path))
    first, second = of("safety-pickle", path)  # not in a member of a zip: each by its own name
    assert {first.severity, second.severity} == {Severity.ERROR, Severity.INFO}
    held = attacks_files._npz_keras(common.zip_of(**members))(str(tmp_path))
    (found,) = of("safety-pickle", held)
    assert found.severity is Severity.ERROR
    assert found.evidence == "2 pickles: calls math.sqrt"


# --- bombs ----------------------------------------------------------------------------------------


def test_a_constant_of_a_graph_that_declares_tebibytes_is_a_bomb(tmp_path):
    path = attacks_graphs._frozen([sm.const("k", [1.0], (1 << 20, 1 << 20))])(str(tmp_path))
    with audit_context(path) as context:
        rule = next(one for one in RULES if one.code == "safety-shape-bomb")
        (found,) = rule.check(context)
    assert found.evidence.startswith("declares 4,398,046,511,104 B, stores 4")


def test_a_soft_link_within_the_file_is_a_note(tmp_path):
    (found,) = of("safety-hdf5-outside", attack("hdf5-alias-no-model").make(str(tmp_path)))
    assert found.severity is Severity.INFO


# --- duplicates -----------------------------------------------------------------------------------


def test_of_two_configs_the_last_one_is_looked_at_too(tmp_path):
    path = attack("zip-duplicate").make(str(tmp_path))
    (found,) = of("safety-zip-duplicate", path)
    assert "'config.json'" in found.message
    assert "the last one listed" in found.message


# --- what must not alarm --------------------------------------------------------------------------

# What some samples have on purpose.
_EXPECTED = {
    "k3_npz.keras": {"safety-pickle"},
    "lite_compiled.tflite": {"safety-custom-operator"},
    "lite_custom.tflite": {"safety-custom-operator"},
}


@pytest.mark.parametrize("name", samples.NAMES)
def test_samples_raise_no_alarm(name):
    assert {code for code, _ in alarms(samples.path(name))} == _EXPECTED.get(name, set())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_rules_need_no_more_than_the_file_and_explain_themselves(rule):
    assert rule.needs is Needs.FILE
    assert rule.family == "safety"
    for said in (rule.summary, rule.explanation, rule.example, rule.fix):
        assert said.endswith(".")


# --- nothing is touched ---------------------------------------------------------------------------

_CANARY = """
import json, os, sys

folder, out = sys.argv[1:]
paths = json.load(open(os.path.join(folder, "paths.json")))
touched = []
WATCHED = {
    "open", "exec", "compile", "import", "marshal.loads", "pickle.find_class", "subprocess.Popen",
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.mkdir", "os.rename",
    "os.remove", "os.symlink", "os.link", "os.listdir", "os.scandir", "shutil.unpack_archive",
    "urllib.Request", "code.__new__",
}

def watch(event, arguments):
    if event in WATCHED or event.startswith(("socket.", "ctypes.", "http.", "ftplib.")):
        said = [one if isinstance(one, int) else str(one) for one in arguments[:3]]
        touched.append((event, said))

from inspector.auditing.look import audit_context
from inspector.auditing.rules.safety import RULES

def look():
    for path in paths:
        with audit_context(path) as context:
            for rule in RULES:
                list(rule.check(context))

look()  # what is imported lazily is imported now
sys.addaudithook(watch)
look()
json.dump(touched, open(out, "w"))
"""


@pytest.fixture(scope="module")
def touched(tmp_path_factory):
    """(folder, audit events) of auditing all attacks, in a process of its own."""
    folder = tmp_path_factory.mktemp("canary")
    paths = []
    for number, one in enumerate(a.ATTACKS):
        place = folder / "made" / str(number)
        place.mkdir(parents=True)
        paths.append(one.make(str(place)))
    (folder / "paths.json").write_text(json.dumps(paths))
    before = sorted(str(path) for path in (folder / "made").rglob("*"))
    empty = folder / "empty"
    empty.mkdir()
    subprocess.run(
        [sys.executable, "-c", _CANARY, str(folder), str(folder / "events.json")],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        timeout=600,
    )
    after = sorted(str(path) for path in (folder / "made").rglob("*"))
    assert before == after
    assert list(empty.iterdir()) == []
    return folder, json.loads((folder / "events.json").read_text())


def test_only_files_of_the_artifacts_are_opened(touched):
    folder, events = touched
    made = str(folder / "made")
    opened = [said for event, said in events if event in {"open", "os.listdir", "os.scandir"}]
    assert opened
    # The last is where the system says how much memory this process has taken.
    ours = (made, *map(str, (folder / "events.json", _ROOT / "inspector")), "/proc/self/statm")
    assert [said for said in opened if not str(said[0]).startswith(ours)] == []


def test_nothing_is_written(touched):
    folder, events = touched
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    written = [said[0] for event, said in events if event == "open" and said[2] & writing]
    assert written in ([], [str(folder / "events.json")])


def test_no_link_of_the_artifacts_is_followed(touched):
    _, events = touched
    assert not any(common.NOWHERE in str(one) for _, said in events for one in said)


def test_nothing_is_run_imported_unpickled_or_fetched(touched):
    _, events = touched
    harmless = {"open", "os.listdir", "os.scandir"}
    others = [one for one in events if one[0] not in harmless]
    # An .npy header is parsed by ast.literal_eval: to a syntax tree, of which nothing is run.
    headers = [said for event, said in others if event == "compile"]
    assert all("'descr'" in said[0] for said in headers)
    assert [one for one in others if one[0] != "compile"] == []


def test_the_canary_sings(tmp_path):
    """What the other tests of this kind rest on: such events do come."""
    code = _CANARY.replace("look()\njson", "exec('import colorsys'); open('x', 'w')\njson")
    (tmp_path / "paths.json").write_text("[]")
    out = tmp_path / "events.json"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(out)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        check=True,
        timeout=600,
    )
    assert {"exec", "import", "open"} <= {event for event, _ in json.loads(out.read_text())}
