"""The counts of an artifact, each with its exact name and what it means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inspector.report import ArtifactReport

# Field of TotalsReport, a word for it, what it means.
_TOTALS = (
    ("count_params", "Keras counts", "What model.count_params() says once the file is loaded."),
    (
        "after_strip",
        "left after stripping",
        "The same count once strip_pruning or strip_clustering has run.",
    ),
    ("nonzero", "not zero", "Weights whose value is not 0; copies are left out."),
    ("stored_elements", "stored", "All elements in the file, training state among them."),
)


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
            words,
            means,
            getattr(artifact.totals, key),
            artifact.totals_reasons.get(key, "the file does not say"),
        )
        for key, words, means in _TOTALS
    ]
    return tuple(sorted(found, key=lambda one: one.value is None))


def _weights(artifact: ArtifactReport) -> Iterator[Total]:
    if artifact.weights and artifact.totals.count_params is None:
        means = "All elements of weights, zeros among them."
        yield Total("weights.elements", "in weights", means, artifact.weights.elements, "")
