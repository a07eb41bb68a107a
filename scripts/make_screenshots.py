"""Pictures of the pages that `--format html` writes, of the samples: docs/screenshots/.

python scripts/make_screenshots.py [FOLDER]    write them there instead
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import pages  # noqa: E402 - only there once the path is
from tests.browser.driving import NARROW, WIDE, launch, open_page  # noqa: E402


@dataclass(frozen=True)
class Shot:
    """page: of tests/browser/pages.py; whole: to its end, or as much as a window shows."""

    page: str
    viewport: Any
    scheme: str = "light"
    whole: bool = True


SHOTS = {
    "show": Shot("pruned", WIDE),
    "show-dark": Shot("pruned", WIDE, "dark", whole=False),
    "show-narrow": Shot("pruned", {**NARROW, "height": 2200}, whole=False),
    "show-tflite": Shot("tflite", WIDE),
    "diff": Shot("diff", WIDE),
    "reconcile": Shot("reconcile", WIDE),
    "audit": Shot("audit", WIDE),
}


def take(browser: Browser, shot: Shot, source: Path, target: Path) -> None:
    source.write_text(pages.page(shot.page), encoding="utf-8")
    opened = open_page(
        browser,
        source,
        viewport=shot.viewport,
        color_scheme=shot.scheme,
        device_scale_factor=1,
        locale="en-GB",
        timezone_id="UTC",
    )
    if opened.misbehaved():
        raise SystemExit(f"{shot.page}: {opened.misbehaved()}")
    opened.page.screenshot(path=target, full_page=shot.whole, animations="disabled")
    opened.context.close()


def main() -> None:
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "screenshots"
    target = target.resolve()
    os.chdir(ROOT)
    target.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        for name, shot in SHOTS.items():
            take(browser, shot, Path(folder) / f"{name}.html", target / f"{name}.png")
            print(f"{name}.png: {(target / f'{name}.png').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
