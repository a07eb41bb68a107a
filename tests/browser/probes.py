"""What is asked of a page that is open: does it fit, can it be reached, can it be read."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex]"

# Texts of a picture that leave it, or that lie upon each other, by more than the last pixel.
SVG_TEXTS = """() => {
  const faults = [];
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    if (!frame.width) continue;
    const texts = [...svg.querySelectorAll('text')]
      .filter(one => one.getBoundingClientRect().width);
    const boxes = texts.map(one => one.getBoundingClientRect());
    const name = at => JSON.stringify(texts[at].textContent.trim().slice(0, 60));
    boxes.forEach((box, at) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1
          || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        faults.push(name(at) + ' leaves its picture');
      for (let other = 0; other < at; other++) {
        const b = boxes[other];
        const across = Math.min(box.right, b.right) - Math.max(box.left, b.left);
        const down = Math.min(box.bottom, b.bottom) - Math.max(box.top, b.top);
        if (across > 1 && down > 4) faults.push(name(at) + ' lies upon ' + name(other));
      }
    });
  }
  return faults;
}"""

# Everything that can be seen and used now.
USABLE = """selector => [...document.querySelectorAll(selector)].filter(one =>
  one.checkVisibility({visibilityProperty: true}) && !one.disabled && one.tabIndex >= 0
  && one.getClientRects().length).map((one, at) => { one.dataset.at = at; return at; })"""

FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body || one === document.documentElement) return null;
  const style = getComputedStyle(one);
  const outline = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
  return {at: Number(one.dataset.at), seen: outline || style.boxShadow !== 'none',
          what: one.outerHTML.slice(0, 120)};
}"""


def too_wide(page: Page) -> list[str]:
    """What is wider than the window and scrolls in no box of its own; empty where all fits."""
    found: list[str] = page.evaluate(
        """() => {
          if (document.documentElement.scrollWidth <= innerWidth) return [];
          const faults = ['the page is ' + document.documentElement.scrollWidth + ' px wide'];
          for (const one of document.querySelectorAll('body *'))
            if (one.getBoundingClientRect().right > innerWidth + 1 && faults.length < 6)
              faults.push(one.outerHTML.slice(0, 100));
          return faults;
        }"""
    )
    return found


def bad_texts(page: Page) -> list[str]:
    """Texts of pictures that are cut off or lie upon each other."""
    found: list[str] = page.evaluate(SVG_TEXTS)
    return found


def tab_through(page: Page) -> tuple[list[str], list[str]]:
    """(controls that Tab does not reach, those reached whose focus cannot be seen)."""
    wanted = set(page.evaluate(USABLE, CONTROLS))
    reached: set[int] = set()
    unseen: list[str] = []
    page.evaluate("() => { document.activeElement.blur(); getSelection().removeAllRanges(); }")
    for _ in range(len(wanted) + 2):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None or focused["at"] in reached:
            break
        reached.add(focused["at"])
        if not focused["seen"]:
            unseen.append(focused["what"])
    missed = [
        page.evaluate(
            "at => document.querySelector(`[data-at='${at}']`).outerHTML.slice(0, 120)", at
        )
        for at in sorted(wanted - reached)
    ]
    return missed, unseen


def barriers(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical, and where."""
    page.evaluate(AXE_SCRIPT)
    found: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['target']} {node['failureSummary'][:300]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def fewer_rows(page: Page) -> None:
    """Six rows of each table: the others are as they are, and axe-core looks at every cell."""
    page.evaluate(
        """() => document.querySelectorAll('tbody').forEach(body =>
             [...body.rows].slice(6).forEach(row => row.remove()))"""
    )


def folded_away(page: Page) -> list[str]:
    """What stands in a fold and is not shown, though the fold is."""
    found: list[str] = page.evaluate(
        """async () => {
          for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
          return [...document.querySelectorAll('details > :not(summary, .tools)')].filter(one =>
            one.parentElement.checkVisibility()
            && (!one.checkVisibility({contentVisibilityAuto: true}) || !one.offsetHeight))
            .map(one => one.outerHTML.slice(0, 100));
        }"""
    )
    return found


def lost_marks(page: Page) -> list[str]:
    """Texts and areas of pictures whose colour is that of the page behind them."""
    found: list[str] = page.evaluate(
        """() => {
          const paper = getComputedStyle(document.body).backgroundColor;
          const marks = [...document.querySelectorAll('svg :is(text, rect, path, line)')];
          const lost = one => {
            const {fill, stroke} = getComputedStyle(one);
            return one.checkVisibility() && one.getBoundingClientRect().width
              && [fill, stroke].every(colour => colour === paper || colour === 'none');
          };
          return marks.filter(lost).map(one => one.outerHTML.slice(0, 100));
        }"""
    )
    return found


def unfold(page: Page) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")
