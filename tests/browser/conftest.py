"""One browser for all the tests of this folder that a process runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.driving import PATIENCE, Opened, launch, open_page


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with the folder's last test: while it runs, no other test can have an event loop."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = launch(playwright)
        yield launched
        launched.close()


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Open a page's text as a file: `shown(html, color_scheme="dark")`."""
    contexts = []

    def show(html: str, **context: Any) -> Opened:
        path = tmp_path / f"page{len(contexts)}.html"
        path.write_text(html, encoding="utf-8")
        opened = open_page(browser, path, **context)
        contexts.append(opened.context)
        return opened

    yield show
    for one in contexts:
        one.close()
