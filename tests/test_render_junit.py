"""JUnit XML: a suite an artifact, a case a rule; counts that add up; no name that breaks it."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.render import RENDERERS, RenderOptions
from inspector.report import Unasked
from tests.builders import findings, samples
from tests.builders.findings import CASES, HOSTILE, audit, finding
from tests.builders.terminal import call

# Of Surefire's and Jenkins' schemas: attributes that each element must have, and what it may hold,
# in this order.
MUST = {
    "testsuites": set(),
    "testsuite": {"name", "tests", "failures", "errors", "skipped"},
    "testcase": {"name", "classname", "time"},
    "property": {"name", "value"},
    "failure": {"message", "type"},
}
MAY = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["failure", "skipped", "system-out"],
}
ONE = {"properties", "failure", "skipped", "system-out"}  # of each in its parent at most


def text_of(made):
    return RENDERERS["junit"](made, RenderOptions())


def parsed(made):
    root = ET.fromstring(text_of(made).encode("utf-8"))
    assert root.tag == "testsuites"
    for element in root.iter():
        check(element)
    return root


def check(element):
    """Hold one element against what readers take."""
    assert set(element.attrib) >= MUST.get(element.tag, set()), element.tag
    tags = [child.tag for child in element]
    order = MAY.get(element.tag, [])
    assert tags == sorted(tags, key=order.index), element.tag
    assert all(tags.count(tag) == 1 for tag in set(tags) & ONE)
    if element.tag in {"testsuite", "testsuites"}:
        cases = list(element.iter("testcase"))
        assert int(element.get("tests")) == len(cases)
        assert int(element.get("errors")) == 0
        for kind, tag in (("failures", "failure"), ("skipped", "skipped")):
            number = sum(one.find(tag) is not None for one in cases)
            assert int(element.get(kind)) == number


def case(made, artifact, code):
    (found,) = parsed(made).findall(f"testsuite[@name='{artifact}']/testcase[@name='{code}']")
    return found


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_readers_take(name):
    parsed(CASES[name]())


def test_it_is_as_reviewed(golden):
    golden("audit-made-usual.junit.xml", text_of(findings.usual()))


def test_each_artifact_is_a_suite_with_a_case_for_each_rule_that_was_asked():
    root = parsed(findings.usual())
    assert [one.get("name") for one in root] == [
        "pruned.h5", "export", "ok.h5", "plain.keras", "lite.tflite",
    ]  # fmt: skip
    assert {len(one.findall("testcase")) for one in root} == {5}
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("25", "3", "2")


def test_what_fails_the_audit_is_a_failure_with_all_that_is_known():
    failure = case(findings.usual(), "pruned.h5", "number-nan").find("failure")
    assert failure.attrib == {"message": "3 of 640 values are NaN", "type": "error"}
    assert failure.text == (
        "error: 3 of 640 values are NaN\n"
        "  layer dense, tensor model_weights/dense/dense/kernel:0, byte 9,424\n"
        "  Fix: Undo number-nan."
    )


def test_what_does_not_fail_it_is_output_of_a_case_that_passes():
    found = case(findings.usual(), "pruned.h5", "number-constant")
    assert found.find("failure") is None
    assert found.find("system-out").text == (
        "1 warning, which does not fail the audit:\nwarning: all 64 values of dense/bias are 0.5"
    )


def test_a_policy_decides_what_is_a_failure_not_the_severity():
    made = audit((finding("a-one", "warning", fails=True), finding("b-two", fails=False)))
    assert case(made, "pruned.h5", "a-one").find("failure") is not None
    assert case(made, "pruned.h5", "b-two").find("failure") is None


def test_several_findings_of_a_rule_are_one_failure_and_its_text_has_them_all():
    made = audit(tuple(finding("a-one", message=f"{at} is so") for at in range(3)))
    failure = case(made, "pruned.h5", "a-one").find("failure")
    assert failure.get("message") == "0 is so (and 2 more)"
    assert [f"error: {at} is so" in failure.text for at in range(3)] == [True] * 3


def test_a_rule_that_was_not_asked_of_an_artifact_is_skipped_there():
    made = findings.usual()
    assert case(made, "export", "number-nan").find("skipped") is not None
    assert case(made, "export", "safety-lambda").find("skipped") is None
    assert case(made, "ok.h5", "number-nan").find("skipped") is None


def test_a_finding_is_never_hidden_by_a_skip():
    made = audit((finding("a-one"),), unasked=(Unasked("pruned.h5", ("a-one",)),))
    assert case(made, "pruned.h5", "a-one").find("failure") is not None


def test_the_command_writes_a_case_for_each_rule_that_the_report_says_was_asked(tmp_path):
    paths = [samples.path("pruned.h5"), samples.path("stripped.h5")]
    out = call("audit", *paths, "--format", "junit").out
    root = ET.fromstring(out.encode("utf-8"))
    asked = {one.get("name") for one in root[0].findall("testcase")}
    assert {"leftover-pruning", "safety-lambda"} <= asked
    assert "sparsity-lost" not in asked  # nothing to compare with
    assert [int(one.get("failures")) > 0 for one in root] == [True, False]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_it(name):
    root = parsed(findings.hostile(name))
    assert len(root.findall("testsuite/testcase")) == 2
    (failure,) = root.iter("failure")
    assert len(failure) == 0


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_any_name_can_be_read_back(name):
    parsed(findings.hostile(name))
