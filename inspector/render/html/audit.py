"""The page of an audit: the verdict, and the findings."""

from __future__ import annotations

from inspector.render.finding_words import summary
from inspector.render.findings import table
from inspector.render.html.page import Page
from inspector.render.options import RenderOptions
from inspector.report import Report

_FINDINGS = 2_000  # of a severity


def page(report: Report, _options: RenderOptions) -> Page:
    """The verdict, then a row a finding."""
    values = {
        "heading": "Audit",
        "lines": [],
        "sentences": [summary(report, report.audit)] if report.audit else [],
        "tables": [table(report, _FINDINGS)],
    }
    return Page("audit.html", "Audit · inspect", values)
