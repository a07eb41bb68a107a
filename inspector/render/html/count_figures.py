"""Pictures of how many: elements by kind, bytes by place, zeros by layer."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.render.drawing.bars import layer_bars
from inspector.render.drawing.treemap import treemap
from inspector.render.drawing.waterfall import waterfall
from inspector.render.html.figure import ROWS, Part, left, pair
from inspector.render.printable import optional
from inspector.render.rows import Table
from inspector.render.table import Column
from inspector.report import ArtifactReport, PicturesReport, ReconciliationLine
from inspector.words import count, listing, number, percent


def steps(artifact: ArtifactReport, pictures: PicturesReport) -> Part:
    """From the weights of the model alone to all that is stored, a step a kind."""
    lines = pictures.steps
    total = sum(one.elements for one in lines)
    words = " ".join(
        filter(
            None,
            (
                f"Each bar is what one kind of tensor adds, from the model’s own weights to all"
                f" {count(total, 'element')} that the file stores.",
                _counted(artifact, lines),
            ),
        )
    )
    table = Table(
        (
            Column("what", words=True),
            Column("tensors"),
            Column("elements"),
            Column("counted by Keras"),
            Column("left after stripping"),
            Column("known by", words=True),
        ),
        tuple(
            (
                one.label,
                optional(one.tensors),
                number(one.elements),
                optional(one.count_params),
                optional(one.after_strip),
                one.basis,
            )
            for one in lines
        ),
        (("all stored", "", number(total), *_sums(artifact), ""),) if lines else (),
    )
    drawn = [(one.label, one.elements, one.role) for one in lines]
    return Part(
        "counts",
        "How the count comes about",
        "",
        pair(
            lambda width: waterfall(drawn, "all stored", width, sums=_subtotals(artifact, lines)),
            "Elements",
            words,
            table,
        ),
    )


def _subtotals(artifact: ArtifactReport, lines: Sequence[ReconciliationLine]) -> dict[int, str]:
    """Behind how many lines a total is reached by them alone, and its name."""
    totals = artifact.totals
    found: dict[int, str] = {}
    for name, total, of in (
        ("left after stripping", totals.after_strip, [one.after_strip for one in lines]),
        ("counted by Keras", totals.count_params, [one.count_params for one in lines]),
    ):
        within = [bool(one) for one in of]
        reached = sum(within)
        # A sum stands behind its own lines only where no other line is among them.
        if (
            total is not None
            and all(within[:reached])
            and total == sum(one.elements for one in lines[:reached])
        ):
            found[reached] = name
    return found


def _sums(artifact: ArtifactReport) -> tuple[str, str]:
    return optional(artifact.totals.count_params), optional(artifact.totals.after_strip)


def _counted(artifact: ArtifactReport, steps: Sequence[ReconciliationLine]) -> str:
    """Which of the steps Keras counts, and which stripping leaves."""
    totals = artifact.totals
    if totals.count_params is None:
        return ""
    said = f"Keras counts {_named(totals.count_params, steps, 'count_params')}"
    if totals.after_strip is None or totals.after_strip == totals.count_params:
        return f"{said}."
    return f"{said}; stripping leaves {_named(totals.after_strip, steps, 'after_strip')}."


def _named(total: int, steps: Sequence[ReconciliationLine], of: str) -> str:
    """A total and the lines that it is made of: "1,354 (weights)"."""
    return f"{number(total)} ({', '.join(one.label for one in steps if getattr(one, of))})"


def areas(artifact: ArtifactReport, pictures: PicturesReport) -> Part:
    """A map of all bytes, those of no tensor too."""
    whole = artifact.nbytes or 0
    by_size = sorted(artifact.bytes.items(), key=lambda item: -item[1])
    said = [f"{label} {number(size)} ({percent(size, whole)})" for label, size in by_size[:4]]
    words = (
        f"Each area is a part of the artifact’s {count(whole, 'byte')}, by what it is and then by"
        f" layer; what is no tensor’s has its area too. Largest: {listing(said)}."
    )
    largest_first = sorted(pictures.areas, key=lambda one: -one.nbytes)
    table = Table(
        (
            Column("what", words=True),
            Column("layer", words=True, least=20),
            Column("tensors"),
            Column("bytes"),
            Column("share"),
        ),
        tuple(
            (
                one.label,
                one.layer or (count(one.layers, "more layer") if one.layers else ""),
                number(one.tensors) if one.tensors else "",
                number(one.nbytes),
                percent(one.nbytes, whole),
            )
            for one in largest_first[:ROWS]
        ),
        (("whole artifact", "", "", number(whole), percent(whole, whole)),),
        left(len(largest_first), "part"),
    )
    return Part(
        "bytes",
        "Where the bytes are",
        _stripped(artifact),
        pair(lambda width: treemap(pictures.areas, width), "Bytes", words, table),
    )


def _stripped(artifact: ArtifactReport) -> str:
    """Where to ask what stripping does to the size, of what can be stripped."""
    totals = artifact.totals
    if totals.after_strip is None or totals.after_strip == totals.count_params:
        return ""
    return "How large it would be once it is stripped, inspect reconcile says."


def layers(artifact: ArtifactReport, _pictures: PicturesReport | None = None) -> Part:
    """A bar a layer: weights that are zero, and those that are not."""
    weights = artifact.weights
    found = [(one.name, one.weights) for one in artifact.layers if one.weights]
    rows = tuple(
        (
            name or "(model)",
            number(one.elements),
            number(one.elements - one.zeros),
            number(one.zeros),
            percent(one.zeros, one.elements),
        )
        for name, one in found
        if one.elements
    )
    words = "A bar a layer: how many of its weights are not zero, and how many are."
    if weights and weights.elements:
        words += (
            f" In all {number(weights.zeros)} of {count(weights.elements, 'weight')} are zero"
            f" ({percent(weights.zeros, weights.elements)})."
        )
    table = Table(
        (
            Column("layer", words=True, least=20),
            Column("weights"),
            Column("not zero"),
            Column("zero"),
            Column("share of zeros"),
        ),
        rows[:ROWS],
        (),
        left(len(rows), "layer"),
    )
    return Part(
        "zeros",
        "Zeros in each layer",
        "",
        pair(lambda width: layer_bars(artifact.layers, width), "Weights", words, table),
    )
