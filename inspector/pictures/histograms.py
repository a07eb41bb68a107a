"""How the values of the largest weights spread."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

from inspector.examine import Known
from inspector.limits import Limits
from inspector.model import Measurement, Role, Tensor
from inspector.pictures.reading import (
    all_readable,
    has_numbers,
    if_readable,
    is_whole,
    off_zero,
    stored,
)
from inspector.pictures.spread import BARS, EXACT, Spread, edges_of, span, spread, whole_edges
from inspector.report import HistogramReport

MOST_HISTOGRAMS = 36
_ROLES = frozenset({Role.WEIGHT, Role.STATISTIC})


def histograms_of(
    known: Known, limits: Limits, threads: int | None = None, most: int = MOST_HISTOGRAMS
) -> tuple[tuple[HistogramReport, ...], int]:
    """Those of kernels, the largest first, then of what else is a weight or a statistic; and of how
    many there could be one.

    Raises LimitExceeded where the time is up or the memory full.
    """
    tensors = sorted(_candidates(known), key=lambda one: (_comes_later(known, one), -one.elements))
    drawing = _Drawing(known, limits)
    return tuple(all_readable(drawing.of, tensors[:most], threads)), len(tensors)


def _candidates(known: Known) -> Iterator[Tensor]:
    for tensor in known.artifact.tensors:
        role = known.classified.verdicts[tensor.name].role
        measured = known.measured is not None and tensor.name in known.measured
        if role in _ROLES and measured and tensor.elements > 1 and has_numbers(tensor):
            yield tensor


def _comes_later(known: Known, tensor: Tensor) -> bool:
    """Whether it is no kernel: a bias, or a statistic."""
    role = known.classified.verdicts[tensor.name].role
    return role is not Role.WEIGHT or len(tensor.shape or ()) < 2


class _Drawing:
    """Histograms of one artifact, with what its masks say of them."""

    def __init__(self, known: Known, limits: Limits) -> None:
        self.measured = known.measured or {}
        self.verdicts = known.classified.verdicts
        self.limits = limits
        self.serving: dict[tuple[Role, str], Tensor] = {}
        for tensor in known.artifact.tensors:
            verdict = self.verdicts[tensor.name]
            if verdict.about is not None:
                self.serving.setdefault((verdict.role, verdict.about), tensor)

    def of(self, tensor: Tensor) -> HistogramReport:
        """The histogram of a tensor that was measured. Raises ArtifactError."""
        bars, zeros, not_finite = self._spread(tensor, self.measured[tensor.name])
        mask = self.serving.get((Role.MASK, tensor.name))
        masked = None if mask is None else self.measured.get(mask.name)
        return HistogramReport(
            tensor=tensor.name,
            layer=tensor.layer,
            variable=tensor.variable,
            role=self.verdicts[tensor.name].role.value,
            elements=tensor.elements,
            bars=bars,
            zeros=zeros,
            not_finite=not_finite,
            threshold=None if mask is None else self._threshold(tensor),
            masked=None if masked is None else masked.zeros,
        )

    def _spread(self, tensor: Tensor, found: Measurement) -> Spread:
        centred = tensor.centred is not None
        source = functools.partial(off_zero if centred else stored, tensor, self.limits)
        # Of a tensor with zero points those that are zero lie anywhere in its range.
        inside = 0 if centred else found.zeros
        ends = None
        if found.zeros + found.nan + found.inf < tensor.elements:
            ends = span(source, found.minimum, found.maximum, inside)
        if ends is None:
            return Spread((), found.zeros, found.nan + found.inf)
        if is_whole(tensor) and max(-ends[0], ends[1]) < EXACT:
            edges = whole_edges(int(ends[0]), int(ends[1]))
        else:
            edges = edges_of(*ends, _bars(found))
        seen = spread(source, edges, zeros_apart=not centred)
        return seen._replace(zeros=found.zeros) if centred else seen

    def _threshold(self, tensor: Tensor) -> float | None:
        """Below which magnitude the toolkit pruned last; None where the file does not say."""
        threshold = self.serving.get((Role.THRESHOLD, tensor.name))
        if threshold is None or threshold.elements != 1 or not has_numbers(threshold):
            return None
        read = if_readable(lambda: [float(one[0]) for one, _ in stored(threshold, self.limits)])
        return read[0] if read and math.isfinite(read[0]) else None


def _bars(found: Measurement) -> int:
    """No more bars than there are values that can be in one."""
    if found.distinct is None:
        return BARS
    return min(BARS, max(found.distinct - (found.zeros > 0) - (found.nan > 0), 1))
