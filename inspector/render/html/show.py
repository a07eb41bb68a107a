"""The page of some artifacts: for each the answer, the pictures, the tables."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace

from inspector.meanings import meaning
from inspector.render.blocks import header
from inspector.render.calls import calls
from inspector.render.html.figure import Part
from inspector.render.html.figures import parts_of
from inspector.render.html.page import Page
from inspector.render.html.tensors import Tensors, tensors_of
from inspector.render.html.totals import Total, totals_of
from inspector.render.options import RenderOptions
from inspector.render.rows import Table, layer_table
from inspector.render.text import PROBLEMS, filtered, unsaid
from inspector.report import ArtifactReport, ProblemReport, Report
from inspector.words import count, listing

_LAYERS = 2_000  # rows
_FEW = 6  # small pictures of a kind that are seen at once; the rest is folded


@dataclass(frozen=True, slots=True)
class _Section:
    """What the page has of one artifact. id: of its place, which its parts' ids begin with; of:
    " of PATH" where there are several, so that names on the page tell them apart.
    """

    id: str
    name: str
    of: str
    facts: str
    artifact: ArtifactReport
    totals: tuple[Total, ...]
    words: tuple[tuple[str, str], ...]
    wrong: str
    pictures: tuple[Part, ...]
    calls: tuple[tuple[str, str], ...]
    problems: tuple[ProblemReport, ...]
    unsaid: str
    layers: Table
    tensors: Tensors
    filtered: tuple[str, ...]


def page(report: Report, options: RenderOptions) -> Page:
    """A section an artifact, in the report's order, those that cannot be read among them."""
    several = len(report.artifacts) != 1
    sections = [_section(one, at, several, options) for at, one in enumerate(report.artifacts, 1)]
    title = count(len(sections), "artifact") if several else sections[0].name
    contents = (
        tuple((one.id, one.artifact.path) for one in sections)
        if several
        else _contents(sections[0])
    )
    values = {"sections": sections, "several": several, "level": 3 if several else 2, "few": _FEW}
    return Page("show.html", f"{title} · inspect", values, contents)


def _section(artifact: ArtifactReport, at: int, several: bool, options: RenderOptions) -> _Section:
    layers = layer_table(artifact)
    return _Section(
        id=f"a{at}",
        name=os.path.basename(artifact.path.rstrip("/")) or artifact.path,
        of=f" of {artifact.path}" if several else "",
        facts=header(artifact),
        artifact=artifact,
        totals=totals_of(artifact),
        words=tuple((label, meaning(label)) for label in artifact.bytes if meaning(label)),
        wrong=_wrong(artifact),
        pictures=tuple(parts_of(artifact)) if artifact.readable else (),
        calls=tuple(calls(artifact)),
        problems=artifact.problems[:PROBLEMS],
        unsaid=unsaid(artifact),
        layers=replace(layers, rows=layers.rows[:_LAYERS], note=_note(layers)),
        tensors=tensors_of(artifact),
        filtered=tuple(
            filtered(artifact, replace(options, tensors=tensors)) for tensors in (False, True)
        ),
    )


def _note(layers: Table) -> str:
    more = len(layers.rows) - _LAYERS
    left = f"... and {count(more, 'more layer')} (all in --format json)." if more > 0 else ""
    return " ".join(filter(None, (left, layers.note)))


def _wrong(artifact: ArtifactReport) -> str:
    """How many problems there are: "1 error and 2 warnings"; "" where there is none."""
    times = Counter(one.severity.value for one in artifact.problems)
    return listing(
        [
            count(times[severity], word)
            for severity, word in (("error", "error"), ("warning", "warning"))
            if times[severity]
        ]
    )


def _contents(section: _Section) -> tuple[tuple[str, str], ...]:
    """The parts of the one artifact, for the table of contents."""
    if not section.artifact.readable:
        return ()
    found = [(f"{section.id}-{one.id}", one.title) for one in section.pictures]
    found += [
        (f"{section.id}-{part}", words)
        for part, words, there in (
            ("calls", "Calls and needs", section.calls),
            ("problems", "Problems", section.problems),
            ("layers", "Layers", section.layers.rows),
            ("tensors", "Tensors", section.tensors.rows),
        )
        if there
    ]
    return tuple(found)
