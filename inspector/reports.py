"""Reports of one artifact that is open: what `show` says of it, and `explain` of a tensor of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.examine import (
    NOTHING_YET,
    Progress,
    Silent,
    bars_of,
    confirm,
    examine,
    mask_check,
    measure_tensors,
)
from inspector.limits import DEFAULT, Limits
from inspector.model import Artifact, Tensor

if TYPE_CHECKING:
    from inspector.report import ArtifactReport, Explanation


def show_open(
    artifact: Artifact,
    *,
    measure: bool = True,
    digest: bool = False,
    pictures: bool = False,
    limits: Limits = DEFAULT,
    threads: int | None = None,
    progress: Progress | None = None,
) -> ArtifactReport:
    """What there is to say of an artifact that is open. The options are those of `api.show`.

    What cannot be read of its values is among the problems.
    """
    from inspector.assemble import build_show

    watcher = progress or Silent()
    known = examine(artifact, measure, limits, threads, watcher, digest=digest)
    shown = build_show(*known)
    if digest:
        from inspector.assemble_digests import with_file_digests

        shown = with_file_digests(shown)
    if pictures:
        from inspector.pictures import with_pictures

        shown = with_pictures(shown, known, limits, threads)
    return shown


def explain_open(
    artifact: Artifact, found: Tensor, *, measure: bool = True, limits: Limits = DEFAULT
) -> Explanation:
    """All that is known of a tensor of an artifact that is open."""
    from inspector.assemble_explanation import build_explanation
    from inspector.classify import RULES, classify

    classified = classify(artifact)
    seen = measure_tensors((found,), limits, None, Silent()) if measure else NOTHING_YET
    measured, problems = seen.found, [*seen.problems.values()]
    bars = None
    if found.name in measured:
        classified, more = confirm(
            artifact, classified, measured, limits, only=frozenset({found.name})
        )
        problems += more
        bars = bars_of(found, measured[found.name], limits)
    verdict = classified.verdicts[found.name]
    return build_explanation(
        artifact,
        found,
        verdict,
        next((rule for rule in RULES if rule.code == verdict.rule), None),
        measurement=measured.get(found.name),
        histogram=bars,
        check=mask_check(artifact, found, classified.verdicts, limits) if measure else None,
        problems=problems,
    )
