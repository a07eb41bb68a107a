"""Step 6: a report as text, JSON, Markdown, CSV or a page; an audit as what other tools read, too.

Renderers compute nothing. A new one is one file here, with a `render`, and one line in RENDERERS.
Each is imported when it is first called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from inspector.render.options import RenderOptions

if TYPE_CHECKING:
    from inspector.report import Report

    Renderer = Callable[[Report, RenderOptions], str]


def _in(module: str) -> Renderer:
    def render(report: Report, options: RenderOptions) -> str:
        text: str = importlib.import_module(f"inspector.render.{module}").render(report, options)
        return text

    return render


def pieces(name: str, report: Report, options: RenderOptions) -> Iterator[str]:
    """What a renderer makes of the report, in pieces where it can, so as not to hold it whole."""
    module = importlib.import_module(f"inspector.render.{name}")
    if hasattr(module, "pieces"):
        yield from module.pieces(report, options)
    else:
        yield module.render(report, options)


def ready(name: str) -> None:
    """Raise UsageError where a renderer needs what is not installed, before anything is read."""
    if name in PICTURED:
        importlib.import_module(f"inspector.render.{name}").ready()


RENDERERS: Mapping[str, Renderer] = {
    "text": _in("text"),
    "json": _in("json"),
    "markdown": _in("markdown"),
    "csv": _in("csv"),
    "html": _in("html"),
    "sarif": _in("sarif"),
    "junit": _in("junit"),
    "github": _in("github"),
}
EXPLANATIONS = ("text", "json", "markdown", "csv")  # what every command has
REPORTS = (*EXPLANATIONS, "html")  # what all have that say more than of one tensor
PICTURED = ("html",)  # what shows pictures, which are worked out for it alone
AUDITS = (*REPORTS, "sarif", "junit", "github")  # what knows findings and nothing else

__all__ = [
    "AUDITS",
    "EXPLANATIONS",
    "PICTURED",
    "RENDERERS",
    "REPORTS",
    "RenderOptions",
    "pieces",
    "ready",
]
