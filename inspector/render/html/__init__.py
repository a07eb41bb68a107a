"""The report as a page: one file, whole in itself, that a browser shows without a network.

A page of a command is a module with `page(report, options) -> Page` and a template, and a line in
`_PAGES`. It works without its script, which only sorts, filters and copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from inspector.render.html import audit, difference, reconciliation, show
from inspector.render.html.page import Page, environment, shell
from inspector.render.options import RenderOptions
from inspector.report import Report

_PAGES: Mapping[str, Callable[[Report, RenderOptions], Page]] = {
    "show": show.page,
    "diff": difference.page,
    "reconcile": reconciliation.page,
    "audit": audit.page,
}


def render(report: Report, options: RenderOptions) -> str:
    """The whole page. Raises UsageError where what pages are made with is not installed."""
    return "".join(pieces(report, options))


def pieces(report: Report, options: RenderOptions) -> Iterator[str]:
    """The page bit by bit, so that thousands of rows are never held twice."""
    ready()
    made = _PAGES[report.command](report, options)
    yield from environment().get_template(made.template).generate(shell(report, made))


def ready() -> None:
    """Raises UsageError where what pages are made with is not installed."""
    environment()


__all__ = ["pieces", "ready", "render"]
