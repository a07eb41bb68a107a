"""The page of a reconciliation: the lines that add up."""

from __future__ import annotations

from inspector.render import reconciliation
from inspector.render.blocks import header
from inspector.render.html.page import Page
from inspector.render.options import RenderOptions
from inspector.report import Report


def page(report: Report, _options: RenderOptions) -> Page:
    """The answer, then the arithmetic."""
    found = report.reconciliation
    values = {
        "heading": "Why the count is what it is",
        "lines": [header(one) for one in report.artifacts],
        "sentences": reconciliation.sentences(found) if found else [],
        "tables": reconciliation.tables(found) if found else [],
    }
    return Page("reconcile.html", "Reconciliation · inspect", values)
