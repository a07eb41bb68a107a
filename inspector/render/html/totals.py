"""The counts of an artifact, each with its exact name and what it means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inspector.meanings import TOTAL_LABELS, TOTAL_MEANINGS
from inspector.report import ArtifactReport

_SHOWN = ("count_params", "after_strip", "nonzero", "stored_elements")


@dataclass(frozen=True, slots=True)
class Total:
    """One count: null where the artifact cannot say, and then why."""

    key: str
    words: str
    means: str
    value: int | None
    reason: str


def totals_of(artifact: ArtifactReport) -> tuple[Total, ...]:
    """The counts that a reader asks for, in the order of the question; what is unknown comes last.

    Of an artifact that has no Keras layers to count, the elements of its weights come first.
    """
    found = [*_weights(artifact)] + [
        Total(
            key,
            TOTAL_LABELS[key],
            TOTAL_MEANINGS[key],
            getattr(artifact.totals, key),
            artifact.totals_reasons.get(key, "the file does not say"),
        )
        for key in _SHOWN
    ]
    return tuple(sorted(found, key=lambda one: one.value is None))


def _weights(artifact: ArtifactReport) -> Iterator[Total]:
    if artifact.weights and artifact.totals.count_params is None:
        means = "All elements of weights, zeros among them."
        yield Total("weights.elements", "in weights", means, artifact.weights.elements, "")
