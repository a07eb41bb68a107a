"""From what reconciling found to the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from inspector import report as r
from inspector.limits import DEFAULT, Limits
from inspector.model import Artifact, Measurement
from inspector.reconcile import (
    Alone,
    Line,
    Odd,
    deflated,
    lines_of,
    predict,
    sizes_of,
    staying,
    story,
)

if TYPE_CHECKING:
    from inspector.classify import Classified
    from inspector.count import Counted


def build_alone(
    artifact: Artifact,
    classified: Classified,
    counted: Counted,
    measured: Mapping[str, Measurement] | None = None,
    *,
    gzip: bool = False,
    limits: Limits = DEFAULT,
) -> r.Reconciliation:
    """The reconciliation of one artifact with itself, while it is open.

    measured: by tensor name, None when nothing was measured; gzip: deflate what stays.
    """
    verdicts = classified.verdicts
    lines = lines_of(artifact, verdicts, counted)
    kept = staying(artifact, verdicts, counted)
    sizes = None if measured is None else sizes_of(kept, measured)
    if sizes is not None and gzip:
        sizes = dataclasses.replace(sizes, deflated=deflated(kept, limits))
    alone = Alone(
        artifact=artifact,
        verdicts=verdicts,
        lines=lines,
        count_params=counted.totals.count_params,
        after_strip=counted.totals.after_strip,
        reason=counted.reasons.get("count_params"),
        nonzero=counted.totals.nonzero,
        sizes=sizes,
        predicted=predict(artifact, verdicts, counted),
    )
    return r.Reconciliation(
        lines=tuple(map(_line, lines.lines)),
        live=None,
        residual=lines.residual,
        answer=story(alone),
        odd=tuple(map(_odd, lines.odd)),
        sizes=None
        if sizes is None
        else r.SizesReport(
            sizes.elements,
            sizes.zeros,
            sizes.dense,
            sizes.bitmask,
            {str(bits): nbytes for bits, nbytes in sizes.csr.items()},
            sizes.deflated,
        ),
        predicted=None
        if alone.predicted is None
        else r.PredictedReport(**dataclasses.asdict(alone.predicted)),
    )


def _line(line: Line) -> r.ReconciliationLine:
    return r.ReconciliationLine(
        label=line.label,
        elements=line.elements,
        basis=line.basis,
        role=line.role.value if line.role else None,
        tensors=line.tensors,
        each=line.each,
        nbytes=line.nbytes,
        count_params=line.counted,
        after_strip=line.left,
    )


def _odd(odd: Odd) -> r.OddReport:
    return r.OddReport(odd.tensor, odd.elements, odd.message)
