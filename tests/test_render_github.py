"""Workflow commands: one line an annotation, as many as GitHub shows, none that a name makes."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.render import RENDERERS, RenderOptions
from tests.builders import findings
from tests.builders.findings import CASES, HOSTILE, audit, finding

COMMAND = re.compile(r"::(error|warning|notice) (?:file=([^,:]*),)?title=([^,:]*)::([^\r\n]*)")


def commands(made):
    """What the runner reads: (command, file, title, message), the escapes undone."""
    lines = RENDERERS["github"](made, RenderOptions()).removesuffix("\n").split("\n")
    read = [COMMAND.fullmatch(line) for line in lines]
    assert all(read), lines
    return [tuple(undone(part or "") for part in one.groups()) for one in read]


def undone(text):
    for escape, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, char)
    return text


def test_it_is_as_reviewed(golden):
    golden("audit-made-usual.github", RENDERERS["github"](findings.usual(), RenderOptions()))


@pytest.mark.parametrize("name", CASES)
def test_the_last_line_is_the_verdict(name):
    command, file, title, message = commands(CASES[name]())[-1]
    assert (command, file, title) == ("notice", "", "inspect audit")
    assert message.startswith("Audit ")


def test_a_finding_is_an_annotation_of_its_file_with_all_that_is_known():
    assert commands(findings.usual())[1] == (
        "error",
        "pruned.h5",
        "number-nan",
        "3 of 640 values are NaN\n"
        "layer dense, tensor model_weights/dense/dense/kernel:0, byte 9,424\n"
        "Fix: Undo number-nan.",
    )
    assert commands(findings.usual())[2][1] == "export/keras_metadata.pb"


@pytest.mark.parametrize(
    ("severity", "command"), [("error", "error"), ("warning", "warning"), ("info", "notice")]
)
def test_severities_are_commands(severity, command):
    assert commands(audit((finding("a-one", severity),)))[0][0] == command


def test_percent_colon_comma_and_line_ends_are_escaped():
    made = audit((finding("a-one", path="a:b,c%.h5", message="50 % of a, b: c", fix=None),))
    line = RENDERERS["github"](made, RenderOptions()).splitlines()[0]
    assert line.startswith(
        "::error file=a%3Ab%2Cc%25.h5,title=a-one::50 %25 of a, b: c%0Ain a:b,c%25.h5"
    )


def test_only_so_many_of_each_command_are_written_as_github_shows():
    said = commands(findings.many())
    times = {name: sum(one[0] == name for one in said) for name in ("error", "warning", "notice")}
    assert times == {"error": 10, "warning": 10, "notice": 10}
    # 180 findings, of which 10 + 10 + 9 have a line.
    assert "151 more findings without an annotation: all in --format json" in said[-1][3]


def test_where_all_are_written_nothing_is_said_to_be_left_out():
    assert "more" not in commands(findings.usual())[-1][3]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_makes_a_command(name):
    said = commands(findings.hostile(name))
    assert [one[0] for one in said] == ["error", "warning", "notice"]
    assert {one[2] for one in said[:2]} == {"safety-zip-name"}


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_any_name_makes_no_command(name):
    assert len(commands(findings.hostile(name))) == 3
