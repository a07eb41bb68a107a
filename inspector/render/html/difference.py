"""The page of a difference: what changed from A to B."""

from __future__ import annotations

from inspector.render import difference
from inspector.render.html.page import Page
from inspector.render.options import RenderOptions
from inspector.report import Report


def page(report: Report, options: RenderOptions) -> Page:
    """The answer, then the tables of what changed."""
    diff = report.diff
    values = {
        "heading": "What changed from A to B",
        "lines": difference.sides(report),
        "sentences": difference.sentences(diff) if diff else [],
        "tables": [
            table
            for section in (difference.sections(report, diff, options.all) if diff else ())
            for table in section.tables
        ],
    }
    return Page("diff.html", "Difference · inspect", values)
