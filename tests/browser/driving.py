"""A page in real Chromium, and all that it did besides being shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request, Route

from tests.builders.programs import program

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 30_000  # milliseconds: a machine that does much else is slow, and not wrong
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}

# Kept before anything of the page runs, and never subject to its policy.
LISTEN = """
window.violations = [];
document.addEventListener('securitypolicyviolation', event =>
  window.violations.push(event.effectiveDirective + ' ' + event.blockedURI));
"""


@dataclasses.dataclass
class Opened:
    """A page that is open. requests: what it asked for besides itself; said: warnings and errors of
    the console, and of scripts; dialogs: texts of alerts.
    """

    page: Page
    context: BrowserContext
    requests: list[str] = dataclasses.field(default_factory=list)
    said: list[str] = dataclasses.field(default_factory=list)
    dialogs: list[str] = dataclasses.field(default_factory=list)

    def violations(self) -> list[str]:
        """What its own policy stopped."""
        found: list[str] = self.page.evaluate("window.violations")
        return found

    def misbehaved(self) -> list[str]:
        """All that a page must not do: empty of one that is as it should be."""
        return [*self.requests, *self.said, *self.dialogs, *self.violations()]


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=program("chromium"), args=list(QUIET))


def open_page(browser: Browser, path: Path, **context: Any) -> Opened:
    """Open a file in a context of its own; context: of `Browser.new_context`."""
    script = context.get("java_script_enabled", True)
    options = {"viewport": WIDE, "reduced_motion": "reduce", **context}
    made = browser.new_context(**options)
    made.set_default_timeout(PATIENCE)
    page = made.new_page()
    opened = Opened(page, made)
    address = path.as_uri()

    def only_itself(route: Route, request: Request) -> None:
        if request.url.partition("#")[0] == address:
            route.continue_()
        else:
            opened.requests.append(f"request: {request.url[:200]}")
            route.abort()

    made.route("**/*", only_itself)
    page.on(
        "console", lambda one: one.type in {"warning", "error"} and opened.said.append(one.text)
    )
    page.on("pageerror", lambda error: opened.said.append(str(error)))
    page.on("dialog", lambda one: (opened.dialogs.append(one.message), one.dismiss()))
    if script:
        page.add_init_script(LISTEN)
    page.goto(address)
    return opened
