"""Names that are made to run on a page are text on it, and its policy stops what is not ours."""

import pytest
from playwright.sync_api import expect

from tests.browser import probes
from tests.browser.driving import NARROW
from tests.browser.pages import HOSTILE, hostile, page, written

INJECTED = {
    "script-src-elem": "<script>alert(1)</script>",
    "script-src-attr": '<p onclick="alert(1)" id="pressed">press</p>',
    "img-src": '<img src="https://example.com/a.png">',
    "style-src-attr": '<p style="position: fixed">moved</p>',
    "style-src-elem": "<style>body { display: none }</style>",
    "frame-src": '<iframe src="https://example.com/"></iframe>',
    "base-uri": '<base href="https://example.com/">',
}


@pytest.mark.parametrize("directive", INJECTED)
def test_the_policy_stops_what_is_not_ours(directive, shown):
    html = page("pruned").replace("</main>", f"{INJECTED[directive]}</main>")
    opened = shown(html)
    if "pressed" in INJECTED[directive]:
        opened.page.locator("#pressed").click()
    assert [one.partition(" ")[0] for one in opened.violations()] == [directive]
    assert not opened.requests
    assert not opened.dialogs
    assert opened.page.locator("h1").is_visible()


def test_no_script_may_fetch(shown):
    opened = shown(page("pruned"))
    failed = opened.page.evaluate("fetch('https://example.com/').then(() => false, () => true)")
    assert failed
    assert opened.violations() == ["connect-src https://example.com/"]
    assert not opened.requests


@pytest.mark.parametrize("command", ["show", "diff", "reconcile", "audit"])
@pytest.mark.parametrize("viewport", [None, NARROW], ids=["wide", "narrow"])
def test_hostile_names_are_text(command, viewport, shown, tmp_path):
    path = hostile(tmp_path)
    others = (path,) if command in {"diff", "reconcile"} else ()
    opened = shown(written(command, path, *others), **({"viewport": viewport} if viewport else {}))
    probes.unfold(opened.page)
    assert probes.too_wide(opened.page) == []
    assert probes.bad_texts(opened.page) == []
    assert opened.page.locator("main img, main iframe, main script").count() == 0
    assert "\u202e" not in opened.page.content()
    assert opened.misbehaved() == []


def test_hostile_names_can_be_read_found_and_sorted(shown, tmp_path):
    opened = shown(written("show", hostile(tmp_path)))
    text = opened.page.inner_text("main")
    for name in HOSTILE[:5]:
        assert name in text
    assert r"\u202egnp.exe" in text
    assert r"\x1b[31mred" in text
    opened.page.locator("table.finds thead button").first.click()
    opened.page.get_by_role("searchbox").fill("<script>alert(1)")
    expect(opened.page.get_by_role("status")).to_contain_text("2 of 16 rows")
    assert opened.misbehaved() == []
