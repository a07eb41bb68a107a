"""Every page in a real browser: what it says, that it fits, that it asks for nothing."""

import re

import pytest

from tests.browser import probes
from tests.browser.driving import NARROW
from tests.browser.pages import PAGES, SHOWN, page
from tests.builders import samples

EVERY = pytest.mark.parametrize("name", PAGES)
# One of each kind, for what takes its time.
KINDS = ("pruned", "saved model", "tflite", "several", "diff", "reconcile", "audit", "audit clean")


def numbers(name: str) -> set[int]:
    """What live TensorFlow said of the artifact, to be found on its page."""
    said = samples.expected(PAGES[name][1])
    if name == "tflite":
        return {said["weights"]["elements"], said["nbytes"], said["macs"]}
    return {said["file"]["elements"]} | {
        said[key] for key in ("count_params", "after_strip", "nonzero_weights")
    }


@pytest.mark.parametrize("name", SHOWN)
def test_what_tensorflow_counted_can_be_read(name, shown):
    text = shown(page(name)).page.inner_text("body")
    assert {f"{number:,}" for number in numbers(name)} <= set(re.findall(r"[\d,]+", text))


def test_why_a_pruned_model_is_larger_can_be_read_in_every_page_about_it(shown):
    """2,638 = 1,354 + 1,284: two masks of 640, two thresholds and two steps; 714 are not zero."""
    for name in ("pruned", "reconcile"):
        text = shown(page(name)).page.inner_text("main")
        for number in ("2,638", "1,354", "1,284", "1,280"):
            assert number in text, f"{name}: {number}"


@EVERY
def test_a_page_asks_for_nothing_says_nothing_and_fits(name, shown):
    """As it is and unfolded, on a desk and on a phone, zoomed in, and with larger letters."""
    opened = shown(page(name))
    at = opened.page
    probes.unfold(at)
    for size in ({"width": 1440, "height": 900}, {"width": 720, "height": 450}, NARROW):
        at.set_viewport_size(size)
        assert probes.too_wide(at) == []
        assert probes.bad_texts(at) == []
    at.set_viewport_size({"width": 1440, "height": 900})
    at.evaluate("document.documentElement.style.fontSize = '200%'")
    assert probes.too_wide(at) == []
    assert probes.bad_texts(at) == []
    assert opened.misbehaved() == []


@EVERY
def test_paper_has_all_that_is_folded_and_no_controls(name, shown):
    at = shown(page(name)).page
    at.emulate_media(media="print")
    assert probes.folded_away(at) == []
    # A foot that is one is printed on every page, as if the rows above it added up to it.
    assert at.locator("tfoot").evaluate_all(
        "all => all.every(one => getComputedStyle(one).display === 'table-row-group')"
    )
    # The heads of columns are buttons, and still the heads of columns.
    left = at.locator(":is(button, input, select):not(thead *)").all()
    assert [one for one in left if one.is_visible()] == []


@pytest.mark.parametrize("name", KINDS)
def test_no_barrier_for_those_who_see_less_or_not_at_all(name, shown):
    at = shown(page(name)).page
    probes.fewer_rows(at)
    assert probes.barriers(at) == []
    at.set_viewport_size(NARROW)
    at.emulate_media(color_scheme="dark")
    assert probes.barriers(at) == []


@pytest.mark.parametrize(("name", "scheme"), [("pruned", "light"), ("diff converted", "dark")])
def test_colours_that_a_reader_forces_hide_nothing(name, scheme, shown):
    at = shown(page(name), forced_colors="active", color_scheme=scheme).page
    probes.fewer_rows(at)
    assert probes.lost_marks(at) == []


@pytest.mark.parametrize("name", KINDS)
def test_all_can_be_read_without_scripts(name, shown):
    """What a script adds is controls; all that can be read is there without one."""
    with_script, without = (shown(page(name), java_script_enabled=on).page for on in (True, False))
    assert without.locator("button, input, select").count() == 0
    fold = without.locator("main summary:visible").last
    if fold.count():
        fold.click()
        assert fold.evaluate("one => one.parentNode.open")
    probes.unfold(without)
    probes.unfold(with_script)
    words = set(with_script.inner_text("main").split())
    controls = with_script.locator("button, label, select, [aria-live], [role=status]")
    added = {word for text in controls.all_inner_texts() for word in text.split()}
    assert words - added - set(without.inner_text("main").split()) == set()
