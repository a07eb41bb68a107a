import json

import pytest

from inspector.render import RENDERERS, RenderOptions
from inspector.report import report
from tests.builders import artifacts
from tests.builders.artifacts import CASES


def written(*built):
    return RENDERERS["json"](report("show", built), RenderOptions())


def refuse(text):
    raise AssertionError(text)


@pytest.mark.parametrize("name", CASES)
def test_json_is_strict(name):
    json.loads(written(CASES[name]().build()), parse_constant=refuse)


def test_marks_that_steer_a_terminal_are_escaped_and_read_back():
    text = written(artifacts.hostile().build())
    assert "\u202e" not in text
    assert "\x1b" not in text
    text.encode("utf-8")
    (artifact,) = json.loads(text)["artifacts"]
    assert artifact["layers"][0]["name"] == "\x1b[31mred|`|\u202eltr\nnew"
    assert artifact["layers"][0]["class_name"] == "Dense\ud800"


def test_what_is_written_has_one_line_end():
    assert written(artifacts.plain().build()).endswith("}\n")
