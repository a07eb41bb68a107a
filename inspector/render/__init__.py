"""Step 6: a report as text, JSON, Markdown or CSV; of an audit, as what other tools read too.

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


RENDERERS: Mapping[str, Renderer] = {
    "text": _in("text"),
    "json": _in("json"),
    "markdown": _in("markdown"),
    "csv": _in("csv"),
    "sarif": _in("sarif"),
    "junit": _in("junit"),
    "github": _in("github"),
}
REPORTS = ("text", "json", "markdown", "csv")  # what every command has
AUDITS = (*REPORTS, "sarif", "junit", "github")  # what knows findings and nothing else

__all__ = ["AUDITS", "RENDERERS", "REPORTS", "RenderOptions", "pieces"]
