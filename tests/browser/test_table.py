"""What the script adds to tables: sorting, finding, copying, folding, with a mouse or without."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import probes
from tests.browser.pages import page, wide, written
from tests.builders import samples

TENSORS = "table.finds"
UNKNOWN = ("", "-", "?")
COLUMN = """([table, at, all]) => [...document.querySelector(table).tBodies[0].rows]
  .filter(row => all || row.checkVisibility())
  .map(row => (row.cells[at].querySelector('summary') ?? row.cells[at]).textContent.trim())"""


def column(opened, at, every=False):
    """What a column of the table of tensors says, in order: in all rows, or in those shown."""
    return opened.page.evaluate(COLUMN, [TENSORS, at, every])


def heads(opened):
    return opened.page.locator(f"{TENSORS} thead th")


def names(opened):
    return [one.strip() for one in heads(opened).all_text_contents()]


def is_number(words):
    return words in UNKNOWN or re.fullmatch(r"-?[\d,.]+(e[-+]\d+)?( %| [a-z]+)?", words) is not None


def number(words):
    return float(words.split()[0].replace(",", ""))


def expected(texts, down):
    """Python's own order of numbers: what is unknown comes last, equals stay as they were."""
    known = [one for one in texts if one not in UNKNOWN]
    unknown = [one for one in texts if one in UNKNOWN]
    return sorted(known, key=number, reverse=down) + unknown


@pytest.mark.parametrize("name", ["pruned", "convnet", "tflite", "diff converted"])
def test_each_column_sorts_both_ways(name, shown):
    opened = shown(page(name))
    for at, head in enumerate(heads(opened).all()):
        before = column(opened, at)
        numeric = all(map(is_number, before)) and not set(before) <= set(UNKNOWN)
        seen = set()
        for _ in range(2):
            head.locator("button").click()
            way = head.get_attribute("aria-sort")
            seen.add(way)
            down = way == "descending"
            if numeric:
                assert column(opened, at) == expected(before, down)
            else:
                assert sorted(column(opened, at)) == sorted(before)
        assert seen == {"ascending", "descending"}
        assert opened.page.locator(f"{TENSORS} [aria-sort]").count() == 1
    assert opened.misbehaved() == []


def test_words_sort_by_what_they_say(shown):
    opened = shown(page("pruned"))
    role = names(opened).index("role")
    before = column(opened, role)
    heads(opened).nth(role).locator("button").click()
    assert column(opened, role) == sorted(before)


def test_rows_keep_together_when_sorted(shown):
    """A number stands beside the name that it is of, wherever its row goes."""
    opened = shown(page("pruned"))
    zeros = names(opened).index("zeros")

    def pairs():
        return sorted(zip(column(opened, 0), column(opened, zeros), strict=True))

    before = pairs()
    heads(opened).nth(zeros).locator("button").click()
    assert pairs() == before
    live = {one["path"]: one["zeros"] for one in samples.expected("pruned.h5")["variables"]}
    kernel = "model_weights/prune_low_magnitude_dense/dense/kernel:0"
    assert dict(before)[kernel] == str(live["prune_low_magnitude_dense/kernel:0"])


def test_what_is_looked_for_is_found_and_counted(shown):
    opened = shown(page("pruned"))
    every = column(opened, 0)
    found = [one for one in every if "kernel" in one]
    told = opened.page.get_by_role("status")
    expect(told).to_have_text(f"{len(every)} rows")
    opened.page.get_by_role("searchbox").fill("KERNEL:0")
    expect(told).to_have_text(f"{len(found)} of {len(every)} rows")
    assert column(opened, 0) == found
    opened.page.get_by_role("searchbox").fill("no such name")
    expect(told).to_have_text(f"0 of {len(every)} rows")
    opened.page.get_by_role("searchbox").fill("")
    expect(told).to_have_text(f"{len(every)} rows")
    assert column(opened, 0) == every


def test_roles_are_chosen_one_by_one(shown):
    """Two masks and two thresholds, as live TensorFlow lists them."""
    opened = shown(page("pruned"))
    role = names(opened).index("role")
    mask = opened.page.get_by_role("button", name="mask 2", exact=True)
    mask.click()
    assert mask.get_attribute("aria-pressed") == "true"
    assert column(opened, role) == ["mask"] * 2
    opened.page.get_by_role("button", name="threshold 2", exact=True).click()
    assert sorted(column(opened, role)) == ["mask"] * 2 + ["threshold"] * 2
    expect(opened.page.get_by_role("status")).to_have_text("4 of 19 rows")
    opened.page.get_by_role("searchbox").fill("dense_1")
    expect(opened.page.get_by_role("status")).to_have_text("2 of 19 rows")
    mask.click()
    expect(opened.page.get_by_role("status")).to_have_text("1 of 19 rows")
    assert mask.get_attribute("aria-pressed") == "false"


