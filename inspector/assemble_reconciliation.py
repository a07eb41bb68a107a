"""From what reconciling found to the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from inspector import report as r
from inspector.assemble import extreme
from inspector.errors import ArtifactError, UsageError
from inspector.limits import DEFAULT, Limits
from inspector.measure import mask_against_weight
from inspector.model import Artifact, Measurement, Role, Section
from inspector.reconciliation import (
    Against,
    Alone,
    Held,
    Known,
    Line,
    Odd,
    Row,
    between,
    deflated,
    how,
    lines_of,
    predict,
    sizes_of,
    staying,
    story,
    story_between,
    verdict,
)

if TYPE_CHECKING:
    from inspector.both import Together
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
        leaks=None if measured is None else _leaks(artifact, classified, limits),
        sizes=sizes,
        predicted=predict(artifact, verdicts, counted),
    )
    return r.Reconciliation(
        lines=tuple(map(line_report, lines.lines)),
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


def _leaks(artifact: Artifact, classified: Classified, limits: Limits) -> int | None:
    """Elements that are not 0 where their mask is; None without masks, or where one is unreadable.

    What a frozen graph multiplies by its mask may well be not 0: nothing is said of those.
    """
    tensors = {tensor.name: tensor for tensor in artifact.tensors}
    pairs = [
        (tensors[name], tensors[verdict.about])
        for name, verdict in classified.verdicts.items()
        if verdict.role is Role.MASK and verdict.about in tensors
    ]
    if not pairs or any(mask.section is Section.GRAPH for mask, _ in pairs):
        return None
    try:
        return sum(mask_against_weight(mask, weight, limits).leaked for mask, weight in pairs)
    except (ArtifactError, UsageError):
        return None


def known(artifact: Artifact, classified: Classified, counted: Counted) -> Known:
    """One of two artifacts to reconcile."""
    lines = lines_of(artifact, classified.verdicts, counted)
    return Known(artifact, classified.verdicts, lines, counted.totals.count_params)


def build_between(
    a: Known, b: Known, limits: Limits = DEFAULT, together: Together | None = None
) -> r.Reconciliation:
    """The reconciliation of two artifacts, while both are open.

    together: what is known of their pairs, where both were examined together.
    """
    if together is None:
        found = between(a, b, limits)
    else:
        found = between(a, b, limits, together.pairing, together.agreements)
    return r.Reconciliation(
        lines=tuple(_of_two(*lines) for lines in found.lines),
        live=None,
        residual=found.residual,
        answer=story_between(found),
        odd=tuple(map(_odd, found.odd)),
        pairs=tuple(map(_pair, found.held)),
        gone=tuple(
            r.GoneReport(
                one.tensor.name, one.of, one.role.value, one.tensor.stored_elements, one.why
            )
            for one in found.gone
        ),
    )


def with_live(found: r.Reconciliation, answers: Sequence[tuple[str, Against]]) -> r.Reconciliation:
    """What TensorFlow said of each artifact, by its path, beside what the files say."""
    several = len(answers) > 1
    said = (f"{path}: {verdict(one)}" if several else verdict(one) for path, one in answers)
    return replace(found, live=_all_live(answers), answer=(*found.answer, *said))


def _all_live(answers: Iterable[tuple[str, Against]]) -> r.Live:
    artifacts = tuple(_live(path, found) for path, found in answers)
    known = [one.residual for one in artifacts if one.residual is not None]
    refused = any(one.error is not None for one in artifacts)
    return r.Live(artifacts, sum(known) if known and not refused else None)


def _live(path: str, found: Against) -> r.LiveArtifact:
    return r.LiveArtifact(
        path=path,
        loader=found.loader,
        versions=dict(found.versions),
        error=found.error,
        totals=tuple(map(_row, found.totals)),
        layers=tuple(map(_row, found.layers)),
        tensors=None if found.tensors is None else _row(found.tensors),
        unlike=found.unlike,
        residual=found.residual,
    )


def _row(row: Row) -> r.LiveRow:
    return r.LiveRow(row.what, row.file, row.live, row.residual, row.reason)


def _of_two(a: Line, b: Line) -> r.ReconciliationLine:
    """A's line with B's beside it."""
    other = r.LineOfOther(b.tensors, b.elements, b.nbytes, b.counted)
    line = a if a.basis else dataclasses.replace(a, basis=b.basis)
    return replace(line_report(line), other=other)


def _pair(held: Held) -> r.PairReport:
    one, found = held.pair, held.agreement
    change = one.change
    # Of tensors that cannot be laid side by side nothing was read.
    seen = found is not None and (found.agrees or found.largest is not None)
    return r.PairReport(
        a=one.a.name,
        b=one.b.name,
        layer=one.a.layer,
        variable=one.a.variable,
        layer_b=one.b.layer,
        variable_b=one.b.variable,
        role=held.role.value,
        elements=one.a.elements if found is None else found.elements,
        why=one.why,
        change=None if change is None else change.kind,
        change_words=None if change is None else change.words,
        agrees=how(held),
        zeros_a=found.zeros_a if found and seen else None,
        zeros_b=found.zeros_b if found and seen else None,
        differing=None if found is None else found.differing,
        largest=None if found is None else extreme(found.largest),
        in_scale_units=None if found is None else extreme(found.in_scale_units),
        snr_db=None if found is None else extreme(found.snr_db),
        masked_nonzero=None if found is None else found.masked_nonzero,
        why_not=None if found is None else found.why_not,
    )


def line_report(line: Line) -> r.ReconciliationLine:
    """One line's entry."""
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
