"""Which pictures the page of an artifact has, in the order in which they answer questions."""

from __future__ import annotations

from msgspec import UnsetType

from inspector.render.html.count_figures import areas, layers, steps
from inspector.render.html.figure import Part
from inspector.render.html.value_figures import heats, histograms, operators
from inspector.report import ArtifactReport

_PARTS = (steps, areas, layers, histograms, heats, operators)


def parts_of(artifact: ArtifactReport) -> list[Part]:
    """A part a kind of picture that the artifact has; of a report without pictures, what is drawn
    from its layers.
    """
    pictures = artifact.pictures
    if isinstance(pictures, UnsetType):
        found = [layers(artifact)]
    else:
        found = [part(artifact, pictures) for part in _PARTS]
    return [part for part in found if part.figures]
