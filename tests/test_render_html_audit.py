"""The page of an audit: the verdict, every finding, what mends it."""

import pytest
from msgspec.structs import replace

from inspector import api
from inspector.report import Suppressed
from tests.builders import findings, samples
from tests.builders.findings import CASES, HOSTILE, audit, finding
from tests.builders.webpages import webpage


@pytest.mark.parametrize("name", CASES)
def test_all_that_was_found_is_on_the_page(name):
    report = CASES[name]()
    found = webpage(report)
    for one in report.findings[:50]:
        assert " ".join(one.message.split()) in found.text
        assert one.code in found.text
        assert one.fix is None or " ".join(one.fix.split()) in found.text
    for number, words in ((report.audit.errors, "errors"), (report.audit.rules, "rules")):
        assert f"{words} {number:,}" in found.text


def test_the_verdict_comes_first_and_says_why():
    found = webpage(findings.usual())
    verdict = found.text.index("Failed: 3 errors; one is enough")
    assert verdict < found.text.index("errors 3")


@pytest.mark.parametrize(
    ("severities", "fail_on", "said"),
    [
        (("error",), "error", "Failed: 1 error; one is enough"),
        (("error", "warning"), "warning", "Failed: 1 error and 1 warning; one is enough"),
        (("info", "info"), "info", "Failed: 2 notes; one is enough"),
        ((), "info", "Passed: nothing was found"),
        (("warning",), "error", "Passed: no error was found"),
        (("error",), "never", "Passed: this audit never fails"),
    ],
)
def test_passed_or_failed_and_by_what(severities, fail_on, said):
    made = audit(
        tuple(finding(f"a-{at}", one) for at, one in enumerate(severities)), fail_on=fail_on
    )
    bars = {"error": 1, "warning": 2, "info": 3, "never": 0}
    ranks = {"error": 1, "warning": 2, "info": 3}
    failed = any(ranks[one] <= bars[fail_on] for one in severities)
    made = replace(made, audit=replace(made.audit, failed=failed))
    assert said in webpage(made).text


def test_where_and_why_stand_beneath_a_finding():
    one = finding("a-b", tensor="dense/kernel", layer="dense", offset=1_234, evidence="seen so")
    found = webpage(audit((one,)))
    assert "layer dense, tensor dense/kernel, byte 1,234" in found.text
    assert "seen so" in found.text


def test_a_rule_explains_itself_behind_a_fold():
    found = webpage(findings.usual())
    for rule in findings.usual().audit.explained:
        if any(one.code == rule.code for one in findings.usual().findings):
            assert rule.explanation in found.text
            assert rule.example in found.text


def test_what_was_taken_out_is_told_with_its_reason():
    made = findings.usual()
    rows = webpage(made).table("Findings that are not reported").rows
    assert [row[-1] for row in rows] == [one.why for one in made.audit.suppressed]


def test_a_fix_that_mends_several_is_said_once():
    one = finding("a-b", message="m0", fix="mend it")
    found = webpage(audit((one, replace(one, message="m1"), replace(one, message="m2"))))
    assert found.text.count("To mend it: mend it") == 1
    assert all(f"m{at}" in found.text for at in range(3))


@pytest.mark.parametrize("name", HOSTILE)
def test_names_made_to_run_are_only_read(name):
    webpage(findings.hostile(name))


def test_a_sample_that_must_not_ship():
    """Of the pruned sample tfmot's wrappers, their masks of 1,280 elements, are still there."""
    found = webpage(api.audit([samples.path("pruned.h5")], isolate=False))
    assert "2 pruning wrappers with masks (1,280 elements)" in found.text
    assert "tfmot.sparsity.keras.strip_pruning(model), then save that." in found.text


def test_what_a_list_has_no_room_for_is_said():
    one, paths = finding("a-b"), tuple(f"m{at}.h5" for at in range(250))
    made = audit((), tuple(Suppressed(one, "known") for _ in range(130)), paths)
    made = replace(made, audit=replace(made.audit, notes=tuple(f"n{at}" for at in range(201))))
    text = webpage(made).text
    assert "... and 30 more findings that are not reported (all in --format json)." in text
    assert "... and 50 more artifacts (all in --format json)." in text
    assert "... and 1 more note (all in --format json)." in text