def test_a_rule_unfolds_to_its_evidence(shown):
    opened = shown(page("pruned"))
    fold = opened.page.locator(f"{TENSORS} details").nth(2)
    closed = fold.inner_text()
    fold.locator("summary").click()
    assert len(fold.inner_text()) > len(closed) + 20


def test_all_folds_open_and_close_at_once(shown):
    opened = shown(page("pruned"))
    folds = opened.page.locator("main details:not(tbody details)")
    opened.page.get_by_role("button", name="Unfold all").click()
    assert folds.evaluate_all("all => all.length && all.every(one => one.open)")
    opened.page.get_by_role("button", name="Fold all").click()
    assert not folds.evaluate_all("all => all.some(one => one.open)")


def test_a_name_and_a_table_are_copied(shown):
    opened = shown(page("pruned"), permissions=["clipboard-read", "clipboard-write"])
    row = opened.page.locator(f"{TENSORS} tbody tr").nth(2)
    row.locator("summary").click()
    row.get_by_role("button", name="Copy name").click()
    expect(row.get_by_role("button", name="Copied")).to_be_visible()
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied == ("model_weights/prune_low_magnitude_dense/prune_low_magnitude_dense/mask:0")
    tools = opened.page.locator(".tools").filter(has=opened.page.get_by_role("searchbox"))
    tools.get_by_role("button", name="Copy table").click()
    expect(tools.get_by_role("button", name="Copied")).to_be_visible()
    lines = opened.page.evaluate("navigator.clipboard.readText()").splitlines()
    assert set(names(opened)) <= set(lines[0].split("\t"))
    assert len(lines) == 1 + 19
    assert {line.count("\t") for line in lines} == {lines[0].count("\t")}
    assert lines[1].startswith("model_weights/prune_low_magnitude_dense/dense/kernel:0\t")


@pytest.mark.parametrize("name", ["pruned", "diff", "reconcile", "audit"])
def test_keys_reach_everything_and_it_is_seen_where_one_is(name, shown):
    opened = shown(page(name))
    missed, unseen = probes.tab_through(opened.page)
    assert missed == []
    assert unseen == []


def test_keys_do_what_a_mouse_does(shown):
    opened = shown(page("pruned"))
    elements = heads(opened).nth(names(opened).index("elements"))
    button = elements.locator("button")
    button.focus()
    opened.page.keyboard.press("Enter")
    assert elements.get_attribute("aria-sort") == "descending"
    opened.page.keyboard.press("Space")
    assert elements.get_attribute("aria-sort") == "ascending"
    assert button.evaluate("one => one === document.activeElement")
    chip = opened.page.get_by_role("button", name="mask 2", exact=True)
    chip.focus()
    opened.page.keyboard.press("Space")
    assert chip.get_attribute("aria-pressed") == "true"
    fold = opened.page.locator(f"{TENSORS} tr:not([hidden]) summary").first
    fold.focus()
    opened.page.keyboard.press("Enter")
    assert fold.evaluate("one => one.parentNode.open")
    expect(opened.page.get_by_role("button", name="Copy name")).to_be_visible()
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "Copy name"


def test_the_first_key_leads_past_what_is_on_every_page(shown):
    opened = shown(page("pruned"))
    opened.page.keyboard.press("Tab")
    skip = opened.page.locator("a.skip")
    assert skip.evaluate("one => one === document.activeElement")
    assert skip.bounding_box()["y"] >= 0
    opened.page.keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.id") == "main"


def test_colours_are_the_systems_or_as_chosen(shown):
    opened = shown(page("pruned"), color_scheme="dark")

    def light():
        paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", paper)[:3])) > 3 * 128

    assert not light()
    choice = opened.page.get_by_label("Colours")
    choice.select_option("light")
    assert light()
    opened.page.reload()
    assert light()
    choice.select_option("auto")
    assert not light()


def test_five_thousand_tensors(shown, tmp_path):
    path, sizes = wide(tmp_path, 5_000)
    html = written("show", path)
    assert len(html.encode()) < 5_000_000
    opened = shown(html)
    assert column(opened, 0, every=True) == list(sizes)
    heads(opened).nth(names(opened).index("elements")).locator("button").click()
    assert column(opened, 0, every=True) == sorted(sizes, key=sizes.__getitem__, reverse=True)
    heads(opened).nth(0).locator("button").click()
    assert column(opened, 0, every=True)[:5] == [
        f"model_weights/dense_{at}/dense_{at}/{kind}:0"
        for at, kind in ((0, "bias"), (0, "kernel"), (1, "bias"), (1, "kernel"), (2, "bias"))
    ]
    opened.page.get_by_role("searchbox").fill("dense_2499/")
    expect(opened.page.get_by_role("status")).to_have_text("2 of 5,000 rows")
    assert opened.misbehaved() == []
