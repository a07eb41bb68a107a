"""The page of some artifacts: for each the answer, the pictures, the tables."""

from __future__ import annotations

import os

from inspector.render.html.page import Page
from inspector.render.options import RenderOptions
from inspector.render.rows import layer_table, tensor_table
from inspector.report import ArtifactReport, Report


def page(report: Report, _options: RenderOptions) -> Page:
    """A section an artifact, in the report's order, those that cannot be read among them."""
    names = [os.path.basename(one.path.rstrip("/")) or one.path for one in report.artifacts]
    title = names[0] if len(names) == 1 else f"{len(names)} artifacts"
    parts = [_part(one, at) for at, one in enumerate(report.artifacts, 1)]
    contents = [(f"a{at}", one.path) for at, one in enumerate(report.artifacts, 1)]
    return Page(
        "show.html",
        f"{title} · inspect",
        {"parts": parts, "several": len(parts) > 1},
        tuple(contents) if len(contents) > 1 else (),
    )


def _part(artifact: ArtifactReport, at: int) -> dict[str, object]:
    return {
        "id": f"a{at}",
        "artifact": artifact,
        "layers": layer_table(artifact),
        "tensors": tensor_table(artifact),
    }
