"""What the other tests find nothing of is found where it is."""

from tests.browser import probes
from tests.browser.driving import NARROW

BAD = """<!DOCTYPE html><html lang="en"><title>bad</title>
<style>button:focus { outline: none } p { color: #bbb; background: #fff }</style>
<p>faint words</p><button>seen?</button><a href="#" tabindex="0">a</a>
<dialog open style="position: static"><button tabindex="0">b</button></dialog>
<svg viewBox="0 0 100 20" width="100" height="20">
<text x="60" y="15" font-size="12">cut off here</text>
<text x="62" y="15" font-size="12">on it</text>
</svg><div style="width: 2000px">wide</div>
<script>alert(1); console.warn('w'); nothing.there</script><img src="https://example.com/a.png">"""

POLICY = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'


def test_a_page_that_misbehaves_is_caught(shown):
    opened = shown(BAD)
    assert opened.dialogs == ["1"]
    assert opened.requests == ["request: https://example.com/a.png"]
    assert "w" in opened.said
    assert any("nothing is not defined" in one for one in opened.said)


def test_what_a_policy_stops_is_told(shown):
    opened = shown(BAD.replace("<style>", POLICY + "<style>"))
    assert not opened.dialogs
    assert not opened.requests
    stopped = {one.partition(" ")[0] for one in opened.violations()}
    assert stopped == {"style-src-elem", "style-src-attr", "script-src-elem", "img-src"}


def test_what_does_not_fit_is_found(shown):
    page = shown(BAD, viewport=NARROW).page
    assert probes.too_wide(page)
    assert probes.bad_texts(page) == [
        '"cut off here" leaves its picture',
        '"on it" lies upon "cut off here"',
    ]


def test_what_keys_cannot_reach_or_eyes_cannot_see_is_found(shown):
    page = shown(BAD).page
    missed, unseen = probes.tab_through(page)
    assert not missed
    assert any("seen?" in one for one in unseen)
    page.evaluate("document.addEventListener('keydown', event => event.preventDefault())")
    missed, _ = probes.tab_through(page)
    assert len(missed) == 3


def test_words_too_faint_to_read_are_found(shown):
    assert any(one.startswith("color-contrast") for one in probes.barriers(shown(BAD).page))
