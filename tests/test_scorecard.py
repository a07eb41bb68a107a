"""The scorecard that is committed tells of today's artifacts what the audit says of them today."""

import importlib.util
import re
from pathlib import Path

import pytest

from inspector import api
from tests.builders import attacks, leftovers

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("scorecard", ROOT / "scripts" / "scorecard.py")
scorecard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scorecard)

PAGE = scorecard.PAGE.read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\S+) \| (\S+) \| \*\*([a-z ]+)\*\*(?:: (.*?))? \| \*\*", re.MULTILINE)
ROWS = {name: (cve, verdict, codes) for name, cve, verdict, codes in ROW.findall(PAGE)}
BAD = (*attacks.ATTACKS, *leftovers.LEFTOVERS)
SOUND = (*attacks.TWINS, *leftovers.TWINS)
ABOUT_SAFETY = {one.name for one in (*attacks.ATTACKS, *attacks.TWINS)}


def said(one, folder):
    """What the audit says of an artifact at warning or above, as the page has it."""
    found = api.audit([one.make(str(folder))], isolate=False).findings
    codes = [each.code for each in found if each.severity in ("warning", "error")]
    now = scorecard.Said(tuple(dict.fromkeys(codes)))
    return scorecard.about_safety(now) if one.name in ABOUT_SAFETY else now


def test_names_are_unique():
    names = [one.name for one in (*BAD, *SOUND)]
    assert len(names) == len(set(names))


def test_the_page_lists_every_attack_and_every_leftover_with_its_number():
    listed = {name: cve for name, (cve, _, _) in ROWS.items()}
    for one in BAD:
        assert listed[one.name] == (one.cve or "–")
    assert {name for name, (_, verdict, _) in ROWS.items() if verdict in {"caught", "missed"}} == {
        one.name for one in BAD
    }


@pytest.mark.parametrize("one", BAD, ids=lambda one: one.name)
def test_what_the_page_says_of_an_artifact_is_what_the_audit_says(one, tmp_path):
    now = said(one, tmp_path)
    assert ROWS[one.name][1:] == ("caught", scorecard.our_cell(now))
    assert set(one.codes) <= set(now.alarms)


@pytest.mark.parametrize("twin", SOUND, ids=lambda twin: twin.name)
def test_nothing_is_said_of_what_is_sound(twin, tmp_path):
    assert said(twin, tmp_path).alarms == ()
    assert ROWS.get(twin.name, ("", "quiet", ""))[1:] == ("quiet", "")


def test_the_page_names_the_versions_that_are_pinned():
    for name in ("modelaudit", "modelscan"):
        pinned = (ROOT / "tests" / f"requirements-{name}.txt").read_text(encoding="utf-8")
        (version,) = re.findall(rf"^{name}\[.*\]==(\S+)$", pinned, re.MULTILINE)
        assert f"| {name} | {version} |" in PAGE


def test_the_page_names_no_path_of_a_machine():
    assert not re.search(r"/tmp/|/home/|/root/|\d{4}-\d\d-\d\d[T ]\d\d:", PAGE)


def made(alarms=(), failed=""):
    return scorecard.Said(tuple(alarms), failed)


def test_ours_is_to_name_all_that_an_artifact_was_made_for_and_others_anything():
    one = attacks.Attack("x", "", str, ("safety-a", "safety-b"))
    assert not scorecard.caught(one, made(["safety-a"]), ours=True)
    assert scorecard.caught(one, made(["safety-b", "safety-a", "number-nan"]), ours=True)
    assert scorecard.caught(one, made(["anything"]), ours=False)
    assert not scorecard.caught(one, made(failed="crashed"), ours=False)


def test_text_of_a_scanner_breaks_no_table():
    assert scorecard.shown(made(["a|b `c`", "more"])) == "a\\|b 'c' (+1)"
    assert scorecard.shown(made(failed="crashed")) == "*crashed*"
    assert scorecard.shown(made()) == "–"
