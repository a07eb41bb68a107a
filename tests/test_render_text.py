import dataclasses
import re

import pytest

from inspector.assemble import build_unreadable, narrow
from inspector.errors import UnknownFormat
from inspector.model import Role
from inspector.render import RENDERERS, RenderOptions
from inspector.report import report
from tests.builders import artifacts
from tests.builders.artifacts import CASES, Case


def text(*built, **options):
    return RENDERERS["text"](report("show", built), RenderOptions(**options))


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("tensors", [False, True])
def test_text_is_as_reviewed(width, tensors, golden):
    built = [builder().build() for builder in CASES.values()]
    name = f"cases-{'tensors-' if tensors else ''}{width}.txt"
    golden(name, text(*built, width=width, tensors=tensors))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("tensors", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_the_terminal(name, width, tensors):
    lines = text(CASES[name]().build(), width=width, tensors=tensors).splitlines()
    assert max(map(len, lines)) <= width


def test_the_answer_comes_before_the_table_and_the_table_before_the_bytes():
    shown = text(artifacts.pruned().build())
    places = [shown.index(mark) for mark in ("pruned.h5 · ", "2,638 par", "\nlayer", "\nbytes: ")]
    assert places == sorted(places)


def test_the_byte_line_adds_up():
    shown = text(artifacts.pruned().build(), width=1000)
    line = re.search(r"bytes: (.*) = ([\d,]+)$", " ".join(shown.split("\n")).strip())
    parts = [int(n.replace(",", "")) for n in re.findall(r" ([\d,]+)(?: ·|$)", line[1])]
    assert sum(parts) == int(line[2].replace(",", "")) == 26_496


def test_a_problem_names_its_place_and_code():
    shown = text(artifacts.unknown().build())
    assert "warning: group /extra belongs to no layer (at byte 800) [stray-group]" in shown


def test_an_unreadable_artifact_is_shown_in_its_place():
    broken = build_unreadable("x.h5", UnknownFormat("Git LFS pointer", "x.h5"))
    shown = text(artifacts.plain().build(), broken, artifacts.empty().build())
    places = [shown.index(mark) for mark in ("plain.h5 · ", "x.h5: Git LFS pointer", "empty.h5 · ")]
    assert places == sorted(places)


def test_a_filter_is_owned_up_to():
    built = narrow(artifacts.pruned().build(), layers=("*_1",))
    shown = text(built)
    assert "Filtered: 1 of 2 layers shown; all counts are of the whole." in shown
    assert "whole artifact" in shown


def test_names_from_the_file_cannot_steer_the_terminal():
    shown = text(artifacts.hostile().build(), tensors=False)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"\x1b[31m" in shown


def test_colour_only_when_asked():
    built = artifacts.unknown().build()
    plain = text(built)
    coloured = text(built, color=True)
    assert "\x1b[" not in plain
    assert "\x1b[33mwarning" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_names_as_long_as_a_file_wishes_cost_no_time_and_no_screen():
    case = artifacts.Case(counts=(3, 3, 0))
    case.tensor("n" * 3_000_000, Role.WEIGHT, (3,), layer="l" * 3_000_000, variable="v" * 3_000_000)
    case.row("l" * 3_000_000, "C" * 3_000_000, 3)
    for tensors in (False, True):
        shown = text(case.build(), tensors=tensors)
        assert len(shown) < 5_000
        assert max(map(len, shown.splitlines())) <= 100


def test_a_hostile_variable_cannot_steer_the_terminal_from_a_sentence():
    case = artifacts.copies()
    case.tensors[1] = dataclasses.replace(case.tensors[1], variable="\x1b[2J")
    shown = text(case.build())
    assert "\x1b" not in shown
    assert r"The \x1b[2J is stored twice" in shown


def test_a_million_problems_are_cut_short():
    case = artifacts.unknown()
    case.problems *= 60
    shown = text(case.build())
    assert shown.count("[stray-group]") == 50
    assert "... and 10 more problems (all in --format json)." in shown


def test_a_model_without_weights_has_no_columns_of_zeros():
    case = Case(counts=(0, 0, 0))
    case.row("flatten", "Flatten", 0)
    out = text(case.build(), width=100)
    assert "layer    class    params  trainable\n" in out
