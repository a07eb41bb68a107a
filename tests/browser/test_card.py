"""A notebook's cards in a real browser, in a light and in a dark notebook, wide and narrow."""

from __future__ import annotations

import functools

import pytest

import inspector
from tests.browser import probes
from tests.browser.driving import NARROW, WIDE
from tests.builders import samples

# As notebooks have it: their own text colour, on their own ground.
NOTEBOOK = """<!DOCTYPE html><html lang="en"><title>notebook</title><style>
body {{ font-family: sans-serif; color: {ink}; background: {ground} }}
table {{ margin: 0 auto; border: 1px solid red }} dt {{ float: left; width: 20% }}
</style><main><h1>notebook</h1>{cards}</main></html>"""
THEMES = {"light": ("#212121", "#ffffff"), "dark": ("#e0e0e0", "#111111")}


@functools.cache
def cards() -> str:
    model = inspector.open(samples.path("pruned.h5"))
    other = samples.path("stripped.h5")
    shown = (
        model,
        model.tensors,
        model.tensors["dense/kernel"],
        inspector.diff(model.path, other),
        inspector.reconcile(model.path, other),
        inspector.audit(model.path),
    )
    return "".join(one._repr_html_() for one in shown)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_cards_can_be_read_in_every_notebook(shown, theme, viewport):
    ink, ground = THEMES[theme]
    opened = shown(
        NOTEBOOK.format(ink=ink, ground=ground, cards=cards()),
        color_scheme=theme,
        viewport=viewport,
    )
    assert opened.misbehaved() == []
    assert probes.barriers(opened.page) == []
    assert probes.too_wide(opened.page) == []


def test_the_bar_is_as_wide_as_its_bytes(shown):
    page = shown(NOTEBOOK.format(ink="#000", ground="#fff", cards=cards())).page
    bar = page.locator(".tfi-bar").first
    whole = bar.bounding_box()["width"]
    weights = bar.locator("span").first.bounding_box()["width"]
    assert weights / whole == pytest.approx(5416 / 51276, abs=0.01)


def test_a_card_without_its_style_is_still_read(shown):
    """A notebook that is not trusted keeps the tables and takes the style away."""
    start, end = "<style>", "</style>"
    bare = "".join(part.rpartition(end)[2] for part in cards().split(start))
    page = shown(NOTEBOOK.format(ink="#000", ground="#fff", cards=bare)).page
    assert "2,638 parameters" in page.inner_text("main")
    assert page.locator("table").first.is_visible()
