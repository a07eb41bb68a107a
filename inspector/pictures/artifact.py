"""All the pictures of one artifact, while it is open."""

from __future__ import annotations

from msgspec.structs import replace

from inspector.examine import Known
from inspector.limits import DEFAULT, Limits
from inspector.pictures.areas import areas_of
from inspector.pictures.heats import heats_of
from inspector.pictures.histograms import histograms_of
from inspector.pictures.operators import operators_of
from inspector.pictures.steps import steps_of
from inspector.report import ArtifactReport, PicturesReport


def with_pictures(
    shown: ArtifactReport, known: Known, limits: Limits = DEFAULT, threads: int | None = None
) -> ArtifactReport:
    """The report of an open artifact with its pictures in it. threads: as for `measure_all`.

    Where nothing was measured there are no histograms and no heats; of values that cannot be read
    there is none either. Raises LimitExceeded when the time is up.
    """
    histograms, with_values = histograms_of(known, limits, threads)
    heats, with_zeros = heats_of(known, limits, threads)
    operators, all_operators = operators_of(known.artifact)
    pictures = PicturesReport(
        areas=areas_of(known.artifact, known.classified.verdicts, shown.bytes),
        steps=steps_of(known),
        histograms=histograms,
        histograms_of=with_values,
        heats=heats,
        heats_of=with_zeros,
        operators=operators,
        operators_of=all_operators,
    )
    return replace(shown, pictures=pictures)
